"""The GPU, whatever its make, under PyTorch's device-agnostic names: here the ``cuda`` devices."""

from __future__ import annotations

from typing import Any

from lazytorch import cuda
from lazytorch.cuda import (
    current_stream,
    device_count,
    empty_cache,
    is_available,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_peak_memory_stats,
    set_stream,
)
from lazytorch.cuda import device as device_index
from lazytorch.device import Device


def current_accelerator(check_available: bool = False) -> Device | None:
    """The kind of GPU there is, without a number; None where there is none."""
    return Device("cuda") if is_available() else None


def current_device_index() -> int:
    """The number of the GPU that new tensors go to."""
    _require()
    return cuda.current_device()


def set_device_index(device: Any, /) -> None:
    """Let new tensors go to this GPU."""
    _require()
    cuda.set_device(device)


def synchronize(device: Any = None, /) -> None:
    """Wait until a GPU has done all that it was asked for."""
    _require()
    cuda.synchronize(device)


def get_memory_info(device: Any = None, /) -> tuple[int, int]:
    """(free, total) bytes of a GPU."""
    _require()
    return cuda.mem_get_info(device)


def _require() -> None:
    if not is_available():
        raise RuntimeError("Cannot access accelerator device when none is available.")


__all__ = [
    "current_accelerator", "current_device_index", "current_stream", "device_count",
    "device_index", "empty_cache", "get_memory_info", "is_available", "max_memory_allocated",
    "max_memory_reserved", "memory_allocated", "memory_reserved", "memory_stats",
    "reset_peak_memory_stats", "set_device_index", "set_stream", "synchronize",
]  # fmt: skip
