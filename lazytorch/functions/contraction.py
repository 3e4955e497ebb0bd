"""The one form of every product that is summed: labelled axes in, a sum over a product out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.movement import permute
from codegen.ops.reduction import broadcast, sum_
from lazytorch.functions.bodies import widen

Labels = Sequence[Hashable]


def contract(a: Node, b: Node, a_axes: Labels, b_axes: Labels, out_axes: Labels) -> Node:
    """The sum over every label that ``out_axes`` lacks of ``a`` times ``b``, as in einsum.

    Both operands are brought to one shape (batch, rows of a, columns of b, inner) by movement
    alone, which is the form the compiler runs as a matrix product. Half-width floats are
    multiplied and summed in float32.

    contract(x, w, "nk", "ok", "no")  is  x @ w.T
    """
    dtype = a.dtype
    a, a_axes = _sum_alone(widen(a), a_axes, {*b_axes, *out_axes})
    b, b_axes = _sum_alone(widen(b), b_axes, {*a_axes, *out_axes})
    size = {**dict(zip(a_axes, a.shape, strict=True)), **dict(zip(b_axes, b.shape, strict=True))}
    both = [name for name in out_axes if name in a_axes and name in b_axes]
    rows = [name for name in out_axes if name in a_axes and name not in b_axes]
    columns = [name for name in out_axes if name in b_axes and name not in a_axes]
    inner = [name for name in a_axes if name not in out_axes]
    order = [*both, *rows, *columns, *inner]
    shape = tuple([size[name] for name in order])
    outer = len(order) - len(inner)

    def spread(x: Node, axes: Labels) -> Node:
        own = [name for name in order if name in axes]
        arranged = permute(x, [list(axes).index(name) for name in own])
        return broadcast(arranged, shape, [order.index(name) for name in own])

    product = ew.mul(spread(a, a_axes), spread(b, b_axes))
    total = sum_(product, tuple(range(outer, len(order))))
    result = permute(total, [order.index(name) for name in out_axes])
    return ew.cast(result, dtype)


def _sum_alone(x: Node, axes: Labels, wanted: set[Hashable]) -> tuple[Node, Labels]:
    """Sum over the labels that nothing else has."""
    alone = [i for i, label in enumerate(axes) if label not in wanted]
    return sum_(x, alone), [label for label in axes if label in wanted]
