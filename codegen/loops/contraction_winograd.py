"""Winograd's F(2x2, 3x3): which contractions are 3 x 3 windows of images, and what it would cost.

Each tile of 2 x 2 neighbouring outputs is made of the 4 x 4 inputs that it sees:
``y = Aᵀ [(G w Gᵀ) ∘ (Bᵀ x B)] A``, with 16 multiplications in place of 36 (Lavin and Gray, 2016,
"Fast Algorithms for Convolutional Neural Networks"). Summed over channels, those are 16 products
of matrices, outputs x channels times channels x tiles (``render/contraction_winograd.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from codegen.dtype import float32
from codegen.index.contraction import Axis, Contraction, Span, a_spans, b_spans
from codegen.loops.contraction import (
    Schedule,
    register_tile,
    second_level_cache_bytes,
    vector_bytes,
)

POINTS = 16  # products of matrices
_WINDOW = 3
# Cycles of a thread, measured: transforming the weights of one output and channel; a vector of
# tiles of one channel, and of one output, each for the vector and for each element of it.
_WEIGHT, _INPUT, _OUTPUT = 16, (30, 5), (20, 3)
# What transforms cost more where transformed images, sums and weights leave the caches together.
_OUT_OF_CACHE = 1.5
# Cycles of a register tile at its begin and end; those that a sum takes to be ready for the next
# addition; what a weight that comes from far costs.
_CALL, _LATENCY, _FAR = 40, 4, 0.25
# Direct products take so much longer than their multiplications, and Winograd's must save so much.
_DIRECT, _WORTH = 1.08, 1.2
_MOST_TILES = 512  # a task


@dataclass(frozen=True)
class ImageAxis:
    """An axis of images, between which B moves and A does not.

    ``batch_step`` and ``column_step``: what a step adds to the numbers of the batch and the column.
    """

    extent: int
    stride: int
    batch_step: int
    column_step: int


@dataclass(frozen=True)
class ImageWindows:
    """A convolution of stride 1 by 3 x 3 windows: A has the weights, B the (padded) images.

    An output's column number counts along ``images``, then ``height`` by ``width``. Image rows are
    ``pitch`` apart, their elements neighbours; ``taps``: A's strides along the window.
    ``swap``: in the contraction as it was, A had the images.
    """

    contraction: Contraction
    swap: bool
    groups: tuple[tuple[Axis, int], ...]  # with their steps of the batch number
    images: tuple[ImageAxis, ...]
    channels: tuple[Axis, ...]
    height: int
    width: int
    pitch: int
    taps: tuple[int, int]

    @property
    def group_count(self) -> int:
        return prod([axis.extent for axis, _ in self.groups])

    @property
    def image_count(self) -> int:
        return prod([axis.extent for axis in self.images])

    @property
    def channel_count(self) -> int:
        return prod([axis.extent for axis in self.channels])

    @property
    def output_count(self) -> int:
        return self.contraction.sizes[1]

    @property
    def tile_rows(self) -> int:
        """Rows of tiles of all images of a group."""
        return self.image_count * -(-self.height // 2)

    @property
    def tiles_across(self) -> int:
        return -(-self.width // 2)

    def group_spans(self, operand: str) -> tuple[Span, ...]:
        """The groups' axes as an operand sees them; ``batch``: as the batch number does."""
        if operand == "batch":
            return tuple([Span(axis.extent, step) for axis, step in self.groups])
        return tuple([Span(axis.extent, getattr(axis, operand)) for axis, _ in self.groups])

    def image_spans(self, number: str) -> tuple[Span, ...]:
        """The images' axes with their ``stride``, ``batch_step`` or ``column_step``."""
        return tuple([Span(axis.extent, getattr(axis, number)) for axis in self.images])

    @property
    def weight_spans(self) -> tuple[Span, ...]:
        """A's channels."""
        return a_spans(self.channels)

    @property
    def channel_spans(self) -> tuple[Span, ...]:
        """B's channels."""
        return b_spans(self.channels)


def image_windows(contraction: Contraction) -> ImageWindows | None:
    """The contraction, as it was matched, as a convolution by 3 x 3 windows, if it is one."""
    return _windows(contraction, False) or _windows(contraction.transposed(), True)


def _windows(contraction: Contraction, swap: bool) -> ImageWindows | None:
    """The same where B has the images: windows move over its last two columns, side by side."""
    c = contraction
    if c.dtype is not float32 or c.operand_dtype is not None or len(c.columns) < 2:
        return None
    *outer, rows, across = c.columns
    if across.b != 1 or rows.b <= 1 or min(rows.extent, across.extent) < 2:
        return None
    down = _tap(c.inner, rows.b)
    along = _tap(c.inner, 1)
    if down is None or along is None or down == along:
        return None
    channels = tuple([x for i, x in enumerate(c.inner) if i not in (down, along)])
    groups, images = [], []
    step = 1
    for axis in reversed(c.batch):
        if axis.a:
            groups.append((axis, step))
        else:
            images.append(ImageAxis(axis.extent, axis.b, step, 0))
        step *= axis.extent
    images.reverse()
    step, inner_images = rows.extent * across.extent, []
    for axis in reversed(outer):
        inner_images.append(ImageAxis(axis.extent, axis.b, 0, step))
        step *= axis.extent
    if min([x.b for x in (*c.batch, *outer, *channels)], default=0) < 0:
        return None
    return ImageWindows(
        c, swap, tuple(reversed(groups)), (*images, *reversed(inner_images)), channels,
        rows.extent, across.extent, rows.b, (c.inner[down].a, c.inner[along].a),
    )  # fmt: skip


