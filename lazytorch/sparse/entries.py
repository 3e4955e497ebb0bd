"""Entries and their places: coalescing, and the ways between the layouts.

A *key* is the number of a place in the flattened sparse dimensions. How many distinct keys there
are decides a shape, so what needs that computes the places; the values stay lazy.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops import reduction as rd
from codegen.ops.indexing import gather, scatter
from codegen.ops.leaves import iota
from codegen.ops.movement import reshape, slice_
from codegen.ops.sort import insertion_places
from lazytorch.expression import Function
from lazytorch.functions.bodies import accumulation_type, apply_one
from lazytorch.functions.creation import zeros
from lazytorch.functions.data import of_array
from lazytorch.functions.joining import stack
from lazytorch.sparse.tensors import (
    CompressedTensor,
    CooTensor,
    CscTensor,
    CsrTensor,
    SparseTensor,
    compressed,
    coo,
    without_repetitions,
)
from lazytorch.tensor import Tensor

# ---- bodies -------------------------------------------------------------------------------------


def along_rows(index: Node, columns: Shape) -> Node:
    """A row's number for each of its elements."""
    index = ew.cast(index, dt.int64)
    return rd.broadcast(index, (*index.shape, *columns), tuple(range(len(index.shape))))


def take_rows(x: Node, index: Node) -> Node:
    """x[index]: (rows, *columns) at (n,) -> (n, *columns)."""
    return gather(x, along_rows(index, x.shape[1:]))


def add_rows(base: Node, index: Node, updates: Node) -> Node:
    """``base`` with the updates added to its rows, in their order."""
    wide = accumulation_type(base.dtype) if base.dtype is not dt.bool_ else dt.int64
    base_, updates = ew.cast(base, wide), ew.cast(updates, wide)
    made = scatter(base_, along_rows(index, base.shape[1:]), updates, "add")
    if base.dtype is dt.bool_:
        return ew.ne(made, ew.full_like(made, 0))
    return ew.cast(made, base.dtype)


def _row_sums(entries: Node, numbers: Node, count: int) -> Node:
    return add_rows(rd.full(0, (count, *entries.shape[1:]), entries.dtype), numbers, entries)


def _keys(places: Node, shape: Shape) -> Node:
    """(dimensions, n) places in ``shape`` -> (n,) places of it flattened."""
    n = places.shape[1]
    total = rd.full(0, (n,), dt.int64)
    for d, extent in enumerate(shape):
        row = reshape(slice_(places, (d, 0), (1, n), (1, 1)), (n,))
        total = ew.add(ew.mul(total, ew.full_like(total, extent)), ew.cast(row, dt.int64))
    return total


def _to_dense(entries: Node, keys: Node, shape: Shape, dtype: Any) -> Node:
    inner = entries.shape[1:]
    flat = prod(shape[: len(shape) - len(inner)])
    return reshape(_row_sums(ew.cast(entries, dtype or entries.dtype), keys, flat), shape)


def _entries_at(x: Node, keys: Node, sparse: int) -> Node:
    inner = x.shape[sparse:]
    return take_rows(reshape(x, (prod(x.shape[:sparse]), *inner)), keys)


def _add_to_dense(x: Node, entries: Node, keys: Node, scale: Node) -> Node:
    inner = entries.shape[1:]
    flat = reshape(x, (x.type.size // max(prod(inner), 1) if x.type.size else
                       prod(x.shape[: len(x.shape) - len(inner)]), *inner))  # fmt: skip
    entries = ew.cast(entries, x.dtype)
    factor = rd.broadcast(ew.cast(scale, x.dtype), entries.shape, ())
    return reshape(add_rows(flat, keys, ew.mul(entries, factor)), x.shape)


def _row_numbers(starts: Node, count: int) -> Node:
    starts = ew.cast(starts, dt.int64)
    places = insertion_places(starts, iota(count), True)
    return ew.sub(places, ew.full_like(places, 1))


def _row_starts(numbers: Node, rows: int, dtype: dt.DType) -> Node:
    """Where each row begins among sorted row numbers, and the end."""
    return ew.cast(insertion_places(ew.cast(numbers, dt.int64), iota(rows + 1), False), dtype)


