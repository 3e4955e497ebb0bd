"""One backward pass: the gradient as one call, and what Python does on its way: hooks, Functions.

Hooks and Functions run while backward records. Each is given pending gradients (a gradient call of
its own), and what it gives back is recorded in their place.
"""

from __future__ import annotations

import heapq
import itertools
import math
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen.ops import elementwise as ew
from lazytorch import capture, core, late_errors, levels
from lazytorch.autograd import anomaly_mode
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.autograd.reads import (
    arguments_of,
    edges,
    factor_of,
    goes_on_to,
    in_order,
    made_of,
    reads_anything,
    reads_tracked,
)
from lazytorch.autograd.release import Reader, free, reader, sessions
from lazytorch.autograd.saved import gradients_of_saved
from lazytorch.autograd.second_derivatives import passes_nothing
from lazytorch.autograd.walk import Walk, node_name
from lazytorch.expression import FORWARD, Call, Expression, Function, Hooks, NodeState, Way, WayStep
from lazytorch.freed import inputs_of
from lazytorch.importer import GRADIENT, TANGENT
from lazytorch.layout import strided
from lazytorch.realize import realize
from lazytorch.tensor import Tensor, record, wrap

# By which input of its call a gradient goes on (of a gradient call: from which output), to what,
# and the degree of what it is multiplied by; None where it goes on as a constant.
_Onward = tuple[int, Expression, float | None]


