"""Kernels of an OpenCL device against what it can do at most: prints ratios.

Products of matrices against the measured peak of multiply-adds and, where PyTorch has a GPU,
against cuBLAS; kernels that only move memory against the device's own copy.

Run: python tests/benchmarks/gpu.py [--device opencl] [--size 4096] [--rounds 5]
On a CPU device, LAZYTORCH_OPENCL_SCHEDULE=gpu shows that the schedules work, not how fast they are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import lazytorch as torch
from codegen.runtime.opencl import Device, find_device
from codegen.runtime.plan import PlanRecord, watchers

# Each item has sixteen chains of multiply-adds, enough to hide what one takes.
PEAK_ITEMS, PEAK_STEPS = 1 << 18, 512
PEAK = """
__kernel void peak(__global float *out, float x, float y) {
    float4 a = (float4)(x), b = a + 1, c = a + 2, d = a + 3;
    for (int i = 0; i < STEPS; i++) {
        a = mad(a, (float4)(y), (float4)(x)); b = mad(b, (float4)(y), (float4)(x));
        c = mad(c, (float4)(y), (float4)(x)); d = mad(d, (float4)(y), (float4)(x));
    }
    a += b + c + d;
    out[get_global_id(0)] = a.x + a.y + a.z + a.w;
}
"""


def fastest(run: Callable[[], object], rounds: int) -> float:
    """The least number of seconds of some runs, the first of which is not counted."""
    run()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measured_peak(device: Device, rounds: int, items: int) -> float:
    """Floating-point operations a second."""
    cl = device.opencl
    program = cl.Program(device.context, PEAK).build([f"-D STEPS={PEAK_STEPS}"])
    kernel = cl.Kernel(program, "peak")
    queue = cl.CommandQueue(device.context)
    out = cl.Buffer(device.context, cl.mem_flags.READ_WRITE, 4 * items)
    kernel.set_scalar_arg_dtypes([None, "float32", "float32"])

    def run() -> None:
        kernel(queue, (items,), (64,), out, 1.5, 0.5)
        queue.finish()

    return 2 * 16 * PEAK_STEPS * items / fastest(run, rounds)


def copy_bandwidth(device: Device, rounds: int, nbytes: int) -> float:
    """Bytes read and written a second by the driver's own copy."""
    cl = device.opencl
    queue = cl.CommandQueue(device.context)
    source, target = (cl.Buffer(device.context, cl.mem_flags.READ_WRITE, nbytes) for _ in range(2))

    def run() -> None:
        cl.enqueue_copy(queue, target, source, byte_count=nbytes)
        queue.finish()

    return 2 * nbytes / fastest(run, rounds)


def kernel_seconds(compute: Callable[[], Any], rounds: int) -> tuple[float, PlanRecord]:
    """What the kernels of a computation take, without recording and transfers, and its plan."""
    found: list[tuple[float, PlanRecord]] = []

    def note(record: PlanRecord, seconds: Sequence[float]) -> None:
        found.append((sum(seconds), record))

    torch.realize(compute())
    watchers.append(note)
    try:
        for _ in range(rounds):
            torch.realize(compute())
    finally:
        watchers.remove(note)
    return min(found, key=lambda pair: pair[0])


def cublas_seconds(size: int, rounds: int) -> float | None:
    """A float32 product of square matrices by PyTorch on its GPU; None where it has none."""
    try:
        import torch as pytorch
    except ImportError:
        return None
    if not pytorch.cuda.is_available():
        return None
    a, b = (pytorch.randn(size, size, device="cuda") for _ in range(2))

    def run() -> None:
        a @ b
        pytorch.cuda.synchronize()

    return fastest(run, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--device", default="opencl")
    parser.add_argument("--size", type=int, default=4096, help="rows and columns of the matrices")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    size, rounds = options.size, options.rounds
    device = find_device(options.device)
    kind = "work-groups" if device.schedules else "threads"
    peak = measured_peak(device, rounds, min(PEAK_ITEMS, 64 * size))
    bandwidth = copy_bandwidth(device, rounds, 4 * size * size)
    print(f"{device.description}, schedules for {kind}")
    print(f"peak {peak / 1e12:.3f} TFLOP/s, copy {bandwidth / 1e9:.1f} GB/s")

    torch.manual_seed(0)
    x, y = (torch.randn(size, size).to(options.device) for _ in range(2))
    row = torch.randn(size).to(options.device)
    torch.realize(x, y, row)
    cublas = cublas_seconds(size, rounds)
    products: dict[str, Callable[[], Any]] = {
        "x @ y": lambda: x @ y,
        "x @ y.T": lambda: x @ y.T,
        "x.T @ y": lambda: x.T @ y,
        "relu(x @ y + row)": lambda: torch.relu(x @ y + row),
    }
    for name, compute in products.items():
        seconds, _ = kernel_seconds(compute, rounds)
        flops = 2 * size**3 / seconds
        against = f", {cublas / seconds:.2f} of cuBLAS" if cublas else ""
        print(f"{name:20} {flops / 1e12:9.3f} TFLOP/s {flops / peak:6.2f} of peak{against}")
    moving: dict[str, Callable[[], Any]] = {
        "x + y": lambda: x + y,
        "exp(x)": lambda: torch.exp(x),
        "x.T + y": lambda: x.T + y,
        "softmax of rows": lambda: torch.softmax(x, 1),
        "layer norm": lambda: torch.nn.functional.layer_norm(x, (size,), row, row),
        "sum of rows": lambda: x.sum(1),
        "sum of columns": lambda: x.sum(0),
        "sum of all": lambda: x.sum(),
        "cumsum of rows": lambda: x.cumsum(1),
    }
    for name, compute in moving.items():
        seconds, record = kernel_seconds(compute, rounds)
        rate = sum([kernel.traffic for kernel in record.kernels]) / seconds
        print(f"{name:20} {rate / 1e9:9.1f} GB/s    {rate / bandwidth:6.2f} of the copy")


if __name__ == "__main__":
    main()
