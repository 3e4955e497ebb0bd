"""Which units for products of bfloat16 matrices this process can use: asked of the system, tried,
and remembered."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import platform
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

from codegen import settings
from codegen.dtype import bfloat16, float32
from codegen.errors import CompileError
from codegen.index.contraction import Axis, Contraction
from codegen.loops.contraction import PlainOutput
from codegen.loops.contraction_matrix_units import choose_matrix_units
from codegen.render.contraction_c import render_contraction
from codegen.runtime import cache
from codegen.runtime.compiler import find_compiler, processor
from codegen.runtime.kernels import load_library

# What /proc/cpuinfo must list for each, the fastest first.
_NEEDED = {
    "amx": {"amx_tile", "amx_bf16", "avx512bw"},
    "avx512_bf16": {"avx512_bf16", "avx512bw"},
}
# Linux lends a process the tile registers once it has asked for them. The permission is of the
# whole process: it covers threads that run already, those that come, and forked children.
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18


@functools.cache
def matrix_units() -> str:
    """The units to use: those that LAZYTORCH_MATRIX_UNITS names, by default the fastest.

    ``amx``, ``avx512_bf16``, or ``""`` for none. Plans and kernels are made for them.
    """
    chosen = settings.get("LAZYTORCH_MATRIX_UNITS")
    return next(_usable((chosen,) if chosen else tuple(_NEEDED)), "")


def usable_units() -> tuple[str, ...]:
    """Every kind of units that computes correctly here."""
    return tuple(_usable(tuple(_NEEDED)))


def _usable(wanted: Sequence[str]) -> Iterator[str]:
    if find_compiler() is not None:
        for unit in _present():
            if unit in wanted and (unit != "amx" or _is_permitted()) and _works(unit):
                yield unit


def _present() -> Iterator[str]:
    """The units that the processor says it has."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return
    flags = set(processor().split())
    for unit, needed in _NEEDED.items():
        if needed <= flags:
            yield unit


def _is_permitted() -> bool:
    arguments = [ctypes.c_long(x) for x in (_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA)]
    return bool(ctypes.CDLL(None).syscall(*arguments) == 0)


_ROWS, _COLUMNS, _INNER = 3, 5, 34


def _works(unit: str) -> bool:
    """Whether a small product comes out right; what was found is kept on disk."""
    compiler = find_compiler()
    assert compiler is not None
    source = _probe_source(unit)
    identity = json.dumps([source, compiler.fingerprint])
    path = cache.cache_path("units-" + hashlib.sha256(identity.encode()).hexdigest()[:32])
    remembered = cache.read_checked(path)
    if remembered is not None:
        return remembered == b"1"
    try:
        answer = _computes(load_library(source))
    except (CompileError, AttributeError):  # the compiler does not know the instructions
        answer = False
    with suppress(OSError):  # a full disk: the next process tries again
        cache.write_checked(path, b"1" if answer else b"0")
    return answer


def _probe_source(unit: str) -> str:
    contraction = Contraction(
        (), (Axis(_ROWS, _INNER, 0),), (Axis(_COLUMNS, 0, 1),), (Axis(_INNER, 1, _COLUMNS),),
        float32, operand_dtype=bfloat16,
    )  # fmt: skip
    output = PlainOutput("out", 0, _COLUMNS, 1)
    schedule = choose_matrix_units(contraction, 1, output, unit)
    rendered = render_contraction(contraction, "a", "b", None, 1, schedule, output)
    return (
        f"{rendered.helpers}\n"
        "void probe(const unsigned short *a, const unsigned short *b, float *out)\n{\n"
        f"    static char scratch[{rendered.scratch_bytes}] __attribute__((aligned(64)));\n"
        f"    const long thread = 0, threads = 1;\n{rendered.body}}}\n"
    )


def _computes(library: ctypes.CDLL) -> bool:
    """Whether the probe multiplies small whole numbers, of which all sums are exact."""
    a = [[(3 * i + k) % 7 - 3 for k in range(_INNER)] for i in range(_ROWS)]
    b = [[(5 * k + j) % 9 - 4 for j in range(_COLUMNS)] for k in range(_INNER)]

    def stored(rows: list[list[int]]) -> bytes:
        numbers = [float(x) for row in rows for x in row]
        return b"".join([struct.pack("<f", x)[2:] for x in numbers])

    out = (ctypes.c_float * (_ROWS * _COLUMNS))()
    library.probe(stored(a), stored(b), out)
    wanted = [sum([x * b[k][j] for k, x in enumerate(row)]) for row in a for j in range(_COLUMNS)]
    return list(out) == wanted
