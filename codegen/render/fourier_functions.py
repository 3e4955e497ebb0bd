"""The C functions that kernels of Fourier transforms are made of, each entered where it is used.

A vector function transforms as many columns at once as a vector has elements: complex numbers lie
in pairs in memory, and are taken apart into vectors of real and of imaginary parts when they are
read. Everything else is made of that: rows are turned into columns (``rows``).

Passes are Stockham's: pass i, of butterflies of r points at a distance, with s the product of the
radices before it, takes x[q + s (p + m j)] and gives y[q + s (r p + k)], so that nothing is ever
put into another order. A backward transform is a forward one between exchanges of the two parts.
"""

from __future__ import annotations

import re

from codegen.loops.contraction import vector_bytes
from codegen.loops.fourier import RowForm, radices, row_form
from codegen.render.fourier_butterflies import Butterfly

_TURN = """\
// cos and sin of -2 pi k / n.
static void lt_turn(long k, long n, double *re, double *im) {
    k = k * 8;
    const long eighth = k / n % 8, rest = k % n;
    // Within the eighth, counted from its nearer end on an axis.
    const double x = 0.7853981633974483 * (double)(eighth % 2 ? n - rest : rest) / (double)n;
    const double y = x * x;
    const double s = x * (1 + y * (-1.0 / 6 + y * (1.0 / 120 + y * (-1.0 / 5040 + y * (1.0 / 362880
        + y * (-1.0 / 39916800 + y * (1.0 / 6227020800 - y * (1.0 / 1307674368000))))))));
    const double c = 1 + y * (-0.5 + y * (1.0 / 24 + y * (-1.0 / 720 + y * (1.0 / 40320
        + y * (-1.0 / 3628800 + y * (1.0 / 479001600 + y * (-1.0 / 87178291200
        + y * (1.0 / 20922789888000))))))));
    const int turned = eighth == 1 || eighth == 2 || eighth == 5 || eighth == 6;
    const double re_size = turned ? s : c, im_size = turned ? c : s;
    *re = eighth >= 2 && eighth < 6 ? -re_size : re_size;
    *im = eighth < 4 ? -im_size : im_size;
}
"""


def _mark(scale: float) -> str:
    """What tells functions that multiply by another scale apart by their names."""
    return "" if scale == 1 else re.sub(r"\W", "_", scale.hex())


