"""From the recorded calls to an IR graph: leaves become parameters, calls become call nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from codegen.graph.complex_parts import split_complex
from codegen.graph.expand import expand
from codegen.graph.layout import outputs_in_order
from codegen.ir import provenance
from codegen.ir.node import Node, TensorType, substitute, topological
from codegen.ops.calls import Template, call, detach, gradient, mark, tangent
from codegen.ops.complex_numbers import COMPLEX, parts
from codegen.ops.leaves import PARAMETER, parameter
from codegen.ops.movement import inverse_order, permute
from codegen.pipeline import Graph
from codegen.runtime.memory import Buffer
from lazytorch.core import CUSTOM
from lazytorch.expression import Call, Expression, Function
from lazytorch.freed import FREED_VALUE, is_let_go
from lazytorch.levels import refuse_reading
from lazytorch.places import MovedCall
from lazytorch.source import lines_of

if TYPE_CHECKING:
    from lazytorch.trace import Trace

_INTERMEDIATE_TAG = 1 << 20
_COTANGENT = 1 << 30
_UNKNOWN = 1 << 29
# What is not worth keeping for backward.
_COSTLESS = ("movement", "leaf", "mark")


class GradientFunction(Function):
    """backward as one call: inputs are roots, their cotangents, values whose cotangent is
    replaced, the replacements, and targets; outputs are the targets' cotangents."""

    def trace(self, input_types: tuple[object, ...], attributes: tuple[object, ...]) -> Template:
        roots, replaced = attributes
        assert isinstance(roots, int) and isinstance(replaced, int)
        parameters = tuple([parameter(i, t) for i, t in enumerate(input_types)])  # type: ignore
        return Template("gradient", parameters, parameters[2 * roots + 2 * replaced :])


GRADIENT = GradientFunction("gradient", lambda *nodes: nodes)


class TangentFunction(Function):
    """Forward-mode differentiation as one call: inputs are roots, sources and the sources'
    tangents; outputs are the roots' tangents."""

    def trace(self, input_types: tuple[object, ...], attributes: tuple[object, ...]) -> Template:
        (roots,) = attributes
        assert isinstance(roots, int)
        parameters = tuple([parameter(i, t) for i, t in enumerate(input_types)])  # type: ignore
        return Template("tangent", parameters, parameters[:roots])


TANGENT = TangentFunction("tangent", lambda *nodes: nodes)


