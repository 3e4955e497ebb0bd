"""The passes over a graph of nodes, applied one after another: each leaves a record of itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from codegen import settings, spans
from codegen.graph.verify import verify_graph
from codegen.ir import provenance
from codegen.ir.node import Node, topological
from codegen.ir.printer import format_graph

Pass = Callable[[Sequence[Node]], list[Node]]


@dataclass(frozen=True)
class AppliedPass:
    """What one pass made of one graph.

    Nodes are interned, so a node that a pass left alone is the same object before and after.
    ``replaced`` says what took the place of a node that is gone, as far as the pass rewrote node
    by node; it is followed only while lines are (``provenance``), because it costs as much.
    """

    name: str
    before: tuple[Node, ...]
    after: tuple[Node, ...]
    replaced: Mapping[Node, Node] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return self.before != self.after

    @property
    def added(self) -> list[Node]:
        """The nodes that were not there before, inputs first."""
        known = set(topological(self.before))
        return [n for n in topological(self.after) if n not in known]

    @property
    def removed(self) -> list[Node]:
        """The nodes that are there no more, inputs first."""
        kept = set(topological(self.after))
        return [n for n in topological(self.before) if n not in kept]


class Passes:
    """A graph on its way through the passes, and the record of those that it has been through.

    ``called``: what the outputs were before gradients were expanded, if that was kept.
    """

    def __init__(self, outputs: Sequence[Node], called: Sequence[Node] = ()) -> None:
        self.outputs = list(outputs)
        self.applied: list[AppliedPass] = []
        if called:
            self.applied.append(AppliedPass("expand", tuple(called), tuple(outputs)))
        self._verifying = settings.get("LAZYTORCH_VERIFY") != "0"
        self._debug = settings.debug_level()
        if self._debug >= 3:
            _print("expand", format_graph(self.outputs))

    def apply(self, name: str, apply_pass: Pass) -> list[Node]:
        """Apply a pass; the outputs after it."""
        before, origins = tuple(self.outputs), provenance.state.active
        if origins is not None:
            origins.replaced = {}
        began = spans.now() if spans.listeners else 0
        self.outputs = apply_pass(before)
        if began:
            spans.note(name, "pass", began)
        replaced = {} if origins is None else _settled(origins.replaced, self.outputs)
        self.applied.append(AppliedPass(name, before, tuple(self.outputs), replaced))
        if self._verifying:
            verify_graph(self.outputs)
        if self._debug >= 4:
            _print(name, format_change(self.applied[-1]))
        return self.outputs

    def finish(self) -> list[Node]:
        """The outputs, after the last pass."""
        if self._debug == 3:
            _print(self.applied[-1].name, format_graph(self.outputs))
        return self.outputs


def _settled(replaced: Mapping[Node, Node], outputs: Sequence[Node]) -> dict[Node, Node]:
    """For each node that is gone, the node of the finished graph that stands for it: a pass may
    have rewritten it several times on the way."""
    kept = set(topological(outputs))
    found = {}
    for source in replaced:
        node, seen = source, {source}
        while node not in kept and node in replaced and replaced[node] not in seen:
            node = replaced[node]
            seen.add(node)
        if node in kept and source not in kept:
            found[source] = node
    return found


def format_change(step: AppliedPass) -> str:
    """The graph after a pass, new nodes marked with ``+``, and below it with ``-`` what is gone."""
    if not step.changed:
        return "(unchanged)"
    added, removed = set(step.added), set(step.removed)
    lines = [
        f"{'+' if node in added else ' '} {line}"
        for node, line in zip(
            [*topological(step.after), None], format_graph(step.after).splitlines(), strict=True
        )
    ]
    for node, line in zip(
        topological(step.before), format_graph(step.before).splitlines(), strict=False
    ):
        if node in removed:
            lines.append(f"- {line}")
    return "\n".join(lines)


def _print(name: str, text: str) -> None:
    print(f"-- after {name}\n{text}", file=sys.stderr)
