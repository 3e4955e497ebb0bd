"""Functions of matrices: determinants, powers, the exponential, norms, condition numbers.

The gradient of the exponential is an exponential of twice the size (R. Mathias, "A chain rule for
matrix functions and applications", 1996); that of a determinant is its adjugate, transposed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.host import host_call
from codegen.ops.indexing import concatenate
from codegen.ops.leaves import iota
from codegen.ops.reduction import broadcast, cumprod, full, prod_, sum_
from lazytorch import return_types
from lazytorch.application import apply
from lazytorch.autocasting import in_float32
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import apply_one, call_function
from lazytorch.functions.matrices import (
    Nodes,
    columns,
    converting_linalg,
    diagonal,
    each_matrix,
    identity,
    linalg,
    mm,
    need_float,
    need_matrix,
    need_square,
    rows,
    t,
    with_diagonal,
)
from lazytorch.functions.norms import vector_norm
from lazytorch.functions.registration import operation
from lazytorch.functions.solving import SOLVE_KNOWN, invert
from lazytorch.functions.spectra import epsilon, singular_values
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import type_name

# ---- determinants -----------------------------------------------------------------------------


def _sign_of_order(pivots: Node, dtype: DType) -> Node:
    """-1 where an odd number of rows was exchanged."""
    last = len(pivots.shape) - 1
    places = broadcast(iota(pivots.shape[-1], dt.int32), pivots.shape, (last,))
    exchanged = ew.ne(pivots, ew.add(places, ew.full_like(places, 1)))
    minus = ew.where(exchanged, full(-1, pivots.shape, dtype), full(1, pivots.shape, dtype))
    return prod_(minus, (last,))


def _det(a: Node) -> Sequence[Node]:
    packed, pivots, _ = host_call([a], "lu_factor")
    along = diagonal(packed)
    product = prod_(along, (len(along.shape) - 1,))
    return ew.mul(product, _sign_of_order(pivots, a.dtype)), packed, pivots


def _det_gradient(inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes) -> Nodes:
    """The transposed adjugate, det A A⁻ᵀ. A zero on U's diagonal counts as the smallest number
    that matters, which gives the adjugate of a singular matrix as far as it has one."""
    (a,), (det, packed, pivots), g = inputs, outputs, cotangents[0]
    if g is None:
        return [None]
    along = diagonal(packed)
    zero = ew.eq(along, ew.full_like(along, 0))
    moved = ew.where(zero, ew.full_like(along, epsilon(a.dtype)), along)
    product = ew.mul(prod_(moved, (len(along.shape) - 1,)), _sign_of_order(pivots, a.dtype))
    last = len(along.shape) - 1
    regular = ew.eq(sum_(ew.cast(zero, dt.int32), (last,)), full(0, det.shape, dt.int32))
    size = ew.where(regular, det, product)
    rank = len(a.shape)
    spread = broadcast(moved, a.shape, (*range(rank - 2), rank - 1))
    right = ew.mul(identity(a.shape, a.dtype), each_matrix(ew.mul(g, size), a))
    inputs = (a, with_diagonal(packed, spread), pivots, right)
    return [call_function(SOLVE_KNOWN, inputs, (True,))]


def _slogdet(a: Node) -> Sequence[Node]:
    packed, pivots, _ = host_call([a], "lu_factor")
    along = diagonal(packed)
    last = (len(along.shape) - 1,)
    sign = ew.mul(prod_(ew.sign(along), last), _sign_of_order(pivots, a.dtype))
    return sign, sum_(ew.log(ew.abs_(along)), last), packed, pivots


def _slogdet_gradient(inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes) -> Nodes:
    (a,), (_, _, packed, pivots), g = inputs, outputs, cotangents[1]
    if g is None:
        return [None]
    right = ew.mul(identity(a.shape, a.dtype), each_matrix(g, a))
    return [call_function(SOLVE_KNOWN, (a, packed, pivots, right), (True,))]


DET = Function("linalg_det", _det, _det_gradient, "LinalgDetBackward0")
SLOGDET = Function("linalg_slogdet", _slogdet, _slogdet_gradient, "LinalgSlogdetBackward0")


@linalg
def det(A: Tensor) -> Tensor:
    """The determinants (*) of matrices (*, n, n).

    >>> torch.linalg.det(torch.tensor([[2.0, 1.0], [1.0, 3.0]]))
    tensor(5.)
    """
    need_square("linalg.det", A)
    need_float("linalg.det", A, "lu_cpu")
    return apply(DET, (A,))[0]  # type: ignore[no-any-return]


@linalg
def slogdet(A: Tensor) -> Any:
    """The sign of the determinant, and the logarithm of its absolute value."""
    need_square("linalg.slogdet", A)
    need_float("linalg.slogdet", A, "lu_cpu")
    return return_types.linalg_slogdet(apply(SLOGDET, (A,))[:2])


@operation()
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN of a negative one."""
    need_square("logdet", input)
    need_float("logdet", input, "lu_cpu")
    sign, size = apply(SLOGDET, (input,))[:2]
    return apply_one(LOGDET, (sign, size))


