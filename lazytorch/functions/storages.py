"""torch.UntypedStorage and torch.TypedStorage: the memory behind a tensor, as users see it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from codegen import dtype as dt
from codegen.dtype import DType
from lazytorch.device import Device
from lazytorch.dtypes import CLASS_NAMES, NAMES
from lazytorch.functions import views
from lazytorch.functions.conversion import grow
from lazytorch.functions.creation import zeros
from lazytorch.functions.data import tensor as make_tensor
from lazytorch.functions.registration import operation
from lazytorch.storage import Storage
from lazytorch.tensor import Tensor

_DEPRECATED = (
    "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the "
    "only storage class. This should only matter to you if you are using storages directly.  To "
    "access UntypedStorage directly, use tensor.untyped_storage() instead of tensor.storage()"
)


class UntypedStorage:
    """The bytes behind a tensor: ``UntypedStorage(4)``, or of a sequence of bytes.

    >>> torch.tensor([1, 2], dtype=torch.int16).untyped_storage().tolist()
    [1, 0, 2, 0]
    """

    _tensor: Tensor
    _part: range | None = None  # of a slice: its bytes

    def __init__(self, content: Any = 0, *, device: Any = None) -> None:
        options = {"dtype": dt.uint8, "device": device}
        if isinstance(content, Tensor):
            self._tensor = content
        elif isinstance(content, int):
            self._tensor = zeros(content, **options)
        else:
            self._tensor = make_tensor(list(content), **options)
        self.storage: Storage = self._tensor._storage

    def as_tensor(self, dtype: DType = dt.uint8) -> Tensor:
        """All elements, as a vector that shares the memory."""
        source = self._tensor.detach()
        flat = source._view((self.storage.expression.type.size,), (1,), 0)
        if self._part is not None:
            whole = flat if source.dtype is dt.uint8 else views.view(flat, dt.uint8)
            flat = whole[self._part.start : self._part.stop]
            return flat if dtype is dt.uint8 else views.view(flat, dtype)
        return flat if source.dtype is dtype else views.view(flat, dtype)

    def nbytes(self) -> int:
        return self.storage.expression.type.nbytes if self._part is None else len(self._part)

    size = nbytes

    def __len__(self) -> int:
        return self.nbytes()

    def element_size(self) -> int:
        return 1

    @property
    def device(self) -> Device:
        return Device(self.storage.device)

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def get_device(self) -> int:
        return -1 if self.device.index is None else self.device.index

    def data_ptr(self) -> int:
        """The address of the memory; 0 where it is empty."""
        return self.as_tensor(self._tensor.dtype if self._part is None else dt.uint8).data_ptr()

    @property
    def _cdata(self) -> int:
        return id(self.storage)

    def resize_(self, nbytes: int) -> UntypedStorage:
        """Grow; what is larger already stays."""
        if not self.resizable():
            raise RuntimeError("Trying to resize storage that is not resizable")
        if nbytes > self.nbytes():
            grow(self._tensor, -(-nbytes // self._tensor.dtype.itemsize))
            self.storage = self._tensor._storage
        return self

    def resizable(self) -> bool:
        return self._part is None

    def fill_(self, value: int) -> UntypedStorage:
        self.as_tensor().fill_(value)
        return self

    def copy_(self, source: Any, non_blocking: bool = False) -> UntypedStorage:
        self.as_tensor().copy_(source.as_tensor(dt.uint8))
        return self

    def clone(self) -> UntypedStorage:
        return UntypedStorage(self.as_tensor().clone())

    def cpu(self) -> UntypedStorage:
        return self if self.device.type == "cpu" else UntypedStorage(self.as_tensor().cpu())

    def untyped(self) -> UntypedStorage:
        return self

    def is_shared(self) -> bool:
        return bool(self._tensor.is_shared())

    def share_memory_(self) -> UntypedStorage:
        self._tensor.share_memory_()
        return self

    def is_pinned(self, device: Any = None) -> bool:
        return bool(self._tensor.is_pinned())

    def tolist(self) -> Any:
        return self.as_tensor().tolist()

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return self._slice(place)
        if not -len(self) <= place < len(self):
            raise IndexError(f"index {place} out of range for storage of size {len(self)}")
        return self.as_tensor()[place].item()

    def _slice(self, place: slice) -> UntypedStorage:
        """A part, over the same memory."""
        begin, end, step = place.indices(len(self))
        if step != 1:
            raise RuntimeError(
                f"Trying to slice with a step of {step}, but only a step of 1 is supported"
            )
        first = 0 if self._part is None else self._part.start
        made = UntypedStorage(self._tensor)
        made._part = range(first + begin, first + max(begin, end))
        return made

    def __setitem__(self, place: Any, value: Any) -> None:
        self.as_tensor()[place] = value

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def __repr__(self) -> str:
        lines = "".join([f" {value}\n" for value in self.tolist()])
        return f"{lines}[torch.storage.UntypedStorage(device={self.device}) of size {len(self)}]"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UntypedStorage):
            return False
        return other.storage is self.storage and other._part == self._part

    def __hash__(self) -> int:
        return id(self.storage)

    def __deepcopy__(self, memo: dict[int, Any]) -> UntypedStorage:
        made = UntypedStorage(_copied(self._tensor, memo))
        made._part = self._part
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        return UntypedStorage, (self.as_tensor().detach(),)


def _copied(x: Tensor, memo: dict[int, Any]) -> Tensor:
    """A copy of a tensor's storage, once for all tensors of it in one ``deepcopy``."""
    made: Tensor = x.detach().__deepcopy__(memo)
    return made


