"""torch.sparse_coo_tensor, torch.sparse_csr_tensor and the like: sparse tensors of parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from lazytorch.functions.creation import zeros
from lazytorch.functions.data import as_tensor, tensor
from lazytorch.functions.registration import operation
from lazytorch.layout import Layout, sparse_coo, sparse_csc, sparse_csr
from lazytorch.sparse import invariants
from lazytorch.sparse.tensors import (
    CompressedTensor,
    CooTensor,
    CscTensor,
    CsrTensor,
    SparseTensor,
    compressed,
    coo,
)
from lazytorch.tensor import Tensor

Shape = Sequence[int]

_KINDS: dict[Layout, type[CompressedTensor]] = {sparse_csr: CsrTensor, sparse_csc: CscTensor}


def _values(values: Any, dtype: Any, device: Any) -> Tensor:
    """A tensor as it is; of anything else a copy."""
    make = as_tensor if isinstance(values, Tensor) else tensor
    return make(values, dtype=dtype, device=device)


def _finished(
    made: SparseTensor, requires_grad: bool, check_invariants: bool | None
) -> SparseTensor:
    invariants.check(made, check_invariants)
    return made.detach().requires_grad_() if requires_grad else made


@operation(method=False)
def sparse_coo_tensor(
    indices: Any, values: Any = None, size: Any = None, *, dtype: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> SparseTensor:  # fmt: skip
    """A COO tensor: values (n, *dense) at ``indices`` (sparse dimensions, n); those of one place
    add up. Of a size alone: without entries. Without a size, the smallest that fits.

    >>> torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
    """
    if values is None:
        return empty(tuple(indices), dtype, device, requires_grad)
    entries = _values(values, dtype, device)
    places = _values(indices, None, entries.device)
    if places.ndim != 2:
        raise RuntimeError(
            f"indices must be sparse_dim x nnz, but got: {list(places.shape)}"
            if places.numel() or size is None
            else f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)},"
            " sparse_dim = 0, dense_dim = 0"
        )
    # Places are kept as they were: later writes to the given ones are not seen.
    places = places.detach().to(dt.int64)
    if not entries.ndim:
        entries = entries.reshape(1).expand(places.shape[1])
    sparse, n = places.shape
    dense = entries.ndim - 1
    if entries.shape[0] != n:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {n}, nnz from "
            f"values: {entries.shape[0]}"
        )
    if size is None:
        known = places._array()
        if known.size and known.min() < 0:
            d = int(np.argmax((known < 0).any(1)))
            raise RuntimeError(f"found negative index {known[d].min()} for dim {d}")
        extents = known.max(1) + 1 if n else np.zeros(sparse, np.int64)
        shape = (*[int(e) for e in extents], *entries.shape[1:])
    else:
        shape = tuple([int(e) for e in size])
        if len(shape) != sparse + dense:
            raise RuntimeError(
                f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(shape)},"
                f" sparse_dim = {sparse}, dense_dim = {dense}"
            )
        if shape[sparse:] != tuple(entries.shape[1:]):
            raise RuntimeError(
                f"values has incorrect size, expected {[n, *shape[sparse:]]}, got "
                f"{list(entries.shape)}"
            )
    return _finished(
        coo(places, entries, shape, bool(is_coalesced)), requires_grad, check_invariants
    )


def empty(
    shape: Shape, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    dense: int = 0,
) -> CooTensor:  # fmt: skip
    """A COO tensor without entries."""
    shape = tuple([int(n) for n in shape])
    sparse = len(shape) - dense
    places = zeros((sparse, 0), dtype=dt.int64, device=device)
    entries = zeros((0, *shape[sparse:]), dtype=dtype, device=device)
    made = coo(places, entries, shape, True)
    if requires_grad:
        made.requires_grad_()
    return made


def _compressed(
    name: str, kind: type[CompressedTensor], starts: Any, plain: Any, values: Any, size: Any,
    options: dict[str, Any],
) -> SparseTensor:  # fmt: skip
    options.pop("pin_memory", None)
    requires_grad = options.pop("requires_grad", False)
    check_invariants = options.pop("check_invariants", None)
    dtype, device = options.pop("dtype", None), options.pop("device", None)
    if options:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(options))}'")
    if values is None:
        raise TypeError(f'{name}() missing 1 required positional argument: "values"')
    entries = _values(values, dtype, device)
    starts, plain = [_values(x, None, entries.device).detach() for x in (starts, plain)]
    wide = dt.int32 if starts.dtype is dt.int32 and plain.dtype is dt.int32 else dt.int64
    starts, plain = starts.to(wide), plain.to(wide)
    if starts.ndim != 1 or plain.ndim != 1:
        raise NotImplementedError(
            f"{name}: batches of compressed matrices are not supported, got compressed indices of "
            f"shape {list(starts.shape)}"
        )
    if size is None:
        across = int(plain._array().max()) + 1 if plain.numel() else 0
        both = (starts.numel() - 1, across)
        shape = (*(both if kind is CsrTensor else both[::-1]), *entries.shape[1:])
    else:
        shape = tuple([int(n) for n in size])
        if len(shape) != 2 + entries.ndim - 1:
            raise RuntimeError(
                f"{name}: expected a size of {1 + entries.ndim} dimensions, got {list(shape)}"
            )
    made = compressed(kind, starts, plain, entries, shape)
    return _finished(made, requires_grad, check_invariants)


@operation(method=False)
def sparse_csr_tensor(
    crow_indices: Any, col_indices: Any = None, values: Any = None, size: Any = None,
    **options: Any,
) -> SparseTensor:  # fmt: skip
    """A matrix by rows: row i has values[crow_indices[i]:crow_indices[i + 1]] in the columns of
    the same part of ``col_indices``; options are dtype, device, requires_grad, check_invariants.

    >>> torch.sparse_csr_tensor([0, 1, 3], [2, 0, 2], [3.0, 4.0, 5.0]).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 5.]])
    """
    return _compressed("sparse_csr_tensor", CsrTensor, crow_indices, col_indices, values, size,
                       options)  # fmt: skip


@operation(method=False)
def sparse_csc_tensor(
    ccol_indices: Any, row_indices: Any = None, values: Any = None, size: Any = None,
    **options: Any,
) -> SparseTensor:  # fmt: skip
    """A matrix by columns, as ``sparse_csr_tensor`` of its transpose."""
    return _compressed("sparse_csc_tensor", CscTensor, ccol_indices, row_indices, values, size,
                       options)  # fmt: skip


def _blocks(name: str) -> None:
    def refuse(*_: Any, **__: Any) -> SparseTensor:
        raise NotImplementedError(
            f"{name}: blocked layouts (BSR, BSC) are not supported; use sparse_csr_tensor or "
            "sparse_csc_tensor"
        )

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Blocked layouts are not supported: NotImplementedError."
    operation(method=False)(refuse)


for _name in ("sparse_bsr_tensor", "sparse_bsc_tensor"):
    _blocks(_name)


@operation(method=False)
def sparse_compressed_tensor(
    compressed_indices: Any, plain_indices: Any = None, values: Any = None, size: Any = None, *,
    layout: Layout | None = None, **options: Any,
) -> SparseTensor:  # fmt: skip
    """As ``sparse_csr_tensor`` or ``sparse_csc_tensor``, as the layout says."""
    if layout is None:
        raise RuntimeError("sparse_compressed_tensor expected sparse compressed tensor layout")
    if layout not in _KINDS:
        spelled = {"sparse_coo": "Sparse", "strided": "Strided"}.get(layout.name, layout.name)
        raise RuntimeError(
            f"sparse_compressed_tensor expected sparse compressed tensor layout but got {spelled}"
        )
    return _compressed("sparse_compressed_tensor", _KINDS[layout], compressed_indices,
                       plain_indices, values, size, options)  # fmt: skip


def rebuilt(layout: Layout, parts: Sequence[Any]) -> SparseTensor:
    """A sparse tensor of what ``SparseTensor.parts`` gave, which is checked."""
    made: SparseTensor
    if layout is sparse_coo:
        places, entries, shape, *coalesced = parts
        made = coo(places, entries, shape, bool(coalesced and coalesced[0]))
    elif layout in _KINDS:
        starts, plain, entries, shape = parts
        made = compressed(_KINDS[layout], starts, plain, entries, shape)
    else:
        raise NotImplementedError(f"rebuilding sparse tensor for layout {layout}")
    invariants.check(made, True)
    return made


__all__ = ["empty", "rebuilt", "sparse_coo_tensor", "sparse_csr_tensor"]
