"""The routines that host calls run: matrices in (leading dimensions are a batch), results out.

NumPy's run over a batch in C, so many small matrices are its. SciPy's LAPACK is the faster one, and
has what NumPy lacks: packed factors with their pivots, and what is solved with them; it is loaded
when such a routine first runs. None of these raises because
of values: what cannot be factored is told by ``info``, LAPACK's number of what went wrong (0 where
nothing did), and leaves NaN or a part of the result.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen import dtype as dt

Array = NDArray[Any]
Shape = tuple[int, ...]
# The shape of a result and its element type, None for that of the first input.
Result = tuple[Shape, dt.DType | None]


@dataclass(frozen=True)
class Routine:
    """``shapes``: (input shapes, *attributes) -> the results; ``run``: (*arrays, *attributes) ->
    them."""

    shapes: Callable[..., Sequence[Result]]
    run: Callable[..., Sequence[Array]]


ROUTINES: dict[str, Routine] = {}


def routine(
    shapes: Callable[..., Sequence[Result]],
) -> Callable[[Callable[..., Sequence[Array]]], Callable[..., Sequence[Array]]]:
    """Enter a routine under its function's name."""

    def enter(run: Callable[..., Sequence[Array]]) -> Callable[..., Sequence[Array]]:
        ROUTINES[run.__name__] = Routine(shapes, run)
        return run

    return enter


def _each(a: Array, *others: Array) -> Any:
    """The places of a batch, and what stands there in each array."""
    for place in np.ndindex(a.shape[:-2]):
        yield place, a[place], *[x[place] for x in others]


@functools.cache
def _scipy() -> Any:
    return importlib.import_module("scipy.linalg")


def _lapack(name: str, a: Array, library: str = "lapack") -> Any:
    """LAPACK's (or BLAS's) routine for the array's element type."""
    prefix = "s" if a.dtype == np.float32 else "d"
    return getattr(getattr(_scipy(), library), prefix + name)


def _are_many_small(a: Array) -> bool:
    """Whether calls of SciPy, one a matrix, take longer than what they do."""
    return not a.size or (a.shape[-1] < _SMALL and math.prod(a.shape[:-2]) > 1)


_SMALL = 32


def _info(a: Array) -> Array:
    return np.zeros(a.shape[:-2], np.int32)


def _identity(shape: Shape, dtype: Any) -> Array:
    return np.broadcast_to(np.eye(*shape[-2:], dtype=dtype), shape)


# ---- Cholesky ---------------------------------------------------------------------------------


@routine(lambda shapes: [(shapes[0], None), (shapes[0][:-2], dt.int32)])
def cholesky(a: Array) -> Sequence[Array]:
    """The lower factor, and the order of the leading minor that is not positive."""
    info = _info(a)
    if _are_many_small(a) and np.isfinite(a).all():
        try:
            return np.linalg.cholesky(a), info
        except np.linalg.LinAlgError:
            pass
    lower = np.zeros_like(a)
    factor = _lapack("potrf", a)
    for place, matrix in _each(a):
        if np.isfinite(matrix).all():
            upper, info[place] = factor(matrix.T, lower=0, clean=1)  # which copies no rows
            lower[place] = upper.T
            if info[place]:
                lower[place], info[place] = factor(matrix, lower=1, clean=1)
        else:
            info[place] = _cholesky_by_columns(matrix, lower[place])
    return lower, info


def _cholesky_by_columns(a: Array, lower: Array) -> int:
    """The factor of what is not finite: libraries lose NaN on their fast ways."""
    for j in range(len(a)):
        pivot = a[j, j] - lower[j, :j] @ lower[j, :j]
        if not pivot > 0:
            lower[j, j] = pivot
            return j + 1
        lower[j, j] = np.sqrt(pivot)
        lower[j + 1 :, j] = (a[j + 1 :, j] - lower[j + 1 :, :j] @ lower[j, :j]) / lower[j, j]
    return 0


# ---- LU ---------------------------------------------------------------------------------------


def _lu_shapes(shapes: Sequence[Shape]) -> Sequence[Result]:
    *batch, m, n = shapes[0]
    return [(shapes[0], None), ((*batch, min(m, n)), dt.int32), (tuple(batch), dt.int32)]


