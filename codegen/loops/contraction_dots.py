"""When a contraction is computed in vectors along K: long sums with few results.

The gradient of a convolution's weight, where channels are few, sums over every position of every
image. Its windows are no rows of a matrix; to lay them out as such costs more than to multiply
them. But positions of an image row are neighbours in both operands, at every tap. So are the
elements that a few rows and a linear layer's weight are multiplied along.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.index.contraction import Contraction, a_spans, b_spans, is_affine

# Results a tile: one in registers for every pair of rows and columns.
_MOST_COLUMNS = 8
# Of what the vectors do, so much must be within the runs of neighbours.
_WORTH = 0.6
# What a tile reads at a time: it stays in a first-level cache for the next ones.
_TILE_BYTES = 24 << 10
# Sums of fewer vectors than this are not worth adding up lanes for.
_SHORTEST = 16
# To add up the lanes of a result takes as long as some 600 products; to lay an element of a matrix
# out in panels, which all rows share, as ten. So few rows are one for every 64 in the sum, at most.
_A_ROW, _FEW_ROWS = 64, 8


@dataclass(frozen=True)
class DotTile:
    """A tile of results, and how many runs of neighbours in K are done for all tiles at a time."""

    rows: int
    columns: int
    runs: int


def dot_tile(
    contraction: Contraction, lanes: int, accumulators: int, cache_bytes: int
) -> DotTile | None:
    """The tile of a normalized contraction in vectors of ``lanes`` along K, or None where another
    form is better: K lies in pieces, but in long runs of neighbours in A, and of neighbours or
    every second element in B; or it lies whole, and rows are few. And the sums of all results stay
    in half the second-level cache."""
    _, m, n, k = contraction.sizes
    if not contraction.inner or not is_affine(a_spans(contraction.rows)):
        return None
    across, run = b_spans(contraction.columns), contraction.inner[-1]
    if len(contraction.inner) == 1:
        few = min(k // _A_ROW, _FEW_ROWS)
        if not 2 <= m <= few or run.b != 1 or across[-1].stride == 1:
            return None
    elif is_affine(across) and is_affine(b_spans(contraction.inner)):
        return None
    itemsize = contraction.dtype.itemsize
    if run.a != 1 or run.b not in (1, 2) or run.extent < lanes or k < _SHORTEST * lanes:
        return None
    if run.extent < _WORTH * -(-run.extent // lanes) * lanes:
        return None
    if m * n * lanes * itemsize > cache_bytes // 2:
        return None
    rows = _evenly(m, max(1, accumulators // 4))
    columns = _evenly(n, min(accumulators // rows, _MOST_COLUMNS))
    runs = _TILE_BYTES // ((rows + columns) * run.extent * itemsize)
    return DotTile(rows, columns, max(1, min(runs, k // run.extent)))


def _evenly(extent: int, most: int) -> int:
    """At most ``most`` at a time, such that the last are about as many."""
    return -(-extent // -(-extent // most))