class Session:
    """The roots of a backward pass, their cotangents, and those that hooks have replaced.

    reached  the values that a gradient arrives at, where Python may have stopped it; else None.
    undefined  the values that only None arrives at, which a Function sent on.
    sent     calls whose inputs' gradients Python has sent on, as roots: none flows through them.
    ran      calls that were passed.
    early    gradients of targets as they were before the targets' own hooks: as in PyTorch, that
             is what ``grad`` gives where it has to go on from there to another target.
    """

    def __init__(
        self,
        roots: Sequence[Expression],
        seeds: Sequence[Expression],
        walk: Walk,
        create_graph: bool,
    ) -> None:
        self.roots = list(roots)
        self.seeds = list(seeds)
        self.walk = walk
        self.create_graph = create_graph
        self.replaced: list[tuple[Expression, Expression]] = []
        self.readers: list[Reader] = []
        self.reached: set[Expression] | None = None
        self.undefined: set[Expression] = set()
        self.sent: set[Call] = set()
        self.early: dict[Expression, Tensor] = {}
        self.shown = True  # whether anybody may look at the roots
        self.ran: set[Call] = set()
        self._skipped: set[Call] = set()

    def gradients(self, targets: Sequence[Expression]) -> list[Tensor]:
        """The targets' cotangents, as one pending call."""
        if not targets:
            return []
        inputs = (
            *self.roots,
            *self.seeds,
            *[e for e, _ in self.replaced],
            *[g for _, g in self.replaced],
            *targets,
        )
        onward: dict[Expression, list[_Onward]] = {}
        degrees = self._degrees(onward) if self.create_graph else {}
        depends = {e for e in targets if degrees.get(e)}
        # What is made of dual tensors has a tangent, also where no second gradient is asked for.
        forward = FORWARD if any([e.tracked & FORWARD for e in inputs]) else False
        tracked = bool(depends) | forward
        outputs = record(GRADIENT, inputs, (len(self.roots), len(self.replaced)), tracked)
        if depends:
            if outputs[0].call is not None:
                outputs[0].call.way = self._way(targets, degrees, onward)
            for e, target in zip(outputs, targets, strict=True):
                e.tracked = (target in depends) | forward
        call = outputs[0].call
        if call is not None:
            call.has_gradient = True
            self.readers.append(reader(call))
        return [wrap(e) for e in outputs]

    def _degrees(self, onward: dict[Expression, list[_Onward]]) -> dict[Expression, float]:
        """The degrees of the gradients at the values that any arrives at, as of products of tracked
        values (see ``WayStep``): those of 1 and more can be differentiated again. Of each value,
        ``onward`` is told where its gradient goes."""
        degrees: dict[Expression, float] = {}
        for e, g in zip(self.roots, self.seeds, strict=True):
            degrees[e] = max(degrees.get(e, 0), g.tracked & True)
        replacements = dict(self.replaced)
        for e in reversed(self.walk.order):
            degree = degrees.get(e)
            if degree is None:
                continue
            replacement = replacements.get(e)
            if replacement is not None:
                degrees[e] = degree = replacement.tracked & True
            onward[e] = self._onward(e)
            for _, x, own in onward[e]:
                degrees[x] = max(degrees.get(x, 0), 0 if own is None else degree + own)
        return degrees

    def _onward(self, e: Expression) -> list[_Onward]:
        """Where the gradient at a value goes."""
        call = e.call
        if call is None or e.leaf is not None or not call.tracked or call in self.sent:
            return []
        if hasattr(call, "way"):
            varying = made_of(e, varying=True)
            return [(e.number, x, varying[x] - 1 if x in varying else None) for x in made_of(e)]
        signature = call.signature
        first_alone = signature.function is core.OVERWRITE
        constant = passes_nothing(signature)
        found: list[_Onward] = []
        for i, x in enumerate(call.inputs):
            if not x.tracked or (signature.reaches and i not in signature.reaches[e.number]):
                continue
            own = None if constant or (first_alone and i) else factor_of(call, i)
            found.append((i, x, own))
        return found

    def _way(
        self,
        targets: Sequence[Expression],
        degrees: dict[Expression, float],
        onward: dict[Expression, list[_Onward]],
    ) -> Way:
        """What the targets' gradients are made of."""
        way = Way()
        way.degrees = [degrees.get(e, 0) for e in targets]
        replacements = dict(self.replaced)
        beyond: dict[Expression, float] = dict.fromkeys(targets, 0)
        for e in self.walk.order:
            if e not in replacements:
                below = [(own or 0) + beyond[x] for _, x, own in onward.get(e, ()) if x in beyond]
                if below:
                    beyond[e] = max(*below, beyond.get(e, 0))
        numbers: dict[tuple[Call, int], int] = {}

        def step(e: Expression, call: Call, to: Sequence[_Onward]) -> int:
            number = to[0][0]
            place = numbers.get((call, number))
            if place is None:
                place = numbers[call, number] = len(way.steps)
                way.steps.append(WayStep(weakref.ref(call), number))
            known = way.steps[place]
            known.arriving = max(known.arriving, degrees[e])
            known.own = 0 if hasattr(call, "way") else to[0][2] or 0
            known.beyond = max(known.beyond, *[beyond.get(x, 0) for _, x, _ in to])
            return 1 << place

        given = [g for g in [*self.seeds, *[g for _, g in self.replaced]] if g.tracked]
        places = {g: i for i, g in enumerate(dict.fromkeys(given))}
        none = 0, 0
        made: dict[Expression, tuple[int, int]] = {}

        def arrive(e: Expression, steps: int, cotangents: int) -> None:
            before = made.get(e, none)
            made[e] = before[0] | steps, before[1] | cotangents

        for e, g in zip(self.roots, self.seeds, strict=True):
            arrive(e, 0, 1 << places[g] if g.tracked else 0)
        for e in reversed(self.walk.order):
            if e not in made:
                continue
            replacement = replacements.get(e)
            if replacement is not None:
                made[e] = 0, 1 << places[replacement] if replacement.tracked else 0
            call = e.call
            if call is None or not onward[e]:
                continue
            steps, cotangents = made[e]
            if hasattr(call, "way"):
                steps |= step(e, call, onward[e]) if reads_tracked(call) else 0
                for _, x, _ in onward[e]:
                    arrive(x, steps, cotangents)
                continue
            overwrites = call.signature.function is core.OVERWRITE
            for to in onward[e]:
                i, x, _ = to
                if overwrites and i:
                    arrive(x, 0, 0)  # constant zeros
                else:
                    read = step(e, call, [to]) if reads_anything(call, i) else 0
                    arrive(x, steps | read, cotangents)
        way.cotangents = [weakref.ref(g) for g in places]
        way.made_of = [
            steps | cotangents << len(way.steps)
            for steps, cotangents in [made.get(e, none) for e in targets]
        ]
        return way

    def arrived(self, values: Sequence[Expression]) -> list[Expression]:
        """Those of some values of the walk that a gradient arrives at."""
        reached = self.reached
        return list(values) if reached is None else [e for e in values if e in reached]

    # ---- hooks and Functions ------------------------------------------------------------------

    def run_hooks(
        self,
        retain: bool,
        at_leaf: Callable[[Expression], None] | None = None,
        at_failure: Callable[[], None] | None = None,
    ) -> None:
        """Run what Python does on the way, nearest the roots first, telling ``at_leaf`` of each
        leaf in its turn, where more is to come that sees gradients, or may raise. What it has
        passed is freed also where that fails, after ``at_failure``."""
        try:
            self._run_all_hooks(at_leaf)
        except Exception:
            if at_failure is not None:
                at_failure()
            free(self.walk, retain, self.readers, self.ran)
            raise

    def _run_all_hooks(self, at_leaf: Callable[[Expression], None] | None) -> None:
        order = self.walk.order
        root = self.roots[0] if len(self.roots) == 1 and self.walk.passed is not None else None
        if root is not None and root in self.walk.seen:
            root = None
        looks = bool(self.walk.refusals) or anomaly_mode.checks_numbers()
        if root is None and not looks and not any([e.hooks is not None for e in order]):
            return
        before = grad_state.enabled
        grad_state.enabled = self.create_graph
        sessions.running += 1
        try:
            if root is not None:
                self._run_hooks_of_root(root)
            self._run_hooks(order, at_leaf)
        finally:
            sessions.running -= 1
            grad_state.enabled = before

    def _run_hooks_of_root(self, root: Expression) -> None:
        """PyTorch begins with a single root, and runs its hooks, also where no target is below."""
        if root.leaf is not None:
            leaf = root.leaf()
            if isinstance(leaf, Tensor) and leaf._backward_hooks:
                call_hooks(leaf._backward_hooks, wrap(self.seeds[0]))
        elif root.hooks is not None:
            self._run_value_hooks(root, root.hooks)
            self.replaced.clear()

    def _check_numbers(self, call: Call) -> None:
        """In anomaly mode: compute a call's gradients on their own, and refuse NaN."""
        if call.signature.function in (GRADIENT, TANGENT, core.CUSTOM):
            return
        outputs = [reference() for reference in call.outputs]
        known = self.arrived([o for o in outputs if o is not None and o in self.walk.seen])
        arrived = dict(zip(known, self.gradients(known), strict=True))
        found = self._one_step(
            call, outputs, [None if o is None else arrived.get(o) for o in outputs]
        )
        _refuse_nan(call, node_name(call), [g for g in found if g is not None])

    def _run_hooks(
        self, order: Sequence[Expression], at_leaf: Callable[[Expression], None] | None
    ) -> None:
        order = _as_it_runs(order)
        reached = self.reached = set(self.roots)
        # Within a vmap nothing is known before that is done.
        settles = not self.create_graph and not levels.state.active
        if settles and any([_settles(e) for e in order]):
            # The values of the forward, and what its backward reads, before any gradient.
            realize(self.roots if self.shown else [i for e in self.roots for i in _needed(e)])
        passed = self.walk.passed
        waiting: dict[int, int] = {}  # calls that do something -> outputs that are still to come
        for e in order:
            if e.hooks is not None and e.hooks.node is not None and e.hooks.node.acts():
                waiting[id(e.call)] = waiting.get(id(e.call), 0) + 1
        checks = anomaly_mode.checks_numbers()
        current: Call | None = None
        to_come = len(order) if checks else sum([self._may_raise(e) for e in order])
        for place in reversed(range(len(order))):
            e = order[place]
            call = e.call
            hooks = e.hooks
            to_come -= checks or self._may_raise(e)
            if current is not None and call is not current:
                self.ran.add(current)
            current = call
            if hooks is not None and (e in reached or e in self.undefined):
                try:
                    if e in reached:
                        self._run_value_hooks(e, hooks)
                    else:
                        call_hooks(hooks.functions, None)
                except Exception as error:
                    _add_forward_line(error, call)
                    raise
            if e.leaf is not None and to_come and at_leaf is not None:
                at_leaf(e)
            if call is None or e.leaf is not None or not call.tracked:
                continue
            skips = e not in reached and self._is_skipped(call)
            if id(call) in waiting:
                waiting[id(call)] -= 1
                if passed is not None and passed.isdisjoint([r() for r in call.outputs]):
                    continue  # what made a target is not asked
                if waiting[id(call)] == 0 and hooks is not None and hooks.node is not None:
                    arrived: dict[Expression, Tensor] = {}
                    if settles and _settles(e):
                        before = set(order[place + 1 :])
                        arrived = self._settle(order, {o for o in before if o.call is not call})
                    try:
                        self._run_node(e, hooks.node, arrived, skips)
                    except Exception as error:
                        _add_forward_line(error, call)
                        raise
                continue
            if place == 0 or _node_of(order[place - 1]) is not _node_of(e):
                if not skips:
                    self.walk.refuse(e, call)
                if checks:
                    self._check_numbers(call)
            if e in reached:
                reached.update(goes_on_to(e))
            elif e in self.undefined:
                self.undefined.update(goes_on_to(e))

    def _may_raise(self, e: Expression) -> bool:
        return _runs_python(e) or (e.leaf is None and e.call in self.walk.refusals)

    def _is_skipped(self, call: Call) -> bool:
        """Whether PyTorch asks nothing of a call where only None arrives: a write to a view, with
        the operation in place that it is one of."""
        if call.signature.function is not core.WRITE_VIEW:
            return call in self._skipped
        written = call.inputs[1].call if call.inputs else None
        while written is not None and written.signature.function in (core.IDENTITY, core.CAST):
            written = written.inputs[0].call if written.inputs else None
        if written is not None and getattr(written, "in_place", False):
            self._skipped.add(written)
        return True

    def _settle(
        self, order: Sequence[Expression], passed: set[Expression]
    ) -> dict[Expression, Tensor]:
        """Compute the gradients at all that is left, which are the roots from now on."""
        reached = self.reached
        assert reached is not None
        left: dict[Expression, None] = {}
        for e in (*self.walk.stop, *order):
            if e in reached and (e not in passed or e.leaf is not None):
                left[e] = None
        below = {i for e in passed if e.leaf is None for i in goes_on_to(e)}
        below.update(self.roots)
        frontier = [e for e in left if e in below]
        wanted = [e for e in self.walk.targets if e in passed and e in reached]
        wanted = [e for e in wanted if e not in self.early and e not in left]
        found: dict[Expression, Tensor] = {}
        rest, asked = frontier, [*wanted]
        while rest or asked:
            # What comes to a root by way of another one is still to come.
            below = _below(rest)
            now = [e for e in rest if e not in below]
            asked += now
            found.update(zip(asked, self.gradients(asked), strict=True))
            rest, asked = [e for e in rest if e in below], []
            if rest:
                self.stop_at(now)
        realize([g._read() for g in found.values()])
        self.early.update([(e, found[e]) for e in wanted])
        self.roots = frontier
        self.seeds = [found[e]._read() for e in frontier]
        self.replaced = []
        return found

    def cotangents(self, targets: Sequence[Expression]) -> list[Tensor]:
        """The targets' gradients, those known from before included."""
        rest = iter(self.gradients([e for e in targets if e not in self.early]))
        return [self.early[e] if e in self.early else next(rest) for e in targets]

    def _run_value_hooks(self, e: Expression, hooks: Hooks) -> None:
        tensor = hooks.retained_by() if hooks.retained_by is not None else None
        if not hooks.functions and tensor is None:
            return
        (gradient,) = self.gradients([e])
        if self.walk.passed is not None and e in self.walk.passed:
            self.early[e] = gradient
        gradient = call_hooks(hooks.functions, gradient)
        if hooks.functions:
            self.walk.is_old = True
            self.replaced.append((e, gradient._read()))
        if tensor is not None:
            before = tensor._grad
            if before is not None and not self.create_graph:
                before = before.detach()
            capture.refuse("a computed tensor keeps its gradient")
            tensor._grad = gradient if before is None else add(before, gradient)

    def _run_node(
        self, e: Expression, state: NodeState, settled: dict[Expression, Tensor], skips: bool
    ) -> None:
        """What hangs on the call that made a value: hooks before it, the user's Function, hooks
        after it. ``settled`` has the gradients at its outputs where they are computed; ``skips``:
        whether PyTorch asks nothing of it, and so refuses nothing."""
        call, reached = e.call, self.reached
        assert call is not None and reached is not None
        outputs = [reference() for reference in call.outputs]
        known = [o for o in outputs if o is not None and o in reached]
        if not known and self.undefined.isdisjoint(outputs):
            if not skips:
                self.walk.refuse(e, call)
            return
        arrived = settled or dict(zip(known, self.gradients(known), strict=True))
        gradients = tuple([None if o is None else arrived.get(o) for o in outputs])
        given = gradients if state.custom is None else state.custom._of_results(gradients)
        self.walk.is_old = True
        for hook in list(state.before.values()):
            given = _replaced(hook, hook(given), given)
        if not skips:
            self.walk.refuse(e, call)
        if state.custom is None:
            inputs: list[Tensor | None] | None
            if not known:
                inputs = [None] * len(call.inputs)
            elif state.packed:
                inputs = gradients_of_saved(call, state.packed, given)
            elif hasattr(call, "way") or call.signature.function is TANGENT:
                inputs = None  # it stands for many nodes, and has no inputs of its own
                for hook in list(state.after.values()):
                    hook((), given)
            else:
                inputs = self._one_step(call, outputs, given) if state.after else None
            if inputs is not None and self.walk.passed is not None:
                # Gradients that are sent nowhere are not computed.
                seen_here = self.walk.seen
                inputs = [
                    g if e in seen_here else None for e, g in zip(call.inputs, inputs, strict=True)
                ]
        elif self._passes_by(call, state.custom, bool(known)):
            inputs = [None for _ in state.custom._edges(call)]
        else:
            try:
                wanted = None if self.walk.passed is None else self.walk.seen
                all_given = state.custom._materialized(given)
                inputs = list(state.custom._backward(call, all_given, wanted))
            except Exception:
                if anomaly_mode.state.enabled:
                    anomaly_mode.warn_of(call, state.custom.name())
                raise
            if anomaly_mode.checks_numbers():
                _refuse_nan(call, state.custom.name(), inputs)
        if inputs is None:
            # The compiler differentiates the call itself, from the outputs' new gradients.
            for o, old, new in zip(outputs, gradients, given, strict=True):
                if o is not None and new is not None and new is not old:
                    self._keep_early(o, arrived)
                    self.replaced.append((o, new._read()))
            reached.update(goes_on_to(known[0]))
            return
        goes_to = call.inputs if state.custom is None else state.custom._edges(call)
        if state.after:
            self._run_hooks_after(call, state, inputs, given)
        if state.custom is None:
            # What the compiler would send on arrives from here instead.
            for o in known:
                self._keep_early(o, arrived)
            self.stop_at(known)
        self.sent.add(call)
        for edge, gradient in zip(goes_to, inputs, strict=True):
            if edge is None or not edge.tracked:
                continue
            if self.walk.passed is None or edge in self.walk.seen:
                if gradient is None:
                    if state.custom is None or state.custom._sends_none:
                        self.undefined.add(edge)
                else:
                    self.send(edge, gradient)

    def _run_hooks_after(
        self,
        call: Call,
        state: NodeState,
        inputs: list[Tensor | None],
        given: tuple[Tensor | None, ...],
    ) -> None:
        """Run the hooks after a call, which are shown the gradients of what PyTorch's node has as
        its inputs, and may replace these."""
        if state.custom is None:
            shown = arguments_of(call)
        else:
            shown = state.custom._tensor_arguments()
        seen = tuple([inputs[i] for i in shown])
        for hook in list(state.after.values()):
            seen = _replaced(hook, hook(seen, given), seen)
        for i, gradient in zip(shown, seen, strict=True):
            inputs[i] = gradient

    def _passes_by(self, call: Call, custom: Any, arrives: bool) -> bool:
        """Whether a Function is not called: nothing arrives, or nobody asks what it sends on."""
        if not arrives:
            return call in self._skipped
        is_last = custom._ends_plainly and bool(call.inputs)
        return is_last and self.walk.seen.isdisjoint(call.inputs)

    def _keep_early(self, e: Expression, arrived: dict[Expression, Tensor]) -> None:
        """Keep the gradient of a value that is asked for, and gone on from otherwise."""
        if e in self.walk.targets and e not in self.early:
            self.early[e] = arrived[e]

    def stop_at(self, values: Sequence[Expression]) -> None:
        """Let nothing go on from some values."""
        for e in values:
            self.replaced.append((e, record(ZEROS_LIKE, (e,), (), False)[0]))

    def send(self, e: Expression, gradient: Tensor) -> None:
        """Add a gradient that Python computed to what arrives at a value."""
        assert self.reached is not None
        self.reached.add(e)
        self.roots.append(e)
        self.seeds.append(gradient._read())

    def _one_step(
        self, call: Call, outputs: Sequence[Expression | None], given: Sequence[Tensor | None]
    ) -> list[Tensor | None]:
        """The gradients of a call's inputs by this call alone, given those of its outputs."""
        inputs = tuple([_alone(i) for i in call.inputs])
        made = record(call.signature.function, inputs, call.signature.attributes, True)
        pairs = [
            (made[i], g._read())
            for i, g in enumerate(given)
            if g is not None and outputs[i] is not None
        ]
        walk = Walk([e for e, _ in pairs], stop=inputs)
        step = Session([e for e, _ in pairs], [g for _, g in pairs], walk, self.create_graph)
        found = iter(step.gradients([i for i in inputs if i.tracked]))
        self.readers.extend(step.readers)
        return [next(found) if i.tracked else None for i in inputs]


