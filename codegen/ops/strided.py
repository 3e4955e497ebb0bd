"""A strided view of contiguous memory as movement operations, and a write through one.

In: a base node and a geometry (shape, strides, offset) over its flat memory. Out: reshape,
slice, permute and broadcast nodes; gather or scatter where no such chain exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather, scatter, write
from codegen.ops.leaves import constant, iota
from codegen.ops.movement import inverse_order, permute, reshape, slice_
from codegen.ops.reduction import broadcast, full


@dataclass(frozen=True)
class Decomposition:
    """The base reshaped to ``blocks`` and sliced gives the view's real axes by falling stride."""

    blocks: Shape
    starts: Shape
    sizes: Shape
    steps: Shape
    order: Shape  # permutes the axes by falling stride into those of the view
    kept: Shape  # the axes of the view that are neither of extent 1 nor repeated


def contiguous_strides(shape: Sequence[int]) -> Shape:
    """Row-major strides, in elements."""
    return _contiguous_strides(tuple(shape))


@lru_cache(4096)
def _contiguous_strides(shape: Shape) -> Shape:
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * max(shape[i + 1], 1)
    return tuple(strides)


def decompose(base: Shape, shape: Shape, strides: Shape, offset: int) -> Decomposition | None:
    """How the view is cut out of the base, or None where it overlaps itself or cuts askew."""
    kept = tuple([i for i, n in enumerate(shape) if n != 1 and strides[i] != 0])
    falling = sorted(kept, key=lambda i: -strides[i])
    natural = sorted({s for n, s in zip(base, contiguous_strides(base), strict=True) if n > 1})
    block, rest = prod(base), offset
    blocks, starts, sizes, steps = [], [], [], []
    for position, axis in enumerate(falling):
        size, stride = shape[axis], strides[axis]
        reach = sum((shape[j] - 1) * strides[j] for j in falling[position + 1 :])
        for cut in [stride, *reversed(natural)]:
            start, step = rest // cut, stride // cut
            if (
                stride % cut == 0
                and block % cut == 0
                and start + (size - 1) * step < block // cut
                and rest % cut + reach < cut
            ):
                break
        else:
            return None
        blocks.append(block // cut)
        starts.append(start)
        sizes.append(size)
        steps.append(step)
        block, rest = cut, rest % cut
    order = inverse_order([kept.index(axis) for axis in falling])
    return Decomposition((*blocks, block), (*starts, rest), (*sizes, 1), (*steps, 1), order, kept)


def _flat_index(shape: Shape, strides: Shape, offset: int) -> Node:
    index = full(offset, shape, constant(0, iota(1).dtype).dtype)
    for axis, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        if stride and size > 1:
            steps = ew.mul(iota(size), full(stride, (size,), index.dtype))
            index = ew.add(index, broadcast(steps, shape, (axis,)))
    return index


def view(base: Node, shape: Shape, strides: Shape, offset: int) -> Node:
    """What the geometry shows of the base."""
    if prod(shape) == 0:
        return full(0, shape, base.dtype)
    if prod(shape) == base.type.size and offset == 0 and strides == contiguous_strides(shape):
        return reshape(base, shape)
    parts = decompose(base.shape, shape, strides, offset)
    if parts is None:
        return gather(reshape(base, (base.type.size,)), _flat_index(shape, strides, offset))
    cut = slice_(reshape(base, parts.blocks), parts.starts, parts.sizes, parts.steps)
    core = permute(reshape(cut, parts.sizes[:-1]), parts.order)
    return with_unit_axes(core, shape, parts.kept)


def with_unit_axes(core: Node, shape: Shape, kept: Shape) -> Node:
    """Put the axes of extent 1 back by a reshape, which needs no reduction when transposed."""
    units = tuple([n if i in kept else 1 for i, n in enumerate(shape)])
    full_rank = reshape(core, units)
    if units == shape:
        return full_rank
    real = tuple([i for i, n in enumerate(shape) if i in kept or n == 1])
    return broadcast(reshape(core, tuple([shape[i] for i in real])), shape, real)


def write_view(base: Node, value: Node, shape: Shape, strides: Shape, offset: int) -> Node:
    """The base with the view's places set to ``value``, which has the view's shape."""
    if prod(shape) == 0:
        return base
    if prod(shape) == base.type.size and offset == 0 and strides == contiguous_strides(shape):
        return reshape(value, base.shape)
    parts = decompose(base.shape, shape, strides, offset)
    if parts is None:
        flat = reshape(base, (base.type.size,))
        index = _flat_index(shape, strides, offset)
        return reshape(scatter(flat, index, value, "set"), base.shape)
    core = reshape(value, tuple([shape[i] for i in parts.kept]))
    falling = permute(core, inverse_order(parts.order))
    target = reshape(base, parts.blocks)
    written = write(target, reshape(falling, parts.sizes), parts.starts, parts.steps)
    return reshape(written, base.shape)


def view_gradient(cotangent: Node, size: int, shape: Shape, strides: Shape, offset: int) -> Node:
    """What the cotangent of a view is to ``size`` elements of flat memory: its transpose."""
    flat = full(0, (size,), cotangent.dtype)
    return scatter(flat, _flat_index(shape, strides, offset), cotangent, "add")
