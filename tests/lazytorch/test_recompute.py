"""Activations between products: what a backward pass needs of them is computed again, not kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from devices import COMPILED

import lazytorch as torch
from lazytorch import Tensor
from lazytorch.inspect import kernels
from lazytorch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "tanh": torch.tanh,
    "by hand": lambda x: x * torch.exp(-x * x) + torch.sin(x),
}
rng = np.random.default_rng(2)


def step(device: str, activation: Callable[[Tensor], Tensor], arrays: list[np.ndarray]) -> list:
    x, w, b, v = [torch.tensor(a, device=device) for a in arrays]
    for parameter in (w, b, v):
        parameter.requires_grad_()
    loss = (activation(x @ w + b) @ v).square().mean()
    loss.backward()
    return [loss, w.grad, b.grad, v.grad]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_are_the_interpreters(name: str) -> None:
    arrays = [
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((150, 20), (20, 128), (128,), (128, 9))
    ]
    found, wanted = [step(d, ACTIVATIONS[name], arrays) for d in (COMPILED, "interpreter")]
    for f, w in zip(found, wanted, strict=True):
        w = w.numpy(force=True)
        np.testing.assert_allclose(f.numpy(force=True), w, rtol=1e-4, atol=1e-5 * np.abs(w).max())


@pytest.mark.parametrize("name", ["gelu", "gelu by tanh", "silu"])
def test_two_arrays_are_kept(name: str) -> None:
    """The product and the activation, which the next product reads; and one gradient."""
    shape = (150, 128)
    arrays = [
        rng.standard_normal(s).astype(np.float32) for s in ((150, 20), (20, 128), (128,), (128, 9))
    ]
    found = kernels(*step(COMPILED, ACTIVATIONS[name], arrays))
    assert len({a.slot for k in found for a in k.arguments if a.shape == shape}) == 3
