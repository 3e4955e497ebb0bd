"""Families with a parameter that may be given as probabilities or as logits."""

from __future__ import annotations

from typing import Any, ClassVar

from lazytorch.distributions.distribution import Distribution
from lazytorch.distributions.utils import lazy_property, logits_to_probs
from lazytorch.distributions.utils import probs_to_logits as _to_logits


class ProbsOrLogits(Distribution):
    """A family of ``probs`` or ``logits``, one of which is given; the other is computed when read.

    ``_is_binary``: logits are logarithms of odds, else of probabilities along the last dimension.
    """

    _is_binary: ClassVar[bool] = True

    def _one_of(self, probs: Any, logits: Any) -> str:
        """Which is given."""
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        return "logits" if probs is None else "probs"

    def _set_odds(
        self, validate_args: bool | None, probs: Any, logits: Any, /, **others: Any
    ) -> None:
        """Take parameters of events of one number each, broadcast together."""
        name = self._one_of(probs, logits)
        self._set(validate_args, **others, **{name: logits if probs is None else probs})

    @property
    def _param(self) -> Any:
        return self.__dict__["probs" if "probs" in self.__dict__ else "logits"]

    @lazy_property
    def logits(self) -> Any:
        return _to_logits(self.probs, self._is_binary)

    @lazy_property
    def probs(self) -> Any:
        return logits_to_probs(self.logits, self._is_binary)

    @property
    def param_shape(self) -> Any:
        return self._param.size()


__all__ = ["ProbsOrLogits"]
