"""OpenCL C 1.2: kernels are cut into shares by their global id; each share is a thread's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codegen.loops.grammar import Argument
from codegen.render.c_family import Dialect

# LT_CPU is defined where the device is a CPU: there clang's builtins become instructions, and
# OpenCL's functions would stay calls.
_PROLOGUE = """\
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
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
#define __builtin_prefetch(...)
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

# What the contraction template writes in C, and how OpenCL C wants it.
_FROM_C = (
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


def _opening(arguments: Sequence[Argument], scratch_bytes: int, restrict: bool) -> list[str]:
    parameters = []
    for a in arguments:
        const = "" if a.written else "const "
        qualifier = "restrict " if restrict and not a.written else ""
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


def _storage(argument: Argument) -> str:
    return argument.type.dtype.storage_c


OPENCL = Dialect(
    opening=_opening,
    from_c=_from_c,
    space="__global ",
    independent="#pragma clang loop vectorize(assume_safety)",
    alignment=512,  # of sub-buffers, for every driver known
    has_loops=False,
    has_chains=False,
    prologue=(_PROLOGUE,),
)
