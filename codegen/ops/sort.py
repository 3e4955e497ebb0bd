"""Sorting along the last axis: the values in order, and where they came from; searching there."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, Shape, TensorType, make
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather, scatter
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
        order = np.argsort(x, axis=-1, kind="stable")
    else:  # backwards twice, so that ties keep their order
        order = x.shape[-1] - 1 - np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    return order[..., start:stop]


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
    rows = prod(index.shape[:-1])
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


def insertion_places(sequence: Node, values: Node, right: bool) -> Node:
    """How many elements of a sorted sequence come before each value (or before or equal to it).

    One sequence for all values, or one for each row of values. NaN comes after all else. As many
    steps as the sequence has digits in binary, without a branch.
    """
    n = sequence.shape[-1]
    place = full(0, values.shape, dt.int64)
    if not n or not values.type.size:
        return place
    flat = reshape(sequence, (sequence.type.size,))
    start = place if len(sequence.shape) == 1 else flat_places(place, n)

    def comes_before(at: Node) -> Node:
        found = gather(flat, ew.add(start, at) if start is not place else at)
        return ew.le(found, values) if right else ew.lt(found, values)

    size = n
    while size > 1:
        half = size // 2
        passed = comes_before(ew.add(place, ew.full_like(place, half - 1)))
        place = ew.where(passed, ew.add(place, ew.full_like(place, half)), place)
        size -= half
    place = ew.add(place, ew.cast(comes_before(place), dt.int64))
    if values.dtype.kind != "float":
        return place
    return ew.where(ew.ne(values, values), ew.full_like(place, n), place)
