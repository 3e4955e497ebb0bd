"""Operators with several arguments: each is written to between forward and backward, and first and
second derivatives are asked whether they require grad, beside PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from devices import FUNCTIONS

import lazytorch

Shapes = list[tuple[int, ...]]


def _functional(name: str, *settings: Any, **options: Any) -> Callable[..., Any]:
    return lambda t, *xs: getattr(t.nn.functional, name)(*xs, *settings, **options)


OPERATORS: dict[str, tuple[Shapes, Callable[..., Any]]] = {
    "linear": ([(2, 3), (4, 3), (4,)], _functional("linear")),
    "bilinear": ([(2, 3), (2, 4), (5, 3, 4), (5,)], _functional("bilinear")),
    "conv1d": ([(2, 3, 8), (4, 3, 3), (4,)], _functional("conv1d")),
    "conv2d": ([(2, 3, 5, 5), (4, 3, 3, 3), (4,)], _functional("conv2d", padding=1)),
    "conv_transpose1d": ([(2, 3, 8), (3, 4, 3), (4,)], _functional("conv_transpose1d")),
    "layer_norm": (
        [(2, 3), (3,), (3,)],
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (3,), w, b),
    ),
    "batch_norm": (
        [(4, 3), (3,), (3,)],
        lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, True),
    ),
    "avg_pool2d": ([(1, 2, 4, 4)], _functional("avg_pool2d", 2)),
    "max_pool2d": ([(1, 2, 4, 4)], _functional("max_pool2d", 2)),
    "reflect": ([(1, 2, 4)], _functional("pad", (1, 2), "reflect")),
    "hardtanh": ([(2, 3)], _functional("hardtanh")),
    "grid_sample": (
        [(1, 1, 3, 3), (1, 2, 2, 2)], _functional("grid_sample", align_corners=False),
    ),
    "mse_loss": ([(2, 3), (2, 3)], _functional("mse_loss")),
    "addmm": ([(2, 2), (2, 3), (3, 2)], lambda t, *xs: t.addmm(*xs)),
    "lerp": ([(2, 2), (2, 2), (2, 2)], lambda t, *xs: t.lerp(*xs)),
}  # fmt: skip


def _inputs(t: Any, shapes: Shapes) -> tuple[list[Any], list[Any]]:
    """Leaves, and copies of them that may be written to."""
    values = [torch.linspace(0.1, 0.9, torch.Size(s).numel(), dtype=torch.float64) for s in shapes]
    leaves = [t.tensor(v.tolist(), dtype=t.float64).reshape(s).requires_grad_()
              for v, s in zip(values, shapes, strict=True)]  # fmt: skip
    return leaves, [x.clone() for x in leaves]


def _flags(t: Any, shapes: Shapes, function: Callable[..., Any]) -> list[Any]:
    def flags(found: Any) -> list[bool | None]:
        return [None if g is None else g.requires_grad for g in found]

    leaves, inputs = _inputs(t, shapes)
    y = function(t, *inputs)
    first = t.autograd.grad(y, leaves, t.ones_like(y), create_graph=True)
    live = [g for g in first if g.requires_grad]
    if not live:
        return flags(first)
    seeds = [t.ones_like(g) for g in live]
    second = t.autograd.grad(live, leaves, seeds, create_graph=True, allow_unused=True)
    return [flags(first), flags(second)]


def _written(t: Any, shapes: Shapes, function: Callable[..., Any], place: int) -> str:
    leaves, inputs = _inputs(t, shapes)
    y = function(t, *inputs)
    with t.no_grad():
        [*inputs, y][place].mul_(2)
    try:
        t.autograd.grad(y, leaves, t.ones_like(y))
    except RuntimeError as error:
        return str(error).split(":")[0]
    return "differentiated"


@pytest.mark.parametrize("name", OPERATORS)
def test_as_pytorch(name: str) -> None:
    shapes, function = OPERATORS[name]
    with lazytorch.device(FUNCTIONS):
        assert _flags(lazytorch, shapes, function) == _flags(torch, shapes, function)
        for place in range(len(shapes) + 1):
            ours = _written(lazytorch, shapes, function, place)
            assert ours == _written(torch, shapes, function, place), place
