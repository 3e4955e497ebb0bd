"""Forward-mode differentiation as a graph-to-graph transform.

In: a graph and the tangents of some of its nodes. Out: the tangents of its roots, as a graph.

What an element-wise operation's gradient gives each input for a cotangent g is g times a number
for each element, so the same rule pushes a tangent forward. Every other gradient is linear in g,
and its transpose, which is its own gradient with respect to g, is the derivative it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from codegen.graph.differentiate import cotangents
from codegen.graph.inline import inline_plain
from codegen.ir.node import Node, make, substitute, topological
from codegen.ops import elementwise as ew
from codegen.ops.calls import CALL, DETACH, MARK, Template, call
from codegen.ops.complex_numbers import AS_REAL, COMPLEX, IMAG, REAL
from codegen.ops.indexing import EMPTY, scatter, write
from codegen.ops.leaves import parameter
from codegen.ops.loop import LOOP, LoopBody
from codegen.ops.reduction import logcumsumexp

# Numbers of the parameters that stand for cotangents, and for all else that a gradient rule
# reads, while it is transposed.
_COTANGENT, _LOCAL = -(1 << 20), -(1 << 21)
# Linear, but not times a number.
_LINEAR = (COMPLEX, REAL, IMAG, AS_REAL)


def tangents(roots: Sequence[Node], given: dict[Node, Node]) -> list[Node]:
    """How the roots change as the nodes of ``given`` change by the tangents that it maps to."""
    return [
        t if t is not None else ew.full_like(root, 0)
        for root, t in zip(roots, _pushed(roots, given), strict=True)
    ]


def _pushed(roots: Sequence[Node], given: dict[Node, Node]) -> list[Node | None]:
    """The tangents of the roots; None where they do not depend on the given nodes."""
    known: dict[Node, Node] = dict(given)
    calls: dict[tuple[Template, tuple[Node, ...]], list[Node | None]] = {}
    for node in topological(roots):
        if node in known or not node.dtype.differentiable:
            continue
        parts = [known.get(i) for i in node.inputs]
        if not any(parts):
            continue
        if node.operation is CALL:
            template, number = node.attributes
            assert isinstance(template, Template) and isinstance(number, int)
            if (template, node.inputs) not in calls:
                calls[template, node.inputs] = _through_call(template, node.inputs, parts)
            result = calls[template, node.inputs][number]
        else:
            result = _through(node, parts)
        if result is not None:
            known[node] = result
    return [known.get(root) for root in roots]


def _through(node: Node, parts: Sequence[Node | None]) -> Node | None:
    """A node's tangent, given those of its inputs."""
    operation, first = node.operation, parts[0]
    if operation is DETACH:
        return first if node.attributes[0] else None
    if operation is MARK:
        return first
    if operation is LOOP:
        return _through_loop(node, parts)
    if operation in _LINEAR:
        changes = [p or ew.full_like(x, 0) for p, x in zip(parts, node.inputs, strict=True)]
        return make(operation, tuple(changes), ())
    if operation.name == "write":
        return _through_write(node, parts)
    if operation.name == "scatter" and node.attributes[0] in ("add", "set"):
        base, index, updates = node.inputs
        mode, axis = cast(tuple[str, int], node.attributes)
        changed = parts[2] or ew.full_like(updates, 0)
        return scatter(first or ew.full_like(base, 0), index, changed, mode, axis)
    if operation.name == "logcumsumexp":
        # The average of the tangents, by weights exp(x): it is positive and negative parts apart.
        assert first is not None
        return _weighted_average(node, first)
    if operation.name == "cast":
        assert first is not None
        return ew.cast(first, node.dtype)
    if operation.gradient is None:
        return None
    found = [
        _through_input(node, number, part) for number, part in enumerate(parts) if part is not None
    ]
    return _total([part for part in found if part is not None])


def _through_input(node: Node, number: int, tangent: Node) -> Node | None:
    rule = node.operation.gradient
    assert rule is not None
    if node.operation.kind == "elementwise":
        return rule(node, tangent)[number]
    # Over parameters of its own: what the node is computed from does not matter.
    inputs = [parameter(_LOCAL - i, x.type) for i, x in enumerate(node.inputs)]
    cotangent, seed = parameter(_COTANGENT, node.type), parameter(_LOCAL + 1, tangent.type)
    part = rule(make(node.operation, tuple(inputs), node.attributes), cotangent)[number]
    if part is None:
        return None
    found = _transposed([part], [seed], [cotangent])
    mapping = dict(zip((*inputs, seed), (*node.inputs, tangent), strict=True))
    return substitute(found, mapping)[0]


