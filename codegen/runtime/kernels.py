"""The kernel library: C functions in, addresses out; what was compiled once is kept on disk.

On disk, ``lt-<sha256>.so`` is a library named by its own content and ``lt-kernel-<key>`` says in
which library a kernel is. Two processes that compile the same kernel both succeed, and the later
entry stands.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from codegen import settings
from codegen.errors import CompileError
from codegen.render.source import KernelSource
from codegen.runtime import cache
from codegen.runtime.compiler import Compiler, compile_many, required_compiler
from codegen.statistics import statistics

_FORMAT = "2"
# A compiler takes about as long to start as to translate this much text.
_CHARACTERS_WORTH_A_PROCESS = 6000


@dataclass(frozen=True)
class _File:
    """A C file to compile, and the keys that will be found in its library."""

    text: str
    keys: tuple[str, ...]


_addresses: dict[str, int] = {}  # kernel key -> address
_libraries: dict[str, ctypes.CDLL] = {}  # sha256 -> library; never unloaded
_lock = threading.RLock()

# Where many processes share the cache, one may compile for all of them: called with the kernels
# that are missing, by key, it returns when they are in the cache, or will not be.
compile_elsewhere: Callable[[Mapping[str, KernelSource]], None] | None = None


def load_kernels(kernels: Sequence[KernelSource]) -> list[int]:
    """The address of each kernel, compiled now if neither memory nor the cache has it."""
    compiler = required_compiler()
    keys = [_kernel_key(kernel, compiler) for kernel in kernels]
    with _lock:
        missing = _without_kept(dict(zip(keys, kernels, strict=True)))
        if missing and compile_elsewhere is not None:
            compile_elsewhere(missing)
            missing = _without_kept(missing)
        if missing:
            try:
                built = _build(_distribute(missing))
            except CompileError as error:
                said = str(error)
                named = [key for key in missing if _symbol(key) in said] or list(missing)
                error.kernels = tuple([missing[key].name for key in named])
                error.numbers = tuple([i for i, key in enumerate(keys) if key in named])
                raise
            for file, library in built:
                for key in file.keys:
                    _addresses[key] = _address(library, _symbol(key))
            statistics.kernels_compiled += len(missing)
        return [_addresses[key] for key in keys]


def compile_into_cache(kernels: Mapping[str, KernelSource]) -> None:
    """Compile kernels, by their keys, as one file, for the processes that will load them.

    Raises CompileError where the compiler refuses one of them.
    """
    output = cache.temporary_path(".so")
    try:
        compile_many([_file_of(kernels).text], [output])
        _keep(output, kernels)
    finally:
        cache.discard(output)


def is_kept(kernel: KernelSource) -> bool:
    """Whether a kernel's machine code is in memory or on disk; nothing is loaded."""
    key = _kernel_key(kernel, required_compiler())
    return key in _addresses or _entry_path(key).exists()


def load_library(source: str) -> ctypes.CDLL:
    """A whole C file compiled and loaded, through the same cache."""
    key = _digest(["library", source, required_compiler().fingerprint])
    with _lock:
        library = _load_cached_library(key)
        if library is None:
            ((_, library),) = _build([_File(source, (key,))])
        return library


def kernel_file(kernels: Iterable[tuple[str, KernelSource]]) -> str:
    """The C file that holds the kernels, each under the symbol that it is paired with."""
    snippets: dict[str, None] = {}
    functions = []
    for symbol, kernel in kernels:
        snippets.update(dict.fromkeys(kernel.prologue))
        title = kernel.name.replace("*/", "* /")
        functions.append(f"/* {title} */\n{kernel.body.replace('KERNEL_NAME', symbol)}")
    return "\n\n".join([*snippets, *functions]) + "\n"


def _digest(parts: Iterable[str]) -> str:
    # As JSON, so that no two lists of parts read the same.
    return hashlib.sha256(json.dumps([_FORMAT, *parts]).encode()).hexdigest()


# Comments tell shapes and names, so kernels that differ in them alone are the same machine code.
_COMMENT = re.compile(r"//.*|/\*.*?\*/")


def _kernel_key(kernel: KernelSource, compiler: Compiler) -> str:
    body = _COMMENT.sub("", kernel.body)
    return _digest(["kernel", *kernel.prologue, body, compiler.fingerprint])


def _symbol(key: str) -> str:
    return f"k_{key[:16]}"


