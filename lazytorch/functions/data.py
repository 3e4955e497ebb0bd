"""Tensors from Python data, NumPy arrays, buffers and DLPack."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import TensorType
from codegen.runtime.memory import Buffer
from lazytorch import core
from lazytorch.application import apply
from lazytorch.defaults import defaults
from lazytorch.device import device_name
from lazytorch.dtypes import as_dtype
from lazytorch.expression import new_expression
from lazytorch.functions.promotion import RANK, default_complex
from lazytorch.functions.registration import operation
from lazytorch.layouts import strides_like
from lazytorch.result_layouts import lay_out
from lazytorch.storage import ForeignMemory, Storage, from_array, new_storage, share_array
from lazytorch.tensor import Tensor, record, wrap
from lazytorch.transfer import moved


def of_array(array: NDArray[Any], dtype: DType, device: str = "cpu") -> Tensor:
    """A tensor holding a copy of an array, converted."""
    type_ = TensorType(array.shape, dtype)
    if dtype is dt.bfloat16:
        plain = from_array(array, TensorType(array.shape, dt.float32), device).expression
        return wrap(record(core.CAST, (plain,), (dtype,), False)[0])
    made = object.__new__(Tensor)
    made._storage = from_array(array, type_, device)
    made._type = type_
    return made


_NUMPY_UNSUPPORTED = (
    "can't convert np.ndarray of type {}. The only supported types are: float64, float32, "
    "float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, "
    "and bool."
)


def array_dtype(array: NDArray[Any]) -> DType:
    """The element type of an array; TypeError in PyTorch's words where there is none."""
    try:
        return dt.from_numpy(array.dtype)
    except KeyError:
        kind = array.dtype.type
        name = f"{kind.__module__}.{kind.__qualname__}"
        raise TypeError(_NUMPY_UNSUPPORTED.format(name)) from None


def _infer(data: Any) -> DType:
    """The element type of nested Python data, by its widest category."""
    if isinstance(data, bool):
        return dt.bool_
    if isinstance(data, float):
        return dt.from_numpy(data.dtype) if isinstance(data, np.generic) else defaults.dtype
    if isinstance(data, int):
        return dt.int64
    if isinstance(data, complex) and not isinstance(data, np.generic):
        return default_complex()
    if isinstance(data, Tensor):
        return data.dtype
    if isinstance(data, (np.ndarray, np.generic)):
        return array_dtype(np.asarray(data))
    if isinstance(data, str):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if isinstance(data, Sequence) or hasattr(data, "__getitem__"):
        found: DType | None = None
        for item in data:
            kind = _infer(item)
            found = kind if found is None or found is kind else _wider(found, kind)
        return defaults.dtype if found is None else found
    if hasattr(data, "__array__"):
        return array_dtype(np.asarray(data))
    raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")


def _wider(x: DType, y: DType) -> DType:
    if RANK[x.kind] != RANK[y.kind]:
        return x if RANK[x.kind] > RANK[y.kind] else y
    return x if x.itemsize >= y.itemsize else y


def _check_nesting(data: Any, shape: tuple[int, ...] = ()) -> None:
    """Raise PyTorch's error for the first sequence that differs from its neighbours in length."""

    def lengths(item: Any) -> list[int]:
        found = []
        while isinstance(item, (list, tuple)) or (isinstance(item, np.ndarray) and item.ndim):
            found.append(len(item))
            if not len(item):
                break
            item = item[0]
        return found

    wanted = lengths(data)

    def visit(item: Any, depth: int) -> None:
        nested = isinstance(item, (list, tuple)) or (isinstance(item, np.ndarray) and item.ndim)
        if depth == len(wanted):
            if nested:
                raise TypeError(
                    f"'{type(item).__name__}' object cannot be interpreted as an integer"
                )
            if isinstance(item, str):
                raise ValueError("too many dimensions 'str'")
            if item is None:
                raise TypeError("must be real number, not NoneType")
            return
        if not nested:
            raise TypeError(
                f"expected sequence of length {wanted[depth]} at dim {depth} (got "
                f"{type(item).__name__})"
            )
        if len(item) != wanted[depth]:
            raise ValueError(
                f"expected sequence of length {wanted[depth]} at dim {depth} (got {len(item)})"
            )
        for part in item:
            visit(part, depth + 1)

    visit(data, 0)


def _plain(data: Any) -> Any:
    """Nested data with tensors replaced by what NumPy reads."""
    if isinstance(data, Tensor):
        return data.tolist()
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data