@routine(_lu_shapes)
def lu_factor(a: Array) -> Sequence[Array]:
    """L below the diagonal and U on and above it, the rows exchanged, from 1 on, and the place of
    the first 0 on U's diagonal."""
    packed, info = np.empty_like(a), _info(a)
    pivots = np.zeros((*a.shape[:-2], min(a.shape[-2:])), np.int32)
    if a.size:
        factor = _lapack("getrf", a)
        for place, matrix in _each(a):
            packed[place], exchanged, info[place] = factor(matrix)
            pivots[place] = exchanged + 1
    return packed, pivots, info


@routine(lambda shapes, rows, _back: [((*shapes[0][:-1], rows), dt.int64)])
def permutation(pivots: Array, rows: int, back: bool) -> Sequence[Array]:
    """Where each row of L U comes from in the factored matrix: A[permutation] = L U; or ``back``:
    A = (L U)[permutation]."""
    order = np.empty((*pivots.shape[:-1], rows), np.int64)
    order[...] = np.arange(rows)
    for place in np.ndindex(pivots.shape[:-1]):
        row = order[place]
        for i, other in enumerate(pivots[place].clip(1, max(rows, 1)) - 1):
            row[i], row[other] = row[other], row[i]
    return (np.argsort(order, -1) if back else order,)


@routine(lambda shapes, _transposed: [(shapes[2], None)])
def lu_solve(lu: Array, pivots: Array, b: Array, transposed: bool) -> Sequence[Array]:
    """X with A X = B, or Aᵀ X = B; A's factors are those of ``lu_factor``. One batch for all."""
    x = np.zeros_like(b)
    if x.size:
        solve = _lapack("getrs", lu)
        for place, matrix, rows, right in _each(lu, pivots, b):
            if (rows < 1).any() or (rows > len(rows)).any():
                x[place] = np.nan
            else:
                x[place] = solve(matrix, rows - 1, right, trans=int(transposed))[0]
    return (x,)


# ---- LDLᵀ -------------------------------------------------------------------------------------


@routine(_lu_shapes)
def ldl_factor(a: Array) -> Sequence[Array]:
    """L D Lᵀ of a symmetric matrix, from its lower triangle, packed as LAPACK's sytrf does."""
    packed, info = np.zeros_like(a), _info(a)
    pivots = np.zeros((*a.shape[:-2], a.shape[-1]), np.int32)
    if a.size:
        factor = _lapack("sytrf", a)
        for place, matrix in _each(a):
            packed[place], exchanged, info[place] = factor(matrix, lower=1)
            pivots[place] = exchanged
    return np.tril(packed), pivots, info


@routine(lambda shapes: [(shapes[2], None)])
def ldl_solve(ld: Array, pivots: Array, b: Array) -> Sequence[Array]:
    """X with A X = B; A's factors are those of ``ldl_factor``. One batch for all."""
    x = b.copy()
    for _, factors, exchanged, right in _each(ld, pivots, x):
        _solve_ldl(factors, exchanged, right)
    return (x,)


def _solve_ldl(a: Array, pivots: Array, x: Array) -> None:
    """LAPACK's sytrs, which not every SciPy has, in place. A pivot below 0, twice, is of a block of
    two rows, of which the second was exchanged."""
    n, k = len(a), 0
    ends = []
    while k < n:
        size = 1 if pivots[k] > 0 else 2
        block = slice(k, k + size)
        ends.append(block)
        _exchange(x, k + size - 1, abs(pivots[k]) - 1)
        x[k + size :] -= a[k + size :, block] @ x[block]
        diagonal = np.tril(a[block, block])
        diagonal = diagonal + np.tril(diagonal, -1).T
        if size == 1:
            x[block] /= diagonal
        else:
            x[block] = np.linalg.solve(diagonal, x[block])
        k += size
    for block in reversed(ends):
        x[block] -= a[block.stop :, block].T @ x[block.stop :]
        _exchange(x, block.stop - 1, abs(pivots[block.start]) - 1)


def _exchange(x: Array, i: int, j: int) -> None:
    x[[i, j]] = x[[j, i]]


# ---- triangles --------------------------------------------------------------------------------


