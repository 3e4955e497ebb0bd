"""``save`` and ``load``: objects with tensors go into PyTorch's checkpoint files, and come out."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import IO, Any, ClassVar

from lazytorch import _serialization_engine as engine
from lazytorch._archive import ALIGNMENT, ArchiveWriter, replaced_when_complete
from lazytorch._checkpoint_names import (
    DEVICE,
    ITEM_SIZES,
    SIZE,
    TYPED_STORAGES,
    UNTYPED,
    Name,
    dtype_name,
    foreign_name,
)
from lazytorch._checkpoint_reading import (
    LoadedStorage,
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    load,
    safe_globals,
)

__all__ = [
    "DEFAULT_PROTOCOL", "LoadedStorage", "add_safe_globals", "clear_safe_globals",
    "get_safe_globals", "load", "safe_globals", "save",
]  # fmt: skip

DEFAULT_PROTOCOL = 2
MAP_LOCATION = Callable[[Any, str], Any] | engine.Device | str | dict[str, str] | None

_REBUILD_TENSOR = Name("torch._utils", "_rebuild_tensor_v2")
_REBUILD_TENSOR_WITH_DTYPE = Name("torch._utils", "_rebuild_tensor_v3")
_REBUILD_PARAMETER = Name("torch._utils", "_rebuild_parameter")
_REBUILD_PARAMETER_WITH_STATE = Name("torch._utils", "_rebuild_parameter_with_state")
_REBUILD_SUBCLASS = Name("torch._tensor", "_rebuild_from_type_v2")
_UNTYPED_STORAGE = Name("torch.storage", "UntypedStorage")
_REBUILD_SPARSE = Name("torch._utils", "_rebuild_sparse_tensor")
_GET_LAYOUT = Name("torch.serialization", "_get_layout")


@cache
def _storage_name(dtype: str) -> Name:
    return Name("torch", TYPED_STORAGES[dtype][0])


@dataclass(eq=False)
class _StorageReference:
    """Stands in the pickled object where a storage's persistent id goes."""

    identity: tuple[Any, ...]


@dataclass(eq=False)
class _Data:
    """A parameter's plain tensor, pickled without making one."""

    tensor: Any


@dataclass
class _SavedStorage:
    record: str
    dtype: str
    tensor: Any
    reference: _StorageReference


