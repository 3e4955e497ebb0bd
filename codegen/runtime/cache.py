"""The cache folder: files that many processes write at once and no reader needs to trust.

Every file is written under a temporary name and renamed, so a reader sees a whole file or none,
and carries a checksum, so a damaged one is deleted and made again. No lock is needed.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from codegen import settings

# Our files are known by their prefix: the folder may be one where a user keeps other things.
_PREFIX = "lt-"
_HEADER = b"lazytorch checked file 1\n"
_DIGEST_BYTES = 32

_checked: dict[Path, Path] = {}  # folder asked for -> folder in use
_private: Path | None = None


def cache_folder() -> Path:
    """The folder in use: the one that the settings name or, if that is unsafe or cannot be
    written, a private temporary one (with one warning)."""
    wanted = settings.cache_dir()
    folder = _checked.get(wanted)
    if folder is None:
        problem = _problem_with(wanted)
        folder = wanted if problem is None else _private_folder(wanted, problem)
        _checked[wanted] = folder
    return folder


def cache_path(name: str) -> Path:
    """The path of the cache file ``name`` (a kind and a key, such as ``plan-0123abcd``)."""
    return cache_folder() / (_PREFIX + name)


def temporary_path(suffix: str = "") -> Path:
    """A path in the cache folder that nobody else uses, to be renamed or removed soon."""
    return cache_path(_temporary_name() + suffix)


def write_atomically(path: Path, data: bytes) -> None:
    """Give ``path`` the content ``data``: readers see the old file or the new one, whole."""
    temporary = path.with_name(_PREFIX + _temporary_name())
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        discard(temporary)
        raise


def write_checked(path: Path, data: bytes) -> None:
    """Write ``data`` behind its checksum, for ``read_checked``."""
    write_atomically(path, _HEADER + hashlib.sha256(data).digest() + data)


def read_checked(path: Path) -> bytes | None:
    """What ``write_checked`` wrote; None if it is missing or damaged (then it is deleted too)."""
    try:
        with open(path, "rb", buffering=0) as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError:
        content = b""
    start = len(_HEADER) + _DIGEST_BYTES
    data = content[start:]
    if content[:start] == _HEADER + hashlib.sha256(data).digest():
        return data
    discard(path)
    return None


def discard(path: Path) -> None:
    """Delete a file if that is possible."""
    try:
        os.unlink(path)
    except OSError:
        return


def size_and_count() -> tuple[int, int]:
    """Bytes and number of the files in the cache."""
    sizes = [size for _, size in _files()]
    return sum(sizes), len(sizes)


def clear() -> None:
    """Delete every cached file; libraries that are loaded stay usable."""
    for path, _ in _files():
        discard(path)


def is_writable() -> bool:
    """Whether the folder in use takes a file of 64 KB now (its disk may have filled up)."""
    path = temporary_path()
    try:
        write_atomically(path, bytes(1 << 16))
    except OSError:
        return False
    discard(path)
    return True


def fall_back(reason: str) -> bool:
    """Use a private temporary folder from now on; False if that is so already."""
    wanted = settings.cache_dir()
    if _private is not None and _checked.get(wanted) == _private and _private.exists():
        return False  # (it would not exist in a forked child whose parent has ended)
    _checked[wanted] = _private_folder(wanted, reason)
    return True


def _temporary_name() -> str:
    return f"tmp-{os.getpid()}-{os.urandom(6).hex()}"


def _files() -> Iterator[tuple[Path, int]]:
    with os.scandir(cache_folder()) as entries:
        for entry in entries:
            try:
                if entry.name.startswith(_PREFIX) and entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:  # another process was quicker
                continue


def _problem_with(folder: Path) -> str | None:
    """Why code must not be loaded from ``folder`` (made if missing), or cannot be kept there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = os.stat(folder)
    except OSError as error:
        return f"cannot be made ({error.strerror})"
    if hasattr(os, "getuid"):
        if status.st_uid != os.getuid():
            return "belongs to another user"
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return "can be written by other users"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return "cannot be written"
    return None


def _private_folder(wanted: Path, problem: str) -> Path:
    """A folder for this process alone, removed when the process ends."""
    global _private
    if _private is None or not _private.exists():
        _private = _make_private_folder()
        atexit.register(_remove_private_folder, _private, os.getpid())
    warnings.warn(
        f"lazytorch: the cache folder {wanted} {problem}; "
        f"compiled kernels are kept in {_private} for this process only",
        RuntimeWarning,
        stacklevel=2,
    )
    return _private


def _make_private_folder() -> Path:
    """In the usual temporary folder or, where its disk is full, in memory."""
    for parent in (None, "/dev/shm"):
        try:
            folder = Path(tempfile.mkdtemp(prefix="lazytorch-", dir=parent))
            write_atomically(folder / (_PREFIX + "probe"), bytes(1 << 20))
            discard(folder / (_PREFIX + "probe"))
            return folder
        except OSError:
            continue
    return Path(tempfile.mkdtemp(prefix="lazytorch-"))  # raises the reason


def _remove_private_folder(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child leaves its parent's folder alone
        shutil.rmtree(folder, ignore_errors=True)
