"""Which GPUs there are, and which of them ``cuda`` is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codegen.runtime.opencl import Device as QueueDevice
from codegen.runtime.opencl import discovery
from lazytorch.device import Device, NoGpuError, current, device_name, device_of
from lazytorch.realize import flush


def device_count() -> int:
    """How many GPUs with an OpenCL driver were found."""
    return len(discovery.gpu_numbers())


def is_available() -> bool:
    """Whether there is a GPU with an OpenCL driver."""
    return device_count() > 0


def is_initialized() -> bool:
    """Whether a GPU has been used in this process."""
    numbers = set(discovery.gpu_numbers()) if discovery.found_devices() else set()
    return any(d.number in numbers for d in discovery.found_devices())


def init() -> None:
    """Find the GPUs now; RuntimeError where there is none."""
    current_device()


def index_of(device: Any = None, optional: bool = True) -> int:
    """The number of the GPU meant by None (the current one), a number, a name or a device."""
    if device is None:
        return current.gpu
    if isinstance(device, int):
        return current.gpu if device < 0 and optional else device
    found = device if isinstance(device, Device) else Device(device)
    if found.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {found}")
    return current.gpu if found.index is None else found.index


def gpu(device: Any = None) -> QueueDevice:
    """The GPU itself; RuntimeError where there is none of that number."""
    number = index_of(device)
    if number > 0 and not 0 <= number < device_count() > 0:
        raise RuntimeError(
            f"invalid device ordinal: {number}, where {device_count()} GPU(s) were found"
        )
    return device_of(device_name(f"cuda:{number}"))


def current_device() -> int:
    """The number of the GPU that ``cuda`` alone means."""
    if not is_available():
        gpu()
    return current.gpu


def set_device(device: Any) -> None:
    """Let ``cuda`` alone mean this GPU from now on. A negative number changes nothing."""
    number = index_of(device)
    gpu(number)
    current.gpu = number


class device:
    """A context in which ``cuda`` alone means another GPU.

    >>> with torch.cuda.device(-1):
    ...     pass
    """

    def __init__(self, device: Any) -> None:
        self.idx = index_of(device)
        self.prev_idx = -1

    def __enter__(self) -> None:
        self.prev_idx = current.gpu
        if self.idx != current.gpu:
            set_device(self.idx)

    def __exit__(self, *_: Any) -> None:
        current.gpu = self.prev_idx


class device_of_tensor(device):
    """A context in which ``cuda`` alone means the GPU that a tensor is on."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device() if obj.is_cuda else -1)


@dataclass(frozen=True)
class DeviceProperties:
    """What the driver says of a GPU. ``major`` and ``minor`` are 0 where it is not NVIDIA's."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    max_threads_per_block: int
    shared_memory_per_block: int
    warp_size: int

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // (1 << 20)}MB, "
            f"multi_processor_count={self.multi_processor_count})"
        )


def get_device_properties(device: Any = None) -> DeviceProperties:
    """Name, memory and limits of a GPU."""
    found = gpu(device)
    handle = found.handle
    major, minor = get_device_capability(device)
    return DeviceProperties(
        found.name, major, minor, found.total_bytes, handle.max_compute_units,
        handle.max_work_group_size, handle.local_mem_size, _number(handle, "warp_size_nv", 32),
    )  # fmt: skip


def get_device_name(device: Any = None) -> str:
    """What the driver calls a GPU."""
    return gpu(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """(major, minor) of an NVIDIA GPU; (0, 0) of another."""
    handle = gpu(device).handle
    return (
        _number(handle, "compute_capability_major_nv", 0),
        _number(handle, "compute_capability_minor_nv", 0),
    )


def _number(handle: Any, name: str, otherwise: int) -> int:
    """What some drivers say and others do not know."""
    try:
        return int(getattr(handle, name))
    except Exception:  # an attribute of another vendor's: pyopencl's error, or none at all
        return otherwise


def synchronize(device: Any = None) -> None:
    """Compute pending writes, and wait until a GPU has done all that it was asked for."""
    found = gpu(device)
    flush()
    found.finish()


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether bfloat16 works: it does on every GPU, stored in 16 bits and computed in float32."""
    return including_emulation and is_available()


def get_arch_list() -> list[str]:
    """Architectures that something was compiled for in advance: none is."""
    return []


__all__ = [
    "DeviceProperties", "NoGpuError", "current_device", "device", "device_count",
    "device_of_tensor", "get_arch_list", "get_device_capability", "get_device_name",
    "get_device_properties", "gpu", "index_of", "init", "is_available", "is_bf16_supported",
    "is_initialized", "set_device", "synchronize",
]  # fmt: skip
