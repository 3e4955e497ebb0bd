"""Packing for matrix units: parts of an operand of 16-bit elements in memory, squares out.

A square is 32 lines (rows of A, columns of B) of 32 elements along K, zeros past every edge, in
two tiles of 16 lines each. A tile of A has a line after another; one of B has, for each pair of
neighbours along K, that pair of each of its lines. Elements are read along the axis in which they
are contiguous: 32 lanes are put together from runs of neighbours, by loads under a mask, which
touch nothing outside the run. Lanes run along K, or across the lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.index.contraction import Axis, Span, a_spans, b_spans, is_affine
from codegen.render.contraction_form import (
    Helpers,
    Text,
    offset_expression,
    static_function,
    write_counting,
)

SIDE = 32
SQUARE = SIDE * SIDE
TILE = SQUARE // 2

_VECTORS = """\
typedef short @ __attribute__((vector_size(64), may_alias));
typedef short @u __attribute__((vector_size(64), may_alias, aligned(2)));
typedef int @i __attribute__((vector_size(64), may_alias));
"""
# Under an empty mask no memory is touched.
_LANES = """\
static inline __attribute__((always_inline))
VECTOR @(VECTOR x, const unsigned short *source, unsigned mask)
{
    return (VECTOR)__builtin_ia32_loaddquhi512_mask((const void *)source, x, mask);
}
"""
_RUNS = """\
static long @(const long *restrict at, long count, long *restrict place, unsigned *restrict mask)
{
    long runs = 0;
    for (long i = 0; i < count; i++) {
        if (i == 0 || at[i] != at[i - 1] + 1) {
            place[runs] = at[i] - i;
            mask[runs++] = 0;
        }
        mask[runs - 1] |= 1u << i;
    }
    return runs;
}
"""


def lanes_type(helpers: Helpers) -> str:
    """The type of 32 elements; with suffix ``u``, of those at any element's address."""
    return helpers.add("lanes16", _VECTORS)


def _transpose(helpers: Helpers) -> str:
    """A function that transposes 16 x 16 elements of four bytes."""
    vector = lanes_type(helpers)
    text = Text()
    for i in range(16):
        text.add(f"{vector}i r{i} = *(const {vector}i *)(source + {i * 16});")
    half = 8
    while half:
        low = ", ".join(str(j if not j & half else 16 + j - half) for j in range(16))
        high = ", ".join(str(j + half if not j & half else 16 + j) for j in range(16))
        for i in range(16):
            if not i & half:
                x, y = f"r{i}", f"r{i + half}"
                text.add(
                    f"{{ const {vector}i low = __builtin_shufflevector({x}, {y}, {low});",
                    f"  {y} = __builtin_shufflevector({x}, {y}, {high}); {x} = low; }}",
                )
        half //= 2
    for i in range(16):
        text.add(f"*({vector}i *)(target + {i * 16}) = r{i};")
    signature = "@(const int *restrict source, int *restrict target)"
    return helpers.add("transpose_pairs", static_function(signature, text))


