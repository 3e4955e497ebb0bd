"""Operations that only move values: each is a map from an output index to an input index.

Adjoint pairs stand together: broadcast is sum's (in reduction.py), permute and reshape are
their own, slice and pad are each other's, and so are skew and unskew.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from codegen.ir.node import Node, Shape, TensorType, make
from codegen.ops.leaves import constant
from codegen.ops.registry import Array, Operation, Sample, register

# ---- reshape ------------------------------------------------------------------------------


def _infer_reshape(inputs: tuple[Node, ...], shape: Shape) -> TensorType:
    (x,) = inputs
    if prod(shape) != x.type.size:
        raise ValueError(f"reshape of {x.type} to {shape}")
    return TensorType(shape, x.dtype)


RESHAPE = register(
    Operation(
        "reshape",
        "movement",
        _infer_reshape,
        lambda _type, arrays, shape: arrays[0].reshape(shape),
        lambda node, g: (reshape(g, node.inputs[0].shape),),
        samples=(
            Sample((((2, 6), "float32", -1, 1),), ((3, 4),)),
            Sample((((0, 3), "float32", -1, 1),), ((3, 0, 2),)),
            Sample((((), "float32", -1, 1),), ((1, 1),)),
        ),
    )
)


def reshape(x: Node, shape: Sequence[int]) -> Node:
    """The same elements in row-major order under another shape of equal size."""
    shape = tuple(shape)
    return x if shape == x.shape else make(RESHAPE, (x,), (shape,))


# ---- permute ------------------------------------------------------------------------------


def _infer_permute(inputs: tuple[Node, ...], order: Shape) -> TensorType:
    (x,) = inputs
    if sorted(order) != list(range(len(x.shape))):
        raise ValueError(f"permute of {x.type} by {order}")
    return TensorType(tuple([x.shape[i] for i in order]), x.dtype)


PERMUTE = register(
    Operation(
        "permute",
        "movement",
        _infer_permute,
        lambda _type, arrays, order: arrays[0].transpose(order),
        lambda node, g: (permute(g, inverse_order(node.attributes[0])),),  # type: ignore[arg-type]
        samples=(Sample((((2, 3, 4), "float32", -1, 1),), ((2, 0, 1),)),),
    )
)


def inverse_order(order: Sequence[int]) -> Shape:
    """The permutation that undoes ``order``."""
    return tuple(sorted(range(len(order)), key=lambda i: order[i]))


def permute(x: Node, order: Sequence[int]) -> Node:
    """Output axis ``i`` is input axis ``order[i]``."""
    order = tuple(order)
    return x if order == tuple(range(len(order))) else make(PERMUTE, (x,), (order,))


# ---- slice and pad ------------------------------------------------------------------------


def _infer_slice(inputs: tuple[Node, ...], starts: Shape, sizes: Shape, steps: Shape) -> TensorType:
    (x,) = inputs
    for length, start, size, step in zip(x.shape, starts, sizes, steps, strict=True):
        last = start + (size - 1) * step
        if size < 0 or step == 0 or (size and not (0 <= start < length and 0 <= last < length)):
            raise ValueError(f"slice of {x.type}: {starts}, {sizes}, {steps}")
    return TensorType(sizes, x.dtype)


def _take_slice(array: Array, starts: Shape, sizes: Shape, steps: Shape) -> Array:
    for axis, (start, size, step) in enumerate(zip(starts, sizes, steps, strict=True)):
        array = array.take(range(start, start + size * step, step), axis=axis)
    return array


def _slice_gradient(node: Node, g: Node) -> tuple[Node]:
    starts, sizes, steps = node.attributes
    assert isinstance(starts, tuple) and isinstance(sizes, tuple) and isinstance(steps, tuple)
    if any(step < 0 for step in steps):
        flips = [step < 0 for step in steps]
        g = flip(g, [axis for axis, turned in enumerate(flips) if turned])
        starts = tuple(
            [s + (n - 1) * t if t < 0 else s for s, n, t in zip(starts, sizes, steps, strict=True)]
        )
        steps = tuple([abs(t) for t in steps])
    return (pad_to(g, node.inputs[0].shape, starts, steps),)


SLICE = register(
    Operation(
        "slice",
        "movement",
        _infer_slice,
        lambda _type, arrays, *attributes: _take_slice(arrays[0], *attributes),
        _slice_gradient,
        samples=(
            Sample((((5, 6), "float32", -1, 1),), ((1, 5), (3, 3), (1, -2))),
            Sample((((5, 6), "float32", -1, 1),), ((0, 1), (0, 2), (1, 3))),
        ),
    )
)


def slice_(x: Node, starts: Sequence[int], sizes: Sequence[int], steps: Sequence[int]) -> Node:
    """``sizes[i]`` elements of axis ``i`` from ``starts[i]`` on, every ``steps[i]``-th."""
    starts, sizes, steps = tuple(starts), tuple(sizes), tuple(steps)
    whole = sizes == x.shape and not any(starts) and all(step == 1 for step in steps)
    return x if whole else make(SLICE, (x,), (starts, sizes, steps))


def flip(x: Node, axes: Sequence[int]) -> Node:
    """The elements of these axes in reverse order."""
    turned = set(axes)
    starts = [n - 1 if i in turned and n else 0 for i, n in enumerate(x.shape)]
    return slice_(x, starts, x.shape, [-1 if i in turned else 1 for i in range(len(x.shape))])


def _infer_pad(inputs: tuple[Node, ...], shape: Shape, starts: Shape, steps: Shape) -> TensorType:
    x, fill = inputs
    if fill.type.shape or fill.dtype is not x.dtype:
        raise ValueError(f"pad of {x.type} with {fill.type}")
    for length, size, start, step in zip(shape, x.shape, starts, steps, strict=True):
        if step < 1 or start < 0 or (size and start + (size - 1) * step >= length):
            raise ValueError(f"pad of {x.type} to {shape}: {starts}, {steps}")
    return TensorType(shape, x.dtype)


def _put_padded(type_: TensorType, arrays: Any, shape: Shape, starts: Shape, steps: Shape) -> Array:
    out: Array = np.full(shape, arrays[1], dtype=arrays[0].dtype)
    if arrays[0].size:
        out[region(arrays[0].shape, starts, steps)] = arrays[0]
    return out


def region(sizes: Shape, starts: Shape, steps: Shape) -> tuple[slice, ...]:
    """The NumPy index of a strided region with positive steps."""
    return tuple([slice(s, s + n * t, t) for n, s, t in zip(sizes, starts, steps, strict=True)])


def _pad_gradient(node: Node, g: Node) -> tuple[Node | None, ...]:
    x, _fill = node.inputs
    _shape, starts, steps = node.attributes
    assert isinstance(starts, tuple) and isinstance(steps, tuple)
    return slice_(g, starts, x.shape, steps), None


PAD = register(
    Operation(
        "pad",
        "movement",
        _infer_pad,
        _put_padded,
        _pad_gradient,
        samples=(
            Sample((((2, 3), "float32", -1, 1), ((), "float32", 0, 0)), ((5, 8), (1, 2), (2, 1))),
        ),
    )
)


def pad_to(
    x: Node,
    shape: Sequence[int],
    starts: Sequence[int],
    steps: Sequence[int],
    fill: Node | None = None,
) -> Node:
    """A tensor of ``shape`` holding ``x`` from ``starts`` on at every ``steps``-th place.

    The other places hold ``fill``, a constant (0 by default); no gradient flows to it.
    """
    shape, starts, steps = tuple(shape), tuple(starts), tuple(steps)
    if shape == x.shape:
        return x
    return make(PAD, (x, fill or constant(0, x.dtype)), (shape, starts, steps))


# ---- skew and unskew: sliding windows -----------------------------------------------------
# A window over an axis is skew(broadcast(x)): y[o, k] = x[o * stride + k * dilation]. Folding
# windows back is sum(unskew(y)) over k.


def _infer_skew(
    inputs: tuple[Node, ...], axis: int, extent: int, stride: int, dilation: int
) -> TensorType:
    (x,) = inputs
    last = (extent - 1) * stride + (x.shape[-1] - 1) * dilation
    if not 0 <= axis < len(x.shape) - 1 or (extent and x.shape[-1] and last >= x.shape[axis]):
        raise ValueError(f"skew of {x.type}: axis {axis}, {extent} steps")
    return TensorType((*x.shape[:axis], extent, *x.shape[axis + 1 :]), x.dtype)


def _skewed(array: Array, axis: int, extent: int, stride: int, dilation: int) -> Array:
    taken = [
        array[..., k].take(range(k * dilation, k * dilation + extent * stride, stride), axis=axis)
        for k in range(array.shape[-1])
    ]
    shape = (*array.shape[:axis], extent, *array.shape[axis + 1 :])
    return np.stack(taken, axis=-1) if taken else np.zeros(shape, array.dtype)


def _skew_attributes(node: Node) -> tuple[int, int, int, int]:
    """The attributes of the adjoint: what the extent was before."""
    axis, _, stride, dilation = node.attributes
    assert isinstance(axis, int) and isinstance(stride, int) and isinstance(dilation, int)
    return axis, node.inputs[0].shape[axis], stride, dilation


SKEW = register(
    Operation(
        "skew",
        "movement",
        _infer_skew,
        lambda _type, arrays, *attributes: _skewed(arrays[0], *attributes),
        lambda node, g: (unskew(g, *_skew_attributes(node)),),
        samples=(Sample((((2, 9, 3), "float32", -1, 1),), (1, 4, 2, 1)),),
    )
)


def skew(x: Node, axis: int, extent: int, stride: int, dilation: int) -> Node:
    """y[…, o, …, k] = x[…, o * stride + k * dilation, …, k], where k is the last axis."""
    return make(SKEW, (x,), (axis, extent, stride, dilation))


def _infer_unskew(
    inputs: tuple[Node, ...], axis: int, length: int, stride: int, dilation: int
) -> TensorType:
    (x,) = inputs
    return TensorType((*x.shape[:axis], length, *x.shape[axis + 1 :]), x.dtype)


def _unskewed(array: Array, axis: int, length: int, stride: int, dilation: int) -> Array:
    shape = (*array.shape[:axis], length, *array.shape[axis + 1 :])
    out: Array = np.zeros(shape, array.dtype)
    if array.size:
        moved, target = np.moveaxis(array, axis, 0), np.moveaxis(out, axis, 0)
        for k in range(array.shape[-1]):
            first = k * dilation
            stop = first + array.shape[axis] * stride
            target[first:stop:stride, ..., k] = moved[..., k]
    return out


UNSKEW = register(
    Operation(
        "unskew",
        "movement",
        _infer_unskew,
        lambda _type, arrays, *attributes: _unskewed(arrays[0], *attributes),
        lambda node, g: (skew(g, *_skew_attributes(node)),),
        samples=(Sample((((2, 4, 3), "float32", -1, 1),), (1, 9, 2, 1)),),
    )
)


def unskew(x: Node, axis: int, length: int, stride: int, dilation: int) -> Node:
    """Skew's adjoint: x[…, o, …, k] goes to place o * stride + k * dilation; 0 elsewhere."""
    return make(UNSKEW, (x,), (axis, length, stride, dilation))
