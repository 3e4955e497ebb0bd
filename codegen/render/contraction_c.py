"""Renders one contraction as the body of a C kernel: a scheduled contraction in, C text out.

Forms: register tiles (contraction_tiles.py), windows (contraction_windows.py, and with vectors of
rows contraction_taps.py), matrix units (contraction_matrix_units.py), and, here, a vector-matrix
product and plain loops.
The body's own variables end in an underscore, so that they hide none of the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegen.index.contraction import (
    Axis,
    Contraction,
    Span,
    Zeros,
    a_spans,
    b_spans,
    has_unit_stride,
    is_affine,
)
from codegen.loops.contraction import Kind, PlainOutput, Schedule, choose_schedule
from codegen.render.contraction_dots import Dots
from codegen.render.contraction_form import (
    Epilogue,
    EpilogueOf,
    Form,
    RenderedContraction,
    Task,
    Text,
    element_of,
    lane_sum,
    minimum,
    offset_expression,
    static_function,
)
from codegen.render.contraction_matrix_units import MatrixUnits
from codegen.render.contraction_taps import Taps
from codegen.render.contraction_tiles import Tiles
from codegen.render.contraction_windows import Windows

__all__ = ["Epilogue", "EpilogueOf", "RenderedContraction", "Task", "render_contraction"]


def render_contraction(
    contraction: Contraction,
    a: str,
    b: str,
    epilogue: EpilogueOf | None,
    threads: int,
    schedule: Schedule | None = None,
    output: PlainOutput | None = None,
    stored: bool = True,
    task: Task | None = None,
    zeros: tuple[Zeros, Zeros] = ("", ""),
) -> RenderedContraction:
    """The body of ``void kernel(long thread, long threads, char **arguments, char *scratch)``.

    ``a`` and ``b`` name declared ``const T *restrict`` pointers. Without an epilogue, ``output``
    must be given, which says how results lie in memory, where that is even. Where they are
    ``stored`` there as they are, vectors may be, and the epilogue left out. ``task``: it is a step
    in a kernel's own loop. ``zeros``: what is known of A and of B; those products are left out
    where a tile has none else.
    """
    normalized = contraction.normalized()
    if epilogue is None:
        if output is None:
            raise ValueError("a contraction needs an epilogue or a plain output")
        epilogue = _storing(output)
    if 0 in normalized.sizes[:3]:
        return RenderedContraction("", 0)
    if schedule is None:
        schedule = choose_schedule(normalized, threads, output, stored=stored)
    if schedule.swap:
        normalized = normalized.transposed().normalized()
        a, b = b, a
        zeros = zeros[::-1]
        output = output and output.transposed()
    renderer = FORMS[schedule.kind]
    output = output if stored else None
    consumption = epilogue("n_", "m_") if schedule.swap else epilogue("m_", "n_")
    form = renderer(normalized, schedule, a, b, consumption, output, task, zeros[0])
    return replace(form.render(), schedule=schedule)


def _storing(output: PlainOutput) -> EpilogueOf:
    return lambda m, n: Epilogue((f"{element_of(output, 'batch_', m, n)} = value_;",))


class VectorProduct(Form):
    """One row of A by a matrix: along K where that is contiguous, else along the columns."""

    def write(self) -> None:
        self.b_inner = b_spans(self.contraction.inner)[0].stride
        self.b_column = b_spans(self.contraction.columns)[0].stride
        along_k = self.b_inner == 1 and self.k >= self.schedule.lanes
        share = -(-self.n // self.schedule.panels)
        block = min(32 if along_k else 1024, -(-share // 16) * 16, self.n)
        blocks = -(-self.n // block)
        self.reserve(self.element, "results_", block, self.itemsize)
        vector = self._packed_vector()
        self.begin_tasks(self.batches * blocks)
        self.declare_batch(f"task_ / {blocks}")
        if vector:
            self._write_packing()
        self.text.add(
            f"const long n_begin_ = task_ % {blocks} * {block};",
            f"const long n_end_ = {minimum('n_begin_', block, self.n)};",
            f"const {self.element} *restrict vector_ = {vector or 'a_'};",
        )
        if along_k:
            self._write_dots()
        else:
            self._write_sums_of_rows()
        self.text.add("const long m_ = 0;")
        self.consume("n_begin_", "n_end_", "results_[n_ - n_begin_]")
        self.text.add("}")

    def _packed_vector(self) -> str:
        """Name of a contiguous copy of A's row, where A itself is not contiguous."""
        spans = a_spans(self.contraction.inner)
        self.packed = not (is_affine(spans) and has_unit_stride(spans))
        if not self.packed:
            return ""
        self.reserve(self.element, "a_packed_", self.k, self.itemsize)
        self.text.add("long packed_batch_ = -1;")
        return "a_packed_"

    def _write_packing(self) -> None:
        spans = a_spans(self.contraction.inner)
        self.text.add(
            "if (packed_batch_ != batch_) {",
            f"for (long k_ = 0; k_ < {self.k}; k_++) {{",
            f"a_packed_[k_] = a_[{offset_expression(spans, 'k_')}];",
            "}",
            "packed_batch_ = batch_;",
            "}",
        )

    def _write_dots(self) -> None:
        """Eight columns at once; the columns left over with more accumulators each."""
        text = self.text
        text.add("long j_ = n_begin_;")

        def call(columns: int) -> str:
            name = self._dot_function(columns)
            return f"{name}(vector_, b_ + j_ * {self.b_column}, results_ + (j_ - n_begin_));"

        if self.n >= 8:
            text.add("for (; j_ + 8 <= n_end_; j_ += 8) {", call(8), "}")
        if self.n % 8:
            text.add("if (j_ < n_end_) {", call(self.n % 8), "}")

    def _dot_function(self, columns: int) -> str:
        lanes, element = self.schedule.lanes, self.element
        vector = self.helpers.vector(self.contraction.dtype, lanes)
        each = max(1, 8 // columns)
        text = Text()
        for j in range(columns):
            text.add(f"{vector} " + ", ".join(f"s{j}_{i} = {{0}}" for i in range(each)) + ";")
        text.add("long k = 0;")
        for count in sorted({each, 1}, reverse=True):
            step = count * lanes
            text.add(f"for (; k + {step} <= {self.k}; k += {step}) {{")
            for i in range(count):
                text.add(f"const {vector} x{i} = *(const {vector}u *)(a + k + {i * lanes});")
                for j in range(columns):
                    place = f"b + {j * self.b_column + i * lanes} + k"
                    text.add(f"s{j}_{i} += x{i} * *(const {vector}u *)({place});")
            text.add("}")
        for j in range(columns):
            total = " + ".join(f"s{j}_{i}" for i in range(each))
            text.add(f"s{j}_0 = {total};")
        for j in range(columns):
            text.add(*lane_sum(self.helpers, self.contraction.dtype, lanes, f"s{j}_0"))
        # No tail where there is none to do: gcc would warn about it.
        if self.k % lanes:
            text.add(f"for (; k < {self.k}; k++) {{")
            for j in range(columns):
                text.add(f"s{j}_0_sum += a[k] * b[{j * self.b_column} + k];")
            text.add("}")
        text.add(*(f"c[{j}] = s{j}_0_sum;" for j in range(columns)))
        signature = (
            f"@(const {element} *restrict a, const {element} *restrict b, {element} *restrict c)"
        )
        return self.helpers.add(f"dot{columns}", static_function(signature, text))

    def _write_sums_of_rows(self) -> None:
        """Eight rows of B at once are added to the results."""
        text = self.text
        text.add(
            "for (long j_ = 0; j_ < n_end_ - n_begin_; j_++) {",
            "results_[j_] = 0;",
            "}",
        )
        whole = self.k // 8 * 8

        def call(rows: int) -> str:
            name = self._rows_function(rows)
            source = f"b_ + k_ * {self.b_inner} + n_begin_"
            return f"{name}(vector_ + k_, {source}, results_, n_end_ - n_begin_);"

        if whole:
            text.add(f"for (long k_ = 0; k_ < {whole}; k_ += 8) {{", call(8), "}")
        if self.k > whole:
            text.add("{", f"const long k_ = {whole};", call(self.k - whole), "}")

    def _rows_function(self, rows: int) -> str:
        """A function that adds ``rows`` multiples of rows of B to c.

        The next rows are fetched ahead: the processor itself does not look past a page.
        """
        lanes, element = self.schedule.lanes, self.element
        vector = self.helpers.vector(self.contraction.dtype, lanes)
        text = Text()
        for row in range(rows):
            text.add(f"const {element} x{row} = a[{row}];")
        text.add("long j = 0;", f"for (; j + {lanes} <= width; j += {lanes}) {{")
        ahead = f"(const char *)(b + j) + {rows * self.b_inner * self.itemsize}"
        for row in range(rows):
            text.add(f"__builtin_prefetch({ahead} + {row * self.b_inner * self.itemsize});")
        total = " + ".join(
            f"x{r} * *(const {vector}u *)(b + j + {r * self.b_inner})" for r in range(rows)
        )
        text.add(f"*({vector}u *)(c + j) += {total};", "}")
        if self.n % lanes:
            total = " + ".join(f"x{r} * b[j + {r * self.b_inner}]" for r in range(rows))
            text.add("for (; j < width; j++) {", f"c[j] += {total};", "}")
        signature = (
            f"@(const {element} *restrict a, const {element} *restrict b, "
            f"{element} *restrict c, long width)"
        )
        return self.helpers.add(f"rows{rows}", static_function(signature, text))


class PlainLoops(Form):
    """Plain loops, for tiny sizes, integers and the strides nothing else takes."""

    def write(self) -> None:
        if self.n == 1 and self.k > 1:
            self._write_dots()
            return
        columns = self.contraction.columns
        innermost = columns[-1] if columns else Axis(1, 0, 1)
        chunk = min(innermost.extent, 256)
        chunks = -(-innermost.extent // chunk)
        outer = self.n // innermost.extent
        self.reserve(self.element, "sums_", chunk, max(self.itemsize, 8))
        self.begin_tasks(self.batches * self.m * outer * chunks)
        self.declare_batch(f"task_ / {self.m * outer * chunks}")
        outer_offset = offset_expression(_outer_b_spans(columns), "outer_")
        m_offset = offset_expression(a_spans(self.contraction.rows), "m_")
        self.text.add(
            f"const long m_ = task_ / {outer * chunks} % {self.m};",
            f"const long outer_ = task_ / {chunks} % {outer};",
            f"const long j_begin_ = task_ % {chunks} * {chunk};",
            f"const long width_ = {innermost.extent} - j_begin_ < {chunk} "
            f"? {innermost.extent} - j_begin_ : {chunk};",
            f"a_ += {m_offset};",
            f"b_ += {outer_offset} + j_begin_ * {innermost.b};",
            "for (long j_ = 0; j_ < width_; j_++) {",
            "sums_[j_] = 0;",
            "}",
        )
        a_at, b_at = self._begin_inner(self.contraction.inner)
        stride = "" if innermost.b == 1 else f" * {innermost.b}"
        self.text.add(
            f"const {self.element} x_ = a_[{a_at}];",
            f"const {self.storage} *restrict source_ = b_ + {b_at};",
            "for (long j_ = 0; j_ < width_; j_++) {",
            self._add("sums_[j_]", "x_", f"source_[j_{stride}]"),
            "}",
            *["}"] * len(self.contraction.inner),
            f"const long n_begin_ = outer_ * {innermost.extent} + j_begin_;",
        )
        self.consume("n_begin_", "n_begin_ + width_", "sums_[n_ - n_begin_]")
        self.text.add("}")

    def _begin_inner(self, axes: Sequence[Axis]) -> tuple[str, str]:
        """Open the loops over K axes (none where K is 0 or 1); return both operands' offsets."""
        a_terms, b_terms = ["0"], ["0"]
        for index, axis in enumerate(axes):
            name = f"k{index}_"
            self.text.add(f"for (long {name} = 0; {name} < {axis.extent}; {name}++) {{")
            a_terms.append(f"{name} * {axis.a}")
            b_terms.append(f"{name} * {axis.b}")
        return " + ".join(a_terms), " + ".join(b_terms)

    def _add(self, target: str, x: str, y: str) -> str:
        """Add a product; integers wrap around, which C promises for unsigned ones alone."""
        unsigned = {"int": "unsigned", "long": "unsigned long"}.get(self.element)
        if unsigned is None:
            return f"{target} += {x} * {y};"
        product = f"({unsigned}){x} * ({unsigned}){y}"
        return f"{target} = ({self.element})(({unsigned}){target} + {product});"

    def _write_dots(self) -> None:
        """One column: sums along the innermost K axis in sixteen interleaved parts."""
        text = self.text
        *outer, innermost = self.contraction.inner
        self.reserve(self.element, "parts_", 16, max(self.itemsize, 8))
        self.begin_tasks(self.batches * self.m)
        self.declare_batch(f"task_ / {self.m}")
        text.add(
            f"const long m_ = task_ % {self.m};",
            f"a_ += {offset_expression(a_spans(self.contraction.rows), 'm_')};",
            "for (long j_ = 0; j_ < 16; j_++) {",
            "parts_[j_] = 0;",
            "}",
        )
        a_at, b_at = self._begin_inner(outer)
        whole = innermost.extent // 16 * 16
        for begin, end, step in (
            (0, whole, 16),
            (whole, innermost.extent, innermost.extent - whole),
        ):
            if begin == end:
                continue
            x = f"a_[{a_at} + (k_ + j_) * {innermost.a}]"
            y = f"b_[{b_at} + (k_ + j_) * {innermost.b}]"
            text.add(
                f"for (long k_ = {begin}; k_ < {end}; k_ += {step}) {{",
                f"for (long j_ = 0; j_ < {step}; j_++) {{",
                self._add("parts_[j_]", x, y),
                "}",
                "}",
            )
        text.add(*["}"] * len(outer))
        text.add(
            "for (long j_ = 8; j_ > 0; j_ /= 2) {",
            "for (long i_ = 0; i_ < j_; i_++) {",
            self._add("parts_[i_]", "1", "parts_[i_ + j_]"),
            "}",
            "}",
        )
        self.consume("0", "1", "parts_[0]")
        text.add("}")


def _outer_b_spans(columns: Sequence[Axis]) -> tuple[Span, ...]:
    return tuple(Span(axis.extent, axis.b) for axis in columns[:-1]) or (Span(1, 0),)


FORMS: dict[Kind, type[Form]] = {
    "tiles": Tiles,
    "windows": Windows,
    "taps": Taps,
    "dots": Dots,
    "vector": VectorProduct,
    "loops": PlainLoops,
    "matrix units": MatrixUnits,
}