def _distribute(kernels: Mapping[str, KernelSource]) -> list[_File]:
    """Files of about equal length: the longest kernel first, always to the shortest file."""
    lengths = {key: len(kernel.body) for key, kernel in kernels.items()}
    useful = max(1, sum(lengths.values()) // _CHARACTERS_WORTH_A_PROCESS)
    count = min(settings.num_threads(), len(kernels), useful)
    members: list[list[str]] = [[] for _ in range(count)]
    totals = [0] * count
    for key in sorted(kernels, key=lambda key: -lengths[key]):
        shortest = totals.index(min(totals))
        members[shortest].append(key)
        totals[shortest] += lengths[key]
    return [_file_of({key: kernels[key] for key in keys}) for keys in members]


def _file_of(kernels: Mapping[str, KernelSource]) -> _File:
    return _File(kernel_file((_symbol(key), k) for key, k in kernels.items()), tuple(kernels))


def _build(files: Sequence[_File]) -> list[tuple[_File, ctypes.CDLL]]:
    """Compile and load; once more in a private folder if the cache folder is what fails."""
    try:
        try:
            return _build_in_cache(files)
        except OSError as error:
            if not cache.fall_back(f"cannot be used ({error.strerror or error})"):
                raise
        except CompileError:
            if cache.is_writable() or not cache.fall_back("cannot be written"):
                raise
        return _build_in_cache(files)
    except OSError as error:
        raise CompileError(
            f"there is no folder to compile in ({error.strerror or error}): make room in the cache "
            "folder or in that for temporary files, or set LAZYTORCH_CACHE_DIR to another"
        ) from error


def _build_in_cache(files: Sequence[_File]) -> list[tuple[_File, ctypes.CDLL]]:
    outputs = [cache.temporary_path(".so") for _ in files]
    built = []
    try:
        compile_many([file.text for file in files], outputs)
        for file, output in zip(files, outputs, strict=True):
            digest = _keep(output, file.keys)
            library = ctypes.CDLL(str(_library_path(digest)), mode=ctypes.RTLD_LOCAL)
            _libraries[digest] = library
            built.append((file, library))
    finally:
        for output in outputs:
            cache.discard(output)
    return built


def _keep(output: Path, keys: Iterable[str]) -> str:
    """Give a library its place in the cache, and each of its kernels an entry; its digest."""
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    os.replace(output, _library_path(digest))
    for key in keys:
        cache.write_checked(_entry_path(key), json.dumps([key, digest]).encode())
    return digest


def _without_kept(kernels: dict[str, KernelSource]) -> dict[str, KernelSource]:
    """Those that neither memory nor the cache has."""
    return {
        key: kernel
        for key, kernel in kernels.items()
        if key not in _addresses and not _load_cached_kernel(key)
    }


def _load_cached_kernel(key: str) -> bool:
    library = _load_cached_library(key)
    if library is None:
        return False
    try:
        _addresses[key] = _address(library, _symbol(key))
    except AttributeError:  # an entry that names another kernel's library
        cache.discard(_entry_path(key))
        return False
    statistics.kernels_loaded += 1
    return True


def _load_cached_library(key: str) -> ctypes.CDLL | None:
    """The library that the cache's entry for ``key`` names; a bad entry is deleted."""
    content = cache.read_checked(_entry_path(key))
    if content is None:
        return None
    try:
        recorded_key, digest = json.loads(content)
        library = _open(digest) if recorded_key == key else None
    except (ValueError, TypeError):
        library = None
    if library is None:
        cache.discard(_entry_path(key))
    return library


def _open(digest: str) -> ctypes.CDLL | None:
    """The library with this content; None, and the file deleted, if its content differs."""
    library = _libraries.get(digest)
    if library is not None:
        return library
    path = _library_path(digest)
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            library = ctypes.CDLL(str(path), mode=ctypes.RTLD_LOCAL)
            _libraries[digest] = library
            return library
    except OSError:
        return None
    cache.discard(path)
    return None


def _library_path(digest: str) -> Path:
    return cache.cache_path(f"{digest}.so")


def _entry_path(key: str) -> Path:
    return cache.cache_path(f"kernel-{key[:32]}")


def _address(library: ctypes.CDLL, symbol: str) -> int:
    address = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
    assert address is not None
    return address


def _forget_lock() -> None:
    """In a forked child: another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)
