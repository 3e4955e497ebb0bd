"""Memory seen as another element type: complex numbers as pairs of real ones, and back.

A tensor whose element type is not that of its storage's value has a geometry that counts its own
elements: ``z.real`` steps over every second one of the memory of ``z``.
"""

from __future__ import annotations

from codegen.dtype import DType
from codegen.ir.node import Node, Shape
from codegen.ops import complex_numbers as cn
from codegen.ops.movement import reshape
from codegen.ops.strided import contiguous_strides
from lazytorch import core
from lazytorch.expression import Attributes, Expression, Function
from lazytorch.recording import record


def _as_complex(pairs: Node, shape: Shape) -> Node:
    return reshape(cn.as_complex(reshape(pairs, (pairs.type.size // 2, 2))), shape)


AS_REAL = Function("view_as_real", lambda z: cn.as_real(z))
AS_COMPLEX = Function("view_as_complex", _as_complex)


def seen_as(value: Expression, dtype: DType, shape: Shape | None = None) -> Expression:
    """The whole of a value as real or complex numbers: of a ``shape``, or (..., 2) and (n,)."""
    if dtype is value.type.dtype:
        return value
    if not dtype.is_complex:
        seen = record(AS_REAL, (value,), (), value.tracked)[0]
        if shape is None or shape == seen.type.shape:
            return seen
        place = (shape, contiguous_strides(shape), 0)
        return record(core.VIEW, (seen,), place, value.tracked)[0]
    size = (value.type.size // 2,) if shape is None else shape
    return record(AS_COMPLEX, (value,), (size,), value.tracked)[0]


def read_view(value: Expression, dtype: DType, place: Attributes, tracked: int) -> Expression:
    """What a geometry of elements of this type shows of a value."""
    if dtype is not value.type.dtype:
        value = seen_as(value, dtype)
    return record(core.VIEW, (value,), place, tracked)[0]


def written_view(
    base: Expression, value: Expression, place: Attributes, tracked: int
) -> Expression:
    """The base with a value, perhaps of the other type, where the geometry says."""
    whole = seen_as(base, value.type.dtype)
    made = record(core.WRITE_VIEW, (whole, value), place, tracked)[0]
    return seen_as(made, base.type.dtype, base.type.shape)
