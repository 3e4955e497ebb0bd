"""The binomial distribution."""

from __future__ import annotations

from typing import Any

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.distributions import constraints
from lazytorch.distributions.odds import ProbsOrLogits
from lazytorch.distributions.utils import broadcast_all, numbers_below
from lazytorch.functions.counts import binomial

__all__ = ["Binomial"]


def _positive_part(x: Any) -> Any:
    """max(x, 0), with the slope 1/2 at 0."""
    return (x.clamp(min=0) + x - x.clamp(max=0)) / 2


class Binomial(ProbsOrLogits):
    """How many of ``total_count`` trials succeed, each with probability ``probs``.

    >>> m = torch.distributions.Binomial(4, probs=torch.tensor([0.5, 0.25]))
    >>> m.mean, m.log_prob(torch.tensor([2.0, 1.0]))
    (tensor([2., 1.]), tensor([-0.9808, -0.8630]))
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True
    _parameters = ("total_count", "probs", "logits")

    def __init__(
        self, total_count: Any = 1, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        name = self._one_of(probs, logits)
        given, total = broadcast_all(logits if probs is None else probs, total_count)
        self.total_count = total.type_as(given)
        self.__dict__[name] = given
        super().__init__(given.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Any:
        return self.total_count * self.probs

    @property
    def mode(self) -> Any:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Any:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        n, logits = self.total_count, self.logits
        log_choices = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        norm = n * _positive_part(logits) + n * (-logits.abs()).exp().log1p()
        return value * logits + log_choices - norm

    def _one_count(self, wanted_by: str) -> int:
        largest = int(self.total_count.max())
        if not int(self.total_count.min()) == largest:
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{wanted_by}`.")
        return largest

    def entropy(self) -> Any:
        self._one_count("entropy")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Any:
        count = self._one_count("enumerate_support")
        return self._enumerated(numbers_below(1 + count, self._param), expand)
