"""Systems of linear equations: triangular, factored and whole ones, inverses, least squares.

A system that is solved with a factorization has the gradient of the system: B's cotangent solves
the transposed system, with the same factors, to every order of derivative (M. Giles, "An extended
collection of matrix derivative results", 2008).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.host import host_call
from codegen.ops.movement import reshape
from codegen.ops.reduction import full
from lazytorch import return_types
from lazytorch.application import apply
from lazytorch.autocasting import in_float32
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import apply_one, call_function, without_derivative
from lazytorch.functions.factoring import LU_FACTOR, solve_triangle, unpack_factors
from lazytorch.functions.matrices import (
    Nodes,
    call_all,
    check_info,
    converting_linalg,
    derivative_of,
    factored_order,
    identity,
    linalg,
    mm,
    need_float,
    need_lapack,
    need_matrix,
    need_same_type,
    need_solvable,
    need_square,
    original_order,
    same_batch,
    t,
    take_rows,
)
from lazytorch.functions.registration import SAME, operation
from lazytorch.functions.spectra import PINV, epsilon
from lazytorch.levels import for_all_examples
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name

# ---- triangles --------------------------------------------------------------------------------


def _solve_triangular(a: Node, b: Node, upper: bool, left: bool, unit: bool) -> Node:
    a, b = same_batch(a, b)
    return solve_triangle(a, b, upper, left, unit)


SOLVE_TRIANGULAR = Function(
    "linalg_solve_triangular", _solve_triangular, saves_exactly=lambda *_: (0, ~0)
)


@linalg
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X with A X = B (X A = B unless ``left``), where A (*, n, n) is triangular: the other half is
    not read, nor is the diagonal if ``unitriangular``. B: (*, n, k), or (*, k, n).

    >>> a, b = torch.tensor([[2.0, 0.0], [1.0, 1.0]]), torch.tensor([[2.0], [3.0]])
    >>> torch.linalg.solve_triangular(a, b, upper=False)
    tensor([[1.],
            [2.]])
    """
    name = "linalg.solve_triangular"
    require_tensor("linalg_solve_triangular", B, "B", 2)
    need_square(name, A)
    need_matrix(name, B, "B")
    need_solvable(name, A._type.shape, B._type.shape, left)
    need_lapack(A, "triangular_solve_cpu")
    need_same_type(name, A, B)
    return apply_one(SOLVE_TRIANGULAR, (A, B), (bool(upper), bool(left), bool(unitriangular)))


@operation(out=SAME)
@in_float32
def triangular_solve(
    input: Tensor, A: Tensor, upper: bool = True, transpose: bool = False,
    unitriangular: bool = False,
) -> Any:  # fmt: skip
    """X with A X = input (Aᵀ X if ``transpose``), and a copy of A, as older programs expect it."""
    require_tensor("triangular_solve", input)
    require_tensor("triangular_solve", A, "A", 2)
    for argument, x in (("b", input), ("A", A)):
        if x.ndim < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {argument} to have at least 2 dimensions, but "
                f"it has {x.ndim} dimensions instead"
            )
    _need_fitting("triangular_solve", A, input)
    matrix = A.mT if transpose else A
    attributes = (bool(upper) != bool(transpose), True, bool(unitriangular))
    solution = apply_one(SOLVE_TRIANGULAR, (matrix, input), attributes)
    copied = A.expand(*solution.shape[:-2], *A.shape[-2:]).clone()
    return return_types.triangular_solve((solution, copied))


def _need_fitting(name: str, A: Tensor, B: Tensor) -> None:
    a, b = A._type.shape, B._type.shape
    if a[-1] != a[-2]:
        raise RuntimeError(
            f"A must be batches of square matrices, but they are {a[-2]} by {a[-1]} matrices"
        )
    if a[-1] != b[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {a[-1]} by {a[-1]} but each b "
            f"matrix is {b[-2]} by {b[-1]}"
        )


# ---- with a Cholesky factor -------------------------------------------------------------------


