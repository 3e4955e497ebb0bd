"""Renders one contraction as the body of a C kernel: a scheduled contraction in, C text out.

Three forms: register tiles over packed or direct operands, a vector-matrix product, and plain
loops. The body's own variables end in an underscore, so that they hide none of the caller's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from codegen.dtype import DType
from codegen.loops.contraction import (
    Axis,
    Contraction,
    PlainOutput,
    Schedule,
    Span,
    a_spans,
    b_spans,
    choose_schedule,
    has_unit_stride,
    is_affine,
)

Epilogue = Callable[[str, str, str, str], list[str]]


@dataclass(frozen=True)
class RenderedContraction:
    body: str  # of the C function
    scratch_bytes: int  # a thread
    helpers: str = ""  # file-scope text; every piece is guarded, so pieces may recur in a file


def render_contraction(
    contraction: Contraction,
    a: str,
    b: str,
    epilogue: Epilogue | None,
    threads: int,
    schedule: Schedule | None = None,
    plain_output: PlainOutput | None = None,
) -> RenderedContraction:
    """The body of ``void kernel(long thread, long threads, char **arguments, char *scratch)``.

    ``a`` and ``b`` name declared ``const T *restrict`` pointers. ``epilogue(b, m, n, value)``
    gives the statements that consume one result; without it ``plain_output`` must be given.
    Where ``plain_output`` is given, vectors may be stored there and the epilogue left out.
    """
    normalized = contraction.normalized()
    if epilogue is None:
        if plain_output is None:
            raise ValueError("a contraction needs an epilogue or a plain output")
        epilogue = _storing(plain_output)
    if 0 in normalized.sizes[:3]:
        return RenderedContraction("", 0)
    if schedule is None:
        schedule = choose_schedule(normalized, threads, plain_output)
    consume = epilogue
    if schedule.swap:
        normalized = normalized.transposed().normalized()
        a, b = b, a
        original = epilogue
        plain_output = plain_output and plain_output.transposed()

        def consume(b: str, m: str, n: str, value: str) -> list[str]:
            return original(b, n, m, value)

    renderer = {"tiles": _Tiles, "vector": _VectorProduct, "loops": _Loops}[schedule.kind]
    return renderer(normalized, schedule, a, b, consume, plain_output).render()


def _storing(output: PlainOutput) -> Epilogue:
    def store(b: str, m: str, n: str, value: str) -> list[str]:
        return [f"{_element(output, b, m, n)} = {value};"]

    return store


def _element(output: PlainOutput, b: str, m: str, n: str) -> str:
    terms = [(b, output.batch_stride), (m, output.row_stride), (n, output.column_stride)]
    parts = [str(output.offset)] if output.offset else []
    parts += [name if stride == 1 else f"{name} * {stride}" for name, stride in terms if stride]
    return f"{output.pointer}[{' + '.join(parts) or '0'}]"


# C text


@dataclass
class _Text:
    """Lines of C, indented by their braces."""

    lines: list[str] = field(default_factory=list)
    level: int = 1

    def add(self, *lines: str) -> None:
        for line in lines:
            if line.startswith("}"):
                self.level -= 1
            self.lines.append("    " * self.level + line)
            if line.endswith("{"):
                self.level += 1

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


def offset_expression(spans: Sequence[Span], number: str) -> str:
    """Element offset of the axis position with a flattened number: ``n / 14 % 14 * 16``."""
    terms = []
    below = 1
    for position, span in reversed(list(enumerate(spans))):
        term = number if below == 1 else f"{number} / {below}"
        if position > 0:
            term += f" % {span.extent}"
        below *= span.extent
        if span.stride == 0:
            continue
        terms.append(term if span.stride == 1 else f"{term} * {span.stride}")
    return " + ".join(reversed(terms)) or "0"


def _reach(axes: Sequence[Axis], operand: str) -> int:
    """The largest offset that these axes add."""
    return sum((axis.extent - 1) * max(0, getattr(axis, operand)) for axis in axes)


class _Helpers:
    """File-scope definitions, each under a guard of its own name."""

    def __init__(self) -> None:
        self.pieces: dict[str, str] = {}

    def add(self, name: str, text: str) -> str:
        """Name the piece; ``@`` in the text stands for the name, made unique by the text."""
        unique = f"contraction_{name}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"
        self.pieces[unique] = text.replace("@", unique)
        return unique

    def vector(self, dtype: DType, lanes: int) -> str:
        """Typedefs of a vector and, with suffix ``u``, of one at any element's address."""
        size = lanes * dtype.itemsize
        attributes = f"vector_size({size}), may_alias"
        element = dtype.compute_c
        return self.add(
            f"{element}{lanes}",
            f"typedef {element} @ __attribute__(({attributes}));\n"
            f"typedef {element} @u __attribute__(({attributes}, aligned({dtype.itemsize})));\n",
        )

    def __str__(self) -> str:
        return "".join(
            f"#ifndef {name}_defined\n#define {name}_defined\n{text}#endif\n"
            for name, text in self.pieces.items()
        )


