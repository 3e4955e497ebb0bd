"""Activations: functions of each element (glu: of two halves), one recorded call each."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import pi, sqrt
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.movement import slice_
from codegen.ops.reduction import sum_
from lazytorch.autocasting import in_lower_precision
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import (
    apply_one,
    by_one_factor,
    in_accumulation_type,
    need_float,
    number,
    over_channels,
    widen,
    with_rule,
)
from lazytorch.functions.promotion import promote_float
from lazytorch.functions.registration import (
    FOUND_DTYPE,
    PUBLIC,
    assign_made,
    in_place,
    operation,
    with_out,
)
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import type_name


def _c(x: Node, value: float) -> Node:
    return ew.full_like(x, value)


def _applied(function: Function, inputs: Sequence[Any], inplace: bool) -> Tensor:
    """A function of some inputs, written into the first of them where that is wanted."""
    if inplace:
        return assign_made(inputs[0], apply_one, function, inputs)
    return apply_one(function, inputs)


# ---- piecewise linear -----------------------------------------------------------------------


def _relu(x: Node) -> Node:
    if x.dtype.kind == "bool":
        raise RuntimeError("Boolean inputs not supported for relu")
    # NaN passes: it is not below zero.
    return ew.where(ew.lt(x, _c(x, 0)), _c(x, 0), x)


def _relu_rule(_inputs: Any, outputs: Any, cotangents: Any) -> Any:
    y, g = outputs[0], cotangents[0]
    return (ew.where(ew.le(y, _c(y, 0)), _c(g, 0), g),)


RELU = Function("relu", _relu, _relu_rule, saves_inputs=True)


@operation(inplace=True)
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0)."""
    require_tensor("relu", input)
    return _applied(RELU, (input,), inplace)


def _threshold(x: Node, limit: Node, value: Node) -> Node:
    return ew.where(ew.le(x, number(limit, x)), number(value, x), x)


def _hardtanh(x: Node, low: Node, high: Node) -> Node:
    if x.dtype.kind == "bool":
        raise RuntimeError("Bool inputs not supported for hardtanh")

    def limited(x: Node, a: Node, b: Node) -> Node:
        return ew.where(ew.le(x, a), a, ew.where(ew.ge(x, b), b, x))

    def rule(g: Node, x: Node, a: Node, b: Node) -> Sequence[Node | None]:
        inside = ew.and_(ew.gt(x, a), ew.lt(x, b))
        return ew.where(inside, g, _c(g, 0)), None, None

    return with_rule(limited, rule, x, number(low, x), number(high, x))


def _leaky_relu(x: Node, slope: Node) -> Node:
    need_float(x, "leaky_relu_cpu")
    return ew.where(ew.gt(x, _c(x, 0)), x, ew.mul(x, number(slope, x)))


def _prelu(x: Node, weight: Node) -> Node:
    if len(weight.shape) > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = "
            f"{len(weight.shape)}"
        )
    if weight.dtype is not x.dtype:
        raise RuntimeError(
            "prelu: Type promoting not supported. Got "
            f"{type_name(x.dtype)} and {type_name(weight.dtype)}"
        )
    if weight.type.size == 1:
        slope = broadcast_to(weight, x.shape if x.shape else weight.shape)
        if slope.shape != x.shape:
            slope = number(sum_(weight, range(len(weight.shape))), x)
    else:
        if not x.shape:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = x.shape[1] if len(x.shape) > 1 else 1
        if weight.type.size != channels:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.type.size} and channel size = {channels}."
            )
        slope = over_channels(weight, x.shape)
    return ew.where(ew.gt(x, _c(x, 0)), x, ew.mul(slope, x))


def _hardsigmoid(x: Node) -> Node:
    need_float(x, "hardsigmoid_cpu")

    def rising(x: Node) -> Node:
        inner = ew.div(ew.add(x, _c(x, 3)), _c(x, 6))
        upper = ew.where(ew.ge(x, _c(x, 3)), _c(x, 1), inner)
        return ew.where(ew.le(x, _c(x, -3)), _c(x, 0), upper)

    def rule(g: Node, x: Node) -> Sequence[Node]:
        inside = ew.and_(ew.gt(x, _c(x, -3)), ew.lt(x, _c(x, 3)))
        return (ew.where(inside, ew.div(g, _c(g, 6)), _c(g, 0)),)

    return with_rule(rising, rule, x)


