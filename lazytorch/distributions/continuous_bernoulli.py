"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from typing import Any

from lazytorch.distributions import constraints
from lazytorch.distributions.exp_family import ExponentialFamily
from lazytorch.distributions.odds import ProbsOrLogits
from lazytorch.distributions.utils import broadcast_all, clamp_probs, lazy_property, logits_to_probs
from lazytorch.functions.masks import where
from lazytorch.nn.functional import binary_cross_entropy_with_logits
from lazytorch.size import Size

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(ProbsOrLogits, ExponentialFamily):
    """Density proportional to probs**x (1 - probs)**(1 - x) on [0, 1].

    Between the two ``lims``, near 1/2, where the formulas cancel, Taylor series stand for them.

    >>> torch.distributions.ContinuousBernoulli(torch.tensor([0.5])).mean
    tensor([0.5000])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _parameters = ("probs", "logits")
    _mean_carrier_measure = 0

    def __init__(
        self, probs: Any = None, logits: Any = None, lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        self._lims = lims
        if self._one_of(probs, logits) == "probs":
            (probs,) = broadcast_all(probs)
            # Clamped, nothing else would be refused.
            if validate_args is not None and not self.arg_constraints["probs"].check(probs).all():
                raise ValueError("The parameter probs has invalid values")
            self.probs = clamp_probs(probs)
            super().__init__(self.probs.shape, validate_args=validate_args)
        else:
            self._set(validate_args, logits=logits)

    def _expand_rest(self, new: Any, batch_shape: Size) -> None:
        new._lims = self._lims

    @lazy_property
    def probs(self) -> Any:
        return clamp_probs(logits_to_probs(self.logits, True))

    def _outside(self, x: Any, shift: float = 0.0) -> Any:
        """Whether the formulas hold."""
        return (x <= self._lims[0] - shift) | (x > self._lims[1] - shift)

    def _safe(self) -> tuple[Any, Any]:
        """Whether the formulas hold, and probabilities that they may be given."""
        outside = self._outside(self.probs)
        return outside, where(outside, self.probs, self._lims[0])

    def _log_odds(self, p: Any) -> Any:
        return (-p).log1p() - p.log()

    def _cont_bern_log_norm(self) -> Any:
        outside, p = self._safe()
        below = (-2.0 * where(p <= 0.5, p, 0.0)).log1p()
        above = (2.0 * where(p >= 0.5, p, 1.0) - 1.0).log()
        exact = self._log_odds(p).abs().log() - where(p <= 0.5, below, above)
        x = (self.probs - 0.5).square()
        return where(outside, exact, math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x)

    @property
    def mean(self) -> Any:
        outside, p = self._safe()
        exact = p / (2.0 * p - 1.0) + 1.0 / self._log_odds(p)
        x = self.probs - 0.5
        return where(outside, exact, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.square()) * x)

    @property
    def stddev(self) -> Any:
        return self.variance.sqrt()

    @property
    def variance(self) -> Any:
        outside, p = self._safe()
        exact = p * (p - 1.0) / (1.0 - 2.0 * p).square() + 1.0 / self._log_odds(p).square()
        x = (self.probs - 0.5).square()
        return where(outside, exact, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.icdf(self._uniform(sample_shape, self.probs))

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        loss = binary_cross_entropy_with_logits(logits, value, reduction="none")
        return -loss + self._cont_bern_log_norm()

    def cdf(self, value: Any) -> Any:
        self._checked(value)
        outside, p = self._safe()
        exact = (p.pow(value) * (1.0 - p).pow(1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        inner = where(outside, exact, value)
        return where(value <= 0.0, 0.0, where(value >= 1.0, 1.0, inner))

    def icdf(self, value: Any) -> Any:
        outside, p = self._safe()
        moved = (-p + value * (2.0 * p - 1.0)).log1p() - (-p).log1p()
        return where(outside, moved / -self._log_odds(p), value)

    def entropy(self) -> Any:
        p = self.probs
        return self.mean * self._log_odds(p) - self._cont_bern_log_norm() - (-p).log1p()

    @property
    def _natural_params(self) -> Any:
        return (self.logits,)

    def _log_normalizer(self, *natural: Any) -> Any:
        (x,) = natural
        outside = self._outside(x, 0.5)
        safe = where(outside, x, self._lims[0] - 0.5)
        exact = safe.expm1().abs().log() - safe.abs().log()
        series = 0.5 * x + x.square() / 24.0 - x.pow(4) / 2880.0
        return where(outside, exact, series)
