"""Rounding, remainders, comparisons, bits, integer arithmetic and conversions as C text."""

from __future__ import annotations

from codegen.render.mathematics_text import SUFFIXES, CFunction, both, function

_ROUNDING = [
    *both("LT_INLINE REAL lt_floor_SFX(REAL x) { return __builtin_floorF(x); }"),
    *both("LT_INLINE REAL lt_ceil_SFX(REAL x) { return __builtin_ceilF(x); }"),
    *both("LT_INLINE REAL lt_trunc_SFX(REAL x) { return __builtin_truncF(x); }"),
    *both("LT_INLINE REAL lt_round_SFX(REAL x) { return __builtin_rintF(x); }"),
    *both("LT_INLINE REAL lt_abs_SFX(REAL x) { return __builtin_fabsF(x); }"),
    *both("""
LT_INLINE REAL lt_copysign_SFX(REAL x, REAL y) { return __builtin_copysignF(x, y); }"""),
    # PyTorch's: 0 at NaN
    *both("LT_INLINE REAL lt_sign_SFX(REAL x) { return (REAL)((x > 0.0) - (x < 0.0)); }"),
    *both("""
LT_INLINE REAL lt_maximum_SFX(REAL x, REAL y) { return ((x > y) | (x != x)) ? x : y; }"""),
    *both("""
LT_INLINE REAL lt_minimum_SFX(REAL x, REAL y) { return ((x < y) | (x != x)) ? x : y; }"""),
    *both("LT_INLINE REAL lt_fmax_SFX(REAL x, REAL y) { return ((x > y) | (y != y)) ? x : y; }"),
    *both("LT_INLINE REAL lt_fmin_SFX(REAL x, REAL y) { return ((x < y) | (y != y)) ? x : y; }"),
]


def _classes(suffix: str, ctype: str, bits: str, mask: str, infinity: str) -> list[CFunction]:
    head = f"LT_INLINE int lt_%s_{suffix}({ctype} x) {{ return (lt_bits_{suffix}(x) & {mask})"
    return [
        function(f"{head % 'isnan'} > {infinity}; }}"),
        function(f"{head % 'isinf'} == {infinity}; }}"),
        function(f"{head % 'isfinite'} < {infinity}; }}"),
        # the bits of a sign and magnitude count the floats, once the sign is taken apart
        function(f"""
LT_INLINE {ctype} lt_nextafter_{suffix}({ctype} x, {ctype} y) {{
    {bits} b = lt_bits_{suffix}(x);
    {ctype} next = lt_from_bits_{suffix}(b + (((y > x) == (b >= 0)) ? 1 : -1));
    next = x == 0 ? lt_from_bits_{suffix}((lt_bits_{suffix}(y) & ~{mask}) | 1) : next;
    next = x == y ? y : next;
    return ((x != x) | (y != y)) ? x + y : next;
}}"""),
    ]


# Exact: long division of the mantissas as integers, as many bits a step as 64 hold.
_FMOD = """
LT_INLINE REAL lt_fmod_SFX(REAL x, REAL y) {
    REAL a = __builtin_fabsF(x), b = __builtin_fabsF(y);
    if (!(a < LT_INF_SFX) | !(b > 0.0)) return LT_NAN_SFX;
    if (b != b) return y;
    if (a < b) return x;
    BITS p = lt_bits_SFX(a), q = lt_bits_SFX(b);
    int i = (int)(p >> MANTISSA), j = (int)(q >> MANTISSA);
    unsigned long m = (unsigned long)(p & (HIDDEN - 1)) | (i ? HIDDEN : 0);
    unsigned long n = (unsigned long)(q & (HIDDEN - 1)) | (j ? HIDDEN : 0);
    i += !i;
    j += !j;
    for (m %= n; i > j;) {
        int step = i - j < STEP ? i - j : STEP;
        m = (m << step) % n;
        i -= step;
    }
    REAL unit = lt_from_bits_SFX(j > MANTISSA ? (BITS)(j - MANTISSA) << MANTISSA
                                              : (BITS)1 << (j - 1));
    return __builtin_copysignF((REAL)m * unit, x);
}"""