def _hardswish(x: Node) -> Node:
    need_float(x, "hardswish_cpu")

    def gated(x: Node) -> Node:
        gate = ew.add(x, _c(x, 3))
        gate = ew.where(ew.ge(gate, _c(x, 6)), _c(x, 6), gate)
        gate = ew.where(ew.le(gate, _c(x, 0)), _c(x, 0), gate)
        return ew.div(ew.mul(x, gate), _c(x, 6))

    def rule(g: Node, x: Node) -> Sequence[Node]:
        inner = ew.mul(g, ew.add(ew.div(x, _c(x, 3)), _c(x, 0.5)))
        upper = ew.where(ew.lt(x, _c(x, 3)), inner, g)
        return (ew.where(ew.le(x, _c(x, -3)), _c(g, 0), upper),)

    return with_rule(gated, rule, x)


def _softshrink(x: Node, width: Node) -> Node:
    need_float(x, "softshrink_cpu")
    w = number(width, x)
    # x * 0, not 0: NaN passes.
    below = ew.where(ew.lt(x, ew.neg(w)), ew.add(x, w), ew.mul(x, _c(x, 0)))
    return ew.where(ew.gt(x, w), ew.sub(x, w), below)


def _hardshrink(x: Node, width: Node) -> Node:
    need_float(x, "hardshrink_cpu")

    def shrunk(x: Node, w: Node) -> Node:
        return ew.where(ew.and_(ew.ge(x, ew.neg(w)), ew.le(x, w)), _c(x, 0), x)

    def rule(g: Node, x: Node, w: Node) -> Sequence[Node | None]:
        outside = ew.or_(ew.lt(x, ew.neg(w)), ew.gt(x, w))
        return ew.where(outside, g, _c(g, 0)), None

    return with_rule(shrunk, rule, x, number(width, x))


THRESHOLD = Function("threshold", _threshold, saves_inputs=True)
HARDTANH = Function("hardtanh", _hardtanh, saves_inputs=True)
LEAKY_RELU = Function("leaky_relu", _leaky_relu, saves_inputs=True)
PRELU = Function("prelu", _prelu, gradient_name="PreluKernelBackward0", saves_inputs=True)
HARDSIGMOID = Function("hardsigmoid", _hardsigmoid, saves_inputs=True)
HARDSWISH = Function("hardswish", _hardswish)
SOFTSHRINK = Function("softshrink", _softshrink, saves_inputs=True)
HARDSHRINK = Function("hardshrink", _hardshrink, saves_inputs=True)


@operation(method=False)
def threshold(input: Tensor, threshold: Any, value: Any, inplace: bool = False) -> Tensor:
    """The input where it is above ``threshold``, else ``value``."""
    return _applied(THRESHOLD, (input, threshold, value), inplace)


def hardtanh(
    input: Tensor, min_val: Any = -1.0, max_val: Any = 1.0, inplace: bool = False
) -> Tensor:
    """The input, cut off at both ends."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _applied(HARDTANH, (input, min_val, max_val), inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input, 0), 6)."""
    return _applied(HARDTANH, (input, 0, 6), inplace)


def leaky_relu(input: Tensor, negative_slope: Any = 0.01, inplace: bool = False) -> Tensor:
    """The input where it is positive, else ``negative_slope`` times it."""
    return _applied(LEAKY_RELU, (input, float(negative_slope)), inplace)


@operation()
@in_lower_precision
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """leaky_relu with a learnt slope, one or one a channel."""
    return apply_one(PRELU, (input, weight))


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(input + 3) / 6."""
    return _applied(HARDSIGMOID, (input,), inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * relu6(input + 3) / 6."""
    return _applied(HARDSWISH, (input,), inplace)


@functools.partial(with_out, kind=FOUND_DTYPE)
def softshrink(input: Tensor, lambd: Any = 0.5) -> Tensor:
    """The input moved towards 0 by ``lambd``, and 0 within it."""
    if lambd < 0:
        name = type_name(input.dtype)
        raise RuntimeError(
            f"lambda must be in range [0, 3.40282e+38] for input dtype {name}, but found {lambd}"
        )
    return apply_one(SOFTSHRINK, (input, float(lambd)))


