"""torch.distributions: what it computes is PyTorch's, and what it draws has its moments."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import FUNCTIONS
from scipy.special import gammaincinv

import lazytorch as torch
from lazytorch.distributions.validity import are_valid

pytorch = pytest.importorskip("torch")
pytestmark = pytest.mark.pytorch

N = 3  # of an event's vectors


def _matrix(rng: Any, shape: tuple[int, ...]) -> Any:
    a = rng.normal(size=(*shape, N, N))
    return a @ np.swapaxes(a, -1, -2) + N * np.eye(N)


@pytest.fixture(autouse=True)
def on_the_functions_device() -> None:
    """Set back by the fixture of all tests here."""
    torch.set_default_device(FUNCTIONS)


# What a parameter may be: an array of a batch's shape, and its event's.
KINDS: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "real": lambda rng, s: rng.normal(size=s),
    "positive": lambda rng, s: rng.uniform(0.3, 3, s),
    "large": lambda rng, s: rng.uniform(4.5, 8, s),
    "unit": lambda rng, s: rng.uniform(0.1, 0.9, s),
    "low": lambda rng, s: rng.uniform(0.1, 0.4, s),
    "high": lambda rng, s: rng.uniform(0.6, 0.9, s),
    "whole": lambda rng, s: np.full(s, 5.0),
    "scalar": lambda rng, s: np.array(rng.uniform(0.5, 2)),
    "simplex": lambda rng, s: rng.dirichlet(np.ones(N), s),
    "vector": lambda rng, s: rng.normal(size=(*s, N)),
    "positive vector": lambda rng, s: rng.uniform(0.5, 3, (*s, N)),
    "factor": lambda rng, s: rng.normal(size=(*s, N, 2)),
    "covariance": _matrix,
    "triangle": lambda rng, s: np.linalg.cholesky(_matrix(rng, s)),
}
FAMILIES: list[tuple[str, dict[str, str]]] = [
    ("Normal", {"loc": "real", "scale": "positive"}),
    ("Categorical", {"probs": "simplex"}),
    ("Categorical", {"logits": "vector"}),
    ("Bernoulli", {"probs": "unit"}),
    ("Bernoulli", {"logits": "real"}),
    ("Uniform", {"low": "low", "high": "high"}),
    ("OneHotCategorical", {"logits": "vector"}),
    ("OneHotCategoricalStraightThrough", {"probs": "simplex"}),
    ("MultivariateNormal", {"loc": "vector", "covariance_matrix": "covariance"}),
    ("MultivariateNormal", {"loc": "vector", "precision_matrix": "covariance"}),
    ("MultivariateNormal", {"loc": "vector", "scale_tril": "triangle"}),
    (
        "LowRankMultivariateNormal",
        {"loc": "vector", "cov_factor": "factor", "cov_diag": "positive vector"},
    ),
    ("Laplace", {"loc": "real", "scale": "positive"}),
    ("Exponential", {"rate": "positive"}),
    ("LogNormal", {"loc": "real", "scale": "positive"}),
    ("HalfNormal", {"scale": "positive"}),
    ("HalfCauchy", {"scale": "positive"}),
    ("Cauchy", {"loc": "real", "scale": "positive"}),
    ("Gumbel", {"loc": "real", "scale": "positive"}),
    ("Geometric", {"probs": "unit"}),
    ("Binomial", {"total_count": "whole", "logits": "real"}),
    ("Binomial", {"total_count": "whole", "probs": "unit"}),
    ("Multinomial", {"probs": "simplex"}),
    ("Poisson", {"rate": "positive"}),
    ("NegativeBinomial", {"total_count": "positive", "logits": "real"}),
    ("Gamma", {"concentration": "positive", "rate": "positive"}),
    ("Beta", {"concentration1": "positive", "concentration0": "positive"}),
    ("Dirichlet", {"concentration": "positive vector"}),
    ("Chi2", {"df": "positive"}),
    ("StudentT", {"df": "large", "loc": "real", "scale": "positive"}),
    ("FisherSnedecor", {"df1": "positive", "df2": "large"}),
    ("InverseGamma", {"concentration": "large", "rate": "positive"}),
    ("Pareto", {"scale": "positive", "alpha": "large"}),
    ("Weibull", {"scale": "positive", "concentration": "positive"}),
    ("Kumaraswamy", {"concentration1": "positive", "concentration0": "positive"}),
    ("VonMises", {"loc": "real", "concentration": "positive"}),
    ("RelaxedBernoulli", {"temperature": "scalar", "logits": "real"}),
    ("RelaxedOneHotCategorical", {"temperature": "scalar", "logits": "vector"}),
    ("LogisticNormal", {"loc": "vector", "scale": "positive vector"}),
    ("ContinuousBernoulli", {"probs": "unit"}),
    ("Wishart", {"df": "large", "covariance_matrix": "covariance"}),
    ("LKJCholesky", {"concentration": "positive"}),
    ("GeneralizedPareto", {"loc": "real", "scale": "positive", "concentration": "low"}),
]
EXTRA: dict[str, dict[str, int]] = {"Multinomial": {"total_count": 4}, "LKJCholesky": {"dim": 3}}
IDS = [f"{name}-{'-'.join(given)}" for name, given in FAMILIES]


# PyTorch's compares a concentration with a float32 zero.
SINGLE = {"GeneralizedPareto"}


def both(value: Any, requires_grad: bool = False, dtype: Any = np.float64) -> tuple[Any, Any]:
    """An array as a tensor here and there."""
    array = np.array(value, dtype)
    mine = torch.tensor(array).requires_grad_(requires_grad)
    return mine, pytorch.tensor(array).requires_grad_(requires_grad)


def made(name: str, given: dict[str, str], batch: tuple[int, ...], seed: int = 0) -> Any:
    """A distribution and its parameters, here and there."""
    rng = np.random.default_rng(seed)
    dtype = np.float32 if name in SINGLE else np.float64
    pairs = {key: both(KINDS[kind](rng, batch), True, dtype) for key, kind in given.items()}
    extra = EXTRA.get(name, {})
    mine = getattr(torch.distributions, name)(**extra, **{k: p[0] for k, p in pairs.items()})
    its = getattr(pytorch.distributions, name)(**extra, **{k: p[1] for k, p in pairs.items()})
    return mine, its, pairs


def outcome(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except NotImplementedError:
        return NotImplementedError


def assert_same(mine: Any, its: Any, what: str, tolerance: float = 1e-6) -> None:
    if its is NotImplementedError:
        assert mine is NotImplementedError, what
        return
    assert mine is not NotImplementedError, what
    assert tuple(mine.shape) == tuple(its.shape), what
    assert str(mine.dtype) == str(its.dtype), what
    np.testing.assert_allclose(
        mine.detach().numpy(), its.detach().numpy(), tolerance, tolerance, err_msg=what
    )


def gradients(value: Any, parameters: list[Any], library: Any) -> list[Any]:
    found = library.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
    return [
        library.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)
    ]


# Without a batch, one of each kind.
ALONE = ("Normal", "Categorical", "Gamma", "MultivariateNormal", "LogisticNormal")
CASES = [(*case, (2, 3)) for case in FAMILIES]
CASES += [(*case, ()) for case in FAMILIES if case[0] in ALONE]


@pytest.mark.parametrize(
    ("name", "given", "batch"), CASES, ids=[f"{c[0]}-{'-'.join(c[1])}-{len(c[2])}" for c in CASES]
)
def test_family(name: str, given: dict[str, str], batch: tuple[int, ...]) -> None:
    mine, its, pairs = made(name, given, batch)
    pytorch.manual_seed(1)
    dtype, tolerance = (np.float32, 1e-5) if name in SINGLE else (np.float64, 1e-6)
    value, its_value = both(its.sample((4,)).numpy(), False, dtype)
    if name == "Categorical":
        value, its_value = value.long(), its_value.long()
    assert mine.batch_shape == tuple(its.batch_shape)
    assert mine.event_shape == tuple(its.event_shape)
    assert mine.has_rsample == its.has_rsample
    assert mine.has_enumerate_support == its.has_enumerate_support
    assert repr(mine.support).split("(")[0] == repr(its.support).split("(")[0]
    drawn = mine.sample((4,))
    assert drawn.shape == tuple(its_value.shape)
    assert mine.support.check(drawn).all()
    chance, its_chance = both(np.full((4, *batch), 0.3), False, dtype)
    computed = {
        "mean": lambda d, v, u: d.mean, "mode": lambda d, v, u: d.mode,
        "variance": lambda d, v, u: d.variance, "stddev": lambda d, v, u: d.stddev,
        "entropy": lambda d, v, u: d.entropy(), "log_prob": lambda d, v, u: d.log_prob(v),
        "cdf": lambda d, v, u: d.cdf(v), "icdf": lambda d, v, u: d.icdf(u),
        "support": lambda d, v, u: d.enumerate_support(),
        "expanded": lambda d, v, u: d.expand((5, *batch)).log_prob(v[:1, None]),
    }  # fmt: skip
    results, expected = {}, {}
    for what, compute in computed.items():
        results[what] = outcome(lambda compute=compute: compute(mine, value, chance))
        expected[what] = outcome(lambda compute=compute: compute(its, its_value, its_chance))
    torch.realize(*[r for r in results.values() if r is not NotImplementedError])
    for what in computed:
        assert_same(results[what], expected[what], what, tolerance)
    summed = [w for w in ("entropy", "log_prob") if expected[w] is not NotImplementedError]
    total, its_total = (sum(r[w].sum() for w in summed) for r in (results, expected))
    ours, theirs = [p[0] for p in pairs.values()], [p[1] for p in pairs.values()]
    for key, a, b in zip(
        pairs, gradients(total, ours, torch), gradients(its_total, theirs, pytorch), strict=True
    ):
        assert_same(a, b, f"gradient to {key}", 10 * tolerance)


UNIVARIATE = [
    ("Bernoulli", {"probs": "unit"}),
    ("Beta", {"concentration1": "large", "concentration0": "large"}),
    ("ContinuousBernoulli", {"probs": "unit"}), ("Exponential", {"rate": "positive"}),
    ("Gamma", {"concentration": "positive", "rate": "positive"}),
    ("Gumbel", {"loc": "real", "scale": "positive"}),
    ("Laplace", {"loc": "real", "scale": "positive"}),
    ("Normal", {"loc": "real", "scale": "positive"}),
    ("Pareto", {"scale": "positive", "alpha": "large"}), ("Poisson", {"rate": "positive"}),
    ("Uniform", {"low": "low", "high": "high"}),
    ("Binomial", {"total_count": "whole", "probs": "unit"}),
    ("Cauchy", {"loc": "real", "scale": "positive"}),
    ("Geometric", {"probs": "unit"}), ("HalfNormal", {"scale": "positive"}),
    ("Chi2", {"df": "positive"}), ("LogNormal", {"loc": "real", "scale": "positive"}),
]  # fmt: skip
VECTORS = [
    ("Categorical", {"logits": "vector"}), ("OneHotCategorical", {"probs": "simplex"}),
    ("Dirichlet", {"concentration": "positive vector"}),
    ("MultivariateNormal", {"loc": "vector", "covariance_matrix": "covariance"}),
    ("LowRankMultivariateNormal",
     {"loc": "vector", "cov_factor": "factor", "cov_diag": "positive vector"}),
]  # fmt: skip


@pytest.mark.parametrize("group", [UNIVARIATE, VECTORS], ids=["numbers", "vectors"])
def test_divergences(group: list[Any]) -> None:
    ours = [made(name, given, (2,), 3) for name, given in group]
    theirs = [made(name, given, (2,), 4) for name, given in group]
    names, results, expected = [], [], []
    for (p, its_p, _), (q, its_q, _) in itertools.product(ours, theirs):
        name = f"{type(p).__name__}, {type(q).__name__}"
        other = outcome(lambda a=its_p, b=its_q: pytorch.distributions.kl_divergence(a, b))
        result = outcome(lambda a=p, b=q: torch.distributions.kl_divergence(a, b))
        if other is NotImplementedError:
            assert result is NotImplementedError, name
            continue
        names.append(name)
        results.append(result)
        expected.append(other)
    for name, a, b in zip(names, torch.stack(results).detach(), expected, strict=True):
        assert_same(a, b, name)
    finite = [i for i, x in enumerate(expected) if pytorch.isfinite(x).all()]
    pairs = [x for case in (*ours, *theirs) for x in case[2].values()]
    slopes = gradients(sum(results[i].sum() for i in finite), [x[0] for x in pairs], torch)
    its_slopes = gradients(sum(expected[i].sum() for i in finite), [x[1] for x in pairs], pytorch)
    torch.realize(*slopes)
    for a, b in zip(slopes, its_slopes, strict=True):
        assert_same(a, b, "gradient", 1e-5)


def test_wrappers() -> None:
    """Independent and MixtureSameFamily, of numbers and of vectors, and their expansions."""

    rng = np.random.default_rng(0)
    (loc, its_loc), (scale, its_scale) = (
        both(rng.normal(size=(2, 3))),
        both(rng.uniform(1, 2, (2, 3))),
    )
    logits, its_logits = both(rng.normal(size=(2, 3)))
    vector_logits, its_vector_logits = both(rng.normal(size=(1, 2)))
    for mine, its in zip(
        build_all(torch.distributions, loc, scale, logits, vector_logits[0]),
        build_all(pytorch.distributions, its_loc, its_scale, its_logits, its_vector_logits[0]),
        strict=True,
    ):
        assert mine.batch_shape == tuple(its.batch_shape)
        assert mine.event_shape == tuple(its.event_shape)
        assert repr(mine) == repr(its)
        pytorch.manual_seed(0)
        value, its_value = both(its.sample((4,)).numpy())
        assert mine.sample((4,)).shape == value.shape
        assert_same(mine.log_prob(value), its.log_prob(its_value), repr(its))
        assert_same(mine.mean, its.mean, repr(its))
        assert_same(mine.variance, its.variance, repr(its))


def build_all(d: Any, loc: Any, scale: Any, logits: Any, vector_logits: Any) -> list[Any]:
    normal = d.Normal(loc, scale)
    independent = d.Independent(normal, 1)
    mixture = d.MixtureSameFamily(d.Categorical(logits=logits), normal)
    vectors = d.MixtureSameFamily(d.Categorical(logits=vector_logits), independent)
    expanded = [independent.expand((5, 2)), mixture.expand((5, 2)), vectors.expand((5,))]
    return [independent, mixture, vectors, *expanded]


def transforms_of(d: Any, two: Any) -> list[Any]:
    t = d.transforms
    return [
        t.ExpTransform(), t.PowerTransform(two), t.SigmoidTransform(), t.SoftplusTransform(),
        t.TanhTransform(), t.AffineTransform(1.0, -2.0), t.AffineTransform(two, two, event_dim=1),
        t.AbsTransform(), t.SoftmaxTransform(), t.StickBreakingTransform(),
        t.CorrCholeskyTransform(), t.ReshapeTransform((6,), (2, 3)), t.ExpTransform().inv,
        t.ComposeTransform([t.AffineTransform(0.5, 2.0), t.TanhTransform()]),
        t.IndependentTransform(t.ExpTransform(), 1),
        t.CatTransform([t.ExpTransform(), t.AffineTransform(0.0, 3.0)], -1, [2, 4]),
        t.StackTransform([t.ExpTransform()] * 3 + [t.TanhTransform()] * 3, -1),
        t.CumulativeDistributionTransform(d.Normal(two, two)),
        t.ComposeTransform([t.ReshapeTransform((6,), (3, 2)), t.ExpTransform()]),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(19))
def test_transform(number: int) -> None:
    two, its_two = both(2.0)
    mine = transforms_of(torch.distributions, two)[number]
    its = transforms_of(pytorch.distributions, its_two)[number]
    array = np.random.default_rng(number).uniform(0.1, 1.5, (4, 6))
    x, its_x = both(array)
    y, its_y = mine(x), its(its_x)
    assert_same(y, its_y, "forward")
    assert_same(mine.inv(y), its.inv(its_y), "inverse")
    assert mine.forward_shape(x.shape) == tuple(its.forward_shape(its_x.shape))
    assert mine.inverse_shape(y.shape) == tuple(its.inverse_shape(its_y.shape))
    assert mine.bijective == its.bijective
    slope = outcome(lambda: mine.log_abs_det_jacobian(x, y))
    assert_same(slope, outcome(lambda: its.log_abs_det_jacobian(its_x, its_y)), "slope")
    for region in ("domain", "codomain"):
        ours, theirs = getattr(mine, region), getattr(its, region)
        assert type(ours).__name__ == type(theirs).__name__
        assert ours.event_dim == theirs.event_dim
    assert mine.codomain.check(y).all()


def test_transforms_keep_what_they_computed() -> None:
    cached = torch.distributions.transforms.TanhTransform(cache_size=1)
    x = torch.tensor([50.0])
    y = cached(x)
    assert cached.inv(y) is x
    assert cached(x) is y
    assert cached.inv.inv is cached


@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
def test_registry(registry: str) -> None:
    def regions(c: Any) -> list[Any]:
        return [
            c.real, c.positive, c.nonnegative, c.greater_than(2.0), c.less_than(1.0),
            c.unit_interval, c.interval(-1.0, 3.0), c.simplex, c.corr_cholesky, c.lower_cholesky,
            c.positive_definite, c.independent(c.positive, 1), c.stack([c.real, c.positive], -2),
            c.cat([c.real, c.positive], -1, [1, 2]),
        ]  # fmt: skip

    x, its_x = both(np.random.default_rng(0).normal(size=(2, 3, 3))[:, :2])
    square, its_square = both(np.random.default_rng(0).normal(size=(2, 3, 3)))
    for mine, its in zip(
        regions(torch.distributions.constraints),
        regions(pytorch.distributions.constraints),
        strict=True,
    ):
        ours = outcome(lambda mine=mine: getattr(torch.distributions, registry)(mine))
        theirs = outcome(lambda its=its: getattr(pytorch.distributions, registry)(its))
        assert repr(mine) == repr(its)
        if theirs is NotImplementedError:
            assert ours is NotImplementedError
            continue
        a, b = (square, its_square) if "ower" in repr(its) or "Defin" in repr(its) else (x, its_x)
        assert_same(ours(a), theirs(b), repr(its))
        assert mine.check(ours(a)).all()


WRONG: list[Callable[[Any, Any], Any]] = [
    lambda t, d: d.Normal(t.tensor([0.0, 1.0]), t.tensor([1.0, -1.0])),
    lambda t, d: d.Normal(t.tensor([0.0, float("nan")]), 1.0),
    lambda t, d: d.Categorical(t.tensor([-0.5, 0.5])),
    lambda t, d: d.Categorical(t.tensor(0.5)),
    lambda t, d: d.Categorical(t.ones(2), t.ones(2)),
    lambda t, d: d.Bernoulli(1.5),
    lambda t, d: d.Uniform(1.0, 0.0),
    lambda t, d: d.Geometric(t.tensor([0.0, 0.5])),
    lambda t, d: d.LogNormal(0.0, -1.0),
    lambda t, d: d.Beta(-1.0, 1.0),
    lambda t, d: d.MultivariateNormal(t.zeros(2), -t.eye(2)),
    lambda t, d: d.MultivariateNormal(t.zeros(2)),
    lambda t, d: d.Normal(0.0, 1.0).log_prob(t.tensor(float("nan"))),
    lambda t, d: d.Normal(t.zeros(3), 1.0).log_prob(t.zeros(2)),
    lambda t, d: d.Bernoulli(0.5).log_prob(t.tensor(0.5)),
    lambda t, d: d.Dirichlet(t.ones(3)).log_prob(t.ones(3)),
    lambda t, d: d.Dirichlet(t.ones(3)).log_prob(t.ones(2)),
    lambda t, d: d.Normal("0", 1.0),
    lambda t, d: d.Independent(d.Normal(0.0, 1.0), 1),
    lambda t, d: d.kl_divergence(d.Normal(0.0, 1.0), d.Poisson(1.0)),
    lambda t, d: d.transforms.ExpTransform(cache_size=2),
    lambda t, d: d.Normal(0.0, 1.0).enumerate_support(),
    lambda t, d: d.Laplace(0.0, 1.0).expand((2,)).perplexity().log().item() and None,
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_errors(number: int) -> None:
    def attempt(library: Any) -> Any:
        try:
            WRONG[number](library, library.distributions)
        except Exception as error:
            return type(error).__name__, re.sub(", device='[^']*'", "", str(error))
        return None

    assert attempt(torch) == attempt(pytorch)


# Each family once; those without moments below.
MOMENTS = {c[0]: c for c in FAMILIES if c[0] not in ("Cauchy", "HalfCauchy", "VonMises")}


@pytest.mark.parametrize(("name", "given"), MOMENTS.values(), ids=MOMENTS)
def test_draws_have_the_moments(name: str, given: dict[str, str]) -> None:
    torch.manual_seed(0)
    mine, its, _ = made(name, given, (2,), 5)
    drawn = mine.sample((4000,)).numpy()
    mean, variance = (outcome(lambda n=n: getattr(its, n)) for n in ("mean", "variance"))
    if mean is NotImplementedError or name == "Categorical":
        mean, variance = (f(its.sample((4000,)).double(), 0) for f in (pytorch.mean, pytorch.var))
    mean, spread = mean.detach().numpy(), np.sqrt(variance.detach().numpy())
    np.testing.assert_allclose(drawn.mean(0), mean, 0, 6 * spread.max() / 60)
    np.testing.assert_allclose(drawn.std(0), spread, 0.3, 0.02)


def test_angles_and_cauchy_numbers_have_the_distribution() -> None:
    torch.manual_seed(0)
    angles = torch.distributions.VonMises(torch.tensor(1.0), torch.tensor(3.0)).sample((4000,))
    np.testing.assert_allclose((angles - 1).cos().mean().item(), 0.80999, atol=0.02)  # I1 / I0
    for d in (torch.distributions.Cauchy(1.0, 2.0), torch.distributions.HalfCauchy(2.0)):
        below = d.cdf(d.sample((4000,)))
        np.testing.assert_allclose(
            [below.mean().item(), below.std().item()], [0.5, 12**-0.5], atol=0.02
        )


def test_gamma_draws_differentiate_as_quantiles() -> None:
    """Against PyTorch's, which are right to 1e-3 themselves, and against differences."""
    rng = np.random.default_rng(0)
    shape = np.exp(rng.uniform(np.log(0.01), np.log(1e4), 500))
    drawn = np.maximum(rng.gamma(shape), 1e-300)
    (a, its_a), (x, its_x) = both(shape), both(drawn)
    slope = torch._standard_gamma_grad(a, x)
    assert_same(slope, pytorch._standard_gamma_grad(its_a, its_x), "gamma", 1e-3)
    # with the derivative of a quantile, from differences
    shape, chance = np.array([0.3, 1.0, 4.0, 30.0, 900.0]), np.array([0.4, 0.9, 0.2, 0.7, 0.5])
    step = 1e-4 * shape
    ends = [gammaincinv(shape + k * step, chance) for k in (-2, -1, 1, 2)]
    expected = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step)
    (a, _), (x, _) = both(shape), both(gammaincinv(shape, chance))
    np.testing.assert_allclose(torch._standard_gamma_grad(a, x).numpy(), expected, 1e-7)


