"""Published weights: fetched once into a folder, checked and loaded; models of a local folder."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from codegen import settings
from lazytorch._download import fetch
from lazytorch.serialization import load as load_file

_chosen_dir: str | None = None
# A file's name may end in the beginning of its SHA-256: "resnet18-f37072fd.pth".
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")


def get_dir() -> str:
    """The folder of fetched files: what ``set_dir`` chose, else ``hub`` in ``TORCH_HOME``, which
    is PyTorch's own, so that what it has fetched is used."""
    return _chosen_dir or str(settings.torch_home() / "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Keep fetched files in the folder ``d``."""
    global _chosen_dir
    _chosen_dir = os.path.expanduser(os.fspath(d))


def download_url_to_file(
    url: str,
    dst: str | os.PathLike[str],
    hash_prefix: str | None = None,
    progress: bool = True,
) -> None:
    """Write what is at ``url`` to the file ``dst``, once all of it has come.

    RuntimeError where its SHA-256 does not begin with ``hash_prefix``, or it cannot be had.
    """
    fetch(url, Path(os.fspath(dst)).expanduser(), "sha256", hash_prefix or "", progress)


def load_state_dict_from_url(
    url: str,
    model_dir: str | os.PathLike[str] | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """What is saved in the file at ``url``, which is fetched into ``model_dir`` (``checkpoints``
    in the hub's folder) unless it is there.

    With ``check_hash`` the file's SHA-256 begins as its name says (``name-0123abcd.pth``).
    ``weights_only`` changes nothing: only tensors and plain containers are ever read.

    ``torch.hub.load_state_dict_from_url("https://…/resnet18-f37072fd.pth", check_hash=True)``
    """
    folder = Path(os.fspath(model_dir)) if model_dir else Path(get_dir()) / "checkpoints"
    name = file_name or os.path.basename(urlparse(url).path)
    path = folder / name
    if not path.exists():
        print(f'Downloading: "{url}" to {path}', file=sys.stderr)
        found = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, path, found.group(1) if found else None, progress)
    loaded: dict[str, Any] = load_file(path, map_location, weights_only=True)
    return loaded


def _entry_points(repo_or_dir: str, source: str) -> Any:
    """The module ``hubconf.py`` of a folder, run."""
    if source != "local":
        raise RuntimeError(
            "lazytorch fetches no programs: clone the repository, and load it with "
            f"source='local' from its folder instead of {repo_or_dir!r}"
        )
    folder = Path(os.path.expanduser(repo_or_dir))
    path = folder / "hubconf.py"
    spec = importlib.util.spec_from_file_location("hubconf", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path} is missing: it names the models of a folder")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


def load(repo_or_dir: str, model: str, *args: Any, source: str = "github", **kwargs: Any) -> Any:
    """What the function ``model`` of a folder's ``hubconf.py`` returns (``source="local"``)."""
    found = getattr(_entry_points(repo_or_dir, source), model, None)
    if not callable(found):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return found(*args, **kwargs)


def list(repo_or_dir: str, source: str = "github", **_: Any) -> Any:
    """The names of the functions in a folder's ``hubconf.py``."""
    module = _entry_points(repo_or_dir, source)
    return [name for name in dir(module) if callable(getattr(module, name)) and name[0] != "_"]


def help(repo_or_dir: str, model: str, source: str = "github", **_: Any) -> Any:
    """The docstring of a function in a folder's ``hubconf.py``."""
    return getattr(_entry_points(repo_or_dir, source), model).__doc__
