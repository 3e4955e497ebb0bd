"""Matrix products and their kin: each call is one contraction."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops.complex_numbers import conj
from codegen.ops.movement import reshape, slice_
from lazytorch.application import apply, of_two, over_views
from lazytorch.autocasting import in_lower_precision
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import apply_one, number
from lazytorch.functions.contraction import contract
from lazytorch.functions.promotion import broadcast_shapes, promote
from lazytorch.functions.registration import (
    RESULT_DTYPE,
    SAME,
    check_same_type,
    in_place,
    operation,
    write_out,
)
from lazytorch.tensor import Tensor
from lazytorch.type_names import c_name, type_name

# ---- checks -------------------------------------------------------------------------------


def check_product(a: Node, b: Node) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {c_name(a.dtype)} != "
            f"{c_name(b.dtype)}"
        )
    if a.dtype is dt.bool_:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")


def _check_inner(rows: int, inner: int, other: Shape) -> None:
    if inner != other[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{inner} and {other[0]}x{other[1]})"
        )


def _check_vector(matrix: Shape, vector: Shape) -> None:
    if matrix[-1] != vector[0]:
        raise RuntimeError(
            f"size mismatch, got input ({matrix[0]}), mat ({matrix[0]}x{matrix[1]}), vec "
            f"({vector[0]})"
        )


def _check_batches(a: Shape, b: Shape) -> None:
    if b[:2] != (a[0], a[2]):
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{a[0]}, {a[2]}] but got: [{b[0]}, {b[1]}]."
        )


def _target(value: Node, shape: Shape) -> Node:
    """The added operand in the product's shape."""
    fits = len(value.shape) <= len(shape)
    for i in range(1, len(value.shape) + 1):
        if not fits or value.shape[-i] not in (1, shape[-i]):
            raise RuntimeError(
                f"The expanded size of the tensor ({shape[-i]}) must match the existing size "
                f"({value.shape[-i]}) at non-singleton dimension {len(shape) - i}.  Target sizes: "
                f"{list(shape)}.  Tensor sizes: {list(value.shape)}"
            )
    return broadcast_to(value, shape)


# ---- linear -------------------------------------------------------------------------------


def _linear(x: Node, weight: Node, *bias: Node) -> Node:
    rows = prod(x.shape[:-1])
    columns = weight.shape if len(weight.shape) == 2 else (1, *weight.shape)
    _check_inner(rows, x.shape[-1], (columns[1], columns[0]))
    if weight.dtype is not x.dtype:
        if bias and bias[0].dtype is weight.dtype:
            raise RuntimeError(
                f"mat1 and mat2 must have the same dtype, but got {type_name(x.dtype)} and "
                f"{type_name(weight.dtype)}"
            )
        check_product(x, weight)
    outer = tuple(range(len(x.shape) - 1))
    out = () if len(weight.shape) == 1 else ("o",)
    y = contract(x, weight, (*outer, "k"), (*out, "k"), (*outer, *out))
    if not bias:
        return y
    if bias[0].dtype is not x.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {type_name(bias[0].dtype)} and "
            f"{type_name(x.dtype)}"
        )
    shape = y.shape if len(y.shape) == 2 else (rows, y.shape[-1] if y.shape else 1)
    _target(bias[0], shape)
    return ew.add(y, broadcast_to(bias[0], y.shape))


LINEAR = Function("linear", _linear, gradient_name="AddmmBackward0")


def linear(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None
) -> Tensor:
    """input @ weight.T + bias. input: (*, in), weight: (out, in), bias: (out) -> (*, out)."""
    require_tensor("linear", input)
    inputs = (input, weight) if bias is None else (input, weight, bias)
    result = apply_one(LINEAR, inputs)
    if out is None:
        return result
    check_same_type(out, result, SAME)
    made: Tensor = write_out(out, result)
    return made