def _known_solve(b: Node, factor: Node, upper: bool) -> Node:
    low = t(factor) if upper else factor
    return solve_triangle(t(low), solve_triangle(low, b, False), True)


def _cholesky_inverse(factor: Node, upper: bool) -> Node:
    low = t(factor) if upper else factor
    half = solve_triangle(low, identity(low.shape, low.dtype), False)
    return mm(t(half), half)


def _factor_gradient(common: Node, factor: Node, upper: bool) -> Node:
    """Of the whole factor, as PyTorch has it: the half that is not read included."""
    both = ew.add(common, t(common))
    return ew.neg(mm(factor, both) if upper else mm(both, factor))


def _known_solve_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes, upper: bool
) -> Nodes:
    (_, factor), (x,), (g,) = inputs, outputs, cotangents
    if g is None:
        return [None, None]
    b = call_function(CHOLESKY_KNOWN, (g, factor), (upper,))
    return [b, _factor_gradient(mm(b, t(x)), factor, upper)]


def _cholesky_inverse_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes, upper: bool
) -> Nodes:
    (factor,), (x,), (g,) = inputs, outputs, cotangents
    if g is None:
        return [None]
    return [_factor_gradient(mm(mm(x, g), x), factor, upper)]


# Of one batch, and broadcast.
CHOLESKY_KNOWN = Function("cholesky_known_solve", _known_solve, _known_solve_gradient)
CHOLESKY_SOLVE = Function(
    "cholesky_solve",
    lambda b, factor, upper: call_function(CHOLESKY_KNOWN, same_batch(b, factor), (upper,)),
    saves=lambda *_: (0, 1, ~0),
)
CHOLESKY_INVERSE = Function("cholesky_inverse", _cholesky_inverse, _cholesky_inverse_gradient)


@operation(out=True)
@in_float32
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X with A X = B, where A = L Lᵀ (Lᵀ L if ``upper``)."""
    require_tensor("cholesky_solve", B)
    require_tensor("cholesky_solve", L, "input2", 2)
    for argument, x in (("b", B), ("u", L)):
        if x.ndim < 2:
            raise RuntimeError(
                f"{argument} should have at least 2 dimensions, but has {x.ndim} dimensions instead"
            )
    _need_fitting("cholesky_solve", L, B)
    need_lapack(B, "cholesky_solve_cpu")
    return apply_one(CHOLESKY_SOLVE, (B, L), (bool(upper),))


@operation(out=True)
@in_float32
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A = L Lᵀ (Lᵀ L if ``upper``)."""
    need_square("cholesky_inverse", L)
    need_lapack(L, "cholesky_inverse_out_cpu")
    return apply_one(CHOLESKY_INVERSE, (L,), (bool(upper),))


# ---- with LU factors --------------------------------------------------------------------------


def _by_triangles(
    packed: Node, pivots: Node, b: Node, transposed: bool
) -> Sequence[Node]:  # fmt: skip
    _, low, up = unpack_factors(packed, pivots)
    n = packed.shape[-1]
    if not transposed:
        b = take_rows(b, factored_order(pivots, n))
        return [solve_triangle(up, solve_triangle(low, b, False, unit=True), True)]
    half = solve_triangle(t(up), b, False)
    return [take_rows(solve_triangle(t(low), half, True, unit=True), original_order(pivots, n))]


def _with_factors(packed: Node, pivots: Node, b: Node, transposed: bool) -> Node:
    return host_call([packed, pivots, b], "lu_solve", transposed)[0]


# Matrices of one batch.
FACTORED_SOLVE = Function("factored_solve", _with_factors, derivative_of(_by_triangles))


def _repeat_factors(packed: Node, pivots: Node, b: Node) -> tuple[Node, Node, Node]:
    row = reshape(pivots, (*pivots.shape[:-1], 1, pivots.shape[-1]))
    packed, row, b = same_batch(packed, row, b)
    return packed, reshape(row, (*row.shape[:-2], row.shape[-1])), b


def _lu_solve(packed: Node, pivots: Node, b: Node, left: bool, transposed: bool) -> Node:
    if not left:
        return t(_lu_solve(packed, pivots, t(b), True, not transposed))
    return call_function(FACTORED_SOLVE, _repeat_factors(packed, pivots, b), (transposed,))


