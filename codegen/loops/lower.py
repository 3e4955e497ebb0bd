"""From a cluster to the loops of its kernel: index variables, stages, and where values are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from codegen.graph.explain import computed_nodes
from codegen.graph.fuse import Cluster, Fusion
from codegen.index.algebra import Index, Variable, constant, flatten, unflatten, variable
from codegen.ir.node import Node, Shape
from codegen.loops.emitter import Emitter, Indices, Operand, literal
from codegen.loops.grammar import (
    Accumulator,
    Fold,
    Kernel,
    Lanes,
    Load,
    Parallel,
    Reduce,
    Row,
    Sequential,
    Serial,
    SetLane,
    Statement,
    Vector,
)
from codegen.loops.lines import TILE, streamed, tile_width, turned
from codegen.loops.prefetch import with_prefetches
from codegen.loops.roots import with_roots_apart
from codegen.loops.streams import in_two_streams

# Elements of the innermost axis that one task takes, where the axis is long.
BLOCK = 4096
LANES = 64
# Below this much scalar work a kernel runs on the calling thread alone.
PARALLEL_WORK = 1 << 16
# A row of intermediate values longer than this is computed again rather than kept.
ROW_BYTES = 1 << 18
STACK_BYTES = 1 << 12
# A row shorter than this is no place for lanes.
_SHORT_ROW = 16
# Work worth keeping rather than repeating in a later loop over the same row.
_WORTH_KEEPING = 10


def lower(cluster: Cluster, fusion: Fusion, whole_lines: bool = False) -> Kernel:
    """The kernel of a cluster that is not a contraction; ``whole_lines``: for a dialect that turns
    tiles in registers, and writes lines past the caches."""

    def lowering(groups: Groups) -> Pointwise | Rows:
        if cluster.kind == "pointwise":
            return Pointwise(cluster, fusion, groups, whole_lines)
        return Rows(cluster, fusion, groups)

    kernel = lowering(finest(cluster)).run()
    groups = merged_groups(cluster, kernel.accesses)
    if len(groups) < len(cluster.shape):
        kernel = lowering(groups).run()
    made = in_two_streams(with_prefetches(kernel.kernel))
    return with_roots_apart(made) if whole_lines else made


# ---- axes -----------------------------------------------------------------------------------
# The axes of a cluster are walked in groups of neighbours, each group by one variable.

Groups = tuple[tuple[int, ...], ...]


def finest(cluster: Cluster) -> Groups:
    return tuple([(i,) for i in range(len(cluster.shape))])


def merged_groups(cluster: Cluster, accesses: Sequence[Index]) -> Groups:
    """Neighbouring axes in one group where every access steps through them as through one."""
    groups: list[tuple[int, ...]] = []
    for axis in range(len(cluster.shape)):
        # An axis of extent 1 goes with any neighbour and says nothing of the next.
        real = [a for a in groups[-1] if cluster.shape[a] != 1] if groups else []
        together = (
            groups
            and (axis in cluster.axes) == (groups[-1][-1] in cluster.axes)
            and (
                not real
                or cluster.shape[axis] == 1
                or all(_steps_as_one(a, real[-1], axis, cluster.shape[axis]) for a in accesses)
            )
        )
        if together:
            groups[-1] = (*groups[-1], axis)
        else:
            groups.append((axis,))
    return tuple(groups)


def _steps_as_one(access: Index, before: int, axis: int, extent: int) -> bool:
    outer, inner = f"i{before}", f"i{axis}"
    if access.coefficient(outer) != access.coefficient(inner) * extent:
        return False
    return not any(
        name in atom.variables
        for atom, _ in access.terms
        if not isinstance(atom, Variable)
        for name in (outer, inner)
    )


@dataclass
class Lowered:
    """A kernel and every index that it uses."""

    kernel: Kernel
    accesses: list[Index]


class _Lowering:
    """What both kinds of cluster share."""

    def __init__(self, cluster: Cluster, fusion: Fusion, groups: Groups) -> None:
        self.cluster = cluster
        self.fusion = fusion
        self.members = set(cluster.nodes)
        self.groups = groups
        self.extents = [prod([cluster.shape[a] for a in group]) for group in groups]
        self.names = [f"i{group[0]}" for group in groups]
        self.variables = [variable(n, e) for n, e in zip(self.names, self.extents, strict=True)]
        self.emitter = Emitter(self._in_memory)
        self.point = self._point()

    def _in_memory(self, node: Node) -> bool:
        if node.operation.name == "parameter":
            return True
        return node in self.fusion.anchors and node not in self.members

    def _point(self) -> Indices:
        """The index of every axis of the cluster's shape, over the groups' variables."""
        indices: list[Index] = []
        for group, flat in zip(self.groups, self.variables, strict=True):
            indices.extend(unflatten(flat, [self.cluster.shape[a] for a in group]))
        return tuple(indices)

    def kernel(self) -> Kernel:
        nodes = self.cluster.nodes
        computed = [
            n
            for n in computed_nodes(self.cluster, self.fusion)
            if n.operation.kind != "movement" or n in self.members
        ]
        work = sum([n.operation.cost * _points(n) for n in computed])
        traffic = sum([a.type.nbytes for a in self.emitter.arguments.values()])
        name = "_".join(dict.fromkeys([n.operation.name for n in nodes][-3:]))
        return kernel_of(name, self.emitter, work + traffic // 4 > PARALLEL_WORK, work, traffic)

    def stores(self) -> list[Node]:
        return [n for n in self.cluster.nodes if n in self.fusion.stored]


def _points(node: Node) -> int:
    return node.inputs[0].type.size if node.operation.kind == "reduce" else node.type.size


# Smaller nests with a transposed operand go through it as they are.
_TILED_SIZE = 1 << 14


class Pointwise(_Lowering):
    """One loop nest over the shape: outer axes and blocks of the innermost in parallel."""

    def __init__(
        self, cluster: Cluster, fusion: Fusion, groups: Groups, whole_lines: bool = False
    ) -> None:
        super().__init__(cluster, fusion, groups)
        self.whole_lines = whole_lines

    def run(self) -> Lowered:
        emitter = self.emitter
        if not self.extents:
            with emitter.loop((), lambda body: Serial("once", 1, body)):
                self._body()
            return Lowered(self.kernel(), emitter.accesses)
        across = self.axis_across(self.plain_accesses()) if self._may_be_tiled() else None
        if across is not None:
            return self._run_tiled(across)
        outer, inner = self.extents[:-1], self.extents[-1]
        blocks = -(-inner // BLOCK)
        tasks = variable("task", prod(outer) * blocks)
        indices = unflatten(tasks, (*outer, blocks))
        mapping = dict(zip(self.names[:-1], indices[:-1], strict=True))
        self.point = tuple([i.substitute(mapping) for i in self.point])
        start = indices[-1] * BLOCK
        with (
            emitter.loop(("task",), lambda body: Parallel("task", prod(outer) * blocks, body)),
            emitter.loop(
                (self.names[-1],),
                lambda body: Vector(self.names[-1], start, min(BLOCK, inner), inner, body),
            ),
        ):
            self._body()
        return Lowered(self.kernel(), self._plain_accesses(mapping))

    def _may_be_tiled(self) -> bool:
        large = len(self.extents) >= 2 and prod(self.extents) >= _TILED_SIZE
        return large and self.extents[-1] >= TILE

    def fresh(self) -> Pointwise:
        """The same lowering before anything was emitted."""
        return type(self)(self.cluster, self.fusion, self.groups, self.whole_lines)

    def _plain(self) -> Emitter:
        """What the nest does, over the axes' own variables."""
        plain = self.fresh()
        with plain.emitter.loop(plain.names, lambda body: Serial("all", 1, body)):
            plain._body()
        return plain.emitter

    def plain_accesses(self) -> list[Index]:
        """Every access over the axes' own variables."""
        return self._plain().accesses

    def axis_across(self, accesses: Sequence[Index]) -> int | None:
        """The group whose axis some operand has its neighbours along, if that is not the
        innermost: a transposed one, of which each cache line should serve a tile."""
        if not self._may_be_tiled():
            return None
        for access in accesses:
            if abs(access.coefficient(self.names[-1])) >= TILE:
                for i, name in enumerate(self.names[:-1]):
                    if abs(access.coefficient(name)) == 1 and self.extents[i] >= TILE:
                        return i
        return None

    def _run_tiled(self, across: int) -> Lowered:
        """Tiles of the innermost axis and the one across are the tasks."""
        emitter = self.emitter
        inner, other = self.extents[-1], self.extents[across]
        name, row = self.names[across], self.names[-1]
        streams: tuple[str, ...] = ()
        width = TILE
        if self.whole_lines:
            statements = self._plain().scopes[0].statements
            streams = streamed(statements, row, self.extents)
            width = tile_width(statements, name, row, inner, streams)
        outer = [n for i, n in enumerate(self.extents[:-1]) if i != across]
        # Tiles that follow each other along the axis across read the same rows on; along the
        # innermost, they write the same rows on, which is worth more where a cache holds them.
        across_count, inner_count = -(-other // TILE), -(-inner // width)
        counts = (inner_count, across_count) if streams else (across_count, inner_count)
        indices = unflatten(variable("task", prod([*outer, *counts])), (*outer, *counts))
        far, near = indices[-2:]
        if streams:
            near, far = far, near
        names = [n for i, n in enumerate(self.names[:-1]) if i != across]
        mapping = dict(zip(names, indices[:-2], strict=True))
        self.point = tuple([i.substitute(mapping) for i in self.point])
        tasks, start, row_start = prod([*outer, *counts]), far * TILE, near * width

        def tile(body: list[Statement]) -> Vector:
            loads = turned(body, name, row) if self.whole_lines else ()
            return Vector(name, start, TILE, other, body, turned=loads)

        with (
            emitter.loop(("task",), lambda body: Parallel("task", tasks, body)),
            emitter.loop((name,), tile),
            emitter.loop(
                (row,),
                lambda body: Vector(row, row_start, width, inner, body, streamed=streams),
            ),
        ):
            self._body()
        return Lowered(self.kernel(), self._plain_accesses(mapping))

    def _plain_accesses(self, mapping: dict[str, Index]) -> list[Index]:
        """Accesses over the axes' own variables, for the decision which axes to merge."""
        if all(len(g) == 1 for g in self.groups) and mapping:
            return self.plain_accesses()
        return self.emitter.accesses

    def _body(self) -> None:
        for node in self.cluster.nodes:
            text, _ = self.emitter.value(node, self.point)
            if node in self.fusion.stored:
                self.emitter.store(node, flatten(self.point, node.shape), text)


class Rows(_Lowering):
    """Rows in parallel; for each, one loop over its elements per stage.

    A reduction belongs to the first stage that knows what goes into it; what needs its result
    comes in a later stage. Lanes run along the row, or, where the row is not what is contiguous
    in memory, along neighbouring rows.

    With by-products, a task is a part of the rows: it begins with the part's sums at 0, and goes
    through its rows one after another.
    """

    def __init__(self, cluster: Cluster, fusion: Fusion, groups: Groups) -> None:
        super().__init__(cluster, fusion, groups)
        inner = set(cluster.axes)
        self.row_groups = [i for i, g in enumerate(groups) if g[0] not in inner]
        self.inner_groups = [i for i, g in enumerate(groups) if g[0] in inner]
        self.by_columns = not cluster.by_products and self._lanes_along_rows()
        self.stage = self._stages()
        self.scratch = 0

    def _lanes_along_rows(self) -> bool:
        """Whether lanes run along the innermost axis that is kept: it is the contiguous one, or
        the row is no place for lanes (a pooling window): too short, or in pieces."""
        if not self.row_groups or self.extents[self.row_groups[-1]] < 4:
            return False
        length = prod([self.extents[g] for g in self.inner_groups])
        if self.row_groups[-1] == len(self.groups) - 1 or length < _SHORT_ROW:
            return True
        return length < LANES * 4 and self._in_pieces()

    def _in_pieces(self) -> bool:
        """Whether neighbours in the row are apart in something that is read, in other places than
        a stride would say."""
        name = self.names[self.inner_groups[-1]]
        probe = Emitter(self._in_memory)
        with probe.loop(self.names, lambda body: Serial("all", 1, body)):
            for node in self.cluster.nodes:
                inside = any(r.source in self.members for r in self.fusion.reads[node])
                if node.operation.kind == "reduce" and not inside:
                    probe.value(node.inputs[0], self.point)
        return any(
            name in atom.variables and not isinstance(atom, Variable)
            for access in probe.accesses
            for atom, _ in access.terms
        )

    # ---- stages -------------------------------------------------------------------------------

    def _stages(self) -> dict[Node, int]:
        """In which loop over the row each member is known (a reduction: after which)."""
        stage: dict[Node, int] = {}
        for node in self.cluster.nodes:
            first = 0
            for read in self.fusion.reads[node]:
                if read.source in self.members:
                    after = read.source.operation.kind == "reduce"
                    first = max(first, stage[read.source] + after)
            stage[node] = first
        return stage

    def kept(self) -> set[Node]:
        """Full-level members that a later loop reads again and that are worth keeping."""
        kept: set[Node] = set()
        for node in self.cluster.nodes:
            for read in self.fusion.reads[node]:
                source = read.source
                if (
                    source in self.members
                    and source.operation.kind != "reduce"
                    and self.cluster.level(source) == "full"
                    and self.stage[node] > self.stage[source]
                    and (source in self.fusion.stored or self.is_worth_keeping(source))
                ):
                    kept.add(source)
        return kept

    def is_worth_keeping(self, node: Node) -> bool:
        return self._cost(node) >= _WORTH_KEEPING and self._row_bytes(node) <= ROW_BYTES

    def _row_bytes(self, node: Node) -> int:
        """What a row buffer of a member takes."""
        size = prod([self.extents[g] for g in self.inner_groups])
        return size * max(node.dtype.itemsize, 4) * (LANES if self.by_columns else 1)

    def _cost(self, node: Node) -> int:
        total, stack, seen = 0, [node], {node}
        while stack:
            item = stack.pop()
            if item.operation.kind == "elementwise":
                total += item.operation.cost
                for source in item.inputs:
                    if source not in seen and not self._in_memory(source):
                        seen.add(source)
                        stack.append(source)
        return total

    # ---- loops ---------------------------------------------------------------------------------

    def run(self) -> Lowered:
        emitter = self.emitter
        row_extents = [self.extents[g] for g in self.row_groups]
        if self.by_columns:
            blocks = -(-row_extents[-1] // LANES)
            task_shape: Shape = (*row_extents[:-1], blocks)
        else:
            task_shape = tuple(row_extents)
        tasks = prod(task_shape)
        indices = unflatten(variable("task", tasks), task_shape)
        outer = self.row_groups[:-1] if self.by_columns else self.row_groups
        mapping = {self.names[g]: i for g, i in zip(outer, indices, strict=False)}
        self.point = tuple([i.substitute(mapping) for i in self.point])
        self.column_start = indices[-1] * LANES if self.by_columns else constant(0)
        kept = self.kept()

        def one_row() -> None:
            for number in range(max(self.stage.values()) + 1):
                self.stage_loop(number, kept)
            self.store_rows()

        if not self.cluster.by_products:
            with emitter.loop(("task",), lambda body: Parallel("task", tasks, body)):
                one_row()
        else:
            parts = next(iter(self.cluster.by_products)).shape[0]
            each = tasks // parts
            task = variable("part", parts) * each + variable("row", each)
            self.point = tuple([i.substitute({"task": task}) for i in self.point])
            with emitter.loop(("part",), lambda body: Parallel("part", parts, body)):
                self._begin_by_products()
                with emitter.loop(("row",), lambda body: Serial("row", each, body)):
                    one_row()
                self.open_loops(lambda lane: self._end_by_products())
        accesses = emitter.accesses
        if all(len(g) == 1 for g in self.groups):
            accesses = self.plain_accesses()
        return Lowered(self.kernel(), accesses)

    def kernel(self) -> Kernel:
        kernel = super().kernel()
        kernel.scratch_bytes = self.scratch
        return kernel

    def plain_accesses(self) -> list[Index]:
        plain = self.fresh()
        emitter = plain.emitter
        for node in plain.cluster.nodes:
            if node.operation.kind == "reduce":
                emitter.results[node] = lambda: ("row", 0)
        with emitter.loop(plain.names, lambda body: Serial("all", 1, body)):
            for node in plain.cluster.nodes:
                full = plain.cluster.level(node) == "full"
                if node in plain.cluster.by_products:
                    emitter.value(plain.cluster.by_products[node], plain.point)
                    inner = tuple([plain.point[a] for a in plain.cluster.axes])
                    emitter.accesses.append(flatten(inner, node.shape[1:]))
                    continue
                if node.operation.kind == "reduce":
                    emitter.value(node.inputs[0], plain.point)
                    if "arg" in node.operation.name:
                        emitter.accesses.append(plain.point[node.attributes[0][0]])  # type: ignore
                else:
                    emitter.value(node, plain.point if full else plain.row_point())
                if node in plain.fusion.stored:
                    at = plain.point if full else plain.row_point()
                    emitter.accesses.append(flatten(at, node.shape))
        return emitter.accesses

    def _begin_by_products(self) -> None:
        """The sums of the present part, added up in memory that no other thread is near: where
        they are stored, processors that fetch ahead would take each other's lines."""
        self.sums = {node: self.row_buffer(node) for node in self.cluster.by_products}

        def clear(lane: str) -> None:
            for node, row in self.sums.items():
                place = self.row_place(row).to_c()
                self.emitter.add(SetLane(row.name, place, literal(0, node.dtype)))

        self.open_loops(clear)

    def _end_by_products(self) -> None:
        inner = tuple([self.point[a] for a in self.cluster.axes])
        for node, row in self.sums.items():
            place = flatten((variable("part", node.shape[0]), *inner), node.shape)
            self.emitter.store(node, place, f"{row.name}[{self.row_place(row).to_c()}]")

    def fresh(self) -> Rows:
        """The same lowering before anything was emitted."""
        return type(self)(self.cluster, self.fusion, self.groups)

    def row_point(self) -> Indices:
        return tuple([p for i, p in enumerate(self.point) if i not in self.cluster.axes])

    def stage_loop(self, number: int, kept: set[Node]) -> None:
        """One pass over the row: the reductions and stores of a stage."""
        reductions, writes, row_values, parts = [], [], [], []
        for node in self.cluster.nodes:
            if self.stage[node] != number:
                continue
            if node in self.cluster.by_products:
                parts.append(node)
            elif self.cluster.level(node) == "row" and node.operation.kind != "reduce":
                row_values.append(node)
            elif node.operation.kind == "reduce":
                reductions.append(node)
            elif self.cluster.level(node) == "full" and (
                node in self.fusion.stored or node in kept
            ):
                writes.append(node)
        if self.by_columns and row_values:
            self._keep_row_values(row_values)
        if not reductions and not writes and not parts:
            return
        accumulators = {node: self.accumulator(node) for node in reductions}
        rows = {
            node: self.row_buffer(node)
            for node in writes
            if node in kept and node not in self.fusion.stored
        }

        def body(lane: str) -> None:
            self._stage_body(accumulators, writes, rows, lane)
            for node in parts:
                self._add_to_part(node)

        self.open_loops(body)
        for node, accumulator in accumulators.items():
            self._finish(node, accumulator)
        for node in writes:
            if node in kept:
                self._revisit(node, rows.get(node))

    def open_loops(self, body: Callable[[str], None]) -> None:
        """The loops over the row around a body that is told its lane."""
        emitter = self.emitter
        if self.by_columns:
            last = self.row_groups[-1]
            name, extent = self.names[last], self.extents[last]
            serial, start = self.inner_groups, self.column_start
            self._nest(serial, lambda: self._vector(name, start, extent, body))
            return
        *outer, innermost = self.inner_groups
        name, extent = self.names[innermost], self.extents[innermost]

        def lanes() -> None:
            with emitter.loop(
                (name,), lambda statements: Lanes(name, extent, self._lanes(), statements)
            ):
                body("lane")

        self._nest(outer, lanes)

    def _vector(self, name: str, start: Index, extent: int, body: Callable[[str], None]) -> None:
        with self.emitter.loop(
            (name,), lambda statements: Vector(name, start, LANES, extent, statements)
        ):
            body("lane")

    def _nest(self, groups: Sequence[int], body: Callable[[], None]) -> None:
        if not groups:
            body()
            return
        name, extent = self.names[groups[0]], self.extents[groups[0]]
        with self.emitter.loop((name,), lambda statements: Serial(name, extent, statements)):
            self._nest(groups[1:], body)

    def _lanes(self) -> int:
        extent = self.extents[self.inner_groups[-1]]
        return LANES if extent >= LANES else 16 if extent >= 16 else 8 if extent >= 8 else 1

    # ---- what a stage does ---------------------------------------------------------------------

    def accumulator(self, node: Node) -> Accumulator:
        lanes = LANES if self.by_columns else self._lanes()
        dtype = node.inputs[0].dtype
        accumulator = Accumulator(self.emitter.name("acc"), dtype, node.operation, lanes)
        self.emitter.add(accumulator)
        return accumulator

    def row_buffer(self, node: Node) -> Row:
        size = prod([self.extents[g] for g in self.inner_groups])
        if self.by_columns:
            size *= LANES
        nbytes = self._row_bytes(node)
        row = Row(self.emitter.name("row"), node.dtype, size, nbytes > STACK_BYTES)
        if row.in_scratch:
            self.scratch += -(-nbytes // 64) * 64
        self.emitter.add(row, 1)
        return row

    def _stage_body(
        self,
        accumulators: dict[Node, Accumulator],
        writes: Sequence[Node],
        rows: dict[Node, Row],
        lane: str,
    ) -> None:
        emitter = self.emitter
        for node in writes:
            text, _ = emitter.value(node, self.point)
            if node in self.fusion.stored:
                emitter.store(node, flatten(self.point, node.shape), text)
            if node in rows:
                emitter.add(SetLane(rows[node].name, self.row_place(rows[node]).to_c(), text))
        for node, accumulator in accumulators.items():
            text, _ = emitter.value(node.inputs[0], self.point)
            position = None
            if "arg" in node.operation.name:
                axes = node.attributes[0]
                assert isinstance(axes, tuple)
                position = self.point[axes[0]]
            emitter.add(Reduce(accumulator, lane, text, position))

    def _add_to_part(self, node: Node) -> None:
        text, _ = self.emitter.value(self.cluster.by_products[node], self.point)
        row = self.sums[node]
        place = self.row_place(row).to_c()
        self.emitter.add(SetLane(row.name, place, f"{row.name}[{place}] + {text}"))

    def row_place(self, row: Row) -> Index:
        """Where the present element lies in a row buffer."""
        indices = [self.variables[g] for g in self.inner_groups]
        shape = [self.extents[g] for g in self.inner_groups]
        if self.by_columns:
            indices.append(variable("lane", LANES))
            shape.append(LANES)
        return flatten(indices, shape)

    def _finish(self, node: Node, accumulator: Accumulator) -> None:
        """Make a reduction's result known to the stages that follow."""
        emitter = self.emitter
        if not self.by_columns:
            name = emitter.name(node.operation.name)
            emitter.add(Fold(name, accumulator))
            depth = emitter.depth
            emitter.results[node] = lambda: (name, depth)
            return
        suffix = "_at" if "arg" in node.operation.name else ""
        column = self.names[self.row_groups[-1]]
        emitter.results[node] = lambda: (
            f"{accumulator.name}{suffix}[lane]",
            emitter.depth_of(frozenset([column])),
        )

    def _keep_row_values(self, nodes: Sequence[Node]) -> None:
        """Compute what there is one of per row once, not in every loop over the row."""
        emitter = self.emitter
        last = self.row_groups[-1]
        column = frozenset([self.names[last]])
        rows = [Row(emitter.name("row"), node.dtype, LANES) for node in nodes]
        for row in rows:
            emitter.add(row)

        def body(lane: str) -> None:
            for node, row in zip(nodes, rows, strict=True):
                text, _ = emitter.value(node, self.row_point())
                emitter.add(SetLane(row.name, lane, text))

        self._vector(self.names[last], self.column_start, self.extents[last], body)
        for node, row in zip(nodes, rows, strict=True):
            emitter.results[node] = lambda name=row.name: (  # type: ignore[misc]
                f"{name}[lane]", emitter.depth_of(column)
            )  # fmt: skip

    def _revisit(self, node: Node, row: Row | None) -> None:
        """From now on the member is read back from where this loop has left it."""
        emitter = self.emitter

        def from_row(indices: Indices) -> Operand:
            assert row is not None and indices == self.point
            return f"{row.name}[{self.row_place(row).to_c()}]", emitter.depth

        def from_output(indices: Indices) -> Operand:
            argument = emitter.argument(node, True)
            name = emitter.name(argument.name)
            place = flatten(indices, node.shape)
            emitter.accesses.append(place)
            depth = emitter.depth_of(place.variables())
            emitter.add(Load(name, node.dtype, argument.name, place), depth)
            return name, depth

        emitter.revisited[node] = from_row if row is not None else from_output

    def store_rows(self) -> None:
        """Write the results that there is one of per row."""
        parts = self.cluster.by_products
        writes = [n for n in self.stores() if self.cluster.level(n) == "row" and n not in parts]
        if not writes:
            return

        def body(_lane: str) -> None:
            for node in writes:
                text, _ = self.emitter.value(node, self.row_point())
                self.emitter.store(node, flatten(self.row_point(), node.shape), text)

        if self.by_columns:
            last = self.row_groups[-1]
            self._vector(self.names[last], self.column_start, self.extents[last], body)
        else:
            body("0")


# ---- kernels of their own ------------------------------------------------------------------------


def lower_copy(source: Node, target: Node) -> Kernel:
    """A kernel that copies one node's memory to another's, element by element."""
    emitter = Emitter(lambda node: True)
    size = target.type.size
    blocks = max(1, -(-size // BLOCK))
    start = variable("task", blocks) * BLOCK
    with (
        emitter.loop(("task",), lambda body: Parallel("task", blocks, body)),
        emitter.loop(("i0",), lambda body: Vector("i0", start, min(BLOCK, size), size, body)),
    ):
        flat = variable("i0", size)
        argument = emitter.argument(source)
        name = emitter.name(argument.name)
        emitter.add(Load(name, source.dtype, argument.name, flat))
        emitter.store(target, flat, name)
    traffic = 2 * target.type.nbytes
    return kernel_of("copy", emitter, traffic // 4 > PARALLEL_WORK, 0, traffic)


def lower_write(cluster: Cluster, fusion: Fusion, whole_lines: bool = False) -> Kernel:
    """Store the values of writes, of one shape, into their regions of the same memory; the rest
    of the memory is there already. ``whole_lines`` as in ``lower``."""
    points = Cluster("pointwise", cluster.nodes[0].inputs[1].shape, (), cluster.nodes)
    kernel = Region(points, fusion, finest(points), whole_lines).run()
    groups = merged_groups(points, kernel.accesses)
    if len(groups) < len(points.shape):
        kernel = Region(points, fusion, groups, whole_lines).run()
    return kernel.kernel


class Region(Pointwise):
    def _body(self) -> None:
        target = self.cluster.nodes[-1]
        for node in self.cluster.nodes:
            starts, steps = node.attributes
            assert isinstance(starts, tuple) and isinstance(steps, tuple)
            text, _ = self.emitter.value(node.inputs[1], self.point)
            place = [p * t + s for p, s, t in zip(self.point, starts, steps, strict=True)]
            self.emitter.store(target, flatten(place, target.shape), text)

    def kernel(self) -> Kernel:
        computed = [n for n in computed_nodes(self.cluster, self.fusion) if n not in self.members]
        work = sum(
            [n.operation.cost * _points(n) for n in computed if n.operation.kind != "movement"]
        )
        traffic = 2 * sum([n.inputs[1].type.nbytes for n in self.cluster.nodes])
        return kernel_of("write", self.emitter, work + traffic // 4 > PARALLEL_WORK, work, traffic)


def lower_scan(node: Node, fusion: Fusion) -> Kernel:
    """Running results along one axis, all other axes in parallel; lanes along the last axis where
    that is another one."""
    (x,) = node.inputs
    (axis,) = node.attributes
    assert isinstance(axis, int)
    emitter = Emitter(lambda n: n.operation.name == "parameter" or n in fusion.anchors)
    shape = x.shape
    by_lanes = axis < len(shape) - 1 and shape[-1] >= 4
    others = [i for i in range(len(shape)) if i != axis and not (by_lanes and i == len(shape) - 1)]
    task_shape = [shape[i] for i in others]
    if by_lanes:
        task_shape.append(-(-shape[-1] // LANES))
    tasks = prod(task_shape)
    indices = unflatten(variable("task", tasks), task_shape)
    point = dict(zip(others, indices, strict=False))
    point[axis] = variable("i0", shape[axis])
    if by_lanes:
        point[len(shape) - 1] = variable("i1", shape[-1])
    place = tuple([point[i] for i in range(len(shape))])
    with emitter.loop(("task",), lambda body: Parallel("task", tasks, body)):
        lanes = LANES if by_lanes else 1
        accumulator = Accumulator(emitter.name("acc"), node.dtype, node.operation, lanes)
        emitter.add(accumulator)

        def step(lane: str) -> None:
            text, _ = emitter.value(x, place)
            emitter.add(Reduce(accumulator, lane, text))
            emitter.store(node, flatten(place, shape), f"{accumulator.name}[{lane}]")

        with emitter.loop(("i0",), lambda body: Sequential("i0", shape[axis], body)):
            if by_lanes:
                start = indices[-1] * LANES
                with emitter.loop(
                    ("i1",), lambda body: Vector("i1", start, LANES, shape[-1], body)
                ):
                    step("lane")
            else:
                step("0")
    work = node.type.size * 4
    parallel = work > PARALLEL_WORK
    return kernel_of(node.operation.name, emitter, parallel, work, 2 * node.type.nbytes)


def kernel_of(name: str, emitter: Emitter, parallel: bool, work: int, traffic: int) -> Kernel:
    return Kernel(
        name, list(emitter.arguments), list(emitter.arguments.values()),
        emitter.scopes[0].statements, parallel, work, traffic,
    )  # fmt: skip
