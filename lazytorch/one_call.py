"""A replay as one call of C (replays.c): what of it is the same each time, packed once.

Between the two looks of C at who knows of what nothing of Python runs, so no signal is to be held
off, and what nobody else knows of is computed where it is: a gradient into the memory of the one
that it replaces, and nothing but version counters changes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from codegen.runtime.memory import Buffer, allocate
from codegen.runtime.plan import SCALAR_FORMATS, CpuPlan
from lazytorch.expression import Source
from lazytorch.records import native, packed_words

if TYPE_CHECKING:
    from codegen.ir.node import TensorType
    from codegen.runtime.cpu import Program
    from codegen.runtime.plan import PlanRecord
    from lazytorch.capture import OptimizerStep, Run
    from lazytorch.compiled import Constant, Fresh, Number
    from lazytorch.expression import Expression
    from lazytorch.storage import Storage
    from lazytorch.tensor import Tensor

# As in replays.c: what a parameter is given, and whose an output is.
_OF_STORAGE, _OF_ARGUMENT, _FLOAT, _INTEGER, _FIXED = range(5)
_MADE, _WRITTEN, _GRADIENT = range(3)
# Memory for what is made for each call is kept from call to call, if all of it is less than this.
_SPARE_BYTES = 1 << 20


def facts_of_fitting(
    reads: Sequence[tuple[Storage, TensorType, bool]],
    constants: Sequence[tuple[Storage, Constant, int]],
    written: Sequence[Storage],
    steps: Sequence[OptimizerStep],
) -> tuple[Any, ...]:
    """What ``fits`` of replays.c is told; the caller keeps all that is named here."""
    return (
        packed_words([(id(s), id(type_), id(tracked)) for s, type_, tracked in reads]),
        packed_words(_constant_words(constants)),
        packed_words([(id(s),) for s in written]),
        tuple([(step.states, step.counters()) for step in steps if step.counters()]),
    )


def _constant_words(constants: Sequence[tuple[Storage, Constant, int]]) -> list[tuple[int, ...]]:
    return [(id(s), id(c.signature), id(c.numbers), writes) for s, c, writes in constants]


class OneCall:
    """What ``replay`` of replays.c is told."""

    def __init__(
        self,
        plan: CpuPlan,
        program: Program,
        parameters: list[tuple[int, int, int]],
        changes: Changes,
    ) -> None:
        record = plan.record
        self._plan, self._program = plan, program
        self._nbytes = record.memory_bytes
        self._fresh = changes.fresh
        likes = [
            None if fresh is None or j in changes.shared
            else (fresh.type, fresh.call, 2 if fresh.connected else 3)
            for j, fresh in enumerate(changes.fresh)
        ]  # fmt: skip
        spares = self._spares_for(changes)
        # Memory is made in any case for what nothing is kept for.
        self._always = [
            j for j, spare in enumerate(spares) if spare is None and j not in changes.replacing
        ]
        self._facts = (
            program.for_c(), packed_words(parameters), packed_words(changes.outputs),
            packed_words(_constant_words(changes.constants)), packed_words([record.offsets]),
            tuple(likes), changes.grads, tuple(spares),
        )  # fmt: skip

    def _spares_for(self, changes: Changes) -> list[list[Any] | None]:
        """Room for what a call leaves for those after it: of a result two, for the caller holds the
        one before."""
        count = len(self._nbytes)
        kept = {*range(count)} - changes.replacing - changes.shared
        if sum([self._nbytes[j] for j in kept]) > _SPARE_BYTES:
            return [None] * count
        is_result = [f is not None for f in changes.fresh] + [False]
        return [[None] * (2 if is_result[j] else 1) if j in kept else None for j in range(count)]

    def is_outdated(self) -> bool:
        """Whether other kernels are to be tried now, or were found."""
        return not self._plan.is_run_by(self._program)

    def run(
        self,
        arguments: list[Expression],
        numbers: list[list[Any]],
        counted: list[tuple[list[Any], dict[str, float]]],
    ) -> list[Any] | None:
        """Compute what the call does and change what it changes: of each output the tensor that was
        made for it, if one was; None where nothing was done because something is unusual."""
        made: list[Any] = [None] * len(self._nbytes)
        for j in self._always:
            made[j] = self._make(j)
        while native.replay is not None:
            answer = native.replay(self._facts, arguments, numbers, counted, made)
            if answer is True:
                return made
            if answer is None:
                return None
            if answer is False:
                self._plan.raise_no_room()
            for j in answer:
                made[j] = self._make(j)
        return None

    def _make(self, j: int) -> Buffer | Tensor:
        buffer = allocate(self._nbytes[j])
        fresh = self._fresh[j] if j < len(self._fresh) else None
        return buffer if fresh is None else fresh.make(buffer)


class Changes:
    """What becomes of a plan's outputs, and what else a call changes; ``is_simple`` if one place
    each is all that they have.

    outputs    of each what replays.c is to know of it
    fresh      of each the tensor that is made of it, if one is
    replacing  the outputs that may be computed where what they replace is
    shared     those that are gradients and returned
    grads      (tensor, its gradient after the call), of those that are not computed in it
    """

    def __init__(
        self,
        record: PlanRecord,
        storages: Sequence[tuple[Storage, Any, int]],
        grads: Sequence[tuple[Tensor, Any]],
        fresh: Sequence[Fresh],
        returned: Sequence[Fresh],
        numbers: Sequence[Number],
        donors: dict[int, int],
    ) -> None:
        count = len(record.output_bytes)
        self.is_simple = True
        self.outputs: list[tuple[int, int, int, int]] = [(_MADE, 0, 0, -1)] * count
        self.fresh: list[Fresh | None] = [None] * count
        self.constants: list[tuple[Storage, Constant, int]] = []
        self.grads: list[tuple[Tensor, Tensor | None]] = []
        for storage, source, writes in storages:
            if type(source) is not tuple:
                self.constants.append((storage, source, writes))
            else:
                self._claim(source[2], (_WRITTEN, id(storage), writes, donors.get(source[2], -1)))
        for f in fresh:
            if type(f.source) is not tuple or self.fresh[f.source[2]] is not None:
                self.is_simple = False
                return
            self.fresh[f.source[2]] = f
        for tensor, gradient in grads:
            if gradient is None or not hasattr(gradient, "source"):
                self.grads.append((tensor, gradient))
            else:
                self._claim(gradient.source[2], (_GRADIENT, id(tensor), 0, -1))
        kinds = [kind for kind, _, _, _ in self.outputs]
        if any([f is not None and k == _WRITTEN for f, k in zip(self.fresh, kinds, strict=True)]):
            self.is_simple = False
        if any([kinds[n.source[2]] != _MADE for n in numbers]):
            self.is_simple = False  # what was made does not say where the number is
        self.shared = {f.source[2] for f in returned if kinds[f.source[2]] == _GRADIENT}
        self.replacing = {
            j for j, (kind, _, _, donor) in enumerate(self.outputs)
            if donor >= 0 or (kind == _GRADIENT and j not in self.shared)
        }  # fmt: skip

    def _claim(self, j: int, output: tuple[int, int, int, int]) -> None:
        if self.outputs[j][0] != _MADE:
            self.is_simple = False
        self.outputs[j] = output


def parameters_of(
    run: Run, record: PlanRecord, step_count: int
) -> list[tuple[int, int, int]] | None:
    """What the parameters of a run are given, as replays.c reads it; None where it cannot."""
    formats = {i: SCALAR_FORMATS[name] for i, name in record.scalars}
    found = [_parameter(s, formats.get(i), step_count) for i, s in enumerate(run.sources)]
    return None if None in found else found  # type: ignore[return-value]


def _parameter(source: Source, form: str | None, step_count: int) -> tuple[int, int, int] | None:
    kind = source[0]
    if form is not None:
        if kind == "number":
            return _FIXED, *struct.unpack("q", struct.pack(form, source[2])), 0
        if kind not in ("step", "draw"):
            return None
        number = source[1] if kind == "step" else step_count + source[1]
        return (_FLOAT if form == "d" else _INTEGER), number, source[2]
    if kind == "storage":
        return _OF_STORAGE, id(source[1]), 0
    if kind == "part":
        return _OF_STORAGE, id(source[1]), source[2]
    return (_OF_ARGUMENT, source[1], 0) if kind == "argument" else None


def donors_of(run: Run, record: PlanRecord, replaced: dict[int, Any]) -> dict[int, int]:
    """For outputs that may take a parameter's memory, which: the whole value of a storage, which is
    read nowhere else, and gets another value in the call (``replaced``, from storages' numbers)."""
    read = [id(s[1]) for s in run.sources if s[0] in ("storage", "part")]
    return {
        out: p
        for out, p in record.donations
        if p < len(run.sources)
        and run.sources[p][0] == "storage"
        and read.count(id(run.sources[p][1])) == 1
        and type(replaced.get(id(run.sources[p][1]))) is tuple
    }


def one_call(
    run: Run,
    storages: Sequence[tuple[Storage, Any, int]],
    grads: Sequence[tuple[Tensor, Any]],
    fresh: Sequence[Fresh],
    returned: Sequence[Fresh],
    numbers: Sequence[Number],
    step_count: int,
) -> OneCall | bool:
    """A replay of one run of a plan as one call; False where it cannot be one, True where it cannot
    yet: while other kernels are tried."""
    plan = run.cached.plan
    if type(plan) is not CpuPlan:
        return False
    record = plan.record
    parameters = parameters_of(run, record, step_count)
    replaced = {id(s): source for s, source, _ in storages}
    donors = donors_of(run, record, replaced)
    changes = Changes(record, storages, grads, fresh, returned, numbers, donors)
    if parameters is None or not changes.is_simple:
        return False
    program = plan.program()
    if program is None:
        return False
    if not plan.is_run_by(program):
        return True
    return OneCall(plan, program, parameters, changes)
