"""The operations: one record each, with builders of the same names. Importing enters them all."""

from codegen.ops import (
    calls,
    complex_functions,
    complex_numbers,
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
    "complex_functions",
    "complex_numbers",
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
