"""Pieces of C text for the mathematical functions: one record a function, templates, polynomials.

Templates are written once for float and double. ``REAL`` stands for the type, ``BITS`` for the
integer of its width, ``_SFX`` for the suffix of our names and ``F`` in ``__builtin_floorF`` for
that of C's.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

# Bodies must be inlined into the caller's loop, or the loop is not vectorised.
PROLOGUE = """\
#ifndef LT_INLINE
#ifdef __OPENCL_VERSION__
#define LT_INLINE static inline
#define lt_bits_f32(x) as_int(x)
#define lt_from_bits_f32(b) as_float(b)
#define lt_bits_f64(x) as_long(x)
#define lt_from_bits_f64(b) as_double(b)
#define LT_TABLE __constant
#ifndef LT_CPU
#define __builtin_fma fma
#define __builtin_fabsf fabs
#define __builtin_fabs fabs
#define __builtin_copysignf copysign
#define __builtin_copysign copysign
#define __builtin_sqrtf sqrt
#define __builtin_sqrt sqrt
#define __builtin_floorf floor
#define __builtin_floor floor
#define __builtin_ceilf ceil
#define __builtin_ceil ceil
#define __builtin_truncf trunc
#define __builtin_trunc trunc
#define __builtin_rintf rint
#define __builtin_rint rint
#define LT_HAS_FMA
#endif
#else
#define LT_TABLE static const
#define LT_INLINE static inline __attribute__((always_inline, unused))
LT_INLINE int lt_bits_f32(float x) { int b; __builtin_memcpy(&b, &x, 4); return b; }
LT_INLINE float lt_from_bits_f32(int b) { float x; __builtin_memcpy(&x, &b, 4); return x; }
LT_INLINE long lt_bits_f64(double x) { long b; __builtin_memcpy(&b, &x, 8); return b; }
LT_INLINE double lt_from_bits_f64(long b) { double x; __builtin_memcpy(&x, &b, 8); return x; }
#endif
#if defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__aarch64__)
#define LT_HAS_FMA
#endif
#define LT_INF_f32 lt_from_bits_f32(0x7f800000)
#define LT_NAN_f32 lt_from_bits_f32(0x7fc00000)
#define LT_INF_f64 lt_from_bits_f64(0x7ff0000000000000L)
#define LT_NAN_f64 lt_from_bits_f64(0x7ff8000000000000L)
#endif
"""

SUFFIXES = {
    "float": "f32",
    "double": "f64",
    "unsigned char": "u8",
    "signed char": "i8",
    "short": "i16",
    "int": "i32",
    "long": "i64",
    "unsigned short": "u16",
    "unsigned int": "u32",
    "unsigned long": "u64",
}


@dataclass(frozen=True)
class CFunction:
    """A C function: its definition, and the names of the others in the table that it calls."""

    name: str
    source: str
    needs: tuple[str, ...] = ()


def function(source: str) -> CFunction:
    """The record of a definition; its name and what it needs are read off the text.

    Every ``lt_name(`` in the text is a call, bar the bit casts of the prologue.
    """
    called = list(dict.fromkeys(re.findall(r"\b(lt_\w+)\(", source)))
    name, *needs = [c for c in called if not re.match(r"lt_(from_)?bits_", c)]
    return CFunction(name, source.strip() + "\n", tuple(needs))


def real(template: str, ctype: str) -> CFunction:
    """A template for float and double, filled in for one of them."""
    single = ctype == "float"
    text = template.replace("REAL", ctype).replace("BITS", "int" if single else "long")
    text = text.replace("_SFX", "_f32" if single else "_f64")
    text = re.sub(r"\b(__builtin_\w+)F\(", r"\1f(" if single else r"\1(", text)
    if single:  # decimal constants get their suffix
        text = re.sub(r"(?<![\w.])(\d+\.\d*(?:e[+-]?\d+)?)(?![\w.])", r"\1f", text)
    return function(text)


def both(template: str) -> list[CFunction]:
    """A template for float and double, filled in for both."""
    return [real(template, "float"), real(template, "double")]


def through_double(operation: str, arguments: int = 1) -> CFunction:
    """The float function computed by its double one: right to half an ulp and a little."""
    names = ("x", "y")[:arguments]
    return function(
        f"LT_INLINE float lt_{operation}_f32({', '.join(f'float {n}' for n in names)}) "
        f"{{ return (float)lt_{operation}_f64({', '.join(names)}); }}"
    )


def constant(value: float, ctype: str) -> str:
    """A literal that reads back as this value rounded to the type."""
    if ctype == "double":
        return repr(float(value))
    rounded = struct.unpack("f", struct.pack("f", value))[0]
    text = f"{rounded:.9g}"
    return text + ("f" if "." in text or "e" in text else ".0f")


def polynomial(variable: str, coefficients: Sequence[float], ctype: str) -> str:
    """Horner's scheme in text; coefficients from the constant term upwards."""
    text = constant(coefficients[-1], ctype)
    for coefficient in reversed(coefficients[:-1]):
        text = f"({constant(coefficient, ctype)} + {variable} * {text})"
    return text