LOGDET = Function(
    "logdet",
    lambda sign, size: ew.where(
        ew.eq(sign, ew.full_like(sign, -1)), ew.full_like(size, math.nan), size
    ),
)

# ---- powers and the exponential ----------------------------------------------------------------


def _power(a: Node, n: int) -> Node:
    """By squaring: as many products as ``n`` has binary digits, and ones among them."""
    if n == 0:
        return identity(a.shape, a.dtype)
    result: Node | None = None
    while True:
        if n & 1:
            result = a if result is None else mm(result, a)
        n >>= 1
        if not n:
            assert result is not None
            return ew.cast(result, a.dtype)
        a = mm(a, a)


MATRIX_POWER = Function("linalg_matrix_power", _power)


def raise_to(A: Any, n: Any) -> Tensor:
    need_square("linalg.matrix_power", A)
    if not isinstance(n, int):
        raise TypeError(
            f"linalg_matrix_power(): argument 'n' (position 2) must be int, not {type(n).__name__}"
        )
    if n < 0:
        A, n = invert(A)[0], -n
    return apply_one(MATRIX_POWER, (A,), (operator.index(n),))


@converting_linalg
def matrix_power(A: Tensor, n: int) -> Tensor:
    """The n-th power of square matrices, of the inverse where n is negative."""
    return raise_to(A, n)


def _exp_gradient(inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Nodes) -> Nodes:
    (a,), (g,) = inputs, cotangents
    if g is None:
        return [None]
    n, rank = a.shape[-1], len(a.shape)
    above = concatenate([t(a), g], rank - 1)
    below = concatenate([ew.full_like(a, 0), t(a)], rank - 1)
    block = call_function(MATRIX_EXP, (concatenate([above, below], rank - 2),))
    return [columns(rows(block, 0, n), n, 2 * n)]


MATRIX_EXP = Function(
    "linalg_matrix_exp", lambda a: host_call([a], "matrix_exp"), _exp_gradient,
    "LinalgMatrixExpBackward0",
)  # fmt: skip


def _exponential(A: Any) -> Tensor:
    need_square("linalg.matrix_exp", A)
    need_float("linalg.matrix_exp", A)
    return apply_one(MATRIX_EXP, (A,))


