"""Reading and writing at computed places: gather with scatter, and writing a strided region."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, Shape, TensorType, make
from codegen.ops import elementwise as ew
from codegen.ops.movement import region, slice_
from codegen.ops.registry import OPERATIONS, Array, Operation, Sample, register

# ---- gather and scatter -------------------------------------------------------------------


# Both name places along one axis: in the shape of an index, any number of axes, of which the index
# numbers the places, stand for that axis; the others are the tensor's own. So a kernel knows that
# elements which differ in those never meet.


def _fits(shape: Shape, index: Node, axis: int) -> bool:
    after = len(shape) - axis - 1
    chosen = len(index.shape) - after
    return (
        index.dtype is dt.int64
        and 0 <= axis < len(shape)
        and chosen >= axis
        and index.shape[:axis] == shape[:axis]
        and index.shape[chosen:] == shape[axis + 1 :]
    )


def _flat_places(shape: Shape, index: Array, axis: int) -> Array:
    """Where the named elements stand in the flattened tensor: one dimension."""
    before, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
    if not index.size:
        return np.zeros(0, np.int64)
    steps = index.reshape(before, -1, inner)
    first = (np.arange(before) * shape[axis]).reshape(-1, 1, 1)
    return np.asarray((first + steps) * inner + np.arange(inner)).reshape(-1)


def _infer_gather(inputs: tuple[Node, ...], axis: int) -> TensorType:
    x, index = inputs
    if not _fits(x.shape, index, axis):
        raise ValueError(f"gather along axis {axis} from {x.type} at {index.type}")
    return TensorType(index.shape, x.dtype)


def _gather_reference(type_: TensorType, arrays: Sequence[Array], axis: int) -> Array:
    x, index = arrays
    return x.reshape(-1)[_flat_places(x.shape, index, axis)].reshape(type_.shape)


def _gather_gradient(node: Node, g: Node) -> tuple[Node, None]:
    x, index = node.inputs
    (axis,) = node.attributes
    assert isinstance(axis, int)
    return scatter(ew.full_like(x, 0), index, g, "add", axis), None


GATHER = register(
    Operation(
        "gather",
        "gather",
        _infer_gather,
        _gather_reference,
        _gather_gradient,
        samples=(
            Sample((((9,), "float32", -1, 1), ((2, 5), "int64", 0, 9)), (0,)),
            Sample((((2, 4, 3), "float32", -1, 1), ((2, 5, 2, 3), "int64", 0, 4)), (1,)),
        ),
    )
)


def gather(x: Node, index: Node, axis: int = 0) -> Node:
    """out[b, s, c] = x[b, index[b, s, c], c], where ``b`` and ``c`` are the axes of ``x`` before
    and after ``axis`` and ``s`` any number of axes; int64 ``index`` with values in range."""
    return make(GATHER, (x, index), (axis,))


_SCATTER_UFUNCS: dict[str, Any] = {
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


def _infer_scatter(inputs: tuple[Node, ...], mode: str, axis: int) -> TensorType:
    base, index, updates = inputs
    fits = (
        _fits(base.shape, index, axis)
        and index.shape == updates.shape
        and updates.dtype is base.dtype
        and (mode == "set" or mode in _SCATTER_UFUNCS)
    )
    if not fits:
        raise ValueError(
            f"scatter {mode} along axis {axis} of {updates.type} at {index.type} into {base.type}"
        )
    return TensorType(base.shape, base.dtype)


def _scatter_reference(_type: TensorType, arrays: Sequence[Array], mode: str, axis: int) -> Array:
    base, index, updates = arrays
    out, places = base.flatten(), _flat_places(base.shape, index, axis)
    if mode == "set":
        out[places] = updates.reshape(-1)
    else:
        _SCATTER_UFUNCS[mode].at(out, places, updates.reshape(-1))
    return out.reshape(base.shape)


def _scatter_gradient(node: Node, g: Node) -> tuple[Node, None, Node]:
    base, index, updates = node.inputs
    mode, axis = node.attributes
    assert isinstance(axis, int)
    if mode == "add":
        return g, None, gather(g, index, axis)
    if mode == "set":
        # Of several writes to one place only the last shows; like PyTorch, each gets its gradient.
        kept = scatter(g, index, ew.full_like(updates, 0), "set", axis)
        return kept, None, gather(g, index, axis)
    if mode in ("max", "min"):
        won_base = ew.eq(base, node)
        won_update = ew.eq(updates, gather(node, index, axis))
        wins = ew.cast(won_update, g.dtype)
        count = scatter(ew.cast(won_base, g.dtype), index, wins, "add", axis)
        # NaN equals nothing: where it won, a share is 0 / 0, as in PyTorch.
        share = ew.div(g, count)
        to_base = ew.mul(ew.cast(won_base, g.dtype), share)
        return to_base, None, ew.mul(wins, gather(share, index, axis))
    return _product_gradient(node, g, axis)


def _product_gradient(node: Node, g: Node, axis: int) -> tuple[Node, None, Node]:
    """The product over the factor itself, and where that is 0 the product of the others: of an
    update, if no other to its place is 0."""
    base, index, updates = node.inputs
    one = ew.full_like(updates, 1)
    base_zero, zero = ew.eq(base, ew.full_like(base, 0)), ew.eq(updates, ew.full_like(updates, 0))
    safe = ew.where(base_zero, ew.full_like(base, 1), base)
    to_base = ew.mul(g, ew.div(scatter(safe, index, updates, "mul", axis), safe))
    zeros = scatter(ew.full_like(base, 0), index, ew.cast(zero, g.dtype), "add", axis)
    alone = ew.and_(zero, ew.eq(gather(zeros, index, axis), one))
    others = scatter(base, index, ew.where(alone, one, updates), "mul", axis)
    slope = ew.div(gather(ew.mul(g, node), index, axis), ew.where(zero, one, updates))
    return to_base, None, ew.where(alone, gather(ew.mul(g, others), index, axis), slope)


SCATTER = register(
    Operation(
        "scatter",
        "scatter",
        _infer_scatter,
        _scatter_reference,
        _scatter_gradient,
        samples=tuple(
            [
                Sample(
                    (
                        (base, "float32", 1, 2),
                        (index, "int64", 0, base[axis]),
                        (index, "float32", 1, 2),
                    ),
                    (mode, axis),
                )
                for mode in ("add", "mul", "max", "min")
                for base, index, axis in (((9,), (6,), 0), ((2, 4, 3), (2, 5, 3), 1))
            ]
        ),
    )
)


def scatter(base: Node, index: Node, updates: Node, mode: str, axis: int = 0) -> Node:
    """``base`` with base[b, index[b, s, c], c] = combined(itself, updates[b, s, c]), in the order
    of ``s``; the axes as in ``gather``. ``mode``: set, add, mul, max or min.
    """
    return make(SCATTER, (base, index, updates), (mode, axis))


# ---- writing a region ---------------------------------------------------------------------


def _infer_write(inputs: tuple[Node, ...], starts: Shape, steps: Shape) -> TensorType:
    base, value = inputs
    if value.dtype is not base.dtype or len(value.shape) != len(base.shape):
        raise ValueError(f"write of {value.type} into {base.type}")
    for length, size, start, step in zip(base.shape, value.shape, starts, steps, strict=True):
        if step < 1 or start < 0 or (size and start + (size - 1) * step >= length):
            raise ValueError(f"write of {value.type} into {base.type} at {starts} by {steps}")
    return TensorType(base.shape, base.dtype)


def _write_reference(
    _type: TensorType, arrays: Sequence[Array], starts: Shape, steps: Shape
) -> Array:
    out = arrays[0].copy()
    if arrays[1].size:
        out[region(arrays[1].shape, starts, steps)] = arrays[1]
    return out


def _write_gradient(node: Node, g: Node) -> tuple[Node, Node]:
    _base, value = node.inputs
    starts, steps = node.attributes
    assert isinstance(starts, tuple) and isinstance(steps, tuple)
    kept = write(g, ew.full_like(value, 0), starts, steps)
    return kept, slice_(g, starts, value.shape, steps)


WRITE = register(
    Operation(
        "write",
        "write",
        _infer_write,
        _write_reference,
        _write_gradient,
        samples=(
            Sample((((5, 6), "float32", -1, 1), ((2, 3), "float32", -1, 1)), ((1, 0), (2, 2))),
        ),
    )
)
EMPTY = register(
    Operation(
        "empty",
        "empty",
        lambda _inputs, shape, dtype: TensorType(shape, dtype),
        lambda type_, _arrays, _shape, _dtype: np.zeros(type_.shape, type_.dtype.numpy),
    )
)


def empty(shape: Shape, dtype: dt.DType) -> Node:
    """A tensor whose elements are whatever the memory holds."""
    if dtype.kind == "complex":
        half = make(EMPTY, (), (shape, dt.HALF_OF_COMPLEX[dtype]))
        return make(OPERATIONS["complex"], (half, half), ())
    return make(EMPTY, (), (shape, dtype))


def write(base: Node, value: Node, starts: Sequence[int], steps: Sequence[int]) -> Node:
    """``base`` with ``value`` in the region from ``starts`` on, every ``steps``-th place."""
    starts, steps = tuple(starts), tuple(steps)
    return value if value.shape == base.shape else make(WRITE, (base, value), (starts, steps))


def concatenate(parts: Sequence[Node], axis: int) -> Node:
    """The parts one after another along an axis."""
    first = parts[0]
    total = sum(p.shape[axis] for p in parts)
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    result = empty(shape, first.dtype)
    start = 0
    for part in parts:
        starts = [start if i == axis else 0 for i in range(len(shape))]
        result = write(result, part, starts, [1] * len(shape))
        start += part.shape[axis]
    return result
