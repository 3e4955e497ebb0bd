"""Generated text to kernels: a program of what is new in a plan, built once a driver where it keeps
no programs."""

from __future__ import annotations

import hashlib
import importlib
import re
import warnings
from collections.abc import Sequence
from typing import Any

from codegen import spans
from codegen.errors import CompileError
from codegen.render.source import KernelSource
from codegen.runtime import cache
from codegen.runtime.kernels import kernel_file
from codegen.runtime.opencl.device import Device, is_pocl
from codegen.runtime.opencl.host import HostStep
from codegen.runtime.plan import KernelRecord
from codegen.statistics import statistics

# "name:line:column: error: words", or PoCL's "error: name:line:column: words".
_ERROR_LINE = re.compile(
    r"^(?=.*error).*?:(\d+):\d+:\s*(?:(?:fatal )?error:)?\s*(.*)", re.MULTILINE
)


class GroupsTooLargeError(CompileError):
    """The driver takes work-groups of ``limit`` items at most for these kernels."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the driver takes work-groups of {limit} items at most")
        self.limit = limit


def build_kernels(records: Sequence[KernelRecord], device: Device) -> list[Any]:
    """A kernel object for each record, all of one program; equal texts share a function, but each
    has an object of its own, which keeps its arguments. Host calls have objects like them."""
    compiled = [k for k in records if k.host is None]
    sources = [KernelSource(k.name, k.body, tuple(k.prologue)) for k in compiled]
    kernels = kernels_of(sources, device) if sources else []
    if kernels and device.schedules is not None:
        limit = min([device.group_limit(kernel) for kernel in kernels])
        if limit < max([record.items for record in compiled]):
            raise GroupsTooLargeError(limit)
    made = iter(kernels)
    return [
        next(made) if k.host is None else HostStep(k.host, k.name, device.opencl) for k in records
    ]


def kernels_of(sources: Sequence[KernelSource], device: Device) -> list[Any]:
    """A kernel object for each text; a text that an earlier plan had is not built again."""
    options = tuple(_options(device))
    keys = [(options, source.body, *source.prologue) for source in sources]
    new = {k: s for k, s in zip(keys, sources, strict=True) if k not in device.programs}
    if new:
        symbols = {key: f"kernel_{number}" for number, key in enumerate(new)}
        functions = [(symbols[key], source) for key, source in new.items()]
        began = spans.now() if spans.listeners else 0
        program = _build(kernel_file(functions), device, len(functions))
        if began:
            spans.note("compile", "compile", began, device=device.name, kernels=len(functions))
        device.programs |= {key: (program, symbol) for key, symbol in symbols.items()}
    return [device.opencl.Kernel(*device.programs[key]) for key in keys]


def _build(text: str, device: Device, count: int) -> Any:
    """The program of a text: the driver's binary from an earlier process, or else built now."""
    # PoCL keeps what it has compiled, and would compile it twice to say what it is.
    path = None if is_pocl(device.handle) else _binary_path(text, device)
    binary = cache.read_checked(path) if path is not None else None
    if binary is not None and path is not None:
        try:
            program = _program(device, [device.handle], [binary])
            program._build(" ".join(_options(device)).encode(), None)
            statistics.kernels_loaded += count
            return program
        except device.opencl.Error:  # of another driver, after all
            cache.discard(path)
    try:
        program = _compiled(text, device, _options(device))
    except CompileError:
        if device.schedules is not None or not device.bare_options:
            raise
        program = _compiled(text, device, device.options)
        device.bare_options = []  # this version of the driver's takes no program without
    statistics.kernels_compiled += count
    if path is not None:
        _keep(program, path, device)
    return program


def _program(device: Device, *given: Any) -> Any:
    """pyopencl's own Program would look for caches and binaries of its own."""
    return importlib.import_module("pyopencl._cl")._Program(device.context, *given)


def _compiled(text: str, device: Device, options: Sequence[str]) -> Any:
    program = _program(device, text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of compilers that have something to say
        try:
            program._build(" ".join(options).encode(), None)
        except device.opencl.Error as error:
            raise CompileError(_build_problem(program, text, device, error)) from None
    return program


def _options(device: Device) -> list[str]:
    """What the compiler is told; schedules for work-groups are written in the strict language."""
    others = device.bare_options if device.schedules is None else ["-cl-std=CL1.2"]
    return [*device.options, *others]


def _keep(program: Any, path: Any, device: Device) -> None:
    try:
        (binary,) = program.get_info(device.opencl.program_info.BINARIES)
        if binary:
            cache.write_checked(path, bytes(binary))
    except (OSError, device.opencl.Error):
        return  # the cache saves time; nothing depends on it


def _binary_path(text: str, device: Device) -> Any:
    parts = (device.fingerprint, *_options(device), text)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return cache.cache_path(f"opencl-{digest[:40]}")


def _build_problem(program: Any, text: str, device: Device, error: Exception) -> str:
    """Where the text is, and the compiler's first words on it."""
    try:
        log = program.get_build_info(device.handle, device.opencl.program_build_info.LOG).strip()
    except device.opencl.Error:
        log = ""
    place = "not kept: the cache folder cannot be written"
    try:
        path = cache.cache_path(f"refused-{hashlib.sha256(text.encode()).hexdigest()[:16]}.cl")
        cache.write_atomically(path, text.encode())
        place = str(path)
    except OSError:
        pass
    found = _ERROR_LINE.search(log)
    if found is None:
        words = log.splitlines()[0] if log else str(error)
        return f"{device.description} refused generated code ({place}): {words}"
    number = int(found[1])
    lines = text.splitlines()
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return (
        f"{device.description} refused generated code: {place}:{number}: {found[2].strip()}\n"
        f"    {line}\nThis is a defect of the engine or of the driver, not of the program."
    )
