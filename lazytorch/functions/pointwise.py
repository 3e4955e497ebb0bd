"""Elementary and special functions, rounding, limits, bits and tests of each element."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node
from codegen.ops import complex_numbers as cn
from codegen.ops import elementwise as ew
from lazytorch import return_types
from lazytorch.application import apply
from lazytorch.expression import Function
from lazytorch.functions.arguments import not_implemented, require_tensor
from lazytorch.functions.bodies import (
    accumulation_type,
    apply_one,
    summed_to,
    with_rule,
    without_derivative,
    xlogy_node,
)
from lazytorch.functions.families import binary, in_float, unary
from lazytorch.functions.promotion import (
    as_float,
    broadcast_together,
    promote,
    promote_float,
    result_dtype,
)
from lazytorch.functions.reductions import truth
from lazytorch.functions.registration import FOUND_DTYPE, operation
from lazytorch.tensor import Tensor

Body1 = Callable[[Node], Node]
Body2 = Callable[[Node, Node], Node]

# ---- elementary and special functions ---------------------------------------------------------

# name -> (primitive, other names); integers and bools become the default type.
_ELEMENTARY: dict[str, tuple[Body1, tuple[str, ...]]] = {
    "sqrt": (ew.sqrt, ()),
    "rsqrt": (ew.rsqrt, ()),
    "exp": (ew.exp, ()),
    "exp2": (ew.exp2, ()),
    "expm1": (ew.expm1, ()),
    "log": (ew.log, ()),
    "log2": (ew.log2, ()),
    "log10": (ew.log10, ()),
    "log1p": (ew.log1p, ()),
    "sin": (ew.sin, ()),
    "cos": (ew.cos, ()),
    "tan": (ew.tan, ()),
    "asin": (ew.asin, ("arcsin",)),
    "acos": (ew.acos, ("arccos",)),
    "atan": (ew.atan, ("arctan",)),
    "sinh": (ew.sinh, ()),
    "cosh": (ew.cosh, ()),
    "tanh": (ew.tanh, ()),
    "asinh": (ew.asinh, ("arcsinh",)),
    "acosh": (ew.acosh, ("arccosh",)),
    "atanh": (ew.atanh, ("arctanh",)),
    "sigmoid": (ew.sigmoid, ()),
    "erf": (ew.erf, ()),
    "erfc": (ew.erfc, ()),
    "erfinv": (ew.erfinv, ()),
    "lgamma": (ew.lgamma, ()),
    "digamma": (ew.digamma, ()),
}
# What PyTorch's gradient reads, where ours reads something else.
_SAVED: dict[str, dict[str, Any]] = {
    "erfinv": {"saves_exactly": lambda *_: (0,)},
}
ELEMENTARY = {
    name: unary(
        name,
        in_float(body),
        f"{name}(input), element by element, in floating point.",
        names,
        **_SAVED.get(name, {}),
    )
    for name, (body, names) in _ELEMENTARY.items()
}


def times(factor: float) -> Body1:
    """Multiplication by a constant."""
    return lambda x: ew.mul(x, ew.full_like(x, factor))


def _sinc(x: Node) -> Node:
    def value(x: Node) -> Node:
        zero = ew.eq(x, ew.full_like(x, 0))
        angle = ew.where(zero, ew.full_like(x, 1), times(math.pi)(x))
        return ew.where(zero, ew.full_like(x, 1), ew.div(ew.sin(angle), angle))

    def rule(g: Node, x: Node) -> Sequence[Node]:
        """(angle cos(angle) - sin(angle)) / (pi x²), and 0 where x² is."""
        angle = times(math.pi)(x)
        below = ew.mul(x, angle)
        zero = ew.eq(below, ew.full_like(x, 0))
        slope = ew.sub(ew.mul(angle, ew.cos(angle)), ew.sin(angle))
        slope = ew.div(slope, ew.where(zero, ew.full_like(x, 1), below))
        return (ew.mul(g, ew.where(zero, ew.full_like(x, 0), slope)),)

    return with_rule(value, rule, x)


sinc = unary("sinc", in_float(_sinc), "sin(pi x) / (pi x), and 1 at 0.")
deg2rad = unary("deg2rad", in_float(times(math.pi / 180)), "Degrees to radians.")
rad2deg = unary("rad2deg", in_float(times(180 / math.pi)), "Radians to degrees.")


def _logit(x: Node, eps: Node | None) -> Node:
    if eps is not None:
        x = _clamp(x, eps, ew.sub(ew.full_like(eps, 1), eps), x.dtype)
    return ew.sub(ew.log(x), ew.log1p(ew.neg(x)))


def _logit_gradient(
    inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Sequence[Node | None]
) -> Sequence[Node | None]:
    """g / (x (1 - x)); NaN outside [0, 1]."""
    x, g = inputs[0], cotangents[0]
    if g is None:
        return [None]
    one, zero = ew.full_like(g, 1), ew.full_like(g, 0)
    x = ew.cast(x, g.dtype)
    inside = ew.and_(ew.ge(x, zero), ew.le(x, one))
    slope = ew.div(g, ew.mul(x, ew.sub(one, x)))
    return [ew.cast(ew.where(inside, slope, ew.full_like(g, math.nan)), inputs[0].dtype)]


def _logit_within(x: Node, eps: Node) -> Node:
    x = ew.cast(x, as_float(x.dtype))
    return _logit(x, ew.cast(eps, x.dtype))


LOGIT = Function("logit", in_float(lambda x: _logit(x, None)), gradient=_logit_gradient)
LOGIT_WITHIN = Function("logit_within", _logit_within, gradient_name="LogitBackward0")


@operation(inplace=True, out=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)) of x = input clamped to [eps, 1 - eps]."""
    require_tensor("logit", input)
    if eps is None:
        return apply_one(LOGIT, (input,))
    return apply_one(LOGIT_WITHIN, (input, float(eps)))


