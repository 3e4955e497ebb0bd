"""Reading the arguments that many operations share: sizes, dimensions, devices, options."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from codegen.dtype import DType
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import type_name


def require_tensor(name: str, value: Any, argument: str = "input", position: int = 1) -> None:
    """TypeError, in PyTorch's words, where an argument is no tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name}(): argument '{argument}' (position {position}) must be Tensor, not "
            f"{type(value).__name__}"
        )


def require_tensors(values: Sequence[Any], argument: int) -> None:
    """TypeError, in PyTorch's words, where one of several values given as one is no tensor."""
    for i, value in enumerate(values):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument {argument}, but got "
                f"{type(value).__name__}"
            )


def not_implemented(name: str, dtype: DType) -> NotImplementedError:
    """The error for an element type that an operation is not defined on."""
    return NotImplementedError(f"\"{name}\" not implemented for '{type_name(dtype)}'")


def integers(args: tuple[Any, ...], function: str, name: str = "size") -> tuple[int, ...]:
    """Integers given one by one or as one sequence; TypeError in PyTorch's words."""
    values: Any = args
    if len(args) == 1 and not isinstance(args[0], int):
        values = args[0]
        if isinstance(values, Tensor):
            values = (values,) if not values.ndim else values.tolist()
    found = []
    try:
        for v in values:
            found.append(v if type(v) is int else operator.index(v))
    except TypeError:
        if not isinstance(values, (tuple, list)):
            raise TypeError(
                f"{function}(): argument '{name}' (position 1) must be tuple of ints, not "
                f"{type(values).__name__}"
            ) from None
        kind, place = type(values[len(found)]).__name__, len(found)
        if place == 0:
            raise TypeError(
                f"{function}(): argument '{name}' (position 1) must be tuple of ints, but found "
                f"element of type {kind} at pos 0"
            ) from None
        raise TypeError(
            f"{function}(): argument '{name}' failed to unpack the object at pos {place + 1} with "
            f'error "type must be tuple of ints,but got {kind}"'
        ) from None
    return tuple(found)


def size_argument(args: tuple[Any, ...], size: Any, function: str) -> tuple[int, ...]:
    """The shape of a tensor to make: positional, or as ``size=``."""
    if size is not None:
        args = (size,)
    elif not args:
        raise TypeError(f"{function}() received an invalid combination of arguments - got ()")
    shape = integers(args, function)
    if shape and min(shape) < 0:
        negative = min(shape)
        if function in ("zeros", "ones", "full"):
            raise RuntimeError(f"{function}: Dimension size must be non-negative.")
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {negative}: {list(shape)}"
        )
    return shape


def wrap_dims(dims: Sequence[int], rank: int, message: str | None = None) -> tuple[int, ...]:
    """Dimension numbers counted from the front; RuntimeError where one appears twice."""
    wrapped = tuple([wrap_dim(d, rank) for d in dims])
    if len(set(wrapped)) != len(wrapped):
        seen = [d for i, d in enumerate(wrapped) if d in wrapped[:i]]
        raise RuntimeError(message or f"dim {seen[0]} appears multiple times in the list of dims")
    return wrapped


_C_NAMES = {
    "uint16": "uint16_t", "uint32": "uint32_t", "uint64": "uint64_t", "uint8": "uint8_t",
    "int8": "int8_t", "int16": "int16_t", "int32": "int", "int64": "int64_t",
    "float16": "at::Half", "bfloat16": "at::BFloat16", "float32": "float", "float64": "double",
    "bool_": "bool",
}  # fmt: skip
_LARGEST = {"float16": 65504.0, "float32": 3.4028234663852886e38, "bfloat16": 3.38953138925e38}


def check_number(value: Any, dtype: DType) -> None:
    """Refuse a Python number that the element type cannot hold."""
    if dtype.kind in ("bool", "complex"):
        return
    if isinstance(value, complex):
        if value.imag != 0:
            raise RuntimeError(
                f"value cannot be converted to type {_C_NAMES[dtype.name]} without overflow"
            )
        value = value.real
    if dtype.kind == "int":
        bits = dtype.itemsize * 8
        high = (1 << bits) - 1 if not dtype.is_signed else (1 << (bits - 1)) - 1
        low = -high if not dtype.is_signed else -high - 1
        fits = low <= value <= high
    else:
        limit = _LARGEST.get(dtype.name)
        infinite = value in (float("inf"), float("-inf"))
        fits = limit is None or infinite or value != value or -limit <= value <= limit
    if not fits:
        raise RuntimeError(
            f"value cannot be converted to type {_C_NAMES[dtype.name]} without overflow"
        )


def no_positional(function: str, got: Sequence[Any]) -> TypeError:
    """The error for arguments that fit no signature."""
    kinds = ", ".join([type(x).__name__ for x in got])
    return TypeError(f"{function}() received an invalid combination of arguments - got ({kinds})")
