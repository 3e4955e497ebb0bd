"""The Wishart distribution."""

from __future__ import annotations

import math
import warnings
from math import nan
from typing import Any

from lazytorch.distributions import constraints
from lazytorch.distributions.chi2 import Chi2
from lazytorch.distributions.exp_family import ExponentialFamily
from lazytorch.distributions.multivariate_normal import (
    _precision_to_scale_tril,
    cholesky_factor,
    half_log_det,
)
from lazytorch.distributions.utils import _standard_normal, lazy_property, numbers_below
from lazytorch.dtypes import finfo
from lazytorch.functions.data import tensor
from lazytorch.functions.masks import where
from lazytorch.functions.pointwise import mvlgamma
from lazytorch.functions.promotion import broadcast_shapes
from lazytorch.functions.solving import cholesky_inverse, cholesky_solve
from lazytorch.linalg import slogdet
from lazytorch.size import Size

__all__ = ["Wishart"]


class Wishart(ExponentialFamily):
    """Sums X X' of ``df`` normal vectors x x', of one of ``covariance_matrix``,
    ``precision_matrix`` and ``scale_tril`` (..., n, n); ``df`` is above n - 1.

    Draws are by Bartlett's decomposition.

    >>> m = torch.distributions.Wishart(torch.tensor(3.0), covariance_matrix=torch.eye(2))
    >>> m.mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True
    _parameters = ("df", "covariance_matrix", "precision_matrix", "scale_tril")
    _mean_carrier_measure = 0

    def __init__(
        self, df: Any, covariance_matrix: Any = None, precision_matrix: Any = None,
        scale_tril: Any = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        forms = {
            "covariance_matrix": covariance_matrix,
            "scale_tril": scale_tril,
            "precision_matrix": precision_matrix,
        }
        given = {name: m for name, m in forms.items() if m is not None}
        if len(given) != 1:
            raise AssertionError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if isinstance(df, (int, float)):
            df_ = tensor(df, dtype=matrix.dtype, device=matrix.device)
        else:
            df_ = df
        batch_shape = broadcast_shapes(matrix.shape[:-2], df_.shape)
        self.df = df_.expand(batch_shape)
        n = matrix.shape[-1]
        least = float(df_.min())
        if not least > n - 1:
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        if least < n:
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for "
                "ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        self.__dict__[name] = matrix.expand((*batch_shape, -1, -1))
        super().__init__(batch_shape, matrix.shape[-2:], validate_args=validate_args)
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif name == "covariance_matrix":
            self._unbroadcasted_scale_tril = cholesky_factor(matrix, self._validate_args)
        else:
            self._unbroadcasted_scale_tril = _precision_to_scale_tril(matrix, self._validate_args)

    @property
    def arg_constraints(self) -> Any:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    def _expand_rest(self, new: Any, batch_shape: Size) -> None:
        factor = self._unbroadcasted_scale_tril
        new._unbroadcasted_scale_tril = factor.expand(batch_shape + self.event_shape)

    def _expanded(self, matrix: Any) -> Any:
        return matrix.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Any:
        return self._expanded(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Any:
        factor = self._unbroadcasted_scale_tril
        return self._expanded(factor @ factor.mT)

    @lazy_property
    def precision_matrix(self) -> Any:
        return self._expanded(cholesky_inverse(self._unbroadcasted_scale_tril))

    def _times(self, factor: Any, matrix: Any) -> Any:
        return factor.reshape((*self._batch_shape, 1, 1)) * matrix

    @property
    def mean(self) -> Any:
        return self._times(self.df, self.covariance_matrix)

    @property
    def mode(self) -> Any:
        factor = self.df - self._event_shape[-1] - 1
        return self._times(where(factor <= 0, nan, factor), self.covariance_matrix)

    @property
    def variance(self) -> Any:
        v = self.covariance_matrix
        d = v.diagonal(dim1=-2, dim2=-1)
        return self._times(self.df, v.square() + d.unsqueeze(-1) * d.unsqueeze(-2))

    def rsample(self, sample_shape: Any = (), max_try_correction: Any = None) -> Any:
        n, like = self._event_shape[-1], self._unbroadcasted_scale_tril
        degrees = self.df.unsqueeze(-1) - numbers_below(n, like)
        roots = Chi2(degrees, validate_args=False).rsample(sample_shape).sqrt()
        roots = roots.clamp(min=finfo(like.dtype).eps)
        shape = self._extended_shape(sample_shape)
        noise = _standard_normal(shape, like.dtype, like.device).tril(-1)
        factor = like @ (noise + roots.diag_embed())
        return factor @ factor.mT

    def _log_norm(self) -> Any:
        """log(2^(df n / 2) Γ_n(df / 2) det(V)^(df / 2))."""
        n, df = self._event_shape[-1], self.df
        log_det = half_log_det(self._unbroadcasted_scale_tril)
        return df * (log_det + n * math.log(2) / 2) + mvlgamma(df / 2, n)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        n, df = self._event_shape[-1], self.df
        inside = cholesky_solve(value, self._unbroadcasted_scale_tril)
        trace = inside.diagonal(dim1=-2, dim2=-1).sum(-1)
        return (df - n - 1) / 2 * slogdet(value).logabsdet - trace / 2 - self._log_norm()

    def _digammas(self, x: Any) -> Any:
        """The slope of mvlgamma."""
        n = self._event_shape[-1]
        return (x.unsqueeze(-1) - numbers_below(n, x) / 2).digamma().sum(-1)

    def entropy(self) -> Any:
        n, df = self._event_shape[-1], self.df
        log_det = half_log_det(self._unbroadcasted_scale_tril)
        half = df / 2
        return (
            (n + 1) * (log_det + n * math.log(2) / 2)
            + mvlgamma(half, n)
            - (df - n - 1) / 2 * self._digammas(half)
            + df * n / 2
        )

    @property
    def _natural_params(self) -> Any:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, *natural: Any) -> Any:
        x, y = natural
        n = self._event_shape[-1]
        half = y + (n + 1) / 2
        return half * (n * math.log(2) - slogdet(-2 * x).logabsdet) + mvlgamma(half, n)
