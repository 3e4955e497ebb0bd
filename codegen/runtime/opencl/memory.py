"""A device's memory: blocks that its queue works in, reused in the order of what is asked of it.

The queue runs in order, so a block may be handed to the next kernel as soon as nobody refers to
it, long before the kernels that use it have run. Only the host has to wait: until a block is idle
where it writes one (``put``), until the queue is empty where it reads one.

On a device that works in the host's memory a block is host memory with the device's handle on it;
elsewhere it is the device's own, and the host is given copies.

The counters are plain integers: with the GIL no other thread runs inside ``x += y`` on them.
"""

from __future__ import annotations

import ctypes
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.errors import OutOfMemoryError
from codegen.runtime.memory import Buffer, allocate, fresh_block, size_class

if TYPE_CHECKING:
    from codegen.runtime.opencl.device import Device

_SPARE_BYTES = 256 << 20
_keys = itertools.count(1)


class Block:
    """Memory that a pool hands out whole.

    ``handle`` is pyopencl's, ``key`` its number, which no other memory ever has; ``address`` is
    the host's, or 0. ``used`` is the last run that may have used it before it was given back.
    """

    __slots__ = (
        "address",
        "capacity",
        "copy",
        "device",
        "handle",
        "key",
        "nbytes",
        "owner",
        "used",
    )

    def __init__(
        self, device: Device, handle: Any, capacity: int, address: int = 0, owner: Any = None
    ) -> None:
        self.device, self.handle, self.capacity = device, handle, capacity
        self.address, self.owner = address, owner
        self.key = next(_keys)
        self.used = 0
        self.nbytes = 0  # that whoever has it asked for
        self.copy: Buffer | None = None  # the host's, of this content

    def __repr__(self) -> str:
        return f"{self.device.description}, block {self.key}"

    def host_address(self) -> int:
        if self.address:
            self.device.finish()
            return self.address
        if self.copy is None:
            self.copy = self.device.fetch(self.handle, 0, self.nbytes)
        return self.copy.address

    def is_reachable(self) -> bool:
        return self.address != 0

    def fetch(self) -> Buffer:
        return _fetched(self, 0, self.nbytes)

    def copy_in(self, offset: int, source: Buffer) -> bool:
        return self.device.copy_within(self, offset, source)

    def pointer(self) -> int:
        return self.address or int(self.handle.int_ptr)

    def part(self, offset: int, nbytes: int) -> Part:
        return Part(self, offset, nbytes)

    def offset_in(self, whole: Any) -> int:
        return 0 if whole is self else -1

    def give_back(self) -> None:
        self.device.pool.give_back(self)


class Part:
    """Some of a block, for as long as its Buffer keeps the whole."""

    __slots__ = ("_handle", "_kept", "copy", "key", "nbytes", "offset", "whole")

    def __init__(self, whole: Block, offset: int, nbytes: int) -> None:
        self.whole, self.offset, self.nbytes = whole, offset, nbytes
        self.key = next(_keys)
        self._handle: Any = None
        self._kept: Buffer | None = None
        self.copy: Buffer | None = None

    @property
    def device(self) -> Device:
        return self.whole.device

    @property
    def handle(self) -> Any:
        if self._handle is None:
            whole, device = self.whole, self.whole.device
            if whole.address:
                self._handle = device.over(whole.address + self.offset, self.nbytes)
            elif self.offset % device.alignment == 0 and self.nbytes:
                self._handle = whole.handle[self.offset : self.offset + self.nbytes]
            else:  # where no handle can begin: a copy
                self._kept = device.copy_of(whole.handle, self.offset, self.nbytes)
                assert isinstance(self._kept.memory, Block)
                self._handle = self._kept.memory.handle
        return self._handle

    def host_address(self) -> int:
        if self.whole.address:
            self.whole.device.finish()
            return self.whole.address + self.offset
        if self.copy is None:
            self.copy = self.whole.device.fetch(self.whole.handle, self.offset, self.nbytes)
        return self.copy.address

    def is_reachable(self) -> bool:
        return self.whole.address != 0

    def fetch(self) -> Buffer:
        return _fetched(self.whole, self.offset, self.nbytes)

    def copy_in(self, offset: int, source: Buffer) -> bool:
        return False  # nobody writes to a part

    def pointer(self) -> int:
        return self.whole.pointer() + self.offset

    def part(self, offset: int, nbytes: int) -> Part:
        return Part(self.whole, self.offset + offset, nbytes)

    def offset_in(self, whole: Any) -> int:
        if whole is self.whole:
            return self.offset
        inside = isinstance(whole, Part) and whole.whole is self.whole
        offset = self.offset - whole.offset if inside else -1
        return offset if 0 <= offset <= whole.nbytes - self.nbytes else -1

    def give_back(self) -> None:
        raise AssertionError("a part belongs to its whole")


