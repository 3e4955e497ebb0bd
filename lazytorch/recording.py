"""Recording calls: what every operation comes down to, below the level of tensors."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import reduce
from operator import or_

from codegen.ir.node import TensorType
from codegen.runtime.memory import Buffer
from lazytorch import capture, core, levels
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.expression import (
    FORWARD,
    Attributes,
    Call,
    Expression,
    Function,
    Signature,
    new_expression,
    next_in_sequence,
    shared_owner,
    unrecorded,
)
from lazytorch.freed import inputs_of
from lazytorch.realize import realize, run_plan, settle_depth
from lazytorch.records import native
from lazytorch.source import note_place
from lazytorch.storage import Storage, with_history

# A chain of pending calls longer than this is run: memory and the next compile stay bounded.
MAXIMUM_DEPTH = 2000
# One of small values that no gradient flows through, or was taken in, is run after so many: those
# are the turns of a loop, of which a few plans are made that are recognised then, not one for each
# number of turns.
MAXIMUM_TURNS = 128
SMALL = 256  # elements
_LATEST_TURN = 192  # where it meets no call before at which such a chain was run
_ends_of_turns: set[Signature] = set()


def is_long(depth: int, has_gradient: int, type_: TensorType) -> bool:
    """Whether a chain of so many pending calls may be one to run now."""
    if depth > MAXIMUM_DEPTH:
        return True
    return depth > MAXIMUM_TURNS and not has_gradient and type_.size <= SMALL


def _ends_here(e: Expression, signature: Signature) -> bool:
    """Whether a long chain of pending calls is to be run, now that it has this one: at the same
    place in a loop each time, so that what is run is the same."""
    if levels.is_unknown(e):
        return False
    if e.depth > MAXIMUM_DEPTH:
        return settle_depth(e) > MAXIMUM_DEPTH // 2
    if capture.state.active is not None:
        return False
    most = MAXIMUM_TURNS if signature in _ends_of_turns or not _ends_of_turns else _LATEST_TURN
    if e.depth <= most:
        return False
    _ends_of_turns.add(signature)
    return True


def untracked(value: Expression) -> Expression:
    """The same value, through which no gradient flows."""
    if value.value is not None:
        plain = new_expression(value.type, value.device, value=value.value)
        plain.owner = shared_owner(value)
        return plain
    return record(core.DETACH, (value,), (), False)[0]


def without_gradient(value: Expression) -> Expression:
    """The same value, through which no gradient flows, but the tangents that it has."""
    if value.tracked & FORWARD:
        return record(core.ALIAS, (value,), (), FORWARD)[0]
    return untracked(value)


def tracked_of(values: Iterable[Expression]) -> int:
    """What is tracked of what is made of some values now."""
    tracked = reduce(or_, [e.tracked for e in values], False)
    return tracked if grad_state.enabled else unrecorded(tracked)


def last_recorded(e: Expression) -> Expression:
    """The value whose gradient is that of ``e``: what was there before writes without recording."""
    while e.call is not None and e.call.signature.function is core.REPLACE_VALUE:
        e = inputs_of(e.call)[1]
    return e


def of_its_own(value: Expression) -> Expression:
    """A value that no tensor has: itself, or a copy."""
    call = value.call
    if (
        value.owner is not None
        or value.leaf is not None
        or call is None
        or call.signature.function is core.VIEW
    ):
        return record(core.IDENTITY, (value,), (), value.tracked)[0]
    return value


def count_write(storage: Storage) -> None:
    """Count a write to a storage, which leaves it its value."""
    value = storage.expression
    if storage.is_shared() and value.tracked:
        assert type(value.value) is Buffer
        storage.write(with_history(value.value, value))
    elif value.tracked and value.leaf is None:
        storage.write(record(core.IDENTITY, (value,), (), value.tracked)[0])
    elif not value.tracked:
        storage.own_value()
        storage.version += 1


def note_in_place(value: Expression) -> Call | None:
    """Note at the call that made a value that this is written where its first input was; the call
    it was noted at."""
    call = value.call
    while call is not None and call.signature.function is core.CAST:
        call = call.inputs[0].call if call.inputs else None
    if call is not None:
        call.in_place = True
    return call


def record(
    function: Function, inputs: tuple[Expression, ...], attributes: Attributes, tracked: int
) -> list[Expression]:
    """Record a call; its outputs."""
    if native.record is not None:
        made = native.record(function, inputs, attributes, tracked)
        if made is not None:
            return made  # type: ignore[no-any-return]
    types = tuple([e.type for e in inputs])
    depth, has_gradient, device = 0, False, "cpu"
    for e in inputs:
        if e.value is None:
            if e.depth > depth:
                depth = e.depth
            source = e.call
            if source is not None and source.has_gradient:
                has_gradient = True
        if e.device != "cpu":
            device = e.device
    signature = function.signatures.get((types, attributes)) or function.signature(
        types, attributes
    )
    return outputs_of_call(signature, inputs, tracked, depth + 1, has_gradient, device)


def run_call(signature: Signature, *inputs: Expression) -> Buffer:
    """What a call of computed values makes, at once; it may lie where the first of them did."""
    plan = signature.plans.get("cpu")
    if plan is not None:
        return run_plan(plan, [e.value for e in inputs])
    (made,) = outputs_of_call(signature, inputs, False, 1, False, "cpu")
    realize([made])
    return made.value  # type: ignore[no-any-return]


_reference = weakref.ref


def outputs_of_call(
    signature: Signature,
    inputs: tuple[Expression, ...],
    tracked: int,
    depth: int,
    has_gradient: bool,
    device: str,
) -> list[Expression]:
    """Make a call and its outputs, whose ``depth`` and device are known.

    Every operation of every step comes here, so objects are filled in where they are made.
    """
    call = Call()
    call.signature, call.inputs, call.tracked = signature, inputs, tracked
    call.has_gradient, call.freed, call.place, call.readers = has_gradient, False, None, ()
    if tracked:
        call.sequence = next_in_sequence()
    if signature.places_left:
        note_place(call)
    outputs: list[Expression] = []
    for type_ in signature.output_types:
        output = Expression()
        output.type, output.device, output.call, output.number = type_, device, call, len(outputs)
        output.value, output.owner, output.leaf, output.hooks = None, None, None, None
        output.tracked = tracked if type_.dtype.differentiable else False
        output.depth = depth
        outputs.append(output)
    call.outputs = tuple(map(_reference, outputs))
    first = outputs[0]
    if is_long(depth, tracked or has_gradient, first.type) and _ends_here(first, signature):
        realize(outputs)
    return outputs
