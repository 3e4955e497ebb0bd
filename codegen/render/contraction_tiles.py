"""A contraction in register tiles: panels of columns, blocks of K, rows in tiles.

B is packed into panels as wide as a tile, or read in place; A is broadcast from its rows, or
from a packed copy of them. What lies in whole vectors is packed by the tile that is the first to
read it, beside its products. Tiles are functions, shared between the kernels of a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lcm

from codegen.index.contraction import (
    Span,
    a_spans,
    b_spans,
    has_unit_stride,
    is_affine,
    without_columns,
)
from codegen.loops.contraction import second_level_cache_bytes
from codegen.render.contraction_form import (
    Form,
    Task,
    element_of,
    minimum,
    offset_expression,
    reach,
    write_counting,
)
from codegen.render.contraction_rest import reserve_for_rest, write_rest
from codegen.render.register_tile import LINE, tile_function, transpose_function

# A panel of B that the first-level cache has room for: the tiles after the one that packs it find
# it there. Packing a larger one takes longer beside products than alone.
_NEAR = 32 << 10


@dataclass
class Panels:
    """Neighbouring column panels of one width: ``vectors`` across ``width`` columns."""

    first: int
    end: int
    vectors: int
    width: int


class Tiles(Form):
    """Register tiles: panels of columns, blocks of K, rows in tiles."""

    def write(self) -> None:
        schedule, text, whole = self.schedule, self.text, self.contraction
        self.contraction = without_columns(whole, schedule.rest)
        self.n -= schedule.rest
        self.lanes = schedule.lanes
        self.kinds = self._panel_kinds()
        self.panel_width = max(kind.vectors for kind in self.kinds) * self.lanes
        self.height = min(schedule.tile_rows(kind.vectors) for kind in self.kinds)
        self.depth = schedule.depth
        self.blocks = -(-self.k // self.depth)
        self.stores = self.output is not None and self.output.column_stride == 1
        self.index = "int" if self._offsets_fit_int() else "long"
        row_blocks = -(-self.m // schedule.row_block)
        panel_blocks = -(-schedule.panels // schedule.panel_block)
        chunk = schedule.row_chunk
        self._declare_scratch()
        if schedule.rest:
            reserve_for_rest(self)
        self.tiles_pack_a, self.tiles_pack_b = self._tiles_pack_a(), self._tiles_pack_b()
        self.ahead = self._fetched_ahead()

        # Rows inside columns: a packed block of B then serves the next task as well.
        self.begin_tasks(self.batches * panel_blocks * row_blocks)
        self.declare_batch(f"task_ / {panel_blocks * row_blocks}")
        text.add(
            f"const long p_begin_ = task_ / {row_blocks} % {panel_blocks} * "
            f"{schedule.panel_block};",
            f"const long p_end_ = {minimum('p_begin_', schedule.panel_block, schedule.panels)};",
            f"const long m_begin_ = task_ % {row_blocks} * {schedule.row_block};",
            f"const long m_end_ = {minimum('m_begin_', schedule.row_block, self.m)};",
        )
        task = self.task or Task()
        if task.columns:
            text.add(f"const long columns_end_ = {task.columns};")
        text.add(f"const long inner_ = {task.inner or self.k};")
        text.add(
            f"for (long k_begin_ = 0; k_begin_ < inner_; k_begin_ += {self.depth}) {{",
            f"const long depth_ = {self.k} - k_begin_ < {self.depth} "
            f"? {self.k} - k_begin_ : {self.depth};",
        )
        self.used = "depth_"
        if task.inner:
            # What is packed may serve other tasks, which need more of it.
            text.add("const long used_ = inner_ - k_begin_ < depth_ ? inner_ - k_begin_ : depth_;")
            self.used = "used_"
        self._write_inner_tables()
        self._declare_ahead()
        if schedule.pack_b and not self.tiles_pack_b:
            self._write_pack_b(row_blocks)
        text.add(
            f"for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += {chunk}) {{",
            f"const long i_end_ = m_end_ - i_begin_ < {chunk} ? m_end_ : i_begin_ + {chunk};",
        )
        if schedule.pack_a:
            self._write_pack_a()
        self._write_panels()
        text.add("}", "}")
        if schedule.rest:
            write_rest(self, whole, f"p_end_ == {schedule.panels}")
        text.add("}")

    # Geometry

    def _panel_kinds(self) -> list[Panels]:
        """Panels from the left: narrow ones, wide ones, and the one at the edge.

        The edge has a wide one, of at least two vectors, so that its last can overlap.
        """
        panels, lanes = self.schedule.panels, self.lanes
        vectors = -(-self.n // lanes)
        wide = -(-vectors // panels)
        self.narrow = panels * wide - vectors
        missing = vectors * lanes - self.n
        assert panels == 1 or wide > 1 or not missing
        kinds = [
            Panels(0, self.narrow, wide - 1, (wide - 1) * lanes),
            Panels(self.narrow, panels - (missing > 0), wide, wide * lanes),
            Panels(panels - (missing > 0), panels, wide, wide * lanes - missing),
        ]
        return [kind for kind in kinds if kind.first < kind.end]

    def _panel_begin(self) -> str:
        """First column of panel p_."""
        wide = self.kinds[-1].vectors
        if not self.narrow:
            return f"p_ * {wide * self.lanes}"
        begin = f"p_ * {wide - 1} + (p_ > {self.narrow} ? p_ - {self.narrow} : 0)"
        return f"({begin}) * {self.lanes}"

    def _positions(self, kind: Panels) -> list[int]:
        """First column of each vector of a panel; the last one overlaps its neighbour."""
        positions = [j * self.lanes for j in range(kind.vectors)]
        positions[-1] = max(0, kind.width - self.lanes)
        return positions

    def _offsets_fit_int(self) -> bool:
        c = self.contraction
        axes = (*c.rows, *c.columns, *c.inner)
        reach = sum(axis.extent * max(abs(axis.a), abs(axis.b)) for axis in axes)
        return reach < 1 << 31

    # Scratch and tables

    def _declare_scratch(self) -> None:
        schedule = self.schedule
        a_inner, b_inner = a_spans(self.contraction.inner), b_spans(self.contraction.inner)
        self.a_table = not is_affine(a_inner)
        self.b_table = schedule.pack_b and not is_affine(b_inner)
        if self.a_table:
            self.reserve(self.index, "a_inner_", self.depth, 8)
        if self.b_table:
            self.reserve(self.index, "b_inner_", self.depth, 8)
        if schedule.pack_b:
            self.b_panel = self.depth * self.panel_width
            self.reserve(
                self.element, "b_packed_", self.b_panel * schedule.panel_block, self.itemsize
            )
            self.reserve(self.index, "columns_", self.panel_width, 8)
            self.reserve("long", "runs_", 3 * self.panel_width, 8)
        if schedule.pack_a:
            # A row more than a power of two apart from the next: no two in one cache set.
            rows = min(schedule.row_chunk, schedule.row_block)
            a_rows = a_spans(self.contraction.rows)
            self.a_by_rows = not (is_affine(a_rows) and has_unit_stride(a_rows))
            self.height = min(self.height, rows)
            # Strips of whole vectors, where tiles and chunk allow it: their copies are faster.
            self.a_width = lcm(self.height, self.lanes)
            if self.a_width > min(rows, 96):
                self.a_width = self.height
            strips = -(-rows // self.a_width)
            self.a_padded = -(-self.depth // 16) * 16 + 16
            self.a_strip = -(-self.depth * self.a_width // 16) * 16 + 16
            count = rows * self.a_padded if self.a_by_rows else strips * self.a_strip
            self.reserve(self.element, "a_packed_", count, self.itemsize)
        if not self.stores:
            # Between K blocks a whole task waits; else one tile is enough.
            rows, panels = max(schedule.tile_rows(kind.vectors) for kind in self.kinds), 1
            if self.blocks > 1:
                rows, panels = schedule.row_block, schedule.panel_block
            self.result_panel = rows * self.panel_width
            self.reserve(self.element, "results_", self.result_panel * panels, self.itemsize)

    def _write_inner_tables(self) -> None:
        """Offsets of the K block's elements, where an operand's are no multiple of a stride."""
        for wanted, spans, name in (
            (self.a_table, a_spans(self.contraction.inner), "a_inner_"),
            (self.b_table, b_spans(self.contraction.inner), "b_inner_"),
        ):
            if wanted:
                write_counting(self.text, spans, name, "k_begin_", "depth_")

    # Fetching

    def _fetched_ahead(self) -> dict[str, tuple[int, int]]:
        """Operands of whose next K block, which lies in one piece, each tile fetches a part as it
        multiplies: the stride along K, and how many elements for every two of K."""
        schedule, c = self.schedule, self.contraction
        if self.blocks == 1 or self.task or schedule.any_rows or self.zeros:
            return {}
        heights = [schedule.tile_rows(kind.vectors) for kind in self.kinds]
        tiles = schedule.panels * -(-self.m // max(heights))
        operands = {
            "a": (a_spans(c.rows), a_spans(c.inner), schedule.row_block >= self.m),
            "b": (b_spans(c.columns), b_spans(c.inner), schedule.panel_block >= schedule.panels),
        }
        found = {}
        for name, (outer, inner, whole) in operands.items():
            if not whole or not is_affine(outer) or not is_affine(inner) or outer[0].stride != 1:
                continue
            extent, elements = outer[0].extent, -(-2 * outer[0].extent // tiles)
            near = self.depth * extent * self.itemsize <= second_level_cache_bytes() // 4
            if inner[0].stride == extent and near and elements * self.itemsize <= LINE:
                found[name] = extent, elements
        return found

    def _declare_ahead(self) -> None:
        """Declare where the tiles of this K block fetch; the last one fetches what is at hand."""
        if not self.ahead:
            return
        self.text.add(
            f"const long ahead_ = k_begin_ + {self.depth} < {self.k} "
            f"? k_begin_ + {self.depth} : k_begin_;"
        )
        for name, (stride, _) in self.ahead.items():
            self.text.add(f"const {self.element} *{name}_next_ = {name}_ + ahead_ * {stride};")

    # Packing

    def _tiles_pack_a(self) -> bool:
        """Whether whole strips are packed by the tiles that read them first."""
        if not self.schedule.pack_a or self.a_by_rows or self.a_table:
            return False
        return not self.task and not self.schedule.any_rows and self.a_width % self.lanes == 0

    def _tiles_pack_b(self) -> bool:
        """Whether panels are packed by the first tile of each, which then has all its rows."""
        schedule, columns = self.schedule, b_spans(self.contraction.columns)
        if not schedule.pack_b or self.b_table or self.task or schedule.any_rows:
            return False
        copied = self.n >= self.lanes and is_affine(columns) and columns[0].stride == 1
        least = self.m % schedule.row_block or schedule.row_block
        whole = least >= max(schedule.tile_rows(kind.vectors) for kind in self.kinds)
        return copied and whole and self.b_panel * self.itemsize <= _NEAR

    def _write_pack_b(self, row_blocks: int) -> None:
        """Copy this K block of the task's panels, vector after vector along K."""
        text = self.text
        reused = row_blocks > 1 and self.blocks == 1
        if reused:
            fresh = self.task.fresh if self.task else "m_begin_ == 0 || task_ == first_"
            text.add(f"if ({fresh}) {{")
        text.add(
            "for (long p_ = p_begin_; p_ < p_end_; p_++) {",
            f"{self.element} *restrict packed_ = b_packed_ + (p_ - p_begin_) * {self.b_panel};",
            f"const long n_begin_ = {self._panel_begin()};",
        )
        columns, inner = b_spans(self.contraction.columns), b_spans(self.contraction.inner)
        whole = self.n >= self.lanes
        for index, kind in enumerate(self.kinds):
            self._begin_kind(index, kind)
            if whole and is_affine(columns) and columns[0].stride == 1:
                self._write_copied_panel(kind)
            else:
                self._write_column_table(kind)
                if inner[-1].stride == 1 and inner[-1].extent >= 4:
                    self._write_transposed_panel(kind)
                elif columns[-1].stride == 1 and columns[-1].extent >= 4:
                    self._write_panel_of_runs(kind)
                else:
                    self._write_gathered_panel(kind)
        text.add("}", "}")
        if reused:
            text.add("}")

    def _begin_kind(self, index: int, kind: Panels) -> None:
        """Open the branch of one kind of panel; the first closes nothing."""
        head = "" if index == 0 else "} else "
        if index == len(self.kinds) - 1:
            self.text.add(f"{head}{{")
        else:
            self.text.add(f"{head}if (p_ < {kind.end}) {{")

    def _b_source(self, k: str) -> str:
        if self.b_table:
            return f"b_ + b_inner_[{k}]"
        stride = b_spans(self.contraction.inner)[0].stride
        return f"b_ + (k_begin_ + {k}) * {stride}"

    def _write_copied_panel(self, kind: Panels) -> None:
        vector = self.helpers.vector(self.contraction.dtype, self.lanes)
        self.text.add(
            "for (long k_ = 0; k_ < depth_; k_++) {",
            f"const {self.element} *source_ = {self._b_source('k_')} + n_begin_;",
            f"{self.element} *target_ = packed_ + k_ * {kind.vectors * self.lanes};",
        )
        for j, position in enumerate(self._positions(kind)):
            self.text.add(
                f"*({vector} *)(target_ + {j * self.lanes}) = "
                f"*(const {vector}u *)(source_ + {position});"
            )
        self.text.add("}")

    def _write_column_table(self, kind: Panels) -> None:
        """Offsets of the panel's columns as packed: overlapping, or the last one repeated."""
        total = kind.vectors * self.lanes
        if self.n < self.lanes:
            number = f"j_ < {self.n} ? j_ : {self.n - 1}"
        else:
            whole = total - self.lanes
            number = f"n_begin_ + (j_ < {whole} ? j_ : j_ - {total - kind.width})"
        spans = b_spans(self.contraction.columns)
        unsigned = "unsigned" if self.index == "int" else "long"
        self.text.add(
            f"for (long j_ = 0; j_ < {total}; j_++) {{",
            f"const {unsigned} n_ = {number};",
            f"columns_[j_] = {_cast_offset(spans, 'n_', self.index)};",
            "}",
        )

    def _write_transposed_panel(self, kind: Panels) -> None:
        """Squares of K x columns through registers; K runs shorter than a square overlap."""
        text, stride = self.text, kind.vectors * self.lanes
        run = b_spans(self.contraction.inner)[-1].extent
        if is_affine(b_spans(self.contraction.inner)):
            run = self.depth
        side = self.lanes
        while side > run:
            side //= 2
        transpose = transpose_function(self.helpers, self.contraction.dtype, side)
        if side < 2 or self.index != "int":
            return self._write_gathered_panel(kind)
        extent = b_spans(self.contraction.inner)[-1].extent
        # A run ends where the innermost axis does, or with the K block.
        text.add(
            "for (long k_ = 0; k_ < depth_;) {",
            f"long run_ = {extent} - (k_begin_ + k_) % {extent};",
            "run_ = run_ < depth_ - k_ ? run_ : depth_ - k_;",
            f"const {self.element} *source_ = {self._b_source('k_')};",
            f"{self.element} *target_ = packed_ + k_ * {stride};",
            f"for (long at_ = 0; at_ < run_; at_ += {side}) {{",
            f"if (run_ < {side}) {{",
            "for (long i_ = 0; i_ < run_; i_++) {",
            f"for (long j_ = 0; j_ < {stride}; j_++) {{",
            f"target_[i_ * {stride} + j_] = source_[columns_[j_] + i_];",
            "}",
            "}",
            "break;",
            "}",
            f"if (at_ > run_ - {side}) {{",
            f"at_ = run_ - {side};",
            "}",
            f"for (long j_ = 0; j_ < {stride}; j_ += {side}) {{",
            f"{transpose}(source_ + at_, columns_ + j_, target_ + at_ * {stride} + j_, {stride});",
            "}",
            "}",
            "k_ += run_;",
            "}",
        )
        return None

    def _write_panel_of_runs(self, kind: Panels) -> None:
        """Whole vectors for each run of neighbouring columns; the next run covers the excess."""
        text, lanes = self.text, self.lanes
        total = kind.vectors * lanes
        vector = self.helpers.vector(self.contraction.dtype, lanes)
        text.add(
            "long run_count_ = 0, run_end_ = 0;",
            f"for (long j_ = 0; j_ < {total if self.n >= lanes else self.n}; j_++) {{",
            "if (j_ == run_end_ || columns_[j_] != columns_[j_ - 1] + 1) {",
            "runs_[run_count_++] = j_;",
            f"run_end_ = j_ + {lanes};",
            "}",
            "}",
            "long highest_ = 0;",
            f"for (long j_ = 0; j_ < {total}; j_++) {{",
            "highest_ = columns_[j_] > highest_ ? columns_[j_] : highest_;",
            "}",
        )
        c = self.contraction
        last = reach(c.columns, "b") + reach(c.inner, "b") + reach(c.batch, "b")
        last += c.b_offset
        text.add(
            "for (long k_ = 0; k_ < depth_; k_++) {",
            f"const {self.element} *source_ = {self._b_source('k_')};",
            f"{self.element} *target_ = packed_ + k_ * {total};",
            # Past a run, reading stops at the operand's end and writing at the panel's.
            f"if (source_ + highest_ + {lanes} <= {self.b} + {last + 1} && k_ + 1 < depth_) {{",
            "for (long r_ = 0; r_ < run_count_; r_++) {",
            f"*({vector}u *)(target_ + runs_[r_]) = "
            f"*(const {vector}u *)(source_ + columns_[runs_[r_]]);",
            "}",
            "} else {",
            f"for (long j_ = 0; j_ < {total}; j_++) {{",
            "target_[j_] = source_[columns_[j_]];",
            "}",
            "}",
            "}",
        )

    def _write_gathered_panel(self, kind: Panels) -> None:
        total = kind.vectors * self.lanes
        self.text.add(
            "for (long k_ = 0; k_ < depth_; k_++) {",
            f"const {self.element} *source_ = {self._b_source('k_')};",
            f"for (long j_ = 0; j_ < {total}; j_++) {{",
            f"packed_[k_ * {total} + j_] = source_[columns_[j_]];",
            "}",
            "}",
        )

    def _write_pack_a(self) -> None:
        """Copy the chunk's rows of A, or its columns where those are contiguous."""
        c, text = self.contraction, self.text
        rows, inner = a_spans(c.rows), a_spans(c.inner)
        k_offset = "a_inner_[k_]" if self.a_table else f"(k_begin_ + k_) * {inner[0].stride}"
        if self.a_by_rows:
            text.add(
                "for (long m_ = i_begin_; m_ < i_end_; m_++) {",
                f"const {self.element} *source_ = a_ + ({offset_expression(rows, 'm_')});",
                f"{self.element} *target_ = a_packed_ + (m_ - i_begin_) * {self.a_padded};",
                "for (long k_ = 0; k_ < depth_; k_++) {",
                f"target_[k_] = source_[{k_offset}];",
                "}",
                "}",
            )
            return
        # Strips of one or more register tiles, each contiguous.
        width = self.a_width
        if self.tiles_pack_a:
            self._write_rest_of_a(k_offset)
            return
        text.add(
            "for (long k_ = 0; k_ < depth_; k_++) {",
            f"const {self.element} *source_ = a_ + {k_offset} + i_begin_;",
            f"{self.element} *target_ = a_packed_ + k_ * {width};",
            "long m_ = 0;",
            f"for (; m_ + {width} <= i_end_ - i_begin_; m_ += {width}) {{",
            f"__builtin_memcpy(target_, source_ + m_, {width * self.itemsize});",
            f"target_ += {self.a_strip};",
            "}",
            "for (long j_ = 0; m_ + j_ < i_end_ - i_begin_; j_++) {",
            "target_[j_] = source_[m_ + j_];",
            "}",
            "}",
        )

    def _write_rest_of_a(self, k_offset: str) -> None:
        """Copy the rows of the chunk that are no whole strip, where there are any."""
        schedule, width = self.schedule, self.a_width
        blocks = {min(schedule.row_block, self.m), self.m % schedule.row_block}
        if not any(rows % schedule.row_chunk % width for rows in blocks):
            return
        self.text.add(
            f"const long rest_ = (i_end_ - i_begin_) % {width};",
            "for (long k_ = 0; k_ < (rest_ ? depth_ : 0); k_++) {",
            f"const {self.element} *source_ = a_ + {k_offset} + i_end_ - rest_;",
            f"{self.element} *target_ = a_packed_ + (i_end_ - i_begin_) / {width} * "
            f"{self.a_strip} + k_ * {width};",
            "for (long j_ = 0; j_ < rest_; j_++) {",
            "target_[j_] = source_[j_];",
            "}",
            "}",
        )

    # Multiplying

    def _a_strides(self) -> tuple[int, int]:
        if self.schedule.pack_a:
            return (self.a_padded, 1) if self.a_by_rows else (1, self.a_width)
        rows, inner = a_spans(self.contraction.rows), a_spans(self.contraction.inner)
        return rows[0].stride, inner[0].stride

    def _write_panels(self) -> None:
        text = self.text
        text.add(
            "for (long p_ = p_begin_; p_ < p_end_; p_++) {",
            f"const long n_begin_ = {self._panel_begin()};",
        )
        if self.task and self.task.columns:
            text.add("if (n_begin_ >= columns_end_) {", "break;", "}")
        a_row, a_inner = self._a_strides()
        if self.schedule.pack_a:
            text.add(f"const {self.element} *restrict a_chunk_ = a_packed_;")
        else:
            text.add(
                f"const {self.element} *restrict a_chunk_ = "
                f"a_ + i_begin_ * {a_row} + k_begin_ * {a_inner};"
            )
        if self.schedule.pack_b:
            panel = f"b_packed_ + (p_ - p_begin_) * {self.b_panel}"
        else:
            inner, columns = b_spans(self.contraction.inner), b_spans(self.contraction.columns)
            start = "n_begin_" if is_affine(columns) else f"p_ * {columns[0].stride}L"
            panel = f"b_ + k_begin_ * {inner[0].stride} + {start}"
        text.add(f"const {self.element} *restrict panel_ = {panel};")
        c_row = self._declare_target()
        text.add("for (long i_ = i_begin_, rows_; i_ < i_end_; i_ += rows_) {")
        target = "target_"
        if self.stores or self.blocks > 1:
            target += f" + (i_ - i_begin_) * {c_row}"
        self.meets = [] if self.stores else self._declare_places()
        for index, kind in enumerate(self.kinds):
            self._begin_kind(index, kind)
            self._write_row_tile(kind, (a_row, a_inner), target, c_row)
        text.add("}")
        if not self.stores:
            self._write_consumption(target, c_row)
        text.add("}", "}")

    def _declare_places(self) -> list[bool]:
        """Declare where what the tile's sums will meet lies, which may be far away and is fetched
        meanwhile, and how far it is from row to row: for each such place, whether it is written."""
        met = list(enumerate(self.epilogue.met))
        if not met:
            return []
        self.text.add(
            "long m_ = i_, n_ = n_begin_;",
            *[f"const char *place{i}_ = (const char *)(&{place});" for i, (place, _) in met],
            "m_++;",
            *[
                f"const long step{i}_ = (const char *)(&{place}) - place{i}_;"
                for i, (place, _) in met
            ],
        )
        return [written for _, (_, written) in met]

    def _write_consumption(self, target: str, c_row: int) -> None:
        """Hand on the finished sums of a row of tiles, which are still in the first-level cache."""
        text = self.text
        width = str(self.kinds[-1].width)
        for kind in reversed(self.kinds[:-1]):
            width = f"(p_ < {kind.end} ? {kind.width} : {width})"
        if self.blocks > 1:
            text.add("if (k_begin_ + depth_ < inner_) {", "continue;", "}")
        text.add(
            f"const long n_end_ = n_begin_ + {width};",
            "for (long m_ = i_; m_ < i_ + rows_; m_++) {",
            f"const {self.element} *row_ = {target} + (m_ - i_) * {c_row} - n_begin_;",
        )
        self.consume("n_begin_", "n_end_", "row_[n_]")
        text.add("}")

    def _declare_target(self) -> int:
        """Declare target_, where the chunk's sums of this panel go; return its row stride."""
        if self.stores:
            assert self.output is not None
            place = element_of(self.output, "batch_", "i_begin_", "n_begin_")
            self.text.add(f"{self.element} *target_ = &{place};")
            return self.output.row_stride
        place = "results_"
        if self.blocks > 1:
            place += f" + (p_ - p_begin_) * {self.result_panel}"
            place += f" + (i_begin_ - m_begin_) * {self.panel_width}"
        self.text.add(f"{self.element} *target_ = {place};")
        return self.panel_width

    def _write_row_tile(
        self, kind: Panels, a_strides: tuple[int, int], target: str, c_row: int
    ) -> None:
        """Set rows_ and multiply the tile of so many rows at i_."""
        schedule, text = self.schedule, self.text
        height = schedule.tile_rows(kind.vectors)
        if not schedule.any_rows:
            height = min(height, self.m)
        a_chunk = f"a_chunk_ + (i_ - i_begin_) * {a_strides[0]}"
        if schedule.pack_a and not self.a_by_rows:
            height, width = self.height, self.a_width
            a_chunk = f"a_chunk_ + (i_ - i_begin_) / {width} * {self.a_strip}"
            if width > height or schedule.any_rows:
                a_chunk += f" + (i_ - i_begin_) % {width}"
        b_inner = kind.vectors * self.lanes
        if not schedule.pack_b:
            b_inner = b_spans(self.contraction.inner)[0].stride
        edges = {
            min(schedule.row_block, self.m) % schedule.row_chunk % height,
            self.m % schedule.row_block % schedule.row_chunk % height,
        } - {0}

        def call(rows: int, packs_a: bool = False, packs_b: bool = False) -> str:
            a_from, (a_row, a_inner), b_from, b_row = a_chunk, a_strides, "panel_", b_inner
            packed, used = "", self.used
            if self.zeros and not packs_a and not packs_b:
                used = "needed_ - skipped_"
                a_from += f" + skipped_ * {a_inner}"
                b_from += f" + skipped_ * {b_row}"
            if packs_a:
                a_row, a_inner = 1, a_spans(self.contraction.inner)[0].stride
                a_from = f"a_ + k_begin_ * {a_inner} + i_"
                packed += f", ({self.element} *)({a_chunk})"
            if packs_b:
                b_row = b_spans(self.contraction.inner)[0].stride
                b_from = f"b_ + k_begin_ * {b_row} + n_begin_"
                packed += f", ({self.element} *)panel_"
            packed += "".join([f", {operand}_next_" for operand in self.ahead])
            packed += "".join([f", place{i}_, step{i}_" for i in range(len(self.meets))])
            name = tile_function(
                self.helpers,
                self.contraction.dtype,
                self.lanes,
                rows,
                self._positions(kind),
                min(self.lanes, self.n) if self.stores else self.lanes,
                (a_row, a_inner, b_row, c_row),
                packs_b or not schedule.pack_b,
                ahead=[elements for _, elements in self.ahead.values()],
                awaited=self.stores and self.task is None,
                meets=self.meets,
                packs_a=self.a_width if packs_a else 0,
                packs_b=packs_b,
            )
            return f"{name}({a_from}, {b_from}, {target}, {used}, k_begin_ == 0{packed});"

        if schedule.any_rows:
            edges = {rows for rows in (1, 2, 4, 8) if rows < height}
            least = "".join([f"i_end_ - i_ >= {n} ? {n} : " for n in sorted(edges)[:0:-1]]) + "1"
            text.add(f"rows_ = i_end_ - i_ >= {height} ? {height} : {least};")
        else:
            text.add(f"rows_ = i_end_ - i_ < {height} ? i_end_ - i_ : {height};")
        self._write_needed()
        head = ""
        for packs_a, packs_b, condition in self._packing_tiles(kind):
            text.add(f"{head}if ({condition}) {{", call(height, packs_a, packs_b))
            head = "} else "
        text.add(f"{head}if (rows_ == {height}) {{", call(height))
        for rows in sorted(edges):
            text.add(f"}} else if (rows_ == {rows}) {{", call(rows))
        text.add("}")
        for operand, (_, elements) in self.ahead.items():
            text.add(f"{operand}_next_ += {elements * (self.depth // 2)};")

    def _write_needed(self) -> None:
        """Declare how much of the K block a tile skips, and where what it needs ends: before its
        first row's number, or after its last one's, A may be 0."""
        if not self.zeros:
            return
        limit = "i_ - k_begin_" if self.zeros == "before" else "i_ + rows_ - k_begin_"
        limited = f"{limit} < 0 ? 0 : {limit} < {self.used} ? {limit} : {self.used}"
        skipped, needed = ("0", limited) if self.zeros == "after" else (limited, self.used)
        self.text.add(f"const long skipped_ = {skipped};", f"const long needed_ = {needed};")

    def _packing_tiles(self, kind: Panels) -> Iterator[tuple[bool, bool, str]]:
        """Which tiles of such panels pack what they read of A and of B, in the order of tests."""
        row_blocks = -(-self.m // self.schedule.row_block)
        of_panel = "i_ == m_begin_"
        if row_blocks > 1 and self.blocks == 1:  # else the panel serves the next task too
            of_panel += " && (m_begin_ == 0 || task_ == first_)"
        first = any(p % self.schedule.panel_block == 0 for p in range(kind.first, kind.end))
        of_strip = ""
        if self.tiles_pack_a and first:
            width = self.a_width
            of_strip = f"p_ == p_begin_ && (i_ - i_begin_) % {width} == 0 && i_end_ - i_ >= {width}"
        if of_strip and self.tiles_pack_b:
            yield True, True, f"{of_strip} && {of_panel}"
        if self.tiles_pack_b:
            yield False, True, of_panel
        if of_strip:
            yield True, False, of_strip


def _cast_offset(spans: Sequence[Span], number: str, index: str) -> str:
    """The offset in the table's type: unsigned division is cheap, strides may be negative."""
    if index != "int":
        return offset_expression(spans, number)
    terms = []
    below = 1
    for position, span in reversed(list(enumerate(spans))):
        modulo = f" % {span.extent}u" if position else ""
        terms.append(f"(int)({number} / {below}u{modulo}) * {span.stride}")
        below *= span.extent
    return " + ".join(reversed(terms))
