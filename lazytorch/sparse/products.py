"""Products with a sparse factor: entry by entry, a row of the dense factor each.

sum over entries k of row i: value[k] * dense[column[k], :]. Nothing of the size of the dense form
of a sparse factor is made, nor a row for each entry: one kernel goes through the entries and adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops import reduction as rd
from lazytorch.expression import Function
from lazytorch.functions.bodies import accumulation_type, apply_one
from lazytorch.sparse.entries import (
    TAKE_ROWS,
    add_rows,
    coalesced,
    compress,
    grouped,
    integers,
    rows_and_columns,
    sums_of_groups,
    take_rows,
    to_coo,
    to_dense,
)
from lazytorch.sparse.tensors import (
    CompressedTensor,
    CooTensor,
    CsrTensor,
    SparseTensor,
    coo,
)
from lazytorch.tensor import Tensor
from lazytorch.type_names import c_name


def _product(entries: Node, rows: Node, columns: Node, dense: Node, count: int) -> Node:
    wide = accumulation_type(entries.dtype)
    width = dense.shape[1:]
    taken = ew.cast(take_rows(dense, columns), wide)
    scaled = ew.mul(rd.broadcast(ew.cast(entries, wide), (*entries.shape, *width), (0,)), taken)
    total = add_rows(rd.full(0, (count, *width), wide), rows, scaled)
    return ew.cast(total, entries.dtype)


def _sampled(a: Node, b: Node, rows: Node, columns: Node) -> Node:
    """(a @ b)[row, column] of each place, without the rest of the product; ``b`` by columns."""
    wide = accumulation_type(a.dtype)
    pairs = ew.mul(ew.cast(take_rows(a, rows), wide), ew.cast(take_rows(b, columns), wide))
    return ew.cast(rd.sum_(pairs, (1,)), a.dtype)


PRODUCT = Function("sparse_mm", _product, gradient_name="SparseAddmmBackward0")
SAMPLED = Function("sparse_sampled_mm", _sampled)


def _check(a: Tensor, b: Tensor) -> None:
    if a.ndim != 2 or b.ndim not in (1, 2):
        raise RuntimeError(
            f"mat1 must be a matrix, got {a.ndim}-D tensor and mat2 a {b.ndim}-D tensor"
        )
    if a.shape[1] != b.shape[0]:
        inner = b.shape[1] if b.ndim == 2 else 1
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and "
            f"{b.shape[0]}x{inner})"
        )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {c_name(a.dtype)} != "
            f"{c_name(b.dtype)}"
        )


def _matrix(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The values, rows and columns of the entries of a sparse matrix."""
    if isinstance(x, CompressedTensor):
        return (x._entries, *rows_and_columns(x))
    assert isinstance(x, CooTensor)
    if x.sparse_dim() != 2:
        x = to_dense(x).to_sparse(2)  # a dense dimension is as good as a sparse one
    return x._entries, x._places[0], x._places[1]


def product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b of two matrices, or a matrix and a vector, of which one at least is sparse.

    Sparse times dense is dense; sparse times sparse is sparse."""
    _check(a, b)
    if not isinstance(a, SparseTensor):
        if b.ndim == 2:
            return product(b.t(), a.t()).t()  # type: ignore[no-any-return]
        raise NotImplementedError("a dense matrix times a sparse vector is not supported")
    if isinstance(b, SparseTensor):
        return _sparse_product(a, b)
    entries, rows, columns = _matrix(a)
    return apply_one(PRODUCT, (entries, rows, columns, b), (a.shape[0],))


def _sparse_product(a: SparseTensor, b: Tensor) -> Tensor:
    """Every pair of entries (i, k), (k, j), added up by (i, j); computes the places."""
    if b.ndim != 2:
        b = b.to_dense()
        return product(a, b).to_sparse()  # type: ignore[no-any-return]
    left, right = coalesced(to_coo(a)), coalesced(to_coo(b))  # type: ignore[arg-type]
    rows, inner = left._places._array()
    other_inner, columns = right._places._array()
    starts = np.searchsorted(other_inner, np.arange(b.shape[0] + 1))
    lengths = starts[inner + 1] - starts[inner] if inner.size else np.zeros(0, np.int64)
    of_left = np.repeat(np.arange(len(inner)), lengths)
    begins = np.cumsum(lengths) - lengths
    of_right = np.arange(len(of_left)) - np.repeat(begins, lengths) + np.repeat(
        starts[inner] if inner.size else lengths, lengths
    )  # fmt: skip
    keys = rows[of_left] * b.shape[1] + columns[of_right]
    x = apply_one(TAKE_ROWS, (left._entries, integers(of_left, left._places)))
    y = apply_one(TAKE_ROWS, (right._entries, integers(of_right, right._places)))
    groups = grouped(integers(keys, left._places))
    order = groups.first._array()
    places = np.stack(np.divmod(keys[order], max(b.shape[1], 1)))
    made = coo(
        integers(places, left._places), sums_of_groups(x * y, groups), (a.shape[0], b.shape[1]),
        True, "SparseSparseMatmul",
    )  # fmt: skip
    if isinstance(a, CompressedTensor) and isinstance(b, CompressedTensor):
        return compress(made, CsrTensor, a._starts.dtype)  # type: ignore[no-any-return]
    return made


def batched(a: Tensor, b: Tensor) -> Tensor:
    """a @ b of batches of matrices, of which the first is sparse: one product of all matrices."""
    if not isinstance(a, CooTensor) or isinstance(b, SparseTensor) or a.sparse_dim() != 3:
        raise NotImplementedError("bmm of these layouts is not supported")
    if b.ndim != 3 or a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{a.shape[0]}, {a.shape[2]}] but got: [{b.shape[0]}, {b.shape[1]}]."
        )
    count, m, k = a.shape
    batch, rows, columns = a._places[0], a._places[1], a._places[2]
    flat = b.reshape(count * k, b.shape[2])
    inputs = (a._entries, batch * m + rows, batch * k + columns, flat)
    made: Tensor = apply_one(PRODUCT, inputs, (count * m,)).reshape(count, m, b.shape[2])
    return made


def scaled_sum(value: Tensor, made: Tensor, scales: Sequence[Any]) -> Tensor:
    """beta * value + alpha * made; a beta of 0 ignores the value."""
    beta, alpha = scales or (1, 1)
    if alpha != 1:
        made = made * alpha
    if beta == 0:
        return made.expand(made.shape)  # type: ignore[no-any-return]
    value = value if beta == 1 else value * beta
    if isinstance(value, SparseTensor) and not isinstance(made, SparseTensor):
        return made + value
    return value + made


def sampled(
    mask: CompressedTensor, a: Tensor, b: Tensor, beta: Any = 1, alpha: Any = 1
) -> SparseTensor:
    """beta * mask + alpha * (a @ b) at the places of the mask."""
    if a.shape[0] != mask.shape[0] or b.shape[1] != mask.shape[1] or a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"sampled_addmm: shapes {list(mask.shape)}, {list(a.shape)} and {list(b.shape)} do not "
            "fit"
        )
    rows, columns = rows_and_columns(mask)
    found = apply_one(SAMPLED, (a, b.t(), rows, columns))
    found = found if alpha == 1 else found * alpha
    if beta != 0:
        found = found + (mask._entries if beta == 1 else mask._entries * beta)
    return mask._with(found, "SparseSampledAddmm")


__all__ = ["batched", "product", "sampled", "scaled_sum"]