def _as_it_runs(order: Sequence[Expression]) -> list[Expression]:
    """The values of a walk, inputs first, so that the last come in the order in which PyTorch runs
    their nodes: of those at which everything has arrived, the one that was recorded last. What
    waits for calls that are freed and have no inputs any more comes after all others."""
    nodes: dict[Call | Expression, list[Expression]] = {}
    awaited: Counter[Call | Expression] = Counter()
    following = {e: [_node_of(x) for x in _goes_on_in_order(e)] for e in order}
    for e in reversed(order):
        nodes.setdefault(_node_of(e), []).append(e)
        awaited.update(following[e])
    held = [node for node in _below_lost(order) if node in nodes]
    awaited.update(held)
    ready: list[tuple[float, int, Call | Expression]] = []
    count = itertools.count()

    def add(node: Call | Expression) -> None:
        sequence = node.sequence if isinstance(node, Call) else _sequence_of(node)
        heapq.heappush(ready, (-sequence, next(count), node))

    for node in nodes:
        if not awaited[node]:
            add(node)
    found: list[Expression] = []
    while ready or held:
        if not ready:
            for node in held:
                awaited[node] -= 1
                if not awaited[node]:
                    add(node)
            held = []
            continue
        _, _, node = heapq.heappop(ready)
        found += nodes[node]
        for e in nodes[node]:
            for below in following[e]:
                awaited[below] -= 1
                if not awaited[below] and below in nodes:
                    add(below)
    return found[::-1]


