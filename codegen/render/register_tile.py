"""The functions that register tiles are multiplied and packed by: text for the top of a file."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.dtype import DType
from codegen.render.contraction_form import Helpers, Text, static_function
from codegen.render.line_functions import exchanged

LINE = 64  # bytes that are fetched together


def tile_function(
    helpers: Helpers,
    dtype: DType,
    lanes: int,
    rows: int,
    positions: Sequence[int],
    stored: int,
    strides: tuple[int, int, int, int],
    direct: bool,
    ahead: Sequence[int] = (),
    awaited: bool = False,
    meets: Sequence[bool] = (),
    packs_a: int = 0,
    packs_b: bool = False,
) -> str:
    """A function that multiplies ``rows`` x ``depth`` of A by vectors of B, all sums in registers.

    ``positions`` are the vectors' first columns; where they overlap, the last vector ends at the
    last column and computes some columns twice, so nothing is read or written past the edge.
    ``stored`` is the number of elements of each vector that C has. ``strides``: of A along rows
    and K, of B along K, of C along rows. ``direct``: B lies as the caller left it, unaligned.
    ``ahead``: what comes later is fetched meanwhile, from ``next0`` and so on, so many elements
    each for every two of K. ``awaited``: C's place may lie in no near cache; it is fetched
    meanwhile, so that the sums need not wait for it. ``meets``: so are the places that lie as C
    does at ``place0`` and so on, with ``step0`` bytes from row to row; whether each is written.
    A row's at a time, for the tile's own loads wait behind those that the processor has begun.
    ``packs_a``: so many neighbouring rows of A, those of this tile the first, are copied to
    ``strip``; ``packs_b``: the vectors of B are copied to ``panel``.
    """
    a_row, a_inner, b_inner, c_row = strides
    element = dtype.compute_c
    vector = helpers.vector(dtype, lanes)
    count = len(positions)
    text = Text()
    for row in range(rows):
        names = ", ".join(f"c{row}_{j} = {{0}}" for j in range(count))
        text.add(f"{vector} {names};")

    def step(k: int) -> None:
        text.add("{")
        for j, position in enumerate(positions):
            if direct:
                text.add(
                    f"const {vector} b{j} = *(const {vector}u *)(b + {k * b_inner + position});"
                )
                if packs_b:
                    text.add(f"*({vector} *)(panel + {(k * count + j) * lanes}) = b{j};")
            else:
                text.add(
                    f"const {vector} b{j} = *(const {vector} *)(b + {k * b_inner + j * lanes});"
                )
        for j in range(0, packs_a, lanes):
            line = f"*(const {vector}u *)(a + {k * a_inner + j})"
            text.add(f"*({vector} *)(strip + {k * packs_a + j}) = {line};")
        for row in range(rows):
            sums = " ".join(f"c{row}_{j} += a{row} * b{j};" for j in range(count))
            text.add(f"const {element} a{row} = a[{row * a_row + k * a_inner}]; {sums}")
        text.add("}")

    def onward(steps: int) -> None:
        text.add(f"a += {steps * a_inner};", f"b += {steps * b_inner};")
        if packs_a:
            text.add(f"strip += {steps * packs_a};")
        if packs_b:
            text.add(f"panel += {steps * count * lanes};")
        text.add("}")

    if awaited and stored == lanes:
        for row in range(rows):
            text.add(" ".join(f"__builtin_prefetch(c + {row * c_row + p}, 1);" for p in positions))
    fetched = []
    for number, written in enumerate(meets):
        at = [f"place{number} + {p * dtype.itemsize}" for p in positions]
        fetched += [f"{place}, {int(written)}" for place in at]
    unroll = 2
    text.add("long k = 0;")
    limit = "depth"
    if fetched:
        limit = "end"
        text.add(
            f"for (long row = 0; row < {rows}; row++) {{",
            " ".join([f"__builtin_prefetch({place});" for place in fetched]),
            *[f"place{number} += step{number};" for number in range(len(meets))],
            f"const long end = depth * (row + 1) / {rows};",
        )
    text.add(f"for (; k + {unroll} <= {limit}; k += {unroll}) {{")
    for number, elements in enumerate(ahead):
        text.add(f"__builtin_prefetch(next{number});", f"next{number} += {elements};")
    for k in range(unroll):
        step(k)
    onward(unroll)
    if fetched:
        text.add("}")
    text.add("for (; k < depth; k++) {")
    step(0)
    onward(1)

    if stored < lanes:
        size = stored * dtype.itemsize
        for row in range(rows):
            target = f"c + {row * c_row}"
            text.add(
                "if (!first) {",
                f"{vector} old = {{0}};",
                f"__builtin_memcpy(&old, {target}, {size});",
                f"c{row}_0 += old;",
                "}",
                f"__builtin_memcpy({target}, &c{row}_0, {size});",
            )
    else:
        # All old values are read before any is written: the last two vectors may overlap.
        places = [[f"*({vector}u *)(c + {r * c_row + p})" for p in positions] for r in range(rows)]
        text.add("if (!first) {")
        for row in range(rows):
            text.add(" ".join(f"c{row}_{j} += {p};" for j, p in enumerate(places[row])))
        text.add("}")
        for row in range(rows):
            text.add(" ".join(f"{p} = c{row}_{j};" for j, p in enumerate(places[row])))
    parameters = (
        f"const {element} *restrict a, const {element} *restrict b, {element} *restrict c, "
        "long depth, long first"
    )
    name = f"tile{rows}x{count}"
    for packs, target in ((packs_a, "strip"), (packs_b, "panel")):
        if packs:
            parameters += f", {element} *restrict {target}"
            name += f"_{target}"
    parameters += "".join([f", const {element} *next{i}" for i in range(len(ahead))])
    parameters += "".join([f", const char *place{i}, long step{i}" for i in range(len(meets))])
    return helpers.add(name, static_function(f"@({parameters})", text))


def transpose_function(helpers: Helpers, dtype: DType, lanes: int) -> str:
    """A function that copies ``lanes`` columns, contiguous along K, as rows of a packed panel.

    Halves of ever smaller blocks are exchanged between registers: log2(lanes) rounds.
    """
    vector = helpers.vector(dtype, lanes)
    element = dtype.compute_c
    text = Text()
    text.add("#if defined __has_builtin", "#if __has_builtin(__builtin_shufflevector)")
    text.add("#define @shuffles", "#endif", "#endif", "#ifdef @shuffles")
    for i in range(lanes):
        text.add(f"{vector} r{i} = *(const {vector}u *)(source + columns[{i}]);")
    text.add(*exchanged(vector, lanes))
    for i in range(lanes):
        text.add(f"*({vector}u *)(target + {i} * stride) = r{i};")
    text.add(
        "#else",
        f"for (long i = 0; i < {lanes}; i++) {{",
        f"for (long j = 0; j < {lanes}; j++) {{",
        "target[i * stride + j] = source[columns[j] + i];",
        "}",
        "}",
        "#endif",
    )
    signature = (
        f"@(const {element} *restrict source, const int *restrict columns, "
        f"{element} *restrict target, long stride)"
    )
    return helpers.add(f"transpose{lanes}", static_function(signature, text))
