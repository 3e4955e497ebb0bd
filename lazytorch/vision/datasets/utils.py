"""Files of datasets: fetched, checked by their published MD5, and unpacked."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from lazytorch._archive import replaced_when_complete
from lazytorch._download import fetch, file_digest, matches

_COMPRESSED: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_TAR_SUFFIXES = (".tar", ".tgz", ".tbz", ".tbz2", ".tar.gz", ".tar.bz2", ".tar.xz")


def calculate_md5(fpath: str | os.PathLike[str]) -> str:
    return file_digest(Path(fpath))


def check_md5(fpath: str | os.PathLike[str], md5: str) -> bool:
    return calculate_md5(fpath) == md5


def check_integrity(fpath: str | os.PathLike[str], md5: str | None = None) -> bool:
    """Whether the file is there, with this MD5 where one is given."""
    return matches(Path(fpath), md5)


def download_url(
    url: str,
    root: str | os.PathLike[str],
    filename: str | os.PathLike[str] | None = None,
    md5: str | None = None,
) -> None:
    """Fetch a file into ``root``, unless it is there already, whole.

    RuntimeError where it cannot be had, or has another MD5; nothing is left then.
    """
    name = filename or unquote(os.path.basename(urlparse(url).path))
    path = Path(os.path.expanduser(root)) / name
    if check_integrity(path, md5):
        return
    try:
        fetch(url, path, "md5", md5 or "")
    except RuntimeError as error:
        if "invalid hash value" in str(error):
            raise RuntimeError(f"File not found or corrupted: {url}: {error}") from error
        raise


def extract_archive(
    from_path: str | os.PathLike[str],
    to_path: str | os.PathLike[str] | None = None,
    remove_finished: bool = False,
) -> str:
    """Unpack a tar or zip archive, or a compressed file, into a folder (its own by default).

    Members that would land outside of it are refused. Where a single file was compressed, returns
    its place, else the folder.
    """
    source = Path(from_path)
    folder = source.parent if to_path is None else Path(to_path)
    name = source.name
    if name.endswith(_TAR_SUFFIXES):
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        result = folder
    elif name.endswith(".zip"):
        with zipfile.ZipFile(source) as archive:
            archive.extractall(folder)
        result = folder
    elif source.suffix in _COMPRESSED:
        result = folder / source.stem
        with (
            _COMPRESSED[source.suffix](source, "rb") as packed,
            replaced_when_complete(result) as file,
        ):
            shutil.copyfileobj(packed, file)
    else:
        raise RuntimeError(f"File '{name}' is neither an archive nor a compressed file")
    if remove_finished:
        source.unlink()
    return str(result)


def download_and_extract_archive(
    url: str,
    download_root: str | os.PathLike[str],
    extract_root: str | os.PathLike[str] | None = None,
    filename: str | None = None,
    md5: str | None = None,
    remove_finished: bool = False,
) -> None:
    """``download_url``, then ``extract_archive``."""
    root = os.path.expanduser(download_root)
    name = filename or os.path.basename(urlparse(url).path)
    download_url(url, root, name, md5)
    extract_archive(os.path.join(root, name), extract_root or root, remove_finished)


def verify_str_arg(value: Any, arg: str | None = None, valid_values: Iterable[str] = ()) -> str:
    """The value, a string among the valid ones; ValueError else."""
    if not isinstance(value, str):
        raise ValueError(f"Expected type str for argument {arg}, but got type {type(value)}.")
    known = list(valid_values)
    if known and value not in known:
        shown = "{'" + "', '".join(known) + "'}"
        raise ValueError(f"Unknown value '{value}' for argument {arg}. Valid values are {shown}.")
    return value
