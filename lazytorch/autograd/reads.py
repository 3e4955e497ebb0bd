"""What the gradient of a call reads, and which values it goes on to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from codegen.graph.differentiate import cotangents
from codegen.graph.inline import inline_plain
from codegen.ir.node import Node, topological
from codegen.ops.calls import call as call_node
from codegen.ops.leaves import parameter
from lazytorch import core
from lazytorch.autograd.second_derivatives import (
    is_bilinear,
    is_piecewise_linear,
    read_by_mixed,
)
from lazytorch.expression import (
    EVERY,
    Call,
    Expression,
    Reads,
    Signature,
    Way,
    WayStep,
    nobody,
)
from lazytorch.freed import inputs_of, is_let_go
from lazytorch.importer import GRADIENT, TANGENT

# Of calls of more tracked inputs, whole layers, mixed second derivatives are not looked into.
MOST_MIXED = 4


def way_of(call: Call) -> Way | None:
    """The way of a tracked gradient call; None of others."""
    return getattr(call, "way", None) if call.has_gradient else None


def goes_on_to(e: Expression) -> Sequence[Expression]:
    """The values that a gradient at this one goes on to."""
    call = e.call
    if call is None or not call.tracked or e.leaf is not None:
        return ()
    if not call.inputs and is_let_go(call) and (not call.freed or saves_nothing(call)):
        call.inputs = inputs_of(call)
    if way_of(call) is not None and call.inputs:
        return list(made_of(e))
    reaches = call.signature.reaches
    if reaches is None or not call.inputs:
        return [i for i in call.inputs if i.tracked]
    return [call.inputs[i] for i in sorted(reaches[e.number]) if call.inputs[i].tracked]


def made_of(e: Expression, least: int = 1, varying: bool = False) -> dict[Expression, float]:
    """The tracked values in what an output of a gradient call is made of, in products of at least
    so many of them; with each the degree of these. Those by which its derivative is constant zeros
    aside, if that is to be ``varying``."""
    call = e.call
    way = None if call is None else way_of(call)
    found: dict[Expression, float] = {}
    if way is None:
        return found
    for step, differentiated, _ in steps_of(way, e.number):
        if varying and is_piecewise_linear(differentiated.signature):
            continue
        if hasattr(differentiated, "way"):
            outputs = [reference() for reference in differentiated.outputs]
            before = outputs[step.number]
            known = {} if before is None else made_of(before, least + 1, varying)
            read = [(x, degree - 1) for x, degree in known.items()]
        else:
            values = tracked_reads(differentiated, step.number, jointly=False)
            read = [(x, _degree_in(x, differentiated, step)) for x in values]
        for x, own in read:
            degree = min(step.arriving + own + step.beyond, way.degrees[e.number])
            if degree >= least:
                found[x] = max(found.get(x, 0), degree)
    bits = way.made_of[e.number] >> len(way.steps)
    for i, reference in enumerate(way.cotangents):
        cotangent = reference() if bits >> i & 1 else None
        if cotangent is not None and way.degrees[e.number] >= least:
            found[cotangent] = way.degrees[e.number]
    return found


def _degree_in(x: Expression, call: Call, step: WayStep) -> float:
    """The degree of what a step multiplies by, in one of the values that it reads: 1 also where
    that is a sum, and no other summand with a tracked value has this one."""
    tracked = frozenset([i for i, e in enumerate(call.inputs) if e.tracked])
    is_input = any([e is x for e in call.inputs])
    if step.own == 1 or not is_input or call.signature.function.saves_inputs:
        return step.own
    if not 1 < len(tracked) <= MOST_MIXED:
        return step.own
    for i, e in enumerate(call.inputs):
        if e is x and read_by_mixed(call.signature, step.number, i) & tracked:
            return step.own
    return 1


def factor_of(call: Call, number: int) -> float:
    """The degree of what the gradient of a call by one of its inputs multiplies, as a product of
    tracked values."""
    if not tracked_reads(call, number):
        return 0
    return 1 if is_bilinear(call.signature) else math.inf


def edges(call: Call) -> tuple[Expression, ...]:
    """What a call's gradient goes on to, tracked or not; of a released one what is left of it."""
    if not call.inputs:
        return call.led_to
    if way_of(call) is None:
        return call.inputs
    outputs = [e for e in [reference() for reference in call.outputs] if e is not None]
    return tuple([i for e in outputs for i in goes_on_to(e)])


# Operations of two tensors, which PyTorch makes of numbers too.
_WITH_NUMBERS = frozenset([f"{name}Backward0" for name in ("Add", "Div", "Mul", "Sub", "Where")])


# Functions whose inputs PyTorch's node has in another order.
_ORDERS = {"linear": (2, 0, 1)}


