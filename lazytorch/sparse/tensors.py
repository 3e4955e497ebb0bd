"""Sparse tensors: dense tensors of values and of places, under the logical shape.

Every operation on one is made of operations on those, so it is recorded and compiled like all
else, and a gradient flows through the values. What is not written for sparse tensors reaches
``_storage``, which they do not have, and is refused there: none is taken for a dense tensor.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from codegen.ir.node import TensorType
from lazytorch.autograd.graph import gradient_node
from lazytorch.device import Device
from lazytorch.expression import SparseOperand
from lazytorch.layout import Layout, sparse_coo, sparse_csc, sparse_csr
from lazytorch.size import Size
from lazytorch.storage import Storage
from lazytorch.tensor import Tensor

_PACKAGE = str(Path(__file__).parent.parent)


class SparseTensor(Tensor):
    """What the sparse layouts have in common.

    _entries  the values: (entries, *dense dimensions).
    """

    _entries: Tensor
    _made_by = "ToSparse"  # the name that ``grad_fn`` shows
    _is_collecting = False  # a leaf of its own, whose gradient the values collect
    _given_grad: Tensor | None = None  # what was assigned to ``.grad``
    _seen_grad: tuple[Tensor, SparseTensor] | None = None  # the values' gradient, and as sparse
    _layout: ClassVar[Layout] = sparse_coo

    # What a dense tensor's operations read first.
    @property
    def _storage(self) -> Storage:  # type: ignore[override]
        raise SparseOperand(not_available(_operation_under_way(), self))

    def _view(self, *_: Any, **__: Any) -> Tensor:
        raise SparseOperand(not_available(_operation_under_way(), self))

    # ---- shape and type -------------------------------------------------------------------------

    @property
    def layout(self) -> Layout:
        return self._layout

    @property
    def device(self) -> Device:
        return self._entries.device

    @property
    def is_cuda(self) -> bool:
        return self._entries.is_cuda  # type: ignore[no-any-return]

    @property
    def is_cpu(self) -> bool:
        return self._entries.is_cpu  # type: ignore[no-any-return]

    def stride(self, dim: int | None = None) -> Any:
        raise RuntimeError(f"{_backend(self, short=True)} tensors do not have strides")

    def storage_offset(self) -> int:
        raise SparseOperand(not_available("storage_offset", self))

    def is_contiguous(self, *_: Any, **__: Any) -> bool:
        return False

    def sparse_dim(self) -> int:
        return 2

    def dense_dim(self) -> int:
        return self.ndim - self.sparse_dim()

    def _nnz(self) -> int:
        raise NotImplementedError

    # ---- autograd -------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        return self._entries.requires_grad

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    def requires_grad_(self, requires_grad: bool = True) -> SparseTensor:
        """Collect a gradient in ``.grad``, a sparse one, from now on (or no longer)."""
        if requires_grad == self.requires_grad:
            return self
        if not requires_grad and not self.is_leaf:
            raise RuntimeError("you can only change requires_grad flags of leaf variables.")
        entries = self._entries.detach()
        self._entries = entries.requires_grad_() if requires_grad else entries
        self._is_collecting = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        return self._is_collecting or not self.requires_grad

    @property
    def grad(self) -> Tensor | None:
        """The collected gradient at this tensor's places."""
        if self._given_grad is not None or not self._is_collecting:
            return self._given_grad
        found = self._entries._grad
        if found is None:
            return None
        if self._seen_grad is None or self._seen_grad[0] is not found:
            self._seen_grad = (found, self._as_gradient(found))
        return self._seen_grad[1]

    @grad.setter
    def grad(self, new: Tensor | None) -> None:
        self._entries._grad = self._seen_grad = None
        self._given_grad = new

    def _collecting(self) -> Tensor:
        return self._entries

    def _as_gradient(self, gradient: Tensor) -> SparseTensor:
        """A gradient of the values as one of this tensor."""
        return self._with(gradient)

    @property
    def grad_fn(self) -> Any:
        return None if self.is_leaf else gradient_node(self._entries._read(), self._made_by)

    def detach(self) -> SparseTensor:
        """The same values and places, through which no gradient flows."""
        return self._with(self._entries.detach())

    def detach_(self) -> SparseTensor:
        self._entries, self._is_collecting = self._entries.detach(), False
        return self

    def register_hook(self, hook: Any) -> Any:
        raise SparseOperand(not_available("register_hook", self))

    def parts(self) -> tuple[Any, ...]:
        """What it is rebuilt from."""
        raise NotImplementedError

    # ---- values ---------------------------------------------------------------------------------

    def _with(self, entries: Tensor, made_by: str | None = None, dtype: Any = None) -> SparseTensor:
        """Other values at the same places."""
        raise NotImplementedError

    def _become(self, other: Tensor) -> SparseTensor:
        """Take the value of the result of an operation, in place."""
        if type(other) is not type(self) or other._type.shape != self._type.shape:
            raise RuntimeError("an in-place operation must keep the layout and the shape")
        if self._is_collecting:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation."
            )
        if other.dtype is not self.dtype:
            other = other.to(self.dtype)
        self.__dict__.clear()
        self.__dict__.update(other.__dict__)
        return self

    def _whole(self, made_by: str) -> Tensor:
        """The values as ``values()`` shows them: writes to them are seen here."""
        entries = self._entries
        if not entries.requires_grad:
            return entries.detach()
        return entries._view(entries._type.shape, entries._strides(), entries.storage_offset(),
                             made_by)  # fmt: skip

    def _values(self) -> Tensor:
        """The values, without their history."""
        return self._entries.detach()

    def realize(self) -> SparseTensor:
        self._entries.realize()
        return self

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(
            f"can't convert {_backend(self, short=True)} layout tensor to numpy. Use "
            "Tensor.to_dense() first."
        )

    def data_ptr(self) -> int:
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage")

    def item(self) -> Any:
        if self.numel() != 1:
            return super().item()
        return self.to_dense().item()

    def tolist(self) -> Any:
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage")

    def untyped_storage(self) -> Any:
        raise NotImplementedError("Cannot access storage of SparseTensorImpl")

    storage = untyped_storage

    def __iter__(self) -> Any:
        return iter([self[i] for i in range(len(self))])

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseTensor:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment."
            )
        made: SparseTensor = self.detach().clone()
        made = made.requires_grad_() if self.requires_grad else made
        memo[id(self)] = made
        return made


