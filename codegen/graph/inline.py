"""Puts the graphs of templates in the places of their calls.

In: a graph with calls. Out: primitive operations alone, or with calls that have a gradient rule.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.ir import provenance
from codegen.ir.node import Node, rebuild, same, substitute
from codegen.ops.calls import CALL, MARK, Template


def inline(roots: Sequence[Node]) -> list[Node]:
    """The roots with every call replaced by its template's graph, and marks dropped."""
    return rebuild(roots, _inline_node)


def inline_plain(roots: Sequence[Node]) -> list[Node]:
    """The roots with marks dropped, and calls replaced but for those with a gradient rule."""

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        return inputs[0] if node.operation is MARK else inline_plain_call(node, inputs)

    return rebuild(roots, change)


def _inline_node(node: Node, inputs: tuple[Node, ...]) -> Node:
    if node.operation is CALL:
        return instantiate(node, inputs, keep_rules=False)
    if node.operation.kind == "mark":
        return inputs[0]
    return same(node, inputs)


def instantiate(node: Node, inputs: Sequence[Node], keep_rules: bool) -> Node:
    """A call's output over these inputs. With ``keep_rules``, calls inside that have a gradient
    rule of their own stay calls."""
    template, number = node.attributes
    assert isinstance(template, Template) and isinstance(number, int)
    # A template's nodes may be the graph's own, of another line: its lines are not to be inherited.
    origins, provenance.state.active = provenance.state.active, None
    try:
        flat = template.flat.get(keep_rules)
        if flat is None:
            change = inline_plain_call if keep_rules else _inline_node
            flat = template.flat[keep_rules] = tuple(rebuild(template.outputs, change))
        mapping = dict(zip(template.parameters, inputs, strict=True))
        return substitute([flat[number]], mapping)[0]
    finally:
        provenance.state.active = origins


def inline_plain_call(node: Node, inputs: tuple[Node, ...]) -> Node:
    """A node with a call inlined unless it has a gradient rule of its own."""
    if node.operation is CALL:
        template = node.attributes[0]
        assert isinstance(template, Template)
        if template.gradient is None:
            return instantiate(node, inputs, keep_rules=True)
    return same(node, inputs)