@routine(lambda shapes, _upper, _unit: [(shapes[1], None)])
def triangular_solve(a: Array, b: Array, upper: bool, unit: bool) -> Sequence[Array]:
    """X with A X = B, where only a triangle of A is read, and its diagonal is 1 if ``unit``."""
    x = np.empty_like(b)
    if x.size:
        solve = _lapack("trsm", a, "blas")
        one = a.dtype.type(1)
        for place, matrix, right in _each(a, b):
            # Rows first is columns first of the transposed: Xᵀ Aᵀ = Bᵀ, without a copy of A.
            x[place] = solve(
                one, matrix.T, right.T, side=1, lower=int(upper), diag=int(unit)
            ).T  # fmt: skip
    return (x,)


# ---- QR ---------------------------------------------------------------------------------------


def _qr_shapes(shapes: Sequence[Shape], mode: str) -> Sequence[Result]:
    *batch, m, n = shapes[0]
    k = m if mode == "complete" else min(m, n)
    r = ((*batch, k, n), None)
    return [r] if mode == "r" else [((*batch, m, k), None), r]


@routine(_qr_shapes)
def qr(a: Array, mode: str) -> Sequence[Array]:
    """Q and R, as ``numpy.linalg.qr``; R alone in mode r."""
    if mode == "r":
        return (np.asarray(np.linalg.qr(a, mode="r")),)
    return tuple(np.linalg.qr(a, mode=mode))  # type: ignore[call-overload]


@routine(lambda shapes: [(shapes[0], None), (_lu_shapes(shapes)[1][0], None)])
def geqrf(a: Array) -> Sequence[Array]:
    """R above Householder vectors, and their factors tau."""
    packed, tau = np.linalg.qr(a, mode="raw")
    return packed.swapaxes(-1, -2), tau


@routine(lambda shapes: [(shapes[0], None)])
def orgqr(v: Array, tau: Array) -> Sequence[Array]:
    """The first columns of the product of Householder reflectors."""
    q = _identity(v.shape, v.dtype).copy()
    if q.size and tau.shape[-1]:
        form = _lapack("orgqr", v)
        for place, matrix, factors in _each(v, tau):
            q[place] = form(matrix, factors)[0]
    return (q,)


@routine(lambda shapes, _left, _transposed: [(shapes[2], None)])
def ormqr(v: Array, tau: Array, c: Array, left: bool, transposed: bool) -> Sequence[Array]:
    """A product with the whole matrix Q of Householder reflectors, or with its transpose."""
    x = c.copy()
    if x.size and tau.shape[-1]:
        multiply = _lapack("ormqr", v)
        for place, matrix, factors, other in _each(v, tau, c):
            side, way = "L" if left else "R", "T" if transposed else "N"
            # Room to work in blocks of 64 columns.
            room = 64 * max(other.shape)
            x[place] = multiply(side, way, matrix[:, : len(factors)], factors, other, room)[0]
    return (x,)


# ---- eigenvalues and singular values -----------------------------------------------------------


@routine(lambda shapes, _upper: [(shapes[0][:-1], None), (shapes[0], None)])
def eigh(a: Array, upper: bool) -> Sequence[Array]:
    """Ascending eigenvalues and their vectors of symmetric matrices, of which a triangle is read;
    NaN where they cannot be found."""
    if _are_many_small(a):
        try:
            return tuple(np.linalg.eigh(a, "U" if upper else "L"))
        except np.linalg.LinAlgError:
            pass
    values, vectors = np.empty(a.shape[:-1], a.dtype), np.empty_like(a)
    decompose = _lapack("syevd", a)
    for place, matrix in _each(a):
        values[place], vectors[place], info = decompose(matrix, lower=not upper)
        if info:
            values[place], vectors[place] = np.nan, np.nan
    return values, vectors


@routine(lambda shapes, upper: [(shapes[0][:-1], None)])
def eigvalsh(a: Array, upper: bool) -> Sequence[Array]:
    """As ``eigh``, without the vectors."""
    try:
        return (np.linalg.eigvalsh(a, "U" if upper else "L"),)
    except np.linalg.LinAlgError:
        return (eigh(a, upper)[0],)


