"""A contraction of bfloat16 operands on a processor's matrix units: AMX tiles, or the products of
pairs of AVX-512.

Operands are packed in squares of 32 x 32 (matrix_unit_packing.py), or A is read in place; a block
of 32 x 32 sums is computed at a time (matrix_unit_blocks.py) and handed on. Where a strip of A
passes many panels of B, the next strip is copied meanwhile: in place, rows share cache sets.
Products are exact and sums in float32; the processor takes subnormal operands for zeros, and makes
subnormal sums zeros.
"""

from __future__ import annotations

from codegen.render.contraction_form import Form, minimum
from codegen.render.matrix_unit_blocks import (
    PACKED,
    Copies,
    StripLayout,
    block_function,
    in_place,
)
from codegen.render.matrix_unit_packing import SIDE, SQUARE, Packing

# So many squares of a strip of A stay in the first-level cache while panels of B pass.
_SQUARES_OF_A = 20
# The most lines of a strip that are copied beside the products of a square.
_LINES_COPIED = 4
# Palette 1: eight tiles of 16 rows of 64 bytes.
_CONFIGURATION = """\
static const unsigned char @[64] __attribute__((aligned(64))) = {
    1, [16] = 64, [18] = 64, [20] = 64, [22] = 64, [24] = 64, [26] = 64, [28] = 64, [30] = 64,
    [48] = 16, 16, 16, 16, 16, 16, 16, 16,
};
"""


