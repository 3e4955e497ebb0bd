"""Orders clusters: what makes little of much runs as soon as all that it reads is there, and what
is made of parameters alone just before it is read.

The gradients of weights and biases are needed at the end of a backward pass, but what they are
summed over is in the caches when it has just been computed, and in memory until they are. Padded
images of what forward has kept would all be in memory at once, if they were made first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping
from dataclasses import replace

from codegen.graph.fuse import Cluster, Fusion

_KINDS = ("rows", "contraction")


def run_early(fusion: Fusion) -> Fusion:
    """The fusion with each reduction and product that stores less than it reads moved to where its
    last source is computed, and what reads parameters alone to its first reader. Every cluster
    still comes after those that it reads."""
    owner = {n: c for c in fusion.clusters for n in c.nodes}
    sources = {
        c: {owner[r.source] for n in c.nodes for r in fusion.reads[n]} - {c}
        for c in fusion.clusters
    }
    readers: dict[Cluster, list[Cluster]] = {c: [] for c in fusion.clusters}
    for cluster in fusion.clusters:
        for source in sources[cluster]:
            readers[source].append(cluster)
    at_any_time = {c for c in fusion.clusters if not sources[c] and readers[c]}
    placed: dict[Cluster, None] = {}
    for cluster in fusion.clusters:
        ready = deque([cluster])  # the first that could run first, so that none waits for long
        while ready:
            found = ready.popleft()
            if found in placed:
                continue
            placed[found] = None
            ready += [
                r
                for r in readers[found]
                if r not in placed
                and sources[r] - at_any_time <= placed.keys()
                and _shrinks(r, fusion)
            ]
    ordered = _late(placed, sources, at_any_time)
    for number, cluster in enumerate(ordered):
        cluster.number = number
    return replace(fusion, clusters=ordered)


def _late(
    placed: Mapping[Cluster, None],
    sources: Mapping[Cluster, set[Cluster]],
    at_any_time: Container[Cluster],
) -> list[Cluster]:
    """The clusters in this order, those that could run at any time before their first reader."""
    position = {c: i for i, c in enumerate(placed)}
    ordered: dict[Cluster, None] = {}
    for cluster in placed:
        if cluster not in at_any_time:
            before = sorted(sources[cluster], key=position.__getitem__)
            ordered |= dict.fromkeys([*before, cluster])
    return list(ordered)


def _shrinks(cluster: Cluster, fusion: Fusion) -> bool:
    if cluster.kind not in _KINDS:
        return False
    members = set(cluster.nodes)
    read = {r.source for n in cluster.nodes for r in fusion.reads[n]} - members
    stored = sum([n.type.nbytes for n in members & fusion.stored])
    return stored < sum([n.type.nbytes for n in read])
