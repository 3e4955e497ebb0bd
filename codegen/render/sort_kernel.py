"""A sort cluster as text: its values, its places, or both, written by one kernel or a few.

Elements become unsigned keys in whose order they are sorted. What is moved is a pair of a key and
the element's place, which makes equal keys differ: the order is stable however pairs are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.graph.fuse import Cluster, Fusion
from codegen.ir.node import Node, TensorType, in_memory_as
from codegen.loops.grammar import Argument
from codegen.loops.sort import SortForm, choose_sort
from codegen.ops.sort import SORT
from codegen.render.c_family import Dialect
from codegen.render.contraction_kernel import RenderedKernel
from codegen.render.source import KernelSource

_DIGIT_BITS = 8
_WIDE_PAIR = "typedef struct { unsigned long key, place; } lt_keyed;\n"
_BITS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned", 8: "unsigned long"}
_MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}

Lines = list[str]
Output = Callable[[str, str], Lines]  # what is done with a pair, given its place in order


def sort_form(cluster: Cluster, threads: int) -> SortForm:
    node = cluster.nodes[0]
    shape = node.inputs[0].shape
    _, start, stop = node.attributes
    assert isinstance(start, int) and isinstance(stop, int)
    return choose_sort(prod(shape[:-1]), shape[-1], start, stop, threads)


def sort_working_bytes(cluster: Cluster, threads: int) -> int:
    """Memory that a sort's kernels share: the runs of two rounds of merging."""
    form = sort_form(cluster, threads)
    if form.kind != "parts":
        return 0
    keys = _Keys(cluster.nodes[0].inputs[0].dtype, False, form.extent)
    return min(form.rounds, 2) * form.rows * form.extent * keys.pair_bytes


def render_sort_kernels(
    cluster: Cluster, fusion: Fusion, threads: int, comments: Sequence[str], dialect: Dialect
) -> list[RenderedKernel]:
    """The kernels of a sort, in the order in which they run."""
    return _Sort(cluster, fusion, threads, comments, dialect).kernels()


