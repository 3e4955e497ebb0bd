"""Addition to powers: binary operations with type promotion and broadcasting."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Function
from lazytorch.functions.arguments import not_implemented, require_tensor
from lazytorch.functions.bodies import apply_one, with_rule, without_derivative
from lazytorch.functions.families import binary, in_float, unary
from lazytorch.functions.promotion import (
    as_float,
    broadcast_together,
    promote,
    promote_float,
    result_dtype,
)
from lazytorch.functions.registration import FOUND_DTYPE, assign_made, operation
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name

_BOOL_DIFFERENCE = (
    "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
    "`logical_xor()` operator instead."
)
_BOOL_SUBTRACTION = (
    "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to "
    "invert a mask, use the `~` or `logical_not()` operator instead."
)
_BOOL_NEGATION = (
    "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a "
    "mask, use the `~` or `logical_not()` operator instead."
)

# ---- addition and subtraction -----------------------------------------------------------------


def _scaled(x: Node, y: Node, scale: Node, name: str = "alpha") -> tuple[Node, Node]:
    """x and scale * y in the common type of x and y, which a scale must not exceed."""
    dtype = result_dtype((x, y))
    if scale.dtype.kind == "bool" and dtype is not dt.bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if scale.dtype.differentiable and not dtype.differentiable:
        raise RuntimeError(
            f"For integral input tensors, argument {name} must not be a floating point number."
        )
    a, b, factor = broadcast_together(*[ew.cast(n, dtype) for n in (x, y, scale)])
    return a, ew.mul(b, factor)


def _refuse_bool(x: Node, y: Node) -> None:
    if x.dtype is dt.bool_ and y.dtype is dt.bool_:
        raise RuntimeError(_BOOL_DIFFERENCE)
    if x.dtype is dt.bool_ or y.dtype is dt.bool_:
        raise RuntimeError(_BOOL_SUBTRACTION)


def _sub(x: Node, y: Node) -> Node:
    _refuse_bool(x, y)
    return ew.sub(*promote(x, y))


def _sub_scaled(x: Node, y: Node, alpha: Node) -> Node:
    _refuse_bool(x, y)
    return ew.sub(*_scaled(x, y, alpha))


ADD = Function("add", lambda x, y: ew.add(*promote(x, y)))
ADD_SCALED = Function(
    "add_scaled",
    lambda x, y, a: ew.add(*_scaled(x, y, a)),
    gradient_name="AddBackward0",
    keeps_numbers=True,
)
SUB = Function("sub", _sub)
SUB_SCALED = Function("sub_scaled", _sub_scaled, gradient_name="SubBackward0", keeps_numbers=True)
RSUB = Function("rsub", lambda x, y: _sub(y, x))
RSUB_SCALED = Function(
    "rsub_scaled",
    lambda x, y, a: _sub_scaled(y, x, a),
    gradient_name="RsubBackward0",
    keeps_numbers=True,
)


def _is_one(value: Any) -> bool:
    return type(value) is int and value == 1


@operation(inplace=True, out=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other.

    >>> torch.add(torch.tensor([1, 2]), 10)
    tensor([11, 12])
    """
    if _is_one(alpha):
        return apply_one(ADD, (input, other))
    return apply_one(ADD_SCALED, (input, other, alpha))


@operation(inplace=True, out=True, names=("subtract",))
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other."""
    if _is_one(alpha):
        return apply_one(SUB, (input, other))
    return apply_one(SUB_SCALED, (input, other, alpha))


@operation()
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input."""
    require_tensor("rsub", input)
    if _is_one(alpha):
        return apply_one(RSUB, (input, other))
    return apply_one(RSUB_SCALED, (input, other, alpha))


MUL = Function("mul", lambda x, y: ew.mul(*promote(x, y)))


@operation(inplace=True, out=True, names=("multiply",))
def mul(input: Any, other: Any) -> Tensor:
    """input * other, element by element."""
    return apply_one(MUL, (input, other))


