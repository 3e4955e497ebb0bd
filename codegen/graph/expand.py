"""Expands derivative and call nodes, inner derivatives first.

In: a graph with call, gradient, tangent, detach and mark nodes. Out: primitive operations alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from codegen.graph.differentiate import cotangents
from codegen.graph.forward import tangents
from codegen.graph.inline import inline, inline_plain_call
from codegen.ir import provenance
from codegen.ir.node import Node, make, rebuild, topological
from codegen.ops.calls import GRADIENT, TANGENT


def expand(roots: Sequence[Node]) -> list[Node]:
    """The roots with every derivative taken and every call inlined."""
    return inline(take_derivatives(roots))


def take_derivatives(roots: Sequence[Node]) -> list[Node]:
    """The roots with every gradient and tangent taken; calls that have a gradient rule stay calls
    where there is a derivative."""
    if any(node.operation in (GRADIENT, TANGENT) for node in topological(roots)):
        return _Derivatives().expand(roots)
    return list(roots)


class _Derivatives:
    """Takes every derivative of a graph, inner ones first.

    Calls with a gradient rule stay whole until every derivative is taken.
    """

    def __init__(self) -> None:
        self.done: dict[Node, Node] = {}
        self.taken: dict[Node, list[Node]] = {}

    def expand(self, roots: Sequence[Node]) -> list[Node]:
        # What came out of an expansion is not walked again: ``done`` knows it as its own image.
        return rebuild(roots, self._expand_node, self.done)

    def _expand_node(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.operation not in (GRADIENT, TANGENT):
            result = inline_plain_call(node, inputs)
        else:
            result = self._take(inputs, node)
        self.done[node] = self.done[result] = result
        return result

    def _take(self, inputs: tuple[Node, ...], node: Node) -> Node:
        *counts, number = node.attributes
        assert isinstance(number, int)
        # One transform serves every output of a derivative: they differ in the last number.
        key = make(node.operation, inputs, (*counts, 0))
        if key not in self.taken:
            origins = provenance.state.active
            with origins.on_behalf_of(node) if origins is not None else nullcontext():
                found = _gradient(inputs, node) if node.operation is GRADIENT else (
                    _tangent(inputs, node)
                )  # fmt: skip
                # Gradient rules may be written with calls.
                self.taken[key] = rebuild(found, inline_plain_call, self.done)
        return self.taken[key][number]


def _gradient(inputs: tuple[Node, ...], node: Node) -> list[Node]:
    roots, replaced, _ = node.attributes
    assert isinstance(roots, int) and isinstance(replaced, int)
    ends = [0, roots, 2 * roots, 2 * roots + replaced, 2 * roots + 2 * replaced]
    parts = [inputs[a:b] for a, b in zip(ends, [*ends[1:], None], strict=True)]
    overrides = dict(zip(parts[2], parts[3], strict=True))
    return cotangents(parts[0], parts[1], overrides, parts[4])


def _tangent(inputs: tuple[Node, ...], node: Node) -> list[Node]:
    roots, _ = node.attributes
    assert isinstance(roots, int)
    sources = (len(inputs) - roots) // 2
    given = dict(zip(inputs[roots : roots + sources], inputs[roots + sources :], strict=True))
    return tangents(inputs[:roots], given)
