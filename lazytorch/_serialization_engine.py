"""What checkpoints need to know of tensors and their storages.

A storage object is whatever ``make_storage`` returns; serialization passes it back to ``place``
and ``rebuild`` and never looks inside. Element types travel by name, without the ``torch.``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

import numpy as np

from codegen.dtype import DType
from codegen.ir.node import TensorType
from codegen.ops.strided import contiguous_strides
from codegen.runtime.memory import Buffer
from lazytorch.device import Device, device_name, placed
from lazytorch.dtypes import NAMES
from lazytorch.expression import new_expression
from lazytorch.layout import Layout, sparse_coo, sparse_csc, sparse_csr, strided
from lazytorch.nn.parameter import Parameter, UninitializedTensorMixin
from lazytorch.realize import realize
from lazytorch.size import Size
from lazytorch.sparse.construction import rebuilt
from lazytorch.sparse.tensors import SparseTensor
from lazytorch.storage import Storage, new_storage
from lazytorch.tensor import OWN_ATTRIBUTES, Geometry, Tensor

__all__ = [
    "DType", "Device", "Layout", "Parameter", "Size", "SparseTensor", "Tensor",
    "UninitializedTensorMixin", "attributes_of", "device_arguments",
    "dtype_name", "dtype_of", "geometry", "layout_of", "make_storage", "place", "realize_all",
    "rebuild", "rebuild_parameter", "rebuild_sparse", "set_attributes", "storage_bytes",
    "storage_dtype", "storage_location", "storage_nbytes", "storage_of",
]  # fmt: skip


@dataclasses.dataclass
class LoadedMemory:
    """Bytes from a file and where they shall live; the storages over them, by element type."""

    content: Any
    device: str
    storages: dict[DType, Storage] = dataclasses.field(default_factory=dict)


def dtype_of(name: str) -> DType:
    """The dtype object called ``name``; AttributeError if there is none."""
    found = NAMES.get(name)
    if found is None:
        raise AttributeError(f"there is no element type {name}")
    return found


def dtype_name(dtype: DType) -> str:
    return dtype.name.rstrip("_")


def device_arguments(device: Any) -> tuple[Any, ...]:
    """What the device's constructor takes to make it again: ("cpu",) or ("cuda", 0)."""
    return (device.type,) if device.index is None else (device.type, device.index)


def storage_of(tensor: Tensor) -> Hashable:
    """A key that the views of one storage, and no other tensors alive, have in common."""
    return id(tensor._storage)


def storage_bytes(tensor: Tensor) -> Any:
    """The tensor's whole storage (not its view alone) as a contiguous bytes-like object."""
    tensor._whole_array()
    return tensor._storage.memory().view(np.uint8)


def storage_nbytes(tensor: Tensor) -> int:
    """The length of ``storage_bytes(tensor)``, without computing pending values."""
    return tensor._storage.expression.type.nbytes


def storage_dtype(tensor: Tensor) -> str:
    return dtype_name(tensor.dtype)


def storage_location(tensor: Tensor) -> str:
    """Where PyTorch shall put the storage: our devices of other names are CPUs to it."""
    device = tensor._storage.device
    return device if device.startswith("cuda") else "cpu"


def geometry(tensor: Tensor) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Offset in the storage, size and stride, all counted in elements."""
    return tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride())


def changes_of(tensor: Tensor) -> dict[str, bool]:
    """Whether it shows its storage conjugated or negated, as PyTorch writes that."""
    found = {"conj": tensor.is_conj(), "neg": tensor.is_neg()}
    return {name: True for name, is_so in found.items() if is_so}


def changed(tensor: Tensor, changes: dict[str, bool]) -> Tensor:
    """The tensor, which shows its storage conjugated or negated from now on."""
    place = tensor._geometry or Geometry(tensor._type.shape, tensor._strides(), 0)
    conjugated, negated = changes.get("conj", False), changes.get("neg", False)
    tensor._geometry = place._replace(conjugated=conjugated, negated=negated)
    return tensor


def attributes_of(tensor: Tensor) -> dict[str, Any]:
    """What the user hung on the tensor (``p.note = 1``): saved with it."""
    return {k: v for k, v in tensor.__dict__.items() if k not in OWN_ATTRIBUTES}


def set_attributes(tensor: Tensor, attributes: dict[str, Any]) -> None:
    """Hang what ``attributes_of`` gave on the tensor again."""
    tensor.__dict__.update(attributes)


def realize_all(tensors: list[Tensor]) -> None:
    """Compute whatever is pending in ``tensors``, at once; ``storage_bytes`` of each follows."""
    realize([t._storage.expression for t in tensors])


def make_storage(buffer: Any, dtype: str) -> LoadedMemory:
    """A storage on the CPU over ``buffer`` (writable, and ours to keep), without a copy.

    ``dtype`` is "uint8" for a storage whose element type comes with each ``rebuild``.
    """
    return LoadedMemory(buffer, "cpu")


def place(storage: LoadedMemory, location: str) -> LoadedMemory:
    """The storage on the device that ``location`` names; RuntimeError where there is none."""
    try:
        name = device_name(location)
    except RuntimeError:
        raise RuntimeError(
            f"don't know how to restore data location of torch.storage.UntypedStorage (tagged with "
            f"{location})"
        ) from None
    storage.device = name
    return storage


def rebuild(
    storage: LoadedMemory,
    dtype: str,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
) -> Tensor:
    """A tensor that views ``storage``; RuntimeError where it would reach past its end."""
    kind = dtype_of(dtype)
    count = memoryview(storage.content).nbytes // kind.itemsize
    type_ = TensorType(size, kind)
    whole = offset == 0 and type_.size == count and stride == contiguous_strides(size)
    found = storage.storages.get(kind)
    if found is None:
        shape = size if whole else (count,)
        found = storage.storages[kind] = _storage_over(storage, TensorType(shape, kind), count)
    tensor = object.__new__(Tensor)
    tensor._storage = found
    tensor._type = type_
    if not whole or found.expression.type is not type_:
        tensor._geometry, tensor._overlaps = Geometry(size, stride, offset), 0 in stride
    return tensor._require_grad_(requires_grad)


def _storage_over(memory: LoadedMemory, type_: TensorType, count: int) -> Storage:
    array = (
        np.frombuffer(memory.content, type_.dtype.numpy, count)
        if count
        else np.empty(0, type_.dtype.numpy)
    )
    value = placed(Buffer.wrapping(array), memory.device)
    return new_storage(new_expression(type_, memory.device, value=value))


def rebuild_parameter(data: Tensor, requires_grad: bool) -> Parameter:
    return Parameter(data, requires_grad)


def rebuild_sparse(layout: Layout, parts: tuple[Any, ...]) -> SparseTensor:
    """A sparse tensor of its parts; RuntimeError where they describe none."""
    return rebuilt(layout, parts)


def layout_of(name: str) -> Layout:
    """The layout called "torch.strided"."""
    return _LAYOUTS[name]


_LAYOUTS = {repr(layout): layout for layout in (strided, sparse_coo, sparse_csr, sparse_csc)}