def _has_tensors(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        if any(isinstance(item, Tensor) for item in data):
            return True
        data = data[0]
    return isinstance(data, Tensor)


_KINDS = {"f": "float", "i": "int", "b": "bool", "u": "int"}


def data_array(data: Any, dtype: DType | None) -> tuple[NDArray[Any], DType]:
    """Python data as an array, and the element type to give it."""
    kind = type(data)
    if dtype is None:
        if kind is float:
            dtype = defaults.dtype
        elif kind is int:
            dtype = dt.int64
        elif kind is bool:
            dtype = dt.bool_
    if kind is list or kind is tuple:
        if _has_tensors(data):
            dtype = dtype or _infer(data)
            data = _plain(data)
        try:
            # Of small and large numbers together NumPy would make float64.
            array = np.array(data, np.uint64 if dtype is dt.uint64 else None)
        except ValueError:
            _check_nesting(data)
            raise
        if array.dtype.kind not in "fibuc":
            _check_nesting(data)
            if dtype is None:
                dtype = _infer(data)
            if array.dtype.kind == "O":
                raise ValueError("Overflow when unpacking long long")
            raise TypeError(f"new(): invalid data type '{array.dtype.type.__name__}'")
        if array.dtype == np.uint64 and dtype is not dt.uint64:
            raise ValueError("Overflow when unpacking long long")
        if dtype is None:
            dtype = _list_dtype(data, array)
        return array, dtype
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
        found = array_dtype(array)
        return array, found if dtype is None else dtype
    if isinstance(data, complex):
        return np.array(data), dtype if dtype is not None else default_complex()
    if isinstance(data, (float, int)):
        high = 1 << (64 if dtype is dt.uint64 else 63)
        if isinstance(data, int) and not -(1 << 63) <= data < high:
            raise ValueError("Overflow when unpacking long long")
        return np.array(data), dtype if dtype is not None else _infer(data)
    if isinstance(data, str):
        raise TypeError(f"new(): invalid data type '{kind.__name__}'")
    if hasattr(data, "__array__") or hasattr(data, "__array_interface__"):
        return data_array(np.asarray(data), dtype)
    if isinstance(data, Sequence) or hasattr(data, "__len__"):
        return data_array(list(data), dtype)
    raise RuntimeError(f"Could not infer dtype of {kind.__name__}")


def _list_dtype(data: Any, array: NDArray[Any]) -> DType:
    """The type that PyTorch infers: of plain numbers the default one of their category."""
    if array.size == 0:
        return defaults.dtype
    first = data
    while isinstance(first, (list, tuple)):
        first = first[0]
    if isinstance(first, (np.ndarray, np.generic)):
        return _infer(data)
    if array.dtype.kind == "f":
        return defaults.dtype
    if array.dtype.kind == "c":
        return default_complex()
    return dt.bool_ if array.dtype.kind == "b" else dt.int64


@operation(method=False)
def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor holding a copy of ``data``: numbers, nested sequences, arrays.

    >>> torch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach()."
            "clone() or sourceTensor.detach().clone().requires_grad_(True), rather than "
            "torch.tensor(sourceTensor).",
            stacklevel=2,
        )
        made = copied(data.detach(), dtype, device)
    else:
        chosen = None if dtype is None else as_dtype(dtype)
        array, found = data_array(data, chosen)
        made = of_array(array, found, device_name(device))
        if not array.flags.c_contiguous and min(array.strides) >= 0:
            steps = tuple([s // array.itemsize for s in array.strides])
            made = lay_out(made, strides_like(array.shape, steps))  # PyTorch keeps the order
    return leaf(made) if requires_grad else made


def leaf(made: Tensor) -> Tensor:
    if not made.dtype.differentiable:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return made._require_grad_()


def copied(source: Tensor, dtype: Any = None, device: Any = None) -> Tensor:
    """A copy, of another type or on another device if given."""
    chosen = source.dtype if dtype is None else as_dtype(dtype)
    if chosen is source.dtype:
        made = apply(core.IDENTITY, (source,))
    else:
        made = apply(core.CAST, (source,), (chosen,))
    made = lay_out(made, strides_like(source._type.shape, source._strides()))
    return made if device is None else moved(made, device_name(device))


@operation(method=False)
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, sharing a tensor's or an array's memory where its type stays."""
    if isinstance(data, Tensor):
        same_type = dtype is None or as_dtype(dtype) is data.dtype
        if same_type and (device is None or device_name(device) == data._storage.device):
            return data
        return copied(data, dtype, device)
    if isinstance(data, np.ndarray) and data.flags.writeable and min(data.strides, default=0) >= 0:
        found = array_dtype(data)
        if (dtype is None or as_dtype(dtype) is found) and device_name(device) == "cpu":
            return from_numpy(data)
    return tensor(data, dtype=dtype, device=device)


@operation(method=False)
def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``obj`` as a tensor; ``copy`` says whether its memory must (not) be copied."""
    if isinstance(obj, Tensor):
        made = as_tensor(obj, dtype, device)
        if copy is False and made is not obj:
            raise ValueError("can't alias tensor with another dtype.")
        if copy and made is obj:
            made = copied(obj)
        if not requires_grad and made.requires_grad:
            made = made.detach()
    elif isinstance(obj, np.ndarray) and copy:
        made = tensor(obj, dtype=dtype, device=device)
    elif hasattr(obj, "__dlpack__") and not isinstance(obj, np.ndarray):
        made = as_tensor(from_dlpack(obj), dtype, device)
    else:
        if copy is False and not isinstance(obj, np.ndarray):
            raise ValueError(f"can't alias arbitrary sequence into a tensor.")  # noqa: F541
        made = as_tensor(obj, dtype, device)
    return made._require_grad_() if requires_grad and not made.requires_grad else made


@operation(method=False)
def from_numpy(ndarray: Any) -> Tensor:
    """A tensor over an array's own memory: each sees what is written to the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dtype = array_dtype(ndarray)
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable "
            "tensors. This means writing to this tensor will result in undefined behavior. You "
            "may want to copy the array to protect its data or make it writable before converting "
            "it to a tensor. This type of warning will be suppressed for the rest of this program.",
            stacklevel=2,
        )
    if ndarray.flags.c_contiguous:
        storage = share_array(ndarray, TensorType(ndarray.shape, dtype), "cpu")
        return _over(storage, storage.expression.type)
    if min(ndarray.strides) < 0:
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) "
        )
    if any(s % dtype.itemsize for s in ndarray.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy "
            "array to reallocate the memory."
        )
    buffer = Buffer.wrapping(ndarray)
    flat = TensorType((buffer.nbytes // dtype.itemsize,), dtype)
    storage = new_storage(new_expression(flat, "cpu", value=buffer))
    storage.shared = ForeignMemory(ndarray)
    strides = [s // dtype.itemsize for s in ndarray.strides]
    return _over(storage, flat)._view(ndarray.shape, strides, 0)


def _over(storage: Storage, type_: TensorType) -> Tensor:
    made = object.__new__(Tensor)
    made._storage, made._type = storage, type_
    return made


@operation(method=False)
def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A 1-D tensor over the memory of an object with the buffer protocol."""
    chosen = as_dtype(dtype)
    view = memoryview(buffer).cast("B")
    if view.nbytes == 0 or count == 0:
        raise ValueError(f"both buffer length ({view.nbytes}) and count ({count}) must not be 0")
    if not 0 <= offset < view.nbytes:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({view.nbytes} bytes) minus 1"
        )
    if count < 0 and (view.nbytes - offset) % chosen.itemsize:
        raise ValueError(
            f"buffer length ({view.nbytes - offset} bytes) after offset ({offset} bytes) must be a "
            f"multiple of element size ({chosen.itemsize})"
        )
    if count > 0 and offset + count * chosen.itemsize > view.nbytes:
        raise ValueError(
            f"requested buffer length ({count} * {chosen.itemsize} bytes) after offset ({offset} "
            f"bytes) must not be greater than actual buffer length ({view.nbytes} bytes)"
        )
    if view.readonly:
        warnings.warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors. "
            "This means you can write to the underlying (supposedly non-writable) buffer using "
            "the tensor. You may want to copy the buffer to protect its data or make it writable "
            "before converting it to a tensor. This type of warning will be suppressed for the "
            "rest of this program.",
            stacklevel=2,
        )
    array = np.frombuffer(buffer, chosen.numpy, count, offset)
    storage = share_array(array, TensorType(array.shape, chosen), "cpu")
    made = _over(storage, storage.expression.type)
    return made._require_grad_() if requires_grad else made


class _Legacy:
    """DLPack's older form, a capsule, in the shape that NumPy reads."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


@operation(method=False)
def from_dlpack(ext_tensor: Any, **options: Any) -> Tensor:
    """A tensor over the memory of another library's array."""
    if isinstance(ext_tensor, Tensor):
        return ext_tensor.detach()
    source = ext_tensor if hasattr(ext_tensor, "__dlpack__") else _Legacy(ext_tensor)
    array = np.from_dlpack(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not array.flags.writeable:
            array = np.lib.stride_tricks.as_strided(array, writeable=False)
        return from_numpy(array)