LU_SOLVE = Function("linalg_lu_solve", _lu_solve, saves_exactly=lambda *_: (0, 1, ~0))


def solve_factors(
    LU: Tensor, pivots: Tensor, B: Tensor, left: bool = True, adjoint: bool = False
) -> Tensor:
    """As ``torch.linalg.lu_solve``."""
    name = "linalg.lu_solve"
    for place, (argument, x) in enumerate((("LU", LU), ("pivots", pivots), ("B", B))):
        require_tensor("linalg_lu_solve", x, argument, place + 1)
    need_lapack(LU, "linalg_lu_solve_cpu")
    need_same_type(name, LU, B, ("LU", "B"))
    if pivots.dtype is not dt.int32:
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    need_square(name, LU, "LU")
    need_matrix(name, B, "B")
    need_solvable(name, LU._type.shape, B._type.shape, left)
    if not pivots.ndim or pivots.shape[-1] != LU.shape[-1]:
        raise RuntimeError(
            f"{name}: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if LU._type.shape[:-2] != pivots._type.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    return apply_one(LU_SOLVE, (LU, pivots, B), (bool(left), bool(adjoint)))


@linalg
def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """X with A X = B (X A = B unless ``left``; Aᵀ for A if ``adjoint``), by what ``lu_factor``
    gives for A."""
    return solve_factors(LU, pivots, B, left, adjoint)


# ---- whole systems ----------------------------------------------------------------------------


def _solve_known(a: Node, packed: Node, pivots: Node, b: Node, transposed: bool) -> Node:
    return _with_factors(packed, pivots, b, transposed)


def _solve_known_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes, transposed: bool
) -> Nodes:
    (a, packed, pivots, _), (x,), (g,) = inputs, outputs, cotangents
    if g is None:
        return [None] * 4
    b = call_function(SOLVE_KNOWN, (a, packed, pivots, g), (not transposed,))
    whole = ew.neg(mm(x, t(b)) if transposed else mm(b, t(x)))
    return [whole, None, None, b]


# A X = B of one batch by A's factors, which are known: the gradient goes to A itself.
SOLVE_KNOWN = Function("solve_known", _solve_known, _solve_known_gradient)


def _solve(a: Node, b: Node, left: bool) -> Sequence[Node]:
    """X and info; a vector on the right is a matrix of one column."""
    is_vector = len(b.shape) == 1 or (len(b.shape) == len(a.shape) - 1 and b.shape == a.shape[:-1])
    packed, pivots, info = call_all(LU_FACTOR, (a,))
    if is_vector:
        b = reshape(b, (*b.shape, 1))
    batched, packed, row, b = same_batch(
        a, packed, reshape(pivots, (*pivots.shape[:-1], 1, pivots.shape[-1])),
        t(b) if not left and not is_vector else b,
    )  # fmt: skip
    pivots = reshape(row, (*row.shape[:-2], row.shape[-1]))
    x = call_function(SOLVE_KNOWN, (batched, packed, pivots, b), (not left,))
    if is_vector:
        return reshape(x, x.shape[:-1]), info
    return x if left else t(x), info


SOLVE = Function(
    "linalg_solve_ex",
    _solve,
    gradient_name="LinalgSolveExBackward0",
    saves_exactly=lambda *_: (0, ~0),
)


def _singular(_place: int) -> str:
    return "The solver failed because the input matrix is singular."


def _call_solve(name: str, A: Any, B: Any, left: bool, check: bool) -> Any:
    need_square("linalg.solve", A)
    require_tensor("linalg_solve", B, "B", 2)
    need_float("linalg.solve", A, "lu_cpu")
    need_same_type("linalg.solve", A, B)
    a, b = A._type.shape, B._type.shape
    is_vector = len(b) == 1 or (len(b) == len(a) - 1 and b == a[:-1])
    if not is_vector:
        need_matrix("linalg.solve", B, "B")
    elif not left:
        raise RuntimeError(
            "linalg.solve: Vector broadcasting of the left hand side is not supported for "
            "left=False. In this case linalg.solve is equivalent to B / A.squeeze(-1)"
        )
    need_solvable("linalg.solve", a, (*b, 1) if is_vector else b, left)
    x, info = apply(SOLVE, (A, B), (bool(left),))
    if check:
        check_info(name, info, _singular)
    return x, info


