"""Single elements of host memory, read and written as Python numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from codegen import dtype as dt
from codegen.dtype import DType

_FLOATS: dict[DType, Any] = {dt.float32: ctypes.c_float, dt.float64: ctypes.c_double}
_TYPES: dict[DType, Any] = {
    **_FLOATS, dt.bool_: ctypes.c_bool, dt.int64: ctypes.c_int64, dt.int32: ctypes.c_int32,
    dt.int16: ctypes.c_int16, dt.int8: ctypes.c_int8, dt.uint8: ctypes.c_uint8,
}  # fmt: skip
_GREATEST = float.fromhex("0x1.fffffep+127")  # of float32


_READERS = {dtype: kind.from_address for dtype, kind in _TYPES.items()}

# Of an element type, a function of an address, whose result has the number as its ``value``; None
# where there is no such thing.
element_reader: Callable[[DType], Any] = _READERS.get


def write_element(address: int, dtype: DType, number: Any) -> None:
    """Put a number that ``fits`` where an element lies."""
    _READERS[dtype](address).value = number


def fits(number: Any, dtype: DType) -> bool:
    """Whether a number becomes an element of this type without a question."""
    kind = type(number)
    if dtype in _FLOATS:
        return kind in (float, int) and -_GREATEST <= number <= _GREATEST
    if dtype is dt.int64:
        return kind is int and -(1 << 63) <= number < 1 << 63
    return dtype is dt.bool_ and kind is bool
