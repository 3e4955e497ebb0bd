"""Exponentials, logarithms, powers and hyperbolic functions as C text.

Polynomials are minimax (Remez exchange, relative error) on the range that their comment names;
reduction of the argument follows Cody and Waite, logarithms in double follow Sun's fdlibm.
"""

from __future__ import annotations

from codegen.render.mathematics_text import CFunction, both, function, polynomial, through_double

# (e^r - 1 - r) / r^2 on |r| <= ln(2)/2: 2^-26 and 2^-55 of r.
_EXP = {
    "float": (0.5000000066, 0.1666653802, 0.04166626638, 0.008367246817, 0.001394760718),
    "double": (
        0.500000000000000612, 0.166666666666666881, 0.0416666666665659896,
        0.00833333333331305015, 0.0013888888935029845, 0.000198412699067593644,
        0.0000248015011113514382, 2.75572243356764982e-6, 2.762770198868446e-7,
        2.51156940476709637e-8,
    ),
}  # fmt: skip

# (2^r - 1) / r on |r| <= 1/2: 2^-29 and 2^-58.
_EXP2 = {
    "float": (0.6931472062, 0.2402265135, 0.05550327792, 0.009618003848, 0.001340026962,
              0.0001547630447),
    "double": (
        0.693147180559945308, 0.240226506959101332, 0.0555041086648217421,
        0.00961812910759333388, 0.00133335581463789729, 0.000154035304580781838,
        0.000015252733867585204, 1.32154348174106106e-6, 1.01780464468493814e-7,
        7.0738601117289391e-9, 4.45738909169987924e-10,
    ),
}  # fmt: skip

# log(1+f) = f - f^2/2 + f^3 P(f), sqrt(1/2) <= 1+f < sqrt(2): 2^-30.
_LOG_F32 = (0.3333331045, -0.2499998668, 0.2000222609, -0.1666924686, 0.1421866509, -0.1238441711,
            0.1187299435, -0.1178942605, 0.06914873746)  # fmt: skip
# log2(1+f) = f + f P(f), same range: 2^-27.
_LOG2_F32 = (0.4426950418, -0.7213473519, 0.4808979007, -0.3606964281, 0.2885852768, -0.2396365162,
             0.2042958518, -0.1906129572, 0.1878278119, -0.1129755371)  # fmt: skip
# log10(1+f) = f P(f), same range: 2^-29.
_LOG10_F32 = (0.4342944822, -0.2171471902, 0.144764693, -0.1085804442, 0.08687282463,
              -0.07213777944, 0.06149917938, -0.05738021769, 0.05654180541,
              -0.03400902544)  # fmt: skip
# log((1+s)/(1-s)) = 2s + s^3 P(s^2), |s| <= 0.1716: 2^-58.
_LOG_F64 = (0.666666666666673456, 0.399999999994135522, 0.285714287426649432, 0.222221985422562936,
            0.181835660520809499, 0.153140035422665043, 0.147964471839918765)  # fmt: skip
# log((1+s)/(1-s)) = 2s + s^3 (2/3 + s^2 P(s^2)), same range: 2^-52 of a term below 1/200.
_LOG_PAIR = (0.400000000000000275, 0.285714285713374845, 0.222222222715143853, 0.181818081867909889,
             0.153855788430441736, 0.132858332674626543, 0.129150458752588533)  # fmt: skip
# tanh(x) = x + x^3 P(x^2) on [-1, 1]: 2^-28.
_TANH_F32 = (-0.333332989, 0.133324114, -0.0538841038, 0.02149940154, -0.007965213807,
             0.002315465954, -0.0003625230146)  # fmt: skip

