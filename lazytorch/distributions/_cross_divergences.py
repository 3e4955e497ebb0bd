"""Divergences of two families: -H(p) - E[log q(x)], by the means over p that log q is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import inf
from typing import Any

from lazytorch.distributions.bernoulli import Bernoulli
from lazytorch.distributions.beta import Beta
from lazytorch.distributions.binomial import Binomial
from lazytorch.distributions.continuous_bernoulli import ContinuousBernoulli
from lazytorch.distributions.exponential import Exponential
from lazytorch.distributions.gamma import Gamma
from lazytorch.distributions.gumbel import Gumbel
from lazytorch.distributions.kl import register_kl
from lazytorch.distributions.laplace import Laplace
from lazytorch.distributions.normal import Normal
from lazytorch.distributions.pareto import Pareto
from lazytorch.distributions.poisson import Poisson
from lazytorch.distributions.uniform import Uniform
from lazytorch.distributions.utils import euler_constant
from lazytorch.functions.creation import full_like
from lazytorch.functions.masks import where
from lazytorch.functions.pointwise import xlogy

# ---- means over p --------------------------------------------------------------------------------


def _x_log_x(x: Any) -> Any:
    return xlogy(x, x)


def _log_between(low: Any, high: Any) -> Any:
    """E[log x] of uniform numbers."""
    return (_x_log_x(high) - _x_log_x(low)) / (high - low) - 1


_LOG: dict[type, Callable[[Any], Any]] = {
    Beta: lambda p: p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma(),
    Exponential: lambda p: -euler_constant - p.rate.log(),
    Gamma: lambda p: p.concentration.digamma() - p.rate.log(),
    Pareto: lambda p: p.scale.log() + p.alpha.reciprocal(),
    Uniform: lambda p: _log_between(p.low, p.high),
}  # E[log x]
_DECAYED: dict[type, Callable[[Any, Any], Any]] = {
    Exponential: lambda p, t: p.rate / (p.rate + t),
    Gamma: lambda p, t: (1 + t / p.rate).pow(-p.concentration),
    Normal: lambda p, t: (0.5 * (t * p.scale).square() - t * p.loc).exp(),
    Uniform: lambda p, t: ((-t * p.low).exp() - (-t * p.high).exp()) / (t * (p.high - p.low)),
}  # E[exp(-t x)]


def _of_family(table: dict[type, Any], p: Any) -> Any:
    """The entry of the nearest class."""
    return next(table[kind] for kind in type(p).__mro__ if kind in table)


def _mean_log(p: Any) -> Any:
    return _of_family(_LOG, p)(p)


def _mean_decay(p: Any, t: Any) -> Any:
    return _of_family(_DECAYED, p)(p, t)


# ---- E[log q(x)] ---------------------------------------------------------------------------------


def _of_beta(p: Any, q: Any) -> Any:
    a, b = q.concentration1, q.concentration0
    logs = (a - 1) * _mean_log(p) + (b - 1) * _log_between(1 - p.high, 1 - p.low)
    return logs - a.lgamma() - b.lgamma() + (a + b).lgamma()


def _of_continuous_bernoulli(p: Any, q: Any) -> Any:
    return p.mean * q.logits + (-q.probs).log1p() + q._cont_bern_log_norm()


def _of_exponential(p: Any, q: Any) -> Any:
    return q.rate.log() - q.rate * p.mean


def _of_gamma(p: Any, q: Any) -> Any:
    a = q.concentration
    return a * q.rate.log() - a.lgamma() + (a - 1) * _mean_log(p) - q.rate * p.mean


def _of_gumbel(p: Any, q: Any) -> Any:
    t = 1 / q.scale
    return t * (q.loc - p.mean) - q.scale.log() - (t * q.loc).exp() * _mean_decay(p, t)


def _of_laplace(p: Any, q: Any) -> Any:
    away = p.loc - q.loc
    z = away / p.scale
    spread = math.sqrt(2 / math.pi) * p.scale * (-0.5 * z.square()).exp()
    distance = spread + away * (math.sqrt(0.5) * z).erf()  # E[|x - loc|] of normal numbers
    return -(2 * q.scale).log() - distance / q.scale


def _of_normal(p: Any, q: Any) -> Any:
    distance = p.variance + (p.mean - q.loc).square()
    return -0.5 * math.log(2 * math.pi) - q.scale.log() - 0.5 * distance / q.scale.square()


def _of_pareto(p: Any, q: Any) -> Any:
    return q.alpha.log() + q.alpha * q.scale.log() - (q.alpha + 1) * _mean_log(p)


def _of_poisson(p: Any, q: Any) -> Any:
    return p.mean * q.rate.log() - q.rate  # of numbers 0 and 1, whose factorials are 1


def _of_uniform(p: Any, q: Any) -> Any:
    return -(q.high - q.low).log()


_EXPECTED: dict[type, Callable[[Any, Any], Any]] = {
    Beta: _of_beta, ContinuousBernoulli: _of_continuous_bernoulli, Exponential: _of_exponential,
    Gamma: _of_gamma, Gumbel: _of_gumbel, Laplace: _of_laplace, Normal: _of_normal,
    Pareto: _of_pareto, Poisson: _of_poisson, Uniform: _of_uniform,
}  # fmt: skip

# ---- the pairs -----------------------------------------------------------------------------------

# Families of p, those of q that they have a finite divergence from, and where it is infinite.
Infinite = Callable[[Any, Any], Any]
_PAIRS: dict[tuple[type, type], Infinite | None] = {
    (Bernoulli, Poisson): None,
    (Beta, ContinuousBernoulli): None,
    (Beta, Exponential): None,
    (Beta, Gamma): None,
    (Beta, Normal): None,
    (Beta, Uniform): lambda p, q: (q.low > 0) | (q.high < 1),
    (ContinuousBernoulli, Exponential): None,
    (ContinuousBernoulli, Normal): None,
    (ContinuousBernoulli, Uniform): lambda p, q: (q.low >= 0) | (q.high <= 1),
    (Exponential, Gamma): None,
    (Exponential, Gumbel): None,
    (Exponential, Normal): None,
    (Gamma, Exponential): None,
    (Gamma, Gumbel): None,
    (Gamma, Normal): None,
    (Gumbel, Normal): None,
    (Laplace, Normal): None,
    (Normal, Gumbel): None,
    (Normal, Laplace): None,
    (Pareto, Exponential): lambda p, q: p.alpha <= 1,
    (Pareto, Gamma): lambda p, q: p.alpha <= 1,
    (Pareto, Normal): lambda p, q: p.alpha <= 2,
    (Uniform, Beta): lambda p, q: (p.high > 1) | (p.low < 0),
    (Uniform, ContinuousBernoulli): lambda p, q: (p.high >= 1) | (p.low <= 0),
    (Uniform, Exponential): lambda p, q: p.low < 0,
    (Uniform, Gamma): lambda p, q: p.low < 0,
    (Uniform, Gumbel): None,
    (Uniform, Normal): None,
    (Uniform, Pareto): lambda p, q: p.low < q.scale,
}
# Pairs of which p has values that q has not.
_INFINITE: dict[type, tuple[type, ...]] = {
    Beta: (Pareto,),
    ContinuousBernoulli: (Pareto,),
    Exponential: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gamma: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gumbel: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Laplace: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Normal: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Pareto: (Beta, ContinuousBernoulli, Uniform),
    Poisson: (Bernoulli, Binomial),
}


def _enter(kind_p: type, kind_q: type, infinite: Infinite | None) -> None:
    expected = _EXPECTED[kind_q]

    def divergence(p: Any, q: Any) -> Any:
        value = -p.entropy() - expected(p, q)
        return value if infinite is None else where(infinite(p, q), inf, value)

    register_kl(kind_p, kind_q)(divergence)


for (_p, _q), _where in _PAIRS.items():
    _enter(_p, _q, _where)
for _p, _others in _INFINITE.items():
    for _q in _others:
        register_kl(_p, _q)(lambda p, q: full_like(p.mean, inf))