class CooTensor(SparseTensor):
    """Coordinates: entry k stands at ``_places[:, k]``; entries of one place add up.

    _places        int64 (sparse dimensions, entries)
    _is_coalesced  the places are in order and each is there once.
    """

    _places: Tensor
    _is_coalesced: bool
    _layout = sparse_coo

    @property
    def is_sparse(self) -> bool:
        return True

    def parts(self) -> tuple[Any, ...]:
        shape = Size(self._type.shape)
        return self._places, self._entries.detach(), shape, self._is_coalesced

    def sparse_dim(self) -> int:
        return self._places._type.shape[0]

    def _nnz(self) -> int:
        return self._places._type.shape[1]

    def is_coalesced(self) -> bool:
        return self._is_coalesced

    def _indices(self) -> Tensor:
        """The places, whether in order or not."""
        return self._places.detach()

    def indices(self) -> Tensor:
        """The places of a coalesced tensor: int64 (sparse dimensions, entries)."""
        if not self._is_coalesced:
            raise RuntimeError(_UNCOALESCED.format("indices"))
        return self._places.detach()

    def values(self) -> Tensor:
        """The values of a coalesced tensor: (entries, *dense dimensions)."""
        if not self._is_coalesced:
            raise RuntimeError(_UNCOALESCED.format("values"))
        return self._whole("Values")

    def stride(self, dim: int | None = None) -> Any:
        return (0,) * self.ndim if dim is None else 0

    def _with(self, entries: Tensor, made_by: str | None = None, dtype: Any = None) -> CooTensor:
        return coo(self._places, entries, self._type.shape, self._is_coalesced,
                   made_by or self._made_by)  # fmt: skip

    def _as_gradient(self, gradient: Tensor) -> SparseTensor:
        """Entries of one place got the same gradient each: it is the gradient there."""
        if self._is_coalesced:
            return self._with(gradient)
        return without_repetitions[0](self._with(gradient))  # type: ignore[no-any-return]


