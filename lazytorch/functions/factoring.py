"""Factors of matrices: Cholesky, LU, QR by Householder reflectors, LDL. Each is a host call.

Gradients are those of PyTorch's derivatives: Cholesky as in I. Murray, "Differentiation of the
Cholesky decomposition" (2016); QR as in S. Walter and L. Lehmann, "Algorithmic differentiation of
linear algebra functions" (2010) and, of wide matrices, D. Roberts and L. Roberts, "QR and LQ
decomposition matrix backpropagation algorithms" (2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.host import host_call
from codegen.ops.indexing import concatenate
from codegen.ops.leaves import iota
from codegen.ops.movement import reshape, slice_
from codegen.ops.reduction import broadcast
from lazytorch import return_types
from lazytorch.application import apply
from lazytorch.autocasting import in_float32
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import call_function, not_differentiable
from lazytorch.functions.matrices import (
    Nodes,
    check_info,
    columns,
    converting_linalg,
    derivative_of,
    factored_order,
    identity,
    linalg,
    lower,
    mm,
    need_float,
    need_lapack,
    need_matrix,
    need_square,
    original_order,
    rows,
    scale_diagonal,
    sum_of,
    t,
    take_rows,
    upper,
)
from lazytorch.functions.registration import SAME, operation
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name

# ---- triangular systems: what the gradients of all of them need -------------------------------


def _triangular(a: Node, b: Node, is_upper: bool, left: bool, unit: bool) -> Node:
    if left:
        return host_call([a, b], "triangular_solve", is_upper, unit)[0]
    return t(host_call([t(a), t(b)], "triangular_solve", not is_upper, unit)[0])


def _triangular_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes,
    is_upper: bool, left: bool, unit: bool,
) -> Nodes:  # fmt: skip
    (a, _), (x,), (g,) = inputs, outputs, cotangents
    if g is None:
        return [None, None]
    b = solve_triangle(t(a), g, not is_upper, left, unit)
    whole = ew.neg(mm(b, t(x)) if left else mm(t(x), b))
    triangle = upper if is_upper else lower
    return [triangle(whole, int(unit)), b]


# Matrices of one batch.
TRIANGULAR = Function("triangle_solve", _triangular, _triangular_gradient)


def solve_triangle(
    a: Node, b: Node, is_upper: bool, left: bool = True, unit: bool = False
) -> Node:  # fmt: skip
    """X with A X = B (or X A = B), reading a triangle of A."""
    return call_function(TRIANGULAR, (a, b), (is_upper, left, unit))


# ---- Cholesky ---------------------------------------------------------------------------------


def _cholesky(a: Node, is_upper: bool) -> tuple[Node, Node]:
    factor, info = host_call([t(a) if is_upper else a], "cholesky")
    return t(factor) if is_upper else factor, info


def _cholesky_gradient(
    _inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes, is_upper: bool
) -> Nodes:
    factor, g = outputs[0], cotangents[0]
    if g is None:
        return [None]
    if is_upper:
        factor, g = t(factor), t(g)
    inner = lower(mm(t(factor), g), diagonal=0.5)
    half = solve_triangle(t(factor), inner, True)
    found = solve_triangle(factor, half, False, left=False)
    return [ew.mul(ew.add(found, t(found)), ew.full_like(found, 0.5))]


CHOLESKY = Function(
    "linalg_cholesky_ex", _cholesky, _cholesky_gradient, "LinalgCholeskyExBackward0"
)


def not_positive(order: int) -> str:
    return (
        "The factorization could not be completed because the input is not positive-definite (the "
        f"leading minor of order {order} is not positive-definite)."
    )


def factor_cholesky(name: str, A: Any, is_upper: bool, check: bool) -> tuple[Tensor, Tensor]:
    need_square(name, A)
    need_float(name, A, "cholesky_cpu")
    factor, info = apply(CHOLESKY, (A,), (bool(is_upper),))
    if check:
        check_info(name, info, not_positive)
    return factor, info


@linalg
@in_float32
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """The Cholesky factor of symmetric positive-definite matrices (*, n, n), and ``info``: 0, or
    the order of the leading minor that is not positive. Nothing is computed before it is read.

    >>> torch.linalg.cholesky_ex(torch.tensor([[4.0, 2.0], [2.0, 5.0]])).L
    tensor([[2., 0.],
            [1., 2.]])
    """
    name = "linalg.cholesky_ex" if check_errors else "linalg.cholesky"
    return return_types.linalg_cholesky_ex(factor_cholesky(name, A, upper, check_errors))


@linalg
@in_float32
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L with L Lᵀ = A (U with Uᵀ U = A if ``upper``), of symmetric positive-definite matrices
    (*, n, n); LinAlgError of others, for which they are computed at once."""
    return factor_cholesky("linalg.cholesky", A, upper, True)[0]


