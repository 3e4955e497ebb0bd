"""Operators with several arguments: each is written to between forward and backward, and first and
second derivatives are asked whether they require grad, beside PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
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
    "smooth_l1_loss": ([(2, 3), (2, 3)], _functional("smooth_l1_loss")),
    "huber_loss": ([(2, 3), (2, 3)], _functional("huber_loss", delta=0.7)),
    "addmm": ([(2, 2), (2, 3), (3, 2)], lambda t, *xs: t.addmm(*xs)),
    "lerp": ([(2, 2), (2, 2), (2, 2)], lambda t, *xs: t.lerp(*xs)),
}  # fmt: skip

_PLACES = [[0, 1], [2, 0]]
# Of these the writes alone: losses made of several nodes of PyTorch's, which save what they made
# of the inputs, and choices of elements, which save what they need the shape of.
WRITTEN: dict[str, tuple[Shapes, Callable[..., Any]]] = {
    "l1_loss": ([(2, 3), (2, 3)], _functional("l1_loss")),
    "kl_div": ([(2, 3), (2, 3)], _functional("kl_div", reduction="sum")),
    "gaussian_nll_loss": ([(2, 3), (2, 3), (2, 3)], _functional("gaussian_nll_loss")),
    "poisson_nll_loss": ([(2, 3), (2, 3)], _functional("poisson_nll_loss")),
    "triplet_margin_loss": ([(2, 3), (2, 3), (2, 3)], _functional("triplet_margin_loss")),
    "margin_ranking_loss": ([(3,), (3,), (3,)], _functional("margin_ranking_loss")),
    "hinge_embedding_loss": (
        [(2, 3)],
        lambda t, x: t.nn.functional.hinge_embedding_loss(x, t.tensor([[1, -1, 1], [1, 1, -1]])),
    ),
    "cosine_embedding_loss": (
        [(2, 3), (2, 3)],
        lambda t, x, y: t.nn.functional.cosine_embedding_loss(x, y, t.tensor([1, -1])),
    ),
    "nll_loss": ([(2, 3)], lambda t, x: t.nn.functional.nll_loss(x, t.tensor([1, 2]))),
    "cross_entropy": ([(2, 3)], lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([1, 2]))),
    "smoothed cross_entropy": (
        [(2, 3)],
        lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([1, 2]), label_smoothing=0.1),
    ),
    "cross_entropy of chances": ([(2, 3), (2, 3)], _functional("cross_entropy")),
    "smoothed cross_entropy of chances": (
        [(2, 3), (2, 3)], _functional("cross_entropy", label_smoothing=0.1)
    ),
    "pairwise_distance": ([(2, 3), (2, 3)], _functional("pairwise_distance")),
    "cosine_similarity": ([(2, 3), (2, 3)], _functional("cosine_similarity")),
    "normalize": ([(2, 3)], _functional("normalize")),
    "instance_norm": (
        [(2, 3, 4), (3,), (3,)],
        lambda t, x, w, b: t.nn.functional.instance_norm(x, None, None, w, b),
    ),
    "local_response_norm": ([(2, 4, 3)], _functional("local_response_norm", 2)),
    "kron": ([(2, 2), (2, 2)], lambda t, x, y: t.kron(x, y)),
    "cdist": ([(2, 3), (4, 3)], lambda t, x, y: t.cdist(x, y)),
    "vector_norm": ([(2, 3)], lambda t, x: t.linalg.vector_norm(x, 1, 1)),
    "gather": ([(2, 3)], lambda t, x: x.gather(1, t.tensor(_PLACES))),
    "take": ([(2, 3)], lambda t, x: x.take(t.tensor([0, 4]))),
    "scatter": ([(2, 3), (2, 2)], lambda t, x, y: x.scatter(1, t.tensor(_PLACES), y)),
    "scatter_add": ([(2, 3), (2, 2)], lambda t, x, y: x.scatter_add(1, t.tensor(_PLACES), y)),
    "index_add": ([(3, 2), (2, 2)], lambda t, x, y: x.index_add(0, t.tensor([0, 2]), y)),
    "index_copy": ([(3, 2), (2, 2)], lambda t, x, y: x.index_copy(0, t.tensor([0, 2]), y)),
    "index_put": ([(3, 2), (2, 2)], lambda t, x, y: x.index_put((t.tensor([0, 2]),), y)),
} | {
    f"scatter_reduce by {how}": (
        [(2, 3), (2, 2)],
        lambda t, x, y, how=how: x.scatter_reduce(1, t.tensor(_PLACES), y, how),
    )
    for how in ("sum", "mean", "prod", "amax")
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
        _agree_on_writes(shapes, function)


@pytest.mark.parametrize("name", WRITTEN)
def test_writes_between(name: str) -> None:
    with lazytorch.device(FUNCTIONS):
        _agree_on_writes(*WRITTEN[name])


def _agree_on_writes(shapes: Shapes, function: Callable[..., Any]) -> None:
    for place in range(len(shapes) + 1):
        ours = _written(lazytorch, shapes, function, place)
        assert ours == _written(torch, shapes, function, place), place


def test_what_may_be_written_to_is_freed_nevertheless() -> None:
    """PyTorch's nodes save what they made of it, and free that."""
    with lazytorch.device(FUNCTIONS):
        x = lazytorch.ones(3, requires_grad=True)
        loss = lazytorch.nn.functional.l1_loss(x * 2, lazytorch.zeros(3))
        loss.backward()
        with pytest.raises(RuntimeError, match="a second time"):
            loss.backward()


STATISTICS = ["nothing", "mean", "variance", "weight", "bias", "another step"]


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_are_saved_but_for_the_steps_that_update_them(
    name: str, training: bool, second: bool
) -> None:
    def gradients(t: Any, written: str) -> Any:
        x = t.arange(24.0).view(2, 3, 4).sin().requires_grad_()
        mean, variance, weight, bias = t.zeros(3), t.ones(3), t.arange(3.0), t.ones(3)
        norm = getattr(t.nn.functional, name)
        y = norm(x, mean, variance, weight, bias, training)
        versions = [mean._version, variance._version]
        found = dict(zip(STATISTICS[1:5], (mean, variance, weight, bias), strict=True))
        if written in found:
            found[written].add_(1)
        elif written == "another step" and training:
            norm(x.detach() * 2, mean, variance, weight, bias, True)
        try:
            (g,) = t.autograd.grad(y.square().sum(), x, create_graph=second)
            if second:
                g.square().sum().backward()
                g = x.grad
        except RuntimeError as error:
            return versions, str(error)
        return versions, np.array(g.tolist())

    for written in STATISTICS:
        wanted, found = [gradients(t, written) for t in (torch, lazytorch)]
        assert found[0] == wanted[0]
        if isinstance(wanted[1], str):
            assert found[1] == wanted[1], written
        else:
            np.testing.assert_allclose(found[1], wanted[1], 1e-4, 1e-4, err_msg=written)


def test_a_write_that_is_not_looked_for_hides_none_after_it() -> None:
    def error(t: Any) -> str:
        x, w = t.ones(3, requires_grad=True), t.ones(3)
        y = (x * w).sum()
        w.data.mul_(2)
        w.add_(1)
        with pytest.raises(RuntimeError) as raised:
            y.backward()
        return str(raised.value)

    assert error(lazytorch) == error(torch)
