"""Kullback and Leibler's divergence of two distributions: a registry by their classes, and the
pairs of one family. Those of two families are in ``_cross_divergences``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import inf
from typing import Any

from lazytorch.autograd.backward import grad
from lazytorch.distributions.bernoulli import Bernoulli
from lazytorch.distributions.beta import Beta
from lazytorch.distributions.binomial import Binomial
from lazytorch.distributions.categorical import Categorical
from lazytorch.distributions.cauchy import Cauchy
from lazytorch.distributions.continuous_bernoulli import ContinuousBernoulli
from lazytorch.distributions.dirichlet import Dirichlet
from lazytorch.distributions.distribution import Distribution
from lazytorch.distributions.exp_family import ExponentialFamily
from lazytorch.distributions.exponential import Exponential
from lazytorch.distributions.gamma import Gamma
from lazytorch.distributions.geometric import Geometric
from lazytorch.distributions.gumbel import Gumbel
from lazytorch.distributions.half_normal import HalfNormal
from lazytorch.distributions.independent import Independent
from lazytorch.distributions.laplace import Laplace
from lazytorch.distributions.lowrank_multivariate_normal import (
    LowRankMultivariateNormal,
    _batch_lowrank_logdet,
)
from lazytorch.distributions.multivariate_normal import (
    MultivariateNormal,
    _batch_mahalanobis,
    half_log_det,
)
from lazytorch.distributions.normal import Normal
from lazytorch.distributions.one_hot_categorical import OneHotCategorical
from lazytorch.distributions.pareto import Pareto
from lazytorch.distributions.poisson import Poisson
from lazytorch.distributions.transformed_distribution import TransformedDistribution
from lazytorch.distributions.uniform import Uniform
from lazytorch.distributions.utils import _sum_rightmost, euler_constant
from lazytorch.functions.activations import softplus
from lazytorch.functions.creation import diag_embed
from lazytorch.functions.masks import where
from lazytorch.functions.promotion import broadcast_shapes
from lazytorch.functions.solving import solve_triangular

__all__ = ["kl_divergence", "register_kl"]

Divergence = Callable[[Any, Any], Any]
_KL_REGISTRY: dict[tuple[type, type], Divergence] = {}
_KL_MEMOIZE: dict[tuple[type, type], Any] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Divergence], Divergence]:
    """A decorator that enters a function of (p, q) for two classes and their subclasses.

    The most specific pair is taken; where two are equally so, there is a warning.
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type) or not issubclass(kind, Distribution):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def enter(function: Divergence) -> Divergence:
        _KL_REGISTRY[type_p, type_q] = function
        _KL_MEMOIZE.clear()
        return function

    return enter


def _dispatch_kl(type_p: type, type_q: type) -> Any:
    """The most specific entry: nearest by the first class, and the same by the second."""
    found = [(p, q) for p, q in _KL_REGISTRY if issubclass(type_p, p) and issubclass(type_q, q)]
    if not found:
        return NotImplemented

    def distance(pair: tuple[type, type]) -> tuple[int, int]:
        return type_p.__mro__.index(pair[0]), type_q.__mro__.index(pair[1])

    first = min(found, key=distance)
    second = min(found, key=lambda pair: distance(pair)[::-1])
    if _KL_REGISTRY[first] is not _KL_REGISTRY[second]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). "
            f"Please register_kl({first[0].__name__}, {second[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _KL_REGISTRY[first]


def kl_divergence(p: Any, q: Any) -> Any:
    """The mean of log(p(x) / q(x)) over samples x of p, of batch_shape.

    >>> from lazytorch.distributions import Bernoulli, kl_divergence
    >>> kl_divergence(Bernoulli(torch.tensor([0.5, 0.9])), Bernoulli(torch.tensor(0.5)))
    tensor([0.0000, 0.3681])
    """
    key = type(p), type(q)
    if key not in _KL_MEMOIZE:
        _KL_MEMOIZE[key] = _dispatch_kl(*key)
    function = _KL_MEMOIZE[key]
    if function is NotImplemented:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {p.__class__.__name__} and q type "
            f"{q.__class__.__name__}"
        )
    return function(p, q)


