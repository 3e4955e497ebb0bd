"""A plan of OpenCL kernels, enqueued in order; nobody waits for it until a value is read."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np

from codegen.runtime.cpu import KernelTimes
from codegen.runtime.memory import Buffer, size_class
from codegen.runtime.opencl.device import Device
from codegen.runtime.opencl.discovery import require_own_process
from codegen.runtime.opencl.host import HostStep
from codegen.runtime.opencl.loops import LoopLaunch, scratch_argument
from codegen.runtime.opencl.memory import Part
from codegen.runtime.opencl.programs import build_kernels
from codegen.runtime.plan import SCALAR_FORMATS, KernelRecord, PlanRecord, watchers
from codegen.runtime.sizes import size_arguments
from codegen.statistics import statistics


class OpenClPlan:
    """A plan of OpenCL kernels.

    Each kernel of the plan has an object of its own, whose arguments stay set: only those whose
    memory is another than in the last run are set again.
    """

    def __init__(self, record: PlanRecord, device: Device) -> None:
        self.record = record
        record.device = f"opencl:{device.number}"
        self.donated = tuple([p for _, p in record.donations])
        self._device = device
        with device.lock:
            self._kernels = build_kernels(record.kernels, device)
        for kernel, entry in zip(self._kernels, record.kernels, strict=True):
            sizes = size_arguments(entry.sizes)
            for number, value in enumerate(sizes, kernel.num_args - len(sizes)):
                kernel.set_arg(number, value)
        self._launches = [
            (kernel, *_ranges(k, device.threads))
            for kernel, k in zip(self._kernels, record.kernels, strict=True)
        ]
        self._calls_host = any([k.host is not None for k in record.kernels])
        self._loops = [
            LoopLaunch(loop, self._kernels, record.kernels, self._launches) for loop in record.loops
        ]
        self._numbers = _Numbers(record.scalars, device) if record.scalars else None
        # How each slot's memory is set: by a kernel's ``set_arg``, at the number of the argument.
        self._uses: dict[int, list[tuple[Callable[[int, Any], None], int]]] = {}
        for kernel, entry in zip(self._kernels, record.kernels, strict=True):
            for number, slot in enumerate(entry.slots):
                self._uses.setdefault(slot, []).append((kernel.set_arg, number))
        self._bound = [0] * (record.parameter_count + len(record.output_bytes))  # memories' keys
        self._places: list[Any] = []  # kept alive: handles of the arena's parts
        self._generation = -1

    def run(self, values: Sequence[Any], free: Collection[int] = ()) -> list[Buffer]:
        """As ``CpuPlan.run``; the values of the Buffers are there once somebody reads them."""
        require_own_process()
        record, device = self.record, self._device
        with device.lock:
            # Whatever can fail for want of memory comes before the first kernel, which may
            # overwrite what it was lent.
            taken = {out: values[p] for out, p in record.donations if p in free} if free else {}
            memories: list[Any] = []
            kept: list[Buffer] = []  # until the kernels are in the queue
            for value in values:
                memory: Any = value.memory if type(value) is Buffer else None
                if type(value) is Buffer and getattr(memory, "device", None) is not device:
                    kept.append(device.put(value))
                    memory = kept[-1].memory
                memories.append(memory)
            if self._numbers is not None:
                for i, memory in self._numbers.memories(values):
                    memories[i] = memory
            outputs = []
            for i, nbytes in enumerate(record.output_bytes):
                lent = taken.get(i)
                if lent is not None and getattr(lent.memory, "device", None) is device:
                    lent.memory.copy = None
                    outputs.append(lent)
                else:
                    outputs.append(device.allocate(nbytes))
                memories.append(outputs[-1].memory)
            device.reserve(record.arena_bytes, record.scratch_bytes * device.threads)
            if self._generation != device.generation:
                self._bind_working_memory()
            changed = [(i, m.key, m.handle) for i, m in enumerate(memories)
                       if m is not None and m.key != self._bound[i]]  # fmt: skip
            for i, key, handle in changed:
                for set_argument, number in self._uses.get(i, ()):
                    set_argument(number, handle)
                self._bound[i] = key
            if self._launches:
                device.enqueued += 1
                handles = (
                    [m.handle if m is not None else None for m in memories] if self._loops else []
                )
                if watchers:
                    seconds = self._launch_timed(handles)
                    for watcher in tuple(watchers):
                        watcher(record, seconds)
                else:
                    self._launch(handles)
                if self._numbers is not None:
                    self._numbers.note_run(device.enqueued)
        statistics.plans_run += 1
        statistics.kernels_run += len(self._launches)
        return outputs

    def _bind_working_memory(self) -> None:
        """The arena's places and the scratch memory: arguments that change only if those grow."""
        record, device = self.record, self._device
        first = record.parameter_count + len(record.output_bytes)
        arena = device.arena
        self._places = [arena[offset:] if offset else arena for offset in record.offsets]
        for slot, place in enumerate(self._places, first):
            for set_argument, number in self._uses.get(slot, ()):
                set_argument(number, place)
        in_loops = {i for loop in record.loops for i in range(loop.begin, loop.end)}
        for i, (kernel, entry) in enumerate(zip(self._kernels, record.kernels, strict=True)):
            number = scratch_argument(kernel, entry, i in in_loops)
            if number >= 0:
                kernel.set_arg(number, device.scratch)
        self._generation = device.generation

    def _launch(self, handles: list[Any]) -> None:
        """``handles``: of parameters and outputs, where loops need them."""
        device = self._device
        enqueue, queue, event = device.opencl.enqueue_nd_range_kernel, device.queue, None
        if self._loops or self._calls_host:
            event = self._launch_steps(handles, partial(_enqueue, enqueue, queue))
        else:
            for kernel, size, group in self._launches:
                event = enqueue(queue, kernel, size, group)
        device.note_run(event)

    def _launch_steps(self, handles: list[Any], launch: Callable[..., Any]) -> Any:
        done, event = 0, None
        for loop in self._loops:
            for entry in self._launches[done : loop.begin]:
                launch(*entry)
            event = loop.enqueue([*handles, *self._places], launch)
            done = loop.end
        for entry in self._launches[done:]:
            event = launch(*entry)
        return event

    def _launch_timed(self, handles: list[Any]) -> KernelTimes:
        """Run now; the events say how long each kernel took."""
        device = self._device
        device.enable_timing()
        enqueue, queue = device.opencl.enqueue_nd_range_kernel, device.queue
        events: list[tuple[Any, Any]] = []
        seconds = dict.fromkeys(map(id, self._kernels), 0.0)
        began = time.perf_counter_ns()

        def launch(kernel: Any, size: tuple[int], group: tuple[int]) -> Any:
            start = time.perf_counter()
            event = _enqueue(enqueue, queue, kernel, size, group)
            if type(kernel) is HostStep:
                seconds[id(kernel)] += time.perf_counter() - start
            else:
                events.append((kernel, event))
            return event

        device.note_run(self._launch_steps(handles, launch))
        device.finish()
        for kernel, event in events:
            event.wait()  # PoCL's queue can be done before its events are
            seconds[id(kernel)] += 1e-9 * (event.profile.end - event.profile.start)
        return KernelTimes([seconds[id(kernel)] for kernel in self._kernels], began, True)


