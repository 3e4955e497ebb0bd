"""Sums and softmax of sparse tensors: over the entries, which are all that is not zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from codegen import dtype as dt
from lazytorch.dtypes import as_dtype
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.reductions import reduced_axes
from lazytorch.functions.scatter import scatter_reduce
from lazytorch.functions.softmax import log_softmax as dense_log_softmax
from lazytorch.functions.softmax import softmax as dense_softmax
from lazytorch.sparse.entries import (
    ROW_SUMS,
    TAKE_ROWS,
    coalesced,
    compress,
    grouped,
    integers,
    keys_of,
    sums_of_groups,
    take_columns,
    to_coo,
)
from lazytorch.sparse.tensors import CompressedTensor, CooTensor, SparseTensor, coo, layout_name
from lazytorch.tensor import Tensor, wrap_dim


def sum_of(x: SparseTensor, axes: Sequence[int], keepdim: bool, dtype: Any) -> Tensor:
    """The sum over dimensions: dense over all the sparse ones, else sparse (and then the places
    are computed)."""
    if dtype is None and x.dtype.kind != "float":
        dtype = dt.int64
    if len(axes) == x.ndim:
        total = x._entries.sum(dtype=dtype)
        return total.reshape((1,) * x.ndim) if keepdim else total  # type: ignore[no-any-return]
    kind = type(x) if isinstance(x, CompressedTensor) else None
    plain = coalesced(to_coo(x)) if all(a >= x.sparse_dim() for a in axes) else to_coo(x)
    sparse = plain.sparse_dim()
    entries = plain._entries
    inner = [a - sparse + 1 for a in axes if a >= sparse]
    if inner or dtype is not None:
        entries = entries.sum(inner, dtype=dtype) if inner else entries.to(dtype)
    rest = [d for d in range(sparse) if d not in axes]
    shape = [n for d, n in enumerate(plain._type.shape) if d not in axes]
    if len(rest) == sparse:
        made = coo(plain._places, entries, shape, plain._is_coalesced, "Sum")
    elif not rest:
        made = entries.sum(0)
    else:
        groups = grouped(keys_of(plain, rest))
        places = apply_one(TAKE_ROWS, (plain._places, integers(rest, plain._places)))
        made = coo(take_columns(places, groups.first), sums_of_groups(entries, groups), shape,
                   True, "Sum")  # fmt: skip
    if keepdim:
        for a in sorted(axes):
            made = made.unsqueeze(a)
    return compress(made, kind) if kind and isinstance(made, CooTensor) and keepdim else made


def sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:
    """The sum of a COO tensor: of all elements (0-d), or over ``dim`` (sparse, or dense if no
    sparse dimension is left). A gradient comes back as a sparse tensor.

    >>> torch.sparse.sum(torch.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (3,)))
    tensor(3.)
    """
    x = need_coo(input, "coalesce")
    axes = reduced_axes(dim, x.ndim)
    return sum_of(x, axes, False, None if dtype is None else as_dtype(dtype))


def need_coo(x: Any, name: str) -> CooTensor:
    """The tensor, which has to be COO."""
    if not isinstance(x, CooTensor):
        raise RuntimeError(
            f"{name} expected sparse coordinate tensor layout but got {layout_name(x)}"
        )
    return x


def _normalized(input: Tensor, dim: int, dtype: Any, logarithm: bool) -> Tensor:
    name = "log_softmax" if logarithm else "softmax"
    if not isinstance(input, CooTensor):
        raise NotImplementedError(f"torch.sparse.{name} is for COO tensors")
    x = coalesced(input)
    if dtype is not None:
        x = x.to(as_dtype(dtype))
    axis = wrap_dim(dim, x.ndim)
    sparse = x.sparse_dim()
    made_by = "SparseLogSoftmax" if logarithm else "SparseSoftmax"
    if axis >= sparse:
        dense = dense_log_softmax if logarithm else dense_softmax
        return x._with(dense(x._entries, axis - sparse + 1), made_by)
    rest = [d for d in range(sparse) if d != axis]
    if not x._nnz():
        return x._with(x._entries, made_by)
    groups = grouped(keys_of(x, rest))
    numbers = _in_given_order(groups.order, groups.numbers)
    entries = x._entries
    flat = entries.reshape(entries.shape[0], -1)
    spread = numbers.unsqueeze(1).expand(flat.shape)
    low = flat.detach().new_full((groups.size, flat.shape[1]), -math.inf)
    highest = scatter_reduce(low, 0, spread, flat.detach(), "amax")
    shifted = flat - apply_one(TAKE_ROWS, (highest, numbers))
    weights = shifted.exp()
    total = apply_one(ROW_SUMS, (weights, numbers), (groups.size,))
    if logarithm:
        made = shifted - apply_one(TAKE_ROWS, (total.log(), numbers))
    else:
        made = weights / apply_one(TAKE_ROWS, (total, numbers))
    return x._with(made.reshape(entries.shape), made_by)


def _in_given_order(order: Tensor | None, numbers: Tensor) -> Tensor:
    """Each entry's group, by entry."""
    if order is None:
        return numbers
    back = order._array().argsort(kind="stable")
    return integers(numbers._array()[back], numbers)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) over the entries along a dimension; what is not there counts as
    minus infinity.

    >>> torch.sparse.softmax(torch.sparse_coo_tensor([[0, 1]], [1.0, 1.0], (3,)), 0).to_dense()
    tensor([0.5000, 0.5000, 0.0000])
    """
    return _normalized(input, dim, dtype, False)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of ``softmax``."""
    return _normalized(input, dim, dtype, True)
