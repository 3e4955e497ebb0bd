"""Contractions for devices with work-groups: the tile of a group, by rule.

In comes the affine form of a product summed over some axes; out goes a ``GroupSchedule``, which
``render/gpu_contraction.py`` turns into OpenCL C.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.dtype import DType
from codegen.index.contraction import Contraction
from codegen.loops.contraction import PlainOutput
from codegen.loops.device import DeviceDescription


@dataclass(frozen=True)
class GroupTile:
    """``rows`` by ``columns`` sums a work-group, over ``depth`` of K at a time; of these an item
    has ``item_rows`` by ``item_columns``. ``efficiency``: of the arithmetic's peak, as a guess:
    what an item reads of local memory for each product decides."""

    rows: int
    columns: int
    depth: int
    item_rows: int
    item_columns: int
    efficiency: float

    @property
    def items(self) -> int:
        return self.rows // self.item_rows * (self.columns // self.item_columns)


_TILES = (
    GroupTile(128, 128, 8, 8, 8, 1.0),
    GroupTile(128, 64, 8, 8, 4, 0.8),
    GroupTile(64, 128, 8, 4, 8, 0.8),
    GroupTile(64, 64, 16, 4, 4, 0.6),
    GroupTile(128, 32, 8, 4, 4, 0.55),
    GroupTile(32, 128, 8, 4, 4, 0.55),
    GroupTile(32, 32, 16, 4, 4, 0.45),
    GroupTile(16, 64, 16, 4, 4, 0.4),
    GroupTile(64, 16, 16, 4, 4, 0.4),
    GroupTile(8, 128, 8, 4, 4, 0.4),
    GroupTile(128, 8, 8, 4, 4, 0.4),
    GroupTile(16, 16, 16, 4, 4, 0.2),
    GroupTile(4, 4, 4, 4, 4, 0.01),  # what any device takes
)
# Elements between a line of a tile in local memory and the next: stores of a transposed operand
# fall into other banks, and vectors of four stay aligned.
PADDING = 4
# A part of a sum that is cut has at least so many steps; parts cost a store and a load each.
_LEAST_STEPS = 4
_PART = 16
# What a launch takes, in products of one unit.
_LAUNCH = 1 << 17


@dataclass(frozen=True)
class GroupSchedule:
    """``parts``: K is cut into so many, summed up by a second kernel. ``swap``: the transpose is
    computed."""

    tile: GroupTile
    parts: int = 1
    swap: bool = False

    def part_steps(self, k: int) -> int:
        """Steps of ``tile.depth`` in a part of K."""
        steps = -(-k // self.tile.depth)
        return -(-steps // self.parts)


def sum_type(dtype: DType) -> str:
    """What sums are kept in: floats as they are, integers without a sign, which may wrap."""
    if dtype.kind == "float":
        return dtype.compute_c
    return "ulong" if dtype.itemsize == 8 else "uint"


def tile_bytes(tile: GroupTile, dtype: DType) -> int:
    """Local memory of a tile: both operands, twice."""
    lines = tile.rows + tile.columns + 2 * PADDING
    return 2 * tile.depth * lines * max(4, dtype.itemsize)


def choose_group_schedule(
    contraction: Contraction, device: DeviceDescription, output: PlainOutput | None = None
) -> GroupSchedule:
    """The schedule of a contraction that the device is likely to finish first."""
    swap = output is not None and output.row_stride == 1 and output.column_stride != 1
    batch, m, n, k = contraction.sizes
    if swap:
        m, n = n, m
    candidates = []
    for tile in _TILES:
        if tile.items > device.max_work_group_size:
            continue
        if tile_bytes(tile, contraction.dtype) > device.local_memory_bytes:
            continue
        if contraction.dtype.itemsize == 8 and tile.item_rows * tile.item_columns > 16:
            continue  # too many registers
        tiles = batch * -(-m // tile.rows) * -(-n // tile.columns)
        for parts in (1, 2, 4, 8, 16, 32):
            schedule = GroupSchedule(tile, parts, swap)
            steps = schedule.part_steps(k)
            if parts > 1 and steps < _LEAST_STEPS:
                break
            waves = -(-tiles * parts // device.compute_units)
            cost = waves * tile.rows * tile.columns * steps * tile.depth / tile.efficiency
            if parts > 1:
                cost += _PART * parts * batch * m * n / device.compute_units + _LAUNCH
            candidates.append((cost, -tile.items, parts, schedule))
    return min(candidates, key=lambda c: c[:3])[3]
