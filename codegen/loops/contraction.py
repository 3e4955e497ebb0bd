"""Contractions out[b, m, n] = sum over k of A[b, m, k] * B[b, k, n]: data and schedules.

In comes the affine form of a product summed over some axes (matrix products, convolutions and
their gradients alike); out goes a ``Schedule``: orientation, register tile, what is packed, cache
blocks, and how the work is cut for threads. ``render/contraction_c.py`` turns both into C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from codegen.dtype import float32, float64
from codegen.index.contraction import (
    Contraction,
    Span,
    a_spans,
    b_spans,
    has_unit_stride,
    is_affine,
    without_columns,
)
from codegen.loops.contraction_dots import dot_tile


@dataclass(frozen=True)
class PlainOutput:
    """An output whose elements lie evenly over the flattened numbers (b, m, n):

    ``pointer[offset + b * batch_stride + m * row_stride + n * column_stride]``.

    ``batch``: where batches lie unevenly (heads among the columns of a row), the extents and
    strides of the axes that they are numbered over, instead of ``batch_stride``.
    """

    pointer: str
    batch_stride: int
    row_stride: int
    column_stride: int
    offset: int = 0
    batch: tuple[tuple[int, int], ...] = ()

    def transposed(self) -> PlainOutput:
        return replace(self, row_stride=self.column_stride, column_stride=self.row_stride)


Kind = Literal["tiles", "windows", "taps", "dots", "vector", "loops", "matrix units", "winograd"]


@dataclass(frozen=True)
class Schedule:
    """How a contraction is computed. Most fields are for tiles alone."""

    # Register tiles, the same over windows, tiles of dot products, a vector-matrix product, plain
    # loops, the processor's units for products of bfloat16 matrices, or tiles over windows that
    # were transformed (contraction_winograd.py).
    kind: Kind
    swap: bool = False  # compute the transpose
    lanes: int = 1  # elements a vector
    accumulators: int = 24  # vectors of sums held in registers
    tile_vectors: int = 4  # the most vectors a tile is wide
    pack_a: bool = False
    pack_b: bool = False
    depth: int = 1  # K block; of dot products, in runs
    row_block: int = 1  # rows a task
    row_chunk: int = 1  # rows of A packed, and of results consumed, at a time
    panels: int = 1  # column panels in all; parts wanted of dot and vector products
    rest: int = 0  # columns after those in panels, done along K
    panel_block: int = 1  # column panels a task
    any_rows: bool = False  # with tiles for whatever number of rows is left over
    unit: str = ""  # which matrix units

    def tile_rows(self, vectors: int) -> int:
        """Rows of the register tile that is ``vectors`` wide."""
        return min(self.accumulators // vectors, 12)


@lru_cache(maxsize=1)
def vector_bytes() -> int:
    """Bytes of this processor's widest vector register."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = file.read()
    except OSError:
        return 16
    if "avx512f" in flags:
        return 64
    return 32 if "avx2" in flags else 16


@lru_cache(maxsize=1)
def second_level_cache_bytes() -> int:
    """Bytes of one core's second-level cache; 1 MB where the system does not tell."""
    try:
        with open("/sys/devices/system/cpu/cpu0/cache/index2/size") as file:
            size = file.read().strip()
        return int(size.rstrip("KM")) << (20 if size.endswith("M") else 10)
    except (OSError, ValueError):
        return 1 << 20


def register_tile(width: int) -> tuple[int, int]:
    """(accumulators, vectors across) of the register tile for vectors of ``width`` bytes.

    AVX-512 has 32 registers: 6 x 4 sums and 4 vectors of B. Others are taken to have 16.
    """
    return (24, 4) if width >= 64 else (12, 2)


