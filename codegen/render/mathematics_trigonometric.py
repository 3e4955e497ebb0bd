"""Trigonometric functions and their inverses as C text.

Polynomials are minimax (Remez exchange, relative error) on the range that their comment names.
"""

from __future__ import annotations

from codegen.render.mathematics_text import CFunction, function, polynomial

# sin(r) = r + r^3 P(r^2) and cos(r) = 1 - r^2/2 + r^4 P(r^2) on |r| <= pi/4 and a little.
# For float they are evaluated in double: 2^-37 and 2^-33.
_SIN_F32 = (-0.166666666406138454, 0.00833332926681212464, -0.000198392961527070311,
            2.71794007025039754e-6)  # fmt: skip
_COS_F32 = (0.0416666462730557169, -0.00138873372821028456, 0.0000244348663606630302)
# 2^-58 and 2^-64
_SIN_F64 = (-0.166666666666666299, 0.00833333333332186922, -0.000198412698293530195,
            2.75573135281727825e-6, -2.50507316211755289e-8, 1.58952141414105576e-10)  # fmt: skip
_COS_F64 = (0.0416666666666665954, -0.0013888888888873389, 0.0000248015872890024912,
            -2.75573142082853873e-7, 2.08757030076546931e-9,
            -1.1358565602518212e-11)  # fmt: skip
# asin(x) = x + x^3 P(x^2), |x| <= 1/2: 2^-27 and 2^-56.
_ASIN = {
    "float": (0.1666675392, 0.07495242172, 0.04547704911, 0.02414784068, 0.04221817317),
    "double": (
        0.166666666666653833, 0.0750000000034295981, 0.0446428568235365676, 0.030381959329357713,
        0.0223717535649213345, 0.0173597705056321075, 0.0138846042877024614, 0.0121732415487848905,
        0.0065110155689859983, 0.019573463851031875, -0.0162933808892687708, 0.0319584912967876461,
    ),
}  # fmt: skip
# atan(x) = x + x^3 P(x^2), |x| <= tan(pi/8): 2^-30 and 2^-59.
_ATAN = {
    "float": (-0.3333331468, 0.1999843454, -0.1424274267, 0.105873693, -0.06060540371),
    "double": (
        -0.33333333333333185, 0.199999999999497378, -0.14285714279789369, 0.111111107622576473,
        -0.0909089712655766574, 0.0769204864474611518, -0.0666296899571930607,
        0.0584688311248481622, -0.0503467366872810819, 0.0379446222140249817,
        -0.0177735585675313307,
    ),
}  # fmt: skip
_HALF_PI = {"float": ("1.57079637f", "-4.37113883e-8f"),
            "double": ("1.5707963267948966", "6.123233995736766e-17")}  # fmt: skip