def _logaddexp2(a: Node, b: Node) -> Node:
    infinite = ew.and_(ew.eq(a, b), ew.eq(ew.abs_(a), ew.full_like(a, math.inf)))
    distance = ew.where(infinite, ew.full_like(a, 0), ew.abs_(ew.sub(a, b)))
    extra = times(1 / math.log(2))(ew.log1p(ew.exp2(ew.neg(distance))))
    return ew.where(infinite, a, ew.add(ew.maximum(a, b), extra))


def _xlogy(x: Node, y: Node) -> Node:
    return xlogy_node(*promote_float(x, y))


def _same_types(name: str, body: Body2) -> Body2:
    def checked(x: Node, y: Node) -> Node:
        if x.dtype is not y.dtype:
            raise RuntimeError(f"{name} is not yet implemented for tensors with different dtypes.")
        return body(*broadcast_together(x, y))

    return checked


def _heaviside(x: Node, at_zero: Node) -> Node:
    zero = ew.full_like(x, 0)
    return ew.where(ew.eq(x, zero), at_zero, ew.cast(ew.gt(x, zero), x.dtype))


def _fmax(x: Node, y: Node) -> Node:
    a, b = promote(x, y)
    return ew.where(ew.or_(ew.ge(a, b), ew.ne(b, b)), a, b)


def _fmin(x: Node, y: Node) -> Node:
    a, b = promote(x, y)
    return ew.where(ew.or_(ew.le(a, b), ew.ne(b, b)), a, b)


def _ldexp(x: Node, y: Node) -> Node:
    if x.dtype.kind != "float" or y.dtype.kind == "float":
        return ew.mul(*promote(x, ew.exp2(ew.cast(y, as_float(y.dtype)))))
    if y.dtype is dt.bool_:
        raise not_implemented("ldexp_cpu_exp", y.dtype)
    # In two steps, either of which stays in range where the result does.
    wide = accumulation_type(x.dtype)
    a, exponent = broadcast_together(ew.cast(x, wide), ew.cast(y, wide))
    half = ew.trunc(times(0.5)(exponent))
    scaled = ew.mul(ew.mul(a, ew.exp2(half)), ew.exp2(ew.sub(exponent, half)))
    return ew.cast(scaled, x.dtype)


def _nextafter(x: Node, y: Node) -> Node:
    a, b = promote(x, y)
    if a.dtype not in (dt.float32, dt.float64):
        raise not_implemented("nextafter_cpu", a.dtype)
    return ew.nextafter(a, b)


def _float_pair(primitive: Body2) -> Body2:
    return lambda x, y: primitive(*promote_float(x, y))


def _floats_alone(name: str, primitive: Body2) -> Body2:
    def body(x: Node, y: Node) -> Node:
        a, b = promote(x, y)
        if a.dtype.kind != "float":
            raise not_implemented(name, a.dtype)
        return primitive(a, b)

    return body


