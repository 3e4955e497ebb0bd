"""Run compiled kernels: a Program is a list of steps over a table of addresses, run by one call.

The C half, with the threads, is native.c.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.resources
import struct
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from codegen import settings
from codegen.errors import OutOfMemoryError
from codegen.runtime.kernels import load_library
from codegen.statistics import statistics

MAX_THREADS = 1024  # as in native.c
# How long an idle thread spins before it sleeps: longer than the Python of a training step, or
# every step's first kernel would run on one thread while the others wake, which takes 50 µs.
_SPIN_NANOSECONDS = 2_000_000


class _Step(ctypes.Structure):
    _fields_ = (
        ("kernel", ctypes.c_void_p),
        ("slots", ctypes.c_void_p),
        ("count", ctypes.c_int),
        ("parallel", ctypes.c_int),
    )


@dataclass(frozen=True)
class Move:
    """What a loop puts into a slot of its own in turn ``t``: the address in slot ``base``, plus
    ``offset``, plus ``stride`` times ``t`` modulo ``period``; in the first turn the address in
    slot ``first``, where that is not -1."""

    slot: int
    base: int
    first: int
    period: int
    offset: int
    stride: int


@dataclass(frozen=True)
class Loop:
    """Steps ``begin`` to ``end`` of a program, done ``turns`` times."""

    begin: int
    end: int
    turns: int
    moves: tuple[Move, ...]


class _Move(ctypes.Structure):
    _fields_ = (
        ("slot", ctypes.c_int),
        ("base", ctypes.c_int),
        ("first", ctypes.c_int),
        ("period", ctypes.c_int),
        ("offset", ctypes.c_long),
        ("stride", ctypes.c_long),
    )


class _Loop(ctypes.Structure):
    _fields_ = (
        ("begin", ctypes.c_long),
        ("end", ctypes.c_long),
        ("turns", ctypes.c_long),
        ("moves", ctypes.c_void_p),
        ("count", ctypes.c_long),
    )


class _Record(ctypes.Structure):
    """``struct program`` of native.c."""

    _fields_ = (
        ("steps", ctypes.c_void_p),
        ("count", ctypes.c_long),
        ("loops", ctypes.c_void_p),
        ("loop_count", ctypes.c_long),
        ("parallel", ctypes.c_long),
        ("scratch_bytes", ctypes.c_long),
        ("seconds", ctypes.c_void_p),
        ("shares", ctypes.c_void_p),
        ("share_count", ctypes.c_long),
        ("table", ctypes.c_void_p),
    )


class KernelTimes(list[float]):
    """The seconds that each kernel of one run of a plan took, in order.

    ``began``: when the first of them began, in nanoseconds of ``time.perf_counter_ns``.
    ``shares``: for each kernel (thread of the pool, begin, end), in such nanoseconds, for each
    share of its work; empty where that is not known: in loops, and on other devices.
    ``on_queue``: whether a device of its own clock ran them.
    """

    def __init__(self, seconds: Iterable[float], began: int, on_queue: bool = False) -> None:
        super().__init__(seconds)
        self.began, self.on_queue = began, on_queue
        self.shares: list[list[tuple[int, int, int]]] = [[] for _ in self]


_SHARE_FACTS = 3  # as in native.c
_SAME_CLOCK = "CLOCK_MONOTONIC" in time.get_clock_info("perf_counter").implementation


class Program:
    """Kernels to be run in order.

    Step ``i`` calls the kernel at ``addresses[i]`` with the addresses that the table holds at
    ``slots[i]``: on every thread if ``parallel[i]``, else once as thread 0 of 1. Each thread has
    ``scratch_bytes`` of scratch memory, 64-byte aligned, undefined at the start of a step.
    ``loops``, in order and apart, repeat parts of the program; the slots that they move are
    those from ``table_size`` on. After them come slots that hold the addresses ``constants``.
    """

    __slots__ = ("_address", "_busy", "_call", "_count", "_kept", "_pack", "_record", "_table")

    def __init__(
        self,
        addresses: Sequence[int],
        slots: Sequence[Sequence[int]],
        parallel: Sequence[bool],
        table_size: int,
        scratch_bytes: int = 0,
        loops: Sequence[Loop] = (),
        constants: Sequence[int] = (),
    ) -> None:
        count = len(addresses)
        if not count == len(slots) == len(parallel):
            raise ValueError("addresses, slots and parallel must have one entry a step each")
        if not all(addresses):
            raise ValueError("a kernel's address is null")
        first_constant = table_size + sum([len(loop.moves) for loop in loops])
        whole_size = first_constant + len(constants)
        if any(not 0 <= slot < whole_size for step in slots for slot in step):
            raise ValueError(f"a slot is outside the table of {whole_size}")
        steps = (_Step * count)()
        slot_arrays = [(ctypes.c_int * len(step))(*step) for step in slots]
        for i in range(count):
            steps[i].kernel = addresses[i]
            steps[i].slots = ctypes.addressof(slot_arrays[i])
            steps[i].count = len(slots[i])
            steps[i].parallel = int(parallel[i])
        loop_array = (_Loop * len(loops))()
        move_arrays = [(_Move * len(loop.moves))() for loop in loops]
        for loop, moves in zip(loops, move_arrays, strict=True):
            for i, m in enumerate(loop.moves):
                moves[i] = _Move(m.slot, m.base, m.first, m.period, m.offset, m.stride)
        for i, (item, moves) in enumerate(zip(loops, move_arrays, strict=True)):
            loop_array[i] = _Loop(
                item.begin, item.end, item.turns, ctypes.addressof(moves), len(moves)
            )
        self._kept = (steps, slot_arrays, loop_array, move_arrays)
        self._count = count
        self._table = ctypes.create_string_buffer(8 * max(1, whole_size))
        struct.pack_into(f"{len(constants)}P", self._table, 8 * first_constant, *constants)
        self._pack = struct.Struct(f"{table_size}P").pack_into
        self._record = _Record(
            ctypes.addressof(steps),
            count,
            ctypes.addressof(loop_array),
            len(loops),
            any(parallel),
            scratch_bytes,
            None,
            None,
            0,
            ctypes.addressof(self._table),
        )
        self._address = ctypes.addressof(self._record)
        self._call = _native().lt_run_program
        self._busy = threading.Lock()

    def run(self, table_addresses: Sequence[int]) -> None:
        """Run every step; ``table_addresses`` are the addresses of the table's slots.

        OutOfMemoryError, before anything has run, where there is no room for scratch memory.
        """
        busy = self._busy
        if busy.acquire(False):
            try:
                self._pack(self._table, 0, *table_addresses)
                failed = self._call(self._address)
            finally:
                busy.release()
            if failed:
                self.raise_no_room()
        else:  # another thread is running this program
            self._run_apart(table_addresses, None)

    def for_c(self) -> tuple[int, int, bytes]:
        """What C needs to run it: the address of ``lt_run_program_on``; what that is given first;
        and a table whose slots are right but for those that ``run`` is given."""
        function = ctypes.cast(_native().lt_run_program_on, ctypes.c_void_p).value
        assert function is not None
        return function, self._address, self._table.raw

    def run_timed(self, table_addresses: Sequence[int]) -> KernelTimes:
        """As ``run``; the seconds that each step took, and who ran its shares."""
        count, threads = self._count, get_num_threads()
        seconds = (ctypes.c_double * count)()
        shares = (ctypes.c_long * (_SHARE_FACTS * threads * count))()
        began = time.perf_counter_ns()
        self._run_apart(
            table_addresses, ctypes.addressof(seconds), ctypes.addressof(shares), threads
        )
        times = KernelTimes(seconds, began)
        if _SAME_CLOCK:
            facts = list(shares)
            rows = [tuple(facts[i : i + _SHARE_FACTS]) for i in range(0, len(facts), _SHARE_FACTS)]
            times.shares = [
                [(runner, begin, end) for begin, end, runner in rows[i : i + threads] if end]
                for i in range(0, len(rows), threads)
            ]
        return times

    def _run_apart(
        self,
        table_addresses: Sequence[int],
        seconds: int | None,
        shares: int | None = None,
        share_count: int = 0,
    ) -> None:
        table = ctypes.create_string_buffer(self._table.raw, len(self._table))
        self._pack(table, 0, *table_addresses)
        record = _Record.from_buffer_copy(self._record)
        record.seconds, record.shares, record.share_count = seconds, shares, share_count
        record.table = ctypes.addressof(table)
        if self._call(ctypes.addressof(record)):
            self.raise_no_room()

    def raise_no_room(self) -> None:
        """OutOfMemoryError: there is no room for scratch memory."""
        nbytes = self._record.scratch_bytes
        raise OutOfMemoryError(f"the host has no room for {nbytes} bytes of scratch a thread")


_threads: int | None = None  # None: nobody has asked


def get_num_threads() -> int:
    """Threads that a parallel step is cut for: what the settings said when somebody asked first,
    for each compiled step asks, and the environment takes its time to answer."""
    global _threads
    if _threads is None:
        _threads = settings.num_threads()
    return _threads


def set_num_threads(count: int) -> None:
    """Cut parallel steps for ``count`` threads from the next run on."""
    global _threads
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"the number of threads must be from 1 to {MAX_THREADS}, not {count}")
    _threads = count
    if _native.cache_info().currsize:
        _tell_threads(_native())


@functools.cache
def _native() -> Any:
    """The library of native.c."""
    source = importlib.resources.files("codegen.runtime").joinpath("native.c").read_text()
    library = load_library(source)
    library.lt_run_program.argtypes = [ctypes.c_void_p]
    library.lt_run_program.restype = ctypes.c_int
    library.lt_set_threads.argtypes = [ctypes.c_long, ctypes.c_long]
    library.lt_set_threads.restype = None
    _tell_threads(library)
    programs = ctypes.c_long.in_dll(library, "lt_programs_run")
    kernels = ctypes.c_long.in_dll(library, "lt_kernels_run")
    statistics.native = lambda: (programs.value, kernels.value)
    return library


def _tell_threads(library: Any) -> None:
    threads = get_num_threads()
    # More threads than cores must not spin: they would hold the cores that the others wait for.
    spin = _SPIN_NANOSECONDS if threads <= settings.cores() else 0
    library.lt_set_threads(threads, spin)
