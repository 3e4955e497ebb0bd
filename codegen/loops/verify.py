"""Checks on kernels, each named for its invariant; run on every kernel in tests."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codegen.errors import VerifyError
from codegen.index.algebra import Index
from codegen.loops.grammar import (
    LOOPS,
    Accumulator,
    Fold,
    Kernel,
    Lanes,
    Let,
    Load,
    Parallel,
    Position,
    Reduce,
    Row,
    Select,
    SetLane,
    Statement,
    Store,
    Vector,
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
            lane = {"lane"} if isinstance(statement, Lanes | Vector) else set()
            _verify_block(kernel, statement.body, {*known, statement.variable, *lane}, inside)
            continue
        if isinstance(statement, Store) and shared:
            place = statement.place
            if not isinstance(place, Index) or not place.variables() & shared:
                raise VerifyError(f"{kernel.name}: threads race for {statement.argument}")
        for operand in _operands(statement):
            name = _NAME.match(operand)
            if name and not _LITERAL.match(operand) and name.group() not in known:
                raise VerifyError(f"{kernel.name}: {operand} is used before it is defined")
        if isinstance(statement, Load | Store) and isinstance(statement.place, Index):
            place, size = statement.place, sizes[statement.argument]
            guarded = isinstance(statement, Load) and statement.guard
            if not guarded and size and (place.low < 0 or place.high >= size):
                raise VerifyError(
                    f"{kernel.name}: {statement.argument}[{place.to_c()}] leaves 0…{size - 1}"
                )
        if isinstance(statement, Let | Load | Select | Position | Fold | Row | Accumulator):
            if statement.name in known:
                raise VerifyError(f"{kernel.name}: {statement.name} is defined twice")
            known.add(statement.name)


def _shared_inside(loop: Statement, shared: set[str] | None) -> set[str] | None:
    if isinstance(loop, Parallel):
        return {loop.variable} if loop.extent > 1 else None
    if isinstance(loop, Vector) and shared and loop.start.variables() & shared:
        return {*shared, loop.variable}
    return shared


def _operands(statement: Statement) -> tuple[str, ...]:
    if isinstance(statement, Let):
        return statement.operands
    if isinstance(statement, Select):
        return (statement.value, statement.otherwise)
    if isinstance(statement, Store):
        return (statement.argument, statement.value)
    if isinstance(statement, Load):
        return (statement.argument,)
    if isinstance(statement, Reduce):
        return (statement.accumulator.name, statement.value)
    if isinstance(statement, SetLane):
        return (statement.row, statement.value)
    return ()
