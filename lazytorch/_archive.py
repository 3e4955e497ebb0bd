"""The zip archive of a checkpoint: records go in and come out by name, whole and aligned."""

from __future__ import annotations

import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

# Every record's bytes start at a multiple of this, so that a mapped file can be used in place.
ALIGNMENT = 64
_LOCAL_HEADER = 30
_PADDING_ID = b"FB"
_ZIP64_EXTRA = 20
_ZIP64_FROM = 1 << 31
_SIGNATURE = b"PK\x03\x04"

_DAMAGED = (
    "PytorchStreamReader failed reading zip archive: {}. There is a high likelihood that your "
    "checkpoint file is corrupted. This can happen if the checkpoint was not saved properly, was "
    "transferred incorrectly, or the file was modified after saving."
)


class ArchiveWriter:
    """Writes stored (never compressed) records under one folder name."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        self._name = name

    def write(self, record: str, data: Any) -> None:
        """Add ``data`` (bytes-like, contiguous) as the record ``record``."""
        content = memoryview(data)
        content = content.cast("B") if content.nbytes else memoryview(b"")
        info = zipfile.ZipInfo(f"{self._name}/{record}")
        info.file_size = content.nbytes
        large = content.nbytes >= _ZIP64_FROM
        start = self._zip.start_dir + _LOCAL_HEADER + len(info.filename.encode())
        start += len(_PADDING_ID) + 2 + (_ZIP64_EXTRA if large else 0)
        padding = -start % ALIGNMENT
        info.extra = _PADDING_ID + struct.pack("<H", padding) + b"Z" * padding
        try:
            with self._zip.open(info, "w", force_zip64=large) as entry:
                entry.write(content)
        except BaseException:
            # The file is given up: closing the archive, when it is collected, would write to it.
            self._zip.fp = None
            raise

    def close(self) -> None:
        try:
            self._zip.close()
        except BaseException:
            self._zip.fp = None
            raise


class ArchiveReader:
    """Reads the records of a checkpoint from a seekable file.

    RuntimeError names what is wrong with a damaged archive. With ``mapped``, records of bytes
    are private views of the file, whose pages are read when they are touched.
    """

    def __init__(self, file: IO[bytes], mapped: bool = False) -> None:
        self._file = file
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, struct.error) as error:
            raise RuntimeError(_DAMAGED.format("failed finding central directory")) from error
        self._entries = {info.filename: info for info in self._zip.infolist()}
        first = next(iter(self._entries), "")
        self._name = first.split("/", 1)[0]
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) if mapped else None

    def __contains__(self, record: str) -> bool:
        return f"{self._name}/{record}" in self._entries

    def read(self, record: str) -> bytes:
        """A small record."""
        return self.read_buffer(record).tobytes()

    def read_buffer(self, record: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """A record as writable bytes that nobody else holds."""
        entry = self._entries.get(f"{self._name}/{record}")
        if entry is None:
            raise RuntimeError(_DAMAGED.format(f"failed locating file {record}: file not found"))
        try:
            if entry.compress_type != zipfile.ZIP_STORED:
                return np.frombuffer(bytearray(self._zip.read(entry)), np.uint8)
            start = self._data_offset(entry)
            if self._map is not None:
                # A mapped record is not checked: that would read every page of it.
                return np.frombuffer(self._map, np.uint8, entry.file_size, start)
            content = np.empty(entry.file_size, np.uint8)
            self._file.seek(start)
            self._fill(content)
        except (zipfile.BadZipFile, OSError, ValueError, EOFError, zlib.error) as error:
            raise RuntimeError(_DAMAGED.format(f"failed reading file {record}")) from error
        # PyTorch writes zero where it was told to skip the checksum.
        if entry.CRC and zlib.crc32(content.data) != entry.CRC:
            raise RuntimeError(_DAMAGED.format(f"bad checksum of file {record}"))
        return content

    def _data_offset(self, entry: zipfile.ZipInfo) -> int:
        self._file.seek(entry.header_offset)
        header = self._file.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER or header[:4] != _SIGNATURE:
            raise EOFError("no local header")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        return int(entry.header_offset + _LOCAL_HEADER + name_length + extra_length)

    def _fill(self, content: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        view = content.data
        while view:
            piece = self._file.read(min(len(view), 1 << 26))
            if not piece:
                raise EOFError("the file ends inside a record")
            view[: len(piece)] = piece
            view = view[len(piece) :]


def looks_like_archive(file: IO[bytes]) -> bool:
    """Whether ``file`` starts as a zip file does; its position is kept."""
    position = file.tell()
    start = file.read(len(_SIGNATURE))
    file.seek(position)
    return start == _SIGNATURE


@contextmanager
def replaced_when_complete(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of ``path`` at the end of the block, or not at all."""
    target = path.resolve()
    if not target.parent.is_dir():
        raise RuntimeError(f"Parent directory {path.parent} does not exist.")
    if target.exists() and not target.is_file():
        # A device or a pipe cannot be replaced, only written; a folder raises here.
        with open(target, "wb") as stream:
            yield stream
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with open(temporary, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
