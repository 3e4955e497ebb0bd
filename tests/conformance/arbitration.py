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


def products(
    function: Callable[..., Any], inputs: Sequence[torch.Tensor], tangents: Sequence[torch.Tensor]
) -> list[torch.Tensor | None]:
    """How PyTorch's results change along tangents of the inputs, by its reverse mode: gradients are
    linear in their seeds, and the gradient of that is their transpose."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    outputs = list(function(*leaves))
    generator = torch.Generator().manual_seed(3)  # rules that look at signs see some
    seeds = [
        torch.randn(t.shape, dtype=t.dtype, generator=generator).requires_grad_() for t in outputs
    ]
    tracked = [i for i, t in enumerate(outputs) if t.requires_grad]
    pulled = torch.autograd.grad(
        [outputs[i] for i in tracked], leaves, [seeds[i] for i in tracked], create_graph=True,
        allow_unused=True,
    )  # fmt: skip
    pairs = [(g, t) for g, t in zip(pulled, tangents, strict=True) if g is not None]
    return list(
        torch.autograd.grad([g for g, _ in pairs], seeds, [t for _, t in pairs], allow_unused=True)
    )


# The step of ``differences``: of fourth order, so that the error is about its fourth power.
_DISTANCE = 1e-3


def differences(
    function: Callable[..., Any], inputs: Sequence[torch.Tensor], tangents: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """How PyTorch's results change along tangents of the inputs, by differences of them."""

    def at(step: float) -> list[torch.Tensor]:
        moved = [x.detach() + step * t for x, t in zip(inputs, tangents, strict=True)]
        return [y.detach() for y in function(*[x.requires_grad_() for x in moved])]

    h = _DISTANCE
    return [
        (8 * (b - c) - (a - d)) / (12 * h)
        for a, b, c, d in zip(at(2 * h), at(h), at(-h), at(-2 * h), strict=True)
    ]
