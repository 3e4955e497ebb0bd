"""From a scatter to the loops of its kernel: the memory is cut between threads, not the updates.

Each place belongs to one task, which goes through the updates in their order. So results are the
same however many threads there are and whoever runs which task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from codegen.graph.fuse import Fusion
from codegen.index.algebra import Index, constant, flatten, unflatten, variable
from codegen.ir.node import Node
from codegen.loops.emitter import Emitter, Indices, Scope
from codegen.loops.grammar import (
    Chosen,
    Kernel,
    Parallel,
    Sequential,
    Serial,
    Statement,
    Store,
    Vector,
)
from codegen.loops.lowering import PARALLEL_WORK
from codegen.ops.registry import Operation

_COMBINE = {"add": "add", "mul": "mul", "max": "maximum", "min": "minimum"}
# Threads that write into one cache line wait for each other.
_LINE = 64
# With so many times the threads, shares of the batch need not be even.
_MANY = 4


@dataclass(frozen=True)
class Cut:
    """What a task has beside its element of the batch: ``size`` places of the ``axis`` (extent or
    window), the ``number``-th part; or all."""

    axis: str = "all"
    size: int = 0
    parts: int = 1


def lower_scatter(
    node: Node, fusion: Fusion, operations: dict[str, Operation], threads: int, fresh: bool
) -> Kernel:
    """Combine a scatter's updates into the memory, which first becomes the base if it is
    ``fresh``."""
    return Scatter(node, fusion, operations, threads, fresh).run()


class Scatter:
    """The memory is [batch, extent, window] with updates [batch, steps, window]."""

    def __init__(
        self, node: Node, fusion: Fusion, operations: dict[str, Operation], threads: int,
        fresh: bool,
    ) -> None:  # fmt: skip
        self.node = node
        self.base, self.index, self.updates = node.inputs
        mode, axis = node.attributes
        assert isinstance(mode, str) and isinstance(axis, int)
        self.mode, self.axis = mode, axis
        self.combination = operations[_COMBINE[mode]] if mode in _COMBINE else None
        self.fresh = fresh
        self.emitter = Emitter(lambda n: n.operation.name == "parameter" or n in fusion.anchors)
        after = len(node.shape) - axis - 1
        self.before, self.after = node.shape[:axis], node.shape[axis + 1 :]
        self.chosen = self.index.shape[axis : len(self.index.shape) - after]
        self.batch, self.extent = prod(self.before), node.shape[axis]
        self.window, self.steps = prod(self.after), prod(self.chosen)
        self.work = self.batch * self.steps * self.window
        self.traffic = 3 * self.updates.type.nbytes + fresh * 2 * node.type.nbytes
        self.parallel = self.work + self.traffic // 4 > PARALLEL_WORK
        self.cut = self.choose_cut(threads if self.parallel else 1)

    def choose_cut(self, threads: int) -> Cut:
        if self.batch % threads == 0 or self.batch >= _MANY * threads:
            return Cut()
        line = max(1, _LINE // self.node.dtype.itemsize)
        size = -(-self.window // (threads * line)) * line
        parts = -(-self.window // size) if size else 0
        if parts >= threads:
            return Cut("window", size, parts)
        size = -(-self.extent // threads)
        parts = -(-self.extent // size) if size else 0
        return Cut("extent", size, parts) if parts > 1 else Cut()

    def run(self) -> Kernel:
        emitter = self.emitter
        tasks = self.batch * self.cut.parts
        batch, self.part = unflatten(variable("task", tasks), (self.batch, self.cut.parts))
        self.outer = tuple(unflatten(batch, self.before))
        with emitter.loop(("task",), lambda body: Parallel("task", tasks, body)):
            if self.fresh:
                self.start()
            if self.cut.axis == "extent":
                self.combine_chosen()
            else:
                self.combine_all()
        return Kernel(
            f"scatter_{self.mode}", list(emitter.arguments), list(emitter.arguments.values()),
            emitter.scopes[0].statements, self.parallel, self.work, self.traffic,
        )  # fmt: skip

    # ---- the base -----------------------------------------------------------------------------

    def start(self) -> None:
        """The task's part of the memory becomes the base."""
        if self.cut.axis == "window":
            name = "row"
            with self.emitter.loop((name,), lambda body: Serial(name, self.extent, body)):
                self.over_window("column", lambda c: self.copy((variable(name, self.extent), c)))
            return
        flat = self.extent * self.window
        size = self.cut.size * self.window if self.cut.axis == "extent" else flat
        place = variable("element", flat)
        with self.emitter.loop(
            ("element",), lambda body: Vector("element", self.part * size, size, flat, body)
        ):
            self.copy(tuple(unflatten(place, (self.extent, self.window))))

    def copy(self, point: Sequence[Index]) -> None:
        row, column = point
        indices = (*self.outer, row, *unflatten(column, self.after))
        text, _ = self.emitter.value(self.base, indices)
        self.emitter.store(self.node, flatten(indices, self.node.shape), text)

    # ---- the updates --------------------------------------------------------------------------

    def over_window(self, name: str, body: Callable[[Index], None]) -> None:
        """A loop over the task's part of the window, whose places are independent."""
        if self.window == 1:
            body(constant(0))
            return
        size = self.cut.size if self.cut.axis == "window" else self.window
        start = self.part * size if self.cut.axis == "window" else constant(0)
        with self.emitter.loop(
            (name,), lambda statements: Vector(name, start, size, self.window, statements)
        ):
            body(variable(name, self.window))

    def combine_all(self) -> None:
        step = unflatten(variable("step", self.steps), self.chosen)

        def combine(column: Index) -> None:
            point = (*self.outer, *step, *unflatten(column, self.after))
            number, _ = self.emitter.value(self.index, point)
            self.combine(point, number, False)

        with self.emitter.loop(("step",), lambda body: Sequential("step", self.steps, body)):
            self.over_window("column", combine)

    def combine_chosen(self) -> None:
        """Of all updates those whose places are the task's."""
        emitter = self.emitter
        varies = self._differs_in_window()
        shape = (*self.chosen, *self.after) if varies else self.chosen
        steps = prod(shape)
        step = tuple(unflatten(variable("step", steps), shape))
        rest = () if varies else (constant(0),) * len(self.after)
        choose = Scope(frozenset(["step"]))
        emitter.scopes.append(choose)
        number, _ = emitter.value(self.index, (*self.outer, *step, *rest))
        emitter.scopes.pop()
        low, size = self.part * self.cut.size, self.cut.size

        def chosen(body: list[Statement]) -> Chosen:
            return Chosen(
                "step", steps, number, self.extent, low, size, "place", choose.statements, body
            )

        with emitter.loop(("step",), chosen):
            if varies:
                self.combine((*self.outer, *step), "place", True)
            else:
                self.over_window(
                    "column",
                    lambda column: self.combine(
                        (*self.outer, *step, *unflatten(column, self.after)), "place", True
                    ),
                )

    def _differs_in_window(self) -> bool:
        """Whether the index names another place for each element of the window."""
        probe = Emitter(self.emitter.in_memory)
        names = [f"i{i}" for i in range(len(self.index.shape))]
        point = tuple([variable(n, e) for n, e in zip(names, self.index.shape, strict=True)])
        inner = len(names) - len(self.after)
        with (
            probe.loop(names[:inner], lambda body: Serial("outer", 1, body)),
            probe.loop(names[inner:], lambda body: Serial("inner", 1, body)),
        ):
            _, depth = probe.value(self.index, point)
        return depth == 2

    def combine(self, point: Indices, number: str, in_range: bool) -> None:
        emitter, node = self.emitter, self.node
        text, _ = emitter.value(self.updates, point)
        place = emitter.computed(node, self.axis, point, number, in_range)
        argument = emitter.argument(node, True)
        emitter.add(Store(argument.name, node.dtype, place, text, self.combination))
