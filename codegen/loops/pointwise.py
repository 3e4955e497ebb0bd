"""From a pointwise cluster to the loops of its kernel, and from writes into regions of memory."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from codegen.graph.explain import computed_nodes
from codegen.graph.fuse import Cluster, Fusion
from codegen.index.algebra import Index, flatten, unflatten, variable
from codegen.loops.emitter import Emitter
from codegen.loops.grammar import Kernel, Parallel, Serial, Statement, Vector
from codegen.loops.lines import TILE, streamed, tile_width, turned
from codegen.loops.lowering import (
    BLOCK,
    PARALLEL_WORK,
    Groups,
    Lowered,
    Lowering,
    kernel_of,
    points_of,
)

# Smaller nests with a transposed operand go through it as they are.
_TILED_SIZE = 1 << 14


class Pointwise(Lowering):
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
            [n.operation.cost * points_of(n) for n in computed if n.operation.kind != "movement"]
        )
        traffic = 2 * sum([n.inputs[1].type.nbytes for n in self.cluster.nodes])
        return kernel_of("write", self.emitter, work + traffic // 4 > PARALLEL_WORK, work, traffic)
