"""Expands gradient and call nodes: reverse-mode differentiation as a graph-to-graph transform.

In: a graph with call, gradient, detach and mark nodes. Out: primitive operations alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

from codegen.ir import provenance
from codegen.ir.node import Node, make, rebuild, same, substitute, topological
from codegen.ops import elementwise as ew
from codegen.ops.calls import CALL, DETACH, GRADIENT, Template, call


def expand(roots: Sequence[Node]) -> list[Node]:
    """The roots with every gradient taken and every call inlined."""
    if any(node.operation is GRADIENT for node in topological(roots)):
        # Calls that have a gradient rule of their own stay whole until every gradient is taken.
        memo: dict[Node, list[Node]] = {}
        roots = rebuild(roots, lambda node, inputs: _expand_node(node, inputs, memo))
    return inline(roots)


def inline(roots: Sequence[Node]) -> list[Node]:
    """The roots with every call replaced by its template's graph, and marks dropped."""
    return rebuild(roots, _inline_node)


def _inline_node(node: Node, inputs: tuple[Node, ...]) -> Node:
    if node.operation is CALL:
        template, number = node.attributes
        assert isinstance(template, Template) and isinstance(number, int)
        (output,) = instantiate(template, inputs, [template.outputs[number]])
        return inline([output])[0]
    if node.operation.kind == "mark":
        return inputs[0]
    return same(node, inputs)


def instantiate(
    template: Template, inputs: Sequence[Node], outputs: Sequence[Node] | None = None
) -> list[Node]:
    """A template's outputs over these inputs."""
    mapping = dict(zip(template.parameters, inputs, strict=True))
    chosen = template.outputs if outputs is None else outputs
    return substitute(chosen, mapping) if mapping else list(chosen)


def _expand_node(node: Node, inputs: tuple[Node, ...], memo: dict[Node, list[Node]]) -> Node:
    if node.operation is CALL:
        template, number = node.attributes
        assert isinstance(template, Template) and isinstance(number, int)
        if template.gradient is not None:
            return call(template, inputs, number)
        (output,) = instantiate(template, inputs, [template.outputs[number]])
        return rebuild([output], lambda n, i: _expand_node(n, i, memo))[0]
    if node.operation is not GRADIENT:
        return same(node, inputs)
    roots, replaced, number = node.attributes
    assert isinstance(roots, int) and isinstance(replaced, int) and isinstance(number, int)
    # One transform serves every output of the same gradient: they differ in the last number.
    key = make(GRADIENT, inputs, (roots, replaced, 0))
    if key not in memo:
        ends = [roots, 2 * roots, 2 * roots + replaced, 2 * roots + 2 * replaced]
        parts = [inputs[a:b] for a, b in zip([0, *ends], [*ends, None], strict=True)]
        origins = provenance.state.active
        with origins.on_behalf_of(node) if origins is not None else nullcontext():
            memo[key] = cotangents(
                parts[0], parts[1], dict(zip(parts[2], parts[3], strict=True)), parts[4]
            )
    result = memo[key][number]
    return rebuild([result], lambda n, i: _expand_node(n, i, memo))[0]


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
        total[node] = cotangent if before is None else ew.add(before, cotangent)

    for root, seed in zip(roots, seeds, strict=True):
        accumulate(root, seed)
    groups = _call_groups(order)
    for node in reversed(order):
        if node in replaced:
            total[node] = replaced[node]
        if node not in active or node.operation.gradient is None:
            continue
        if node.operation is CALL:
            group = groups[node.attributes[0], node.inputs]
            # All outputs of a call are differentiated together, when the last of them is known.
            if node is group[0] and any(output in total for output in group):
                _call_gradient(group, total, active, accumulate)
        elif node in total:
            parts = node.operation.gradient(node, total[node])
            for source, part in zip(node.inputs, parts, strict=True):
                if part is not None and source in active:
                    _note_origin(node, part)
                    accumulate(source, part)
    return [total.get(target) or ew.full_like(target, 0) for target in targets]


def _active_nodes(order: Sequence[Node], targets: set[Node]) -> set[Node]:
    """The nodes through which a gradient reaches a target."""
    active: set[Node] = set()
    for node in order:
        flows = (
            node.operation is not DETACH
            and node.dtype.is_floating_point
            and any(i in active for i in node.inputs)
        )
        if node in targets or flows:
            active.add(node)
    return active


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
) -> None:
    template = group[0].attributes[0]
    assert isinstance(template, Template) and template.gradient is not None
    inputs = group[0].inputs
    outputs = [call(template, inputs, i) for i in range(len(template.outputs))]
    parts = template.gradient(inputs, outputs, [total.get(o) for o in outputs])
    for source, part in zip(inputs, parts, strict=True):
        if part is not None and source in active:
            _note_origin(group[0], part)
            accumulate(source, part)


def _note_origin(node: Node, cotangent: Node) -> None:
    origins = provenance.state.active
    if origins is not None:
        origins.inherit(node, cotangent, node.inputs)
