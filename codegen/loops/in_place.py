"""Finds the outputs of a kernel that may take the memory of an input that nobody needs again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from codegen.ir.node import Node
from codegen.loops.grammar import (
    LOOPS,
    Chosen,
    Items,
    Kernel,
    Lanes,
    Load,
    Parallel,
    Quad,
    Serial,
    Statement,
    Store,
    Vector,
)


def in_place_pairs(kernel: Kernel) -> list[tuple[Node, Node]]:
    """(output, input) of equal type where each element is written only where it was read, after
    it was read for the last time, and by the task that alone reads it. An output's inputs come in
    the order in which they are to be asked for their memory."""
    if not _is_single_loop(kernel.body) and not _is_by_rows(kernel.body):
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
    stores: dict[str, list[tuple[int, Store]]] = {}
    for position, statement in enumerate(statements):
        if isinstance(statement, Load):
            loads.setdefault(statement.argument, set()).add(statement.place)
            last_load[statement.argument] = position
        elif isinstance(statement, Store):
            stores.setdefault(statement.argument, []).append((position, statement))
    pairs = []
    for output, writes in stores.items():
        ((position, store),) = writes[:1]
        if len(writes) > 1 or store.combine is not None:
            continue
        found = [
            name
            for name in loads
            if loads[name] == {store.place}
            and last_load[name] < position
            and name not in stores
            and name in nodes
            and nodes[name].dtype is nodes[output].dtype
            and nodes[name].type.size == nodes[output].type.size
        ]
        # What was read last is what the output was made of.
        found.sort(key=last_load.__getitem__, reverse=True)
        pairs += [(nodes[output], nodes[name]) for name in found]
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


def _is_by_rows(statements: Sequence[Statement]) -> bool:
    """Whether the kernel is one parallel loop over rows, each walked by loops that are the same for
    each axis: then a place says which row it is in, and all of a loop is done before the next."""
    ranges: dict[str, tuple[object, ...]] = {}

    def is_walk(loop: Statement) -> bool:
        if isinstance(loop, Vector):
            found: tuple[object, ...] = (loop.start, loop.block, loop.extent)
        elif isinstance(loop, Serial | Lanes):
            found = (loop.extent,)
        else:
            return not isinstance(loop, LOOPS)
        same = ranges.setdefault(loop.variable, found) == found
        return same and all([is_walk(s) for s in loop.body])

    loops = [s for s in statements if isinstance(s, LOOPS)]
    return (
        len(loops) == 1
        and isinstance(loops[0], Parallel)
        and all([is_walk(s) for s in loops[0].body])
    )


def _statements(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        if isinstance(statement, LOOPS):
            if isinstance(statement, Chosen):
                yield from _statements(statement.choose)
            yield from _statements(statement.body)
        else:
            yield statement
