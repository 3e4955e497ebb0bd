"""C and its family: a kernel in the loop vocabulary comes in, the text of a function goes out.

What C and OpenCL C share is here; where they differ is a Dialect (c.py, opencl.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.index.algebra import Condition, Index, variable
from codegen.loops.device import DeviceDescription
from codegen.loops.grammar import (
    LOOPS,
    ROW_STEP,
    Accumulator,
    Argument,
    Chosen,
    Fold,
    Kernel,
    Lanes,
    Let,
    Load,
    Loop,
    Parallel,
    Place,
    Position,
    Reduce,
    Row,
    Select,
    SetLane,
    Statement,
    Store,
    Vector,
)
from codegen.ops.registry import Operation
from codegen.render.line_functions import LINES, line_function
from codegen.render.mathematics import FUNCTIONS, spelled
from codegen.render.mathematics_text import PROLOGUE
from codegen.render.source import KernelSource

_CLAMP = """\
static inline __attribute__((always_inline, unused)) long lt_clamp_index(long i, long count) {
    return i < 0 ? 0 : i >= count ? count - 1 : i;
}
"""
# Threefry-2x32 with 20 rounds; the same words as special_reference.threefry.
_THREEFRY = """\
#define LT_ROUND(r) a += b; b = (b << r) | (b >> (32 - r)); b ^= a;
static inline __attribute__((always_inline, unused))
int lt_threefry(long seed, long stream, long counter) {
    unsigned k0 = (unsigned)seed, k1 = (unsigned)((unsigned long)seed >> 32);
    unsigned k2 = k0 ^ k1 ^ 0x1BD11BDAu;
    unsigned a = (unsigned)counter + k0;
    unsigned b = ((unsigned)((unsigned long)counter >> 32) ^ (unsigned)stream) + k1;
    LT_ROUND(13) LT_ROUND(15) LT_ROUND(26) LT_ROUND(6)   a += k1; b += k2 + 1;
    LT_ROUND(17) LT_ROUND(29) LT_ROUND(16) LT_ROUND(24)  a += k2; b += k0 + 2;
    LT_ROUND(13) LT_ROUND(15) LT_ROUND(26) LT_ROUND(6)   a += k0; b += k1 + 3;
    LT_ROUND(17) LT_ROUND(29) LT_ROUND(16) LT_ROUND(24)  a += k1; b += k2 + 4;
    LT_ROUND(13) LT_ROUND(15) LT_ROUND(26) LT_ROUND(6)   a += k2; b += k0 + 5;
    return (int)a;
}
"""
_OWN_FUNCTIONS = {"lt_clamp_index": _CLAMP, "lt_threefry": _THREEFRY}


# So many steps at a time are looked through for those that a thread has to do.
_CHOSEN_BLOCK = 256


# A kernel's first lines, from its arguments, the bytes of scratch memory that a thread needs, and
# names of arguments, of which those that are only read share no memory with what is written: they
# declare ``thread``, ``threads``, the arguments by their names, and ``scratch``.
Opening = Callable[[Sequence[Argument], int, Container[str]], list[str]]


@dataclass(frozen=True)
class Dialect:
    """Where languages of the family differ."""

    opening: Opening
    # The same for kernels that are repeated over other addresses; None where nothing can do that.
    opening_in_loops: Opening | None
    # The contraction template writes C; this makes it the dialect's.
    from_c: Callable[[str], str]
    space: str  # before the type that a pointer to a kernel's memory points to
    # Before a loop whose steps do not depend on each other, so many of them; 0 where that varies.
    independent: Callable[[int], str]
    # The same before a loop over a thread's own partial results, where it would not be seen.
    over_partial: Callable[[int], list[str]]
    aligned: str  # after the name of an array on the stack that is read in vectors
    alignment: int  # in bytes, of the places in a plan's arena
    has_chains: bool  # whether a product, row-wise work and a product can be one kernel
    has_fourier: bool = False  # whether Fourier transforms are written, not the host's
    # Whether loops are written as they say that they turn tiles in registers and write past caches.
    whole_lines: bool = False
    prologue: tuple[str, ...] = ()  # file-scope text that every kernel needs
    matrix_units: str = ""  # for products of bfloat16 matrices, as ``runtime.matrix_units`` says
    # Convolutions by Winograd's transform, as the setting LAZYTORCH_WINOGRAD says.
    winograd: str = "0"
    device: DeviceDescription | None = None  # one with work-groups, where schedules are for it
    body: Callable[[Kernel, Dialect], Body] | None = None  # where ``Body`` is not enough
    scalar: str = ""  # in a loop that must not be done in vectors, where compilers get it wrong

    @property
    def narrow(self) -> tuple[DType, ...]:
        """The types of which products of matrices are made as they are in memory."""
        if self.device is not None:
            return (dt.bfloat16, dt.float16)
        return (dt.bfloat16,) if self.matrix_units else ()

    def body_of(self, kernel: Kernel) -> Body:
        """What turns the kernel's statements into text."""
        return (self.body or Body)(kernel, self)