class TypedStorage:
    """The elements behind a tensor: ``TypedStorage([1, 2], dtype=torch.int32)``."""

    def __init__(
        self, *content: Any, wrap_storage: UntypedStorage | None = None,
        dtype: DType | None = None, device: Any = None,
    ) -> None:  # fmt: skip
        self.dtype = dt.float32 if dtype is None else dtype
        if wrap_storage is not None:
            self._memory = wrap_storage
            return
        first = content[0] if content else 0
        if isinstance(first, int):
            made = zeros(first, dtype=self.dtype, device=device)
        else:
            made = make_tensor(list(first), dtype=self.dtype, device=device)
        self._memory = UntypedStorage(made)

    def as_tensor(self, dtype: DType | None = None) -> Tensor:
        """All elements, as a vector that shares the memory."""
        return self._memory.as_tensor(dtype or self.dtype)

    def untyped(self) -> UntypedStorage:
        return self._memory

    @property
    def device(self) -> Device:
        return self._memory.device

    @property
    def is_cuda(self) -> bool:
        return self._memory.is_cuda

    def get_device(self) -> int:
        return self._memory.get_device()

    def nbytes(self) -> int:
        return self._memory.nbytes()

    def element_size(self) -> int:
        return self.dtype.itemsize

    def size(self) -> int:
        return self.nbytes() // self.element_size()

    def __len__(self) -> int:
        return self.size()

    def data_ptr(self) -> int:
        return self._memory.data_ptr()

    @property
    def _cdata(self) -> int:
        return self._memory._cdata

    def resize_(self, size: int) -> TypedStorage:
        self._memory.resize_(size * self.element_size())
        return self

    def resizable(self) -> bool:
        return True

    def fill_(self, value: Any) -> TypedStorage:
        self.as_tensor().fill_(value)
        return self

    def copy_(self, source: Any, non_blocking: bool = False) -> TypedStorage:
        self.as_tensor().copy_(source.as_tensor())
        return self

    def clone(self) -> TypedStorage:
        return _typed(self.as_tensor().clone())

    def cpu(self) -> TypedStorage:
        return _typed(self.as_tensor().cpu())

    def is_shared(self) -> bool:
        return self._memory.is_shared()

    def share_memory_(self) -> TypedStorage:
        self._memory.share_memory_()
        return self

    def is_pinned(self, device: Any = None) -> bool:
        return self._memory.is_pinned()

    def type(self, dtype: Any = None) -> Any:
        """The name of the class of its elements; or a copy in another type."""
        if dtype is None:
            return f"torch.{self.pickle_storage_type()}"
        return _typed(self.as_tensor().to(dtype))

    def pickle_storage_type(self) -> str:
        """The storage class that files name."""
        return _class_name(self.dtype)

    def tolist(self) -> Any:
        return self.as_tensor().tolist()

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        return self.as_tensor()[place].item()

    def __setitem__(self, place: Any, value: Any) -> None:
        self.as_tensor()[place] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __repr__(self) -> str:
        lines = "".join([f" {value}\n" for value in self.tolist()])
        kind = f"torch.storage.TypedStorage(dtype={self.dtype!r}, device={self.device})"
        return f"{lines}[{kind} of size {len(self)}]"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypedStorage) and other._memory == self._memory

    def __hash__(self) -> int:
        return hash(self._memory)

    def __deepcopy__(self, memo: dict[int, Any]) -> TypedStorage:
        return TypedStorage(wrap_storage=self._memory.__deepcopy__(memo), dtype=self.dtype)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _typed, (self.as_tensor(),)


