"""Fetching a file over the network: checked, shown with a bar, and there whole or not at all."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lazytorch._archive import replaced_when_complete

_PIECE = 1 << 17
_SECONDS_WITHOUT_DATA = 30
_HEADERS = {"User-Agent": "lazytorch"}


def fetch(
    url: str, target: Path, algorithm: str = "sha256", checksum: str = "", progress: bool = True
) -> None:
    """Write what is at ``url`` to ``target``, whose folder is made where it is missing.

    ``checksum`` is what the file's digest begins with. RuntimeError where the file is another,
    and where it cannot be had: the message says where to put it by hand.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.new(algorithm, usedforsecurity=False)
    # It takes as long to import as all of this package's small modules together.
    web = importlib.import_module("urllib.request")
    request = web.Request(url, headers=_HEADERS)
    try:
        with (
            web.urlopen(request, timeout=_SECONDS_WITHOUT_DATA) as answer,
            replaced_when_complete(target) as file,
            progress_bar(int(answer.headers.get("Content-Length") or 0), progress) as advance,
        ):
            expected = int(answer.headers.get("Content-Length") or 0)
            received = 0
            while piece := answer.read(_PIECE):
                file.write(piece)
                digest.update(piece)
                received += len(piece)
                advance(len(piece))
            if received < expected:
                raise RuntimeError(f"{url} broke off after {received} of {expected} bytes")
            if not digest.hexdigest().startswith(checksum):
                raise RuntimeError(
                    f'invalid hash value (expected "{checksum}", got "{digest.hexdigest()}")'
                )
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise RuntimeError(
            f"{url} could not be fetched: {reason}. Where there is no network, put the file at "
            f"{target} yourself"
        ) from error


def matches(path: Path, checksum: str | None, algorithm: str = "md5") -> bool:
    """Whether there is a file at ``path``, with this digest where one is given."""
    if not path.is_file():
        return False
    return checksum is None or file_digest(path, algorithm) == checksum


def file_digest(path: Path, algorithm: str = "md5") -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def progress_bar(total: int, shown: bool) -> Iterator[Any]:
    """A function that moves a bar on by some bytes; nothing is shown where tqdm is missing."""
    try:
        library = importlib.import_module("tqdm") if shown else None
    except ImportError:
        library = None
    if library is None:
        yield lambda count: None
        return
    with library.tqdm(total=total or None, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        yield bar.update
