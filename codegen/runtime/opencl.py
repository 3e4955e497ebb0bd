"""OpenCL through pyopencl: a plan's kernels, built together, over the host's memory or a device's.

On a CPU device kernels work in the host's own memory; other devices are given copies. A plan is
finished when ``run`` returns. A process that was forked from one that used OpenCL cannot use it:
the driver's threads did not come along.
"""

from __future__ import annotations

import contextlib
import ctypes
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
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen import settings
from codegen.errors import CompileError
from codegen.loops.device import DeviceDescription
from codegen.render.source import KernelSource
from codegen.runtime import cache
from codegen.runtime.kernels import kernel_file
from codegen.runtime.memory import Buffer, allocate
from codegen.runtime.plan import KernelRecord, PlanRecord, watchers
from codegen.statistics import statistics

_ADVICE = "install a driver, or `pip install 'pyopencl[pocl]'`"

_devices: dict[int, Device] = {}  # by number, over all platforms
_handles: list[Any] | None = None  # pyopencl's, all of them
_user: int | None = None  # the process that has looked for devices
_lock = threading.RLock()


def is_usable() -> bool:
    """False in a process that was forked from one that had used OpenCL."""
    return _user is None or _user == os.getpid()


def _require_own_process() -> None:
    if not is_usable():
        raise RuntimeError(
            "OpenCL cannot be used in a forked process after its parent has used it: "
            "start the process with multiprocessing's 'spawn' method"
        )


def find_device(name: str) -> Device:
    """The device called ``opencl`` (a CPU, PoCL's first) or ``opencl:N`` (the N-th of all).

    RuntimeError, which says what is missing, if there is none.
    """
    handles = _all_handles()
    _, _, number_text = name.partition(":")
    if number_text:
        number = int(number_text)
        if number >= len(handles):
            raise RuntimeError(f"device '{name}' is not available: OpenCL has {len(handles)}")
    else:
        number = min(range(len(handles)), key=lambda i: _rank(handles[i]))
    with _lock:
        if number not in _devices:
            handle = handles[number]
            if _is_pocl(handle):
                _ensure_linker()
            _devices[number] = Device(handle, number)
        return _devices[number]


def _all_handles() -> list[Any]:
    global _handles, _user
    _require_own_process()
    try:
        opencl = importlib.import_module("pyopencl")
    except ImportError:
        raise RuntimeError(
            "OpenCL is not available: pyopencl is missing: `pip install 'pyopencl[pocl]'`"
        ) from None
    with _lock:
        if _handles is None:
            _user = os.getpid()
            try:
                _handles = [d for p in opencl.get_platforms() for d in p.get_devices()]
            except opencl.Error as error:
                raise RuntimeError(f"OpenCL is not available ({error}): {_ADVICE}") from None
    if not _handles:
        raise RuntimeError(f"OpenCL is not available: no platform has a device: {_ADVICE}")
    return _handles


def _rank(handle: Any) -> tuple[bool, bool]:
    return not _is_cpu(handle), not _is_pocl(handle)


def _is_cpu(handle: Any) -> bool:
    return bool(handle.type & importlib.import_module("pyopencl").device_type.CPU)


def _is_pocl(handle: Any) -> bool:
    return "PoCL" in handle.platform.version


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


