"""What stays of a call whose inputs nothing needs any more: where it led, and no value. As of
PyTorch's nodes, which outlive what they have saved."""

from __future__ import annotations

import weakref

from codegen.ops.reduction import full
from lazytorch.expression import Call, Expression, Function, new_call, new_expression

# In the place of a value of which only the type is needed.
FREED_VALUE = Function("freed_value", lambda shape, dtype: full(0, shape, dtype))


def let_go(call: Call, led_to: tuple[Expression, ...]) -> None:
    """Take its inputs from a call; ``led_to``: those, or what its gradient goes on to."""
    call.led_to = tuple([_without_value(e) for e in led_to])
    call.inputs = ()


def _without_value(e: Expression) -> Expression:
    if e.type.weak:
        return e  # a number
    inner = e.tracked and e.leaf is None
    made = new_expression(e.type, e.device, e.call if inner else None, e.number, None, e.tracked)
    made.leaf, made.hooks = e.leaf, e.hooks
    return made


def is_let_go(call: Call) -> bool:
    """Whether that was done."""
    return not call.inputs and hasattr(call, "led_to")


def inputs_of(call: Call) -> tuple[Expression, ...]:
    """The inputs of a call; where they were let go, what is left of them: those that somebody
    still holds, and values in the place of the others."""
    return tuple([_in_place_of(e) for e in call.led_to]) if is_let_go(call) else call.inputs


def _in_place_of(e: Expression) -> Expression:
    made = e.call
    if made is None:
        if not e.type.weak:
            signature = FREED_VALUE.signature((), (e.type.shape, e.type.dtype))
            e.call, e.depth = new_call(signature, (), False), 1
            e.call.outputs = (weakref.ref(e),)
        return e
    if not made.tracked:
        return e  # it was asked for before
    outputs = [*made.outputs]
    held = outputs[e.number]()
    if held is not None:
        return held
    outputs[e.number] = weakref.ref(e)
    made.outputs = tuple(outputs)
    return e
