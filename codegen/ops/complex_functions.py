"""Functions of complex numbers, in real and imaginary parts; their gradients, from derivatives.

The formulas are those of Kahan, "Branch cuts for complex elementary functions" (1987), as CPython's
cmath and C libraries have them. A gradient is not that of the parts, but the cotangent times the
conjugate of the derivative, which is known for real numbers already: the rule of the real
operation, applied to conjugates.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.calls import Template, call
from codegen.ops.complex_numbers import RULES, Attributes, complex_, conj, imag, parts, real
from codegen.ops.leaves import constant_value, parameter
from codegen.ops.registry import OPERATIONS, Operation

Pair = tuple[Node, Node]


def _number(x: Node, value: float) -> Node:
    return ew.full_like(x, value)


def _scaled(x: Node, factor: float) -> Node:
    return ew.mul(x, _number(x, factor))


def _sign(x: Node) -> Node:
    """1, or -1 where the sign bit is set."""
    return ew.copysign(_number(x, 1), x)


def _is_zero(z: Node) -> Node:
    return ew.eq(z, ew.full_like(z, 0))


# ---- magnitude and direction ---------------------------------------------------------------------


def _abs_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None]
) -> list[Node | None]:
    """g z / |z|, and 0 at 0."""
    (z,), (size,), (g,) = inputs, outputs, cotangents
    if g is None:
        return [None]
    zero = ew.eq(size, _number(size, 0))
    slope = ew.div(g, ew.where(zero, _number(size, 1), size))
    return [complex_(*[ew.mul(p, slope) for p in parts(z)])]


@functools.cache
def _abs_template(type_: TensorType) -> Template:
    z = parameter(0, type_)
    return Template("abs_of_complex", (z,), (ew.hypot(*parts(z)),), _abs_gradient)


def absolute(z: Node) -> Node:
    """|z|."""
    return call(_abs_template(TensorType(z.shape, z.dtype)), (z,), 0)


def sgn(z: Node) -> Node:
    """z / |z|, and 0 at 0, where its gradient is 0."""
    size = absolute(z)
    zero = ew.eq(size, _number(size, 0))
    size = ew.where(zero, _number(size, 1), size)
    return complex_(*[ew.where(zero, _number(p, 0), ew.div(p, size)) for p in parts(z)])


def angle(z: Node) -> Node:
    """The angle in the complex plane, whose gradient at 0 is 0."""
    re, im = parts(z)
    return ew.atan2(im, re)


# ---- exponentials and logarithms -----------------------------------------------------------------


def _exp(z: Pair) -> Pair:
    a, b = z
    size = ew.exp(a)
    # Of infinite size on the real axis the imaginary part is 0 all the same.
    return ew.mul(size, ew.cos(b)), ew.where(
        ew.eq(b, _number(b, 0)), b, ew.mul(size, ew.sin(b))
    )  # fmt: skip


def _expm1(z: Pair) -> Pair:
    a, b = z
    half = ew.sin(_scaled(b, 0.5))
    re = ew.sub(ew.mul(ew.expm1(a), ew.cos(b)), _scaled(ew.mul(half, half), 2))
    return re, _exp(z)[1]


def _log(z: Pair) -> Pair:
    return ew.log(ew.hypot(*z)), ew.atan2(z[1], z[0])


def _log1p(z: Pair) -> Pair:
    a, b = z
    # Near 0, where 1 + a loses what a has: log(|1 + z|²) / 2.
    near = ew.lt(ew.hypot(a, b), _number(a, 0.5))
    squares = ew.add(ew.mul(a, ew.add(a, _number(a, 2))), ew.mul(b, b))
    one_more = ew.add(a, _number(a, 1))
    far = ew.log(ew.hypot(one_more, b))
    return ew.where(near, _scaled(ew.log1p(squares), 0.5), far), ew.atan2(b, one_more)


def _times_number(function: Callable[[Pair], Pair], before: float = 1, after: float = 1):  # type: ignore[no-untyped-def]
    """The function of a multiple, multiplied."""

    def scaled(z: Pair) -> Pair:
        if before != 1:
            z = _scaled(z[0], before), _scaled(z[1], before)
        re, im = function(z)
        return _scaled(re, after), _scaled(im, after)

    return scaled


def _sigmoid(z: Pair) -> Pair:
    a, b = _exp((ew.neg(z[0]), ew.neg(z[1])))
    one = _number(a, 1)
    return _divided((one, _number(a, 0)), (ew.add(a, one), b))


# ---- roots and quotients -------------------------------------------------------------------------


def _sqrt(z: Pair) -> Pair:
    a, b = z
    zero = _number(a, 0)
    # Scaled by a power of 2 where squares would overflow, or vanish.
    t = ew.sqrt(_scaled(ew.add(ew.hypot(_scaled(a, 0.125), _scaled(b, 0.125)),
                               ew.abs_(_scaled(a, 0.125))), 4))  # fmt: skip
    nothing = ew.eq(t, zero)
    other = ew.where(nothing, b, ew.div(b, _scaled(ew.where(nothing, _number(t, 1), t), 2)))
    other = ew.where(ew.eq(ew.abs_(b), _number(b, math.inf)), b, other)
    right = ew.ge(a, zero)
    return ew.where(right, t, ew.mul(other, _sign(b))), ew.where(right, other, ew.mul(t, _sign(b)))


def _divided(x: Pair, y: Pair) -> Pair:
    """Smith's algorithm: by the larger part of the divisor."""
    (a, b), (c, d) = x, y
    if constant_value(d) == 0:
        return ew.div(a, c), ew.div(b, c)
    first = ew.ge(ew.abs_(c), ew.abs_(d))
    large, small = ew.where(first, c, d), ew.where(first, d, c)
    zero = ew.eq(large, _number(large, 0))
    ratio = ew.where(zero, small, ew.div(small, large))
    scale = ew.add(large, ew.mul(small, ratio))
    p, q = ew.where(first, a, b), ew.where(first, b, a)
    crossed = ew.sub(q, ew.mul(p, ratio))
    re = ew.div(ew.add(p, ew.mul(q, ratio)), scale)
    im = ew.div(ew.where(first, crossed, ew.neg(crossed)), scale)
    return re, im