def render(kernel: Kernel, dialect: Dialect) -> KernelSource:
    """The text of a kernel."""
    lines = [f"// {comment}" for comment in kernel.comments] + [
        *dialect.opening(kernel.arguments, kernel.scratch_bytes, ()),
        *dialect.body_of(kernel).lines(),
        "}",
        "",
    ]
    body = "\n".join(lines)
    return KernelSource(kernel.name, body, dialect.prologue + functions_used(body))


def _interleaves_by_guard(loop: Vector) -> bool:
    """Whether a loop writes several elements a step, side by side, by conditions on the step's
    number: gcc 12 turns such loads, choices and stores into wrong permutations of vectors."""
    guarded, stores = False, 0
    for statement in loop.body:
        if isinstance(statement, (Load, Select)):
            guarded = guarded or bool(statement.guard)
        elif isinstance(statement, Store) and isinstance(statement.place, Index):
            stores += abs(statement.place.coefficient(loop.variable)) > 1
    return guarded and stores > 1


def functions_used(text: str) -> tuple[str, ...]:
    """The file-scope snippets that define every function a kernel's text calls."""
    ordered: dict[str, str] = {}

    def place(name: str) -> None:
        if name in ordered:
            return
        if name in _OWN_FUNCTIONS:
            ordered[name] = _OWN_FUNCTIONS[name]
        elif name.startswith(LINES):
            ordered[name] = line_function(name)
        elif name in FUNCTIONS:
            for needed in FUNCTIONS[name].needs:
                place(needed)
            ordered[name] = FUNCTIONS[name].source

    for name in dict.fromkeys(re.findall(r"\blt_\w+", text)):
        place(name)
    return (PROLOGUE, *ordered.values()) if ordered else ()


def _cast(source: DType, target: DType, operand: str) -> str:
    if target.kind == "bool":
        return f"({operand} != 0)"
    if source.kind == "float" and target.kind == "int":
        return f"{spelled('to_' + _SUFFIX[target.name], source.compute_c)}({operand})"
    if source.kind == "bool" and target.kind == "float":
        # Of a conversion gcc 12 makes no vectors, nor of anything else in its loop.
        return f"({operand} ? ({target.compute_c})1 : ({target.compute_c})0)"
    return f"({target.compute_c}){operand}"


def _are_neighbours(x: str, y: str) -> bool:
    """Whether two operands are integers of which one follows the other."""
    numbers = [_INTEGER.fullmatch(operand) for operand in (x, y)]
    values = [int(n[1]) for n in numbers if n is not None]
    return len(values) == 2 and abs(values[0] - values[1]) == 1


_INTEGER = re.compile(r"(-?\d+)L?")
_SUFFIX = {
    "uint8": "u8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "uint16": "u16", "uint32": "u32", "uint64": "u64",
}  # fmt: skip


def condition_text(guard: Iterable[Condition]) -> str:
    return " && ".join([c.to_c() for c in guard])


