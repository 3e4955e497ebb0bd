"""Views of which a part of the place is known only when they are read, and writes through them.

As in strided.py, a view is a region of the base under another shape, its axes in another order.
Here the region begins, along some axes, where an argument says: what a program reads in each step
at another index is then computed by one plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import cast

from codegen import dtype as dt
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather, scatter, write
from codegen.ops.leaves import constant, iota
from codegen.ops.movement import inverse_order, pad_to, permute, reshape, slice_
from codegen.ops.reduction import broadcast, full, sum_
from codegen.ops.strided import contiguous_strides, decompose, with_unit_axes


@dataclass(frozen=True)
class Region:
    """Where a view of this shape lies in a base of shape ``base``.

    The base as ``blocks``, from ``starts`` on, has the view's real axes by falling stride, besides
    axes of extent 1. Where a start is None, an argument says it. ``order`` permutes the real axes
    into the view's, which are those in ``kept``.
    """

    base: Shape
    shape: Shape
    blocks: Shape
    starts: tuple[int | None, ...]
    sizes: Shape
    steps: Shape
    order: Shape
    kept: Shape

    def at(self, starts: Sequence[int | None]) -> Region:
        """The region of this form that begins elsewhere."""
        return replace(self, starts=tuple(starts))


@lru_cache(4096)
def region(base: Shape, shape: Shape, strides: Shape, offset: int) -> Region | None:
    """The region that a geometry shows, its blocks cut as finely as axes of the base allow, so
    that an index of one of them moves one start; None where it is everything, or no region."""
    size = prod(shape)
    if size == 0 or (size == prod(base) and strides == contiguous_strides(shape)):
        return None
    parts = decompose(base, shape, strides, offset)
    if parts is None:
        return None
    natural = sorted({s for n, s in zip(base, contiguous_strides(base), strict=True) if n > 1})
    blocks: list[int] = []
    starts: list[int] = []
    sizes: list[int] = []
    steps: list[int] = []
    inner = prod(parts.blocks)
    axes = zip(parts.blocks, parts.starts, parts.sizes, parts.steps, strict=True)
    for length, start, count, step in axes:
        inner //= length
        for stride in reversed(natural):
            cut = stride // inner
            within = start % cut if cut else 0
            if (
                stride % inner == 0
                and 1 < cut < length
                and length % cut == 0
                and within + (count - 1) * step < cut
            ):
                blocks.append(length // cut)
                starts.append(start // cut)
                sizes.append(1)
                steps.append(1)
                length, start = cut, within
        blocks.append(length)
        starts.append(start)
        sizes.append(count)
        steps.append(step)
    return Region(
        base, shape, tuple(blocks), tuple(starts), tuple(sizes), tuple(steps), parts.order,
        parts.kept,
    )  # fmt: skip


def _falling(part: Region) -> Shape:
    """The extents of the view's real axes by falling stride."""
    real = [part.shape[i] for i in part.kept]
    return tuple([real[i] for i in inverse_order(part.order)])


class _Moved:
    """A region with its moving axes merged into one: the rest of it is a plain slice.

    outer   starts, sizes and steps in the base as blocks; the axes from the first moving one to
            the last are whole.
    merged  the shape after that slice, with those axes as one.
    index   the places along it: the axes before and after as they are, the others of the region.
    """

    def __init__(self, part: Region, starts: Sequence[Node]) -> None:
        moving = [axis for axis, start in enumerate(part.starts) if start is None]
        first, last = moving[0], moving[-1] + 1
        given = iter(starts)
        axes = range(len(part.blocks))
        inside = [first <= i < last for i in axes]
        known = [start or 0 for start in part.starts]
        self.axis = first
        self.starts = [0 if inside[i] else known[i] for i in axes]
        self.sizes = [part.blocks[i] if inside[i] else part.sizes[i] for i in axes]
        self.steps = [1 if inside[i] else part.steps[i] for i in axes]
        length = prod(part.blocks[first:last])
        self.merged = (*part.sizes[:first], length, *part.sizes[last:])
        self.index = full(0, part.sizes, dt.int64)
        stride = length
        for i in range(first, last):
            stride //= part.blocks[i]
            steps = iota(part.sizes[i])
            start = constant(known[i], dt.int64)
            if part.starts[i] is None:
                start = ew.cast(next(given), dt.int64)
            place = ew.mul(steps, ew.full_like(steps, part.steps[i]))
            place = ew.add(place, broadcast(start, place.shape, ()))
            place = ew.mul(place, ew.full_like(place, stride))
            self.index = ew.add(self.index, broadcast(place, part.sizes, (i,)))


