"""Ready parametrizations: orthogonal matrices, weight and spectral normalization."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from lazytorch import linalg as _linalg
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.dtypes import finfo
from lazytorch.functions.creation import eye, zeros_like
from lazytorch.functions.joining import cat
from lazytorch.functions.random import randn
from lazytorch.functions.registration import PUBLIC
from lazytorch.nn import functional as F
from lazytorch.nn.modules.module import Module
from lazytorch.nn.utils import parametrize
from lazytorch.nn.utils.spectral_norm import (
    as_matrix,
    check_iterations,
    output_dimension,
    random_direction,
)
from lazytorch.nn.utils.weight_norm import norm_except_dim, normalized
from lazytorch.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

linalg: Any = _linalg


def _weight_of(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


# ---- orthogonal ---------------------------------------------------------------------------


def _is_orthogonal(q: Tensor) -> bool:
    rows, columns = q.size(-2), q.size(-1)
    identity = eye(columns, dtype=q.dtype, device=q.device)
    near = (q.mT @ q - identity).abs() <= 10.0 * rows * finfo(q.dtype).eps + 1e-5 * identity
    return bool(near.all())


def _make_orthogonal(a: Tensor) -> Tensor:
    """The orthogonal factor of a tall matrix, with a positive diagonal in the other."""
    q, r = linalg.qr(a)
    signed: Tensor = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    return signed


class _OrthMaps(Enum):
    matrix_exp = auto()
    cayley = auto()
    householder = auto()


class _Orthogonal(Module):
    base: Tensor | None

    def __init__(
        self, weight: Tensor, orthogonal_map: _OrthMaps, *, use_trivialization: bool = True
    ) -> None:
        super().__init__()
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.size(-2), x.size(-1)
        transposed = rows < columns
        if transposed:
            x = x.mT
            rows, columns = columns, rows
        if self.orthogonal_map is _OrthMaps.householder:
            below = x.tril(-1)
            tau = 2.0 / (1.0 + (below * below).sum(-2))
            q = linalg.householder_product(below, tau)
            q = q * x.diagonal(dim1=-2, dim2=-1).detach().trunc().unsqueeze(-2)
        else:
            q = self._of_skew(F.pad(x.tril(), (0, rows - columns)))[..., :columns]
        if "base" in self._buffers:
            q = self.base @ q
        result: Tensor = q.mT if transposed else q
        return result

    def _of_skew(self, lower: Tensor) -> Tensor:
        skew = lower - lower.mT
        if self.orthogonal_map is _OrthMaps.matrix_exp:
            exponential: Tensor = PUBLIC["matrix_exp"](skew)
            return exponential
        identity = eye(skew.size(-1), dtype=skew.dtype, device=skew.device)
        solved: Tensor = linalg.solve(identity - 0.5 * skew, identity + 0.5 * skew)
        return solved

    def right_inverse(self, q: Tensor) -> Tensor:
        if q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of "
                f"shape {q.shape}."
            )
        with no_grad():
            return self._right_inverse(q)

    def _right_inverse(self, given: Tensor) -> Tensor:
        q = given
        rows, columns = q.size(-2), q.size(-1)
        transposed = rows < columns
        if transposed:
            q = q.mT
            rows, columns = columns, rows
        if "base" not in self._buffers:
            if self.orthogonal_map is not _OrthMaps.householder:
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley "
                    "parametrizations when use_trivialization=False."
                )
            a, tau = PUBLIC["geqrf"](q)
            # Of both decompositions, the one whose other factor has a positive diagonal.
            diagonal = a.diagonal(dim1=-2, dim2=-1).sign()
            diagonal = diagonal.where(tau != 0.0, -diagonal)
            a = a.tril(-1) + a.triu(1) + PUBLIC["diag_embed"](diagonal)[..., :columns]
            result: Tensor = a
            return result.mT if transposed else result
        if rows == columns:
            self.base = q.clone() if _is_orthogonal(q) else _make_orthogonal(q)
        else:
            # Completed to a square matrix.
            more = randn(*q.shape[:-2], rows, rows - columns, dtype=q.dtype, device=q.device)
            self.base = _make_orthogonal(cat([q, more], -1))
        # Its forward is the identity, for householder by its diagonal.
        size = min(given.size(-2), given.size(-1))
        minus = zeros_like(given)
        minus[..., :size, :size] = -eye(size, dtype=given.dtype, device=given.device)
        return minus


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Keep a matrix, or each of a batch, orthogonal: columns of length 1, at right angles (rows,
    where there are fewer of them).

    orthogonal_map      "matrix_exp", "cayley" or "householder": how it is made of free numbers.
    use_trivialization  start from the matrix as it is (the nearest that is orthogonal).

    >>> layer = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(20, 40))
    """
    weight = _weight_of(module, name)
    if weight.ndim < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions."
        )
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square else "householder"
    kind = getattr(_OrthMaps, orthogonal_map, None)
    if kind is None:
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
            f"Got: {orthogonal_map}"
        )
    made = _Orthogonal(weight, kind, use_trivialization=use_trivialization)
    return parametrize.register_parametrization(module, name, made, unsafe=True)


# ---- weight normalization -----------------------------------------------------------------


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return normalized(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train a weight's norms, one an index of `dim` (None: one in all), apart from its direction
    (Salimans and Kingma, https://arxiv.org/abs/1602.07868). The norms are `original0`, the
    direction is `original1`; files of the older hook form can be loaded.

    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(20, 40))
    """
    made = _WeightNorm(dim)
    parametrize.register_parametrization(module, name, made, unsafe=True)

    def rename_older(state_dict: Any, prefix: str, *rest: Any) -> None:
        older = [f"{prefix}{name}_{letter}" for letter in "gv"]
        if all(key in state_dict for key in older):
            for i, key in enumerate(older):
                newer = f"{prefix}parametrizations.{name}.original{i}"
                state_dict[newer] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename_older)
    return module


# ---- spectral normalization ---------------------------------------------------------------


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        rank = weight.ndim
        if not -rank <= dim < rank:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{rank}, {rank - 1}] but "
                f"got {dim})"
            )
        check_iterations(n_power_iterations)
        self.dim = dim % rank
        self.eps = eps
        if rank > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight, self.dim)
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                self.register_buffer(name, random_direction(weight, size, eps))
            self._power_method(matrix, 15)

    def _power_method(self, matrix: Tensor, n_power_iterations: int) -> None:
        with no_grad():
            u, v = self._u, self._v
            for _ in range(n_power_iterations):
                u = F.normalize(matrix.mv(v), dim=0, eps=self.eps)
                v = F.normalize(matrix.t().mv(u), dim=0, eps=self.eps)
            self._u.copy_(u)
            self._v.copy_(v)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # Backward needs them as they are now, also after another forward.
        u, v = self._u.clone(), self._v.clone()
        result: Tensor = weight / u.dot(matrix.mv(v))
        return result

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value (Miyato et al.,
    https://arxiv.org/abs/1802.05957), which a step of the power method follows at each use in
    training.

    dim  the dimension of outputs; 0, but 1 in a transposed convolution.

    >>> layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(20, 40))
    """
    weight = _weight_of(module, name)
    made = _SpectralNorm(weight, n_power_iterations, output_dimension(module, dim), eps)
    return parametrize.register_parametrization(module, name, made)
