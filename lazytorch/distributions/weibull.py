"""The Weibull distribution."""

from __future__ import annotations

from typing import Any

from lazytorch.distributions import constraints
from lazytorch.distributions.exponential import Exponential
from lazytorch.distributions.transformed_distribution import TransformedDistribution
from lazytorch.distributions.transforms import AffineTransform, PowerTransform
from lazytorch.distributions.utils import broadcast_all, euler_constant
from lazytorch.functions.creation import ones_like

__all__ = ["Weibull"]


class Weibull(TransformedDistribution):
    """Numbers scale e**(1 / concentration) of exponential numbers e of rate 1.

    >>> torch.distributions.Weibull(2.0, 1.0).mean
    tensor(2.)
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive
    _parameters = ()

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self._take(*broadcast_all(scale, concentration))
        base = Exponential(ones_like(self.scale), validate_args=False)
        super().__init__(base, self._steps(), validate_args=validate_args)

    def _take(self, scale: Any, concentration: Any) -> None:
        self.scale, self.concentration = scale, concentration
        self.concentration_reciprocal = concentration.reciprocal()

    def _steps(self) -> list[Any]:
        power = PowerTransform(exponent=self.concentration_reciprocal)
        return [power, AffineTransform(loc=0, scale=self.scale)]

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(Weibull, _instance)
        new._take(self.scale.expand(batch_shape), self.concentration.expand(batch_shape))
        base = self.base_dist.expand(batch_shape)
        TransformedDistribution.__init__(new, base, new._steps(), validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _moment(self, n: int) -> Any:
        return (1 + n * self.concentration_reciprocal).lgamma()

    @property
    def mean(self) -> Any:
        return self.scale * self._moment(1).exp()

    @property
    def mode(self) -> Any:
        c = self.concentration
        return self.scale * ((c - 1) / c) ** self.concentration_reciprocal

    @property
    def variance(self) -> Any:
        return self.scale.square() * (self._moment(2).exp() - (2 * self._moment(1)).exp())

    def entropy(self) -> Any:
        r = self.concentration_reciprocal
        return euler_constant * (1 - r) + (self.scale * r).log() + 1
