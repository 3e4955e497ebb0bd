"""A contraction whose columns are windows over rows of memory, with as many rows as fill vectors.

In a convolution with 16 outputs, and in the gradient of its weight, a vector holds all outputs of
one column. Columns of one tile stand at the same distances from its first in every tile: literals.
So a column's number is read where it lies, times a vector of the packed rows. Beside windows.py,
whose vectors are columns: here none is computed past the end of a short row of memory.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.dtype import DType
from codegen.index.contraction import Span, a_spans, b_spans
from codegen.render.contraction_form import (
    Form,
    Helpers,
    Text,
    minimum,
    offset_expression,
    static_function,
    write_counting,
)


class Taps(Form):
    """Tiles of columns by vectors of rows."""

    def write(self) -> None:
        schedule, text = self.schedule, self.text
        columns, vectors = b_spans(self.contraction.columns), schedule.tile_vectors
        tile = schedule.accumulators // vectors
        width = vectors * schedule.lanes  # of the packed rows
        tiles = self.n // tile
        blocks = -(-tiles // schedule.panel_block)
        self.reserve("int", "b_inner_", self.k, 8)
        self.reserve("int", "a_inner_", self.k, 8)
        self.reserve(self.element, "a_packed_", width * self.k, self.itemsize)
        self.reserve(self.element, "results_", width * tile, self.itemsize)
        write_counting(text, a_spans(self.contraction.inner), "a_inner_", "0", str(self.k))
        write_counting(text, b_spans(self.contraction.inner), "b_inner_", "0", str(self.k))
        self.begin_tasks(self.batches * blocks)
        self.declare_batch(f"task_ / {blocks}")
        self._write_pack_a(blocks, width)
        name = taps_function(
            self.helpers, self.contraction.dtype, schedule.lanes, vectors,
            [_offset(columns, i) for i in range(tile)],
        )  # fmt: skip
        text.add(
            f"const long p_begin_ = task_ % {blocks} * {schedule.panel_block};",
            f"const long p_end_ = {minimum('p_begin_', schedule.panel_block, tiles)};",
            "for (long p_ = p_begin_; p_ < p_end_; p_++) {",
            f"const long n_begin_ = p_ * {tile};",
            f"const {self.storage} *tile_ = b_ + {offset_expression(columns, 'n_begin_')};",
            f"{name}(a_packed_, tile_, b_inner_, {self.k}, results_);",
            f"for (long m_ = 0; m_ < {self.m}; m_++) {{",
        )
        value = f"results_[(n_ - n_begin_) * {width} + m_]"
        self.consume("n_begin_", f"n_begin_ + {tile}", value)
        text.add("}", "}", "}")

    def _write_pack_a(self, blocks: int, width: int) -> None:
        """Copy A, all rows of one k side by side, when the batch changes; zeros in what is left of
        the vectors."""
        moves = any([axis.a for axis in self.contraction.batch])
        rows = a_spans(self.contraction.rows)
        first = f"task_ == first_ || task_ % {blocks} == 0" if moves else "task_ == first_"
        source = f"a_ + ({offset_expression(rows, 'm_')})"
        self.text.add(
            f"if ({first}) {{",
            f"for (long m_ = 0; m_ < {width}; m_++) {{",
            f"const {self.storage} *source_ = {source};",
            f"for (long k_ = 0; k_ < {self.k}; k_++) {{",
            f"a_packed_[k_ * {width} + m_] = "
            + ("" if width == self.m else f"m_ >= {self.m} ? 0 : ")
            + "source_[a_inner_[k_]];",
            "}", "}", "}",
        )  # fmt: skip


def _offset(spans: Sequence[Span], number: int) -> int:
    """Where the position with a flattened number stands."""
    offset = 0
    for span in reversed(spans):
        number, digit = divmod(number, span.extent)
        offset += digit * span.stride
    return offset


def taps_function(
    helpers: Helpers, dtype: DType, lanes: int, vectors: int, offsets: Sequence[int]
) -> str:
    """A function that multiplies packed rows by the columns that stand at ``offsets`` from
    ``b + inner[k]``, all sums in registers; those of one column go to ``c`` side by side."""
    element = dtype.compute_c
    vector = helpers.vector(dtype, lanes)
    text = Text()
    for i in range(len(offsets)):
        text.add(f"{vector} {', '.join(f'c{i}_{j} = {{0}}' for j in range(vectors))};")
    text.add("for (long k = 0; k < depth; k++) {", f"const {element} *x = b + inner[k];")
    for j in range(vectors):
        text.add(f"const {vector} v{j} = *(const {vector} *)(a + {j * lanes});")
    for i, offset in enumerate(offsets):
        text.add(" ".join([f"c{i}_{j} += x[{offset}] * v{j};" for j in range(vectors)]))
    text.add(f"a += {vectors * lanes};", "}")
    for i in range(len(offsets)):
        for j in range(vectors):
            text.add(f"*({vector} *)(c + {(i * vectors + j) * lanes}) = c{i}_{j};")
    signature = (
        f"@(const {element} *restrict a, const {element} *restrict b, const int *restrict inner, "
        f"long depth, {element} *restrict c)"
    )
    return helpers.add(f"taps{len(offsets)}x{vectors}", static_function(signature, text))
