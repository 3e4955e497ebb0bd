"""What sparse tensors do where dense ones have methods, and the methods that all tensors get."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from lazytorch.device import device_name
from lazytorch.dtypes import as_dtype
from lazytorch.expression import SparseOperand
from lazytorch.functions import creation
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.norms import vector_norm
from lazytorch.functions.registration import PUBLIC, operation
from lazytorch.layout import Layout, sparse_coo, sparse_csc, sparse_csr, strided
from lazytorch.sparse import construction, movement, printing
from lazytorch.sparse.entries import (
    ENTRIES_AT,
    aligned,
    coalesced,
    compress,
    from_dense,
    keys_of,
    masked_by,
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
    layout_name,
    not_available,
)
from lazytorch.tensor import Tensor

_COMPRESSED = {sparse_csr: CsrTensor, sparse_csc: CscTensor}

# ---- between the layouts ------------------------------------------------------------------------


@operation(function=False)
def to_sparse(
    self: Tensor, sparse_dim: int | None = None, *, layout: Layout | None = None,
    blocksize: Any = None, dense_dim: int | None = None,
) -> Tensor:  # fmt: skip
    """As COO with ``sparse_dim`` sparse dimensions (by default all), or in another layout;
    computes a dense tensor.

    >>> torch.tensor([[0.0, 2.0], [3.0, 0.0]]).to_sparse()._nnz()
    2
    """
    if blocksize is not None or (
        layout is not None and layout.name in ("sparse_bsr", "sparse_bsc")
    ):
        raise NotImplementedError("blocked layouts (BSR, BSC) are not supported")
    if layout is strided:
        return self
    if layout in _COMPRESSED:
        return _compressed(self, _COMPRESSED[layout], dense_dim)
    if isinstance(self, SparseTensor):
        if sparse_dim is not None and sparse_dim != self.sparse_dim():
            raise RuntimeError("to_sparse: conversion from Sparse to Sparse with another sparse_dim"
                               " is not supported")  # fmt: skip
        return to_coo(self)
    if sparse_dim is None:
        sparse_dim = self.ndim - (dense_dim or 0)
    if not (0 < sparse_dim <= self.ndim or (not self.ndim and not sparse_dim)):
        raise RuntimeError(
            f"dense_to_sparse: sparse_dim argument must be in [0,{self.ndim}] range, but "
            f"{sparse_dim} is given"
        )
    return from_dense(self, sparse_dim)


def _compressed(x: Tensor, kind: type[CompressedTensor], dense_dim: int | None = None) -> Tensor:
    if isinstance(x, kind):
        return x
    if not isinstance(x, SparseTensor):
        dense = dense_dim or 0
        if x.ndim - dense != 2:
            raise NotImplementedError(
                f"to_sparse_{kind._layout.name[-3:]}: a matrix is expected (batches of compressed "
                f"matrices are not supported), got {x.ndim - dense} dimensions"
            )
        return compress(from_dense(x, 2), kind)  # type: ignore[no-any-return]
    return compress(to_coo(x), kind)  # type: ignore[no-any-return]


@operation(function=False)
def to_sparse_coo(self: Tensor) -> Tensor:
    """As COO."""
    return to_sparse(self)


@operation(function=False)
def to_sparse_csr(self: Tensor, dense_dim: int | None = None) -> Tensor:
    """A matrix by rows; computes the places."""
    return _compressed(self, CsrTensor, dense_dim)


@operation(function=False)
def to_sparse_csc(self: Tensor, dense_dim: int | None = None) -> Tensor:
    """A matrix by columns; computes the places."""
    return _compressed(self, CscTensor, dense_dim)


def _refuse_blocks(self: Tensor, blocksize: Any, dense_dim: int | None = None) -> Tensor:
    """Blocked layouts are not supported: NotImplementedError."""
    raise NotImplementedError("blocked layouts (BSR, BSC) are not supported")


def _to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """The dense tensor of the same values; itself if it is dense.

    >>> torch.sparse_coo_tensor([[1, 1]], [1.0, 2.0], (3,)).to_dense()
    tensor([0., 3., 0.])
    """
    dtype = None if dtype is None else as_dtype(dtype)
    if isinstance(self, SparseTensor):
        return to_dense(self, dtype)
    return self if dtype is None else self.to(dtype)


@operation(function=False)
def sparse_mask(self: Tensor, mask: Tensor) -> Tensor:
    """The values at the places of a sparse tensor.

    >>> torch.ones(2, 2).sparse_mask(torch.eye(2).to_sparse())._nnz()
    2
    """
    if not isinstance(mask, SparseTensor):
        raise RuntimeError("sparse_mask(): mask must be a sparse tensor")
    if self._type.shape != mask._type.shape:
        raise RuntimeError(
            f"sparse_mask(): operands have incompatible sizes; self has size {list(self.shape)} "
            f"but mask has size {list(mask.shape)}"
        )
    if not isinstance(self, SparseTensor):
        return masked_by(self, mask)
    if isinstance(mask, CooTensor):
        return mask.detach()._with(aligned(self, mask), "SparseMask")
    return compress(to_coo(sparse_mask(self, to_coo(mask))), type(mask))  # type: ignore


# ---- what only some layouts have ----------------------------------------------------------------


def _missing(name: str, wanted: str) -> None:
    """A method that tensors of other layouts lack, in PyTorch's words."""

    def method(self: Tensor, *_: Any) -> Any:
        raise RuntimeError(f"{name} expected {wanted} tensor layout but got {layout_name(self)}")

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Of a {wanted} tensor alone."
    setattr(Tensor, name, method)
    for kind in (CooTensor, CompressedTensor, CsrTensor, CscTensor):
        if name in kind.__dict__:
            kind.__dict__[name].__doc__ = kind.__dict__[name].__doc__ or method.__doc__