def test_reparameterized_draws_carry_gradients() -> None:
    """The gradient of the mean of draws is that of the mean."""
    torch.manual_seed(0)
    a = torch.tensor([0.5, 2.0, 8.0], requires_grad=True)
    for d, expected in (
        (torch.distributions.Gamma(a, 2.0), [0.5, 0.5, 0.5]),
        (torch.distributions.Beta(a, 1.0), [1 / 2.25, 1 / 9, 1 / 81]),
    ):
        (slope,) = torch.autograd.grad(d.rsample((8000,)).mean(0).sum(), a)
        np.testing.assert_allclose(slope.numpy(), expected, 0.15)


def test_reinforce_compiles_nothing_from_the_third_step_on() -> None:
    torch.manual_seed(0)
    policy = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
    stats = torch.stats()
    counts = []
    for _ in range(6):
        chosen = torch.distributions.Categorical(logits=policy(torch.randn(8, 4)))
        action = chosen.sample()
        loss = -(chosen.log_prob(action) * (action == 1)).mean() - 0.01 * chosen.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        counts.append(stats.plans_lowered + stats.plans_loaded)
    assert counts[2:] == [counts[2]] * 4


REGIONS = {
    "boolean": lambda c: c.boolean,
    "real": lambda c: c.real,
    "positive": lambda c: c.positive,
    "nonnegative": lambda c: c.nonnegative,
    "less_than": lambda c: c.less_than(1.0),
    "unit_interval": lambda c: c.unit_interval,
    "half_open_interval": lambda c: c.half_open_interval(0, 2),
    "integer_interval": lambda c: c.integer_interval(0, 2),
    "nonnegative_integer": lambda c: c.nonnegative_integer,
    "one_hot": lambda c: c.one_hot,
    "simplex": lambda c: c.simplex,
    "multinomial": lambda c: c.multinomial(2),
    "real_vector": lambda c: c.real_vector,
}  # fmt: skip
VALUES: tuple[Any, ...] = (
    [0.0, 1.0], [0.5, 0.5], [1.0, 1.0], [2.0, 0.0], [-1.0, 2.0], [0.0, float("nan")],
    [float("inf"), 0.0], [0.25, 0.7499995], [0.25, 0.74999], [0, 1], [2, -1], [False, True],
    [[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 1.5]], [],
)  # fmt: skip


