"""Orthogonal polynomials of a degree that is an argument, as C text.

Each by its three-term recurrence (DLMF 18.9.1), in a loop as long as the degree; Chebyshev's of
higher degree inside (-1, 1) by their trigonometric forms (DLMF 18.5.1-4), as PyTorch does. A degree
is cut to an integer; below 0 the polynomial is 0. Loops over them are not vectorised. float32 is
computed in double.
"""

from __future__ import annotations

from codegen.render.mathematics_text import CFunction, function


def _recurrence(name: str, ctype: str, first: str, step: str, ready: str = "") -> CFunction:
    """q of degree 1, and of degree k + 1 (``step``) from q of degree k and p of degree k - 1;
    ``ready``: what returns early."""
    suffix = "f32" if ctype == "float" else "f64"
    return function(f"""
LT_INLINE {ctype} lt_{name}_{suffix}({ctype} at, {ctype} degree) {{
    double x = (double)at;
    long n = lt_to_i64_{suffix}(degree);
    if (n < 0) return 0;
    if (n == 0) return 1;
    {ready.replace("LIMIT", "128" if ctype == "float" else "512")}
    double p = 1.0, q = {first};
    for (long k = 1; (k < n) & (q == q); k++) {{
        double r = {step};
        p = q;
        q = r;
    }}
    return ({ctype})q;
}}""")


def _by_angle(value: str) -> str:
    """By the angle where |x| < 1 and the degree is above 8."""
    return f"""if ((n > 8) & (__builtin_fabs(x) < 1.0)) {{
        double angle = lt_acos_f64(x), half = 0.5 * angle;
        return {value};
    }}"""


_CHEBYSHEV = "2.0 * x * q - p"
# Beyond these degrees PyTorch has NaN.
_HERMITE = "if (n > LIMIT) return LT_NAN_f64;"
# name -> degree 1, the next degree, early returns
_RECURRENCES = {
    "chebyshev_polynomial_t": ("x", _CHEBYSHEV, "lt_cos_f64(n * angle)"),
    "chebyshev_polynomial_u": (
        "2.0 * x", _CHEBYSHEV, "lt_sin_f64((n + 1.0) * angle) / lt_sin_f64(angle)"
    ),
    "chebyshev_polynomial_v": (
        "2.0 * x - 1.0", _CHEBYSHEV, "lt_cos_f64((n + 0.5) * angle) / lt_cos_f64(half)"
    ),
    "chebyshev_polynomial_w": (
        "2.0 * x + 1.0", _CHEBYSHEV, "lt_sin_f64((n + 0.5) * angle) / lt_sin_f64(half)"
    ),
    "hermite_polynomial_h": ("2.0 * x", "2.0 * (x * q - k * p)", _HERMITE),
    "hermite_polynomial_he": ("x", "x * q - k * p", _HERMITE),
    "laguerre_polynomial_l": ("1.0 - x", "((2.0 * k + 1.0 - x) * q - k * p) / (k + 1.0)", ""),
    "legendre_polynomial_p": ("x", "((2.0 * k + 1.0) * x * q - k * p) / (k + 1.0)", ""),
}  # fmt: skip

POLYNOMIALS: list[CFunction] = [
    _recurrence(
        name,
        ctype,
        first,
        step,
        _by_angle(early) if "angle" in early else early,
    )
    for name, (first, step, early) in _RECURRENCES.items()
    for ctype in ("float", "double")
]
