"""Kernels as objects to read: what runs when tensors are realized, and why it is cut as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from codegen.ir import provenance
from codegen.pipeline import Compiled, compile_for
from codegen.render.source import KernelSource
from codegen.runtime.kernels import kernel_file
from codegen.runtime.plan import WORKING_MEMORY, KernelRecord, PlanRecord
from lazytorch.expression import Expression
from lazytorch.importer import import_graph
from lazytorch.inspect.notebook import kernel_html
from lazytorch.realize import describe
from lazytorch.storage import pending_writes
from lazytorch.tensor import Tensor
from lazytorch.trace import Trace


@dataclass(frozen=True)
class KernelArgument:
    """Memory that a kernel is given: a parameter of the plan, an output, or a place in its arena.

    ``dtype`` is a name such as ``"float32"``; ``slot`` its number in the plan's table. Memory in
    which kernels of one result leave things for each other has the type ``"working memory"``.
    """

    dtype: str
    shape: tuple[int, ...]
    role: str
    slot: int

    def __str__(self) -> str:
        if self.dtype == WORKING_MEMORY:
            return f"{self.dtype} {self.role}"
        return f"{self.dtype}[{'×'.join(map(str, self.shape)) or 'scalar'}] {self.role}"


@dataclass
class KernelInfo:
    """One kernel, to be read.

    source      a complete C file; ``str(kernel)`` too.
    operations  scalar operations; ``bytes`` what it moves between memory and processor.
    parallel    whether its work is shared among threads.
    lines       the user's lines that it computes for, as ``file:line``.
    nodes       what it computes, in order.
    unfused     for each neighbouring kernel, why the two are not one.
    schedule    how it goes about it: loop order, tiles, vectors; inner loops are indented.
    runs        how often it ran while it was recorded, and ``seconds`` how long that took in all.
    """

    name: str
    source: str
    arguments: list[KernelArgument]
    operations: int
    bytes: int
    parallel: bool
    lines: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    unfused: list[str] = field(default_factory=list)
    schedule: list[str] = field(default_factory=list)
    runs: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return self.source

    def _repr_html_(self) -> str:
        return kernel_html(self)

    def __repr__(self) -> str:
        shown = ", ".join([f"{a.dtype}[{'×'.join(map(str, a.shape))}]" for a in self.arguments])
        return f"<kernel {self.name}({shown}) {self.operations} operations, {self.bytes} bytes>"


def kernels(*tensors: Tensor) -> list[KernelInfo]:
    """The kernels that realizing these tensors now would run, in order; nothing is run.

    Whatever else the same plan would compute (pending in-place writes, tensors on the way) is
    there too. A tensor that is realized already needs no kernel: for such the list is empty, as
    it is on the interpreter.
    """
    plans = compile_pending(tensors, interpreted=False)
    return [k for compiled in plans for k in kernels_of(compiled.record)]


def compile_pending(tensors: Iterable[Tensor], interpreted: bool = True) -> list[Compiled]:
    """The plans, one a device, that realizing these tensors now would make.

    ``interpreted``: with those of the interpreter, as they would be on the cpu.
    """
    return [compile_trace(Trace(r), d)[0] for d, r in pending_roots(tensors, interpreted).items()]


def pending_roots(
    tensors: Iterable[Tensor], interpreted: bool = True
) -> dict[str, list[Expression]]:
    """By device, the expressions that realizing these tensors now would compute."""
    roots = dict.fromkeys([t._storage.expression for t in tensors])
    for reference, _ in list(pending_writes.values()):
        storage = reference()
        if storage is not None:
            roots[storage.expression] = None
    by_device: dict[str, list[Expression]] = {}
    for e in roots:
        if e.value is None and (interpreted or not e.device.startswith("interpreter")):
            by_device.setdefault(e.device, []).append(e)
    return by_device


def compile_trace(trace: Trace, device: str) -> tuple[Compiled, str]:
    """What realizing a trace would run, as if it were new, and its description."""
    description = describe(trace, device)
    with provenance.recording():
        graph, _ = import_graph(trace)
        return compile_for(graph, device, description), description


def kernels_of(record: PlanRecord, symbols: Sequence[str] | None = None) -> list[KernelInfo]:
    """A plan's kernels, to be read; as functions of these names, or of their own."""
    named = symbols or [re.sub(r"\W", "_", k.name) for k in record.kernels]
    return [_information(k, record, s) for k, s in zip(record.kernels, named, strict=True)]


def _information(kernel: KernelRecord, plan: PlanRecord, symbol: str) -> KernelInfo:
    arguments = [
        _argument(shape, slot, plan)
        for shape, slot in zip(kernel.shapes, kernel.slots, strict=True)
    ]
    made = KernelInfo(
        kernel.name, "", arguments, kernel.operations, kernel.traffic, kernel.parallel,
        list(kernel.lines), list(kernel.nodes), list(kernel.unfused), list(kernel.schedule),
    )  # fmt: skip
    text = kernel_file([(symbol, KernelSource(kernel.name, kernel.body, tuple(kernel.prologue)))])
    made.source = f"{_header(made)}\n\n{text}"
    return made


def _argument(shape: str, slot: int, plan: PlanRecord) -> KernelArgument:
    """An argument from the text of its type, such as ``float32[3×4]``."""
    dtype, _, extents = shape.rstrip("]~").partition("[")
    found = () if extents in ("", "scalar") else tuple([int(n) for n in extents.split("×")])
    outputs = plan.parameter_count + len(plan.output_bytes)
    if slot < plan.parameter_count:
        role = f"parameter {slot}"
    elif slot < outputs:
        role = f"output {slot - plan.parameter_count}"
    elif slot < outputs + len(plan.offsets):
        role = f"arena at byte {plan.offsets[slot - outputs]}"
    else:
        role = "another place in each turn of a loop"
    return KernelArgument(dtype, found, role, slot)


def _header(kernel: KernelInfo) -> str:
    """What a file of this kernel says first."""
    rows = [f"computes   {', '.join(kernel.nodes) or kernel.name}"]
    rows += [f"for        {line}" for line in kernel.lines]
    rows += [f"argument {i} {argument}" for i, argument in enumerate(kernel.arguments)]
    share = "shared among threads" if kernel.parallel else "on one thread"
    rows.append(f"work       {kernel.operations} operations, {kernel.bytes} bytes, {share}")
    rows += [f"schedule   {line}" for line in kernel.schedule]
    rows += [f"not fused  {reason}" for reason in kernel.unfused]
    return "/*\n" + "\n".join([f" * {row}".replace("*/", "* /") for row in rows]) + "\n */"
