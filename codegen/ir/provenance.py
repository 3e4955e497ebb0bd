"""Which user lines a node came from: kept beside the graph, and only while somebody asks.

Nodes are interned and have no place for it: equal expressions of two lines are one node. Whoever
builds or rewrites a graph (``rebuild``, the importer, ``cotangents``) tells the active ``Origins``
what it made out of what.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from codegen import settings

if TYPE_CHECKING:
    from codegen.ir.node import Node

Lines = tuple[str, ...]


class Origins:
    """The user lines (``file:line``) of the nodes of one graph, through all its passes."""

    def __init__(self) -> None:
        self._lines: dict[Node, Lines] = {}
        self._context: Lines = ()
        self.outputs: list[Lines] = []  # of each output, for copies that are made of them
        self.replaced: dict[Node, Node] = {}  # what the current pass put in the place of what

    def of(self, node: Node) -> Lines:
        return self._lines.get(node, ())

    def claim(self, made: Node, lines: Lines, inputs: Collection[Node]) -> None:
        """Say that these lines made ``made`` and whatever is new between it and ``inputs``."""
        if not lines:
            return
        if made in self._lines and made not in inputs:
            before = self._lines[made]
            self._lines[made] = (*before, *[x for x in lines if x not in before])
            return
        stack = [made]
        while stack:
            node = stack.pop()
            if node not in self._lines and node not in inputs and node.operation.kind != "leaf":
                self._lines[node] = lines
                stack.extend(node.inputs)

    def inherit(self, source: Node, made: Node, inputs: Collection[Node]) -> None:
        """Say that ``made`` over ``inputs`` took the place of ``source``, or came of it."""
        if made is not source:
            self.replaced[source] = made
            own = self.of(source)
            self.claim(made, (*own, *[x for x in self._context if x not in own]), inputs)

    @contextmanager
    def on_behalf_of(self, node: Node) -> Iterator[None]:
        """What is made inside also came from this node's lines: those of a backward()."""
        before = self._context
        self._context = (*before, *[x for x in self.of(node) if x not in before])
        try:
            yield
        finally:
            self._context = before


class _State:
    """``wanted`` counts those who ask for the lines of every plan that is made."""

    active: Origins | None = None
    wanted: int = int(settings.debug_level() >= 1)


state = _State()


@contextmanager
def recording() -> Iterator[Origins]:
    """Follow the lines of every graph that is built or rewritten inside."""
    before = state.active
    state.active = origins = Origins()
    try:
        yield origins
    finally:
        state.active = before
