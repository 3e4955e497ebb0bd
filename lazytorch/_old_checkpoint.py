"""The checkpoint format from before PyTorch 1.6: pickles, then each storage's bytes, in a row."""

from __future__ import annotations

import pickle
import struct
import sys
from collections.abc import Callable
from typing import IO, Any

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

# (stream, persistent_load) -> an unpickler of the next object in the stream.
MakeUnpickler = Callable[[Any, Callable[[Any], Any]], Any]
# (kind of storage, bytes, saved location, length in elements) -> what tensors are rebuilt over.
MakeStorage = Callable[[Any, Any, str, int], Any]
ItemSize = Callable[[Any], int]


def looks_like_old_format(start: bytes) -> bool:
    """Whether a file that begins so begins with the format's magic number, as a pickle."""
    return MAGIC_NUMBER.to_bytes(10, "little") in start


def load_old_format(
    file: IO[bytes], unpickler: MakeUnpickler, make_storage: MakeStorage, item_size: ItemSize
) -> Any:
    """The object in a file of the old format; RuntimeError where it is cut short or damaged.

    Storages come after the object that refers to them: their memory is filled once it is read.
    """
    storages = _Storages(make_storage, item_size)
    try:
        if unpickler(file, _refuse).load() != MAGIC_NUMBER:
            raise RuntimeError("Invalid magic number; corrupt file?")
        version = unpickler(file, _refuse).load()
        if version != PROTOCOL_VERSION:
            raise RuntimeError(f"Invalid protocol version: {version}")
        system = unpickler(file, _refuse).load()
        result = unpickler(file, storages.persistent_load).load()
        keys = unpickler(file, _refuse).load()
        little = not isinstance(system, dict) or system.get("little_endian", True)
        for key in keys:
            storages.fill(key, file, little)
    except (EOFError, struct.error) as error:
        raise RuntimeError(
            "The checkpoint, in the format from before PyTorch 1.6, ends too early: it was "
            "probably cut off when it was copied or downloaded"
        ) from error
    if storages.contents.keys() - set(keys):
        raise RuntimeError("The checkpoint lacks storages that its tensors refer to: it is damaged")
    return result


def _refuse(identity: Any) -> Any:
    raise pickle.UnpicklingError(f"Unknown persistent id {identity!r}")


class _Storages:
    """Storages by their keys in the file; ``contents`` is their memory, with an element's size."""

    def __init__(self, make_storage: MakeStorage, item_size: ItemSize) -> None:
        self.contents: dict[str, tuple[Any, int]] = {}
        self._make_storage = make_storage
        self._item_size = item_size
        self._made: dict[str, Any] = {}

    def persistent_load(self, identity: Any) -> Any:
        if not isinstance(identity, tuple) or not identity:
            _refuse(identity)
        kind, *rest = identity
        if isinstance(kind, bytes):
            kind = kind.decode("ascii")
        if kind == "module" and rest:
            # (class, source file, source): what the source was is not compared with what it is.
            return rest[0]
        if kind != "storage" or len(rest) not in (4, 5):
            _refuse(identity)
        type_, key, location, length, *view = rest
        size = self._item_size(type_)
        if key not in self.contents:
            self.contents[key] = (np.empty(length * size, np.uint8), size)
        content, _ = self.contents[key]
        if view and view[0] is not None:
            # Storages that were parts of others, before PyTorch 0.4.
            key, offset, length = view[0]
            content = content[offset * size : (offset + length) * size]
        if key not in self._made:
            self._made[key] = self._make_storage(type_, content, location, length)
        return self._made[key]

    def fill(self, key: str, file: IO[bytes], little_endian: bool) -> None:
        """Read the next storage of the file."""
        if key not in self.contents:
            raise RuntimeError(f"The checkpoint has a storage {key!r} that nothing refers to")
        content, size = self.contents[key]
        order = "<" if little_endian else ">"
        (length,) = struct.unpack(order + "q", file.read(8))
        if length * size != content.nbytes:
            raise RuntimeError(
                f"storage has wrong byte size: expected {content.nbytes} got {length * size}"
            )
        view = memoryview(content)
        while view:
            piece = file.read(min(len(view), 1 << 26))
            if not piece:
                raise EOFError("the file ends inside a storage")
            view[: len(piece)] = piece
            view = view[len(piece) :]
        if size > 1 and little_endian != (sys.byteorder == "little"):
            content.view(f"u{size}").byteswap(inplace=True)