def _goes_on_in_order(e: Expression) -> Sequence[Expression]:
    following = goes_on_to(e)
    return following if e.call is None else in_order(e.call, following)


def _node_of(e: Expression) -> Call | Expression:
    """What a gradient that arrives at a value waits at for the others: the call that made it, but
    for a gradient, whose outputs are made by many nodes."""
    call = e.call
    if call is None or e.leaf is not None or not call.tracked or hasattr(call, "way"):
        return e
    return call


def _below_lost(order: Sequence[Expression]) -> set[Call | Expression]:
    """What lies below the freed calls of a walk that have no inputs any more."""
    lost = [e.call for e in order if e.leaf is None and e.call is not None and e.call.tracked]
    stack = [call for call in lost if call.freed and not call.inputs]
    if not stack:
        return set()
    leaves: dict[int, list[Expression]] = {}
    for e in order:
        if e.leaf is not None:
            leaves.setdefault(id(e.leaf), []).append(e)
    found: set[Call | Expression] = set()
    while stack:
        for e in edges(stack.pop()):
            if e.leaf is not None:
                found.update(leaves.get(id(e.leaf), ()))
            elif e.tracked and e.call is not None and e.call not in found:
                found.add(e.call)
                stack.append(e.call)
    return found


def _sequence_of(e: Expression) -> float:
    return math.inf if e.leaf is not None or e.call is None else e.call.sequence


