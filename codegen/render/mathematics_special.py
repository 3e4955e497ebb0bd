"""Special functions of statistics and physics as C text.

Polynomials are minimax (Remez exchange, relative error) on the range that their comment names.
"""

from __future__ import annotations

from codegen.render.mathematics_text import CFunction, both, function, polynomial, through_double

# erf(x) = x + x P(x^2) on [-1, 1]: 2^-29 and 2^-57.
_ERF_F32 = (0.1283791659, -0.3761262714, 0.1128360018, -0.02685444467, 0.00518953538,
            -0.0008020841079, 7.889117583e-5)  # fmt: skip
_ERF_F64 = (0.128379167095512567, -0.376126389031835466, 0.112837916709452533,
            -0.0268661706432762327, 0.00522397760742362167, -0.000854832598970585341,
            0.000120552953208151852, -0.000014924744670342448, 1.64475177732010758e-6,
            -1.62091766972404275e-7, 1.37229798502696335e-8,
            -7.80119582229799911e-10)  # fmt: skip
# erfc(x)^(1/4) = P(x - 1.25) on [1, 3.93], weighted for the error of erf: 2^-27. Its fourth power
# is two multiplications, where an exponential would be twenty operations.
_ERF_TAIL_F32 = (0.5269427251, -0.4041289329, 0.04025246215, 0.04406622913, -0.009332637793,
                 -0.003524879645, 0.001355020061, -4.246257644e-5, -2.275828552e-5)  # fmt: skip
# (1 + 2x) exp(x^2) erfc(x) = P(t), t = (x - 3.75) / (x + 3.75), 0.45 <= x <= 30: 2^-55.
# The form is Shepherd and Laframboise's (1981).
_ERFC = (1.23751263083782757, -0.140240598585546688, 0.00358541548546813647, 0.0822767384901097595,
         -0.108803930141986385, 0.0923043211617112318, -0.0586933985836854824,
         0.0283622773961415516, -0.00974657963470352386, 0.00175562606611029296,
         0.000293714243630424476, -0.000290155273792590227, 0.0000516463716445725964,
         0.0000223884197140197278, -0.0000114358381632968162, -9.82830149279117647e-7,
         1.73524464142536172e-6, -4.45003099332216708e-8, -2.38287292559019807e-7,
         1.32373871491184039e-8, 2.38826540921448397e-8)  # fmt: skip
# M. Giles, Approximating the erfinv function (2010), single precision, in w = -log(1 - x^2).
_ERFINV_NEAR = (1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087,
                -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08)  # fmt: skip
_ERFINV_FAR = (2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773,
               -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257)  # fmt: skip
# erfinv(x) / x = P(sqrt(w) - 3) for 16 <= w <= 37: 2^-22.
_ERFINV_FARTHEST = (2.83245526447400492, 1.00396316489028988, 0.00480486054219050808,
                    -0.00170927772267368176, 0.000290028176171589971,
                    -0.0000206461520738168657)  # fmt: skip
# erfc(x) exp(x^2) x sqrt(pi) in 1/x^2.
_ERFCX_FAR = (1.0, -1 / 2, 3 / 4, -15 / 8, 105 / 16, -945 / 32, 10395 / 64)
# Wichura's numerators and denominators, for |p - 0.5| <= 0.425, and with s = sqrt(-log p) in
# s - 1.6 up to s = 5, above in s - 5.
_QUANTILE = (
    (3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
     45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727),
    (1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077,
     21213.794301586595867, 39307.895800092710610, 28729.085735721942674, 5226.4952788528545610),
    (1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
     1.27045825245236838258, 0.241780725177450611770, 0.0227238449892691845833,
     0.000774545014278341407640),
    (1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550,
     0.148103976427480074590, 0.0151986665636164571966, 0.000547593808499534494600,
     1.05075007164441684324e-9),
    (6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580,
     0.296560571828504891230, 0.0265321895265761230930, 0.00124266094738807843860,
     0.0000271155556874348757815, 2.01033439929228813265e-7),
    (1.0, 0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525,
     0.000786869131145613259100, 0.0000184631831751005468180, 1.42151175831644588870e-7,
     2.04426310338993978564e-15),
)  # fmt: skip
# log(gamma(2 + z)) = z P(z) on |z| <= 1/2.
LGAMMA = (0.42278433509846714, 0.322467033424113236, -0.0673523010531981774,
           0.0205808084277803347, -0.00738555102866410406, 0.00289051033103680858,
           -0.00119275391216729548, 0.000509669515347487942, -0.00022315474732475293,
           0.0000994576744146437563, -0.000044926390630572434, 0.0000205055842612659192,
           -9.43819040155328959e-6, 4.38473244594769042e-6, -2.04598165537325152e-6,
           9.19988562884773111e-7, -4.28091239923345332e-7, 2.78801364986818949e-7,
           -1.36141275669852857e-7)  # fmt: skip
