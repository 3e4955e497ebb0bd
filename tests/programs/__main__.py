"""python -m tests.programs [name …] [--device opencl]: how far the losses are from PyTorch's."""

from __future__ import annotations

import argparse
import time

import numpy as np

from tests.programs.comparison import NAMES, compare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--device", default="cpu", help="cpu, opencl, cuda or interpreter")
    options = parser.parse_args()
    print(f"{'':14}first loss  last loss  ours-theirs  of float32 rounding  late plans"
          "   ms a step  PyTorch's   all, s")  # fmt: skip
    for name in options.names or NAMES:
        started = time.perf_counter()
        found = compare(name, options.device)
        seconds = time.perf_counter() - started
        difference = np.abs(found.ours - found.theirs).max()
        ours, theirs = [1000 * s for s in found.seconds]
        print(f"{name:14}{found.ours[0]:10.5f} {found.ours[-1]:10.5f} {difference:12.1e}"
              f" {found.error:20.2f} {found.late_plans:11} {ours:11.2f} {theirs:10.2f}"
              f" {seconds:8.1f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
