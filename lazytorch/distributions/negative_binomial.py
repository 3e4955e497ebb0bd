"""The negative binomial distribution."""

from __future__ import annotations

from typing import Any

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.distributions import constraints
from lazytorch.distributions.odds import ProbsOrLogits
from lazytorch.distributions.utils import broadcast_all
from lazytorch.functions.activations import logsigmoid
from lazytorch.functions.counts import poisson
from lazytorch.functions.gamma_draws import _standard_gamma
from lazytorch.functions.masks import where

__all__ = ["NegativeBinomial"]


class NegativeBinomial(ProbsOrLogits):
    """How many trials succeed, with probability ``probs``, before ``total_count`` have failed.

    >>> torch.distributions.NegativeBinomial(2.0, probs=torch.tensor([0.5])).mean
    tensor([2.])
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    _parameters = ("total_count", "probs", "logits")

    def __init__(
        self, total_count: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        name = self._one_of(probs, logits)
        given, total = broadcast_all(logits if probs is None else probs, total_count)
        self.total_count = total.type_as(given)
        self.__dict__[name] = given
        super().__init__(given.shape, validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Any:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Any:
        return self.mean / (-self.logits).sigmoid()

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            shape = self._extended_shape(sample_shape)
            return poisson(_standard_gamma(self.total_count.expand(shape)) * self.logits.exp())

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        n, logits = self.total_count, self.logits
        powers = n * logsigmoid(-logits) + value * logsigmoid(logits)
        norm = -(n + value).lgamma() + (1.0 + value).lgamma() + n.lgamma()
        return powers - where(n + value == 0.0, 0.0, norm)
