"""torch.sparse: products, sums and normalizations of sparse tensors.

A sparse tensor holds dense tensors of places and values (``tensors.py``); whatever is done to it is
done to those, lazily. Only what depends on how many places there are computes the places.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import DType
from lazytorch.dtypes import CLASS_NAMES
from lazytorch.functions.data import of_array
from lazytorch.functions.registration import PUBLIC
from lazytorch.layout import Layout
from lazytorch.sparse import construction, gradients, methods, rules
from lazytorch.sparse.entries import coalesced, integers
from lazytorch.sparse.invariants import check_sparse_tensor_invariants
from lazytorch.sparse.products import product, sampled, scaled_sum
from lazytorch.sparse.reductions import log_softmax, need_coo, softmax, sum
from lazytorch.sparse.tensors import CompressedTensor, CooTensor, SparseTensor, coo
from lazytorch.tensor import Tensor


def mm(mat1: Tensor, mat2: Tensor) -> Tensor:
    """mat1 @ mat2, of which one at least is sparse: dense, or sparse if both are. Gradients of
    sparse factors are sparse.

    >>> torch.sparse.mm(torch.eye(2).to_sparse(), torch.ones(2, 1))
    tensor([[1.],
            [1.]])
    """
    return PUBLIC["mm"](mat1, mat2)  # type: ignore[no-any-return]


def addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * mat + alpha * (mat1 @ mat2), with ``mat1`` sparse."""
    return scaled_sum(mat, product(mat1, mat2), (beta, alpha))


def sampled_addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Any = None
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2) at the places of a CSR matrix, and only there."""
    if not isinstance(input, CompressedTensor):
        raise RuntimeError("sampled_addmm: expected input to be a sparse CSR tensor")
    made = sampled(input, mat1, mat2, beta, alpha)
    return made if out is None else out._become(made)


def spdiags(
    diagonals: Tensor, offsets: Tensor, shape: tuple[int, int], layout: Layout | None = None
) -> Tensor:
    """The matrix with the rows of ``diagonals`` on its diagonals ``offsets``: element j of a row
    stands in column j.

    >>> torch.sparse.spdiags(torch.ones(1, 2), torch.tensor([1]), (2, 2)).to_dense()
    tensor([[0., 1.],
            [0., 0.]])
    """
    rows_ = diagonals if diagonals.ndim == 2 else diagonals.reshape(1, -1)
    known = np.atleast_1d(offsets._array())
    if rows_.shape[0] != len(known):
        raise RuntimeError(
            f"Number of diagonals ({rows_.shape[0]}) does not match the number of offsets "
            f"({len(known)})"
        )
    if len(set(known.tolist())) != len(known):
        raise RuntimeError("Offset tensor contains duplicate values")
    if len(shape) != 2:
        raise RuntimeError("Output shape must be 2d")
    m, n = int(shape[0]), int(shape[1])
    width = min(n, rows_.shape[1])
    chosen: list[Any] = []
    for number, offset in enumerate(known.tolist()):
        columns = np.arange(max(offset, 0), max(min(width, m + offset), max(offset, 0)))
        chosen.append(np.stack([columns - offset, columns, columns + number * rows_.shape[1]]))
    places = np.concatenate(chosen, 1) if chosen else np.zeros((3, 0), np.int64)
    entries = rows_.reshape(-1).index_select(0, integers(places[2], rows_))
    made = coo(of_array(places[:2].copy(), dt.int64, rows_._storage.device), entries, (m, n), False)
    return made if layout is None else methods.to_sparse(made, layout=layout)


def hspmm(mat1: Tensor, mat2: Tensor) -> Tensor:
    """mat1 @ mat2 as a COO tensor of the rows that ``mat1`` has entries in."""
    x = coalesced(need_coo(mat1, "hspmm"))
    found = np.unique(x._places._array()[0])
    rows = integers(found, x._places)
    made = product(x, mat2).index_select(0, rows)
    return coo(rows.unsqueeze(0), made, (x.shape[0], mat2.shape[1]), True)


def smm(input: Tensor, mat: Tensor) -> Tensor:
    """input @ mat as a COO tensor, of all elements in the rows that ``input`` has entries in."""
    return sspaddmm(coo_like(input, mat), input, mat)


def coo_like(a: Tensor, b: Tensor) -> CooTensor:
    """An empty COO matrix in the shape of a @ b."""
    return construction.empty((a.shape[0], b.shape[1]), a.dtype, a.device)


def sspaddmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Any = None
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2) as a COO tensor."""
    value = need_coo(input, "sspaddmm")
    rows = hspmm(mat1, mat2)
    assert isinstance(rows, CooTensor)
    count, width = rows._nnz(), rows.shape[1]
    own = rows._places[0].unsqueeze(1).expand(count, width).reshape(1, -1)
    across = integers(np.tile(np.arange(width), (1, count)), own)
    places = PUBLIC["cat"]([own, across])
    made = coo(places, rows._entries.reshape(-1), value.shape, True)
    first = value if beta == 1 else value * beta
    second = made if alpha == 1 else made * alpha
    entries = PUBLIC["cat"]([first._entries, second._entries])
    result = coo(PUBLIC["cat"]([first._places, second._places], 1), entries, value.shape, False)
    return result if out is None else out._become(result)


for _name, _function in (
    ("smm", smm), ("sspaddmm", sspaddmm), ("hspmm", hspmm), ("hsmm", hspmm), ("spmm", mm),
    ("dsmm", mm), ("saddmm", addmm),
):  # fmt: skip
    PUBLIC[_name] = _function


def _copy_of(part: str) -> Any:
    def copied(input: Tensor) -> Tensor:
        made: Tensor = getattr(input, part)().clone()
        return made

    copied.__name__ = copied.__qualname__ = f"{part}_copy"
    copied.__doc__ = f"A copy of ``Tensor.{part}()``."
    return copied


for _part in (
    "indices", "values", "crow_indices", "col_indices", "ccol_indices", "row_indices",
):  # fmt: skip
    PUBLIC[f"{_part}_copy"] = _copy_of(_part)
for _name, _function in (("smm", smm), ("sspaddmm", sspaddmm)):
    setattr(Tensor, _name, _function)


class _Legacy(type):
    """torch.sparse.FloatTensor(indices, values, size) and its kin: the constructors of old."""

    dtype: DType

    def __call__(cls, *parts: Any, **options: Any) -> Tensor:
        if not parts or not isinstance(parts[0], Tensor):
            return construction.empty(tuple(parts), cls.dtype, options.get("device"))
        indices, values, *size = parts
        made: Tensor = PUBLIC["sparse_coo_tensor"](
            indices, values.to(cls.dtype), *size, dtype=cls.dtype, **options
        )
        return made

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, CooTensor) and instance.dtype is cls.dtype


LEGACY_CLASSES = {
    name: _Legacy(name, (), {"dtype": dtype, "__module__": "torch.sparse"})
    for dtype, name in CLASS_NAMES.items()
    if dtype is not dt.bool_
}
globals().update(LEGACY_CLASSES)

__all__ = [
    "SparseTensor", "addmm", "check_sparse_tensor_invariants", "gradients", "log_softmax", "mm",
    "rules", "sampled_addmm", "softmax", "spdiags", "sum",
]  # fmt: skip