for _name, _wanted in (
    ("indices", "sparse coordinate"), ("coalesce", "sparse coordinate"),
    ("is_coalesced", "sparse coordinate"), ("values", "sparse"),
    ("crow_indices", "sparse row compressed"), ("col_indices", "sparse row compressed"),
    ("ccol_indices", "sparse column compressed"), ("row_indices", "sparse column compressed"),
):  # fmt: skip
    _missing(_name, _wanted)


def _only_sparse(name: str) -> None:
    def method(self: Tensor, *_: Any) -> Any:
        raise NotImplementedError(
            f"Could not run 'aten::{name}' with arguments from the 'CPU' backend."
        )

    method.__name__ = name
    setattr(Tensor, name, method)


for _name in ("_nnz", "_indices", "_values", "sparse_resize_", "sparse_resize_and_clear_"):
    _only_sparse(_name)


def _sparse_dim(self: Tensor) -> int:
    """The number of sparse dimensions."""
    return 0


def _dense_dim(self: Tensor) -> int:
    """The number of dense dimensions."""
    return self.ndim


for _name, _method in (
    ("sparse_dim", _sparse_dim), ("dense_dim", _dense_dim), ("to_sparse_bsr", _refuse_blocks),
    ("to_sparse_bsc", _refuse_blocks), ("to_dense", _to_dense),
):  # fmt: skip
    setattr(Tensor, _name, _method)

# ---- COO alone ----------------------------------------------------------------------------------


def _coalesce(self: CooTensor) -> CooTensor:
    """Each place once, in order, with the sum of its values; computes the places."""
    return coalesced(self)


def _resize(self: CooTensor, size: Any, sparse_dim: int, dense_dim: int) -> CooTensor:
    """Another shape with the same entries, none of which may fall out of it."""
    shape = tuple([int(n) for n in size])
    _check_dims(shape, sparse_dim, dense_dim)
    if self._nnz():
        if (sparse_dim, dense_dim) != (self.sparse_dim(), self.dense_dim()):
            raise RuntimeError(
                f"changing the number of sparse and dense dimensions (from {self.sparse_dim()} and "
                f"{self.dense_dim()} to {sparse_dim} and {dense_dim}) on a non-empty sparse tensor "
                "is not supported."
            )
        for kind, part in (("sparse", slice(0, sparse_dim)), ("dense", slice(sparse_dim, None))):
            old, new = list(self.shape[part]), list(shape[part])
            if any(n < o for n, o in zip(new, old, strict=True)):
                raise RuntimeError(
                    f"shrinking the size of {kind} dimensions (from {old} to {new}) on a non-empty "
                    "sparse tensor is not supported."
                )
        grown = self._entries.new_zeros((self._nnz(), *shape[sparse_dim:]))
        if grown._type.shape != self._entries._type.shape:
            grown[(slice(None), *[slice(0, n) for n in self._entries.shape[1:]])] = self._entries
            self._entries = grown
        self.__dict__.update(
            coo(self._places, self._entries, shape, self._is_coalesced, self._made_by).__dict__
        )
        return self
    return _resize_and_clear(self, shape, sparse_dim, dense_dim)


def _check_dims(shape: tuple[int, ...], sparse_dim: int, dense_dim: int) -> None:
    if sparse_dim + dense_dim != len(shape):
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(shape)}, "
            f"sparse_dim = {sparse_dim}, dense_dim = {dense_dim}"
        )


