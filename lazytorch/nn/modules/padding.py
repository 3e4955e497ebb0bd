"""Padding layers: more elements around the spatial dimensions."""

from __future__ import annotations

from typing import Any, ClassVar

from lazytorch.nn import functional as F
from lazytorch.nn.modules.module import Module
from lazytorch.nn.modules.utils import repeat_to
from lazytorch.tensor import Tensor

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _PadNd(Module):
    """(N, C, *in) or (C, *in), with `padding` elements more on each side.

    `padding` is one number, or (before, after) of each dimension, the last dimension first.
    """

    _rank: ClassVar[int]
    padding: tuple[int, ...]

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    """Padding with one value."""

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__()
        self.padding = repeat_to(padding, 2 * self._rank)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _PadFromInput(_PadNd):
    """Padding with elements of the input, chosen by `_mode`."""

    _mode: ClassVar[str]

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = repeat_to(padding, 2 * self._rank)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)


class _ReflectionPadNd(_PadFromInput):
    """Padding with the input mirrored at its edges, the edge itself not repeated."""

    _mode = "reflect"


class _ReplicationPadNd(_PadFromInput):
    """Padding with copies of the edges."""

    _mode = "replicate"


class _CircularPadNd(_PadFromInput):
    """Padding with the opposite side of the input."""

    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        unbatched = self._rank + 1
        if input.dim() not in (unbatched, unbatched + 1):
            raise ValueError(
                f"expected {unbatched}D or {unbatched + 1}D input (got {input.dim()}D input)"
            )
        return super().forward(input)


class ConstantPad1d(_ConstantPadNd):
    __doc__ = _ConstantPadNd.__doc__
    _rank = 1


class ConstantPad2d(_ConstantPadNd):
    __doc__ = _ConstantPadNd.__doc__
    _rank = 2


class ConstantPad3d(_ConstantPadNd):
    __doc__ = _ConstantPadNd.__doc__
    _rank = 3


class ReflectionPad1d(_ReflectionPadNd):
    __doc__ = _ReflectionPadNd.__doc__
    _rank = 1


class ReflectionPad2d(_ReflectionPadNd):
    __doc__ = _ReflectionPadNd.__doc__
    _rank = 2


class ReflectionPad3d(_ReflectionPadNd):
    __doc__ = _ReflectionPadNd.__doc__
    _rank = 3


class ReplicationPad1d(_ReplicationPadNd):
    __doc__ = _ReplicationPadNd.__doc__
    _rank = 1


class ReplicationPad2d(_ReplicationPadNd):
    __doc__ = _ReplicationPadNd.__doc__
    _rank = 2


class ReplicationPad3d(_ReplicationPadNd):
    __doc__ = _ReplicationPadNd.__doc__
    _rank = 3


class CircularPad1d(_CircularPadNd):
    __doc__ = _CircularPadNd.__doc__
    _rank = 1


class CircularPad2d(_CircularPadNd):
    __doc__ = _CircularPadNd.__doc__
    _rank = 2


class CircularPad3d(_CircularPadNd):
    __doc__ = _CircularPadNd.__doc__
    _rank = 3


class ZeroPad1d(ConstantPad1d):
    """Padding with zeros."""

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Padding with zeros."""

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Padding with zeros."""

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"