def neutral(operation: Operation, dtype: DType) -> str:
    """What a reduction starts from."""
    name = operation.name
    if name in ("sum", "cumsum"):
        return "0"
    if name in ("prod", "cumprod"):
        return "1"
    low = name in ("max", "argmax", "argmax_last_nan", "cummax", "logcumsumexp")
    if dtype.kind == "float":
        infinity = "__builtin_inf()" if dtype is dt.float64 else "__builtin_inff()"
        return f"-{infinity}" if low else infinity
    if dtype.kind == "bool":
        return "0" if low else "1"
    bits = dtype.itemsize * 8
    if not dtype.is_signed:
        suffix = {32: "u", 64: "uL"}.get(bits, "")
        return "0" if low else f"{(1 << bits) - 1}{suffix}"
    most = f"{(1 << (bits - 1)) - 1}{'L' if bits == 64 else ''}"
    return f"(-{most} - 1)" if low else most


def combined(operation: Operation, dtype: DType, x: str, y: str) -> str:
    """Two partial results of a reduction as one."""
    name = operation.name
    if name in ("sum", "cumsum", "prod", "cumprod"):
        symbol = "+" if name in ("sum", "cumsum") else "*"
        if dtype.kind == "int" and dtype.is_signed:
            unsigned = f"unsigned {dtype.compute_c.replace('signed ', '')}"
            return f"({dtype.compute_c})(({unsigned}){x} {symbol} ({unsigned}){y})"
        return f"{x} {symbol} {y}"
    if name == "logcumsumexp":
        return f"{spelled('logaddexp', dtype.compute_c)}({x}, {y})"
    better = ">" if name in ("max", "cummax") else "<"
    if dtype.kind == "float":
        return f"({y} {better} {x} || {y} != {y}) ? {y} : {x}"
    return f"{y} {better} {x} ? {y} : {x}"


def is_half(dtype: DType) -> bool:
    return dtype.kind == "float" and dtype.itemsize == 2