# ---- division ---------------------------------------------------------------------------------


def _div_trunc(x: Node, y: Node) -> Node:
    a, b = promote(x, y)
    if a.dtype is dt.bool_:
        raise not_implemented("div_trunc_cpu", a.dtype)
    if a.dtype.kind != "float":
        return ew.trunc_divide(a, b)
    # No gradient: not 0 through a quotient that may be NaN.
    return with_rule(lambda a, b: ew.trunc(ew.div(a, b)), lambda _g, *_: (None, None), a, b)


def _integral_or_float(
    name: str, primitive: Callable[[Node, Node], Node]
) -> Callable[[Node, Node], Node]:
    def body(x: Node, y: Node) -> Node:
        a, b = promote(x, y)
        if a.dtype is dt.bool_:
            raise not_implemented(name, a.dtype)
        return primitive(a, b)

    return body


def _saved_by_rounded(_: object, tracked: frozenset[int]) -> tuple[int, ...]:
    return (0, 1) if 1 in tracked else (1,)


DIV = Function("div", lambda x, y: ew.div(*promote_float(x, y)), recomputes=True)
DIV_FLOOR = Function(
    "div_floor", _integral_or_float("div_floor_cpu", ew.floor_divide),
    gradient_name="DivBackward2", saves_exactly=_saved_by_rounded,
)  # fmt: skip
DIV_TRUNC = Function(
    "div_trunc", _div_trunc, gradient_name="DivBackward2", saves_exactly=_saved_by_rounded
)
_DIVISIONS = {None: DIV, "floor": DIV_FLOOR, "trunc": DIV_TRUNC}