def _resize_and_clear(self: CooTensor, size: Any, sparse_dim: int, dense_dim: int) -> CooTensor:
    """Another shape, without entries."""
    shape = tuple([int(n) for n in size])
    _check_dims(shape, sparse_dim, dense_dim)
    made = construction.empty(shape, self.dtype, self.device, dense=dense_dim)
    self.__dict__.clear()
    self.__dict__.update(made.__dict__)
    return self


def _same_layout(x: SparseTensor, shape: Any = None, dtype: Any = None, device: Any = None) -> Any:
    """Without entries, in the layout of a sparse tensor."""
    shape = x._type.shape if shape is None else shape
    dense = x.dense_dim() if len(shape) == x.ndim else 0
    made = construction.empty(shape, dtype or x.dtype, device or x.device, dense=dense)
    return compress(made, type(x)) if isinstance(x, CompressedTensor) else made


def _zero(self: SparseTensor) -> SparseTensor:
    """Without entries."""
    return self._become(_same_layout(self))


def _copy(self: SparseTensor, src: Tensor, non_blocking: bool = False) -> SparseTensor:
    """Take the entries of another sparse tensor."""
    if not isinstance(src, SparseTensor):
        raise RuntimeError(
            "copy_() between dense and sparse Tensors is not implemented! Found self type = "
            f"torch.{layout_name(self)} and src type = torch.{layout_name(src)}"
        )
    return self._become(src.clone())


def _to(self: SparseTensor, *args: Any, **options: Any) -> SparseTensor:
    """Another element type or device, or both; itself if it has them."""
    copy = options.get("copy", False)
    probe = self._entries.to(*[a._entries if isinstance(a, SparseTensor) else a for a in args],
                             **options)  # fmt: skip
    if probe is self._entries and not copy:
        return self
    device = device_name(probe.device)
    if isinstance(self, CooTensor):
        made: SparseTensor = coo(self._places.to(device), probe, self._type.shape,
                                 self._is_coalesced, "ToCopy")  # fmt: skip
    else:
        assert isinstance(self, CompressedTensor)
        made = compressed(type(self), self._starts.to(device), self._plain.to(device), probe,
                          self._type.shape, "ToCopy")  # fmt: skip
    return made


def _cpu(self: SparseTensor, memory_format: Any = None) -> SparseTensor:
    return _to(self, "cpu")


def _cuda(self: SparseTensor, device: Any = None, non_blocking: bool = False) -> SparseTensor:
    return _to(self, "cuda" if device is None else device)


def _type(self: SparseTensor, dtype: Any = None, **_: Any) -> Any:
    if dtype is not None:
        return _to(self, as_dtype(dtype))
    if not isinstance(self, CooTensor):
        raise RuntimeError("Unimplemented backend SparseCsrCPU")
    return self._entries.type().replace("torch.", "torch.sparse.")


def _norm(self: SparseTensor, p: Any = "fro", dim: Any = None, *_: Any, **__: Any) -> Tensor:
    """The norm of all elements."""
    if dim is not None:
        raise SparseOperand(not_available("norm", self))
    x = coalesced(self) if isinstance(self, CooTensor) else self
    return vector_norm(x._entries, 2 if p == "fro" else p)


def _backward(
    self: SparseTensor, gradient: Any = None, retain_graph: bool | None = None,
    create_graph: bool = False, inputs: Any = None,
) -> None:  # fmt: skip
    """As of a dense tensor; the gradient is one of the same shape, sparse or dense."""
    if gradient is None:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if isinstance(gradient, SparseTensor):
        at = aligned(gradient, to_coo(self)) if isinstance(self, CooTensor) else (
            gradient.to_dense().sparse_mask(self)._entries
        )  # fmt: skip
    else:
        at = apply_one(ENTRIES_AT, (gradient, keys_of(self)), (self.sparse_dim(),))
    self._entries.backward(at, retain_graph, create_graph, inputs)


def _clone(self: SparseTensor, *, memory_format: Any = None) -> SparseTensor:
    """A copy in memory of its own, through which gradients flow."""
    return PUBLIC["clone"](self)  # type: ignore[no-any-return]


def _contiguous(self: SparseTensor, memory_format: Any = None) -> SparseTensor:
    return self


def _reshape(self: SparseTensor, *_: Any, **__: Any) -> Any:
    raise RuntimeError("reshape is not implemented for sparse tensors")


def _reduce(self: SparseTensor, protocol: Any) -> Any:
    """As PyTorch: whether a gradient is wanted is not kept."""
    return construction.rebuilt, (self.layout, self.parts())


def _data(self: SparseTensor) -> SparseTensor:
    return self.detach()


