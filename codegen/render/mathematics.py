"""The scalar mathematical functions that generated kernels call, as C text, by name.

Plain C without headers, branch-free where that is possible, so that a loop over one of them is
vectorised. NaN, infinities and signed zeros come out as in C99 and PyTorch, provided the compiler
keeps to IEEE arithmetic (never ``-ffast-math``; contraction to FMA is fine).
"""

from __future__ import annotations

from collections.abc import Iterable

from codegen.render.mathematics_bessel import BESSEL
from codegen.render.mathematics_elementary import ELEMENTARY
from codegen.render.mathematics_gamma import GAMMA
from codegen.render.mathematics_polynomials import POLYNOMIALS
from codegen.render.mathematics_roots import ROOTS
from codegen.render.mathematics_rounding import ROUNDING
from codegen.render.mathematics_special import SPECIAL
from codegen.render.mathematics_text import PROLOGUE, SUFFIXES, CFunction
from codegen.render.mathematics_trigonometric import TRIGONOMETRIC

__all__ = ["FUNCTIONS", "CFunction", "definitions", "spelled"]

FUNCTIONS: dict[str, CFunction] = {
    f.name: f
    for table in (ROUNDING, ROOTS, ELEMENTARY, TRIGONOMETRIC, SPECIAL, BESSEL, GAMMA, POLYNOMIALS)
    for f in table
}


def spelled(operation: str, ctype: str) -> str:
    """The name of an operation's function on a C type; KeyError if there is none."""
    name = f"lt_{operation}_{SUFFIXES[ctype]}"
    if name not in FUNCTIONS:
        raise KeyError(f"no C function for {operation!r} on {ctype!r}")
    return name


def definitions(names: Iterable[str]) -> str:
    """The text of these functions and all they call, each once, callees first; "" for none."""
    ordered: dict[str, str] = {}

    def place(name: str) -> None:
        if name not in ordered:
            for needed in FUNCTIONS[name].needs:
                place(needed)
            ordered[name] = FUNCTIONS[name].source

    for name in names:
        place(name)
    return PROLOGUE + "".join(ordered.values()) if ordered else ""
