"""A contraction of bfloat16 operands on a processor's matrix units: AMX tiles, or the products of
pairs of AVX-512.

Both operands are packed in squares of 32 x 32 (matrix_unit_packing.py); a block of 32 x 32 sums is
computed at a time and handed on. Products are exact and sums in float32; the processor takes
subnormal operands for zeros, and makes subnormal sums zeros.
"""

from __future__ import annotations

from codegen.render.contraction_form import Form, Text, minimum, static_function
from codegen.render.matrix_unit_packing import SIDE, SQUARE, TILE, Packing

# So much of a strip of A stays in the first-level cache while panels of B pass.
_DEPTH_OF_A = 256
# Palette 1: eight tiles of 16 rows of 64 bytes.
_CONFIGURATION = """\
static const unsigned char @[64] __attribute__((aligned(64))) = {
    1, [16] = 64, [18] = 64, [20] = 64, [22] = 64, [24] = 64, [26] = 64, [28] = 64, [30] = 64,
    [48] = 16, 16, 16, 16, 16, 16, 16, 16,
};
"""
_BLOCK = (
    "@(const unsigned short *restrict a, const unsigned short *restrict b, float *restrict c, "
    "long steps, long first)"
)


class MatrixUnits(Form):
    """Blocks of 32 x 32 sums over packed operands."""

    def write(self) -> None:
        schedule, text = self.schedule, self.text
        c, depth = self.contraction, schedule.depth
        self.blocks = -(-self.k // depth)
        square_depth = -(-depth // SIDE) * SIDE
        self.pack_a = Packing(self.helpers, "a", c.rows, c.inner, self.m, self.k)
        self.pack_b = Packing(self.helpers, "b", c.columns, c.inner, self.n, self.k)
        for packing, panels in ((self.pack_a, 1), (self.pack_b, schedule.panel_block)):
            name, count = f"{packing.name}_packed_", panels * square_depth * SIDE
            self.reserve("unsigned short", name, count, 2)
            for element, table, size, itemsize in packing.scratch(depth):
                self.reserve(element, table, size, itemsize)
        # Sums wait in scratch: a task's between K blocks, a strip's between those of A.
        strips = -(-schedule.row_block // SIDE) if self.blocks > 1 else 1
        in_parts = square_depth > _DEPTH_OF_A
        held = schedule.panel_block if strips > 1 or in_parts else 1
        self.reserve("float", "results_", strips * held * SQUARE, 4)

        row_blocks = -(-self.m // schedule.row_block)
        panel_blocks = -(-schedule.panels // schedule.panel_block)
        reused = row_blocks > 1 and self.blocks == 1
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
        text.add("for (long p_ = p_begin_; p_ < p_end_; p_++) {", f"const long n_ = p_ * {SIDE};")
        panel = f"b_packed_ + (p_ - p_begin_) * {square_depth * SIDE}"
        self.pack_b.write_panel(text, "n_", panel)
        text.add("}")
        if reused:
            text.add("}")
        self.pack_a.write_inner_tables(text)
        # A strip of A is packed just before it is used, and passes all panels of B.
        text.add(f"for (long i_ = m_begin_; i_ < m_end_; i_ += {SIDE}) {{")
        self.pack_a.write_panel(text, "i_", "a_packed_")
        if in_parts:
            part = _DEPTH_OF_A // SIDE
            text.add(f"for (long s_ = 0; s_ < steps_; s_ += {part}) {{")
            text.add(f"const long some_ = steps_ - s_ < {part} ? steps_ - s_ : {part};")
        else:
            text.add("const long s_ = 0, some_ = steps_;")
        text.add("for (long p_ = p_begin_; p_ < p_end_; p_++) {")
        place = "results_"
        if held > 1:
            place += f" + (p_ - p_begin_) * {SQUARE}"
        if strips > 1:
            place += f" + (i_ - m_begin_) * {SIDE * schedule.panel_block}"
        text.add(f"float *restrict sums_ = {place};")
        self._write_products(panel)
        if in_parts:
            text.add("if (s_ + some_ < steps_) {", "continue;", "}")
        if self.blocks > 1:
            text.add(f"if (k_begin_ + depth_ < {self.k}) {{", "continue;", "}")
        text.add(
            f"const long n_begin_ = p_ * {SIDE};",
            f"const long n_end_ = {minimum('n_begin_', SIDE, self.n)};",
            f"const long i_last_ = {minimum('i_', SIDE, self.m)};",
            "for (long m_ = i_; m_ < i_last_; m_++) {",
            f"const float *restrict row_ = sums_ + (m_ - i_) * {SIDE} - n_begin_;",
        )
        self.consume("m_", "n_begin_", "n_end_", "row_[n_]")
        text.add(*["}"] * (6 if in_parts else 5))
        if schedule.unit == "amx":
            text.add('__asm__ volatile("tilerelease" ::: "memory");')

    def _write_products(self, panel: str) -> None:
        """Call the function for as many tiles as the block has."""
        half = SIDE // 2
        shapes = [(2, 2)]
        conditions = {(2, 2): ""}
        if 0 < self.m % SIDE <= half:
            conditions[1, 2] = f"{self.m} - i_ <= {half}"
        if 0 < self.n % SIDE <= half:
            conditions[2, 1] = f"{self.n} - p_ * {SIDE} <= {half}"
        if len(conditions) == 3:
            conditions[1, 1] = f"{conditions[1, 2]} && {conditions[2, 1]}"
        shapes = sorted(conditions, key=lambda shape: shape[0] * shape[1])
        for index, shape in enumerate(shapes):
            head = "" if index == 0 else "} else "
            condition = conditions[shape]
            self.text.add(f"{head}if ({condition}) {{" if condition else f"{head}{{")
            function = self._block_function(*shape)
            self.text.add(
                f"{function}(a_packed_ + s_ * {SQUARE}, {panel} + s_ * {SQUARE}, sums_, some_, "
                "k_begin_ + s_ == 0);"
            )
        self.text.add("}")

    def _block_function(self, rows: int, columns: int) -> str:
        if self.schedule.unit == "amx":
            return self._tile_function(rows, columns)
        return self._pair_function(rows, columns)

    def _tile_function(self, rows: int, columns: int) -> str:
        """Sums in tiles 0 to 3, A in 4 and 5, B in 6 and 7."""
        text = Text()
        tiles = [(i, j) for i in range(rows) for j in range(columns)]

        def memory(name: str, place: str, tile: int) -> None:
            operands = (
                f"(%0,%1,1), %%tmm{tile}" if name == "tileloadd" else f"%%tmm{tile}, (%0,%1,1)"
            )
            stride = 4 * SIDE if place.startswith("c") else 64
            text.add(
                f'__asm__ volatile("{name} {operands}" :: "r"({place}), "r"({stride}L) : "memory");'
            )

        text.add("if (first) {")
        for i, j in tiles:
            text.add(f'__asm__ volatile("tilezero %%tmm{2 * i + j}" ::);')
        text.add("} else {")
        for i, j in tiles:
            memory("tileloadd", f"c + {i * 16 * SIDE + j * 16}", 2 * i + j)
        text.add("}", "for (; steps > 0; steps--) {")
        for j in range(columns):
            memory("tileloadd", f"b + {j * TILE}", 6 + j)
        for i in range(rows):
            memory("tileloadd", f"a + {i * TILE}", 4 + i)
            for j in range(columns):
                tiles_of = f"%%tmm{6 + j}, %%tmm{4 + i}, %%tmm{2 * i + j}"
                text.add(f'__asm__ volatile("tdpbf16ps {tiles_of}" ::);')
        text.add(f"a += {SQUARE};", f"b += {SQUARE};", "}")
        for i, j in tiles:
            memory("tilestored", f"c + {i * 16 * SIDE + j * 16}", 2 * i + j)
        return self.helpers.add(f"tiles{rows}x{columns}", static_function(_BLOCK, text))

    def _pair_function(self, rows: int, columns: int) -> str:
        """Eight rows at a time; a pair of A's elements in all lanes times 16 pairs of B's."""
        vector = self.helpers.vector(self.contraction.dtype, 16)
        text, height = Text(), 8
        text.add(f"for (long i = 0; i < {rows * 16}; i += {height}) {{")
        for i in range(height):
            for j in range(columns):
                place = f"c + (i + {i}) * {SIDE} + {j * 16}"
                text.add(f"{vector} c{i}_{j} = {{0}};")
                text.add(f"if (!first) c{i}_{j} = *(const {vector} *)({place});")
        text.add(
            f"const unsigned short *restrict x = a + i * {SIDE};",
            "const unsigned short *restrict y = b;",
            f"for (long k = 0; k < steps; k++, x += {SQUARE}, y += {SQUARE}) {{",
            f"for (long pair = 0; pair < {SIDE // 2}; pair++) {{",
        )
        for j in range(columns):
            place = f"y + {j * TILE} + pair * {SIDE}"
            text.add(f"const {vector} b{j} = *(const {vector} *)({place});")
        for i in range(height):
            for j in range(columns):
                place = f"*(const int (*)[1])(x + {i * SIDE} + pair * 2)"
                text.add(
                    f'__asm__("vdpbf16ps %2%{{1to16%}}, %1, %0" : "+v"(c{i}_{j}) '
                    f': "v"(b{j}), "m"({place}));'
                )
        text.add("}", "}")
        for i in range(height):
            for j in range(columns):
                text.add(f"*({vector} *)(c + (i + {i}) * {SIDE} + {j * 16}) = c{i}_{j};")
        text.add("}")
        return self.helpers.add(f"pairs{rows}x{columns}", static_function(_BLOCK, text))
