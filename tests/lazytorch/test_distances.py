"""Distances of rows as a product of matrices: PyTorch's values, gradients and choice of when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as pytorch

import lazytorch

MODES = (
    "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist",
)  # fmt: skip


def _results(torch: Any, x: Any, y: Any, mode: str) -> list[Any]:
    x, y = torch.tensor(x, requires_grad=True), torch.tensor(y, requires_grad=True)
    distances = torch.cdist(x, y, compute_mode=mode)
    to_x, to_y = torch.autograd.grad((distances * distances.cos()).sum(), (x, y))
    tensors = (distances, to_x, to_y)
    return [distances.grad_fn.name(), *[t.detach().numpy() for t in tensors]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("x", "y"),
    [((25, 3), (25, 3)), ((26, 3), (2, 3)), ((3, 1, 4, 2), (2, 28, 2)), ((30, 0), (2, 0))],
)
def test_modes(x: tuple[int, ...], y: tuple[int, ...], mode: str) -> None:
    values = np.random.default_rng(0)
    a, b = values.normal(size=x), values.normal(size=y)
    found, expected = _results(lazytorch, a, b, mode), _results(pytorch, a, b, mode)
    assert found[0] == expected[0]
    for mine, real in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(mine, real, 1e-9, 1e-9)
