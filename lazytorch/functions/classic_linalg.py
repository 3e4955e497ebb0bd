"""Names that torch itself has for linear algebra, from before torch.linalg or beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen.dtype import DType
from lazytorch import return_types
from lazytorch.application import apply
from lazytorch.autocasting import in_float32
from lazytorch.functions import matrix_functions as functions
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.factoring import check_factors, factor_cholesky, factor_lu, factor_qr
from lazytorch.functions.matrices import need_float, need_square
from lazytorch.functions.matrix_functions import SLOGDET, matrix_norm_of
from lazytorch.functions.norms import vector_norm
from lazytorch.functions.registration import SAME, operation
from lazytorch.functions.solving import solve_factors
from lazytorch.functions.spectra import decompose
from lazytorch.tensor import Tensor


@operation(out=True)
@in_float32
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """As ``torch.linalg.cholesky``."""
    return factor_cholesky("cholesky", input, upper, True)[0]


@operation()
def det(input: Tensor) -> Tensor:
    """As ``torch.linalg.det``."""
    return functions.det(input)


@operation(out=True)
def slogdet(input: Tensor) -> Any:
    """As ``torch.linalg.slogdet``."""
    need_square("linalg.slogdet", input)
    need_float("linalg.slogdet", input, "lu_cpu")
    return return_types.slogdet(apply(SLOGDET, (input,))[:2])


@operation(out=True)
@in_float32
def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """LU and pivots as ``torch.linalg.lu_factor``, and infos if asked for."""
    factors = factor_lu(A, pivot)
    if get_infos:
        return return_types._lu_with_info(factors)
    check_factors("torch.linalg.lu_factor", factors[2])
    return factors[:2]


@operation(out=SAME)
@in_float32
def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """As ``torch.linalg.lu_solve``, with the right side first."""
    return solve_factors(LU_data, LU_pivots, b)


@operation(out=SAME)
@in_float32
def qr(input: Tensor, some: bool = True) -> Any:
    """As ``torch.linalg.qr``: reduced if ``some``, else complete."""
    return return_types.qr(factor_qr(input, "reduced" if some else "complete"))


@operation(out=SAME)
@in_float32
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """U, S and V (not transposed), reduced if ``some``; zeros for U and V without
    ``compute_uv``."""
    require_tensor("svd", input)
    u, s, v = decompose(input, not some and compute_uv)
    if not compute_uv:
        m, n = input.shape[-2:]
        u, v = input.new_zeros((*s.shape[:-1], m, m)), input.new_zeros((*s.shape[:-1], n, n))
        return return_types.svd((u, s, v))
    return return_types.svd((u, s, v.mT))


@operation()
def matrix_exp(input: Tensor) -> Tensor:
    """As ``torch.linalg.matrix_exp``."""
    return functions.matrix_exp(input)


@operation(out=True)
def matrix_power(input: Tensor, n: int) -> Tensor:
    """As ``torch.linalg.matrix_power``."""
    return functions.raise_to(input, n)


@operation(out=SAME)
def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, *,
    dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """The p-norm of all elements or along ``dim``; "fro" is 2, "nuc" the sum of singular values."""
    require_tensor("norm", input)
    if isinstance(p, str) and p != "fro":
        dims = tuple(range(input.ndim)) if dim is None and input.ndim > 2 else dim
        dims = (-2, -1) if dims is None else dims
        return matrix_norm_of(input, p, dims, keepdim, dtype, "linalg.matrix_norm")
    order = 2 if p is None or p == "fro" else p
    return vector_norm(input, order, dim, keepdim, dtype=dtype)


@operation(method=False, out=True)
def frobenius_norm(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """The square root of the sum of squares along ``dim``."""
    dims: Sequence[int] = (dim,) if isinstance(dim, int) else dim
    return functions.norm(input, None, tuple(dims) or None, keepdim)


@operation(method=False, out=True)
def nuclear_norm(input: Tensor, dim: Any = (-2, -1), keepdim: bool = False) -> Tensor:
    """The sum of the singular values of the matrices in two dimensions."""
    return matrix_norm_of(input, "nuc", dim, keepdim, None, "linalg.matrix_norm")


@operation(method=False)
def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norms of what stands at each place of ``dim``, which alone is longer than 1 then; of
    everything, for -1."""
    require_tensor("norm_except_dim", v)
    if dim == -1:
        return v.norm(pow)  # type: ignore[no-any-return]
    others = [d for d in range(v.ndim) if d != dim % v.ndim]
    return vector_norm(v, pow, others, True)
