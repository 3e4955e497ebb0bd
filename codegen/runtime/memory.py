"""Host memory: 64-byte aligned blocks that are reused, because fresh pages cost more than kernels.

Freed blocks wait in lists by size class. What is live and what waits together never exceed the
most that was ever live, or what is live and 256 MB, whichever is more.

The counters are plain integers: with the GIL no other thread runs inside ``x += y`` on them.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np

_ALIGNMENT = 64
_SMALL = 4096  # up to here, size classes are multiples of 64 and blocks are cut from slabs
_SLAB = 1 << 18
_HUGE_PAGE = 1 << 21
_SPARE_BYTES = 256 << 20

_Block = tuple[int, Any]  # its address, and the object that owns the memory

_free: dict[int, list[_Block]] = {}  # size class -> blocks that wait
_live = 0
_peak = 0
_highest = 0  # as _peak, but never reset
_waiting = 0


class Buffer:
    """A block of host memory, given back when the last reference to it goes."""

    __slots__ = ("__weakref__", "_block", "_capacity", "address", "nbytes")

    address: int
    nbytes: int

    def __init__(self, block: _Block, nbytes: int, capacity: int) -> None:
        self._block = block
        self._capacity = capacity  # 0: foreign memory
        self.address = block[0]
        self.nbytes = nbytes

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
        return Buffer((low, array), high - low, 0)

    @property
    def is_whole(self) -> bool:
        """Whether this is a block of the engine's own, not part of one or foreign memory."""
        return self._capacity > 0

    def part(self, offset: int, nbytes: int) -> Buffer:
        """Some of this memory, from ``offset`` bytes on, as a Buffer that keeps this one alive."""
        return Buffer((self.address + offset, self), nbytes, 0)

    def as_numpy(
        self, dtype: np.dtype[Any], shape: Sequence[int], offset: int = 0
    ) -> np.ndarray[Any, Any]:
        """A writable array over this memory, ``offset`` bytes in, that keeps the Buffer alive."""
        view = np.asarray(_View(self, np.dtype(dtype), tuple(shape), offset))
        if offset < 0 or offset + view.nbytes > self.nbytes:
            raise ValueError(
                f"{view.nbytes} bytes at offset {offset} do not fit in {self.nbytes} bytes"
            )
        return view

    def __repr__(self) -> str:
        return f"Buffer({self.nbytes} bytes at {self.address:#x})"

    def __del__(self) -> None:
        if self._capacity:
            _give_back(self._block, self._capacity)


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


def allocate(nbytes: int) -> Buffer:
    """A Buffer of ``nbytes`` undefined bytes, 64-byte aligned."""
    global _live, _peak, _highest, _waiting
    if nbytes <= _SMALL:
        capacity = (nbytes + 63) & -64 or 64
    else:  # eight classes between one power of two and the next
        step = 1 << ((nbytes - 1).bit_length() - 4)
        capacity = (nbytes + step - 1) & -step
    try:
        block = _free[capacity].pop()
        _waiting -= capacity
    except (KeyError, IndexError):
        block = _fresh(capacity)
    _live += capacity
    if _live > _peak:
        _peak = _live
        if _peak > _highest:
            _highest = _peak
    return Buffer(block, nbytes, capacity)


def release_cached() -> None:
    """Give the memory of blocks that wait for reuse back to the system."""
    global _waiting
    for capacity, blocks in list(_free.items()):
        while blocks:
            try:
                blocks.pop()
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


def _give_back(block: _Block, capacity: int) -> None:
    global _live, _waiting
    _live -= capacity
    if _waiting + capacity > _SPARE_BYTES and _live + _waiting + capacity > _highest:
        release_cached()
    blocks = _free.get(capacity)
    if blocks is None:
        blocks = _free.setdefault(capacity, [])
    blocks.append(block)
    _waiting += capacity


def _fresh(capacity: int) -> _Block:
    """A block that was not used before."""
    global _waiting
    if _waiting + capacity > _SPARE_BYTES and _live + _waiting + capacity > _highest:
        release_cached()  # what waits is of other sizes
    if capacity <= _SMALL:
        address, slab = _aligned_array(_SLAB)
        count = _SLAB // capacity
        blocks = [(address + i * capacity, slab) for i in range(count)]
        _free.setdefault(capacity, []).extend(blocks[1:])
        _waiting += (count - 1) * capacity
        return blocks[0]
    if capacity >= _HUGE_PAGE and hasattr(mmap, "MAP_PRIVATE"):
        return _mapped(capacity)
    return _aligned_array(capacity)


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
