"""The multivariate normal distribution of low rank."""

from __future__ import annotations

import math
from typing import Any

from lazytorch.distributions import constraints
from lazytorch.distributions.distribution import Distribution
from lazytorch.distributions.multivariate_normal import _batch_mahalanobis, _batch_mv
from lazytorch.distributions.utils import _standard_normal, lazy_property
from lazytorch.functions.creation import diag_embed, eye
from lazytorch.functions.solving import solve_triangular
from lazytorch.functions.views import broadcast_tensors
from lazytorch.linalg import cholesky, cholesky_ex
from lazytorch.size import Size

__all__ = ["LowRankMultivariateNormal"]


def _plus_unit(matrix: Any) -> Any:
    return matrix + eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)


def _capacitance(factor: Any, diagonal: Any) -> Any:
    """I + W' D⁻¹ W."""
    return _plus_unit((factor.mT / diagonal.unsqueeze(-2)) @ factor)


def _batch_lowrank_logdet(diagonal: Any, capacitance_tril: Any) -> Any:
    """log det(W W' + D), by the matrix determinant lemma."""
    inner = capacitance_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return 2 * inner + diagonal.log().sum(-1)


def _batch_lowrank_mahalanobis(factor: Any, diagonal: Any, x: Any, capacitance_tril: Any) -> Any:
    """x' (W W' + D)⁻¹ x, by the Woodbury identity."""
    inner = _batch_mv(factor.mT / diagonal.unsqueeze(-2), x)
    return (x.square() / diagonal).sum(-1) - _batch_mahalanobis(capacitance_tril, inner)


class LowRankMultivariateNormal(Distribution):
    """Normal vectors of covariance W W' + D: ``cov_factor`` W is (..., n, r), ``cov_diag`` the
    diagonal of D (..., n).

    >>> m = torch.distributions.LowRankMultivariateNormal(
    ...     torch.zeros(2), torch.tensor([[1.0], [0.0]]), torch.ones(2))
    >>> m.variance
    tensor([2., 1.])
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True
    _parameters = ("loc", "cov_factor", "cov_diag")

    def __init__(
        self, loc: Any, cov_factor: Any, cov_diag: Any, validate_args: bool | None = None
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event_shape = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if cov_factor.shape[-2:-1] != event_shape:
            raise ValueError(
                f"cov_factor must be a batch of matrices with shape {event_shape[0]} x m"
            )
        if cov_diag.shape[-1:] != event_shape:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
        try:
            columns, self.cov_factor, diagonals = broadcast_tensors(
                loc.unsqueeze(-1), cov_factor, cov_diag.unsqueeze(-1)
            )
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, "
                f"cov_diag {cov_diag.shape}"
            ) from error
        self.loc, self.cov_diag = columns[..., 0], diagonals[..., 0]
        self._unbroadcasted_cov_factor = cov_factor
        self._unbroadcasted_cov_diag = cov_diag
        super().__init__(self.loc.shape[:-1], event_shape, validate_args=validate_args)
        capacitance = _capacitance(cov_factor, cov_diag)
        # Positive definite where the diagonal is positive.
        checked = self._validate_args
        self._capacitance_tril = cholesky_ex(capacitance).L if checked else cholesky(capacitance)

    def _expand_rest(self, new: Any, batch_shape: Size) -> None:
        new._unbroadcasted_cov_factor = self._unbroadcasted_cov_factor
        new._unbroadcasted_cov_diag = self._unbroadcasted_cov_diag
        new._capacitance_tril = self._capacitance_tril

    def _expanded(self, matrix: Any) -> Any:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @lazy_property
    def variance(self) -> Any:
        spread = self._unbroadcasted_cov_factor.square().sum(-1) + self._unbroadcasted_cov_diag
        return spread.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Any:
        root = self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
        scaled = self._unbroadcasted_cov_factor / root
        return self._expanded(root * cholesky(_plus_unit(scaled @ scaled.mT)))

    @lazy_property
    def covariance_matrix(self) -> Any:
        factor = self._unbroadcasted_cov_factor
        return self._expanded(factor @ factor.mT + diag_embed(self._unbroadcasted_cov_diag))

    @lazy_property
    def precision_matrix(self) -> Any:
        diagonal = self._unbroadcasted_cov_diag
        scaled = self._unbroadcasted_cov_factor.mT / diagonal.unsqueeze(-2)
        half = solve_triangular(self._capacitance_tril, scaled, upper=False)
        return self._expanded(diag_embed(diagonal.reciprocal()) - half.mT @ half)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        inner = (*shape[:-1], self.cov_factor.shape[-1])
        low = _standard_normal(inner, self.loc.dtype, self.loc.device)
        rest = _standard_normal(shape, self.loc.dtype, self.loc.device)
        spread = _batch_mv(self._unbroadcasted_cov_factor, low)
        return self.loc + spread + self._unbroadcasted_cov_diag.sqrt() * rest

    @property
    def _log_det(self) -> Any:
        return _batch_lowrank_logdet(self._unbroadcasted_cov_diag, self._capacitance_tril)

    def _distance(self, x: Any) -> Any:
        return _batch_lowrank_mahalanobis(
            self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag, x,
            self._capacitance_tril,
        )  # fmt: skip

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        norm = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (norm + self._log_det + self._distance(value - self.loc))

    def entropy(self) -> Any:
        norm = self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        return (0.5 * (norm + self._log_det)).expand(self._batch_shape)
