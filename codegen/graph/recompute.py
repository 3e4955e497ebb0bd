"""Repeats element-wise work where that is cheaper than to keep its result, and else keeps that.

What a backward pass reads of the forward pass, it reads after products of matrices that have to run
in between, so the value would be stored and loaded. Where what the value was made of is in memory
for that reader as well, computing it again costs less than either. Where that is several arrays
which nothing else wants (a derivative is made of the value and its exponential), they are not kept
in the place of the one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from codegen.graph.contraction_match import match_contraction
from codegen.ir.node import Node, rebuild, same, topological
from codegen.ops.elementwise import again, kept

# Work up to this much an element is repeated, from as many arrays.
_MOST_COST, _MOST_LOADS = 64, 2
# A cheaper value is repeated by every reader anyway, and a smaller one is in the cache.
_LEAST_COST, _LEAST_SIZE = 9, 1 << 14
# What no kernel shares with element-wise work that goes into it.
_BARRIERS = ("scan", "scatter", "sort", "loop", "host", "gather")


def repeat_or_keep(roots: Sequence[Node]) -> list[Node]:
    """The roots with some element-wise values computed once more for those that read them later,
    and others kept for these."""
    order = topological(roots)
    users: dict[Node, list[Node]] = {node: [] for node in order}
    for node in order:
        for source in node.inputs:
            users[source].append(node)
    level = _levels(order)
    if not any(level.values()):
        return list(roots)
    stored = set(roots) | _operands(order, level)

    later: set[Node] = set()  # what something reads, in place, in a later kernel
    for node in reversed(order):
        for user in users[node]:
            in_place = user.operation.kind == "elementwise" or user.operation.name == "reshape"
            if level[user] > level[node] or (in_place and user in later):
                later.add(node)

    def is_there_later(node: Node, chain: Sequence[Node]) -> bool:
        """Whether the sources of a chain, or what they become, are in memory later in any case."""
        inside = set(chain) - {node}
        large = [n for n in chain if _is_source(n) and n.type.size == node.type.size]
        for source in large:
            reached = [source]
            for n in reached:
                reached += [u for u in users[n] if u in inside and u not in reached]
            outside = {u for n in reached for u in users[n] if u not in inside and u is not node}
            read = any([u in later or level[u] > level[node] for u in outside])
            if not read and source.operation.name != "parameter":
                return False
        return True

    def needs_several(node: Node) -> bool:
        """Whether to do its cheap last steps later would keep several arrays for that alone."""
        made_of, between = _made_of(node, stored)
        alone = [
            n
            for n in made_of
            if not any(
                [
                    level[u] > level[n] or (u in later and u not in stored)
                    for u in users[n]
                    if u not in between
                ]
            )
        ]
        return len(alone) > 1

    chosen = {}
    keep = set()
    for node in order:
        if (
            node.operation.kind == "elementwise"
            and node not in stored
            and node.type.size >= _LEAST_SIZE
            and any([level[u] > level[node] for u in users[node]])
        ):
            chain = _chain(node)
            if chain is not None and is_there_later(node, chain):
                chosen[node] = chain
            elif needs_several(node):
                keep.add(node)
    if not chosen and not keep:
        return list(roots)
    done: dict[Node, Node] = {}

    def repeated(node: Node, at: int) -> Node:
        """The value once more, from its sources as a reader of that level finds them."""
        copies: dict[Node, Node] = {}
        for n in chosen[node]:
            if _is_source(n):
                copies[n] = again(done[n], at) if n.type.size == node.type.size else done[n]
            else:
                copies[n] = same(n, tuple([copies[i] for i in n.inputs]))
        return copies[node]

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        taken = [
            repeated(old, level[node]) if old in chosen and level[node] > level[old] else new
            for old, new in zip(node.inputs, inputs, strict=True)
        ]
        done[node] = same(node, tuple(taken))
        if node in keep:
            done[node] = kept(done[node])
        return done[node]

    return rebuild(roots, change)


def _levels(order: Sequence[Node]) -> dict[Node, int]:
    """How many barriers lie below each node, one above the other: a node of a higher level cannot
    be in a kernel with what it depends on of a lower."""
    level: dict[Node, int] = {}
    for node in order:
        below = max([level[i] for i in node.inputs], default=0)
        level[node] = below + _is_barrier(node)
    return level


def _is_barrier(node: Node) -> bool:
    if node.operation.name == "sum" and node.inputs[0].operation.name == "mul":
        return match_contraction(node) is not None
    return node.operation.kind in _BARRIERS


def _operands(order: Sequence[Node], level: dict[Node, int]) -> set[Node]:
    """What barriers read, through whatever moves it: it is stored in any case."""
    found: set[Node] = set()
    for node in order:
        if node.inputs and level[node] > max([level[i] for i in node.inputs]):
            stack = list(node.inputs)
            while stack:
                source = stack.pop()
                found.add(source)
                if source.operation.kind == "movement" or source is node.inputs[0]:
                    stack.extend(source.inputs)
    return found


def _is_source(node: Node) -> bool:
    return node.operation.kind in ("leaf", "reduce", *_BARRIERS) or not node.inputs


def _made_of(node: Node, stored: Collection[Node]) -> tuple[list[Node], set[Node]]:
    """What would be kept in memory for a reader that did the cheap part of an element-wise value's
    work itself, of the value's own size; and that part, with it."""
    found, seen = [], {node}
    stack = list(node.inputs)
    while stack:
        source = stack.pop()
        if source in seen or source in stored or source.type.size < node.type.size:
            continue
        seen.add(source)
        is_cheap = source.operation.kind == "elementwise" and source.operation.cost < _LEAST_COST
        if is_cheap or source.operation.kind == "movement":
            stack.extend(source.inputs)
        elif source.operation.kind != "leaf":
            found.append(source)
    return found, seen


def _chain(node: Node) -> list[Node] | None:
    """What an element-wise value is computed of, sources first, if it is worth repeating."""
    chain = topological([node], stop=_is_source)
    size = node.type.size
    cost = sum([n.operation.cost for n in chain if n.operation.kind == "elementwise"])
    loads = sum([_is_source(n) and n.type.size == size for n in chain])
    in_place = all([n.inputs[0].type.size < size or n.operation.name == "reshape"
                    for n in chain if n.operation.kind == "movement"])  # fmt: skip
    cheap = _LEAST_COST <= cost <= _MOST_COST and loads <= _MOST_LOADS
    return chain if cheap and in_place else None
