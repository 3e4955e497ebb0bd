"""Operations on each element alone: inputs of one shape, an output of that shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import HALF_OF_COMPLEX, DType
from codegen.ir.node import Node, TensorType, make
from codegen.ops import special_reference
from codegen.ops.leaves import constant
from codegen.ops.registry import (
    OPERATIONS,
    Array,
    Operation,
    Sample,
    interpreted_dtype,
    register,
)

GradientRule = Callable[..., Sequence["Node | None"]]
# What was given to ``elementwise``, by name.
GRADIENT_RULES: dict[str, GradientRule] = {}
Unary = Callable[[Node], Node]
Binary = Callable[[Node, Node], Node]
_UNSIGNED = {
    "signed char": "unsigned char",
    "unsigned char": "unsigned char",
    "short": "unsigned short",
    "unsigned short": "unsigned int",  # as signed numbers, products of two would overflow
    "unsigned int": "unsigned int",
    "unsigned long": "unsigned long",
    "int": "unsigned int",
    "long": "unsigned long",
}


# ---- records ------------------------------------------------------------------------------


def _same_type(inputs: tuple[Node, ...]) -> TensorType:
    first = inputs[0]
    for other in inputs[1:]:
        if other.shape != first.shape or other.dtype is not first.dtype:
            raise ValueError(f"operands differ: {first.type}, {other.type}")
    return TensorType(first.shape, first.dtype)


def _to_bool(inputs: tuple[Node, ...]) -> TensorType:
    return TensorType(_same_type(inputs).shape, dt.bool_)


def _reference(function: Callable[..., Any]) -> Callable[..., Array]:
    def apply(type_: TensorType, arrays: Sequence[Array]) -> Array:
        with np.errstate(all="ignore"):
            result = np.asarray(function(*arrays)).astype(interpreted_dtype(type_), copy=False)
            if type_.dtype is dt.bfloat16:
                return special_reference.round_to_bfloat16(result)
            return result

    return apply


def _samples(arity: int, kinds: str, low: float, high: float) -> tuple[Sample, ...]:
    dtypes = {"f": ("float32", "float64"), "i": ("int32", "int64", "uint8"), "b": ("bool_",)}
    names = [name for kind in kinds for name in dtypes[kind]]
    return tuple(
        [
            Sample((((37,), name, max(low, 0) if name == "uint8" else low, high),) * arity)
            for name in names
        ]
    )


def elementwise(
    name: str,
    arity: int,
    function: Callable[..., Any],
    gradient: GradientRule | None = None,
    spelling: str | Callable[[str], str] | None = None,
    *,
    infer: Callable[..., TensorType] = _same_type,
    cost: int = 1,
    kinds: str = "f",
    low: float = -3,
    high: float = 3,
) -> Operation:
    """Register an operation whose gradient rule is given as (out, cotangent, *inputs)."""
    if gradient is not None:
        GRADIENT_RULES[name] = gradient

    def apply_gradient(node: Node, g: Node) -> Sequence[Node | None]:
        assert gradient is not None
        return gradient(node, g, *node.inputs)

    return register(
        Operation(
            name,
            "elementwise",
            infer,
            _reference(function),
            apply_gradient if gradient else None,
            spelling,
            cost,
            _samples(arity, kinds, low, high),
        )
    )


def _no_gradient(_out: Node, _g: Node, *inputs: Node) -> Sequence[None]:
    return [None] * len(inputs)


def full_like(x: Node, value: complex) -> Node:
    """One number in the shape and element type of ``x``."""
    from_constant = constant(value, x.dtype)
    return from_constant if not x.shape else _broadcast_constant(from_constant, x.shape)


def _broadcast_constant(node: Node, shape: tuple[int, ...]) -> Node:
    # broadcast stands beside sum, its adjoint, in a module that needs this one.
    return make(OPERATIONS["broadcast"], (node,), (shape, ()))


def _apply(operation: Operation, *inputs: Node) -> Node:
    return make(operation, inputs, ())


# ---- arithmetic ---------------------------------------------------------------------------


def _wrapping(symbol: str) -> Callable[[str], str]:
    """Signed overflow wraps, as in PyTorch; in C that takes unsigned arithmetic."""

    def spelling(ctype: str) -> str:
        unsigned = _UNSIGNED.get(ctype)
        if unsigned is None:
            return f"({{0}} {symbol} {{1}})"
        return f"(({ctype})(({unsigned}){{0}} {symbol} ({unsigned}){{1}}))"

    return spelling


ADD = elementwise(
    "add", 2, np.add, lambda out, g, x, y: (g, g), _wrapping("+"), kinds="fib", low=-9, high=9
)
SUB = elementwise(
    "sub", 2, np.subtract, lambda out, g, x, y: (g, neg(g)), _wrapping("-"), kinds="fi"
)
MUL = elementwise(
    "mul", 2, np.multiply, lambda out, g, x, y: (mul(g, y), mul(g, x)), _wrapping("*"), kinds="fib"
)
DIV = elementwise(
    "div",
    2,
    np.divide,
    lambda out, g, x, y: (div(g, y), neg(mul(g, div(out, y)))),
    "({0} / {1})",
    cost=4,
)
NEG = elementwise(
    "neg",
    1,
    np.negative,
    lambda out, g, x: (neg(g),),
    lambda c: (
        f"(({c})-{{0}})" if c in ("float", "double") else f"(({c})(0 - (unsigned long){{0}}))"
    ),
    kinds="fi",
)
ABS = elementwise(
    "abs",
    1,
    np.abs,
    lambda out, g, x: (mul(g, sign(x)),),
    lambda c: {"float": "__builtin_fabsf({0})", "double": "__builtin_fabs({0})"}.get(
        c, f"(({c})({{0}} < 0 ? 0 - (unsigned long){{0}} : (unsigned long){{0}}))"
    ),
    kinds="fi",
)
SIGN = elementwise(
    "sign",
    1,
    lambda x: np.where(np.isnan(x), x.dtype.type(0), np.sign(x)),
    lambda out, g, x: (full_like(x, 0),),
    "(({0} > 0) - ({0} < 0))",
    kinds="fi",
)
MAXIMUM = elementwise(
    "maximum",
    2,
    np.maximum,
    lambda out, g, x, y: _shared_at_ties(g, x, y, lt, gt),
    "({0} > {1} || {0} != {0} ? {0} : {1})",
    kinds="fi",
)
MINIMUM = elementwise(
    "minimum",
    2,
    np.minimum,
    lambda out, g, x, y: _shared_at_ties(g, x, y, gt, lt),
    "({0} < {1} || {0} != {0} ? {0} : {1})",
    kinds="fi",
)
FLOOR_DIVIDE = elementwise(
    "floor_divide",
    2,
    special_reference.floor_divide,
    _no_gradient,
    cost=8,
    kinds="fi",
    low=1,
    high=9,
)
TRUNC_DIVIDE = elementwise(
    "trunc_divide", 2, special_reference.trunc_divide, None, cost=8, kinds="i", low=1, high=9
)
REMAINDER = elementwise(
    "remainder",
    2,
    special_reference.remainder,
    lambda out, g, x, y: (g, neg(mul(g, floor_divide(x, y)))),
    cost=8,
    kinds="fi",
    low=1,
    high=9,
)
FMOD = elementwise(
    "fmod",
    2,
    special_reference.fmod,
    lambda out, g, x, y: (g, neg(mul(g, trunc(div(x, y))))),
    cost=8,
    kinds="fi",
    low=1,
    high=9,
)


def _shared_at_ties(
    g: Node,
    x: Node,
    y: Node,
    x_loses: Callable[[Node, Node], Node],
    y_loses: Callable[[Node, Node], Node],
) -> tuple[Node, Node]:
    none = full_like(g, 0)
    shared = where(eq(x, y), mul(g, full_like(g, 0.5)), g)
    return where(x_loses(x, y), none, shared), where(y_loses(x, y), none, shared)


# ---- powers, exponentials, trigonometry ------------------------------------------------------


def _pow_gradient(out: Node, g: Node, x: Node, y: Node) -> tuple[Node, Node]:
    zero, one = full_like(x, 0), full_like(x, 1)
    to_x = where(eq(y, zero), zero, mul(g, mul(y, pow_(x, sub(y, one)))))
    flat = and_(eq(x, zero), ge(y, zero))
    to_y = where(flat, zero, mul(g, mul(out, log(where(flat, one, x)))))
    return to_x, to_y


def _c(value: float) -> Callable[[Node], Node]:
    return lambda x: full_like(x, value)


_one = _c(1)
POW = elementwise("pow", 2, special_reference.power, _pow_gradient, cost=40, kinds="fi", low=0.1)
SQRT = elementwise(
    "sqrt",
    1,
    np.sqrt,
    lambda out, g, x: (div(g, mul(_c(2)(x), out)),),
    lambda c: "__builtin_sqrtf({0})" if c == "float" else "__builtin_sqrt({0})",
    cost=4,
    low=0.1,
)
RSQRT = elementwise(
    "rsqrt",
    1,
    lambda x: 1 / np.sqrt(x),
    lambda out, g, x: (mul(g, mul(_c(-0.5)(x), mul(out, mul(out, out)))),),
    lambda c: "(1 / __builtin_sqrtf({0}))" if c == "float" else "(1 / __builtin_sqrt({0}))",
    cost=8,
    low=0.1,
)
EXP = elementwise("exp", 1, np.exp, lambda out, g, x: (mul(g, out),), cost=16)
EXP2 = elementwise(
    "exp2", 1, np.exp2, lambda out, g, x: (mul(g, mul(out, _c(math.log(2))(x))),), cost=16
)
EXPM1 = elementwise("expm1", 1, np.expm1, lambda out, g, x: (mul(g, add(out, _one(x))),), cost=20)
LOG = elementwise("log", 1, np.log, lambda out, g, x: (div(g, x),), cost=16, low=0.1)
LOG2 = elementwise(
    "log2", 1, np.log2, lambda out, g, x: (div(g, mul(x, _c(math.log(2))(x))),), cost=16, low=0.1
)
LOG10 = elementwise(
    "log10", 1, np.log10, lambda out, g, x: (div(g, mul(x, _c(math.log(10))(x))),), cost=16, low=0.1
)
LOG1P = elementwise(
    "log1p", 1, np.log1p, lambda out, g, x: (div(g, add(x, _one(x))),), cost=20, low=-0.9
)
SIN = elementwise("sin", 1, np.sin, lambda out, g, x: (mul(g, cos(x)),), cost=20)
COS = elementwise("cos", 1, np.cos, lambda out, g, x: (neg(mul(g, sin(x))),), cost=20)
TAN = elementwise(
    "tan",
    1,
    np.tan,
    lambda out, g, x: (mul(g, add(_one(x), mul(out, out))),),
    cost=30,
    low=-1,
    high=1,
)
ASIN = elementwise(
    "asin",
    1,
    np.arcsin,
    lambda out, g, x: (mul(g, rsqrt(sub(_one(x), mul(x, x)))),),
    cost=20,
    low=-0.9,
    high=0.9,
)
ACOS = elementwise(
    "acos",
    1,
    np.arccos,
    lambda out, g, x: (neg(mul(g, rsqrt(sub(_one(x), mul(x, x))))),),
    cost=20,
    low=-0.9,
    high=0.9,
)
ATAN = elementwise(
    "atan", 1, np.arctan, lambda out, g, x: (div(g, add(_one(x), mul(x, x))),), cost=20
)


def _atan2_gradient(out: Node, g: Node, y: Node, x: Node) -> tuple[Node, Node]:
    """g x / (x² + y²) and -g y / (x² + y²); 0 at the origin."""
    square = add(mul(x, x), mul(y, y))
    origin = eq(square, full_like(x, 0))
    slope = where(origin, full_like(x, 0), div(g, where(origin, full_like(x, 1), square)))
    return mul(x, slope), neg(mul(y, slope))


ATAN2 = elementwise(
    "atan2",
    2,
    np.arctan2,
    _atan2_gradient,
    cost=30,
    low=0.1,
)
SINH = elementwise("sinh", 1, np.sinh, lambda out, g, x: (mul(g, cosh(x)),), cost=25)
COSH = elementwise("cosh", 1, np.cosh, lambda out, g, x: (mul(g, sinh(x)),), cost=25)
TANH = elementwise(
    "tanh", 1, np.tanh, lambda out, g, x: (mul(g, sub(_one(x), mul(out, out))),), cost=20
)
ASINH = elementwise(
    "asinh", 1, np.arcsinh, lambda out, g, x: (mul(g, rsqrt(add(mul(x, x), _one(x)))),), cost=25
)
ACOSH = elementwise(
    "acosh",
    1,
    np.arccosh,
    lambda out, g, x: (mul(g, rsqrt(sub(mul(x, x), _one(x)))),),
    cost=25,
    low=1.1,
    high=3,
)
ATANH = elementwise(
    "atanh",
    1,
    np.arctanh,
    lambda out, g, x: (div(g, sub(_one(x), mul(x, x))),),
    cost=25,
    low=-0.9,
    high=0.9,
)
SIGMOID = elementwise(
    "sigmoid",
    1,
    special_reference.sigmoid,
    lambda out, g, x: (mul(g, mul(sub(_one(x), out), out)),),
    cost=20,
)
ERF = elementwise(
    "erf",
    1,
    special_reference.erf,
    lambda out, g, x: (mul(g, mul(_c(2 / math.sqrt(math.pi))(x), exp(neg(mul(x, x))))),),
    cost=20,
)
ERFC = elementwise(
    "erfc",
    1,
    special_reference.erfc,
    lambda out, g, x: (mul(g, mul(_c(-2 / math.sqrt(math.pi))(x), exp(neg(mul(x, x))))),),
    cost=25,
)
ERFINV = elementwise(
    "erfinv",
    1,
    special_reference.erfinv,
    lambda out, g, x: (mul(g, mul(_c(math.sqrt(math.pi) / 2)(x), exp(mul(out, out)))),),
    cost=30,
    low=-0.9,
    high=0.9,
)
LGAMMA = elementwise(
    "lgamma",
    1,
    special_reference.lgamma,
    lambda out, g, x: (mul(g, digamma(x)),),
    cost=60,
    low=0.1,
    high=5,
)
DIGAMMA = elementwise(
    "digamma",
    1,
    special_reference.digamma,
    lambda out, g, x: (mul(g, trigamma(x)),),
    cost=60,
    low=0.1,
    high=5,
)


def trigamma(x: Node) -> Node:
    """The derivative of digamma: recurrence by six, the asymptotic series (Abramowitz & Stegun
    6.4.12), and for x < 0.5 the reflection pi^2 / sin^2(pi x) - trigamma(1 - x)."""
    one = full_like(x, 1)
    reflected = lt(x, full_like(x, 0.5))
    z = where(reflected, sub(one, x), x)
    total = full_like(x, 0)
    for _ in range(6):
        total = add(total, div(one, mul(z, z)))
        z = add(z, one)
    w = div(one, mul(z, z))
    series = full_like(x, 0)
    for coefficient in (5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6):
        series = mul(w, add(full_like(x, coefficient), series))
    total = add(total, div(add(add(one, div(full_like(x, 0.5), z)), series), z))
    sine = sin(mul(full_like(x, math.pi), x))
    mirrored = sub(div(full_like(x, math.pi**2), mul(sine, sine)), total)
    return where(reflected, mirrored, total)


HYPOT = elementwise(
    "hypot",
    2,
    np.hypot,
    lambda out, g, x, y: (mul(g, div(x, out)), mul(g, div(y, out))),
    cost=12,
    low=0.1,
)
LOGADDEXP = elementwise(
    "logaddexp",
    2,
    np.logaddexp,
    lambda out, g, x, y: (mul(g, sigmoid(sub(x, y))), mul(g, sigmoid(sub(y, x)))),
    cost=40,
)


def _copysign_gradient(out: Node, g: Node, x: Node, y: Node) -> tuple[Node, Node]:
    zero, one = full_like(x, 0), full_like(x, 1)
    none = eq(x, zero)
    slope = where(none, zero, div(out, where(none, one, x)))
    return mul(g, slope), full_like(y, 0)


COPYSIGN = elementwise(
    "copysign",
    2,
    np.copysign,
    _copysign_gradient,
    cost=2,
)
NEXTAFTER = elementwise(
    "nextafter",
    2,
    np.nextafter,
    # One step further wherever there is one.
    lambda out, g, x, y: (where(eq(x, y), full_like(g, 0), g), full_like(y, 0)),
    cost=6,
)
GCD = elementwise("gcd", 2, np.gcd, None, cost=60, kinds="i", low=-9, high=9)

# ---- rounding -----------------------------------------------------------------------------


def _zero_gradient(out: Node, g: Node, x: Node) -> tuple[Node]:
    return (full_like(x, 0),)


FLOOR = elementwise("floor", 1, np.floor, _zero_gradient)
CEIL = elementwise("ceil", 1, np.ceil, _zero_gradient)
TRUNC = elementwise("trunc", 1, np.trunc, _zero_gradient)
ROUND = elementwise("round", 1, np.round, _zero_gradient)

# ---- comparison, logic, bits ----------------------------------------------------------------


def _comparison(name: str, function: Callable[..., Any], symbol: str) -> Operation:
    return elementwise(
        name,
        2,
        function,
        _no_gradient,
        f"({{0}} {symbol} {{1}})",
        infer=_to_bool,
        kinds="fib",
        low=-2,
        high=3,
    )


EQ = _comparison("eq", np.equal, "==")
NE = _comparison("ne", np.not_equal, "!=")
LT = _comparison("lt", np.less, "<")
LE = _comparison("le", np.less_equal, "<=")
GT = _comparison("gt", np.greater, ">")
GE = _comparison("ge", np.greater_equal, ">=")
AND = elementwise("and", 2, np.bitwise_and, None, "({0} & {1})", kinds="ib", low=0, high=9)
OR = elementwise("or", 2, np.bitwise_or, None, "({0} | {1})", kinds="ib", low=0, high=9)
XOR = elementwise("xor", 2, np.bitwise_xor, None, "({0} ^ {1})", kinds="ib", low=0, high=9)
NOT = elementwise(
    "not",
    1,
    np.invert,
    None,
    lambda c: "(!{0})" if c == "_Bool" else "(~{0})",
    kinds="ib",
)


def _shift(symbol: str, beyond: str) -> Callable[[str], str]:
    """Shifts that C leaves undefined (negative, or by the width and more) as PyTorch does."""

    def spelling(ctype: str) -> str:
        bits = _BITS[ctype]
        shifted = f"(({ctype})({{0}} {symbol} {{1}}))"
        if symbol == "<<":
            shifted = f"(({ctype})((unsigned long){{0}} << {{1}}))"
        return f"((unsigned long){{1}} < {bits} ? {shifted} : ({ctype}){beyond})"

    return spelling


_BITS = {
    "signed char": 8, "unsigned char": 8, "short": 16, "int": 32, "long": 64,
    "unsigned short": 16, "unsigned int": 32, "unsigned long": 64,
}  # fmt: skip
SHIFT_LEFT = elementwise(
    "shift_left", 2, np.left_shift, None, _shift("<<", "0"), kinds="i", low=0, high=5
)
SHIFT_RIGHT = elementwise(
    "shift_right", 2, np.right_shift, None, _shift(">>", "({0} < 0 ? -1 : 0)"),
    kinds="i", low=0, high=5,
)  # fmt: skip


def _infer_where(inputs: tuple[Node, ...]) -> TensorType:
    condition, x, y = inputs
    if condition.dtype is not dt.bool_ or condition.shape != x.shape:
        raise ValueError(f"where: condition {condition.type} for {x.type}")
    return _same_type((x, y))


WHERE = register(
    Operation(
        "where",
        "elementwise",
        _infer_where,
        lambda _type, arrays: np.where(arrays[0], arrays[1], arrays[2]),
        lambda node, g: (
            None,
            where(node.inputs[0], g, full_like(g, 0)),
            where(node.inputs[0], full_like(g, 0), g),
        ),
        "({0} ? {1} : {2})",
        samples=(
            Sample((((9,), "bool_", 0, 2), ((9,), "float32", -1, 1), ((9,), "float32", -1, 1))),
        ),
    )
)

# ---- casts and random bits --------------------------------------------------------------------


def _cast_gradient(node: Node, g: Node) -> tuple[Node]:
    return (cast(g, node.inputs[0].dtype),)


CAST = register(
    Operation(
        "cast",
        "elementwise",
        lambda inputs, dtype: TensorType(inputs[0].shape, dtype),
        lambda type_, arrays, _dtype: special_reference.cast(arrays[0], type_),
        _cast_gradient,
        samples=tuple(
            [
                Sample((((19,), source.name, 0, 3),), (target,))
                for source in dt.ALL
                for target in dt.ALL
                if source is not target
            ]
        ),
    )
)
AGAIN = register(
    Operation(
        "again",
        "elementwise",
        lambda inputs, _reader: TensorType(inputs[0].shape, inputs[0].dtype),
        lambda _type, arrays, _reader: arrays[0],
        lambda _node, g: (g,),
        spelling="{0}",
        cost=0,
        samples=(Sample((((19,), "float32", -3, 3),), (1,)),),
    )
)
KEPT = register(
    Operation(
        "kept",
        "elementwise",
        lambda inputs: TensorType(inputs[0].shape, inputs[0].dtype),
        lambda _type, arrays: arrays[0],
        lambda _node, g: (g,),
        spelling="{0}",
        cost=0,
        samples=(Sample((((19,), "float32", -3, 3),)),),
    )
)
THREEFRY = register(
    Operation(
        "threefry",
        "elementwise",
        lambda inputs: TensorType(_same_type(inputs).shape, dt.int32),
        lambda _type, arrays: special_reference.threefry(*arrays),
        None,
        "lt_threefry({0}, {1}, {2})",
        cost=60,
        samples=(Sample((((33,), "int64", 0, 9),) * 3),),
    )
)


def again(x: Node, reader: int) -> Node:
    """x itself, but not the same node: what is made of it is computed once more for a reader."""
    return make(AGAIN, (x,), (reader,))


def kept(x: Node) -> Node:
    """x itself, which readers in other kernels find in memory however cheap its last step is."""
    return make(KEPT, (x,), ())


def cast(x: Node, dtype: DType) -> Node:
    """The same numbers in another element type, converted as PyTorch does."""
    if x.dtype is dtype:
        return x
    if dtype.kind == "complex":
        return make(OPERATIONS["complex"], _halves(x, HALF_OF_COMPLEX[dtype]), ())
    return make(CAST, (x,), (dtype,))


def _halves(x: Node, dtype: DType) -> tuple[Node, Node]:
    if x.dtype.kind != "complex":
        re = cast(x, dtype)
        return re, full_like(re, 0)
    re, im = (make(OPERATIONS[part], (x,), ()) for part in ("real", "imag"))
    return cast(re, dtype), cast(im, dtype)


def threefry(seed: Node, stream: Node, counter: Node) -> Node:
    """32 random bits of Threefry-2x32-20 (Salmon et al., 2011): key ``seed``, counter words
    ``counter`` and ``stream``; int64 inputs, int32 output."""
    return _apply(THREEFRY, seed, stream, counter)


def where(condition: Node, x: Node, y: Node) -> Node:
    """``x`` where the condition holds, else ``y``."""
    return _apply(WHERE, condition, x, y)


def builder_of_one(operation: Operation) -> Unary:
    """The function that makes a node of an operation of one input."""
    return lambda x: make(operation, (x,), ())


def builder_of_two(operation: Operation) -> Binary:
    """The function that makes a node of an operation of two inputs."""
    return lambda x, y: make(operation, (x, y), ())


add: Binary = builder_of_two(ADD)
sub: Binary = builder_of_two(SUB)
mul: Binary = builder_of_two(MUL)
div: Binary = builder_of_two(DIV)
maximum: Binary = builder_of_two(MAXIMUM)
minimum: Binary = builder_of_two(MINIMUM)
pow_: Binary = builder_of_two(POW)
atan2: Binary = builder_of_two(ATAN2)
floor_divide: Binary = builder_of_two(FLOOR_DIVIDE)
trunc_divide: Binary = builder_of_two(TRUNC_DIVIDE)
remainder: Binary = builder_of_two(REMAINDER)
fmod: Binary = builder_of_two(FMOD)
eq: Binary = builder_of_two(EQ)
ne: Binary = builder_of_two(NE)
lt: Binary = builder_of_two(LT)
le: Binary = builder_of_two(LE)
gt: Binary = builder_of_two(GT)
ge: Binary = builder_of_two(GE)
and_: Binary = builder_of_two(AND)
or_: Binary = builder_of_two(OR)
xor: Binary = builder_of_two(XOR)
shift_left: Binary = builder_of_two(SHIFT_LEFT)
shift_right: Binary = builder_of_two(SHIFT_RIGHT)
hypot: Binary = builder_of_two(HYPOT)
logaddexp: Binary = builder_of_two(LOGADDEXP)
copysign: Binary = builder_of_two(COPYSIGN)
nextafter: Binary = builder_of_two(NEXTAFTER)
gcd: Binary = builder_of_two(GCD)
neg: Unary = builder_of_one(NEG)
abs_: Unary = builder_of_one(ABS)
sign: Unary = builder_of_one(SIGN)
not_: Unary = builder_of_one(NOT)
sqrt: Unary = builder_of_one(SQRT)
rsqrt: Unary = builder_of_one(RSQRT)
exp: Unary = builder_of_one(EXP)
exp2: Unary = builder_of_one(EXP2)
expm1: Unary = builder_of_one(EXPM1)
log: Unary = builder_of_one(LOG)
log2: Unary = builder_of_one(LOG2)
log10: Unary = builder_of_one(LOG10)
log1p: Unary = builder_of_one(LOG1P)
sin: Unary = builder_of_one(SIN)
cos: Unary = builder_of_one(COS)
tan: Unary = builder_of_one(TAN)
asin: Unary = builder_of_one(ASIN)
acos: Unary = builder_of_one(ACOS)
atan: Unary = builder_of_one(ATAN)
sinh: Unary = builder_of_one(SINH)
cosh: Unary = builder_of_one(COSH)
tanh: Unary = builder_of_one(TANH)
asinh: Unary = builder_of_one(ASINH)
acosh: Unary = builder_of_one(ACOSH)
atanh: Unary = builder_of_one(ATANH)
sigmoid: Unary = builder_of_one(SIGMOID)
erf: Unary = builder_of_one(ERF)
erfc: Unary = builder_of_one(ERFC)
erfinv: Unary = builder_of_one(ERFINV)
lgamma: Unary = builder_of_one(LGAMMA)
digamma: Unary = builder_of_one(DIGAMMA)
floor: Unary = builder_of_one(FLOOR)
ceil: Unary = builder_of_one(CEIL)
trunc: Unary = builder_of_one(TRUNC)
round_: Unary = builder_of_one(ROUND)
