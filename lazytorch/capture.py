"""Watching one call of a function: which plans ran, on what, and what the call changed.

``compile`` replays a call from such a record. The engine reports here while a capture is active;
what a replay could not repeat (a value read by Python, memory shared with NumPy) is an obstacle.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from codegen.runtime.memory import Buffer
from lazytorch import levels
from lazytorch.expression import (
    Expression,
    Overwritten,
    SharedSince,
    Source,
    SourcedFloat,
    SourcedInt,
    sourced,
)
from lazytorch.later_reads import LaterRead, is_only_returned
from lazytorch.orders import order_of

if TYPE_CHECKING:
    from lazytorch.expression import Attributes
    from lazytorch.optim._recorded import RecordedOptimizer
    from lazytorch.realize import CachedPlan
    from lazytorch.storage import Storage
    from lazytorch.tensor import Tensor
    from lazytorch.trace import Trace


class Run:
    """One plan that ran: where its leaves came from, and the expressions that it computed."""

    __slots__ = ("cached", "outputs", "sources")

    def __init__(self, cached: CachedPlan, sources: list[Source]) -> None:
        self.cached = cached
        self.sources = sources
        self.outputs: list[weakref.ref[Expression] | None] = []


@dataclass(eq=False)
class OptimizerStep:
    """An optimizer's update of some parameters: its numbers are computed anew at each replay."""

    optimizer: RecordedOptimizer
    group: dict[str, Any]
    params: list[Tensor]
    states: list[Any]
    attributes: Attributes

    def is_like(self, other: OptimizerStep) -> bool:
        return (
            self.optimizer is other.optimizer
            and self.group is other.group
            and self.attributes == other.attributes
            and _are_same(self.params, other.params)
            and _are_same(self.states, other.states)
        )

    def is_valid(self) -> bool:
        """Whether the options still ask for the same formula."""
        names = self.optimizer.names_of(self.group, self.params[0])
        return self.optimizer.form(self.group, names) == self.attributes

    def counters(self) -> tuple[str, ...]:
        """The names under which each state has a number."""
        first = self.states[0]
        return tuple([n for n in self.optimizer.counters if n in first]) if first else ()

    def are_alike(self) -> bool:
        """Whether all states have the same numbers, as when they were updated together."""
        first, names = self.states[0], self.counters()
        return all([state.get(n) == first[n] for n in names for state in self.states])

    def following(self) -> tuple[list[float], dict[str, float]]:
        """The formula's numbers in the next step, and what each state has after it."""
        step: Any = 1.0
        changes: dict[str, float] = {}
        if self.states[0] is not None:
            p, state = self.params[0], self.states[0]
            step, changes = self.optimizer.following(p, state, self.group)
        return self.optimizer.numbers(self.group, step), changes


def _are_same(x: list[Any], y: list[Any]) -> bool:
    return len(x) == len(y) and all([a is b for a, b in zip(x, y, strict=True)])