class Functions:
    """What a kernel's functions are for: an element type, a direction, a scale. ``snippets`` are
    those asked for, in order; ``fills``, the calls that fill their tables."""

    def __init__(self, element: str, forward: bool) -> None:
        self.element, self.forward = element, forward
        self.itemsize = 4 if element == "float" else 8
        self.lanes = max(vector_bytes() // self.itemsize, 2)
        self.type = f"lt_fft_{element[0]}{self.lanes}"
        self.snippets: dict[str, str] = {}
        self.fills: list[str] = []
        self._enter(self.type, self._types())

    def _enter(self, name: str, text: str) -> str:
        self.snippets.setdefault(name, text)
        return name

    # ---- vectors ---------------------------------------------------------------------------------

    def _types(self) -> str:
        v, e, size = self.type, self.element, self.lanes * self.itemsize
        integer = "int" if self.itemsize == 4 else "long long"
        lanes = range(self.lanes)
        orders = {
            "even": [2 * i for i in lanes],
            "odd": [2 * i + 1 for i in lanes],
            "low": [i // 2 + i % 2 * self.lanes for i in lanes],
            "high": [(i + self.lanes) // 2 + i % 2 * self.lanes for i in lanes],
            "back": [self.lanes - 1 - i for i in lanes],
        }
        block = self.lanes // 2  # complex numbers in a vector
        while block > 1:
            block //= 2  # blocks of so many change places
            unit = 2 * block
            for half in (0, 1):
                order: list[int] = []
                for i in range(0, self.lanes, unit):
                    source = i // unit
                    start = (source - source % 2 + half) * unit + source % 2 * self.lanes
                    order += range(start, start + unit)
                orders[f"swap{block}_{half}"] = order
        text = [
            f"typedef {e} {v} __attribute__((vector_size({size}), may_alias));",
            f"typedef {e} {v}u __attribute__((vector_size({size}), may_alias, "
            f"aligned({self.itemsize})));",
            f"typedef {integer} {v}i __attribute__((vector_size({size}), may_alias));",
        ]
        for name, order in orders.items():
            listed = ", ".join(map(str, order))
            text += [
                f"static inline {v} {v}_{name}({v} x, {v} y) {{",
                "#if defined __has_builtin",
                "#if __has_builtin(__builtin_shufflevector)",
                "#define LT_SHUFFLES",
                "#endif",
                "#endif",
                "#ifdef LT_SHUFFLES",
                "#undef LT_SHUFFLES",
                f"    return __builtin_shufflevector(x, y, {listed});",
                "#else",
                f"    return __builtin_shuffle(x, y, ({v}i){{{listed}}});",
                "#endif",
                "}",
            ]
        return "\n".join(text) + "\n"

    # ---- columns ---------------------------------------------------------------------------------

    def columns(self, n: int, first: bool, last: bool, factors: bool, scale: float) -> str:
        """``name(in, in_step, out, out_step, table, table_step, table_im, scratch)``: transforms of
        n points in neighbouring columns, points ``step`` elements apart. The first and last step of
        a backward one exchange the parts. With ``factors`` results are multiplied by a table of
        real parts, rows of which are ``table_step`` apart, and of imaginary ones, ``table_im``
        behind them."""
        v, e = self.type, self.element
        swap_in, swap_out = first and not self.forward, last and not self.forward
        marks = [m for m, on in (("i", swap_in), ("o", swap_out), ("f", factors)) if on]
        scaled = _mark(scale)
        name = f"{v}_{n}{''.join(marks)}{scaled}"
        if name in self.snippets:
            return name
        sizes = radices(n)
        if len(sizes) > 1:
            self._enter("lt_turn", _TURN)
            self._turns(n)
        lines: list[str] = []
        before, width = 1, 2 * self.lanes
        for number, r in enumerate(sizes):
            after = n // (before * r)
            is_first, is_last = number == 0, number == len(sizes) - 1
            source, target = ("a", "b") if number % 2 else ("b", "a")
            body: list[str] = []
            butterfly = Butterfly(e, v)
            points = []
            for j in range(r):
                place = f"q + {before} * (p + {after * j})"
                if is_first:
                    body += [
                        f"const {v} l{j} = *(const {v}u *)(in + ({place}) * in_step);",
                        f"const {v} h{j} = *(const {v}u *)(in + ({place}) * in_step + "
                        f"{self.lanes});",
                    ]
                    parts = f"{v}_even(l{j}, h{j})", f"{v}_odd(l{j}, h{j})"
                    if swap_in:
                        parts = parts[::-1]
                else:
                    at = f"({source} + ({place}) * {width})"
                    parts = f"*(const {v} *){at}", f"*(const {v} *)({at} + {self.lanes})"
                body += [f"const {v} r{j} = {parts[0]}, i{j} = {parts[1]};"]
                points.append((f"r{j}", f"i{j}"))
            found = butterfly.transform(points)
            if after > 1:
                first_turn = self._turn_start(n, number)
                found = [found[0]] + [
                    butterfly.times(x, f"t[{2 * k}]", f"t[{2 * k + 1}]")
                    for k, x in enumerate(found[1:])
                ]
            body += butterfly.lines
            for k, x in enumerate(found):
                place = f"q + {before} * ({r} * p + {k})"
                if is_last:
                    re, im = x
                    if factors:
                        body += [
                            f"const {v} c{k} = *(const {v}u *)(table + ({place}) * table_step), "
                            f"d{k} = *(const {v}u *)(table + table_im + ({place}) * table_step);",
                            f"const {v} e{k} = {re} * c{k} - {im} * d{k}, "
                            f"f{k} = {re} * d{k} + {im} * c{k};",
                        ]
                        re, im = f"e{k}", f"f{k}"
                    if scale != 1:
                        body += [f"const {v} g{k} = {re} * scale, m{k} = {im} * scale;"]
                        re, im = f"g{k}", f"m{k}"
                    if swap_out:
                        re, im = im, re
                    body += [
                        f"*({v}u *)(out + ({place}) * out_step) = {v}_low({re}, {im});",
                        f"*({v}u *)(out + ({place}) * out_step + {self.lanes}) = "
                        f"{v}_high({re}, {im});",
                    ]
                else:
                    at = f"({target} + ({place}) * {width})"
                    body += [f"*({v} *){at} = {x[0]};", f"*({v} *)({at} + {self.lanes}) = {x[1]};"]
            if after > 1:
                lines += [
                    f"for (long p = 0; p < {after}; p++) {{",
                    f"const {e} *t = {v}_turns_{n} + {first_turn} + p * {2 * (r - 1)};",
                ]
            else:
                lines += ["{", "const long p = 0;"]
            lines += [f"for (long q = 0; q < {before}; q++) {{", *body, "}", "}"]
            before *= r
        text = [
            f"static __attribute__((noinline)) void {name}(const {e} *in, long in_step, {e} *out, "
            f"long out_step, const {e} *table, long table_step, long table_im, {e} *scratch) {{",
            *([f"const {e} scale = ({e}){scale!r};"] if scale != 1 else []),
            *([f"{e} *a = scratch, *b = scratch + {n * width};"] if len(sizes) > 1 else []),
            *([] if factors else ["(void)table, (void)table_step, (void)table_im;"]),
            *lines,
            "}",
        ]
        self._enter(name, "\n".join(text) + "\n")
        return name

    def columns_scratch(self, n: int) -> int:
        """Elements of scratch memory that ``columns`` wants."""
        return 2 * self.lanes * n * min(len(radices(n)) - 1, 2)  # what two passes leave, in turns

    def _turn_start(self, n: int, number: int) -> int:
        start, before = 0, 1
        for r in radices(n)[:number]:
            start += 2 * (n // (before * r)) * (r - 1)
            before *= r
        return start

    def _turns(self, n: int) -> None:
        """The table of a transform's factors between its passes."""
        v, e = self.type, self.element
        sizes, before, fill = radices(n), 1, []
        for number, r in enumerate(sizes[:-1]):
            after = n // (before * r)
            fill += [
                f"t = {v}_turns_{n} + {self._turn_start(n, number)};",
                f"for (long p = 0; p < {after}; p++)",
                f"for (long k = 1; k < {r}; k++, t += 2) {{",
                "double re, im;",
                f"lt_turn(p * k * {before} % {n}, {n}, &re, &im);",
                f"t[0] = ({e})re;",
                f"t[1] = ({e})im;",
                "}",
            ]
            before *= r
        size = self._turn_start(n, len(sizes) - 1)
        text = [
            f"static {e} {v}_turns_{n}[{size}];",
            f"static void {v}_fill_{n}(void) {{",
            f"{e} *t;",
            *fill,
            "}",
        ]
        if f"{v}_turns_{n}" not in self.snippets:
            self._enter(f"{v}_turns_{n}", "\n".join(text) + "\n")
            self.fills.append(f"{v}_fill_{n}();")

    # ---- turning matrices ------------------------------------------------------------------------

    def turning(self) -> str:
        """``name(in, in_step, rows, columns, out, out_step)``: a matrix of complex numbers
        transposed, in blocks that fill vectors."""
        v, e, side = self.type, self.element, self.lanes // 2
        load = [
            f"{v} x{i} = *(const {v}u *)(in + (r + {i}) * in_step + 2 * c);" for i in range(side)
        ]
        stages: list[str] = []
        block = side
        while block > 1:
            block //= 2
            for i in range(side):
                if not i & block:
                    j = i | block
                    stages += [
                        f"{{ const {v} low = {v}_swap{block}_0(x{i}, x{j});",
                        f"  x{j} = {v}_swap{block}_1(x{i}, x{j}); x{i} = low; }}",
                    ]
        store = [f"*({v}u *)(out + (c + {i}) * out_step + 2 * r) = x{i};" for i in range(side)]
        text = [
            f"static __attribute__((noinline)) void {v}_turn(const {e} *in, long in_step, "
            f"long rows, long columns, {e} *out, long out_step) {{",
            f"const long whole_rows = rows - rows % {side}, whole = columns - columns % {side};",
            f"for (long c = 0; c < whole; c += {side})",
            f"for (long r = 0; r < whole_rows; r += {side}) {{",
            *load, *stages, *store,
            "}",
            "for (long r = 0; r < rows; r++)",
            "for (long c = r < whole_rows ? whole : 0; c < columns; c++) {",
            "out[c * out_step + 2 * r] = in[r * in_step + 2 * c];",
            "out[c * out_step + 2 * r + 1] = in[r * in_step + 2 * c + 1];",
            "}",
            "}",
        ]  # fmt: skip
        return self._enter(f"{v}_turn", "\n".join(text) + "\n")

    # ---- rows ------------------------------------------------------------------------------------

    def rows(self, n: int, scale: float = 1) -> str:
        """``name(in, in_step, out, out_step, count, scratch)``: the transforms of up to ``lanes``
        rows of n points, which may be done where they lie."""
        form = row_form(n, self.lanes)
        mark = _mark(scale)
        name = f"{self.type}_rows_{n}{'' if self.forward else 'b'}{mark}"
        if name in self.snippets:
            return name
        body = {"lanes": self._lanes, "halves": self._halves, "convolution": self._convolution}[
            form.kind
        ](form, scale)
        e = self.element
        text = [
            f"static __attribute__((noinline)) void {name}(const {e} *in, long in_step, {e} *out, "
            f"long out_step, long count, {e} *scratch) {{",
            *body,
            "}",
        ]
        return self._enter(name, "\n".join(text) + "\n")

    def rows_scratch(self, n: int) -> int:
        """Elements of scratch memory that ``rows`` wants."""
        form = row_form(n, self.lanes)
        if form.kind == "lanes":
            return 2 * self.lanes * n + self.columns_scratch(n)
        if form.kind == "convolution":
            return 4 * form.convolved + self.rows_scratch(form.convolved)
        return self.halves_scratch(form.halves) + self.whole(2 * n)

    def halves_scratch(self, pair: tuple[int, int]) -> int:
        """What the second half of ``halves`` wants, and the first no more than."""
        return 2 * self.lanes * pair[1] + max([self.columns_scratch(x) for x in pair])

    def _lanes(self, form: RowForm, scale: float) -> list[str]:
        n, width = form.n, 2 * self.lanes
        turn, columns = self.turning(), self.columns(n, True, True, False, scale)
        e = self.element
        return [
            f"{e} *lanes = scratch, *rest = scratch + {n * width};",
            f"if (count < {self.lanes})",
            f"for (long i = 0; i < {n * width}; i++) lanes[i] = 0;",
            f"{turn}(in, in_step, count, {n}, lanes, {width});",
            f"{columns}(lanes, {width}, lanes, {width}, 0, 0, 0, rest);",
            f"{turn}(lanes, {width}, {n}, count, out, out_step);",
        ]

    def first_half(self, pair: tuple[int, int], source: str, source_step: str, target: str,
                   column: str, rest: str) -> list[str]:  # fmt: skip
        """The columns from ``column`` on of a row as a matrix, times the factors between halves."""
        a, b = pair
        columns = self.columns(a, True, False, True, 1)
        table = self._factors(a, b)
        return [
            f"{columns}({source} + 2 * {column}, {source_step}, {target} + 2 * {column}, {2 * b}, "
            f"{table} + {column}, {b}, {a * b}, {rest});"
        ]

    def second_half(self, pair: tuple[int, int], source: str, target: str, row: str, scratch: str,
                    scale: float) -> list[str]:  # fmt: skip
        """The rows from ``row`` on, turned into columns."""
        a, b = pair
        width = 2 * self.lanes
        columns = self.columns(b, False, True, False, scale)
        return [
            f"{self.turning()}({source} + {row} * {2 * b}, {2 * b}, {self.lanes}, {b}, {scratch}, "
            f"{width});",
            f"{columns}({scratch}, {width}, {target} + 2 * {row}, {2 * a}, 0, 0, 0, "
            f"{scratch} + {width * b});",
        ]

    def blocks(self, n: int, name: str, body: list[str]) -> list[str]:
        """A loop over blocks of so many columns as a vector has elements; the last one ends where
        they end, and does again what the one before it has done."""
        return [
            f"for (long {name}_ = 0; {name}_ < {n}; {name}_ += {self.lanes}) {{",
            f"const long {name} = {name}_ < {n - self.lanes} ? {name}_ : {n - self.lanes};",
            *body,
            "}",
        ]

    def _halves(self, form: RowForm, scale: float) -> list[str]:
        a, b = pair = form.halves
        first = self.first_half(pair, "x", str(2 * b), "matrix", "c", "rest")
        second = self.second_half(pair, "matrix", "y", "r", "rest", scale)
        return [
            f"{self.element} *matrix = scratch, *rest = scratch + {self.whole(2 * form.n)};",
            "for (long i = 0; i < count; i++) {",
            f"const {self.element} *x = in + i * in_step;",
            f"{self.element} *y = out + i * out_step;",
            *self.blocks(b, "c", first),
            *self.blocks(a, "r", second),
            "}",
        ]

    def _factors(self, a: int, b: int) -> str:
        """The table of what the elements of a matrix a x b are multiplied by between halves."""
        v, e, n = self.type, self.element, a * b
        self._enter("lt_turn", _TURN)
        name = f"{v}_factors_{a}_{b}"
        if name not in self.snippets:
            text = [
                f"static {e} {name}[{2 * n}];",
                f"static void {name}_fill(void) {{",
                f"for (long k = 0; k < {a}; k++)",
                f"for (long j = 0; j < {b}; j++) {{",
                "double re, im;",
                f"lt_turn(k * j % {n}, {n}, &re, &im);",
                f"{name}[k * {b} + j] = ({e})re;",
                f"{name}[{n} + k * {b} + j] = ({e})im;",
                "}",
                "}",
            ]
            self._enter(name, "\n".join(text) + "\n")
            self.fills.append(f"{name}_fill();")
        return name

    def _convolution(self, form: RowForm, scale: float) -> list[str]:
        """Bluestein: jk = (j² + k² - (k - j)²) / 2, so the sum is a convolution with a chirp."""
        n, size, v, e = form.n, form.convolved, self.type, self.element
        inner = Functions(e, True)
        inner.snippets, inner.fills = self.snippets, self.fills
        rows = inner.rows(size)
        self._enter("lt_turn", _TURN)
        name = f"{v}_chirp_{n}"
        fill = [
            f"static {e} {name}[{2 * n}], {name}_spectrum[{2 * size}];",
            f"static void {name}_fill({e} *work) {{",
            f"for (long i = 0; i < {2 * size}; i++) work[i] = 0;",
            f"for (long j = 0; j < {n}; j++) {{",
            "double re, im;",
            f"lt_turn(j * j % {2 * n}, {2 * n}, &re, &im);",
            f"{name}[2 * j] = ({e})re, {name}[2 * j + 1] = ({e})im;",
            f"const long other = ({size} - j) % {size};",
            f"work[2 * j] = work[2 * other] = ({e})(re / {size});",
            f"work[2 * j + 1] = work[2 * other + 1] = ({e})(-im / {size});",
            "}",
            f"{rows}(work, 0, {name}_spectrum, 0, 1, work + {2 * size});",
            "}",
        ]
        if name not in self.snippets:
            self._enter(name, "\n".join(fill) + "\n")
            self.fills.append(f"{name}_fill(rest);")  # at least as much as ``rows`` wants
        re, im = ("0", "1") if self.forward else ("1", "0")
        last = "" if scale == 1 else f" * ({e}){scale!r}"
        return [
            f"{e} *padded = scratch, *found = scratch + {2 * size}, *rest = found + {2 * size};",
            "for (long i = 0; i < count; i++) {",
            f"const {e} *x = in + i * in_step;",
            f"{e} *y = out + i * out_step;",
            f"for (long j = 0; j < {n}; j++) {{",
            f"const {e} a = x[2 * j + {re}], b = x[2 * j + {im}];",
            f"const {e} c = {name}[2 * j], d = {name}[2 * j + 1];",
            "padded[2 * j] = a * c - b * d;",
            "padded[2 * j + 1] = a * d + b * c;",
            "}",
            f"for (long j = {2 * n}; j < {2 * size}; j++) padded[j] = 0;",
            f"{rows}(padded, 0, found, 0, 1, rest);",
            "// Its conjugate forward is what it is backward, conjugated.",
            f"for (long j = 0; j < {size}; j++) {{",
            f"const {e} a = found[2 * j], b = found[2 * j + 1];",
            f"const {e} c = {name}_spectrum[2 * j], d = {name}_spectrum[2 * j + 1];",
            "found[2 * j] = a * c - b * d;",
            "found[2 * j + 1] = -(a * d + b * c);",
            "}",
            f"{rows}(found, 0, padded, 0, 1, rest);",
            f"for (long j = 0; j < {n}; j++) {{",
            f"const {e} a = padded[2 * j], b = -padded[2 * j + 1];",
            f"const {e} c = {name}[2 * j], d = {name}[2 * j + 1];",
            f"y[2 * j + {re}] = (a * c - b * d){last};",
            f"y[2 * j + {im}] = (a * d + b * c){last};",
            "}",
            "}",
        ]

    # ---- real numbers ----------------------------------------------------------------------------

    def group(self, n: int) -> int:
        """Rows that one call of ``rows`` is best given."""
        return self.lanes if row_form(n, self.lanes).kind == "lanes" else 1

    def apart(self, n: int, scale: float) -> str:
        """``name(z, x)``: from the transform z of n / 2 pairs of neighbours, which may lie where x
        will, the first n / 2 + 1 elements x of that of the n numbers themselves."""
        half = f"({self.element}){0.5 * scale!r}"
        mark = _mark(scale)
        # x[k] = even + w^k odd, of even = (z[k] + conj z[-k]) / 2, odd = (z[k] - conj z[-k]) / 2i
        return self._mirrored(
            f"{self.type}_apart_{n}{mark}", n,
            [
                f"const V even_re = (a + c) * {half}, even_im = (b - d) * {half};",
                f"const V odd_re = (b + d) * {half}, odd_im = (c - a) * {half};",
                "const V re = odd_re * wr - odd_im * wi, im = odd_re * wi + odd_im * wr;",
                "const V p = even_re + re, q = even_im + im, r = even_re - re, s = im - even_im;",
            ],
            [
                f"const {self.element} a = z[0], b = z[1];",
                f"x[0] = (a + b) * 2 * {half}, x[1] = 0;",
                f"x[{n}] = (a - b) * 2 * {half}, x[{n} + 1] = 0;",
            ],
        )  # fmt: skip

    def together(self, n: int) -> str:
        """``name(z, x)``: the n / 2 elements, times 2, of which ``apart`` makes z: to be
        transformed back."""
        # x[k] = even + i w^-k odd, of even = z[k] + conj z[-k] and odd = z[k] - conj z[-k]
        return self._mirrored(
            f"{self.type}_together_{n}", n,
            [
                "const V even_re = a + c, even_im = b - d, odd_re = -(b + d), odd_im = a - c;",
                "const V re = odd_re * wr + odd_im * wi, im = odd_im * wr - odd_re * wi;",
                "const V p = even_re + re, q = even_im + im, r = even_re - re, s = im - even_im;",
            ],
            [
                f"const {self.element} a = z[0], b = z[{n}];",
                "x[0] = a + b, x[1] = a - b;",
            ],
        )  # fmt: skip

    def _mirrored(self, name: str, n: int, body: list[str], ends: list[str]) -> str:
        """Elements k and n / 2 - k of z together, a + bi and c + di, become p + qi and r + si."""
        v, e, lanes, m = self.type, self.element, self.lanes, n // 2
        self._enter("lt_turn", _TURN)
        table = f"{v}_circle_{n}"
        size = m // 2 + 1
        if table not in self.snippets:
            text = [
                f"static {e} {table}[{2 * size}];",
                f"static void {table}_fill(void) {{",
                f"for (long k = 0; k < {size}; k++) {{",
                "double re, im;",
                f"lt_turn(k, {n}, &re, &im);",
                f"{table}[k] = ({e})re, {table}[{size} + k] = ({e})im;",
                "}",
                "}",
            ]
            self._enter(table, "\n".join(text) + "\n")
            self.fills.append(f"{table}_fill();")
        vectors = [line.replace("V ", f"{v} ", 1) for line in body]
        scalars = [line.replace("V ", f"{e} ", 1) for line in body]
        text = [
            f"static __attribute__((noinline)) void {name}(const {e} *z, {e} *x) {{",
            "{",
            *ends,
            "}",
            "long k = 1;",
            f"for (; k + {lanes} <= {(m + 1) // 2}; k += {lanes}) {{",
            f"const long mirrored = {m} - k - {lanes - 1};",
            f"const {v} l = *(const {v}u *)(z + 2 * k), h = *(const {v}u *)(z + 2 * k + {lanes});",
            f"const {v} lm = *(const {v}u *)(z + 2 * mirrored), "
            f"hm = *(const {v}u *)(z + 2 * mirrored + {lanes});",
            f"const {v} cm = {v}_even(lm, hm), dm = {v}_odd(lm, hm);",
            f"const {v} a = {v}_even(l, h), b = {v}_odd(l, h);",
            f"const {v} c = {v}_back(cm, cm), d = {v}_back(dm, dm);",
            f"const {v} wr = *(const {v}u *)({table} + k), "
            f"wi = *(const {v}u *)({table} + {size} + k);",
            *vectors,
            f"const {v} rm = {v}_back(r, r), sm = {v}_back(s, s);",
            f"*({v}u *)(x + 2 * k) = {v}_low(p, q), *({v}u *)(x + 2 * k + {lanes}) = "
            f"{v}_high(p, q);",
            f"*({v}u *)(x + 2 * mirrored) = {v}_low(rm, sm), "
            f"*({v}u *)(x + 2 * mirrored + {lanes}) = {v}_high(rm, sm);",
            "}",
            f"for (; k <= {m // 2}; k++) {{",
            f"const long mirrored = {m} - k;",
            f"const {e} a = z[2 * k], b = z[2 * k + 1], c = z[2 * mirrored], "
            "d = z[2 * mirrored + 1];",
            f"const {e} wr = {table}[k], wi = {table}[{size} + k];",
            *scalars,
            "x[2 * mirrored] = r, x[2 * mirrored + 1] = s;",
            "x[2 * k] = p, x[2 * k + 1] = q;",
            "}",
            "}",
        ]
        return self._enter(name, "\n".join(text) + "\n")

    def whole(self, elements: int) -> int:
        """Rounded up to whole vectors."""
        return -(-elements // self.lanes) * self.lanes

    def texts(self) -> list[str]:
        return list(self.snippets.values())
