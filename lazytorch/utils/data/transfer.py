"""Objects go between processes over a pipe; their arrays go through anonymous shared memory.

The memory has no name: it lives as long as a process holds it, so that nothing is left over
whichever way a process ends.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from lazytorch.utils.data import _engine as engine

# Below this many bytes an array is cheaper in the pipe than in pages of its own.
_SHARED_FROM = 16 * 1024
_ALIGNMENT = 64
_CAN_SHARE = hasattr(os, "memfd_create") and reduction.HAVE_SEND_HANDLE


class _Pickler(pickle.Pickler):
    def reducer_override(self, item: Any) -> Any:
        if isinstance(item, engine.Tensor):
            array, dtype = engine.to_array(item)
            return engine.adopt, (array, dtype, bool(item.requires_grad))
        return NotImplemented


def send(connection: Connection, item: Any) -> None:
    """Send ``item``; whatever cannot be pickled raises before anything is sent."""
    large: list[memoryview] = []

    def keep_in_place(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if not _CAN_SHARE or raw.nbytes < _SHARED_FROM:
            return True
        large.append(raw)
        return False

    body = io.BytesIO()
    _Pickler(body, protocol=5, buffer_callback=keep_in_place).dump(item)
    sizes = [raw.nbytes for raw in large]
    connection.send_bytes(pickle.dumps(sizes) + body.getvalue())
    if large:
        _send_memory(connection, large)


def receive(connection: Connection) -> Any:
    """The next item, whose large arrays lie in memory of their own; EOFError at the end."""
    message = io.BytesIO(connection.recv_bytes())
    sizes: list[int] = pickle.load(message)
    buffers = _receive_memory(connection, sizes) if sizes else None
    return pickle.Unpickler(message, buffers=buffers).load()


def _offsets(sizes: list[int]) -> list[int]:
    """Where each buffer starts, and where the last one ends."""
    offsets = [0]
    for size in sizes:
        offsets.append(-(-(offsets[-1] + size) // _ALIGNMENT) * _ALIGNMENT)
    return offsets


def _send_memory(connection: Connection, buffers: list[memoryview]) -> None:
    offsets = _offsets([buffer.nbytes for buffer in buffers])
    descriptor = os.memfd_create("lazytorch_batch")
    try:
        os.ftruncate(descriptor, offsets[-1])
        for buffer, offset in zip(buffers, offsets, strict=False):
            while buffer:
                written = os.pwrite(descriptor, buffer, offset)
                buffer, offset = buffer[written:], offset + written
        reduction.send_handle(connection, descriptor, None)
    finally:
        os.close(descriptor)


def _receive_memory(connection: Connection, sizes: list[int]) -> list[Any]:
    offsets = _offsets(sizes)
    descriptor = reduction.recv_handle(connection)
    try:
        memory = mmap.mmap(descriptor, offsets[-1])
    finally:
        os.close(descriptor)
    # Arrays over the buffers keep the mapping alive, and unmap it when the last one goes.
    whole = np.frombuffer(memory, np.uint8)
    return [
        whole[offset : offset + size].data for offset, size in zip(offsets, sizes, strict=False)
    ]
