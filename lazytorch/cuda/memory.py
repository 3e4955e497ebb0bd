"""How much memory of a GPU is in use."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from lazytorch.cuda._devices import gpu, index_of, is_available
from lazytorch.device import device_name, device_of


def memory_allocated(device: Any = None) -> int:
    """Bytes of the tensors that are alive, in whole blocks."""
    return gpu(device).pool.live if is_available() else 0


def max_memory_allocated(device: Any = None) -> int:
    """The most that was in use at once, what plans work in included."""
    return gpu(device).pool.peak if is_available() else 0


def memory_reserved(device: Any = None) -> int:
    """Bytes that the driver has given, in use or waiting to be used again."""
    return gpu(device).reserved_bytes if is_available() else 0


def max_memory_reserved(device: Any = None) -> int:
    """The most that ``memory_reserved`` or ``max_memory_allocated`` was seen to be."""
    return max(memory_reserved(device), max_memory_allocated(device))


def reset_peak_memory_stats(device: Any = None) -> None:
    """Let ``max_memory_allocated`` begin anew."""
    gpu(device).pool.reset_peak()


reset_max_memory_allocated = reset_peak_memory_stats


def empty_cache() -> None:
    """Give memory that nothing uses back to the driver."""
    if is_available():
        gpu().release_cached()


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes; what other processes use is not known to OpenCL."""
    found = gpu(device)
    return max(found.total_bytes - found.reserved_bytes, 0), found.total_bytes


def memory_stats(device: Any = None) -> OrderedDict[str, int]:
    """The counters of this page under PyTorch's names; none where there is no GPU."""
    if not is_available():
        return OrderedDict()
    return OrderedDict([
        ("allocated_bytes.all.current", memory_allocated(device)),
        ("allocated_bytes.all.peak", max_memory_allocated(device)),
        ("reserved_bytes.all.current", memory_reserved(device)),
        ("reserved_bytes.all.peak", max_memory_reserved(device)),
    ])  # fmt: skip


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The counters of ``memory_stats`` as text."""
    found = device_of(device_name(f"cuda:{index_of(device)}"))
    lines = [f"{name:<32} {value:>16,}" for name, value in memory_stats(device).items()]
    return "\n".join([found.name, *lines])
