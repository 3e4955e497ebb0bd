"""Hurwitz' zeta function and the incomplete gamma functions as C text.

These have loops of a length that the argument decides, so loops over them are not vectorised.
float32 is computed in double.
"""

from __future__ import annotations

from codegen.render.mathematics_special import LGAMMA, STIRLING
from codegen.render.mathematics_text import CFunction, function, polynomial, through_double

# c_k(eta) of Temme's expansion, a row of Taylor coefficients each, by the recurrence DLMF 8.12.10,
# as far as they matter for a >= 20 and |eta| <= 0.36.
_TEMME = (
    (-0.33333333333333331, 0.083333333333333329, -0.014814814814814815, 0.0011574074074074073,
     0.00035273368606701942, -0.0001787551440329218, 3.9192631785224377e-05,
     -2.185448510679992e-06, -1.85406221071516e-06, 8.2967113409530865e-07,
     -1.7665952736826078e-07, 6.7078535434014984e-09, 1.0261809784240309e-08,
     -4.3820360184533529e-09, 9.1476995822367902e-10, -2.5514193994946248e-11,
     -5.8307721325504256e-11, 2.4361948020667415e-11),
    (-0.0018518518518518519, -0.003472222222222222, 0.0026455026455026454,
     -0.00099022633744855963, 0.00020576131687242798, -4.018775720164609e-07,
     -1.8098550334489977e-05, 7.6491609160811098e-06, -1.6120900894563446e-06,
     4.647127802807434e-09, 1.3786334469157209e-07, -5.7525456035177047e-08,
     1.1951628599778148e-08, -1.7543241719747647e-11, -1.0091543710600413e-09,
     4.1627929918425828e-10),
    (0.0041335978835978834, -0.0026813271604938273, 0.0007716049382716049,
     2.0093878600823047e-06, -0.0001073665322636516, 5.2923448829120125e-05,
     -1.2760635188618728e-05, 3.4235787340961378e-08, 1.3721957309062934e-06,
     -6.2989921383800548e-07, 1.4280614206064242e-07, -2.0477098421990866e-10,
     -1.409252991086752e-08, 6.2289740849220218e-09, -1.3670488396617114e-09),
    (0.00064943415637860077, 0.00022947209362139917, -0.0004691894943952557,
     0.00026772063206283885, -7.5618016718839766e-05, -2.3965051138672968e-07,
     1.1082654115347302e-05, -5.6749528269915965e-06, 1.4230900732435883e-06,
     -2.7861080291528143e-11, -1.6958404091930278e-07, 8.0994649053880827e-08,
     -1.9111168485973655e-08),
    (-0.00086188829091671173, 0.00078403922172006662, -0.00029907248030319018,
     -1.4638452578843418e-06, 6.6414982154651219e-05, -3.9683650471794347e-05,
     1.1375726970678419e-05, 2.5074972262375329e-10, -1.6954149536558305e-06,
     8.9075075322053094e-07, -2.2929348340008049e-07, 2.9567941375440492e-11,
     2.8865829742708783e-08),
    (-0.00033679855336635813, -6.9728137583658571e-05, 0.00027727532449593918,
     -0.00019932570516188847, 6.797780477937208e-05, 1.4190629206439671e-07,
     -1.3594048189768693e-05, 8.018470256334202e-06, -2.2914811765080952e-06,
     -3.2524735512984538e-10, 3.4652846491085265e-07, -1.8447187191171344e-07),
    (0.00053130793646399225, -0.00059216643735369393, 0.0002708782096718045,
     7.9023532326603281e-07, -8.1539693675619691e-05, 5.6116827531062497e-05,
     -1.8329116582843375e-05, -3.0796134506033047e-09, 3.4651553688036091e-06,
     -2.0291327396058603e-06),
    (0.00034436760689237765, 5.1717909082605919e-05, -0.00033493161081142234,
     0.00028126951547632369, -0.00010976582244684731, -1.2741009095484485e-07,
     2.7744451511563645e-05, -1.8263488805711332e-05, 5.7876949497350525e-06),
    (-0.00065262391859530937, 0.00083949872067208726, -0.00043829709854172099,
     -6.9690914584205523e-07, 0.00016644846642067547, -0.00012783517679769218,
     4.6299532636913042e-05),
    (-0.00059676129019274626, -7.2048954160200109e-05, 0.0006782308837667328,
     -0.0006401475260262758, 0.00027750107634328704),
    (0.0013324454494800656, -0.0019144384985654776, 0.0011089369134596636,
     9.9324041226422995e-07, -0.00050874501293093194),
    (0.001579727660730835, 0.00016251626278391583, -0.0020633421035543276),
    (-0.0040725121195140162, 0.0064033628338080696),
)  # fmt: skip
# B_2k / (2k)!
_BERNOULLI = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
    1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000,
    -174611 / 802857662698291200000, 77683 / 14101100039391805440000,
    -236364091 / 1693824136731743669452800000,
)  # fmt: skip
# log(1 + m) - m = -m^2 / 2 + ...
_LOG1PMX = tuple([(-1.0) ** (k + 1) / k for k in range(2, 40)])


