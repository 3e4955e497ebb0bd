"""The few engine functions that serialization needs; the only file to change at the merge.

With LT_DEV set they are played by real PyTorch, so that the format can be developed and tested
without the engine.

A storage object is whatever ``make_storage`` returns; serialization passes it back to ``place``
and ``rebuild`` and never looks inside. Element types travel by name, without the ``torch.``.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Any

if not os.environ.get("LT_DEV"):
    raise ImportError("lazytorch's engine is not wired to serialization yet; set LT_DEV=1")

import torch

Tensor: Any = torch.Tensor
Parameter: Any = torch.nn.Parameter
Size: Any = torch.Size
Device: Any = torch.device
DType: Any = torch.dtype

_LOCATIONS = ("cpu", "meta")


def dtype_of(name: str) -> Any:
    """The dtype object called ``name``; AttributeError if there is none."""
    return getattr(torch, name)


def dtype_name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def device_arguments(device: Any) -> tuple[Any, ...]:
    """What the device's constructor takes to make it again: ("cpu",) or ("cuda", 0)."""
    return (device.type,) if device.index is None else (device.type, device.index)


def storage_of(tensor: Any) -> Hashable:
    """A key that the views of one storage, and no other tensors alive, have in common."""
    return int(tensor.untyped_storage()._cdata)


def storage_bytes(tensor: Any) -> Any:
    """The tensor's whole storage (not its view alone) as a contiguous bytes-like object."""
    storage = tensor.detach().cpu().untyped_storage()
    return torch.empty(0, dtype=torch.uint8).set_(storage).numpy()


def storage_dtype(tensor: Any) -> str:
    return dtype_name(tensor.dtype)


def storage_location(tensor: Any) -> str:
    """Where the storage lives, in PyTorch's words: "cpu", "cuda:0"."""
    return str(tensor.device)


def geometry(tensor: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Offset in the storage, size and stride, all counted in elements."""
    return tensor.storage_offset(), tuple(tensor.size()), tuple(tensor.stride())


def attributes_of(tensor: Any) -> dict[str, Any]:
    """What the user hung on the tensor (``p.note = 1``): saved with it."""
    return dict(tensor.__dict__)


def make_storage(buffer: Any, dtype: str) -> Any:
    """A storage on the CPU over ``buffer`` (writable, and ours to keep), without a copy.

    ``dtype`` is "uint8" for a storage whose element type comes with each ``rebuild``.
    """
    if not memoryview(buffer).nbytes:
        return torch.empty(0, dtype=torch.uint8).untyped_storage()
    return torch.frombuffer(buffer, dtype=torch.uint8).untyped_storage()


def place(storage: Any, location: str) -> Any:
    """The storage on the device that ``location`` names; RuntimeError where there is none."""
    if location not in _LOCATIONS:
        raise RuntimeError(
            f"don't know how to restore data location of {type(storage).__name__} "
            f"(tagged with {location})"
        )
    return storage


def rebuild(
    storage: Any,
    dtype: str,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
) -> Any:
    """A tensor that views ``storage``; RuntimeError where it would reach past its end."""
    tensor = torch.empty(0, dtype=dtype_of(dtype)).set_(storage, offset, size, stride)
    return tensor.requires_grad_(requires_grad)


def rebuild_parameter(data: Any, requires_grad: bool) -> Any:
    return torch.nn.Parameter(data, requires_grad)


def storage_nbytes(tensor: Any) -> int:
    """The length of ``storage_bytes(tensor)``, without computing pending values."""
    return int(tensor.untyped_storage().nbytes())


def realize_all(tensors: list[Any]) -> None:
    """Compute whatever is pending in ``tensors``, at once; ``storage_bytes`` of each follows."""


def set_attributes(tensor: Any, attributes: dict[str, Any]) -> None:
    """Hang what ``attributes_of`` gave on the tensor again."""
    tensor.__dict__.update(attributes)


def layout_of(name: str) -> Any:
    """The layout called "torch.strided"."""
    return getattr(torch, name.removeprefix("torch."))
