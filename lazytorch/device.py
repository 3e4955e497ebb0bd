"""torch.device: where a tensor lives."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from codegen import spans
from codegen.runtime.memory import Buffer
from codegen.runtime.opencl import Device as QueueDevice
from codegen.runtime.opencl import discovery, find_device
from lazytorch.defaults import defaults

_TYPES = ("cpu", "interpreter", "cuda", "opencl", "meta")
# Device types that need nothing to be found.
available = {"cpu", "interpreter"}


class NoGpuError(AssertionError, RuntimeError):
    """A GPU was asked for, and there is none; PyTorch raises either, depending on its build."""


class DLDeviceType(enum.IntEnum):
    """DLPack's numbers of types of devices."""

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14


@dataclass(frozen=True, repr=False, init=False)
class Device:
    """A kind of device (``cpu``, ``interpreter``, ``opencl``, ``cuda``) and perhaps a number."""

    type: str
    index: int | None = None

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        if isinstance(type, Device):
            type, index = type.type, type.index if index is None else index
        if isinstance(type, int):
            type, index = "cuda", type
        name, separator, number = str(type).partition(":")
        if name not in _TYPES:
            raise RuntimeError(
                "Expected one of cpu, cuda, opencl, interpreter, meta device type at start of "
                f"device string: {name}"
            )
        if separator:
            if not number.isdecimal() or (number[0] == "0" and number != "0"):
                raise RuntimeError(f"Invalid device string: '{type}'")
            if index is not None:
                raise RuntimeError(
                    "type (string) must not include an index because index was passed explicitly: "
                    f"{type}"
                )
            index = int(number)
        object.__setattr__(self, "type", name)
        object.__setattr__(self, "index", index)

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        inner = f"type='{self.type}'"
        return f"device({inner})" if self.index is None else f"device({inner}, index={self.index})"

    def __reduce__(self) -> Any:
        return Device, (self.type,) if self.index is None else (self.type, self.index)

    def __enter__(self) -> Device:
        _entered.append(defaults.device)
        defaults.device = str(self)
        return self

    def __exit__(self, *_: Any) -> None:
        defaults.device = _entered.pop()


_entered: list[str] = []


class _Current:
    """``gpu``: which of the GPUs ``cuda`` without a number is."""

    gpu = 0


current = _Current()
_names: dict[str, str] = {}  # of devices that were found, by what they were called


def device_name(device: Any) -> str:
    """The name under which expressions know a device; the default one's for None.

    RuntimeError, which says what is missing, where there is no such device.
    """
    if device is None:
        device = defaults.device
    if device == "cpu":
        return "cpu"
    found = device if isinstance(device, Device) else Device(device)
    if found.type == "cpu":
        return "cpu"
    name = str(found)
    if found.type == "cuda" and found.index is None:
        name = f"cuda:{current.gpu}"
    full = _names.get(name)
    if full is None:
        full = _names[name] = _found(found.type, name)
    return full


def _found(kind: str, name: str) -> str:
    if kind in available:
        return name
    if kind == "meta":
        raise RuntimeError(f"device '{name}' is not available")
    try:
        find_device(name)
    except RuntimeError as error:
        if kind == "cuda":
            raise NoGpuError(str(error)) from None
        raise
    # The one that ``opencl`` alone means has no number.
    usual = kind == "opencl" and discovery.number_of(name) == discovery.number_of("opencl")
    return "opencl" if usual else name


def device_of(name: str) -> QueueDevice:
    """The device on whose queue things of this name are computed."""
    return find_device(name)


def is_on_queue(name: str) -> bool:
    """Whether what is computed on a device of this name is computed later than it is asked for,
    in memory that may not be the host's."""
    return name.startswith(("opencl", "cuda"))


def placed(buffer: Buffer, name: str) -> Buffer:
    """The content of a new buffer of the host's where a device of this name has its values."""
    if not is_on_queue(name):
        return buffer
    made = device_of(name).put(buffer)
    made.order = buffer.order
    return made


def transferred(buffer: Buffer, name: str) -> Buffer:
    """A copy of a buffer, whosever it is, where a device of this name has its values."""
    began = spans.now() if spans.listeners else 0
    copy = device_of(name).put(buffer) if is_on_queue(name) else buffer.on_host()
    if began:
        spans.note(f"copy to {name}", "transfer", began, bytes=buffer.nbytes)
    copy.order = buffer.order
    return copy


def finish(name: str) -> None:
    """Wait until a device has done all that it was asked for."""
    if is_on_queue(name):
        device_of(name).finish()
