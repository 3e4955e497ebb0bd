"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any

from lazytorch.distributions import constraints
from lazytorch.distributions.exp_family import ExponentialFamily
from lazytorch.functions.gamma_draws import _sample_dirichlet
from lazytorch.functions.masks import where
from lazytorch.functions.pointwise import xlogy
from lazytorch.nn.functional import one_hot

__all__ = ["Dirichlet"]


class Dirichlet(ExponentialFamily):
    """Vectors on the simplex, with a ``concentration`` (..., K) of positive numbers.

    >>> m = torch.distributions.Dirichlet(torch.ones(3))
    >>> m.mean, m.log_prob(torch.full((3,), 1 / 3))
    (tensor([0.3333, 0.3333, 0.3333]), tensor(0.6931))
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True
    _parameters = ("concentration",)

    def __init__(self, concentration: Any, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Any:
        over = (self.concentration - 1).clamp(min=0.0)
        mode = over / over.sum(-1, True)
        flat = (self.concentration < 1).all(-1, keepdim=True)
        corner = one_hot(mode.argmax(-1), self._event_shape[0]).to(mode.dtype)
        return where(flat, corner, mode)

    @property
    def variance(self) -> Any:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.square() * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Any:
        return _sample_dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        a = self.concentration
        return xlogy(a - 1.0, value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    def entropy(self) -> Any:
        k, a = self.concentration.size(-1), self.concentration
        total = a.sum(-1)
        return (
            a.lgamma().sum(-1)
            - total.lgamma()
            - (k - total) * total.digamma()
            - ((a - 1.0) * a.digamma()).sum(-1)
        )

    @property
    def _natural_params(self) -> Any:
        return (self.concentration,)

    def _log_normalizer(self, *natural: Any) -> Any:
        return natural[0].lgamma().sum(-1) - natural[0].sum(-1).lgamma()
