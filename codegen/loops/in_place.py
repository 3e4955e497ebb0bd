"""Finds the outputs of a kernel that may take the memory of an input that nobody needs again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codegen.ir.node import Node
from codegen.loops.grammar import LOOPS, Kernel, Load, Parallel, Statement, Store, Vector


def in_place_pairs(kernel: Kernel) -> list[tuple[Node, Node]]:
    """(output, input) of equal type where every element is read, once and only where it is
    written: a single loop over both."""
    if not _is_single_loop(kernel.body):
        return []
    nodes = {a.name: n for a, n in zip(kernel.arguments, kernel.operands, strict=True)}
    loads: dict[str, set[object]] = {}
    stores: dict[str, set[object]] = {}
    for statement in _statements(kernel.body):
        if isinstance(statement, Load):
            # A guarded load is of some elements only, which changes nothing here.
            loads.setdefault(statement.argument, set()).add(statement.place)
        elif isinstance(statement, Store):
            stores.setdefault(statement.argument, set()).add(statement.place)
    pairs = []
    free = {name for name, places in loads.items() if name not in stores and len(places) == 1}
    for output, places in stores.items():
        for name in sorted(free):
            same_type = nodes[output].dtype is nodes[name].dtype
            if loads[name] == places and same_type and (
                nodes[output].type.size == nodes[name].type.size
            ):
                pairs.append((nodes[output], nodes[name]))
                free.discard(name)
                break
    return pairs


def _is_single_loop(statements: Sequence[Statement]) -> bool:
    """Whether the kernel is one parallel loop around one vector loop."""
    loops = [s for s in statements if isinstance(s, LOOPS)]
    if len(loops) != 1:
        return False
    (loop,) = loops
    if isinstance(loop, Vector):
        return not any(isinstance(s, LOOPS) for s in loop.body)
    return isinstance(loop, Parallel) and _is_single_loop(loop.body)


def _statements(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        if isinstance(statement, LOOPS):
            yield from _statements(statement.body)
        else:
            yield statement