# Stirling's series in 1/x^2, times 1/x, and digamma's in 1/x^2, times 1/x^2 (Bernoulli numbers).
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156,
             -3617 / 122400)  # fmt: skip
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)

_ERROR_FUNCTIONS = [
    function(f"""
LT_INLINE float lt_erf_f32(float x) {{
    float a = __builtin_fabsf(x), z = x * x, t = (a > 3.93f ? 3.93f : a) - 1.25f;
    float small = a + a * {polynomial("z", _ERF_F32, "float")};
    float root = {polynomial("t", _ERF_TAIL_F32, "float")}, square = root * root;
    float large = 1.0f - square * square;
    return __builtin_copysignf(a < 1.0f ? small : large, x);
}}"""),
    # erfc(a) for 0.45 <= a; exp(-a^2) with the rounding error of a^2 made good
    function(f"""
LT_INLINE double lt_erfc_tail_f64(double a) {{
    a = a > 28.0 ? 28.0 : a;
    double square = a * a, error = lt_product_error_f64(a, a, square);
    double t = (a - 3.75) / (a + 3.75), e = lt_exp_f64(-square);
    return (e - e * error) * ({polynomial("t", _ERFC, "double")} / (1.0 + 2.0 * a));
}}"""),
    function(f"""
LT_INLINE double lt_erf_f64(double x) {{
    double a = __builtin_fabs(x), z = x * x;
    double small = a + a * {polynomial("z", _ERF_F64, "double")};
    return __builtin_copysign(a < 1.0 ? small : 1.0 - lt_erfc_tail_f64(a), x);
}}"""),
    function(f"""
LT_INLINE double lt_erfc_f64(double x) {{
    double a = __builtin_fabs(x), z = x * x, tail = lt_erfc_tail_f64(a);
    double small = 1.0 - (x + x * {polynomial("z", _ERF_F64, "double")});
    return a < 0.47 ? small : (x < 0.0 ? 2.0 - tail : tail);
}}"""),
    through_double("erfc"),
    # one step of Halley's method on erf(y) = a, through 1 - a where a is near 1
    function("""
LT_INLINE double lt_erfinv_step_f64(double y, double a) {
    double error = y > 0.5 ? (1.0 - a) - lt_erfc_f64(y) : lt_erf_f64(y) - a;
    double d = error / (1.1283791670955126 * lt_exp_f64(-y * y));
    return y - d / (1.0 + y * d);
}"""),
    function(f"""
LT_INLINE double lt_erfinv_start_f64(double a) {{
    double w = -lt_log_f64((1.0 - a) * (1.0 + a)), n = w - 2.5, f = __builtin_sqrt(w) - 3.0;
    double near = {polynomial("n", _ERFINV_NEAR, "double")};
    double far = {polynomial("f", _ERFINV_FAR, "double")};
    double farthest = {polynomial("f", _ERFINV_FARTHEST, "double")};
    return a * (w < 5.0 ? near : (w < 16.0 ? far : farthest));
}}"""),
    *(function(f"""
LT_INLINE {ctype} lt_erfinv_{suffix}({ctype} x) {{
    double a = __builtin_fabs((double)x), y = lt_erfinv_start_f64(a);
    {steps}
    y = a == 1.0 ? LT_INF_f64 : (a <= 1.0 ? y : LT_NAN_f64);
    return ({ctype})__builtin_copysign(y, (double)x);
}}""") for ctype, suffix, steps in (
        ("float", "f32", "y = lt_erfinv_step_f64(y, a);"),
        ("double", "f64", "y = lt_erfinv_step_f64(lt_erfinv_step_f64(y, a), a);"),
    )),
]  # fmt: skip

_NORMAL = [
    # exp(x^2) erfc(x): from 0.47 to 28 the fit of erfc, beyond the asymptotic series (DLMF 7.12.1)
    function(f"""
LT_INLINE double lt_erfcx_f64(double x) {{
    double a = __builtin_fabs(x), b = a > 28.0 ? 28.0 : a, c = a > 28.0 ? a : 28.0;
    double t = (b - 3.75) / (b + 3.75), w = 1.0 / (c * c);
    double middle = {polynomial("t", _ERFC, "double")} / (1.0 + 2.0 * b);
    double far = 0.5641895835477563 / c * {polynomial("w", _ERFCX_FAR, "double")};
    double square = b * b, error = lt_product_error_f64(b, b, square), e = lt_exp_f64(square);
    e += e < LT_INF_f64 ? e * error : 0.0;
    double near = e * (1.0 - (x + x * {polynomial("square", _ERF_F64, "double")}));
    double y = a < 0.47 ? near : (a < 28.0 ? middle : far);
    y = (x < 0.0) & (a >= 0.47) ? 2.0 * e - y : y;
    return x == x ? y : x;
}}"""),
    # the quantile of the normal distribution: Wichura's algorithm AS 241 (1988), 1e-16
    function(f"""
LT_INLINE double lt_ndtri_f64(double p) {{
    double q = p - 0.5, r = 0.180625 - q * q, m = p < 0.5 ? p : 1.0 - p;
    double s = __builtin_sqrt(-lt_log_f64(m)), u = s - 1.6, v = s - 5.0;
    double middle = q * {polynomial("r", _QUANTILE[0], "double")}
        / {polynomial("r", _QUANTILE[1], "double")};
    double near = {polynomial("u", _QUANTILE[2], "double")}
        / {polynomial("u", _QUANTILE[3], "double")};
    double far = {polynomial("v", _QUANTILE[4], "double")}
        / {polynomial("v", _QUANTILE[5], "double")};
    double tail = m > 0.0 ? (s <= 5.0 ? near : far) : (m == 0.0 ? LT_INF_f64 : LT_NAN_f64);
    double y = p < 0.5 ? -tail : tail;
    return __builtin_fabs(q) <= 0.425 ? middle : y;
}}"""),
    through_double("erfcx"),
    through_double("ndtri"),
]

