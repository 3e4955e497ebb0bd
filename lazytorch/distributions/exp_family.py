"""Distributions of an exponential family: their entropy follows from their log normalizer."""

from __future__ import annotations

from typing import Any

from lazytorch.autograd.backward import grad
from lazytorch.distributions.distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Densities exp(<t(x), θ> - F(θ) + k(x)): θ are the natural parameters, F the log normalizer.

    A family gives ``_natural_params``, ``_log_normalizer`` and ``_mean_carrier_measure``, the mean
    of k.
    """

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Any:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError

    def entropy(self) -> Any:
        """F(θ) - <θ, ∇F(θ)> - E[k(x)]."""
        natural = [p.detach().requires_grad_() for p in self._natural_params]
        normalizer = self._log_normalizer(*natural)
        slopes = grad(normalizer.sum(), natural, create_graph=True)
        result = normalizer - self._mean_carrier_measure
        kept = len(self._batch_shape)
        for parameter, slope in zip(natural, slopes, strict=True):
            term = parameter * slope
            result = result - term.reshape((*term.shape[:kept], -1)).sum(-1)
        return result
