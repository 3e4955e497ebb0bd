"""The only door to the compiler: collects what is pending, finds or makes its plan, runs it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codegen.ir import provenance
from codegen.ir.node import Node
from codegen.pipeline import Graph, Plan, find_plan, make_plan
from lazytorch.expression import Call, Expression
from lazytorch.importer import import_graph
from lazytorch.storage import pending_writes

_LEAF, _NUMBER, _BOUND, _WANTED = -1, -2, -3, -4


@dataclass(frozen=True)
class CachedPlan:
    """A plan, and the numbers of the expressions that its outputs are the values of."""

    plan: Plan
    outputs: tuple[int, ...]


_plans: dict[tuple[int, ...], CachedPlan] = {}
_lock = threading.RLock()


def _forget_lock() -> None:
    """In a forked child: another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


class Trace:
    """Everything pending under some roots, in an order that depends on structure alone.

    key        identifies the structure: equal keys may run the same plan on their leaves.
    leaves     the expressions whose values go in.
    calls      the calls to run, inputs first.
    numbers    each expression's number; a call's outputs are numbered together.
    bound      realized expressions that a gradient goes through: definition and value are known.
    wanted     the expressions to compute.
    """

    def __init__(self, roots: Sequence[Expression]) -> None:
        self.key: list[int] = []
        self.leaves: list[Expression] = []
        self.calls: list[Call] = []
        self.numbers: dict[Expression, int] = {}
        self.bound: list[Expression] = []
        self.has_gradient = any(e.call is not None and e.call.has_gradient for e in roots)
        self._count = 0
        self._visit(roots)
        self.wanted = self._find_wanted(roots)
        self.key.append(_WANTED)
        self.key.extend([self.numbers[e] for e in self.wanted])

    def _visit(self, roots: Sequence[Expression]) -> None:
        numbers, has_gradient = self.numbers, self.has_gradient
        stack = list(reversed(roots))
        while stack:
            e = stack[-1]
            if e in numbers:
                stack.pop()
                continue
            call = e.call
            if call is None or (
                e.value is not None
                and not (has_gradient and call.tracked and call.inputs)
            ):
                self._add_leaf(e)
                stack.pop()
                continue
            missing = [i for i in call.inputs if i not in numbers]
            if missing:
                missing.reverse()
                stack.extend(missing)
                continue
            stack.pop()
            self._add_call(call)

    def _add_leaf(self, e: Expression) -> None:
        self.numbers[e] = self._count
        self._count += 1
        self.leaves.append(e)
        self.key.append(_LEAF if not e.tracked else _NUMBER)
        self.key.append(id(e.type))

    def _add_call(self, call: Call) -> None:
        key, numbers = self.key, self.numbers
        key.append(call.signature.number * 2 + call.tracked)
        for i in call.inputs:
            key.append(numbers[i])
        self.calls.append(call)
        for reference in call.outputs:
            output = reference()
            if output is not None:
                numbers[output] = self._count + output.number
                if output.value is not None:
                    self.bound.append(output)
                    key.append(_BOUND)
                    key.append(numbers[output])
                elif output.leaf is not None:
                    key.append(_NUMBER)
        self._count += len(call.outputs)

    def _find_wanted(self, roots: Sequence[Expression]) -> list[Expression]:
        """The roots, and whatever else on the way some tensor still shows."""
        wanted = set(roots)
        for call in self.calls:
            for reference in call.outputs:
                e = reference()
                if e is not None and e.value is None and type(e.owner) is weakref.ref:
                    owner = e.owner()
                    if owner is not None and owner.expression is e:
                        wanted.add(e)
        return sorted([e for e in wanted if e.value is None], key=self.numbers.__getitem__)


def realize(roots: Sequence[Expression]) -> None:
    """Compute these expressions, every pending write, and what tensors show on the way."""
    with _lock:
        pending = [e for e in roots if e.value is None]
        if pending_writes:
            pending.extend(_pending_expressions())
        if not pending:
            return
        devices = {e.device for e in pending}
        for device in devices:
            _run([e for e in pending if e.device == device], device)


def flush() -> None:
    """Compute every pending in-place write."""
    realize(())


def _pending_expressions() -> list[Expression]:
    storages = [reference() for reference in pending_writes.values()]
    pending_writes.clear()
    return [s.expression for s in storages if s is not None and s.expression.value is None]


def _run(roots: list[Expression], device: str) -> None:
    trace = Trace(roots)
    key = (*trace.key, hash(device))
    cached = _plans.get(key)
    if cached is None:
        cached = _plans[key] = _make(trace, device)
    values = cached.plan.run([e.value for e in [*trace.leaves, *trace.bound]])
    by_number = {number: e for e, number in trace.numbers.items()}
    for number, buffer in zip(cached.outputs, values, strict=True):
        e = by_number.get(number)
        if e is not None:
            e.value = buffer
            e.depth = 0
    _release(trace)


def _release(trace: Trace) -> None:
    """Let go of the inputs of calls whose values are known and that no gradient will revisit."""
    for call in trace.calls:
        if call.tracked and (not call.freed or any(_is_pending(r) for r in call.readers)):
            continue
        outputs = [reference() for reference in call.outputs]
        if all(e is None or e.value is not None for e in outputs):
            call.inputs = ()
            if not call.tracked:
                for e in outputs:
                    if e is not None:
                        e.call = None


def _is_pending(reference: weakref.ref[Call]) -> bool:
    call = reference()
    return call is not None and any(e.value is None for e in _alive(call))


def _make(trace: Trace, device: str) -> CachedPlan:
    description = describe(trace, device)
    if provenance.state.wanted:  # a plan on disk knows no user lines: make it anew
        with provenance.recording():
            graph, outputs = import_graph(trace)
            return CachedPlan(make_plan(graph, device, description, outputs), outputs)
    found = find_plan(description)
    if found is not None:
        plan, outputs = found
        return CachedPlan(plan, outputs)
    graph, outputs = import_graph(trace)
    return CachedPlan(make_plan(graph, device, description, outputs), outputs)


def describe(trace: Trace, device: str) -> str:
    """The trace's structure in words that mean the same in every process."""
    lines = [device]
    numbers = trace.numbers
    for e in trace.leaves:
        lines.append(f"leaf {numbers[e]} {e.type!r} {e.tracked}")
    for call in trace.calls:
        signature = call.signature
        inputs = [numbers[i] for i in call.inputs]
        leaves = [o.leaf is not None for o in _alive(call)]
        lines.append(f"call {signature.describe()} {inputs} {call.tracked} {leaves}")
    lines.append(f"bound {[numbers[e] for e in trace.bound]}")
    lines.append(f"wanted {[numbers[e] for e in trace.wanted]}")
    return "\n".join(lines)


def _alive(call: Call) -> list[Expression]:
    return [e for e in [reference() for reference in call.outputs] if e is not None]


__all__ = ["Graph", "Node", "Trace", "flush", "realize"]


def plan_count() -> int:
    """How many plans this process holds."""
    return len(_plans)


def graph_of(roots: Sequence[Expression]) -> tuple[Graph, Any]:
    """The graph that realizing these expressions would compile, for inspection."""
    trace = Trace([e for e in roots if e.value is None])
    return import_graph(trace)
