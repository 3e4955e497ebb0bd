"""Recording calls: what every operation comes down to, below the level of tensors."""

from __future__ import annotations

import weakref

from lazytorch import core
from lazytorch.expression import Attributes, Call, Expression, Function
from lazytorch.realize import realize, settle_depth
from lazytorch.source import note_place

# A chain of pending calls longer than this is run: memory and the next compile stay bounded.
MAXIMUM_DEPTH = 2000


def untracked(value: Expression) -> Expression:
    """The same value, through which no gradient flows."""
    if value.value is not None:
        plain = Expression(value.type, value.device, value=value.value)
        plain.owner = value.owner
        return plain
    return record(core.DETACH, (value,), (), False)[0]


def record(
    function: Function, inputs: tuple[Expression, ...], attributes: Attributes, tracked: bool
) -> list[Expression]:
    """Record a call; its outputs."""
    types = tuple([e.type for e in inputs])
    signature = function.signatures.get((types, attributes))
    if signature is None:
        signature = function.signature(types, attributes)
    call = Call(signature, inputs, tracked)
    if signature.places_left:
        note_place(call)
    depth = 0
    device = "cpu"
    for e in inputs:
        if e.value is None:
            if e.depth > depth:
                depth = e.depth
            source = e.call
            if source is not None and source.has_gradient:
                call.has_gradient = True
        if e.device != "cpu":
            device = e.device
    depth += 1
    output_types = signature.output_types
    if len(output_types) == 1:
        type_ = output_types[0]
        if tracked and not signature.has_float_output:
            tracked = False
        output = Expression(type_, device, call, 0, None, tracked, depth)
        call.outputs = (weakref.ref(output),)
        outputs = [output]
    else:
        outputs = [
            Expression(t, device, call, i, None, tracked and t.dtype.kind == "float", depth)
            for i, t in enumerate(output_types)
        ]
        call.outputs = tuple([weakref.ref(e) for e in outputs])
    if depth > MAXIMUM_DEPTH and settle_depth(outputs[0]) > MAXIMUM_DEPTH // 2:
        realize(outputs)
    return outputs