def _bilinear(x: Node, y: Node, weight: Node, *bias: Node) -> Node:
    for i, (mine, other) in enumerate(zip(x.shape[:-1], y.shape[:-1], strict=True)):
        if mine != other:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {i}: got {mine} and "
                f"{other}"
            )
    for name, value, wanted in (("input1", x, weight.shape[1]), ("input2", y, weight.shape[2])):
        if value.shape[-1] != wanted:
            raise RuntimeError(
                f"bilinear(): {name} size does not match weight size: got {value.shape[-1]} but "
                f"expected {wanted}"
            )
    outer = tuple(range(len(x.shape) - 1))
    half = contract(x, weight, (*outer, "i"), ("o", "i", "j"), (*outer, "o", "j"))
    result = contract(half, y, (*outer, "o", "j"), (*outer, "j"), (*outer, "o"))
    return ew.add(result, broadcast_to(bias[0], result.shape)) if bias else result


BILINEAR = Function(
    "bilinear", _bilinear,
    saves_exactly=lambda _, tracked: [i for i in range(3) if not tracked <= {i, 3}],
)  # fmt: skip


@operation(method=False)
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """out[o] = sum over i, j of input1[i] weight[o, i, j] input2[j], plus bias[o]."""
    inputs = (input1, input2, weight) + (() if bias is None else (bias,))
    return apply_one(BILINEAR, inputs)


# ---- vectors, matrices, batches -------------------------------------------------------------


def _mm(a: Node, b: Node) -> Node:
    if len(a.shape) != 2:
        raise RuntimeError("self must be a matrix")
    if len(b.shape) != 2:
        raise RuntimeError("mat2 must be a matrix")
    _check_inner(a.shape[0], a.shape[1], b.shape)
    check_product(a, b)
    return contract(a, b, "mk", "kn", "mn")


def _bmm(a: Node, b: Node) -> Node:
    for name, value in (("batch1", a), ("batch2", b)):
        if len(value.shape) != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    _check_batches(a.shape, b.shape)
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"expected scalar type {type_name(a.dtype)} but found {type_name(b.dtype)}"
        )
    return contract(a, b, "bmk", "bkn", "bmn")


def _mv(a: Node, b: Node) -> Node:
    if len(a.shape) != 2 or len(b.shape) != 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got 1, {len(a.shape)}, {len(b.shape)}"
        )
    _check_vector(a.shape, b.shape)
    if a.dtype is not b.dtype:
        raise RuntimeError(
            "addmv input tensors must have the same dtype, but got "
            f"{type_name(b.dtype)}, {type_name(a.dtype)}, and {type_name(b.dtype)}"
        )
    return contract(a, b, "mk", "k", "m")


def _dot(a: Node, b: Node) -> Node:
    if len(a.shape) != 1 or len(b.shape) != 1:
        raise RuntimeError(
            f"1D tensors expected, but got {len(a.shape)}D and {len(b.shape)}D tensors"
        )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{type_name(a.dtype)} and {type_name(b.dtype)}"
        )
    if a.shape != b.shape:
        n, m = a.shape[0], b.shape[0]
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{n}] and src [{m}] to have the same "
            f"number of elements, but got {n} and {m} elements respectively"
        )
    return contract(a, b, "k", "k", "")


def _outer(a: Node, b: Node) -> Node:
    for name, value in (("self", a), ("vec2", b)):
        if len(value.shape) != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {len(value.shape)}-D")
    dtype = promote(reshape_to_scalar(a), reshape_to_scalar(b))[0].dtype
    return contract(ew.cast(a, dtype), ew.cast(b, dtype), "m", "n", "mn")


def reshape_to_scalar(x: Node) -> Node:
    """One element type's stand-in for promotion: the type without the extent."""
    return slice_(x, (0,) * len(x.shape), (0,) * len(x.shape), (1,) * len(x.shape))


