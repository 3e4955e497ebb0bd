"""torch.linalg: norms of vectors, and of matrices by Frobenius."""

from __future__ import annotations

from codegen.dtype import DType
from lazytorch.functions.norms import vector_norm
from lazytorch.functions.reductions import Dims
from lazytorch.tensor import Tensor


def norm(
    A: Tensor, ord: float | str | None = None, dim: Dims = None, keepdim: bool = False, *,
    dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """The norm of a vector of any order, or of a matrix by Frobenius.

    Without ``ord``: the 2-norm of all elements, or of those along ``dim``.
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    count = A.ndim if dim is None else 1 if isinstance(dim, int) else len(dim)
    if count == 2:
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if count != 1:
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{A.ndim}D."
        )
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: order {ord} is for matrices, not vectors")
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)


def matrix_norm(
    A: Tensor, ord: float | str = "fro", dim: Dims = (-2, -1), keepdim: bool = False, *,
    dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """The Frobenius norm of the matrices in dimensions ``dim``."""
    if ord != "fro":
        raise NotImplementedError(f"linalg.matrix_norm: order {ord!r} is not supported yet")
    return vector_norm(A, 2, dim, keepdim, dtype=dtype)


__all__ = ["matrix_norm", "norm", "vector_norm"]
