"""The default element type and device of new tensors."""

from __future__ import annotations

import warnings
from typing import Any

from codegen import dtype as dt
from codegen import settings
from codegen.dtype import DType
from codegen.runtime.matrix_units import matrix_units
from lazytorch.expression import trace_under


class _Defaults:
    dtype: DType = dt.float32
    device: str = settings.get("LAZYTORCH_DEVICE")
    precision: str = "highest"  # of products of float32 matrices
    bfloat16_products: bool = False  # whether their operands are rounded to bfloat16


defaults = _Defaults()


def get_default_dtype() -> DType:
    """The element type of tensors made from Python floats."""
    return defaults.dtype


def set_default_dtype(dtype: DType) -> None:
    """Make ``dtype``, a floating-point type, the type of tensors made from Python floats."""
    if not isinstance(dtype, DType) or dtype.kind != "float":
        raise TypeError("only floating-point types are supported as the default type")
    defaults.dtype = dtype
    trace_under("dtype", dtype.name)


_PRECISIONS = ("highest", "high", "medium")


def get_float32_matmul_precision() -> str:
    """What ``set_float32_matmul_precision`` chose: "highest" unless it was called."""
    return defaults.precision


def set_float32_matmul_precision(precision: str) -> None:
    """How exactly matrices of float32 are multiplied from now on.

    "highest" and "high" multiply and add up in float32. "medium" rounds the operands to bfloat16,
    and the products still add up in float32, where the processor has units for such products;
    elsewhere it is like "high".
    """
    if precision not in _PRECISIONS:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current "
            "setFloat32MatmulPrecision call has no effect.",
            stacklevel=2,
        )
        return
    defaults.precision = precision
    rounds = precision == "medium" and bool(matrix_units())
    if rounds != defaults.bfloat16_products:
        defaults.bfloat16_products = rounds
        trace_under("products", "bfloat16" if rounds else "float32")


def set_default_device(device: Any) -> None:
    """Make new tensors on ``device`` where none is given."""
    defaults.device = "cpu" if device is None else str(device)


def get_default_device() -> str:
    return defaults.device