class GroupsTooLargeError(CompileError):
    """The driver takes work-groups of ``limit`` items at most for these kernels."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the driver takes work-groups of {limit} items at most")
        self.limit = limit


class Device:
    """One OpenCL device: its context, its queue, and working memory that its plans share."""

    def __init__(self, handle: Any, number: int) -> None:
        self.opencl = opencl = importlib.import_module("pyopencl")
        self.number = number
        driver = "PoCL" if _is_pocl(handle) else handle.platform.name.strip()
        self.description = f"{driver} {handle.driver_version.strip()}"
        self.threads: int = handle.max_compute_units
        self.lock = threading.RLock()
        self.context = opencl.Context([handle])
        self.queue = opencl.CommandQueue(self.context)
        self.generation = 0  # of the working memory
        self.arena = self.scratch = self.empty = self.memory(64)
        self.on_host = _is_cpu(handle) and self._shares_host_memory()
        # PoCL's compiler is clang, whose builtins we know: see render/opencl.py.
        self._options = ["-w"]
        if _is_cpu(handle) and _is_pocl(handle):
            self._options.append("-D LT_CPU")
        self.schedules = self._describe(handle)
        if self.schedules is not None:
            self._options.append("-cl-std=CL1.2")
        config = handle.single_fp_config
        if config & opencl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT:
            self._options.append("-cl-fp32-correctly-rounded-divide-sqrt")

    def _describe(self, handle: Any) -> DeviceDescription | None:
        """What schedules for work-groups have to know, where they are wanted: on a GPU, or where
        LAZYTORCH_OPENCL_SCHEDULE says so."""
        wanted = settings.get("LAZYTORCH_OPENCL_SCHEDULE") or ("cpu" if _is_cpu(handle) else "gpu")
        if wanted == "cpu":
            return None
        return DeviceDescription(
            "gpu",
            handle.max_compute_units,
            handle.local_mem_size,
            handle.max_work_group_size,
            handle.preferred_vector_width_float,
            bool(handle.double_fp_config),
            "cl_khr_fp16" in handle.extensions.split(),
        )

    def memory(self, nbytes: int) -> Any:
        """Memory of the device's own."""
        return self.opencl.Buffer(self.context, self.opencl.mem_flags.READ_WRITE, nbytes)

    def over(self, buffer: Buffer) -> Any:
        """The host's memory as the device's."""
        if not buffer.nbytes:
            return self.empty
        flags = self.opencl.mem_flags
        host = (ctypes.c_char * buffer.nbytes).from_address(buffer.address)
        return self.opencl.Buffer(self.context, flags.READ_WRITE | flags.USE_HOST_PTR, hostbuf=host)

    def _shares_host_memory(self) -> bool:
        """Whether what is written is seen at once, at addresses aligned to an element alone."""
        host = allocate(256)
        view = host.as_numpy(np.dtype(np.uint8), (256,))
        view[...] = 0
        part = self.over(host.part(8, 128))
        self.opencl.enqueue_fill_buffer(self.queue, part, np.uint8(7), 0, 128)
        self.queue.finish()
        return bool((view[8:136] == 7).all() and not view[136:].any())

    def reserve(self, arena_bytes: int, scratch_bytes: int) -> None:
        """Have at least so much working memory; ``generation`` changes where it is another."""
        if arena_bytes > self.arena.size:
            self.arena = self.memory(arena_bytes)
            self.generation += 1
        if scratch_bytes > self.scratch.size:
            self.scratch = self.memory(scratch_bytes)
            self.generation += 1

    def group_limit(self, kernel: Any) -> int:
        """The largest work-group that the driver takes for a kernel."""
        (handle,) = self.context.devices
        size = self.opencl.kernel_work_group_info.WORK_GROUP_SIZE
        return int(kernel.get_work_group_info(size, handle))

    def build(self, source: str) -> Any:
        """The program of a text; drivers and pyopencl keep what was built once."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of compilers that have something to say
            try:
                return self.opencl.Program(self.context, source).build(self._options)
            except self.opencl.RuntimeError as error:
                raise CompileError(f"OpenCL refused generated code: {error}") from None


class OpenClPlan:
    """A plan of OpenCL kernels, over buffers in the host's memory."""

    def __init__(self, record: PlanRecord, device: Device) -> None:
        self.record = record
        self.donated = tuple([p for _, p in record.donations])
        self._device = device
        with device.lock:
            self._kernels = _built(record.kernels, device)
        self._sizes = [_ranges(k, device.threads) for k in record.kernels]
        self._numbers = {i: allocate(8) for i, _ in record.scalars}
        self._number_views = {
            i: self._numbers[i].as_numpy(dt.BY_NAME[name].numpy, (1,)) for i, name in record.scalars
        }
        # Where each slot's memory goes: (kernel, number of the argument).
        self._uses: dict[int, list[tuple[Any, int]]] = {}
        for kernel, entry in zip(self._kernels, record.kernels, strict=True):
            for number, slot in enumerate(entry.slots):
                self._uses.setdefault(slot, []).append((kernel, number))
        self._places: list[Any] = []
        self._generation = -1

    def run(self, values: Sequence[Any], free: Collection[int] = ()) -> list[Buffer]:
        """As ``CpuPlan.run``."""
        _require_own_process()
        record = self.record
        taken = {out: values[p] for out, p in record.donations if p in free}
        outputs = [taken.get(i) or allocate(n) for i, n in enumerate(record.output_bytes)]
        with self._device.lock, _finished(self._device):
            self._bind_working_memory()
            inputs = list(values)
            for i, view in self._number_views.items():
                if type(inputs[i]) is not Buffer:
                    view[0], inputs[i] = inputs[i], self._numbers[i]
            memories = self._bind([*inputs, *outputs])
            if watchers:
                seconds = self._launch_timed()
                for watcher in tuple(watchers):
                    watcher(record, seconds)
            else:
                self._launch()
            self._fetch(memories[len(inputs) :], outputs)
        statistics.plans_run += 1
        statistics.kernels_run += len(self._kernels)
        return outputs

    def _bind_working_memory(self) -> None:
        """The arena's places and the scratch memory: arguments that change only if those grow."""
        record, device = self.record, self._device
        device.reserve(record.arena_bytes, record.scratch_bytes * device.threads)
        if self._generation == device.generation:
            return
        self._generation = device.generation
        first = record.parameter_count + len(record.output_bytes)
        arena = device.arena
        self._places = [arena[offset:] if offset else arena for offset in record.offsets]
        for slot, place in enumerate(self._places, first):
            self._set(slot, place)
        for kernel, entry in zip(self._kernels, record.kernels, strict=True):
            if kernel.num_args > len(entry.slots):
                kernel.set_arg(len(entry.slots), device.scratch)

    def _bind(self, buffers: Sequence[Buffer]) -> list[Any]:
        """Memory for the parameters and outputs; it must live until the kernels have run."""
        device = self._device
        memories = []
        for slot, buffer in enumerate(buffers):
            if device.on_host:
                memory = device.over(buffer)
            else:
                memory = device.memory(max(buffer.nbytes, 1))
                if slot < self.record.parameter_count and buffer.nbytes:
                    device.opencl.enqueue_copy(device.queue, memory, _bytes(buffer))
            self._set(slot, memory)
            memories.append(memory)
        return memories

    def _set(self, slot: int, memory: Any) -> None:
        for kernel, number in self._uses.get(slot, ()):
            kernel.set_arg(number, memory)

    def _launch(self) -> None:
        enqueue, queue = self._device.opencl.enqueue_nd_range_kernel, self._device.queue
        for kernel, (size, group) in zip(self._kernels, self._sizes, strict=True):
            enqueue(queue, kernel, size, group)

    def _launch_timed(self) -> list[float]:
        enqueue, queue = self._device.opencl.enqueue_nd_range_kernel, self._device.queue
        seconds = []
        for kernel, (size, group) in zip(self._kernels, self._sizes, strict=True):
            start = time.perf_counter()
            enqueue(queue, kernel, size, group)
            queue.finish()
            seconds.append(time.perf_counter() - start)
        return seconds

    def _fetch(self, memories: Sequence[Any], outputs: Sequence[Buffer]) -> None:
        if self._device.on_host:
            return
        for memory, buffer in zip(memories, outputs, strict=True):
            if buffer.nbytes:
                self._device.opencl.enqueue_copy(self._device.queue, _bytes(buffer), memory)


