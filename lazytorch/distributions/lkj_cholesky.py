"""The LKJ distribution of Cholesky factors of correlation matrices."""

from __future__ import annotations

import math
from typing import Any

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.distributions import constraints
from lazytorch.distributions.beta import Beta
from lazytorch.distributions.distribution import Distribution
from lazytorch.distributions.utils import _standard_normal, broadcast_all, numbers_below
from lazytorch.dtypes import finfo
from lazytorch.functions.masks import where
from lazytorch.functions.padding import pad
from lazytorch.functions.pointwise import mvlgamma
from lazytorch.size import Size

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower Cholesky factors L (dim, dim) of correlation matrices, these of a density proportional
    to det(L L')**(concentration - 1).

    Draws are by the onion method of Lewandowski, Kurowicka and Joe (2009).

    >>> torch.distributions.LKJCholesky(3, 0.5).log_prob(torch.eye(3))
    tensor(-2.5310)
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    _parameters = ("concentration",)

    def __init__(
        self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        # The squared length of a row left of the diagonal: that of the first row is not used.
        rows = pad(numbers_below(dim - 1, self.concentration), [1, 0])
        last = (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1)
        self._beta = Beta(rows + 0.5, last - 0.5 * rows, validate_args=False)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    def _expand_rest(self, new: Any, batch_shape: Size) -> None:
        new.dim = self.dim
        new._beta = self._beta.expand((*batch_shape, self.dim))

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            squares = self._beta.sample(sample_shape).unsqueeze(-1)
            shape = self._extended_shape(sample_shape)
            drawn = _standard_normal(shape, squares.dtype, squares.device).tril(-1)
            length = drawn.square().sum(-1, keepdim=True).sqrt()
            below = squares.sqrt() * where(length > 0, drawn / where(length > 0, length, 1.0), 0.0)
            rest = (1 - below.square().sum(-1)).clamp(min=finfo(below.dtype).tiny)
            return below + rest.sqrt().diag_embed()

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        eta, rows = self.concentration, self.dim - 1
        order = 2 * (eta - 1).unsqueeze(-1) + (self.dim - 2 - numbers_below(rows, eta))
        alpha = eta + 0.5 * rows
        norm = mvlgamma(alpha - 0.5, rows) - rows * alpha.lgamma()
        return (order * diagonal.log()).sum(-1) - norm - 0.5 * rows * math.log(math.pi)
