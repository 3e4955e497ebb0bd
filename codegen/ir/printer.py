"""Graphs as text: a line a node, numbered in the order in which they can be computed."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.ir.node import Node, topological


def format_graph(roots: Sequence[Node]) -> str:
    """One line a node: its number, type, operation, inputs and attributes."""
    order = topological(roots)
    numbers = {node: i for i, node in enumerate(order)}
    lines = []
    for node in order:
        inputs = ", ".join([f"%{numbers[i]}" for i in node.inputs])
        attributes = "".join([f" {a!r}" for a in node.attributes])
        lines.append(f"%{numbers[node]} = {node.operation.name}({inputs}){attributes}  {node.type}")
    lines.append("return " + ", ".join([f"%{numbers[r]}" for r in roots]))
    return "\n".join(lines)
