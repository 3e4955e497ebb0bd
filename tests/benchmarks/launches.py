"""What it costs to ask an OpenCL device for a plan of many small kernels: prints microseconds.

*Asked* is from the call of the plan until its kernels are in the queue, which is what a program
waits for; *done* until the device has computed them. Medians over many runs of a known plan.

Run: python tests/benchmarks/launches.py [--device opencl] [--kernels 30] [--rounds 300]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2])]

from codegen import dtype as dt  # noqa: E402
from codegen.ir.node import Node, TensorType  # noqa: E402
from codegen.ops import elementwise as ew  # noqa: E402
from codegen.ops import reduction  # noqa: E402
from codegen.ops.leaves import parameter  # noqa: E402
from codegen.pipeline import Graph, compile_opencl  # noqa: E402
from codegen.runtime.memory import allocate  # noqa: E402
from codegen.runtime.opencl import find_device  # noqa: E402

SIZE = 16


def chain(kernels: int) -> Graph:
    """Products of small matrices, each of which needs the one before: a kernel a product."""
    type_ = TensorType((SIZE, SIZE), dt.float32)
    first, weight = parameter(0, type_), parameter(1, type_)
    value: Node = first
    shape = (SIZE, SIZE, SIZE)
    for _ in range(kernels):
        rows = reduction.broadcast(value, shape, (0, 1))
        columns = reduction.broadcast(weight, shape, (1, 2))
        value = reduction.sum_(ew.mul(rows, columns), (1,))
    return Graph((first, weight), (value,))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--device", default="opencl")
    parser.add_argument("--kernels", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    device = find_device(options.device)
    graph = chain(options.kernels)
    plan = compile_opencl(graph, device)
    values = [device.put(allocate(p.type.nbytes)) for p in graph.parameters]
    asked, done = [], []
    for _ in range(options.rounds):
        start = time.perf_counter()
        plan.run(values)
        asked.append(1e6 * (time.perf_counter() - start))
        device.finish()
        done.append(1e6 * (time.perf_counter() - start))
    count = len(plan.record.kernels)
    print(f"{device.description}: a plan of {count} kernels")
    for what, times in (("asked", asked), ("done", done)):
        found = statistics.median(times)
        print(f"{what:6} {found:8.1f} µs, {found / count:6.2f} µs a kernel")


if __name__ == "__main__":
    main()