# ---- LU ---------------------------------------------------------------------------------------


def _lu_factor(a: Node) -> Sequence[Node]:
    return host_call([a], "lu_factor")


def _lu_factor_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes
) -> Nodes:  # fmt: skip
    """Of wide matrices [A₁ A₂] = L [U₁ U₂], and tall ones, by their square part."""
    packed, pivots, g = outputs[0], outputs[1], cotangents[0]
    if g is None:
        return [None]
    m, n = packed.shape[-2:]
    k = min(m, n)
    low, up = columns(packed, 0, k), rows(packed, 0, k)
    square_low = rows(low, 0, k)
    square_up = columns(up, 0, k)
    g_low = lower(columns(g, 0, k), 1)
    g_up = upper(rows(g, 0, k))
    inner = None
    rest: Node | None = None
    square_low = ew.add(lower(square_low, 1), identity(square_low.shape, packed.dtype))
    square_up = upper(square_up)
    if m < n:
        g_rest, up_rest = columns(g_up, k, n), columns(up, k, n)
        rest = solve_triangle(t(square_low), g_rest, True, unit=True)
        inner = ew.neg(lower(mm(g_rest, t(up_rest)), 1))
    elif m > n:
        low_rest, g_rest = rows(low, k, m), rows(g_low, k, m)
        rest = solve_triangle(t(square_up), g_rest, False, left=False)
        inner = ew.neg(upper(mm(t(low_rest), g_rest)))
    below = lower(mm(t(square_low), rows(g_low, 0, k)), 1)
    above = upper(mm(columns(g_up, 0, k), t(square_up)))
    total = sum_of(below, above, inner)
    assert total is not None
    found = solve_triangle(
        t(square_up), solve_triangle(t(square_low), total, True, unit=True), False, left=False
    )
    if rest is not None:
        found = concatenate([found, rest], len(found.shape) - (1 if m < n else 2))
    return [take_rows(found, original_order(pivots, m))]


LU_FACTOR = Function(
    "linalg_lu_factor_ex",
    _lu_factor,
    _lu_factor_gradient,
    "LinalgLuFactorExBackward0",
    saves=lambda *_: (~0, ~1),
)


def check_factors(name: str, info: Tensor) -> None:
    """Refuse a U with a zero on its diagonal."""
    check_info(
        name,
        info,
        lambda i: (
            f"U[{i},{i}] is zero and using it on lu_solve would result in a division by zero. If "
            "you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
            "linalg.lu_factor_ex(A, pivot)"
        ),
        RuntimeError,
    )


def factor_lu(A: Any, pivot: bool, name: str = "linalg.lu_factor") -> tuple[Tensor, ...]:
    """LU, pivots and info."""
    need_matrix(name, A)
    need_float(name, A, "lu_cpu")
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    return apply(LU_FACTOR, (A,))  # type: ignore[no-any-return]


