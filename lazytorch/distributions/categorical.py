"""The categorical distribution: class numbers with given probabilities."""

from __future__ import annotations

from math import nan
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather
from codegen.ops.movement import reshape, slice_
from codegen.ops.reduction import cumsum, sum_
from codegen.ops.reduction import full as full_node
from lazytorch.application import apply
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.core import broadcast_to
from lazytorch.distributions import constraints
from lazytorch.distributions.odds import ProbsOrLogits
from lazytorch.distributions.utils import lazy_property, probs_to_logits
from lazytorch.dtypes import finfo
from lazytorch.expression import Function
from lazytorch.functions.creation import arange
from lazytorch.functions.indexing import wrapped
from lazytorch.functions.random import rand
from lazytorch.functions.reductions import logsumexp
from lazytorch.functions.views import broadcast_tensors
from lazytorch.size import Size

__all__ = ["Categorical"]


def _draw(probs: Node, drawn: Node) -> Node:
    """Where uniform numbers fall among the sums of the first probabilities."""
    axis, count = len(probs.shape) - 1, probs.shape[-1] - 1
    if not count:
        return full_node(0, drawn.shape, dt.int64)
    shape = (*probs.shape[:-1], count)
    edges, starts, steps = cumsum(probs, axis), (0,) * axis, (1,) * (axis + 1)
    total = slice_(edges, (*starts, count), (*probs.shape[:-1], 1), steps)
    edges = slice_(edges, (*starts, 0), shape, steps)
    edges = ew.div(edges, broadcast_to(total, shape))
    wide = (*drawn.shape, count)
    raised = broadcast_to(reshape(drawn, (*drawn.shape, 1)), wide)
    passed = ew.ge(raised, broadcast_to(edges, wide))
    return sum_(ew.cast(passed, dt.int64), (len(drawn.shape),))


DRAW = Function("draw_categories", _draw)


def _chosen(values: Node, index: Node) -> Node:
    """Of each vector (..., K) the element of a number (..., 1), as (...)."""
    axis = len(values.shape) - 1
    return reshape(gather(values, wrapped(index, values.shape[-1]), axis), index.shape[:-1])


# ``values.gather(-1, index).squeeze(-1)`` where the index is known to be in range.
CHOSEN = Function(
    "chosen_category", _chosen, gradient_name="SqueezeBackward1", saves=lambda *_: (0, 1)
)


def draw_categories(probs: Any, shape: Any) -> Any:
    """Class numbers of shape sample_shape + batch_shape, int64, of probabilities of shape
    batch_shape + classes."""
    wide = probs if probs.dtype is dt.float64 else probs.float()
    return apply(DRAW, (wide, rand(shape, dtype=wide.dtype, device=wide.device)))


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
        index, logits = value.long().unsqueeze(-1), self.logits
        if value.shape != logits.shape[:-1]:
            index, logits = broadcast_tensors(index, logits)
            index = index[..., :1]
        if self._validate_args:
            return apply(CHOSEN, (logits, index))
        return logits.gather(-1, index).squeeze(-1)

    def entropy(self) -> Any:
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Any:
        classes = arange(self._num_events, dtype=dt.int64, device=self._param.device)
        return self._enumerated(classes, expand)
