"""Reading and writing at computed places: gather with scatter, and writing a strided region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, Shape, TensorType, make
from codegen.ops import elementwise as ew
from codegen.ops.movement import region, slice_
from codegen.ops.registry import Array, Operation, Sample, register

# ---- gather and scatter -------------------------------------------------------------------


def _infer_gather(inputs: tuple[Node, ...]) -> TensorType:
    x, index = inputs
    if len(x.shape) != 1 or index.dtype is not dt.int64:
        raise ValueError(f"gather from {x.type} at {index.type}")
    return TensorType(index.shape, x.dtype)


def _gather_gradient(node: Node, g: Node) -> tuple[Node, None]:
    x, index = node.inputs
    return scatter(ew.full_like(x, 0), index, g, "add"), None


GATHER = register(
    Operation(
        "gather",
        "gather",
        _infer_gather,
        lambda _type, arrays: arrays[0][arrays[1]],
        _gather_gradient,
        samples=(Sample((((9,), "float32", -1, 1), ((2, 5), "int64", 0, 9))),),
    )
)


def gather(x: Node, index: Node) -> Node:
    """out[i] = x[index[i]]: 1-D ``x``, int64 ``index`` of any shape with values in range."""
    return make(GATHER, (x, index), ())


_SCATTER_UFUNCS: dict[str, Any] = {
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


def _infer_scatter(inputs: tuple[Node, ...], mode: str) -> TensorType:
    base, index, updates = inputs
    fits = (
        len(base.shape) == 1
        and index.dtype is dt.int64
        and index.shape == updates.shape
        and updates.dtype is base.dtype
        and (mode == "set" or mode in _SCATTER_UFUNCS)
    )
    if not fits:
        raise ValueError(f"scatter {mode} of {updates.type} at {index.type} into {base.type}")
    return base.type


def _scatter_reference(_type: TensorType, arrays: Sequence[Array], mode: str) -> Array:
    base, index, updates = arrays
    out = base.copy()
    if mode == "set":
        out[index.ravel()] = updates.ravel()
    else:
        _SCATTER_UFUNCS[mode].at(out, index.ravel(), updates.ravel())
    return out


def _scatter_gradient(node: Node, g: Node) -> tuple[Node, None, Node]:
    base, index, updates = node.inputs
    (mode,) = node.attributes
    if mode == "add":
        return g, None, gather(g, index)
    if mode == "set":
        # Of several writes to one place only the last shows; like PyTorch, each gets its gradient.
        kept = scatter(g, index, ew.full_like(updates, 0), "set")
        return kept, None, gather(g, index)
    if mode in ("max", "min"):
        won_base = ew.eq(base, node)
        won_update = ew.eq(updates, gather(node, index))
        count = scatter(ew.cast(won_base, g.dtype), index, ew.cast(won_update, g.dtype), "add")
        share = ew.div(g, count)
        none = ew.full_like(g, 0)
        return (
            ew.where(won_base, share, none),
            None,
            ew.where(won_update, gather(share, index), ew.full_like(updates, 0)),
        )
    others = gather(ew.mul(g, node), index)
    return ew.div(ew.mul(g, node), base), None, ew.div(others, updates)


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
                    (((9,), "float32", 1, 2), ((6,), "int64", 0, 9), ((6,), "float32", 1, 2)),
                    (mode,),
                )
                for mode in ("add", "mul", "max", "min")
            ]
        ),
    )
)


def scatter(base: Node, index: Node, updates: Node, mode: str) -> Node:
    """1-D ``base`` with ``updates`` combined in at ``index``, in the order of ``index``.

    ``mode``: set, add, mul, max or min.
    """
    return make(SCATTER, (base, index, updates), (mode,))


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