def matmul_node(a: Node, b: Node) -> Node:
    if not a.shape or not b.shape:
        raise RuntimeError(
            "both arguments to matmul need to be at least 1D, but they are "
            f"{len(a.shape)}D and {len(b.shape)}D"
        )
    if len(a.shape) == 1 and len(b.shape) == 1:
        return _dot(a, b)
    if len(a.shape) == 2 and len(b.shape) == 1:
        return _mv(a, b)
    check_product(a, b)
    row = () if len(a.shape) == 1 else ("m",)
    column = () if len(b.shape) == 1 else ("n",)
    if len(b.shape) <= 2:
        matrix = b.shape if column else (b.shape[0], 1)
        _check_inner(prod(a.shape[:-1]), a.shape[-1], matrix)
    shape = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if len(b.shape) > 2 and a.shape[-1] != b.shape[-2]:
        if len(a.shape) <= 2:
            merged = (b.shape[-2], prod(b.shape[:-2]) * b.shape[-1])
            if len(a.shape) == 1:
                raise RuntimeError(
                    f"size mismatch, got input ({merged[1]}), mat ({merged[1]}x{b.shape[-2]}), "
                    f"vec ({a.shape[0]})"
                )
        count = prod(shape)
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{count}, {a.shape[-1]}] but got: [{count}, {b.shape[-2]}]."
        )
    rank = len(shape)

    def batch(x: Node, inner: int) -> tuple[Node, list[int]]:
        """Without the batch axes along which it repeats, and the numbers of those it keeps."""
        own = len(x.shape) - inner
        first = rank - own
        kept = [i for i in range(own) if x.shape[i] == shape[first + i]]
        sizes = [*[x.shape[i] for i in kept], *x.shape[own:]]
        return reshape(x, sizes), [first + i for i in kept]

    a, a_batch = batch(a, 1 + len(row))
    b, b_batch = batch(b, 1 + len(column))
    out = (*range(rank), *row, *column)
    return contract(a, b, (*a_batch, *row, "k"), (*b_batch, "k", *column), out)


MM = Function("mm", _mm)
BMM = Function("bmm", _bmm)
MV = Function("mv", _mv)
DOT = Function("dot", _dot)
VDOT = Function("vdot", lambda a, b: _dot(conj(a), b))
OUTER = Function("outer", _outer, gradient_name="MulBackward0")
MATMUL = Function("matmul", matmul_node, gradient_name="UnsafeViewBackward0")


@operation(out="same type")
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices: (n, k) and (k, m) -> (n, m)."""
    require_tensor("mm", mat2, "mat2", 2)
    return apply_one(MM, (input, mat2))


@operation(out="same type")
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices: (b, n, k) and (b, k, m) -> (b, n, m)."""
    require_tensor("bmm", mat2, "mat2", 2)
    return apply_one(BMM, (input, mat2))


@operation(out="same type")
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector."""
    require_tensor("mv", vec, "vec", 2)
    return apply_one(MV, (input, vec))


@operation(out=RESULT_DTYPE)
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of two vectors' products."""
    require_tensor("dot", tensor, "tensor", 2)
    return apply_one(DOT, (input, tensor))


@operation(out=RESULT_DTYPE)
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """``dot``; it conjugates complex input."""
    require_tensor("vdot", other, "other", 2)
    return apply_one(VDOT, (input, other))


@operation(
    out=(
        "tensordot: Expected the output tensor to have dtype {made}, but got an output tensor "
        "with dtype {out}"
    )
)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products over both operands' last dimensions."""
    require_tensor("inner", other, "other", 2)
    is_product = min(input.ndim, other.ndim) > 0 and input.ndim + other.ndim > 2
    return (_product if is_product else apply_one)(INNER, (input, other))


_product = in_lower_precision(apply_one)


def _inner(a: Node, b: Node) -> Node:
    if not a.shape or not b.shape:
        return ew.mul(*promote(a, b))
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes "
            f"{list(a.shape)} and {list(b.shape)}"
        )
    check_product(a, b)
    rows = [("a", i) for i in range(len(a.shape) - 1)]
    columns = [("b", i) for i in range(len(b.shape) - 1)]
    return contract(a, b, (*rows, "k"), (*columns, "k"), (*rows, *columns))


INNER = Function("inner", _inner, gradient_name="SqueezeBackward0")


