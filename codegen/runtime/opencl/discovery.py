"""Which OpenCL devices there are, by the names that programs call them by.

``opencl:N`` is the N-th device over all platforms and ``opencl`` a CPU, PoCL's first;
``cuda:N`` is the N-th GPU among them. A process that was forked from one that used OpenCL cannot
use it: the driver's threads did not come along.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import importlib.resources
import os
import platform
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from codegen import settings
from codegen.runtime import cache
from codegen.runtime.opencl.device import Device, is_cpu, is_pocl

ADVICE = "install the driver of your GPU, or `pip install 'pyopencl[pocl]'` for the CPU"
_MISSING = "pyopencl is missing: `pip install 'pyopencl[pocl]'`"

_devices: dict[int, Device] = {}  # by number, over all platforms
_handles: list[Any] | None = None  # pyopencl's, all of them
_user: int | None = None  # the process that has looked for devices
_lock = threading.RLock()


def is_usable() -> bool:
    """False in a process that was forked from one that had used OpenCL."""
    return _user is None or _user == os.getpid()


def require_own_process() -> None:
    if not is_usable():
        raise RuntimeError(
            "OpenCL cannot be used in a forked process after its parent has used it: "
            "start the process with multiprocessing's 'spawn' method"
        )


def find_device(name: str) -> Device:
    """The device called ``opencl``, ``opencl:N``, ``cuda`` or ``cuda:N``.

    RuntimeError, which says what is missing, if there is none.
    """
    number = number_of(name)
    found = _devices.get(number)
    if found is None:
        with _lock:
            found = _devices.get(number)
            if found is None:
                handle = all_handles()[number]
                if is_pocl(handle):
                    _ensure_linker()
                found = _devices[number] = Device(handle, number)
    return found


def number_of(name: str) -> int:
    """The number over all platforms of a device called so."""
    kind, _, number_text = name.partition(":")
    if kind == "cuda":
        numbers = gpu_numbers()
        number = int(number_text or 0)
        if number >= len(numbers):
            raise RuntimeError(_no_gpu(name, len(numbers)))
        return numbers[number]
    if number_text and int(number_text) in _devices:
        return int(number_text)
    handles = all_handles()
    if not number_text:
        return min(range(len(handles)), key=lambda i: _rank(handles[i]))
    if int(number_text) >= len(handles):
        raise RuntimeError(f"device '{name}' is not available: OpenCL has {len(handles)}")
    return int(number_text)


def gpu_numbers() -> list[int]:
    """The numbers over all platforms of the GPUs; none where there is no OpenCL at all."""
    try:
        handles = all_handles()
    except RuntimeError:
        return []
    kind = importlib.import_module("pyopencl").device_type
    return [i for i, handle in enumerate(handles) if handle.type & (kind.GPU | kind.ACCELERATOR)]


def _no_gpu(name: str, count: int) -> str:
    if count:
        return f"device '{name}' is not available: {count} GPU(s) with an OpenCL driver were found"
    return (
        f"device '{name}' is not available: no GPU with an OpenCL driver was found. "
        "`lazytorch devices` lists what is there and what is missing."
    )


def all_handles() -> list[Any]:
    """pyopencl's devices, platform by platform; RuntimeError, which says why, where none is."""
    global _handles, _user
    if _handles:
        return _handles
    require_own_process()
    try:
        opencl = importlib.import_module("pyopencl")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "pyopencl"
        problem = _MISSING if missing else f"pyopencl cannot be imported ({error})"
        raise RuntimeError(f"OpenCL is not available: {problem}") from None
    with _lock:
        if _handles is None:
            _user = os.getpid()
            try:
                found = [d for p in opencl.get_platforms() for d in _devices_of(p)]
            except opencl.Error as error:
                raise RuntimeError(f"OpenCL is not available ({error}): {ADVICE}") from None
            _handles = found
    if not _handles:
        raise RuntimeError(f"OpenCL is not available: no platform has a device: {ADVICE}")
    return _handles


def _devices_of(platform: Any) -> list[Any]:
    """A platform's devices; one whose driver finds none may say so by an error."""
    try:
        return list(platform.get_devices())
    except importlib.import_module("pyopencl").Error:
        return []


def found_devices() -> list[Device]:
    """The devices that this process has used."""
    return list(_devices.values())


def _rank(handle: Any) -> tuple[bool, bool]:
    return not is_cpu(handle), not is_pocl(handle)


def _finish_all() -> None:
    """Wait for every device: before a fork, whose child cannot, and before Python's memory goes."""
    if is_usable():
        for device in found_devices():
            device.finish()


atexit.register(_finish_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_finish_all)


def _ensure_linker() -> None:
    """Give PoCL our linker (linker.py) where there is no C compiler's: without one it aborts."""
    # A compiler brings the libraries as well, which PoCL tells the linker to link.
    if shutil.which("ld") and any(map(shutil.which, ("cc", "gcc", "clang"))):
        return
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise RuntimeError("PoCL needs a linker: install gcc or clang")
    program = importlib.resources.files("codegen.runtime").joinpath("linker.py").read_text()
    folder = cache.cache_folder() / f"linker-{hashlib.sha256(program.encode()).hexdigest()[:16]}"
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S "$0.py" "$@"\n'
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _write_program(folder / "ld.py", program)
        _write_program(folder / "ld", script)
        subprocess.run([folder / "ld", "--version"], check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"PoCL needs a linker ({error}): install gcc or clang") from None
    settings.set_linker_folder(folder)


def _write_program(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}-{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(0o700)
    temporary.replace(path)