@linalg
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """X with A X = B (X A = B unless ``left``), and ``info``: 0, or the place of the pivot that is
    0. A: (*, n, n); B: (*, n, k), (n) or (*, n). Nothing is computed before it is read."""
    found = _call_solve("torch.linalg.solve_ex", A, B, left, check_errors)
    return return_types.linalg_solve_ex(found)


@linalg
@in_float32
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """As ``solve_ex``; LinAlgError of a singular matrix, so it is computed at once.

    >>> torch.linalg.solve(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    return _call_solve("torch.linalg.solve", A, B, left, True)[0]  # type: ignore[no-any-return]


# ---- inverses ---------------------------------------------------------------------------------


def _inverse(a: Node) -> Sequence[Node]:
    packed, pivots, info = host_call([a], "lu_factor")
    return _with_factors(packed, pivots, identity(a.shape, a.dtype), False), info


def _inverse_gradient(
    _inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes
) -> Nodes:  # fmt: skip
    y, g = t(outputs[0]), cotangents[0]
    return [None if g is None else ew.neg(mm(mm(y, g), y))]


INVERSE = Function("linalg_inv_ex", _inverse, _inverse_gradient, "LinalgInvExBackward0")


def invert(A: Any, name: str = "linalg.inv", check: bool = True) -> tuple[Tensor, Tensor]:
    """The inverse and info."""
    need_square("linalg.inv", A)
    need_float("linalg.inv", A, "lu_cpu")
    found, info = apply(INVERSE, (A,))
    if check:
        check_info(
            name,
            info,
            lambda i: (
                f"The diagonal element {i} is zero, the inversion could not be completed because "
                "the input matrix is singular."
            ),
        )
    return found, info


@linalg
@in_float32
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """The inverse of matrices (*, n, n), and ``info``: 0, or the place of the pivot that is 0.
    Nothing is computed before it is read."""
    return return_types.linalg_inv_ex(invert(A, "linalg.inv_ex", check_errors))


@linalg
@in_float32
def inv(A: Tensor) -> Tensor:
    """The inverse of matrices (*, n, n); LinAlgError of a singular one, so it is computed at
    once."""
    return invert(A)[0]


@operation(out=True)
@in_float32
def inverse(input: Tensor) -> Tensor:
    """As ``torch.linalg.inv``."""
    return invert(input)[0]


@converting_linalg
@in_float32
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a map from its last dimensions to its first ``ind``."""
    require_tensor("linalg_tensorinv", A)
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    shape = A._type.shape
    out, into = math.prod(shape[:ind]), math.prod(shape[ind:])
    if out != into:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {into} != {out}"
        )
    found, _ = invert(A.reshape(out, into), "inv")
    return found.reshape(*shape[ind:], *shape[:ind])  # type: ignore[no-any-return]


