"""Finds the outputs of a kernel that may take the memory of an input that nobody needs again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from codegen.ir.node import Node
from codegen.loops.grammar import (
    LOOPS,
    Chosen,
    Items,
    Kernel,
    Load,
    Parallel,
    Quad,
    Statement,
    Store,
    Vector,
)


def in_place_pairs(kernel: Kernel) -> list[tuple[Node, Node]]:
    """(output, parameter) of equal type where each element is written only where it was read,
    after it was read, and nowhere else: a single loop over both."""
    if not _is_single_loop(kernel.body):
        return []
    nodes = {a.name: n for a, n in zip(kernel.arguments, kernel.operands, strict=True)}
    return pairs_at_a_point(list(_statements(kernel.body)), nodes)


def pairs_at_a_point(
    statements: Sequence[Statement], nodes: Mapping[str, Node]
) -> list[tuple[Node, Node]]:
    """The same of statements that run once for each point; ``nodes`` by their arguments' names,
    without those that are read elsewhere too."""
    loads: dict[str, set[object]] = {}
    last_load: dict[str, int] = {}
    stores: dict[str, list[tuple[int, object]]] = {}
    for position, statement in enumerate(statements):
        if isinstance(statement, Load):
            loads.setdefault(statement.argument, set()).add(statement.place)
            last_load[statement.argument] = position
        elif isinstance(statement, Store):
            stores.setdefault(statement.argument, []).append((position, statement.place))
    pairs = []
    taken: set[str] = set()
    for output, writes in stores.items():
        ((position, place),) = writes[:1]
        candidates = [
            name
            for name in loads
            if len(writes) == 1
            and loads[name] == {place}
            and last_load[name] < position
            and name not in taken
            and name in nodes
            and nodes[name].operation.name == "parameter"
            and nodes[name].dtype is nodes[output].dtype
            and nodes[name].type.size == nodes[output].type.size
        ]
        if candidates:
            # What was read last is what the output was made of.
            chosen = max(candidates, key=last_load.__getitem__)
            taken.add(chosen)
            pairs.append((nodes[output], nodes[chosen]))
    return pairs


def _is_single_loop(statements: Sequence[Statement]) -> bool:
    """Whether the kernel is one parallel loop around one vector loop, or its like of items."""
    loops = [s for s in statements if isinstance(s, LOOPS)]
    if len(loops) != 1:
        return False
    (loop,) = loops
    has_loops = any(isinstance(s, LOOPS) for s in loop.body)
    if isinstance(loop, Vector | Quad) or (isinstance(loop, Items) and not has_loops):
        return not has_loops
    return isinstance(loop, Parallel | Items) and _is_single_loop(loop.body)


def _statements(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        if isinstance(statement, LOOPS):
            if isinstance(statement, Chosen):
                yield from _statements(statement.choose)
            yield from _statements(statement.body)
        else:
            yield statement