def _binary_term(chance: Any, other: Any, logits: Any) -> Any:
    """p log(p / q) of one outcome; ``logits`` are the difference of the logarithms."""
    term = where(other == 0, inf, chance * logits)
    return where(chance == 0, 0.0, term)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Any:
    one = _binary_term(p.probs, q.probs, softplus(-q.logits) - softplus(-p.logits))
    zero = _binary_term(1 - p.probs, 1 - q.probs, softplus(q.logits) - softplus(p.logits))
    return one + zero


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Any:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Any:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    each = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return where(p.total_count > q.total_count, inf, p.total_count * each)


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Any:
    return _binary_term(p.probs, q.probs, p.logits - q.logits).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot_categorical(p: Any, q: Any) -> Any:
    return _categorical(p._categorical, q._categorical)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: Any, q: Any) -> Any:
    norms = p._cont_bern_log_norm() - q._cont_bern_log_norm()
    return p.mean * (p.logits - q.logits) + norms + (-p.probs).log1p() - (-q.probs).log1p()


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Any:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    means = a.digamma() - total.digamma().unsqueeze(-1)
    norms = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return norms + ((a - b) * means).sum(-1)


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Any:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: Any, q: Any) -> Any:
    """Bregman's divergence of the log normalizer."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot "
            "                            be computed using Bregman divergences"
        )
    ours = [x.detach().requires_grad_() for x in p._natural_params]
    theirs = q._natural_params
    normalizer = p._log_normalizer(*ours)
    slopes = grad(normalizer.sum(), ours, create_graph=True)
    result = q._log_normalizer(*theirs) - normalizer
    for mine, its, slope in zip(ours, theirs, slopes, strict=True):
        result = result - _sum_rightmost((its - mine) * slope, len(q.event_shape))
    return result


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Any:
    a, b = p.concentration, q.concentration
    shapes = b.lgamma() - a.lgamma() + (a - b) * a.digamma()
    return b * (p.rate / q.rate).log() + shapes + (q.rate - p.rate) * (a / p.rate)


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Any, q: Any) -> Any:
    ratio, shift = p.scale / q.scale, (p.loc - q.loc) / q.scale
    tail = (-shift + (1 + ratio).lgamma()).exp()
    return -ratio.log() + shift + ratio * euler_constant + tail - (1 + euler_constant)


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Any:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Any:
    ratio = (p.scale / q.scale).square()
    shift = ((p.loc - q.loc) / q.scale).square()
    return 0.5 * (ratio + shift - 1 - ratio.log())


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: Any, q: Any) -> Any:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Any:
    ratio, away = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + away / q.scale + ratio * (-away / p.scale).exp() - 1


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Any:
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return where(p.scale < q.scale, inf, result)


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Any:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Any:
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return where((q.low > p.low) | (q.high < p.high), inf, result)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Any:
    """Chyzak and Nielsen (2019)."""
    apart = (p.scale + q.scale).square() + (p.loc - q.loc).square()
    return apart.log() - (4 * p.scale * q.scale).log()


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Any:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Any:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


# ---- normal vectors ------------------------------------------------------------------------------


def _log_det(d: Any) -> Any:
    """The logarithm of the covariance's determinant."""
    if isinstance(d, MultivariateNormal):
        return 2 * half_log_det(d._unbroadcasted_scale_tril)
    return _batch_lowrank_logdet(d._unbroadcasted_cov_diag, d._capacitance_tril)


def _roots(d: Any) -> list[Any]:
    """Matrices whose products with their transposes add up to the covariance."""
    if isinstance(d, MultivariateNormal):
        return [d._unbroadcasted_scale_tril]
    return [d._unbroadcasted_cov_factor, diag_embed(d._unbroadcasted_cov_diag.sqrt())]


def _solved_trace(q: Any, root: Any) -> Any:
    """tr(Σ⁻¹ R R') for the covariance Σ of q."""
    if isinstance(q, MultivariateNormal):
        factor = q._unbroadcasted_scale_tril
        shape = broadcast_shapes(factor.shape[:-2], root.shape[:-2])
        factor = factor.expand((*shape, *factor.shape[-2:]))
        solved = solve_triangular(factor, root.expand((*shape, *root.shape[-2:])), upper=False)
        return solved.square().sum((-2, -1))
    diagonal = q._unbroadcasted_cov_diag
    whole = (root.square() / diagonal.unsqueeze(-1)).sum((-2, -1))
    inner = (q._unbroadcasted_cov_factor.mT / diagonal.unsqueeze(-2)) @ root
    low = q._capacitance_tril
    shape = broadcast_shapes(low.shape[:-2], inner.shape[:-2])
    low = low.expand((*shape, *low.shape[-2:]))
    solved = solve_triangular(low, inner.expand((*shape, *inner.shape[-2:])), upper=False)
    return whole - solved.square().sum((-2, -1))


def _normal_vectors(p: Any, q: Any) -> Any:
    if p.event_shape != q.event_shape:
        low = [isinstance(d, LowRankMultivariateNormal) for d in (p, q)]
        name = "Low Rank " if all(low) else "(Low Rank) " if any(low) else ""
        between = " " * 26  # as PyTorch's text has it
        raise ValueError(
            f"KL-divergence between two {name}Multivariate Normals with{between}"
            "different event shapes cannot be computed"
        )
    away = q.loc - p.loc
    if isinstance(q, MultivariateNormal):
        distance = _batch_mahalanobis(q._unbroadcasted_scale_tril, away)
    else:
        distance = q._distance(away)
    trace = sum([_solved_trace(q, root) for root in _roots(p)])
    return 0.5 * (_log_det(q) - _log_det(p) + trace + distance - p.event_shape[0])


for _p in (MultivariateNormal, LowRankMultivariateNormal):
    for _q in (MultivariateNormal, LowRankMultivariateNormal):
        register_kl(_p, _q)(_normal_vectors)