@converting_linalg
@in_float32
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B; ``dims`` of A are moved behind the others first."""
    require_tensor("linalg_tensorsolve", A)
    require_tensor("linalg_tensorsolve", B, "other", 2)
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = A._type.shape
    out, into = math.prod(shape[: B.ndim]), math.prod(shape[B.ndim :])
    if out != into:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {into} != {out}"
        )
    found, _ = _call_solve(
        "torch.linalg.solve", A.reshape(out, into), B.reshape(-1), True, True
    )  # fmt: skip
    return found.reshape(shape[B.ndim :])  # type: ignore[no-any-return]


# ---- LDL --------------------------------------------------------------------------------------


def _ldl_solve(packed: Node, pivots: Node, b: Node) -> Node:
    return host_call(_repeat_factors(packed, pivots, b), "ldl_solve")[0]


LDL_SOLVE = Function("linalg_ldl_solve", _ldl_solve, **without_derivative("linalg_ldl_solve"))


@linalg
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """X with A X = B, by what ``ldl_factor`` gives for A."""
    name = "torch.linalg.ldl_solve"
    need_square(name, LD, "LD")
    need_matrix(name, B, "B")
    need_lapack(LD, "ldl_solve_cpu")
    if LD.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {LD.shape[-1]} by "
            f"{LD.shape[-1]} but each b matrix is {B.shape[-2]} by {B.shape[-1]}"
        )
    if LD._type.shape[:-1] != pivots._type.shape:
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    if pivots.dtype.kind != "int":
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {type_name(pivots.dtype)}")
    if LD.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: LD dtype{type_name(LD.dtype)} does not match b dtype {type_name(B.dtype)}"
        )
    return apply_one(LDL_SOLVE, (LD, pivots.int(), B))


# ---- least squares ----------------------------------------------------------------------------


def _least_squares(a: Node, b: Node, rcond: float, driver: str) -> Sequence[Node]:
    """X, rank, singular values, info, and the sums of squares that are left of each column."""
    a, b = same_batch(a, b)
    x, rank, values, info = host_call([a, b], "lstsq", rcond, driver)
    return x, rank, values, info


def _by_pseudoinverse(a: Node, b: Node, _rcond: float, _driver: str) -> Sequence[Node]:
    a, b = same_batch(a, b)
    tolerance = full(0, (), a.dtype)
    least = full(epsilon(a.dtype) * max(a.shape[-2:]), (), a.dtype)
    return [mm(call_function(PINV, (a, tolerance, least), (False,)), b)]


LSTSQ = Function(
    "linalg_lstsq",
    _least_squares,
    derivative_of(_by_pseudoinverse),
    "LinalgLstsqBackward0",
    saves_exactly=lambda *_: (0, 1, ~0),
)


@converting_linalg
@in_float32
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """X of the least |A X - B|. A: (*, m, n); B: (*, m, k) or (*, m).

    Besides X, what is left of each column (if m > n, A has full rank, and the driver is not
    gelsy), A's rank (but for gels), and its singular values (for gelsd and gelss).
    """
    name = "torch.linalg.lstsq"
    require_tensor("linalg_lstsq", A)
    require_tensor("linalg_lstsq", B, "b", 2)
    if A.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if B.ndim < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype "
            f"{type_name(A.dtype)} and other's dtype {type_name(B.dtype)}"
        )
    need_float("linalg.lstsq", A, "linalg_lstsq_cpu")
    difference = A.ndim - B.ndim
    if not 0 <= difference <= 1:
        raise RuntimeError(
            f"{name}: input.dim() must be greater or equal to other.dim() and (input.dim() - "
            "other.dim()) <= 1"
        )
    is_vector = difference == 1
    right = B.unsqueeze(-1) if is_vector else B
    if is_vector and A.shape[-2] != B.shape[-1]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-1)")
    if A.shape[-2] != right.shape[-2]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-2)")
    driver = "gelsy" if driver is None else driver
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
        )
    m, n = A._type.shape[-2:]
    least = epsilon(A.dtype) * max(m, n) if rcond is None else float(rcond)
    x, rank, values, info = apply(LSTSQ, (A, right), (least, driver))
    if driver == "gels":
        check_info(
            name,
            info,
            lambda i: (
                "The least squares solution could not be computed because the input matrix does "
                f"not have full rank (error code: {i})."
            ),
        )
    nothing = A.new_empty(0)
    residuals = A.reshape(-1)[:0]
    if m > n and driver != "gelsy":
        is_full = driver == "gels" or bool((for_all_examples(rank)._array() == n).all())
        if is_full:
            residuals = (A.matmul(x) - right).square().sum(-2)
    return return_types.linalg_lstsq((
        x.squeeze(-1) if is_vector else x,
        residuals,
        rank if driver != "gels" else A.new_empty(0, dtype=dt.int64),
        values.detach() if driver in ("gelsd", "gelss") else nothing,
    ))  # fmt: skip
