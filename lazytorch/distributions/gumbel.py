"""The Gumbel distribution."""

from __future__ import annotations

import math
from typing import Any

from lazytorch.distributions import constraints
from lazytorch.distributions.transformed_distribution import TransformedDistribution
from lazytorch.distributions.transforms import AffineTransform, ExpTransform
from lazytorch.distributions.uniform import Uniform
from lazytorch.distributions.utils import broadcast_all, euler_constant
from lazytorch.dtypes import finfo
from lazytorch.functions.creation import full_like

__all__ = ["Gumbel"]


class Gumbel(TransformedDistribution):
    """The Gumbel distribution: loc - scale log(-log(u)) of uniform numbers u.

    >>> torch.distributions.Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    _parameters = ()

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        limits = finfo(self.loc.dtype)
        low, high = full_like(self.loc, limits.tiny), full_like(self.loc, 1 - limits.eps)
        super().__init__(
            Uniform(low, high, validate_args=False), self._steps(), validate_args=validate_args
        )

    def _steps(self) -> list[Any]:
        minus_one = full_like(self.scale, -1)
        return [
            ExpTransform().inv,
            AffineTransform(loc=0, scale=minus_one),
            ExpTransform().inv,
            AffineTransform(loc=self.loc, scale=-self.scale),
        ]

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(Gumbel, _instance)
        new.loc, new.scale = self.loc.expand(batch_shape), self.scale.expand(batch_shape)
        return super().expand(batch_shape, new)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        y = (self.loc - value) / self.scale
        return (y - y.exp()) - self.scale.log()

    @property
    def mean(self) -> Any:
        return self.loc + self.scale * euler_constant

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def stddev(self) -> Any:
        return (math.pi / math.sqrt(6)) * self.scale

    @property
    def variance(self) -> Any:
        return self.stddev.square()

    def entropy(self) -> Any:
        return self.scale.log() + (1 + euler_constant)
