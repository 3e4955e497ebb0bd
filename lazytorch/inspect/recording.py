"""Plans written into folders to be read, and kernels collected while a program runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from codegen import pipeline, settings
from codegen.ir import provenance
from codegen.ir.printer import format_graph
from codegen.pipeline import Compiled
from codegen.runtime import plan as plans
from codegen.runtime.plan import PlanRecord
from lazytorch.inspect.alone import made_up, symbols_of, write_alone
from lazytorch.inspect.information import KernelInfo, compile_trace, kernels_of, pending_roots
from lazytorch.inspect.network import graph_of, to_dot
from lazytorch.tensor import Tensor
from lazytorch.trace import Trace

Folder = str | os.PathLike[str]


def dump(tensors: Tensor | Sequence[Tensor], folder: Folder) -> Path:
    """Write what realizing these tensors now would run; they stay pending. Returns the folder.

    index.md to begin with; a .c file a kernel (.cl on OpenCL); plan.txt (the order, what each slot
    of memory is); graph.txt and graph.dot (the simplified graph). For the cpu also main.c,
    inputs.bin and outputs.bin: ``cc -O2 -march=native *.c -lm && ./a.out`` there runs the plan
    without Python, and says whether its results are these. Tensors of several devices get a folder
    each inside.
    """
    chosen = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    pending = pending_roots(chosen)
    for i, (device, roots) in enumerate(pending.items()):
        trace = Trace(roots)
        compiled, _ = compile_trace(trace, device)
        folder = target if len(pending) == 1 else target / f"device_{i}"
        names = _write_plan(folder, compiled.record, compiled)
        values = [e.value for e in [*trace.leaves, *trace.bound]]
        said = write_alone(folder, compiled, values, names)
        _say_alone(folder, said)
    return target


def _say_alone(folder: Path, said: str) -> None:
    with (folder / "plan.txt").open("a", encoding="utf-8") as file:
        file.write(f"\nalone\n  {said}\n")


class Recorder:
    """Collects the kernels of every plan that runs from ``start`` to ``stop``, each plan once.

    With a folder, every plan is written there as by ``dump``, in a folder of its own; what it is
    run on there, without Python, are inputs made up.
    """

    def __init__(self, folder: Folder | None = None) -> None:
        self.kernels: list[KernelInfo] = []
        self.folder = None if folder is None else Path(folder)
        self._compiled: dict[int, Compiled] = {}
        self._known: dict[int, tuple[PlanRecord, list[KernelInfo]]] = {}
        self._active = self._is_writing = False

    def start(self) -> Recorder:
        if not self._active:
            self._active = True
            provenance.state.wanted += 1
            pipeline.listeners.append(self._note_compiled)
            plans.watchers.append(self._note_run)
        return self

    def stop(self) -> None:
        if self._active:
            self._active = False
            provenance.state.wanted -= 1
            pipeline.listeners.remove(self._note_compiled)
            plans.watchers.remove(self._note_run)
            self._compiled.clear()

    @property
    def plan_count(self) -> int:
        """How many plans ran."""
        return len(self._known)

    def _note_compiled(self, compiled: Compiled) -> None:
        if self.folder is not None:
            self._compiled[id(compiled.record)] = compiled

    def _write_alone(self, folder: Path, compiled: Compiled, names: Sequence[str]) -> None:
        """What runs the plan without Python, on inputs made up: its own may be overwritten."""
        values = made_up(compiled)
        if values is None:
            _say_alone(folder, "no main.c: inputs of this size are not made up")
            return
        self._is_writing = True  # the plan is run for its outputs, which is no run of the user's
        try:
            said = write_alone(folder, compiled, values, names)
        finally:
            self._is_writing = False
        _say_alone(folder, f"{said}; the inputs are made up")

    def _note_run(self, record: PlanRecord, seconds: Sequence[float]) -> None:
        if self._is_writing:
            return
        known = self._known.get(id(record))
        if known is None:
            known = self._known[id(record)] = (record, kernels_of(record))
            self.kernels.extend(known[1])
            if self.folder is not None:
                target = self.folder / f"plan_{len(self._known) - 1:03d}"
                compiled = self._compiled.pop(id(record), None)
                names = _write_plan(target, record, compiled)
                if compiled is not None:
                    self._write_alone(target, compiled, names)
        for kernel, duration in zip(known[1], seconds, strict=True):
            kernel.runs += 1
            kernel.seconds += duration

    def __enter__(self) -> Recorder:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self.stop()


@contextmanager
def record_kernels(folder: Folder | None = None) -> Iterator[list[KernelInfo]]:
    """Collect the kernels of every plan that runs inside, in the order of their first run.

    >>> with lazytorch.inspect.record_kernels() as kernels:
    ...     y = torch.rand(3).exp().realize()
    >>> kernels[0].name, kernels[0].runs
    ('threefry_exp', 1)

    A plan that was made before has its kernels' text but not their lines. With ``folder``,
    everything is written there too.
    """
    recorder = Recorder(folder)
    with recorder:
        yield recorder.kernels


_everything: Recorder | None = None


def dump_all(folder: Folder | None) -> Recorder:
    """Write every plan that runs from now on into ``folder``, until ``dump_all(None)``.

    Also a context: ``with lazytorch.dump_all("kernels"): train()``.
    """
    global _everything
    if _everything is not None:
        _everything.stop()
        _everything = None
    recorder = Recorder(folder)
    if folder is not None:
        _everything = recorder.start()
    return recorder


def kernel_folder() -> Path | None:
    """The folder into which every plan is written now (LAZYTORCH_DUMP, dump_all), if any."""
    if _everything is None or not _everything._active:
        return None
    return _everything.folder


def _write_plan(folder: Path, record: PlanRecord, compiled: Compiled | None) -> list[str]:
    """The plan's files; the names of its kernels'."""
    folder.mkdir(parents=True, exist_ok=True)
    suffix = "cl" if record.device.startswith(("opencl", "cuda")) else "c"
    names = [
        f"{i:03d}_{re.sub('[^0-9A-Za-z_]', '_', k.name)}.{suffix}"
        for i, k in enumerate(record.kernels)
    ]
    kernels = kernels_of(record, symbols_of(record, names))
    for name, kernel in zip(names, kernels, strict=True):
        _write(folder / name, kernel.source)
    plan = _plan_text(record, kernels, names)
    _write(folder / "plan.txt", plan)
    _write(folder / "index.md", _index_page(kernels, names, plan))
    if compiled is not None:
        _write(folder / "graph.txt", format_graph(compiled.outputs) + "\n")
        _write(folder / "graph.dot", to_dot(graph_of(compiled)))
    return names


def _index_page(kernels: Sequence[KernelInfo], names: Sequence[str], plan: str) -> str:
    """A page that leads to the files: each kernel with its facts, in order, and the memory."""
    head, _, memory = plan.partition("\n\n")
    memory = memory.partition("\nmemory\n")[2].rstrip()
    rows = ["# Kernels", "", *head.splitlines(), ""]
    rows += ["| kernel | computes for | operations | bytes | work |", "|---|---|---:|---:|---|"]
    for name, k in zip(names, kernels, strict=True):
        share = "all threads" if k.parallel else "one thread"
        lines = "<br>".join(k.lines)
        rows.append(f"| [{name}]({name}) | {lines} | {k.operations} | {k.bytes} | {share} |")
    for name, k in zip(names, kernels, strict=True):
        rows += ["", f"## {name}", "", f"Computes {', '.join(k.nodes) or k.name}."]
        rows += ["", *[f"- not fused {reason}" for reason in k.unfused]] if k.unfused else []
        rows += ["", "Schedule:", "", *[f"    {line}" for line in k.schedule]] if k.schedule else []
    rows += ["", "## Memory", "", *[f"  {line}" for line in memory.splitlines()]]
    return "\n".join([*rows, ""])


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _plan_text(record: PlanRecord, kernels: Sequence[KernelInfo], names: Sequence[str]) -> str:
    """The kernels in the order in which they run, and what memory each slot is."""
    first_place = record.parameter_count + len(record.output_bytes)
    lines = [
        f"{len(kernels)} kernels, {sum([k.operations for k in kernels])} operations, "
        f"{sum([k.bytes for k in kernels])} bytes moved",
        f"arena of {record.arena_bytes} bytes, {record.scratch_bytes} bytes of scratch a thread",
        "",
        "kernels, in order",
    ]
    for name, kernel in zip(names, kernels, strict=True):
        slots = " ".join([str(a.slot) for a in kernel.arguments])
        lines.append(f"  {name:<40} slots {slots}")
        lines += [f"      {line}" for line in kernel.lines]
    scalars = dict(record.scalars)
    types = {a.slot: str(a).split(" ")[0] for k in kernels for a in k.arguments}
    lines += ["", "memory"]
    for slot in range(first_place + len(record.offsets)):
        if slot < record.parameter_count:
            kind = "number" if slot in scalars else "parameter"
            what = f"{kind} {slot}"
        elif slot < first_place:
            number = slot - record.parameter_count
            what = f"output {number}, {record.output_bytes[number]} bytes"
        else:
            what = f"arena at byte {record.offsets[slot - first_place]}"
        lines.append(f"  slot {slot:<4} {what:<32} {types.get(slot, 'unused')}")
    return "\n".join([*lines, ""])


if settings.get("LAZYTORCH_DUMP"):
    dump_all(settings.get("LAZYTORCH_DUMP"))