# What differs between the widths: the mantissa, the bias, 1.5 * 2^mantissa (adding it rounds to an
# integer that stands in the low bits), where exp leaves the range, and ln 2 in two parts, the
# first of so few bits that its product with an exponent is exact (Cody and Waite).
_WIDTH = {
    "float": {
        "MANTISSA": "23", "BIAS": "127", "ROUNDER": "12582912.0f", "ROUNDER_BITS": "0x4b400000",
        "EXP_HIGH": "90.0f", "EXP_LOW": "-104.0f", "EXP2_HIGH": "129.0f", "EXP2_LOW": "-151.0f",
        "EXPM1_LOW": "-20.0f", "EXPM1_HIGH": "89.0f", "LN2_HIGH": "0.693359375f",
        "LN2_LOW": "-2.12194440e-4f", "LOG2E": "1.44269504f", "SQRT_HALF": "0x3f3504f3",
        "MANTISSA_MASK": "0x7fffff",
        "LEAST_NORMAL": "1.17549435e-38f", "LIFT": "8388608.0f",
        "UNSIGNED": "unsigned", "TINY": "1e-10f", "LARGE": "1e15f", "RAISED": "64",
        "LOWERED": "5.42101086e-20f",
    },
    "double": {
        "MANTISSA": "52", "BIAS": "1023", "ROUNDER": "6755399441055744.0",
        "ROUNDER_BITS": "0x4338000000000000L", "EXP_HIGH": "711.0", "EXP_LOW": "-746.0",
        "EXP2_HIGH": "1025.0", "EXP2_LOW": "-1080.0", "EXPM1_LOW": "-40.0", "EXPM1_HIGH": "710.0",
        "LN2_HIGH": "0.693147180369123816490", "LN2_LOW": "1.90821492927058770002e-10",
        "LOG2E": "1.4426950408889634", "SQRT_HALF": "0x3fe6a09e667f3bcdL",
        "MANTISSA_MASK": "0xfffffffffffffL", "LEAST_NORMAL": "2.2250738585072014e-308",
        "LIFT": "4503599627370496.0", "UNSIGNED": "unsigned long",
        "TINY": "1e-20", "LARGE": "1e30", "RAISED": "512", "LOWERED": "7.4583407312002067e-155",
    },
}  # fmt: skip


def _sized(template: str) -> list[CFunction]:
    """A template with the names of _WIDTH between @ signs, filled in for float and double."""
    found = []
    for index, ctype in enumerate(("float", "double")):
        text = template.replace("@EXP_POLYNOMIAL@", polynomial("r", _EXP[ctype], ctype))
        text = text.replace("@EXP2_POLYNOMIAL@", polynomial("r", _EXP2[ctype], ctype))
        for name, value in _WIDTH[ctype].items():
            text = text.replace(f"@{name}@", value)
        found.append(both(text)[index])
    return found


_EXPONENTIALS = [
    # p * 2^n in two steps, so that results below the normal range are rounded once.
    *_sized("""
LT_INLINE REAL lt_scale_SFX(REAL p, BITS n) {
    BITS halved = n >> 1, rest = n - halved;
    return p * lt_from_bits_SFX((BITS)((@UNSIGNED@)(halved + @BIAS@) << @MANTISSA@))
             * lt_from_bits_SFX((BITS)((@UNSIGNED@)(rest + @BIAS@) << @MANTISSA@));
}"""),
    # e^x 2^extra, overflowing only where that does (extra is 0 or -1). What vanishes (a masked
    # score, -infinity) is not computed: a product below the normal range takes a hundred cycles.
    *_sized("""
LT_INLINE REAL lt_exp_scaled_SFX(REAL given, BITS extra) {
    REAL x = given > @EXP_HIGH@ ? @EXP_HIGH@ : given;
    x = given < @EXP_LOW@ ? 0.0 : x;
    REAL shifted = x * @LOG2E@ + @ROUNDER@;
    REAL k = shifted - @ROUNDER@;
    BITS n = lt_bits_SFX(shifted) - @ROUNDER_BITS@;
    REAL r = (x - k * @LN2_HIGH@) - k * @LN2_LOW@;
    REAL p = 1.0 + (r + r * r * @EXP_POLYNOMIAL@);
    REAL result = lt_scale_SFX(p, n + extra);
    return given < @EXP_LOW@ ? 0.0 : result;
}"""),
    *both("LT_INLINE REAL lt_exp_SFX(REAL x) { return lt_exp_scaled_SFX(x, 0); }"),
    # The same of what is not above zero. 2^n is rounded into the place of an exponent, larger by as
    # much as keeps it within the normal range, and a product makes it what it is.
    *_sized("""
LT_INLINE REAL lt_exp_of_negative_SFX(REAL given) {
    REAL x = given < @EXP_LOW@ ? 0.0 : given;
    REAL rounder = @ROUNDER@ + @BIAS@ + @RAISED@;
    REAL shifted = x * @LOG2E@ + rounder;
    REAL k = shifted - rounder;
    REAL r = (x - k * @LN2_HIGH@) - k * @LN2_LOW@;
    REAL p = 1.0 + (r + r * r * @EXP_POLYNOMIAL@);
    REAL power = lt_from_bits_SFX((BITS)((@UNSIGNED@)lt_bits_SFX(shifted) << @MANTISSA@));
    return given < @EXP_LOW@ ? 0.0 : p * power * @LOWERED@;
}"""),
    *_sized("""
LT_INLINE REAL lt_exp2_SFX(REAL x) {
    x = x > @EXP2_HIGH@ ? @EXP2_HIGH@ : x;
    x = x < @EXP2_LOW@ ? @EXP2_LOW@ : x;
    REAL shifted = x + @ROUNDER@;
    REAL r = x - (shifted - @ROUNDER@);
    BITS n = lt_bits_SFX(shifted) - @ROUNDER_BITS@;
    return lt_scale_SFX(1.0 + r * @EXP2_POLYNOMIAL@, n);
}"""),
    # 2^n (e^r - 1) + (2^n - 1), at half size lest 2^n overflow.
    *_sized("""
LT_INLINE REAL lt_expm1_SFX(REAL x) {
    REAL c = x > @EXPM1_HIGH@ ? @EXPM1_HIGH@ : x;
    c = c < @EXPM1_LOW@ ? @EXPM1_LOW@ : c;
    REAL shifted = c * @LOG2E@ + @ROUNDER@;
    REAL k = shifted - @ROUNDER@;
    BITS n = lt_bits_SFX(shifted) - @ROUNDER_BITS@;
    REAL r = (c - k * @LN2_HIGH@) - k * @LN2_LOW@;
    REAL p = r + r * r * @EXP_POLYNOMIAL@;
    REAL halved = lt_from_bits_SFX((BITS)((@UNSIGNED@)(n + (@BIAS@ - 1)) << @MANTISSA@));
    REAL y = 2.0 * (halved * p + (halved - 0.5));
    return __builtin_fabsF(x) < @TINY@ ? x : y;
}"""),
]

