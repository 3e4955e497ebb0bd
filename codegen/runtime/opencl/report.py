"""What OpenCL found on this machine, in lines to read; where nothing, why, and the cure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codegen.runtime.opencl import discovery

# A GPU that the system knows: its files, and where its OpenCL driver comes from.
_GPUS = (
    ("/dev/nvidia[0-9]*", "NVIDIA",
     "libnvidia-opencl.so.1 comes with the driver (Debian: nvidia-opencl-icd); in a container "
     "allow the 'compute' capability"),
    ("/dev/kfd", "AMD", "install rocm-opencl-runtime (or mesa-opencl-icd)"),
    ("/dev/dri/renderD*", "a GPU", "install intel-opencl-icd (Intel) or mesa-opencl-icd"),
)  # fmt: skip
_DRIVERS = Path("/etc/OpenCL/vendors")


def device_lines() -> Iterator[str]:
    """A line a device, and lines that say what is missing."""
    try:
        handles = discovery.all_handles()
    except RuntimeError as error:
        yield f"opencl        {error}"
        yield from _advice()
        return
    gpus = discovery.gpu_numbers()
    for number, handle in enumerate(handles):
        other = f" = cuda:{gpus.index(number)}" if number in gpus else ""
        yield f"{f'opencl:{number}{other}':<13} {_described(handle)}"
    if not gpus:
        yield "cuda          no GPU among OpenCL's devices"
        yield from _advice()


def _described(handle: Any) -> str:
    gibibytes = handle.global_mem_size / (1 << 30)
    lacks = [] if handle.double_fp_config else ["no float64"]
    return ", ".join([
        f"{handle.name.strip()} ({handle.platform.name.strip()}, {handle.driver_version.strip()})",
        f"{handle.max_compute_units} units",
        f"{gibibytes:.1f} GiB",
        *lacks,
    ])  # fmt: skip


def _advice() -> Iterator[str]:
    """What the system knows of GPUs and drivers that OpenCL did not find."""
    for pattern, name, cure in _GPUS:
        if any(Path("/").glob(pattern.lstrip("/"))):
            yield f"              {name} is there ({pattern}), its OpenCL driver is not: {cure}"
            return
    drivers = sorted(p.name for p in _DRIVERS.glob("*.icd")) if _DRIVERS.is_dir() else []
    listed = ", ".join(drivers) if drivers else "none"
    yield f"              drivers listed in {_DRIVERS}: {listed}; no file of a GPU's in /dev"
