"""Random numbers: the same again for a seed, and of the right distribution."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from pytorch_oracle import compare_error

import lazytorch as torch

N = 20000

DRAWS = {
    "rand": lambda g: torch.rand(50, generator=g),
    "rand in float64": lambda g: torch.rand(50, dtype=torch.float64, generator=g),
    "randn": lambda g: torch.randn(5, 10, generator=g),
    "randint": lambda g: torch.randint(3, 9, (50,), generator=g),
    "randperm": lambda g: torch.randperm(50, generator=g),
    "normal": lambda g: torch.normal(torch.zeros(50), 2.0, generator=g),
    "bernoulli": lambda g: torch.bernoulli(torch.full((50,), 0.5), generator=g),
    "multinomial": lambda g: torch.multinomial(torch.ones(50), 20, generator=g),
    "poisson": lambda g: torch.poisson(torch.full((50,), 9.0), generator=g),
    "binomial": lambda g: torch.binomial(torch.full((50,), 30.0), torch.tensor(0.5), generator=g),
    "uniform_": lambda g: torch.empty(50).uniform_(-1, 1, generator=g),
    "exponential_": lambda g: torch.empty(50).exponential_(2, generator=g),
    "random_": lambda g: torch.empty(50, dtype=torch.int64).random_(generator=g),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_gives_the_same_numbers_again(name: str) -> None:
    draw = DRAWS[name]
    generator = torch.Generator().manual_seed(5)
    state = generator.get_state()
    first, second = draw(generator).tolist(), draw(generator).tolist()
    assert first != second
    assert draw(torch.Generator().manual_seed(5)).tolist() == first
    assert draw(torch.Generator().manual_seed(6)).tolist() != first
    assert draw(generator.set_state(state)).tolist() == first


def test_known_numbers_do_not_change() -> None:
    torch.manual_seed(0)
    assert torch.randint(0, 1000, (4,)).tolist() == KNOWN


KNOWN = [418, 314, 393, 721]


def moments(x: Any) -> tuple[float, float]:
    array = np.asarray(x.tolist(), np.float64)
    return float(array.mean()), float(array.std())


@pytest.mark.parametrize(
    ("draw", "mean", "deviation"),
    [
        (lambda: torch.rand(N), 0.5, 12**-0.5),
        (lambda: torch.rand(N, dtype=torch.float64), 0.5, 12**-0.5),
        (lambda: torch.rand(N, dtype=torch.float16), 0.5, 12**-0.5),
        (lambda: torch.randn(N), 0, 1),
        (lambda: torch.randn(N, dtype=torch.float64), 0, 1),
        (lambda: torch.normal(3.0, 2.0, (N,)), 3, 2),
        (lambda: torch.normal(torch.full((N,), 3.0), torch.full((N,), 2.0)), 3, 2),
        (lambda: torch.randint(0, 11, (N,)), 5, 10**0.5),
        (lambda: torch.bernoulli(torch.full((N,), 0.25)), 0.25, (3 / 16) ** 0.5),
        (lambda: torch.empty(N).bernoulli_(0.25), 0.25, (3 / 16) ** 0.5),
        (lambda: torch.empty(N).uniform_(2, 4), 3, 3**-0.5),
        (lambda: torch.empty(N).exponential_(2), 0.5, 0.5),
        (lambda: torch.empty(N).geometric_(0.5), 2, 2**0.5),
        (lambda: torch.empty(N).log_normal_(0, 0.5), np.exp(0.125), 0.604),
        (lambda: torch.empty(N, dtype=torch.int32).random_(0, 11), 5, 10**0.5),
        (lambda: torch.multinomial(torch.tensor([1.0, 0, 3]), N, True), 1.5, 0.75**0.5),
        (lambda: torch.poisson(torch.full((N,), 4.0)), 4, 2),
        (lambda: torch.binomial(torch.full((N,), 10.0), torch.tensor(0.2)), 2, 1.6**0.5),
        (lambda: torch.empty(N, dtype=torch.int64).random_(0, 1 << 40).double(), 2.0**39,
         2.0**40 * 12**-0.5),
    ],
)  # fmt: skip
def test_distributions(draw: Any, mean: float, deviation: float) -> None:
    torch.manual_seed(1)
    found = moments(draw())
    scale = max(deviation, 1e-9)
    assert abs(found[0] - mean) < 0.05 * scale
    assert abs(found[1] - deviation) < 0.05 * scale


def test_ranges_and_types() -> None:
    torch.manual_seed(2)
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        x = np.asarray(torch.rand(N, dtype=dtype).tolist())
        assert x.min() >= 0 and x.max() < 1
    for dtype in (torch.uint8, torch.int8, torch.int64, torch.float32):
        x = torch.randint(-3 if dtype.is_signed else 0, 5, (100,), dtype=dtype)
        assert x.dtype is dtype
        assert set(x.tolist()) == set(range(-3 if dtype.is_signed else 0, 5))
    assert sorted(torch.randperm(100).tolist()) == list(range(100))
    assert sorted(torch.multinomial(torch.ones(3, 6), 6)[1].tolist()) == list(range(6))
    assert torch.rand_like(torch.ones(2, 3)).shape == (2, 3)
    assert torch.randint_like(torch.ones(2, 3), 5).dtype is torch.float32


def test_generators_copy_and_pickle() -> None:
    generator = torch.Generator().manual_seed(9)
    torch.rand(1, generator=generator)
    twins = [copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))]
    expected = torch.rand(5, generator=generator).tolist()
    assert [torch.rand(5, generator=g).tolist() for g in twins] == [expected, expected]
    state = torch.get_rng_state()
    first = torch.rand(3).tolist()
    torch.set_rng_state(state)
    assert torch.rand(3).tolist() == first
    assert torch.manual_seed(7).initial_seed() == 7 == torch.initial_seed()


def test_drawing_again_compiles_nothing() -> None:
    from lazytorch.realize import plan_count

    torch.rand(3).realize()
    before = plan_count()
    torch.manual_seed(123456)
    torch.rand(3).realize()
    assert plan_count() == before


@pytest.mark.pytorch
@pytest.mark.parametrize(
    "code",
    [
        "torch.rand(2, dtype=torch.int64)",
        "torch.randint(5, 5, (2,))",
        "torch.randperm(-1)",
        "torch.normal(0., -1., (2,))",
        "torch.empty(2).uniform_(2, 1)",
        "torch.empty(2).normal_(0, -1)",
        "torch.empty(2).bernoulli_(2)",
        "torch.empty(2).exponential_(-1)",
        "torch.empty(2).geometric_(1)",
        "torch.multinomial(torch.ones(3), 4)",
        "torch.multinomial(torch.ones(3), 0)",
        "torch.multinomial(torch.ones(3, dtype=torch.int64), 1)",
        "torch.multinomial(torch.tensor([-1., 2.]), 1)",
        "torch.poisson(torch.tensor([-1.]))",
        "torch.poisson(torch.tensor([1]))",
        "torch.binomial(torch.tensor([1]), torch.tensor([.5]))",
        "torch.binomial(torch.tensor([1.]), torch.tensor([.5]).double())",
        "torch.ones(2, requires_grad=True).normal_()",
        "torch.bernoulli(torch.ones(2, dtype=torch.int64))",
    ],
)
def test_errors(code: str) -> None:
    compare_error(code)