_LOGARITHMS = [
    # log(1+f) + k ln 2
    function(f"""
LT_INLINE float lt_log_sum_f32(float f, float k) {{
    float tail = f * f * f * {polynomial("f", _LOG_F32, "float")} - k * 2.12194440e-4f;
    return k * 0.693359375f + (f - (0.5f * f * f - tail));
}}"""),
    function(f"""
LT_INLINE double lt_log_sum_f64(double f, double k) {{
    double s = f / (2.0 + f), z = s * s, square = 0.5 * f * f;
    double tail = s * (square + z * {polynomial("z", _LOG_F64, "double")});
    tail += k * 1.90821492927058770002e-10;
    return k * 0.693147180369123816490 - ((square - tail) - f);
}}"""),
    # x = 2^k (1+f) with sqrt(1/2) <= 1+f < sqrt(2), for 0 < x < infinity
    *_sized("""
LT_INLINE REAL lt_split_SFX(REAL x, REAL *k) {
    BITS tiny = x < @LEAST_NORMAL@;
    BITS bits = (BITS)((@UNSIGNED@)lt_bits_SFX(tiny ? x * @LIFT@ : x) - @SQRT_HALF@);
    *k = (REAL)((bits >> @MANTISSA@) - (tiny ? @MANTISSA@ : 0));
    return lt_from_bits_SFX((bits & @MANTISSA_MASK@) + @SQRT_HALF@) - 1.0;
}"""),
    # what a logarithm is at 0, below 0, at infinity and NaN
    *both("""
LT_INLINE REAL lt_log_edges_SFX(REAL x, REAL y) {
    y = x < LT_INF_SFX ? y : x;
    y = x == 0.0 ? -LT_INF_SFX : y;
    return x < 0.0 ? LT_NAN_SFX : y;
}"""),
    *both("""
LT_INLINE REAL lt_log_SFX(REAL x) {
    REAL k, f = lt_split_SFX(x, &k);
    return lt_log_edges_SFX(x, lt_log_sum_SFX(f, k));
}"""),
    function(f"""
LT_INLINE float lt_log2_f32(float x) {{
    float k, f = lt_split_f32(x, &k);
    return lt_log_edges_f32(x, k + (f + f * {polynomial("f", _LOG2_F32, "float")}));
}}"""),
    function(f"""
LT_INLINE float lt_log10_f32(float x) {{
    float k, f = lt_split_f32(x, &k);
    float y = f * {polynomial("f", _LOG10_F32, "float")} + k * 4.605038981195214e-6f;
    return lt_log_edges_f32(x, k * 0.301025390625f + y);
}}"""),
    # a * b - product, exactly
    function("""
LT_INLINE double lt_product_error_f64(double a, double b, double product) {
#ifdef LT_HAS_FMA
    return __builtin_fma(a, b, -product);
#else
    double ah = lt_from_bits_f64(lt_bits_f64(a) & ~0x7ffffffL), al = a - ah;
    double bh = lt_from_bits_f64(lt_bits_f64(b) & ~0x7ffffffL), bl = b - bh;
    return ((ah * bh - product) + ah * bl + al * bh) + al * bl;
#endif
}"""),
    # log2(x) = result + *low to about 2^-64, for 0 < x < infinity: s = f/(2+f) in two parts, then
    # log2(e) s (2 + s^2 (2/3 + ...)) (Dekker's arithmetic)
    function(f"""
LT_INLINE double lt_log2_pair_f64(double x, double *low) {{
    double k, f = lt_split_f64(x, &k), d = 2.0 + f, inverse = 1.0 / d;
    double sh = f * inverse;
    double rest = -lt_product_error_f64(sh, d, f) - sh * ((2.0 - d) + f);
    double sl = rest * inverse;
    double zh = sh * sh, zl = lt_product_error_f64(sh, sh, zh) + 2.0 * sh * sl;
    double q = zh * {polynomial("zh", _LOG_PAIR, "double")};
    double ah = 0.66666666666666663 + q;
    double al = (0.66666666666666663 - ah) + q + 3.7007434154171886e-17;
    double bh = zh * ah, bl = lt_product_error_f64(zh, ah, bh) + zh * al + zl * ah;
    double ch = 2.0 + bh, cl = (2.0 - ch) + bh + bl;
    double ph = sh * ch, pl = lt_product_error_f64(sh, ch, ph) + sh * cl + sl * ch;
    double qh = ph * 1.4426950408889634;
    double ql = lt_product_error_f64(ph, 1.4426950408889634, qh)
              + ph * 2.0355273740931033e-17 + pl * 1.4426950408889634;
    double high = k + qh;
    *low = (k - high) + qh + ql;
    return high;
}}"""),
    function("""
LT_INLINE double lt_log2_f64(double x) {
    double low, high = lt_log2_pair_f64(x, &low);
    return lt_log_edges_f64(x, high + low);
}"""),
    function("""
LT_INLINE double lt_log10_f64(double x) {
    double low, high = lt_log2_pair_f64(x, &low), y = high * 0.3010299956639812;
    double tail = lt_product_error_f64(high, 0.3010299956639812, y)
                - high * 2.8037281277851704e-18 + low * 0.3010299956639812;
    return lt_log_edges_f64(x, y + tail);
}"""),
    # f = (1+x) 2^-k - 1 from x itself, so that nothing of a small x is lost in 1+x
    *_sized("""
LT_INLINE REAL lt_log1p_SFX(REAL x) {
    REAL k, u = 1.0 + x, f = lt_split_SFX(u, &k);
    REAL power = lt_from_bits_SFX((BITS)((@UNSIGNED@)(@BIAS@ - (BITS)k) << @MANTISSA@));
    f = x < @LARGE@ ? x * power + (power - 1.0) : f;
    REAL y = lt_log_edges_SFX(u, lt_log_sum_SFX(f, k));
    return __builtin_fabsF(x) < @TINY@ ? x : y;
}"""),
]

