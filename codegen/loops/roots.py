"""Takes square roots without the processor's divider, where a loop waits for that.

Square roots and divisions come from one unit, which takes several times longer for either than for
any other operation. Roots are as exact when they are made of an estimate and multiplications; but
an estimate is an instruction for whole vectors, and what it does not do for is a branch, neither of
which a compiler makes of a loop over numbers. So the loop is cut at its roots, and goes through all
of its stages for one vector after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from codegen.dtype import DType, float32
from codegen.loops import contraction
from codegen.loops.grammar import (
    LOOPS,
    Kernel,
    Let,
    Load,
    Parallel,
    Position,
    Select,
    Statement,
    Vector,
    operands,
)

VECTOR_BYTES = 64  # of the instructions that estimate a root and choose lanes
ROOTS = VECTOR_BYTES // float32.itemsize  # a vector's
# Cycles that the divider takes for a vector, cycles that multiplications take instead, and one that
# an operation takes: there are two units for them.
_ROOT, _DIVISION, _INSTEAD, _OPERATION = 12, 10, 6, 0.5


def with_roots_apart(kernel: Kernel) -> Kernel:
    """The kernel, if it is one loop that waits for the divider, with the roots in it apart."""
    tasks = kernel.body[-1] if kernel.body else None
    if contraction.vector_bytes() != VECTOR_BYTES or not isinstance(tasks, Parallel):
        return kernel
    loop = tasks.body[0]
    if len(tasks.body) != 1 or not isinstance(loop, Vector) or loop.block < ROOTS:
        return kernel
    roots = _waited_for(loop.body)
    apart = replace(loop, roots=roots)
    if roots and all(dtype is float32 for stage in stages(apart) for dtype in stage.kept.values()):
        kernel.body = [*kernel.body[:-1], replace(tasks, body=[apart])]
    return kernel


def _waited_for(body: Sequence[Statement]) -> tuple[str, ...]:
    """The roots in a loop, if it is done sooner without the divider."""
    roots, divider, others = [], 0.0, 0.0
    for statement in body:
        if isinstance(statement, LOOPS):
            return ()
        if not isinstance(statement, Let):
            continue
        name = statement.operation.name
        if name == "sqrt" and statement.dtype is float32:
            roots.append(statement.name)
        elif name == "div" and statement.dtype is float32:
            divider += _DIVISION
        else:
            others += statement.operation.cost * _OPERATION
    instead = max(divider, others + _INSTEAD * len(roots))
    return tuple(roots) if divider + _ROOT * len(roots) > instead else ()


@dataclass
class Stage:
    """A part of a loop's body: what it reads of earlier stages, what it does, what later ones read
    of it, and the root that is taken when it is done, by its name and of what."""

    reads: list[str] = field(default_factory=list)
    body: list[Statement] = field(default_factory=list)
    kept: dict[str, DType] = field(default_factory=dict)
    root: tuple[str, str] | None = None


def stages(loop: Vector) -> list[Stage]:
    """The body of a loop, cut at its roots."""
    found = [Stage()]
    made: dict[str, tuple[Stage, DType]] = {}
    for statement in loop.body:
        stage = found[-1]
        for name in operands(statement):
            before, dtype = made.get(name, (stage, float32))
            if before is not stage and name not in stage.reads:
                stage.reads.append(name)
                if name not in loop.roots:
                    before.kept[name] = dtype
        if isinstance(statement, Let) and statement.name in loop.roots:
            stage.root = (statement.name, statement.operands[0])
            found.append(Stage())
        else:
            stage.body.append(statement)
        if isinstance(statement, Let | Load | Select | Position):
            made[statement.name] = stage, statement.dtype
    return found
