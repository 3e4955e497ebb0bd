"""Views at another place in each step: PyTorch's values, and an end to new plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import COMPILED, FUNCTIONS

torch = pytest.importorskip("torch", reason="needs real PyTorch")

import lazytorch  # noqa: E402
from lazytorch.realize import plan_count  # noqa: E402

SHAPE = (5, 24, 3)


def _write(y: Any, index: Any, value: Any) -> Any:
    y = y * 1
    y[index] = value
    return y


# What is made in step i of a tracked value, of which no axis is contiguous with its neighbour.
READS: dict[str, Callable[[Any, int], Any]] = {
    "row": lambda y, i: y[i % 5],
    "column": lambda y, i: y[:, i % 24],
    "last": lambda y, i: y[..., i % 3],
    "element": lambda y, i: y[i % 5, i % 24, i % 3],
    "two": lambda y, i: y[i % 5, 7, i % 3] * y[1, i % 24, 2],
    "narrow": lambda y, i: y.narrow(1, i % 17, 7),
    "steps": lambda y, i: y[:, i % 8 : i % 8 + 16 : 3],
    "neighbours": lambda y, i: y[:, i % 23] * y[:, i % 23 + 1],
    "transposed": lambda y, i: y.transpose(0, 2)[:, i % 24],
    "expanded": lambda y, i: y[i % 5, i % 24].expand(4, 3) * y[0, :4],
    "flat": lambda y, i: y.reshape(-1)[i % 300 : i % 300 + 50],
    "diagonal": lambda y, i: y[:, i % 19 : i % 19 + 5].diagonal(),
}
WRITES: dict[str, Callable[[Any, int], Any]] = {
    "column": lambda y, i: _write(y, (slice(None), i % 24), y[:, (i + 1) % 24] * 2),
    "element": lambda y, i: _write(y, (i % 5, i % 24, i % 3), y[0, 0, 0]),
    "narrow": lambda y, i: _write(y, (slice(None), slice(i % 17, i % 17 + 7)), y[:, :7].exp()),
    "steps": lambda y, i: _write(y, (slice(None), slice(i % 8, i % 8 + 16, 3)), 2.0),
    "updated": lambda y, i: (y := y * 1)[:, i % 24].mul_(3).add_(1) is None or y,
}
PROGRAMS = {f"read {k}": f for k, f in READS.items()} | {f"write {k}": f for k, f in WRITES.items()}


def train(
    library: Any, program: Any, steps: range, device: str | None = None, rate: float = 0.05
) -> list[Any]:
    """Losses, gradients and second derivatives of a value that is read elsewhere in each step."""
    start = np.linspace(-1, 1, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    options = {} if device is None else {"device": device}
    w = library.tensor(start, requires_grad=True, **options)
    results = []
    for i in steps:
        loss = (program(library.tanh(w), i) ** 3).sum()
        (g,) = library.autograd.grad(loss, w, create_graph=i % 2 == 0)
        if g.requires_grad:
            (g,) = library.autograd.grad((g * g).sum(), w)
        results.append((loss.detach(), g.detach()))
        with library.no_grad():
            w -= rate * g
    return [tuple([np.asarray(x.tolist()) for x in pair]) for pair in results]


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_pytorch(name: str) -> None:
    expected = train(torch, PROGRAMS[name], range(26))
    found = train(lazytorch, PROGRAMS[name], range(12), FUNCTIONS)
    before = plan_count()
    found = train(lazytorch, PROGRAMS[name], range(26), FUNCTIONS)
    for pair, other in zip(found, expected, strict=True):
        for a, b in zip(pair, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    assert plan_count() - before <= 4


@pytest.mark.parametrize("name", ["read column", "read narrow", "read element", "write column"])
def test_two_hundred_places_are_a_few_plans(name: str) -> None:
    """Of compiled code: no plan is lowered after the first few steps, nothing is compiled."""
    program = PROGRAMS[name]
    expected = train(torch, program, range(200), rate=1e-3)
    train(lazytorch, program, range(12), COMPILED)
    plans, kernels = lazytorch.stats().plans_lowered, lazytorch.stats().kernels_compiled
    with lazytorch.assert_no_recompile():
        found = train(lazytorch, program, range(200), COMPILED, rate=1e-3)
    assert (plans, kernels) == (
        lazytorch.stats().plans_lowered, lazytorch.stats().kernels_compiled
    )  # fmt: skip
    for (a, g), (b, h) in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(g, h, rtol=1e-3, atol=1e-4)


def test_places_within_a_step_stay_in_the_text() -> None:
    """A loop over all places in each step is one plan, the same in every step."""
    w = lazytorch.ones(4, 9, requires_grad=True)
    before = plan_count()
    for _ in range(4):
        total = sum([w[:, t].exp().sum() * t for t in range(9)])
        total.backward()
        assert w.grad is not None
        w.grad.realize()
        w.grad = None
    made = lazytorch.recompiles()[-1]
    assert plan_count() - before <= 2, made


def test_compiled_functions_are_replayed_at_each_place() -> None:
    """Each place is a case of its own, over one plan."""
    w = lazytorch.arange(12.0).reshape(4, 3).clone().requires_grad_()

    @lazytorch.compile
    def step(i: int) -> Any:
        loss = (w.exp()[i] * 2).sum()
        (g,) = lazytorch.autograd.grad(loss, w)
        return g

    for _ in range(4):
        for i in range(4):
            expected = np.zeros((4, 3), np.float32)
            expected[i] = 2 * np.exp(np.arange(12.0).reshape(4, 3)[i])
            np.testing.assert_allclose(step(i).numpy(), expected, rtol=1e-5)
    assert step.replays > 0, step.obstacle