def choose_schedule(
    contraction: Contraction,
    threads: int,
    output: PlainOutput | None = None,
    width: int | None = None,
    stored: bool = True,
    fresh: tuple[bool, bool] = (False, False),
    any_rows: bool = False,
) -> Schedule:
    """The schedule of a normalized contraction by rule; ``width``: vector bytes.

    ``stored``: results go to ``output`` as they are, so that whole vectors can be stored.
    ``fresh``: whether A and B have just been written, each thread a part. ``any_rows``: the choice
    is not to depend on how many rows there are, where that can be helped.
    """
    width = width or vector_bytes()
    _, m, n, k = contraction.sizes
    if contraction.dtype not in (float32, float64) or k == 0:
        return Schedule("loops")
    lanes = width // contraction.dtype.itemsize
    dots = _dots(contraction, width, threads)
    if dots is not None and not (any_rows and len(contraction.inner) == 1):
        return dots
    swap = _prefers_transpose(contraction, output)
    if not swap and not any_rows:
        swap = _saves_by_transpose(contraction, output, width, threads)
    oriented = contraction.transposed() if swap else contraction
    if swap:
        m, n = n, m
    if m == 1 and _suits_vector_kernel(oriented, lanes):
        return Schedule("vector", swap, lanes, panels=threads)
    if m * n * k <= 512 or n == 1:
        return Schedule("loops", swap)
    windows = _taps(oriented, swap, width, threads) or _windows(oriented, swap, width, threads)
    if windows is not None:
        return windows
    stores = stored and stores_vectors(output, swap)
    rest = 0 if any_rows else _rest(oriented, lanes)
    body = without_columns(oriented, rest)
    schedule = _tiled(body, swap, width, threads, stores, fresh[::-1] if swap else fresh)
    return replace(schedule, rest=rest)


# So much of the work has to be saved, and so many rows share the columns that are laid out.
_WORTH_SAVING, _ROWS_FOR_REST = 0.05, 16