def _zeta_tail() -> str:
    """Euler and Maclaurin's corrections: B_2k/(2k)! s (s+1)...(s+2k-2) / a^(s+2k-1)."""
    lines = []
    for k, number in enumerate(_BERNOULLI):
        lines.append(f"total += {number!r} * f;")
        lines.append(f"f *= (s + {2 * k + 1}.0) / a * ((s + {2 * k + 2}.0) / a);")
    return "\n    ".join(lines[:-1])


def _temme() -> str:
    """The double series as a polynomial in eta inside one in 1/a."""
    text = polynomial("e", _TEMME[-1], "double")
    for row in reversed(_TEMME[:-1]):
        text = f"({polynomial('e', row, 'double')}\n        + i * {text})"
    return text


GAMMA: list[CFunction] = [
    # Sum over n of (q + n)^-s: at least nine terms, and up to q + n > 9; then the formula of Euler
    # and Maclaurin (DLMF 2.10.1). For s < 1 NaN, as in PyTorch, and where q is far below 0.
    function(f"""
LT_INLINE double lt_zeta_f64(double s, double q) {{
    if (s == 1.0) return LT_INF_f64;
    if (s < 1.0) return LT_NAN_f64;
    if (q <= 0.0) {{
        if (q == __builtin_floor(q)) return LT_INF_f64;
        if ((s != __builtin_floor(s)) | (q < -1e5)) return LT_NAN_f64;
    }}
    if (!(q < LT_INF_f64)) return LT_NAN_f64;
    double a = q, total = 0.0, b = 1.0;
    for (int n = 0; (n < 9) | (a <= 9.0); n++) {{
        b = lt_pow_f64(a, -s);
        total += b;
        if (((q > 0.0) & (b < 1e-17 * total)) | (total == LT_INF_f64)) return total;
        a += 1.0;
    }}
    b = lt_pow_f64(a, -s);
    total += lt_pow_f64(a, 1.0 - s) / (s - 1.0) + 0.5 * b;
    double f = b * s / a;
    {_zeta_tail()}
    return total;
}}"""),
    # log(gamma(1 + a)), 0 <= a <= 1.5, exact near 0
    function(f"""
LT_INLINE double lt_lgamma1p_f64(double a) {{
    double z = a < 0.5 ? a : a - 1.0, y = z * {polynomial("z", LGAMMA, "double")};
    return a < 0.5 ? y - lt_log1p_f64(a) : y;
}}"""),
    # log(x / a) - m, m = x / a - 1
    function(f"""
LT_INLINE double lt_log_less_f64(double x, double a) {{
    double m = (x - a) / a, series = m * m * {polynomial("m", _LOG1PMX, "double")};
    return __builtin_fabs(m) < 0.35 ? series : lt_log_f64(x / a) - m;
}}"""),
    # x^a exp(-x) / gamma(a + 1); Stirling's series where a is not small
    function(f"""
LT_INLINE double lt_gamma_density_f64(double a, double x) {{
    if (a < 10.0) return lt_exp_f64(a * lt_log_f64(x) - x - lt_lgamma_f64(a + 1.0));
    double i = 1.0 / a, w = i * i;
    double tail = i * {polynomial("w", STIRLING, "double")};
    return lt_exp_f64(a * lt_log_less_f64(x, a) - tail) / __builtin_sqrt(6.283185307179586 * a);
}}"""),
    # the lower function by its power series (DLMF 8.11.4): up to some 600 steps
    function("""
LT_INLINE double lt_gammainc_series_f64(double a, double x) {
    double term = 1.0, total = 1.0;
    for (int n = 1; n < 2000; n++) {
        term *= x / (a + n);
        total += term;
        if (term <= 1e-17 * total) break;
    }
    return total * lt_gamma_density_f64(a, x);
}"""),
    # the upper one by its continued fraction (DLMF 8.9.2), Lentz' way
    function("""
LT_INLINE double lt_gammaincc_fraction_f64(double a, double x) {
    double b = x + 1.0 - a, c = 1e300, d = 1.0 / b, h = d;
    for (int n = 1; n < 2000; n++) {
        double numerator = -n * (n - a);
        b += 2.0;
        d = numerator * d + b;
        d = 1.0 / (__builtin_fabs(d) < 1e-300 ? 1e-300 : d);
        c = b + numerator / c;
        c = __builtin_fabs(c) < 1e-300 ? 1e-300 : c;
        double factor = c * d;
        h *= factor;
        if (__builtin_fabs(factor - 1.0) < 1e-16) break;
    }
    return h * a * lt_gamma_density_f64(a, x);
}"""),
    # the upper one where x and a are small, without a difference from 1 (DLMF 8.7.1)
    function("""
LT_INLINE double lt_gammaincc_series_f64(double a, double x) {
    double term = 1.0, total = 0.0;
    for (int n = 1; n < 200; n++) {
        term *= -x / n;
        total += term / (a + n);
        if (__builtin_fabs(term) <= 1e-17 * __builtin_fabs(total)) break;
    }
    double t = a * lt_log_f64(x) - lt_lgamma1p_f64(a);
    return -lt_expm1_f64(t) - a * lt_exp_f64(t) * total;
}"""),
    # Temme's uniform expansion about x = a (DLMF 8.12.3, 8.12.4): sign -1 the lower, +1 the upper
    function(f"""
LT_INLINE double lt_gammainc_temme_f64(double a, double x, double sign) {{
    double m = (x - a) / a, h = -lt_log_less_f64(x, a), i = 1.0 / a;
    double e = __builtin_copysign(__builtin_sqrt(2.0 * h), m);
    double series = {_temme()};
    double rest = lt_exp_f64(-a * h) * series / __builtin_sqrt(6.283185307179586 * a);
    return 0.5 * lt_erfc_f64(sign * e * __builtin_sqrt(0.5 * a)) + sign * rest;
}}"""),
    *(function(f"""
LT_INLINE double lt_{name}_f64(double a, double x) {{
    if ((a != a) | (x != x) | (x < 0.0) | (a < 0.0)) return LT_NAN_f64;
    if (a == 0.0) return x > 0.0 ? {at_zero} : LT_NAN_f64;
    if (x == 0.0) return {1.0 - at_infinity};
    if (a == LT_INF_f64) return x == LT_INF_f64 ? LT_NAN_f64 : {1.0 - at_infinity};
    if (x == LT_INF_f64) return {at_infinity};
    if ((a > 20.0) & (__builtin_fabs(x - a) < 0.3 * a))
        return lt_gammainc_temme_f64(a, x, {sign});
    {rest}
}}""") for name, at_zero, at_infinity, sign, rest in (
        ("gammainc", 1.0, 1.0, "-1.0", """\
if ((x > 1.0) & (x > a)) return 1.0 - lt_gammaincc_fraction_f64(a, x);
    return lt_gammainc_series_f64(a, x);"""),
        ("gammaincc", 0.0, 0.0, "1.0", """\
if ((x > 1.1) & (x >= a)) return lt_gammaincc_fraction_f64(a, x);
    if ((x <= 1.1) & (a < 1.0) & (a * -lt_log_f64(x) < 0.7))
        return lt_gammaincc_series_f64(a, x);
    return 1.0 - lt_gammainc_series_f64(a, x);"""),
    )),
    *(through_double(name, 2) for name in ("zeta", "gammainc", "gammaincc")),
]  # fmt: skip
