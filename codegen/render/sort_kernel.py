"""A sort cluster as text: its values, its places, or both, written by one kernel or a few."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from codegen import dtype as dt
from codegen.graph.fuse import Cluster, Fusion
from codegen.ir.node import Node, TensorType, in_memory_as
from codegen.loops.grammar import Argument
from codegen.loops.sort import SortForm, choose_sort
from codegen.ops.sort import SORT
from codegen.render.c_family import Dialect
from codegen.render.contraction_kernel import RenderedKernel
from codegen.render.sort_keys import WIDE_PAIR, Keys, Lines, indented
from codegen.render.sort_row import RowSort
from codegen.render.source import KernelSource


def sort_form(cluster: Cluster, threads: int) -> SortForm:
    node = cluster.nodes[0]
    (x,) = node.inputs
    _, start, stop = node.attributes
    assert isinstance(start, int) and isinstance(stop, int)
    rows, extent = prod(x.shape[:-1]), x.shape[-1]
    return choose_sort(rows, extent, x.dtype.itemsize, start, stop, threads)


def sort_working_bytes(cluster: Cluster, threads: int) -> int:
    """Memory that a sort's kernels share: the runs of two rounds of merging."""
    form = sort_form(cluster, threads)
    if form.kind != "parts":
        return 0
    keys = Keys(cluster.nodes[0].inputs[0].dtype, False, form.extent)
    return min(form.rounds, 2) * form.rows * form.extent * keys.pair_bytes


def render_sort_kernels(
    cluster: Cluster, fusion: Fusion, threads: int, comments: Sequence[str], dialect: Dialect
) -> list[RenderedKernel]:
    """The kernels of a sort, in the order in which they run."""
    return _Sort(cluster, fusion, threads, comments, dialect).kernels()