@operation(inplace=True, out=True, names=("divide",))
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; with rounding_mode "trunc" or "floor" rounded so, integers staying integers.

    >>> torch.div(torch.tensor([7, -7]), 2, rounding_mode="trunc")
    tensor([ 3, -3])
    """
    function = _DIVISIONS.get(rounding_mode)
    if function is None:
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    return apply_one(function, (input, other))


true_divide = binary(
    "true_divide", lambda x, y: ew.div(*promote_float(x, y)), "input / other, never rounded.",
    gradient_name="DivBackward0", recomputes=True,
)  # fmt: skip
floor_divide = binary(
    "floor_divide", _integral_or_float("div_floor_cpu", ew.floor_divide),
    "input / other rounded towards minus infinity; integers divided by 0 give 0.",
    **without_derivative("floor_divide"),
)  # fmt: skip
remainder = binary(
    "remainder", _integral_or_float("remainder_cpu", ew.remainder),
    "The rest of floor division, with the sign of ``other``.",
)  # fmt: skip
fmod = binary(
    "fmod", _integral_or_float("fmod_cpu", ew.fmod),
    "The rest of truncated division, with the sign of ``input``.", numbers="other",
)  # fmt: skip

# ---- sign and reciprocal ----------------------------------------------------------------------


def _neg(x: Node) -> Node:
    if x.dtype is dt.bool_:
        raise RuntimeError(_BOOL_NEGATION)
    return ew.neg(x)


def _abs(x: Node) -> Node:
    if x.dtype is dt.bool_:
        raise not_implemented("abs_cpu", x.dtype)
    return ew.abs_(x)


def _square(x: Node) -> Node:
    whole = ew.cast(x, dt.int64) if x.dtype is dt.bool_ else x
    return ew.mul(whole, whole)


def reciprocal_node(x: Node) -> Node:
    """1 / x of a floating-point node."""
    return ew.div(ew.full_like(x, 1), x)


neg = unary("neg", _neg, "-input.", ("negative",), out=FOUND_DTYPE)


@operation()
def positive(input: Tensor) -> Tensor:
    """The input itself; not defined on bool."""
    require_tensor("positive", input)
    if input.dtype is dt.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


abs = unary(
    "abs", _abs, "|input|, element by element.",
    ("absolute",), out=FOUND_DTYPE, recomputes=True,
)  # fmt: skip


def _abs_in_place(self: Tensor) -> Tensor:
    if self.dtype.is_complex:
        self._refuse_before(False)
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    made: Tensor = _abs_of_real(self)
    return made


_abs_of_real = Tensor.abs_  # type: ignore[attr-defined]
Tensor.abs_ = Tensor.absolute_ = _abs_in_place  # type: ignore[attr-defined]
reciprocal = unary(
    "reciprocal", in_float(reciprocal_node), "1 / input.", saves_exactly=lambda *_: (~0,)
)
square = unary("square", _square, "input * input.", gradient_name="PowBackward0")

# ---- three operands ---------------------------------------------------------------------------


def _addcmul(x: Node, a: Node, b: Node, value: Node) -> Node:
    dtype = result_dtype((x, a, b))
    x, a, b, value = broadcast_together(*[ew.cast(n, dtype) for n in (x, a, b, value)])
    return ew.add(x, ew.mul(ew.mul(value, a), b))


def _addcdiv(x: Node, a: Node, b: Node, value: Node) -> Node:
    if not a.dtype.differentiable and not b.dtype.differentiable:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release "
            "addcdiv will perform a true division of tensor1 and tensor2. The historic addcdiv "
            "behavior can be implemented as (input + value * torch.trunc(tensor1 / "
            "tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / "
            "tensor2) for float inputs. The future addcdiv behavior is just the latter "
            "implementation: (input + value * tensor1 / tensor2), for all dtypes."
        )
    dtype = result_dtype((x, a, b))
    x, a, b, value = broadcast_together(*[ew.cast(n, dtype) for n in (x, a, b, value)])
    return ew.add(x, ew.mul(value, ew.div(a, b)))


def _lerp(start: Node, end: Node, weight: Node) -> Node:
    for name, node in (("end", end), ("weight", weight)):
        scalar = node is weight and node.shape == ()
        if node.dtype is not start.dtype and not scalar:
            found, wanted = _lower_name(node), _lower_name(start)
            raise RuntimeError(f"expected dtype {wanted} for `{name}` but got dtype {found}")
    a, b, w = broadcast_together(start, end, ew.cast(weight, start.dtype))

    def between(a: Node, b: Node, w: Node) -> Node:
        difference = ew.sub(b, a)
        near = ew.add(a, ew.mul(w, difference))
        far = ew.sub(b, ew.mul(difference, ew.sub(ew.full_like(w, 1), w)))
        size = ew.abs_(w)
        return ew.where(ew.lt(size, ew.full_like(size, 0.5)), near, far)

    def rule(g: Node, a: Node, b: Node, w: Node) -> Sequence[Node]:
        rest = ew.sub(ew.full_like(w, 1), w)
        return ew.mul(g, rest), ew.mul(g, w), ew.mul(g, ew.sub(b, a))

    return with_rule(between, rule, a, b, w)


def _lower_name(node: Node) -> str:
    long = {"Half": "c10::Half", "BFloat16": "c10::BFloat16", "Byte": "unsigned char",
            "Char": "signed char", "Long": "long int", "Short": "short int"}  # fmt: skip
    name = type_name(node.dtype)
    return long.get(name, name.lower())


ADDCMUL = Function("addcmul", _addcmul, keeps_numbers=True)
ADDCDIV = Function("addcdiv", _addcdiv, keeps_numbers=True)
LERP = Function("lerp", _lerp, keeps_numbers=True)


@operation(inplace=True, out=True)
def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    require_tensor("addcmul", tensor1, "tensor1", 2)
    require_tensor("addcmul", tensor2, "tensor2", 3)
    return apply_one(ADDCMUL, (input, tensor1, tensor2, value))


@operation(inplace=True, out=True)
def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    require_tensor("addcdiv", tensor1, "tensor1", 2)
    require_tensor("addcdiv", tensor2, "tensor2", 3)
    return apply_one(ADDCDIV, (input, tensor1, tensor2, value))


@operation(inplace=True, out=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input)."""
    require_tensor("lerp", input)
    require_tensor("lerp", end, "end", 2)
    return apply_one(LERP, (input, end, weight))


