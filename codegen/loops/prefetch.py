"""Fetches what a row-wise kernel will touch next while it computes.

A row that is walked several times is waited for in its first walk and computed on in the later
ones, and the memory of a result is waited for in the last. The processor looks ahead within a walk
but not past its end. So a later walk fetches the next row's inputs, and the walk before a store
fetches the memory that will be stored to. Short rows, which are over before memory answers, do so
for a later row than the next.
"""

from __future__ import annotations

from dataclasses import replace

from codegen.index.algebra import Index, constant, variable
from codegen.loops.grammar import Argument, Kernel, Lanes, Load, Parallel, Prefetch, Serial, Store

# Arrays smaller than this stay in the second-level cache from one kernel to the next.
_LARGE = 1 << 17
# So many bytes are fetched ahead, at least.
_AHEAD = 1 << 11


def with_prefetches(kernel: Kernel) -> Kernel:
    """The kernel, if it is of that kind, with prefetches in its loops."""
    if len(kernel.body) < 1 or not isinstance(kernel.body[-1], Parallel):
        return kernel
    parallel = kernel.body[-1]
    rows: Parallel | Serial = parallel
    inner = parallel.body[-1] if parallel.body else None
    if isinstance(inner, Serial) and inner.variable == "row":  # a task has several
        rows = inner
    walks = [(i, s) for i, s in enumerate(rows.body) if isinstance(s, Lanes)]
    if len(walks) < 2:
        return kernel
    large = {a.name: a for a in kernel.arguments if a.type.nbytes >= _LARGE}
    ahead: list[dict[tuple[str, Index], Prefetch]] = [{} for _ in walks]
    row = variable(rows.variable, rows.extent)
    for number, (_, walk) in enumerate(walks):
        for statement in walk.body:
            if not isinstance(statement, Load if number == 0 else Store):
                continue
            place = _place_of(statement, walk, large)
            if place is None:
                continue
            stores = isinstance(statement, Store)
            rows_ahead = _AHEAD // (walk.extent * large[statement.argument].type.dtype.itemsize)
            rows_ahead = rows_ahead if stores else max(1, rows_ahead)
            place = place.substitute({rows.variable: row + constant(rows_ahead)})
            fetched = Prefetch(statement.argument, place, stores)
            ahead[number - 1 if stores else 1][fetched.argument, fetched.place] = fetched
    body = list(rows.body)
    for (i, walk), prefetches in zip(walks, ahead, strict=True):
        body[i] = replace(walk, ahead=tuple(prefetches.values()))
    rows = replace(rows, body=body)
    if isinstance(rows, Serial):
        rows = replace(parallel, body=[*parallel.body[:-1], rows])
    kernel.body = [*kernel.body[:-1], rows]
    return kernel


def _place_of(statement: Load | Store, walk: Lanes, large: dict[str, Argument]) -> Index | None:
    """Where a statement touches a large array one element after another, if it does."""
    place = statement.place
    if statement.argument not in large or not isinstance(place, Index):
        return None
    if isinstance(statement, Load) and statement.guard:
        return None
    return place if place.is_affine() and place.coefficient(walk.variable) == 1 else None