_POWERS = [
    # C99's special cases around |x|^y
    *both("""
LT_INLINE REAL lt_pow_edges_SFX(REAL x, REAL y, REAL magnitude) {
    int integer = __builtin_rintF(y) == y;
    int odd = integer & (__builtin_rintF(0.5 * y) != 0.5 * y);
    int negative = lt_bits_SFX(x) < 0;
    REAL p = (odd & negative) ? -magnitude : magnitude;
    p = ((x < 0.0) & (x > -LT_INF_SFX) & !integer) ? LT_NAN_SFX : p;
    p = ((x == -1.0) & (__builtin_fabsF(y) == LT_INF_SFX)) ? 1.0 : p;
    return ((x == 1.0) | (y == 0.0)) ? 1.0 : p;
}"""),
    function("""
LT_INLINE float lt_pow_f32(float x, float y) {
    double power = (double)y * (lt_log_f64(__builtin_fabs((double)x)) * 1.4426950408889634);
    return lt_pow_edges_f32(x, y, (float)lt_exp2_f64(power));
}"""),
    function(f"""
LT_INLINE double lt_pow_f64(double x, double y) {{
    double low, a = __builtin_fabs(x), high = lt_log2_pair_f64(a, &low);
    high = a < LT_INF_f64 ? high : a;
    high = a == 0.0 ? -LT_INF_f64 : high;
    double t = y * high, tail = lt_product_error_f64(y, high, t) + y * low;
    tail = __builtin_fabs(t) < 1100.0 ? tail : 0.0;
    t = t > 1100.0 ? 1100.0 : t;
    t = t < -1100.0 ? -1100.0 : t;
    double shifted = t + 6755399441055744.0;
    double r = (t - (shifted - 6755399441055744.0)) + tail;
    long n = lt_bits_f64(shifted) - 0x4338000000000000L;
    double p = 1.0 + r * {polynomial("r", _EXP2["double"], "double")};
    return lt_pow_edges_f64(x, y, lt_scale_f64(p, n));
}}"""),
    *both("LT_INLINE REAL lt_sqrt_SFX(REAL x) { return __builtin_sqrtF(x); }"),
    *both("LT_INLINE REAL lt_rsqrt_SFX(REAL x) { return 1.0 / __builtin_sqrtF(x); }"),
]

