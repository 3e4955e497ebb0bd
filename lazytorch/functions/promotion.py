"""PyTorch's type promotion and broadcasting, on typed nodes: what every function body begins with.

Categories rank bool < int < float < complex. Within the highest category present, tensors with
dimensions decide; then 0-d tensors; then Python numbers, which take the default type of their
category. Complex numbers are as exact as the floating-point operands of a higher standing.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from lazytorch.core import broadcast_to
from lazytorch.defaults import defaults
from lazytorch.type_names import type_name

RANK = {"bool": 0, "int": 1, "float": 2, "complex": 3}
_KINDS_OF_TENSORS = {"bool", "int", "float"}


def promote_types(x: DType, y: DType) -> DType:
    """The smallest type that both convert to, as torch.promote_types."""
    if x is y:
        return x
    kinds = {x.kind, y.kind}
    limited = "float" not in kinds and (x in dt.WIDE_UNSIGNED or y in dt.WIDE_UNSIGNED)
    if not kinds <= _KINDS_OF_TENSORS and not (limited and "complex" in kinds):
        return _promote_named(x, y)
    if limited:
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
            f"{type_name(x)} and {type_name(y)}"
        )
    if len(kinds) > 1:
        return x if RANK[x.kind] > RANK[y.kind] else y
    if x.kind == "float":
        if x.itemsize == y.itemsize:
            return dt.float32  # float16 with bfloat16
        return x if x.itemsize > y.itemsize else y
    if x is dt.uint8 or y is dt.uint8:
        other = y if x is dt.uint8 else x
        return dt.int16 if other is dt.int8 else other
    return x if x.itemsize > y.itemsize else y


def _promote_named(x: DType, y: DType) -> DType:
    """As ``promote_types``, where one of the types is known by name alone."""
    if "quantized" in (x.kind, y.kind):
        raise RuntimeError(
            "promoteTypes with quantized numbers is not handled yet; figure out what the correct "
            f"rules should be, offending types: {type_name(x)} {type_name(y)}"
        )
    if "float8" in (x.kind, y.kind):
        raise RuntimeError(
            "Promotion for Float8 Types is not supported, attempted to promote "
            f"{type_name(x)} and {type_name(y)}"
        )
    # The halves of a complex number are floating point; bfloat16 has none of its own.
    halves = [
        d.itemsize // 2 if d.kind == "complex" else 0 if d.kind != "float"
        else 4 if d is dt.bfloat16 else d.itemsize
        for d in (x, y)
    ]  # fmt: skip
    return dt.COMPLEX_OF_HALF[max(halves)]


def result_dtype(values: Sequence[Node]) -> DType:
    """The common element type of operands, each a tensor, a 0-d tensor or a Python number."""
    best: list[DType | None] = [None, None, None]  # with dimensions, 0-d, Python numbers
    for value in values:
        level = 2 if value.type.weak else 1 if value.shape == () else 0
        dtype = value.dtype
        if value.type.weak and dtype.kind in ("float", "complex"):
            dtype = defaults.dtype if dtype.kind == "float" else default_complex()
        before = best[level]
        best[level] = dtype if before is None else promote_types(before, dtype)
    result: DType | None = None
    for candidate in best:
        if candidate is not None and (result is None or RANK[candidate.kind] > RANK[result.kind]):
            if result is not None and candidate.is_complex and result.kind == "float":
                candidate = _complex_of(result)  # as exact as the tensors are
            result = candidate
    assert result is not None
    return result


def as_float(dtype: DType) -> DType:
    """The type itself if it is floating point, else the default type."""
    return dtype if dtype.differentiable else defaults.dtype


def _complex_of(dtype: DType) -> DType:
    """The complex type whose halves hold a floating-point type."""
    return dt.complex128 if dtype is dt.float64 else dt.complex64


def default_complex() -> DType:
    """The complex type whose halves are of the default type."""
    return dt.COMPLEX_OF_HALF[max(defaults.dtype.itemsize, 4)]


def broadcast_shapes(*shapes: Sequence[int]) -> Shape:
    """The common shape under NumPy's rule; RuntimeError in PyTorch's words where there is none."""
    rank = max([len(s) for s in shapes], default=0)
    result: list[int] = [1] * rank
    for shape in shapes:
        for i, n in enumerate(shape, rank - len(shape)):
            if result[i] == 1:
                result[i] = n
            elif n not in (1, result[i]):
                raise RuntimeError(
                    f"The size of tensor a ({result[i]}) must match the size of tensor b ({n}) at "
                    f"non-singleton dimension {i}"
                )
    return tuple(result)


def broadcast_together(*values: Node) -> list[Node]:
    """The operands in their common shape."""
    shape = broadcast_shapes(*[v.shape for v in values])
    return [broadcast_to(v, shape) for v in values]


def promote(*values: Node) -> list[Node]:
    """The operands in their common type and shape."""
    dtype = result_dtype(values)
    return broadcast_together(*[ew.cast(v, dtype) for v in values])


def promote_float(*values: Node) -> list[Node]:
    """As ``promote``, in a floating-point type."""
    dtype = as_float(result_dtype(values))
    return broadcast_together(*[ew.cast(v, dtype) for v in values])