def arguments_of(call: Call) -> list[int]:
    """The numbers of the inputs of a call that PyTorch's node has as its own."""
    counts_numbers = call.signature.function.gradient_name in _WITH_NUMBERS
    types = call.signature.input_types
    found = [
        i for i, t in enumerate(types) if (counts_numbers if t.weak else t.dtype.differentiable)
    ]
    found = found[:2] if counts_numbers else found
    order = _ORDERS.get(call.signature.function.name)
    return found if order is None else [i for i in order if i in found]


def in_order(call: Call, inputs: Sequence[Expression]) -> Sequence[Expression]:
    """Some inputs of a call in the order in which PyTorch's node has them."""
    order = _ORDERS.get(call.signature.function.name)
    if order is None or not call.inputs:
        return inputs
    return [x for i in order if i < len(call.inputs) for x in inputs if x is call.inputs[i]]


def steps_of(way: Way, output: int) -> Iterator[tuple[WayStep, Call, bool]]:
    """The steps to an output of a gradient call; the calls, and whether they are freed."""
    bits = way.made_of[output]
    for i, step in enumerate(way.steps):
        call = step.call() if bits >> i & 1 else None
        if call is not None:
            yield step, call, bool(way.freed >> i & 1)


def reads_anything(call: Call, number: int) -> bool:
    """Whether the gradient of a call by one of its inputs reads any value."""
    function = call.signature.function
    if function is core.CUSTOM:
        return False
    if function in (GRADIENT, TANGENT) or function.saves_inputs:
        return True
    return any(gradient_reads(call.signature, frozenset([number])))


def tracked_reads(call: Call, number: int, jointly: bool = True) -> Sequence[Expression]:
    """The tracked values that the gradient of a call by one of its inputs is made of. ``jointly``:
    as far as it is one node with the others."""
    if not call.inputs or not reads_tracked(call):
        return ()
    outputs = [e for e in [reference() for reference in call.outputs] if e is not None]
    function = call.signature.function
    if function in (GRADIENT, TANGENT):
        return [e for e in call.inputs if e.tracked]
    smoothly = not function.saves_inputs or (function.joint and not jointly)
    of_inputs, of_outputs = gradient_reads(call.signature, frozenset([number]), smoothly)
    read = [e for i, e in enumerate(call.inputs) if i in of_inputs]
    read += [e for e in outputs if e.number in of_outputs]
    found = [e for e in read if e.tracked]
    # Saved inputs count also where only their places are read, as those of maxima.
    return found if found or smoothly else [e for e in call.inputs if e.tracked]


def asked_for(inputs: Sequence[Expression]) -> frozenset[int]:
    """The inputs of a call that a gradient is computed for. For one that nobody collects it of, the
    others are not saved; a single one always is."""
    single = len(inputs) == 1
    return frozenset(
        [i for i, x in enumerate(inputs) if x.tracked & True and (single or x.leaf is not nobody)]
    )


def gradient_reads(signature: Signature, tracked: frozenset[int], smoothly: bool = False) -> Reads:
    """The numbers of the inputs and outputs whose values the gradient of a call reads; with
    ``smoothly``, of those by which it can be differentiated, which no comparison hides."""
    return _reads(signature, tracked)[smoothly]


def gradient_saves(signature: Signature, tracked: frozenset[int]) -> Reads:
    """As ``gradient_reads``, of PyTorch's gradient: what that saves without reading it, and not
    what it reads of its own."""
    return _reads(signature, tracked)[2]


def gradient_packs(signature: Signature, tracked: frozenset[int]) -> Reads:
    """What either gradient reads."""
    read, _, saved = _reads(signature, tracked)
    return read[0] | saved[0], read[1] | saved[1]


def always_saved(signature: Signature) -> Reads:
    """What PyTorch saves whichever gradients are asked for: what the formulas of several of them
    read, and results that any of them reads."""
    found = signature.always_saved
    if found is None:
        types = signature.input_types
        numbers = [i for i, t in enumerate(types) if t.dtype.differentiable and not t.weak]
        of_results = gradient_saves(signature, frozenset(numbers))[1]
        shared: frozenset[int] = frozenset()
        if signature.function.saves_exactly is None:
            once: frozenset[int] = frozenset()
            for i in numbers:
                read = gradient_saves(signature, frozenset([i]))[0]
                once, shared = once | read, shared | (once & read)
        found = signature.always_saved = shared, of_results
    return found


def _reads(signature: Signature, tracked: frozenset[int]) -> tuple[Reads, Reads, Reads]:
    found = signature.reads.get(tracked)
    if found is None:
        found = signature.reads[tracked] = _find_reads(signature, tracked)
    return found