def _fmod() -> list[CFunction]:
    single, double = _FMOD, _FMOD
    for name, a, b in (("MANTISSA", "23", "52"), ("HIDDEN", "0x800000L", "0x10000000000000L"),
                       ("STEP", "40", "11")):  # fmt: skip
        single, double = single.replace(name, a), double.replace(name, b)
    return [both(single)[0], both(double)[1]]


_REMAINDERS = [
    *_fmod(),
    # the sign of the divisor, as Python's % and torch.remainder
    *both("""
LT_INLINE REAL lt_remainder_SFX(REAL x, REAL y) {
    REAL r = lt_fmod_SFX(x, y);
    return ((r != 0.0) & ((r < 0.0) != (y < 0.0))) ? r + y : r;
}"""),
    # torch.floor_divide
    *both("""
LT_INLINE REAL lt_floor_divide_SFX(REAL x, REAL y) {
    REAL r = lt_fmod_SFX(x, y), quotient = x / y;
    REAL q = (x - r) / y;
    q = ((r != 0.0) & ((r < 0.0) != (y < 0.0))) ? q - 1.0 : q;
    REAL whole = __builtin_floorF(q);
    whole = q - whole > 0.5 ? whole + 1.0 : whole;
    whole = q == 0.0 ? __builtin_copysignF(0.0, quotient) : whole;
    return y == 0.0 ? quotient : whole;
}"""),
]

_BFLOAT16 = [
    function("""
LT_INLINE float lt_bf16_to_f32(unsigned short b) {
    return lt_from_bits_f32((int)((unsigned)b << 16));
}"""),
    # to nearest, ties to even; NaN to the quiet one
    function("""
LT_INLINE unsigned short lt_f32_to_bf16(float x) {
    unsigned b = (unsigned)lt_bits_f32(x);
    unsigned rounded = (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
    return (unsigned short)(x != x ? 0x7fc0u : rounded);
}"""),
]

# In integers, because no compiler vectorises the processor's conversions.
_FLOAT16 = [
    # A subnormal is its bits behind a one, less that one: both are normal floats.
    function("""
LT_INLINE float lt_f16_to_f32(unsigned short h) {
    unsigned b = (h & 0x7fffu) << 13;
    float small = lt_from_bits_f32((int)(b + 0x38800000u)) - 0x1p-14f;
    unsigned normal = b + (b < 0x0f800000u ? 0x38000000u : 0x70000000u);
    unsigned m = b < 0x00800000u ? (unsigned)lt_bits_f32(small) : normal;
    return lt_from_bits_f32((int)(m | (h & 0x8000u) << 16));
}"""),
    # to nearest, ties to even; NaN to the quiet one; subnormals rounded by adding 0.5, at which
    # floats are as far apart as they are; no conditions, because they would not be vectorised
    function("""
LT_INLINE unsigned short lt_f32_to_f16(float x) {
    unsigned b = (unsigned)lt_bits_f32(x), a = b & 0x7fffffffu;
    unsigned small = (unsigned)lt_bits_f32(lt_from_bits_f32((int)a) + 0.5f) - 0x3f000000u;
    unsigned normal = (a + ((a >> 13) & 1u) - (0x38000000u - 0xfffu)) >> 13;
    normal = normal < 0x7c00u ? normal : 0x7c00u;
    unsigned low = 0u - (a < 0x38800000u), nan = 0u - (a > 0x7f800000u);
    unsigned m = (small & low) | (normal & ~low) | (nan & 0x200u);
    return (unsigned short)(m | (b >> 16 & 0x8000u));
}"""),
]


