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
from codegen.ops.leaves import parameter
from codegen.ops.loop import LOOP, unrolled


def expand(roots: Sequence[Node]) -> list[Node]:
    """The roots with every gradient taken and every call inlined."""
    if any(node.operation is GRADIENT for node in topological(roots)):
        roots = _GradientExpansion().expand(roots)
    return inline(roots)


def inline(roots: Sequence[Node]) -> list[Node]:
    """The roots with every call replaced by its template's graph, and marks dropped."""
    return rebuild(roots, _inline_node)


def _inline_node(node: Node, inputs: tuple[Node, ...]) -> Node:
    if node.operation is CALL:
        return _instantiate(node, inputs, keep_rules=False)
    if node.operation.kind == "mark":
        return inputs[0]
    return same(node, inputs)


def _instantiate(node: Node, inputs: Sequence[Node], keep_rules: bool) -> Node:
    """A call's output over these inputs. With ``keep_rules``, calls inside that have a gradient
    rule of their own stay calls."""
    template, number = node.attributes
    assert isinstance(template, Template) and isinstance(number, int)
    # A template's nodes may be the graph's own, of another line: its lines are not to be inherited.
    origins, provenance.state.active = provenance.state.active, None
    try:
        flat = template.flat.get(keep_rules)
        if flat is None:
            change = _inline_plain_call if keep_rules else _inline_node
            flat = template.flat[keep_rules] = tuple(rebuild(template.outputs, change))
        mapping = dict(zip(template.parameters, inputs, strict=True))
        return substitute([flat[number]], mapping)[0]
    finally:
        provenance.state.active = origins


def inline_plain_calls(roots: Sequence[Node]) -> list[Node]:
    """The roots with every call inlined that has no gradient rule of its own."""
    return rebuild(roots, _inline_plain_call)


def _inline_plain_call(node: Node, inputs: tuple[Node, ...]) -> Node:
    """A node with a call inlined unless it has a gradient rule of its own."""
    if node.operation is CALL:
        template = node.attributes[0]
        assert isinstance(template, Template)
        if template.gradient is None:
            return _instantiate(node, inputs, keep_rules=True)
    return same(node, inputs)


class _GradientExpansion:
    """Takes every gradient of a graph, inner ones first.

    Calls with a gradient rule stay whole until every gradient is taken.
    """

    def __init__(self) -> None:
        self.done: dict[Node, Node] = {}
        self.taken: dict[Node, list[Node]] = {}

    def expand(self, roots: Sequence[Node]) -> list[Node]:
        # What came out of an expansion is not walked again: ``done`` knows it as its own image.
        return rebuild(roots, self._expand_node, self.done)

    def _expand_node(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.operation is not GRADIENT:
            result = _inline_plain_call(node, inputs)
        else:
            result = self._take(inputs, node)
        self.done[node] = self.done[result] = result
        return result

    def _take(self, inputs: tuple[Node, ...], node: Node) -> Node:
        roots, replaced, number = node.attributes
        assert isinstance(roots, int) and isinstance(replaced, int) and isinstance(number, int)
        # One transform serves every output of the same gradient: they differ in the last number.
        key = make(GRADIENT, inputs, (roots, replaced, 0))
        if key not in self.taken:
            ends = [0, roots, 2 * roots, 2 * roots + replaced, 2 * roots + 2 * replaced]
            parts = [inputs[a:b] for a, b in zip(ends, [*ends[1:], None], strict=True)]
            overrides = dict(zip(parts[2], parts[3], strict=True))
            origins = provenance.state.active
            with origins.on_behalf_of(node) if origins is not None else nullcontext():
                found = cotangents(parts[0], parts[1], overrides, parts[4])
                # Gradient rules may be written with calls.
                self.taken[key] = rebuild(found, _inline_plain_call, self.done)
        return self.taken[key][number]


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
                _call_gradient(group, total, active, accumulate)
        elif node in total:
            parts = node.operation.gradient(node, total[node])
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