@operation(function=False, method=False)
def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices (*, n, n)."""
    return _exponential(A)


# ---- norms ------------------------------------------------------------------------------------

_ORDERS = (2, -2, 1, -1, math.inf, -math.inf)


def check_norm_type(name: str, x: Tensor, dtype: DType | None) -> None:
    """Refuse a type to compute in that would lose something."""
    if dtype is None:
        return
    if not dtype.differentiable:
        raise RuntimeError(
            f"{name}: dtype should be floating point or complex, but got {type_name(dtype)}"
        )
    if x.dtype.kind == "float" and x.dtype.itemsize > dtype.itemsize:
        raise RuntimeError(
            f"{name}: the dtype of the input ({type_name(x.dtype)}) should be convertible without "
            f"narrowing to the specified dtype ({type_name(dtype)})"
        )


def matrix_norm_of(
    A: Any, order: Any, dim: Any, keepdim: bool, dtype: DType | None, name: str
) -> Tensor:
    """The norm of matrices in two dimensions; see ``torch.linalg.matrix_norm``."""
    need_matrix(name, A)
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if len(dims) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {' '.join(map(str, dims))}")
    first, second = [wrap_dim(d, A.ndim) for d in dims]
    if first == second:
        raise RuntimeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    if not A.dtype.differentiable:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{type_name(A.dtype)}"
        )
    check_norm_type(name, A, dtype)
    if isinstance(order, str):
        if order not in ("fro", "nuc"):
            raise RuntimeError(f"{name}: Order {order} not supported.")
    elif order not in _ORDERS:
        raise RuntimeError(f"{name}: Order {order:g} not supported.")
    if order == "fro":
        return vector_norm(A, 2, (first, second), keepdim, dtype=dtype)
    x = A if dtype is None else A.to(dtype)
    if order in ("nuc", 2, -2):
        values = singular_values(x.movedim((first, second), (-2, -1)))
        if order == "nuc":
            found = values.sum(-1)
        else:
            found = _extreme(values, -1, False, order > 0)
        if keepdim:
            for d in sorted((first, second)):
                found = found.unsqueeze(d)
        return found  # type: ignore[no-any-return]
    # A sum along one dimension, then the extreme of the other.
    summed, other = (first, second) if abs(order) == 1 else (second, first)
    sums = vector_norm(x, 1, summed, keepdim)
    if not keepdim and other > summed:
        other -= 1
    return _extreme(sums, other, keepdim, order > 0)


def _extreme(x: Tensor, dim: int, keepdim: bool, largest: bool) -> Tensor:
    """The largest along a dimension, 0 of none; or the smallest."""
    if largest and not x.shape[dim]:
        return x.sum(dim, keepdim)  # type: ignore[no-any-return]
    return x.amax(dim, keepdim) if largest else x.amin(dim, keepdim)  # type: ignore[no-any-return]


@linalg
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *,
    dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """The norm of the matrices in dimensions ``dim``: by Frobenius, nuclear (the sum of singular
    values), the largest (2) or smallest (-2) singular value, the largest or smallest sum of
    absolute values in a column (1, -1) or a row (inf, -inf)."""
    return matrix_norm_of(A, ord, dim, keepdim, dtype, "linalg.matrix_norm")


@linalg
def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *,
    dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """The norm of a vector or a matrix; without ``ord`` the 2-norm of all elements, or of those
    along ``dim``."""
    require_tensor("linalg_norm", A)
    dims = None if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}"
        )
    if dims is None and ord is not None and A.ndim not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{A.ndim}D."
        )
    if isinstance(ord, str) or (
        ord is not None and (len(dims) if dims is not None else A.ndim) == 2
    ):  # fmt: skip
        return matrix_norm_of(A, ord, dims or (-2, -1), keepdim, dtype, "linalg.matrix_norm")
    check_norm_type("linalg.vector_norm", A, dtype)
    if dims is None and ord is None and keepdim is False:
        return vector_norm(A, 2, None, False, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dims, keepdim, dtype=dtype)


@converting_linalg
@in_float32
def cond(A: Tensor, p: Any = None) -> Tensor:
    """The norm of matrices times that of their inverses; by default the largest singular value
    over the smallest. Infinite for a singular matrix."""
    require_tensor("linalg_cond", A)
    if A.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p is not None and (
        p not in ("fro", "nuc") if isinstance(p, str) else p not in _ORDERS
    ):  # fmt: skip
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if not A.numel():
        if p not in (None, 2, -2):
            need_square(f"linalg.cond(ord={p})", A)
        return A.new_zeros(A.shape[:-2])  # type: ignore[no-any-return]
    if p in (None, 2, -2):
        values = singular_values(A)
        largest, smallest = values[..., 0], values[..., -1]
        return smallest / largest if p == -2 else largest / smallest
    need_square(f"linalg.cond(ord={p if isinstance(p, str) else format(p, 'g')})", A)
    inverse, info = invert(A, check=False)
    singular = info.ne(0).unsqueeze(-1).unsqueeze(-1)
    inverse = inverse.masked_fill(singular, math.inf)
    if p == "nuc":
        return _finite_nuclear(A) * _finite_nuclear(inverse)
    dims = (-2, -1)
    return matrix_norm_of(A, p, dims, False, None, "linalg.cond") * matrix_norm_of(
        inverse, p, dims, False, None, "linalg.cond"
    )


def _finite_nuclear(x: Tensor) -> Tensor:
    return matrix_norm_of(x, "nuc", (-2, -1), False, None, "linalg.cond")


@linalg
def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 of each element, (*, n, N); N is n by default."""
    require_tensor("linalg_vander", x)
    count = N if N is not None else x.shape[-1] if x.ndim else 0
    if count <= 1 and (N is not None or not x.ndim):
        raise RuntimeError("N must be greater than 1.")
    if x.dtype is dt.bool_:
        x = x.long()
    if not x.ndim:
        x = x.unsqueeze(0)
    return apply_one(VANDER, (x,), (count,))


def _vander(x: Node, count: int) -> Node:
    shape = (*x.shape, count)
    rank = len(shape)
    if not count:
        return full(0, shape, x.dtype)
    spread = broadcast(x, shape, range(rank - 1))
    place = broadcast(iota(count), shape, (rank - 1,))
    one = ew.full_like(spread, 1)
    from_scan = ew.where(ew.eq(place, ew.full_like(place, 0)), one, spread)
    return cumprod(from_scan, rank - 1)


VANDER = Function("linalg_vander", _vander, spares=lambda *_: (~0,))