@operation(out=True, names=("ger",))
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """out[i, j] = input[i] vec2[j]."""
    require_tensor("outer", vec2, "vec2", 2)
    return apply_one(OUTER, (input, vec2))


MATMUL_OF_VIEWS = over_views(MATMUL)
_matmul_of_two = of_two(MATMUL, lambda input, other: apply(MATMUL, (input, other)), MATMUL_OF_VIEWS)


@operation(out=RESULT_DTYPE)
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The product of vectors, matrices, or batches of them, as their ranks say."""
    require_tensor("matmul", input)
    require_tensor("matmul", other, "other", 2)
    return _matmul_of_two(input, other)  # type: ignore[no-any-return]


# ---- with something added -------------------------------------------------------------------


def _blend(value: Node, product: Node, beta: Node, alpha: Node) -> Node:
    """beta * value + alpha * product; a beta of 0 ignores the value, be it NaN."""
    if value.dtype is not product.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {type_name(value.dtype)} and "
            f"{type_name(product.dtype)}"
        )
    spread = _target(value, product.shape)
    scaled = ew.mul(number(beta, spread), spread)
    none = ew.full_like(scaled, 0)
    kept = ew.where(ew.eq(number(beta, spread), none), none, scaled)
    return ew.add(kept, ew.mul(number(alpha, product), product))


def _check_same(value: Node, a: Node, b: Node) -> None:
    for x, y in ((value, b), (a, b)):
        if x.dtype is not y.dtype:
            raise RuntimeError(
                f"self and mat2 must have the same dtype, but got {type_name(x.dtype)} and "
                f"{type_name(y.dtype)}"
            )


def _addmm(value: Node, a: Node, b: Node, *scales: Node) -> Node:
    for name, x in (("mat1", a), ("mat2", b)):
        if len(x.shape) != 2:
            raise RuntimeError(f"{name} must be a matrix, got {len(x.shape)}-D tensor")
    _check_inner(a.shape[0], a.shape[1], b.shape)
    _check_same(value, a, b)
    return _added(value, _mm(a, b), scales)


def _added(value: Node, product: Node, scales: Sequence[Node]) -> Node:
    if scales:
        return _blend(value, product, *scales)
    return ew.add(_target(value, product.shape), product)


def _addmv(value: Node, a: Node, b: Node, *scales: Node) -> Node:
    if len(a.shape) != 2 or len(b.shape) != 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {len(value.shape)}, {len(a.shape)}, "
            f"{len(b.shape)}"
        )
    if a.shape[1] != b.shape[0] or value.shape not in ((), (1,), (a.shape[0],)):
        raise RuntimeError(
            f"size mismatch, got input ({value.shape[0] if value.shape else 1}), mat "
            f"({a.shape[0]}x{a.shape[1]}), vec ({b.shape[0]})"
        )
    return _added(value, _mv(a, b), scales)


def _addr(value: Node, a: Node, b: Node, *scales: Node) -> Node:
    product = _outer(a, b)
    dtype = _wider(value, product)
    return _added(ew.cast(value, dtype), ew.cast(product, dtype), scales)


def _wider(x: Node, y: Node) -> dt.DType:
    return promote(reshape_to_scalar(x), reshape_to_scalar(y))[0].dtype if x.shape else y.dtype


def _baddbmm(value: Node, a: Node, b: Node, *scales: Node) -> Node:
    return _added(value, _bmm(a, b), scales)


def _addbmm(value: Node, a: Node, b: Node, *scales: Node) -> Node:
    for name, x in (("batch1", a), ("batch2", b)):
        if len(x.shape) != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    if a.shape[0] != b.shape[0]:
        raise RuntimeError(
            f"batch1 and batch2 must have same number of batches, got {a.shape[0]} and {b.shape[0]}"
        )
    if a.shape[2] != b.shape[1]:
        raise RuntimeError(
            f"Incompatible matrix sizes for bmm ({a.shape[1]}x{a.shape[2]} and "
            f"{b.shape[1]}x{b.shape[2]})"
        )
    return _added(value, contract(a, b, "bmk", "bkn", "mn"), scales)


ADDMM = Function("addmm", _addmm)
ADDMV = Function("addmv", _addmv)
ADDR = Function("addr", _addr)
BADDBMM = Function("baddbmm", _baddbmm)
ADDBMM = Function("addbmm", _addbmm)


def _scaled(function: Function, inputs: tuple[Any, ...], beta: Any, alpha: Any) -> Tensor:
    if beta != 1 or alpha != 1:
        inputs = (*inputs, beta, alpha)
    return apply_one(function, inputs)


@operation(out="same type", inplace=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2)."""
    return _scaled(ADDMM, (input, mat1, mat2), beta, alpha)


