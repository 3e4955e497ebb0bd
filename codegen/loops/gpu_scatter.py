"""Scatters for devices with work-groups: each work-item owns some places of one column.

It goes through the updates in their order and does those that are its own, so nothing depends on
which item runs when. Neighbouring items have neighbouring columns; all of them read the same index
at the same time.
"""

from __future__ import annotations

from codegen.graph.fuse import Fusion
from codegen.index.algebra import unflatten, variable
from codegen.ir.node import Node
from codegen.loops.device import DeviceDescription
from codegen.loops.emitter import Scope
from codegen.loops.gpu_pointwise import index_type
from codegen.loops.grammar import Chosen, Items, Kernel, Statement, Vector
from codegen.loops.scatter import Cut, Scatter
from codegen.ops.registry import Operation

# So many items keep a unit busy; more would only read the same indices more often.
_ITEMS = 512


def lower_scatter(
    node: Node,
    fusion: Fusion,
    operations: dict[str, Operation],
    device: DeviceDescription,
    fresh: bool,
) -> Kernel:
    """As ``scatter.lower_scatter``."""
    return _GpuScatter(node, fusion, operations, device, fresh).run()


class _GpuScatter(Scatter):
    def __init__(
        self,
        node: Node,
        fusion: Fusion,
        operations: dict[str, Operation],
        device: DeviceDescription,
        fresh: bool,
    ) -> None:
        self.device = device
        super().__init__(node, fusion, operations, device.compute_units * _ITEMS, fresh)

    def choose_cut(self, threads: int) -> Cut:
        wanted = -(-threads // max(1, self.batch * self.window))
        size = -(-self.extent // max(1, min(wanted, self.extent)))
        return Cut("extent", size, -(-self.extent // size)) if size else Cut()

    def run(self) -> Kernel:
        emitter, parts = self.emitter, self.cut.parts
        items = self.batch * parts * self.window
        numbers = unflatten(variable("item", items), (self.batch, parts, self.window))
        batch, self.part, self.column = numbers
        self.outer = tuple(unflatten(batch, self.before))
        with emitter.loop(("item",), lambda body: Items("item", items, body)):
            if self.fresh:
                self.start()
            if self.steps:
                self.combine_chosen()
        kernel = Kernel(
            f"scatter_{self.mode}", list(emitter.arguments), list(emitter.arguments.values()),
            emitter.scopes[0].statements, True, self.work, self.traffic,
        )  # fmt: skip
        kernel.items = self.device.items
        kernel.groups = max(1, -(-items // kernel.items))
        kernel.index_c = index_type(kernel, items, emitter.accesses)
        return kernel

    def start(self) -> None:
        """The item's places become the base's."""
        first, size = self.part * self.cut.size, self.cut.size
        with self.emitter.loop(
            ("element",), lambda body: Vector("element", first, size, self.extent, body)
        ):
            self.copy((variable("element", self.extent), self.column))

    def combine_chosen(self) -> None:
        emitter = self.emitter
        step = tuple(unflatten(variable("step", self.steps), self.chosen))
        point = (*self.outer, *step, *unflatten(self.column, self.after))
        choose = Scope(frozenset(["step"]))
        emitter.scopes.append(choose)
        number, _ = emitter.value(self.index, point)
        emitter.scopes.pop()

        def chosen(body: list[Statement]) -> Chosen:
            return Chosen(
                "step", self.steps, number, self.extent, self.part * self.cut.size, self.cut.size,
                "place", choose.statements, body,
            )  # fmt: skip

        with emitter.loop(("step",), chosen):
            self.combine(point, "place", True)
