"""Host calls as steps of an OpenCL plan: a routine over copies of what its memory holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.ops.host import HostCall
from codegen.runtime.host import bound


class HostStep:
    """Stands where a kernel object would: its arguments are set in the same way."""

    def __init__(self, call: HostCall, name: str, opencl: Any) -> None:
        self._opencl = opencl
        self._given, self._wanted = call.types()
        self._compute = bound(call, name)
        self.num_args = len(self._given) + len(self._wanted)
        self._memories: list[Any] = [None] * self.num_args

    def set_arg(self, number: int, memory: Any) -> None:
        self._memories[number] = memory

    def enqueue(self, queue: Any) -> Any:
        """Wait for what was enqueued before, run, and put the results where they belong; the event
        of the last copy."""
        copy, count = self._opencl.enqueue_copy, len(self._given)
        arrays = [np.empty(t.shape, t.dtype.numpy) for t in self._given]
        for array, memory in zip(arrays, self._memories[:count], strict=True):
            if array.nbytes:
                copy(queue, array, memory)
        event = self._opencl.enqueue_marker(queue)
        results = zip(self._compute(arrays), self._wanted, self._memories[count:], strict=True)
        for result, type_, memory in results:
            if type_.nbytes:
                event = copy(queue, memory, np.ascontiguousarray(result, type_.dtype.numpy))
        return event