class Pool:
    """The blocks of a device: those in use, which are counted, and those that wait."""

    def __init__(self, device: Device) -> None:
        self._device = device
        # By whether they are the host's memory, then by size class.
        self._free: tuple[dict[int, list[Block]], dict[int, list[Block]]] = ({}, {})
        self.live = 0
        self.peak = 0
        self.waiting = 0
        self._highest = 0  # as peak, but never reset

    def take(self, nbytes: int, idle: bool = False) -> Block:
        """A block of undefined content; one that no run uses any more, if the host asks."""
        capacity = size_class(nbytes)
        block = self._waiting_block(capacity, idle)
        if block is None:
            block = self._fresh(capacity)
        block.nbytes = nbytes
        self.live += capacity
        self.note_peak()
        return block

    def note_peak(self, working_bytes: int = 0) -> None:
        """Count what is in use now, and what a plan that runs works in."""
        total = self.live + working_bytes
        if total > self.peak:
            self.peak = total
            if total > self._highest:
                self._highest = total

    def give_back(self, block: Block) -> None:
        block.used = self._device.enqueued
        block.copy = None
        self.live -= block.capacity
        self._free[block.address != 0].setdefault(block.capacity, []).append(block)
        self.waiting += block.capacity

    def release(self) -> None:
        """Give the memory of blocks that wait back to the driver, or to the system."""
        self._device.finish()
        for free in self._free:
            for blocks in list(free.values()):
                while blocks:
                    try:
                        self.waiting -= blocks.pop().capacity
                    except IndexError:  # another thread took the last one
                        break

    def reset_peak(self) -> None:
        self.peak = self.live

    def _waiting_block(self, capacity: int, idle: bool) -> Block | None:
        blocks = self._free[self._device.on_host].get(capacity)
        try:
            if not blocks or (idle and not self._device.is_done(blocks[0].used)):
                return None
            # The one that waits longest is the likeliest to be idle, the last to be in a cache.
            block = blocks.pop(0 if idle else -1)
        except IndexError:  # another thread took the last one
            return None
        self.waiting -= capacity
        return block

    def _fresh(self, capacity: int) -> Block:
        total = self.live + self.waiting + capacity
        if self.waiting + capacity > _SPARE_BYTES and total > self._highest:
            self.release()  # what waits is of other sizes, or in use by what has not run yet
        try:
            return self._device.block(capacity)
        except OutOfMemoryError:
            self.release()
        return self._device.block(capacity)


def _fetched(block: Block, offset: int, nbytes: int) -> Buffer:
    if not block.address:
        return block.device.fetch(block.handle, offset, nbytes)
    made = allocate(nbytes)
    ctypes.memmove(made.address, block.host_address() + offset, nbytes)
    return made


def host_block(device: Device, capacity: int) -> Block:
    """A block of the host's memory."""
    address, owner = fresh_block(capacity)
    return Block(device, device.over(address, capacity), capacity, address, owner)


def bytes_at(address: int, nbytes: int) -> np.ndarray[Any, Any]:
    """The host's memory as an array, which does not keep it alive."""
    memory: Any = (ctypes.c_ubyte * nbytes).from_address(address)
    return np.ctypeslib.as_array(memory)


__all__ = ["Block", "Part", "Pool", "allocate", "bytes_at", "host_block"]