class MatrixUnits(Form):
    """Blocks of 32 x 32 sums over packed operands."""

    def write(self) -> None:
        schedule, text = self.schedule, self.text
        c, depth = self.contraction, schedule.depth
        self.blocks = -(-self.k // depth)
        square_depth = -(-depth // SIDE) * SIDE
        self.pack_a = Packing(self.helpers, "a", c.rows, c.inner, self.m, self.k)
        self.pack_b = Packing(self.helpers, "b", c.columns, c.inner, self.n, self.k)
        self.copies = self._copies()
        strips = 2 if self.copies else 1  # at hand
        for packing, panels in ((self.pack_a, strips), (self.pack_b, schedule.panel_block)):
            name, count = f"{packing.name}_packed_", panels * square_depth * SIDE
            self.reserve("unsigned short", name, count, 2)
            for element, table, size, itemsize in packing.scratch(depth):
                self.reserve(element, table, size, itemsize)
        # Sums wait in scratch: a task's between K blocks, a strip's between those of A.
        several = self.blocks > 1
        strips = -(-schedule.row_block // SIDE) if several else 1
        steps = square_depth // SIDE
        part = -(-steps // -(-steps // _SQUARES_OF_A))
        in_parts = part < steps
        held = schedule.panel_block if several or in_parts else 1
        self.reserve("float", "results_", strips * held * SQUARE, 4)

        row_blocks = -(-self.m // schedule.row_block)
        panel_blocks = -(-schedule.panels // schedule.panel_block)
        reused = (row_blocks > 1 or schedule.any_rows) and self.blocks == 1
        if schedule.unit == "amx":
            configuration = self.helpers.add("tile_configuration", _CONFIGURATION)
            text.add(f'__asm__ volatile("ldtilecfg %0" :: "m"({configuration}) : "memory");')
        # Rows inside columns: a packed block of B then serves the next task as well.
        self.begin_tasks(self.batches * panel_blocks * row_blocks)
        self.declare_batch(f"task_ / {panel_blocks * row_blocks}")
        text.add(
            f"const long p_begin_ = task_ / {row_blocks} % {panel_blocks} * "
            f"{schedule.panel_block};",
            f"const long p_end_ = {minimum('p_begin_', schedule.panel_block, schedule.panels)};",
            f"const long m_begin_ = task_ % {row_blocks} * {schedule.row_block};",
            f"const long m_end_ = {minimum('m_begin_', schedule.row_block, self.m)};",
            f"for (long k_begin_ = 0; k_begin_ < {self.k}; k_begin_ += {depth}) {{",
            f"const long depth_ = {self.k} - k_begin_ < {depth} ? {self.k} - k_begin_ : {depth};",
            f"const long steps_ = (depth_ + {SIDE - 1}) / {SIDE};",
        )
        if reused:
            text.add("if (m_begin_ == 0 || task_ == first_) {")
        self.pack_b.write_inner_tables(text)
        first, last = f"p_begin_ * {SIDE}", f"p_end_ * {SIDE}"
        self.pack_b.write_panels(text, first, last, "b_packed_", square_depth)
        panel = f"b_packed_ + (p_ - p_begin_) * {square_depth * SIDE}"
        if reused:
            text.add("}")
        self.pack_a.write_inner_tables(text)
        # A strip of A is packed just before it is used, and passes all panels of B.
        text.add(f"for (long i_ = m_begin_; i_ < m_end_; i_ += {SIDE}) {{")
        self._write_pack_a(square_depth)
        if in_parts:
            text.add(f"for (long s_ = 0; s_ < steps_; s_ += {part}) {{")
            text.add(f"const long some_ = steps_ - s_ < {part} ? steps_ - s_ : {part};")
        else:
            text.add("const long s_ = 0, some_ = steps_;")
        text.add("for (long p_ = p_begin_; p_ < p_end_; p_++) {")
        place = "results_"
        if held > 1:
            place += f" + (p_ - p_begin_) * {SQUARE}"
        if several:
            place += f" + (i_ - m_begin_) * {SIDE * schedule.panel_block}"
        text.add(f"float *restrict sums_ = {place};")
        self._write_products(f"{panel} + s_ * {SQUARE}")
        if in_parts:
            text.add("if (s_ + some_ < steps_) {", "continue;", "}")
        if several:
            text.add(f"if (k_begin_ + depth_ < {self.k}) {{", "continue;", "}")
        text.add(
            f"const long n_begin_ = p_ * {SIDE};",
            f"const long n_end_ = {minimum('n_begin_', SIDE, self.n)};",
            f"const long i_last_ = {minimum('i_', SIDE, self.m)};",
            "for (long m_ = i_; m_ < i_last_; m_++) {",
            f"const float *restrict row_ = sums_ + (m_ - i_) * {SIDE} - n_begin_;",
        )
        if self.n % SIDE:
            text.add(f"if (n_end_ - n_begin_ < {SIDE}) {{")
            self.consume("n_begin_", "n_end_", "row_[n_]")
            text.add("continue;", "}")
        # A known number of columns makes whole vectors of them, without a loop for what is left.
        self.consume("n_begin_", f"n_begin_ + {SIDE}", "row_[n_]")
        text.add(*["}"] * (6 if in_parts else 5))
        if schedule.unit == "amx":
            text.add('__asm__ volatile("tilerelease" ::: "memory");')

    def _stride_in_place(self) -> int:
        """Elements from a row of A to the next where whole strips are read in place; else 0."""
        few = self.m < SIDE and not self.schedule.any_rows
        return 0 if self.k % SIDE or few else self.pack_a.row_stride

    def _copies(self) -> Copies | None:
        """How the next strip of A is copied where one is read in place otherwise, if it is."""
        stride, panels = self._stride_in_place(), self.schedule.panel_block
        lines = -(-SIDE // (self.schedule.panels % panels or panels))
        few = lines <= _LINES_COPIED and self.schedule.row_block > SIDE
        return Copies(stride, lines) if stride and few and self.schedule.unit == "amx" else None

    def _has_rest(self) -> bool:
        """Whether a strip has to be provided for that has fewer than 32 rows."""
        return self.m % SIDE != 0 or self.schedule.any_rows

    def _write_pack_a(self, depth: int) -> None:
        strip, conditions = "a_packed_", []
        if self._stride_in_place() and self._has_rest():
            conditions.append(f"{self.m} - i_ < {SIDE}")
        if self.copies:
            turn, size = f"(i_ - m_begin_) / {SIDE} % 2", depth * SIDE
            following = f"i_ + (i_ + {2 * SIDE} <= m_end_ ? {SIDE} : 0)"
            self.text.add(
                f"unsigned short *restrict strip_ = a_packed_ + {turn} * {size};",
                f"unsigned short *restrict next_strip_ = a_packed_ + (1 - {turn}) * {size};",
                "const unsigned short *restrict next_ = "
                f"a_ + {self.pack_a.row_offset(f'({following})')} + k_begin_;",
            )
            strip = "strip_"
            conditions.append("i_ == m_begin_")
        if self._stride_in_place() and not conditions:
            return
        if conditions:
            self.text.add(f"if ({' || '.join(conditions)}) {{")
        self.pack_a.write_panels(self.text, "i_", f"i_ + {SIDE}", strip, depth)
        if conditions:
            self.text.add("}")

    def _write_products(self, panel: str) -> None:
        """Call the function for as many tiles as the block has."""
        half, unit, stride = SIDE // 2, self.schedule.unit, self._stride_in_place()
        # (condition, layout, tiles, place of A, what it copies), the last without a condition.
        strips: list[tuple[str, StripLayout, int, str, str]] = []
        packed, whole = f"a_packed_ + s_ * {SQUARE}", f"{self.m} - i_ >= {SIDE}"
        if self.copies:
            packed = f"strip_ + s_ * {SQUARE}"
            line = f"(p_ - p_begin_) * {self.copies.lines}"
            last = SIDE - self.copies.lines
            if self.schedule.panel_block * self.copies.lines > SIDE:
                line = f"({line} < {last} ? {line} : {last})"
            source = f"next_ + {line} * {stride} + s_ * {SIDE}"
            target = f"next_strip_ + {line} * {SIDE} + s_ * {SQUARE}"
            strips.append((whole, PACKED, 2, packed, f", {source}, {target}"))
        elif stride:
            place = f"a_ + {self.pack_a.row_offset('i_')} + k_begin_ + s_ * {SIDE}"
            strips.append((whole, in_place(stride), 2, place, ""))
        if not stride or self._has_rest():
            any_rows = self.schedule.any_rows
            if any_rows or 0 < self.m % SIDE <= half:
                strips.append((f"{self.m} - i_ <= {half}", PACKED, 1, packed, ""))
            if any_rows or not stride or self.m % SIDE > half:
                strips.append(("1", PACKED, 2, packed, ""))
        widths = [("1", 2)]
        if 0 < self.n % SIDE <= half:
            widths.insert(0, (f"{self.n} - p_ * {SIDE} <= {half}", 1))
        head = ""
        for strip_is, layout, rows, place, copied in strips:
            for panel_is, columns in widths:
                copies = self.copies if copied else None
                function = block_function(self.helpers, unit, layout, rows, columns, copies)
                self.text.add(
                    f"{head}if ({strip_is} && {panel_is}) {{",
                    f"{function}({place}, {panel}, sums_, some_, k_begin_ + s_ == 0{copied});",
                )
                head = "} else "
        self.text.add("}")
