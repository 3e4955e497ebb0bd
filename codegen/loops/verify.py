"""Checks on kernels, each named for its invariant; run on every kernel in tests."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codegen.errors import VerifyError
from codegen.loops.grammar import (
    LOOPS,
    Accumulator,
    Chosen,
    Computed,
    Fold,
    Group,
    Items,
    Kernel,
    Lanes,
    Let,
    Load,
    Parallel,
    Place,
    Position,
    Quad,
    Row,
    Segment,
    Select,
    Statement,
    Store,
    Strided,
    Tile,
    Vector,
    operands,
)

_NAME = re.compile(r"[A-Za-z_]\w*")
_LITERAL = re.compile(r"[-(]*(\d|__builtin)")


def verify_kernel(kernel: Kernel) -> None:
    """Names are defined before use and once; places lie inside their arguments; every parallel
    store depends on the parallel loop."""
    arguments = {a.name: a for a in kernel.arguments}
    _verify_block(kernel, kernel.body, set(arguments), None)


def _verify_block(
    kernel: Kernel, statements: Sequence[Statement], defined: set[str], shared: set[str] | None
) -> None:
    """``shared`` holds the variables that differ from thread to thread; None outside of loops that
    threads share."""
    known = set(defined)
    sizes = {a.name: a.type.size for a in kernel.arguments}
    for statement in statements:
        if isinstance(statement, LOOPS):
            inside = _shared_inside(statement, shared)
            seen = {*known, statement.variable}
            if isinstance(statement, Lanes | Vector):
                seen.add("lane")
            if isinstance(statement, Tile):
                seen.update([statement.across, *[s.name for s in statement.staged]])
            if isinstance(statement, Chosen):
                _verify_block(kernel, statement.choose, seen, shared)
                seen.add(statement.place)
            _verify_block(kernel, statement.body, seen, inside)
            continue
        if isinstance(statement, Store) and shared and not _names_in(statement.place) & shared:
            raise VerifyError(f"{kernel.name}: threads race for {statement.argument}")
        for operand in operands(statement):
            name = _NAME.match(operand)
            if name and not _LITERAL.match(operand) and name.group() not in known:
                raise VerifyError(f"{kernel.name}: {operand} is used before it is defined")
        if isinstance(statement, Load | Store):
            low, high = _bounds(statement.place)
            size = sizes[statement.argument]
            guarded = isinstance(statement, Load) and statement.guard
            if not guarded and size and (low < 0 or high >= size):
                raise VerifyError(
                    f"{kernel.name}: {statement.argument}[{low}…{high}] leaves 0…{size - 1}"
                )
        if isinstance(statement, Let | Load | Select | Position | Fold | Row | Accumulator):
            if statement.name in known:
                raise VerifyError(f"{kernel.name}: {statement.name} is defined twice")
            known.add(statement.name)
            if isinstance(statement, Accumulator) and "arg" in statement.operation.name:
                known.add(f"{statement.name}_at")  # where each lane's extremum stands


def _names_in(place: Place) -> frozenset[str]:
    if isinstance(place, Computed):
        return place.offset.variables() | {place.number}
    return place.variables()


def _bounds(place: Place) -> tuple[int, int]:
    """The least and the greatest place."""
    if isinstance(place, Computed):
        most = (place.limit - 1) * place.stride
        return place.offset.low, place.offset.high + most
    return place.low, place.high


def _shared_inside(loop: Statement, shared: set[str] | None) -> set[str] | None:
    if isinstance(loop, Parallel):
        return {loop.variable} if loop.extent > 1 else None
    if isinstance(loop, Items | Group):
        return {loop.variable} if loop.extent > 1 else None
    if isinstance(loop, Quad | Strided | Segment) and shared:
        return {*shared, loop.variable}
    if isinstance(loop, Tile) and shared is not None:
        return {*shared, loop.variable, loop.across}
    if isinstance(loop, Vector) and shared and loop.start.variables() & shared:
        return {*shared, loop.variable}
    if isinstance(loop, Chosen) and shared and loop.low.variables() & shared:
        return {*shared, loop.place}
    return shared
