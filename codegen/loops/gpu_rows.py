"""Reductions and the work around them, and scans, for devices with work-groups.

A work-group has a row, or several; its items take turns along it and fold their partial results in
local memory. What they fold depends on sizes and device alone: the same bits each time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from codegen.graph.fuse import Cluster, Fusion
from codegen.index.algebra import Index, flatten, unflatten, variable
from codegen.ir.node import Node
from codegen.loops.device import DeviceDescription
from codegen.loops.emitter import Emitter
from codegen.loops.gpu_pointwise import index_type
from codegen.loops.grammar import (
    Accumulator,
    Carry,
    Group,
    GroupForm,
    Kernel,
    Once,
    Reduce,
    Row,
    Segment,
    Sequential,
    Strided,
)
from codegen.loops.lowering import Groups, Lowered, finest, kernel_of, merged_groups
from codegen.loops.rows import Rows

# Neighbouring rows that a group takes where those are what is contiguous: a line of memory.
_COLUMNS = 32
# Elements that an item takes of a row, where the row is long enough.
_EACH = 8
# A row's values are kept in registers up to so many an item, else in this part of local memory.
_REGISTERS = 8


def lower_rows(cluster: Cluster, fusion: Fusion, device: DeviceDescription) -> Kernel:
    kernel = GpuRows(cluster, fusion, finest(cluster), device).run()
    groups = merged_groups(cluster, kernel.accesses)
    if len(groups) < len(cluster.shape):
        kernel = GpuRows(cluster, fusion, groups, device).run()
    return kernel.kernel


def _power_of_two(number: int) -> int:
    """The least that is not below ``number``."""
    return 1 << max(0, number - 1).bit_length()


def choose_form(
    rows: int, length: int, by_columns: bool, device: DeviceDescription, shared_bytes: int
) -> GroupForm:
    """How a group's items share rows; ``shared_bytes``: local memory that an item needs."""
    most = device.max_work_group_size
    while most > 1 and most * shared_bytes > device.local_memory_bytes // 2:
        most //= 2
    most = 1 << (most.bit_length() - 1)
    if by_columns:
        columns = min(_COLUMNS, _power_of_two(rows), most)
        few = -(-rows // columns) < 2 * device.compute_units
        strands = min(_power_of_two(-(-length // _EACH)), (1024 if few else 256) // columns)
        if strands < 4:  # nothing to share: a row an item
            return GroupForm(min(device.items, most), 1, True)
        return GroupForm(columns, min(strands, most // columns), True)
    few = rows < 2 * device.compute_units
    strands = min(_power_of_two(-(-length // _EACH)), 1024 if few else 256, most)
    together = min(max(1, device.items // strands), _power_of_two(rows), most // strands)
    return GroupForm(together, strands, strands == 1)


class GpuRows(Rows):
    """As ``Rows``: a loop over the row a stage. Values that a later stage reads again are kept in
    an item's registers or in local memory: each item reads what it wrote itself."""

    def __init__(
        self, cluster: Cluster, fusion: Fusion, groups: Groups, device: DeviceDescription
    ) -> None:
        super().__init__(cluster, fusion, groups)
        self.device = device
        self.by_columns = False  # lanes are work-items here
        self.row_extents = [self.extents[g] for g in self.row_groups]
        self.inner_extents = [self.extents[g] for g in self.inner_groups]
        self.rows, self.length = prod(self.row_extents), prod(self.inner_extents)
        reductions = [n for n in cluster.nodes if n.operation.kind == "reduce"]
        shared = sum(
            [max(4, n.inputs[0].dtype.itemsize) + 8 * ("arg" in n.operation.name)
             for n in reductions]
        )  # fmt: skip
        self.form = choose_form(
            self.rows, self.length, self._rows_are_contiguous(), device, max(shared, 1)
        )
        self.local_bytes = shared * self.form.items

    def fresh(self) -> GpuRows:
        return type(self)(self.cluster, self.fusion, self.groups, self.device)

    def _rows_are_contiguous(self) -> bool:
        if not self.row_groups or self.extents[self.row_groups[-1]] < 4:
            return False
        return self.row_groups[-1] == len(self.groups) - 1

    def run(self) -> Lowered:
        emitter = self.emitter
        names = [self.names[g] for g in (*self.row_groups, *self.inner_groups)]
        rows = unflatten(variable("row", self.rows), self.row_extents)
        inner = unflatten(variable("element", self.length), self.inner_extents)
        mapping = dict(zip(names, (*rows, *inner), strict=True))
        self.point = tuple([i.substitute(mapping) for i in self.point])
        kept = self.kept()
        with emitter.loop(("row",), lambda body: Group("row", self.rows, self.form, body)):
            for number in range(max(self.stage.values()) + 1):
                self.stage_loop(number, kept)
            self.store_rows()
        plain = self.plain_accesses()
        kernel = self.kernel()
        kernel.groups, kernel.items = -(-self.rows // self.form.rows), self.form.items
        kernel.index_c = index_type(kernel, self.rows * self.length, plain)
        return Lowered(kernel, plain)

    def is_worth_keeping(self, node: Node) -> bool:
        return super().is_worth_keeping(node) and self._place_for(node) != ""

    def _place_for(self, node: Node) -> str:
        """Where a row of a member's values can be kept."""
        if -(-self.length // self.form.strands) <= _REGISTERS:
            return "registers"
        nbytes = self.length * self.form.rows * max(4, node.dtype.itemsize)
        fits = self.local_bytes + nbytes <= self.device.local_memory_bytes * 3 // 4
        return "local" if fits else ""

    def row_buffer(self, node: Node) -> Row:
        place = self._place_for(node)
        turns = -(-self.length // self.form.strands)
        size = turns if place == "registers" else self.length * self.form.rows
        row = Row(self.emitter.name("row"), node.dtype, size, shared=place == "local")
        if row.shared:
            self.local_bytes += size * max(4, node.dtype.itemsize)
        self.emitter.add(row, 1)
        return row

    def row_place(self, row: Row) -> Index:
        if not row.shared:
            return variable("turn", -(-self.length // self.form.strands))
        return variable("part", self.form.rows) * self.length + variable("element", self.length)

    def open_loops(self, body: Callable[[str], None]) -> None:
        with self.emitter.loop(
            ("element",),
            lambda statements: Strided("element", self.length, self.form, statements),
        ):
            body("0")

    def accumulator(self, node: Node) -> Accumulator:
        accumulator = Accumulator(self.emitter.name("acc"), node.inputs[0].dtype, node.operation, 1)
        self.emitter.add(accumulator)
        return accumulator

    def store_rows(self) -> None:
        writes = [n for n in self.stores() if self.cluster.level(n) == "row"]
        if not writes:
            return
        with self.emitter.loop((), Once):
            for node in writes:
                text, _ = self.emitter.value(node, self.row_point())
                self.emitter.store(node, flatten(self.row_point(), node.shape), text)


def lower_scan(node: Node, fusion: Fusion, device: DeviceDescription) -> Kernel:
    """Running results along one axis. An item goes through a segment of the row twice: to see what
    it comes to, and, when it knows what all before it come to, for the results."""
    (x,) = node.inputs
    (axis,) = node.attributes
    assert isinstance(axis, int)
    emitter = Emitter(lambda n: n.operation.name == "parameter" or n in fusion.anchors)
    shape = x.shape
    others = [i for i in range(len(shape)) if i != axis]
    rows, length = prod([shape[i] for i in others]), shape[axis]
    contiguous = axis < len(shape) - 1 and shape[-1] >= 4
    form = choose_form(rows, length, contiguous, device, max(4, node.dtype.itemsize))
    point = dict(
        zip(others, unflatten(variable("row", rows), [shape[i] for i in others]), strict=True)
    )
    point[axis] = variable("element", length)
    indices = tuple([point[i] for i in range(len(shape))])
    accumulator = Accumulator(emitter.name("acc"), node.dtype, node.operation, 1)

    def walk(store: bool) -> None:
        with (
            emitter.loop(("element",), lambda body: Segment("element", length, form, body)),
            emitter.loop((), lambda body: Sequential("once", 1, body)),
        ):
            text, _ = emitter.value(x, indices)
            emitter.add(Reduce(accumulator, "0", text))
            if store:
                emitter.store(node, flatten(indices, shape), f"{accumulator.name}[0]")

    with emitter.loop(("row",), lambda body: Group("row", rows, form, body)):
        emitter.add(accumulator)
        if form.strands > 1:
            walk(False)
            emitter.add(Carry(accumulator))
        walk(True)
    work = node.type.size * 4
    kernel = kernel_of(node.operation.name, emitter, True, work, 2 * node.type.nbytes)
    kernel.groups, kernel.items = -(-rows // form.rows), form.items
    kernel.index_c = index_type(kernel, rows * length, emitter.accesses)
    return kernel
