"""What every form of contraction kernel shares: C text, helper functions, tasks, epilogues."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from codegen.dtype import DType
from codegen.index.contraction import Axis, Contraction, Span, Zeros, a_spans, b_spans
from codegen.loops.contraction import PlainOutput, Schedule


@dataclass(frozen=True)
class Epilogue:
    """What is done with one result, the number ``value_`` at ``batch_``, ``m_`` and ``n_``.

    ``met``: the places that it reads or writes of which each row has its own, neighbours in
    neighbouring columns (``out3[m_ * 512 + n_]``), and whether it writes there.
    """

    lines: tuple[str, ...]
    met: tuple[tuple[str, bool], ...] = ()


# The epilogue of a contraction, from the names of a row and of a column: those of the template, or
# the other way round where the transposed product is computed.
EpilogueOf = Callable[[str, str], Epilogue]


@dataclass(frozen=True)
class RenderedContraction:
    body: str  # of the C function
    scratch_bytes: int  # a thread
    helpers: str = ""  # file-scope text; every piece is guarded, so pieces may recur in a file
    schedule: Schedule | None = None  # by which it was written


@dataclass
class Text:
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


def write_counting(text: Text, spans: Sequence[Span], table: str, first: str, count: str) -> None:
    """Fill a table of offsets by counting like an odometer: no division an element."""
    start = "0" if first == "0" else offset_expression(spans, first)
    text.add("{", f"long at_ = {start};")
    below = 1
    digits = []
    for position, span in reversed(list(enumerate(spans))):
        digits.append((f"i{position}_", span))
        digit = "0" if first == "0" else f"{first} / {below} % {span.extent}"
        text.add(f"long i{position}_ = {digit};")
        below *= span.extent
    text.add(f"for (long k_ = 0; k_ < {count}; k_++) {{", f"{table}[k_] = at_;")
    for name, span in digits:
        text.add(
            f"at_ += {span.stride};",
            f"if (++{name} == {span.extent}) {{",
            f"{name} = 0;",
            f"at_ -= {span.extent * span.stride};",
        )
    text.add(*["}"] * (len(digits) + 2))


def reach(axes: Sequence[Axis], operand: str) -> int:
    """The largest offset that these axes add."""
    return sum((axis.extent - 1) * max(0, getattr(axis, operand)) for axis in axes)


class Helpers:
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


def lane_sum(helpers: Helpers, dtype: DType, lanes: int, name: str) -> list[str]:
    """Statements that add up a vector's lanes, by halves: a number of its name and ``_sum``."""
    lines, whole = [], name
    while lanes > 2:
        lanes //= 2
        half, part = helpers.vector(dtype, lanes), f"{name}_{lanes}"
        lines.append(f"{half} {part} = *({half}u *)&{whole} + *(({half}u *)&{whole} + 1);")
        whole = part
    return [*lines, f"{dtype.compute_c} {name}_sum = {whole}[0] + {whole}[1];"]


def static_function(signature: str, text: Text) -> str:
    return f"static __attribute__((noinline)) void {signature}\n{{\n{text}}}\n"


def minimum(begin: str, step: int, limit: int) -> str:
    return f"{limit} - {begin} < {step} ? {limit} : {begin} + {step}"


def batch_offset(output: PlainOutput, b: str) -> str:
    """Where a batch of the output begins."""
    if output.batch:
        return offset_expression([Span(*axis) for axis in output.batch], b)
    return b if output.batch_stride == 1 else f"{b} * {output.batch_stride}"


def element_of(output: PlainOutput, b: str, m: str, n: str) -> str:
    terms = [(m, output.row_stride), (n, output.column_stride)]
    parts = [str(output.offset)] if output.offset else []
    parts += [batch_offset(output, b)] if output.batch or output.batch_stride else []
    parts += [name if stride == 1 else f"{name} * {stride}" for name, stride in terms if stride]
    return f"{output.pointer}[{' + '.join(parts) or '0'}]"


@dataclass(frozen=True)
class Task:
    """Where a contraction is a step in another kernel's loop over the very tasks of its own:
    that loop has declared ``first_`` and ``task_``.

    ``scratch``: the first byte of scratch memory that is its own. ``columns``, ``inner``: how many
    columns, and how much of K, this task needs, as a C expression of ``m_end_``; all where empty.
    ``fresh``: whether a batch begins with this task, so that B has to be packed.
    """

    scratch: int = 0
    fresh: str = ""
    columns: str = ""
    inner: str = ""


@dataclass
class Form:
    """What the forms share: the oriented contraction and the C names around it."""

    contraction: Contraction
    schedule: Schedule
    a: str
    b: str
    epilogue: Epilogue
    output: PlainOutput | None
    task: Task | None = None
    zeros: Zeros = ""  # of A

    def __post_init__(self) -> None:
        self.text = Text()
        self.helpers = Helpers()
        self.scratch = self.task.scratch if self.task else 0
        self.element = self.contraction.dtype.compute_c
        self.storage = self.contraction.stored.storage_c
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
        if self.task:
            self.text.add("{")
            return
        self.text.add(
            f"const long first_ = {count}L * thread / threads;",
            f"const long end_ = {count}L * (thread + 1) / threads;",
            "for (long task_ = first_; task_ < end_; task_++) {",
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

    def consume(self, begin: str, end: str, value: str) -> None:
        """The loop over columns that hands the row's finished values (an expression of n_) on."""
        self.text.add(
            "#pragma GCC ivdep",
            f"for (long n_ = {begin}; n_ < {end}; n_++) {{",
            f"const {self.element} value_ = {value};",
            *self.epilogue.lines,
            "}",
        )
