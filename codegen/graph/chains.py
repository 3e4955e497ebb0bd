"""Chains: a contraction, row-wise work on its result, and the contraction that this goes into.

Attention is one. Each row of what lies between needs a row of the first product and gives a row of
the second's left operand, so a block of rows goes through all three while it is in the cache, and
the matrix in the middle is never stored (unless something else reads it).

A chain is *causal* where the row-wise values are 0 in every column beyond the row's own number:
those are left out of the second product, of others that have the weights for an operand (a
gradient), of the work on the row, and of the first product where nothing depends on them. As in
PyTorch's own kernel, what a row does not attend to does not reach it, be it infinite or NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from codegen.graph.causal import is_guarded, is_reshape_of_ones, value_beyond
from codegen.graph.explain import computed_nodes
from codegen.graph.fuse import Cluster, Fusion, real_extents
from codegen.index.contraction import Contraction, Span, Zeros, a_spans
from codegen.ir.node import Node

# Rows of the middle that are too short to be walked along, or too long for a block of them in the
# cache; and fewer rows than are worth a register tile.
_SHORTEST_ROW, _LONGEST_ROW = 16, 1 << 14
_FEWEST_ROWS = 8


@dataclass(eq=False)
class Chain(Cluster):
    """Three clusters in one kernel.

    ``scores`` is what the first leaves to the second, ``weights`` what the second leaves to the
    third. ``causal``: weights beyond are 0; ``skips``: and scores there may stay undefined.
    """

    parts: tuple[Cluster, ...] = ()
    scores: Node = None  # type: ignore[assignment]
    weights: Node = None  # type: ignore[assignment]
    causal: bool = False
    skips: bool = False


def find_chains(fusion: Fusion, outputs: Sequence[Node]) -> Fusion:
    """The fusion with every chain that it holds as one cluster."""
    wanted = set(outputs)
    clusters = list(fusion.clusters)
    for middle in fusion.clusters:
        if middle.kind == "rows" and middle in clusters:
            owner = {n: c for c in clusters for n in c.nodes}
            chain = _chain_around(middle, fusion, owner, wanted)
            if chain is not None:
                clusters = in_order([c for c in clusters if c not in chain.parts] + [chain], fusion)
    if len(clusters) == len(fusion.clusters):
        return fusion
    owner = {n: c for c in clusters for n in c.nodes}
    stored = wanted & fusion.anchors
    for cluster in clusters:
        for node in cluster.nodes:
            for read in fusion.reads[node]:
                if owner[read.source] is not cluster:
                    stored.add(read.source)
    for number, cluster in enumerate(clusters):
        cluster.number = number
    return replace(fusion, clusters=clusters, stored=stored)


def _chain_around(
    middle: Cluster, fusion: Fusion, owner: dict[Node, Cluster], outputs: set[Node]
) -> Chain | None:
    last = len(middle.shape) - 1
    if middle.axes != (last,) or not _SHORTEST_ROW <= middle.shape[last] <= _LONGEST_ROW:
        return None
    for scores in _scores(middle, fusion, owner, outputs):
        first = owner[scores]
        rows = fusion.contractions[_root(first, fusion)].contraction
        if rows.operand_dtype is not None:
            continue  # matrix units multiply by other blocks
        for product, match in fusion.contractions.items():
            weights, third = match.a, owner[product]
            if (
                owner.get(weights) is middle
                and match.b is not weights
                and third.kind == "contraction"
                and third is not first
                and _takes_rows(match.contraction, weights, rows)
                and not _meet_outside(first, middle, third, fusion, owner)
            ):
                parts = (first, middle, third)
                causal = value_beyond(weights) == 0
                nodes = [n for part in parts for n in part.nodes]
                return Chain(
                    "chain", third.shape, (), nodes, parts=parts, scores=scores, weights=weights,
                    causal=causal, skips=causal and is_guarded(scores, middle, fusion),
                )  # fmt: skip
    return None


def _scores(
    middle: Cluster, fusion: Fusion, owner: dict[Node, Cluster], outputs: set[Node]
) -> Iterator[Node]:
    """Results of contractions whose rows are the cluster's, and which it alone reads."""
    sources = dict.fromkeys([r.source for n in middle.nodes for r in fusion.reads[n]])
    for node in sources:
        cluster = owner[node]
        if (
            cluster.kind == "contraction"
            and node not in outputs
            and real_extents(node.shape) == real_extents(middle.shape)
            and all([other not in outputs for other in cluster.nodes])
            and _only_reader(cluster, node, middle, fusion, owner)
            and _is_read_in_place(node, middle, fusion)
            and _lies_in_rows(cluster, middle, fusion)
        ):
            yield node