def _rest(contraction: Contraction, lanes: int) -> int:
    """How many columns are past the last whole vector, if rows of A lie so that these few are done
    sooner as dot products along K."""
    _, m, n, k = contraction.sizes
    spans = [a_spans(contraction.rows), a_spans(contraction.inner)]
    spans += [b_spans(contraction.columns), b_spans(contraction.inner)]
    if not all(map(is_affine, spans)) or not has_unit_stride(spans[1]):
        return 0
    count, vectors = n % lanes, -(-n // lanes)
    if count > lanes // 4 or vectors < 2 or m < _ROWS_FOR_REST or k < 8 * lanes:
        return 0
    return count if 1 - count / lanes > _WORTH_SAVING * vectors else 0


def stores_vectors(output: PlainOutput | None, swap: bool) -> bool:
    """Whether neighbours in a row of the product, computed as ``swap`` says, are so in memory."""
    return output is not None and (output.row_stride if swap else output.column_stride) == 1


# What a block of a chain's middle rows may take of the second-level cache, and how many rows are
# the best: a multiple of both register tiles' heights, low enough to leave causal columns out.
_CHAIN_BYTES, _CHAIN_ROWS = 1 << 19, 48


def chain_schedules(first: Contraction, second: Contraction) -> tuple[Schedule, Schedule]:
    """Tiles for the two products of a chain, normalized, a task being a block of rows of both."""
    _, rows, columns, _ = first.sizes
    limit = max(24, min(_CHAIN_ROWS, _CHAIN_BYTES // first.dtype.itemsize // columns))
    blocks = max(1, round(rows / limit))
    block = min(rows, -(-rows // blocks // 12) * 12)
    width = vector_bytes()
    schedules = []
    for contraction in (first, second):
        schedule = _tiled(contraction, False, width, 1, True)
        schedules.append(replace(schedule, row_block=block, panel_block=schedule.panels))
    # The middle's rows are multiplied as far as they go, by rows of B where those lie.
    inner = schedules[1]
    if _lies_ready(second, inner.lanes):
        inner = replace(inner, pack_b=False)
    elif inner.pack_b:
        inner = replace(inner, depth=second.sizes[3])  # packed once for all blocks
    return schedules[0], inner


def _lies_ready(contraction: Contraction, lanes: int) -> bool:
    """Whether vectors of B can be read in place, no more than a few kilobytes apart."""
    columns, inner = b_spans(contraction.columns), b_spans(contraction.inner)
    near = is_affine(inner) and abs(inner[0].stride) * contraction.dtype.itemsize < 4096
    return near and is_affine(columns) and columns[0].stride == 1 and contraction.sizes[2] >= lanes


def _prefers_transpose(contraction: Contraction, output: PlainOutput | None) -> bool:
    _, m, n, _ = contraction.sizes
    if m == 1 or n == 1:
        return m != 1
    if output and output.row_stride == 1 and output.column_stride != 1:
        return m >= 8
    # A vector axis shorter than half a vector wastes the most.
    return n < 8 <= m and (output is None or output.column_stride != 1 or n < 4)


# In products of a register tile: packing an element, and handing on a result whose neighbours are
# computed at different times; more where those that are computed together share a cache set.
_PACKED, _SCATTERED, _COLLIDING = 10, 30, 250


def _saves_by_transpose(
    contraction: Contraction, output: PlainOutput | None, width: int, threads: int
) -> bool:
    """Whether tiles of the transpose clearly have less to do: of few rows and many columns, the
    rows are packed sooner, and may fill vectors where the columns do not."""
    spans = [a_spans(contraction.rows), a_spans(contraction.inner)]
    spans += [b_spans(contraction.columns), b_spans(contraction.inner)]
    batch, m, n, _ = contraction.sizes
    itemsize = contraction.dtype.itemsize
    lanes = width // itemsize
    if output is None or output.column_stride != 1 or not all(map(is_affine, spans)):
        return False
    if batch > 1 or min(m, n) < lanes:
        return False
    colliding = output.row_stride * itemsize % 1024 == 0 and m > lanes
    handing_on = m * n * (_COLLIDING if colliding else _SCATTERED) / threads
    swapped = _tile_work(contraction.transposed().normalized(), width, threads) + handing_on
    return swapped < 0.93 * _tile_work(contraction, width, threads)


def _tile_work(contraction: Contraction, width: int, threads: int) -> float:
    """What a thread has to do for a product in register tiles, in products."""
    _, m, n, k = contraction.sizes
    lanes, (accumulators, across) = width // contraction.dtype.itemsize, register_tile(width)
    vectors = -(-n // lanes)
    rows = accumulators // min(vectors, across)
    work = m * vectors * lanes * k / threads
    if _should_pack_b(contraction, lanes, rows):  # what is not cut is packed by every thread
        work += _PACKED * n * k / (threads if vectors >= across * threads else 1)
    if _should_pack_a(contraction, rows):
        work += _PACKED * m * k / threads
    return work


def _suits_vector_kernel(contraction: Contraction, lanes: int) -> bool:
    columns, inner = b_spans(contraction.columns), b_spans(contraction.inner)
    if not is_affine(columns) or not is_affine(inner):
        return False
    _, _, n, k = contraction.sizes
    if has_unit_stride(inner) and k >= lanes:
        return True
    return has_unit_stride(columns) and n >= lanes


def must_pack_a(contraction: Contraction) -> bool:
    return not (is_affine(a_spans(contraction.rows)) and is_affine(a_spans(contraction.inner)))


def _should_pack_a(contraction: Contraction, tile_rows: int) -> bool:
    """Whether rows of A in place would fall into the same cache sets, or walk too many pages."""
    if must_pack_a(contraction):
        return True
    _, m, n, k = contraction.sizes
    if n < 64 or m < 16:
        return False
    # Six rows in one cache set are bearable, twelve are not.
    itemsize = contraction.dtype.itemsize
    inner = a_spans(contraction.inner)[0]
    row_bytes = abs(a_spans(contraction.rows)[0].stride) * itemsize
    if inner.stride == 1:
        return tile_rows > 6 and k >= 64 and row_bytes > 0 and row_bytes % 2048 == 0
    inner_bytes = abs(inner.stride) * itemsize
    return inner_bytes >= 2048 and k * inner_bytes > 128 << 10


def panel_width(contraction: Contraction, lanes: int, accumulators: int) -> int:
    """Columns a panel where B lies in panels already, each of which a register tile can take
    whole, as packing would leave it; else 0."""
    columns = b_spans(contraction.columns)
    if len(columns) != 2 or columns[1].stride != 1 or not is_affine(b_spans(contraction.inner)):
        return 0
    width = columns[1].extent
    return 0 if width % lanes or width // lanes > accumulators // 2 else width


def wanted_panel_width(contraction: Contraction, threads: int) -> int:
    """How wide the panels of B should be where it is laid out for this contraction; 0 where in
    rows as it is it does as well."""
    normalized = contraction.normalized()
    schedule = choose_schedule(normalized, threads)
    if schedule.kind == "dots":  # for few rows, which panels are too dear for; not if laid out once
        schedule = choose_schedule(normalized, threads, any_rows=True)
    if schedule.kind != "tiles" or schedule.swap:
        return 0
    n = normalized.sizes[2]
    for vectors in range(schedule.tile_vectors, 1, -1):
        width = vectors * schedule.lanes
        if n % width == 0 and n > width:
            return width
    return 0


# Where B's rows are close together, and few rows of A share what packing B costs, it is read in
# place: up to so many bytes of rows of A times bytes from one row of B to the next. It is walked
# once for each chunk of rows, so a block of K has to stay in the second-level cache, a short one
# where all of B does not.
_IN_PLACE = 400 << 10
_PAGE = 4096


def _stays_near(rows: int, row_bytes: int) -> bool:
    """Whether so many rows stay in the second-level cache while others are walked."""
    return rows * row_bytes <= second_level_cache_bytes() // 2


def can_read_b_in_place(contraction: Contraction, lanes: int) -> bool:
    """Whether whole vectors of B's columns lie in its rows."""
    columns, inner = b_spans(contraction.columns), b_spans(contraction.inner)
    affine = is_affine(columns) and is_affine(inner)
    return affine and columns[0].stride == 1 and contraction.sizes[2] >= lanes


def _should_pack_b(contraction: Contraction, lanes: int, tile_rows: int) -> bool:
    if not can_read_b_in_place(contraction, lanes):
        return True
    _, m, n, k = contraction.sizes
    itemsize = contraction.dtype.itemsize
    row_bytes = abs(b_spans(contraction.inner)[0].stride) * itemsize
    near = row_bytes <= _PAGE and _stays_near(min(k, _SHORT_DEPTH), row_bytes)
    if near and m * row_bytes <= _IN_PLACE:
        return False
    return m > 2 * tile_rows and k * n * itemsize > 100 << 10


# Packing an element takes as long as multiplying it by so many; so does fetching it from the core
# that has just written it.
_PACKING, _FETCHING = 28, 24


def _cuts_columns(
    contraction: Contraction, schedule: Schedule, threads: int, fresh: tuple[bool, bool]
) -> bool:
    """Whether cutting the columns gives a thread less to do for each k than cutting the rows.

    The operand that is not cut is packed by every thread, and fetched where it is ``fresh``. Where
    B takes more than one panel block, tasks are those blocks anyway.
    """
    _, m, n, _ = contraction.sizes
    panels = schedule.panels
    if schedule.panel_block < panels:
        return True
    vectors = -(-n // schedule.lanes)
    width = -(-vectors // panels) * schedule.lanes
    columns, rows = min(n, -(-panels // threads) * width), -(-m // threads)
    a = _PACKING * schedule.pack_a + _FETCHING * fresh[0]
    b = _PACKING * schedule.pack_b + _FETCHING * fresh[1]
    return m * columns + a * m + b * columns < rows * n + a * rows + b * n


def _balanced(extent: int, limit: int, multiple: int) -> int:
    """A block of at most about ``limit`` that cuts ``extent`` evenly."""
    blocks = -(-extent // limit)
    return min(extent, -(-extent // blocks // multiple) * multiple)


def _dots(contraction: Contraction, width: int, threads: int) -> Schedule | None:
    """Tiles of dot products, in one of the orientations, where they are the best form."""
    lanes, (accumulators, _) = width // contraction.dtype.itemsize, register_tile(width)
    for swap in (False, True):
        oriented = contraction.transposed().normalized() if swap else contraction
        tile = dot_tile(oriented, lanes, accumulators, second_level_cache_bytes())
        if tile is not None:
            return Schedule(
                "dots", swap, lanes, tile.rows * tile.columns, tile.columns, depth=tile.runs,
                panels=threads,
            )  # fmt: skip
    return None


# Packing a window costs as much as multiplying it by so many rows.
_WORTH_PACKING = 16


def _windows(contraction: Contraction, swap: bool, width: int, threads: int) -> Schedule | None:
    """The schedule that reads columns in place, where they are runs of neighbours, and few rows
    would share what packing them costs."""
    batch, m, n, k = contraction.sizes
    columns, inner = b_spans(contraction.columns), b_spans(contraction.inner)
    if m > _WORTH_PACKING or is_affine(columns) or columns[-1].stride != 1:
        return None
    if m * k * contraction.dtype.itemsize > second_level_cache_bytes() // 8:
        return None  # A is packed whole
    strides = [s.stride for s in (*columns, *inner, *b_spans(contraction.batch))]
    if min(strides) < 0 or sum([s.extent * s.stride for s in inner]) >= 1 << 31:
        return None
    lanes, run = width // contraction.dtype.itemsize, columns[-1].extent
    while lanes > 4 and lanes // 2 >= run:
        lanes //= 2
    if run * 8 < -(-run // lanes) * lanes * 5:
        return None  # too much would be computed past the ends
    strips = -(-m // 6)
    height = -(-m // strips)
    accumulators, _ = register_tile(width)
    vectors = max(1, min(accumulators // height, 8))
    panels = -(-(n // run * -(-run // lanes)) // vectors)
    blocks = 1 if batch >= 2 * threads else min(panels, 4 * threads)
    return Schedule(
        "windows", swap, lanes, height * vectors, vectors, panels=panels,
        panel_block=-(-panels // blocks),
    )  # fmt: skip


# A multiplication by a number that is loaded for it alone takes longer, and the sums of a column
# do not lie as the results do.
_TAP = 1.25


def _taps(contraction: Contraction, swap: bool, width: int, threads: int) -> Schedule | None:
    """The schedule whose vectors are the rows, where those fill them, and columns are windows whose
    rows of memory do not."""
    batch, m, n, k = contraction.sizes
    itemsize = contraction.dtype.itemsize
    columns, inner = b_spans(contraction.columns), b_spans(contraction.inner)
    if m > _WORTH_PACKING or is_affine(columns) or columns[-1].stride != 1:
        return None
    if m * k * itemsize > second_level_cache_bytes() // 8:
        return None  # A is packed whole
    if sum([s.extent * abs(s.stride) for s in inner]) >= 1 << 31:
        return None
    full, run = width // itemsize, columns[-1].extent
    lanes = full
    while lanes > 4 and lanes // 2 >= m:
        lanes //= 2
    vectors = -(-m // lanes)
    accumulators, across = register_tile(width)
    tile = _tap_tile(columns, (accumulators + across) // vectors)
    if run * vectors * _TAP > m * -(-run // full) or tile * vectors < accumulators // 2:
        return None
    tiles = n // tile
    blocks = 1 if batch >= 2 * threads else min(tiles, 4 * threads)
    return Schedule(
        "taps", swap, lanes, tile * vectors, vectors, panels=tiles,
        panel_block=-(-tiles // blocks),
    )  # fmt: skip


def _tap_tile(columns: Sequence[Span], most: int) -> int:
    """The most columns that a tile can have, if in each tile they are to lie alike."""
    tile = 1
    for span in reversed(columns):
        part = max(
            d for d in range(1, span.extent + 1) if span.extent % d == 0 and d * tile <= most
        )
        tile *= part
        if part < span.extent:
            break
    return tile


# The most that a block of K has, in elements of four bytes; less where A is packed, of whose strips
# a tile uses a part; least where besides a thread's results stay in the second-level cache, so that
# adding to them costs little, and panels may stay in the first-level cache.
_DEPTH, _PACKED_DEPTH, _SHORT_DEPTH = 512, 384, 128


def _near_depth(contraction: Contraction, pack_a: bool, threads: int) -> int:
    """The most that a block of K has where A is packed, or B read in place."""
    _, m, n, k = contraction.sizes
    itemsize = contraction.dtype.itemsize
    inner = a_spans(contraction.inner)
    by_columns = pack_a or (is_affine(inner) and inner[0].stride != 1)
    near = m * n * itemsize // threads <= second_level_cache_bytes() // 4
    if by_columns and near and k > 2 * _SHORT_DEPTH:
        return _SHORT_DEPTH
    if pack_a:
        return _PACKED_DEPTH
    row_bytes = abs(b_spans(contraction.inner)[0].stride) * itemsize
    return _DEPTH if _stays_near(k, row_bytes) else _SHORT_DEPTH


def _tiled(
    contraction: Contraction,
    swap: bool,
    width: int,
    threads: int,
    stores: bool,
    fresh: tuple[bool, bool] = (False, False),
) -> Schedule:
    _, m, n, k = contraction.sizes
    itemsize = contraction.dtype.itemsize
    lanes = width // itemsize
    while lanes * itemsize > 16 and lanes // 2 >= n:
        lanes //= 2
    accumulators, tile_vectors = register_tile(width)
    vectors = -(-n // lanes)
    tile_vectors = min(max(tile_vectors, accumulators // 2 // m), vectors, accumulators // 2)
    in_panels = panel_width(contraction, lanes, accumulators)
    if in_panels:
        tile_vectors = in_panels // lanes
    tile_rows = accumulators // tile_vectors
    pack_a = _should_pack_a(contraction, tile_rows)
    pack_b = not in_panels and _should_pack_b(contraction, lanes, tile_rows)
    depth = _DEPTH
    if pack_a or (not pack_b and m > 2 * tile_rows and can_read_b_in_place(contraction, lanes)):
        depth = _near_depth(contraction, pack_a, threads)
    schedule = Schedule(
        "tiles",
        swap,
        lanes,
        accumulators,
        pack_b=pack_b,
        depth=_balanced(k, depth * 4 // itemsize, 4),
    )
    schedule = with_tile(schedule, contraction, tile_vectors)
    schedule = with_packing(schedule, pack_a)
    return with_tasks(schedule, contraction, threads, stores, fresh)


def with_tile(schedule: Schedule, contraction: Contraction, vectors: int) -> Schedule:
    """The same with tiles so wide, in one task as large as caches allow."""
    _, m, n, _ = contraction.sizes
    width = vectors * schedule.lanes
    panels = -(-n // width)
    panel_bytes = schedule.depth * width * contraction.dtype.itemsize
    limit = max(1, second_level_cache_bytes() // 2 // panel_bytes)
    return replace(
        schedule,
        tile_vectors=vectors,
        panels=panels,
        panel_block=min(panels, limit),
        row_block=min(m, 3072),
    )


def with_packing(schedule: Schedule, pack_a: bool) -> Schedule:
    # The chunks are multiples of every tile's height.
    return replace(schedule, pack_a=pack_a, row_chunk=96 if pack_a else 48)


def with_tasks(
    schedule: Schedule,
    contraction: Contraction,
    threads: int,
    stores: bool,
    fresh: tuple[bool, bool] = (False, False),
    by_columns: bool | None = None,
) -> Schedule:
    """The same cut into tasks for the threads, along columns or rows: by rule where not told."""
    batch, _, _, k = contraction.sizes
    if threads > 1 and batch % threads and batch < 4 * threads:
        schedule = _cut(contraction, schedule, threads, fresh, by_columns)
    else:
        panel_block = _balanced(schedule.panels, schedule.panel_block, 1)
        schedule = replace(schedule, panel_block=panel_block)
    if not stores and schedule.depth < k:
        # Sums of a task wait in scratch between K blocks: keep them in the second-level cache.
        row_bytes = schedule.tile_vectors * schedule.lanes * contraction.dtype.itemsize
        room = second_level_cache_bytes() // 2 // row_bytes
        row_block = min(schedule.row_block, room)
        panel_block = max(1, min(schedule.panel_block, room // row_block))
        schedule = replace(schedule, row_block=row_block, panel_block=panel_block)
    return schedule


def _cut(
    contraction: Contraction,
    schedule: Schedule,
    threads: int,
    fresh: tuple[bool, bool],
    by_columns: bool | None,
) -> Schedule:
    _, m, n, _ = contraction.sizes
    panels, panel_block = schedule.panels, schedule.panel_block
    vectors = -(-n // schedule.lanes)
    even_panels = -(-panels // threads) * threads
    enough_rows = m >= 2 * threads * (schedule.accumulators // schedule.tile_vectors)
    if by_columns is None:
        by_columns = panels >= 4 * threads or even_panels == panels
        if by_columns and enough_rows:
            by_columns = _cuts_columns(contraction, schedule, threads, fresh)
    if by_columns:
        blocks = -(-panels // panel_block)
        return replace(schedule, panel_block=-(-panels // (-(-blocks // threads) * threads)))
    if enough_rows:
        blocks = -(-m // schedule.row_block)
        row_block = -(-m // (-(-blocks // threads) * threads))
        return replace(schedule, row_block=row_block, panel_block=_balanced(panels, panel_block, 1))
    in_panels = not schedule.pack_b and not is_affine(b_spans(contraction.columns))
    if even_panels < vectors and not in_panels:
        return replace(
            schedule, panels=even_panels, panel_block=min(panel_block, even_panels // threads)
        )
    return schedule
