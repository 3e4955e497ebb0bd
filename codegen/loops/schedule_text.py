"""The schedule of a kernel in words, for whoever reads its text: loop order, tiles, vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from codegen.loops.contraction import Schedule
from codegen.loops.grammar import (
    Chosen,
    Group,
    Items,
    Kernel,
    Lanes,
    Parallel,
    Quad,
    Segment,
    Sequential,
    Serial,
    Strided,
    Tile,
    Vector,
)

_KINDS = {
    "tiles": "tiles of sums held in registers",
    "windows": "tiles of sums held in registers, over windows",
    "taps": "tiles of sums held in registers, over windows, vectors of rows",
    "dots": "tiles of dot products",
    "vector": "a vector times a matrix",
    "loops": "plain loops",
    "matrix units": "the processor's matrix units",
    "winograd": "Winograd's transform: tiles of 2 by 2 outputs, 16 products of matrices",
}


def schedule_lines(made: Kernel | Schedule | Sequence[str]) -> list[str]:
    """The schedule of a contraction; the loops of any other kernel, an inner one indented. What is
    in words already stays."""
    if not isinstance(made, (Kernel, Schedule)):
        return list(made)
    return _of_contraction(made) if isinstance(made, Schedule) else _of_loops(made.body, 0)


def _of_contraction(s: Schedule) -> list[str]:
    lines = [f"{_KINDS[s.kind]}{f' ({s.unit})' if s.unit else ''}"]
    if s.swap:
        lines.append("of the transposed product")
    if s.lanes > 1:
        lines.append(f"vectors of {s.lanes} elements")
    if s.kind in ("tiles", "windows", "taps"):
        lines.append(
            f"tiles of at most {s.accumulators} vectors of sums, at most {s.tile_vectors} wide"
        )
        packed = [name for name, packs in (("A", s.pack_a), ("B", s.pack_b)) if packs]
        lines.append(f"packs {' and '.join(packed)}" if packed else "packs neither operand")
        lines.append(
            f"blocks of {s.depth} along the sum; tasks of {s.row_block} rows by {s.panel_block} of "
            f"{s.panels} column panels"
        )
        if s.rest:
            lines.append(f"the last {s.rest} columns as dot products")
    if s.kind == "winograd":
        lines.append(
            f"tiles of at most {s.accumulators} vectors of sums, at most {s.tile_vectors} wide"
        )
        lines.append(
            f"{s.panels} tasks of at most {s.row_block} rows of tiles, "
            f"{s.row_chunk} outputs at a time"
        )
    return lines


def _of_loops(body: Sequence[Any], depth: int) -> list[str]:
    lines: list[str] = []
    for statement in body:
        words = _words(statement)
        if words:
            lines.append("  " * depth + words)
        for part in _bodies(statement):
            lines += _of_loops(part, depth + bool(words))
    return lines


def _bodies(statement: Any) -> list[list[Any]]:
    if not is_dataclass(statement):
        return []
    found = [getattr(statement, f.name) for f in fields(statement) if f.name in ("choose", "body")]
    return [body for body in found if isinstance(body, list)]


def _words(statement: Any) -> str:
    """What a loop goes over, and how; nothing of other statements."""
    match statement:
        case Parallel():
            how = "cut into shares for threads"
        case Serial():
            how = "in order"
        case Sequential() | Chosen():
            how = "in order, each step on what the last one left"
        case Lanes():
            how = f"in blocks of {statement.lanes} lanes"
            if statement.streams > 1:
                how += f", {statement.streams} parts side by side"
        case Vector():
            how = f"in vectors, {statement.block} at a time"
            if statement.roots:
                how += ", cut at square roots, which are taken without the divider"
        case Items():
            how = "one a work-item"
        case Quad():
            how = "four neighbours as a vector"
        case Tile():
            axes = f"{statement.variable} of {statement.extent} by {statement.across} of "
            size = f"{statement.size} by {statement.size}"
            return f"{axes}{statement.across_extent} in tiles of {size}"
        case Group():
            how = f"in work-groups of {statement.form.rows} rows by {statement.form.strands} items"
        case Strided():
            how = "by turns of a group's items"
        case Segment():
            how = "each item a run of neighbours"
        case _:
            return ""
    return f"{statement.variable} of {statement.extent} {how}"
