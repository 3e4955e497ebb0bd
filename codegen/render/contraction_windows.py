"""A contraction whose columns are windows over rows of memory, multiplied where they lie.

In a convolution of stride 1 the columns of one image row are neighbours in B, at every tap; only
where the next row begins there is a gap. So vectors of columns are read in place, one or more a
row, at an offset a tap: nothing is packed but the weights. A row shorter than a vector is read
past its end, and what is computed there is overwritten by the next row's.
"""

from __future__ import annotations

from codegen.dtype import DType
from codegen.index.contraction import a_spans, b_spans
from codegen.render.contraction_form import (
    Form,
    Helpers,
    Text,
    minimum,
    offset_expression,
    reach,
    static_function,
    write_counting,
)


class Windows(Form):
    """Tiles of rows by vectors of columns, which are ``width`` long in memory."""

    def write(self) -> None:
        schedule, text = self.schedule, self.text
        *self.outer, last = b_spans(self.contraction.columns)
        self.width, self.lanes = last.extent, schedule.lanes
        self.across = -(-self.width // self.lanes)  # vectors a memory row
        total = self.n // self.width * self.across
        self.height = schedule.tile_rows(schedule.tile_vectors)
        self.vectors = min(schedule.tile_vectors, total)
        panels, self.rest = -(-total // self.vectors), total % self.vectors
        blocks = -(-panels // schedule.panel_block)
        self.result_row = (self.vectors + 1) * self.lanes
        self.reserve("int", "b_inner_", self.k, 8)
        self.reserve("int", "a_inner_", self.k, 8)
        self.reserve(self.element, "a_packed_", self.m * self.k, self.itemsize)
        self.reserve("long", "at_", self.vectors, 8)
        self.reserve("long", "place_", self.vectors, 8)
        self.reserve(self.element, "results_", self.height * self.result_row, self.itemsize)
        for spans, name in (
            (a_spans(self.contraction.inner), "a_inner_"),
            (b_spans(self.contraction.inner), "b_inner_"),
        ):
            write_counting(text, spans, name, "0", str(self.k))
        self.begin_tasks(self.batches * blocks)
        self.declare_batch(f"task_ / {blocks}")
        self._write_pack_a(blocks)
        text.add(
            f"const long p_begin_ = task_ % {blocks} * {schedule.panel_block};",
            f"const long p_end_ = {minimum('p_begin_', schedule.panel_block, panels)};",
            "for (long p_ = p_begin_; p_ < p_end_; p_++) {",
        )
        if self.rest and panels > 1:
            text.add(f"if (p_ < {panels - 1}) {{")
            self._write_panel(self.vectors)
            text.add("} else {")
            self._write_panel(self.rest)
            text.add("}")
        else:
            self._write_panel(self.vectors)
        text.add("}", "}")

    def _write_pack_a(self, blocks: int) -> None:
        """Copy A in strips of a tile's rows, each as the tile reads it, when the batch changes."""
        moves = any([axis.a for axis in self.contraction.batch])
        rows = a_spans(self.contraction.rows)
        first = f"task_ == first_ || task_ % {blocks} == 0" if moves else "task_ == first_"
        self.text.add(
            f"if ({first}) {{",
            f"for (long i_ = 0; i_ < {self.m}; i_ += {self.height}) {{",
            f"const long rows_ = {self.m} - i_ < {self.height} ? {self.m} - i_ : {self.height};",
            "for (long r_ = 0; r_ < rows_; r_++) {",
            f"const {self.storage} *source_ = a_ + ({offset_expression(rows, '(i_ + r_)')});",
            f"{self.element} *target_ = a_packed_ + i_ * {self.k} + r_;",
            f"for (long k_ = 0; k_ < {self.k}; k_++) {{",
            "target_[k_ * rows_] = source_[a_inner_[k_]];",
            "}", "}", "}", "}",
        )  # fmt: skip

    def _write_panel(self, vectors: int) -> None:
        """Multiply ``vectors`` vectors by every strip of rows, and hand the results on."""
        text, lanes, width = self.text, self.lanes, self.width
        text.add(
            f"const long first_vector_ = p_ * {self.vectors};",
            f"for (long j_ = 0; j_ < {vectors}; j_++) {{",
            f"const long row_ = (first_vector_ + j_) / {self.across};",
            f"long x_ = (first_vector_ + j_) % {self.across} * {lanes};",
        )
        if width >= lanes:  # the last vector of a memory row ends with it
            text.add(f"x_ = x_ < {width - lanes} ? x_ : {width - lanes};")
        text.add(
            f"at_[j_] = {offset_expression(self.outer, 'row_') if self.outer else '0'} + x_;",
            f"place_[j_] = row_ * {width} + x_;",
            "}",
            f"const long n_begin_ = first_vector_ / {self.across} * {width} "
            f"+ first_vector_ % {self.across} * {lanes};",
            f"const long n_end_ = place_[{vectors - 1}] + {min(lanes, width)};",
            "const long start_ = place_[0];",
            f"for (long j_ = 0; j_ < {vectors}; j_++) {{",
            "place_[j_] -= start_;",
            "}",
        )
        short = width < lanes
        if short:
            c = self.contraction
            farthest = reach(c.inner, "b")
            end = farthest + reach(c.columns, "b") + reach(c.batch, "b") + c.b_offset + 1
            text.add(
                f"const long inside_ = b_ + at_[{vectors - 1}] + {farthest + lanes} "
                f"<= {self.b} + {end};"
            )
        edge = self.m % self.height
        whole = self.m - edge
        if whole:
            text.add(f"for (long i_ = 0; i_ < {whole}; i_ += {self.height}) {{")
            self._write_strip(self.height, vectors, short)
            text.add("}")
        if edge:
            text.add("{", f"const long i_ = {whole};")
            self._write_strip(edge, vectors, short)
            text.add("}")

    def _write_strip(self, rows: int, vectors: int, short: bool) -> None:
        def call(read: int) -> str:
            name = window_function(
                self.helpers, self.contraction.dtype, self.lanes, rows, vectors, read,
                self.result_row,
            )  # fmt: skip
            return (
                f"{name}(a_packed_ + i_ * {self.k}, b_, at_, b_inner_, {self.k}, results_, place_);"
            )

        if short:
            self.text.add("if (inside_) {", call(self.lanes), "} else {", call(self.width), "}")
        else:
            self.text.add(call(self.lanes))
        self.text.add(
            f"for (long r_ = 0; r_ < {rows}; r_++) {{",
            "const long m_ = i_ + r_;",
            f"const {self.element} *row_ = results_ + r_ * {self.result_row} - start_;",
        )
        self.consume("n_begin_", "n_end_", "row_[n_]")
        self.text.add("}")


def window_function(
    helpers: Helpers, dtype: DType, lanes: int, rows: int, vectors: int, read: int, c_row: int
) -> str:
    """A function that multiplies ``rows`` rows of packed A by vectors of B, all sums in registers.

    Vector j of B stands at ``b + at[j] + inner[k]``, and its sums go to ``c + place[j]``; of each
    vector, ``read`` elements may be read.
    """
    element = dtype.compute_c
    vector = helpers.vector(dtype, lanes)
    text = Text()
    for row in range(rows):
        names = ", ".join(f"c{row}_{j} = {{0}}" for j in range(vectors))
        text.add(f"{vector} {names};")
    text.add(*[f"const {element} *b{j} = b + at[{j}];" for j in range(vectors)])
    text.add("for (long k = 0; k < depth; k++) {", "const long o = inner[k];")
    for j in range(vectors):
        if read == lanes:
            text.add(f"const {vector} v{j} = *(const {vector}u *)(b{j} + o);")
        else:
            text.add(
                f"{vector} v{j} = {{0}};",
                f"__builtin_memcpy(&v{j}, b{j} + o, {read * dtype.itemsize});",
            )
    for row in range(rows):
        sums = " ".join(f"c{row}_{j} += a{row} * v{j};" for j in range(vectors))
        text.add(f"const {element} a{row} = a[{row}]; {sums}")
    text.add(f"a += {rows};", "}")
    # In this order: what a short row computed past its end gives way to the next row's.
    for row in range(rows):
        for j in range(vectors):
            text.add(f"*({vector}u *)(c + {row * c_row} + place[{j}]) = c{row}_{j};")
    signature = (
        f"@(const {element} *restrict a, const {element} *restrict b, const long *restrict at, "
        f"const int *restrict inner, long depth, {element} *restrict c, "
        "const long *restrict place)"
    )
    return helpers.add(f"window{rows}x{vectors}", static_function(signature, text))