def _tap(inner: tuple[Axis, ...], stride: int) -> int | None:
    """Which axis of the sum is the window's, where B's elements are so far apart."""
    found = [i for i, axis in enumerate(inner) if axis.extent == _WINDOW and axis.b == stride]
    return found[0] if len(found) == 1 else None


def choose_winograd(
    windows: ImageWindows, threads: int, always: bool = False, width: int | None = None
) -> Schedule | None:
    """The schedule that takes the fewest cycles: tasks (``panels`` a group) of at most
    ``row_block`` rows of tiles, whose sums are made for ``row_chunk`` outputs at a time.

    None where direct products take hardly more, unless it is to be done ``always``; or where a
    row of tiles is too long. ``width``: vector bytes.
    """
    width = width or vector_bytes()
    accumulators, vectors = register_tile(width)
    rule = Schedule("winograd", windows.swap, width // 4, accumulators, vectors)
    counted: list[tuple[float, Schedule]] = []
    for rows in range(1, windows.tile_rows + 1):
        tasks = -(-windows.tile_rows // rows)
        if counted and counted[-1][1].panels == tasks:
            continue
        rows = -(-windows.tile_rows // tasks)
        schedule = _with_outputs(replace(rule, panels=tasks, row_block=rows), windows)
        if not _fits(schedule, windows):
            break
        counted.append((_cycles(schedule, windows, threads), schedule))
    if not counted:
        return None
    cycles, best = min(counted, key=lambda pair: pair[0])
    direct = prod(windows.contraction.sizes) / (2 * rule.lanes * threads) * _DIRECT
    return best if always or cycles * _WORTH < direct else None


def tile_columns(schedule: Schedule, windows: ImageWindows) -> int:
    """Columns of a task's products: its tiles, in whole vectors."""
    return -(-schedule.row_block * windows.tiles_across // schedule.lanes) * schedule.lanes


def panel_widths(schedule: Schedule, windows: ImageWindows) -> list[int]:
    """Vectors in each panel of those columns: as even as can be."""
    vectors = tile_columns(schedule, windows) // schedule.lanes
    panels = -(-vectors // schedule.tile_vectors)
    return [vectors * (i + 1) // panels - vectors * i // panels for i in range(panels)]


def piece_lanes(schedule: Schedule, windows: ImageWindows) -> int:
    """Tiles that are transformed together: neighbours in a row of tiles."""
    lanes = schedule.lanes
    while lanes > 4 and lanes // 2 >= windows.tiles_across:
        lanes //= 2
    return lanes


def _with_outputs(schedule: Schedule, windows: ImageWindows) -> Schedule:
    """Sums of so many outputs at a time that they stay in the cache beside the images; of all where
    the images leave it, since those would come from far for each part anew."""
    outputs, cache = windows.output_count, second_level_cache_bytes()
    if _bytes(schedule, windows, windows.channel_count) <= cache // 2:
        room = cache // 4 // _bytes(schedule, windows, 1)
        parts = -(-outputs // max(room, 24))
        outputs = min(outputs, -(-outputs // parts // 8) * 8)
    return replace(schedule, row_chunk=outputs)


def _bytes(schedule: Schedule, windows: ImageWindows, rows: int) -> int:
    """Of all points of a task's tiles, in so many channels or outputs."""
    return POINTS * rows * tile_columns(schedule, windows) * 4


def _fits(schedule: Schedule, windows: ImageWindows) -> bool:
    """Whether the product of one point works within the cache."""
    held = _bytes(schedule, windows, windows.channel_count + schedule.row_chunk) // POINTS
    most = max(_MOST_TILES, windows.tiles_across)
    return held <= second_level_cache_bytes() // 2 and tile_columns(schedule, windows) <= most


def _cycles(schedule: Schedule, windows: ImageWindows, threads: int) -> float:
    channels, outputs = windows.channel_count, windows.output_count
    cache, weights = second_level_cache_bytes(), POINTS * outputs * channels * 4
    far = weights > cache // 2
    products = 0.0
    for width in panel_widths(schedule, windows):
        height = schedule.tile_rows(width)
        step = max(height * width / 2, (height + width) / 2, _LATENCY) + far * _FAR * height
        products += POINTS * -(-outputs // height) * (_CALL + channels * step)
    lanes = piece_lanes(schedule, windows)
    pieces = schedule.row_block * -(-windows.tiles_across // lanes)
    transforms: float = pieces * sum(
        [
            count * (each + by_lane * lanes)
            for count, (each, by_lane) in ((channels, _INPUT), (outputs, _OUTPUT))
        ]
    )
    held = _bytes(schedule, windows, channels + schedule.row_chunk)
    if held + (0 if far else weights) > cache:
        transforms *= _OUT_OF_CACHE
    rounds = -(-schedule.panels * windows.group_count // threads)
    prepared = windows.group_count * outputs * channels * _WEIGHT / threads
    return rounds * (products + transforms) + prepared


def operations(windows: ImageWindows) -> tuple[int, int]:
    """Additions and multiplications that transforming the weights takes, and all the rest."""
    channels, outputs = windows.channel_count, windows.output_count
    tiles = windows.group_count * windows.tile_rows * windows.tiles_across
    products = 2 * POINTS * tiles * channels * outputs
    return (
        28 * windows.group_count * channels * outputs,
        products + tiles * (32 * channels + 24 * outputs),
    )
