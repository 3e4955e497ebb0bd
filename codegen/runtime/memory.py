"""Host memory: 64-byte aligned blocks that are reused, because fresh pages cost more than kernels.

Freed blocks wait in lists by size class. What is live and what waits together never exceed the
most that was ever live, or what is live and 256 MB, whichever is more.

The counters are plain integers: with the GIL no other thread runs inside ``x += y`` on them.
Between taking a block and counting it there is no call, where Ctrl-C might come.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from codegen.errors import OutOfMemoryError

_ALIGNMENT = 64
_SMALL = 4096  # up to here, size classes are multiples of 64 and blocks are cut from slabs
_SLAB = 1 << 18
_HUGE_PAGE = 1 << 21
_SPARE_BYTES = 256 << 20

_Block = tuple[int, Any]  # its address, and the object that owns the memory


class DeviceMemory(Protocol):
    """What a Buffer asks of memory that a device's queue works in."""

    def host_address(self) -> int:
        """Where the host finds the bytes, once everything that was asked of the device is done."""

    def is_reachable(self) -> bool:
        """Whether what the host writes there is what the device reads."""

    def fetch(self) -> Buffer:
        """A copy in the host's own memory."""

    def copy_in(self, offset: int, source: Buffer) -> bool:
        """Put what another Buffer holds ``offset`` bytes into this; False where the device cannot
        do that by itself."""

    def pointer(self) -> int:
        """A number that no other memory has."""

    def part(self, offset: int, nbytes: int) -> DeviceMemory:
        """Some of this memory."""

    def offset_in(self, whole: DeviceMemory) -> int:
        """How many bytes into ``whole`` this begins; -1 where it is not a part of it."""

    def give_back(self) -> None:
        """The Buffer is gone: the device may use the memory for what is asked of it from now on."""


_free: dict[int, list[_Block]] = {}  # size class -> blocks that wait
_live = 0
_peak = 0
_highest = 0  # as _peak, but never reset
_waiting = 0


class Buffer:
    """A block of memory, given back when the last reference to it goes.

    ``memory`` is None where it is the host's; of a device's memory the host's address is found
    when it is asked for, which waits for the device. ``order`` is for whoever keeps a value here:
    its axes from the outermost in memory to the innermost, or None where they lie as they come.
    """

    __slots__ = ("__weakref__", "_block", "_capacity", "address", "memory", "nbytes", "order")

    address: int
    memory: DeviceMemory | None
    nbytes: int
    order: tuple[int, ...] | None
    _block: _Block
    _capacity: int  # 0: foreign memory

    @staticmethod
    def of_device(memory: DeviceMemory, nbytes: int, owner: Any = None) -> Buffer:
        """A Buffer over a device's memory: over a part of what ``owner`` keeps alive, or else over
        a whole that is given back in the end."""
        made = Buffer()
        made.memory, made.nbytes, made.order = memory, nbytes, None
        made._block, made._capacity = (0, owner), 0 if owner is not None else max(nbytes, 1)
        return made

    def __getattr__(self, name: str) -> Any:
        if name == "address":  # not set where the memory is a device's
            memory = self.memory
            assert memory is not None
            return memory.host_address()
        if name == "_capacity":  # Ctrl-C came before it was filled in
            return 0
        raise AttributeError(f"'Buffer' object has no attribute '{name}'")

    @staticmethod
    def wrapping(array: np.ndarray[Any, Any]) -> Buffer:
        """A Buffer over an array's memory, from its lowest byte to its highest; it keeps the
        array alive and never reuses its memory."""
        low = high = array.__array_interface__["data"][0]
        if array.size:
            high += array.itemsize
            for length, stride in zip(array.shape, array.strides, strict=True):
                if stride < 0:
                    low += (length - 1) * stride
                else:
                    high += (length - 1) * stride
        return _over((low, array), high - low)

    @property
    def is_whole(self) -> bool:
        """Whether this is a block of the engine's own, not part of one or foreign memory."""
        return self._capacity > 0

    def part(self, offset: int, nbytes: int) -> Buffer:
        """Some of this memory, from ``offset`` bytes on, as a Buffer that keeps this one alive."""
        if self.memory is not None:
            return Buffer.of_device(self.memory.part(offset, nbytes), nbytes, self)
        return _over((self.address + offset, self), nbytes)

    @property
    def is_reachable(self) -> bool:
        """Whether what the host writes at ``address`` is written to this memory."""
        return self.memory is None or self.memory.is_reachable()

    def on_host(self) -> Buffer:
        """A copy in the host's own memory."""
        if self.memory is not None:
            return self.memory.fetch()
        made = allocate(self.nbytes)
        ctypes.memmove(made.address, self.address, self.nbytes)
        return made

    def offset_in(self, whole: Buffer) -> int:
        """How many bytes into ``whole`` this memory begins; -1 where it is not inside."""
        if self.memory is not None and whole.memory is not None:
            return self.memory.offset_in(whole.memory)
        if self.memory is not None or whole.memory is not None:
            return -1
        offset = self.address - whole.address
        return offset if 0 <= offset <= whole.nbytes - self.nbytes else -1

    def as_numpy(
        self, dtype: np.dtype[Any], shape: Sequence[int], offset: int = 0
    ) -> np.ndarray[Any, Any]:
        """A writable array over this memory, ``offset`` bytes in, that keeps the Buffer alive; over
        a copy where the host cannot reach the device's."""
        view = np.asarray(_View(self, np.dtype(dtype), tuple(shape), offset))
        if offset < 0 or offset + view.nbytes > self.nbytes:
            raise ValueError(
                f"{view.nbytes} bytes at offset {offset} do not fit in {self.nbytes} bytes"
            )
        return view

    def __repr__(self) -> str:
        if self.memory is not None:
            return f"Buffer({self.nbytes} bytes of {self.memory!r})"
        return f"Buffer({self.nbytes} bytes at {self.address:#x})"

    def __del__(self) -> None:
        global _live, _waiting
        capacity = self._capacity
        if not capacity:
            return
        if self.memory is not None:
            self.memory.give_back()
            return
        _live -= capacity
        if _waiting + capacity > _SPARE_BYTES and _live + _waiting + capacity > _highest:
            release_cached()
        blocks = _free.get(capacity)
        if blocks is None:
            blocks = _free.setdefault(capacity, [])
        _waiting += capacity
        blocks.append(self._block)