def _transposed(parts: Sequence[Node], seeds: Sequence[Node], of: Sequence[Node]) -> list[Node]:
    """The transpose of ``parts``, which are linear in the parameters ``of``, applied to seeds."""
    found = cotangents(parts, seeds, {}, of)
    return substitute(found, {c: ew.full_like(c, 0) for c in of})


def _through_call(
    template: Template, inputs: tuple[Node, ...], parts: Sequence[Node | None]
) -> list[Node | None]:
    """The tangents of a call's outputs: its gradient rule transposed."""
    assert template.gradient is not None
    outputs = [call(template, inputs, i) for i in range(len(template.outputs))]
    actual = (*inputs, *outputs, *[t for t in parts if t is not None])
    local = [parameter(_LOCAL - i, x.type) for i, x in enumerate(actual)]
    own_inputs, own_outputs = local[: len(inputs)], local[len(inputs) : len(inputs) + len(outputs)]
    seen = [
        parameter(_COTANGENT - i, o.type) if o.dtype.differentiable else None
        for i, o in enumerate(outputs)
    ]
    pulled = template.gradient(own_inputs, own_outputs, seen)
    seeds = iter(local[len(inputs) + len(outputs) :])
    pairs = [(part, next(seeds)) for part, t in zip(pulled, parts, strict=True) if t is not None]
    chosen = [(part, seed) for part, seed in pairs if part is not None]
    if not chosen:
        return [None] * len(outputs)
    wanted = [c for c in seen if c is not None]
    flat = inline_plain([part for part, _ in chosen])
    found = _transposed(flat, [seed for _, seed in chosen], wanted)
    images = iter(substitute(found, dict(zip(local, actual, strict=True))))
    return [None if c is None else next(images) for c in seen]


def _through_write(node: Node, parts: Sequence[Node | None]) -> Node:
    base, value = node.inputs
    starts, steps = cast(tuple[tuple[int, ...], tuple[int, ...]], node.attributes)
    into = parts[0] or (base if base.operation is EMPTY else ew.full_like(base, 0))
    return write(into, parts[1] or ew.full_like(value, 0), starts, steps)


def _weighted_average(node: Node, tangent: Node) -> Node:
    """Along an axis, sum of exp(x) t over sum of exp(x), in logarithms."""
    (x,) = node.inputs
    (axis,) = cast(tuple[int], node.attributes)
    nothing, zero = ew.full_like(x, -1e30), ew.full_like(x, 0)

    def part(signed: Node) -> Node:
        positive = ew.gt(signed, zero)
        logarithm = ew.where(
            positive, ew.log(ew.where(positive, signed, ew.full_like(x, 1))), nothing
        )
        return ew.exp(ew.sub(logcumsumexp(ew.add(logarithm, x), axis), node))

    return ew.sub(part(tangent), part(ew.neg(tangent)))


def _through_loop(node: Node, parts: Sequence[Node | None]) -> Node | None:
    """A loop's tangent: the output of a loop that carries the tangents of its states along."""
    body, number = node.attributes
    assert isinstance(body, LoopBody) and isinstance(number, int)
    first, last = body.sequences, body.sequences + body.states
    groups = (range(first), range(first, last), range(last, len(parts)))
    parameters: list[Node] = []
    inputs: list[Node] = []
    renamed: dict[Node, Node] = {}
    given: dict[Node, Node] = {}
    counts = []
    for group in groups:
        before = len(parameters)
        for i in group:
            renamed[body.parameters[i]] = parameter(len(parameters), body.parameters[i].type)
            parameters.append(renamed[body.parameters[i]])
            inputs.append(node.inputs[i])
        for i in group:
            part = parts[i]
            if part is None and i in groups[1] and node.inputs[i].dtype.differentiable:
                part = ew.full_like(node.inputs[i], 0)
            if part is not None:
                value = renamed[body.parameters[i]]
                given[value] = parameter(len(parameters), value.type)
                parameters.append(given[value])
                inputs.append(part)
        counts.append(len(parameters) - before)
    outputs = substitute(body.outputs, renamed)
    found = tangents(outputs, given)
    states = [t for i, t in enumerate(found[: body.states])
              if renamed[body.parameters[first + i]] in given]  # fmt: skip
    wanted = found[number]
    dual = LoopBody(
        tuple(parameters), (*outputs[: body.states], *states, wanted), counts[0], counts[1],
        body.steps, body.reverse,
    )  # fmt: skip
    return make(LOOP, tuple(inputs), (dual, len(dual.outputs) - 1))


def _total(parts: Sequence[Node]) -> Node | None:
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = ew.add(total, part)
    return total
