"""Square roots of whole vectors as C text."""

from __future__ import annotations

from codegen.loops.roots import ROOTS as LANES
from codegen.loops.roots import VECTOR_BYTES
from codegen.render.mathematics_text import function

# Of the estimate, right to 14 bits, a step of Goldschmidt's makes a root and half its inverse right
# to a little more than half a unit of the last place; what that root leaves of x, exactly, says how
# far off it is. Compared with the instruction's for every number from 2^-102 on. Of smaller ones
# what is left is not exact; of 0, whose inverse is infinite, the root is 0.
ROOTS = [
    function(f"""
#ifdef __AVX512F__
typedef float lt_roots_f __attribute__((vector_size({VECTOR_BYTES}), may_alias));
typedef int lt_roots_i __attribute__((vector_size({VECTOR_BYTES}), may_alias));
#define LT_ROOTS_FMA(x, y, z) __builtin_ia32_vfmaddps512_mask(x, y, z, -1, 4)
#endif
/* The square roots of {LANES} numbers in their places, as the processor's divider rounds them. */
LT_INLINE void lt_roots(float *numbers) {{
#ifdef __AVX512F__
    const lt_roots_f x = *(const lt_roots_f *)numbers, half = 0.5f - (lt_roots_f){{0}};
    const lt_roots_f estimate = __builtin_ia32_rsqrt14ps512_mask(x, x, -1);
    lt_roots_f root = x * estimate, inverse = half * estimate;
    const lt_roots_f error = LT_ROOTS_FMA(-inverse, root, half);
    inverse = LT_ROOTS_FMA(inverse, error, inverse);
    root = LT_ROOTS_FMA(root, error, root);
    root = LT_ROOTS_FMA(LT_ROOTS_FMA(-root, root, x), inverse, root);
    const lt_roots_i bits = (lt_roots_i)x, least = (lt_roots_i){{0}} + 0x0c800000;
    const lt_roots_i count = (lt_roots_i){{0}} + (0x7f800000 - 0x0c800000);
    const unsigned short others = __builtin_ia32_ucmpd512_mask(bits - least, count, 5, -1);
    if (__builtin_expect(!others, 1)) {{
        *(lt_roots_f *)numbers = root;
        return;
    }}
    if (!__builtin_ia32_ucmpd512_mask(bits, (lt_roots_i){{0}}, 4, others)) {{
        *(lt_roots_i *)numbers = (lt_roots_i)root & (bits != 0);
        return;
    }}
#endif
    for (long i = 0; i < {LANES}; i++) numbers[i] = __builtin_sqrtf(numbers[i]);
}}"""),
]