class _Sort:
    def __init__(
        self, cluster: Cluster, fusion: Fusion, threads: int, comments: Sequence[str],
        dialect: Dialect,
    ) -> None:  # fmt: skip
        self.cluster, self.comments, self.dialect = cluster, comments, dialect
        self.form = sort_form(cluster, threads)
        (self.x,) = cluster.nodes[0].inputs
        self.keys = Keys(self.x.dtype, bool(cluster.nodes[0].attributes[0]), self.form.extent)
        self.outputs = [n for n in cluster.nodes if n in fusion.stored]
        self.source = Argument("in0", in_memory_as(self.x).type, False)
        self.written = [Argument(f"out{1 + i}", n.type, True) for i, n in enumerate(self.outputs)]

    def kernels(self) -> list[RenderedKernel]:
        form = self.form
        if form.kind == "ranks":
            return [self._kernel("sort_ranks", self._ranks())]
        if form.kind == "radix":
            return [self._rows()]
        return [self._parts(), *[self._merge(number) for number in range(form.rounds)]]

    def _kernel(
        self, name: str, lines: Lines, scratch_bytes: int = 0, shares_runs: bool = False
    ) -> RenderedKernel:
        arguments = [self.source, *self.written]
        operands: list[Node | Cluster] = [in_memory_as(self.x), *self.outputs]
        keys, form = self.keys, self.form
        opened = [f"const {keys.element} *elements = (const {keys.element} *)in0;"]
        for argument, node in zip(self.written, self.outputs, strict=True):
            if node.operation is SORT:
                opened.append(f"{keys.element} *values = ({keys.element} *){argument.name};")
            else:
                opened.append(f"long *places = (long *){argument.name};")
        if shares_runs:
            nbytes = min(form.rounds, 2) * form.rows * form.extent * keys.pair_bytes
            arguments.append(Argument("working", TensorType((nbytes,), dt.uint8), True))
            operands.append(self.cluster)
            opened.append(f"{keys.pair} *runs = ({keys.pair} *)working;")
        text = "\n".join(
            [
                *[f"// {c}" for c in self.comments],
                *self.dialect.opening(arguments, scratch_bytes, ()),
                self.dialect.from_c("\n".join(indented([*opened, *lines]))),
                "}",
                "",
            ]
        )
        size = form.rows * form.extent
        prologue = (*self.dialect.prologue, *([WIDE_PAIR] if keys.wide else []))
        return RenderedKernel(
            KernelSource(name, text, prologue),
            tuple(operands),
            form.parallel,
            scratch_bytes,
            size * keys.passes,
            self.x.type.nbytes + sum([n.type.nbytes for n in self.outputs]),
            schedule=self._schedule(name),
        )

    def _schedule(self, name: str) -> list[str]:
        """What the kernel does, in words."""
        form, keys = self.form, self.keys
        shared = "shared out to the threads" if form.parallel else "on one thread"
        if form.kind == "ranks":
            way = "each element's place is counted: how many come before it"
        else:
            way = f"radix sort of keys with their places, {keys.passes} passes"
        rows = f"{form.rows} rows of {form.extent} elements, {shared}"
        if form.kind in ("ranks", "radix"):
            return [rows, way]
        if name.startswith("sort_parts"):
            return [f"parts of {rows}", way]
        return [f"{rows}: sorted parts are merged, two by two, in {form.rounds} rounds"]

    # ---- the forms -------------------------------------------------------------------------------

    def _each(self, variable: str, extent: int, body: Lines) -> Lines:
        """This thread's share of a loop."""
        return [
            f"const long last_{variable} = {extent}L * (thread + 1) / threads;",
            f"for (long {variable} = {extent}L * thread / threads; {variable} < last_{variable}; "
            f"{variable}++) {{",
            *indented(body),
            "}",
        ]

    def _store(self, place: str, value: str, source: str) -> Lines:
        """The results' statements for what comes at a place in order of a row."""
        form = self.form
        at = f"row * {form.stop - form.start} + {place}"
        at += f" - {form.start}" if form.start else ""
        results = {"sort": f"values[{at}] = ({self.keys.element}){value};",
                   "argsort": f"places[{at}] = {source};"}  # fmt: skip
        return [results[node.operation.name] for node in self.outputs]

    def _store_pair(self, place: str, pair: str) -> Lines:
        has_values = any(node.operation is SORT for node in self.outputs)
        decoded = self.keys.decode(pair) if has_values else []
        return [*decoded, *self._store(place, "value", self.keys.place_of(pair))]

    def _ranks(self) -> Lines:
        form, keys = self.form, self.keys
        n = form.extent
        store = self._store("rank", "source[i]", "i")
        body = [
            f"const {keys.element} *source = elements + row * {n};",
            f"{keys.key} keys[{n}], ranks[{n}];",
            f"for (long i = 0; i < {n}; i++) {{",
            *indented(keys.encode("source[i]")),
            "    keys[i] = key;",
            "    ranks[i] = 0;",
            "}",
            f"for ({keys.key} j = 0; j < {n}; j++) {{",
            f"    const {keys.key} key = keys[j];",
            f"    {self.dialect.independent(n)}",
            f"    for ({keys.key} i = 0; i < {n}; i++)",
            "        ranks[i] += (key < keys[i]) | ((key == keys[i]) & (j < i));",
            "}",
            f"for (long i = 0; i < {n}; i++) {{",
            "    const long rank = ranks[i];",
            *indented(self._if_wanted("rank", form.start, form.stop, n, store)),
            "}",
        ]
        return self._each("row", form.rows, body)

    def _rows(self) -> RenderedKernel:
        form = self.form

        def store(place: str, pair: str) -> Lines:
            lines = self._store_pair(place, pair)
            if form.is_narrow:  # then only what is wanted comes here
                return lines
            return self._if_wanted(place, form.start, form.stop, form.extent, lines)

        row = RowSort(
            self.keys, "0", f"{form.extent}L", form.extent, form.start, form.stop, form.is_narrow
        )
        body = [
            f"const {self.keys.element} *source = elements + row * {form.extent};",
            *row.lines(store),
        ]
        return self._kernel("sort", self._each("row", form.rows, body), row.scratch_bytes)

    def _parts(self) -> RenderedKernel:
        """Each part of each row as a run: the first ``stop`` of it in order, where that is less."""
        form = self.form
        n, parts = form.extent, form.parts

        def store(place: str, pair: str) -> Lines:
            return [f"run[{place}] = {pair};"]

        share = -(-n // parts)
        row = RowSort(self.keys, "begin", "end", share, 0, form.stop, form.narrows_parts)
        body = [
            f"const long row = task / {parts}, part = task % {parts};",
            f"const long begin = {n}L * part / {parts}, end = {n}L * (part + 1) / {parts};",
            f"const {self.keys.element} *source = elements + row * {n};",
            f"{self.keys.pair} *run = runs + row * {n} + begin;",
            *row.lines(store),
        ]
        lines = self._each("task", form.rows * parts, body)
        return self._kernel("sort_parts", lines, row.scratch_bytes, shares_runs=True)

    def _if_wanted(self, place: str, start: int, stop: int, extent: int, body: Lines) -> Lines:
        conditions = [f"{place} >= {start}"] if start else []
        if stop < extent:
            conditions.append(f"{place} < {stop}")
        if not conditions:
            return body
        return [f"if ({' && '.join(conditions)}) {{", *indented(body), "}"]

    # ---- radix -----------------------------------------------------------------------------------

    # ---- merging ---------------------------------------------------------------------------------

    def _merge(self, number: int) -> RenderedKernel:
        """Round ``number``: runs of 2^number parts by twos. Each task makes as much of the merged
        run as its part is long; where that begins in the two runs, a search finds."""
        form, keys = self.form, self.keys
        n, parts, width = form.extent, form.parts, 1 << number
        is_last = number == form.rounds - 1
        half = form.rows * n
        source, target = (number % 2) * half, (1 - number % 2) * half

        def bound(part: str) -> str:
            return f"{n}L * ({part}) / {parts}"

        place = "k"
        store = self._store_pair(place, "pair") if is_last else [f"merged[{place}] = pair;"]
        start = form.start if is_last else 0
        body = [
            f"const long row = task / {parts}, part = task % {parts};",
            f"const long first = part - part % {2 * width};",
            f"const long second = {_least(f'first + {width}', str(parts))};",
            f"const long after = {_least(f'first + {2 * width}', str(parts))};",
            f"const long begin = {bound('first')}, middle = {bound('second')};",
            f"const long end = {bound('after')};",
            f"const long most_a = {_least(str(form.stop), 'middle - begin')};",
            f"const long most_b = {_least(str(form.stop), 'end - middle')};",
            f"const long most = {_least(str(form.stop), 'most_a + most_b')};",
            f"long k = {bound('part')} - begin;",
            f"long k_end = {bound('part + 1')} - begin;",
            "if (k_end > most) k_end = most;",
            *([f"if (k < {start}) k = {start};"] if start else []),
            "if (k >= k_end) continue;",
            f"const {keys.pair} *a = runs + {source} + row * {n} + begin;",
            f"const {keys.pair} *b = runs + {source} + row * {n} + middle;",
            (
                f"const {keys.element} *source = elements + row * {n};"
                if is_last
                else f"{keys.pair} *merged = runs + {target} + row * {n} + begin;"
            ),
            "long i = k > most_b ? k - most_b : 0, i_end = k < most_a ? k : most_a;",
            "while (i < i_end) {",
            "    const long half = (i + i_end) / 2;",
            f"    const {keys.pair} x = a[half], y = b[k - 1 - half];",
            f"    if ({keys.before('x', 'y')}) i = half + 1;",
            "    else i_end = half;",
            "}",
            "long j = k - i;",
            "while (k < k_end && i < most_a && j < most_b) {",
            "    // No run ends within so many steps.",
            "    long steps = most_a - i < most_b - j ? most_a - i : most_b - j;",
            "    if (steps > k_end - k) steps = k_end - k;",
            "    for (long step = 0; step < steps; step++) {",
            f"        const {keys.pair} x = a[i], y = b[j];",
            f"        const long other = {keys.before('y', 'x')};",
            f"        const {keys.pair} pair = *(other ? b + j : a + i);",
            "        i += 1 - other;",
            "        j += other;",
            *indented(store, 2),
            "        k++;",
            "    }",
            "}",
            "while (k < k_end) {",
            f"    const {keys.pair} pair = i < most_a ? a[i++] : b[j++];",
            *indented(store),
            "    k++;",
            "}",
        ]
        lines = self._each("task", form.rows * parts, body)
        return self._kernel(f"merge_{number}", lines, shares_runs=True)


def _least(x: str, y: str) -> str:
    return f"({x} < {y} ? {x} : {y})"
