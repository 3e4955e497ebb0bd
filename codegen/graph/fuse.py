"""Groups a graph's nodes into clusters, each of which becomes one kernel.

Some nodes are never stored: movement, constants, and element-wise work cheap enough to repeat
wherever it is read. The others are anchors. An anchor joins the cluster of what it reads where
both are computed at the same point of the same loops: element-wise chains, reductions with what
goes in and what is made of their results, contractions with what follows.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from codegen.dtype import DType
from codegen.graph.contraction_match import ContractionMatch, match_contraction
from codegen.ir.node import Node, Shape, in_memory_as, topological
from codegen.lazy_import import lazy_import
from codegen.ops.reduction import kept_axes

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = lazy_import("networkx")

# Recomputing up to this cost and this many loads is cheaper than a store and a load.
_CHEAP_COST = 8
_CHEAP_LOADS = 3
MOST_NODES = 200
# More arrays than this beside a contraction push its operands out of the cache; an optimizer's
# update runs faster, and in place, in a kernel of its own.
_MOST_STREAMS = 2
# More parts than this of something put together make a kernel that is slow to compile.
_MOST_PARTS = 16
# After more changes of shape than this, each of what lies in another order, a value is stored: the
# place of an element becomes a formula that grows by as much again with each of them.
_MOST_FOLDS = 4
# Below this many rows, a large row-wise cluster cannot keep the threads busy.
_FEW_ROWS = 4
_LARGE = 1 << 15
# Of so many rows, work on a value a row is done in vectors, in a kernel of its own, where it costs
# more than this part of going along the row: a function of one number takes as long as of sixteen.
_MANY_ROWS = 64
_OF_A_ROW = 8
# Kernels over fewer points than this are merged after all others.
_LEAST_LARGE = 1 << 14


@dataclass(frozen=True)
class Read:
    """An anchor's value read by another: ``relation`` says at which point.

    same   at the point of the reader's loops
    row    through one broadcast of a value per row: (shape, kept axes longer than 1)
    other  anywhere
    """

    source: Node
    relation: str
    shape: Shape = ()
    kept: Shape = ()


@dataclass(eq=False)
class Cluster:
    """Anchors that one kernel computes.

    kind   pointwise; rows (reductions of ``shape`` over ``axes`` and work around them);
           contraction; alias (a reshape of what another cluster stores); or the kind of an
           operation that has a kernel of its own.
    latest the last position, in the graph's order, of a node in it or in what it depends on.
    by_products  sums over parts of the rows of values that it computes (``by_products.py``).
    """

    kind: str
    shape: Shape
    axes: Shape
    nodes: list[Node] = field(default_factory=list)
    number: int = 0
    latest: int = 0
    by_products: dict[Node, Node] = field(default_factory=dict)

    @property
    def row_shape(self) -> Shape:
        return tuple([n for i, n in enumerate(self.shape) if i not in self.axes])

    def level(self, node: Node) -> str:
        """Whether a member has a value per point (full) or per row."""
        if self.kind == "rows" and (node.operation.kind == "reduce" or node.shape != self.shape):
            return "row"
        return "full"


@dataclass
class Fusion:
    """The clusters in an order in which they can run, and what each stores."""

    clusters: list[Cluster]
    stored: set[Node]
    anchors: set[Node]
    contractions: dict[Node, ContractionMatch]
    reads: dict[Node, tuple[Read, ...]]

    def graph(self) -> nx.DiGraph:
        """Which cluster reads which, for inspection."""
        result = nx.DiGraph()
        owner = {n: c for c in self.clusters for n in c.nodes}
        for cluster in self.clusters:
            result.add_node(cluster.number, kind=cluster.kind, nodes=list(cluster.nodes))
            for node in cluster.nodes:
                for read in self.reads[node]:
                    source = owner.get(read.source)
                    if source is not None and source is not cluster:
                        result.add_edge(source.number, cluster.number)
        return result


def fuse(outputs: Sequence[Node], narrow: Sequence[DType] = ()) -> Fusion:
    """Clusters that compute the outputs, none of which is a leaf.

    ``narrow``: types of which products of matrices are made as they are, not as float32.
    """
    return _Fuser(outputs, narrow).run()


class _Fuser:
    def __init__(self, outputs: Sequence[Node], narrow: Sequence[DType]) -> None:
        self.outputs = set(outputs)
        self.narrow = narrow
        self.order = topological(outputs)
        self.position = {node: i for i, node in enumerate(self.order)}
        self.users: dict[Node, list[Node]] = {node: [] for node in self.order}
        for node in self.order:
            for source in node.inputs:
                self.users[source].append(node)
        self.contractions = self._find_contractions()
        self.inlined = self._find_inlined()
        self.anchors = [n for n in self.order if n not in self.inlined]
        self.anchor_set = set(self.anchors)
        self.reads = {node: self._find_reads(node) for node in self.anchors}
        self.readers: dict[Node, list[Node]] = {node: [] for node in self.anchors}
        for node in self.anchors:
            for read in self.reads[node]:
                self.readers[read.source].append(node)
        self.cluster_of: dict[Node, Cluster] = {}

    def run(self) -> Fusion:
        for node in self.anchors:
            cluster = self._new_cluster(node)
            self.cluster_of[node] = cluster
            cluster.latest = self.position[node]
            for read in self.reads[node]:
                cluster.latest = max(cluster.latest, self.cluster_of[read.source].latest)
            if cluster.kind in ("loop", "sort", "host"):
                self._join_same(node, cluster)
            elif cluster.kind == "write":
                self._join_write(node, cluster)
            self._merge_with_sources(node, _LEAST_LARGE)
        # What moves the most is merged first: a few numbers more in a kernel save little, and may
        # have it wait for another that reads the same large memory.
        for node in self.anchors:
            self._merge_with_sources(node, 0)
        self._merge_siblings()
        clusters = self._ordered_clusters()
        stored = {
            read.source
            for node in self.anchors
            for read in self.reads[node]
            if self.cluster_of[read.source] is not self.cluster_of[node]
        } | (self.outputs & self.anchor_set)
        return Fusion(clusters, stored, self.anchor_set, self.contractions, self.reads)

    # ---- what is an anchor -------------------------------------------------------------------

    def _find_contractions(self) -> dict[Node, ContractionMatch]:
        found = {}
        for node in self.order:
            if node.operation.name == "sum":
                (product,) = node.inputs
                if self.users[product] == [node] and product not in self.outputs:
                    match = match_contraction(node, self.narrow)
                    if match is not None:
                        found[node] = match
        return found

    def _find_inlined(self) -> set[Node]:
        """The nodes that every reader computes for itself."""
        required = set(self.outputs)
        for match in self.contractions.values():
            required.update((match.a, match.b))
        for node in self.order:
            if node.operation.name in ("gather", "write", "sort", "argsort") or (
                node.operation.name == "scatter" and not _is_constant(node.inputs[0])
            ):
                required.add(in_memory_as(node.inputs[0]))
            elif node.operation.kind in ("loop", "host"):
                required.update(node.inputs)
            elif node.operation.name == "kept":
                required.add(node)
        required.update(self._padded_windows())
        products = {node.inputs[0] for node in self.contractions}
        inlined: set[Node] = set()
        cost: dict[Node, int] = {}
        loads: dict[Node, int] = {}
        folds: dict[Node, int] = {}  # how often, since it was stored, a value was given a shape
        repeated: set[Node] = set()  # made of what is to be computed again, and of nothing else
        for node in self.order:
            kind = node.operation.kind
            if node.operation.name == "again" or (
                kind == "elementwise"
                and repeated.intersection(node.inputs)
                and inlined.issuperset(node.inputs)
            ):
                repeated.add(node)
            if kind == "leaf" and (node not in required or node.operation.name == "parameter"):
                inlined.add(node)
                cost[node] = 0
                # A number is loaded once, before the loops.
                is_array = node.operation.name == "parameter" and node.type.size > 1
                loads[node] = 1 if is_array else 0
                folds[node] = 0
                continue
            total = node.operation.cost if kind in ("elementwise", "gather") else 0
            sources = set(node.inputs)  # a square computes its input once
            total += sum([cost[i] for i in sources])
            reads = sum([loads[i] for i in sources])
            folded = max([folds[i] for i in sources], default=0)
            folded += node.operation.name == "reshape" and _is_moved(in_memory_as(node))
            virtual = node not in required and (
                (kind == "movement" and folded <= _MOST_FOLDS)
                or node in products
                or (kind == "elementwise" and total <= _CHEAP_COST and reads <= _CHEAP_LOADS)
                or (kind == "gather" and total <= _CHEAP_COST)
                or node in repeated
            )
            if virtual:
                inlined.add(node)
                cost[node], loads[node], folds[node] = total, reads, folded
            else:
                cost[node], loads[node], folds[node] = 0, 1, 0
        for node in reversed(self.order):
            if (
                node.operation.kind == "elementwise"
                and node not in required
                and self._feeds_one_kernel_of_its_own(node, inlined)
            ):
                inlined.add(node)
        return inlined

    def _padded_windows(self) -> set[Node]:
        """Padded values that a reduction reads through overlapping windows: asking of each element
        of each window whether it is inside costs more than to store them."""
        found = set()
        for node in self.order:
            if node.operation.kind != "reduce" or node in self.contractions:
                continue
            stack, seen = [(node.inputs[0], False)], set()
            while stack:
                source, skewed = stack.pop()
                name, kind = source.operation.name, source.operation.kind
                if skewed and name == "pad" and source.inputs[0].operation.name != "constant":
                    found.add(source)
                elif kind in ("movement", "elementwise") and (source, skewed) not in seen:
                    seen.add((source, skewed))
                    stack.extend([(i, skewed or name == "skew") for i in source.inputs])
        return found

    def _feeds_one_kernel_of_its_own(self, node: Node, inlined: set[Node]) -> bool:
        """Whether the value goes, once, into a write, scatter or scan alone."""
        while True:
            users = self.users[node]
            if len(users) != 1:
                return False
            (user,) = users
            if user.operation.kind in ("write", "scatter"):
                return user.inputs[0] is not node
            if user.operation.kind == "scan":
                return True
            if user not in inlined or user.operation.kind not in ("movement", "elementwise"):
                return False
            if user.operation.name == "broadcast":
                return False
            node = user

    def _find_reads(self, anchor: Node) -> tuple[Read, ...]:
        """The anchors whose values this one reads, through whatever is inlined between."""
        match = self.contractions.get(anchor)
        if match is not None:
            return tuple([Read(n, "other") for n in (match.a, match.b) if n in self.anchor_set])
        kind = anchor.operation.kind
        aligned = kind in ("elementwise", "reduce", "gather")
        start = Read(anchor, "same" if aligned else "other")
        if kind == "movement":
            begin = [Read(anchor.inputs[0], "other")]
        else:
            begin = [_step(anchor, i, start) for i in anchor.inputs]
        return reads_below(begin, self.anchor_set)[0]

    # ---- merging -------------------------------------------------------------------------------

    def _new_cluster(self, node: Node) -> Cluster:
        kind = node.operation.kind
        if node in self.contractions:
            return Cluster("contraction", node.shape, (), [node])
        if kind == "reduce":
            axes = node.attributes[0]
            assert isinstance(axes, tuple)
            return Cluster("rows", node.inputs[0].shape, axes, [node])
        if in_memory_as(node) is not node and in_memory_as(node) in self.anchor_set:
            return Cluster("alias", node.shape, (), [node])
        if kind in ("elementwise", "movement", "leaf", "gather"):
            return Cluster("pointwise", node.shape, (), [node])
        return Cluster(kind, node.shape, (), [node])

    def _join_same(self, node: Node, cluster: Cluster) -> None:
        """Outputs of one loop or host call, and values and places of one sort, are computed
        together: they have the same inputs, so nothing made of one can be read by another."""
        said = len(node.attributes) if cluster.kind == "sort" else 1
        for other in self.users[node.inputs[0]]:
            joined = self.cluster_of.get(other)
            same = (other.inputs, other.attributes[:said]) == (node.inputs, node.attributes[:said])
            alike = other.operation.kind == node.operation.kind and same
            if alike and joined not in (None, cluster):
                assert joined is not None
                self._append(node, cluster, joined)
                return

    def _join_write(self, node: Node, cluster: Cluster) -> None:
        """Parts of one size that are put together are computed together. Nothing reads the
        memory before the last of them, so none can depend on another."""
        base, value = node.inputs
        joined = self.cluster_of.get(base)
        if joined is None or joined.kind != "write" or self.users[base] != [node]:
            return
        first = joined.nodes[0].inputs
        alike = first[0].operation.kind == "empty" and first[1].shape == value.shape
        if alike and base not in self.outputs and len(joined.nodes) < _MOST_PARTS:
            self._append(node, cluster, joined)

    def _append(self, node: Node, cluster: Cluster, joined: Cluster) -> None:
        """Move a node from its cluster, which has no other, to one that was there before."""
        joined.nodes.append(node)
        joined.latest = max(joined.latest, cluster.latest)
        self.cluster_of[node] = joined
        self._tell_readers(joined)

    def _merge_with_sources(self, node: Node, least: int) -> None:
        """Merge a node's cluster with those that it reads, where one has so many points."""
        for read in sorted(self.reads[node], key=lambda r: -self.position[r.source]):
            source, cluster = self.cluster_of.get(read.source), self.cluster_of[node]
            if source not in (None, cluster):
                assert source is not None
                if max(prod(source.shape), prod(cluster.shape)) >= least:
                    self._try_merge(source, cluster)

    def _try_merge(self, producer: Cluster, consumer: Cluster) -> bool:
        if producer is consumer:
            return True
        if len(producer.nodes) + len(consumer.nodes) > MOST_NODES:
            return False
        merged = unified(producer, consumer)
        if merged is None or not self._relations_hold(merged, producer, consumer):
            return False
        if merged.kind == "rows" and self._is_for_vectors(merged, consumer):
            return False
        if merged.kind == "contraction" and (
            self._streams(producer, consumer) > _MOST_STREAMS
            or self._is_only_summed(producer, consumer)
        ):
            return False
        if self._path_between(producer, consumer) or self._path_between(consumer, producer):
            return False
        merged.nodes = sorted([*producer.nodes, *consumer.nodes], key=self.position.__getitem__)
        for node in merged.nodes:
            self.cluster_of[node] = merged
        merged.latest = max(producer.latest, consumer.latest)
        self._tell_readers(merged)
        return True

    def _tell_readers(self, cluster: Cluster) -> None:
        """What depends on a cluster that has grown may depend on later nodes now."""
        stack = [cluster]
        while stack:
            source = stack.pop()
            for node in source.nodes:
                for reader in self.readers[node]:
                    found = self.cluster_of.get(reader)
                    if found is not None and found.latest < source.latest:
                        found.latest = source.latest
                        stack.append(found)

    def _relations_hold(self, merged: Cluster, x: Cluster, y: Cluster) -> bool:
        """Whether every read between the two is at the point where its reader is computed."""
        members = {*x.nodes, *y.nodes}
        kept = real_axes(kept_axes(len(merged.shape), merged.axes), merged.shape)
        for node in members:
            for read in self.reads[node]:
                if read.source not in members:
                    continue
                full_reader = node.operation.kind == "reduce" or merged.level(node) == "full"
                if node in self.contractions:
                    return False
                if merged.level(read.source) == "full":
                    if read.relation != "same" or not full_reader:
                        return False
                elif full_reader:
                    if (read.relation, read.shape, read.kept) != ("row", merged.shape, kept):
                        return False
                elif read.relation != "same":
                    return False
        return True

    def _is_for_vectors(self, rows: Cluster, points: Cluster) -> bool:
        """Whether dear work on one value a row is better done beside that of other rows: rows are
        short, and nothing along them reads what comes of it."""
        if points.kind != "pointwise" or points.shape == rows.shape:
            return False
        cost, row_count = sum([node.operation.cost for node in points.nodes]), prod(rows.row_shape)
        if row_count < _MANY_ROWS or cost * _OF_A_ROW <= prod(rows.shape) // row_count:
            return False
        stack, seen = [*points.nodes], {*points.nodes}
        while stack:
            node = stack.pop()
            for reader in self.readers[node]:
                along = [r for r in self.reads[reader] if r.source is node and r.relation == "row"]
                if any([r.shape == rows.shape for r in along]):
                    return False
                if reader.shape == node.shape and reader not in seen:
                    seen.add(reader)
                    stack.append(reader)
        return True

    def _streams(self, *clusters: Cluster) -> int:
        """How many arrays of a contraction's shape its epilogue would read and write."""
        shape = clusters[0].shape
        members = {n for c in clusters for n in c.nodes}
        read = {
            source
            for node in members
            if node not in self.contractions
            for source in self._sources_in_memory(node)
            if source.type.size == prod(shape) and source not in members
        }
        return len(read) + len(members & self.outputs)

    def _is_only_summed(self, producer: Cluster, consumer: Cluster) -> bool:
        """Whether reductions alone read what would be stored besides what is in any case: they
        compute it where they read what it is made of."""
        made = {*consumer.nodes}
        kept = [n for n in producer.nodes if not made.issuperset(self.readers[n])]
        readers = {r for n in made for r in self.readers[n]} - made
        return bool(
            kept
            and readers
            and made.isdisjoint(self.outputs)
            and all([self._sums_in_place(r, made) for r in readers])
        )

    def _sums_in_place(self, node: Node, made: Container[Node]) -> bool:
        """Whether a node is a reduction that reads each of some values once, where it lies."""
        if node.operation.kind != "reduce" or node in self.contractions:
            return False
        return all([r.relation == "same" for r in self.reads[node] if r.source in made])

    def _path_between(self, start: Cluster, end: Cluster) -> bool:
        """Whether ``end`` depends on ``start`` through a third cluster."""
        first = self.position[start.nodes[0]]
        seen = {id(end)}
        stack = [c for c in self._sources(end) if c is not start]
        while stack:
            cluster = stack.pop()
            if id(cluster) in seen or cluster.latest < first:
                continue
            if cluster is start:
                return True
            seen.add(id(cluster))
            stack.extend(self._sources(cluster))
        return False

    def _sources(self, cluster: Cluster) -> Iterable[Cluster]:
        found: dict[int, Cluster] = {}
        for node in cluster.nodes:
            for read in self.reads[node]:
                source = self.cluster_of.get(read.source)
                if source is not None and source is not cluster:
                    found[id(source)] = source
        return found.values()

    def _merge_siblings(self) -> None:
        """Merge clusters of the same loops that read the same anchor or parameter."""
        readers: dict[tuple[Node, Shape, Shape], list[Node]] = {}
        for node in self.anchors:
            cluster = self.cluster_of[node]
            if cluster.kind in ("rows", "pointwise"):
                for source in self._sources_in_memory(node):
                    readers.setdefault((source, cluster.shape, cluster.axes), []).append(node)
        for nodes in readers.values():
            for node in nodes[1:9]:
                first, other = self.cluster_of[nodes[0]], self.cluster_of[node]
                if first is not other and (first.kind, first.shape, first.axes) == (
                    other.kind,
                    other.shape,
                    other.axes,
                ):
                    self._try_merge(first, other)

    def _sources_in_memory(self, node: Node) -> list[Node]:
        """What a node loads, directly or through inlined nodes."""
        found = [r.source for r in self.reads[node]]
        seen = set(node.inputs)
        stack = list(node.inputs)
        while stack:
            source = stack.pop()
            if source.operation.name == "parameter":
                found.append(source)
            elif source in self.inlined:
                stack.extend([i for i in source.inputs if i not in seen])
                seen.update(source.inputs)
        return found

    def _ordered_clusters(self) -> list[Cluster]:
        clusters = list({id(c): c for c in [self.cluster_of[n] for n in self.anchors]}.values())
        done: set[int] = set()
        ordered: list[Cluster] = []
        for cluster in clusters:
            stack = [(cluster, False)]
            while stack:
                item, ready = stack.pop()
                if ready:
                    ordered.append(item)
                elif id(item) not in done:
                    done.add(id(item))
                    stack.append((item, True))
                    stack.extend([(s, False) for s in self._sources(item) if id(s) not in done])
        for number, cluster in enumerate(ordered):
            cluster.number = number
        return ordered


