"""All that there is to see of a program, as plain data: its plans, graphs, kernels and times."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codegen import pipeline
from codegen.graph.explain import node_names
from codegen.ir.node import Node, topological
from codegen.pipeline import Compiled
from codegen.runtime.plan import PlanRecord
from lazytorch.inspect.information import KernelInfo, kernels_of
from lazytorch.profiler.events import time_text
from lazytorch.profiler.recording import Recording, Span

MOST_SPANS = 20_000  # of the timeline: the first ones
MOST_LINES = 5_000  # of a source file


class Collector:
    """Collects what a program makes and runs from ``start`` to ``stop``."""

    def __init__(self) -> None:
        self.recording = Recording(with_stack=True, with_memory=True)
        self._compiled: list[Compiled] = []

    def start(self) -> Collector:
        pipeline.listeners.append(self._compiled.append)
        self.recording.start()
        return self

    def stop(self) -> None:
        self.recording.stop()
        pipeline.listeners.remove(self._compiled.append)

    def device(self) -> str:
        """The device whose kernels took most time; "cpu" where none ran."""
        seconds: dict[str, int] = {}
        for span in self.recording.spans:
            if span.category == "kernel":
                name = self.recording.plans[span.facts["plan"]].device
                seconds[name] = seconds.get(name, 0) + span.end - span.begin
        return max(seconds, key=lambda name: seconds[name], default="cpu")

    def data(self, title: str, roofline: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the viewer's page shows, ready to be written as JSON.

        ``roofline``: ``bytes_per_second``, and ``flops_per_second`` by the names of dtypes.
        """
        runs: dict[int, list[Span]] = {}
        for span in self.recording.spans:
            if span.category in ("plan", "kernel"):
                runs.setdefault(span.facts["plan"], []).append(span)
        plans = [
            _plan(record, self._compiled_of(record), runs.get(number, []))
            for number, record in enumerate(self.recording.plans)
        ]
        files = {
            line.rpartition(":")[0]
            for plan in plans
            for item in (*plan["kernels"], *plan["nodes"])
            for line in item["lines"]
        }
        return {
            "title": title,
            "roofline": dict(roofline) if roofline is not None else None,
            "plans": plans,
            "files": {name: text for name in sorted(files) if (text := _lines_of(name))},
            "timeline": self._timeline(),
        }

    def _compiled_of(self, record: PlanRecord) -> Compiled | None:
        # A plan with other schedules for its contractions is another record of the same tables.
        for compiled in self._compiled:
            if compiled.record is record or compiled.record.offsets is record.offsets:
                return compiled
        names = [k.name for k in record.kernels]
        for compiled in self._compiled:  # one that was made again for its lines
            if [k.name for k in compiled.record.kernels] == names and (
                compiled.record.output_bytes == record.output_bytes
            ):
                return compiled
        return None

    def _timeline(self) -> dict[str, Any]:
        recording = self.recording
        spans = sorted(recording.spans, key=lambda s: (s.begin, -s.end))
        names = recording.thread_names()
        return {
            "threads": {str(k): v for k, v in names.items()},
            "spans": [
                [s.name, s.category, s.thread, (s.begin - recording.began) / 1e3,
                 (s.end - s.begin) / 1e3, s.facts.get("plan", -1), s.facts.get("kernel", -1),
                 s.stack[0] if s.stack else ""]
                for s in spans[:MOST_SPANS]
            ],
            "left_out": max(0, len(spans) - MOST_SPANS),
            "memory": [[(at - recording.began) / 1e3, n] for at, n in recording.memory],
        }  # fmt: skip


def compiled_data(compiled: Sequence[Compiled]) -> list[dict[str, Any]]:
    """As ``Collector.data`` has them, of plans that have not run."""
    return [_plan(c.record, c, []) for c in compiled]


def _plan(record: PlanRecord, compiled: Compiled | None, runs: Sequence[Span]) -> dict[str, Any]:
    times: dict[int, list[float]] = {}
    for span in runs:
        if span.category == "kernel":
            times.setdefault(span.facts["kernel"], []).append((span.end - span.begin) / 1e9)
    kernels = [_kernel(k, times.get(i, [])) for i, k in enumerate(kernels_of(record))]
    count = len([s for s in runs if s.category == "plan"])
    made: dict[str, Any] = {
        "name": f"{len(kernels)} kernels, {count} runs, "
        + time_text(1e6 * sum([k["seconds"] for k in kernels])),
        "runs": count,
        "kernels": kernels,
        "nodes": [],
        "stages": [],
        "passes": [],
        "parameters": [],
        "owners": {},
        "memory": _memory(record, kernels, compiled),
    }
    if compiled is not None:
        _add_graph(made, compiled, record)
    return made


