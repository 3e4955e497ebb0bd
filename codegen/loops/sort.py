"""Chooses how a sort is done: short rows by ranks, rows by radix, or a long row in parts."""

from __future__ import annotations

from dataclasses import dataclass

# Up to this many elements (of 64 bits: that many), comparing each with all, in vectors, is faster
# than counting digits.
_BY_RANKS, _WIDE_BY_RANKS = 96, 64
# A row shorter than this is not worth cutting for threads.
_WORTH_CUTTING = 1 << 15
# With more rows than so many a thread, none waits long for the last row.
_ROWS_A_THREAD = 4
# Below so many elements a sort runs on the calling thread alone.
_PARALLEL_SIZE = 1 << 12
# To find what belongs into a part of the order costs about as much as to sort this fraction.
_NARROW = 4


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
    def is_narrow(self) -> bool:
        """Whether so little of the order is wanted that most elements are better left unsorted."""
        return (self.stop - self.start) * _NARROW <= self.extent

    @property
    def narrows_parts(self) -> bool:
        """The same for each part, of which nothing behind ``stop`` is wanted."""
        return self.stop * self.parts * _NARROW <= self.extent


def choose_sort(
    rows: int, extent: int, itemsize: int, start: int, stop: int, threads: int
) -> SortForm:
    """The form for rows of elements of ``itemsize`` bytes: in parts where the threads would not
    share the rows evenly."""
    kind, parts = "radix", 1
    if extent <= (_BY_RANKS if itemsize < 8 else _WIDE_BY_RANKS):
        kind = "ranks"
    elif extent >= _WORTH_CUTTING and rows < _ROWS_A_THREAD * threads and rows % threads:
        kind, parts = "parts", threads
    return SortForm(kind, rows, extent, start, stop, parts, rows * extent >= _PARALLEL_SIZE)
