"""Reverse-mode differentiation as a graph-to-graph transform.

In: a graph, with calls that have a gradient rule, detach and mark nodes. Out: the cotangents of
some of its nodes, as a graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from codegen.ir import provenance
from codegen.ir.node import Node, substitute, topological
from codegen.ops import elementwise as ew
from codegen.ops.calls import CALL, DETACH, MARK, Template, call
from codegen.ops.complex_numbers import accumulated
from codegen.ops.leaves import parameter
from codegen.ops.loop import LOOP, unrolled


def cotangents(
    roots: Sequence[Node],
    seeds: Sequence[Node],
    replaced: dict[Node, Node],
    targets: Sequence[Node],
) -> list[Node]:
    """Reverse-mode: the cotangents of ``targets`` given ``seeds``, those of the roots."""
    order = topological(roots)
    active = _active_nodes(order, set(targets))
    total: dict[Node, Node] = {}

    def accumulate(node: Node, cotangent: Node) -> None:
        before = total.get(node)
        total[node] = cotangent if before is None else accumulated(before, cotangent)

    for root, seed in zip(roots, seeds, strict=True):
        accumulate(root, seed)
    groups = _call_groups(order)
    marked = _marked(order)
    for node in reversed(order):
        if node in replaced:
            total[node] = replaced[node]
        if node not in active:
            continue
        if node.operation is LOOP and node in total:
            for source, cotangent in _loop_gradient(node, total[node], active):
                _note_origin(node, cotangent)
                accumulate(source, cotangent)
            continue
        if node.operation.gradient is None:
            continue
        if node.operation is CALL:
            group = groups[node.attributes[0], node.inputs]
            # All outputs of a call are differentiated together, when the last of them is known.
            if node is group[0] and any(output in total for output in group):
                _call_gradient(group, total, active, accumulate, marked)
        elif node in total:
            parts = _operation_gradient(node, total[node], marked)
            for source, part in zip(node.inputs, parts, strict=True):
                if part is not None and source in active:
                    _note_origin(node, part)
                    accumulate(source, part)
    return [total.get(target) or ew.full_like(target, 0) for target in targets]


def _loop_gradient(node: Node, cotangent: Node, active: set[Node]) -> list[tuple[Node, Node]]:
    """The active inputs of a loop, each with its cotangent: those of the loop unrolled."""
    # Over parameters of its own, for an input may be computed from another.
    inner = [parameter(-1 - i, x.type) for i, x in enumerate((*node.inputs, cotangent))]
    wanted = [i for i, x in enumerate(node.inputs) if x in active]
    root = unrolled(node, inner[:-1])
    found = cotangents([root], [inner[-1]], {}, [inner[i] for i in wanted])
    mapping = dict(zip(inner, (*node.inputs, cotangent), strict=True))
    return list(zip([node.inputs[i] for i in wanted], substitute(found, mapping), strict=True))


def _active_nodes(order: Sequence[Node], targets: set[Node]) -> set[Node]:
    """The nodes through which a gradient reaches a target."""
    active: set[Node] = set()
    for node in order:
        flows = (
            node.operation is not DETACH
            and node.dtype.differentiable
            and any(i in active for i in node.inputs)
        )
        if node in targets or flows:
            active.add(node)
    return active


def _marked(order: Sequence[Node]) -> dict[Node, Node]:
    """The marks of values that have one. What a gradient reads of its own output it reads through
    that, by which it may be differentiated again."""
    marks = [node for node in order if node.operation is MARK]
    values = Counter([node.inputs[0] for node in marks])
    return {node.inputs[0]: node for node in marks if values[node.inputs[0]] == 1}


def _operation_gradient(
    node: Node, cotangent: Node, marked: dict[Node, Node]
) -> Sequence[Node | None]:
    rule = node.operation.gradient
    assert rule is not None
    mark = marked.get(node)
    if mark is None:
        return rule(node, cotangent)
    seed = parameter(-1, cotangent.type)
    parts = rule(node, seed)
    # Over what is written here alone: inputs and cotangent stay as they are.
    mapping = {node: mark, seed: cotangent, **{i: i for i in node.inputs}}
    found = iter(substitute([p for p in parts if p is not None], mapping))
    return [None if p is None else next(found) for p in parts]


def _call_groups(order: Sequence[Node]) -> dict[tuple[object, tuple[Node, ...]], list[Node]]:
    groups: dict[tuple[object, tuple[Node, ...]], list[Node]] = {}
    for node in order:
        if node.operation is CALL:
            groups.setdefault((node.attributes[0], node.inputs), []).append(node)
    return groups


def _call_gradient(
    group: Sequence[Node],
    total: dict[Node, Node],
    active: set[Node],
    accumulate: Callable[[Node, Node], None],
    marked: dict[Node, Node],
) -> None:
    template = group[0].attributes[0]
    assert isinstance(template, Template) and template.gradient is not None
    inputs = group[0].inputs
    outputs = [call(template, inputs, i) for i in range(len(template.outputs))]
    arrived = [total.get(o) for o in outputs]
    parts = template.gradient(inputs, [marked.get(o, o) for o in outputs], arrived)
    for source, part in zip(inputs, parts, strict=True):
        if part is not None and source in active:
            _note_origin(group[0], part)
            accumulate(source, part)


def _note_origin(node: Node, cotangent: Node) -> None:
    origins = provenance.state.active
    if origins is not None:
        origins.inherit(node, cotangent, node.inputs)
