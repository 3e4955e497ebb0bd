"""The generalized Pareto distribution."""

from __future__ import annotations

from math import inf, nan
from typing import Any

from lazytorch.distributions import constraints
from lazytorch.distributions.distribution import Distribution
from lazytorch.functions.comparison import isclose
from lazytorch.functions.creation import zeros_like
from lazytorch.functions.masks import where

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Tails of other distributions: beyond ``loc``, of ``scale``; an exponential one where
    ``concentration`` is 0, heavier above, and of bounded support below.

    >>> m = torch.distributions.GeneralizedPareto(0.0, 1.0, torch.tensor([0.0, 0.25]))
    >>> m.log_prob(torch.tensor([1.0, 1.0]))
    tensor([-1.0000, -1.1157])
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True
    _parameters = ("loc", "scale", "concentration")

    def __init__(
        self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None
    ) -> None:
        self._set(validate_args, loc=loc, scale=scale, concentration=concentration)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        c = self.concentration
        upper = where(c < 0, self.loc - self.scale / c, inf)
        return constraints.interval(self.loc, upper)

    def _safe(self) -> tuple[Any, Any]:
        """Where the concentration is 0, and one that may be divided by."""
        is_zero = isclose(self.concentration, zeros_like(self.concentration))
        return is_zero, where(is_zero, 1.0, self.concentration)

    def _z(self, value: Any) -> Any:
        return (value - self.loc) / self.scale

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.icdf(self._uniform(sample_shape, self.loc))

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        z, (is_zero, c) = self._z(value), self._safe()
        power = 1 / c + 1
        tail = where(power == 0, power, power * (c * z).log1p())
        return -self.scale.log() - where(is_zero, z, tail)

    def log_survival_function(self, value: Any) -> Any:
        """log(1 - cdf)."""
        self._checked(value)
        z, (is_zero, c) = self._z(value), self._safe()
        return where(is_zero, -z, -(c * z).log1p() / c)

    def log_cdf(self, value: Any) -> Any:
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value: Any) -> Any:
        return self.log_cdf(value).exp()

    def icdf(self, value: Any) -> Any:
        is_zero, c = self._safe()
        logs = (-value).log1p()
        curved = self.loc + self.scale / c * (-c * logs).expm1()
        return where(is_zero, self.loc - self.scale * logs, curved)

    def _where_below(self, bound: float, moment: Any) -> Any:
        """A moment of those concentrations that have it."""
        valid = self.concentration < bound
        return where(valid, moment(where(valid, self.concentration, bound / 2)), nan)

    @property
    def mean(self) -> Any:
        return self._where_below(1, lambda c: self.loc + self.scale / (1 - c))

    @property
    def variance(self) -> Any:
        return self._where_below(
            0.5, lambda c: self.scale.square() / ((1 - c).square() * (1 - 2 * c))
        )

    def entropy(self) -> Any:
        return self.scale.log() + self.concentration + 1

    @property
    def mode(self) -> Any:
        return self.loc