atan2 = binary(
    "atan2", _float_pair(ew.atan2), "Angle of the point (other, input), in radians.",
    ("arctan2",), numbers="none",
)  # fmt: skip
hypot = binary(
    "hypot", _floats_alone("hypot_cpu", ew.hypot), "sqrt(input² + other²).", numbers="none"
)
logaddexp = binary(
    "logaddexp", _floats_alone("logaddexp_cpu", ew.logaddexp),
    "log(exp(input) + exp(other)).", numbers="none", inplace=False,
)  # fmt: skip
logaddexp2 = binary(
    "logaddexp2",
    _floats_alone("logaddexp2_cpu", _logaddexp2),
    "log2(2**input + 2**other).",
    numbers="none",
    inplace=False,
)
copysign = binary(
    "copysign", _float_pair(ew.copysign), "input with the sign of other.", numbers="other"
)
xlogy = binary("xlogy", _xlogy, "input * log(other), and 0 where input is 0.")
heaviside = binary(
    "heaviside", _same_types("heaviside", _heaviside),
    "0 below 0, 1 above, ``values`` at 0.", numbers="none", **without_derivative("heaviside"),
)  # fmt: skip
ldexp = binary(
    "ldexp", _ldexp, "input * 2**other.", numbers="none",
    saves_exactly=lambda _, tracked: (1, ~0) if 0 in tracked else (~0,),
)  # fmt: skip
nextafter = binary(
    "nextafter", _nextafter, "The next number after input towards other.", numbers="none"
)
maximum = binary(
    "maximum", lambda x, y: ew.maximum(*promote(x, y)), "The larger; NaN where either is.",
    numbers="none", inplace=False,
)  # fmt: skip
minimum = binary(
    "minimum", lambda x, y: ew.minimum(*promote(x, y)), "The smaller; NaN where either is.",
    numbers="none", inplace=False,
)  # fmt: skip
fmax = binary("fmax", _fmax, "The larger, NaN ignored.", numbers="none", inplace=False)
fmin = binary("fmin", _fmin, "The smaller, NaN ignored.", numbers="none", inplace=False)

# ---- rounding and sign ------------------------------------------------------------------------


def _rounding(name: str, primitive: Body1) -> Body1:
    def body(x: Node) -> Node:
        if x.dtype is dt.bool_:
            raise not_implemented(f"{name}_vml_cpu", x.dtype)
        return primitive(x) if x.dtype.kind == "float" else x

    return body


def _frac(x: Node) -> Node:
    if x.dtype.kind != "float":
        raise not_implemented("frac", x.dtype)
    return ew.sub(x, ew.trunc(x))


def _sign(x: Node) -> Node:
    """Of complex numbers, for ``sgn`` alone, the number of size 1 in their direction."""
    return x if x.dtype is dt.bool_ else ew.sign(x)


_NOT_BOOL = "{} does not support non-boolean outputs."


def _signbit(x: Node) -> Node:
    if x.dtype is dt.bool_:
        return ew.full_like(x, False)
    if x.dtype.kind == "float":
        x = ew.copysign(ew.full_like(x, 1), x)
    return ew.lt(x, ew.full_like(x, 0))


floor = unary(
    "floor", _rounding("floor", ew.floor), "Rounded towards minus infinity.", out=FOUND_DTYPE
)
ceil = unary("ceil", _rounding("ceil", ew.ceil), "Rounded towards infinity.", out=FOUND_DTYPE)
trunc = unary(
    "trunc", _rounding("trunc", ew.trunc), "Rounded towards zero.", ("fix",), out=FOUND_DTYPE
)
frac = unary("frac", _frac, "input - trunc(input).", out=FOUND_DTYPE)
sign = unary("sign", _sign, "-1, 0 or 1; 0 at NaN.", out=FOUND_DTYPE)
sgn = unary(
    "sgn", _sign, "-1, 0 or 1; 0 at NaN.", out=FOUND_DTYPE, saves=lambda *_: (0, ~0)
)  # fmt: skip
signbit = unary(
    "signbit",
    _signbit,
    "Whether the sign bit is set; -0.0 has it.",
    inplace=False,
    out=_NOT_BOOL.format("signbit"),
)


def _round(x: Node, decimals: int) -> Node:
    if x.dtype.kind != "float":
        if decimals:
            raise not_implemented("round_cpu", x.dtype)
        return _rounding("round", ew.round_)(x)
    scale = ew.full_like(x, 10.0 ** (decimals if decimals > 0 else -decimals))
    if decimals > 0:
        return ew.div(ew.round_(ew.mul(x, scale)), scale)
    if decimals < 0:
        return ew.mul(ew.round_(ew.div(x, scale)), scale)
    return ew.round_(x)


