"""What sliding windows give back to the elements that they show: the transpose of ``windows``.

Every element collects from the windows that it lies in. Where the windows move by more than one
step, elements that lie alike in them (a phase) see the same taps, so each phase is a sum of a few
shifted tensors, and the phases are written in turn into every ``stride``-th place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from math import prod

from codegen.dtype import DType
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.indexing import empty, write
from codegen.ops.leaves import iota
from codegen.ops.movement import permute, reshape, unskew
from codegen.ops.reduction import broadcast, full, sum_
from lazytorch.functions.bodies import Sizes, pad_axes
from lazytorch.functions.convolution import Window

# One kernel computes so many terms; with more of them it is slow to compile.
_MOST_TERMS = 32
_MOST_PHASES = 16

# What a tap adds: told the tap along each axis, and how to move and cut a tensor of windows such
# that its elements stand at the places of a phase (0 where there is no window).
Term = Callable[[Sizes, Callable[[Node], Node]], Node]


def is_short(window: Window) -> bool:
    """Whether ``collected`` takes few enough terms."""
    return prod(window.kernel) <= _MOST_TERMS and prod(window.stride) <= _MOST_PHASES


def collected(
    term: Term, shape: Sizes, dtype: DType, window: Window,
    finish: Callable[[Node], Node] | None = None,
) -> Node:  # fmt: skip
    """The tensor of ``shape``, windows along its last axes, in which each element is the sum of
    what the taps at which windows show it give; ``finish`` is done to every sum."""
    first = len(shape) - len(window.sizes)
    phases = list(
        product(*[range(min(s, n)) for s, n in zip(window.stride, window.sizes, strict=True)])
    )
    result = empty(shape, dtype)
    for phase in phases:
        value = _phase(term, shape[:first], dtype, phase, window)
        value = finish(value) if finish is not None else value
        result = write(result, value, (0,) * first + phase, (1,) * first + window.stride)
    return result


def _phase(term: Term, before: Sizes, dtype: DType, phase: Sizes, window: Window) -> Node:
    """The elements at ``phase + stride * m``: each is tap ``tap`` of the window ``m + shift``."""
    axes = list(zip(window.sizes, phase, window.stride, strict=True))
    counts = tuple([-(-(n - p) // s) for n, p, s in axes])
    seen: list[list[tuple[int, int]]] = []
    for i, (_, p, s) in enumerate(axes):
        places = [p + window.low[i] - window.dilation[i] * t for t in range(window.kernel[i])]
        seen.append([
            (tap, place // s) for tap, place in enumerate(places)
            if place % s == 0 and -counts[i] < place // s < window.outputs[i]
        ])  # fmt: skip
    total: Node | None = None
    for combination in product(*seen):
        taps = tuple([tap for tap, _ in combination])
        move = partial(_moved, counts=counts, shifts=tuple([shift for _, shift in combination]))
        value = term(taps, move)
        total = value if total is None else ew.add(total, value)
    return full(0, (*before, *counts), dtype) if total is None else total


def _moved(x: Node, counts: Sizes, shifts: Sizes) -> Node:
    """Elements ``m + shift`` of the last axes, for ``m`` up to ``count``; 0 outside."""
    first = len(x.shape) - len(counts)
    high = [c + s - n for c, s, n in zip(counts, shifts, x.shape[first:], strict=True)]
    return pad_axes(x, first, [-s for s in shifts], high)


def collected_sum(g: Node, window: Window, finish: Callable[[Node], Node] | None = None) -> Node:
    """Each element's sum over the windows that show it; ``g`` has a value for each window."""
    rank = len(window.sizes)
    first = len(g.shape) - rank
    if is_short(window):
        shape = (*g.shape[:first], *window.sizes)
        return collected(lambda _tap, move: move(g), shape, g.dtype, window, finish)
    for i in reversed(range(rank)):
        rest = g.shape[first + i + 1 :]
        one, none = (1,) * len(rest), (0,) * len(rest)
        line = Window(
            (window.stride[i], *one), (window.low[i], *none), (window.high[i], *none),
            (window.dilation[i], *one), 1, (window.sizes[i], *rest), (window.kernel[i], *one),
        )  # fmt: skip
        if is_short(line):
            shape = (*g.shape[: first + i], *line.sizes)
            g = collected(lambda _tap, move, g=g: move(g), shape, g.dtype, line)  # type: ignore
        elif are_apart(line):
            g = spread_out(g, line)
        else:
            spread = broadcast(g, (*g.shape, *line.kernel), tuple(range(len(g.shape))))
            g = folded(spread, first + i, line)
    return g if finish is None else finish(g)


def are_apart(window: Window) -> bool:
    """Whether no element is in two windows."""
    return all(
        s >= k and d == 1
        for s, k, d in zip(window.stride, window.kernel, window.dilation, strict=True)
    )


def spread_out(x: Node, window: Window, chosen: Node | None = None) -> Node:
    """Each element's value of the one window that shows it, where windows lie apart: 0 where none
    does, or where ``chosen``, a tap for each window, is another than its own."""
    first = len(x.shape) - len(window.sizes)
    shape = list(x.shape[:first])
    axes = list(range(first))
    for n, s in zip(x.shape[first:], window.stride, strict=True):
        axes.append(len(shape))
        shape += [n, s]
    own: Node | None = None
    for i, k in enumerate(window.kernel):
        place = broadcast(iota(window.stride[i]), shape, (first + 2 * i + 1,))
        outside = ew.ge(place, ew.full_like(place, k))
        far = ew.full_like(place, -(1 << 40))
        place = ew.where(outside, far, place)
        own = place if own is None else ew.add(ew.mul(own, ew.full_like(own, k)), place)
    assert own is not None
    spread = broadcast(x, shape, axes)
    if chosen is not None:
        taken = ew.eq(own, broadcast(chosen, shape, axes))
    elif window.stride != window.kernel:
        taken = ew.ge(own, ew.full_like(own, 0))
    else:
        taken = None
    given = spread if taken is None else ew.where(taken, spread, ew.full_like(spread, 0))
    lengths = [n * s for n, s in zip(x.shape[first:], window.stride, strict=True)]
    flat = reshape(given, (*x.shape[:first], *lengths))
    return pad_axes(
        flat, first, [-p for p in window.low],
        [n + p - length for n, p, length in zip(window.sizes, window.low, lengths, strict=True)],
    )  # fmt: skip


def folded(shares: Node, first: int, window: Window) -> Node:
    """The transpose of ``windows``: each place's sum over the windows that show it, of a share for
    each tap (the last axes). Each tap is asked for its part in each place: slow, but short."""
    rank = len(window.sizes)
    padded = [a + n + b for a, n, b in zip(window.low, window.sizes, window.high, strict=True)]
    for i in reversed(range(rank)):
        # The kernel axis of this dimension is last; those after it were moved to the front.
        shares = unskew(shares, first + i, padded[i], window.stride[i], window.dilation[i])
        last = len(shares.shape) - 1
        order = [*range(first + rank), last, *range(first + rank, last)]
        shares = permute(shares, order)
    total = sum_(shares, tuple(range(first + rank, len(shares.shape))))
    return pad_axes(total, first, [-p for p in window.low], [-p for p in window.high])