def _is_moved(node: Node) -> bool:
    """Whether elements are not where those are that this is made of."""
    return node.operation.kind == "movement"


def _is_constant(node: Node) -> bool:
    """Whether all elements are one number, which nobody has to store."""
    while node.operation.name in ("broadcast", "reshape"):
        node = node.inputs[0]
    return node.operation.name == "constant"


def reads_below(
    begin: Sequence[Read], anchors: Container[Node]
) -> tuple[tuple[Read, ...], set[Read]]:
    """What is read of the anchors below some values, and all that is passed on the way there."""
    found: dict[Read, None] = {}
    seen: set[Read] = set()
    stack = [*begin]
    while stack:
        state = stack.pop()
        if state in seen:
            continue
        seen.add(state)
        node = state.source
        if node in anchors:
            found[state] = None
            continue
        stack += [_step(node, source, state) for source in node.inputs]
    return tuple(found), seen


def _step(node: Node, source: Node, state: Read) -> Read:
    """The relation of ``source`` to the reader, one inlined node further down."""
    kind = node.operation.kind
    is_index = kind == "gather" and source is not node.inputs[0]  # of one element alone
    if kind in ("elementwise", "reduce") or is_index:
        return Read(source, state.relation, state.shape, state.kept)
    if node.operation.name == "broadcast" and state.relation == "same":
        shape, kept = node.attributes
        assert isinstance(shape, tuple) and isinstance(kept, tuple)
        return Read(source, "row", shape, real_axes(kept, shape))
    same_rows = node.operation.name == "reshape" and state.relation == "row"
    if same_rows and real_extents(node.shape) == real_extents(source.shape):
        return Read(source, "row", state.shape, state.kept)
    return Read(source, "other")


