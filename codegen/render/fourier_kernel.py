"""A host call of a Fourier transform as generated C: a kernel an axis, or two for a long one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2, prod
from typing import Any

from codegen.dtype import uint8
from codegen.graph.fuse import Cluster
from codegen.ir.node import Node, Shape, TensorType
from codegen.loops.contraction import second_level_cache_bytes
from codegen.loops.fourier import halves, is_long, is_smooth
from codegen.loops.grammar import Argument
from codegen.render.c_family import Dialect
from codegen.render.contraction_kernel import RenderedKernel
from codegen.render.fourier_functions import Functions
from codegen.render.source import KernelSource

Lines = list[str]

# Fewer operations than this are done before another thread has woken.
_PARALLEL_OPERATIONS = 1 << 18
# Longer columns than this would leave the second-level cache, lanes side by side.
_LONGEST_COLUMN = 1 << 12


_ROUTINES = ("fft_complex", "fft_of_real", "fft_to_real")


def is_fourier(cluster: Cluster) -> bool:
    """Whether a cluster is a call of the host that is a Fourier transform."""
    if cluster.kind != "host":
        return False
    return _routine(cluster)[0] in _ROUTINES


def render_fourier_kernels(
    cluster: Cluster, threads: int, comments: Sequence[str], dialect: Dialect
) -> list[RenderedKernel]:
    """The kernels of a transform, in the order in which they run."""
    return _Fourier(cluster, threads, comments, dialect).render()


def fourier_working_bytes(cluster: Cluster, threads: int) -> int:
    """Memory that a transform's kernels share: a long row between its two halves."""
    name, *attributes = _routine(cluster)
    (x,) = cluster.nodes[0].inputs
    if name != "fft_complex" or -1 not in attributes[0]:
        return 0
    *outer, n, _ = x.shape
    lanes = Functions(x.dtype.storage_c, True).lanes
    return x.type.nbytes if is_long(prod(outer), n, lanes, threads) else 0


def _routine(cluster: Cluster) -> tuple[Any, ...]:
    routine = cluster.nodes[0].attributes[0]
    assert isinstance(routine, tuple)
    return routine


@dataclass(frozen=True)
class _Axis:
    """The transform along one axis, from ``in`` to ``out``: the text of a ``task``."""

    tasks: int
    body: Lines
    scratch: int  # elements


