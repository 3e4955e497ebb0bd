"""Causal masks: what is known of matrices "beyond", in the part of each row where the column's
number is greater than the row's."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.graph.explain import computed_nodes
from codegen.graph.fuse import Cluster, Fusion, real_extents
from codegen.ir.node import Node, topological
from codegen.ops.leaves import constant_value


def value_beyond(root: Node) -> float | None:
    """The one value that a node has everywhere beyond, if it has; but for rows that are not
    numbers (their maximum is NaN, say), in which no element is."""
    known: dict[Node, float | None] = {}
    for node in topological([root], stop=lambda n: n.operation.kind == "reduce"):
        known[node] = _value_beyond(node, [known.get(i) for i in node.inputs])
    return known[root]


def _value_beyond(node: Node, values: list[float | None]) -> float | None:
    name = node.operation.name
    if name == "constant":
        value = constant_value(node)
        return float(value) if isinstance(value, int | float) else None
    if name == "where":
        return values[2] if _is_mask(node.inputs[0]) or values[1] == values[2] else None
    if name in ("cast", "again", "kept") or is_reshape_of_ones(node):
        return values[0]
    if name == "broadcast":  # only what repeats a constant keeps every element in its place
        return values[0] if constant_value(node.inputs[0]) is not None else None
    if name == "sub" and values[0] == -float("inf"):
        return values[0] if _is_row_maximum(node.inputs[1], node.inputs[0]) else None
    if name == "exp" and values[0] == -float("inf"):
        return 0.0
    if (name in ("mul", "div") and values[0] == 0) or (name == "mul" and values[1] == 0):
        return 0.0
    return None


def is_reshape_of_ones(node: Node) -> bool:
    return node.operation.name == "reshape" and real_extents(node.shape) == real_extents(
        node.inputs[0].shape
    )


def _is_mask(condition: Node) -> bool:
    """Whether a condition is false everywhere beyond, and true elsewhere: row >= column."""
    if condition.operation.name != "ge":
        return False
    last = len(condition.shape) - 1
    return all(
        [
            node.operation.name == "broadcast"
            and node.inputs[0].operation.name == "iota"
            and node.attributes[1] == (axis,)
            for node, axis in zip(condition.inputs, (last - 1, last), strict=True)
        ]
    )


def _is_row_maximum(node: Node, values: Node) -> bool:
    """Whether a value is the maximum of ``values``, or a constant instead of it."""
    while node.operation.name in ("broadcast", "reshape", "where"):
        if node.operation.name == "where":
            node = next((n for n in node.inputs[1:] if constant_value(n) is None), node.inputs[1])
        else:
            node = node.inputs[0]
    return node.operation.name == "max" and node.inputs[0] is values


def is_guarded(scores: Node, middle: Cluster, fusion: Fusion) -> bool:
    """Whether nothing depends on what the scores are beyond."""
    members = set(middle.nodes)
    exposed = {scores}
    for node in computed_nodes(middle, fusion):
        if not exposed.intersection(node.inputs):
            continue
        guards = node.operation.name == "where" and _is_mask(node.inputs[0])
        if guards and node.inputs[2] not in exposed:
            continue
        if node in members:
            return False
        exposed.add(node)
    return True


def ends_with_neutral(nodes: Sequence[Node]) -> bool:
    """Whether the reductions among these nodes would find nothing beyond that changes them."""
    neutral = {"sum": 0.0, "max": -float("inf")}
    return all(
        [
            value_beyond(node.inputs[0]) == neutral.get(node.operation.name, "none")
            for node in nodes
            if node.operation.kind == "reduce"
        ]
    )