def _rsqrt(z: Pair) -> Pair:
    root = _sqrt(z)
    return _divided((_number(z[0], 1), _number(z[0], 0)), root)


# ---- circles and hyperbolas ----------------------------------------------------------------------


def _sinh(z: Pair) -> Pair:
    a, b = z
    return ew.mul(ew.sinh(a), ew.cos(b)), ew.mul(ew.cosh(a), ew.sin(b))


def _cosh(z: Pair) -> Pair:
    a, b = z
    return ew.mul(ew.cosh(a), ew.cos(b)), ew.mul(ew.sinh(a), ew.sin(b))


def _tanh(z: Pair) -> Pair:
    a, b = z
    tx, ty, one = ew.tanh(a), ew.tan(b), _number(a, 1)
    both = ew.mul(tx, ty)
    scale = ew.add(one, ew.mul(both, both))
    narrow = ew.div(one, ew.cosh(a))
    re = ew.div(ew.mul(tx, ew.add(one, ew.mul(ty, ty))), scale)
    return re, ew.mul(ew.mul(ew.div(ty, scale), narrow), narrow)


def _asinh(z: Pair) -> Pair:
    a, b = z
    one = _number(a, 1)
    s, t = _sqrt((ew.add(one, b), ew.neg(a))), _sqrt((ew.sub(one, b), a))
    re = ew.asinh(ew.sub(ew.mul(s[0], t[1]), ew.mul(t[0], s[1])))
    return re, ew.atan2(b, ew.sub(ew.mul(s[0], t[0]), ew.mul(s[1], t[1])))


def _acos(z: Pair) -> Pair:
    a, b = z
    one = _number(a, 1)
    s, t = _sqrt((ew.sub(one, a), ew.neg(b))), _sqrt((ew.add(one, a), b))
    im = ew.asinh(ew.sub(ew.mul(t[0], s[1]), ew.mul(t[1], s[0])))
    return _scaled(ew.atan2(s[0], t[0]), 2), im


def _acosh(z: Pair) -> Pair:
    a, b = z
    one = _number(a, 1)
    s, t = _sqrt((ew.sub(a, one), b)), _sqrt((ew.add(a, one), b))
    re = ew.asinh(ew.add(ew.mul(s[0], t[0]), ew.mul(s[1], t[1])))
    return re, _scaled(ew.atan2(s[1], t[0]), 2)


def _atanh(z: Pair) -> Pair:
    a, b = z
    one, size = _number(a, 1), ew.abs_(a)
    rest, squares = ew.sub(one, size), ew.mul(b, b)
    ratio = ew.div(_scaled(size, 4), ew.add(ew.mul(rest, rest), squares))
    re = ew.copysign(_scaled(ew.log1p(ratio), 0.25), a)
    turned = ew.sub(ew.mul(rest, ew.add(one, size)), squares)
    return re, _scaled(ew.atan2(_scaled(b, 2), turned), 0.5)