for _kind, _methods in (
    (CooTensor, {
        "coalesce": _coalesce, "sparse_resize_": _resize,
        "sparse_resize_and_clear_": _resize_and_clear,
    }),
    (SparseTensor, {
        "__repr__": printing.text, "__getitem__": movement.getitem, "__reduce_ex__": _reduce,
        "backward": _backward, "copy_": _copy, "cpu": _cpu, "cuda": _cuda, "flatten": _reshape,
        "contiguous": _contiguous, "index_select": movement.index_select,
        "narrow_copy": movement.narrow_copy, "norm": _norm, "permute": movement.permute,
        "reshape": _reshape, "select": movement.select, "swapaxes": movement.transpose,
        "swapdims": movement.transpose, "t": movement.t, "to": _to,
        "transpose": movement.transpose, "type": _type, "unsqueeze": movement.unsqueeze,
        "zero_": _zero, "data": property(_data), "T": property(movement.t),
        "mT": property(movement.t),
    }),
):  # fmt: skip
    for _name, _member in _methods.items():
        setattr(_kind, _name, _member)


def _new(name: str) -> Callable[..., Any]:
    def new(self: SparseTensor, *size: Any, dtype: Any = None, device: Any = None, **_: Any) -> Any:
        shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
        return _same_layout(self, tuple(shape), dtype, device)

    new.__name__ = name
    return new


SparseTensor.new_zeros = _new("new_zeros")  # type: ignore[attr-defined]
SparseTensor.new_empty = _new("new_empty")  # type: ignore[attr-defined]

# ---- in place -----------------------------------------------------------------------------------

_IN_PLACE = (
    "abs", "add", "asin", "asinh", "atan", "atanh", "ceil", "deg2rad", "div", "divide", "erf",
    "erfinv", "expm1", "floor", "frac", "log1p", "mul", "multiply", "neg", "negative", "pow",
    "rad2deg", "relu", "round", "sgn", "sign", "sin", "sinh", "sqrt", "sub", "subtract", "tan",
    "tanh", "true_divide", "trunc", "coalesce",
)  # fmt: skip


def _in_place(name: str) -> Callable[..., Any]:
    def written(self: SparseTensor, *args: Any, **options: Any) -> SparseTensor:
        return self._become(getattr(self, name)(*args, **options))

    written.__name__ = written.__qualname__ = f"{name}_"
    written.__doc__ = f"In-place form of ``{name}``."
    return written


for _name in _IN_PLACE:
    if hasattr(Tensor, _name):
        setattr(SparseTensor, f"{_name}_", _in_place(_name))
for _name, _operator in (("add", "iadd"), ("sub", "isub"), ("mul", "imul"), ("div", "itruediv")):
    setattr(SparseTensor, f"__{_operator}__", _in_place(_name))

# ---- functions whose definitions look at memory before they apply anything -----------------------


def _dispatch(name: str, method: Callable[..., Any]) -> None:
    """torch.NAME, which takes its method where the first argument is sparse."""
    dense = PUBLIC[name]

    @wraps(dense)
    def public(*args: Any, **options: Any) -> Any:
        if args and isinstance(args[0], SparseTensor):
            return method(*args, **options)
        return dense(*args, **options)

    PUBLIC[name] = public


for _name in ("transpose", "t", "permute", "unsqueeze", "select", "index_select", "narrow_copy",
              "norm", "swapaxes", "swapdims"):  # fmt: skip
    if _name in PUBLIC:
        _dispatch(_name, getattr(SparseTensor, _name))


def _like(x: SparseTensor, *, dtype: Any = None, device: Any = None, layout: Any = None,
          requires_grad: bool = False, **_: Any) -> Any:  # fmt: skip
    if layout is strided:
        return creation.zeros(x.shape, dtype=dtype or x.dtype, device=device or x.device,
                              requires_grad=requires_grad)  # fmt: skip
    made = _same_layout(x, None, None if dtype is None else as_dtype(dtype), device)
    return made.requires_grad_() if requires_grad else made


for _name in ("zeros_like", "empty_like"):
    _dispatch(_name, _like)


def _in_layout(name: str) -> None:
    """torch.zeros and torch.empty, which take a layout."""
    dense = PUBLIC[name]

    @wraps(dense)
    def public(*size: Any, layout: Any = None, **options: Any) -> Any:
        if layout is None or layout is strided:
            return dense(*size, **options)
        shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
        kept = {k: v for k, v in options.items() if k in ("dtype", "device", "requires_grad")}
        made = construction.empty(shape, **kept)
        return made if layout is sparse_coo else compress(made, _COMPRESSED[layout])

    PUBLIC[name] = public


for _name in ("zeros", "empty"):
    _in_layout(_name)

__all__ = ["to_sparse"]