def _enqueue(enqueue: Any, queue: Any, kernel: Any, size: tuple[int], group: tuple[int]) -> Any:
    if type(kernel) is HostStep:
        return kernel.enqueue(queue)
    return enqueue(queue, kernel, size, group)


def _ranges(record: KernelRecord, threads: int) -> tuple[tuple[int], tuple[int]]:
    """The global size of a kernel and that of a work-group."""
    if record.items:
        return (record.groups * record.items,), (record.items,)
    return (threads if record.parallel else 1,), (1,)


class _Numbers:
    """The Python numbers that a plan is given, in memory: kernels read each from its own place.

    What was written for one run is left alone until that run is done, so there are a few sets.
    """

    def __init__(self, scalars: Sequence[tuple[int, str]], device: Device) -> None:
        self._device = device
        self._parameters = [i for i, _ in scalars]
        self._format = struct.Struct("".join([SCALAR_FORMATS[name] for _, name in scalars]))
        self._pitch = 8 if device.on_host else max(8, device.alignment)
        self._sets: list[_NumberSet] = []
        self._chosen: _NumberSet | None = None

    def memories(self, values: Sequence[Any]) -> list[tuple[int, Part]]:
        """(parameter, its memory) for each that is a number, not a Buffer."""
        are_numbers = [type(values[i]) is not Buffer for i in self._parameters]
        content = self._format.pack(
            *[values[i] if is_number else 0
              for i, is_number in zip(self._parameters, are_numbers, strict=True)]
        )  # fmt: skip
        chosen = self._chosen
        if chosen is None or chosen.content != content:
            chosen = self._chosen = self._written(content)
        return [
            (i, part)
            for i, part, is_number in zip(self._parameters, chosen.parts, are_numbers, strict=True)
            if is_number
        ]

    def note_run(self, run: int) -> None:
        assert self._chosen is not None
        self._chosen.used = run

    def _written(self, content: bytes) -> _NumberSet:
        device = self._device
        for known in self._sets:
            if device.is_done(known.used):
                break
        else:
            known = _NumberSet(device, len(self._parameters), self._pitch)
            self._sets.append(known)
        known.write(content)
        return known


class _NumberSet:
    def __init__(self, device: Device, count: int, pitch: int) -> None:
        self._device, self._pitch = device, pitch
        self._block = device.block(size_class(count * pitch))  # no tensor's: counted nowhere
        self.parts = [Part(self._block, i * pitch, 8) for i in range(count)]
        self.content = b""
        self.used = 0

    def write(self, content: bytes) -> None:
        spread = np.zeros((len(self.parts), self._pitch), np.uint8)
        spread[:, :8] = np.frombuffer(content, np.uint8).reshape(-1, 8)
        self._device.write(self._block, spread)
        self.content = content