def derivative_ends(item: Call) -> tuple[tuple[Expression, ...], tuple[Expression, ...]] | None:
    """Of a gradient or tangent call, the roots and what they are differentiated by; their
    definitions matter, not their values alone."""
    function, inputs = item.signature.function, item.inputs
    if function is GRADIENT:
        roots, replaced = item.signature.attributes
        assert isinstance(roots, int) and isinstance(replaced, int)
        targets = inputs[2 * roots + 2 * replaced :]
        return inputs[:roots], (*inputs[2 * roots : 2 * roots + replaced], *targets)
    if function is TANGENT:
        (roots,) = item.signature.attributes
        assert isinstance(roots, int)
        return inputs[:roots], inputs[roots : roots + (len(inputs) - roots) // 2]
    return None


def import_graph(trace: Trace, moved: Sequence[MovedCall] = ()) -> tuple[Graph, tuple[int, ...]]:
    """The trace as primitive operations, and the number of the expression behind each output.

    ``moved``: calls of views that begin where further parameters say, which stand behind those of
    the trace's leaves and bound values.

    Besides what the trace wants, values that a backward may read are made outputs where a
    tracked value is computed, so that backward need not run the forward again.
    """
    parameters: list[Node] = []
    nodes: dict[Expression, Node] = {}
    for e in trace.leaves:
        slot, node = _slot(len(parameters), e)
        parameters.append(slot)
        nodes[e] = mark(node, trace.numbers[e]) if e.tracked else node
    origins = provenance.state.active
    bound = {}
    for e in trace.bound:
        slot, bound[e] = _slot(len(parameters), e)
        parameters.append(slot)
    first = len(parameters)
    arguments = 1 + max([n for m in moved for n in m.arguments], default=-1)
    parameters += [parameter(first + i, MovedCall.ARGUMENT) for i in range(arguments)]
    templates = {m.call: (m.signature.template, [parameters[first + n] for n in m.arguments])
                 for m in moved}  # fmt: skip
    import_calls(trace.calls, nodes, trace.numbers, templates)

    wanted = list(trace.wanted)
    if not trace.has_gradient and any(e.tracked for e in wanted):
        wanted = _with_saved(wanted, nodes, trace)
    called = [nodes[e] for e in [*wanted, *bound]]
    images = expand(called)
    values = dict(zip(images[len(wanted) :], bound.values(), strict=True))
    known = {image: slot for image, slot in values.items() if _may_stand_for(image, parameters)}
    for image, slot in values.items():
        if image.operation is COMPLEX:  # whose parts are read without it
            pairs = zip(image.inputs, parts(slot), strict=True)
            known |= {half: part for half, part in pairs if half.operation.kind != "leaf"}
    outputs = substitute(images[: len(wanted)], known)
    if trace.orders:
        places = [i for i, e in enumerate(wanted) if e in trace.orders]
        outputs = outputs_in_order(outputs, {i: trace.orders[wanted[i]] for i in places})
    if origins is not None:
        origins.outputs = [lines_of(e.call) for e in wanted if e.call is not None]
    kept = tuple(called[: len(wanted)]) if origins is not None else ()
    slots, made = split_complex(parameters, outputs)
    return Graph(tuple(slots), tuple(made), kept), tuple([trace.numbers[e] for e in wanted])


def _may_stand_for(image: Node, parameters: Sequence[Node]) -> bool:
    """Whether a value is known by what it is made of: not so a number, or what is given anyway."""
    if image.operation is PARAMETER:
        return image not in parameters
    return image.operation.kind != "leaf"


def _slot(number: int, e: Expression) -> tuple[Node, Node]:
    """The parameter for a computed value, in whose memory its axes may lie in another order, and
    the value."""
    order = e.value.order if type(e.value) is Buffer else None
    if order is None:
        slot = parameter(number, e.type)
        return slot, slot
    shape = e.type.shape
    slot = parameter(number, TensorType(tuple([shape[i] for i in order]), e.type.dtype))
    return slot, permute(slot, inverse_order(order))


# What stands in the place of a call's template, and its inputs besides the call's.
_Replaced = Mapping[Call, tuple[Template, Sequence[Node]]]


def import_calls(
    calls: Sequence[Call],
    nodes: dict[Expression, Node],
    numbers: Mapping[Expression, int],
    replaced: _Replaced = MappingProxyType({}),
) -> None:
    """Add what the calls compute, inputs before users, to the nodes of expressions."""
    targets = _derivative_targets(calls)
    origins = provenance.state.active
    for item in calls:
        for e, node in zip(*_import_call(item, nodes, numbers, replaced), strict=True):
            tag = _INTERMEDIATE_TAG + numbers[e]
            is_end = e in targets or e.leaf is not None or item.signature.function is CUSTOM
            nodes[e] = mark(node, tag) if is_end else node
            if origins is not None:
                origins.claim(node, lines_of(item), [nodes[i] for i in item.inputs])


def _derivative_targets(calls: Sequence[Call]) -> set[Expression]:
    found: set[Expression] = set()
    for item in calls:
        ends = derivative_ends(item)
        if ends is not None:
            found.update(ends[1])
    return {e for e in found if e.call is not None}


def _import_call(
    item: Call,
    nodes: dict[Expression, Node],
    numbers: Mapping[Expression, int],
    templates: _Replaced,
) -> tuple[list[Expression], list[Node]]:
    inputs = [nodes[i] for i in item.inputs]
    outputs = [e for e in [reference() for reference in item.outputs] if e is not None]
    signature = item.signature
    if is_let_go(item) or signature.function is FREED_VALUE:
        # Nobody reads it, and it is no other value.
        made = [parameter(_UNKNOWN + numbers[e], e.type) for e in outputs]
    elif signature.function is GRADIENT:
        roots, replaced = signature.attributes
        assert isinstance(roots, int) and isinstance(replaced, int)
        ends = [0, roots, 2 * roots, 2 * roots + replaced, 2 * roots + 2 * replaced, len(inputs)]
        a, b, c, d, f = [inputs[first:end] for first, end in pairwise(ends)]
        made = [gradient(a, b, c, d, f, e.number) for e in outputs]
    elif signature.function is TANGENT:
        (roots,) = signature.attributes
        assert isinstance(roots, int)
        last = (len(inputs) + roots) // 2
        parts = inputs[:roots], inputs[roots:last], inputs[last:]
        made = [tangent(*parts, e.number) for e in outputs]
    else:
        refuse_reading(item)
        template, more = templates.get(item) or (signature.template, ())
        made = [call(template, (*inputs, *more), e.number) for e in outputs]
    if not item.tracked & True and any(i.tracked & True for i in item.inputs):
        made = [detach(node, reverse=True) for node in made]
    return outputs, made


def _with_saved(
    wanted: list[Expression], nodes: dict[Expression, Node], trace: Trace
) -> list[Expression]:
    """The wanted expressions and those whose values a backward from them would read."""
    leaves = [e for e in nodes if e.tracked and (e.call is None or e.leaf is not None)]
    roots = [e for e in wanted if e.tracked]
    # A user's Function stops the compiler: backward goes as far as its results, and on from its
    # inputs.
    results = []
    for item in trace.calls:
        if item.signature.function is CUSTOM:
            roots += [i for i in item.inputs if i.tracked and i not in roots]
            results += [e for e in nodes if e.call is item and e.tracked]
    if not leaves:
        return wanted
    computed = [e for e in nodes if e.call is not None and e not in set(leaves)]
    leaves += results
    seeds = [parameter(_COTANGENT + i, nodes[e].type) for i, e in enumerate(roots)]
    backward = [
        gradient([nodes[e] for e in roots], seeds, [], [], [nodes[e] for e in leaves], i)
        for i in range(len(leaves))
    ]
    try:
        images = expand([*[nodes[e] for e in computed], *backward])
    except NotImplementedError:  # of what has no derivative: backward will say so
        return wanted
    forward = images[: len(computed)]
    found = _read_by_backward(forward, images[len(computed) :], computed)
    chosen = set(wanted) | found
    return sorted(chosen, key=trace.numbers.__getitem__)


def _read_by_backward(
    forward: Sequence[Node], backward: Sequence[Node], computed: Sequence[Expression]
) -> set[Expression]:
    """The expressions nearest below what backward reads of the forward graph."""
    inside = set(topological(forward))
    by_image = {
        image: e
        for image, e in zip(forward, computed, strict=True)
        if image.operation.kind not in _COSTLESS and e.value is None
    }
    for image, e in zip(forward, computed, strict=True):
        made = image  # what is computed may be seen in another shape: a convolution's result is
        while made.operation.name in ("reshape", "permute"):
            made = made.inputs[0]
        if made.operation.kind not in _COSTLESS and e.value is None:
            by_image.setdefault(made, e)
    for image, e in zip(forward, computed, strict=True):
        if image.operation is COMPLEX and e.value is None:  # its parts are read without it
            halves = [h for h in image.inputs if h.operation.kind not in _COSTLESS]
            by_image.update(dict.fromkeys(halves, e))
    stack = [
        source
        for node in topological(backward)
        if node not in inside
        for source in node.inputs
        if source in inside
    ]
    found: set[Expression] = set()
    seen: set[Node] = set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in by_image:
            found.add(by_image[node])
        else:
            stack.extend(node.inputs)
    return found
