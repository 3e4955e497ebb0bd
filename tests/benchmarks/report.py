"""Writes docs/performance.md, and its picture, from the figures that compare.py has measured.

python tests/benchmarks/report.py FILE.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from compare import OURS
from programs import cases

DOCS = Path(__file__).parents[2] / "docs"
NAMES = {
    "eager": "PyTorch", "compile": "torch.compile", "jax": "JAX",
    "ours": "lazytorch", "compiled": "lazytorch, compiled step",
}  # fmt: skip
ENGINES = tuple(NAMES)
HEAD = """# Performance

Microseconds a step, on {processor} ({threads} of {cores} cores), with {versions}.
Measured by `tests/benchmarks/compare.py`: every engine in a process of its own, in turn, medians;
results are compared first. PyTorch's optimizers are the fused ones. *Ratio* is the fastest of the
others over ours: above 1 we are faster. A dash: not written for that engine, or it cannot.
To measure again (torch.compile takes minutes for the larger networks):

```bash
cd tests/benchmarks
python compare.py --engines eager,compile,jax,ours,compiled --json figures.json
python compare.py --engines eager,ours --json figures.json --memory Adam LeNet GPT train LSTM
python compare.py --engines eager,compile,jax,ours --json figures.json --starts "LeNet, batch 4"
python compare.py --engines eager,jax,ours,compiled --json one_thread.json --threads 1
python compare.py --engines ours,opencl --json opencl.json gelu softmax norm sum "matmul 1024"
python report.py figures.json --one-thread one_thread.json --opencl opencl.json
```

![ratios](performance.svg)

"""


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _ratio(figures: dict[str, float], engine: str) -> float | None:
    others = [t for e, t in figures.items() if e not in OURS]
    return min(others) / figures[engine] if others and engine in figures else None


def table(programs: dict[str, Any]) -> str:
    """The figures as a Markdown table, in the order of the programs."""
    heads = ["program", *[NAMES[e] for e in ENGINES], "ratio", "ratio, compiled"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, program in programs.items():
        figures = program["microseconds"]
        cells = [name, *[_number(figures.get(e)) for e in ENGINES]]
        for engine in ("ours", "compiled"):
            ratio = _ratio(figures, engine)
            cells.append("–" if ratio is None else f"{ratio:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def opencl(programs: dict[str, Any]) -> str:
    """The plain loop on OpenCL beside the generated C."""
    lines = ["\n## The `opencl` device on this CPU (PoCL), microseconds\n"]
    lines += ["| program | C | OpenCL | C's time / OpenCL's |", "|---|---:|---:|---:|"]
    for name in [c.name for c in cases() if c.name in programs]:
        figures = programs[name]["microseconds"]
        c, found = figures["ours"], figures["opencl"]
        lines.append(f"| {name} | {_number(c)} | {_number(found)} | {c / found:.2f} |")
    return "\n".join(lines) + "\n"


def first_calls(programs: dict[str, Any]) -> str:
    """Seconds from making the program to the result of its third step, as they were found: with
    warm caches where a program ran before."""
    lines = ["\n## Set-up and the first three steps, seconds\n"]
    lines.append("| program | " + " | ".join([NAMES[e] for e in ENGINES]) + " |")
    lines.append("|---|" + "---:|" * len(ENGINES))
    for name, program in programs.items():
        first = program["first_seconds"]
        if max(first.values(), default=0) >= 0.5:
            cells = [f"{first[e]:.2f}" if e in first else "–" for e in ENGINES]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def peaks(programs: dict[str, Any]) -> str:
    """Peak resident memory of a process that runs 20 steps of the program and nothing else."""
    known = {name: p["peak_megabytes"] for name, p in programs.items() if p.get("peak_megabytes")}
    if not known:
        return ""
    lines = ["\n## Peak memory of a process that runs 20 steps, MB\n"]
    lines.append("| program | " + " | ".join([NAMES[e] for e in ENGINES]) + " |")
    lines.append("|---|" + "---:|" * len(ENGINES))
    for name, found in known.items():
        cells = [f"{found[e]:.0f}" if e in found else "–" for e in ENGINES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def starts(programs: dict[str, Any]) -> str:
    """Seconds from the start of a process to the result of the third step."""
    known = {name: p for name, p in programs.items() if p.get("cold_seconds")}
    if not known:
        return ""
    lines = ["\n## From the start of a process to the third step's result, seconds\n"]
    lines.append("| program | caches | " + " | ".join([NAMES[e] for e in ENGINES]) + " |")
    lines.append("|---|---|" + "---:|" * len(ENGINES))
    for name, program in known.items():
        for kind, caches in (("cold_seconds", "empty"), ("warm_seconds", "of the process before")):
            found = program[kind]
            cells = [f"{found[e]:.2f}" if e in found else "–" for e in ENGINES]
            lines.append(f"| {name} | {caches} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def picture(programs: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "lazytorch"  # the same file from the same figures
    from matplotlib import pyplot

    names = list(programs)[::-1]
    figure, axes = pyplot.subplots(figsize=(8, 0.24 * len(names) + 1))
    for engine, shift, color in (("ours", 0.2, "#3264a8"), ("compiled", -0.2, "#e08a1e")):
        ratios = [_ratio(programs[n]["microseconds"], engine) or 0 for n in names]
        axes.barh([i + shift for i in range(len(names))], ratios, 0.38, color=color,
                  label=NAMES[engine])  # fmt: skip
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xscale("log")
    axes.set_xlabel("time of the fastest other engine / ours")
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("json", type=Path)
    parser.add_argument("--one-thread", type=Path, help="figures of a run with --threads 1")
    parser.add_argument("--opencl", type=Path, help="figures of the engines ours and opencl")
    parser.add_argument("--docs", type=Path, default=DOCS)
    arguments = parser.parse_args()
    known = json.loads(arguments.json.read_text())
    found = known["programs"]
    programs = {c.name: found[c.name] for c in cases() if found.get(c.name, {}).get("microseconds")}
    machine = known["machine"]
    versions = ", ".join([f"{name} {version}" for name, version in machine["versions"].items()])
    text = HEAD.format(**{**machine, "versions": versions})
    text += table(programs) + starts(programs) + first_calls(programs) + peaks(programs)
    if arguments.one_thread:
        single = json.loads(arguments.one_thread.read_text())["programs"]
        chosen = {c.name: single[c.name] for c in cases() if c.name in single}
        text += "\n## On one thread, microseconds\n\n" + table(chosen)
    if arguments.opencl:
        text += opencl(json.loads(arguments.opencl.read_text())["programs"])
    picture(programs, arguments.docs / "performance.svg")
    (arguments.docs / "performance.md").write_text(text)


if __name__ == "__main__":
    main()