class Capture:
    """What one call did so far.

    written    storages that were written: weak references to it and to the value before, and the
               version before.
    grads      tensors whose ``.grad`` was replaced, with what it was before.
    obstacle   why the call cannot be replayed, if so.
    """

    def __init__(
        self,
        arguments: Sequence[Expression],
        storages: Sequence[Storage],
        codes: tuple[CodeType, CodeType] | None = None,
    ) -> None:
        """``codes``: of the function and of what calls it, if it is a function of Python."""
        self.thread = threading.get_ident()
        self.codes = codes
        self.arguments = {id(e): i for i, e in enumerate(arguments)}
        self.argument_storages = {id(s): i for i, s in enumerate(storages)}
        self.runs: list[Run] = []
        self.written: dict[int, tuple[weakref.ref[Storage], weakref.ref[Expression], int]] = {}
        self.grads: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.steps: list[OptimizerStep] = []
        self.draws: list[tuple[Any, int]] = []
        self.obstacle: str | None = None

    def refuse(self, reason: str) -> None:
        if self.obstacle is None:
            self.obstacle = reason

    def read_later(self, tensor: Tensor, reader: FrameType) -> LaterRead | None:
        """What stands for a tensor's number until the call ends, where that is all that the
        function needs: it must be read in the function itself."""
        if reader.f_back is not None and reader.f_globals.get("__name__") == "lazytorch.overrides":
            reader = reader.f_back  # once a class has overrides, they are asked first
        if self.codes is None or reader.f_back is None or threading.get_ident() != self.thread:
            return None
        if self.codes != (reader.f_code, reader.f_back.f_code):
            return None
        storage = tensor._storage
        if (
            storage.special is not None  # NumPy may write to it until then
            or tensor._geometry is not None
            or tensor._marker is not None
            or levels.is_unknown(storage.expression)
            or not is_only_returned(reader.f_code, reader.f_lasti)
        ):
            return None
        return LaterRead(storage.expression, storage)

    def note_write(self, storage: Storage) -> None:
        if id(storage) not in self.written or self.written[id(storage)][0]() is not storage:
            self.written[id(storage)] = (
                weakref.ref(storage),
                weakref.ref(storage.expression),
                storage.version,
            )

    def note_grad(self, tensor: Tensor) -> None:
        self.grads.setdefault(id(tensor), (tensor, tensor._grad))

    def note_draw(self, generator: Any, count: int, seed: int, first: int) -> tuple[int, int]:
        number = len(self.draws)
        self.draws.append((generator, count))
        return sourced(seed, ("draw", number, 0)), sourced(first, ("draw", number, 1))  # type: ignore[return-value]

    def note_step(self, step: OptimizerStep, numbers: list[float]) -> list[float]:
        number = len(self.steps)
        self.steps.append(step)
        return [sourced(x, ("step", number, i)) for i, x in enumerate(numbers)]

    def start_run(self, trace: Trace, cached: CachedPlan, places: Sequence[int]) -> Run:
        if threading.get_ident() != self.thread:
            self.refuse("another thread computed something at the same time")
        if cached.saves_more or trace.bound:
            self.refuse("a gradient may still flow through what was computed")
        if trace.orders or any([order_of(e) is not None for e in trace.leaves]):
            self.refuse("a tensor does not lie in rows")
        sources = [self._source(e) for e in trace.leaves]
        sources += [("number", int, place) for place in places]
        run = Run(cached, sources)
        self.runs.append(run)
        return run

    def _source(self, e: Expression) -> Source:
        number = self.arguments.get(id(e))
        if number is not None:
            return ("argument", number)
        value = e.value
        if type(value) is not Buffer:
            if isinstance(value, (SourcedFloat, SourcedInt)):
                return value.source
            return ("number", type(value), value)
        for i, run in enumerate(self.runs):
            for j, reference in enumerate(run.outputs):
                if reference is not None and reference() is e:
                    return ("output", i, j)
        storage = self._first_owner(e)
        if storage is not None:
            if id(storage) in self.written or storage.expression is e:
                return ("storage", storage)
            whole = storage.expression.value
            if type(whole) is Buffer:
                offset = value.offset_in(whole)
                if offset >= 0:
                    number = self.argument_storages.get(id(storage))
                    if number is None:
                        return ("part", storage, offset, value.nbytes)
                    return ("argument part", number, offset, value.nbytes)
        self.refuse("a tensor was made of Python values, or is part of another's memory")
        return ("unknown",)

    def _first_owner(self, e: Expression) -> Storage | None:
        """The storage whose value at the start of the call ``e`` is, or is a part of."""
        owner = e.owner
        if type(owner) is Overwritten:
            storage = owner.storage()
            known = self.written.get(id(storage))
            same = known is not None and known[0]() is storage and known[1]() is e
            return storage if same else None
        if owner is None:
            return None
        storage = owner.storage() if type(owner) is SharedSince else owner()  # type: ignore[operator]
        return None if storage is None or id(storage) in self.written else storage


class _State:
    """``active``: the capture under way, if any."""

    __slots__ = ("active",)

    def __init__(self) -> None:
        self.active: Capture | None = None


state = _State()


def refuse(reason: str) -> None:
    """Say that the call under way, if it is captured, cannot be replayed."""
    if state.active is not None:
        state.active.refuse(reason)