def real_extents(shape: Shape) -> Shape:
    return tuple([n for n in shape if n != 1])


def real_axes(axes: Sequence[int], shape: Shape) -> Shape:
    """The axes that are longer than 1: the others say nothing of where a value is read."""
    return tuple([a for a in axes if shape[a] != 1])


def unified(x: Cluster, y: Cluster) -> Cluster | None:
    """The loops that compute both clusters, if there are any."""
    kinds = {x.kind, y.kind}
    if kinds == {"pointwise"}:
        return Cluster("pointwise", x.shape, ()) if x.shape == y.shape else None
    if kinds == {"rows"}:
        same = (x.shape, x.axes) == (y.shape, y.axes)
        return Cluster("rows", x.shape, x.axes) if same else None
    if kinds == {"rows", "pointwise"}:
        rows, points = (x, y) if x.kind == "rows" else (y, x)
        if points.shape == rows.row_shape and rows.row_shape != rows.shape:
            return Cluster("rows", rows.shape, rows.axes)
        starved = prod(rows.row_shape) < _FEW_ROWS and prod(rows.shape) > _LARGE
        if points.shape == rows.shape and not (starved and rows is x):
            return Cluster("rows", rows.shape, rows.axes)
        return None
    if kinds == {"contraction", "pointwise"} and x.kind == "contraction" and x.shape == y.shape:
        return Cluster("contraction", x.shape, ())
    return None
