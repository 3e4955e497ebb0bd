"""Checks of the arguments that transforms are made with."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

TWO_SIZES = "Please provide only two dimensions (h, w) for size."


def two_sizes(size: Any, message: str = TWO_SIZES) -> Any:
    """(height, width) of one number or of two; ValueError for more."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)  # type: ignore[call-overload]
    if isinstance(size, Sequence) and len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(message)
    return size


def need_sequence(value: Any, name: str, lengths: Sequence[int]) -> None:
    message = f"{name} should be a sequence of length {' or '.join(map(str, lengths))}."
    if not isinstance(value, Sequence):
        raise TypeError(message)
    if len(value) not in lengths:
        raise ValueError(message)


def angles(value: Any, name: str, lengths: Sequence[int] = (2,)) -> list[float]:
    """The range of degrees: given, or from -value to value."""
    if isinstance(value, numbers.Number):
        if value < 0:  # type: ignore[operator]
            raise ValueError(f"If {name} is a single number, it must be positive.")
        value = [-value, value]  # type: ignore[operator]
    else:
        need_sequence(value, name, lengths)
    return [float(x) for x in value]


def color(fill: Any) -> Any:
    if fill is None:
        return 0
    if not isinstance(fill, (Sequence, numbers.Number)):
        raise TypeError("Fill should be either a sequence or a number.")
    return fill


def channel_colors(fill: Any, channels: int) -> list[float]:
    if isinstance(fill, (int, float)):
        return [float(fill)] * channels
    return [float(x) for x in fill]


def shown(transforms: Sequence[Any]) -> str:
    return "".join([f"\n    {t}" for t in transforms])
