"""What the half-normal and the half-Cauchy distribution have in common."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from lazytorch.distributions import constraints
from lazytorch.distributions.transformed_distribution import TransformedDistribution
from lazytorch.distributions.transforms import AbsTransform
from lazytorch.functions.creation import zeros_like
from lazytorch.functions.masks import where


class Folded(TransformedDistribution):
    """The absolute value of a number whose distribution, ``_whole``, is symmetric around 0."""

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    _parameters = ()
    _shows_base = False
    _whole: ClassVar[Any]  # the family, of a location and a scale

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        base = self._whole(0, scale, validate_args=False)
        super().__init__(base, AbsTransform(), validate_args=validate_args)

    @property
    def scale(self) -> Any:
        return self.base_dist.scale

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
