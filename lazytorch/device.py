"""torch.device: where a tensor lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codegen.runtime.opencl import find_device
from lazytorch.defaults import defaults

_TYPES = ("cpu", "interpreter", "cuda", "opencl", "meta")
# Device types on which tensors can be made here; a back end adds its own when it is found.
available = {"cpu", "interpreter"}


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
            if not number.isdigit():
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
        defaults.device = device_name(self)
        return self

    def __exit__(self, *_: Any) -> None:
        defaults.device = _entered.pop()


_entered: list[str] = []


def device_name(device: Any) -> str:
    """The name under which expressions know a device; the default one's for None."""
    if device is None:
        return defaults.device
    if device == "cpu":
        return "cpu"
    found = device if isinstance(device, Device) else Device(device)
    if found.type == "opencl":
        find_device(str(found))  # or an error that says what is missing
    elif found.type not in available:
        raise RuntimeError(
            f"device '{found}' is not available: no GPU with an OpenCL driver was found. "
            "`lazytorch devices` lists what is there and what is missing."
        )
    return "cpu" if found.type == "cpu" else str(found)
