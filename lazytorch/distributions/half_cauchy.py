"""The half-cauchy distribution."""

from __future__ import annotations

import math
from typing import Any

from lazytorch.distributions._folded import Folded
from lazytorch.distributions.cauchy import Cauchy

__all__ = ["HalfCauchy"]


class HalfCauchy(Folded):
    """The absolute value of a cauchy number around 0 with ``scale``.

    >>> torch.distributions.HalfCauchy(1.0).log_prob(torch.tensor(1.0))
    tensor(-1.1447)
    """

    _whole = Cauchy

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return super().expand(batch_shape, self._get_checked_instance(HalfCauchy, _instance))

    @property
    def mean(self) -> Any:
        return self._full(math.inf, self.scale)

    @property
    def variance(self) -> Any:
        return self.base_dist.variance
