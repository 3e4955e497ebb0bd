"""Who is right where both libraries differ: PyTorch in float64, and PyTorch's own differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from . import comparison
from .comparison import Tolerance, tensors

_STEP = 1e-6
_ALLOWED: Tolerance = (1e-6, 1e-6)
# Differences are taken where the inputs together have so few elements.
_SMALL = 200


def widened(value: Any) -> Any:
    """The same arguments in float64."""
    if isinstance(value, torch.Tensor):
        return value.detach().double() if value.dtype is torch.float32 else value.detach()
    if isinstance(value, (list, tuple)):
        parts = [widened(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {k: widened(v) for k, v in value.items()}
    return torch.float64 if value is torch.float32 else value


def is_exact(found: Any, theirs: Callable[..., Any], arguments: Any, allowed: Tolerance) -> bool:
    """Whether a float32 result is, within the tolerance, PyTorch's from float64: then the one that
    differs from it more is PyTorch's own from float32."""
    *args, options = widened(arguments)
    try:
        expected = theirs(*args, **options)
        return comparison.values(found, expected, allowed) is None
    except Exception:
        return False


def are_differences(
    found: Sequence[Any],
    function: Callable[[], Any],
    leaves: Sequence[torch.Tensor],
    places: Sequence[int],
    seeds: Sequence[torch.Tensor],
) -> bool:
    """Whether gradients by ``leaves`` are those that PyTorch's function itself shows where they are
    changed a little: of its results at ``places``, each times its seed. Then PyTorch's gradient is
    not that of its function."""
    if sum(x.numel() for x in leaves) > _SMALL:
        return False

    def total() -> float:
        results = list(tensors(function()))
        return sum(
            float((results[p].double() * s).sum()) for p, s in zip(places, seeds, strict=True)
        )

    with torch.no_grad():
        for gradient, leaf in zip(found, leaves, strict=True):
            expected = np.array([_slope(total, leaf, place) for place in _places(leaf)])
            given = np.zeros(leaf.shape) if gradient is None else comparison.array_of(gradient)
            if comparison.numbers(given.reshape(-1), expected.reshape(-1), _ALLOWED):
                return False
    return True


def _places(x: torch.Tensor) -> Iterator[tuple[int, ...]]:
    return iter(np.ndindex(*x.shape))


def _slope(total: Callable[[], float], x: torch.Tensor, place: tuple[int, ...]) -> float:
    before = float(x[place])
    ends = []
    for change in (_STEP, -_STEP):
        x[place] = before + change
        ends.append(total())
    x[place] = before
    return (ends[0] - ends[1]) / (2 * _STEP)
