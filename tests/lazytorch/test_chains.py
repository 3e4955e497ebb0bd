"""Attention, and what resembles it, as one kernel: against the interpreter, which fuses nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import COMPILED

import lazytorch as torch
from lazytorch import Tensor
from lazytorch.inspect import kernels
from lazytorch.nn import functional as F

rng = np.random.default_rng(5)


def check(
    program: Callable[..., Any], *shapes: tuple[int, ...], dtype: Any = np.float32, chains: int = 1
) -> None:
    """Values and gradients on the device are the interpreter's, through so many chains."""
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    results = []
    for device in (COMPILED, "interpreter"):
        inputs = [torch.tensor(a, device=device) for a in arrays]
        torch.realize(*inputs)
        if device == COMPILED:
            names = [k.name for k in kernels(program(*inputs))]
            assert names.count("chain") == chains, names
        values = [program(*inputs).numpy()]
        for x in inputs:
            x.requires_grad_()
        program(*inputs).square().sum().backward()
        results.append(values + [x.grad.numpy() for x in inputs])  # type: ignore[union-attr]
    for found, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "queries, keys, width", [(64, 64, 32), (61, 61, 16), (130, 130, 8), (9, 16, 3), (49, 200, 65)]
)
def test_attention_is_one_kernel(queries: int, keys: int, width: int, causal: bool) -> None:
    check(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal),
        (2, 3, queries, width), (2, 3, keys, width), (2, 3, keys, width + 1),
    )  # fmt: skip


def test_heads_are_joined_where_they_are_computed() -> None:
    """The next product cannot read heads that lie apart as one row: nothing copies them, either."""
    q, k, v, w = [torch.tensor(rng.standard_normal(s)) for s in [(2, 3, 64, 32)] * 3 + [(96, 40)]]
    torch.realize(q, k, v, w)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    y = y.transpose(1, 2).reshape(2, 64, 96) @ w
    assert [kernel.name for kernel in kernels(y)] == ["chain", "contraction"]


def by_hand(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    scores = q @ k.transpose(-2, -1) / 4
    return torch.softmax(scores.masked_fill(mask, -float("inf")), -1) @ v


@pytest.mark.parametrize("batch", [(), (1,), (1, 2)])
def test_masked_by_hand(batch: tuple[int, ...]) -> None:
    """By a mask that the program computes, with its diagonal a number that does not compile."""

    def program(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = torch.ones(70, 70, dtype=torch.bool, device=q.device).triu(5)
        return by_hand(q, k, v, mask)

    check(program, *[(*batch, 70, 16)] * 3)


def test_a_mask_in_memory_and_float64() -> None:
    def program(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = torch.ones(50, 50, device=q.device).tril() == 0
        return by_hand(q, k, v, mask)

    check(program, *[(4, 50, 16)] * 3, dtype=np.float64)


def test_what_else_is_read_is_stored() -> None:
    """The weights are wanted as well; the scores are wanted, and then there is no chain."""

    def both(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        weights = torch.softmax(q @ k.transpose(-2, -1), -1)
        return torch.cat([(weights @ v).flatten(), weights.flatten()])

    def scores_too(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = q @ k.transpose(-2, -1)
        return torch.cat([(torch.softmax(scores, -1) @ v).flatten(), scores.flatten()])

    check(both, *[(3, 40, 24)] * 3)
    check(scores_too, *[(3, 40, 24)] * 3, chains=0)


def test_not_a_row_of_its_own() -> None:
    """Softmax over the queries, values that depend on the weights, a transposed read: no chain."""

    def over_queries(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.softmax(q @ k.transpose(-2, -1), -2) @ v

    def entangled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        weights = torch.softmax(q @ k.transpose(-2, -1), -1)
        return weights @ (v + weights.sum(-2)[..., None].cumsum(-2))

    def transposed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.softmax((q @ k.transpose(-2, -1)).transpose(-2, -1), -1) @ v

    for program in (over_queries, entangled, transposed):
        check(program, *[(2, 32, 24)] * 3, chains=0)


def test_rows_that_are_not_numbers() -> None:
    """NaN and infinities in a query or a key reach exactly the rows that attend to them."""
    q, k, v = [rng.standard_normal((1, 2, 96, 16)).astype(np.float32) for _ in range(3)]
    q[0, 0, 5, 3], k[0, 1, 40, 2], k[0, 0, 95, 0] = np.nan, np.inf, np.nan
    found, wanted = [
        F.scaled_dot_product_attention(
            *[torch.tensor(x, device=device) for x in (q, k, v)], is_causal=True
        ).numpy()
        for device in (COMPILED, "interpreter")
    ]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_gradients_come_from_rows_that_attend() -> None:
    """What is infinite in an early row's gradient stays away from later values: those products are
    left out, a tile at a time."""
    q, k, v = [
        torch.tensor(rng.standard_normal((2, 96, 16)), dtype=torch.float32, requires_grad=True)
        for _ in range(3)
    ]
    factor = torch.ones(2, 96, 16)
    factor[:, 3] = float("inf")
    loss = (F.scaled_dot_product_attention(q, k, v, is_causal=True) * factor).sum()
    loss.backward()
    assert v.grad is not None
    torch.realize(loss, v.grad)
    assert not v.grad[:, :3].isfinite().any()
    assert v.grad[:, 32:].isfinite().all()


def test_dropout_of_weights() -> None:
    """The same seed draws the same weights to drop, one kernel or many."""
    arrays = [rng.standard_normal((2, 48, 16)).astype(np.float32) for _ in range(3)]
    results = []
    for device in (COMPILED, "interpreter"):
        torch.manual_seed(3)
        inputs = [torch.tensor(x, device=device) for x in arrays]
        results.append(F.scaled_dot_product_attention(*inputs, dropout_p=0.4).numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-5)
