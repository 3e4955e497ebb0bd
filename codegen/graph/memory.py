"""Decides where each stored value lives: a parameter, an output, or a place in one arena."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codegen.graph.fuse import Cluster, Fusion
from codegen.ir.node import Node, in_memory_as


@dataclass
class MemoryPlan:
    """``home`` gives the node whose memory a node shares (itself, where it has its own);
    ``offsets`` the places in the arena of homes, and of the working memory of clusters that need
    such; ``copies`` the writes, scatters and reshapes that cannot share their base's memory and
    must copy it first; ``lifetimes`` the first and the last cluster that need each home that has a
    place in the arena."""

    home: dict[Node, Node]
    copies: set[Node]
    lifetimes: dict[Node, tuple[int, int]]
    offsets: dict[Node | Cluster, int] = field(default_factory=dict)
    arena_bytes: int = 0


def plan_homes(fusion: Fusion, outputs: Sequence[Node]) -> MemoryPlan:
    """Which nodes share memory; nothing has a place yet."""
    homes = _Homes(fusion, outputs)
    for cluster in fusion.clusters:
        for node in cluster.nodes:
            if node in fusion.stored or cluster.kind == "empty":
                homes.place(node, cluster)
    # An output that shares an unnamed value's memory gives that value its own.
    renamed = {root: node for node in outputs if (root := homes.home[node]) is not node}
    home = {node: renamed.get(root, root) for node, root in homes.home.items()}
    lifetimes = _lifetimes(fusion, home, set(outputs), homes.last_read)
    return MemoryPlan(home, homes.copies, lifetimes)


def place_homes(
    memory: MemoryPlan,
    clusters: int,
    alignment: int,
    working: Mapping[Cluster, int],
    in_place: Sequence[tuple[Node, Node]],
) -> None:
    """Give all homes their places, each at a multiple of ``alignment`` bytes; values whose
    lifetimes do not meet share memory.

    ``working`` gives clusters that need memory while they run, and how many bytes; ``in_place``
    (output, input) where a kernel may write to the place of what it reads.
    """
    sizes: dict[Node | Cluster, int] = {root: root.type.nbytes for root in memory.lifetimes}
    sizes.update(working.items())
    everything: dict[Node | Cluster, tuple[int, int]] = dict(memory.lifetimes.items())
    everything.update({c: (c.number, c.number) for c in working})
    memory.offsets, memory.arena_bytes = _pack(
        clusters, everything, sizes, alignment, _taken_over(memory, in_place)
    )


def _taken_over(memory: MemoryPlan, in_place: Sequence[tuple[Node, Node]]) -> dict[Node, Node]:
    """For homes that take their place from another that nobody needs any more, that one."""
    found: dict[Node, Node] = {}
    for output, source in in_place:
        source = memory.home.get(source, source)
        if output in found or source in found.values() or memory.home.get(output) is not output:
            continue
        own, other = memory.lifetimes.get(output), memory.lifetimes.get(source)
        if own and other and own[0] == other[1] and output.type.nbytes == source.type.nbytes:
            found[output] = source
    return found


class _Homes:
    """Which nodes share memory: a write with its base, a reshape with its source."""

    def __init__(self, fusion: Fusion, outputs: Sequence[Node]) -> None:
        self.fusion = fusion
        self.outputs = set(outputs)
        self.last_read = _last_reads(fusion)
        self.home: dict[Node, Node] = {}
        self.members: dict[Node, list[Node]] = {}
        self.copies: set[Node] = set()

    def place(self, node: Node, cluster: Cluster) -> None:
        """Give a node memory of its own, or its base's where that is free to be changed."""
        root = node
        if cluster.kind in ("write", "scatter"):
            base = in_memory_as(cluster.nodes[0].inputs[0])
            if self._may_overwrite(base, node, cluster):
                root = self.home[base]
            elif base.operation.kind != "empty":
                self.copies.add(node)
        elif cluster.kind == "alias":
            base = in_memory_as(node)
            if node in self.outputs and self._has_output(base):
                self.copies.add(node)
            else:
                root = self.home[base]
        self.home[node] = root
        self.members.setdefault(root, []).append(node)

    def _has_output(self, node: Node) -> bool:
        return any(m in self.outputs for m in self.members[self.home[node]])

    def _may_overwrite(self, base: Node, node: Node, cluster: Cluster) -> bool:
        """Whether a write may happen in its base's own memory: nobody reads that afterwards, nor
        does what is written come from it."""
        if base not in self.home or _reads(node, base, self.fusion) or self._has_output(base):
            return False
        together = self.members[self.home[base]]
        return all(self.last_read.get(m, -1) <= cluster.number for m in together)


