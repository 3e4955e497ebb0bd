"""Host calls as steps of a plan: a routine of NumPy or SciPy over memory at given addresses."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen.errors import CodegenError, HostCallError, OutOfMemoryError
from codegen.ops.host import HostCall, result_types, run

_KERNEL = ctypes.CFUNCTYPE(
    None, ctypes.c_long, ctypes.c_long, ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p
)


def bound(call: HostCall, kernel: str) -> Callable[[Sequence[Any]], list[Any]]:
    """The call as a function of its inputs' arrays: the results that are wanted. HostCallError,
    which names the ``kernel``, of whatever the routine raises."""
    given, _ = call.types()
    routine = tuple(call.routine)
    everything = result_types(given, routine)

    def compute(arrays: Sequence[Any]) -> list[Any]:
        try:
            found = run(everything, routine, arrays)
        except Exception as error:
            kind = OutOfMemoryError if isinstance(error, MemoryError) else HostCallError
            made = kind(f"the routine {routine[0]!r} failed: {type(error).__name__}: {error}")
            made.kernels = (kernel,)
            raise made from error
        return [found[i] for i in call.numbers]

    return compute


class Callback:
    """A host call with a kernel's interface, for the driver in C.

    An exception cannot pass through C: it stands in ``errors`` until the plan has run, with the
    ``number`` of the call's kernel in the plan.
    """

    def __init__(self, call: HostCall, name: str, number: int, errors: list[BaseException]) -> None:
        given, wanted = call.types()
        compute = bound(call, name)
        layouts = [(t.nbytes, t.shape, t.dtype.numpy) for t in (*given, *wanted)]
        count = len(given)

        def kernel(_thread: int, _threads: int, arguments: Any, _scratch: int) -> None:
            try:
                arrays = [
                    _array(address, *layout)
                    for address, layout in zip(arguments[: len(layouts)], layouts, strict=True)
                ]
                for target, result in zip(arrays[count:], compute(arrays[:count]), strict=True):
                    target[...] = result
            except BaseException as error:
                if isinstance(error, CodegenError):
                    error.numbers = (number,)
                errors.append(error)

        self._function = _KERNEL(kernel)  # kept alive: C knows its address alone
        self.address = ctypes.cast(self._function, ctypes.c_void_p).value or 0


def _array(address: int | None, nbytes: int, shape: tuple[int, ...], dtype: Any) -> Any:
    if not nbytes:
        return np.empty(shape, dtype)
    memory: Any = (ctypes.c_char * nbytes).from_address(address or 0)
    return np.ndarray(shape, dtype, memory)
