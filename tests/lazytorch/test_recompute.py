"""What a backward pass needs of the forward pass, and the order in which it runs."""

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


def test_gradients_of_weights_are_computed_while_what_they_are_made_of_is_new() -> None:
    """The last layer's first, though they are asked for last."""
    shapes = ((20, 128), (128, 96), (96, 9))
    weights = [torch.tensor(rng.standard_normal(s).astype(np.float32)) for s in shapes]
    x = torch.tensor(rng.standard_normal((150, 20)).astype(np.float32))
    y = x
    for w in weights:
        y = torch.tanh(y @ w.requires_grad_())
    y.square().mean().backward()
    found = kernels(*[w.grad for w in weights])
    last = [max(i for i, k in enumerate(found) if s in {a.shape for a in k.arguments})
            for s in shapes]  # fmt: skip
    assert last[0] > last[1] > last[2]


@pytest.mark.parametrize("sizes", [(8, 8, 8), (3, 1, 4)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gradients_of_parts_are_put_together(sizes: tuple[int, ...], axis: int) -> None:
    shape = [5, 6, 7]
    shape[axis] = sum(sizes)
    array = rng.standard_normal(shape).astype(np.float32)
    array[0] = 0
    found = []
    for device in (COMPILED, "interpreter"):
        x = torch.tensor(array, device=device).requires_grad_()
        parts = x.split(list(sizes), dim=axis)
        loss = sum([(p * -i * torch.exp(p)).sum() for i, p in enumerate(parts)])
        (gradient,) = torch.autograd.grad(loss, x)
        if len(set(sizes)) == 1 and COMPILED == device == "cpu":
            assert any([k.name == "write" for k in kernels(gradient)])
        found.append(gradient.numpy(force=True))
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(*map(np.signbit, found))
