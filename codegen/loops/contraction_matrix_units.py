"""Schedules of contractions of bfloat16 operands on a processor's matrix units.

Operands are packed in squares of 32 x 32; a block of 32 x 32 sums is what the units compute at a
time. ``render/contraction_matrix_units.py`` turns the schedule into C.
"""

from __future__ import annotations

from itertools import product

from codegen.index.contraction import Contraction
from codegen.loops.contraction import PlainOutput, Schedule, second_level_cache_bytes

SIDE = 32  # rows, columns and inner elements of a square

# Sums of at most so many products are done in one go, longer ones in blocks of about so many.
_WHOLE_DEPTH, _DEPTH = 3072, 2048
# Cycles for a square's products, for packing a square of an operand, and for a block's results.
_MULTIPLY, _PACK, _FINISH = {"amx": 70, "avx512_bf16": 560}, 90, 250


def choose_matrix_units(
    contraction: Contraction, threads: int, output: PlainOutput | None, unit: str
) -> Schedule:
    """The schedule of a normalized contraction of bfloat16 operands.

    Tasks are the cut into row and column blocks that ends first: blocks that are few pack little,
    blocks that are many keep all threads busy.
    """
    swap = output is not None and output.row_stride == 1 != output.column_stride
    batch, m, n, k = contraction.sizes
    if swap:
        m, n = n, m
    strips, panels = -(-m // SIDE), -(-n // SIDE)
    blocks = 1 if k <= _WHOLE_DEPTH else -(-k // _DEPTH)
    depth = min(k, -(-k // blocks // SIDE) * SIDE)
    steps = -(-depth // SIDE)
    room = second_level_cache_bytes() // 2
    several = depth < k

    def cost(strip_block: int, panel_block: int) -> float:
        tasks = batch * -(-strips // strip_block) * -(-panels // panel_block)
        rounds = -(-tasks // threads)
        blocks = strip_block * panel_block
        squares = -(-k // SIDE)
        work = blocks * squares * _MULTIPLY[unit] + blocks * _FINISH
        packing = (strip_block + panel_block) * squares * _PACK
        return rounds * (work + packing)

    square_bytes = 2 * SIDE * SIDE
    panel_limit = max(1, room // (steps * square_bytes))
    strip_limit = strips
    if several:  # sums of a task wait in scratch between K blocks
        panel_limit = min(panel_limit, 16)
        strip_limit = max(1, room // (2 * square_bytes * min(panels, panel_limit)))
    cuts = [
        (-(-strips // rows), -(-panels // columns))
        for rows, columns in product(_parts(strips, threads), _parts(panels, threads))
    ]
    allowed = [(s, p) for s, p in cuts if p <= panel_limit and s <= strip_limit]
    if not allowed:
        allowed = [(min(strips, strip_limit), min(panels, panel_limit))]
    strip_block, panel_block = min(allowed, key=lambda cut: cost(*cut))
    return Schedule(
        "matrix units", swap, depth=depth, row_block=strip_block * SIDE,
        panels=panels, panel_block=panel_block, unit=unit,
    )  # fmt: skip


def _parts(count: int, threads: int) -> list[int]:
    """Numbers of parts worth considering for so many strips or panels."""
    return sorted({min(count, part) for part in (*range(1, 17), threads, 2 * threads, 32, 64)})
