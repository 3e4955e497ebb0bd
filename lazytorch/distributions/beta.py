"""The beta distribution."""

from __future__ import annotations

from typing import Any

from lazytorch.distributions import constraints
from lazytorch.distributions.dirichlet import Dirichlet
from lazytorch.distributions.distribution import Distribution
from lazytorch.distributions.exp_family import ExponentialFamily
from lazytorch.distributions.utils import broadcast_all
from lazytorch.functions.joining import stack
from lazytorch.size import Size

__all__ = ["Beta"]


class Beta(ExponentialFamily):
    """Density x**(concentration1 - 1) (1 - x)**(concentration0 - 1) / B on (0, 1).

    >>> m = torch.distributions.Beta(torch.tensor([2.0]), torch.tensor([1.0]))
    >>> m.mean, m.log_prob(torch.tensor([0.5]))
    (tensor([0.6667]), tensor([0.]))
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True
    _parameters = ()

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        both = stack(broadcast_all(concentration1, concentration0), -1)
        self._dirichlet = Dirichlet(both, validate_args=False)
        super().__init__(self._dirichlet._batch_shape, validate_args=validate_args)

    def _check_arguments(self) -> None:
        self._dirichlet._check_arguments()  # of the same numbers

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(Beta, _instance)
        batch_shape = Size(batch_shape)
        new._dirichlet = self._dirichlet.expand(batch_shape)
        Distribution.__init__(new, batch_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def concentration1(self) -> Any:
        return self._dirichlet.concentration[..., 0]

    @property
    def concentration0(self) -> Any:
        return self._dirichlet.concentration[..., 1]

    @property
    def mean(self) -> Any:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Any:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Any:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.square() * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self._dirichlet.rsample(sample_shape).select(-1, 0)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        return self._dirichlet.log_prob(stack([value, 1.0 - value], -1))

    def entropy(self) -> Any:
        return self._dirichlet.entropy()

    @property
    def _natural_params(self) -> Any:
        return self.concentration1, self.concentration0

    def _log_normalizer(self, *natural: Any) -> Any:
        x, y = natural
        return x.lgamma() + y.lgamma() - (x + y).lgamma()