@linalg
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """L and U of P L U = A packed into one matrix (*, m, n), the rows that were exchanged (*, k),
    counted from 1, and ``info``: 0, or the place of the first zero on U's diagonal."""
    factors = factor_lu(A, pivot)
    if check_errors:
        check_factors("torch.linalg.lu_factor_ex", factors[2])
    return return_types.linalg_lu_factor_ex(factors)


@linalg
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """As ``lu_factor_ex``; RuntimeError where U has a zero on its diagonal."""
    factors = factor_lu(A, pivot)
    check_factors("torch.linalg.lu_factor", factors[2])
    return return_types.linalg_lu_factor(factors[:2])


def unpack_factors(packed: Node, pivots: Node) -> tuple[Node, Node, Node]:
    """P, L and U with P L U = A."""
    *batch, m, n = packed.shape
    k = min(m, n)
    low = columns(packed, 0, k)
    low = ew.add(lower(low, 1), identity(low.shape, packed.dtype))
    up = upper(rows(packed, 0, k))
    shape = (*batch, m, m)
    order = factored_order(pivots, m)
    here = broadcast(order, shape, (*range(len(batch)), len(batch) + 1))
    places = broadcast(iota(m), shape, (len(batch),))
    return ew.cast(ew.eq(here, places), packed.dtype), low, up


LU_UNPACK = Function("lu_unpack", unpack_factors, gradient_name="LuUnpackBackward0")


@linalg
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """P (*, m, m), L (*, m, k) and U (*, k, n) with P L U = A, where k is the smaller of m, n."""
    packed, pivots, _ = factor_lu(A, pivot)
    P, L, U = apply(LU_UNPACK, (packed, pivots))
    return return_types.linalg_lu((P.detach(), L, U))


@operation(method=False, out=SAME)
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """P, L and U of what ``lu_factor`` gives; empty tensors for what is not asked for."""
    require_tensor("lu_unpack", LU_data, "LU_data")
    if unpack_pivots and LU_pivots.dtype is not dt.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype."
            "\nNote: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor"
        )
    P, L, U = apply(LU_UNPACK, (LU_data, LU_pivots))
    P = P.detach()
    nothing = LU_data.new_empty(0)
    if not unpack_data:
        L = U = nothing
    return return_types.lu_unpack((P if unpack_pivots else nothing, L, U))


# ---- QR ---------------------------------------------------------------------------------------


def _qr(a: Node, mode: str) -> Sequence[Node]:
    return host_call([a], "qr", mode)


def _qr_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes, mode: str
) -> Nodes:
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please "
            "use linalg.qr(A, mode='reduced') if you are going to require gradients."
        )
    (a,), (q, r), (g_q, g_r) = inputs, outputs, cotangents
    m, n = a.shape[-2:]
    if mode == "complete" and m > n:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols"
        )
    if g_q is None and g_r is None:
        return [None]
    if m >= n:
        return [_tall_qr_gradient(q, r, g_q, g_r)]
    # A = [X Y] with X square: X = Q U, Y = Q V.
    rest = None
    if g_r is not None:
        g_v = columns(g_r, m, n)
        rest = mm(q, g_v)
        g_q = sum_of(g_q, mm(columns(a, m, n), t(g_v)))
        g_r = columns(g_r, 0, m)
    found = _tall_qr_gradient(q, columns(r, 0, m), g_q, g_r)
    if rest is None:
        rest = ew.full_like(columns(a, m, n), 0)
    return [concatenate([found, rest], len(a.shape) - 1)]


def _tall_qr_gradient(q: Node, r: Node, g_q: Node | None, g_r: Node | None) -> Node:
    inner = sum_of(
        None if g_r is None else mm(g_r, t(r)), None if g_q is None else ew.neg(mm(t(q), g_q))
    )
    assert inner is not None
    triangle = upper(inner)
    symmetric = scale_diagonal(ew.add(triangle, t(triangle)), 0.5)
    total = sum_of(mm(q, symmetric), g_q)
    assert total is not None
    return solve_triangle(t(r), total, False, left=False)


