"""Traces that were seen before: in a loop the next one is recognised by comparing, which costs half
of what the walk of ``trace.Trace`` does and finds the plan without its key."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lazytorch.expression import Call, Expression, Signature
from lazytorch.layouts import orders
from lazytorch.orders import order_of, wanted_order
from lazytorch.records import native, packed

if TYPE_CHECKING:
    from lazytorch.one_run import OneRun
    from lazytorch.realize import CachedPlan
    from lazytorch.trace import Trace

_reference_type = weakref.ref
# What tells whether a known trace may be what is computed: device, first root's signature, how many
# roots.
Key = tuple[str, Signature, int]


class Recognised:
    """What a trace comes to that has the structure of a known one: as in ``Trace``.

    values  everything that its calls make, None for what is gone.
    saved   of what the plan gives more than is wanted, if it does: all that it gives.
    """

    __slots__ = ("bound", "cached", "calls", "leaves", "saved", "tracked", "values", "wanted")
    bound: list[Expression]
    cached: CachedPlan
    calls: list[Call]
    leaves: list[Expression]
    saved: list[Expression | None] | None
    tracked: list[Call]
    values: list[Expression | None]
    wanted: list[Expression]
    references_to_leaf = 1  # that of the list of leaves
    numbers: ClassVar[dict[Expression, int]] = {}  # not known, and not asked for


class KnownTrace:
    """The structure of a trace, whose plan is ``cached``, that is all below its roots, as the steps
    of a loop are.

    Its *occurrences* are the roots, and then the inputs of its calls, call after call, each of
    which is found at an earlier occurrence of one of its outputs. Which of them are the same
    expression says how the graph hangs together; what is left to compare are lists of facts.

    steps       of each call: at which occurrence it is found, its signature, whether it is tracked,
                how many inputs it has. ``gradients``: whether it is made of a gradient call.
    tracked     which of the calls are, in the trace's order.
    firsts      of each expression: its first occurrence.
    same_as     of each occurrence: which of these expressions it is.
    pending     of the expressions those that calls make; ``made_by`` and ``numbers``: by which, and
                as which of its outputs; ``known``: whether they are bound.
    leaves      the others, in the trace's order, with their ``types`` and whether ``tracked``.
    root_leaves whether roots are values of tensors that collect gradients.
    others      of all outputs of all calls those that are no roots, and the ``shown`` among them,
                and the ``bound``, in the trace's order.
    wanted      the outputs that are wanted, in the trace's order.
    saved       those that the plan gives, if it gives more.
    joined      of the held values that joined the roots, and are roots here: signature and number.
    is_whole    whether that says it all.
    next        what was computed after it at roots of its key: what takes turns with it, or itself.
    facts       what is compared, as records.c reads it.
    one_run     what computes it in one call of C, once it was computed; None where nothing does.
    """

    __slots__ = (
        "bound", "cached", "facts", "firsts", "gradients", "has_gradient", "is_whole", "joined",
        "key", "known", "leaf_tracked", "leaf_types", "leaves", "made_by", "next", "numbers",
        "one_run", "others", "pending", "root_leaves", "same_as", "saved", "shown", "steps",
        "tracked", "wanted",
    )  # fmt: skip
    steps: list[tuple[int, Signature, int, int]]

    def __init__(
        self,
        key: Key,
        trace: Trace,
        roots: Sequence[Expression],
        cached: CachedPlan,
    ) -> None:
        self.key, self.cached, self.has_gradient = key, cached, trace.has_gradient
        self.one_run: OneRun | None = None
        self.next = self
        self.joined = [(e.call.signature, e.number) for e in trace.joined if e.call is not None]
        roots = [*roots, *trace.joined]
        known_leaves = set(trace.leaves)
        met = [*roots]
        places: dict[Call, int] = {}
        self.steps = []
        calls: list[Call] = []
        order: dict[Expression, int] = {}
        self.firsts: list[int] = []
        for place, e in enumerate(met):  # which grows meanwhile
            if e not in order:
                order[e] = len(order)
                self.firsts.append(place)
            call = e.call
            if e in known_leaves or call is None or call in places:
                continue
            places[call] = len(calls)
            calls.append(call)
            self.steps.append((place, call.signature, call.tracked, len(call.inputs)))
            met += call.inputs
        self.is_whole = False
        if trace.orders or cached.orders or len(calls) < len(trace.calls):
            return
        read = [*trace.leaves, *trace.bound]
        if orders.used and any([order_of(e) is not None for e in read]):
            return  # the plan reads them as they lie
        self.tracked = [places[call] for call in trace.tracked]
        self.gradients = [call.has_gradient for call in calls]
        self.same_as = [order[e] for e in met]
        made = [e for e in order if e not in known_leaves]
        bound = set(trace.bound)
        self.pending = [order[e] for e in made]
        self.known = [e in bound for e in made]
        self.made_by = [places[e.call] for e in made if e.call is not None]
        self.numbers = [e.number for e in made]
        self.leaves = [order[e] for e in trace.leaves]
        self.leaf_types = [e.type for e in trace.leaves]
        self.leaf_tracked = [e.tracked for e in trace.leaves]
        self.root_leaves = [e.leaf is None for e in roots]
        outputs = [reference() for call in calls for reference in call.outputs]
        numbers = {e: i for i, e in enumerate(outputs) if e is not None}
        chosen = set(roots)
        self.others = [i for i, e in enumerate(outputs) if e not in chosen]
        self.wanted = [numbers[e] for e in trace.wanted]
        self.bound = [numbers[e] for e in trace.bound]
        self.saved = _places_of(cached.outputs, calls, trace) if cached.saves_more else None
        self.shown = sorted({*self.wanted}.intersection(self.others))
        values = [e for e in outputs if e is not None and e not in chosen]
        self.is_whole = all([e.leaf is None for e in values])
        steps = zip(self.steps, self.gradients, strict=True)
        self.facts = (
            tuple([signature for _, signature, _, _ in self.steps]),
            packed([(place, tracked, g, count) for (place, _, tracked, count), g in steps]),
            packed([self.firsts]),
            packed([self.same_as]),
            packed(zip(self.pending, self.made_by, self.numbers, self.known, strict=True)),
            packed(zip(self.leaves, self.leaf_tracked, strict=True)),
            tuple(self.leaf_types),
            packed([self.root_leaves]),
            packed([(i, i in self.shown, i in self.bound) for i in self.others]),
            self.has_gradient,
            packed([self.tracked]),
            packed([self.wanted]),
            packed([self.bound]),
        )

    def with_joined(
        self, roots: Sequence[Expression], held: Sequence[Expression]
    ) -> Sequence[Expression] | None:
        """Some roots, with what may be what joined them: the latest that are held, the oldest of
        them first. None where there are no such values."""
        if not self.joined:
            return roots
        found: list[Expression] = []
        offered = reversed(held)
        for signature, number in reversed(self.joined):
            for e in offered:
                if e.call is not None and e.call.signature is signature and e.number == number:
                    found.append(e)
                    break
            else:
                return None
        return [*roots, *reversed(found)]

    def recognise(self, roots: Sequence[Expression]) -> Recognised | None:
        """What some roots come to; None where that has another structure."""
        if native.known_trace is not None:
            same = native.known_trace(self.facts, roots)
        else:
            native.count_repeat()
            same = self._compare(roots)
        if same is None:
            return None
        calls, leaves, outputs, tracked, wanted, bound = same
        if orders.used and (
            any([order_of(e) is not None for e in [*leaves, *bound]])
            or any([e is not None and wanted_order(e) is not None for e in outputs])
        ):
            return None  # what does not lie in rows
        found = Recognised()
        found.cached, found.calls, found.leaves, found.values = self.cached, calls, leaves, outputs
        found.tracked, found.wanted, found.bound = tracked, wanted, bound
        found.saved = None if self.saved is None else [outputs[i] for i in self.saved]
        return found

    def _compare(
        self, roots: Sequence[Expression]
    ) -> tuple[list[Call], list[Any], list[Any], list[Call], list[Any], list[Any]] | None:
        """The calls, the leaves and all outputs of a graph that is as this one; of the calls those
        that are tracked, of the outputs those that are wanted and those that are bound."""
        met = [*roots]
        calls: list[Call] = []
        for place, signature, tracked, count in self.steps:
            call = met[place].call
            if call is None or call.signature is not signature or call.tracked is not tracked:
                return None
            inputs = call.inputs
            if len(inputs) != count:
                return None  # they are gone
            calls.append(call)
            met += inputs
        each = [met[i] for i in self.firsts]
        if len(set(each)) != len(each) or [each[i] for i in self.same_as] != met:
            return None
        pending = [each[i] for i in self.pending]
        leaves = [each[i] for i in self.leaves]
        if (
            len(set(calls)) != len(calls)
            or [call.has_gradient for call in calls] != self.gradients
            or [e.call for e in pending] != [calls[i] for i in self.made_by]
            or [e.number for e in pending] != self.numbers
            or [e.type for e in leaves] != self.leaf_types
            or [e.tracked for e in leaves] != self.leaf_tracked
            or [e.leaf is None for e in roots] != self.root_leaves
            or [e.value is not None for e in pending] != self.known
        ):
            return None
        for e in leaves:
            if e.value is None:
                return None
            call = e.call
            if call is not None and self.has_gradient and e.tracked and call.inputs:
                return None  # a gradient goes through it
        outputs = [reference() for call in calls for reference in call.outputs]
        shown = []
        bound = set(self.bound)
        for i in self.others:
            output = outputs[i]
            if output is None and i not in bound:
                continue
            if output is None or output.leaf is not None:
                return None
            if (output.value is not None) != (i in bound):
                return None
            owner = output.owner
            if (
                i not in bound
                and type(owner) is _reference_type
                and (storage := owner()) is not None
                and storage.expression is output
            ):
                shown.append(i)
        if shown != self.shown:
            return None
        wanted = [outputs[i] for i in self.wanted]
        known = [outputs[i] for i in self.bound]
        return calls, leaves, outputs, [calls[i] for i in self.tracked], wanted, known


def _places_of(numbers: Sequence[int], calls: Sequence[Call], trace: Trace) -> list[int]:
    """Where among all outputs of some calls those with some numbers are, in a trace, in which a
    call's outputs are numbered together."""
    places: dict[int, int] = {}
    for call in calls:
        outputs = [reference() for reference in call.outputs]
        first = next(trace.numbers[e] - e.number for e in outputs if e is not None)
        for i in range(len(outputs)):
            places[first + i] = len(places)
    return [places[n] for n in numbers]
