"""The linker for PoCL's object files: every kind of reference that a compiler emits."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codegen.runtime import linker

COMPILER = shutil.which("gcc") or shutil.which("clang")
pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(COMPILER is None, reason="no C compiler"),
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() != "x86_64", reason="not Linux on x86-64"
    ),
]
SOURCE = """
double fmod(double, double);
void *memcpy(void *, const void *, unsigned long);
static const double table[4] = {0.5, 1.5, 2.5, 3.5};
static int calls;
int shown = 40;
int zeros[1000];
static int *pointers[2] = {&shown, zeros};
static double twice(double x) { return x + x; }
double (*function)(double) = twice;
double constants(int i) { return table[i] * 2.25; }
int state(void) { return ++calls + *pointers[0] + pointers[1][999]; }
double foreign(double x) {
    double y;
    double (*volatile f)(double, double) = fmod;
    memcpy(&y, &x, sizeof y);
    return f(y, 3) + fmod(x, 4);
}
double through_pointer(double x) { return function(x); }
"""


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_linked_object_runs(tmp_path: Path, level: str) -> None:
    assert COMPILER is not None
    source, built, library = [tmp_path / n for n in ("a.c", "a.so.o", "a.so")]
    source.write_text(SOURCE)
    subprocess.run([COMPILER, "-c", "-fPIC", level, "-o", built, source], check=True)
    assert linker.main(["-shared", "-o", str(library), "-L/lib", str(built), "-lgcc"]) == 0
    loaded = ctypes.CDLL(str(library))
    for name in ("constants", "foreign", "through_pointer"):
        getattr(loaded, name).restype = ctypes.c_double
    assert loaded.constants(3) == 3.5 * 2.25
    assert [loaded.state(), loaded.state()] == [41, 42]
    assert loaded.foreign(ctypes.c_double(7.5)) == 1.5 + 3.5
    assert loaded.through_pointer(ctypes.c_double(4)) == 8


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="not an object file"):
        linker.link(b"\x7fELF" + bytes(100))
