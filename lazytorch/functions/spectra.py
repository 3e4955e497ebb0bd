"""Eigenvalues and singular values, and what follows from them: pseudo-inverse, rank, low rank.

Gradients as PyTorch's: of symmetric eigenvalues, M. Giles, "An extended collection of matrix
derivative results" (2008); of singular values, J. Townsend, "Differentiating the singular value
decomposition" (2016); of the pseudo-inverse, G. Golub and V. Pereyra, "The differentiation of
pseudo-inverses and nonlinear least squares problems" (1973), (4.12). Where values are equal, those
of vectors are infinite or NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.host import host_call
from codegen.ops.movement import reshape
from codegen.ops.reduction import full, max_, sum_
from lazytorch import return_types
from lazytorch.application import apply
from lazytorch.autocasting import in_float32
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.matrices import (
    Nodes,
    check_info,
    columns,
    converting_linalg,
    diagonal_matrix,
    each_column,
    each_row,
    linalg,
    mm,
    need_lapack,
    need_matrix,
    need_square,
    rows,
    sum_of,
    t,
    with_diagonal,
)
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor
from lazytorch.type_names import c_name, type_name

# ---- symmetric eigenvalues --------------------------------------------------------------------


def _eigh_gradient(
    _inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes, _upper: bool
) -> Nodes:
    (values, vectors), (g_values, g_vectors) = outputs, cotangents
    if g_vectors is None:
        if g_values is None:
            return [None]
        return [mm(ew.mul(vectors, each_column(g_values, vectors)), t(vectors))]
    inner = _skew(mm(t(vectors), g_vectors))  # what turns the vectors, of which half is enough
    inner = ew.mul(inner, ew.full_like(inner, 0.5))
    apart = ew.sub(each_column(values, inner), each_row(values, inner))
    inner = ew.div(inner, with_diagonal(apart, ew.full_like(apart, 1)))
    along = ew.full_like(inner, 0) if g_values is None else each_column(g_values, inner)
    return [mm(mm(vectors, with_diagonal(inner, along)), t(vectors))]


EIGH = Function(
    "linalg_eigh", lambda a, upper: host_call([a], "eigh", upper), _eigh_gradient,
    "LinalgEighBackward0",
)  # fmt: skip
EIGVALSH = Function("linalg_eigvalsh", lambda a, upper: host_call([a], "eigvalsh", upper))


def _need_symmetric(name: str, A: Any, UPLO: str) -> bool:
    """Whether the upper triangle is to be read."""
    need_square(name, A)
    if not isinstance(UPLO, str) or UPLO.upper() not in ("U", "L"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    need_lapack(A, "linalg_eigh_cpu")
    return UPLO.upper() == "U"


@linalg
@in_float32
def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """Ascending eigenvalues (*, n) and eigenvectors, in columns, of symmetric matrices (*, n, n),
    of which the triangle ``UPLO`` is read. NaN of what is not finite.

    >>> torch.linalg.eigh(torch.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    upper = _need_symmetric("linalg.eigh", A, UPLO)
    return return_types.linalg_eigh(apply(EIGH, (A,), (upper,)))


@linalg
@in_float32
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of ``eigh``."""
    upper = _need_symmetric("linalg.eigh", A, UPLO)
    if A._read().tracked:  # which needs the vectors
        return apply(EIGH, (A,), (upper,))[0]  # type: ignore[no-any-return]
    return apply(EIGVALSH, (A,), (upper,))  # type: ignore[no-any-return]


def _refuse_complex(name: str) -> NotImplementedError:
    return NotImplementedError(
        f"linalg.{name}: the eigenvalues of a matrix that is not symmetric are complex numbers, "
        "which are not supported. Of symmetric matrices use torch.linalg.eigh"
    )


@linalg
@in_float32
def eig(A: Tensor) -> Any:
    """Eigenvalues of general matrices are complex: NotImplementedError."""
    need_square("linalg.eig", A)
    raise _refuse_complex("eig")


@linalg
@in_float32
def eigvals(A: Tensor) -> Tensor:
    """Eigenvalues of general matrices are complex: NotImplementedError."""
    need_square("linalg.eigvals", A)
    raise _refuse_complex("eigvals")


# ---- singular values --------------------------------------------------------------------------


def _skew(x: Node) -> Node:
    return ew.sub(x, t(x))


def _svd_gradient(
    _inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes, full_matrices: bool
) -> Nodes:
    """Of full matrices, the first columns of U and V alone have one."""
    (u, s, v, _), (g_u, g_s, g_v, _) = outputs, cotangents
    k = s.shape[-1]
    if full_matrices:
        u, v = columns(u, 0, k), rows(v, 0, k)
        g_u = None if g_u is None else columns(g_u, 0, k)
        g_v = None if g_v is None else rows(g_v, 0, k)
    m, n = u.shape[-2], v.shape[-1]
    if g_u is None and g_v is None:
        return [None if g_s is None else mm(ew.mul(u, each_column(g_s, u)), v)]
    square = ew.mul(s, s)
    inner: Node | None = None
    if g_u is not None:
        like = mm(t(u), g_u)
        inner = ew.mul(_skew(like), each_column(s, like))
    if g_v is not None:
        like = mm(v, t(g_v))
        inner = sum_of(inner, ew.mul(_skew(like), each_row(s, like)))
    assert inner is not None
    apart = ew.sub(each_column(square, inner), each_row(square, inner))
    inner = ew.div(inner, with_diagonal(apart, ew.full_like(apart, 1)))
    inner = inner if g_s is None else ew.add(inner, diagonal_matrix(g_s))
    # What of U's columns' change leaves the space that they span, and of V's.
    left, right = mm(u, inner), None
    if g_u is not None and m > k:
        scaled = ew.div(g_u, each_column(s, g_u))
        left = ew.add(left, ew.sub(scaled, mm(u, mm(t(u), scaled))))
    if g_v is not None and n > k:
        scaled = ew.div(g_v, each_row(s, g_v))
        right = mm(u, ew.sub(scaled, mm(mm(scaled, t(v)), v)))
    return [sum_of(mm(left, v), right)]


SVD = Function(
    "linalg_svd", lambda a, full_matrices: host_call([a], "svd", full_matrices), _svd_gradient,
    "LinalgSvdBackward0",
)  # fmt: skip
SVDVALS = Function("linalg_svdvals", lambda a: host_call([a], "svdvals"))


def _not_found(info: int) -> str:
    if info == -4:
        return (
            "The algorithm failed to converge because the input matrix contained non-finite values."
        )
    return (
        "The algorithm failed to converge because the input matrix is ill-conditioned or has too "
        f"many repeated singular values (error code: {info})."
    )


def decompose(A: Any, full_matrices: bool) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and Vᵀ."""
    need_matrix("linalg.svd", A)
    need_lapack(A, "linalg_svd_cpu")
    u, s, v, info = apply(SVD, (A,), (bool(full_matrices),))
    check_info("linalg.svd", info, _not_found)
    return u, s, v


def singular_values(A: Any) -> Tensor:
    """In descending order."""
    if isinstance(A, Tensor) and A._read().tracked:  # which needs the vectors
        return decompose(A, False)[1]
    need_matrix("linalg.svd", A)
    need_lapack(A, "linalg_svd_cpu")
    values, info = apply(SVDVALS, (A,))
    check_info("linalg.svd", info, _not_found)
    return values  # type: ignore[no-any-return]


def _refuse_driver(driver: Any) -> None:
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with "
            "cuSOLVER backend."
        )