_GAMMA = [
    # Above 8 Stirling's series; below by recurrence to 2 + z, |z| <= 1/2; below 0 by reflection.
    function(f"""
LT_INLINE double lt_lgamma_positive_f64(double x) {{
    if (x >= 8.0) {{
        double i = 1.0 / x, w = i * i, l = lt_log_f64(x);
        double tail = 0.9189385332046727 + i * {polynomial("w", STIRLING, "double")};
        return x > 1e17 ? x * (l - 1.0) : (x - 0.5) * (l - 1.0) - 0.5 + tail;
    }}
    double over = 1.0, under = 1.0, z = x - 2.0;
    if (x < 0.5) {{ z = x; under = x * (1.0 + x); }}
    else if (x < 1.5) {{ z = x - 1.0; under = x; }}
    else for (double y = x - 1.0; z > 0.5; y -= 1.0) {{ over *= y; z -= 1.0; }}
    return z * {polynomial("z", LGAMMA, "double")} + lt_log_f64(over / under);
}}"""),
    function("""
LT_INLINE double lt_lgamma_f64(double x) {
    double a = __builtin_fabs(x);
    if (x != x) return x;
    if (a == LT_INF_f64) return a;
    if (x > 0.0) return lt_lgamma_positive_f64(x);
    double r = a - __builtin_rint(a);
    if (r == 0.0) return LT_INF_f64;
    if (a < 1e-17) return -lt_log_f64(a);
    double sine = __builtin_fabs(lt_sin_f64(3.141592653589793 * r));
    return lt_log_f64(3.141592653589793 / (a * sine)) - lt_lgamma_positive_f64(a);
}"""),
    # recurrence to 10, then the asymptotic series; reflection below 0
    function(f"""
LT_INLINE double lt_digamma_f64(double x) {{
    if (x == 0.0) return __builtin_copysign(LT_INF_f64, -x);
    double y = 0.0;
    if (x < 0.0) {{
        double r = x - __builtin_rint(x);
        if (r == 0.0 || x == -LT_INF_f64) return LT_NAN_f64;
        y = -3.141592653589793 / lt_tan_f64(3.141592653589793 * r);
        x = 1.0 - x;
    }}
    for (; x < 10.0; x += 1.0) y -= 1.0 / x;
    double i = 1.0 / x, w = i * i;
    return y + (lt_log_f64(x) - 0.5 * i - w * {polynomial("w", _DIGAMMA, "double")});
}}"""),
    through_double("lgamma"),
    through_double("digamma"),
]


_OTHERS = [
    # scaled by a power of two where the squares leave the range
    function("""
LT_INLINE double lt_hypot_f64(double x, double y) {
    double a = __builtin_fabs(x), b = __builtin_fabs(y), big = a > b ? a : b;
    int huge = big > 1e150, tiny = big < 1e-140;
    double scale = huge ? 0x1p-512 : (tiny ? 0x1p+512 : 1.0);
    double back = huge ? 0x1p+512 : (tiny ? 0x1p-512 : 1.0);
    double p = a * scale, q = b * scale, h = __builtin_sqrt(p * p + q * q) * back;
    return ((a == LT_INF_f64) | (b == LT_INF_f64)) ? LT_INF_f64 : h;
}"""),
    function("""
LT_INLINE float lt_hypot_f32(float x, float y) {
    double p = x, q = y;
    float h = (float)__builtin_sqrt(p * p + q * q);
    int infinite = (__builtin_fabsf(x) == LT_INF_f32) | (__builtin_fabsf(y) == LT_INF_f32);
    return infinite ? LT_INF_f32 : h;
}"""),
    *both("""
LT_INLINE REAL lt_logaddexp_SFX(REAL x, REAL y) {
    REAL big = x > y ? x : y, apart = x == y ? 0.0 : __builtin_fabsF(x - y);
    return big + lt_log1p_SFX(lt_exp_SFX(-apart));
}"""),
]

SPECIAL: list[CFunction] = [*_ERROR_FUNCTIONS, *_NORMAL, *_GAMMA, *_OTHERS]
