"""Convolutions and their transposes of any stride, dilation, padding and grouping: results and
gradients to the second order are PyTorch's."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch as pytorch

import lazytorch


def _arguments(seed: int) -> tuple[str, Any, Any, list[Any]]:
    chosen = random.Random(seed)
    rank, groups = chosen.choice([1, 2, 2, 2, 3]), chosen.choice([1, 1, 2, 3])
    channels, outputs = [groups * chosen.randint(1, 3) for _ in range(2)]

    def some(low: int, high: int) -> list[int]:
        return [chosen.randint(low, high) for _ in range(rank)]

    kernel, stride, padding, size = some(1, 4), some(1, 3), some(0, 3), some(1, 9)
    dilation = [chosen.choice([1, 1, 2]) for _ in range(rank)]
    values = np.random.default_rng(seed)
    x = values.normal(size=(2, channels, *size))
    if chosen.random() < 0.6:
        w = values.normal(size=(outputs, channels // groups, *kernel))
        return f"conv{rank}d", x, w, [stride, padding, dilation, groups]
    extra = [chosen.randrange(max(a, b)) for a, b in zip(stride, dilation, strict=True)]
    w = values.normal(size=(channels, outputs // groups, *kernel))
    return f"conv_transpose{rank}d", x, w, [stride, padding, extra, groups, dilation]


def _results(torch: Any, name: str, x: Any, w: Any, rest: list[Any]) -> list[Any]:
    x, w = torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)
    y = getattr(torch.nn.functional, name)(x, w, None, *rest)
    to_x, to_w = torch.autograd.grad((y * y.sin()).sum(), (x, w), create_graph=True)
    (second,) = torch.autograd.grad((to_x * to_x).sum() + (to_w * to_x.sum()).sum(), x)
    return [t.detach().numpy() for t in (y, to_x, to_w, second)]


@pytest.mark.parametrize("part", range(4))
def test_random_geometries(part: int) -> None:
    for seed in range(part * 10, part * 10 + 10):
        name, x, w, rest = _arguments(seed)
        try:
            expected = _results(pytorch, name, x, w, rest)
        except RuntimeError:  # a kernel larger than the image
            continue
        found = _results(lazytorch, name, x, w, rest)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, 1e-8, 1e-8, err_msg=f"{seed}: {name} {rest}")