QR = Function("linalg_qr", _qr, _qr_gradient, "LinalgQrBackward0")


def factor_qr(A: Any, mode: str) -> tuple[Tensor, Tensor]:
    need_matrix("linalg.qr", A)
    need_float("linalg.qr", A, "geqrf_cpu")
    if mode not in ("reduced", "r", "complete"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    found = apply(QR, (A,), (mode,))
    return (A.new_empty(0), found) if mode == "r" else found


@linalg
@in_float32
def qr(A: Tensor, mode: str = "reduced") -> Any:
    """Q (*, m, k), of orthonormal columns, and upper triangular R (*, k, n) with Q R = A; k is the
    smaller of m, n (reduced) or m (complete). In mode r Q is empty."""
    return return_types.linalg_qr(factor_qr(A, mode))


# ---- Householder reflectors ---------------------------------------------------------------------


GEQRF = Function("geqrf", lambda a: host_call([a], "geqrf"), not_differentiable("geqrf"))


@operation(out=True)
@in_float32
def geqrf(input: Tensor) -> Any:
    """R above the Householder vectors of Q, (*, m, n), and their factors tau, (*, k)."""
    require_tensor("geqrf", input)
    if input.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    need_lapack(input, "geqrf_cpu")
    return return_types.geqrf(apply(GEQRF, (input,)))


def _reflected(v: Node, tau: Node, x: Node, order: Sequence[int]) -> Node:
    """Reflectors applied to a matrix one after another; of v, what is below the diagonal."""
    rank = len(v.shape)
    low = ew.add(lower(v, 1), identity(v.shape, v.dtype))
    for i in order:
        vector = columns(low, i, i + 1)
        factor = slice_(tau, (*[0] * (rank - 2), i), (*tau.shape[:-1], 1), (1,) * (rank - 1))
        along = mm(t(vector), x)
        scale = broadcast_to(reshape(factor, (*factor.shape, 1)), vector.shape)
        x = ew.sub(x, mm(ew.mul(vector, scale), along))
    return x


def _product(v: Node, tau: Node) -> Sequence[Node]:
    q = identity(v.shape, v.dtype)
    return [_reflected(v, tau, q, range(tau.shape[-1] - 1, -1, -1))]


def _ormqr(v: Node, tau: Node, c: Node, left: bool, transposed: bool) -> Sequence[Node]:
    first_to_last = range(tau.shape[-1])
    # Q C applies the last reflector first; Qᵀ C the first. C Q is the transposed of Qᵀ Cᵀ.
    backwards = left != transposed
    order = first_to_last[::-1] if backwards else first_to_last
    if left:
        return [_reflected(v, tau, c, order)]
    return [t(_reflected(v, tau, t(c), order))]


HOUSEHOLDER = Function(
    "linalg_householder_product", lambda v, tau: host_call([v, tau], "orgqr"),
    derivative_of(_product), "LinalgHouseholderProductBackward0", saves=lambda *_: (0, 1, ~0),
)  # fmt: skip
ORMQR = Function(
    "ormqr",
    lambda v, tau, c, left, transposed: host_call([v, tau, c], "ormqr", left, transposed),
    derivative_of(_ormqr),
    saves=lambda *_: (0, 1, 2, ~0),
)


def form_product(A: Tensor, tau: Tensor) -> Tensor:
    name = "torch.linalg.householder_product"
    require_tensor("linalg_householder_product", A)
    require_tensor("linalg_householder_product", tau, "tau", 2)
    a, f = A._type.shape, tau._type.shape
    if A.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if a[-2] < a[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if not f or a[-1] < f[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if A.ndim - tau.ndim != 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal "
            f"to {tau.ndim} and input.ndim is equal to {A.ndim}"
        )
    if f[:-1] != a[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got "
            f"{list(f[:-1])}"
        )
    if tau.dtype is not A.dtype:
        raise RuntimeError(
            f"{name}: tau dtype {type_name(tau.dtype)} does not match input dtype "
            f"{type_name(A.dtype)}"
        )
    need_lapack(A, "orgqr_cpu")
    return apply(HOUSEHOLDER, (A, tau))  # type: ignore[no-any-return]


@converting_linalg
@in_float32
def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of the product of Householder reflectors: (*, m, n) and (*, k)."""
    return form_product(A, tau)


@operation(out=True)
@in_float32
def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """As ``torch.linalg.householder_product``."""
    return form_product(input, input2)


@operation(
    out=(
        "torch.ormqr: Expected input and result to have the same dtype, but input has dtype{made} "
        "and result has dtype {out}"
    )
)
@in_float32
def ormqr(
    input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False
) -> Tensor:
    """Q C, Qᵀ C, C Q or C Qᵀ, where Q (m, m) is a product of Householder reflectors (*, m, k)."""
    for place, (argument, x) in enumerate((("input", input), ("tau", tau), ("other", other))):
        require_tensor("ormqr", x, argument, place + 1)
    name = "torch.ormqr"
    for argument, x in (("input", input), ("other", other)):
        if x.ndim < 2:
            raise RuntimeError(f"{name}: {argument} must have at least 2 dimensions.")
    axis = -2 if left else -1
    a, f, c = input._type.shape, tau._type.shape, other._type.shape
    if c[axis] < f[-1]:
        raise RuntimeError(
            f"{name}: other.shape[{axis}] must be greater than or equal to tau.shape[-1]"
        )
    if c[axis] != a[-2]:
        raise RuntimeError(f"{name}: other.shape[{axis}] must be equal to input.shape[-2]")
    if f[-1] > a[-1]:
        raise RuntimeError(
            f"{name}: tau.shape[-1] must be equal to min(other.shape[{axis}], input.shape[-1])"
        )
    for argument, x, batch in (("tau", tau, f[:-1]), ("other", other, c[:-2])):
        if batch != a[:-2]:
            raise RuntimeError(
                f"{name}: Expected batch dimensions of {argument} to be equal to input.shape[:-2], "
                f"but got {list(batch)}"
            )
        if x.dtype is not input.dtype:
            raise RuntimeError(
                f"{name}: Expected input and {argument} to have the same dtype, but input has "
                f"dtype{type_name(input.dtype)} and {argument} has dtype {type_name(x.dtype)}"
            )
    need_lapack(input, "ormqr_cpu")
    return apply(ORMQR, (input, tau, other), (bool(left), bool(transpose)))  # type: ignore[no-any-return]


# ---- LDL --------------------------------------------------------------------------------------

LDL_FACTOR = Function(
    "linalg_ldl_factor_ex",
    lambda a: host_call([a], "ldl_factor"),
    not_differentiable("linalg_ldl_factor_ex"),
)


def _factor_ldl(name: str, A: Any, check: bool) -> tuple[Tensor, ...]:
    need_square(f"torch.{name}", A)
    need_float(f"torch.{name}", A, "ldl_factor_cpu")
    found = apply(LDL_FACTOR, (A,))
    if check:
        check_info(
            f"torch.{name}", found[2], lambda i: f"D[{i},{i}] is zero: the matrix is singular"
        )
    return found  # type: ignore[no-any-return]


@linalg
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """L and D of L D Lᵀ, packed (*, n, n), with the rows exchanged (*, n), and ``info``, of
    symmetric matrices of which the lower triangle is read."""
    found = _factor_ldl("linalg.ldl_factor_ex", A, check_errors)
    return return_types.linalg_ldl_factor_ex(found)


@linalg
def ldl_factor(A: Tensor, *, hermitian: bool = False) -> Any:
    """As ``ldl_factor_ex``; LinAlgError where D has a zero on its diagonal."""
    return return_types.linalg_ldl_factor(_factor_ldl("linalg.ldl_factor", A, True)[:2])