def _last_reads(fusion: Fusion) -> dict[Node, int]:
    last: dict[Node, int] = {}
    for cluster in fusion.clusters:
        for node in cluster.nodes:
            for read in fusion.reads[node]:
                last[read.source] = max(last.get(read.source, -1), cluster.number)
    return last


def _reads(node: Node, base: Node, fusion: Fusion) -> bool:
    """Whether what a write puts into its base is computed from the base itself."""
    sources = list(node.inputs[1:])
    seen = set(sources)
    while sources:
        source = sources.pop()
        if source is base:
            return True
        if source not in fusion.anchors:
            sources.extend([i for i in source.inputs if i not in seen])
            seen.update(source.inputs)
    return False


def _lifetimes(
    fusion: Fusion, home: dict[Node, Node], fixed: set[Node], last_read: dict[Node, int]
) -> dict[Node, tuple[int, int]]:
    """The numbers of the first and the last cluster that need each home in the arena."""
    births: dict[Node, int] = {}
    deaths: dict[Node, int] = {}
    for cluster in fusion.clusters:
        for node in cluster.nodes:
            root = home.get(node)
            if root is not None and root not in fixed:
                births.setdefault(root, cluster.number)
                deaths[root] = max(
                    deaths.get(root, 0), cluster.number, last_read.get(node, cluster.number)
                )
    return {root: (births[root], deaths[root]) for root in births}


def _pack(
    clusters: int,
    lifetimes: Mapping[Node | Cluster, tuple[int, int]],
    sizes: Mapping[Node | Cluster, int],
    alignment: int,
    taken_over: Mapping[Node, Node],
) -> tuple[dict[Node | Cluster, int], int]:
    """First fit over lifetimes, in the order of the clusters."""
    rounded = {key: max(-(-n // alignment) * alignment, alignment) for key, n in sizes.items()}
    born: dict[int, list[Node | Cluster]] = {}
    dying: dict[int, list[Node | Cluster]] = {}
    for key, (first, last) in lifetimes.items():
        born.setdefault(first, []).append(key)
        dying.setdefault(last, []).append(key)
    given_on = set(taken_over.values())
    free: list[tuple[int, int]] = []  # (offset, size), by offset
    offsets: dict[Node | Cluster, int] = {}
    end = 0
    for number in range(clusters):
        for key in born.get(number, ()):
            size = rounded[key]
            before = taken_over.get(key) if isinstance(key, Node) else None
            if before is not None:
                offsets[key] = offsets[before]
                continue
            for i, (offset, room) in enumerate(free):
                if room >= size:
                    offsets[key] = offset
                    free[i : i + 1] = [(offset + size, room - size)] if room > size else []
                    break
            else:
                offsets[key] = end
                end += size
        for key in dying.get(number, ()):
            if key in given_on:
                continue
            free = _released(free, offsets[key], rounded[key])
    return offsets, end


def _released(free: list[tuple[int, int]], offset: int, size: int) -> list[tuple[int, int]]:
    """The free list with one more hole, neighbours joined."""
    merged: list[tuple[int, int]] = []
    for start, room in sorted([*free, (offset, size)]):
        if merged and merged[-1][0] + merged[-1][1] == start:
            merged[-1] = (merged[-1][0], merged[-1][1] + room)
        else:
            merged.append((start, room))
    return merged
