"""torch.special's functions that are no other operation's alias, and their names in torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops import special as sp
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.expression import Function
from lazytorch.functions.arguments import not_implemented, require_tensor
from lazytorch.functions.bodies import (
    apply_one,
    in_accumulation_type,
    not_differentiable,
    with_rule,
    xlog1py_node,
)
from lazytorch.functions.families import in_float, unary
from lazytorch.functions.promotion import as_float, promote, promote_float
from lazytorch.functions.registration import PUBLIC, assign_made, operation, with_out
from lazytorch.tensor import Tensor

Body1 = Callable[[Node], Node]
Unary = Callable[[Tensor], Tensor]

special = operation(function=False, method=False, out=True)  # torch.special.NAME, with out=


def _times(x: Node, factor: float) -> Node:
    return ew.mul(x, ew.full_like(x, factor))


def _wide_alone(name: str, body: Body1) -> Body1:
    """A body on float32 and float64; PyTorch has no others."""

    def checked(x: Node) -> Node:
        if x.dtype in (dt.float16, dt.bfloat16):
            raise not_implemented(f"{name}_cpu", x.dtype)
        return body(ew.cast(x, as_float(x.dtype)))

    return checked


def _one(name: str, body: Body1, documentation: str, **rule: Any) -> Unary:
    """torch.special.NAME(input), differentiable."""
    function = Function(f"special_{name}", body, **rule)

    def public(input: Tensor) -> Tensor:
        require_tensor(f"special_{name}", input)
        return apply_one(function, (input,))

    public.__name__ = public.__qualname__ = name
    public.__doc__ = documentation
    return special(public)


def _constant_one(name: str, body: Body1, documentation: str) -> Unary:
    """torch.special.NAME(input), through which, as in PyTorch, no gradient flows."""
    function = Function(f"special_{name}", _wide_alone(name, body))

    def public(input: Tensor) -> Tensor:
        require_tensor(f"special_{name}", input)
        with no_grad():
            return apply_one(function, (input,))

    public.__name__ = public.__qualname__ = name
    public.__doc__ = documentation
    return special(public)


# ---- Bessel and Airy functions ------------------------------------------------------------------

i0 = unary(
    "i0", in_float(in_accumulation_type(sp.i0)),
    "The modified Bessel function of the first kind of order 0.",
)  # fmt: skip
i0e = _one("i0e", in_float(in_accumulation_type(sp.i0e)), "exp(-abs(x)) i0(x).")
i1 = _one(
    "i1", in_float(in_accumulation_type(sp.i1)),
    "The modified Bessel function of the first kind of order 1.",
)  # fmt: skip
i1e = _one("i1e", in_float(in_accumulation_type(sp.i1e)), "exp(-abs(x)) i1(x).")


def _spherical_bessel_j0(x: Node) -> Node:
    """sin(x) / x; near 0 its series, and 0 at infinity."""
    square = ew.mul(x, x)
    series = ew.full_like(x, 1)
    for k in (10, 8, 6, 4, 2):
        term = _times(ew.mul(square, series), -1 / (k * (k + 1)))
        series = ew.add(ew.full_like(x, 1), term)
    small = ew.lt(ew.abs_(x), ew.full_like(x, 0.5))
    divisor = ew.where(small, ew.full_like(x, 1), x)
    value = ew.where(small, series, ew.div(ew.sin(x), divisor))
    infinite = ew.eq(ew.abs_(x), ew.full_like(x, math.inf))
    return ew.where(infinite, ew.full_like(x, 0), value)


_CONSTANT: dict[str, tuple[Body1, str]] = {
    "bessel_j0": (sp.bessel["bessel_j0"], "The Bessel function of the first kind of order 0."),
    "bessel_j1": (sp.bessel["bessel_j1"], "The Bessel function of the first kind of order 1."),
    "bessel_y0": (sp.bessel["bessel_y0"], "The Bessel function of the second kind of order 0."),
    "bessel_y1": (sp.bessel["bessel_y1"], "The Bessel function of the second kind of order 1."),
    "modified_bessel_i0": (sp.i0, "i0, without a gradient."),
    "modified_bessel_i1": (sp.i1, "i1, without a gradient."),
    "modified_bessel_k0": (sp.bessel["k0"], "The second kind's modified function of order 0."),
    "modified_bessel_k1": (sp.bessel["k1"], "The second kind's modified function of order 1."),
    "scaled_modified_bessel_k0": (sp.bessel["k0e"], "exp(x) modified_bessel_k0(x)."),
    "scaled_modified_bessel_k1": (sp.bessel["k1e"], "exp(x) modified_bessel_k1(x)."),
    "spherical_bessel_j0": (_spherical_bessel_j0, "sin(x) / x, and 1 at 0."),
    "airy_ai": (sp.bessel["airy_ai"], "Airy's function Ai."),
}
CONSTANT = {name: _constant_one(name, body, text) for name, (body, text) in _CONSTANT.items()}

# ---- the normal distribution --------------------------------------------------------------------


def _entr(x: Node) -> Node:
    def value(x: Node) -> Node:
        zero, one = ew.full_like(x, 0), ew.full_like(x, 1)
        positive = ew.gt(x, zero)
        value = ew.neg(ew.mul(x, ew.log(ew.where(positive, x, one))))
        below = ew.where(ew.lt(x, zero), ew.full_like(x, -math.inf), x)
        return ew.where(positive, value, below)

    def rule(g: Node, x: Node) -> Sequence[Node]:
        return (ew.neg(ew.mul(g, ew.add(ew.full_like(x, 1), ew.log(x)))),)

    return with_rule(value, rule, x)


def _ndtr(x: Node) -> Node:
    return _times(ew.erfc(_times(x, -math.sqrt(0.5))), 0.5)


def _log_ndtr(x: Node) -> Node:
    """Through erfcx in the lower tail, log1p above."""
    t = _times(x, math.sqrt(0.5))
    tail = ew.sub(ew.log(_times(sp.erfcx(ew.neg(t)), 0.5)), ew.mul(t, t))
    rest = ew.log1p(_times(ew.erfc(t), -0.5))
    return ew.where(ew.lt(x, ew.full_like(x, -1)), tail, rest)


def _log_ndtr_rule(
    inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Sequence[Node | None]
) -> Sequence[Node | None]:
    """g sqrt(2 / pi) / erfcx(-x / sqrt(2))."""
    x, g = inputs[0], cotangents[0]
    if g is None:
        return [None]
    slope = sp.erfcx(_times(ew.cast(x, g.dtype), -math.sqrt(0.5)))
    return [_times(ew.div(g, slope), math.sqrt(2 / math.pi))]


entr = _one("entr", in_float(_entr), "-x log(x); 0 at 0, minus infinity below.")
ndtr = _one(
    "ndtr", in_float(_ndtr), "The standard normal distribution function.", spares=lambda *_: (0,)
)
log_ndtr = _one(
    "log_ndtr", _wide_alone("log_ndtr", _log_ndtr), "The logarithm of ndtr.",
    gradient=_log_ndtr_rule, saves=lambda *_: (~0,),
)  # fmt: skip
ndtri = _one("ndtri", _wide_alone("ndtri", sp.ndtri), "The inverse of ndtr; NaN outside [0, 1].")
erfcx = _one("erfcx", _wide_alone("erfcx", sp.erfcx), "exp(x²) erfc(x).")

# ---- gamma and zeta functions -------------------------------------------------------------------


def _without_gradient(name: str) -> Function:
    """The input itself, whose gradient is an error."""
    return Function("no_gradient_of_" + name, lambda x: x, gradient=not_differentiable(name))


def _incomplete(primitive: Callable[[Node, Node], Node], name: str) -> Callable[..., Node]:
    def body(a: Node, x: Node) -> Node:
        a, x = promote(a, x)
        if a.dtype.kind != "float":
            raise not_implemented(f"{name}_cpu", a.dtype)
        if a.dtype in (dt.float16, dt.bfloat16):
            wide = primitive(ew.cast(a, dt.float32), ew.cast(x, dt.float32))
            return ew.cast(wide, a.dtype)
        return primitive(a, x)

    return body


def _zeta(s: Node, q: Node) -> Node:
    s, q = promote_float(s, q)
    if s.dtype in (dt.float16, dt.bfloat16):
        raise not_implemented("zeta_cpu", s.dtype)
    return sp.zeta(s, q)


IGAMMA = Function("igamma", _incomplete(sp.gammainc, "igamma"))
IGAMMAC = Function("igammac", _incomplete(sp.gammaincc, "igammac"))
ZETA = Function("special_zeta", _zeta)
_FIRST = {name: _without_gradient(name) for name in ("igamma: input", "igammac: input", "zeta")}


def _with_gradient_to_second(function: Function, name: str, first: Any, second: Any) -> Tensor:
    """A function of two that PyTorch cannot differentiate with respect to the first."""
    if isinstance(first, Tensor):
        first = apply_one(_FIRST[name], (first,))
    return apply_one(function, (first, second))


@operation(inplace=True, out=True)
def igamma(input: Tensor, other: Tensor) -> Tensor:
    """The lower incomplete gamma function P(input, other), from 0 to 1; floats alone.

    >>> torch.igamma(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([0.8647])
    """
    require_tensor("igamma", input)
    require_tensor("igamma", other, "other", 2)
    return _with_gradient_to_second(IGAMMA, "igamma: input", input, other)


@operation(inplace=True, out=True)
def igammac(input: Tensor, other: Tensor) -> Tensor:
    """The upper incomplete gamma function, 1 - igamma(input, other); floats alone."""
    require_tensor("igammac", input)
    require_tensor("igammac", other, "other", 2)
    return _with_gradient_to_second(IGAMMAC, "igammac: input", input, other)


@special
def zeta(input: Any, other: Any) -> Tensor:
    """Hurwitz' zeta function: the sum of (other + k)**-input over k = 0, 1, …

    Either may be a number. NaN where input < 1.
    """
    if not isinstance(other, Tensor):
        require_tensor("special_zeta", input)
    return _with_gradient_to_second(ZETA, "zeta", input, other)


def _polygamma(x: Node, n: int) -> Node:
    """digamma, its derivative, or (-1)^(n+1) n! zeta(n + 1, x)."""
    x = ew.cast(x, as_float(x.dtype))
    if n == 0:
        return ew.digamma(x)
    if n == 1:
        return in_accumulation_type(ew.trigamma)(x)
    wide = ew.cast(x, dt.float32) if x.dtype in (dt.float16, dt.bfloat16) else x
    factor = (1.0 if n % 2 else -1.0) * math.exp(math.lgamma(n + 1))
    return ew.cast(_times(sp.zeta(ew.full_like(wide, n + 1), wide), factor), x.dtype)


POLYGAMMA = Function("polygamma", _polygamma)


def _check_order(n: Any, position: str) -> int:
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"polygamma(): argument 'n' {position}must be int, not {type(n).__name__}")
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return n


@with_out
def polygamma(n: int, input: Tensor) -> Tensor:
    """The ``n``-th derivative of digamma, n at least 0.

    >>> torch.polygamma(1, torch.tensor([1.0, 0.5]))
    tensor([1.6449, 4.9348])
    """
    if not isinstance(n, Tensor):
        require_tensor("polygamma", input, "input", 2)
    return apply_one(POLYGAMMA, (input,), (_check_order(n, "(position 1) "),))


def _polygamma_method(self: Tensor, n: int) -> Tensor:
    """torch.polygamma(n, self)."""
    return apply_one(POLYGAMMA, (self,), (_check_order(n, "(position 1) "),))


def _polygamma_in_place(self: Tensor, n: int) -> Tensor:
    """In-place form of ``polygamma``."""
    return assign_made(self, _polygamma_method, self, n)


PUBLIC["polygamma"] = polygamma
Tensor.polygamma = _polygamma_method  # type: ignore[attr-defined]
Tensor.polygamma_ = _polygamma_in_place  # type: ignore[attr-defined]


def _xlog1py(x: Node, y: Node) -> Node:
    return xlog1py_node(*promote_float(x, y))


XLOG1PY = Function("special_xlog1py", _xlog1py)


@special
def xlog1py(input: Tensor, other: Tensor) -> Tensor:
    """input * log1p(other), and 0 where input is 0."""
    if not isinstance(other, Tensor):
        require_tensor("special_xlog1py", input)
    return apply_one(XLOG1PY, (input, other))


# ---- orthogonal polynomials ---------------------------------------------------------------------


def _polynomial(name: str, kind: str, shifted: bool) -> Callable[[Any, Any], Tensor]:
    """torch.special.NAME(x, n): of degree n in x, or in 2x - 1; no gradient flows through it."""
    primitive = sp.polynomials[kind]

    def body(x: Node, n: Node) -> Node:
        x, n = promote_float(x, n)
        if x.dtype in (dt.float16, dt.bfloat16):
            raise not_implemented(f"{name}_cpu", x.dtype)
        if shifted:
            x = ew.sub(_times(x, 2), ew.full_like(x, 1))
        return primitive(x, n)

    function = Function(f"special_{name}", body)

    def public(input: Any, n: Any) -> Tensor:
        if not isinstance(n, Tensor):
            require_tensor(f"special_{name}", input)
        with no_grad():
            return apply_one(function, (input, n))

    public.__name__ = public.__qualname__ = name
    public.__doc__ = (
        f"The polynomial of degree ``n`` (a number or a tensor), {'shifted to [0, 1]' * shifted}"
        "; 0 where n < 0."
    ).replace(", ;", ";")
    return special(public)


POLYNOMIALS = {
    "shifted_" * shifted + kind: _polynomial("shifted_" * shifted + kind, kind, shifted)
    for kind in sp.polynomials
    for shifted in (False, True)
    if not shifted or kind.startswith("chebyshev")
}