def _kernel(kernel: KernelInfo, seconds: Sequence[float]) -> dict[str, Any]:
    return {
        "name": kernel.name,
        "source": str(kernel),
        "arguments": [str(a) for a in kernel.arguments],
        "slots": [a.slot for a in kernel.arguments],
        "types": sorted({a.dtype for a in kernel.arguments}),
        "operations": kernel.operations,
        "bytes": kernel.bytes,
        "parallel": kernel.parallel,
        "lines": kernel.lines,
        "unfused": kernel.unfused,
        "runs": len(seconds),
        "seconds": sum(seconds),
        "nodes": [],
        "reads": [],
    }


def _add_graph(made: dict[str, Any], compiled: Compiled, record: PlanRecord) -> None:
    """The nodes of every stage, the passes between the stages, and which kernel computes what."""
    numbers: dict[Node, int] = {}
    names = node_names(compiled.fusion)
    origins = compiled.origins

    def numbered(roots: Sequence[Node]) -> list[int]:
        order = topological(roots)
        for node in order:
            if node not in numbers:
                numbers[node] = len(numbers)
                made["nodes"].append({
                    "name": names.get(node, node.operation.name),
                    "operation": node.operation.name,
                    "type": repr(node.type),
                    "attributes": _attributes(node),
                    "inputs": [numbers[i] for i in node.inputs],
                    "lines": list(origins.of(node)) if origins is not None else [],
                })  # fmt: skip
        return [numbers[n] for n in order]

    stages = [numbered(compiled.passes[0].before)]
    made["stages"] = stages
    for step in compiled.passes:
        same = not step.changed
        stages.append(stages[-1] if same else numbered(step.after))
        made["passes"].append({
            "name": step.name,
            "outputs": [numbers[n] for n in step.after],
            "replaced": [[numbers[a], numbers[b]] for a, b in step.replaced.items()],
            "changed": step.changed,
        })  # fmt: skip
    made["parameters"] = [numbers[n] for n in compiled.graph.parameters if n in numbers]
    by_name = {name: numbers[node] for node, name in names.items() if node in numbers}
    owners: dict[int, int] = {}
    for kernel, entry in zip(made["kernels"], compiled.record.kernels, strict=True):
        kernel["nodes"] = [by_name[n] for n in entry.nodes if n in by_name]
    clusters = [{numbers[n] for n in c.nodes if n in numbers} for c in compiled.fusion.clusters]
    for i, kernel in enumerate(made["kernels"]):
        for members in clusters:
            if members & set(kernel["nodes"]) and members <= set(kernel["nodes"]):
                owners.update(dict.fromkeys(members, i))  # the last of a cluster's kernels
    for i, kernel in enumerate(made["kernels"]):
        inside = set(kernel["nodes"])
        sources = [s for n in kernel["nodes"] for s in made["nodes"][n]["inputs"]]
        kernel["reads"] = sorted({owners[s] for s in sources if s in owners and s not in inside})
        if i and set(made["kernels"][i - 1]["nodes"]) == inside:
            kernel["reads"].append(i - 1)  # a copy, and the write into it
    made["owners"] = {str(node): kernel for node, kernel in owners.items()}


def _attributes(node: Node) -> str:
    text = ", ".join([repr(a) for a in node.attributes])
    return text if len(text) <= 200 else text[:197] + "..."


def _memory(
    record: PlanRecord, kernels: Sequence[Mapping[str, Any]], compiled: Compiled | None
) -> dict[str, Any]:
    """The arena's places: where each begins, how long it is, and which kernels need it."""
    first_place = record.parameter_count + len(record.output_bytes)
    sizes: dict[int, int] = {}
    if compiled is not None:
        for slot, key in enumerate(compiled.memory.offsets, first_place):
            if isinstance(key, Node):
                sizes[slot] = key.type.nbytes
    uses: dict[int, list[int]] = {}
    for i, kernel in enumerate(kernels):
        for slot in kernel["slots"]:
            uses.setdefault(slot, []).append(i)
    bounds = sorted({*record.offsets, record.arena_bytes})
    places = []
    for slot, offset in enumerate(record.offsets, first_place):
        if slot in uses:
            room = next((b for b in bounds if b > offset), offset) - offset
            text = next(
                kernels[uses[slot][0]]["arguments"][i]
                for i, s in enumerate(kernels[uses[slot][0]]["slots"]) if s == slot
            )  # fmt: skip
            places.append({
                "offset": offset, "bytes": sizes.get(slot, room), "kernels": uses[slot],
                "text": re.sub(r" arena at byte \d+", "", text),
            })  # fmt: skip
    return {
        "arena": record.arena_bytes,
        "scratch": record.scratch_bytes,
        "outputs": record.output_bytes,
        "places": places,
    }


def _lines_of(name: str) -> list[str]:
    try:
        text = Path(name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []  # typed into an interpreter, or gone
    return text.splitlines()[:MOST_LINES]