@operation(out="same type", inplace=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec)."""
    return _scaled(ADDMV, (input, mat, vec), beta, alpha)


@operation(out=True, inplace=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2)."""
    return _scaled(ADDR, (input, vec1, vec2), beta, alpha)


@operation(out="same type", inplace=True)
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2)."""
    return _scaled(BADDBMM, (input, batch1, batch2), beta, alpha)


@operation(out=True)
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta * input + alpha * the sum of bmm(batch1, batch2) over the batch."""
    return _scaled(ADDBMM, (input, batch1, batch2), beta, alpha)


_write_addbmm = in_place(addbmm, "addbmm_")


def _addbmm_in_place(
    self: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """In-place form of ``addbmm``. As in PyTorch, and here alone, a tensor that is broadcast takes
    the result's shape."""
    input: Any = self
    shape = (
        (batch1._type.shape[1], batch2._type.shape[2]) if batch1.ndim == batch2.ndim == 3 else ()
    )
    if shape and self._type.shape != shape and not self.requires_grad:
        input = self.expand(shape).clone()
        self.resize_(shape)
        self.copy_(input)
    return _write_addbmm(self, batch1, batch2, beta=beta, alpha=alpha)  # type: ignore[no-any-return]


setattr(Tensor, "addbmm_", _addbmm_in_place)  # noqa: B010


# ---- chains ---------------------------------------------------------------------------------


@operation(method=False, out=True)
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of several matrices, in the order that costs least."""
    given = list(matrices)
    if len(given) == 1 and not isinstance(given[0], Tensor):
        given = list(given[0])
    if not given:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    sizes = [given[0]._type.shape[0], *[m._type.shape[-1] for m in given]]
    return _multiply_chain(given, sizes, 0, len(given) - 1, {})


def _chain_cost(sizes: Sequence[int], i: int, j: int, memo: dict[Any, Any]) -> tuple[int, int]:
    """The fewest multiplications for matrices i to j, and after which to split."""
    if i == j:
        return 0, i
    if (i, j) not in memo:
        memo[i, j] = min(
            (
                _chain_cost(sizes, i, k, memo)[0]
                + _chain_cost(sizes, k + 1, j, memo)[0]
                + sizes[i] * sizes[k + 1] * sizes[j + 1],
                k,
            )
            for k in range(i, j)
        )
    found: tuple[int, int] = memo[i, j]
    return found


def _multiply_chain(
    given: Sequence[Tensor], sizes: Sequence[int], i: int, j: int, memo: dict[Any, Any]
) -> Tensor:
    if i == j:
        return given[i]
    _, k = _chain_cost(sizes, i, j, memo)
    left = _multiply_chain(given, sizes, i, k, memo)
    right = _multiply_chain(given, sizes, k + 1, j, memo)
    return apply_one(MATMUL, (left, right))


def multiply_chain(given: Sequence[Tensor]) -> Tensor:
    """A chain of matrices that fit, whose ends may be vectors."""
    first = given[0]._type.shape
    sizes = [first[0] if len(first) == 2 else 1]
    sizes += [m._type.shape[0] for m in given[1:]]
    last = given[-1]._type.shape
    sizes.append(last[1] if len(last) == 2 else 1)
    return _multiply_chain(given, sizes, 0, len(given) - 1, {})