def _function(signature: str, text: _Text) -> str:
    return f"static __attribute__((noinline)) void {signature}\n{{\n{text}}}\n"


def _tile_function(
    helpers: _Helpers,
    dtype: DType,
    lanes: int,
    rows: int,
    positions: Sequence[int],
    stored: int,
    strides: tuple[int, int, int, int],
    direct: bool,
) -> str:
    """A function that multiplies ``rows`` x ``depth`` of A by vectors of B, all sums in registers.

    ``positions`` are the vectors' first columns; where they overlap, the last vector ends at the
    last column and computes some columns twice, so nothing is read or written past the edge.
    ``stored`` is the number of elements of each vector that C has. ``strides``: of A along rows
    and K, of B along K, of C along rows. ``direct``: B lies as the caller left it, unaligned.
    """
    a_row, a_inner, b_inner, c_row = strides
    element = dtype.compute_c
    vector = helpers.vector(dtype, lanes)
    count = len(positions)
    text = _Text()
    for row in range(rows):
        names = ", ".join(f"c{row}_{j} = {{0}}" for j in range(count))
        text.add(f"{vector} {names};")

    def step(k: int) -> None:
        text.add("{")
        for j, position in enumerate(positions):
            if direct:
                text.add(f"const {vector} b{j} = *(const {vector}u *)(b + {k * b_inner + position});")
            else:
                text.add(f"const {vector} b{j} = *(const {vector} *)(b + {k * b_inner + j * lanes});")
        for row in range(rows):
            sums = " ".join(f"c{row}_{j} += a{row} * b{j};" for j in range(count))
            text.add(f"const {element} a{row} = a[{row * a_row + k * a_inner}]; {sums}")
        text.add("}")

    unroll = 2
    text.add("long k = 0;", f"for (; k + {unroll} <= depth; k += {unroll}) {{")
    for k in range(unroll):
        step(k)
    text.add(f"a += {unroll * a_inner};", f"b += {unroll * b_inner};", "}")
    text.add("for (; k < depth; k++) {")
    step(0)
    text.add(f"a += {a_inner};", f"b += {b_inner};", "}")

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
    signature = (
        f"@(const {element} *restrict a, const {element} *restrict b, {element} *restrict c, "
        "long depth, long first)"
    )
    return helpers.add(f"tile{rows}x{count}", _function(signature, text))


def _transpose_function(helpers: _Helpers, dtype: DType, lanes: int) -> str:
    """A function that copies ``lanes`` columns, contiguous along K, as rows of a packed panel.

    Halves of ever smaller blocks are exchanged between registers: log2(lanes) rounds.
    """
    vector = helpers.vector(dtype, lanes)
    element = dtype.compute_c
    text = _Text()
    text.add("#if defined __has_builtin", "#if __has_builtin(__builtin_shufflevector)")
    text.add("#define @shuffles", "#endif", "#endif", "#ifdef @shuffles")
    for i in range(lanes):
        text.add(f"{vector} r{i} = *(const {vector}u *)(source + columns[{i}]);")
    half = lanes // 2
    while half:
        low = ", ".join(str(j if not j & half else lanes + j - half) for j in range(lanes))
        high = ", ".join(str(j + half if not j & half else lanes + j) for j in range(lanes))
        for i in range(lanes):
            if i & half:
                continue
            x, y = f"r{i}", f"r{i + half}"
            text.add(
                f"{{ const {vector} low = __builtin_shufflevector({x}, {y}, {low});",
                f"  {y} = __builtin_shufflevector({x}, {y}, {high}); {x} = low; }}",
            )
        half //= 2
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
    return helpers.add(f"transpose{lanes}", _function(signature, text))


