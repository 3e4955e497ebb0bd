"""Special functions beyond the elementary ones, element by element, with SciPy as reference.

Outside their domains, and where PyTorch differs from SciPy, they do as PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.lazy_import import lazy_import
from codegen.ops import elementwise as ew
from codegen.ops.elementwise import Binary, Unary, elementwise

Array = NDArray[Any]
# Loaded when one of these functions is first interpreted.
scipy_special = lazy_import("scipy.special")


def _of_scipy(name: str) -> Callable[..., Array]:
    def reference(*arrays: Array) -> Array:
        wide = [a.astype(np.float64) for a in arrays]
        return np.asarray(getattr(scipy_special, name)(*wide))

    return reference


def _c(x: Node, value: float) -> Node:
    return ew.full_like(x, value)


# ---- Bessel and Airy functions ------------------------------------------------------------------


def _unlike_zero(x: Node, value: Callable[[Node], Node], at_zero: float) -> Node:
    """``value`` of x, which divides by it, and a number within rounding of 0, and at NaN."""
    eps = float(np.finfo(np.float64 if x.dtype is dt.float64 else np.float32).eps)
    known = ew.gt(ew.abs_(x), _c(x, eps))
    safe = ew.where(known, x, _c(x, 1))
    return ew.where(known, value(safe), _c(x, at_zero))


def _i1_gradient(out: Node, g: Node, x: Node) -> tuple[Node]:
    slope = _unlike_zero(x, lambda s: ew.sub(i0(x), ew.div(out, s)), 0.5)
    return (ew.mul(g, slope),)


def _i1e_gradient(out: Node, g: Node, x: Node) -> tuple[Node]:
    def slope(s: Node) -> Node:
        steep = ew.add(ew.sign(s), ew.div(_c(s, 1), s))
        return ew.sub(i0e(x), ew.mul(out, steep))

    return (ew.mul(g, _unlike_zero(x, slope, 0.5)),)


def _airy_ai(x: Array) -> Array:
    """0 from 103.892 on and NaN at the infinities, as in PyTorch; DLMF 9.7.9 far to the left,
    where SciPy has NaN."""
    x = x.astype(np.float64)
    far_left, far_right = x < -1e4, x > 103.892
    value = np.asarray(scipy_special.airy(np.where(far_left | far_right, 0, x))[0])
    a = np.where(far_left, -x, 1)
    s = 2 / 3 * a * np.sqrt(a)
    wave = np.cos(s - math.pi / 4) + np.sin(s - math.pi / 4) * (5 / 72) / s
    value = np.where(far_left, wave / (math.sqrt(math.pi) * a**0.25), value)
    return np.where(np.isinf(x), np.nan, np.where(far_right, 0, value))


I0 = elementwise(
    "i0", 1, _of_scipy("i0"), lambda out, g, x: (ew.mul(g, i1(x)),), cost=60
)  # fmt: skip
I1 = elementwise("i1", 1, _of_scipy("i1"), _i1_gradient, cost=60)
I0E = elementwise(
    "i0e", 1, _of_scipy("i0e"),
    lambda out, g, x: (ew.mul(g, ew.sub(i1e(x), ew.mul(ew.sign(x), out))),), cost=60,
)  # fmt: skip
I1E = elementwise("i1e", 1, _of_scipy("i1e"), _i1e_gradient, cost=60)
BESSEL = {
    name: elementwise(name, 1, reference, None, cost=80, low=low, high=20)
    for name, reference, low in (
        ("k0", _of_scipy("k0"), 0.01),
        ("k0e", _of_scipy("k0e"), 0.01),
        ("k1", _of_scipy("k1"), 0.01),
        ("k1e", _of_scipy("k1e"), 0.01),
        ("bessel_j0", _of_scipy("j0"), -20),
        ("bessel_j1", _of_scipy("j1"), -20),
        ("bessel_y0", _of_scipy("y0"), 0.01),
        ("bessel_y1", _of_scipy("y1"), 0.01),
        ("airy_ai", _airy_ai, -20),
    )
}

# ---- the normal distribution --------------------------------------------------------------------

ERFCX = elementwise(
    "erfcx",
    1,
    _of_scipy("erfcx"),
    lambda out, g, x: (
        ew.mul(g, ew.sub(ew.mul(_c(x, 2), ew.mul(x, out)), _c(x, 2 / math.sqrt(math.pi)))),
    ),
    cost=40,
)
NDTRI = elementwise(
    "ndtri",
    1,
    _of_scipy("ndtri"),
    lambda out, g, x: (
        ew.mul(
            g, ew.mul(_c(x, math.sqrt(2 * math.pi)), ew.exp(ew.mul(_c(x, 0.5), ew.mul(out, out))))
        ),
    ),
    cost=60,
    low=0.01,
    high=0.99,
)

# ---- gamma and zeta functions -------------------------------------------------------------------


def _zeta(s: Array, q: Array) -> Array:
    """NaN at q = infinity, as in PyTorch, and where q is far below 0."""
    s, q = s.astype(np.float64), q.astype(np.float64)
    poles = (s == 1) | (~(s < 1) & (q <= 0) & (q == np.floor(q)))
    known = (q >= -1e5) & (q < np.inf)
    value = np.asarray(scipy_special.zeta(s, np.where(known, q, 1)))
    return np.where(poles, np.inf, np.where(known, value, np.nan))


def _density(a: Node, x: Node) -> Node:
    """x^(a-1) exp(-x) / gamma(a)."""
    power = ew.mul(ew.log(x), ew.sub(a, _c(a, 1)))
    return ew.exp(ew.sub(ew.sub(power, x), ew.lgamma(a)))


def _unknown(g: Node) -> Node:
    """The gradient with respect to a first argument: functions made of these refuse it."""
    return _c(g, math.nan)


ZETA = elementwise(
    "zeta",
    2,
    _zeta,
    lambda out, g, s, q: (_unknown(g), ew.neg(ew.mul(g, ew.mul(s, zeta(ew.add(s, _c(s, 1)), q))))),
    cost=400,
    low=1.5,
    high=5,
)
GAMMAINC = elementwise(
    "gammainc",
    2,
    _of_scipy("gammainc"),
    lambda out, g, a, x: (_unknown(g), ew.mul(g, _density(a, x))),
    cost=400,
    low=0.5,
    high=40,
)
GAMMAINCC = elementwise(
    "gammaincc",
    2,
    _of_scipy("gammaincc"),
    lambda out, g, a, x: (_unknown(g), ew.neg(ew.mul(g, _density(a, x)))),
    cost=400,
    low=0.5,
    high=40,
)

# ---- orthogonal polynomials of (x, degree) ------------------------------------------------------

Recurrence = Callable[[Array, float, Array, Array], Array]
ByAngle = Callable[[Array, Array], Array]


def _polynomial(
    first: Callable[[Array], Array],
    step: Recurrence,
    by_angle: ByAngle | None = None,
    limits: tuple[int, int] | None = None,
) -> Callable[[Array, Array], Array]:
    """The reference of a polynomial. ``first``: of degree 1; ``step``: (x, k, q of degree k,
    p of degree k - 1) -> of degree k + 1; ``by_angle``: (angle, degree) -> in (-1, 1), above
    degree 8; ``limits``: the degrees above which float32 and float64 are NaN."""

    def reference(at: Array, degree: Array) -> Array:
        x = at.astype(np.float64)
        n = np.where(degree > -1, np.trunc(degree.astype(np.float64)), -1)
        result = np.where(n == 0, 1.0, np.where(n == 1, first(x), 0.0))
        angled = (n > 8) & (np.abs(x) < 1) if by_angle else np.zeros(x.shape, bool)
        beyond = np.zeros(x.shape, bool)
        if limits is not None:
            beyond = n > limits[at.dtype == np.float64]
        looped = np.where(angled | beyond, 0, n)
        p, q, k = np.ones_like(x), first(x), 1
        while k < looped.max(initial=0) and not np.isnan(q[looped > k]).all():
            p, q, k = q, step(x, k, q, p), k + 1
            result = np.where(looped == k, q, result)
        result = np.where(looped > k, np.nan, result)
        if by_angle is not None:
            inside = by_angle(np.arccos(np.where(angled, x, 0.0)), n)
            result = np.where(angled, inside, result)
        return np.where(beyond, np.nan, result)

    return reference


def _chebyshev(x: Array, _k: float, q: Array, p: Array) -> Array:
    return 2 * x * q - p


_HERMITE_LIMITS = (128, 512)
_POLYNOMIALS = {
    "chebyshev_polynomial_t": _polynomial(
        lambda x: x, _chebyshev, lambda angle, n: np.cos(n * angle)
    ),
    "chebyshev_polynomial_u": _polynomial(
        lambda x: 2 * x, _chebyshev, lambda angle, n: np.sin((n + 1) * angle) / np.sin(angle)
    ),
    "chebyshev_polynomial_v": _polynomial(
        lambda x: 2 * x - 1,
        _chebyshev,
        lambda angle, n: np.cos((n + 0.5) * angle) / np.cos(angle / 2),
    ),
    "chebyshev_polynomial_w": _polynomial(
        lambda x: 2 * x + 1,
        _chebyshev,
        lambda angle, n: np.sin((n + 0.5) * angle) / np.sin(angle / 2),
    ),
    "hermite_polynomial_h": _polynomial(
        lambda x: 2 * x, lambda x, k, q, p: 2 * (x * q - k * p), limits=_HERMITE_LIMITS
    ),
    "hermite_polynomial_he": _polynomial(
        lambda x: x, lambda x, k, q, p: x * q - k * p, limits=_HERMITE_LIMITS
    ),
    "laguerre_polynomial_l": _polynomial(
        lambda x: 1 - x, lambda x, k, q, p: ((2 * k + 1 - x) * q - k * p) / (k + 1)
    ),
    "legendre_polynomial_p": _polynomial(
        lambda x: x, lambda x, k, q, p: ((2 * k + 1) * x * q - k * p) / (k + 1)
    ),
}
POLYNOMIALS = {
    name: elementwise(name, 2, reference, None, cost=100, low=-1, high=12)
    for name, reference in _POLYNOMIALS.items()
}

i0: Unary = ew.builder_of_one(I0)
i1: Unary = ew.builder_of_one(I1)
i0e: Unary = ew.builder_of_one(I0E)
i1e: Unary = ew.builder_of_one(I1E)
erfcx: Unary = ew.builder_of_one(ERFCX)
ndtri: Unary = ew.builder_of_one(NDTRI)
zeta: Binary = ew.builder_of_two(ZETA)
gammainc: Binary = ew.builder_of_two(GAMMAINC)
gammaincc: Binary = ew.builder_of_two(GAMMAINCC)
bessel: dict[str, Unary] = {name: ew.builder_of_one(op) for name, op in BESSEL.items()}
polynomials: dict[str, Binary] = {name: ew.builder_of_two(op) for name, op in POLYNOMIALS.items()}
