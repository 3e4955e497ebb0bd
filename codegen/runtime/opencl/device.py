"""One OpenCL device: its context, its queue, its memory, and what it was asked to do."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from codegen import settings
from codegen.errors import OutOfMemoryError
from codegen.loops.device import DeviceDescription
from codegen.runtime.memory import Buffer, allocate
from codegen.runtime.opencl.memory import Block, Part, Pool, bytes_at, host_block

# So many runs of plans may wait in the queue: more would only keep memory from being idle.
_MOST_RUNS = 64


def is_cpu(handle: Any) -> bool:
    return bool(handle.type & importlib.import_module("pyopencl").device_type.CPU)


def is_pocl(handle: Any) -> bool:
    return "PoCL" in handle.platform.version


def _described(handle: Any) -> DeviceDescription | None:
    """What schedules for work-groups have to know, where they are wanted: on a GPU, or where
    LAZYTORCH_OPENCL_SCHEDULE says so."""
    wanted = settings.get("LAZYTORCH_OPENCL_SCHEDULE") or ("cpu" if is_cpu(handle) else "gpu")
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


class Device:
    """A device and the one queue, in order, that everything asked of it goes through.

    ``on_host`` says whether kernels work in the host's own memory; ``enqueued`` counts the runs
    of plans, ``finished`` says up to which of them all is known to be done. ``schedules`` is what
    work-groups are made by, None where kernels are cut into shares.
    """

    def __init__(self, handle: Any, number: int, on_host: bool | None = None) -> None:
        self.opencl = opencl = importlib.import_module("pyopencl")
        self.handle = handle
        self.number = number
        self._process = os.getpid()
        self.name: str = handle.name.strip()
        driver = "PoCL" if is_pocl(handle) else handle.platform.name.strip()
        self.description = f"{driver} {handle.driver_version.strip()}"
        self._identity = [
            self.name, self.description, handle.version, handle.platform.version,
            str(handle.max_compute_units),
        ]  # fmt: skip
        self.schedules = _described(handle)
        self.has_double = bool(handle.double_fp_config)
        self.threads: int = handle.max_compute_units
        self.alignment: int = max(handle.mem_base_addr_align // 8, 1)  # of parts' handles
        self.total_bytes: int = handle.global_mem_size
        self.lock = threading.RLock()
        self.context = opencl.Context([handle])
        self.queue = opencl.CommandQueue(self.context)
        # What was built: by options and text the program, and the kernel's name in it.
        self.programs: dict[tuple[Any, ...], tuple[Any, str]] = {}
        self._transfers: Any = None  # a queue, once something has to be copied to the device
        self.enqueued = self.finished = 0
        self._runs: deque[tuple[int, Any]] = deque()  # with the last event of each
        self.on_host = False
        self.pool = Pool(self)
        self.generation = 0  # of the working memory
        self.arena = self.scratch = self._memory(64)
        self.arena_bytes = self.scratch_bytes = 64
        self.on_host = is_cpu(handle) and self._shares_host_memory() if on_host is None else on_host
        # PoCL's compiler is clang, whose builtins we know: see render/opencl.py.
        self.options = ["-w"]
        self.bare_options: list[str] = []
        if is_cpu(handle) and is_pocl(handle):
            self.options.append("-D LT_CPU")
            # The guard of clang's header of OpenCL's functions: reading its 18,500 lines takes
            # 0.1 s a program, and we declare the two that we call.
            self.bare_options = ["-D LT_BARE", "-D _OPENCL_H_"]
        config = handle.single_fp_config
        if config & opencl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT:
            self.options.append("-cl-fp32-correctly-rounded-divide-sqrt")

    @property
    def fingerprint(self) -> str:
        """All that what a driver makes of a text, and a text of a graph, can depend on."""
        return "\n".join([*self._identity, repr(self.schedules)])

    def group_limit(self, kernel: Any) -> int:
        """The largest work-group that the driver takes for a kernel."""
        size = self.opencl.kernel_work_group_info.WORK_GROUP_SIZE
        return int(kernel.get_work_group_info(size, self.handle))

    def is_usable(self) -> bool:
        """False in a process that was forked from the one that the device is of."""
        return os.getpid() == self._process

    # ---- what was asked of it -----------------------------------------------------------------

    def note_run(self, event: Any) -> None:
        """A plan is in the queue, the run numbered ``enqueued``; ``event`` is its last kernel's."""
        self.queue.flush()
        self._runs.append((self.enqueued, event))
        if len(self._runs) > _MOST_RUNS:
            number, oldest = self._runs.popleft()
            oldest.wait()
            self.finished = max(self.finished, number)

    def is_done(self, run: int) -> bool:
        """Whether a run is known to be done; looks, but does not wait."""
        complete = self.opencl.command_execution_status.COMPLETE
        while run > self.finished and self._runs:
            number, event = self._runs[0]
            if event.command_execution_status > complete:
                return False
            self._runs.popleft()
            self.finished = max(self.finished, number)
        return run <= self.finished

    def finish(self) -> None:
        """Wait until everything is done."""
        number = self.enqueued
        if number != self.finished:
            self.queue.finish()
            self.finished = max(self.finished, number)
            with contextlib.suppress(IndexError):  # another thread took the last one
                while self._runs and self._runs[0][0] <= number:
                    self._runs.popleft()

    def enable_timing(self) -> None:
        """Let events know when they began and ended, from now on."""
        with self.lock:
            profiling = self.opencl.command_queue_properties.PROFILING_ENABLE
            if not self.queue.properties & profiling:
                self.queue.finish()
                self.finished = self.enqueued
                self.queue = self.opencl.CommandQueue(self.context, properties=profiling)

    def mark(self) -> Any:
        """An event that is complete once all that was asked for so far is done."""
        with self.lock:
            event = self.opencl.enqueue_marker(self.queue)
            self.queue.flush()
            return event

    # ---- memory -------------------------------------------------------------------------------

    def allocate(self, nbytes: int) -> Buffer:
        """A Buffer of undefined bytes; OutOfMemoryError where there is no room."""
        return Buffer.of_device(self.pool.take(nbytes), nbytes)

    def put(self, buffer: Buffer) -> Buffer:
        """A copy of the host's bytes that later writes on the host do not change."""
        nbytes = buffer.nbytes
        block = self.pool.take(nbytes, idle=True)
        made = Buffer.of_device(block, nbytes)
        if nbytes:
            self.write(block, bytes_at(buffer.address, nbytes))
        return made

    def write(self, block: Block, content: np.ndarray[Any, Any]) -> None:
        """Fill a block that no run uses, at once: what is in the queue goes on meanwhile."""
        if block.address:
            ctypes.memmove(block.address, content.ctypes.data, content.nbytes)
            return
        with self.lock, self.memory_errors(content.nbytes):
            if self._transfers is None:
                self._transfers = self.opencl.CommandQueue(self.context)
            self.opencl.enqueue_copy(self._transfers, block.handle, content, is_blocking=True)

    def fetch(self, handle: Any, offset: int, nbytes: int) -> Buffer:
        """A copy for the host of a part of the device's memory, once all that was asked is done."""
        made = allocate(nbytes)
        if nbytes:
            number = self.enqueued
            target = bytes_at(made.address, nbytes)
            self.opencl.enqueue_copy(
                self.queue, target, handle, src_offset=offset, is_blocking=True
            )
            self.finished = max(self.finished, number)
        return made

    def copy_of(self, handle: Any, offset: int, nbytes: int) -> Buffer:
        """A copy on the device of a part of its memory."""
        made = self.allocate(nbytes)
        if nbytes:
            assert isinstance(made.memory, Block)
            self.opencl.enqueue_copy(
                self.queue, made.memory.handle, handle, src_offset=offset, byte_count=nbytes
            )
        return made

    def copy_within(self, target: Block | Part, offset: int, source: Buffer) -> bool:
        """Copy memory of this device into other memory of it, in the queue's order; False if
        the source is not this device's."""
        what = source.memory
        if not isinstance(what, (Block, Part)) or what.device is not self or not self.is_usable():
            return False
        with self.lock:
            self.enqueued += 1
            event = self.opencl.enqueue_copy(
                self.queue, target.handle, what.handle, dst_offset=offset, byte_count=source.nbytes
            )
            target.copy = None
            self.note_run(event)
        return True

    def over(self, address: int, nbytes: int) -> Any:
        """A handle on the host's memory."""
        flags = self.opencl.mem_flags
        host = (ctypes.c_char * max(nbytes, 1)).from_address(address)
        with self.memory_errors(nbytes):
            return self.opencl.Buffer(
                self.context, flags.READ_WRITE | flags.USE_HOST_PTR, hostbuf=host
            )

    def block(self, capacity: int) -> Block:
        """A block of the kind that the device works in; OutOfMemoryError where there is no room."""
        if not self.on_host:
            return Block(self, self._memory(capacity), capacity)
        with self.memory_errors(capacity):
            return host_block(self, capacity)

    def _memory(self, nbytes: int) -> Any:
        """Memory of the device's own, which is there: drivers put off allocating it to its first
        use, which must not be in the middle of a plan."""
        with self.memory_errors(nbytes):
            made = self.opencl.Buffer(self.context, self.opencl.mem_flags.READ_WRITE, nbytes)
            if not self.on_host:
                self.opencl.enqueue_fill_buffer(self.queue, made, np.uint8(0), 0, 1).wait()
            return made

    def reserve(self, arena_bytes: int, scratch_bytes: int) -> None:
        """Have at least so much working memory; ``generation`` changes where it is another."""
        if arena_bytes > self.arena_bytes:
            self.arena = self._working_memory(arena_bytes)
            self.arena_bytes = arena_bytes
            self.generation += 1
        if scratch_bytes > self.scratch_bytes:
            self.scratch = self._working_memory(scratch_bytes)
            self.scratch_bytes = scratch_bytes
            self.generation += 1
        self.pool.note_peak(arena_bytes + scratch_bytes)

    def _working_memory(self, nbytes: int) -> Any:
        try:
            return self._memory(nbytes)
        except OutOfMemoryError:
            self.pool.release()
            return self._memory(nbytes)

    def release_cached(self) -> None:
        """Give memory that nothing uses back; the working memory too, which is had anew."""
        with self.lock:
            self.pool.release()
            self.arena = self.scratch = self._memory(64)
            self.arena_bytes = self.scratch_bytes = 64
            self.generation += 1

    @property
    def reserved_bytes(self) -> int:
        return self.pool.live + self.pool.waiting + self.arena_bytes + self.scratch_bytes

    @contextlib.contextmanager
    def memory_errors(self, nbytes: int) -> Iterator[None]:
        """What a driver says where it has no room, as OutOfMemoryError."""
        opencl = self.opencl
        try:
            yield
        except (opencl.MemoryError, MemoryError, OSError) as error:
            raise self._out_of_memory(nbytes, error) from None
        except opencl.LogicError as error:
            if error.code != opencl.status_code.INVALID_BUFFER_SIZE:
                raise
            raise self._out_of_memory(nbytes, error) from None

    def _out_of_memory(self, nbytes: int, error: BaseException) -> OutOfMemoryError:
        largest = self.handle.max_mem_alloc_size
        return OutOfMemoryError(
            f"{self.name} is out of memory ({error}). Tried to allocate {_in_words(nbytes)}. The "
            f"device has a total capacity of {_in_words(self.total_bytes)}, of which "
            f"{_in_words(self.pool.live)} is allocated by tensors and "
            f"{_in_words(self.reserved_bytes - self.pool.live)} is reserved but unallocated; one "
            f"allocation can be {_in_words(largest)} at most."
        )

    def _shares_host_memory(self) -> bool:
        """Whether what is written is seen at once, at addresses aligned to an element alone."""
        host = allocate(256)
        view = host.as_numpy(np.dtype(np.uint8), (256,))
        view[...] = 0
        part = self.over(host.address + 8, 128)
        self.opencl.enqueue_fill_buffer(self.queue, part, np.uint8(7), 0, 128)
        self.queue.finish()
        return bool((view[8:136] == 7).all() and not view[136:].any())


def _in_words(nbytes: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.2f} {name}"
    return f"{nbytes} bytes"
