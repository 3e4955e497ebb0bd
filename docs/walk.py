"""x.sin().sum() and its gradient, from Python to machine code: each stage printed as it stands.

``python docs/walk.py`` prints the stages; ``python docs/walk.py --update`` writes them into
walk.md, between its explanations.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

import lazytorch as torch
from codegen.graph.fuse import fuse
from codegen.index.algebra import Index
from codegen.ir.printer import format_graph
from codegen.loops.grammar import LOOPS, Accumulator
from codegen.loops.lower import lower
from codegen.pipeline import GRAPH_PASSES, build
from codegen.runtime.compiler import compile_many, find_compiler
from codegen.runtime.kernels import KernelSource, kernel_file
from codegen.runtime.plan import KernelRecord, PlanRecord
from lazytorch.importer import import_graph
from lazytorch.realize import describe
from lazytorch.trace import Trace

PAGE = Path(__file__).with_name("walk.md")
# Differs between machines: shown, but not compared by the tests.
OF_THIS_MACHINE = ("machine code",)


def stages() -> Iterator[tuple[str, str]]:
    """Each stage's name and what there is to see of it, in the order in which they happen."""
    values = np.linspace(-3, 3, 1024, dtype=np.float32)
    x = torch.tensor(values, requires_grad=True)
    loss = x.sin().sum()
    loss.backward()
    roots = [t._storage.expression for t in (loss, x.grad)]
    trace = Trace(roots)
    yield "calls", "\n".join(recorded_calls(trace))
    sine = next(c.signature for c in trace.calls if c.signature.function.name == "sin")
    yield "template", format_graph(sine.template.outputs)
    yield "key", describe(trace, "cpu")

    graph, _ = import_graph(trace)
    yield "graph", format_graph(graph.outputs)
    outputs = list(graph.outputs)
    for _, apply_pass in GRAPH_PASSES:
        outputs = apply_pass(outputs)
    yield "simplified", format_graph(outputs)

    fusion = fuse(outputs)
    yield "clusters", "\n".join([
        f"cluster {c.number}: {c.kind} over {c.shape}, axes {c.axes}: "
        + ", ".join([n.operation.name + " (stored)" * (n in fusion.stored) for n in c.nodes])
        for c in fusion.clusters
    ])  # fmt: skip
    lowered = [lower(cluster, fusion) for cluster in fusion.clusters]
    yield "loops", "\n\n".join(["\n".join([k.name, *loop_lines(k.body, "    ")]) for k in lowered])

    record = build(graph, threads=2)
    yield "c", "\n".join([kernel.body for kernel in record.kernels]).rstrip()
    yield "plan", "\n".join(plan_lines(record))

    same = Trace(roots).key == trace.key
    torch.realize(loss, x.grad)
    close = [
        np.allclose(loss.item(), np.sin(values).sum(), atol=1e-4),
        np.allclose(x.grad.numpy(), np.cos(values), atol=1e-6),
    ]
    yield "result", f"as NumPy has them: loss {close[0]}, gradient {close[1]}"
    torch.stats().reset()
    again = torch.tensor(values * 2, requires_grad=True)
    other = again.sin().sum()
    other.backward()
    key = Trace([other._storage.expression, again.grad._storage.expression]).key
    torch.realize(other, again.grad)
    keys = f"equal keys: same expressions {same}, other values {key == trace.key}"
    yield "again", f"{keys}\n{torch.stats()}"
    yield "machine code", "\n".join(machine_code(record.kernels[-1]))


def recorded_calls(trace: Trace) -> Iterator[str]:
    """One line a call: the numbers of its outputs and inputs as the key has them."""
    for e in trace.leaves:
        yield f"{trace.numbers[e]} = {'leaf that requires grad' if e.tracked else 'leaf'}  {e.type}"
    for call in trace.calls:
        outputs = [o for o in [reference() for reference in call.outputs] if o is not None]
        inputs = ", ".join([str(trace.numbers[i]) for i in call.inputs])
        types = ", ".join([f"{o.type}{' wanted' * (o in trace.wanted)}" for o in outputs])
        numbers = ", ".join([str(trace.numbers[o]) for o in outputs])
        yield f"{numbers} = {call.signature.function.name}({inputs})  {types}"


def loop_lines(statements: Sequence[Any], indent: str = "") -> Iterator[str]:
    """Statements in the words of grammar.py's dataclasses."""
    for s in statements:
        said = [f for f in fields(s) if f.name not in ("body", "dtype")]
        facts = [shown(v) for f in said if (v := getattr(s, f.name)) != f.default]
        facts = [fact for fact in facts if fact not in ("()", "None", "torch.float32")]
        yield f"{indent}{type(s).__name__}({', '.join(facts)})"
        if isinstance(s, LOOPS):
            yield from loop_lines(s.body, indent + "    ")


def shown(value: Any) -> str:
    if isinstance(value, Accumulator):
        return value.name
    if isinstance(value, tuple):
        return f"({', '.join([shown(v) for v in value])})"
    return value.to_c() if isinstance(value, Index) else str(value)


def plan_lines(record: PlanRecord) -> Iterator[str]:
    first, places = record.parameter_count, len(record.output_bytes)
    yield f"parameters: slots 0 to {first - 1}"
    for i, size in enumerate(record.output_bytes):
        yield f"output {i}: slot {first + i}, {size} bytes"
    yield f"arena: {record.arena_bytes} bytes, places from slot {first + places}: {record.offsets}"
    for k in record.kernels:
        share = "cut among threads" if k.parallel else "on one thread"
        work = f"{k.operations} operations, {k.traffic} bytes, {share}"
        yield f"kernel {k.name}: slots {k.slots}, {work}"


def machine_code(kernel: KernelRecord) -> list[str]:
    """Some of a kernel's vector instructions, where there are a compiler and objdump."""
    if shutil.which("objdump") is None or find_compiler() is None:
        return ["(no objdump, or no C compiler)"]
    source = KernelSource(kernel.name, kernel.body, tuple(kernel.prologue))
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernel.so"
        compile_many([kernel_file([("walked", source)])], [library])
        command = ["objdump", "--no-show-raw-insn", "--disassemble=walked", str(library)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    code = [line.split("\t", 1)[1].split("#")[0] for line in text.splitlines() if "\t" in line]
    wide = [line.strip() for line in code if re.search(r"%[yz]mm|\bv\d+\.\d", line)]
    title = f"{kernel.name}: {len(code)} instructions, {len(wide)} of them on wide vectors, such as"
    return [title, *[f"    {line}" for line in wide[40:50]]]


def filled(page: str, texts: dict[str, str]) -> str:
    """The page with each ``<!-- name -->`` block's text replaced by that stage's."""

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}{texts[match[2]]}\n```"

    marked = re.compile(r"(<!-- ([\w ]+) -->\n```\w*\n).*?^```", re.DOTALL | re.MULTILINE)
    return marked.sub(block, page)


if __name__ == "__main__":
    found = dict(stages())
    if "--update" in sys.argv:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    else:
        print("\n\n".join([f"==== {name} ====\n{text}" for name, text in found.items()]))
