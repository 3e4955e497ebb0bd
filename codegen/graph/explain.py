"""Says of a finished fusion what each kernel computes, for which lines, and why it ends there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codegen.graph.fuse import MOST_NODES, Cluster, Fusion, Read, real_axes, unified
from codegen.ir.node import Node, topological
from codegen.ir.provenance import Origins
from codegen.lazy_import import lazy_import
from codegen.ops.leaves import constant_value
from codegen.ops.reduction import kept_axes

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = lazy_import("networkx")

_FUSING_KINDS = ("pointwise", "rows", "contraction")


@dataclass(frozen=True)
class Cut:
    """Why the kernel of one cluster and that of another, which reads from it, are two."""

    producer: int
    consumer: int
    reason: str


def annotate(fusion: Fusion, origins: Origins) -> dict[int, tuple[list[str], list[str], list[str]]]:
    """For each cluster's number: user lines, names of its nodes, and why it was not fused."""
    names = node_names(fusion)
    cuts = explain_cuts(fusion, names)
    found = {}
    for cluster in fusion.clusters:
        computed = computed_nodes(cluster, fusion)
        lines = sorted({x for n in computed for x in origins.of(n)}, key=_by_number)
        reasons = [
            f"with {_title(fusion.clusters[other], names)}: {cut.reason}"
            for cut in cuts
            for this, other in ((cut.producer, cut.consumer), (cut.consumer, cut.producer))
            if this == cluster.number
        ]
        found[cluster.number] = (lines, [names[n] for n in computed], reasons)
    return found


def _by_number(line: str) -> tuple[str, int]:
    file, _, number = line.rpartition(":")
    return file, int(number)


def node_names(fusion: Fusion) -> dict[Node, str]:
    """A name for every node: its operation and how many of those came before it."""
    counts: dict[str, int] = {}
    names = {}
    for node in topological([n for c in fusion.clusters for n in c.nodes]):
        kind = node.operation.name
        counts[kind] = counts.get(kind, 0) + 1
        names[node] = f"{kind}_{counts[kind]}"
    return names


def computed_nodes(cluster: Cluster, fusion: Fusion) -> list[Node]:
    """What a cluster computes: its members, and what they compute on the way from memory."""
    members = set(cluster.nodes)
    # A contraction has its operands in memory, however they are moved in the product.
    bound = {n for node in members if node in fusion.contractions
             for n in (fusion.contractions[node].a, fusion.contractions[node].b)}  # fmt: skip
    order = topological(
        cluster.nodes, stop=lambda n: n not in members and (n in fusion.anchors or n in bound)
    )
    return [
        n
        for n in order
        if n in members
        or (
            n not in fusion.anchors
            and n not in bound
            and n.operation.kind != "leaf"
            and constant_value(n) is None
        )
    ]


def explain_cuts(fusion: Fusion, names: Mapping[Node, str]) -> list[Cut]:
    """A sentence for every pair of clusters of which one reads the other."""
    graph = fusion.graph()
    clusters = fusion.clusters
    return [
        Cut(p, c, _reason(clusters[p], clusters[c], fusion, graph, names))
        for p, c in sorted(graph.edges)
    ]


def _reason(
    producer: Cluster,
    consumer: Cluster,
    fusion: Fusion,
    graph: nx.DiGraph,
    names: Mapping[Node, str],
) -> str:
    for cluster in (producer, consumer):
        if cluster.kind not in _FUSING_KINDS:
            return f"{names[cluster.nodes[0]]} has a kernel of its own"
    if consumer.kind == "contraction":
        return "a contraction reads its operands from memory, each element many times"
    if len(producer.nodes) + len(consumer.nodes) > MOST_NODES:
        return f"together they would compute more than {MOST_NODES} nodes"
    merged = unified(producer, consumer)
    if merged is None:
        return _why_other_loops(producer, consumer)
    between = _reads_between(producer, consumer, fusion)
    for node, read in between:
        problem = _problem_of(node, read, merged, fusion, names)
        if problem is not None:
            return problem
    rest = nx.restricted_view(graph, [], [(producer.number, consumer.number)])
    if nx.has_path(rest, producer.number, consumer.number):
        path = nx.shortest_path(rest, producer.number, consumer.number)
        return f"{_title(fusion.clusters[path[1]], names)} must run between the two"
    return "each had been joined to others when they met"


def _why_other_loops(producer: Cluster, consumer: Cluster) -> str:
    kinds = (producer.kind, consumer.kind)
    if kinds == ("contraction", "rows"):
        return "a contraction's result goes into a reduction"
    if kinds == ("rows", "rows"):
        if producer.shape != consumer.shape:
            return f"reductions of another shape, {_pair(producer.shape, consumer.shape)}"
        return f"reductions over other axes, {producer.axes} and {consumer.axes}"
    if producer.shape == consumer.shape:
        return "too few rows to keep the threads busy in one kernel"
    return f"another shape, {_pair(producer.shape, consumer.shape)}"


def _reads_between(producer: Cluster, consumer: Cluster, fusion: Fusion) -> list[tuple[Node, Read]]:
    sources = set(producer.nodes)
    return [(n, r) for n in consumer.nodes for r in fusion.reads[n] if r.source in sources]


def _problem_of(
    node: Node, read: Read, merged: Cluster, fusion: Fusion, names: Mapping[Node, str]
) -> str | None:
    """What is wrong with a read in the merged loops, by the rule of ``_relations_hold``."""
    source = names[read.source]
    full_reader = node.operation.kind == "reduce" or merged.level(node) == "full"
    if read.relation == "other":
        return f"{names[node]} reads {source} at another point of its loops"
    if merged.level(read.source) == "full":
        if read.relation == "row":
            return f"{names[node]} reads each value of {source} at many points of its loops"
        if not full_reader:
            return f"{names[node]} has a value a row and {source} one a point"
    elif full_reader:
        if read.relation == "same":
            return f"{names[node]} is computed a point and {source} a row"
        kept = real_axes(kept_axes(len(merged.shape), merged.axes), merged.shape)
        if (read.shape, read.kept) != (merged.shape, kept):
            return f"{names[node]} repeats {source} along axes other than those it is reduced over"
    elif read.relation != "same":
        return f"{names[node]} repeats {source} within a row"
    return None


def _title(cluster: Cluster, names: Mapping[Node, str]) -> str:
    last = names[cluster.nodes[-1]]
    return last if len(cluster.nodes) == 1 else f"{names[cluster.nodes[0]]}…{last}"


def _pair(x: Sequence[int], y: Sequence[int]) -> str:
    return " and ".join(["×".join(map(str, shape)) or "scalar" for shape in (x, y)])
