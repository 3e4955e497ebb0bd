"""The multivariate normal distribution."""

from __future__ import annotations

import math
from typing import Any

from lazytorch.distributions import constraints
from lazytorch.distributions.distribution import Distribution
from lazytorch.distributions.utils import _standard_normal, lazy_property
from lazytorch.functions.creation import eye
from lazytorch.functions.promotion import broadcast_shapes
from lazytorch.functions.solving import cholesky_inverse, solve_triangular
from lazytorch.linalg import cholesky, cholesky_ex
from lazytorch.size import Size

__all__ = ["MultivariateNormal"]


def _batch_mv(matrix: Any, vector: Any) -> Any:
    """Matrices (..., n, m) times vectors (..., m)."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def _batch_mahalanobis(factor: Any, x: Any) -> Any:
    """x' (L L')⁻¹ x of vectors (..., n) and lower triangles (batch, n, n): the vectors that one
    triangle is used for are solved for together."""
    n, own = x.size(-1), factor.dim() - 2
    shape = broadcast_shapes(x.shape[:-1], factor.shape[:-2])
    batch = shape[len(shape) - own :]
    together = x.expand((*shape, n)).reshape((-1, *batch, n)).movedim(0, -1)
    solved = solve_triangular(factor.expand((*batch, n, n)), together, upper=False)
    return solved.square().sum(-2).movedim(-1, 0).reshape(shape)


def cholesky_factor(matrix: Any, known_good: bool) -> Any:
    """The Cholesky factor; of a matrix that was checked without looking again."""
    return cholesky_ex(matrix).L if known_good else cholesky(matrix)


def _precision_to_scale_tril(precision: Any, known_good: bool = False) -> Any:
    """The factor of the inverse: of the matrix read backwards, inverted."""
    backwards = cholesky_factor(precision.flip((-2, -1)), known_good).flip((-2, -1))
    n = precision.shape[-1]
    unit = eye(n, dtype=precision.dtype, device=precision.device)
    return solve_triangular(backwards.mT, unit, upper=False)


def half_log_det(factor: Any) -> Any:
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class MultivariateNormal(Distribution):
    """Normal vectors with mean ``loc`` (..., n), and one of ``covariance_matrix``,
    ``precision_matrix`` and ``scale_tril`` (..., n, n), the covariance's lower Cholesky factor.

    >>> m = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    >>> m.log_prob(torch.zeros(2)), m.rsample((5,)).shape
    (tensor(-1.8379), torch.Size([5, 2]))
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    _parameters = ("loc", "covariance_matrix", "precision_matrix", "scale_tril")

    def __init__(
        self, loc: Any, covariance_matrix: Any = None, precision_matrix: Any = None,
        scale_tril: Any = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        forms = {
            "scale_tril": scale_tril,
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
        }
        given = {name: m for name, m in forms.items() if m is not None}
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            shown = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(
                f"{shown} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch_shape = broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.__dict__[name] = matrix.expand((*batch_shape, -1, -1))
        self.loc = loc.expand((*batch_shape, -1))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif name == "covariance_matrix":
            self._unbroadcasted_scale_tril = cholesky_factor(matrix, self._validate_args)
        else:
            self._unbroadcasted_scale_tril = _precision_to_scale_tril(matrix, self._validate_args)

    def _expand_rest(self, new: Any, batch_shape: Size) -> None:
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril

    def _expanded(self, matrix: Any) -> Any:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

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

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        spread = self._unbroadcasted_scale_tril.square().sum(-1)
        return spread.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        drawn = _standard_normal(shape, self.loc.dtype, self.loc.device)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, drawn)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        factor = self._unbroadcasted_scale_tril
        distance = _batch_mahalanobis(factor, value - self.loc)
        norm = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (norm + distance) - half_log_det(factor)

    def entropy(self) -> Any:
        norm = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        return (norm + half_log_det(self._unbroadcasted_scale_tril)).expand(self._batch_shape)
