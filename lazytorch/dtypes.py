"""The public names of element types, and what numbers each can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import DType
from lazytorch.defaults import defaults
from lazytorch.functions.promotion import promote_types

NAMES: dict[str, DType] = {
    "float32": dt.float32, "float": dt.float32, "float64": dt.float64, "double": dt.float64,
    "float16": dt.float16, "half": dt.float16, "bfloat16": dt.bfloat16,
    "uint16": dt.uint16, "uint32": dt.uint32, "uint64": dt.uint64,
    "uint8": dt.uint8, "int8": dt.int8, "int16": dt.int16, "short": dt.int16,
    "int32": dt.int32, "int": dt.int32, "int64": dt.int64, "long": dt.int64, "bool": dt.bool_,
}  # fmt: skip
NAMES |= {d.name: d for d in (*dt.COMPLEX, *dt.NAMED)}
NAMES |= {"chalf": dt.complex32, "cfloat": dt.complex64, "cdouble": dt.complex128}

# The classes torch.FloatTensor, torch.LongTensor … by element type.
CLASS_NAMES: dict[DType, str] = {
    dt.float32: "FloatTensor", dt.float64: "DoubleTensor", dt.float16: "HalfTensor",
    dt.bfloat16: "BFloat16Tensor", dt.uint8: "ByteTensor", dt.int8: "CharTensor",
    dt.int16: "ShortTensor", dt.int32: "IntTensor", dt.int64: "LongTensor",
    dt.bool_: "BoolTensor",
}  # fmt: skip


def as_dtype(dtype: Any) -> DType:
    """A dtype argument: one of ours, or Python's float, int or bool."""
    if isinstance(dtype, DType):
        return dtype
    if dtype is float:
        return dt.float64
    if dtype is int:
        return dt.int64
    if dtype is bool:
        return dt.bool_
    if dtype is complex:
        return dt.complex128
    raise TypeError(f"dtype must be a torch.dtype, but got {type(dtype).__name__}")


_FLOAT_OF_SIZE = {2: dt.float16, 4: dt.float32, 8: dt.float64}
# Largest number, distance from 1 to the next, smallest normal number.
_FLOAT8 = {
    "float8_e4m3fn": (448.0, 2.0**-3, 2.0**-6),
    "float8_e4m3fnuz": (240.0, 2.0**-3, 2.0**-7),
    "float8_e5m2": (57344.0, 2.0**-2, 2.0**-14),
    "float8_e5m2fnuz": (57344.0, 2.0**-3, 2.0**-15),
    "float8_e8m0fnu": (2.0**127, 1.0, 2.0**-127),
}


class finfo:
    """What a floating-point type can hold."""

    def __init__(self, type: DType | None = None) -> None:
        dtype = defaults.dtype if type is None else type
        if dtype.kind == "complex":
            dtype = _FLOAT_OF_SIZE[dtype.itemsize // 2]
        if dtype.kind not in ("float", "float8"):
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle "
                "'torch.finfo'"
            )
        self.bits = dtype.itemsize * 8
        self.dtype = repr(dtype).removeprefix("torch.")
        if dtype is dt.bfloat16:
            self.max, self.eps = 3.3895313892515355e38, 0.0078125
            self.tiny = self.smallest_normal = 1.1754943508222875e-38
            self.resolution = 0.01
        elif dtype.kind == "float8":
            self.max, self.eps, self.smallest_normal = _FLOAT8[dtype.name]
            self.tiny, self.resolution = self.smallest_normal, 1.0
        else:
            numbers = np.finfo(dtype.numpy)
            self.max, self.eps = float(numbers.max), float(numbers.eps)
            self.tiny = self.smallest_normal = float(numbers.tiny)
            self.resolution = float(str(numbers.resolution))
        self.min = self.tiny if dtype is dt.float8_e8m0fnu else -self.max

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """What an integer type can hold."""

    def __init__(self, type: DType) -> None:
        if type.kind != "int":
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle "
                "'torch.iinfo'"
                if type.kind == "float"
                else f"torch.{'bool'} is not supported by torch.iinfo"
            )
        numbers = np.iinfo(type.numpy)
        self.bits = type.itemsize * 8
        self.min, self.max = int(numbers.min), int(numbers.max)
        self.dtype = repr(type).removeprefix("torch.")

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


def can_cast(from_: DType, to: DType) -> bool:
    """Whether a result of one type may be written to a tensor of another."""
    if to.kind == "quantized":
        return from_.kind != "complex"
    rank = {"bool": 0, "int": 1, "quantized": 1, "float8": 2, "float": 2, "complex": 3}
    return rank[from_.kind] <= rank[to.kind]


__all__ = [
    "CLASS_NAMES", "NAMES", "DType", "as_dtype", "can_cast", "finfo", "iinfo", "promote_types",
]  # fmt: skip