@operation(out=FOUND_DTYPE)
def hardshrink(input: Tensor, lambd: Any = 0.5) -> Tensor:
    """The input, and 0 within ``lambd`` of 0."""
    return apply_one(HARDSHRINK, (input, float(lambd)))


# ---- exponential ----------------------------------------------------------------------------


def _elu(x: Node, alpha: Node, scale: Node, input_scale: Node) -> Node:
    need_float(x, "elu_cpu")

    def bent(x: Node, factor: Node, scale: Node, input_scale: Node) -> Node:
        positive = ew.gt(x, _c(x, 0))
        # Where the input is positive its exponential may overflow, and is not wanted.
        low = ew.mul(ew.where(positive, _c(x, 0), x), input_scale)
        return ew.where(positive, ew.mul(x, scale), ew.mul(ew.expm1(low), factor))

    def rule(
        g: Node, x: Node, factor: Node, scale: Node, input_scale: Node
    ) -> Sequence[Node | None]:
        zero = _c(x, 0)
        low = ew.mul(ew.where(ew.lt(x, zero), x, zero), input_scale)
        steep = ew.mul(ew.mul(factor, input_scale), ew.exp(low))
        return ew.mul(g, ew.where(ew.le(x, zero), steep, scale)), None, None, None

    by_alpha = ew.mul(number(alpha, x), number(scale, x))
    return with_rule(bent, rule, x, by_alpha, number(scale, x), number(input_scale, x))


def softplus_node(x: Node) -> Node:
    """log(1 + exp(x)), without overflow."""
    large = ew.gt(x, _c(x, 20))
    return ew.where(large, x, ew.log1p(ew.exp(ew.where(large, _c(x, 0), x))))


def _softplus(x: Node, beta: Node, limit: Node) -> Node:
    need_float(x, "softplus_cpu")
    scaled = ew.mul(x, number(beta, x))
    large = ew.gt(scaled, number(limit, x))
    small = ew.log1p(ew.exp(ew.where(large, _c(x, 0), scaled)))
    return ew.where(large, x, ew.div(small, number(beta, x)))


def _logsigmoid(x: Node) -> Node:
    need_float(x, "log_sigmoid_cpu")
    low = ew.minimum(x, _c(x, 0))
    return ew.sub(low, ew.log1p(ew.exp(ew.neg(ew.abs_(x)))))


def _logsigmoid_rule(inputs: Any, _outputs: Any, cotangents: Any) -> Any:
    """Of exp(-|x|) alone, which stays a number as long as the slope is one; exp(x) does not."""
    x, g = widen(inputs[0]), widen(cotangents[0])
    small = ew.exp(ew.neg(ew.abs_(x)))
    above = ew.where(ew.ge(x, _c(x, 0)), small, _c(x, 1))
    slope = ew.div(above, ew.add(small, _c(x, 1)))
    return (ew.cast(ew.mul(g, slope), inputs[0].dtype),)


def _silu(x: Node) -> Node:
    need_float(x, "silu_cpu")
    return ew.mul(x, ew.sigmoid(x))


def _mish(x: Node) -> Node:
    need_float(x, "mish_cpu")
    return ew.mul(x, ew.tanh(softplus_node(x)))


def _gelu(x: Node, approximate: str) -> Node:
    need_float(x, "GeluKernelImpl")
    half = ew.mul(x, _c(x, 0.5))
    if approximate == "none":
        return ew.mul(half, ew.add(_c(x, 1), ew.erf(ew.mul(x, _c(x, sqrt(0.5))))))
    cube = ew.mul(x, ew.mul(x, x))
    inner = ew.mul(_c(x, sqrt(2 / pi)), ew.add(x, ew.mul(_c(x, 0.044715), cube)))
    return ew.mul(half, ew.add(_c(x, 1), ew.tanh(inner)))


def _softsign(x: Node) -> Node:
    (x,) = promote_float(x)
    return ew.div(x, ew.add(_c(x, 1), ew.abs_(x)))


