"""The call forms of `Module.to`."""

from __future__ import annotations

from typing import Any

from codegen.dtype import DType as dtype
from lazytorch.device import Device as device
from lazytorch.nn.modules.utils import typename
from lazytorch.tensor import Tensor

_TO_FORMS = """
 * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, \
bool copy = False, *, torch.memory_format memory_format = None)
 * (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, \
torch.memory_format memory_format = None)
 * (Tensor tensor, bool non_blocking = False, bool copy = False, *, \
torch.memory_format memory_format = None)
"""


def parse_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, bool, Any]:
    """The arguments of `Module.to` as (device, dtype, non_blocking, memory_format)."""
    names: tuple[str, ...] = ("device", "dtype", "non_blocking", "copy")
    if (args and isinstance(args[0], Tensor)) or "tensor" in kwargs:
        names = ("tensor", "non_blocking", "copy")
    elif args and isinstance(args[0], dtype):
        names = ("dtype", "non_blocking", "copy")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    accepted: dict[str, Any] = {
        "tensor": Tensor,
        "device": (str, int, float, device, type(None)),
        "dtype": (dtype, type(None)),
        "non_blocking": bool,
        "copy": bool,
        "memory_format": object,
    }
    ill_formed = len(args) > len(names) or any(
        name not in (*names, "memory_format") or not isinstance(value, accepted[name])
        for name, value in given.items()
    )
    if ill_formed:
        told = ", ".join(typename(type(value)) for value in args)
        if kwargs:
            told += ", " if told else ""
            told += "".join(f"{name}={typename(type(v))}, " for name, v in kwargs.items())
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({told}), "
            f"but expected one of:{_TO_FORMS}"
        )
    if given.get("copy"):
        raise RuntimeError(".to() does not accept copy argument")
    source = given.get("tensor")
    if source is not None:
        target_device, target_dtype = source.device, source.dtype
    else:
        target_device, target_dtype = given.get("device"), given.get("dtype")
    return target_device, target_dtype, given.get("non_blocking", False), given.get("memory_format")