def _typed(x: Tensor) -> TypedStorage:
    return TypedStorage(wrap_storage=UntypedStorage(x), dtype=x.dtype)


def _class_name(dtype: DType) -> str:
    return CLASS_NAMES[dtype].replace("Tensor", "Storage")


def _conversion(dtype: DType) -> Any:
    """The method of both classes that copies the elements into another type."""

    def converted(self: Any) -> TypedStorage:
        own = self.as_tensor()
        return _typed(own.clone() if own.dtype is dtype else own.to(dtype))

    return converted


for _name in ("float", "double", "half", "bfloat16", "long", "int", "short", "char", "bool"):
    _dtype = dt.int8 if _name == "char" else NAMES[_name]
    setattr(UntypedStorage, _name, _conversion(_dtype))
    setattr(TypedStorage, _name, _conversion(_dtype))
setattr(UntypedStorage, "byte", _conversion(dt.uint8))  # noqa: B010  as the others
setattr(TypedStorage, "byte", _conversion(dt.uint8))  # noqa: B010


class _OfOneType(type):
    """torch.FloatStorage and its kin: they make and recognize a ``TypedStorage`` of one type."""

    dtype: DType

    def __call__(cls, *content: Sequence[Any] | int, **options: Any) -> TypedStorage:
        return TypedStorage(*content, dtype=cls.dtype, **options)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, TypedStorage) and instance.dtype is cls.dtype

    def __repr__(cls) -> str:
        return f"<class 'torch.{cls.__name__}'>"


STORAGE_CLASSES: dict[str, Any] = {
    _class_name(dtype): _OfOneType(_class_name(dtype), (), {"dtype": dtype, "__module__": "torch"})
    for dtype in CLASS_NAMES
}


@operation(function=False)
def untyped_storage(self: Tensor) -> UntypedStorage:
    """The bytes behind the tensor."""
    return UntypedStorage(self)


@operation(function=False)
def storage(self: Tensor) -> TypedStorage:
    """The elements behind the tensor."""
    warnings.warn(_DEPRECATED, stacklevel=2)
    return _typed(self)


@operation(function=False)
def storage_type(self: Tensor) -> Any:
    """The class of storages of the tensor's type."""
    return STORAGE_CLASSES[_class_name(self.dtype)]


@operation(method=False)
def is_storage(obj: Any) -> bool:
    """Whether an object is a storage."""
    return isinstance(obj, (UntypedStorage, TypedStorage))


STORAGE_CLASSES |= {
    "Storage": TypedStorage, "TypedStorage": TypedStorage, "UntypedStorage": UntypedStorage,
}  # fmt: skip
