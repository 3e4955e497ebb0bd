"""Derivatives of products by multiplications alone, which hold where factors are zero.

The gradients of prod and cumprod divide by the factors, which is fast, but says nothing of how
the gradient changes at a zero. These formulas are polynomials in the factors, so they may be
differentiated any number of times. A dual number is a pair: a value, and its derivative along one
direction of the factors.
"""

from __future__ import annotations

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.leaves import constant
from codegen.ops.movement import inverse_order, pad_to, permute, reshape, slice_

Dual = tuple[Node, Node]


def _times(a: Dual, b: Dual) -> Dual:
    return ew.mul(a[0], b[0]), ew.add(ew.mul(a[0], b[1]), ew.mul(a[1], b[0]))


def _shifted(x: Node, axis: int, by: int, fill: float) -> Node:
    """Each element ``by`` places further along an axis, or back; ``fill`` where none comes."""
    extent = x.shape[axis]
    if abs(by) >= extent:
        return ew.full_like(x, fill)
    first, sizes, nothing = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    first[axis], sizes[axis] = max(-by, 0), extent - abs(by)
    kept = slice_(x, first, sizes, nothing)
    first[axis] = max(by, 0)
    return pad_to(kept, x.shape, first, nothing, constant(fill, x.dtype))


def _moved(x: Dual, axis: int, by: int, fill: float) -> Dual:
    return _shifted(x[0], axis, by, fill), _shifted(x[1], axis, by, 0)


# ---- of whole groups ------------------------------------------------------------------------


def change_of_others(x: Node, direction: Node, axes: tuple[int, ...]) -> Node:
    """For each element the product of all others of its group over ``axes``, and how that changes
    as the elements change along ``direction``: the change."""
    kept = [i for i in range(len(x.shape)) if i not in axes]
    order = [*kept, *axes]
    rows = [x.shape[i] for i in kept]
    count = 1
    for axis in axes:
        count *= x.shape[axis]

    def flat(value: Node) -> Node:
        return reshape(permute(value, order), [*rows, count])

    found = _others((flat(x), flat(direction)))[1]
    return permute(reshape(found, [x.shape[i] for i in order]), inverse_order(order))


def _others(x: Dual) -> Dual:
    """Of each element of a row, the product of the others: of pairs first, then within these."""
    *rows, count = x[0].shape
    if count < 2:
        return ew.full_like(x[0], 1), ew.full_like(x[1], 0)
    even = count + count % 2
    padded = (
        pad_to(part, (*rows, even), [0] * (len(rows) + 1), [1] * (len(rows) + 1),
               constant(fill, part.dtype))
        for part, fill in zip(x, (1, 0), strict=True)
    )  # fmt: skip
    whole: Dual = (next(padded), next(padded))

    def half(first: int) -> Dual:
        starts, sizes = [0] * len(rows) + [first], [*rows, even // 2]
        steps = [1] * len(rows) + [2]
        return slice_(whole[0], starts, sizes, steps), slice_(whole[1], starts, sizes, steps)

    left, right = half(0), half(1)
    others = _others(_times(left, right))
    parts = _times(others, right), _times(others, left)
    made = []
    for a, b in zip(*parts, strict=True):
        spread = [
            pad_to(p, (*rows, even), [0] * len(rows) + [first], [1] * len(rows) + [2])
            for first, p in enumerate((a, b))
        ]
        joined = ew.add(*spread)
        made.append(slice_(joined, [0] * len(joined.shape), (*rows, count), [1] * len(x[0].shape)))
    return made[0], made[1]


# ---- running ----------------------------------------------------------------------------------


def _running(x: Dual, axis: int) -> Dual:
    """Products of the elements up to each, over ever longer stretches."""
    length = 1
    while length < x[0].shape[axis]:
        x = _times(x, _moved(x, axis, length, 1))
        length *= 2
    return x


def change_of_running(x: Node, direction: Node, axis: int) -> Node:
    """How the running product changes as its factors change along ``direction``."""
    return _running((x, direction), axis)[1]


def change_of_running_gradient(x: Node, g: Node, direction: Node, axis: int) -> Node:
    """How the gradient of the running product, for cotangents ``g``, changes as its factors do:
    that is of what comes before each factor, times the sum of g times what comes after it."""
    factors = x, direction
    before = _moved(_running(factors, axis), axis, 1, 1)
    total: Dual = g, ew.full_like(g, 0)
    after = _moved(factors, axis, -1, 1)
    length = 1
    while length < x.shape[axis]:
        more = _times(after, _moved(total, axis, -length, 0))
        total = ew.add(total[0], more[0]), ew.add(total[1], more[1])
        after = _times(after, _moved(after, axis, -length, 1))
        length *= 2
    return _times(before, total)[1]