ROUND = Function("round", _round)


@operation(inplace=True, out=FOUND_DTYPE)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Rounded to ``decimals`` places, ties to even."""
    require_tensor("round", input)
    return apply_one(ROUND, (input,), (int(decimals),))


def _frexp(x: Node) -> tuple[Node, Node]:
    """x = mantissa * 2**exponent, the mantissa within [0.5, 1)."""
    wide = accumulation_type(x.dtype)
    smallest, scale = (2.0**-1022, 54) if wide is dt.float64 else (2.0**-126, 24)
    size = ew.abs_(ew.cast(x, wide))
    tiny = ew.lt(size, ew.full_like(size, smallest))
    normal = ew.where(tiny, ew.mul(size, ew.full_like(size, 2.0**scale)), size)
    finite = ew.lt(size, ew.full_like(size, math.inf))
    regular = ew.and_(finite, ew.gt(size, ew.full_like(size, 0)))
    safe = ew.where(regular, normal, ew.full_like(size, 1))
    exponent = ew.add(ew.floor(ew.log2(safe)), ew.full_like(safe, 1))
    # In two steps, either of which stays in range; log2 may be one off at powers of two.
    half = ew.trunc(times(0.5)(exponent))
    mantissa = ew.mul(ew.mul(safe, ew.exp2(ew.neg(half))), ew.exp2(ew.sub(half, exponent)))
    high = ew.ge(mantissa, ew.full_like(mantissa, 1))
    low = ew.lt(mantissa, ew.full_like(mantissa, 0.5))
    one = ew.full_like(exponent, 1)
    exponent = ew.where(high, ew.add(exponent, one), exponent)
    exponent = ew.where(low, ew.sub(exponent, one), exponent)
    mantissa = ew.where(high, times(0.5)(mantissa), mantissa)
    mantissa = ew.where(low, times(2.0)(mantissa), mantissa)
    exponent = ew.sub(exponent, ew.where(tiny, ew.full_like(exponent, scale), times(0.0)(one)))
    exponent = ew.where(regular, exponent, ew.full_like(exponent, 0))
    signed = ew.where(regular, ew.cast(ew.copysign(mantissa, ew.cast(x, wide)), x.dtype), x)
    return signed, ew.cast(exponent, dt.int32)


def _frexp_rule(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None]
) -> Sequence[Node | None]:
    g = cotangents[0]
    if g is None:
        return [None]
    exponent = ew.neg(ew.cast(outputs[1], g.dtype))
    half = ew.trunc(times(0.5)(exponent))
    return [ew.mul(ew.mul(g, ew.exp2(half)), ew.exp2(ew.sub(exponent, half)))]


FREXP = Function("frexp", _frexp, gradient=_frexp_rule)


@operation(out=True)
def frexp(input: Tensor) -> Any:
    """input as mantissa * 2**exponent, the mantissa's size within [0.5, 1)."""
    require_tensor("frexp", input)
    if input.dtype.kind != "float":
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return return_types.frexp(apply(FREXP, (input,)))


def _mvlgamma(x: Node, p: int) -> Node:
    if x.dtype.kind != "float":
        x = ew.cast(x, as_float(x.dtype))
    total = ew.full_like(x, p * (p - 1) / 4 * math.log(math.pi))
    for i in range(p):
        total = ew.add(total, ew.lgamma(ew.sub(x, ew.full_like(x, i / 2))))
    return total


MVLGAMMA = Function("mvlgamma", _mvlgamma)


