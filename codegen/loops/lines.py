"""Tiles of a nest with a transposed operand: what is turned in registers, and what is written past
the caches, a whole line at a time.

Such an operand is read in tiles, of which each line comes in once. Rows a power of two apart share
their places in a cache, which then keeps little of a tile, so its lines are turned as they come and
what the tile is made of is kept in an array. A store to memory that is in no cache reads it first,
unless it is past the caches; and of lines in many rows a cache keeps as little as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from codegen.index.algebra import Index, Variable
from codegen.loops.grammar import LOOPS, Load, Statement, Store

LINE = 64  # bytes
# Results of so many bytes are written past the caches: a copy of 4 MB that is then read takes as
# long either way, one of 64 MB a quarter. (Nests without a transposed operand gain a third from
# 64 MB on, if they compute little; those of 16 MB and their readers lose as much.)
_STREAMED = 1 << 22
# A shorter row is no place for lines, unless it is made of whole ones.
_SHORT_ROW = 1024
# A tile: so many elements along the axis across, by up to so many along the innermost, while what
# is kept of it fits in so many bytes, most of a first-level cache.
TILE, _WIDEST, _TILE_BYTES = 32, 256, 1 << 15


def is_turned(load: Load, across: str, along: str) -> bool:
    """Whether a load has its neighbours along the axis across, at a stride along the other."""
    place = load.place
    if load.guard or not isinstance(place, Index):
        return False
    linear = _is_linear(place, across) and _is_linear(place, along)
    return linear and place.coefficient(across) == 1 and place.coefficient(along) > 1


def turned(body: Sequence[Statement], across: str, along: str) -> tuple[tuple[str, Index], ...]:
    """(argument, place) of the loads that a tile of both axes has turned."""
    return tuple(
        dict.fromkeys(
            (s.argument, s.place)
            for s in _all(body)
            if isinstance(s, Load) and isinstance(s.place, Index) and is_turned(s, across, along)
        )
    )


def streamed(body: Sequence[Statement], along: str, extents: Sequence[int]) -> tuple[str, ...]:
    """The arguments that a tiled nest writes past the caches."""
    stores = [s for s in _all(body) if isinstance(s, Store)]
    names = [s.argument for s in stores]
    chosen = []
    for s in stores:
        row = extents[-1] * s.dtype.itemsize
        if (
            prod(extents) * s.dtype.itemsize >= _STREAMED
            and (row >= _SHORT_ROW or row % LINE == 0)
            and s.combine is None
            and isinstance(s.place, Index)
            and _is_linear(s.place, along)
            and s.place.coefficient(along) == 1
            and names.count(s.argument) == 1
        ):
            chosen.append(s.argument)
    return tuple(chosen)


def tile_width(
    body: Sequence[Statement], across: str, along: str, extent: int, streams: Sequence[str]
) -> int:
    """How many elements along the innermost axis, of that extent, a tile has."""
    statements = list(_all(body))
    loads = [s for s in statements if isinstance(s, Load) and isinstance(s.place, Index)]
    far = [
        s for s in loads if isinstance(s.place, Index) and abs(s.place.coefficient(along)) >= TILE
    ]
    if not all(is_turned(s, across, along) for s in far):
        return TILE  # what is read across from memory wants its lines to stay in a cache
    kept = sum(s.dtype.itemsize for s in far) * TILE
    stores = [s for s in statements if isinstance(s, Store)]
    kept += sum(s.dtype.itemsize for s in stores if s.argument in streams)
    width = _WIDEST
    while width > TILE and (width * kept > _TILE_BYTES or width >= 2 * extent):
        width //= 2
    return width


def _is_linear(place: Index, name: str) -> bool:
    return not any(
        name in atom.variables for atom, _ in place.terms if not isinstance(atom, Variable)
    )


def _all(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        if isinstance(statement, LOOPS):
            yield from _all(statement.body)
        else:
            yield statement
