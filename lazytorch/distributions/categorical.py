"""The categorical distribution: class numbers with given probabilities."""

from __future__ import annotations

from math import nan
from typing import Any

from codegen import dtype as dt
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.distributions import constraints
from lazytorch.distributions.odds import ProbsOrLogits
from lazytorch.distributions.utils import lazy_property, probs_to_logits
from lazytorch.dtypes import finfo
from lazytorch.functions.creation import arange
from lazytorch.functions.random import rand
from lazytorch.functions.reductions import logsumexp
from lazytorch.functions.views import broadcast_tensors
from lazytorch.size import Size

__all__ = ["Categorical"]


def draw_categories(probs: Any, shape: Any) -> Any:
    """Class numbers of shape sample_shape + batch_shape, int64: where uniform numbers fall among
    the sums of the first probabilities (batch_shape + classes)."""
    wide = probs if probs.dtype is dt.float64 else probs.float()
    edges = wide.cumsum(-1)
    edges = edges[..., :-1] / edges[..., -1:]
    drawn = rand(shape, dtype=wide.dtype, device=wide.device).unsqueeze(-1)
    return (drawn >= edges).sum(-1)


class Categorical(ProbsOrLogits):
    """Class numbers 0 … K-1. ``probs`` (..., K), which are normalized, or ``logits``.

    >>> m = torch.distributions.Categorical(logits=torch.tensor([0.0, 0.0, 0.6931472]))
    >>> m.probs
    tensor([0.2500, 0.2500, 0.5000])
    >>> m.log_prob(torch.tensor([0, 2]))
    tensor([-1.3863, -0.6931])
    >>> m.sample((4,)).shape
    torch.Size([4])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _parameters = ("probs", "logits")
    _is_binary = False

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        name = self._one_of(probs, logits)
        given = logits if probs is None else probs
        if given.dim() < 1:
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if probs is None:
            self.logits = given - logsumexp(given, -1, keepdim=True)
        else:
            self.probs = given / given.sum(-1, keepdim=True)
        self._num_events = given.size(-1)
        super().__init__(given.shape[:-1], validate_args=validate_args)

    def _expand_rest(self, new: Any, batch_shape: Size) -> None:
        new._num_events = self._num_events

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    @lazy_property
    def logits(self) -> Any:
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Any:
        return self.logits.softmax(-1)

    @property
    def mean(self) -> Any:
        return self._full(nan, self._param)

    @property
    def mode(self) -> Any:
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Any:
        return self._full(nan, self._param)

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            return draw_categories(self.probs, self._extended_shape(sample_shape))

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        index, logits = broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, index[..., :1]).squeeze(-1)

    def entropy(self) -> Any:
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Any:
        classes = arange(self._num_events, dtype=dt.int64, device=self._param.device)
        return self._enumerated(classes, expand)