@pytest.mark.parametrize("name", REGIONS)
@pytest.mark.parametrize("dtype", [None, "float16", "float64"])
def test_a_check_in_one_call_answers_as_the_region(name: str, dtype: str | None) -> None:
    theirs = REGIONS[name](pytorch.distributions.constraints)
    region = REGIONS[name](torch.distributions.constraints)
    for value in VALUES:
        kinds = [None if dtype is None else getattr(t, dtype) for t in (torch, pytorch)]
        ours = torch.tensor(value, dtype=kinds[0])
        answer = are_valid([(region, ours), (torch.distributions.constraints.real, ours)])
        given = pytorch.tensor(value, dtype=kinds[1])
        assert answer is bool(theirs.check(given).all() & (given == given).all()), value


def test_whose_operations_somebody_sees_is_not_checked_in_one_call() -> None:
    class Seeing(torch.Tensor):
        pass

    real, x = torch.distributions.constraints.real, torch.ones(2)
    below = torch.distributions.constraints.less_than
    assert are_valid([(real, x.as_subclass(Seeing))]) is None
    assert are_valid([(below(x.as_subclass(Seeing)), x)]) is None
    assert are_valid([(real, 1.0)]) is None
    with torch.overrides.TorchFunctionMode():
        assert are_valid([(real, x)]) is None
    assert are_valid([(real, x), (below(x * 2), x)]) is True  # also once there are overrides


