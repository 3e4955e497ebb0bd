"""Values that derivatives are taken by, and what is still differentiable when one is done.

A derivative is taken by a copy of each input that only its own function sees, so that derivatives
inside one another cannot be confused.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager

from lazytorch import core
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.expression import Call, Expression
from lazytorch.freed import is_let_go
from lazytorch.importer import TANGENT
from lazytorch.levels import PLACEHOLDER, state
from lazytorch.recording import record, untracked
from lazytorch.tensor import Tensor, wrap


def source(x: Tensor) -> Expression:
    """A copy of ``x`` that derivatives can be taken by."""
    return record(core.SOURCE, (x._read(),), (), True)[0]


def stand_in(x: Tensor, value: Expression) -> Tensor:
    """What the function is given in the stead of ``x``: its copy, with this value."""
    made = wrap(value)
    is_whole = x._geometry is None and x._storage.layout is None
    if not is_whole or x._stands_for is not None:
        made._stands_for = x, value
    return made


@contextmanager
def open_sources(sources: Sequence[Expression]) -> Iterator[None]:
    """Derivatives by these are under way."""
    for e in sources:
        state.sources[e] = state.sources.get(e, 0) + 1
    state.inside += 1
    try:
        yield
    finally:
        state.inside -= 1
        for e in sources:
            state.sources[e] -= 1
            if not state.sources[e]:
                del state.sources[e]


def is_live(value: Expression, sources: Container[Expression] | None = None) -> bool:
    """Whether a derivative may still be asked for: the value is made of a leaf that requires grad,
    or of what an enclosing derivative is taken by; of all of these, or those in ``sources``."""
    sources = state.sources if sources is None else sources
    seen: set[Expression] = set()
    stack = [value]
    while stack:
        e = stack.pop()
        if e in seen or not e.tracked:
            continue
        seen.add(e)
        call = e.call
        if e.leaf is not None or e in sources or call is None:
            return True
        if is_let_go(call):
            return True  # it was, when it was released
        if call.signature.function is PLACEHOLDER:
            return True
        stack.extend(call.inputs)
    return False


def settled(x: Tensor) -> Tensor:
    """A result of a derivative: of no more history than what is still live."""
    value = x._read()
    if not value.tracked or (grad_state.enabled and is_live(value)):
        return x
    return wrap(untracked(value))


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
    tracked = grad_state.enabled and any([is_live(e) for e in inputs])
    outputs = record(TANGENT, inputs, (len(chosen),), tracked)
    assert outputs[0].call is not None
    outputs[0].call.has_gradient = True
    rest = iter(outputs)
    return [next(rest) if made else None for made in found]


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
            detached = call is None or call.signature.function is core.DETACH
            inputs = () if call is None or detached else call.inputs
            missing = [i for i in inputs if i not in known]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            known[e] = e.type.dtype.differentiable and any([known[i] for i in inputs])
            if known[e] and call is not None and call.signature.function is core.CUSTOM:
                customs[call] = None
    return [known[root] for root in roots], list(customs)