_HYPERBOLIC = [
    # 0 where e^-x overflows, as PyTorch's
    *both("LT_INLINE REAL lt_sigmoid_SFX(REAL x) { return 1.0 / (1.0 + lt_exp_SFX(-x)); }"),
    function(f"""
LT_INLINE float lt_tanh_f32(float x) {{
    float a = __builtin_fabsf(x), z = x * x;
    float small = a + a * z * {polynomial("z", _TANH_F32, "float")};
    float c = a > 9.1f ? 9.1f : a;
    float large = 1.0f - 2.0f / (1.0f + lt_exp_f32(2.0f * c));
    return __builtin_copysignf(a < 1.0f ? small : large, x);
}}"""),
    function("""
LT_INLINE double lt_tanh_f64(double x) {
    double a = __builtin_fabs(x), c = a > 20.0 ? 20.0 : a;
    double t = lt_expm1_f64(2.0 * c);
    return __builtin_copysign(t / (t + 2.0), x);
}"""),
    function("""
LT_INLINE double lt_sinh_f64(double x) {
    double a = __builtin_fabs(x), t = lt_expm1_f64(a > 30.0 ? 30.0 : a);
    double y = a < 22.0 ? 0.5 * (t + t / (t + 1.0)) : lt_exp_scaled_f64(a, -1);
    return __builtin_copysign(y, x);
}"""),
    function("""
LT_INLINE double lt_cosh_f64(double x) {
    double halved = lt_exp_scaled_f64(__builtin_fabs(x), -1);
    return halved + 0.25 / halved;
}"""),
    # asinh(a) = log(1 + a + a^2 / (1 + sqrt(1 + a^2)))
    function("""
LT_INLINE double lt_asinh_f64(double x) {
    double a = __builtin_fabs(x), c = a < 1e9 ? a : 1e9;
    double small = c + c * c / (1.0 + __builtin_sqrt(1.0 + c * c));
    double y = lt_log1p_f64(a < 1e9 ? small : a - 1.0) + (a < 1e9 ? 0.0 : 0.6931471805599453);
    return __builtin_copysign(y, x);
}"""),
    function("""
LT_INLINE double lt_acosh_f64(double x) {
    double t = x - 1.0, small = t + __builtin_sqrt(2.0 * t + t * t);
    double y = lt_log1p_f64(x < 1e9 ? small : x - 1.0) + (x < 1e9 ? 0.0 : 0.6931471805599453);
    return x < 1.0 ? LT_NAN_f64 : y;
}"""),
    function("""
LT_INLINE double lt_atanh_f64(double x) {
    double a = __builtin_fabs(x), y = 0.5 * lt_log1p_f64(2.0 * a / (1.0 - a));
    return __builtin_copysign(a > 1.0 ? LT_NAN_f64 : y, x);
}"""),
    *(through_double(n) for n in ("sinh", "cosh", "asinh", "acosh", "atanh")),
]

ELEMENTARY = [*_EXPONENTIALS, *_LOGARITHMS, *_POWERS, *_HYPERBOLIC]
