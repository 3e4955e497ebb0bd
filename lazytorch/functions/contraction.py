"""The one form of every product that is summed: labelled axes in, a sum over a product out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import prod

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import complex_numbers as cn
from codegen.ops import elementwise as ew
from codegen.ops.indexing import empty, write
from codegen.ops.movement import permute, reshape
from codegen.ops.reduction import broadcast, sum_
from lazytorch.defaults import defaults
from lazytorch.expression import Function
from lazytorch.functions.bodies import call_function, widen

Labels = Sequence[Hashable]
# Fewer products than this are multiplied exactly, whatever the precision that is asked for.
_WORTH_ROUNDING = 1 << 12


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
    multiplied and summed in float32; operands of float32 are rounded to bfloat16 before, where the
    user allows it. ``computed_axes`` is the order in which the output is computed, where that
    should be another than its own.

    contract(x, w, "nk", "ok", "no")  is  x @ w.T
    """
    if a.dtype.is_complex and b.dtype.is_complex:
        for x, y, x_axes, y_axes in ((a, b, a_axes, b_axes), (b, a, b_axes, a_axes)):
            if _is_matrix_of_columns(x, x_axes, y_axes, out_axes):
                return _contract_complex(x, y, x_axes, y_axes, out_axes, computed_axes)
    dtype = a.dtype
    a, a_axes = _sum_alone(widen(a), a_axes, {*b_axes, *out_axes})
    b, b_axes = _sum_alone(widen(b), b_axes, {*a_axes, *out_axes})
    size = {**dict(zip(a_axes, a.shape, strict=True)), **dict(zip(b_axes, b.shape, strict=True))}
    inner = [name for name in a_axes if name not in out_axes]
    rounds = dtype is dt.float32 and defaults.bfloat16_products and _is_large(a_axes, b_axes, size)
    if rounds:
        a, b = call_function(ROUND_OPERAND, (a,)), call_function(ROUND_OPERAND, (b,))
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
    if rounds:
        total = call_function(ROUND_GRADIENT, (total,))
    wanted = [name for name in out_axes if name in real]
    result = permute(total, [real.index(name) for name in wanted])
    return ew.cast(reshape(result, [size[name] for name in out_axes]), dtype)


# Fewer rows than this are not worth another matrix of twice the size.
_ROWS = 8
_PART, _RESULT = "part of an operand", "part of the result"


def _is_matrix_of_columns(a: Node, a_axes: Labels, b_axes: Labels, out_axes: Labels) -> bool:
    """Whether it is a product of matrices whose results lie in rows, along b's columns."""
    sizes = zip(a_axes, a.shape, strict=True)
    rows = [size for name, size in sizes if name in out_axes and name not in b_axes]
    has_columns = len(out_axes) and out_axes[-1] in b_axes and out_axes[-1] not in a_axes
    shared = [name in a_axes for name in b_axes if name not in out_axes]
    alone = [name for name in a_axes if name not in out_axes and name not in b_axes]
    return bool(has_columns and prod(rows) >= _ROWS and shared and all(shared) and not alone)


def _contract_complex(
    a: Node, b: Node, a_axes: Labels, b_axes: Labels, out_axes: Labels,
    computed_axes: Labels | None,
) -> Node:  # fmt: skip
    """One product of real numbers: of b is made the matrix [[re, im], [-im, re]] of each element,
    so that a and the result are read and written as they lie, in pairs."""
    inner_last = b_axes[-1] not in out_axes
    # One of the two new axes is b's last, in pairs; the other goes before the last axes of b that
    # are of its kind, so that both the summed axes and the columns are neighbours in memory.
    place = len(b_axes)
    while place and (b_axes[place - 1] not in out_axes) == inner_last:
        place -= 1
    re, im = cn.parts(b)
    rows = ((re, ew.neg(im)), (im, re)) if inner_last else ((re, im), (ew.neg(im), re))
    matrix = empty((*b.shape[:place], 2, *b.shape[place:], 2), re.dtype)
    unit = [1] * len(matrix.shape)
    for i, row in enumerate(rows):
        for j, part in enumerate(row):
            starts = [0] * len(unit)
            starts[place], starts[-1] = i, j
            value = reshape(part, (*b.shape[:place], 1, *b.shape[place:], 1))
            matrix = write(matrix, value, starts, unit)
    before, last = (_RESULT, _PART) if inner_last else (_PART, _RESULT)
    labels = (*b_axes[:place], before, *b_axes[place:], last)
    computed = None if computed_axes is None else (*computed_axes, _RESULT)
    found = contract(
        cn.as_real(a), matrix, (*a_axes, _PART), labels, (*out_axes, _RESULT), computed
    )
    return cn.as_complex(found)


def _sum_alone(x: Node, axes: Labels, wanted: set[Hashable]) -> tuple[Node, Labels]:
    """Sum over the labels that nothing else has."""
    alone = [i for i, label in enumerate(axes) if label not in wanted]
    return sum_(x, alone), [label for label in axes if label in wanted]


def _is_large(a_axes: Labels, b_axes: Labels, size: Mapping[Hashable, int]) -> bool:
    """Whether it is a product of matrices, and worth rounding for."""
    rows = prod([size[name] for name in a_axes if name not in b_axes])
    columns = prod([size[name] for name in b_axes if name not in a_axes])
    return min(rows, columns) > 1 and prod(size.values()) > _WORTH_ROUNDING


# Operands and cotangents are rounded where they are multiplied; what is made of them is not.
ROUND_OPERAND = Function(
    "round_operand", lambda x: ew.cast(ew.cast(x, dt.bfloat16), x.dtype), lambda _i, _o, g: g
)
ROUND_GRADIENT = Function(
    "round_gradient",
    lambda x: x,
    lambda _i, _o, g: [None if g[0] is None else call_function(ROUND_OPERAND, (g[0],))],
)