def _two_over_pi(words: int) -> list[int]:
    """2/pi to 32 * words binary places in words of 32 bits, the first the most significant."""
    bits = 32 * words + 64

    def arctangent_of_inverse(n: int) -> int:  # Gregory's series
        total, term, k = 0, (1 << bits) // n, 0
        while term:
            total += (-term if k % 2 else term) // (2 * k + 1)
            term //= n * n
            k += 1
        return total

    pi = 4 * (4 * arctangent_of_inverse(5) - arctangent_of_inverse(239))  # Machin
    value = ((2 << (2 * bits)) // pi) >> 64
    return [(value >> (32 * (words - 1 - i))) & 0xFFFFFFFF for i in range(words)]


# One word of zeros before and the 1100 places that the largest double needs.
_WORDS = ", ".join(f"{w:#x}u" for w in [0, *_two_over_pi(40)])

_REDUCTION = [
    # a - n * d, where that is a double or nearly
    function("""
LT_INLINE double lt_less_product_f64(double a, double n, double d) {
#ifdef LT_HAS_FMA
    return __builtin_fma(-n, d, a);
#else
    double product = n * d;
    return (a - product) - lt_product_error_f64(n, d, product);
#endif
}"""),
    # r = x - n pi/2 for any float, n mod 4 in *quadrant. Two doubles happen to lie within 1e-16
    # of a multiple of 2 pi, near 2^88 and 2^41 (found by continued fractions): their multiples go
    # first, exactly; what they miss of 2 pi's is added last.
    function("""
LT_INLINE double lt_reduce_f32(double x, long *quadrant) {
    double n1 = __builtin_rint(x * 3.324556559466112e-27);
    double y = lt_less_product_f64(x, n1, 3.00791994996346e+26);
    double n2 = __builtin_rint(y * 4.437212791782624e-13);
    y = lt_less_product_f64(y, n2, 2253666990800.8984);
    double shifted = y * 0.63661977236758134 + 6755399441055744.0;
    double n = shifted - 6755399441055744.0;
    *quadrant = lt_bits_f64(shifted);
    y = lt_less_product_f64(y, n, 1.5707963267948966) - n * 6.123233995736766e-17;
    return y - (n1 * 6.311365371692607e-17 + n2 * 6.004489456758327e-17);
}"""),
    # The same for doubles from 2^29 up by Payne and Hanek: 192 bits of 2/pi that matter, times the
    # mantissa; r = result + *low.
    # The table is at file scope, where OpenCL C wants its constants.
    function(f"""
static double lt_reduce_huge_f64(double x, long *quadrant, double *low);
LT_TABLE unsigned lt_two_over_pi[41] = {{{_WORDS}}};
static __attribute__((noinline, unused))
double lt_reduce_huge_f64(double x, long *quadrant, double *low) {{
    unsigned long bits = (unsigned long)lt_bits_f64(x), magnitude = bits & 0x7fffffffffffffffUL;
    if (magnitude >= 0x7ff0000000000000UL) {{
        *quadrant = 0;
        *low = 0.0;
        return LT_NAN_f64;
    }}
    unsigned long mantissa = (magnitude & 0xfffffffffffffUL) | 0x10000000000000UL;
    int first = (int)(magnitude >> 52) - 1075 + 30, word = first >> 5, shift = first & 31;
    unsigned long lower = 0, upper = 0, carry = 0, product[6];
    for (int i = 5; i >= 0; i--) {{  /* product = mantissa * window mod 2^192, low limb first */
        unsigned long two = (unsigned long)lt_two_over_pi[word + i] << 32
                          | lt_two_over_pi[word + i + 1];
        unsigned long limb = (two << shift) >> 32;
        lower = limb * (mantissa & 0xffffffffUL);
        unsigned long sum = carry + (lower & 0xffffffffUL) + (upper & 0xffffffffUL);
        product[i] = sum & 0xffffffffUL;
        carry = (sum >> 32) + (lower >> 32) + (upper >> 32);
        upper = limb * (mantissa >> 32);
    }}
    unsigned long high = product[0] << 32 | product[1], next = product[2] << 32 | product[3];
    long n = (long)((high >> 62) + ((high >> 61) & 1));
    long fraction = (long)(high << 2 | next >> 62);
    double top = (double)(fraction >> 32) * 2.3283064365386963e-10;
    double rest = (double)(fraction & 0xffffffffL) * 5.421010862427522e-20
                + (double)((next << 2) >> 11) * 6.0185310762101e-36;
    double f = top + rest, g = (top - f) + rest;
    double r = f * 1.5707963267948966;
    double tail = lt_product_error_f64(f, 1.5707963267948966, r)
                + f * 6.123233995736766e-17 + g * 1.5707963267948966;
    *quadrant = lt_bits_f64(x) < 0 ? -n : n;
    *low = lt_bits_f64(x) < 0 ? -tail : tail;
    return lt_bits_f64(x) < 0 ? -r : r;
}}"""),
    # Up to 2^29 pi/2 in three parts is enough (Cody and Waite); sums after Knuth.
    function("""
LT_INLINE double lt_reduce_f64(double x, long *quadrant, double *low) {
    if (!(__builtin_fabs(x) < 536870912.0)) return lt_reduce_huge_f64(x, quadrant, low);
    double shifted = x * 0.63661977236758134 + 6755399441055744.0;
    double n = shifted - 6755399441055744.0;
    *quadrant = lt_bits_f64(shifted);
    double y = lt_less_product_f64(x, n, 1.5707963267948966);
    double w = n * 6.123233995736766e-17;
    double w_low = lt_product_error_f64(n, 6.123233995736766e-17, w) - n * 1.4973849048591698e-33;
    double r = y - w, back = r - y;
    *low = ((y - (r - back)) - (w + back)) - w_low;
    return r;
}"""),
]


def _sine_cosine_tangent() -> list[CFunction]:
    single = f"""
    long q;
    double r = lt_reduce_f32((double)x, &q), z = r * r;
    double s = r + r * z * {polynomial("z", _SIN_F32, "double")};
    double c = 1.0 - 0.5 * z + z * z * {polynomial("z", _COS_F32, "double")};"""
    # sin(r + low), cos(r + low); the cosine's 1 - z/2 keeps its rounding error
    double = f"""
    long q;
    double low, r = lt_reduce_f64(x, &q, &low), z = r * r, halved = 0.5 * z, w = 1.0 - halved;
    double s = r + (r * z * {polynomial("z", _SIN_F64, "double")} + low * w);
    double c = w + (((1.0 - w) - halved)
                    + (z * z * {polynomial("z", _COS_F64, "double")} - r * low));"""
    found = []
    for ctype, suffix, core in (("float", "f32", single), ("double", "f64", double)):
        head = f"LT_INLINE {ctype} lt_%s_{suffix}({ctype} x) {{{core}\n"
        found += [
            function(
                head % "sin"
                + f"""\
    double y = (q & 1) ? c : s;
    y = (q & 2) ? -y : y;
    return x == 0 ? x : ({ctype})y;
}}"""
            ),
            function(
                head % "cos"
                + f"""\
    double y = (q & 1) ? s : c;
    return ({ctype})(((q + 1) & 2) ? -y : y);
}}"""
            ),
            function(
                head % "tan"
                + f"""\
    double y = ((q & 1) ? -c : s) / ((q & 1) ? s : c);
    return x == 0 ? x : ({ctype})y;
}}"""
            ),
        ]
    return found


def _inverse_sine_cosine(ctype: str, suffix: str, f: str) -> list[CFunction]:
    high, low = _HALF_PI[ctype]
    # above 1/2, asin(x) = pi/2 - 2 asin(sqrt((1-x)/2))
    core = f"""
    {ctype} a = __builtin_fabs{f}(x);
    int near = a < 0.5{f};
    {ctype} z = near ? a * a : 0.5{f} * (1.0{f} - a);
    {ctype} s = near ? a : __builtin_sqrt{f}(z);
    {ctype} tail = s * z * {polynomial("z", _ASIN[ctype], ctype)};"""
    return [
        function(f"""
LT_INLINE {ctype} lt_asin_{suffix}({ctype} x) {{{core}
    {ctype} y = near ? s + tail : ({high} - 2.0{f} * s) - (2.0{f} * tail - {low});
    return __builtin_copysign{f}(y, x);
}}"""),
        function(f"""
LT_INLINE {ctype} lt_acos_{suffix}({ctype} x) {{{core}
    {ctype} t = near ? ({high} - ((x < 0.0{f} ? -s : s) - ({low} + (x < 0.0{f} ? tail : -tail))))
                     : 2.0{f} * (s + tail);
    {ctype} far = 2.0{f} * ({high} - ((s + tail) - {low}));
    return (!near & (x < 0.0{f})) ? far : t;
}}"""),
    ]


def _inverse_tangent(ctype: str, suffix: str, f: str) -> list[CFunction]:
    high, low = _HALF_PI[ctype]
    return [
        # atan(a / b) for a, b >= 0: the smaller over the larger; above tan(pi/8), turned by pi/4
        function(f"""
LT_INLINE {ctype} lt_atan_ratio_{suffix}({ctype} a, {ctype} b) {{
    int steep = a > b;
    {ctype} n = steep ? b : a, d = steep ? a : b;
    int turn = n > 0.41421356{f} * d;
    {ctype} t = (turn ? n - d : n) / (turn ? n + d : d), z = t * t;
    {ctype} tail = t * z * {polynomial("z", _ATAN[ctype], ctype)};
    {ctype} y = turn ? 0.5{f} * {high} + (t + (tail + 0.5{f} * {low})) : t + tail;
    return steep ? {high} - (y - {low}) : y;
}}"""),
        function(f"""
LT_INLINE {ctype} lt_atan_{suffix}({ctype} x) {{
    {ctype} a = __builtin_fabs{f}(x);
    {ctype} c = a < 1e30{f} ? a : 1e30{f};
    {ctype} y = lt_atan_ratio_{suffix}(c, 1.0{f});
    return a != a ? x : __builtin_copysign{f}(y, x);
}}"""),
    ]


_INVERSES = [
    *_inverse_sine_cosine("float", "f32", "f"),
    *_inverse_sine_cosine("double", "f64", ""),
    *_inverse_tangent("float", "f32", "f"),
    *_inverse_tangent("double", "f64", ""),
    function("""
LT_INLINE float lt_atan2_f32(float y, float x) { return (float)lt_atan2_f64(y, x); }"""),
    # both infinite or both zero are replaced by what has the same angle; halved lest a + b overflow
    function("""
LT_INLINE double lt_atan2_f64(double y, double x) {
    double a = __builtin_fabs(y), b = __builtin_fabs(x);
    int huge = (a > 1e300) | (b > 1e300);
    double n = huge ? 0.25 * a : a, d = huge ? 0.25 * b : b;
    n = a == LT_INF_f64 ? 1.0 : (b == LT_INF_f64 ? 0.0 : n);
    d = b == LT_INF_f64 ? 1.0 : (a == LT_INF_f64 ? 0.0 : d);
    d = (a == 0.0) & (b == 0.0) ? 1.0 : d;
    double angle = lt_atan_ratio_f64(n, d);
    int left = lt_bits_f64(x) < 0;
    angle = left ? 3.141592653589793 - (angle - 1.2246467991473532e-16) : angle;
    return __builtin_copysign((x != x) | (y != y) ? LT_NAN_f64 : angle, y);
}"""),
]

TRIGONOMETRIC = [*_REDUCTION, *_sine_cosine_tangent(), *_INVERSES]
