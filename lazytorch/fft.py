"""torch.fft, as far as it is about real numbers: the order of frequencies.

The transforms are left out until there are complex numbers."""

from __future__ import annotations

from typing import Any

from lazytorch.absent import left_out
from lazytorch.functions.creation import arange
from lazytorch.functions.joining import cat, roll
from lazytorch.functions.reductions import Dims, reduced_axes
from lazytorch.tensor import Tensor


def _shift(input: Tensor, dim: Dims, back: bool) -> Tensor:
    axes = list(reduced_axes(dim, input.ndim))
    sizes = [input.shape[a] for a in axes]
    return roll(input, [(n + 1) // 2 if back else n // 2 for n in sizes], axes)


def fftshift(input: Tensor, dim: Dims = None) -> Tensor:
    """Zero frequency moved from the start to the middle of the dimensions."""
    return _shift(input, dim, False)


def ifftshift(input: Tensor, dim: Dims = None) -> Tensor:
    """What undoes ``fftshift``."""
    return _shift(input, dim, True)


def fftfreq(n: int, d: float = 1.0, **options: Any) -> Tensor:
    """The frequencies of a transform of ``n`` samples ``d`` apart: positive ones, then negative."""
    positive = arange((n + 1) // 2, **options)
    return cat([positive, arange(-(n // 2), 0, **options)]) / (n * d)


def rfftfreq(n: int, d: float = 1.0, **options: Any) -> Tensor:
    """The frequencies of a transform of ``n`` real samples ``d`` apart."""
    return arange(n // 2 + 1, **options) / (n * d)


globals().update(left_out("fft"))

__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]