def _over(block: _Block, nbytes: int) -> Buffer:
    """A Buffer over memory that something else gives back."""
    made = Buffer()
    made._block, made._capacity = block, 0
    made.address, made.memory, made.nbytes = block[0], None, nbytes
    made.order = None
    return made


class _View:
    """What NumPy keeps as the base of an array over a Buffer."""

    __slots__ = ("__array_interface__", "__weakref__", "buffer")

    def __init__(
        self, buffer: Buffer, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int
    ) -> None:
        self.buffer = buffer
        self.__array_interface__ = {
            "version": 3,
            "data": (buffer.address + offset, False),
            "typestr": dtype.str,
            "shape": shape,
        }


def size_class(nbytes: int) -> int:
    """The size of the blocks that requests of ``nbytes`` share."""
    if nbytes <= _SMALL:
        return (nbytes + 63) & -64 or 64
    # Eight classes between one power of two and the next.
    step = 1 << ((nbytes - 1).bit_length() - 4)
    return (nbytes + step - 1) & -step


def allocate(nbytes: int) -> Buffer:
    """A Buffer of ``nbytes`` undefined bytes, 64-byte aligned."""
    global _live, _peak, _highest, _waiting
    capacity = size_class(nbytes)
    made = Buffer()
    try:
        blocks = _free[capacity]
        block = blocks[-1]
        del blocks[-1]
        _waiting -= capacity
    except (KeyError, IndexError):
        block = _fresh(capacity)
    _live += capacity
    if _live > _peak:
        _peak = _live
        if _peak > _highest:
            _highest = _peak
    made._block, made._capacity = block, capacity
    made.address, made.memory, made.nbytes = block[0], None, nbytes
    made.order = None
    return made


def release_cached(least: int = 0) -> None:
    """Give the memory of blocks that wait for reuse back to the system; of ``least`` bytes."""
    global _waiting
    for capacity, blocks in list(_free.items()):
        while blocks and capacity >= least:
            try:
                del blocks[-1]
            except IndexError:  # another thread took the last one
                break
            _waiting -= capacity


def memory_allocated() -> int:
    """Bytes of the buffers that are alive, in whole size classes."""
    return _live


def max_memory_allocated() -> int:
    """The most that ``memory_allocated`` was since the start or ``reset_peak``."""
    return _peak


def reset_peak() -> None:
    global _peak
    _peak = _live


def _fresh(capacity: int) -> _Block:
    """A block that was not used before."""
    global _waiting
    if _waiting + capacity > _SPARE_BYTES and _live + _waiting + capacity > _highest:
        release_cached()  # what waits is of other sizes
    if capacity <= _SMALL:
        address, slab = _aligned_array(_SLAB)
        count = _SLAB // capacity
        blocks = [(address + i * capacity, slab) for i in range(count)]
        waiting = _free.setdefault(capacity, [])
        waiting += blocks[1:]
        _waiting += (count - 1) * capacity
        return blocks[0]
    return fresh_block(capacity)


def fresh_block(capacity: int) -> _Block:
    """Memory of the host that is counted nowhere; OutOfMemoryError where there is no room."""
    try:
        if capacity >= _HUGE_PAGE and hasattr(mmap, "MAP_PRIVATE"):
            return _mapped(capacity)
        return _aligned_array(capacity)
    except (OSError, MemoryError, OverflowError, ValueError) as error:
        raise OutOfMemoryError(
            f"the host has no room for {capacity} bytes: {_live} are in use by tensors, {_waiting} "
            f"wait for reuse ({error})"
        ) from error


def _aligned_array(nbytes: int) -> _Block:
    array = np.empty(nbytes + _ALIGNMENT, np.uint8)
    return -(-array.__array_interface__["data"][0] // _ALIGNMENT) * _ALIGNMENT, array


def _mapped(nbytes: int) -> _Block:
    """Pages of its own, huge ones where the system has them. Private, so that a forked child
    does not write its parent's memory."""
    mapping = mmap.mmap(-1, nbytes + _HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages
            mapping.madvise(mmap.MADV_HUGEPAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    return -(-start // _HUGE_PAGE) * _HUGE_PAGE, mapping