def _svd_shapes(shapes: Sequence[Shape], full: bool) -> Sequence[Result]:
    *batch, m, n = shapes[0]
    k = min(m, n)
    u, v = (m, n) if full else (k, k)
    return [
        ((*batch, m, u), None), ((*batch, k), None), ((*batch, v, n), None),
        (tuple(batch), dt.int32),
    ]  # fmt: skip


# What newer LAPACKs say of an input that is not finite, and what is said of one that did not
# converge, for NumPy does not tell how many values are missing.
_NOT_FINITE, _NOT_CONVERGED = -4, 1


@routine(_svd_shapes)
def svd(a: Array, full: bool) -> Sequence[Array]:
    """U, the singular values in descending order, Vᵀ, and what went wrong."""
    info = np.where(np.isfinite(a).all((-2, -1)), 0, _NOT_FINITE).astype(np.int32)
    if _are_many_small(a) and not info.any():
        try:
            return (*np.linalg.svd(a, full_matrices=full), info)
        except np.linalg.LinAlgError:
            pass
    found = [np.full(s, np.nan, a.dtype) for s, _ in _svd_shapes([a.shape], full)[:3]]
    decompose = _lapack("gesdd", a)
    for place, matrix in _each(a):
        if info[place]:
            continue
        *parts, failed = decompose(matrix, full_matrices=full)
        if failed:
            info[place] = _NOT_CONVERGED
            continue
        for target, part in zip(found, parts, strict=True):
            target[place] = part
    return (*found, info)


@routine(lambda shapes: _svd_shapes(shapes, False)[1::2])
def svdvals(a: Array) -> Sequence[Array]:
    """The singular values in descending order, and what went wrong."""
    if np.isfinite(a).all():
        try:
            return np.linalg.svd(a, compute_uv=False), _info(a)
        except np.linalg.LinAlgError:
            pass
    return svd(a, False)[1::2]


# ---- least squares, exponential ----------------------------------------------------------------


def _lstsq_shapes(shapes: Sequence[Shape], _rcond: float, _driver: str) -> Sequence[Result]:
    *batch, m, n = shapes[0]
    columns = shapes[1][-1]
    whole = tuple(batch)
    return [
        ((*whole, n, columns), None), (whole, dt.int64), ((*whole, min(m, n)), None),
        (whole, dt.int32),
    ]  # fmt: skip


@routine(_lstsq_shapes)
def lstsq(a: Array, b: Array, rcond: float, driver: str) -> Sequence[Array]:
    """X of the least |A X - B|, A's rank, its singular values (0 if the driver finds none), and
    what went wrong. One batch for both."""
    shapes = _lstsq_shapes([a.shape, b.shape], rcond, driver)
    x, rank, values, info = [
        np.zeros(s, a.dtype if d is None else d.numpy) for s, d in shapes
    ]  # fmt: skip
    if not a.size or not b.size:
        return x, rank, values, info
    for place, matrix, right in _each(a, b):
        if driver == "gels":
            solve = _lapack("gels", a)
            m, n = matrix.shape
            padded = np.zeros((max(m, n), right.shape[1]), a.dtype)
            padded[:m] = right
            _, found, info[place] = solve(matrix, padded)
            x[place], rank[place] = found[:n], min(m, n)
            continue
        try:
            found, _, rank[place], singular = _scipy().lstsq(
                matrix, right, cond=rcond, lapack_driver=driver, check_finite=False
            )
        except (np.linalg.LinAlgError, ValueError):
            x[place], info[place] = np.nan, 1
            continue
        x[place] = found
        if singular is not None:
            values[place] = singular
    return x, rank, values, info


@routine(lambda shapes: [(shapes[0], None)])
def matrix_exp(a: Array) -> Sequence[Array]:
    """The exponential of square matrices, by scaling and squaring; NaN of what is not finite.

    Squaring loses the digits of small elements beside large ones, so it is done in float64.
    """
    if not a.size:
        return (a,)
    a = a.astype(np.float64, copy=False)
    finite = np.isfinite(a).all((-2, -1))
    if finite.all():
        return (_scipy().expm(a),)
    found = np.full_like(a, np.nan)
    if finite.any():
        found[finite] = _scipy().expm(a[finite])
    return (found,)