def _add_forward_line(error: Exception, call: Call | None) -> None:
    if call is not None:
        late_errors.add_forward_line(error, call, node_name(call))


def _below(values: Sequence[Expression]) -> set[Expression]:
    """What gradients at some values go on to, but for those that Python sends on."""
    found: set[Expression] = set()
    stack = list(values)
    while stack:
        e = stack.pop()
        if e.call is None or e.call.signature.function is core.CUSTOM:
            continue
        following = [x for x in goes_on_to(e) if x not in found]
        found.update(following)
        stack.extend(following)
    return found


def _runs_python(e: Expression) -> bool:
    """Whether something of the user's is called at a value, or at the node that made it."""
    hooks = e.hooks
    return hooks is not None and bool(hooks.functions or (hooks.node and hooks.node.acts()))


def _settles(e: Expression) -> bool:
    state = None if e.hooks is None else e.hooks.node
    return state is not None and state.custom is not None and state.custom._settles


def _needed(e: Expression) -> Sequence[Expression]:
    """What a gradient at a value that nobody looks at needs: of what a checkpoint has given, which
    is computed again, what it was made of."""
    return inputs_of(e.call)[len(e.call.outputs) :] if e.call and _settles(e) else (e,)


ADD = Function("accumulate_grad", ew.add)
ZEROS_LIKE = Function("zeros_like", lambda x: ew.full_like(x, 0))


