"""Nothing is quietly eager: how many kernels composites become, alone and with their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import lazytorch as torch

F = torch.nn.functional
ROWS, COLUMNS = 64, 256
X = (ROWS, COLUMNS)
IMAGES = (8, 16, 8, 8)


def _classes(x: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(x), dtype=torch.long, device=x.device)


# Shapes of the inputs, the function; kernels of the result, and of result and gradients together.
# A mean over everything is a kernel beside the gradient, which reads the inputs element by element.
COMPOSITES: dict[str, tuple[list[tuple[int, ...]], Callable[..., Any], int, int]] = {
    "softmax": ([X], lambda x: F.softmax(x, -1), 1, 1),
    "softmax of columns": ([X], lambda x: F.softmax(x, 0), 1, 1),
    "log_softmax": ([X], lambda x: F.log_softmax(x, -1), 1, 1),
    "logsumexp": ([X], lambda x: torch.logsumexp(x, -1), 1, 1),
    "gelu": ([X], F.gelu, 1, 1),
    "gelu by tanh": ([X], lambda x: F.gelu(x, approximate="tanh"), 1, 1),
    "silu": ([X], F.silu, 1, 1),
    "mish": ([X], F.mish, 1, 1),
    "softplus": ([X], F.softplus, 1, 1),
    "glu": ([X], lambda x: F.glu(x, -1), 1, 2),
    # with gradients: rows, and two sums over rows
    "layer_norm": ([X, X[1:], X[1:]], lambda x, w, b: F.layer_norm(x, X[1:], w, b), 1, 3),
    "rms_norm": ([X, X[1:]], lambda x, w: F.rms_norm(x, X[1:], w), 1, 2),
    "batch_norm": (
        [IMAGES, (16,), (16,)], lambda x, w, b: F.batch_norm(x, None, None, w, b, True), 1, 1,
    ),
    "instance_norm": ([IMAGES], F.instance_norm, 1, 1),
    "normalize": ([X], lambda x: F.normalize(x, dim=-1), 1, 1),
    "norm": ([X], lambda x: x.norm(dim=-1), 1, 1),
    "std": ([X], lambda x: x.std(-1), 1, 1),
    "var_mean": ([X], lambda x: torch.var_mean(x, -1), 1, 1),
    "huber_loss": ([X, X], F.huber_loss, 1, 2),
    "huber_loss of each": ([X, X], lambda x, y: F.huber_loss(x, y, reduction="none"), 1, 1),
    "smooth_l1_loss": ([X, X], F.smooth_l1_loss, 1, 2),
    "mse_loss": ([X, X], F.mse_loss, 1, 2),
    "l1_loss": ([X, X], F.l1_loss, 1, 2),
    "binary_cross_entropy_with_logits": ([X, X], F.binary_cross_entropy_with_logits, 1, 2),
    "kl_div": ([X, X], lambda x, y: F.kl_div(x, y, reduction="batchmean"), 1, 2),
    "cosine_similarity": ([X, X], lambda x, y: F.cosine_similarity(x, y, -1), 1, 1),
    "pairwise_distance": ([X, X], F.pairwise_distance, 1, 1),
    "cross_entropy": ([X], lambda x: F.cross_entropy(x, _classes(x)), 2, 3),
    "lerp": ([X, X], lambda x, y: torch.lerp(x, y, 0.3), 1, 1),
    "addcmul": ([X, X], lambda x, y: torch.addcmul(x, x, y), 1, 1),
}  # fmt: skip


def _computed(shape: tuple[int, ...]) -> torch.Tensor:
    x = torch.linspace(-1, 1, math.prod(shape), device="cpu").reshape(shape).clone()
    torch.realize(x)
    return x


@pytest.mark.parametrize("name", COMPOSITES)
def test_kernels_of_a_composite(name: str) -> None:
    shapes, function, alone, together = COMPOSITES[name]
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        inputs = [_computed(shape) for shape in shapes]
        made = function(*inputs)
        results = made if isinstance(made, tuple) else (made,)
        assert len(torch.kernels(*results)) == alone
        leaves = [x.clone().detach() for x in inputs]
        torch.realize(*leaves)
        for leaf in leaves:
            leaf.requires_grad_()
        made = function(*leaves)
        results = made if isinstance(made, tuple) else (made,)
        seeds = [_computed(tuple(r.shape)) for r in results]
        gradients = torch.autograd.grad(results, leaves, seeds)
        assert len(torch.kernels(*results, *gradients)) == together
    finally:
        torch.set_num_threads(threads)
