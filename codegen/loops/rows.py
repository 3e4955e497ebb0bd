"""From a cluster of rows to the loops of its kernel: stages, and where values are kept between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

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
    Serial,
    SetLane,
    Vector,
)
from codegen.loops.lowering import LANES, Groups, Lowered, Lowering

# A row of intermediate values longer than this is computed again rather than kept.
ROW_BYTES = 1 << 18
STACK_BYTES = 1 << 12
# A row shorter than this is no place for lanes.
_SHORT_ROW = 16
# Work worth keeping rather than repeating in a later loop over the same row.
_WORTH_KEEPING = 10
# So many rows are summed side by side, each with so few partial results, where there are enough
# rows to share out, none so long that few partial results lose digits, and little to compute.
_TOGETHER, _TOGETHER_LANES = 4, 8
_MANY_ROWS, _LONG_ROW, _LITTLE = 32, 1 << 13, 4


class Rows(Lowering):
    """Rows in parallel; for each, one loop over its elements per stage.

    A reduction belongs to the first stage that knows what goes into it; what needs its result
    comes in a later stage. Lanes run along the row, or, where the row is not what is contiguous
    in memory, along neighbouring rows.

    With by-products, a task is a part of the rows: it begins with the part's sums at 0, and goes
    through its rows one after another.

    Rows that are summed and no more (a matrix times a vector) go several to a task: what they read
    in common is read once, and none waits for another's sum to be folded.
    """

    def __init__(self, cluster: Cluster, fusion: Fusion, groups: Groups) -> None:
        super().__init__(cluster, fusion, groups)
        inner = set(cluster.axes)
        self.row_groups = [i for i, g in enumerate(groups) if g[0] not in inner]
        self.inner_groups = [i for i, g in enumerate(groups) if g[0] in inner]
        self.by_columns = not cluster.by_products and self._lanes_along_rows()
        self.stage = self._stages()
        self.together = 1
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

    def _rows_together(self) -> int:
        """How many rows a task has."""
        row = [self.extents[g] for g in self.inner_groups]
        rows = prod([self.extents[g] for g in self.row_groups])
        if self.by_columns or self.cluster.by_products or rows < _MANY_ROWS:
            return 1
        if row[-1] <= _SHORT_ROW or prod(row) > _LONG_ROW:
            return 1
        for node in self.cluster.nodes:
            if node.operation.kind == "reduce":
                light = self._cost(node.inputs[0]) <= _LITTLE
                bytewise = node.inputs[0].dtype.itemsize == 1  # eight lanes are no vector
                if self.stage[node] > 0 or "arg" in node.operation.name or bytewise or not light:
                    return 1
            elif self.cluster.level(node) == "full" and node in self.fusion.stored:
                return 1
        return _TOGETHER

    def run(self) -> Lowered:
        emitter = self.emitter
        row_extents = [self.extents[g] for g in self.row_groups]
        self.together = self._rows_together()
        if self.by_columns:
            blocks = -(-row_extents[-1] // LANES)
            task_shape: Shape = (*row_extents[:-1], blocks)
        else:
            task_shape = tuple(row_extents)
        tasks = prod(task_shape)
        indices = unflatten(variable("task", tasks), task_shape)
        outer = self.row_groups[:-1] if self.by_columns else self.row_groups
        mapping = {self.names[g]: i for g, i in zip(outer, indices, strict=False)}
        if self.together == 1:
            self.point = tuple([i.substitute(mapping) for i in self.point])
        self.column_start = indices[-1] * LANES if self.by_columns else constant(0)
        kept = self.kept()

        def one_row() -> None:
            for number in range(max(self.stage.values()) + 1):
                self.stage_loop(number, kept)
            self.store_rows()

        if self.together > 1:
            whole, rest = divmod(tasks, self.together)
            self._several_rows(variable("task", whole) * self.together, whole, self.together)
            if rest:
                self._several_rows(constant(tasks - rest), 1, rest)
        elif not self.cluster.by_products:
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

    def _several_rows(self, first: Index, tasks: int, count: int) -> None:
        """Tasks of so many rows from ``first`` on, whose reductions are all made in one loop."""
        emitter, point = self.emitter, self.point
        reductions = [n for n in self.cluster.nodes if n.operation.kind == "reduce"]
        names = [self.names[g] for g in self.row_groups]
        extents = [self.extents[g] for g in self.row_groups]
        rows = []
        for i in range(count):
            mapping = dict(zip(names, unflatten(first + i, extents), strict=True))
            rows.append(tuple([index.substitute(mapping) for index in point]))
        with emitter.loop(("task",), lambda body: Parallel("task", tasks, body)):
            accumulators = [{n: self.accumulator(n) for n in reductions} for _ in rows]

            def body(lane: str) -> None:
                for self.point, of_row in zip(rows, accumulators, strict=True):
                    self._stage_body(of_row, (), {}, lane)

            self.open_loops(body)
            for self.point, of_row in zip(rows, accumulators, strict=True):
                for node, accumulator in of_row.items():
                    self._finish(node, accumulator)
                self.store_rows()
        for node in reductions:
            del emitter.results[node]
        self.point = point

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
        """Of a short row, folding more partial results would take longer than making them."""
        extents = [self.extents[g] for g in self.inner_groups]
        if self.together > 1:
            return _TOGETHER_LANES
        if extents[-1] >= LANES and prod(extents) > 2 * LANES:
            return LANES
        return 16 if extents[-1] >= 16 else 8 if extents[-1] >= 8 else 1

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
