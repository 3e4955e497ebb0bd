"""Matrices on typed nodes, for bodies and gradient rules: the last two axes are rows and columns,
those before them a batch. And the checks that operations on matrices share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.graph.differentiate import cotangents
from codegen.graph.inline import inline_plain
from codegen.ir.node import Node, Shape, substitute
from codegen.ops import elementwise as ew
from codegen.ops.calls import call
from codegen.ops.host import host_call
from codegen.ops.indexing import gather
from codegen.ops.leaves import iota, parameter
from codegen.ops.movement import permute, reshape, slice_
from codegen.ops.reduction import broadcast, full
from lazytorch.core import broadcast_to
from lazytorch.expression import Attributes, Function
from lazytorch.functions.arguments import not_implemented, require_tensor
from lazytorch.functions.contraction import contract
from lazytorch.functions.creation import diag_embed_node
from lazytorch.functions.promotion import broadcast_shapes
from lazytorch.functions.registration import SAME, operation
from lazytorch.levels import is_unknown
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name

Nodes = Sequence["Node | None"]
Rule = Callable[..., Nodes]


class LinAlgError(RuntimeError):
    """A matrix whose values do not allow what was asked: singular, not positive-definite."""


# ---- on nodes ---------------------------------------------------------------------------------


def call_all(function: Function, inputs: Sequence[Node], attributes: Attributes = ()) -> list[Node]:
    """Every output of a function as call nodes, for a gradient that is differentiable."""
    template = function.signature(tuple([i.type for i in inputs]), attributes).template
    return [call(template, inputs, i) for i in range(len(template.outputs))]


def t(x: Node) -> Node:
    """Rows for columns."""
    rank = len(x.shape)
    return permute(x, (*range(rank - 2), rank - 1, rank - 2))


def mm(a: Node, b: Node) -> Node:
    """The products of two batches of matrices of one shape of batch."""
    batch = tuple(range(len(a.shape) - 2))
    return contract(a, b, (*batch, "m", "k"), (*batch, "k", "n"), (*batch, "m", "n"))


def _places(x: Node) -> tuple[Node, Node]:
    """The number of each element's row, and of its column."""
    rank = len(x.shape)
    return tuple([broadcast(iota(x.shape[a]), x.shape, (a,)) for a in (rank - 2, rank - 1)])  # type: ignore[return-value]


def lower(x: Node, below: int = 0, diagonal: float = 1) -> Node:
    """The triangle from ``below`` diagonals below the main one on down, 0 elsewhere; what is on
    the main diagonal times a number."""
    rows, columns = _places(x)
    kept = ew.le(ew.add(columns, ew.full_like(columns, below)), rows)
    found = ew.where(kept, x, ew.full_like(x, 0))
    return found if diagonal == 1 else scale_diagonal(found, diagonal)


def upper(x: Node, above: int = 0, diagonal: float = 1) -> Node:
    """As ``lower``, of the other triangle."""
    return t(lower(t(x), above, diagonal))


def scale_diagonal(x: Node, by: float) -> Node:
    rows, columns = _places(x)
    return ew.where(ew.eq(rows, columns), ew.mul(x, ew.full_like(x, by)), x)


def with_diagonal(x: Node, value: Node) -> Node:
    """The matrix with another diagonal."""
    rows, columns = _places(x)
    return ew.where(ew.eq(rows, columns), value, x)


def identity(shape: Shape, dtype: dt.DType) -> Node:
    """Ones on the diagonals of a batch of matrices."""
    return with_diagonal(full(0, shape, dtype), full(1, shape, dtype))


def diagonal(x: Node) -> Node:
    """The main diagonals, as the last axis."""
    *batch, m, n = x.shape
    k = min(m, n)
    if not k:
        return full(0, (*batch, 0), x.dtype)
    flat = reshape(x, (prod(batch), m * n))
    found = slice_(flat, (0, 0), (flat.shape[0], k), (1, n + 1))
    return reshape(found, (*batch, k))


def diagonal_matrix(x: Node) -> Node:
    """The last axis on the diagonals of square matrices."""
    return diag_embed_node(x, 0, len(x.shape) - 1, len(x.shape))


def each_column(x: Node, like: Node) -> Node:
    """A vector's elements, one a column, in the shape of a matrix."""
    rank = len(like.shape)
    return broadcast(x, like.shape, (*range(rank - 2), rank - 1))


def each_row(x: Node, like: Node) -> Node:
    """A vector's elements, one a row, in the shape of a matrix."""
    rank = len(like.shape)
    return broadcast(x, like.shape, (*range(rank - 2), rank - 2))


def each_matrix(x: Node, like: Node) -> Node:
    """A number a matrix in the shape of the matrices."""
    return broadcast(x, like.shape, range(len(like.shape) - 2))


def columns(x: Node, start: int, stop: int) -> Node:
    """Some of the columns."""
    rank, count = len(x.shape), stop - start
    return slice_(x, (*[0] * (rank - 1), start), (*x.shape[:-1], count), (1,) * rank)


def rows(x: Node, start: int, stop: int) -> Node:
    """Some of the rows."""
    return t(columns(t(x), start, stop))


def sum_of(*parts: Node | None) -> Node | None:
    """The sum of those that are there."""
    total: Node | None = None
    for part in parts:
        if part is not None:
            total = part if total is None else ew.add(total, part)
    return total