# Forms of kernels


@dataclass
class _Form:
    """What the three forms share: the oriented contraction and the C names around it."""

    contraction: Contraction
    schedule: Schedule
    a: str
    b: str
    epilogue: Epilogue
    output: PlainOutput | None

    def __post_init__(self) -> None:
        self.text = _Text()
        self.helpers = _Helpers()
        self.scratch = 0
        self.element = self.contraction.dtype.compute_c
        self.storage = self.contraction.dtype.storage_c
        self.itemsize = self.contraction.dtype.itemsize
        self.batches, self.m, self.n, self.k = self.contraction.sizes

    def render(self) -> RenderedContraction:
        self.write()
        return RenderedContraction(str(self.text), self.scratch, str(self.helpers))

    def write(self) -> None:
        raise NotImplementedError

    def reserve(self, element: str, name: str, count: int, itemsize: int) -> None:
        """Declare an array in the thread's scratch memory, on a cache line of its own."""
        self.text.add(f"{element} *restrict {name} = ({element} *)(scratch + {self.scratch});")
        self.scratch += -(-count * itemsize // 64) * 64

    def begin_tasks(self, count: int) -> None:
        """The loop over this thread's share of the tasks."""
        self.text.add(
            f"const long end_ = {count}L * (thread + 1) / threads;",
            f"for (long task_ = {count}L * thread / threads; task_ < end_; task_++) {{",
        )

    def declare_batch(self, number: str) -> None:
        a_offset = offset_expression(a_spans(self.contraction.batch), "batch_")
        b_offset = offset_expression(b_spans(self.contraction.batch), "batch_")
        self.text.add(
            f"const long batch_ = {number};",
            f"const {self.storage} *restrict a_ = {self.a} + "
            f"{self.contraction.a_offset} + ({a_offset});",
            f"const {self.storage} *restrict b_ = {self.b} + "
            f"{self.contraction.b_offset} + ({b_offset});",
        )

    def consume(self, m: str, begin: str, end: str, value: str) -> None:
        """The loop over columns that hands finished values (an expression of n_) on."""
        self.text.add(
            f"for (long n_ = {begin}; n_ < {end}; n_++) {{",
            f"const {self.element} value_ = {value};",
            *self.epilogue("batch_", m, "n_", "value_"),
            "}",
        )


@dataclass
class _Panels:
    """Neighbouring column panels of one width: ``vectors`` across ``width`` columns."""

    first: int
    end: int
    vectors: int
    width: int


class _Tiles(_Form):
    """Register tiles: panels of columns, blocks of K, rows in tiles."""

    def write(self) -> None:
        schedule, text = self.schedule, self.text
        self.lanes = schedule.lanes
        self.kinds = self._panel_kinds()
        self.panel_width = max(kind.vectors for kind in self.kinds) * self.lanes
        self.depth = schedule.depth
        self.blocks = -(-self.k // self.depth)
        self.stores = self.output is not None and self.output.column_stride == 1
        self.index = "int" if self._offsets_fit_int() else "long"
        row_blocks = -(-self.m // schedule.row_block)
        panel_blocks = -(-schedule.panels // schedule.panel_block)
        self._declare_scratch()

        # Rows inside columns: a packed block of B then serves the next task as well.
        self.begin_tasks(self.batches * panel_blocks * row_blocks)
        self.declare_batch(f"task_ / {panel_blocks * row_blocks}")
        text.add(
            f"const long p_begin_ = task_ / {row_blocks} % {panel_blocks} * {schedule.panel_block};",
            f"const long p_end_ = {_minimum('p_begin_', schedule.panel_block, schedule.panels)};",
            f"const long m_begin_ = task_ % {row_blocks} * {schedule.row_block};",
            f"const long m_end_ = {_minimum('m_begin_', schedule.row_block, self.m)};",
            f"for (long k_begin_ = 0; k_begin_ < {self.k}; k_begin_ += {self.depth}) {{",
            f"const long depth_ = {self.k} - k_begin_ < {self.depth} "
            f"? {self.k} - k_begin_ : {self.depth};",
        )
        self._write_inner_tables()
        if schedule.pack_b:
            self._write_pack_b(row_blocks)
        text.add(
            f"for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += {schedule.row_chunk}) {{",
            "const long i_end_ = m_end_ - i_begin_ < "
            f"{schedule.row_chunk} ? m_end_ : i_begin_ + {schedule.row_chunk};",
        )
        if schedule.pack_a:
            self._write_pack_a()
        self._write_panels()
        text.add("}", "}", "}")

    # Geometry

    def _panel_kinds(self) -> list[_Panels]:
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
            _Panels(0, self.narrow, wide - 1, (wide - 1) * lanes),
            _Panels(self.narrow, panels - (missing > 0), wide, wide * lanes),
            _Panels(panels - (missing > 0), panels, wide, wide * lanes - missing),
        ]
        return [kind for kind in kinds if kind.first < kind.end]

    def _panel_begin(self) -> str:
        """First column of panel p_."""
        wide = self.kinds[-1].vectors
        if not self.narrow:
            return f"p_ * {wide * self.lanes}"
        begin = f"p_ * {wide - 1} + (p_ > {self.narrow} ? p_ - {self.narrow} : 0)"
        return f"({begin}) * {self.lanes}"

    def _positions(self, kind: _Panels) -> list[int]:
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
            self.a_padded = -(-(self.depth if self.a_by_rows else rows) // 16) * 16 + 16
            count = (rows if self.a_by_rows else self.depth) * self.a_padded
            self.reserve(self.element, "a_packed_", count, self.itemsize)
        if not self.stores:
            # Between K blocks a whole task waits; else one chunk of one panel is enough.
            rows, panels = min(schedule.row_chunk, schedule.row_block), 1
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
                self._write_counting(spans, name)

    def _write_counting(self, spans: tuple[Span, ...], table: str) -> None:
        """Fill a table of offsets by counting like an odometer: no division an element."""
        text = self.text
        text.add("{", f"long at_ = {offset_expression(spans, 'k_begin_')};")
        below = 1
        digits = []
        for position, span in reversed(list(enumerate(spans))):
            digits.append((f"i{position}_", span, below))
            below *= span.extent
        for name, span, below in digits:
            text.add(f"long {name} = k_begin_ / {below} % {span.extent};")
        text.add(
            "for (long k_ = 0; k_ < depth_; k_++) {",
            f"{table}[k_] = at_;",
        )
        for name, span, _ in digits:
            text.add(
                f"at_ += {span.stride};",
                f"if (++{name} == {span.extent}) {{",
                f"{name} = 0;",
                f"at_ -= {span.extent * span.stride};",
            )
        text.add(*["}"] * (len(digits) + 2))

    # Packing

    def _write_pack_b(self, row_blocks: int) -> None:
        """Copy this K block of the task's panels, vector after vector along K."""
        text = self.text
        reused = row_blocks > 1 and self.blocks == 1
        if reused:
            text.add("if (m_begin_ == 0 || task_ == first_) {")
            at = next(i for i, line in enumerate(text.lines) if "const long end_" in line)
            first = f"    const long first_ = {self._task_count()}L * thread / threads;"
            text.lines.insert(at, first)
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
                elif columns[-1].stride == 1 and columns[-1].extent >= 4 and whole:
                    self._write_panel_of_runs(kind)
                else:
                    self._write_gathered_panel(kind)
        text.add("}", "}")
        if reused:
            text.add("}")

    def _task_count(self) -> int:
        schedule = self.schedule
        row_blocks = -(-self.m // schedule.row_block)
        return self.batches * -(-schedule.panels // schedule.panel_block) * row_blocks

    def _begin_kind(self, index: int, kind: _Panels) -> None:
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

    def _write_copied_panel(self, kind: _Panels) -> None:
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

    def _write_column_table(self, kind: _Panels) -> None:
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

    def _write_transposed_panel(self, kind: _Panels) -> None:
        """Squares of K x columns through registers; K runs shorter than a square overlap."""
        text, stride = self.text, kind.vectors * self.lanes
        run = b_spans(self.contraction.inner)[-1].extent
        if is_affine(b_spans(self.contraction.inner)):
            run = self.depth
        side = self.lanes
        while side > run:
            side //= 2
        transpose = _transpose_function(self.helpers, self.contraction.dtype, side)
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

    def _write_panel_of_runs(self, kind: _Panels) -> None:
        """Whole vectors for each run of neighbouring columns; the next run covers the excess."""
        text, lanes = self.text, self.lanes
        total = kind.vectors * lanes
        vector = self.helpers.vector(self.contraction.dtype, lanes)
        # Runs in increasing order of their place; the last must not write past the panel.
        text.add(
            "long run_count_ = 0;",
            f"for (long j_ = 0; j_ < {total}; j_++) {{",
            f"if (j_ % {lanes} == 0 || columns_[j_] != columns_[j_ - 1] + 1) {{",
            "runs_[run_count_++] = j_;",
            "}",
            "}",
            "long highest_ = 0;",
            f"for (long j_ = 0; j_ < {total}; j_++) {{",
            "highest_ = columns_[j_] > highest_ ? columns_[j_] : highest_;",
            "}",
        )
        c = self.contraction
        last = _reach(c.columns, "b") + _reach(c.inner, "b") + _reach(c.batch, "b")
        last += c.b_offset
        text.add(
            "for (long k_ = 0; k_ < depth_; k_++) {",
            f"const {self.element} *source_ = {self._b_source('k_')};",
            f"{self.element} *target_ = packed_ + k_ * {total};",
            # Reading on past a run is harmless but at the operand's end.
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

    def _write_gathered_panel(self, kind: _Panels) -> None:
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
        text.add(
            "for (long k_ = 0; k_ < depth_; k_++) {",
            f"const {self.element} *source_ = a_ + {k_offset};",
            f"{self.element} *target_ = a_packed_ + k_ * {self.a_padded};",
            "for (long m_ = i_begin_; m_ < i_end_; m_++) {",
            f"target_[m_ - i_begin_] = source_[{offset_expression(rows, 'm_')}];",
            "}",
            "}",
        )

    # Multiplying

    def _a_strides(self) -> tuple[int, int]:
        if self.schedule.pack_a:
            return (self.a_padded, 1) if self.a_by_rows else (1, self.a_padded)
        rows, inner = a_spans(self.contraction.rows), a_spans(self.contraction.inner)
        return rows[0].stride, inner[0].stride

    def _write_panels(self) -> None:
        text = self.text
        text.add(
            "for (long p_ = p_begin_; p_ < p_end_; p_++) {",
            f"const long n_begin_ = {self._panel_begin()};",
        )
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
            panel = f"b_ + k_begin_ * {b_spans(self.contraction.inner)[0].stride} + n_begin_"
        text.add(f"const {self.element} *restrict panel_ = {panel};")
        c_row = self._declare_target()
        if not self.stores:
            text.add("long n_end_;")
        for index, kind in enumerate(self.kinds):
            self._begin_kind(index, kind)
            self._write_row_tiles(kind, (a_row, a_inner), c_row)
            if not self.stores:
                text.add(f"n_end_ = n_begin_ + {kind.width};")
        text.add("}")
        if not self.stores:
            if self.blocks > 1:
                text.add(f"if (k_begin_ + depth_ < {self.k}) {{", "continue;", "}")
            text.add("for (long m_ = i_begin_; m_ < i_end_; m_++) {")
            text.add(
                f"const {self.element} *restrict row_ = target_ + (m_ - i_begin_) * {c_row} - n_begin_;"
            )
            self.consume("m_", "n_begin_", "n_end_", "row_[n_]")
            text.add("}")
        text.add("}")

    def _declare_target(self) -> int:
        """Declare target_, where the chunk's sums of this panel go; return its row stride."""
        if self.stores:
            assert self.output is not None
            place = _element(self.output, "batch_", "i_begin_", "n_begin_")
            self.text.add(f"{self.element} *target_ = &{place};")
            return self.output.row_stride
        place = "results_"
        if self.blocks > 1:
            place += f" + (p_ - p_begin_) * {self.result_panel}"
            place += f" + (i_begin_ - m_begin_) * {self.panel_width}"
        self.text.add(f"{self.element} *target_ = {place};")
        return self.panel_width

    def _write_row_tiles(self, kind: _Panels, a_strides: tuple[int, int], c_row: int) -> None:
        schedule, text = self.schedule, self.text
        height = min(schedule.tile_rows(kind.vectors), self.m)
        b_inner = kind.vectors * self.lanes
        if not schedule.pack_b:
            b_inner = b_spans(self.contraction.inner)[0].stride
        edges = {
            min(schedule.row_block, self.m) % schedule.row_chunk % height,
            self.m % schedule.row_block % schedule.row_chunk % height,
        } - {0}

        def call(rows: int) -> str:
            name = _tile_function(
                self.helpers,
                self.contraction.dtype,
                self.lanes,
                rows,
                self._positions(kind),
                min(self.lanes, self.n) if self.stores else self.lanes,
                (*a_strides, b_inner, c_row),
                not schedule.pack_b,
            )
            return (
                f"{name}(a_chunk_ + (i_ - i_begin_) * {a_strides[0]}, panel_, "
                f"target_ + (i_ - i_begin_) * {c_row}, depth_, k_begin_ == 0);"
            )

        text.add(
            "long i_ = i_begin_;",
            f"for (; i_ + {height} <= i_end_; i_ += {height}) {{",
            call(height),
            "}",
        )
        for rows in sorted(edges):
            text.add(f"if (i_end_ - i_ == {rows}) {{", call(rows), "}")


def _minimum(begin: str, step: int, limit: int) -> str:
    return f"{limit} - {begin} < {step} ? {limit} : {begin} + {step}"


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


class _VectorProduct(_Form):
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
            f"const long n_end_ = {_minimum('n_begin_', block, self.n)};",
            f"const {self.element} *restrict vector_ = {vector or 'a_'};",
        )
        if along_k:
            self._write_dots()
        else:
            self._write_sums_of_rows()
        self.consume("0L", "n_begin_", "n_end_", "results_[n_ - n_begin_]")
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
        text = _Text()
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
        self._write_lane_sums(text, columns)
        text.add(f"for (; k < {self.k}; k++) {{")
        for j in range(columns):
            text.add(f"t{j} += a[k] * b[{j * self.b_column} + k];")
        text.add("}")
        text.add(*(f"c[{j}] = t{j};" for j in range(columns)))
        signature = (
            f"@(const {element} *restrict a, const {element} *restrict b, {element} *restrict c)"
        )
        return self.helpers.add(f"dot{columns}", _function(signature, text))

    def _write_lane_sums(self, text: _Text, columns: int) -> None:
        """Sum each s{j}_0 over its lanes into t{j}, by halves."""
        dtype, lanes = self.contraction.dtype, self.schedule.lanes
        for j in range(columns):
            name, size = f"s{j}_0", lanes
            while size > 2:
                size //= 2
                half = self.helpers.vector(dtype, size)
                text.add(f"{half} h{j}_{size} = *({half}u *)&{name} + *(({half}u *)&{name} + 1);")
                name = f"h{j}_{size}"
            text.add(f"{self.element} t{j} = {name}[0] + {name}[1];")

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
        text = _Text()
        for row in range(rows):
            text.add(f"const {element} x{row} = a[{row}];")
        text.add("long j = 0;", f"for (; j + {lanes} <= width; j += {lanes}) {{")
        ahead = f"(const char *)(b + j) + {rows * self.b_inner * self.itemsize}"
        for row in range(rows):
            text.add(f"__builtin_prefetch({ahead} + {row * self.b_inner * self.itemsize});")
        total = " + ".join(
            f"x{r} * *(const {vector}u *)(b + j + {r * self.b_inner})" for r in range(rows)
        )
        text.add(f"*({vector}u *)(c + j) += {total};", "}", "for (; j < width; j++) {")
        total = " + ".join(f"x{r} * b[j + {r * self.b_inner}]" for r in range(rows))
        text.add(f"c[j] += {total};", "}")
        signature = (
            f"@(const {element} *restrict a, const {element} *restrict b, "
            f"{element} *restrict c, long width)"
        )
        return self.helpers.add(f"rows{rows}", _function(signature, text))


class _Loops(_Form):
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
        self.consume("m_", "n_begin_", "n_begin_ + width_", "sums_[n_ - n_begin_]")
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
        for begin, end, step in ((0, whole, 16), (whole, innermost.extent, innermost.extent - whole)):
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
        self.consume("m_", "0", "1", "parts_[0]")
        text.add("}")


def _outer_b_spans(columns: Sequence[Axis]) -> tuple[Span, ...]:
    return tuple(Span(axis.extent, axis.b) for axis in columns[:-1]) or (Span(1, 0),)