class _Fourier:
    def __init__(
        self, cluster: Cluster, threads: int, comments: Sequence[str], dialect: Dialect
    ) -> None:
        self.cluster, self.threads = cluster, threads
        self.comments, self.dialect = comments, dialect
        (self.node,) = cluster.nodes
        (self.x,) = self.node.inputs
        self.name, *self.attributes = _routine(cluster)
        self.element = self.x.dtype.storage_c
        self.itemsize = self.x.dtype.itemsize
        self.kernels: list[RenderedKernel] = []

    def render(self) -> list[RenderedKernel]:
        if self.name == "fft_complex":
            self._of_complex(*self.attributes)
        elif self.name == "fft_of_real":
            self._of_real(*self.attributes)
        else:
            self._to_real(*self.attributes)
        return self.kernels

    def _kernel(
        self, functions: Functions, tasks: int, body: Lines, operations: float, scratch: int,
        from_input: bool = True, to_output: bool = True, shares: bool = False,
    ) -> None:  # fmt: skip
        """A kernel whose tasks are shared out to the threads: ``task`` in its body."""
        arguments: list[Argument] = []
        operands: list[Node | Cluster] = []
        if from_input:
            arguments.append(Argument("in", self.x.type, False))
            operands.append(self.x)
        if to_output:
            arguments.append(Argument("out", self.node.type, True))
            operands.append(self.node)
        if shares:
            arguments.append(Argument("working", TensorType((self.x.type.nbytes,), uint8), True))
            operands.append(self.cluster)
        scratch_bytes = scratch * self.itemsize
        parallel = tasks > 1 and operations > _PARALLEL_OPERATIONS
        lines = [
            *[f"// {c}" for c in self.comments],
            *self.dialect.opening(arguments, scratch_bytes, ()),
        ]
        lines.append(f"{self.element} *rest = ({self.element} *)scratch;")
        if functions.fills:
            lines += [
                "// Tables of roots of one; threads that fill them at once write the same.",
                "static int filled;",
                "if (!__atomic_load_n(&filled, __ATOMIC_ACQUIRE)) {",
                *functions.fills,
                "__atomic_store_n(&filled, 1, __ATOMIC_RELEASE);",
                "}",
            ]
        share = ["0", str(tasks)]
        if parallel:
            share = [f"{tasks}L * thread / threads", f"{tasks}L * (thread + 1) / threads"]
        lines += [
            f"const long last_task = {share[1]};",
            f"for (long task = {share[0]}; task < last_task; task++) {{",
            *body,
            "}",
            "}",
        ]
        self.kernels.append(
            RenderedKernel(
                KernelSource(
                    "fourier", _indented(lines), (*self.dialect.prologue, *functions.texts())
                ),
                tuple(operands),
                parallel,
                scratch_bytes,
                int(operations),
                sum([a.type.nbytes for a in arguments]),
            )
        )  # fmt: skip

    # ---- complex numbers -------------------------------------------------------------------------

    def _of_complex(self, axes: Sequence[int], forward: bool, scale: float) -> None:
        """The last axis first; what the others do in place lies in the output then."""
        shape = self.x.shape[:-1]
        left = sorted([len(shape) + a for a in axes], reverse=True)
        self._source = "in"
        while left:
            rows, n = prod(shape[:-1]), shape[-1]
            lanes = Functions(self.element, forward).lanes
            if left[0] == len(shape) - 1 and is_long(rows, n, lanes, self.threads):
                left = left[1:]
                self._long_rows(Functions(self.element, forward), rows, n, 1 if left else scale)
                self._source = "out"
                continue
            together, left = self._in_one_kernel(shape, left)
            self._axes(shape, together, forward, 1 if left else scale)
            self._source = "out"

    def _in_one_kernel(self, shape: Shape, left: list[int]) -> tuple[list[int], list[int]]:
        """The axes to transform next, and the rest: several, where so much of the array as they
        span is in the cache from one to the other, and there is enough of it for the threads."""
        count = 1
        for i, axis in enumerate(left[1:], 2):
            items, size = prod(shape[:axis]), prod(shape[axis:]) * 2 * self.itemsize
            shared_out = items % self.threads == 0 or items >= 4 * self.threads
            if items > 1 and shared_out and 2 * size <= second_level_cache_bytes():
                count = i
        return left[:count], left[count:]

    def _axes(self, shape: Shape, axes: list[int], forward: bool, scale: float) -> None:
        functions = Functions(self.element, forward)
        operations = 5 * prod(shape) * max(log2(prod([shape[a] for a in axes])), 1)
        whole = axes[-1] if len(axes) > 1 else 0
        parts = [
            self._axis(functions, shape[whole:], a - whole, scale if a == axes[-1] else 1)
            for a in axes
        ]
        scratch, is_first = max([part.scratch for part in parts]), self._source == "in"
        if len(parts) == 1:
            opened = [] if is_first else [f"const {self.element} *in = out;"]
            self._kernel(functions, parts[0].tasks, [*opened, *parts[0].body], operations,
                         scratch, from_input=is_first)  # fmt: skip
            return
        e, size = self.element, 2 * prod(shape[whole:])
        body = [f"const {e} *source = {self._source} + task * {size};",
                f"{e} *target = out + task * {size};"]  # fmt: skip
        for number, part in enumerate(parts):
            body += [
                "{",
                f"const {e} *in = {'target' if number else 'source'};",
                f"{e} *out = target;",
                f"for (long task = 0; task < {part.tasks}; task++) {{",
                *part.body,
                "}",
                "}",
            ]
        self._kernel(functions, prod(shape[:whole]), body, operations, scratch,
                     from_input=is_first)  # fmt: skip

    def _axis(self, functions: Functions, shape: Shape, axis: int, scale: float) -> _Axis:
        outer, n, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
        lanes = functions.lanes
        if inner == 1:
            return self._rows(functions, outer, n, scale)
        if inner >= lanes // 2 and is_smooth(n) and n <= _LONGEST_COLUMN:
            return self._columns(functions, outer, n, inner, scale)
        return self._strided_rows(functions, outer, n, inner, scale)

    def _rows(self, functions: Functions, outer: int, n: int, scale: float) -> _Axis:
        rows = functions.rows(n, scale)
        group = functions.group(n)
        body = [
            f"const long row = task * {group};",
            f"const long count = {outer} - row < {group} ? {outer} - row : {group};",
            f"{rows}(in + row * {2 * n}, {2 * n}, out + row * {2 * n}, {2 * n}, count, rest);",
        ]
        return _Axis(-(-outer // group), body, functions.rows_scratch(n))

    def _columns(self, functions: Functions, outer: int, n: int, inner: int, scale: float) -> _Axis:
        """Neighbouring columns in the lanes of vectors; the last few through a copy."""
        lanes, e = functions.lanes, self.element
        columns = functions.columns(n, True, True, False, scale)
        blocks, width = -(-inner // lanes), 2 * lanes
        place = f"task / {blocks} * {2 * n * inner} + task % {blocks} * {width}"
        whole = f"{columns}(x, {2 * inner}, y, {2 * inner}, 0, 0, 0, rest);"
        body = [f"const {e} *x = in + ({place});", f"{e} *y = out + ({place});"]
        left = inner % lanes
        scratch = functions.columns_scratch(n)
        if left:
            scratch += n * width
            copied = [
                f"{e} *lanes = rest;",
                f"for (long j = 0; j < {n}; j++)",
                f"for (long i = 0; i < {width}; i++)",
                f"lanes[j * {width} + i] = i < {2 * left} ? x[j * {2 * inner} + i] : 0;",
                f"{columns}(lanes, {width}, lanes, {width}, 0, 0, 0, lanes + {n * width});",
                f"for (long j = 0; j < {n}; j++)",
                f"for (long i = 0; i < {2 * left}; i++)",
                f"y[j * {2 * inner} + i] = lanes[j * {width} + i];",
            ]
            body += [f"if (task % {blocks} < {blocks - 1}) {{", whole, "} else {", *copied, "}"]
        else:
            body.append(whole)
        return _Axis(outer * blocks, body, scratch)

    def _strided_rows(
        self, functions: Functions, outer: int, n: int, inner: int, scale: float
    ) -> _Axis:
        """Rows whose points lie apart, copied together."""
        lanes, e, count = functions.lanes, self.element, outer * inner
        rows, copied = functions.rows(n, scale), functions.whole(2 * n * lanes)

        def each(*copy: str) -> Lines:
            return [
                "for (long i = 0; i < count; i++) {",
                "const long number = row + i;",
                f"const long place = number / {inner} * {2 * n * inner} + number % {inner} * 2;",
                f"for (long j = 0; j < {n}; j++) {{",
                *copy,
                "}",
                "}",
            ]

        body = [
            f"const long row = task * {lanes};",
            f"const long count = {count} - row < {lanes} ? {count} - row : {lanes};",
            f"{e} *lines = rest;",
            *each(
                f"lines[i * {2 * n} + 2 * j] = in[place + j * {2 * inner}];",
                f"lines[i * {2 * n} + 2 * j + 1] = in[place + j * {2 * inner} + 1];",
            ),
            f"{rows}(lines, {2 * n}, lines, {2 * n}, count, rest + {copied});",
            *each(
                f"out[place + j * {2 * inner}] = lines[i * {2 * n} + 2 * j];",
                f"out[place + j * {2 * inner} + 1] = lines[i * {2 * n} + 2 * j + 1];",
            ),
        ]
        scratch = copied + functions.rows_scratch(n)
        return _Axis(-(-count // lanes), body, scratch)

    def _long_rows(self, functions: Functions, outer: int, n: int, scale: float) -> None:
        lanes, e = functions.lanes, self.element
        pair = halves(n, lanes)
        assert pair is not None
        a, b = pair
        later = Functions(self.element, functions.forward)

        def tasks_of(extent: int, variable: str) -> Lines:
            blocks = -(-extent // lanes)
            return [
                f"const long row = task / {blocks} * {2 * n};",
                f"const long {variable}_ = task % {blocks} * {lanes};",
                f"const long {variable} = {variable}_ < {extent - lanes} ? {variable}_ : "
                f"{extent - lanes};",
            ]

        matrix = f"{e} *matrix = ({e} *)working + row;"
        first = [
            *tasks_of(b, "c"),
            matrix,
            f"const {e} *x = {self._source} + row;",
            *functions.first_half(pair, "x", str(2 * b), "matrix", "c", "rest"),
        ]
        second = [
            *tasks_of(a, "r"),
            matrix,
            f"{e} *y = out + row;",
            *later.second_half(pair, "matrix", "y", "r", "rest", scale),
        ]
        scratch = functions.halves_scratch(pair)
        is_first = self._source == "in"
        half = 2.5 * outer * n * log2(n)
        self._kernel(functions, outer * -(-b // lanes), first, half, scratch, is_first,
                     to_output=not is_first, shares=True)  # fmt: skip
        self._kernel(
            later, outer * -(-a // lanes), second, half, scratch, from_input=False, shares=True
        )

    # ---- real numbers ----------------------------------------------------------------------------

    def _of_real(self, scale: float, whole: bool) -> None:
        """Pairs of neighbours as complex numbers, whose transform is taken apart in place."""
        *rest, n = self.x.shape
        functions, outer, e = Functions(self.element, True), prod(rest), self.element
        half, width = (
            n // 2 + 1,
            2 * self.node.shape[-2],
        )  # of a result, of which the rest mirrors it
        operations = 2.5 * prod(self.x.shape) * max(log2(n), 1)
        group = functions.group(n if n % 2 else n // 2)
        body = [
            f"const long row = task * {group};",
            f"const long count = {outer} - row < {group} ? {outer} - row : {group};",
            f"const {e} *x = in + row * {n};",
            f"{e} *y = out + row * {width};",
        ]
        if n % 2:
            rows, copied = functions.rows(n, scale), functions.whole(2 * n * group)
            body += [
                f"{e} *lines = rest;",
                f"for (long i = 0; i < count * {n}; i++)",
                "lines[2 * i] = x[i], lines[2 * i + 1] = 0;",
                f"{rows}(lines, {2 * n}, lines, {2 * n}, count, rest + {copied});",
                "for (long i = 0; i < count; i++)",
                f"for (long j = 0; j < {2 * half}; j++)",
                f"y[i * {width} + j] = lines[i * {2 * n} + j];",
            ]
            scratch = copied + functions.rows_scratch(n)
        else:
            rows = functions.rows(n // 2)
            apart = functions.apart(n, scale)
            body += [
                f"{rows}(x, {n}, y, {width}, count, rest);",
                "for (long i = 0; i < count; i++)",
                f"{apart}(y + i * {width}, y + i * {width});",
            ]
            scratch = functions.rows_scratch(n // 2)
        if whole:
            body += [
                "for (long i = 0; i < count; i++)",
                f"for (long j = 1; j < {(n + 1) // 2}; j++) {{",
                f"y[i * {width} + 2 * ({n} - j)] = y[i * {width} + 2 * j];",
                f"y[i * {width} + 2 * ({n} - j) + 1] = -y[i * {width} + 2 * j + 1];",
                "}",
            ]
        self._kernel(functions, -(-outer // group), body, operations, scratch)

    def _to_real(self, n: int, scale: float) -> None:
        outer, half, e = prod(self.x.shape[:-2]), n // 2 + 1, self.element
        functions = Functions(self.element, False)
        operations = 2.5 * outer * n * max(log2(n), 1)
        group = functions.group(n if n % 2 else n // 2)
        body = [
            f"const long row = task * {group};",
            f"const long count = {outer} - row < {group} ? {outer} - row : {group};",
            f"const {e} *x = in + row * {2 * half};",
            f"{e} *y = out + row * {n};",
            f"{e} *lines = rest;",
        ]
        if n % 2:
            rows, copied = functions.rows(n, scale), functions.whole(2 * n * group)
            body += [
                "for (long i = 0; i < count; i++) {",
                f"const {e} *z = x + i * {2 * half};",
                f"{e} *line = lines + i * {2 * n};",
                "line[0] = z[0], line[1] = 0;",
                f"for (long j = 1; j < {half}; j++) {{",
                "line[2 * j] = z[2 * j], line[2 * j + 1] = z[2 * j + 1];",
                f"line[2 * ({n} - j)] = z[2 * j], line[2 * ({n} - j) + 1] = -z[2 * j + 1];",
                "}",
                "}",
                f"{rows}(lines, {2 * n}, lines, {2 * n}, count, rest + {copied});",
                f"for (long i = 0; i < count * {n}; i++) y[i] = lines[2 * i];",
            ]
            scratch = copied + functions.rows_scratch(n)
        else:
            rows = functions.rows(n // 2, scale)
            together = functions.together(n)
            body += [
                "for (long i = 0; i < count; i++)",
                f"{together}(x + i * {2 * half}, lines + i * {n});",
                f"{rows}(lines, {n}, y, {n}, count, rest + {functions.whole(n * group)});",
            ]
            scratch = functions.whole(n * group) + functions.rows_scratch(n // 2)
        self._kernel(functions, -(-outer // group), body, operations, scratch)


def _indented(lines: Lines) -> str:
    found, level = [], 0
    for line in lines:
        if line.startswith("}"):
            level -= 1
        found.append(line if line[:1] in ("", " ", "/") else "    " * level + line)
        if line.endswith("{"):
            level += 1
    return "\n".join(found) + "\n"