KEYS = Function("sparse_keys", _keys)
ROW_SUMS = Function("sparse_row_sums", _row_sums)
TAKE_ROWS = Function("sparse_take_rows", take_rows)
TO_DENSE = Function("sparse_to_dense", _to_dense, gradient_name="ToDenseBackward0")
ENTRIES_AT = Function("sparse_entries_at", _entries_at)
ADD_TO_DENSE = Function("sparse_add_to_dense", _add_to_dense, gradient_name="AddBackward0")
ROW_NUMBERS = Function("sparse_row_numbers", _row_numbers)
ROW_STARTS = Function("sparse_row_starts", _row_starts)

# ---- keys and groups ----------------------------------------------------------------------------


def sparse_shape(x: CooTensor) -> tuple[int, ...]:
    return x._type.shape[: x.sparse_dim()]


def keys_of(x: SparseTensor, dims: Sequence[int] | None = None) -> Tensor:
    """The keys of the entries, of all sparse dimensions or some: int64 (entries,)."""
    if isinstance(x, CompressedTensor):
        rows, columns = rows_and_columns(x)
        shape = x._type.shape
        return rows * shape[1] + columns
    shape, places = sparse_shape(x), x._places  # type: ignore[arg-type]
    if dims is not None:
        shape = tuple([shape[d] for d in dims])
        places = apply_one(TAKE_ROWS, (places, integers(dims, places)))
    return apply_one(KEYS, (places.detach(),), (shape,))


def integers(values: Any, like: Tensor) -> Tensor:
    """An int64 vector on the device of another tensor."""
    return of_array(np.asarray(values, np.int64), dt.int64, like._storage.device)


class Groups(NamedTuple):
    """Entries of equal keys. order: sorted places of the entries, or None where they stand in
    order; numbers: each entry's group, in that order; first: an entry of each group; size: the
    number of groups."""

    order: Tensor | None
    numbers: Tensor
    first: Tensor
    size: int


def grouped(keys: Tensor) -> Groups:
    """The entries by key, in the order of the keys; computes these."""
    known = keys._array()
    order = np.argsort(known, kind="stable")
    in_order = known[order]
    begins = np.ones(len(known), np.bool_)
    np.not_equal(in_order[1:], in_order[:-1], out=begins[1:])
    moved = bool((order[1:] < order[:-1]).any())
    return Groups(
        integers(order, keys) if moved else None,
        integers(np.cumsum(begins) - 1, keys),
        integers(order[begins], keys),
        int(begins.sum()),
    )


def sums_of_groups(entries: Tensor, groups: Groups) -> Tensor:
    """The sum of the entries of each group."""
    if groups.order is not None:
        entries = apply_one(TAKE_ROWS, (entries, groups.order))
    if groups.size == entries._type.shape[0]:
        return entries
    return apply_one(ROW_SUMS, (entries, groups.numbers), (groups.size,))


def take_columns(places: Tensor, chosen: Tensor) -> Tensor:
    """places[:, chosen]."""
    return places.index_select(1, chosen)  # type: ignore[no-any-return]


def chosen_entries(x: CooTensor, chosen: Tensor, coalesced: bool | None = None) -> CooTensor:
    """Some of the entries, by number."""
    entries = apply_one(TAKE_ROWS, (x._entries, chosen))
    keep = x._is_coalesced if coalesced is None else coalesced
    return coo(take_columns(x._places, chosen), entries, x._type.shape, keep)


def coalesced(x: CooTensor) -> CooTensor:
    """Each place once, in order; itself where that is known."""
    if x._is_coalesced:
        return x
    if x._nnz() < 2:
        return coo(x._places, x._entries, x._type.shape, True, "Coalesce")
    groups = grouped(keys_of(x))
    places = take_columns(x._places, groups.first)
    return coo(places, sums_of_groups(x._entries, groups), x._type.shape, True, "Coalesce")


def in_order(x: CooTensor) -> bool:
    """Whether the places are in order and none repeats, known or not; computes them."""
    if x._is_coalesced or x._nnz() < 2:
        return True
    keys = keys_of(x)._array()
    return bool((keys[1:] > keys[:-1]).all())


def _first_of_each(x: CooTensor) -> CooTensor:
    """The first entry of each place, in the order of the places; itself where none repeats."""
    if x._nnz() < 2:
        return x
    groups = grouped(keys_of(x))
    return x if groups.size == x._nnz() else chosen_entries(x, groups.first, True)


