"""LAZYTORCH_DEBUG: what each kernel took, and what of the machine it used."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from codegen import settings
from codegen.errors import CodegenError
from codegen.runtime.plan import KernelRecord, PlanRecord
from codegen.runtime.roofline import Roofline, measured


def computed_in(kernel: KernelRecord) -> str:
    """The name of the element type whose arithmetic bounds a kernel."""
    if any(["dpbf16ps" in text for text in (kernel.body, *kernel.prologue)]):
        return "bfloat16"  # on the processor's units for such products
    doubles = any([shape.startswith(("float64", "complex128")) for shape in kernel.shapes])
    return "float64" if doubles else "float32"


def roofline_of(device: str) -> Roofline | None:
    """The device's roofline; None where it cannot be measured."""
    try:
        return measured(device)
    except (CodegenError, RuntimeError):
        return None


def report(record: PlanRecord, seconds: Sequence[float]) -> None:
    """A line a kernel: its time, its rates, its share of the roofline; from 2 on its source too."""
    roofline = roofline_of(record.device)
    for kernel, duration in zip(record.kernels, seconds, strict=True):
        rate = duration or 1e-9
        share = ""
        if roofline is not None:
            given = kernel.operations, kernel.traffic, computed_in(kernel)
            part = roofline.seconds(*given) / rate
            share = f"{part:6.1%} of {roofline.bound(*given):<10} "
        print(
            f"lazytorch: {kernel.name:<28} {duration * 1e6:9.1f} µs "
            f"{kernel.operations / rate / 1e9:8.2f} GFLOP/s {kernel.traffic / rate / 1e9:8.2f} GB/s"
            f" {share} {'parallel' if kernel.parallel else 'serial  '}"
            f"  {' '.join(kernel.shapes):<40}  {' '.join(kernel.lines)}",
            file=sys.stderr,
        )
        if settings.debug_level() >= 2:
            print(kernel.body, file=sys.stderr)
