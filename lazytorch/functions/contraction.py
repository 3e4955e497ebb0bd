"""The one form of every product that is summed: labelled axes in, a sum over a product out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.movement import permute, reshape
from codegen.ops.reduction import broadcast, sum_
from lazytorch.functions.bodies import widen

Labels = Sequence[Hashable]


def contract(
    a: Node,
    b: Node,
    a_axes: Labels,
    b_axes: Labels,
    out_axes: Labels,
    computed_axes: Labels | None = None,
) -> Node:
    """The sum over every label that ``out_axes`` lacks of ``a`` times ``b``, as in einsum.

    Both operands are brought to one shape, that of the output with the summed axes behind, by
    movement alone, which is the form the compiler runs as a matrix product. Half-width floats are
    multiplied and summed in float32. ``computed_axes`` is the order in which the output is
    computed, where that should be another than its own.

    contract(x, w, "nk", "ok", "no")  is  x @ w.T
    """
    dtype = a.dtype
    a, a_axes = _sum_alone(widen(a), a_axes, {*b_axes, *out_axes})
    b, b_axes = _sum_alone(widen(b), b_axes, {*a_axes, *out_axes})
    size = {**dict(zip(a_axes, a.shape, strict=True)), **dict(zip(b_axes, b.shape, strict=True))}
    inner = [name for name in a_axes if name not in out_axes]
    # Axes of extent 1 are left out: they would only keep what follows from joining the kernel.
    real = [name for name in (computed_axes or out_axes) if size[name] != 1]
    order = [*real, *inner]
    shape = tuple([size[name] for name in order])

    def spread(x: Node, axes: Labels) -> Node:
        kept = [name for name in axes if name in order]
        own = [name for name in order if name in axes]
        core = reshape(x, [size[name] for name in kept])
        arranged = permute(core, [kept.index(name) for name in own])
        return broadcast(arranged, shape, [order.index(name) for name in own])

    product = ew.mul(spread(a, a_axes), spread(b, b_axes))
    total = sum_(product, tuple(range(len(real), len(order))))
    wanted = [name for name in out_axes if name in real]
    result = permute(total, [real.index(name) for name in wanted])
    return ew.cast(reshape(result, [size[name] for name in out_axes]), dtype)


def _sum_alone(x: Node, axes: Labels, wanted: set[Hashable]) -> tuple[Node, Labels]:
    """Sum over the labels that nothing else has."""
    alone = [i for i, label in enumerate(axes) if label not in wanted]
    return sum_(x, alone), [label for label in axes if label in wanted]
