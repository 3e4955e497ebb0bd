"""OpenCL C 1.2: kernels are cut into shares by their global id; each share is a thread's."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from codegen.loops.grammar import Argument
from codegen.render.c_family import Dialect

# LT_CPU is defined where the device is a CPU: there clang's builtins become instructions, and
# OpenCL's functions would stay calls.
_PROLOGUE = """\
#ifdef LT_BARE
/* Built without the driver's declarations of OpenCL's functions: these are the ones we use. */
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef unsigned long size_t;
#define as_int(x) __builtin_astype((x), int)
#define as_float(x) __builtin_astype((x), float)
#define as_long(x) __builtin_astype((x), long)
#define as_double(x) __builtin_astype((x), double)
size_t __attribute__((overloadable, const)) get_global_id(uint axis);
size_t __attribute__((overloadable, const)) get_global_size(uint axis);
#else
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#ifndef LT_CPU
#define __builtin_inff() INFINITY
#define __builtin_inf() ((double)INFINITY)
#define __builtin_nanf(text) NAN
#define __builtin_nan(text) ((double)NAN)
#endif
#ifdef LT_CPU
/* Else clang cuts vectors of 512 bits in two and spills register tiles: 64 GFLOP/s for 162. */
#define LT_WIDE __attribute__((min_vector_width(512)))
#else
#define LT_WIDE
#endif
#ifdef LT_CPU
/* The builtin wants a pointer to the space that ours are not to. */
#define __builtin_prefetch(...) LT_PREFETCH(__VA_ARGS__, 0, )
#define LT_PREFETCH(place, write, ...) \
    (__builtin_prefetch)((const void *)(unsigned long)(place), write)
#else
#define __builtin_prefetch(...)
#endif
#define __builtin_memcpy lt_copy
static inline __attribute__((overloadable))
void lt_copy(void *to, const __global void *from, int bytes) {
    for (int i = 0; i < bytes; i++) ((char *)to)[i] = ((const __global char *)from)[i];
}
static inline __attribute__((overloadable))
void lt_copy(__global void *to, const void *from, int bytes) {
    for (int i = 0; i < bytes; i++) ((__global char *)to)[i] = ((const char *)from)[i];
}
static inline __attribute__((overloadable))
void lt_copy(__global void *to, const __global void *from, int bytes) {
    for (int i = 0; i < bytes; i++) ((__global char *)to)[i] = ((const __global char *)from)[i];
}
#define half part  /* a type in OpenCL C, a variable in the kernels */
"""

_LANES, _VECTORS = 16, 4


def _independent(steps: int) -> str:
    """Vectors as wide as they come, and several at once: left to itself, clang takes halves of
    them, and one after the other. A loop of fewer steps than that would stay scalar."""
    lanes = vectors = 1
    while 2 * lanes <= min(steps or _LANES, _LANES):
        lanes *= 2
    while steps >= 2 * vectors * lanes and vectors < _VECTORS:
        vectors *= 2
    return (
        "#pragma clang loop vectorize(assume_safety) "
        f"vectorize_width({lanes}) interleave_count({vectors})"
    )


# What the contraction template writes in C, and how OpenCL C wants it.
_FROM_C = (
    (re.compile("#pragma GCC ivdep"), _independent(0)),
    # Every pointer is to global memory, but for one to a variable at hand: ``(type *)&x``.
    (re.compile(r"(?<!\w)((?:const )?\w+ \*)(?=restrict |\w|\)(?!&))"), r"__global \1"),
    (re.compile(r" = \{0\}"), " = 0"),
    (re.compile(r"static (__attribute__\(\(noinline\)\))"), r"static LT_WIDE \1"),
    (re.compile(r"typedef (float|double|int|long) (\w+) __attribute__\(\(vector_size\((\d+)\), "),
     lambda m: f"typedef {m[1]}{int(m[3]) // (4 if m[1] in ('float', 'int') else 8)} {m[2]} "
               "__attribute__(("),
)  # fmt: skip


def _from_c(text: str) -> str:
    for pattern, replacement in _FROM_C:
        text = pattern.sub(replacement, text)
    return text


def _opening(
    arguments: Sequence[Argument], scratch_bytes: int, restrict: Container[str]
) -> list[str]:
    parameters = []
    for a in arguments:
        const = "" if a.written else "const "
        qualifier = "restrict " if a.name in restrict and not a.written else ""
        parameters.append(f"__global {const}{_storage(a)} *{qualifier}{a.name}")
    if scratch_bytes:
        parameters.append("__global char *scratch")
    lines = [
        "__kernel LT_WIDE void KERNEL_NAME(",
        *[f"    {parameter}," for parameter in parameters[:-1]],
        f"    {parameters[-1]}",
        ") {",
        *[f"    // {a.name}: {a.type!r}" for a in arguments],
        "    const long thread = get_global_id(0), threads = get_global_size(0);",
    ]
    if scratch_bytes:
        lines.append(f"    scratch += thread * {scratch_bytes};")
    return lines


def _opening_in_loops(
    arguments: Sequence[Argument], scratch_bytes: int, restrict: Container[str]
) -> list[str]:
    """Each pointer with a number of bytes, which comes last: handles begin where memory does, but
    an element of a sequence anywhere."""
    lines = _opening(arguments, scratch_bytes, ())
    (end,) = [i for i, line in enumerate(lines) if line == ") {"]
    lines[1:end] = [
        *[line.rstrip(",") + "," for line in lines[1:end]],
        ",\n".join([f"    const long {a.name}_bytes" for a in arguments]),
    ]
    for a in arguments:
        const = "" if a.written else "const "
        qualifier = "restrict " if a.name in restrict and not a.written else ""
        lines = [
            line.replace(f"*{a.name},", f"*{a.name}_base,") if i < end + 1 else line
            for i, line in enumerate(lines)
        ]
        pointer = f"__global {const}{_storage(a)} *"
        lines.append(
            f"    {pointer}{qualifier}{a.name} = "
            f"({pointer})((__global {const}char *){a.name}_base + {a.name}_bytes);"
        )
    return lines


def _storage(argument: Argument) -> str:
    return argument.type.dtype.storage_c


OPENCL = Dialect(
    opening=_opening,
    opening_in_loops=_opening_in_loops,
    from_c=_from_c,
    space="__global ",
    independent=_independent,
    over_partial=lambda steps: [_independent(steps)] if steps > 1 else [],
    aligned=" __attribute__((aligned(64)))",
    alignment=512,  # of sub-buffers, for every driver known
    has_chains=True,
    prologue=(_PROLOGUE,),
)
