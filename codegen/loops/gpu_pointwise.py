"""Element-wise clusters and copies for devices with work-groups: neighbouring work-items have
neighbouring elements."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from codegen.graph.fuse import Cluster, Fusion
from codegen.index.access import Guard
from codegen.index.algebra import Index, flatten, unflatten, variable
from codegen.ir.node import Node
from codegen.loops.device import DeviceDescription
from codegen.loops.emitter import Emitter, Indices, Operand
from codegen.loops.grammar import Items, Kernel, Quad, Staged, Tile
from codegen.loops.lowering import Groups, Lowered, finest, kernel_of, merged_groups
from codegen.loops.pointwise import Pointwise, Region

# A square that is turned in local memory, and how many of its lines a group reads at a time.
TILE = 32
# Beyond so many statements, four copies of a body take longer to compile than they save.
_MOST_COPIED = 64


def sized_for(kernel: Kernel, extent: int, items: int, accesses: Iterable[Index] = ()) -> Kernel:
    """The kernel with work-groups for ``extent`` items, and indices of 32 bits where they do."""
    kernel.groups, kernel.items = max(1, -(-extent // items)), items
    kernel.index_c = index_type(kernel, extent, accesses)
    return kernel


def index_type(kernel: Kernel, extent: int, accesses: Iterable[Index]) -> str:
    """The narrowest type that holds every index and every step on the way to it."""
    most = max([extent * 4, *[a.type.size for a in kernel.arguments]])
    for access in accesses:
        reach = [abs(c) * max(abs(atom.low), abs(atom.high)) for atom, c in access.terms]
        most = max(most, abs(access.constant) + sum(reach))
    return "int" if most < 1 << 30 else "long"


def lower_pointwise(cluster: Cluster, fusion: Fusion, device: DeviceDescription) -> Kernel:
    kernel = GpuPointwise(cluster, fusion, finest(cluster), device).run()
    groups = merged_groups(cluster, kernel.accesses)
    if len(groups) < len(cluster.shape):
        kernel = GpuPointwise(cluster, fusion, groups, device).run()
    return kernel.kernel


def lower_region(cluster: Cluster, fusion: Fusion, device: DeviceDescription) -> Kernel:
    """Values written into their regions of memory that is there already."""
    points = Cluster("pointwise", cluster.nodes[0].inputs[1].shape, (), cluster.nodes)
    return _GpuRegion(points, fusion, finest(points), device).run().kernel


def lower_copy(source: Node, target: Node, device: DeviceDescription) -> Kernel:
    """One node's memory copied to another's."""
    emitter = Emitter(lambda node: True)
    size = target.type.size
    with emitter.loop(("element",), lambda body: Items("element", size, body)):
        flat = variable("element", size)
        name, _ = emitter.value(source, tuple(unflatten(flat, source.shape)))
        emitter.store(target, flat, name)
    kernel = kernel_of("copy", emitter, True, 0, 2 * target.type.nbytes)
    return sized_for(kernel, size, device.items)


class GpuPointwise(Pointwise):
    """One element, or four neighbours, a work-item; tiles where an operand lies transposed."""

    def __init__(
        self, cluster: Cluster, fusion: Fusion, groups: Groups, device: DeviceDescription
    ) -> None:
        super().__init__(cluster, fusion, groups)
        self.device = device

    def run(self) -> Lowered:
        plain = self.plain_accesses()
        across = self.axis_across(plain)
        if across is not None and self.device.items >= TILE:
            return Lowered(self._tiled(across, plain), plain)
        extent = prod(self.extents)
        inner = self.extents[-1] if self.extents else 1
        flat = len(self.extents) == 1
        if inner % 4 and not (flat and inner >= 4):
            self._each(extent)
            return Lowered(sized_for(self.kernel(), extent, self.device.items, plain), plain)
        self._quads()
        if inner % 4:
            self._each(inner % 4, inner - inner % 4)
        kernel = self.kernel()
        if len(self.emitter.scopes[0].statements) == 1 and self._is_long(kernel):
            kernel = self.fresh()._single(extent, plain)
        else:
            sized_for(kernel, extent // 4, self.device.items, plain)
        return Lowered(kernel, plain)

    def fresh(self) -> GpuPointwise:
        return type(self)(self.cluster, self.fusion, self.groups, self.device)

    def _single(self, extent: int, plain: Iterable[Index]) -> Kernel:
        self._each(extent)
        return sized_for(self.kernel(), extent, self.device.items, plain)

    def _is_long(self, kernel: Kernel) -> bool:
        (outer,) = kernel.body
        assert isinstance(outer, Items)
        quads = [s for s in outer.body if isinstance(s, Quad)]
        return any(len(quad.body) > _MOST_COPIED for quad in quads)

    def _each(self, extent: int, first: int = 0) -> None:
        """An element a work-item."""
        point = self.point
        flat = variable("element", extent) + first
        mapping = dict(zip(self.names, unflatten(flat, self.extents), strict=True))
        self.point = tuple([i.substitute(mapping) for i in point])
        with self.emitter.loop(("element",), lambda body: Items("element", extent, body)):
            self._body()
        self.point = point

    def _quads(self) -> None:
        """Four neighbours along the innermost axis a work-item."""
        *outer, inner = self.extents
        count = prod(outer) * (inner // 4)
        *indices, quad = unflatten(variable("quad", count), (*outer, inner // 4))
        point = self.point
        mapping = dict(zip(self.names[:-1], indices, strict=True))
        self.point = tuple([i.substitute(mapping) for i in point])
        name = self.names[-1]
        with (
            self.emitter.loop(("quad",), lambda body: Items("quad", count, body)),
            self.emitter.loop((name,), lambda body: Quad(name, quad * 4, body)),
        ):
            self._body()
        self.point = point

    def _tiled(self, across: int, plain: list[Index]) -> Kernel:
        """Squares of the innermost axis and the one across, a work-group each."""
        inner, other = self.extents[-1], self.extents[across]
        outer = [n for i, n in enumerate(self.extents[:-1]) if i != across]
        counts = (*outer, -(-other // TILE), -(-inner // TILE))
        *indices, far, near = unflatten(variable("tile", prod(counts)), counts)
        names = [n for i, n in enumerate(self.names[:-1]) if i != across]
        mapping = dict(zip(names, indices, strict=True))
        self.point = tuple([i.substitute(mapping) for i in self.point])
        name, row = self.names[across], self.names[-1]
        in_memory = self.emitter.in_memory
        emitter = self.emitter = _Staging(in_memory, name, row)
        with (
            emitter.loop(("tile",), lambda body: Items("tile", prod(counts), body)),
            emitter.loop(
                (name, row),
                lambda body: Tile(
                    row, name, inner, other, near * TILE, far * TILE, TILE,
                    tuple(emitter.staged.values()), body,
                ),
            ),
        ):  # fmt: skip
            self._body()
        kernel = self.kernel()
        kernel.groups, kernel.items = prod(counts), self.device.items // TILE * TILE
        kernel.index_c = index_type(kernel, prod(self.extents), plain)
        return kernel


class _GpuRegion(GpuPointwise, Region):
    pass


class _Staging(Emitter):
    """Loads whose neighbours lie along the axis across go through local memory."""

    def __init__(self, in_memory: object, across: str, along: str) -> None:
        super().__init__(in_memory)  # type: ignore[arg-type]
        self.across, self.along = across, along
        self.staged: dict[tuple[Node, Index], Staged] = {}

    def _load(self, node: Node, indices: Indices, guard: Guard) -> Operand:
        place = flatten(indices, node.shape)
        turned = abs(place.coefficient(self.across)) == 1 and abs(place.coefficient(self.along)) > 1
        if guard or not turned:
            return super()._load(node, indices, guard)
        key = (node, place)
        if key not in self.staged:
            argument = self.argument(node)
            self.accesses.append(place)
            name = f"tile_{len(self.staged)}"
            self.staged[key] = Staged(name, node.dtype, argument.name, place)
        staged = self.staged[key]
        return staged.name, self.depth_of(frozenset((self.across, self.along)))