@dataclass
class Packing:
    """How one operand, ``a`` or ``b``, is packed: C text that is put into a kernel.

    ``lines`` are the axes of rows or columns, ``inner`` those of K; ``count`` and ``total`` their
    extents.
    """

    helpers: Helpers
    name: str
    lines: Sequence[Axis]
    inner: Sequence[Axis]
    count: int
    total: int

    def __post_init__(self) -> None:
        spans = a_spans if self.name == "a" else b_spans
        self.line_spans, self.inner_spans = spans(self.lines), spans(self.inner)
        self.along_k = _run(self.inner_spans) >= _run(self.line_spans)
        self.lane_spans = self.inner_spans if self.along_k else self.line_spans
        self.other_spans = self.line_spans if self.along_k else self.inner_spans
        self.one_run = is_affine(self.lane_spans) and _run(self.lane_spans) > 0
        self.even = is_affine(self.other_spans)
        self.square = self._square_function()

    @property
    def row_stride(self) -> int:
        """Elements from a line to the next, where each is contiguous along K; else 0."""
        return self.other_spans[0].stride if self.along_k and self.one_run and self.even else 0

    def row_offset(self, line: str) -> str:
        return f"{line} * {self.row_stride}"

    def scratch(self, depth: int) -> list[tuple[str, str, int, int]]:
        """Arrays that packing blocks of so many elements along K needs: type, name, count, size."""
        name, padded = self.name, -(-depth // SIDE) * SIDE
        found = [("long", f"{name}_inner_", padded, 8), ("long", f"{name}_lines_", SIDE, 8)]
        if not self.one_run:
            count = padded if self.along_k else SIDE
            found += [
                ("long", f"{name}_places_", count, 8),
                ("unsigned", f"{name}_masks_", count, 4),
                ("long", f"{name}_runs_", -(-count // SIDE), 8),
            ]
        return found

    def write_inner_tables(self, text: Text) -> None:
        """Once a K block: where its elements are, and the runs that they form."""
        if (self.along_k and self.one_run) or (not self.along_k and self.even):
            return
        name = self.name
        write_counting(text, self.inner_spans, f"{name}_inner_", "k_begin_", "depth_")
        if self.along_k:
            runs = self.helpers.add("runs16", _RUNS)
            text.add(
                f"for (long k_ = 0; k_ < depth_; k_ += {SIDE}) {{",
                f"const long lanes_ = depth_ - k_ < {SIDE} ? depth_ - k_ : {SIDE};",
                f"{name}_runs_[k_ / {SIDE}] = {runs}({name}_inner_ + k_, lanes_, "
                f"{name}_places_ + k_, {name}_masks_ + k_);",
                "}",
            )

    def write_panels(self, text: Text, begin: str, end: str, target: str, depth: int) -> None:
        """Pack the lines from ``begin``, 32 a panel, as deep as the K block; a panel takes
        ``depth`` times 32 elements of ``target``."""
        panels = f"for (long l_ = {begin}; l_ < {end}; l_ += {SIDE}) {{"
        squares = f"for (long k_ = 0; k_ < depth_; k_ += {SIDE}) {{"
        # Lanes across neighbouring panels lie in one row of memory, which is read as a whole.
        if self.one_run and not self.along_k:
            text.add(squares, panels, self._count("lines_", str(self.count), "l_"))
        else:
            text.add(panels, self._count("lines_", str(self.count), "l_"))
            self._write_line_tables(text)
            text.add(squares)
        text.add(self._count("deep_", "depth_", "k_"))
        name, along = self.name, self.along_k
        source = f"{name}_"
        if is_affine(self.line_spans):
            source += f" + l_ * {self.line_spans[0].stride}"
        if along and self.one_run:
            source += " + (k_begin_ + k_)"
        elif not along and self.even:
            source += f" + (k_begin_ + k_) * {self.inner_spans[0].stride}"
        arguments = [source]
        if not self.even:
            arguments.append(f"{name}_lines_" if along else f"{name}_inner_ + k_")
        arguments.append("lines_" if along else "deep_")
        if self.one_run:
            arguments.append(f"~0u >> ({SIDE} - {'deep_' if along else 'lines_'})")
        else:
            k = "k_" if along else "0"
            arguments.append(f"{name}_places_ + {k}, {name}_masks_ + {k}")
            arguments.append(f"{name}_runs_[{k} / {SIDE}]")
        arguments.append(f"{target} + (l_ - ({begin})) * {depth} + k_ * {SIDE}")
        text.add(f"{self.square}({', '.join(arguments)});", "}", "}")

    def _count(self, name: str, total: str, begin: str) -> str:
        """How many lines, or elements along K, a square has."""
        return f"const long {name} = {total} - {begin} < {SIDE} ? {total} - {begin} : {SIDE};"

    def _write_line_tables(self, text: Text) -> None:
        """Once a panel: where its lines are, and the runs that they form where lanes are lines."""
        name = self.name
        if self.one_run if not self.along_k else self.even:
            return
        text.add(
            "for (long j_ = 0; j_ < lines_; j_++) {",
            f"{name}_lines_[j_] = {self._line_offset()};",
            "}",
        )
        if not self.along_k:
            runs = self.helpers.add("runs16", _RUNS)
            tables = f"{name}_lines_, lines_, {name}_places_, {name}_masks_"
            text.add(f"{name}_runs_[0] = {runs}({tables});")

    def _line_offset(self) -> str:
        if is_affine(self.line_spans):  # from the panel's first
            return f"j_ * {self.line_spans[0].stride}"
        return offset_expression(self.line_spans, "(l_ + j_)")

    def _square_function(self) -> str:
        """A function that packs a square from lines of lanes."""
        vector = lanes_type(self.helpers)
        lanes = self.helpers.add("load16", _LANES.replace("VECTOR", vector))
        text = Text()
        at = "lines[LINE]" if not self.even else f"(LINE) * {self.other_spans[0].stride}L"

        def load(target: str, line: str) -> None:
            """Declare ``target``, a line's lanes; none past the last line."""
            text.add(f"{vector} {target} = {{0}};")
            place = at.replace("LINE", line)
            if not self.even:
                place = f"({line} < count ? {place} : 0)"
            if self.one_run:
                text.add(
                    f"{target} = {lanes}({target}, source + {place}, {line} < count ? mask : 0);"
                )
            else:
                text.add(
                    f"for (long r = 0; r < ({line} < count ? runs : 0); r++) {{",
                    f"{target} = {lanes}({target}, source + {place} + places[r], masks[r]);",
                    "}",
                )

        if self.along_k:
            direct = self.name == "a"
            if not direct:
                text.add(f"unsigned short stage[{SQUARE}] __attribute__((aligned(64)));")
            text.add(f"for (long i = 0; i < {SIDE}; i++) {{")
            load("x", "i")
            text.add(f"*({vector} *)({'target' if direct else 'stage'} + i * {SIDE}) = x;", "}")
        else:
            direct = self.name == "b"
            if not direct:
                text.add(f"unsigned short stage[{SQUARE}] __attribute__((aligned(64)));")
            text.add(f"for (long i = 0; i < {SIDE}; i += 2) {{")
            load("x", "i")
            load("y", "i + 1")
            place = "target" if direct else "stage"
            for half in (0, 1):
                order = [f"{16 * half + j}, {48 - 16 + 16 * half + j}" for j in range(16)]
                text.add(
                    f"*({vector} *)({place} + {half * TILE} + i * 16) = "
                    f"__builtin_shufflevector(x, y, {', '.join(order)});"
                )
            text.add("}")
        if not direct:
            transpose = _transpose(self.helpers)
            for half in (0, 1):
                text.add(
                    f"{transpose}((const int *)(stage + {half * TILE}), "
                    f"(int *)(target + {half * TILE}));"
                )
        parameters = ["const unsigned short *source"]
        if not self.even:
            parameters.append("const long *restrict lines")
        parameters.append("long count")
        if self.one_run:
            parameters.append("unsigned mask")
        else:
            parameters += ["const long *restrict places", "const unsigned *restrict masks"]
            parameters.append("long runs")
        parameters.append("unsigned short *restrict target")
        return self.helpers.add("square", static_function(f"@({', '.join(parameters)})", text))


def _run(spans: Sequence[Span]) -> int:
    """How many neighbours the innermost axis walks at least; 0 where it makes larger steps."""
    return spans[-1].extent if spans[-1].stride == 1 else 0
