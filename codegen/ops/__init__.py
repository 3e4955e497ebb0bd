"""The operations: one record each, with builders of the same names. Importing enters them all."""

from codegen.ops import (
    calls,
    elementwise,
    host,
    indexing,
    leaves,
    loop,
    movement,
    reduction,
    sort,
    special,
)

__all__ = [
    "calls",
    "elementwise",
    "host",
    "indexing",
    "leaves",
    "loop",
    "movement",
    "reduction",
    "sort",
    "special",
]