def test_a_log_probability_in_one_call_is_that_of_the_steps() -> None:
    """Its history is PyTorch's: the category, which is saved, must not be written over."""
    logits = np.array([[0.5, -1.0, 2.0], [0.1, 0.2, 0.3]])
    found = []
    for library in (torch, pytorch):
        given = library.tensor(logits, requires_grad=True)
        category = library.tensor([2, 0])
        chosen = library.distributions.Categorical(logits=given).log_prob(category)
        name = type(chosen.grad_fn).__name__
        chosen.sum().backward(retain_graph=True)
        category.add_(0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation") as raised:
            chosen.sum().backward()
        found.append((name, given.grad.numpy(), str(raised.value)))
    (name, gradient, text), (expected_name, expected, expected_text) = found
    assert (name, text) == (expected_name, expected_text)
    np.testing.assert_allclose(gradient, expected, 1e-12)


def test_one_realize_checks_a_distribution() -> None:
    stats = torch.stats()
    loc, scale, rate = torch.zeros(3), torch.ones(3), torch.ones(3)
    torch.realize(loc, scale, rate)
    for build in (
        lambda: torch.distributions.Normal(loc, scale),
        lambda: torch.distributions.LogNormal(loc, scale),
        lambda: torch.distributions.StudentT(scale, loc, scale),
        lambda: torch.distributions.Beta(rate, rate),
        lambda: torch.distributions.MultivariateNormal(loc, torch.eye(3)),
    ):
        before = stats.plans_run
        build()
        assert stats.plans_run == before + 1
