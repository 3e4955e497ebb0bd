"""Decides where each stored value lives: a parameter, an output, or a place in one arena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.graph.fuse import Cluster, Fusion
from codegen.ir.node import Node

_ALIGNMENT = 64


@dataclass
class MemoryPlan:
    """``home`` gives the node whose memory a node shares (itself, where it has its own);
    ``offsets`` the places of homes in the arena; ``copies`` the writes and scatters that cannot
    happen in place and must copy their base first."""

    home: dict[Node, Node]
    offsets: dict[Node, int]
    arena_bytes: int
    copies: set[Node]


def plan_memory(fusion: Fusion, outputs: Sequence[Node]) -> MemoryPlan:
    """Places for every stored node; values whose lifetimes do not meet share memory."""
    last_read = _last_reads(fusion)
    home: dict[Node, Node] = {}
    copies: set[Node] = set()
    fixed = set(outputs)
    for cluster in fusion.clusters:
        for node in cluster.nodes:
            if node not in fusion.stored and cluster.kind != "empty":
                continue
            home[node] = node
            if cluster.kind in ("write", "scatter"):
                base = node.inputs[0]
                if not _reads_base(node, fusion) and _may_overwrite(
                    base, cluster, fixed, last_read, home
                ):
                    home[node] = home[base]
                else:
                    copies.add(node)
    # An output that grew in place out of an unnamed value gives that value its memory.
    renamed = {home[node]: node for node in outputs if home[node] is not node}
    home = {node: renamed.get(root, root) for node, root in home.items()}
    offsets, arena_bytes = _pack(fusion, home, fixed, last_read)
    return MemoryPlan(home, offsets, arena_bytes, copies)


def _last_reads(fusion: Fusion) -> dict[Node, int]:
    last: dict[Node, int] = {}
    for cluster in fusion.clusters:
        for node in cluster.nodes:
            for read in fusion.reads[node]:
                last[read.source] = max(last.get(read.source, -1), cluster.number)
    return last


def _reads_base(node: Node, fusion: Fusion) -> bool:
    """Whether what a write puts into its base is computed from the base itself."""
    base, *sources = node.inputs
    seen = set(sources)
    while sources:
        source = sources.pop()
        if source is base:
            return True
        if source not in fusion.anchors:
            sources.extend([i for i in source.inputs if i not in seen])
            seen.update(source.inputs)
    return False


def _may_overwrite(
    base: Node,
    cluster: Cluster,
    fixed: set[Node],
    last_read: dict[Node, int],
    home: dict[Node, Node],
) -> bool:
    """Whether a write may happen in its base's own memory: nobody reads the base afterwards."""
    if base.operation.name == "parameter" or base not in home:
        return False
    if base.operation.name == "empty":
        return last_read.get(base, -1) <= cluster.number and home[base] not in fixed
    return base not in fixed and last_read[base] == cluster.number and home[base] not in fixed


def _pack(
    fusion: Fusion, home: dict[Node, Node], fixed: set[Node], last_read: dict[Node, int]
) -> tuple[dict[Node, int], int]:
    """First fit over lifetimes, in the order of the clusters."""
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
    dying: dict[int, list[Node]] = {}
    free: list[tuple[int, int]] = []  # (offset, size), by offset
    offsets: dict[Node, int] = {}
    end = 0
    by_birth: dict[int, list[Node]] = {}
    for root, number in births.items():
        by_birth.setdefault(number, []).append(root)
    for cluster in fusion.clusters:
        for root in by_birth.get(cluster.number, ()):
            size = max(-(-root.type.nbytes // _ALIGNMENT) * _ALIGNMENT, _ALIGNMENT)
            for i, (offset, room) in enumerate(free):
                if room >= size:
                    offsets[root] = offset
                    free[i : i + 1] = [(offset + size, room - size)] if room > size else []
                    break
            else:
                offsets[root] = end
                end += size
            dying.setdefault(deaths[root], []).append(root)
        for root in dying.get(cluster.number, ()):
            size = max(-(-root.type.nbytes // _ALIGNMENT) * _ALIGNMENT, _ALIGNMENT)
            free = _released(free, offsets[root], size)
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