class Body:
    """Statements to lines of text."""

    def __init__(self, kernel: Kernel, dialect: Dialect) -> None:
        self.kernel = kernel
        self.dialect = dialect
        self.scratch = 0
        self.dtypes = {a.name: a.type.dtype for a in kernel.arguments}
        self.halves: set[str] = set()  # names of numbers whose bits have names too

    def lines(self) -> list[str]:
        return self.block(self.kernel.body, 1)

    def block(self, statements: Sequence[Statement], level: int) -> list[str]:
        pad = "    " * level
        lines: list[str] = []
        for statement in statements:
            if isinstance(statement, LOOPS):
                lines.extend(self.loop(statement, level))
            else:
                lines.extend([pad + line for line in self.simple(statement)])
        return lines

    # ---- loops --------------------------------------------------------------------------------

    def loop(self, loop: Loop, level: int) -> list[str]:
        pad = "    " * level
        v, extent = loop.variable, loop.extent
        if isinstance(loop, Parallel):
            body = self.block(loop.body, level + 1)
            if extent == 1:
                return [
                    f"{pad}if (thread == 0) {{",
                    f"{pad}    const long {v} = 0;",
                    *body,
                    f"{pad}}}",
                ]
            return [
                f"{pad}const long last = {extent}L * (thread + 1) / threads;",
                f"{pad}for (long {v} = {extent}L * thread / threads; {v} < last; {v}++) {{",
                *body,
                f"{pad}}}",
            ]
        if isinstance(loop, Lanes):
            return self.lanes(loop, level)
        if isinstance(loop, Vector):
            return self.vector(loop, level)
        if isinstance(loop, Chosen):
            return self.chosen(loop, level)
        body = self.block(loop.body, level + 1)
        return [f"{pad}for (long {v} = 0; {v} < {extent}; {v}++) {{", *body, f"{pad}}}"]

    def lanes(self, loop: Lanes, level: int) -> list[str]:
        pad = "    " * level
        v, extent, lanes = loop.variable, loop.extent, loop.lanes
        if lanes == 1:
            body = self.block(loop.body, level + 1)
            return [
                f"{pad}for (long {v} = 0; {v} < {extent}; {v}++) {{",
                f"{pad}    const long lane = 0;",
                *body,
                f"{pad}}}",
            ]
        body = self.block(loop.body, level + 2)
        row_end = self.kernel.row_end
        if loop.streams > 1 and not row_end:
            return self.streams(loop, body, level)
        whole = extent - extent % lanes
        lines = []
        needed = f" && block < {row_end}" if row_end else ""
        if whole:
            lines += [
                f"{pad}for (long block = 0; block < {whole}{needed}; block += {lanes}) {{",
                *self.prefetches(loop, level + 1),
            ]
            if row_end and lanes > ROW_STEP:
                lines += [
                    f"{pad}    for (long first = 0; first < {lanes} && block + first < {row_end}; "
                    f"first += {ROW_STEP})",
                    f"{pad}    {self.dialect.independent(ROW_STEP)}",
                    f"{pad}    for (long step = 0; step < {ROW_STEP}; step++) {{",
                    f"{pad}        const long lane = first + step;",
                ]
            else:
                lines += [
                    f"{pad}    {self.dialect.independent(lanes)}",
                    f"{pad}    for (long lane = 0; lane < {lanes}; lane++) {{",
                ]
            lines += [
                f"{pad}        const long {v} = block + lane;",
                *body,
                f"{pad}    }}",
                f"{pad}}}",
            ]
        if extent > whole:
            condition = f"if ({row_end} > {whole}) " if row_end and whole else ""
            lines += [
                f"{pad}{condition}{{",
                f"{pad}    {self.dialect.independent(extent - whole)}",
                f"{pad}    for (long lane = 0; lane < {extent - whole}; lane++) {{",
                f"{pad}        const long {v} = {whole} + lane;",
                *body,
                f"{pad}    }}",
                f"{pad}}}",
            ]
        return lines

    def streams(self, loop: Lanes, body: list[str], level: int) -> list[str]:
        """The lanes in as many groups as there are parts of the row that are read side by side."""
        pad = "    " * level
        v, part, lanes = loop.variable, loop.extent // loop.streams, loop.lanes // loop.streams
        lines = [f"{pad}for (long block = 0; block < {part}; block += {lanes}) {{"]
        for number in range(loop.streams):
            first, end = number * lanes, (number + 1) * lanes
            skipped = f" + {number * (part - lanes)}" if number else ""
            lines += [
                f"{pad}    {self.dialect.independent(lanes)}",
                f"{pad}    for (long lane = {first}; lane < {end}; lane++) {{",
                f"{pad}        const long {v} = block + lane{skipped};",
                *body,
                f"{pad}    }}",
            ]
        return [*lines, f"{pad}}}"]

    def prefetches(self, loop: Lanes, level: int) -> list[str]:
        """Each cache line of what a block will want."""
        lines = []
        for fetched in loop.ahead:
            step = max(1, 64 // self.dtypes[fetched.argument].itemsize)
            for first in range(0, loop.lanes, step):
                at = variable("block", loop.extent) + first
                place = fetched.place.substitute({loop.variable: at}).to_c()
                hint = ", 1" if fetched.write else ""
                lines.append(
                    f"{'    ' * level}__builtin_prefetch({fetched.argument} + {place}{hint});"
                )
        return lines

    def vector(self, loop: Vector, level: int) -> list[str]:
        pad = "    " * level
        v, extent = loop.variable, loop.extent
        body = self.block(loop.body, level + 1)
        if self.dialect.scalar and _interleaves_by_guard(loop):
            body.insert(0, f"{pad}    {self.dialect.scalar}")
        if loop.start.constant_value() == 0 and loop.block >= extent:
            return [
                f"{pad}{self.dialect.independent(extent)}",
                f"{pad}for (long lane = 0; lane < {extent}; lane++) {{",
                f"{pad}    const long {v} = lane;",
                *body,
                f"{pad}}}",
            ]
        lines, count = self.clipped(loop)
        return [
            f"{pad}{{",
            *[f"{pad}    {line}" for line in lines],
            f"{pad}    {self.dialect.independent(loop.block)}",
            f"{pad}    for (long lane = 0; lane < {count}; lane++) {{",
            f"{pad}        const long {v} = {v}_start + lane;",
            *["    " + line for line in body],
            f"{pad}    }}",
            f"{pad}}}",
        ]

    def clipped(self, loop: Vector) -> tuple[list[str], str]:
        """Lines that say where the loop starts, and the number of its steps."""
        v, extent, block = loop.variable, loop.extent, loop.block
        lines = [f"const long {v}_start = {loop.start.to_c()};"]
        if extent % block == 0:
            return lines, str(block)
        left = f"{extent} - {v}_start"
        lines.append(f"const long {v}_count = {left} < {block} ? {left} : {block};")
        return lines, f"{v}_count"

    def chosen(self, loop: Chosen, level: int) -> list[str]:
        """Blocks of steps: their numbers in vectors; then those that count are listed, without a
        branch that nobody could foresee; then they are done."""
        pad = "    " * level
        v, extent, block = loop.variable, loop.extent, _CHOSEN_BLOCK
        first, steps, places, count = f"{v}_first", f"{v}_steps", f"{loop.place}s", f"{v}_count"
        number = f"lt_clamp_index({loop.number}, {loop.limit})"
        return [
            f"{pad}for (long {first} = 0; {first} < {extent}; {first} += {block}) {{",
            f"{pad}    long {steps}[{block}], {places}[{block}], {count} = 0;",
            f"{pad}    const long {v}_end = {first} + {block} < {extent} ? {first} + {block} : "
            f"{extent};",
            f"{pad}    {self.dialect.independent(block)}",
            f"{pad}    for (long {v} = {first}; {v} < {v}_end; {v}++) {{",
            *self.block(loop.choose, level + 2),
            f"{pad}        {places}[{v} - {first}] = {number};",
            f"{pad}    }}",
            f"{pad}    for (long {v} = {first}; {v} < {v}_end; {v}++) {{",
            f"{pad}        const long {loop.place} = {places}[{v} - {first}];",
            f"{pad}        {steps}[{count}] = {v};",
            f"{pad}        {places}[{count}] = {loop.place};",
            f"{pad}        {count} += (unsigned long)({loop.place} - ({loop.low.to_c()})) < "
            f"{loop.size};",
            f"{pad}    }}",
            f"{pad}    for (long chosen = 0; chosen < {count}; chosen++) {{",
            f"{pad}        const long {v} = {steps}[chosen], {loop.place} = {places}[chosen];",
            *self.block(loop.body, level + 2),
            f"{pad}    }}",
            f"{pad}}}",
        ]

    # ---- single statements ----------------------------------------------------------------------

    def simple(self, statement: Statement) -> list[str]:
        if isinstance(statement, Let):
            return self.named(statement.name, statement.dtype, self.let(statement))
        if isinstance(statement, Load):
            return self.load(statement)
        if isinstance(statement, Select):
            condition = condition_text(statement.guard)
            return [
                f"const {statement.dtype.compute_c} {statement.name} = {condition} ? "
                f"{statement.value} : {statement.otherwise};"
            ]
        if isinstance(statement, Position):
            ctype = statement.dtype.compute_c
            return [f"const {ctype} {statement.name} = {statement.index.to_c()};"]
        if isinstance(statement, Store):
            return [self.store(statement)]
        if isinstance(statement, Accumulator):
            return self.accumulator(statement)
        if isinstance(statement, Reduce):
            return self.reduce(statement)
        if isinstance(statement, Fold):
            return self.fold(statement)
        if isinstance(statement, Row):
            return self.row(statement)
        assert isinstance(statement, SetLane)
        return [f"{statement.row}[{statement.lane}] = {statement.value};"]

    def load(self, load: Load) -> list[str]:
        return self.loaded(load, f"{load.argument}[{self.place(load.place)}]")

    def loaded(self, load: Load, element: str) -> list[str]:
        """The load, from a place as text."""
        if not is_half(load.dtype):
            element = self.from_storage(load.dtype, element)
        if load.guard:
            element = f"{condition_text(load.guard)} ? {element} : 0"
        return self.named(load.name, load.dtype, element, is_half(load.dtype))

    def place(self, place: Place) -> str:
        if isinstance(place, Index):
            return place.to_c()
        number = place.number
        if not place.in_range:
            number = f"lt_clamp_index({number}, {place.limit})"
        if place.stride != 1:
            number += f" * {place.stride}"
        return number if place.offset.constant_value() == 0 else f"{number} + {place.offset.to_c()}"

    def store(self, store: Store) -> str:
        element = f"{store.argument}[{self.place(store.place)}]"
        if store.combine is None:
            return f"{element} = {self.to_storage(store.dtype, store.value)};"
        old = self.from_storage(store.dtype, element)
        let = Let("", store.dtype, store.combine, (old, store.value), store.dtype)
        return f"{element} = {self.to_storage(store.dtype, self.let(let))};"

    def named(self, name: str, dtype: DType, value: str, is_stored: bool = False) -> list[str]:
        """A name for a value. One of half precision is rounded to its bits, which are what is
        stored, or read; where nothing computes with the number, the compiler drops it."""
        if not is_half(dtype):
            return [f"const {dtype.compute_c} {name} = {value};"]
        bits = value if is_stored else self.to_storage(dtype, value)
        self.halves.add(name)
        return [
            f"const {dtype.storage_c} {name}_bits = {bits};",
            f"const {dtype.compute_c} {name} = {self.from_storage(dtype, name + '_bits')};",
        ]

    def accumulator(self, a: Accumulator) -> list[str]:
        start = neutral(a.operation, a.dtype)
        over_partial, aligned = self.dialect.over_partial, self.dialect.aligned
        lines = [
            f"{accumulator_c(a.dtype)} {a.name}[{a.lanes}]{aligned};",
            *over_partial(a.lanes),
            f"for (long lane = 0; lane < {a.lanes}; lane++) {a.name}[lane] = {start};",
        ]
        if "arg" in a.operation.name:
            lines += [
                f"long {a.name}_at[{a.lanes}]{aligned};",
                *over_partial(a.lanes),
                f"for (long lane = 0; lane < {a.lanes}; lane++) {a.name}_at[lane] = -1;",
            ]
        return lines

    def reduce(self, r: Reduce) -> list[str]:
        a = r.accumulator
        element, old = f"{a.name}[{r.lane}]", f"{a.name}_old"
        if "arg" not in a.operation.name:
            return self.combine(a, element, r.value)
        assert r.position is not None
        # Read once, before any condition: a compiler does not vectorise a read under one.
        reading = f"const {accumulator_c(a.dtype)} {old} = {element};"
        at, name = f"{a.name}_at[{r.lane}]", f"{a.name}_better"
        return [
            reading,
            f"const long {a.name}_at_old = {at};",
            f"const _Bool {name} = {a.name}_at_old < 0 || {beats(a, r.value, old)};",
            f"{element} = {name} ? {r.value} : {old};",
            f"{at} = {name} ? {r.position.to_c()} : {a.name}_at_old;",
        ]

    def combine(self, a: Accumulator, element: str, value: str) -> list[str]:
        """The statements that combine a value into an element of an accumulator."""
        better = {"max": ">", "min": "<"}.get(a.operation.name)
        if better is None or a.dtype.kind != "float":
            return [f"{element} = {combined(a.operation, a.dtype, element, value)};"]
        # NaN stays. In these steps it vectorises whatever the value is made of, and where the
        # last elements are done one by one, nothing hangs on a branch that cannot be foreseen.
        ctype, old, best = accumulator_c(a.dtype), f"{a.name}_old", f"{a.name}_best"
        return [
            f"const {ctype} {old} = {element};",
            f"const {ctype} {best} = {value} {better} {old} ? {value} : {old};",
            f"{element} = {value} != {value} ? {value} : {best};",
        ]

    def fold(self, fold: Fold) -> list[str]:
        a = fold.accumulator
        if "arg" in a.operation.name:
            return self.fold_positions(fold)
        ctype = accumulator_c(a.dtype)
        if a.lanes == 1:
            return [f"const {ctype} {fold.name} = {self.rounded(a.dtype, a.name + '[0]')};"]
        # Halves are added up pairwise: short dependency chains and small rounding errors. Every
        # loop has a constant end, so that it becomes a few vector operations.
        lines = []
        half = a.lanes // 2
        while half:
            steps = self.combine(a, f"{a.name}[lane]", f"{a.name}[lane + {half}]")
            body = steps[0] if len(steps) == 1 else "{ " + " ".join(steps) + " }"
            lines += [
                *self.dialect.over_partial(half),
                f"for (long lane = 0; lane < {half}; lane++) {body}",
            ]
            half //= 2
        return [
            *lines,
            f"const {ctype} {fold.name} = {self.rounded(a.dtype, a.name + '[0]')};",
        ]

    def fold_positions(self, fold: Fold) -> list[str]:
        a = fold.accumulator
        best = f"{a.name}[{fold.name}_lane]"
        at = f"{a.name}_at[{fold.name}_lane]"
        lane, place = f"{a.name}[lane]", f"{a.name}_at[lane]"
        if a.operation.name == "argmax_last_nan":
            beaten = f"{lane} > {best} || ({lane} == {best} && {place} < {at})"
            wins = f"{lane} != {lane} ? {best} == {best} || {place} > {at} : {beaten}"
        else:
            same = f"({lane} == {best} || ({lane} != {lane} && {best} != {best}))"
            wins = f"{beats(a, lane, best)} || ({same} && {place} < {at})"
        return [
            f"long {fold.name}_lane = 0;",
            f"for (long lane = 1; lane < {a.lanes}; lane++)",
            f"    if ({place} >= 0 && ({wins}))",
            f"        {fold.name}_lane = lane;",
            f"const long {fold.name} = {at};",
        ]

    def row(self, row: Row) -> list[str]:
        ctype = accumulator_c(row.dtype)
        if not row.in_scratch:
            return [f"{ctype} {row.name}[{row.lanes}]{self.dialect.aligned};"]
        offset = self.scratch
        size = 8 if ctype in ("double", "long") else 4
        self.scratch += -(-row.lanes * size // 64) * 64
        pointer = f"{self.dialect.space}{ctype} *"
        return [f"{pointer}{row.name} = ({pointer})(scratch + {offset});"]

    # ---- expressions ----------------------------------------------------------------------------

    def let(self, statement: Let) -> str:
        """The expression of a scalar operation, not rounded."""
        operation, operands = statement.operation, statement.operands
        if operation.name == "cast":
            if (statement.operand_dtype.kind, statement.dtype.kind) == ("bool", "int"):
                return self.opaque_truth(f"({statement.dtype.compute_c}){operands[0]}")
            return _cast(statement.operand_dtype, statement.dtype, operands[0])
        ctype = statement.operand_dtype.compute_c
        if operation.name == "where":
            ctype = statement.dtype.compute_c
            if _are_neighbours(*operands[1:]):
                return self.opaque_truth(f"({operands[0]} ? {operands[1]} : {operands[2]})")
        spelling = operation.spelling
        if spelling is None:
            text = f"{spelled(operation.name, ctype)}({', '.join(operands)})"
        else:
            text = (spelling if isinstance(spelling, str) else spelling(ctype)).format(*operands)
        return text

    def opaque_truth(self, number: str) -> str:
        """A truth value as a number, of which a compiler does not know that it is one: gcc 12
        makes wrong vectors of loads at such places (t[x < y]). What it is combined with is 0."""
        return f"({number} ^ (threads >> 63))"

    def from_storage(self, dtype: DType, element: str) -> str:
        """A stored element as a number of the type that arithmetic is done in."""
        if dtype is dt.bfloat16:
            return f"lt_bf16_to_f32({element})"
        if dtype is dt.bool_:
            return f"({element} != 0)"
        if dtype is dt.float16:
            return f"lt_f16_to_f32({element})"
        return element

    def to_storage(self, dtype: DType, value: str) -> str:
        """A number as it is stored."""
        if value in self.halves:
            return f"{value}_bits"
        if dtype is dt.bfloat16:
            return f"lt_f32_to_bf16({value})"
        return f"lt_f32_to_f16({value})" if dtype is dt.float16 else value

    def rounded(self, dtype: DType, value: str) -> str:
        """A half-precision result rounded as a store would, where arithmetic is done in float."""
        if not is_half(dtype):
            return value
        return self.from_storage(dtype, self.to_storage(dtype, value))


def accumulator_c(dtype: DType) -> str:
    return "unsigned char" if dtype.kind == "bool" else dtype.compute_c


def beats(a: Accumulator, x: str, y: str) -> str:
    """Whether x, which comes later, displaces y as the extremum: NaN beats every number."""
    better = "<" if a.operation.name == "argmin" else ">"
    if a.dtype.kind != "float":
        return f"{x} {better} {y}"
    if a.operation.name == "argmax_last_nan":
        return f"{x} {better} {y} || {x} != {x}"
    return f"{x} {better} {y} || ({x} != {x} && {y} == {y})"
