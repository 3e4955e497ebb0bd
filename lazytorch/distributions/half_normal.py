"""The half-normal distribution."""

from __future__ import annotations

import math
from typing import Any

from lazytorch.distributions._folded import Folded
from lazytorch.distributions.normal import Normal

__all__ = ["HalfNormal"]


class HalfNormal(Folded):
    """The absolute value of a normal number around 0 with ``scale``.

    >>> torch.distributions.HalfNormal(1.0).log_prob(torch.tensor(1.0))
    tensor(-0.7258)
    """

    _whole = Normal

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return super().expand(batch_shape, self._get_checked_instance(HalfNormal, _instance))

    @property
    def mean(self) -> Any:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Any:
        return self.scale.square() * (1 - 2 / math.pi)
