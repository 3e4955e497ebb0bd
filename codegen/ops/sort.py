"""Sorting along the last axis: the values in order, and the places they came from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, Shape, TensorType, make
from codegen.ops import elementwise as ew
from codegen.ops.indexing import scatter
from codegen.ops.leaves import iota
from codegen.ops.movement import permute, reshape
from codegen.ops.reduction import broadcast, full
from codegen.ops.registry import Array, Operation, Sample, register

# Attributes of both operations: descending, and the part of the order that is wanted, from
# ``start`` up to ``stop``. The order is stable; NaN, whatever its bits, is greater than all else,
# and 0.0 equals -0.0. Two nodes of the same inputs and attributes are one kernel.


def _part_type(inputs: tuple[Node, ...], start: int, stop: int, dtype: dt.DType) -> TensorType:
    (x,) = inputs
    if not x.shape or not 0 <= start < stop <= x.shape[-1] or not x.type.size:
        raise ValueError(f"places {start} to {stop} of {x.type} in order")
    return TensorType((*x.shape[:-1], stop - start), dtype)


def _order(x: Array, descending: bool, start: int, stop: int) -> Array:
    if not descending:
        return np.argsort(x, axis=-1, kind="stable")[..., start:stop]
    # Backwards twice, so that ties keep their order.
    backwards = np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    return (x.shape[-1] - 1 - backwards)[..., start:stop]


def _sort_reference(
    _type: TensorType, arrays: Sequence[Array], descending: bool, start: int, stop: int
) -> Array:
    return np.take_along_axis(arrays[0], _order(arrays[0], descending, start, stop), -1)


def _argsort_reference(
    _type: TensorType, arrays: Sequence[Array], descending: bool, start: int, stop: int
) -> Array:
    return _order(arrays[0], descending, start, stop).astype(np.int64)


def _sort_gradient(node: Node, g: Node) -> tuple[Node]:
    """Each cotangent where its value came from."""
    (x,) = node.inputs
    places = flat_places(make(ARGSORT, node.inputs, node.attributes), x.shape[-1])
    flat = full(0, (x.type.size,), g.dtype)
    return (reshape(scatter(flat, places, g, "add"), x.shape),)


_SAMPLES = (
    Sample((((3, 7), "float32", -2, 2),), (False, 0, 7)),
    Sample((((2, 90), "float64", -2, 2),), (True, 0, 5)),
    Sample((((5,), "float16", -2, 2),), (False, 2, 3)),
    Sample((((2, 3, 4), "bool_", 0, 1),), (True, 0, 4)),
    Sample((((2, 300), "int8", -100, 100),), (True, 0, 300)),
    Sample((((2, 70000), "int32", -9000, 9000),), (False, 0, 70000)),
    Sample((((70000,), "int64", -(1 << 40), 1 << 40),), (True, 10, 30)),
    Sample((((90, 700), "uint8", 0, 255),), (False, 100, 400)),
)

SORT = register(
    Operation(
        "sort",
        "sort",
        lambda inputs, _descending, start, stop: _part_type(inputs, start, stop, inputs[0].dtype),
        _sort_reference,
        _sort_gradient,
        cost=40,
        samples=_SAMPLES,
    )
)
ARGSORT = register(
    Operation(
        "argsort",
        "sort",
        lambda inputs, _descending, start, stop: _part_type(inputs, start, stop, dt.int64),
        _argsort_reference,
        cost=40,
        samples=_SAMPLES,
    )
)


def flat_places(index: Node, extent: int) -> Node:
    """Places along a last axis of that extent as places of the flattened tensor."""
    rows = index.type.size // index.shape[-1] if index.type.size else 0
    starts = ew.mul(iota(rows), full(extent, (rows,), dt.int64))
    axes = tuple(range(len(index.shape) - 1))
    return ew.add(index, broadcast(reshape(starts, index.shape[:-1]), index.shape, axes))


def sort(
    x: Node, axis: int, descending: bool = False, start: int = 0, stop: int | None = None
) -> tuple[Node, Node]:
    """Values in order along an axis, and their int64 places there: from the ``start``-th up to the
    ``stop``-th, by default all."""
    stop = x.shape[axis] if stop is None else stop
    shape: Shape = (*x.shape[:axis], stop - start, *x.shape[axis + 1 :])
    if 0 in shape:
        return full(0, shape, x.dtype), full(0, shape, dt.int64)
    if x.shape[axis] == 1:
        return ew.cast(x, x.dtype), full(0, shape, dt.int64)
    last = len(x.shape) - 1
    order = [*[i for i in range(last + 1) if i != axis], axis]
    back = [*range(axis), last, *range(axis, last)]
    inputs, attributes = (permute(x, order),), (descending, start, stop)
    return (
        permute(make(SORT, inputs, attributes), back),
        permute(make(ARGSORT, inputs, attributes), back),
    )
