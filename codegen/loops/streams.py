"""Reads a long row from two places at once.

What the processor fetches ahead of a walk through memory ends with the page, and begins anew in the
next. Two walks, through the halves of the row, do not come to their pages' ends together. Where two
arrays are read, there are two already; four are slower.
"""

from __future__ import annotations

from dataclasses import replace

from codegen.index.algebra import Index
from codegen.loops.grammar import Kernel, Lanes, Load, Parallel, Store

# A half must have a few pages, and be of an array that no cache keeps; a body that computes so much
# does not wait for memory.
_LONG, _LARGE, _BODY = 1 << 14, 1 << 22, 12


def in_two_streams(kernel: Kernel) -> Kernel:
    """The kernel, with its loop over a row in halves if it does little but read."""
    if not kernel.body or not isinstance(kernel.body[-1], Parallel):
        return kernel
    rows = kernel.body[-1]
    walks = [(i, s) for i, s in enumerate(rows.body) if isinstance(s, Lanes)]
    if len(walks) != 1:
        return kernel
    ((position, walk),) = walks
    large = {a.name for a in kernel.arguments if a.type.nbytes >= _LARGE}
    loads = [s for s in walk.body if isinstance(s, Load) and s.argument in large]
    if (
        len(walk.body) <= _BODY
        and walk.extent % walk.lanes == 0
        and not any(isinstance(s, Store) for s in walk.body)
        and len(loads) == 1
        and _is_long(loads[0], walk)
    ):
        body = list(rows.body)
        body[position] = replace(walk, streams=2)
        kernel.body = [*kernel.body[:-1], replace(rows, body=body)]
    return kernel


def _is_long(load: Load, walk: Lanes) -> bool:
    """Whether a row of it goes through several pages, one element after another."""
    place = load.place
    if load.guard or not isinstance(place, Index) or not place.is_affine():
        return False
    nbytes = walk.extent * load.dtype.itemsize
    return nbytes >= _LONG and place.coefficient(walk.variable) == 1
