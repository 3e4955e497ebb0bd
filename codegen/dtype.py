"""Element types: what each is called, how wide it is, and how NumPy and C spell it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class DType:
    """One element type.

    ``kind`` is its promotion category: ``bool`` < ``int`` (signed and unsigned) < ``float``
    (< ``complex``).
    ``numpy`` is how a buffer of it is seen from NumPy; bfloat16, which NumPy lacks, is stored
    as its 16 bits (uint16). ``storage_c`` is the C type of an element in memory, bits for both
    half types; ``compute_c`` that which arithmetic is done in. ``differentiable``: whether
    gradients flow through such numbers. Complex numbers have no C type of their own: the compiler
    sees their real and imaginary parts (ops/complex_numbers.py).
    """

    name: str
    kind: str
    itemsize: int
    numpy: np.dtype[Any]
    storage_c: str
    compute_c: str
    differentiable: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "differentiable", self.kind in ("float", "complex"))

    def __repr__(self) -> str:
        return f"torch.{self.name.rstrip('_')}"

    def __reduce__(self) -> str:
        return self.name

    @property
    def is_floating_point(self) -> bool:
        return self.kind.startswith("float")

    @property
    def is_complex(self) -> bool:
        return self.kind == "complex"

    @property
    def is_signed(self) -> bool:
        return self.kind != "bool" and not self.name.startswith("uint")


bool_ = DType("bool_", "bool", 1, np.dtype(np.bool_), "unsigned char", "_Bool")
uint8 = DType("uint8", "int", 1, np.dtype(np.uint8), "unsigned char", "unsigned char")
uint16 = DType("uint16", "int", 2, np.dtype(np.uint16), "unsigned short", "unsigned short")
uint32 = DType("uint32", "int", 4, np.dtype(np.uint32), "unsigned int", "unsigned int")
uint64 = DType("uint64", "int", 8, np.dtype(np.uint64), "unsigned long", "unsigned long")
int8 = DType("int8", "int", 1, np.dtype(np.int8), "signed char", "signed char")
int16 = DType("int16", "int", 2, np.dtype(np.int16), "short", "short")
int32 = DType("int32", "int", 4, np.dtype(np.int32), "int", "int")
int64 = DType("int64", "int", 8, np.dtype(np.int64), "long", "long")
float16 = DType("float16", "float", 2, np.dtype(np.float16), "unsigned short", "float")
bfloat16 = DType("bfloat16", "float", 2, np.dtype(np.uint16), "unsigned short", "float")
float32 = DType("float32", "float", 4, np.dtype(np.float32), "float", "float")
float64 = DType("float64", "float", 8, np.dtype(np.float64), "double", "double")

# Types that the front end stores, converts and little else, as PyTorch does.
WIDE_UNSIGNED = (uint16, uint32, uint64)
ALL = (
    bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64, *WIDE_UNSIGNED
)  # fmt: skip
complex64 = DType("complex64", "complex", 8, np.dtype(np.complex64), "float[2]", "")
complex128 = DType("complex128", "complex", 16, np.dtype(np.complex128), "double[2]", "")
COMPLEX = (complex64, complex128)
# Types known by name alone, which programs list and compare with: no tensor has one.
complex32 = DType("complex32", "complex", 4, np.dtype("V4"), "", "")
float8_e4m3fn = DType("float8_e4m3fn", "float8", 1, np.dtype("V1"), "", "")
float8_e4m3fnuz = DType("float8_e4m3fnuz", "float8", 1, np.dtype("V1"), "", "")
float8_e5m2 = DType("float8_e5m2", "float8", 1, np.dtype("V1"), "", "")
float8_e5m2fnuz = DType("float8_e5m2fnuz", "float8", 1, np.dtype("V1"), "", "")
float8_e8m0fnu = DType("float8_e8m0fnu", "float8", 1, np.dtype("V1"), "", "")
qint8 = DType("qint8", "quantized", 1, np.dtype("V1"), "", "")
quint8 = DType("quint8", "quantized", 1, np.dtype("V1"), "", "")
qint32 = DType("qint32", "quantized", 4, np.dtype("V4"), "", "")
NAMED = (
    complex32, float8_e4m3fn, float8_e4m3fnuz, float8_e5m2,
    float8_e5m2fnuz, float8_e8m0fnu, qint8, quint8, qint32,
)  # fmt: skip
COMPLEX_OF_HALF = {2: complex32, 4: complex64, 8: complex128}  # by the bytes of a half
BY_NAME = {d.name: d for d in (*ALL, *COMPLEX)}
_FROM_NUMPY = {d.numpy: d for d in (*ALL, *COMPLEX) if d is not bfloat16}

# The type of a complex number's halves, and back.
HALF_OF_COMPLEX = {complex64: float32, complex128: float64}
COMPLEX_OF = {float32: complex64, float64: complex128}


def from_numpy(dtype: np.dtype[Any]) -> DType:
    """The element type of a NumPy dtype in native byte order; KeyError if there is none."""
    return _FROM_NUMPY[dtype]
