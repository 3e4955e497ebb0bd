"""A contraction in vectors along K: each result is a vector of partial sums until the end.

K is pieces (rows of images) whose elements are neighbours in memory in both operands, or every
second one's in B. A tile of results is
held in registers over some of them; between those its sums wait in scratch memory. Where a piece
is no whole number of vectors, its last vector begins earlier, and what was done is masked out of
both operands: 0 times an infinity would show.
"""

from __future__ import annotations

from codegen.index.contraction import a_spans, b_spans
from codegen.render.contraction_form import Form, Text, minimum, static_function, write_counting


class Dots(Form):
    """Tiles of dot products; the tasks are blocks of columns, or of rows where there are more."""

    def write(self) -> None:
        schedule, contraction = self.schedule, self.contraction
        self.lanes = schedule.lanes
        self.tile_columns = schedule.tile_vectors
        self.tile_rows = schedule.accumulators // schedule.tile_vectors
        self.outer, self.run = contraction.inner[:-1], contraction.inner[-1].extent
        self.step = contraction.inner[-1].b
        self.row_stride = a_spans(contraction.rows)[0].stride
        strips, tiles = -(-self.m // self.tile_rows), -(-self.n // self.tile_columns)
        by_columns = tiles >= strips
        most = tiles if by_columns else strips
        block = -(-most // min(schedule.panels, most))
        parts = -(-most // block)
        strip_block, tile_block = (strips, block) if by_columns else (block, tiles)
        self.tile_size = self.tile_rows * self.tile_columns * self.lanes
        self._reserve(strip_block * tile_block, tile_block)
        text = self.text
        self._write_columns()
        self.begin_tasks(self.batches * parts)
        self.declare_batch(f"task_ / {parts}")
        cut, whole = ("tile", "strip") if by_columns else ("strip", "tile")
        text.add(
            f"const long {cut}_begin_ = task_ % {parts} * {block};",
            f"const long {cut}_end_ = {minimum(f'{cut}_begin_', block, most)};",
            f"const long {whole}_begin_ = 0, {whole}_end_ = {strips if by_columns else tiles};",
            f"for (long i_ = 0; i_ < {strip_block * tile_block * self.tile_size}; i_++) {{",
            "sums_[i_] = 0;",
            "}",
        )
        self.tile_place = f"((strip_ - strip_begin_) * {tile_block} + tile_ - tile_begin_)"
        self._write_sums()
        self._write_results()
        text.add("}")

    def _reserve(self, tiles: int, tile_block: int) -> None:
        runs = self.schedule.depth
        self.reserve(self.element, "sums_", tiles * self.tile_size, self.itemsize)
        self.reserve(self.element, "results_", tile_block * self.tile_columns, self.itemsize)
        self.reserve("long", "column_at_", self.n, 8)
        self.reserve("long", "a_at_", runs, 8)
        self.reserve("long", "b_at_", runs, 8)

    def _write_columns(self) -> None:
        """Where each column begins: as many as results, so once for all tasks."""
        write_counting(self.text, b_spans(self.contraction.columns), "column_at_", "0", str(self.n))

    def _write_sums(self) -> None:
        text, runs = self.text, self.schedule.depth
        total = self.k // self.run
        text.add(
            f"for (long run_ = 0; run_ < {total}; run_ += {runs}) {{",
            f"const long count_ = {total} - run_ < {runs} ? {total} - run_ : {runs};",
        )
        write_counting(text, a_spans(self.outer), "a_at_", "run_", "count_")
        write_counting(text, b_spans(self.outer), "b_at_", "run_", "count_")
        text.add(
            "for (long strip_ = strip_begin_; strip_ < strip_end_; strip_++) {",
            "for (long tile_ = tile_begin_; tile_ < tile_end_; tile_++) {",
        )
        self._write_call()
        text.add("}", "}", "}")

    def _write_call(self) -> None:
        """The function for the tile's size, which at the ends is another."""
        rows, columns = divmod(self.m, self.tile_rows), divmod(self.n, self.tile_columns)
        for at_row, height in ((rows[0], self.tile_rows), (None, rows[1])):
            for at_column, width in ((columns[0], self.tile_columns), (None, columns[1])):
                if not height or not width or at_row == 0 or at_column == 0:
                    continue
                inside = [
                    f"strip_ < {at_row}" if at_row is not None else f"strip_ >= {rows[0]}",
                    f"tile_ < {at_column}" if at_column is not None else f"tile_ >= {columns[0]}",
                ]
                self.text.add(
                    f"if ({' && '.join(inside)}) {{",
                    f"{self._tile_function(height, width)}(a_ + strip_ * "
                    f"{self.tile_rows * self.row_stride}, b_, column_at_ + tile_ * "
                    f"{self.tile_columns}, a_at_, b_at_, count_, "
                    f"sums_ + {self.tile_place} * {self.tile_size});",
                    "}",
                )

    def _tile_function(self, rows: int, columns: int) -> str:
        """A function that adds the products of some runs to the sums of a tile."""
        element, lanes, run = self.element, self.lanes, self.run
        vector = self.helpers.vector(self.contraction.dtype, lanes)
        text = Text()
        if self.step > 1:
            text.add("#if defined __has_builtin", "#if __has_builtin(__builtin_shufflevector)")
            text.add("#define @shuffles", "#endif", "#endif")
        for j in range(columns):
            text.add(f"const {element} *restrict b{j} = b + columns[{j}];")
        for i in range(rows):
            for j in range(columns):
                place = (i * self.tile_columns + j) * lanes
                text.add(f"{vector} s{i}_{j} = *(const {vector}u *)(sums + {place});")
        whole = run // lanes * lanes
        if run > whole:
            self._write_mask(text, lanes - (run - whole))
        text.add(
            "for (long o = 0; o < count; o++) {",
            f"const {element} *restrict x = a + a_at[o];",
            "const long at = b_at[o];",
            f"for (long k = 0; k < {whole}; k += {lanes}) {{",
        )
        self._write_products(text, rows, columns, False)
        text.add("}")
        if run > whole:
            text.add("{", f"const long k = {run - lanes};")
            self._write_products(text, rows, columns, True)
            text.add("}")
        text.add("}")
        for i in range(rows):
            for j in range(columns):
                place = (i * self.tile_columns + j) * lanes
                text.add(f"*({vector}u *)(sums + {place}) = s{i}_{j};")
        signature = (
            f"@(const {element} *restrict a, const {element} *restrict b, "
            "const long *restrict columns, const long *restrict a_at, "
            f"const long *restrict b_at, long count, {element} *restrict sums)"
        )
        return self.helpers.add(f"dots{rows}x{columns}", static_function(signature, text))

    def _write_mask(self, text: Text, done: int) -> None:
        """Bits that leave out the first lanes."""
        bits = self._bits()
        values = ", ".join(["0"] * done + ["-1"] * (self.lanes - done))
        text.add(f"const {bits} mask = {{{values}}};")

    def _bits(self) -> str:
        """A vector of integers as wide as the elements."""
        integer = "long" if self.itemsize == 8 else "int"
        size = self.lanes * self.itemsize
        return self.helpers.add(
            f"{integer}{self.lanes}",
            f"typedef {integer} @ __attribute__((vector_size({size}), may_alias));\n"
            f"typedef {integer} @u __attribute__((vector_size({size}), may_alias, "
            f"aligned({self.itemsize})));\n",
        )

    def _write_products(self, text: Text, rows: int, columns: int, masked: bool) -> None:
        for j in range(columns):
            self._write_load(text, f"y{j}", f"b{j} + at", self.step, masked)
        for i in range(rows):
            place = f"x + {i * self.row_stride}" if i else "x"
            self._write_load(text, f"x{i}", place, 1, masked)
            text.add(*[f"s{i}_{j} += x{i} * y{j};" for j in range(columns)])

    def _write_load(self, text: Text, name: str, place: str, step: int, masked: bool) -> None:
        """Declare the vector from element ``k`` of a run on, of every ``step``-th element."""
        vector, lanes = self.helpers.vector(self.contraction.dtype, self.lanes), self.lanes
        target = f"{name}_all" if masked else name
        if step == 1:
            text.add(f"const {vector} {target} = *(const {vector}u *)({place} + k);")
        else:
            # Two vectors that overlap in one element: neither ends past the last that is read.
            low = f"*(const {vector}u *)({place} + 2 * k)"
            high = f"*(const {vector}u *)({place} + 2 * k + {lanes - 1})"
            chosen = [*range(0, lanes, 2), *range(lanes + 1, 2 * lanes, 2)]
            each = [f"({place})[2 * k + {2 * lane}]" for lane in range(lanes)]
            text.add(
                "#ifdef @shuffles",
                f"const {vector} {target} = __builtin_shufflevector({low}, {high}, "
                f"{', '.join(map(str, chosen))});",
                "#else",
                f"const {vector} {target} = {{{', '.join(each)}}};",
                "#endif",
            )
        if masked:
            bits = self._bits()
            text.add(
                f"const {bits} {name}_bits = *(const {bits} *)&{target} & mask;",
                f"const {vector} {name} = *(const {vector} *)&{name}_bits;",
            )

    def _write_results(self) -> None:
        """A row at a time: lanes added up by halves, then handed on."""
        text, lanes = self.text, self.lanes
        halves = [lanes >> i for i in range(1, lanes.bit_length())]
        text.add(
            "for (long strip_ = strip_begin_; strip_ < strip_end_; strip_++) {",
            f"for (long i_ = 0; i_ < {self.tile_rows}; i_++) {{",
            f"const long m_ = strip_ * {self.tile_rows} + i_;",
            f"if (m_ >= {self.m}) {{",
            "break;",
            "}",
            "for (long tile_ = tile_begin_; tile_ < tile_end_; tile_++) {",
            f"for (long j_ = 0; j_ < {self.tile_columns}; j_++) {{",
            f"{self.element} *lanes_ = sums_ + {self.tile_place} * {self.tile_size} + "
            f"(i_ * {self.tile_columns} + j_) * {lanes};",
            *[
                f"for (long l_ = 0; l_ < {half}; l_++) lanes_[l_] += lanes_[l_ + {half}];"
                for half in halves
            ],
            f"results_[(tile_ - tile_begin_) * {self.tile_columns} + j_] = lanes_[0];",
            "}",
            "}",
            f"const long n_begin_ = tile_begin_ * {self.tile_columns};",
            f"const long n_end_ = tile_end_ * {self.tile_columns} < {self.n} ? "
            f"tile_end_ * {self.tile_columns} : {self.n};",
        )
        self.consume("n_begin_", "n_end_", "results_[n_ - n_begin_]")
        text.add("}", "}")