# ---- powers -----------------------------------------------------------------------------------


def _pow(x: Node, y: Node) -> Node:
    a, b = promote(x, y)
    if a.dtype is dt.bool_:
        raise not_implemented("pow", a.dtype)
    return ew.pow_(a, b)


def _inverse_power(x: Node, n: int) -> Node:
    """x ** -n, whose derivative is -n x ** -(n + 1) at 0 too."""

    def value(x: Node) -> Node:
        return reciprocal_node(functools.reduce(ew.mul, [x] * n))

    def rule(g: Node, x: Node) -> Sequence[Node]:
        return (ew.mul(g, ew.mul(ew.full_like(x, -n), _inverse_power(x, n + 1))),)

    return with_rule(value, rule, x)


# A number as exponent whose power needs no pow.
_SPECIAL_POWERS: dict[float, Callable[[Node], Node]] = {
    0.0: lambda x: ew.full_like(x, 1),
    1.0: lambda x: x,
    2.0: lambda x: ew.mul(x, x),
    3.0: lambda x: ew.mul(ew.mul(x, x), x),
    0.5: ew.sqrt,
    -0.5: ew.rsqrt,
    -1.0: reciprocal_node,
    -2.0: lambda x: _inverse_power(x, 2),
}


def _special_pow(x: Node, exponent: float, kind: str) -> Node:
    """``kind`` is that of the Python number, which 2 and 2.0 differ in."""
    dtype = x.dtype
    if kind == "float" and not dtype.differentiable:
        dtype = as_float(dtype)
    elif kind == "int" and dtype is dt.bool_:
        dtype = dt.int64
    return _SPECIAL_POWERS[exponent](ew.cast(x, dtype))


def _float_power(x: Node, y: Node) -> Node:
    wide = dt.complex128 if x.dtype.is_complex or y.dtype.is_complex else dt.float64
    a, b = broadcast_together(ew.cast(x, wide), ew.cast(y, wide))
    return ew.pow_(a, b)


POW = Function("pow", _pow, gradient_name="PowBackward1")
POW_SPECIAL = Function(
    "pow_special", _special_pow, gradient_name="PowBackward0", recomputes=True,
    saves=lambda *_: (0,),
)  # fmt: skip
# PyTorch's gradient reads the input's power 0.
POW_ONE = Function(
    "pow_one", _special_pow, gradient_name="PowBackward0", saves_inputs=True, saves=lambda *_: (0,)
)


@operation(inplace=True, out=True)
def pow(input: Any, exponent: Any) -> Tensor:
    """input ** exponent; integers stay integers.

    >>> torch.pow(torch.tensor([1.0, 2.0]), 2)
    tensor([1., 4.])
    """
    if isinstance(exponent, (int, float)) and isinstance(input, Tensor):
        whole = isinstance(exponent, int)
        if whole and exponent < 0 and not input.dtype.differentiable:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        if exponent in _SPECIAL_POWERS:
            kind = "float" if not whole else "bool" if isinstance(exponent, bool) else "int"
            return apply_one(
                POW_ONE if exponent == 1 else POW_SPECIAL, (input,), (float(exponent), kind)
            )
    if not isinstance(exponent, Tensor):
        require_tensor("pow", input)
    return apply_one(POW, (input, exponent))


float_power = binary("float_power", _float_power, "input ** exponent in float64.", inplace=False)


def _float_power_in_place(self: Tensor, exponent: Any) -> Tensor:
    """In-place form of ``float_power``, for float64 alone."""
    if self.dtype is not dt.float64:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {type_name(self.dtype)} but the operation's "
            "result requires dtype Double"
        )
    return assign_made(self, float_power, self, exponent)


Tensor.float_power_ = _float_power_in_place  # type: ignore[attr-defined]
