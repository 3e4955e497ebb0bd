"""Puts the graphs of templates in the places of their calls.

In: a graph with calls. Out: primitive operations alone, or with calls that have a gradient rule.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.ir import provenance
from codegen.ir.node import Node, make, rebuild, same, topological
from codegen.ops.calls import CALL, MARK, Steps, Template


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
    steps = template.steps.get((number, keep_rules))
    if steps is None:
        steps = template.steps[number, keep_rules] = _steps(template, number, keep_rules)
    values = [*inputs, *steps.constants]
    for operation, places, attributes in steps.made:
        values.append(make(operation, tuple([values[i] for i in places]), attributes))
    return values[steps.output]


def _steps(template: Template, number: int, keep_rules: bool) -> Steps:
    # A template's nodes may be the graph's own, of another line: its lines are not to be inherited.
    origins, provenance.state.active = provenance.state.active, None
    try:
        change = inline_plain_call if keep_rules else _inline_node
        (root,) = rebuild([template.outputs[number]], change)
    finally:
        provenance.state.active = origins
    parameters = template.parameters
    order = topological([root])
    varying = set(parameters)
    for n in order:
        if not varying.isdisjoint(n.inputs):
            varying.add(n)
    rest = [n for n in order if n in varying and n not in parameters]
    read = {i for n in rest for i in n.inputs}
    constants = [n for n in order if n not in varying and (n in read or n is root)]
    places = {n: i for i, n in enumerate([*parameters, *constants, *rest])}
    made = [(n.operation, tuple([places[i] for i in n.inputs]), n.attributes) for n in rest]
    return Steps(tuple(constants), tuple(made), places[root])


def inline_plain_call(node: Node, inputs: tuple[Node, ...]) -> Node:
    """A node with a call inlined unless it has a gradient rule of its own."""
    if node.operation is CALL:
        template = node.attributes[0]
        assert isinstance(template, Template)
        if template.gradient is None:
            return instantiate(node, inputs, keep_rules=True)
    return same(node, inputs)