def _tanhshrink(x: Node) -> Node:
    (x,) = promote_float(x)
    return ew.sub(x, ew.tanh(x))


ELU = Function("elu", in_accumulation_type(_elu))
SOFTPLUS = Function("softplus", in_accumulation_type(_softplus))
LOGSIGMOID = Function(
    "logsigmoid",
    in_accumulation_type(_logsigmoid),
    _logsigmoid_rule,
    gradient_name="LogSigmoidBackward0",
)
SILU = Function("silu", in_accumulation_type(_silu), by_one_factor(_silu))
MISH = Function("mish", in_accumulation_type(_mish), by_one_factor(_mish))
GELU = Function("gelu", in_accumulation_type(_gelu), by_one_factor(_gelu))
SOFTSIGN = Function("softsign", _softsign, gradient_name="DivBackward0", spares=lambda *_: (~0,))
TANHSHRINK = Function(
    "tanhshrink", _tanhshrink, gradient_name="SubBackward0", spares=lambda *_: (0,)
)

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def elu(input: Tensor, alpha: Any = 1.0, inplace: bool = False) -> Tensor:
    """The input where it is positive, else alpha (exp(input) - 1)."""
    return _applied(ELU, (input, float(alpha), 1.0, 1.0), inplace)


@operation(method=False)
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """elu with the constants of Klambauer et al. (2017)."""
    return _applied(ELU, (input, _SELU_ALPHA, _SELU_SCALE, 1.0), inplace)


@operation(method=False)
def celu(input: Tensor, alpha: Any = 1.0, inplace: bool = False) -> Tensor:
    """The input where it is positive, else alpha (exp(input / alpha) - 1)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _applied(ELU, (input, float(alpha), 1.0, 1.0 / alpha), inplace)


@functools.partial(with_out, kind=FOUND_DTYPE)
def softplus(input: Tensor, beta: Any = 1, threshold: Any = 20) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where that is beyond ``threshold``."""
    return apply_one(SOFTPLUS, (input, float(beta), float(threshold)))


@functools.partial(with_out, kind="expected scalar type {made} but found {out}")
def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-input)))."""
    return apply_one(LOGSIGMOID, (input,))


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input)."""
    return _applied(SILU, (input,), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * tanh(softplus(input))."""
    return _applied(MISH, (input,), inplace)


@functools.partial(with_out, kind=FOUND_DTYPE)
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """The input times the normal distribution's cumulative function, or its tanh approximation."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return apply_one(GELU, (input,), (approximate,))


def softsign(input: Tensor) -> Tensor:
    """input / (1 + |input|)."""
    return apply_one(SOFTSIGN, (input,))


def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input)."""
    return apply_one(TANHSHRINK, (input,))


# ---- halves, and those that other files compute ------------------------------------------------


def _glu(x: Node, axis: int) -> Node:
    half = x.shape[axis] // 2

    def part(start: int) -> Node:
        starts = [start if i == axis else 0 for i in range(len(x.shape))]
        sizes = [half if i == axis else n for i, n in enumerate(x.shape)]
        return slice_(x, starts, sizes, [1] * len(sizes))

    return ew.mul(part(0), ew.sigmoid(part(half)))


GLU = Function("glu", _glu)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along ``dim`` times the sigmoid of the second."""
    if input.dim() == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    axis = wrap_dim(dim, input.dim())
    if input._type.shape[axis] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {axis} is size "
            f"{input._type.shape[axis]}"
        )
    return apply_one(GLU, (input,), (axis,))


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input))."""
    result: Tensor = PUBLIC["sigmoid"](input)
    return result


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    result: Tensor = PUBLIC["tanh"](input)
    return result


def _in_place(definition: Any) -> Any:
    written = in_place(definition, definition.__name__ + "_")
    PUBLIC[written.__name__] = written
    return written


selu_, celu_, threshold_ = _in_place(selu), _in_place(celu), _in_place(threshold)
relu_ = PUBLIC["relu_"]
elu_ = in_place(elu, "elu_")
hardtanh_ = in_place(hardtanh, "hardtanh_")
leaky_relu_ = in_place(leaky_relu, "leaky_relu_")