def _integer(ctype: str) -> list[CFunction]:
    """Arithmetic that neither traps nor overflows: x/0 is 0, and what does not fit wraps."""
    suffix = SUFFIXES[ctype]
    wide = "unsigned long" if ctype.endswith("long") else "unsigned"
    signed = not ctype.startswith("unsigned")
    head = f"LT_INLINE {ctype} lt_%s_{suffix}({ctype} x, {ctype} y) {{"
    negated = f"({ctype})(0 - ({wide})x)"
    lone = f"LT_INLINE {ctype} lt_%s_{suffix}({ctype} x) {{"
    apart = "y == 0 || y == -1" if signed else "y == 0"
    quotient = f"y == 0 ? 0 : y == -1 ? {negated} : q" if signed else "y == 0 ? 0 : q"
    return [
        function(
            head % "floor_divide"
            + f"""
    {ctype} d = ({apart}) ? 1 : y, q = ({ctype})(x / d), r = ({ctype})(x % d);
    q = ({ctype})(q - ((r != 0) & ((r < 0) != (d < 0))));
    return {quotient};
}}"""
        ),
        function(
            head % "trunc_divide"
            + f"""
    {ctype} d = ({apart}) ? 1 : y, q = ({ctype})(x / d);
    return {quotient};
}}"""
        ),
        function(
            head % "remainder"
            + f"""
    {ctype} d = ({apart}) ? 1 : y, r = ({ctype})(x % d);
    return ({ctype})(r + (((r != 0) & ((r < 0) != (d < 0))) ? d : 0));
}}"""
        ),
        function(head % "fmod" + f" return ({ctype})(x % (({apart}) ? 1 : y)); }}"),
        # by squaring; a negative exponent leaves 0 but of 1 and -1, as in PyTorch
        function(
            head % "pow"
            + f"""
    {wide} base = ({wide})x, result = 1;
    if (y < 0) return x == 1 ? 1 : {"x == -1 ? ((y & 1) ? -1 : 1) : " if signed else ""}0;
    for (; y; y = ({ctype})(y >> 1), base *= base) result *= (y & 1) ? base : 1;
    return ({ctype})result;
}}"""
        ),
        function(
            head % "gcd"
            + f"""
    {wide} a = x < 0 ? 0 - ({wide})x : ({wide})x, b = y < 0 ? 0 - ({wide})y : ({wide})y;
    while (b) {{
        {wide} rest = a % b;
        a = b;
        b = rest;
    }}
    return ({ctype})a;
}}"""
        ),
        function(lone % "abs" + f" return x < 0 ? {negated} : x; }}"),
        function(lone % "sign" + f" return ({ctype})((x > 0) - (x < 0)); }}"),
        function(head % "maximum" + " return x > y ? x : y; }"),
        function(head % "minimum" + " return x < y ? x : y; }"),
    ]


# As x86 converts: what does not fit, and NaN, gives the least integer of 32 or 64 bits, of which
# narrower types keep the low bits.
_CASTS = [
    *both("""
LT_INLINE int lt_to_i32_SFX(REAL x) {
    return (int)(((x >= -2147483648.0) & (x < 2147483648.0)) ? x : -2147483648.0);
}"""),
    *both("""
LT_INLINE long lt_to_i64_SFX(REAL x) {
    int fits = (x >= -9223372036854775808.0) & (x < 9223372036854775808.0);
    return (long)(fits ? x : -9223372036854775808.0);
}"""),
    *both("LT_INLINE short lt_to_i16_SFX(REAL x) { return (short)lt_to_i32_SFX(x); }"),
    *both("LT_INLINE signed char lt_to_i8_SFX(REAL x) { return (signed char)lt_to_i32_SFX(x); }"),
    *both("""
LT_INLINE unsigned char lt_to_u8_SFX(REAL x) { return (unsigned char)lt_to_i64_SFX(x); }"""),
    *both("""
LT_INLINE unsigned short lt_to_u16_SFX(REAL x) { return (unsigned short)lt_to_i32_SFX(x); }"""),
    *both("""
LT_INLINE unsigned int lt_to_u32_SFX(REAL x) { return (unsigned int)lt_to_i64_SFX(x); }"""),
    *both("""
LT_INLINE unsigned long lt_to_u64_SFX(REAL x) {
    int high = x >= 9223372036854775808.0;
    unsigned long rest = (unsigned long)lt_to_i64_SFX(high ? x - 9223372036854775808.0 : x);
    return rest + ((unsigned long)high << 63);
}"""),
]

ROUNDING = [
    *_ROUNDING,
    *_classes("f32", "float", "int", "0x7fffffff", "0x7f800000"),
    *_classes("f64", "double", "long", "0x7fffffffffffffffL", "0x7ff0000000000000L"),
    *_REMAINDERS,
    *_BFLOAT16,
    *_FLOAT16,
    *(f for ctype in SUFFIXES if ctype not in ("float", "double") for f in _integer(ctype)),
    *_CASTS,
]