class _Keys:
    """How elements of a type become keys, and pairs of a key and a place."""

    def __init__(self, dtype: DType, descending: bool, extent: int) -> None:
        self.dtype, self.descending = dtype, descending
        self.bits = 8 * dtype.itemsize
        self.element = _BITS[dtype.itemsize]
        self.wide = self.bits == 64 or extent >= 1 << 32
        self.key = "unsigned long" if self.bits == 64 else "unsigned"
        self.pair = "lt_keyed" if self.wide else "unsigned long"
        self.pair_bytes = 16 if self.wide else 8
        suffix = "UL" if self.bits == 64 else "u"
        self.all = f"{hex((1 << self.bits) - 1)}{suffix}"
        self.sign = f"{hex(1 << (self.bits - 1))}{suffix}"
        self.suffix = suffix

    @property
    def passes(self) -> int:
        return -(-self.bits // _DIGIT_BITS)

    def encode(self, element: str) -> Lines:
        """``key`` of an element's bits."""
        turned = f" ^ {self.all}" if self.descending else ""
        if self.dtype.kind == "bool":
            return [f"const unsigned key = ({element} != 0){turned};"]
        if self.dtype.kind == "int":
            sign = f" ^ {self.sign}" if self.dtype.is_signed else ""
            return [f"const {self.key} key = ({self.key}){element}{sign}{turned};"]
        mantissa = _MANTISSA[self.dtype.name]
        infinity = ((1 << (self.bits - 1 - mantissa)) - 1) << mantissa
        return [
            f"const {self.key} bits = {element};",
            f"const {self.key} magnitude = bits & {hex((1 << (self.bits - 1)) - 1)}{self.suffix};",
            f"const {self.key} ordered = magnitude && (bits & {self.sign}) "
            f"? bits ^ {self.all} : magnitude ^ {self.sign};",
            f"const {self.key} key = (magnitude > {hex(infinity)}{self.suffix} ? {self.all} : "
            f"ordered){turned};",
        ]

    def decode(self, pair: str, source: str) -> str:
        """The bits of a pair's element. Of zeros and NaN, the key does not say which it was."""
        turned = f" ^ {self.all}" if self.descending else ""
        key = f"({self.key_of(pair)}{turned})"
        if self.dtype.kind == "bool":
            return key
        if self.dtype.kind == "int":
            return f"({key} ^ {self.sign})" if self.dtype.is_signed else key
        lost = f"{key} == {self.sign} || {key} == {self.all}"
        bits = f"{key} ^ ({key} & {self.sign} ? {self.sign} : {self.all})"
        return f"{lost} ? {source}[{self.place_of(pair)}] : {bits}"

    def make(self, place: str) -> str:
        """A pair of ``key`` and a place, in braces where it is a structure."""
        if self.wide:
            return f"{{key, {place}}}"
        return f"(unsigned long)key << 32 | (unsigned long){place}"

    def key_of(self, pair: str) -> str:
        return f"{pair}.key" if self.wide else f"(unsigned)({pair} >> 32)"

    def place_of(self, pair: str) -> str:
        return f"(long){pair}.place" if self.wide else f"(long)(unsigned){pair}"

    def before(self, x: str, y: str) -> str:
        if not self.wide:
            return f"{x} < {y}"
        return f"({x}.key < {y}.key || ({x}.key == {y}.key && {x}.place < {y}.place))"

    def digit(self, pair: str, number: str) -> str:
        """Digit ``number`` of a pair's key."""
        mask = (1 << _DIGIT_BITS) - 1
        if self.wide:
            return f"({pair}.key >> {_DIGIT_BITS} * {number} & {mask})"
        return f"({pair} >> (32 + {_DIGIT_BITS} * {number}) & {mask})"


class _Sort:
    def __init__(
        self, cluster: Cluster, fusion: Fusion, threads: int, comments: Sequence[str],
        dialect: Dialect,
    ) -> None:  # fmt: skip
        self.cluster, self.comments, self.dialect = cluster, comments, dialect
        self.form = sort_form(cluster, threads)
        (self.x,) = cluster.nodes[0].inputs
        self.keys = _Keys(self.x.dtype, bool(cluster.nodes[0].attributes[0]), self.form.extent)
        self.outputs = [n for n in cluster.nodes if n in fusion.stored]
        self.count = "unsigned" if self.form.extent < 1 << 32 else "unsigned long"
        self.source = Argument("in0", in_memory_as(self.x).type, False)
        self.written = [Argument(f"out{1 + i}", n.type, True) for i, n in enumerate(self.outputs)]

    def kernels(self) -> list[RenderedKernel]:
        form = self.form
        if form.kind == "ranks":
            return [self._kernel("sort_ranks", self._ranks())]
        if form.kind == "radix":
            return [self._kernel("sort", self._rows(), self._scratch_bytes(form.extent))]
        share = -(-form.extent // form.parts)
        made = [self._kernel("sort_parts", self._parts(), self._scratch_bytes(share), 1)]
        for number in range(form.rounds):
            made.append(self._kernel(f"merge_{number}", self._merge(number), 0, 1))
        return made

    def _kernel(
        self, name: str, lines: Lines, scratch_bytes: int = 0, working: int = 0
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
        if working:
            nbytes = min(form.rounds, 2) * form.rows * form.extent * keys.pair_bytes
            arguments.append(Argument("working", TensorType((nbytes,), dt.uint8), True))
            operands.append(self.cluster)
            opened.append(f"{keys.pair} *runs = ({keys.pair} *)working;")
        text = "\n".join(
            [
                *[f"// {c}" for c in self.comments],
                *self.dialect.opening(arguments, scratch_bytes, False),
                self.dialect.from_c("\n".join(_indented([*opened, *lines]))),
                "}",
                "",
            ]
        )
        size = form.rows * form.extent
        prologue = (*self.dialect.prologue, *([_WIDE_PAIR] if keys.wide else []))
        return RenderedKernel(
            KernelSource(name, text, prologue),
            tuple(operands),
            form.parallel,
            scratch_bytes,
            size * keys.passes,
            self.x.type.nbytes + sum([n.type.nbytes for n in self.outputs]),
        )

    def _scratch_bytes(self, extent: int) -> int:
        """For the pairs as they are and as they will be, and the digits' counters."""
        counters = self.keys.passes << _DIGIT_BITS
        return 2 * _rounded(extent * self.keys.pair_bytes) + counters * 8

    # ---- the forms -------------------------------------------------------------------------------

    def _each(self, variable: str, extent: int, body: Lines) -> Lines:
        """This thread's share of a loop."""
        return [
            f"const long last_{variable} = {extent}L * (thread + 1) / threads;",
            f"for (long {variable} = {extent}L * thread / threads; {variable} < last_{variable}; "
            f"{variable}++) {{",
            *_indented(body),
            "}",
        ]

    def _store(self, row: str, place: str, value: str, source: str) -> Lines:
        """The results' statements for what comes at a place in order."""
        form = self.form
        width = form.stop - form.start
        at = f"{row} * {width} + {place}" + (f" - {form.start}" if form.start else "")
        lines = []
        for node in self.outputs:
            if node.operation is SORT:
                lines.append(f"values[{at}] = ({self.keys.element})({value});")
            else:
                lines.append(f"places[{at}] = {source};")
        return lines

    def _store_pair(self, row: str, place: str, pair: str) -> Lines:
        keys = self.keys
        return self._store(row, place, keys.decode(pair, "source"), keys.place_of(pair))

    def _ranks(self) -> Lines:
        form, keys = self.form, self.keys
        n = form.extent
        store = self._store("row", "rank", "source[i]", "i")
        body = [
            f"const {keys.element} *source = elements + row * {n};",
            f"{keys.key} keys[{n}], ranks[{n}];",
            f"for (long i = 0; i < {n}; i++) {{",
            *_indented(keys.encode("source[i]")),
            "    keys[i] = key;",
            "    ranks[i] = 0;",
            "}",
            f"for ({keys.key} j = 0; j < {n}; j++) {{",
            f"    const {keys.key} key = keys[j];",
            f"    {self.dialect.independent}",
            f"    for ({keys.key} i = 0; i < {n}; i++)",
            "        ranks[i] += (key < keys[i]) | ((key == keys[i]) & (j < i));",
            "}",
            f"for (long i = 0; i < {n}; i++) {{",
            "    const long rank = ranks[i];",
            *_indented(self._if_wanted("rank", form.start, form.stop, n, store)),
            "}",
        ]
        return self._each("row", form.rows, body)

    def _rows(self) -> Lines:
        form = self.form
        body = [
            f"const {self.keys.element} *source = elements + row * {form.extent};",
            *self._radix(
                "0", f"{form.extent}", form.extent, form.start, str(form.stop),
                lambda place, pair: self._store_pair("row", place, pair),
                form.start, form.is_part,
            ),
        ]  # fmt: skip
        return self._each("row", form.rows, body)

    def _parts(self) -> Lines:
        """Each part of each row as a run: the first ``stop`` of it in order, where that is less."""
        form = self.form
        n, parts = form.extent, form.parts
        body = [
            f"const long row = task / {parts}, part = task % {parts};",
            f"const long begin = {n}L * part / {parts}, end = {n}L * (part + 1) / {parts};",
            f"const {self.keys.element} *source = elements + row * {n};",
            f"{self.keys.pair} *run = runs + row * {n} + begin;",
            *self._radix(
                "begin", "end", -(-n // parts), 0, _least(f"{form.stop}", "end - begin"),
                lambda place, pair: [f"run[{place}] = {pair};"], 0, form.stop < n // parts,
            ),
        ]  # fmt: skip
        return self._each("task", form.rows * parts, body)

    def _if_wanted(self, place: str, start: int, stop: int, extent: int, body: Lines) -> Lines:
        conditions = [f"{place} >= {start}"] if start else []
        if stop < extent:
            conditions.append(f"{place} < {stop}")
        if not conditions:
            return body
        return [f"if ({' && '.join(conditions)}) {{", *_indented(body), "}"]

    # ---- radix -----------------------------------------------------------------------------------

    def _radix(
        self, begin: str, end: str, most: int, low: int, high: str, output: Output,
        base: int, narrowed: bool,
    ) -> Lines:  # fmt: skip
        """Sort ``source`` from ``begin`` to ``end``, at most ``most`` elements, and do ``output``
        with those of which the place in order is from ``low`` up to ``high``."""
        keys = self.keys
        radix, passes = 1 << _DIGIT_BITS, keys.passes
        offset = _rounded(most * keys.pair_bytes)
        placed = output("at", "pair")
        if narrowed:
            placed = ["if (at >= low && at < high) {", *_indented(output("at + skipped", "pair")),
                      "}"]  # fmt: skip
        return [
            f"{keys.pair} *from = ({keys.pair} *)scratch;",
            f"{keys.pair} *to = ({keys.pair} *)(scratch + {offset});",
            f"{self.count} *counts = ({self.count} *)(scratch + {2 * offset});",
            f"long count = {end} - {begin};",
            f"for (long d = 0; d < {passes * radix}; d++) counts[d] = 0;",
            f"for (long i = {begin}; i < {end}; i++) {{",
            *_indented(keys.encode("source[i]")),
            f"    const {keys.pair} pair = {keys.make('i')};",
            f"    from[i - {begin}] = pair;",
            *[f"    counts[{p * radix} + {keys.digit('pair', str(p))}]++;" for p in range(passes)],
            "}",
            *(self._narrow(low, high) if narrowed else []),
            "int final = -1;  // the last digit in which elements differ",
            f"for (int p = 0; p < {passes}; p++) {{",
            f"    const {keys.pair} pair = from[0];",
            f"    if (counts[{radix} * p + {keys.digit('pair', 'p')}] != count) final = p;",
            "}",
            "for (int p = 0; p <= final; p++) {",
            f"    {self.count} *offsets = counts + {radix} * p;",
            f"    {self.count} sum = 0;",
            f"    const {keys.pair} first = from[0];",
            f"    if (offsets[{keys.digit('first', 'p')}] == count) continue;",
            f"    for (int d = 0; d < {radix}; d++) {{",
            f"        const {self.count} found = offsets[d];",
            "        offsets[d] = sum;",
            "        sum += found;",
            "    }",
            "    if (p < final) {",
            "        for (long i = 0; i < count; i++) {",
            f"            const {keys.pair} pair = from[i];",
            f"            to[offsets[{keys.digit('pair', 'p')}]++] = pair;",
            "        }",
            f"        {keys.pair} *other = from;",
            "        from = to;",
            "        to = other;",
            "    } else {",
            "        for (long i = 0; i < count; i++) {",
            f"            const {keys.pair} pair = from[i];",
            f"            const long at = offsets[{keys.digit('pair', 'p')}]++;",
            *_indented(placed, 3),
            "        }",
            "    }",
            "}",
            "if (final < 0)",
            "    for (long at = 0; at < count; at++) {",
            f"        const {keys.pair} pair = from[at];",
            *_indented(placed, 2),
            "    }",
        ]

    def _narrow(self, low: int, high: str) -> Lines:
        """Drop what no wanted place can hold, by the highest digits: from then on ``low`` and
        ``high`` count from the ``skipped`` elements that come first."""
        keys = self.keys
        radix, passes = 1 << _DIGIT_BITS, keys.passes
        return [
            f"long low = {low}, high = {high}, skipped = 0;",
            f"for (int p = {passes - 1}; p >= 0; p--) {{",
            f"    {self.count} *found = counts + {radix} * p;",
            "    long before = 0, through = 0, first = 0, end = 0;",
            "    while (before + found[first] <= low) before += found[first++];",
            "    end = first;",
            "    through = before;",
            "    do through += found[end++]; while (through < high);",
            "    if (through - before < count) {",
            f"        for (long d = 0; d < {radix} * (p + 1); d++) counts[d] = 0;",
            "        long kept = 0;",
            "        for (long i = 0; i < count; i++) {",
            f"            const {keys.pair} pair = from[i];",
            f"            const long digit = {keys.digit('pair', 'p')};",
            "            if (digit < first || digit >= end) continue;",
            "            from[kept++] = pair;",
            "            for (int q = 0; q <= p; q++)",
            f"                counts[{radix} * q + {keys.digit('pair', 'q')}]++;",
            "        }",
            f"        for (int q = p + 1; q < {passes}; q++) {{",
            f"            const {keys.pair} pair = from[0];",
            f"            counts[{radix} * q + {keys.digit('pair', 'q')}] = kept;",
            "        }",
            "        count = kept;",
            "        low -= before;",
            "        high -= before;",
            "        skipped += before;",
            "    }",
            "    if (end - first > 1) break;",
            "}",
        ]

    # ---- merging ---------------------------------------------------------------------------------

    def _merge(self, number: int) -> Lines:
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
        store = self._store_pair("row", place, "pair") if is_last else [f"merged[{place}] = pair;"]
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
            f"        const {keys.pair} pair = other ? y : x;",
            "        i += 1 - other;",
            "        j += other;",
            *_indented(store, 2),
            "        k++;",
            "    }",
            "}",
            "while (k < k_end) {",
            f"    const {keys.pair} pair = i < most_a ? a[i++] : b[j++];",
            *_indented(store),
            "    k++;",
            "}",
        ]
        return self._each("task", form.rows * parts, body)


def _indented(lines: Sequence[str], levels: int = 1) -> Lines:
    return ["    " * levels + line for line in lines]


def _least(x: str, y: str) -> str:
    return f"({x} < {y} ? {x} : {y})"


def _rounded(nbytes: int) -> int:
    return -(-nbytes // 64) * 64
