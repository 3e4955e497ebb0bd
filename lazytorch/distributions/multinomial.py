"""The multinomial distribution."""

from __future__ import annotations

from math import inf
from typing import Any

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.distributions import constraints
from lazytorch.distributions.binomial import Binomial
from lazytorch.distributions.categorical import Categorical
from lazytorch.distributions.distribution import Distribution
from lazytorch.distributions.utils import broadcast_all, numbers_below
from lazytorch.functions.masks import where
from lazytorch.size import Size

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """How often each of K classes is drawn in ``total_count`` draws (an int).

    >>> m = torch.distributions.Multinomial(4, probs=torch.tensor([0.5, 0.5]))
    >>> m.mean, m.log_prob(torch.tensor([2.0, 2.0]))
    (tensor([2., 2.]), tensor(-0.9808))
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    total_count: int

    def __init__(
        self, total_count: int = 1, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits, validate_args=False)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def _binomial(self) -> Any:
        return Binomial(self.total_count, probs=self.probs, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(Multinomial, _instance)
        batch_shape = Size(batch_shape)
        new.total_count = self.total_count
        new._categorical = self._categorical.expand(batch_shape)
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def probs(self) -> Any:
        return self._categorical.probs

    @property
    def logits(self) -> Any:
        return self._categorical.logits

    @property
    def param_shape(self) -> Any:
        return self._categorical.param_shape

    @property
    def mean(self) -> Any:
        return self.probs * self.total_count

    @property
    def variance(self) -> Any:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            drawn = self._categorical.sample((self.total_count, *sample_shape))
            classes = numbers_below(self._event_shape[0], self.probs)
            return (drawn.unsqueeze(-1) == classes).sum(0).to(self.probs.dtype)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        logits = where((value == 0) & (logits == -inf), 0.0, logits)
        ways = (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1)
        return ways + (logits * value).sum(-1)

    def entropy(self) -> Any:
        n, binomial = self.total_count, self._binomial
        counts = binomial.enumerate_support(expand=False)[1:]
        weights = binomial.log_prob(counts).exp()
        repeated = (weights * (counts + 1).lgamma()).sum((0, -1))
        return n * self._categorical.entropy() - self.probs.new_tensor(n + 1.0).lgamma() + repeated
