"""Mixtures of distributions of one family."""

from __future__ import annotations

from typing import Any

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.distributions import constraints
from lazytorch.distributions.categorical import Categorical
from lazytorch.distributions.distribution import Distribution
from lazytorch.functions.reductions import logsumexp
from lazytorch.functions.softmax import log_softmax
from lazytorch.size import Size

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """A batch of K distributions (the last batch dimension), one of which is drawn each time.

    >>> from lazytorch.distributions import Categorical, MixtureSameFamily, Normal
    >>> mixture = Categorical(torch.tensor([0.5, 0.5]))
    >>> m = MixtureSameFamily(mixture, Normal(torch.tensor([-1.0, 1.0]), 1.0))
    >>> m.mean, m.variance
    (tensor(0.), tensor(2.))
    """

    arg_constraints: Any = {}
    has_rsample = False

    def __init__(
        self, mixture_distribution: Any, component_distribution: Any,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an "
                " instance of torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an "
                "instance of torch.distributions.Distribution"
            )
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        ours, theirs = mixture_distribution.batch_shape, component_distribution.batch_shape[:-1]
        for a, b in zip(reversed(ours), reversed(theirs), strict=False):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({ours}) is not "
                    "compatible with `component_distribution."
                    f"batch_shape`({theirs})"
                )
        count, given = mixture_distribution.param_shape[-1], component_distribution.batch_shape[-1]
        if count != given:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not"
                " equal `component_distribution.batch_shape[-1]`"
                f" ({given})"
            )
        self._num_component = count
        event_shape = component_distribution.event_shape
        self._event_ndims = len(event_shape)
        super().__init__(theirs, event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(MixtureSameFamily, _instance)
        batch_shape = Size(batch_shape)
        components = (*batch_shape, self._num_component)
        new._component_distribution = self._component_distribution.expand(components)
        new._mixture_distribution = self._mixture_distribution.expand(batch_shape)
        new._num_component = self._num_component
        new._event_ndims = self._event_ndims
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Any:
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Any:
        return self._component_distribution

    def _pad(self, x: Any) -> Any:
        """A value with an axis for the components."""
        return x.unsqueeze(-1 - self._event_ndims)

    def _averaged(self, x: Any) -> Any:
        """The mean over the components of something of their events' shape."""
        probs = self._mixture_distribution.probs
        probs = probs.reshape((*probs.shape, *[1] * self._event_ndims))
        return (probs * x).sum(-1 - self._event_ndims)

    @property
    def mean(self) -> Any:
        return self._averaged(self._component_distribution.mean)

    @property
    def variance(self) -> Any:
        components = self._component_distribution
        spread = (components.mean - self._pad(self.mean)).square()
        return self._averaged(components.variance) + self._averaged(spread)

    def cdf(self, x: Any) -> Any:
        below = self._component_distribution.cdf(self._pad(x))
        return (below * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, x: Any) -> Any:
        self._checked(x)
        each = self._component_distribution.log_prob(self._pad(x))
        return logsumexp(each + log_softmax(self._mixture_distribution.logits, -1), -1)

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            axis = len(sample_shape) + len(self._batch_shape)
            drawn = self._component_distribution.sample(sample_shape)
            chosen = self._mixture_distribution.expand(self._batch_shape).sample(sample_shape)
            chosen = chosen.reshape((*chosen.shape, *[1] * (1 + self._event_ndims)))
            chosen = chosen.expand((*chosen.shape[:axis], 1, *self._event_shape))
            return drawn.gather(axis, chosen).squeeze(axis)

    def __repr__(self) -> str:
        return (
            f"MixtureSameFamily(\n  {self._mixture_distribution},\n  "
            f"{self._component_distribution})"
        )
