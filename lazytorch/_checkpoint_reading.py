"""``load``: PyTorch's checkpoints, of its zip format and of older ones, become our objects."""

from __future__ import annotations

import importlib
import io
import os
import pickle
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import IO, Any

import numpy as np

from lazytorch import _serialization_engine as engine
from lazytorch._archive import ArchiveReader, looks_like_archive
from lazytorch._checkpoint_names import (
    ITEM_SIZES,
    OURS,
    SWAPPED_SIZES,
    THEIRS,
    TYPED_STORAGES,
    class_names,
    foreign_name,
)
from lazytorch._old_checkpoint import load_old_format, looks_like_old_format
from lazytorch._weights_unpickler import WeightsUnpickler


@dataclass(eq=False)
class LoadedStorage:
    """A storage read from a file: the engine's object, its element type, its elements."""

    engine_storage: Any
    dtype: str
    length: int


@dataclass(frozen=True)
class _StorageKind:
    """What a pickle's ``torch.FloatStorage`` stands for; ``dtype`` is "uint8" for raw bytes."""

    dtype: str


def _rebuild_tensor(
    storage: LoadedStorage,
    storage_offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool = False,
    backward_hooks: Any = None,
    metadata: Any = None,
) -> Any:
    made = _view(storage, storage.dtype, storage_offset, size, stride, requires_grad)
    return engine.changed(made, metadata) if metadata else made


def _rebuild_tensor_with_dtype(
    storage: LoadedStorage,
    storage_offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
    backward_hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Any:
    name = engine.dtype_name(dtype)
    return _view(storage, name, storage_offset, size, stride, requires_grad)


def _view(
    storage: LoadedStorage,
    dtype: str,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
) -> Any:
    size, stride = tuple(size), tuple(stride)
    scale = ITEM_SIZES[storage.dtype] / ITEM_SIZES[dtype]
    needed = 0
    if all(size):
        needed = offset + 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or needed > storage.length * scale:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset} "
            f"are out of bounds for storage of {storage.length} elements: the file is damaged"
        )
    return engine.rebuild(storage.engine_storage, dtype, offset, size, stride, bool(requires_grad))


def _rebuild_parameter(data: Any, requires_grad: bool, backward_hooks: Any) -> Any:
    return engine.rebuild_parameter(data, requires_grad)


def _rebuild_parameter_with_state(
    data: Any, requires_grad: bool, backward_hooks: Any, state: Any
) -> Any:
    return _with_state(engine.rebuild_parameter(data, requires_grad), state)


def _rebuild_subclass(rebuild: Any, kind: type, arguments: tuple[Any, ...], state: Any) -> Any:
    tensor = rebuild(*arguments)
    if type(tensor) is not kind:
        tensor = tensor.as_subclass(kind)
    return _with_state(tensor, state)


def _with_state(tensor: Any, state: Any) -> Any:
    """``state`` is the attributes, or a pair of them and those in slots."""
    for part in state if isinstance(state, tuple) else (state,):
        if part:
            engine.set_attributes(tensor, part)
    return tensor


def _latin1_bytes(text: str, encoding: str = "latin1") -> bytes:
    """Protocol 2 spells bytes as an encoded string; no other encoding is used for it."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"Bytes are encoded as latin1, not as {encoding}")
    return text.encode("latin1")


@cache
def _known_names() -> dict[tuple[str, str], Any]:
    """The names that every checkpoint may use, and what each stands for here."""
    known: dict[tuple[str, str], Any] = {
        ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor_v3"): _rebuild_tensor_with_dtype,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter_with_state,
        ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_subclass,
        ("torch._utils", "_rebuild_sparse_tensor"): engine.rebuild_sparse,
        ("torch.storage", "UntypedStorage"): _StorageKind("uint8"),
        ("torch.serialization", "_get_layout"): engine.layout_of,
        ("collections", "OrderedDict"): OrderedDict,
        ("collections", "Counter"): Counter,
        ("_codecs", "encode"): _latin1_bytes,
    }
    for own, name in class_names():
        known[name.module, name.name] = own
    for dtype, (storage, _) in TYPED_STORAGES.items():
        known["torch", storage] = _StorageKind(dtype)
    for dtype in ITEM_SIZES:
        try:
            known["torch", dtype] = engine.dtype_of(dtype)
        except AttributeError:  # An element type that the engine lacks: refused by name.
            continue
    for builtin in (set, bytearray, complex):
        known["builtins", builtin.__name__] = builtin
    return known


_safe_globals: list[Any] = []


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Let ``load`` with ``weights_only=True`` use these classes and functions.

    An entry may also be a pair of the object and the full name it has in the file.
    """
    _safe_globals.extend(item for item in safe_globals if item not in _safe_globals)


def get_safe_globals() -> list[Any]:
    return list(_safe_globals)


def clear_safe_globals() -> None:
    _safe_globals.clear()


@contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """``add_safe_globals`` for the length of a ``with`` block."""
    before = get_safe_globals()
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe_globals[:] = before


def _user_names() -> dict[str, Any]:
    names = {}
    for item in _safe_globals:
        if isinstance(item, tuple):
            names[item[1]] = item[0]
            continue
        names[f"{item.__module__}.{item.__qualname__}"] = item
        foreign = foreign_name(item)
        if foreign is not None:
            names[f"{foreign.module}.{foreign.name}"] = item
    return names


def _safe_lookup(user_names: dict[str, Any]) -> Callable[[str, str], Any]:
    """The lookup that refuses every name that is neither known nor allowed by the user."""

    def lookup(module: str, name: str) -> Any:
        known = _known_names().get((module, name))
        if known is not None:
            return known
        if f"{module}.{name}" in user_names:
            return user_names[f"{module}.{name}"]
        full = name if module == "builtins" else f"{module}.{name}"
        raise pickle.UnpicklingError(
            f"Unsupported global: GLOBAL {full} was not an allowed global by default. Please use "
            f"`torch.serialization.add_safe_globals([{full}])` or the "
            f"`torch.serialization.safe_globals([{full}])` context manager to allowlist this "
            "global if you trust this class/function."
        )

    return lookup


def _own_object(module: str, name: str) -> Any:
    """Our counterpart of PyTorch's ``module.name``: at the same place, or in a folder above."""
    if module == "torch._C._nn":
        module = "torch.nn.functional"  # which shows what is built in there
    place = OURS + module.removeprefix(THEIRS)
    while place:
        try:
            found: Any = importlib.import_module(place)
            for part in name.split("."):
                found = getattr(found, part)
            return found
        except (ModuleNotFoundError, AttributeError):
            place = place.rpartition(".")[0]
    raise pickle.UnpicklingError(
        f"The file needs {module}.{name}, and lazytorch has nothing of that name"
    )


@cache
def _trusting_unpickler_class(pickle_module: Any) -> Any:
    """An unpickler that makes anything, with PyTorch's names read as ours."""

    class TrustingUnpickler(pickle_module.Unpickler):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            if module.split(".", 1)[0] == THEIRS:
                known = _known_names().get((module, name))
                return _own_object(module, name) if known is None else known
            return super().find_class(module, name)

    return TrustingUnpickler


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what ``save``, or PyTorch's ``save``, wrote to ``f``.

    ``map_location`` sends storages elsewhere: a device or its name, a dict from saved to wanted
    names, or a function of a storage and its saved location that gives the storage to use, or
    None. With ``weights_only`` (the default, unless a ``pickle_module`` is given) the file can
    make tensors and plain containers only, and ``pickle.UnpicklingError`` names what else it
    asks for; without it, loading a file runs the code that the file holds. With ``mmap`` the
    data of a path are read when they are touched. RuntimeError tells of a damaged file.
    """
    if weights_only is None:
        weights_only = pickle_module is None
    elif weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _load(
                file, map_location, pickle_module or pickle, weights_only, mmap, pickle_load_args
            )
    if mmap:
        raise ValueError("f must be a file path in order to use the mmap argument")
    for method in ("read", "seek", "tell"):
        if not hasattr(f, method):
            raise AttributeError(
                f"'{type(f).__name__}' object has no attribute '{method}'. You can only torch.load "
                "from a file that is seekable. Please pre-load the data into a buffer like "
                "io.BytesIO and try to load from it instead."
            )
    return _load(f, map_location, pickle_module or pickle, weights_only, None, pickle_load_args)


def _load(
    file: IO[bytes],
    map_location: Any,
    pickle_module: Any,
    weights_only: bool,
    mapped: bool | None,
    pickle_load_args: dict[str, Any],
) -> Any:
    restore = _restore_function(map_location)
    unpickler = _unpickler_maker(pickle_module, weights_only, pickle_load_args)
    if not looks_like_archive(file):
        _refuse_unknown_formats(file)
        if mapped:
            raise RuntimeError(
                "mmap can only be used with files saved with "
                "`torch.save(_use_new_zipfile_serialization=True)`, please torch.save your "
                "checkpoint with this option in order to use mmap."
            )
        return _with_advice(
            lambda: load_old_format(file, unpickler, _old_storage(restore), _item_size),
            weights_only,
        )
    archive = ArchiveReader(file, bool(mapped))
    if "constants.pkl" in archive:
        raise RuntimeError(
            "This is a TorchScript archive (torch.jit.save), which lazytorch does not run; load "
            "its weights with PyTorch and save their state_dict"
        )
    storages = _StorageReader(archive, restore)
    pickled = io.BytesIO(archive.read("data.pkl"))
    return _with_advice(unpickler(pickled, storages.persistent_load).load, weights_only)


def _unpickler_maker(
    pickle_module: Any, weights_only: bool, options: dict[str, Any]
) -> Callable[[Any, Callable[[Any], Any]], Any]:
    """From a stream, and what loads its persistent ids, to an unpickler of its next object."""
    if not weights_only:

        def trusting(stream: Any, persistent_load: Callable[[Any], Any]) -> Any:
            made = _trusting_unpickler_class(pickle_module)(stream, **options)
            made.persistent_load = persistent_load
            return made

        return trusting
    user_names = _user_names()
    user_types = {item for item in user_names.values() if isinstance(item, type)}
    lookup = _safe_lookup(user_names)

    def careful(stream: Any, persistent_load: Callable[[Any], Any]) -> Any:
        return WeightsUnpickler(stream, lookup, user_types, persistent_load, **options)

    return careful


def _with_advice(read: Callable[[], Any], weights_only: bool) -> Any:
    """What ``read`` gives; what it is refused for comes with PyTorch's advice."""
    if not weights_only:
        return read()
    try:
        return read()
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(_weights_only_advice(str(error))) from None


