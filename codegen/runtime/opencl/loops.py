"""Loops of a plan: the kernels of a turn are enqueued again and again, with other numbers of bytes
to begin at (``Dialect.opening_in_loops``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen.runtime.cpu import Loop, Move
from codegen.runtime.plan import KernelRecord

_Setter = Callable[[int, Any], None]
_Argument = tuple[_Setter, int, Any]  # how, which, and what it is set to


class LoopLaunch:
    """One loop: its kernels' launches, and what is set before each turn."""

    def __init__(
        self, loop: Loop, kernels: Sequence[Any], records: Sequence[KernelRecord],
        launches: Sequence[tuple[Any, ...]],
    ) -> None:  # fmt: skip
        self.begin, self.end = loop.begin, loop.end
        self.launches = launches[loop.begin : loop.end]
        # By slot: (what sets a pointer, its number; what sets bytes, their number).
        uses: dict[int, list[tuple[_Setter, int, _Setter, int]]] = {}
        for kernel, record in zip(
            kernels[loop.begin : loop.end], records[loop.begin : loop.end], strict=True
        ):
            first = kernel.num_args - len(record.sizes) - len(record.slots)
            # ``set_arg`` asks of everything whether it is memory before it takes a number: 6 µs.
            set_number = getattr(kernel, "_set_arg_buf", kernel.set_arg)
            for number, slot in enumerate(record.slots):
                uses.setdefault(slot, []).append(
                    (kernel.set_arg, number, set_number, first + number)
                )
        moves = [m for m in loop.moves if m.slot in uses]
        self._turns: list[list[_Argument]] = []
        before: dict[int, int] = {}
        for turn in range(loop.turns):
            changes: list[_Argument] = []
            for move in moves:
                offset = _offset(move, turn)
                if before.get(move.slot) != offset:
                    before[move.slot] = offset
                    value = np.int64(offset)
                    changes += [(use, place, value) for *_, use, place in uses[move.slot]]
            self._turns.append(changes)
        # What the pointers are in the first turn, and where they are others in the next.
        self._pointers = [
            (use, number, move.first if move.first >= 0 else move.base)
            for move in moves
            for use, number, *_ in uses[move.slot]
        ]
        self._from_second = [
            (use, number, move.base)
            for move in moves
            if move.first >= 0
            for use, number, *_ in uses[move.slot]
        ]

    def enqueue(self, handles: Sequence[Any], launch: Callable[..., Any]) -> Any:
        """All turns, over the handles of the plan's slots; the last kernel's event."""
        for set_argument, number, slot in self._pointers:
            set_argument(number, handles[slot])
        event = None
        for turn, changes in enumerate(self._turns):
            if turn == 1:
                for set_argument, number, slot in self._from_second:
                    set_argument(number, handles[slot])
            for set_argument, number, value in changes:
                set_argument(number, value)
            for kernel, size, group in self.launches:
                event = launch(kernel, size, group)
        return event


def _offset(move: Move, turn: int) -> int:
    if turn == 0 and move.first >= 0:
        return 0
    return move.offset + turn % move.period * move.stride


def scratch_argument(kernel: Any, record: KernelRecord, in_loop: bool) -> int:
    """The number of the argument that is scratch memory; -1 where there is none."""
    slots = len(record.slots)
    others = kernel.num_args - len(record.sizes) - slots - (slots if in_loop else 0)
    return slots if others else -1
