"""Functions that multiply a strip of 32 rows by a panel of 32 columns on matrix units."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.dtype import float32
from codegen.render.contraction_form import Helpers, Text, static_function
from codegen.render.matrix_unit_packing import SIDE, SQUARE, TILE, lanes_type

_PARAMETERS = (
    "const unsigned short *restrict a, const unsigned short *restrict b, float *restrict c, "
    "long steps, long first"
)


@dataclass(frozen=True)
class StripLayout:
    """How a strip of A lies, in elements: from a row to the next, from the sixteenth row to the
    seventeenth's place, and from a square to the next."""

    row: int
    half: int
    square: int


PACKED = StripLayout(SIDE, TILE, SQUARE)


def in_place(stride: int) -> StripLayout:
    """Rows where the caller left them, ``stride`` apart."""
    return StripLayout(stride, 16 * stride, SIDE)


@dataclass(frozen=True)
class Copies:
    """What the AMX units' function does besides: of each square of another strip, whose rows are
    ``stride`` apart, it copies so many ``lines`` to where they are packed."""

    stride: int
    lines: int


def block_function(
    helpers: Helpers,
    unit: str,
    a: StripLayout,
    rows: int,
    columns: int,
    copies: Copies | None = None,
) -> str:
    """A function that adds ``steps`` products of squares of A and packed squares of B to 32 x 32
    sums, or sets them where these are the first; of so many tiles of 16 rows and columns."""
    if unit == "amx":
        return _tile_function(helpers, a, rows, columns, copies)
    return _pair_function(helpers, a, rows, columns)


def _tile_function(
    helpers: Helpers, a: StripLayout, rows: int, columns: int, copies: Copies | None
) -> str:
    """Sums in tiles 0 to 3, A in 4 and 5, B in 6 and 7."""
    text = Text()
    name, parameters = f"tiles{rows}x{columns}", _PARAMETERS
    tiles = [(i, j) for i in range(rows) for j in range(columns)]

    def load(place: str, stride: int, tile: int, hint: str = "") -> None:
        text.add(
            f'__asm__ volatile("tileloadd{hint} (%0,%1,1), %%tmm{tile}" '
            f':: "r"({place}), "r"({stride}L) : "memory");'
        )

    def sums(i: int, j: int) -> str:
        return f"c + {i * 16 * SIDE + j * 16}"

    text.add("if (first) {")
    for i, j in tiles:
        text.add(f'__asm__ volatile("tilezero %%tmm{2 * i + j}" ::);')
    text.add("} else {")
    for i, j in tiles:
        load(sums(i, j), 4 * SIDE, 2 * i + j)
    text.add("}", "for (; steps > 0; steps--) {")
    # B passes through: kept in the first-level cache, it would drive A from there.
    for j in range(columns):
        load(f"b + {j * TILE}", 2 * SIDE, 6 + j, "t1")
    for i in range(rows):
        load(f"a + {i * a.half}", 2 * a.row, 4 + i)
        for j in range(columns):
            tiles_of = f"%%tmm{6 + j}, %%tmm{4 + i}, %%tmm{2 * i + j}"
            text.add(f'__asm__ volatile("tdpbf16ps {tiles_of}" ::);')
    if copies:
        name += "_copies"
        parameters += ", const unsigned short *restrict from, unsigned short *restrict to"
        vector = lanes_type(helpers)
        for i in range(copies.lines):
            line = f"*(const {vector}u *)(from + {i * copies.stride})"
            text.add(f"*({vector} *)(to + {i * SIDE}) = {line};")
        text.add(f"from += {SIDE};", f"to += {SQUARE};")
    text.add(f"a += {a.square};", f"b += {SQUARE};", "}")
    for i, j in tiles:
        text.add(
            f'__asm__ volatile("tilestored %%tmm{2 * i + j}, (%0,%1,1)" '
            f':: "r"({sums(i, j)}), "r"({4 * SIDE}L) : "memory");'
        )
    return helpers.add(name, static_function(f"@({parameters})", text))


def _pair_function(helpers: Helpers, a: StripLayout, rows: int, columns: int) -> str:
    """Eight rows at a time; a pair of A's elements in all lanes times 16 pairs of B's."""
    vector = helpers.vector(float32, 16)
    text, height = Text(), 8
    text.add(f"for (long i = 0; i < {rows * 2}; i++) {{")
    places = [
        [f"*({vector} *)(c + (i * {height} + {i}) * {SIDE} + {j * 16})" for j in range(columns)]
        for i in range(height)
    ]
    for i in range(height):
        for j in range(columns):
            text.add(f"{vector} c{i}_{j} = {{0}};")
            text.add(f"if (!first) c{i}_{j} = {places[i][j]};")
    text.add(
        f"const unsigned short *restrict x = a + i / 2 * {a.half} + i % 2 * {height * a.row};",
        "const unsigned short *restrict y = b;",
        f"for (long k = 0; k < steps; k++, x += {a.square}, y += {SQUARE}) {{",
        f"for (long pair = 0; pair < {SIDE // 2}; pair++) {{",
    )
    for j in range(columns):
        place = f"y + {j * TILE} + pair * {SIDE}"
        text.add(f"const {vector} b{j} = *(const {vector} *)({place});")
    for i in range(height):
        for j in range(columns):
            place = f"*(const int (*)[1])(x + {i * a.row} + pair * 2)"
            text.add(
                f'__asm__("vdpbf16ps %2%{{1to16%}}, %1, %0" : "+v"(c{i}_{j}) '
                f': "v"(b{j}), "m"({place}));'
            )
    text.add("}", "}")
    for i in range(height):
        text.add(*[f"{places[i][j]} = c{i}_{j};" for j in range(columns)])
    text.add("}")
    return helpers.add(f"pairs{rows}x{columns}", static_function(f"@({_PARAMETERS})", text))
