"""Chooses how a sort is done: short rows by ranks, rows by radix, or a long row in parts."""

from __future__ import annotations

from dataclasses import dataclass

# Up to this many elements, comparing each with all, in vectors, is faster than counting digits.
_BY_RANKS = 48
# A row shorter than this is not worth cutting for threads.
_WORTH_CUTTING = 1 << 15
# With more rows than so many a thread, none waits long for the last row.
_ROWS_A_THREAD = 4
# Below so many elements a sort runs on the calling thread alone.
_PARALLEL_SIZE = 1 << 12


@dataclass(frozen=True)
class SortForm:
    """``rows`` of ``extent`` elements, of whose order places ``start`` to ``stop`` are wanted.

    kind   ranks  an element's place is the number of those before it; a thread takes rows
           radix  digit by digit, the lowest first; a thread takes rows
           parts  each row in ``parts``, sorted by radix and then merged, two by two
    """

    kind: str
    rows: int
    extent: int
    start: int
    stop: int
    parts: int
    parallel: bool

    @property
    def rounds(self) -> int:
        """How often runs are merged by twos until one is left."""
        return (self.parts - 1).bit_length()

    @property
    def is_part(self) -> bool:
        return self.stop - self.start < self.extent


def choose_sort(rows: int, extent: int, start: int, stop: int, threads: int) -> SortForm:
    """The form for that many rows, and parts where the threads would not share the rows evenly."""
    kind, parts = "radix", 1
    if extent <= _BY_RANKS:
        kind = "ranks"
    elif extent >= _WORTH_CUTTING and rows < _ROWS_A_THREAD * threads and rows % threads:
        kind, parts = "parts", threads
    return SortForm(kind, rows, extent, start, stop, parts, rows * extent >= _PARALLEL_SIZE)
