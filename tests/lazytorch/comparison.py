"""A function of ours beside PyTorch's: values, gradients to second order, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from support import attempt, ours, same, theirs

from lazytorch.autograd.backward import grad


def check_gradients(
    mine: Callable[..., Any], real: Callable[..., Any], *inputs: Any, second: bool = True
) -> None:
    """Equal values, gradients of every floating-point input, and gradients of those."""
    given = [t.clone().requires_grad_(t.is_floating_point()) for t in inputs]
    lazy = [ours(t) for t in given]
    expected, found = real(*given), mine(*lazy)
    same(found, expected)
    if isinstance(expected, tuple):
        expected, found = expected[0], found[0]
    wanted = [(t, o) for t, o in zip(given, lazy, strict=True) if t.requires_grad]
    if not expected.requires_grad:
        return
    seed = torch.randn_like(expected, requires_grad=True)
    lazy_seed = ours(seed)
    options = {"create_graph": True, "allow_unused": True}
    expected_first = torch.autograd.grad(expected, [t for t, _ in wanted], seed, **options)
    found_first = grad(found, [o for _, o in wanted], lazy_seed, **options)
    pairs = _same_each(found_first, expected_first)
    pairs = [(f, e) for f, e in pairs if e.requires_grad]
    if not second or not pairs:
        return
    seeds = [torch.randn_like(e) for _, e in pairs]
    expected_second = torch.autograd.grad(
        [e for _, e in pairs], [*[t for t, _ in wanted], seed], seeds, allow_unused=True
    )
    found_second = grad(
        [f for f, _ in pairs], [*[o for _, o in wanted], lazy_seed], [ours(s) for s in seeds],
        allow_unused=True,
    )  # fmt: skip
    _same_each(found_second, expected_second)


def _same_each(found: Any, expected: Any) -> list[tuple[Any, Any]]:
    """A gradient that PyTorch does not have is absent or zero in ours."""
    pairs = []
    for f, e in zip(found, expected, strict=True):
        if e is None:
            assert f is None or not theirs(f).any()
        else:
            same(f, e, tolerance=100)
            pairs.append((f, e))
    return pairs


def same_error(use: Callable[..., Any], functions: tuple[Any, Any], inputs: Any) -> None:
    """Both raise, the same type with the same text."""
    mine, real = functions
    expected = attempt(use, real, inputs)
    found = attempt(use, mine, [ours(t) for t in inputs])
    assert isinstance(expected, Exception)
    assert isinstance(found, type(expected)), (found, expected)
    assert str(found) == str(expected).split("\nException raised from")[0]