def add(x: Tensor, y: Tensor) -> Tensor:
    """The sum of two gradients."""
    if y.layout is strided and x.layout is not strided:
        x, y = y, x  # a dense and a sparse one: dense
    if y.layout is not strided:
        return x + y
    a, b = x._read(), y._read()
    return wrap(record(ADD, (a, b), (), a.tracked or b.tracked)[0])


def _refuse_nan(call: Call, name: str, gradients: Sequence[Tensor | None]) -> None:
    """In anomaly mode: what a node has sent on may hold no NaN."""
    realize([g._read() for g in gradients if g is not None])
    for number, gradient in enumerate(gradients):
        if gradient is not None and np.isnan(gradient._float_array()).any():
            anomaly_mode.warn_of(call, name)
            raise RuntimeError(f"Function '{name}' returned nan values in its {number}th output.")


def _alone(e: Expression) -> Expression:
    """A value of its own, equal to another's and differentiable to it."""
    return record(core.IDENTITY, (e,), (), True)[0] if e.tracked else e


def _replaced(
    hook: Any, answer: Any, before: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    """What a hook of a node makes of some gradients."""
    if answer is None:
        return before
    if not isinstance(answer, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(answer).__name__}'")
    name = getattr(hook, "__name__", hook)
    if len(answer) != len(before):
        raise RuntimeError(
            f"hook '{name}' has returned an incorrect number of values (got {len(answer)}, but "
            f"expected {len(before)})"
        )
    for old, new in zip(before, answer, strict=True):
        if new is None:
            continue
        if old is None:
            raise RuntimeError("can't replace a None gradient with a non-None value")
        if not isinstance(new, Tensor):
            raise TypeError(f"expected Variable, but hook returned '{type(new).__name__}'")
        _check_replacement(name, old, new)
    return answer


def call_hooks(functions: dict[int, Any], gradient: Any) -> Any:
    """A gradient as the hooks of a tensor leave it. It may be None, where a Function sent that."""
    for function in list(functions.values()):
        result = function(gradient)
        if result is not None:
            if not isinstance(result, Tensor):
                raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
            if gradient is not None:
                _check_replacement(getattr(function, "__name__", function), gradient, result)
            gradient = result
    return gradient


def _check_replacement(hook: Any, before: Tensor, after: Tensor) -> None:
    """What a hook returns takes the gradient's place only where it is of its type and size."""
    if before.dtype is not after.dtype:
        raise RuntimeError(
            f"hook '{hook}' has changed the type of value (was {before.type()} got {after.type()})"
        )
    if before.shape != after.shape:
        raise RuntimeError(f"hook '{hook}' has changed the size of value")