def _turned(function: Callable[[Pair], Pair]) -> Callable[[Pair], Pair]:
    """-i f(i z): sin of sinh, atan of atanh."""

    def turned(z: Pair) -> Pair:
        re, im = function((ew.neg(z[1]), z[0]))
        return im, ew.neg(re)

    return turned


def _cos(z: Pair) -> Pair:
    return _cosh((ew.neg(z[1]), z[0]))


# ---- what make() is told -------------------------------------------------------------------------

_ANALYTIC: dict[str, Callable[[Pair], Pair]] = {
    "exp": _exp,
    "exp2": _times_number(_exp, before=math.log(2)),
    "expm1": _expm1,
    "log": _log,
    "log2": _times_number(_log, after=1 / math.log(2)),
    "log10": _times_number(_log, after=1 / math.log(10)),
    "log1p": _log1p,
    "sqrt": _sqrt,
    "rsqrt": _rsqrt,
    "sigmoid": _sigmoid,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "asinh": _asinh,
    "acosh": _acosh,
    "atanh": _atanh,
    "sin": _turned(_sinh),
    "cos": _cos,
    "tan": _turned(_tanh),
    "asin": _turned(_asinh),
    "acos": _acos,
    "atan": _turned(_atanh),
}


@functools.cache
def _template(operation: Operation, types: tuple[TensorType, ...]) -> Template:
    inputs = tuple([parameter(i, t) for i, t in enumerate(types)])
    pairs = [parts(x) for x in inputs]
    if operation is ew.DIV:
        value = complex_(*_divided(*pairs))
    elif operation is ew.POW:
        value = _power(*inputs)
    else:
        value = complex_(*_ANALYTIC[operation.name](*pairs))
    slopes = _SLOPES.get(operation.name) or ew.GRADIENT_RULES[operation.name]

    def gradient(
        given: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None]
    ) -> list[Node | None]:
        (g,) = cotangents
        if g is None:
            return [None] * len(given)
        found = slopes(outputs[0], conj(g), *given)
        return [None if part is None else conj(part) for part in found]

    return Template(f"{operation.name}_of_complex", inputs, (value,), gradient)


def _apply(operation: Operation) -> Callable[[tuple[Node, ...], Attributes], Node]:
    def apply(inputs: tuple[Node, ...], _: Attributes) -> Node:
        types = tuple([TensorType(x.shape, x.dtype) for x in inputs])
        return call(_template(operation, types), inputs, 0)

    return apply


def _power(x: Node, y: Node) -> Node:
    """exp(y log x); of 0, 1 if the exponent is 0, and else 0."""
    zero, one = ew.full_like(x, 0), ew.full_like(x, 1)
    at_zero = _is_zero(x)
    found = ew.exp(ew.mul(y, ew.log(ew.where(at_zero, one, x))))
    return ew.where(at_zero, ew.where(_is_zero(y), one, zero), found)


def _pow_slopes(out: Node, g: Node, x: Node, y: Node) -> tuple[Node, Node]:
    zero, one = ew.full_like(x, 0), ew.full_like(x, 1)
    flat = _is_zero(y)
    to_x = ew.where(flat, zero, ew.mul(g, ew.mul(y, ew.pow_(x, ew.sub(y, one)))))
    nothing = ew.and_(_is_zero(x), ew.ge(real(y), _number(real(y), 0)))
    to_y = ew.mul(g, ew.mul(out, ew.log(ew.where(nothing, one, x))))
    return to_x, ew.where(nothing, zero, to_y)


def _acosh_slopes(_out: Node, g: Node, z: Node) -> tuple[Node]:
    """Of two roots: that of z² - 1 is another one to the left of 0."""
    one = ew.full_like(z, 1)
    return (ew.mul(g, ew.mul(ew.rsqrt(ew.sub(z, one)), ew.rsqrt(ew.add(z, one)))),)


# Where the real operation's rule does not hold for complex numbers.
_SLOPES: dict[str, ew.GradientRule] = {"pow": _pow_slopes, "acosh": _acosh_slopes}

for _name in _ANALYTIC:
    RULES[_name] = _apply(OPERATIONS[_name])
RULES["pow"] = _apply(ew.POW)


def _div(inputs: tuple[Node, ...], attributes: Attributes) -> Node:
    divisor = inputs[1]
    if constant_value(imag(divisor)) == 0:
        return complex_(*[ew.div(p, real(divisor)) for p in parts(inputs[0])])
    return _apply(ew.DIV)(inputs, attributes)


RULES["div"] = _div
RULES["abs"] = lambda inputs, _: absolute(inputs[0])
RULES["sign"] = lambda inputs, _: sgn(inputs[0])
