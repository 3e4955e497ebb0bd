"""The default element type and device of new tensors."""

from __future__ import annotations

from typing import Any

from codegen import dtype as dt
from codegen import settings
from codegen.dtype import DType
from lazytorch.expression import forget_signatures


class _Defaults:
    dtype: DType = dt.float32
    device: str = settings.get("LAZYTORCH_DEVICE")


defaults = _Defaults()


def get_default_dtype() -> DType:
    """The element type of tensors made from Python floats."""
    return defaults.dtype


def set_default_dtype(dtype: DType) -> None:
    """Make ``dtype``, a floating-point type, the type of tensors made from Python floats."""
    if not isinstance(dtype, DType) or dtype.kind != "float":
        raise TypeError("only floating-point types are supported as the default type")
    defaults.dtype = dtype
    forget_signatures()


def set_default_device(device: Any) -> None:
    """Make new tensors on ``device`` where none is given."""
    defaults.device = "cpu" if device is None else str(device)


def get_default_device() -> str:
    return defaults.device