def same_batch(*matrices: Node) -> list[Node]:
    """Matrices, each repeated along the batch of all of them."""
    batch = broadcast_shapes(*[x.shape[:-2] for x in matrices])
    return [broadcast_to(x, (*batch, *x.shape[-2:])) for x in matrices]


def take_rows(x: Node, order: Node) -> Node:
    """Row order[i] of each matrix as its i-th; order: (*batch, rows)."""
    *batch, m, n = x.shape
    count = prod(batch)
    first = ew.mul(iota(count), full(m, (count,), dt.int64))
    flat = reshape(order, (count, order.shape[-1]))
    places = ew.add(flat, broadcast(first, flat.shape, (0,)))
    spread = broadcast(places, (*places.shape, n), (0, 1))
    if not spread.type.size:
        return full(0, (*batch, order.shape[-1], n), x.dtype)
    return reshape(gather(reshape(x, (count * m, n)), spread), (*batch, order.shape[-1], n))


def factored_order(pivots: Node, count: int) -> Node:
    """The order that exchanging rows gives: A[order] = L U."""
    return host_call([pivots], "permutation", count, False)[0]


def original_order(pivots: Node, count: int) -> Node:
    """What undoes ``factored_order``: A = (L U)[order]."""
    return host_call([pivots], "permutation", count, True)[0]


def derivative_of(composition: Callable[..., Sequence[Node]]) -> Rule:
    """The gradient rule of a function that computes, faster, what a composition does.

    The composition may use functions that have rules of their own.
    """

    def rule(
        inputs: Sequence[Node], _outputs: Sequence[Node], given: Nodes, *attributes: Any
    ) -> Nodes:
        # Over parameters of its own, for an input may be computed from another.
        inner = [parameter(-1 - i, x.type) for i, x in enumerate(inputs)]
        made = composition(*inner, *attributes)
        known = [(r, g) for r, g in zip(made, given, strict=False) if g is not None]
        seeds = [parameter(-1 - len(inner) - i, g.type) for i, (_, g) in enumerate(known)]
        wanted = [x for x in inner if x.dtype.differentiable]
        roots = inline_plain([r for r, _ in known])
        found = cotangents(roots, seeds, {}, wanted)
        values = dict(zip([*inner, *seeds], [*inputs, *[g for _, g in known]], strict=True))
        parts = dict(zip(wanted, substitute(found, values), strict=True))
        return [parts.get(x) for x in inner]

    return rule


# ---- checks -----------------------------------------------------------------------------------

# torch.linalg.NAME, with out= of the result's type, or of any that it can be converted to.
linalg = operation(function=False, method=False, out=SAME)
converting_linalg = operation(function=False, method=False, out=True)


def need_matrix(name: str, x: Any, argument: str = "A", call_name: str | None = None) -> None:
    """Refuse what is no tensor, or has fewer than two dimensions."""
    require_tensor(call_name or name.replace(".", "_"), x, argument)
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor {argument} must have at least 2 dimensions."
        )  # fmt: skip


def need_square(name: str, x: Any, argument: str = "A") -> None:
    """Refuse matrices that are not square."""
    need_matrix(name, x, argument)
    m, n = x._type.shape[-2:]
    if m != n:
        raise RuntimeError(
            f"{name}: {argument} must be batches of square matrices, but they are {m} by {n} "
            "matrices"
        )


def need_float(name: str, x: Tensor, kernel: str | None = None) -> None:
    """Refuse element types that LAPACK does not have."""
    if not x.dtype.differentiable:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{type_name(x.dtype)}"
        )
    need_lapack(x, kernel or name.replace(".", "_") + "_cpu")


def need_lapack(x: Tensor, kernel: str) -> None:
    """Refuse all but float32 and float64."""
    if x.dtype not in (dt.float32, dt.float64):
        raise not_implemented(kernel, x.dtype)


def need_same_type(name: str, a: Tensor, b: Tensor, names: tuple[str, str] = ("A", "B")) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected {names[0]} and {names[1]} to have the same dtype, but found "
            f"{names[0]} of type {type_name(a.dtype)} and {names[1]} of type {type_name(b.dtype)} "
            "instead"
        )


def need_solvable(name: str, a: Shape, b: Shape, left: bool) -> None:
    """Refuse a system whose sides do not fit."""
    if (a[-2] != b[-2]) if left else (a[-1] != b[-1]):
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({a[-2]}x{a[-1]} and {b[-2]}x{b[-1]})"
        )


def check_info(
    name: str, info: Tensor, message: Callable[[int], str],
    error: type[RuntimeError] = LinAlgError,
) -> None:  # fmt: skip
    """Raise of the first matrix that could not be dealt with.

    What PyTorch raises because of values, users catch around the call: so this computes the
    matrices now. The functions called ``…_ex`` leave it to their caller to look. Under vmap nothing
    can be looked at: what failed is NaN.
    """
    if not info.numel() or is_unknown(info._read()):
        return
    found = np.ascontiguousarray(info.detach()._array()).reshape(-1)
    wrong = np.flatnonzero(found)
    if wrong.size:
        batch = f"(Batch element {wrong[0]}): " if info.ndim else ""
        raise error(f"{name}: {batch}{message(int(found[wrong[0]]))}")