@operation(inplace=True, out=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension ``p``."""
    require_tensor("mvlgamma", input)
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    return apply_one(MVLGAMMA, (input,), (int(p),))


# ---- limits -----------------------------------------------------------------------------------


def _clamp(x: Node, low: Node | None, high: Node | None, dtype: DType) -> Node:
    """Within [low, high], and ``high`` where low > high.

    The gradient passes at the limits, and nowhere where x or a limit is NaN.
    """
    x = ew.cast(x, dtype)
    for limit, within, beyond in ((low, ew.ge, ew.lt), (high, ew.le, ew.gt)):
        if limit is not None:
            x, bound = broadcast_together(x, ew.cast(limit, dtype))
            outside = bound
            if dtype.kind == "float":
                outside = ew.where(beyond(x, bound), bound, ew.full_like(x, math.nan))
            x = ew.where(within(x, bound), x, outside)
    return x


def _clamp_body(low: bool, high: bool) -> Callable[..., Node]:
    def body(x: Node, *limits: Node) -> Node:
        dtype = result_dtype((x, *limits))
        if dtype is dt.bool_:
            raise not_implemented("clamp", dtype)
        return _clamp(x, limits[0] if low else None, limits[-1] if high else None, dtype)

    return body


def _clamp_rule(low: bool, high: bool) -> Callable[..., Sequence[Node | None]]:
    """To x within the limits, these included; else to the one that it became, of equal limits to
    the upper alone."""

    def rule(
        inputs: Sequence[Node], _outputs: Sequence[Node], seeds: Sequence[Node]
    ) -> Sequence[Node | None]:
        (g,) = seeds
        x, *limits = broadcast_together(*[ew.cast(i, g.dtype) for i in inputs])
        least, most = limits[0], limits[-1]
        if low and high:
            chosen = [
                ew.and_(ew.ge(x, least), ew.le(x, most)),
                ew.and_(ew.lt(x, least), ew.lt(least, most)),
                ew.or_(ew.gt(x, most), ew.lt(most, least)),
            ]
        elif low:
            chosen = [ew.ge(x, least), ew.lt(x, least)]
        else:
            chosen = [ew.le(x, most), ew.gt(x, most)]
        return [
            summed_to(ew.where(to, g, ew.full_like(g, 0)), of) if of.dtype.differentiable else None
            for to, of in zip(chosen, inputs, strict=True)
        ]

    return rule


CLAMP = {
    (low, high): Function("clamp" + "_min" * low + "_max" * high, _clamp_body(low, high),
                          _clamp_rule(low, high), gradient_name="ClampBackward1")
    for low, high in ((True, True), (True, False), (False, True))
}  # fmt: skip


@operation(inplace=True, out=True, names=("clip",))
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Each element moved into [min, max]; either limit a number, a tensor or None.

    >>> torch.clamp(torch.tensor([-2.0, 0.5, 3.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    require_tensor("clamp", input)
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    limits = [limit for limit in (min, max) if limit is not None]
    tensors = [limit for limit in limits if isinstance(limit, Tensor)]
    # One beside a number stands for a number itself.
    if len(tensors) == 1 < len(limits) and (tensors[0].ndim or tensors[0].requires_grad):
        raise TypeError(
            "clamp() received an invalid combination of arguments: min and max must both be "
            "tensors or both be numbers"
        )
    return apply_one(CLAMP[min is not None, max is not None], (input, *limits))


@operation(inplace=True, out=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Each element, or ``min`` where that is larger."""
    require_tensor("clamp_min", input)
    return apply_one(CLAMP[True, False], (input, min))


@operation(inplace=True, out=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Each element, or ``max`` where that is smaller."""
    require_tensor("clamp_max", input)
    return apply_one(CLAMP[False, True], (input, max))


_LARGEST = {
    "float16": 65504.0, "bfloat16": 3.3895313892515355e38,
    "float32": float(np.finfo(np.float32).max), "float64": float(np.finfo(np.float64).max),
}  # fmt: skip


def _nan_to_num(x: Node, *given: Node) -> Node:
    """``given``: what replaces NaN, and, unless 0-d bools stand there, the infinities."""
    if x.dtype.kind != "float":
        return x
    largest = _LARGEST[x.dtype.name]
    defaults = (0.0, largest, -largest)
    nan, high, low = [
        ew.full_like(x, default)
        if node.dtype is dt.bool_
        else broadcast_together(ew.cast(node, x.dtype), x)[0]
        for node, default in zip(given, defaults, strict=True)
    ]
    infinity = ew.full_like(x, math.inf)
    x = ew.where(ew.ne(x, x), nan, ew.where(ew.eq(x, infinity), high, x))
    return ew.where(ew.eq(x, ew.neg(infinity)), low, x)


NAN_TO_NUM = Function("nan_to_num", _nan_to_num)


@operation(inplace=True, out="nan_to_num: dtype of out: {out} should be same as input: {made}")
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:  # fmt: skip
    """NaN and the infinities replaced, by default by 0 and the largest finite numbers."""
    require_tensor("nan_to_num", input)
    numbers = [False if n is None else float(n) for n in (nan, posinf, neginf)]
    return apply_one(NAN_TO_NUM, (input, *numbers))


# ---- integers, bits and logic -----------------------------------------------------------------


def _integers(name: str, primitive: Body2, bools: bool = True) -> Body2:
    def body(x: Node, y: Node) -> Node:
        a, b = promote(x, y)
        if a.dtype.kind == "float" or (a.dtype is dt.bool_ and not bools):
            raise not_implemented(name, a.dtype)
        return primitive(a, b)

    return body


def _lcm(x: Node, y: Node) -> Node:
    divisor = ew.gcd(x, y)
    zero = ew.full_like(x, 0)
    none = ew.eq(divisor, zero)
    safe = ew.where(none, ew.full_like(x, 1), divisor)
    return ew.where(none, zero, ew.abs_(ew.mul(ew.trunc_divide(x, safe), y)))


_INTEGER_PAIRS: dict[str, tuple[str, Body2, bool, str]] = {
    "bitwise_and": ("bitwise_and_cpu", ew.and_, True, "input & other."),
    "bitwise_or": ("bitwise_or_cpu", ew.or_, True, "input | other."),
    "bitwise_xor": ("bitwise_xor_cpu", ew.xor, True, "input ^ other."),
    "bitwise_left_shift": ("lshift_cpu", ew.shift_left, False, "input << other."),
    "bitwise_right_shift": ("rshift_cpu", ew.shift_right, False, "input >> other."),
    "gcd": ("gcd_cpu", ew.gcd, False, "Greatest common divisor."),
    "lcm": ("lcm_cpu", _lcm, False, "Least common multiple."),
}
INTEGER_PAIRS = {
    name: binary(
        name,
        _integers(message, primitive, bools),
        text,
        numbers="none" if name in ("gcd", "lcm") else "both",
    )
    for name, (message, primitive, bools, text) in _INTEGER_PAIRS.items()
}


def _bitwise_not(x: Node) -> Node:
    if x.dtype.kind == "float":
        raise not_implemented("bitwise_not_cpu", x.dtype)
    return ew.not_(x)


bitwise_not = unary("bitwise_not", _bitwise_not, "~input.", out=FOUND_DTYPE)
logical_not = unary("logical_not", lambda x: ew.not_(truth(x)), "Whether input is 0.")


def _logical(primitive: Body2) -> Body2:
    return lambda x, y: primitive(*broadcast_together(truth(x), truth(y)))


logical_and = binary("logical_and", _logical(ew.and_), "Whether neither is 0.", numbers="none")
logical_or = binary("logical_or", _logical(ew.or_), "Whether either is not 0.", numbers="none")
logical_xor = binary("logical_xor", _logical(ew.xor), "Whether one alone is 0.", numbers="none")

# ---- tests ------------------------------------------------------------------------------------


def _test(of_float: Body1, of_integer: bool, of_complex: Body2 | None = None) -> Body1:
    def body(x: Node) -> Node:
        if x.dtype.kind == "float":
            return of_float(x)
        if x.dtype.is_complex and of_complex is not None:
            return of_complex(*[of_float(part) for part in cn.parts(x)])
        return ew.full_like(ew.eq(x, x), of_integer)

    return body


def _infinity(x: Node, sign: float = 1) -> Node:
    return ew.full_like(x, sign * math.inf)


_TESTS: dict[str, tuple[Body1, bool, str]] = {
    "isnan": (lambda x: ew.ne(x, x), False, "Whether NaN."),
    "isinf": (lambda x: ew.eq(ew.abs_(x), _infinity(x)), False, "Whether infinite."),
    "isfinite": (lambda x: ew.lt(ew.abs_(x), _infinity(x)), True, "Whether finite."),
    "isposinf": (lambda x: ew.eq(x, _infinity(x)), False, "Whether infinity."),
    "isneginf": (lambda x: ew.eq(x, _infinity(x, -1)), False, "Whether minus infinity."),
}
# What is true of a complex number, of what is of its parts.
_OF_PARTS: dict[str, Body2] = {"isnan": ew.or_, "isinf": ew.or_, "isfinite": ew.and_}
TESTS = {
    name: unary(
        name,
        _test(body, otherwise, _OF_PARTS.get(name)),
        text,
        inplace=False,
        out=_NOT_BOOL.format(name) if name in ("isposinf", "isneginf") else True,
    )
    for name, (body, otherwise, text) in _TESTS.items()
}


def _isreal(x: Node) -> Node:
    part = cn.parts(x)[1] if x.dtype.is_complex else ew.full_like(x, 0)
    return ew.eq(part, ew.full_like(part, 0))


isreal = unary("isreal", _isreal, "Whether the imaginary part is 0.", inplace=False)