class _PicklerRules:
    """What a pickler of checkpoints does beyond its base: tensors, and PyTorch's names."""

    storages: dict[Any, _SavedStorage]
    # Given by the pickler these rules are mixed into.
    proto: int
    write: Callable[[bytes], Any]
    save: Callable[[Any], None]
    memoize: Callable[[Any], None]

    def persistent_id(self, item: Any) -> Any:
        return item.identity if isinstance(item, _StorageReference) else None

    def reducer_override(self, item: Any) -> Any:
        if isinstance(item, engine.UninitializedTensorMixin):
            return type(item), (item.requires_grad,)
        if isinstance(item, engine.Tensor):
            return self._reduce_tensor(item)
        if isinstance(item, _Data):
            return self._reduce_data(item.tensor, requires_grad=False)
        if isinstance(item, engine.Size):
            return SIZE, (tuple(item),)
        if isinstance(item, engine.Device):
            return DEVICE, engine.device_arguments(item)
        if isinstance(item, engine.Layout):
            return _GET_LAYOUT, (repr(item),)
        if isinstance(item, Name):
            return item.name
        if isinstance(item, engine.DType):
            return engine.dtype_name(item)
        return NotImplemented

    def _reduce_tensor(self, tensor: Any) -> tuple[Any, ...]:
        if isinstance(tensor, engine.SparseTensor):
            parts = [_Data(p) if isinstance(p, engine.Tensor) else p for p in tensor.parts()]
            return _REBUILD_SPARSE, (tensor.layout, tuple(parts))
        attributes = engine.attributes_of(tensor)
        if isinstance(tensor, engine.Parameter):
            hooks: OrderedDict[int, Any] = OrderedDict()
            arguments = (_Data(tensor), tensor.requires_grad, hooks)
            if attributes:
                return _REBUILD_PARAMETER_WITH_STATE, (*arguments, attributes)
            return _REBUILD_PARAMETER, arguments
        rebuild, plain = self._reduce_data(tensor, bool(tensor.requires_grad))
        if type(tensor) is not engine.Tensor or attributes:
            return _REBUILD_SUBCLASS, (rebuild, type(tensor), plain, attributes)
        return rebuild, plain

    def _reduce_data(self, tensor: Any, requires_grad: bool) -> tuple[Any, tuple[Any, ...]]:
        dtype = engine.storage_dtype(tensor)
        offset, size, stride = engine.geometry(tensor)
        storage = self._storage(tensor, dtype)
        hooks: OrderedDict[int, Any] = OrderedDict()
        arguments: tuple[Any, ...] = (
            storage,
            offset,
            tuple(size),
            tuple(stride),
            requires_grad,
            hooks,
        )
        if dtype in UNTYPED:
            return _REBUILD_TENSOR_WITH_DTYPE, (*arguments, dtype_name(dtype))
        changes = engine.changes_of(tensor)
        return _REBUILD_TENSOR, (*arguments, changes) if changes else arguments

    def _storage(self, tensor: Any, dtype: str) -> _StorageReference:
        key = engine.storage_of(tensor)
        saved = self.storages.get(key)
        if saved is None:
            record = str(len(self.storages))
            kind = _UNTYPED_STORAGE if dtype in UNTYPED else _storage_name(dtype)
            length = engine.storage_nbytes(tensor)
            if dtype not in UNTYPED:
                length //= ITEM_SIZES[dtype]
            # Interned, so that the pickle spells it once.
            location = sys.intern(engine.storage_location(tensor))
            reference = _StorageReference(("storage", kind, record, location, length))
            saved = self.storages[key] = _SavedStorage(record, dtype, tensor, reference)
        if saved.dtype != dtype:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different "
                "types"
            )
        return saved.reference

    def save_global(self, item: Any, name: str | None = None) -> None:
        foreign = foreign_name(item)
        if foreign is None:
            super().save_global(item, name)  # type: ignore[misc]
            return
        if self.proto >= 4:
            self.save(foreign.module)
            self.save(foreign.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{foreign.module}\n{foreign.name}\n".encode("ascii"))
        self.memoize(item)


@cache
def _pickler_class(pickle_module: Any) -> Any:
    """A pickler with our rules over the module's own, or over the standard one in Python.

    The C pickler will not write a name that it cannot import under that name.
    """
    plain: Any = pickle._Pickler
    base: Any = pickle_module.Pickler
    if not issubclass(base, plain):
        base = plain

    class CheckpointPickler(_PicklerRules, base):  # type: ignore[misc, unused-ignore]
        dispatch: ClassVar[dict[type, Any]] = dict(base.dispatch)
        if dispatch[FunctionType] is plain.save_global:
            dispatch[FunctionType] = _PicklerRules.save_global

    return CheckpointPickler


def save(
    obj: object,
    f: str | os.PathLike[str] | IO[bytes],
    pickle_module: Any = pickle,
    pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write ``obj`` to the file ``f`` (a path, or something with ``write``), as PyTorch would.

    Tensors that share a storage share it in the file. A path is replaced only once the new file
    is complete, so that a crash leaves the old one.
    """
    if not _use_new_zipfile_serialization:
        raise NotImplementedError(
            "lazytorch writes checkpoints in the zip format only; every PyTorch since 1.6 reads it"
        )
    if not isinstance(f, (str, os.PathLike)) and not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )
    # Pickling comes first: what cannot be pickled must not touch the file.
    pickled = io.BytesIO()
    pickler = _pickler_class(pickle_module)(pickled, protocol=pickle_protocol)
    pickler.storages = {}
    pickler.dump(obj)
    storages = list(pickler.storages.values())
    engine.realize_all([storage.tensor for storage in storages])

    if not isinstance(f, (str, os.PathLike)):
        _write_archive(f, "archive", pickled.getvalue(), storages, not _disable_byteorder_record)
        return
    path = Path(os.fspath(f))
    # PyTorch's reader takes ASCII names only.
    name = path.stem if path.stem.isascii() else "archive"
    with replaced_when_complete(path) as stream:
        _write_archive(stream, name, pickled.getvalue(), storages, not _disable_byteorder_record)


def _write_archive(
    file: IO[bytes], name: str, pickled: bytes, storages: list[_SavedStorage], byteorder: bool
) -> None:
    writer = ArchiveWriter(file, name)
    digest = hashlib.sha1(pickled)
    writer.write("data.pkl", pickled)
    writer.write(".format_version", b"1")
    writer.write(".storage_alignment", str(ALIGNMENT).encode())
    if byteorder:
        writer.write("byteorder", sys.byteorder.encode())
    for storage in storages:
        content = engine.storage_bytes(storage.tensor)
        digest.update(content)
        writer.write(f"data/{storage.record}", content)
    writer.write("version", b"3\n")
    identity = int.from_bytes(digest.digest(), "big") % 10**40
    writer.write(".data/serialization_id", f"{identity:040d}".encode())
    writer.close()