def _item_size(kind: Any) -> int:
    if not isinstance(kind, _StorageKind):
        raise pickle.UnpicklingError(f"Unknown kind of storage {kind!r}")
    return ITEM_SIZES[kind.dtype]


def _old_storage(restore: Callable[[Any, str], Any]) -> Callable[[Any, Any, str, int], Any]:
    """What makes the storages of a file of the old format."""

    def make(kind: Any, content: Any, location: str, length: int) -> LoadedStorage:
        made = restore(engine.make_storage(content, kind.dtype), location)
        return LoadedStorage(made, kind.dtype, length)

    return make


class _StorageReader:
    """Answers a pickle's persistent ids, each storage once."""

    def __init__(self, archive: ArchiveReader, restore: Callable[[Any, str], Any]) -> None:
        self._archive = archive
        self._restore = restore
        self._loaded: dict[str, LoadedStorage] = {}
        order = archive.read("byteorder").decode() if "byteorder" in archive else "little"
        self._swapped = order != sys.byteorder

    def persistent_load(self, identity: Any) -> LoadedStorage:
        if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
            raise pickle.UnpicklingError(f"Unknown persistent id {identity!r}")
        _, kind, record, location, length = identity
        if not isinstance(kind, _StorageKind):
            raise pickle.UnpicklingError(f"Unknown kind of storage {kind!r}")
        storage = self._loaded.get(record)
        if storage is None:
            content = self._archive.read_buffer(f"data/{record}")
            if content.nbytes != length * ITEM_SIZES[kind.dtype]:
                raise RuntimeError(
                    f"data/{record} holds {content.nbytes} bytes where {length} elements of "
                    f"{kind.dtype} are expected: the file is damaged"
                )
            width = SWAPPED_SIZES[kind.dtype]
            if self._swapped and width > 1:
                content = content.view(f"u{width}").byteswap().view(np.uint8)
            made = self._restore(engine.make_storage(content, kind.dtype), location)
            storage = self._loaded[record] = LoadedStorage(made, kind.dtype, length)
        return storage


def _restore_function(map_location: Any) -> Callable[[Any, str], Any]:
    """From a storage and its saved location to the storage where it is wanted."""
    if map_location is None:
        return engine.place
    if isinstance(map_location, dict):
        return lambda storage, location: engine.place(storage, map_location.get(location, location))
    if isinstance(map_location, (str, engine.Device)):
        return lambda storage, location: engine.place(storage, str(map_location))

    def ask(storage: Any, location: str) -> Any:
        answer = map_location(storage, location)
        return engine.place(storage, location) if answer is None else answer

    return ask


def _refuse_unknown_formats(file: IO[bytes]) -> None:
    position = file.tell()
    start = file.read(64)
    file.seek(position)
    if not start:
        raise EOFError("Ran out of input: the file is empty")
    if looks_like_old_format(start):
        return
    raise pickle.UnpicklingError(
        f"This is not a PyTorch checkpoint: it starts with {start[:8]!r}, and not as a zip "
        "archive does; the file may be damaged, or be something else (an error page that was "
        "downloaded in its place, a Git LFS pointer)"
    )


def _weights_only_advice(reason: str) -> str:
    return (
        "Weights only load failed. This file can still be loaded, to do so you have two options, "
        "\033[1mdo those steps only if you trust the source of the checkpoint\033[0m. \n\t(1) "
        "In PyTorch 2.6, we changed the default value of the `weights_only` argument in "
        "`torch.load` from `False` to `True`. Re-running `torch.load` with `weights_only` set to "
        "`False` will likely succeed, but it can result in arbitrary code execution. Do it only "
        "if you got the file from a trusted source.\n\t(2) Alternatively, to load with "
        "`weights_only=True` please check the recommended steps in the following error message."
        f"\n\tWeightsUnpickler error: {reason}\n\nCheck the documentation of torch.load to learn "
        "more about types accepted by default with weights_only "
        "https://pytorch.org/docs/stable/generated/torch.load.html."
    )
