"""The half-cauchy distribution."""

from __future__ import annotations

import math
from typing import Any

from lazytorch.distributions import constraints
from lazytorch.distributions.cauchy import Cauchy
from lazytorch.distributions.transformed_distribution import TransformedDistribution
from lazytorch.distributions.transforms import AbsTransform
from lazytorch.functions.creation import zeros_like
from lazytorch.functions.indexing import where

__all__ = ["HalfCauchy"]


class HalfCauchy(TransformedDistribution):
    """The absolute value of a cauchy number around 0 with ``scale``.

    >>> torch.distributions.HalfCauchy(1.0).log_prob(torch.tensor(1.0))
    tensor(-1.1447)
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    _parameters = ()
    _shows_base = False

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        base = Cauchy(0, scale, validate_args=False)
        super().__init__(base, AbsTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return super().expand(batch_shape, self._get_checked_instance(HalfCauchy, _instance))

    @property
    def scale(self) -> Any:
        return self.base_dist.scale

    @property
    def mean(self) -> Any:
        return self._full(math.inf, self.scale)

    @property
    def variance(self) -> Any:
        return self.base_dist.variance

    @property
    def mode(self) -> Any:
        return zeros_like(self.scale)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        inner = self.base_dist.log_prob(value) + math.log(2)
        return where(value >= 0, inner, -math.inf)

    def cdf(self, value: Any) -> Any:
        self._checked(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, prob: Any) -> Any:
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self) -> Any:
        return self.base_dist.entropy() - math.log(2)
