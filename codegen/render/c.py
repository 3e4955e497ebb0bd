"""C: kernels are functions that the native runtime calls with a table of addresses."""

from __future__ import annotations

from collections.abc import Container, Sequence

from codegen.loops.grammar import Argument
from codegen.render.c_family import Dialect
from codegen.render.lines import LinesBody


def _opening(
    arguments: Sequence[Argument], scratch_bytes: int, restrict: Container[str]
) -> list[str]:
    lines = ["void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {"]
    for i, a in enumerate(arguments):
        const = "" if a.written else "const "
        pointer = f"{const}{a.type.dtype.storage_c} *"
        qualifier = "restrict " if a.name in restrict and not a.written else ""
        lines.append(
            f"    {pointer}{qualifier}{a.name} = ({pointer})arguments[{i}];  // {a.type!r}"
        )
    return lines


C = Dialect(
    opening=_opening,
    opening_in_loops=_opening,
    from_c=str,
    space="",
    independent=lambda steps: "#pragma GCC ivdep",
    over_partial=lambda steps: [],
    aligned="",
    alignment=64,
    has_chains=True,
    has_fourier=True,
    winograd="",
    whole_lines=True,
    body=LinesBody,
    scalar='__asm__ volatile ("");',
)