@linalg
@in_float32
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """U (*, m, m), S (*, k) descending, and Vh (*, n, n), with U diag(S) Vh = A; k, the smaller of
    m and n, columns of U and rows of Vh unless ``full_matrices``. LinAlgError of what is not
    finite, so it is computed at once.

    >>> torch.linalg.svd(torch.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    require_tensor("linalg_svd", A, "A")
    _refuse_driver(driver)
    return return_types.linalg_svd(decompose(A, full_matrices))


@linalg
@in_float32
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values (*, k) of matrices (*, m, n), descending."""
    require_tensor("linalg_svdvals", A, "A")
    _refuse_driver(driver)
    return singular_values(A)


# ---- the pseudo-inverse -----------------------------------------------------------------------


def _limits(values: Node, absolute: Node, relative: Node) -> Node:
    """Which values count: those above what is given absolutely, and relative to the largest."""
    batch = values.shape[:-1]
    if not values.shape[-1]:
        return full(0, values.shape, dt.bool_)
    largest = max_(values, (len(batch),))
    absolute, relative = [
        broadcast_to(ew.cast(x, values.dtype), batch) for x in (absolute, relative)
    ]
    limit = ew.maximum(absolute, ew.mul(relative, largest))
    return ew.gt(values, broadcast_to(reshape(limit, (*batch, 1)), values.shape))


def _pinv(a: Node, absolute: Node, relative: Node, symmetric: bool) -> Sequence[Node]:
    if symmetric:
        s, u = host_call([a], "eigh", False)
        size, info, v = ew.abs_(s), None, t(u)
    else:
        u, s, v, info = host_call([a], "svd", False)
        size = s
    counts = _limits(size, absolute, relative)
    inverse = ew.where(counts, ew.div(ew.full_like(s, 1), s), ew.full_like(s, 0))
    found = mm(ew.mul(t(v), each_column(inverse, t(v))), t(u))
    return found, info if info is not None else full(0, a.shape[:-2], dt.int32)


