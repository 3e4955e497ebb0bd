"""A recognised trace as one call of C (runs.c): what of it is the same each time, packed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from codegen.runtime.memory import allocate, size_class
from codegen.runtime.plan import SCALAR_FORMATS, CpuPlan, watchers
from lazytorch.records import native, packed_words

if TYPE_CHECKING:
    from codegen.runtime.cpu import Program
    from lazytorch.expression import Call, Expression
    from lazytorch.known_traces import KnownTrace


class OneRun:
    """What ``compute`` of runs.c is told of a known trace and the program of its plan."""

    __slots__ = ("_facts", "_nbytes", "_none", "_plan", "_told", "program")

    def __init__(self, known: KnownTrace, plan: CpuPlan, program: Program) -> None:
        record = plan.record
        self._facts, self._plan, self.program = known.facts, plan, program
        self._nbytes = record.memory_bytes
        self._none = [None] * len(self._nbytes)
        scalars = [(i, SCALAR_FORMATS[name] == "d") for i, name in record.scalars]
        self._told = (
            program.for_c(), tuple([(size_class(n), n) for n in self._nbytes]),
            packed_words(sorted(scalars)), packed_words(record.donations),
            packed_words([record.offsets]),
            known.cached.packed_uses or b"",
        )  # fmt: skip

    def run(
        self, roots: Sequence[Expression], held: Sequence[Expression]
    ) -> Sequence[Call] | Literal[False] | None:
        """Compute what there is to compute at some roots: the tracked calls of it that are not
        freed. Nothing is done where it is not the known trace (False), or unusual (None)."""
        if watchers or native.compute is None or not self._plan.is_run_by(self.program):
            return None
        answer = native.compute(self._facts, roots, held, self._told, self._none)
        if type(answer) is tuple:
            made: list[Any] = [*self._none]
            for j in answer:
                made[j] = allocate(self._nbytes[j])
            answer = native.compute(self._facts, roots, held, self._told, made)
        if answer is True:
            self._plan.raise_no_room()
        return None if type(answer) is tuple else answer


def one_run(known: KnownTrace) -> OneRun | None:
    """A known trace that was run as one call of C; None where it cannot be."""
    plan = known.cached.plan
    if native.compute is None or type(plan) is not CpuPlan or known.cached.orders:
        return None
    if known.bound or known.saved is not None:
        return None
    if plan.donated and known.cached.packed_uses is None:
        return None
    program = plan.program()
    return None if program is None else OneRun(known, plan, program)
