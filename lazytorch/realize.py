"""The only door to the compiler: collects what is pending, finds or makes its plan, runs it."""

from __future__ import annotations

import gc
import os
import threading
import traceback
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from codegen import settings, spans
from codegen.check import CheckedPlan
from codegen.failures import outputs_that_failed, says_what_failed
from codegen.ir import provenance
from codegen.pipeline import (
    Plan,
    compile_for,
    find_plan,
    make_plan,
)
from codegen.runtime.memory import Buffer, release_cached
from codegen.runtime.signals import HeldOff
from lazytorch import capture, known_traces, layouts, levels, references
from lazytorch.core import ALIASES
from lazytorch.expression import (
    Call,
    Expression,
    Overwritten,
    shared_owner,
    trace_conditions,
)
from lazytorch.importer import import_graph
from lazytorch.known_traces import KnownTrace, Recognised
from lazytorch.one_run import one_run
from lazytorch.orders import Order, has_orders, order_of, orders_of_outputs
from lazytorch.places import Family, MovedCall, starts_of
from lazytorch.recompiles import note_miss
from lazytorch.records import known_to_native, native, packed
from lazytorch.small_calls import small_call, small_calls
from lazytorch.storage import (
    Storage,
    born,
    forget_born,
    held_storages,
    is_constant,
    leave_pending,
    pending_writes,
    unsettled_values,
)
from lazytorch.trace import Trace, loses

# Bytes of a block of memory that is worth giving back.
_LARGE = 1 << 20


@dataclass
class CachedPlan:
    """A plan, and the numbers of the expressions that its outputs are the values of."""

    plan: Plan
    outputs: tuple[int, ...]
    saves_more: bool  # than the trace wanted
    has_lines: bool  # whether it was made while somebody asked for user lines
    uses: dict[int, int] | None = None  # how often calls refer to each leaf that may be donated
    packed_uses: bytes | None = None  # these, for records.c
    known: KnownTrace | None = None  # what it is recognised by, once it was found a second time
    orders: tuple[tuple[int, Order], ...] = ()  # those of outputs whose axes lie in another order

    def run(self, values: Sequence[Any], free: Sequence[int] = ()) -> Sequence[Any]:
        """The outputs' values, of those of leaves and bound expressions."""
        made = self.plan.run(values, free)
        if free:
            for buffer in made:  # may be a leaf's
                buffer.order = None
        for number, order in self.orders:
            made[number].order = order
        return made


_plans: dict[str, dict[tuple[int, ...], CachedPlan]] = {}  # device -> key -> plan
_families: dict[str, dict[tuple[int, ...], Family]] = {}  # device -> key but for places -> plans
# What was last computed at roots like these.
_known: dict[known_traces.Key, KnownTrace] = {}
# Plans of single calls, by small_call's key, and of several, by small_calls'.
_single_plans: dict[tuple[Any, ...], Plan] = {}
_several_plans: dict[tuple[Any, ...], Plan] = {}
_checked_plans: dict[tuple[str, tuple[int, ...]], CachedPlan] = {}
_lock = threading.RLock()
_NOTHING = nullcontext()


class _Checking:
    """``active``: whether every kernel is compared with the interpreter.

    While it is, it listens to the engine's spans, and does nothing with them: where somebody
    listens, the short way of a small call is not taken, which then need not ask for check mode.
    """

    def __init__(self) -> None:
        self._active = False
        self.active = settings.get("LAZYTORCH_CHECK") not in ("", "0")

    @property
    def active(self) -> bool:
        return self._active

    @active.setter
    def active(self, active: bool) -> None:
        if active and not self._active:
            spans.listeners.append(self._listen)
        elif self._active and not active:
            spans.listeners.remove(self._listen)
        self._active = active

    def _listen(self, *span: Any) -> None:
        pass


known_to_native["PLACEHOLDER"] = levels.PLACEHOLDER
checking = _Checking()