def _pinv_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes, _symmetric: bool
) -> Nodes:
    a, p, g = inputs[0], outputs[0], cotangents[0]
    if g is None:
        return [None] * 3
    m, n = a.shape[-2:]
    pt, gt = t(p), t(g)
    if m <= n:
        k = mm(gt, p)
        kp = mm(k, pt)
        parts = [
            ew.neg(t(mm(p, k))), kp, ew.neg(mm(mm(a, p), kp)),
            mm(mm(pt, p), ew.sub(gt, mm(k, a))),
        ]  # fmt: skip
    else:
        k = mm(p, gt)
        pk = mm(pt, k)
        parts = [
            ew.neg(t(mm(k, p))), mm(mm(ew.sub(gt, mm(a, k)), p), pt), pk,
            ew.neg(mm(mm(pk, p), a)),
        ]  # fmt: skip
    return [sum_of(*parts), None, None]


# (matrices, the least values that count absolutely and relative to the largest; whether symmetric)
PINV = Function("linalg_pinv", _pinv, _pinv_gradient)


def epsilon(dtype: dt.DType) -> float:
    """The distance from 1 to the next number of the element type."""
    return 2.0**-52 if dtype is dt.float64 else 2.0**-23


def tolerances(name: str, A: Tensor, atol: Any, rtol: Any) -> tuple[Any, Any]:
    """The absolute and the relative limit, with PyTorch's defaults."""
    for argument, x in (("atol", atol), ("rtol", rtol)):
        if isinstance(x, Tensor) and x.dtype.kind not in ("float", "int", "bool"):
            raise RuntimeError(
                f"{name}: {argument} tensor of complex type is not supported. Got "
                f"{type_name(x.dtype)}"
            )
    default = epsilon(A.dtype) * max(A._type.shape[-2:])
    if rtol is None:
        if isinstance(atol, Tensor):
            rtol = (atol <= 0).to(A.dtype) * default
        else:
            rtol = 0.0 if atol is not None and atol > 0 else default
    return 0.0 if atol is None else atol, rtol


def _pseudo_inverse(
    A: Any, atol: Any, rtol: Any, hermitian: bool, name: str = "linalg.pinv"
) -> Tensor:
    require_tensor("linalg_pinv", A)
    if A.ndim < 2 or not A.dtype.differentiable:
        raise RuntimeError(
            f"{name}({c_name(A.dtype).capitalize()}{{{list(A.shape)}}}): expected a tensor with 2 "
            "or more dimensions of float, double, cfloat or cdouble types"
        )
    need_lapack(A, "linalg_svd_cpu")
    if hermitian:
        need_square("linalg.eigh", A)
    limits = tolerances("linalg.pinv", A, atol, rtol)
    found, info = apply(PINV, (A, *limits), (bool(hermitian),))
    if not hermitian:
        check_info("linalg.svd", info, _not_found)
    return found  # type: ignore[no-any-return]


@converting_linalg
def pinv(
    A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None,
    **older: Any,
) -> Tensor:  # fmt: skip
    """The pseudo-inverse (*, n, m) of matrices (*, m, n): singular values up to the larger of
    ``atol`` and ``rtol`` times the largest count as 0."""
    return _pseudo_inverse(A, atol, rtol if rcond is None else rcond, hermitian)


@operation()
@in_float32
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """As ``torch.linalg.pinv``, with a limit relative to the largest singular value."""
    return _pseudo_inverse(input, None, rcond, False)


@converting_linalg
@in_float32
def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None,
) -> Tensor:  # fmt: skip
    """How many singular values (absolute eigenvalues if ``hermitian``) are larger than ``atol``
    and than ``rtol`` times the largest; int64 (*)."""
    name = "torch.linalg.matrix_rank"
    require_tensor("linalg_matrix_rank", A)
    if A.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor input must have at least 2 dimensions.")
    if tol is not None:
        atol, rtol = tol, 0.0
    if not A.numel():
        return A.new_zeros(A.shape[:-2], dtype=dt.int64)  # type: ignore[no-any-return]
    values = eigvalsh(A.detach()).abs() if hermitian else singular_values(A.detach())
    absolute, relative = tolerances(name, A, atol, rtol)
    return apply(RANK, (values, absolute, relative))  # type: ignore[no-any-return]


def _rank(values: Node, absolute: Node, relative: Node) -> Node:
    counts = ew.cast(_limits(values, absolute, relative), dt.int64)
    return sum_(counts, (len(values.shape) - 1,))


RANK = Function("linalg_matrix_rank", _rank)
