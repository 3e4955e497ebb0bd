"""What leaves the engine: a tensor's elements as NumPy's, as Python's numbers, as memory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from codegen import dtype as dt
from codegen.ir.node import TensorType
from codegen.ops.special_reference import bfloat16_to_float32
from codegen.runtime.memory import Buffer
from lazytorch import capture, levels
from lazytorch.device import DLDeviceType, device_of, is_on_queue
from lazytorch.elements import element_reader
from lazytorch.geometry import Geometry
from lazytorch.realize import realize
from lazytorch.storage import Storage, buffer_array

T = TypeVar("T", bound="HostValues")


def number_of(value: Buffer, type_: TensorType) -> Any:
    """The one element of some memory as a Python number."""
    array = buffer_array(value, type_)
    return (bfloat16_to_float32(array) if type_.dtype is dt.bfloat16 else array).item()


class HostValues:
    """The part of ``Tensor`` that computes its value and shows it to the outside."""

    _storage: Storage
    _type: TensorType
    _geometry: Geometry | None

    if TYPE_CHECKING:
        # What Tensor has besides.
        @property
        def requires_grad(self) -> bool: ...
        def detach(self) -> Any: ...
        def storage_offset(self) -> int: ...

    def realize(self: T) -> T:
        """Compute the value now; the tensor itself, for chaining."""
        realize([self._storage.expression])
        return self

    def _whole_array(self) -> NDArray[Any]:
        """The storage's memory after realize, as NumPy sees it (bfloat16 as bits)."""
        capture.refuse("a value was read")
        storage = self._storage
        value = storage.expression
        if value.value is None:
            realize([value])
        if not isinstance(value.value, Buffer):
            raise AssertionError("a storage never holds a bare number")
        if value.value.order != storage.order:
            storage.settle()
        return buffer_array(value.value, value.type)

    def _array(self) -> NDArray[Any]:
        """This tensor's elements in the storage's memory, strided as they lie there; a copy of
        them where the host cannot reach that memory."""
        if self._geometry is not None and is_on_queue(self._storage.device):
            view = self.detach()._read()
            realize([view])
            if type(view.value) is Buffer and not view.value.is_reachable:
                capture.refuse("a value was read")
                return buffer_array(view.value, view.type)
        return self._within(self._whole_array())

    def _within(self, whole: NDArray[Any]) -> NDArray[Any]:
        """The elements of the whole that this shows: in its memory, or a copy of them where it
        shows other numbers."""
        geometry = self._geometry
        if geometry is None:
            return whole
        size = self._type.dtype.itemsize
        flat = self._storage.flat(whole)
        if flat.itemsize != size:  # real numbers seen as complex ones, or the other way
            flat = flat.view(self._type.dtype.numpy)
        shape, strides = geometry.shape, [s * size for s in geometry.strides]
        if 0 in shape:
            shown = np.lib.stride_tricks.as_strided(flat[geometry.offset :], shape, strides)
        else:
            shown = np.ndarray(shape, flat.dtype, flat, geometry.offset * size, strides)
        if geometry.conjugated:
            shown = np.conj(shown)
        return -shown if geometry.negated else shown

    def _float_array(self) -> NDArray[Any]:
        """As ``_array``, with bfloat16 widened to float32."""
        array = self._array()
        return bfloat16_to_float32(array) if self._type.dtype is dt.bfloat16 else array

    def numpy(self, *, force: bool = False) -> NDArray[Any]:
        """The elements as a NumPy array that shares this tensor's memory, both ways."""
        if force:
            plain: HostValues = self.detach().resolve_conj().resolve_neg()
            return plain.numpy() if plain._is_reachable() else plain._array()
        if self.requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        if self._type.dtype is dt.bfloat16:
            raise TypeError("Got unsupported ScalarType BFloat16")
        if self._geometry is not None and self._geometry.changes_values:
            is_conjugate = self._geometry.conjugated
            kind, name = ("conjugate", "conj") if is_conjugate else ("negative", "neg")
            raise RuntimeError(
                f"Can't call numpy() on Tensor that has {kind} bit set. Use "
                f"tensor.resolve_{name}().numpy() instead."
            )
        if not self.realize()._is_reachable():
            raise TypeError(
                f"can't convert {self._storage.device} device type tensor to numpy. Use "
                "Tensor.cpu() to copy the tensor to host memory first."
            )
        return self._within(self._storage.exported_array())

    def _is_reachable(self) -> bool:
        """Whether NumPy can share the memory, once it is computed; a CPU tensor's it always can."""
        device = self._storage.device
        return not is_on_queue(device) or device_of(device).on_host

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        array = self.numpy()
        if dtype is not None and np.dtype(dtype) != array.dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def item(self) -> Any:
        """The one element as a Python number."""
        if self._type.size != 1:
            raise RuntimeError(
                f"a Tensor with {self._type.size} elements cannot be converted to Scalar"
            )
        if capture.state.active is not None:
            later = capture.state.active.read_later(self, sys._getframe(1))  # type: ignore[arg-type]
            if later is not None:
                return later
        storage, geometry = self._storage, self._geometry
        read = element_reader(self._type.dtype)
        if read is not None and storage.special is None:
            if geometry is None:
                offset = 0
            elif not geometry.changes_values:
                offset = geometry.offset * self._type.dtype.itemsize
            else:
                return self._float_array().item()
            capture.refuse("a value was read")
            value = storage.expression
            if value.value is None:
                realize([value])
            memory = value.value
            if memory.memory is None and memory.order is None:
                return read(memory.address + offset).value
        return self._float_array().item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self._float_array().tolist()

    def data_ptr(self) -> int:
        """The address of the first element, after computing it; a number that stands for it where
        the memory is a device's own."""
        if not self._is_reachable() and self._type.size:
            value = self.realize()._storage.expression.value
            assert value.memory is not None
            offset = self.storage_offset() * self._type.dtype.itemsize
            return int(value.memory.pointer()) + offset
        if not self._type.size:
            return 0
        start = int(self._whole_array().__array_interface__["data"][0])
        return start + self.storage_offset() * self._type.dtype.itemsize

    def __bool__(self) -> bool:
        if self._type.size == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        if self._type.size > 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        try:
            return bool(self.item())
        except levels.UnknownValue as error:
            raise error.in_control_flow() from None

    def __float__(self) -> float:
        return float(self._real_item("double"))

    def __int__(self) -> int:
        return int(self._real_item("int64_t"))

    def _real_item(self, name: str) -> Any:
        """The one element, which must have no imaginary part."""
        value = self.item()
        if isinstance(value, complex):
            if value.imag != 0:
                raise RuntimeError(f"value cannot be converted to type {name} without overflow")
            return value.real
        return value

    def __index__(self) -> int:
        if self._type.dtype.kind == "float" or self._type.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        if not self._type.shape:
            raise TypeError("len() of a 0-d tensor")
        return self._type.shape[0]

    def __hash__(self) -> int:
        return id(self)

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        if self._geometry is not None and self._geometry.conjugated:
            raise BufferError("Can't export tensors with the conjugate bit set")
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (DLDeviceType.kDLCPU, 0)