def _arguments(given: Sequence[Node | Region]) -> tuple[list[Node], Region]:
    return cast(list[Node], list(given[:-1])), cast(Region, given[-1])


def view_at(base: Node, *given: Node | Region) -> Node:
    """What a region shows of the base: ``given`` are the starts that it leaves open, then it."""
    starts, part = _arguments(given)
    moved = _Moved(part, starts)
    sliced = slice_(reshape(base, part.blocks), moved.starts, moved.sizes, moved.steps)
    found = gather(reshape(sliced, moved.merged), moved.index, moved.axis)
    core = permute(reshape(found, _falling(part)), part.order)
    return with_unit_axes(core, part.shape, part.kept)


def write_view_at(base: Node, value: Node, *given: Node | Region) -> Node:
    """The base with ``value`` in a region, of which ``given`` are the open starts, then itself."""
    starts, part = _arguments(given)
    moved = _Moved(part, starts)
    core = reshape(value, [part.shape[i] for i in part.kept])
    updates = reshape(permute(core, inverse_order(part.order)), part.sizes)
    target = reshape(base, part.blocks)
    sliced = slice_(target, moved.starts, moved.sizes, moved.steps)
    written = scatter(reshape(sliced, moved.merged), moved.index, updates, "set", moved.axis)
    whole = write(target, reshape(written, sliced.shape), moved.starts, moved.steps)
    return reshape(whole, base.shape)


def place_at(value: Node, *given: Node | Region) -> Node:
    """The adjoint of ``view_at``: zeros of the base's shape with ``value`` in the region.

    Each element asks whether it is inside, so that whatever reads the result computes it on the
    way: a scatter would be a kernel, and memory, of its own.
    """
    starts, part = _arguments(given)
    repeated = [i for i, n in enumerate(part.shape) if n != 1 and i not in part.kept]
    core = reshape(sum_(value, repeated), [part.shape[i] for i in part.kept])
    x = reshape(permute(core, inverse_order(part.order)), part.sizes)
    open_starts = iter(starts)
    masks: list[tuple[int, Node]] = []
    for axis, (length, known) in enumerate(zip(part.blocks, part.starts, strict=True)):
        if known is not None:
            continue
        start = ew.cast(next(open_starts), dt.int64)
        size, step = part.sizes[axis], part.steps[axis]
        place = ew.sub(iota(length), broadcast(start, (length,), ()))
        if size == 1:
            masks.append((axis, ew.eq(place, ew.full_like(place, 0))))
            spread = reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :]))
            others = [i for i in range(len(x.shape)) if i != axis]
            x = broadcast(spread, (*x.shape[:axis], length, *x.shape[axis + 1 :]), others)
            continue
        end = ew.full_like(place, (size - 1) * step)
        inside = ew.and_(ew.ge(place, ew.full_like(place, 0)), ew.le(place, end))
        if step > 1:
            width = ew.full_like(place, step)
            remains = ew.remainder(place, width)
            inside = ew.and_(inside, ew.eq(remains, ew.full_like(place, 0)))
            place = ew.floor_divide(place, width)
        masks.append((axis, inside))
        last = ew.full_like(place, size - 1)
        index = ew.minimum(ew.maximum(place, ew.full_like(place, 0)), last)
        shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
        x = gather(x, broadcast(index, shape, (axis,)), axis)
    for axis, mask in masks:
        x = ew.where(broadcast(mask, x.shape, (axis,)), x, ew.full_like(x, 0))
    first = [start or 0 for start in part.starts]
    steps = [1 if s is None else t for s, t in zip(part.starts, part.steps, strict=True)]
    return reshape(pad_to(x, part.blocks, first, steps), part.base)
