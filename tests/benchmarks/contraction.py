"""Times generated contractions against PyTorch, one and two threads: prints ratios.

Run: python tests/benchmarks/contraction.py [name part ...]
"""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from codegen.dtype import float32
from codegen.index.contraction import Axis, Contraction
from codegen.loops.contraction import PlainOutput, Schedule, vector_bytes
from codegen.render.contraction_c import (
    Epilogue,
    EpilogueOf,
    RenderedContraction,
    render_contraction,
)

FLAGS = [
    *("-O2", "-march=native", "-ftree-vectorize", "-fvect-cost-model=dynamic"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
    *("-fPIC", "-shared", "-nostdlib"),
]
if vector_bytes() == 64:
    FLAGS.append("-mprefer-vector-width=512")

DRIVER = """
typedef void kernel_function(long, long, char **, char *);
static volatile long turn, done, stopped;
static kernel_function *volatile current;
static char **current_arguments, *current_scratch;
void worker(void) {
    for (long seen = 0;;) {
        while (turn == seen && !stopped) __builtin_ia32_pause();
        if (stopped) return;
        seen = turn;
        current(1, 2, current_arguments, current_scratch);
        __atomic_store_n(&done, seen, __ATOMIC_RELEASE);
    }
}
void stop(void) { stopped = 1; }
void start(void) { stopped = 0; turn = done = 0; }
void drive(kernel_function *kernel, long threads, char **arguments, char **scratch, long times) {
    for (long i = 0; i < times; i++) {
        if (threads == 1) { kernel(0, 1, arguments, scratch[0]); continue; }
        current = kernel; current_arguments = arguments; current_scratch = scratch[1];
        __atomic_store_n(&turn, turn + 1, __ATOMIC_RELEASE);
        kernel(0, 2, arguments, scratch[0]);
        while (done != turn) __builtin_ia32_pause();
    }
}
"""


def kernel_source(rendered: RenderedContraction, name: str, element: str = "float") -> str:
    """A kernel whose arguments are A, B and the output ``out``."""
    pointers = "".join(
        f"    {'const ' if i < 2 else ''}{element} *restrict {pointer} = (void *)arguments[{i}];\n"
        for i, pointer in enumerate(("a", "b", "out"))
    )
    return (
        f"{rendered.helpers}void {name}(long thread, long threads, char **arguments, "
        f"char *scratch)\n{{\n{pointers}{rendered.body}}}\n"
    )


def compile_library(source: str, folder: Path) -> ctypes.CDLL:
    (folder / "kernels.c").write_text(source)
    library = folder / "kernels.so"
    subprocess.run(["gcc", *FLAGS, "-o", str(library), str(folder / "kernels.c")], check=True)
    return ctypes.CDLL(str(library))


def aligned(size: int) -> np.ndarray:
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


Case = tuple[Contraction, PlainOutput, Callable[[], torch.Tensor], torch.Tensor, torch.Tensor]


def product(m: int, k: int, n: int, kind: str = "plain", batch: int = 1) -> Case:
    a = torch.randn(*((batch, k, m) if kind == "a^T" else (batch, m, k)))
    b = torch.randn(*((batch, n, k) if kind == "b^T" else (batch, k, n)))
    if kind == "a^T":
        a = a.transpose(1, 2)
    if kind == "b^T":
        b = b.transpose(1, 2)
    contraction = Contraction(
        (Axis(batch, m * k, k * n),),
        (Axis(m, a.stride(1), 0),),
        (Axis(n, 0, b.stride(2)),),
        (Axis(k, a.stride(2), b.stride(1)),),
        float32,
    )
    out = torch.empty(batch, m, n)
    if batch > 1:
        reference = lambda: torch.bmm(a, b, out=out)  # noqa: E731
    else:
        reference = lambda: torch.mm(a[0], b[0], out=out[0])  # noqa: E731
    return contraction, PlainOutput("out", m * n, n, 1), reference, a, b


def convolution(batch: int, channels: int, size: int, out_channels: int, taps: int = 3) -> Case:
    image = torch.randn(batch, channels, size + taps - 1, size + taps - 1)
    weight = torch.randn(out_channels, channels, taps, taps)
    padded = size + taps - 1
    plane, inner = padded * padded, channels * taps * taps
    contraction = Contraction(
        (Axis(batch, 0, channels * plane),),
        (Axis(out_channels, inner, 0),),
        (Axis(size, 0, padded), Axis(size, 0, 1)),
        (
            Axis(channels, taps * taps, plane),
            Axis(taps, taps, padded),
            Axis(taps, 1, 1),
        ),
        float32,
    )
    cropped = image[:, :, 1:-1, 1:-1].contiguous()
    image.zero_()
    image[:, :, 1:-1, 1:-1] = cropped
    output = PlainOutput("out", out_channels * size * size, size * size, 1)
    conv = torch.nn.functional.conv2d
    return contraction, output, lambda: conv(cropped, weight, padding=1), weight, image


CASES: dict[str, Callable[[], Case]] = {}
for _size in (64, 128, 256, 512, 1024):
    for _kind in ("plain", "a^T", "b^T"):
        CASES[f"{_size}^3 {_kind}"] = lambda s=_size, k=_kind: product(s, s, s, k)
for _shape in ((64, 1000, 100), (100, 64, 1000), (64, 100, 10)):
    for _kind in ("plain", "a^T", "b^T"):
        CASES["x".join(map(str, _shape)) + f" {_kind}"] = lambda s=_shape, k=_kind: product(*s, k)
CASES["batched 8x64x64x64"] = lambda: product(64, 64, 64, batch=8)
for _shape in ((1, 1000, 1000), (1000, 1000, 1)):
    for _kind in ("plain", "a^T", "b^T"):
        CASES["x".join(map(str, _shape)) + f" {_kind}"] = lambda s=_shape, k=_kind: product(*s, k)
CASES["conv 32x16x14x14 32"] = lambda: convolution(32, 16, 14, 32)
CASES["conv 32x64x28x28 64"] = lambda: convolution(32, 64, 28, 64)
CASES["conv 8x3x224x224 64"] = lambda: convolution(8, 3, 224, 64)


def measure(
    case: Case, threads: int, schedule: Schedule | None, fused: bool
) -> tuple[float, float]:
    """PyTorch's median time over ours, and our GFLOP/s."""
    contraction, output, reference, a, b = case
    rendered = render_contraction(
        contraction,
        "a",
        "b",
        _relu(output) if fused else None,
        threads,
        schedule,
        None if fused else output,
    )
    with tempfile.TemporaryDirectory() as folder:
        source = kernel_source(rendered, "kernel") + DRIVER
        library = compile_library(source, Path(folder))
    expected = reference()
    out = torch.empty(expected.shape)
    arguments = (ctypes.c_void_p * 3)(a.data_ptr(), b.data_ptr(), out.data_ptr())
    memory = [aligned(rendered.scratch_bytes) for _ in range(2)]
    scratch = (ctypes.c_void_p * 2)(*(part.ctypes.data for part in memory))
    kernel = ctypes.cast(library.kernel, ctypes.c_void_p)
    library.drive(kernel, ctypes.c_long(1), arguments, scratch, ctypes.c_long(1))
    if fused:
        expected = expected.clamp(min=0)
    error = (out - expected).abs().max().item() / expected.abs().max().item()
    assert error < 1e-5, error

    torch.set_num_threads(threads)
    _, m, n, k = contraction.sizes
    flops = 2 * contraction.sizes[0] * m * n * k
    times = max(1, int(1.5e8 / max(flops, 1e5)))
    ours, theirs = [], []
    cores = sorted(os.sched_getaffinity(0))
    for _ in range(9):
        reference()
        begin = time.perf_counter()
        for _ in range(times):
            reference()
        theirs.append((time.perf_counter() - begin) / times)
        if threads > 1:
            # Let PyTorch's pool fall asleep: two spinning pools slow each other down.
            time.sleep(0.02)
            library.start()
            worker = threading.Thread(target=_work, args=(library, cores[-1]))
            worker.start()
            os.sched_setaffinity(0, cores[:1])
            library.drive(kernel, ctypes.c_long(threads), arguments, scratch, ctypes.c_long(1))
        begin = time.perf_counter()
        library.drive(kernel, ctypes.c_long(threads), arguments, scratch, ctypes.c_long(times))
        ours.append((time.perf_counter() - begin) / times)
        if threads > 1:
            library.stop()
            worker.join()
            os.sched_setaffinity(0, cores)
    our_time = statistics.median(ours)
    return statistics.median(theirs) / our_time, flops / our_time / 1e9


def _work(library: ctypes.CDLL, core: int) -> None:
    os.sched_setaffinity(0, [core])
    library.worker()


def _relu(output: PlainOutput) -> EpilogueOf:
    def consume(m: str, n: str) -> Epilogue:
        place = f"out[batch_ * {output.batch_stride} + {m} * {output.row_stride} + {n}]"
        return Epilogue((f"{place} = value_ > 0 ? value_ : 0;",), ((place, True),))

    return consume


def main(parts: Sequence[str]) -> None:
    torch.manual_seed(0)
    fused = "relu" in parts
    parts = [part for part in parts if part != "relu"]
    for name, make in CASES.items():
        if parts and not any(part in name for part in parts):
            continue
        case = make()
        row = f"{name:24}"
        for threads in (1, 2):
            ratio, speed = measure(case, threads, None, fused)
            row += f"  {threads} thr: {ratio:5.2f} ({speed:4.0f} GF)"
        print(row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