def _only_reader(
    cluster: Cluster, node: Node, middle: Cluster, fusion: Fusion, owner: dict[Node, Cluster]
) -> bool:
    """Whether only ``node`` of its cluster is read outside it, and only by ``middle``."""
    members = set(cluster.nodes)
    for reader, found in owner.items():
        if found is cluster:
            continue
        for read in fusion.reads[reader]:
            if read.source in members and (read.source is not node or found is not middle):
                return False
    return True


def _is_read_in_place(scores: Node, middle: Cluster, fusion: Fusion) -> bool:
    """Whether every read is at the reader's own point, but for axes of extent 1."""
    members = set(middle.nodes)
    aligned = {scores}
    for node in computed_nodes(middle, fusion):
        if not aligned.intersection(node.inputs) or node.operation.kind == "reduce":
            continue
        if node.operation.kind != "elementwise" and not is_reshape_of_ones(node):
            return False
        if node not in members:
            aligned.add(node)
    return True


def _root(cluster: Cluster, fusion: Fusion) -> Node:
    """The contraction of its cluster."""
    (root,) = [n for n in cluster.nodes if n in fusion.contractions]
    return root


def _lies_in_rows(cluster: Cluster, middle: Cluster, fusion: Fusion) -> bool:
    """Whether batch, row and column numbers of the contraction count its result's elements."""
    root = _root(cluster, fusion)
    match = fusion.contractions[root]
    _, _, columns, _ = match.contraction.sizes
    kept = (*match.batch, *match.rows, *match.columns)
    shape = root.inputs[0].shape
    real = [axis for axis in kept if shape[axis] != 1]
    return real == sorted(real) and columns == middle.shape[-1]


def _takes_rows(second: Contraction, weights: Node, first: Contraction) -> bool:
    """Whether a contraction's left operand is the weights, row for row, summed along each."""
    columns = weights.shape[-1]
    contraction = second.normalized()
    batch, rows, _, inner = contraction.sizes
    if (batch, rows) != first.sizes[:2] or inner != columns or rows < _FEWEST_ROWS:
        return False
    if second.operand_dtype is not None or weights.dtype.itemsize < 4:
        return False
    if not first.dtype is contraction.dtype is weights.dtype:
        return False
    wanted = ((batch, rows * columns), (rows, columns), (inner, 1))
    found = (contraction.batch, contraction.rows, contraction.inner)
    return contraction.a_offset == 0 and all(
        [
            extent == 1 or [(s.extent, s.stride) for s in a_spans(axes)] == [(extent, stride)]
            for (extent, stride), axes in zip(wanted, found, strict=True)
        ]
    )


def _meet_outside(
    first: Cluster, middle: Cluster, third: Cluster, fusion: Fusion, owner: dict[Node, Cluster]
) -> bool:
    """Whether one of the three depends on another through a fourth cluster."""
    parts = (first, middle, third)
    stack = [
        owner[read.source]
        for part in parts
        for node in part.nodes
        for read in fusion.reads[node]
        if owner[read.source] not in parts
    ]
    seen = set()
    while stack:
        cluster = stack.pop()
        if cluster in parts:
            return True
        if cluster not in seen:
            seen.add(cluster)
            stack += [owner[r.source] for n in cluster.nodes for r in fusion.reads[n]
                      if owner[r.source] is not cluster]  # fmt: skip
    # The third may read the first through the middle alone.
    return any([owner[r.source] is first for n in third.nodes for r in fusion.reads[n]])


def in_order(clusters: list[Cluster], fusion: Fusion) -> list[Cluster]:
    """Each cluster after those that it reads, and otherwise where it was."""
    owner = {n: c for c in clusters for n in c.nodes}
    done: set[Cluster] = set()
    ordered: list[Cluster] = []
    for cluster in clusters:
        stack = [(cluster, False)]
        while stack:
            item, ready = stack.pop()
            if ready:
                ordered.append(item)
            elif item not in done:
                done.add(item)
                stack.append((item, True))
                for node in item.nodes:
                    for read in fusion.reads[node]:
                        if owner[read.source] not in done:
                            stack.append((owner[read.source], False))
    return ordered


def zeros_of(contraction: Contraction, a: Node, fusion: Fusion) -> Zeros:
    """Where the left operand of a contraction is 0, if it is the weights of a causal chain."""
    if not any([isinstance(c, Chain) and c.causal and c.weights is a for c in fusion.clusters]):
        return ""
    contraction = contraction.normalized()
    rows, columns = a.shape[-2:]
    down, along = (Span(rows, columns),), (Span(columns, 1),)
    if any([s.stride % (rows * columns) for s in a_spans(contraction.batch) if s.extent > 1]):
        return ""
    walked = a_spans(contraction.rows), a_spans(contraction.inner)
    return "after" if walked == (down, along) else "before" if walked == (along, down) else ""
