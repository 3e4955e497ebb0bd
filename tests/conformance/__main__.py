"""python -m tests.conformance: every operator of PyTorch's database, judged by PyTorch."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from . import database, pool, report, transforms
from .check import Options


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--device", default="interpreter", help="cpu, opencl or interpreter")
    parser.add_argument("--ops", default="", help="names of operators, with commas between")
    parser.add_argument("--family", default="", help="torch, linalg, nn.functional, …")
    parser.add_argument(
        "--check", default="", help=f"of transforms: {', '.join(transforms.ASPECTS)}, or all"
    )
    parser.add_argument("--part", default="1/1", help="2/4: the second quarter of the operators")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    parser.add_argument("--samples", type=int, default=0, help="of each type; 0: all")
    parser.add_argument("--failures", type=Path, default=Path("conformance-failures.txt"))
    parser.add_argument("--complex", action="store_true", help="samples of complex64 alone")
    parser.add_argument("--update-left-out", action="store_true", help="write the list anew")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    wanted = set(filter(None, given.ops.split(",")))
    start = time.perf_counter()
    pool.begin()
    chosen, names = [], {}
    for number, op in enumerate(database.operators()):
        names[number] = (database.title(op), database.family(op))
        if wanted and not {op.name, database.title(op)} & wanted:
            continue
        if not given.family or given.family == database.family(op):
            chosen.append(number)
    part, parts = map(int, given.part.split("/"))
    chosen = chosen[part - 1 :: parts]
    options = Options(device=given.device, samples=given.samples, complex=given.complex)
    path = report.LEFT_OUT
    if given.check:
        aspects = transforms.ASPECTS if given.check == "all" else tuple(given.check.split(","))
        options = transforms.TransformOptions(
            device=given.device, samples=given.samples, aspects=aspects
        )
        path = transforms.LEFT_OUT
    results = list(pool.run(chosen, names, options, given.jobs))
    listed = report.left_out(path)
    given.failures.write_text(report.failures(results))
    if given.check:
        print(transforms.totals(results, listed, given.device))
    else:
        print(report.table(results, listed))
        print(report.totals(results, listed, given.device))
    print(f"{time.perf_counter() - start:.0f} s; failures in {given.failures}")
    slowest = sorted(results, key=lambda f: -f.seconds)[:8]
    print("slowest:", ", ".join(f"{f.name} {f.seconds:.0f} s" for f in slowest))
    if given.update_left_out:
        report.updated(results, listed, path)
        return 0
    partial = bool(given.complex or given.samples or given.check not in ("", "all"))
    surprises = report.surprises(results, listed, partial)
    print("\n".join(surprises) or "as the list of the left out says")
    return bool(surprises)


if __name__ == "__main__":
    raise SystemExit(main())