class CompressedTensor(SparseTensor):
    """A matrix by rows (CSR) or columns (CSC): the entries of row i are those from
    ``_starts[i]`` to ``_starts[i + 1]``, in the columns ``_plain``; int32 or int64."""

    _starts: Tensor
    _plain: Tensor
    _numbers: Tensor | None = None  # the row (column) of each entry, once asked for

    def parts(self) -> tuple[Any, ...]:
        return self._starts, self._plain, self._entries.detach(), Size(self._type.shape)

    def _nnz(self) -> int:
        return self._plain._type.shape[-1]

    def values(self) -> Tensor:
        """The values: (entries, *dense dimensions)."""
        return self._whole("Values")

    @property
    def is_sparse_csr(self) -> bool:
        return False

    def _with(
        self, entries: Tensor, made_by: str | None = None, dtype: Any = None
    ) -> CompressedTensor:
        return compressed(type(self), self._starts, self._plain, entries, self._type.shape,
                          made_by or self._made_by)  # fmt: skip


class CsrTensor(CompressedTensor):
    """Compressed rows."""

    _layout = sparse_csr

    @property
    def is_sparse_csr(self) -> bool:
        return True

    def crow_indices(self) -> Tensor:
        """Where each row begins: (rows + 1)."""
        return self._starts.detach()

    def col_indices(self) -> Tensor:
        """The column of each entry."""
        return self._plain.detach()


class CscTensor(CompressedTensor):
    """Compressed columns."""

    _layout = sparse_csc

    def ccol_indices(self) -> Tensor:
        """Where each column begins: (columns + 1)."""
        return self._starts.detach()

    def row_indices(self) -> Tensor:
        """The row of each entry."""
        return self._plain.detach()


_UNCOALESCED = "Cannot get {} on an uncoalesced tensor, please call .coalesce() first"
# What CooTensor needs of entries.py, which is made of more of the package.
without_repetitions: list[Any] = []


def coo(
    places: Tensor, entries: Tensor, shape: Sequence[int], coalesced: bool = False,
    made_by: str = "SparseCooTensorWithDimsAndTensors",
) -> CooTensor:  # fmt: skip
    """A COO tensor of these parts, which it shares; nothing is checked."""
    made: CooTensor = object.__new__(CooTensor)
    made._places, made._entries, made._is_coalesced = places, entries, coalesced
    made._type = TensorType(tuple(shape), entries.dtype)
    made._made_by = made_by
    return made


def compressed(
    kind: type[CompressedTensor], starts: Tensor, plain: Tensor, entries: Tensor,
    shape: Sequence[int], made_by: str = "SparseCompressedTensor",
) -> CompressedTensor:  # fmt: skip
    """A compressed tensor of these parts, which it shares; nothing is checked."""
    made: CompressedTensor = object.__new__(kind)
    made._starts, made._plain, made._entries = starts, plain, entries
    made._type = TensorType(tuple(shape), entries.dtype)
    made._made_by = made_by
    return made


# ---- what is refused ----------------------------------------------------------------------------

_BACKENDS = {"sparse_coo": "Sparse", "sparse_csr": "SparseCsr", "sparse_csc": "SparseCsc"}


def layout_name(x: Tensor) -> str:
    """How PyTorch's messages spell a layout."""
    return _BACKENDS.get(x.layout.name, "Strided")


def _backend(x: SparseTensor, short: bool = False) -> str:
    name = "Sparse" if isinstance(x, CooTensor) else "SparseCsr"
    return name if short else name + ("CPU" if x.is_cpu else "CUDA")


def not_available(name: str, x: SparseTensor) -> str:
    """PyTorch's words where an operation has no kernel for sparse tensors."""
    return (
        f"Could not run 'aten::{name}' with arguments from the '{_backend(x)}' backend. This could "
        "be because the operator doesn't exist for this backend."
    )


def _operation_under_way() -> str:
    """The name of the function of this package that the user's code called."""
    frame = sys._getframe(2)
    name = frame.f_code.co_name
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        name = frame.f_code.co_name
        frame = frame.f_back
    return name.strip("_")