def reads_tracked(call: Call) -> bool:
    """Whether the gradient of a call depends on values through which gradients flow."""
    tracked = frozenset([i for i, e in enumerate(call.inputs) if e.tracked])
    function = call.signature.function
    if function is core.CUSTOM or not call.inputs:
        return False
    if function.saves_inputs:
        return True
    if function is TANGENT:
        return True
    if function is GRADIENT:
        return not hasattr(call, "way") or max(call.way.degrees) > 1
    inputs, outputs = gradient_reads(call.signature, tracked, smoothly=True)
    return bool(inputs & tracked or outputs)


def _find_reads(signature: Signature, tracked: frozenset[int]) -> tuple[Reads, Reads, Reads]:
    template = signature.template
    inputs = template.parameters
    seeds = [parameter(1000 + i, o.type) for i, o in enumerate(template.outputs)]
    if template.gradient is not None:
        outputs: Sequence[Node] = [
            call_node(template, inputs, i) for i in range(len(template.outputs))
        ]
        parts = template.gradient(inputs, outputs, seeds)
        results = [p for i, p in enumerate(parts) if p is not None and i in tracked]
    else:
        outputs = inline_plain(template.outputs)
        flows = [(o, s) for o, s in zip(outputs, seeds, strict=True) if o.dtype.differentiable]
        results = cotangents(
            [o for o, _ in flows], [s for _, s in flows], {}, [inputs[i] for i in sorted(tracked)]
        )
    own = {o for o in outputs if o not in inputs and not signature.function.recomputes}
    # A result that is constant, as an empty one, may be the same node as a gradient.
    own = {o for o in own if not set(topological([o])).isdisjoint(inputs)}

    def numbers(visited: set[Node]) -> Reads:
        return (
            frozenset([i for i, p in enumerate(inputs) if p in visited]),
            frozenset([i for i, o in enumerate(outputs) if o in own and o in visited]),
        )

    every = numbers(set(topological(results, stop=lambda node: node in own)))
    smooth = topological(results, stop=lambda node: node in own or not node.dtype.differentiable)
    smoothly = numbers({node for node in smooth if node.dtype.differentiable})
    more = tracked.intersection(signature.function.saves_own)
    if signature.function.saves is not None:
        more = more.union(signature.function.saves(len(inputs), *signature.attributes))
    saved = (
        every[0].union([i for i in more if i >= 0]),
        every[1].union([~i for i in more if i < 0]),
    )
    if signature.function.saves_exactly is not None:
        exactly = signature.function.saves_exactly(
            signature.input_types, tracked, *signature.attributes
        )
        saved = (
            frozenset([i for i in exactly if i >= 0]),
            frozenset([~i for i in exactly if i < 0]),
        )
    return every, smoothly, saved


def saves_any(signature: Signature, read: frozenset[int]) -> bool:
    """Whether what a gradient reads of the inputs is anything that PyTorch frees."""
    if signature.function is core.WRITE_VIEW:
        return True  # PyTorch frees the node of what was written
    if not signature.function.keeps_numbers:
        return bool(read)
    return not all([signature.input_types[i].weak for i in read])


def saves_nothing(call: Call) -> bool:
    """Whether the gradient of a call can be taken again after it was freed."""
    signature = call.signature
    if signature.function is core.CUSTOM:
        return True  # it refuses what is gone by itself
    saving = signature.saving
    if saving is None:
        saving = signature.saving = _find_saving(signature)
    inputs = call.inputs or call.led_to
    asked = asked_for(inputs)
    if saving is EVERY:
        is_derivative = signature.function in (GRADIENT, TANGENT)
        return len(inputs) > 1 and not is_derivative and not asked
    return asked.isdisjoint(saving)


def saves_numbers_alone(call: Call) -> bool:
    """Whether the gradient of a call reads no tensor."""
    if call.signature.function in (GRADIENT, TANGENT, core.CUSTOM, core.WRITE_VIEW):
        return False
    inputs, outputs = gradient_packs(call.signature, asked_for(call.inputs))
    return not outputs and all([call.inputs[i].type.weak for i in inputs])


def _find_saving(signature: Signature) -> frozenset[int]:
    """The numbers of the inputs whose gradients PyTorch saves something for."""
    if signature.function in (GRADIENT, TANGENT):
        return EVERY
    types = signature.input_types
    numbers = [i for i, t in enumerate(types) if t.dtype.differentiable and not t.weak]
    inputs, outputs = gradient_packs(signature, frozenset(numbers))
    if not outputs and not saves_any(signature, inputs):
        return frozenset()
    if len(numbers) > 4:
        return EVERY  # a whole layer's
    found: list[int] = []
    shared: list[int] = []  # what one gradient reads is saved for it, what several read always
    for i in numbers:
        inputs, outputs = gradient_packs(signature, frozenset([i]))
        if outputs or saves_any(signature, inputs):
            found.append(i)
            shared += [number for number in inputs if not types[number].weak]
    is_shared = len(shared) > len({*shared})
    return EVERY if is_shared or len(found) == len(numbers) else frozenset(found)
