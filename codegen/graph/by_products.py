"""Sums over rows that a row-wise kernel makes on its way through them.

A backward pass of a normalization goes through the rows for the input's gradient, and sums products
of the same values over the rows for those of its weight and bias. Where such a sum is in parts (as
``split`` leaves it: one a thread, or one a chunk), each task takes a part's rows and adds to the
part's sums as it goes.

rows: y = f(x, g);  rows: sum over each part of g * h(x)  ->  rows: y, and the sums of each part
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from codegen import dtype as dt
from codegen.graph.chains import in_order
from codegen.graph.fuse import Cluster, Fusion, Read, reads_below, real_axes
from codegen.ir.node import Node, topological
from codegen.ops.reduction import kept_axes

# Sums of a row this long stay in the first-level cache beside the row itself.
_LONGEST_ROW = 4096
# A shorter one is no place for vectors.
_SHORTEST_ROW = 64
# With fewer rows a part, it costs as much to begin with zeros and to add the parts up.
_FEWEST_ROWS = 8
_MOST_IN_A_KERNEL = 4


@dataclass(frozen=True)
class _PartialSum:
    """A sum over the leading axes of ``value``, in parts of neighbouring rows."""

    node: Node
    value: Node
    reads: tuple[Read, ...]  # at the value's own points
    loaded: frozenset[Node]  # anchors and parameters that it is made of


def take_by_products(fusion: Fusion, outputs: Sequence[Node]) -> Fusion:
    """The fusion with partial sums in the kernels that go through the same rows."""
    rows: dict[tuple[int, ...], list[Cluster]] = {}
    for cluster in fusion.clusters:
        first = len(cluster.shape) - len(cluster.axes)
        trailing = cluster.axes == tuple(range(first, len(cluster.shape)))
        if type(cluster) is Cluster and cluster.kind == "rows" and trailing and first:
            rows.setdefault(cluster.shape, []).append(cluster)
    sums = [s for c in fusion.clusters if c.kind == "rows" for s in _partial_sums(c, rows, fusion)]
    if not sums:
        return fusion
    fusion = replace(fusion, clusters=list(fusion.clusters), reads=dict(fusion.reads))
    owner = {n: c for c in fusion.clusters for n in c.nodes}
    position = {n: i for i, n in enumerate(topological(outputs))}
    for found in sums:
        before = owner[found.node]
        for cluster in rows[found.value.shape]:
            if cluster is not before and _fits(found, cluster, fusion, owner):
                before.nodes.remove(found.node)
                cluster.nodes.append(found.node)
                cluster.nodes.sort(key=position.__getitem__)
                cluster.by_products[found.node] = found.value
                fusion.reads[found.node] = found.reads
                owner[found.node] = cluster
                break
    clusters = in_order([c for c in fusion.clusters if c.nodes], fusion)
    stored = set(outputs) & fusion.anchors
    for node, cluster in owner.items():
        stored.update([r.source for r in fusion.reads[node] if owner[r.source] is not cluster])
    for number, cluster in enumerate(clusters):
        cluster.number = number
    return replace(fusion, clusters=clusters, stored=stored)


def _partial_sums(
    cluster: Cluster, rows: dict[tuple[int, ...], list[Cluster]], fusion: Fusion
) -> Iterator[_PartialSum]:
    for node in cluster.nodes:
        if node.operation.name != "sum" or node.dtype not in (dt.float32, dt.float64):
            continue
        (cut,) = node.inputs
        value = cut.inputs[0] if cut.operation.name == "reshape" else cut
        summed = node.attributes[0]
        inner = node.shape[1:]
        first = len(value.shape) - len(inner)
        size = node.type.size // max(node.shape[0], 1) if node.shape else 0
        if (
            value.shape in rows
            and value is not cut
            and first > 0
            and value.shape[first:] == inner
            and summed == tuple(range(1, len(cut.shape) - len(inner)))
            and _SHORTEST_ROW <= size <= _LONGEST_ROW
            and value.type.size >= _FEWEST_ROWS * node.type.size
        ):
            yield _PartialSum(node, value, *_reads_at(value, fusion))


def _reads_at(value: Node, fusion: Fusion) -> tuple[tuple[Read, ...], frozenset[Node]]:
    """What a value reads, as ``fuse`` would say of one that is computed at its own points."""
    reads, seen = reads_below([Read(value, "same")], fusion.anchors)
    sources = {state.source for state in seen}
    return reads, frozenset(
        [n for n in sources if n in fusion.anchors or n.operation.name == "parameter"]
    )


def _fits(found: _PartialSum, cluster: Cluster, fusion: Fusion, owner: dict[Node, Cluster]) -> bool:
    """Whether a kernel goes through the rows of a sum, has what it is made of where it needs it,
    and neither waits for the other."""
    shape = found.value.shape
    first = len(shape) - len(found.node.shape) + 1
    if cluster.axes != tuple(range(first, len(shape))):
        return False
    parts = {n.shape[0] for n in cluster.by_products} | {found.node.shape[0]}
    if len(parts) > 1 or len(cluster.by_products) >= _MOST_IN_A_KERNEL:
        return False
    members = set(cluster.nodes)
    kept = real_axes(kept_axes(len(shape), cluster.axes), shape)
    for read in found.reads:
        if read.source in members:
            row = cluster.level(read.source) == "row"
            wanted = ("row", shape, kept) if row else ("same", (), ())
            if (read.relation, read.shape, read.kept) != wanted:
                return False
    large = {n for n in found.loaded if n.type.size == found.value.type.size}
    at_hand = members | {r.source for n in members for r in fusion.reads[n]}
    at_hand |= {
        n
        for n in topological(cluster.nodes, stop=lambda n: n in fusion.anchors - members)
        if n.operation.name == "parameter"
    }
    if not large & at_hand:
        return False
    sources = {owner[r.source] for r in found.reads} - {cluster}
    return not _reaches(sources, cluster, None, fusion, owner) and not _reaches(
        {cluster}, None, found.node, fusion, owner
    )


def _reaches(
    starts: set[Cluster],
    cluster: Cluster | None,
    node: Node | None,
    fusion: Fusion,
    owner: dict[Node, Cluster],
) -> bool:
    """Whether clusters depend on another, or read a node, directly or through others."""
    seen, stack = set(starts), list(starts)
    while stack:
        current = stack.pop()
        for member in current.nodes:
            for read in fusion.reads[member]:
                source = owner[read.source]
                if read.source is node or source is cluster:
                    return True
                if source not in seen:
                    seen.add(source)
                    stack.append(source)
    return False
