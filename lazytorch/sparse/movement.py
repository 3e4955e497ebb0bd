"""Dimensions and parts of sparse tensors: what moves places and leaves the values alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.joining import cat, stack
from lazytorch.functions.promotion import promote_types
from lazytorch.sparse.entries import (
    TAKE_ROWS,
    chosen_entries,
    coalesced,
    compress,
    integers,
    to_coo,
    to_dense,
)
from lazytorch.sparse.tensors import (
    CompressedTensor,
    CooTensor,
    CscTensor,
    CsrTensor,
    SparseTensor,
    compressed,
    coo,
    not_available,
)
from lazytorch.tensor import Tensor, wrap_dim


def permute(x: SparseTensor, *dims: Any) -> SparseTensor:
    """The dimensions in another order; sparse ones stay sparse."""
    order = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    order = [wrap_dim(d, x.ndim) for d in order]
    if len(order) != x.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {x.ndim} is not "
            f"equal to len(dims) = {len(order)}"
        )
    if sorted(order) != list(range(x.ndim)):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    shape = [x._type.shape[d] for d in order]
    sparse = x.sparse_dim()
    if any(d >= sparse for d in order[:sparse]):
        raise RuntimeError("permute(): cannot mix sparse and dense dimensions")
    inner = [d - sparse + 1 for d in order[sparse:]]
    entries = x._entries
    if inner != sorted(inner):
        entries = entries.permute(0, *inner)
    if isinstance(x, CompressedTensor):
        if order[:2] == [0, 1]:
            return x._with(entries)
        other = CscTensor if isinstance(x, CsrTensor) else CsrTensor
        return compressed(other, x._starts, x._plain, entries, shape, "Transpose")
    assert isinstance(x, CooTensor)
    if order[:sparse] == list(range(sparse)):
        return coo(x._places, entries, shape, x._is_coalesced, "Permute")
    places = apply_one(TAKE_ROWS, (x._places, integers(order[:sparse], x._places)))
    return coo(places, entries, shape, x._nnz() < 2, "Permute")


def transpose(x: SparseTensor, dim0: int, dim1: int) -> SparseTensor:
    """Two dimensions exchanged."""
    a, b = wrap_dim(dim0, x.ndim), wrap_dim(dim1, x.ndim)
    if (a < x.sparse_dim()) != (b < x.sparse_dim()):
        raise RuntimeError(f"transpose(): can't transpose sparse and dense dimensions {a}, {b}")
    order = list(range(x.ndim))
    order[a], order[b] = order[b], order[a]
    return permute(x, order)


def t(x: SparseTensor) -> SparseTensor:
    """The transposed matrix: of rows, one by columns."""
    if x.ndim > 2 or x.dense_dim():
        raise RuntimeError(
            f"t() expects a tensor with <= 2 sparse and 0 dense dimensions, but got "
            f"{x.sparse_dim()} sparse and {x.dense_dim()} dense dimensions"
        )
    return transpose(x, 0, 1) if x.ndim == 2 else x


def unsqueeze(x: SparseTensor, dim: int) -> SparseTensor:
    """A dimension of extent 1 more."""
    axis = wrap_dim(dim, x.ndim + 1)
    x = to_coo(x)
    shape = (*x._type.shape[:axis], 1, *x._type.shape[axis:])
    sparse = x.sparse_dim()
    if axis > sparse:
        return coo(x._places, x._entries.unsqueeze(axis - sparse + 1), shape, x._is_coalesced)
    row = x._places[:1] * 0 if sparse else integers(np.zeros((1, x._nnz())), x._places)
    places = cat([x._places[:axis], row, x._places[axis:]])
    return coo(places, x._entries, shape, x._is_coalesced, "Unsqueeze")


def joined(parts: Sequence[Any], axis: int) -> SparseTensor:
    """The tensors one after another along a dimension."""
    if not all(isinstance(p, CooTensor) for p in parts):
        if all(isinstance(p, CompressedTensor) for p in parts):
            made = joined([to_coo(p) for p in parts], axis)
            return compress(coalesced(to_coo(made)), type(parts[0]))  # type: ignore[no-any-return]
        wrong = next(i for i, p in enumerate(parts) if not isinstance(p, CooTensor))
        raise RuntimeError(
            f"Concatenating sparse tensors, but a dense tensor was found at position {wrong}."
        )
    first = parts[0]
    sparse = first.sparse_dim()
    if any(p.sparse_dim() != sparse for p in parts):
        raise RuntimeError("All tensors must have the same number of sparse dimensions")
    dtype, total, places = first.dtype, 0, []
    for p in parts[1:]:
        dtype = promote_types(dtype, p.dtype)
    entries = [p._entries.to(dtype) for p in parts]
    for n, p in enumerate(parts):
        moved = p._places
        if axis < sparse:
            if total:
                offsets = np.zeros((sparse, 1), np.int64)
                offsets[axis] = total
                moved = moved + integers(offsets, moved)
        else:
            size = entries[n].shape[1:]
            before, after = list(size), list(size)
            inner = axis - sparse
            extent = sum(q._type.shape[axis] for q in parts)
            before[inner], after[inner] = total, extent - total - size[inner]
            blocks = [entries[n].new_zeros((p._nnz(), *before)), entries[n],
                      entries[n].new_zeros((p._nnz(), *after))]  # fmt: skip
            entries[n] = cat(blocks, inner + 1)
        places.append(moved)
        total += p._type.shape[axis]
    shape = list(first._type.shape)
    shape[axis] = total
    return coo(cat(places, 1), cat(entries), shape, False, "Cat")


def select(x: SparseTensor, dim: int, index: int) -> Tensor:
    """The part at one place of a dimension; computes the places. Of the last sparse dimension,
    dense."""
    if not x.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = wrap_dim(dim, x.ndim)
    extent = x._type.shape[axis]
    if not -extent <= index < extent:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(x.shape)} at dimension "
            f"{axis}"
        )
    index = int(index) % extent
    x = to_coo(x)
    sparse = x.sparse_dim()
    shape = (*x._type.shape[:axis], *x._type.shape[axis + 1 :])
    if axis >= sparse:
        entries = x._entries.select(axis - sparse + 1, index)
        return coo(x._places, entries, shape, x._is_coalesced, "Select")
    found = np.flatnonzero(x._places._array()[axis] == index)
    part = chosen_entries(x, integers(found, x._places))
    if sparse == 1:
        return part._entries.sum(0)  # type: ignore[no-any-return]
    rest = [d for d in range(sparse) if d != axis]
    places = apply_one(TAKE_ROWS, (part._places, integers(rest, x._places)))
    return coo(places, part._entries, shape, x._is_coalesced, "Select")


def index_select(x: SparseTensor, dim: int, index: Tensor) -> SparseTensor:
    """The listed places of a dimension, in their order; computes the places."""
    axis = wrap_dim(dim, x.ndim)
    if index.ndim != 1:
        raise IndexError(
            f"index_select() argument index must be 1-D tensor, but got {index.ndim}-D"
        )
    if index.dtype not in (dt.int64, dt.int32):
        raise RuntimeError("index_select(): Expected dtype int32/int64 for index")
    x = to_coo(x)
    sparse = x.sparse_dim()
    extent = x._type.shape[axis]
    shape = list(x._type.shape)
    shape[axis] = index.numel()
    if axis >= sparse:
        entries = x._entries.index_select(axis - sparse + 1, index)
        return coo(x._places, entries, shape, x._is_coalesced, "IndexSelect")
    wanted = index._array().astype(np.int64)
    if wanted.size and not (wanted.min() >= -extent and wanted.max() < extent):
        raise IndexError("index_select(): index out of range")
    wanted = np.where(wanted < 0, wanted + extent, wanted)
    own = x._places._array()[axis]
    order = np.argsort(own, kind="stable")
    starts = np.searchsorted(own[order], wanted, "left")
    lengths = np.searchsorted(own[order], wanted, "right") - starts
    begins = np.cumsum(lengths) - lengths
    within = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
    chosen = order[np.repeat(starts, lengths) + within]
    made = chosen_entries(x, integers(chosen, x._places), False)
    rows = [made._places[d] for d in range(sparse)]
    rows[axis] = integers(np.repeat(np.arange(len(wanted)), lengths), x._places)
    return coo(stack(rows), made._entries, shape, False, "IndexSelect")


def narrow_copy(x: SparseTensor, dim: int, start: int, length: int) -> SparseTensor:
    """A stretch of a dimension; computes the places."""
    axis = wrap_dim(dim, x.ndim)
    extent = x._type.shape[axis]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    start = start + extent if start < 0 else start
    if start < 0 or start + length > extent:
        raise RuntimeError(
            f"Invalid range to narrow. range(start, start+length) must be a subset of range(0, "
            f"{extent})."
        )
    x = to_coo(x)
    sparse = x.sparse_dim()
    shape = list(x._type.shape)
    shape[axis] = length
    if axis >= sparse:
        entries = x._entries.narrow(axis - sparse + 1, start, length).clone()
        return coo(x._places.clone(), entries, shape, x._is_coalesced, "NarrowCopy")
    own = x._places._array()[axis]
    found = np.flatnonzero((own >= start) & (own < start + length))
    made = chosen_entries(x, integers(found, x._places))
    offsets = np.zeros((sparse, 1), np.int64)
    offsets[axis] = start
    places = made._places - integers(offsets, x._places)
    return coo(places, made._entries, shape, x._is_coalesced, "NarrowCopy")


def getitem(x: SparseTensor, index: Any) -> Tensor:
    """x[i], x[:, j], x[..., None]: numbers, whole slices, None and an ellipsis."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [p for p in parts if not isinstance(p, Tensor)]:
        place = next(i for i, p in enumerate(parts) if p is Ellipsis)
        rest = x.ndim - sum(p is not None and p is not Ellipsis for p in parts)
        parts[place : place + 1] = [slice(None)] * rest
    if sum(p is not None for p in parts) > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    made: Any = x
    axis = 0
    for p in parts:
        if p is None:
            made = unsqueeze(made, axis) if isinstance(made, SparseTensor) else made.unsqueeze(axis)
            axis += 1
        elif isinstance(p, (int, np.integer)) and not isinstance(p, bool):
            made = made.select(axis, int(p))
        elif isinstance(p, slice) and p == slice(None):
            axis += 1
        else:
            name = "as_strided" if isinstance(p, slice) else "index.Tensor"
            raise NotImplementedError(not_available(name, x))
    return made.detach() if made is x else made


def as_dense(x: SparseTensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """The dense tensor that it stands for."""
    return to_dense(x, dtype)