without_repetitions.append(_first_of_each)

# ---- between the layouts ------------------------------------------------------------------------


def rows_and_columns(x: CompressedTensor) -> tuple[Tensor, Tensor]:
    """The row and the column of each entry: int64 (entries,)."""
    if x._numbers is None:
        x._numbers = apply_one(ROW_NUMBERS, (x._starts.detach(),), (x._nnz(),))
    own, plain = x._numbers, x._plain.detach().long()
    return (own, plain) if isinstance(x, CsrTensor) else (plain, own)


def to_dense(x: SparseTensor, dtype: Any = None) -> Tensor:
    """The dense tensor that it stands for."""
    return apply_one(TO_DENSE, (x._entries, keys_of(x)), (x._type.shape, dtype))


def to_coo(x: SparseTensor) -> CooTensor:
    """As COO; of columns, in the order of the rows."""
    if isinstance(x, CooTensor):
        return x
    assert isinstance(x, CompressedTensor)
    made = coo(_stacked(rows_and_columns(x)), x._entries, x._type.shape, isinstance(x, CsrTensor),
               "ToSparse")  # fmt: skip
    return coalesced(made)


def _stacked(rows: Sequence[Tensor]) -> Tensor:
    return stack(list(rows))


def compress(x: CooTensor, kind: type[CompressedTensor], dtype: dt.DType = dt.int64) -> Any:
    """A matrix (with dense dimensions perhaps) by rows or by columns."""
    if x.sparse_dim() != 2:
        raise RuntimeError(
            f"to_sparse_{kind._layout.name[-3:]}: only matrices with two sparse dimensions can be "
            f"compressed here, got {x.sparse_dim()} sparse dimensions"
        )
    x = coalesced(x)
    shape = x._type.shape
    entries = x._entries
    rows, columns = x._places[0], x._places[1]
    if kind is CscTensor:
        if x._nnz():
            groups = grouped(columns * shape[0] + rows)
            chosen = groups.first
            rows, columns = rows[chosen], columns[chosen]
            entries = apply_one(TAKE_ROWS, (entries, chosen))
        rows, columns = columns, rows
    extent = shape[0] if kind is CsrTensor else shape[1]
    starts = apply_one(ROW_STARTS, (rows,), (extent, dtype))
    return compressed(kind, starts, columns.to(dtype), entries, shape, "ToSparse")


def from_dense(x: Tensor, sparse: int) -> CooTensor:
    """The places of a dense tensor where something is not zero; computes them."""
    shape = x._type.shape
    plain = x.detach()
    known = plain._float_array() != 0
    if sparse < len(shape):
        known = known.any(tuple(range(sparse, len(shape))))
    found = np.stack(np.nonzero(known)) if sparse else np.zeros((0, int(known.any())), np.int64)
    places = of_array(found, dt.int64, x._storage.device)
    keys = apply_one(KEYS, (places,), (shape[:sparse],))
    entries = apply_one(ENTRIES_AT, (x, keys), (sparse,))
    return coo(places, entries, shape, True, "ToSparse")


def masked_by(x: Tensor, mask: SparseTensor) -> SparseTensor:
    """The values of a dense tensor at the places of a sparse one."""
    sparse = mask.sparse_dim()
    entries = apply_one(ENTRIES_AT, (x, keys_of(mask)), (sparse,))
    return mask.detach()._with(entries, "SparseMask")


def aligned(x: SparseTensor, mask: CooTensor) -> Tensor:
    """The values of a sparse tensor at the places of another; zero where it has none."""
    x = coalesced(to_coo(x))
    wanted, own = keys_of(mask), keys_of(x)
    if not x._nnz():
        shape = mask._entries._type.shape
        return zeros(shape, dtype=x.dtype, device=x.device)
    return apply_one(ALIGNED, (x._entries, own, wanted))


def _aligned(entries: Node, own: Node, wanted: Node) -> Node:
    place = insertion_places(own, wanted, False)
    place = ew.minimum(place, ew.full_like(place, own.shape[0] - 1))
    found = ew.eq(gather(own, place), wanted)
    values = take_rows(entries, place)
    spread = rd.broadcast(found, values.shape, (0,))
    return ew.where(spread, values, ew.full_like(values, 0))


ALIGNED = Function("sparse_aligned", _aligned)
