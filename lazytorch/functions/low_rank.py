"""Approximate singular values by random projection (N. Halko, P. G. Martinsson and J. A. Tropp,
"Finding structure with randomness", 2011, algorithms 4.4 and 5.1)."""

from __future__ import annotations

from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.factoring import factor_qr
from lazytorch.functions.random import randn
from lazytorch.functions.registration import operation
from lazytorch.functions.spectra import decompose
from lazytorch.tensor import Tensor


def _approximate_basis(A: Tensor, q: int, niter: int) -> Tensor:
    """Orthonormal columns Q, q of them, such that Q Qᵀ A is close to A."""
    start = randn(A.shape[-1], q, dtype=A.dtype, device=A.device)
    Q = factor_qr(A.matmul(start), "reduced")[0]
    for _ in range(niter):
        Q = factor_qr(A.mT.matmul(Q), "reduced")[0]
        Q = factor_qr(A.matmul(Q), "reduced")[0]
    return Q


@operation(method=False)
def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and V of about the ``q`` largest singular values of A - M, by ``niter`` iterations."""
    require_tensor("svd_lowrank", A, "A")
    if M is not None:
        A = A - M
    is_wide = A.shape[-2] < A.shape[-1]
    tall = A.mT if is_wide else A
    basis = _approximate_basis(tall, 6 if q is None else q, 2 if niter is None else niter)
    U, S, Vh = decompose(basis.mT.matmul(tall), False)
    left, right = basis.matmul(U), Vh.mT
    return (right, S, left) if is_wide else (left, S, right)


@operation(method=False)
def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and V of about the ``q`` largest singular values of A, its columns' means taken off
    where ``center``: the principal directions are V's columns."""
    require_tensor("pca_lowrank", A, "A")
    m, n = A.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, True) if center else A, q, niter)
