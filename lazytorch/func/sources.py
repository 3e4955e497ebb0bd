"""Values that derivatives are taken by, and what is still differentiable when one is done.

A derivative is taken by a copy of each input that only its own function sees, so that derivatives
inside one another cannot be confused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import or_

from lazytorch import core
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.autograd.reads import goes_on_to, tracked_reads
from lazytorch.expression import FORWARD, Call, Expression, shared_owner, unrecorded
from lazytorch.freed import is_let_go
from lazytorch.importer import TANGENT
from lazytorch.levels import PLACEHOLDER, Derivative, derivatives, state
from lazytorch.recording import record, tracked_of, untracked
from lazytorch.storage import born, note_born
from lazytorch.tensor import Tensor, wrap

BACKWARD = True  # how much of ``Expression.tracked`` a gradient is taken by


def source(x: Tensor, kind: int = BACKWARD) -> Expression:
    """A copy of ``x`` that gradients can be taken by, or tangents alone (``FORWARD``)."""
    value = x._read()
    return record(core.SOURCE, (value,), (), tracked_of([value]) | kind)[0]


def stand_in(x: Tensor, value: Expression) -> Tensor:
    """What the function is given in the stead of ``x``: its copy, with this value."""
    made = wrap(value)
    is_whole = x._geometry is None and x._storage.layout is None
    if not is_whole or x._stands_for is not None:
        made._stands_for = x, value
    return made


@contextmanager
def open_sources(sources: Sequence[Expression], kind: int = BACKWARD) -> Iterator[Derivative]:
    """A derivative by these is under way: of gradients, or tangents alone."""
    for e in sources:
        state.sources[e] = kind
    state.inside += 1
    note_born()
    derivative = state.derivative = Derivative(state.inside, sources, len(born))
    derivatives.count += 1
    try:
        yield derivative
    finally:
        note_born()
        derivatives.count -= 1
        state.derivative = derivative.outer
        if derivative.outer is not None:
            derivative.outer.seen = len(born)
        state.inside -= 1
        for e in sources:
            del state.sources[e]


def maker_of(x: Tensor) -> Derivative | None:
    """The derivative under way whose function made this, if any."""
    note_born()
    derivative = state.derivative
    while derivative is not None and not derivative.has_made(x._storage):
        derivative = derivative.outer
    return derivative


@contextmanager
def within(derivative: Derivative | None) -> Iterator[None]:
    """What is made belongs to this derivative, as if those inside it were not under way."""
    note_born()
    inner = state.derivative
    state.derivative = derivative
    if derivative is not None:
        derivative.seen = len(born)
    try:
        yield
    finally:
        note_born()
        state.derivative = inner
        if inner is not None:
            inner.seen = len(born)


@contextmanager
def outside_of(derivative: Derivative) -> Iterator[None]:
    """As if a derivative, and those within it, were not under way."""
    kept = {e: state.sources.pop(e) for e in derivative.sources if e in state.sources}
    try:
        with within(derivative.outer):
            yield
    finally:
        state.sources.update(kept)


def alone(value: Expression) -> Tensor:
    """A tensor that shows a value without being its owner."""
    owner = value.owner
    made = wrap(value)
    value.owner = owner
    return made


def settle_escaped(derivative: Derivative) -> None:
    """Let what is left of what a derivative's function made be as any other value, now that its
    results are known."""
    for reference in derivative.made.values():
        storage = reference()
        if storage is None or not storage.expression.tracked:
            continue
        value = storage.expression
        still = live([value])
        if still != value.tracked:
            fresh = record(core.ALIAS, (value,), (), still)[0] if still else untracked(value)
            value.owner = shared_owner(value)
            fresh.owner = reference
            storage.expression = fresh


def live(values: Sequence[Expression], sources: Mapping[Expression, int] | None = None) -> int:
    """Which derivatives may still be asked for, as ``Expression.tracked`` says it: values are made
    of a leaf that requires grad, or of what an enclosing derivative is taken by; of all of these,
    or those in ``sources``."""
    sources = state.sources if sources is None else sources
    wanted = reduce(or_, [e.tracked for e in values], 0)
    found: int = False
    seen: set[Expression] = set()
    stack = [*values]
    while stack and found != wanted:
        e = stack.pop()
        if e in seen or not e.tracked & ~found:
            continue
        seen.add(e)
        call = e.call
        if e.leaf is not None or call is None or is_let_go(call):
            found |= BACKWARD
        elif call.signature.function is PLACEHOLDER:
            found |= e.tracked
        else:
            found |= sources.get(e, False)
        if call is not None:
            stack.extend(goes_on_to(e) if hasattr(call, "way") else call.inputs)
    return found


def settled(x: Tensor, sources: Mapping[Expression, int] | None = None) -> Tensor:
    """A result of a derivative: of no more history than what is still live."""
    value = x._read()
    if not value.tracked:
        return x
    still = live([value], sources)
    still = still if grad_state.enabled else unrecorded(still)
    if still == value.tracked:
        return x
    if not still:
        return wrap(untracked(value))
    return wrap(record(core.ALIAS, (value,), (), still)[0])


def sources_but(these: Iterable[Expression]) -> dict[Expression, int]:
    """What other derivatives under way are taken by."""
    given = set(these)
    return {e: kind for e, kind in state.sources.items() if e not in given}


def has_tangent(value: Expression, sources: Iterable[Expression]) -> bool:
    """Whether a value is made of some of these."""
    return _made_of([value], set(sources))[0][0]


def pushed_forward(
    roots: Sequence[Expression], sources: Sequence[Expression], tangents: Sequence[Expression]
) -> list[Expression | None]:
    """The tangents of the roots; None for a root that is not made of the sources."""
    sources, tangents = list(sources), list(tangents)
    found, customs = _made_of(roots, set(sources))
    for call in customs:
        node = None if call.node is None else call.node.custom
        if not hasattr(node, "_push_forward"):
            raise NotImplementedError("Forward mode through checkpoint() is not implemented.")
        parts = pushed_forward(call.inputs, sources, tangents)
        for output, part in node._push_forward(call, parts):
            sources.append(output)
            tangents.append(part)
    chosen = [r for r, made in zip(roots, found, strict=True) if made]
    if not chosen:
        return [None] * len(roots)
    inputs = (*chosen, *sources, *tangents)
    tracked = live(inputs, sources_but(sources))
    tracked = tracked if grad_state.enabled else unrecorded(tracked)
    outputs = record(TANGENT, inputs, (len(chosen),), tracked)
    assert outputs[0].call is not None
    outputs[0].call.has_gradient = True
    if tracked & BACKWARD:
        varying = _with_gradients(chosen, dict(zip(sources, tangents, strict=True)))
        for e, varies in zip(outputs, varying, strict=True):
            e.tracked = e.tracked if varies else unrecorded(e.tracked)
    rest = iter(outputs)
    return [next(rest) if made else None for made in found]


def _with_gradients(
    roots: Sequence[Expression], given: Mapping[Expression, Expression]
) -> list[bool]:
    """Of which roots the tangents are made of values that a gradient flows through: those given,
    or what the calls on the way multiply them by."""
    known = {e: bool(t.tracked & BACKWARD) for e, t in given.items()}
    for root in roots:
        stack = [root]
        while stack:
            e = stack[-1]
            inputs = () if e in known or e.call is None else e.call.inputs
            changing = [(n, i) for n, i in enumerate(inputs) if i.tracked & FORWARD]
            missing = [i for _, i in changing if i not in known]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if e not in known:
                assert e.call is not None
                without = not e.tracked & BACKWARD and any([i.tracked & BACKWARD for i in inputs])
                known[e] = not without and any([
                    known[i] or any([x.tracked & BACKWARD for x in tracked_reads(e.call, n)])
                    for n, i in changing
                ])  # fmt: skip
    return [known[root] for root in roots]


def _made_of(
    roots: Sequence[Expression], sources: set[Expression]
) -> tuple[list[bool], list[Call]]:
    """Which of the roots are floating-point values computed from some source; and the users'
    Functions on the way, inputs first."""
    known: dict[Expression, bool] = dict.fromkeys(sources, True)
    customs: dict[Call, None] = {}
    for root in roots:
        stack = [root]
        while stack:
            e = stack[-1]
            if e in known:
                stack.pop()
                continue
            call = e.call
            inputs = () if call is None or not e.tracked & FORWARD else call.inputs
            missing = [i for i in inputs if i not in known]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            known[e] = any([known[i] for i in inputs])
            if known[e] and call is not None and call.signature.function is core.CUSTOM:
                customs[call] = None
    return [known[root] for root in roots], list(customs)