def _forget_lock() -> None:
    """In a forked child: another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


# Storages that were made since the last look at which are held, before the next one.
_MOST_BORN = 10000


def realize(roots: Sequence[Expression]) -> None:
    """Compute these expressions, every pending write, and what tensors show on the way."""
    with _lock:
        if len(born) > _MOST_BORN:
            held_storages()  # small calls do not ask
        try:
            if spans.listeners:
                if pending_writes or any([e.value is None for e in roots]):
                    began = spans.now()
                    try:
                        _realize(roots)
                    finally:
                        spans.note("realize", "realize", began)
            elif pending_writes or not (
                _run_single(roots[0]) if len(roots) == 1 else _run_several(roots)
            ):
                _realize(roots)
        except Exception as error:
            for explain in explain_failure:
                explain(error, roots)
            traceback.clear_frames(error.__traceback__)  # they keep the memory of the run
            for settle in settle_failure:
                settle(error, roots)
            raise
        except BaseException as interrupt:
            # Nothing has failed: what is pending waits until somebody asks for it.
            traceback.clear_frames(interrupt.__traceback__)
            leave_pending()
            raise


# Adds to an error the user's lines that it belongs to; inspect/failures.py puts it here.
explain_failure: list[Callable[[Exception, Sequence[Expression]], None]] = []


# Puts back what writes that failed were to replace, and does the others; undo.py puts it here.
settle_failure: list[Callable[[Exception, Sequence[Expression]], None]] = []
# The storages for which that was done at the last failure.
undone: weakref.WeakSet[Storage] = weakref.WeakSet()


def pending_with(roots: Sequence[Expression]) -> list[Expression]:
    """What there is to compute where these are asked for."""
    if native.pending is not None and not levels.state.active:
        found: list[Expression] | None = native.pending(roots)
        if found is not None:
            return found
    pending = [e for e in roots if e.value is None]
    if pending_writes:
        pending.extend(_pending_expressions())
    return pending


def _realize(roots: Sequence[Expression]) -> None:
    pending = pending_with(roots)
    if pending:
        held = held_values()
        device = pending[0].device
        if all([e.device == device for e in pending]):
            run(pending, device, held)
        else:
            for device in sorted({e.device for e in pending}):
                run([e for e in pending if e.device == device], device, held)
    # Only now: after an error every write is still known to be pending.
    pending_writes.clear()


def run_pending(values: Sequence[Expression], device: str) -> None:
    """Compute those of some values that are not known, and nothing else that is pending."""
    pending = [e for e in values if e.value is None]
    if pending:
        run(pending, device)


def failed_numbers(error: Exception, trace: Trace, device: str) -> set[int]:
    """The numbers of what a trace wants that is made of what an error is about; none where the
    error says nothing of what that is."""
    outputs: Sequence[int] = getattr(error, "outputs", ())
    if not outputs and not says_what_failed(error):
        return set()
    try:
        graph, numbers = import_graph(trace)
        if not outputs:
            compiled = compile_for(graph, device, describe(trace, device))
            outputs = outputs_that_failed(compiled, error)
    except Exception:  # what is wrong may be wrong again
        return set()
    return {numbers[i] for i in outputs}


def held_values() -> list[Expression]:
    """The pending values that somebody holds."""
    if levels.state.active:
        return []
    if native.held is not None:
        if levels.derivatives.count:
            forget_born()
        return native.held()  # type: ignore[no-any-return]
    return [s.expression for s in held_storages()]


def _run_single(e: Expression) -> bool:
    """Run a small call without the search of ``Trace``; False where there is no plan for it yet."""
    if e.value is not None:
        return True
    call = e.call
    if call is None or call.tracked or capture.state.active is not None:
        return False
    if layouts.orders.used and has_orders(e):
        return False
    plan = call.signature.plans.get(e.device)
    if plan is not None:
        inputs = call.inputs
        values = [i.value for i in inputs]
        distinct = inputs[0] is not inputs[-1] if len(inputs) == 2 else len(inputs) == 1
        if distinct and None not in values:
            (e.value,) = plan.run(values)
            _forget_call(e)
            call.inputs = ()
            return True
    small = small_call(e)
    if small is None:
        return False
    plan = _single_plans.get(small[0])
    if plan is None:
        return False
    (e.value,) = plan.run([i.value for i in small[1]])
    _forget_call(e)
    call.inputs = ()
    return True


def _run_several(roots: Sequence[Expression]) -> bool:
    """As ``_run_single``, calls on values that are known."""
    if capture.state.active is not None:
        return False
    if layouts.orders.used and any([has_orders(e) for e in roots]):
        return False
    found = small_calls(roots)
    plan = _several_plans.get(found[0]) if found is not None else None
    if found is None or plan is None:
        return False
    for e, value in zip(roots, plan.run([i.value for i in found[1]]), strict=True):
        e.value = value
        call = e.call
        if call is not None:
            _forget_call(e)
            call.inputs = ()
    return True


def run_plan(plan: Plan, values: Sequence[Any]) -> Buffer:
    """The one output of a plan that is known; it lies where the first value did, if it may."""
    with _lock:
        (made,) = plan.run(values, (0,) if 0 in plan.donated else ())
    return made


def settle_depth(root: Expression) -> int:
    """The pending calls on the longest path below an expression, now that some have run."""
    settled: set[Expression] = set()
    stack = [root]
    while stack:
        e = stack[-1]
        call = e.call
        pending = [i for i in call.inputs if i.value is None] if call is not None else []
        missing = [i for i in pending if i not in settled]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        settled.add(e)
        e.depth = max([i.depth for i in pending], default=0) + (call is not None)
    return root.depth


def flush() -> None:
    """Compute every pending in-place write."""
    realize(())


def _pending_expressions() -> list[Expression]:
    storages = [reference() for reference, _ in pending_writes.values()]
    values = [s.expression for s in storages if s is not None]
    pending = [e for e in values if e.value is None and not is_constant(e)]
    return [e for e in pending if not levels.is_unknown(e)] if levels.state.active else pending


def run(roots: Sequence[Expression], device: str, held: Sequence[Expression] = ()) -> None:
    """Compute pending values of one device, and what ``Trace`` finds that goes with them."""
    watched = capture.state.active is not None or spans.listeners or provenance.state.wanted
    if not watched and _run_known(roots, device, held):
        return
    # Of a long graph there are hundreds of thousands of objects that all live until it is done: the
    # collector of cycles, looking at them again and again, would be half of the time.
    enabled = gc.isenabled()
    gc.disable()
    try:
        _run_traced(roots, device, held)
    finally:
        if enabled:
            gc.enable()


def _run_traced(roots: Sequence[Expression], device: str, held: Sequence[Expression]) -> None:
    active = capture.state.active
    began = spans.now() if spans.listeners else 0
    trace = Trace(roots, [e for e in held if e.device == device])
    if began:
        spans.note("trace", "trace", began, calls=len(trace.calls))
    if checking.active and not device.startswith("interpreter"):
        _run_checked(trace, device)
        return
    cached, places = _plan_of(trace, roots, device)
    noted = active.start_run(trace, cached, places) if active is not None else None
    free = _free_leaves(trace, cached) if cached.plan.donated else ()
    with HeldOff() if free else _NOTHING:
        values = cached.run([e.value for e in [*trace.leaves, *trace.bound]] + places, free)
        for i in free:
            trace.leaves[i].value = None
        if noted is not None:
            noted.outputs = [weakref.ref(e) for e in trace.wanted]
        wanted, kept = trace.wanted, [call for call in trace.tracked if not call.freed]
        if cached.saves_more:
            wanted, values = _saved(trace, cached, values)
        # What the trace alone still refers to is not waiting for anything.
        del trace
        _settle(wanted, values)
    for release in after_run:
        release(kept)


def _run_known(roots: Sequence[Expression], device: str, held: Sequence[Expression]) -> bool:
    """As ``_run_traced``, where that is what was computed last time; else False."""
    call = roots[0].call
    last = _known.get((device, call.signature, len(roots))) if call is not None else None
    if last is None or unsettled_values():
        return False
    known = last.next
    kept = _run_if_known(known, roots, device, held)
    if kept is False and known is not last:
        known = last
        kept = _run_if_known(known, roots, device, held)
    if kept is False:
        return False
    _known[known.key] = known
    for release in after_run:
        release(kept)
    return True


def _run_if_known(
    known: KnownTrace, roots: Sequence[Expression], device: str, held: Sequence[Expression]
) -> Sequence[Call] | Literal[False]:
    """``_run_recognised``, in C where that can do it."""
    whole = known.with_joined(roots, held)
    if whole is None:
        return False
    roots = whole
    kept = known.one_run.run(roots, held) if known.one_run is not None else None
    return _run_recognised(known, roots, device, held) if kept is None else kept


def _run_recognised(
    known: KnownTrace, roots: Sequence[Expression], device: str, held: Sequence[Expression]
) -> Sequence[Call] | Literal[False]:
    """Compute a known trace: the tracked calls of it that are not freed; False where it is another,
    and nothing was done. runs.c has its twin."""
    trace = known.recognise(roots)
    if trace is None or _is_any_lost(trace, held, device, known.has_gradient):
        return False
    cached = trace.cached
    free = _free_leaves(trace, cached) if cached.plan.donated else ()
    with HeldOff() if free else _NOTHING:
        values = cached.run([e.value for e in [*trace.leaves, *trace.bound]], free)
        for i in free:
            trace.leaves[i].value = None
        wanted, kept = trace.wanted, [call for call in trace.tracked if not call.freed]
        if trace.saved is not None:
            wanted, values = _alive_of(trace.saved, values)
        del trace
        _settle(wanted, values)
    known.one_run = one_run(known)
    return kept


def _plan_of(
    trace: Trace, roots: Sequence[Expression], device: str
) -> tuple[CachedPlan, list[int]]:
    """The plan of a trace, and where views begin if it takes that as arguments."""
    plans = _plans.get(device)
    if plans is None:
        plans = _plans[device] = {}
    key = tuple(trace.key)
    cached = plans.get(key)
    places: list[int] = []
    if cached is None and trace.views:
        cached, places = _plan_for_places(trace, device)
    # Lines are a plan's own: one that was made while nobody asked for them is made again.
    if cached is None or (provenance.state.wanted and not cached.has_lines and not places):
        again = cached is not None
        if not again:
            note_miss(trace, device)
        cached = plans[key] = _make(trace, device, again)
        small = small_call(roots[0]) if len(roots) == len(cached.outputs) == 1 else None
        if layouts.orders.used and has_orders(roots[0]):
            small = None
        if small is not None and small[1] == trace.leaves:
            _single_plans[small[0]] = cached.plan
            call = trace.calls[-1]
            if call.inputs == tuple(trace.leaves):
                call.signature.plans[device] = cached.plan
        several = small_calls(roots) if len(roots) > 1 and trace.wanted == [*roots] else None
        if (
            several is not None
            and several[1] == trace.leaves
            and not (cached.saves_more or cached.orders or trace.bound)
        ):
            _several_plans[several[0]] = cached.plan
    else:
        native.count_repeat()
        if not places:
            _remember(trace, roots, device, cached)
    return cached, places


def _is_any_lost(
    trace: Recognised, held: Sequence[Expression], device: str, has_gradient: bool
) -> bool:
    """Whether what somebody holds would be computed from the beginning once a trace has run."""
    if not held:
        return False
    if native.loses_any is not None:
        lost: bool = native.loses_any(held, trace.values, trace.wanted, has_gradient)
        return lost
    values = {e for e in trace.values if e is not None}
    kept = {*trace.wanted}
    rest = [e for e in held if e not in values and e.device == device]
    return any([loses(e, values, kept, has_gradient) for e in rest])


def _remember(trace: Trace, roots: Sequence[Expression], device: str, cached: CachedPlan) -> None:
    """Have what is computed now recognised the next time."""
    call = roots[0].call
    if call is None:
        return
    key = device, call.signature, len(roots)
    if cached.known is None or cached.known.key != key:
        cached.known = KnownTrace(key, trace, roots, cached)
    if cached.known.is_whole:
        last = _known.get(key)
        if last is not None:
            last.next = cached.known
        _known[key] = cached.known


def _plan_for_places(trace: Trace, device: str) -> tuple[CachedPlan | None, list[int]]:
    """A plan that takes where views begin as arguments, and these; none where it is to be one for
    the places of this trace alone."""
    families = _families.setdefault(device, {})
    key = trace.family_key()
    family = families.get(key)
    if family is None:
        family = families[key] = Family()
    calls = [call for call, _ in trace.views]
    found = family.find(starts_of(calls))
    if found is None:
        return None, []
    pattern, places = found
    cached = pattern.cached
    if cached is None or (provenance.state.wanted and not cached.has_lines):
        if cached is None:
            note_miss(trace, device)
        cached = pattern.cached = _make(trace, device, cached is not None, pattern.moved(calls))
    return cached, places


def _run_checked(trace: Trace, device: str) -> None:
    """Compute a trace kernel by kernel, each compared with the interpreter."""
    key = (device, tuple(trace.key))
    cached = _checked_plans.get(key)
    if cached is None:
        with provenance.recording():
            graph, outputs = import_graph(trace)
            plan = CheckedPlan(graph, device, describe(trace, device))
        more = len(outputs) > len(trace.wanted)
        orders = orders_of_outputs(trace, outputs)
        cached = _checked_plans[key] = CachedPlan(plan, outputs, more, True, orders=orders)
    values = cached.run([e.value for e in [*trace.leaves, *trace.bound]])
    wanted: Sequence[Expression] = trace.wanted
    if cached.saves_more:
        wanted, values = _saved(trace, cached, values)
    _settle(wanted, values)
    for release in after_run:
        release([call for call in trace.tracked if not call.freed])


def _saved(
    trace: Trace, cached: CachedPlan, values: Sequence[Any]
) -> tuple[list[Expression], list[Any]]:
    """Of a plan that computes more than its trace wanted: what is still there, and its values."""
    by_number = {number: e for e, number in trace.numbers.items()}
    return _alive_of([by_number.get(n) for n in cached.outputs], values)


def _alive_of(
    found: Sequence[Expression | None], values: Sequence[Any]
) -> tuple[list[Expression], list[Any]]:
    """Of what a plan gives, what is still there, and its values."""
    alive = [(e, value) for e, value in zip(found, values, strict=True) if e is not None]
    return [e for e, _ in alive], [value for _, value in alive]


def _free_leaves(trace: Trace | Recognised, cached: CachedPlan) -> list[int]:
    """The leaves that an output may overwrite: values that a write has replaced, and that nothing
    but this trace refers to."""
    in_trace = trace.references_to_leaf
    if native.free_leaves is not None and cached.packed_uses is not None and not unsettled_values():
        found: list[int] | None = native.free_leaves(
            trace.leaves, cached.packed_uses, trace.tracked, trace.calls, in_trace
        )
        if found is not None:
            return found
    readers: Any = None
    for call in trace.tracked:
        if not call.freed:
            return []  # a later backward may come back to the leaves
        if call.readers is not readers:  # many calls share them
            readers = call.readers
            for reader in readers:
                if is_pending(reader) and reader() not in trace.calls:
                    return []  # an earlier one has yet to read them
    if _is_needed_elsewhere(trace):
        return []
    if cached.uses is None:
        cached.uses = _uses(trace, [n for n in cached.plan.donated if n < len(trace.leaves)])
        cached.packed_uses = packed(cached.uses.items())
    free = []
    for number, uses in cached.uses.items():
        e = trace.leaves[number]
        owner = e.owner
        if type(owner) is not Overwritten:
            continue
        # Besides the name here, its calls and the trace refer to it, and the write that replaced
        # it, in case it should fail.
        write = pending_writes.get(id(owner.storage()))
        known = in_trace if write is None else in_trace + write[1].count(e)
        if (
            e.hooks is None
            and references.count(e) == references.BY_NAME + uses + known
            and references.count(e.value) == references.BY_ATTRIBUTE
            and e.value.is_whole
        ):
            free.append(number)
    return free


def _uses(trace: Trace | Recognised, numbers: Sequence[int]) -> dict[int, int]:
    """How often the calls of a trace refer to some of its leaves, of which nothing here may stay:
    who refers to them is counted next."""
    counted = Counter([id(i) for call in trace.calls for i in call.inputs])
    return {n: counted[id(trace.leaves[n])] for n in numbers}


def _is_needed_elsewhere(trace: Trace | Recognised) -> bool:
    """Whether what a failure left pending is made of values that a trace computes on its way."""
    numbers = trace.numbers
    stack = [e for e in unsettled_values() if e not in numbers]
    seen = set(stack)
    while stack:
        call = stack.pop().call
        for i in call.inputs if call is not None else ():
            if i.value is None and i not in seen:
                if i in numbers:
                    return True
                seen.add(i)
                stack.append(i)
    return False


def _settle(wanted: Sequence[Expression], values: Sequence[Any]) -> None:
    """Give expressions what was computed, and let go of what they were made of where no gradient
    will come back to it."""
    if native.settle is not None and native.settle(wanted, values):
        return
    for e, buffer in zip(wanted, values, strict=True):
        e.value = buffer
    for e in reversed(wanted):  # users before what they use, which may go with them
        call = e.call
        if call is None or call.tracked:
            continue
        outputs = _alive(call)
        if all([o.value is not None for o in outputs]):
            for o in outputs:
                _forget_call(o)
            call.inputs = ()


def _forget_call(e: Expression) -> None:
    """Forget what made a value."""
    if e.owner is None:
        _note_owner(e)
    e.call = None


def _note_owner(e: Expression) -> None:
    """Let an alias know whose memory it shows, before what made it is forgotten."""
    source = e
    while (
        source.owner is None
        and (call := source.call) is not None
        and call.signature.function in ALIASES
        and call.inputs
    ):
        (source,) = call.inputs
    if source is not e:
        e.owner = shared_owner(source)


known_to_native.update(note_owner=_note_owner, ALIASES=ALIASES)


# Lets go of what backward has freed, given the other tracked calls that were run, inputs first;
# autograd/release.py puts it here.
after_run: list[Callable[[Sequence[Call]], None]] = []


def is_pending(reference: weakref.ref[Call]) -> bool:
    """Whether a gradient call still needs what it is made of."""
    call = reference()
    if call is None:
        return False
    # A gradient that can be differentiated, or that one waits for which did, needs what it is
    # made of.
    is_kept = call.tracked and bool(call.inputs)
    return is_kept or any([e.value is None for e in _alive(call)])


def _make(
    trace: Trace, device: str, again: bool = False, moved: Sequence[MovedCall] = ()
) -> CachedPlan:
    description = describe(trace, device, moved)
    # A plan on disk knows no user lines: where those are wanted, it is made anew.
    wanted = provenance.state.wanted > 0
    found = None if wanted else find_plan(description)
    if found is None:
        began = spans.now() if spans.listeners else 0
        with provenance.recording() if wanted else nullcontext():
            graph, outputs = import_graph(trace, moved)
            found = make_plan(graph, device, description, outputs), outputs
        if began:
            name = "make plan again, for its lines" if again else "make plan"
            spans.note(name, "lower", began, calls=len(trace.calls))
    plan, outputs = found
    release_cached(_LARGE)  # what the plans before it needed may be of other sizes
    more, orders = len(outputs) > len(trace.wanted), orders_of_outputs(trace, outputs)
    return CachedPlan(plan, outputs, more, wanted, orders=orders)


def describe(trace: Trace, device: str, moved: Sequence[MovedCall] = ()) -> str:
    """The trace's structure in words that mean the same in every process."""
    words = {m.call: m.describe() for m in moved}
    lines = [device, trace_conditions() or "by default"]
    numbers = trace.numbers
    for e in trace.leaves:
        order = order_of(e)
        lies = f" {order}" if order is not None else ""
        lines.append(f"leaf {numbers[e]} {e.type!r} {e.tracked}{lies}")
    for call in trace.calls:
        signature = call.signature
        inputs = [numbers[i] for i in call.inputs]
        leaves = [o.leaf is not None for o in _alive(call)]
        what = words.get(call) or signature.describe()
        lines.append(f"call {what} {inputs} {call.tracked} {leaves}")
    lines.append(f"bound {[numbers[e] for e in trace.bound]}")
    lines.append(f"wanted {[numbers[e] for e in trace.wanted]}")
    orders = [(numbers[e], order_of(e)) for e in trace.bound if order_of(e)]
    orders += [(numbers[e], order) for e, order in trace.orders.items()]
    if orders:
        lines.append(f"orders {orders}")
    return "\n".join(lines)


def _alive(call: Call) -> list[Expression]:
    return [e for e in [reference() for reference in call.outputs] if e is not None]


def is_known(trace: Trace, device: str) -> bool:
    """Whether this process has the plan of a trace."""
    if tuple(trace.key) in _plans.get(device, ()):
        return True
    family = _families.get(device, {}).get(trace.family_key()) if trace.views else None
    return family is not None and family.has(starts_of([call for call, _ in trace.views]))


def plan_count() -> int:
    """How many plans this process holds."""
    families = [f for families in _families.values() for f in families.values()]
    return sum([len(plans) for plans in _plans.values()]) + sum([len(f.patterns) for f in families])