def _ranges(record: KernelRecord, threads: int) -> tuple[tuple[int], tuple[int]]:
    """The global size of a kernel and that of a work-group."""
    if record.items:
        return (record.groups * record.items,), (record.items,)
    return (threads if record.parallel else 1,), (1,)


@contextlib.contextmanager
def _finished(device: Device) -> Iterator[None]:
    """Wait for the queue at the end, also of a run that failed: its memory is given back."""
    try:
        yield
    finally:
        device.queue.finish()


def _bytes(buffer: Buffer) -> Any:
    return buffer.as_numpy(np.dtype(np.uint8), (buffer.nbytes,))


def _built(records: Sequence[KernelRecord], device: Device) -> list[Any]:
    """A kernel object for each step, all of one program; steps of one text share a function."""
    sources = [KernelSource(k.name, k.body, tuple(k.prologue)) for k in records]
    if not sources:
        return []
    symbols = {source.body: f"kernel_{i}" for i, source in enumerate(sources)}
    functions = {symbols[source.body]: source for source in sources}
    program = device.build(kernel_file(functions.items()))
    statistics.kernels_compiled += len(functions)
    kernels = [device.opencl.Kernel(program, symbols[source.body]) for source in sources]
    if device.schedules is not None:
        limit = min([device.group_limit(kernel) for kernel in kernels])
        if limit < max([record.items for record in records]):
            raise GroupsTooLargeError(limit)
    return kernels
