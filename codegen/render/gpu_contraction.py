"""A contraction cluster as OpenCL C for devices with work-groups.

A group has a tile of the sums, an item a part of it in registers. Panels of both operands are
brought to local memory, through their index expressions, a step along K ahead of the arithmetic.
The body's own variables end in an underscore, as in the C template.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from codegen.dtype import BY_NAME, DType
from codegen.graph.contraction_match import ContractionMatch
from codegen.graph.fuse import Cluster, Fusion
from codegen.index.contraction import Contraction, Span, a_spans, b_spans
from codegen.ir.node import Node, TensorType
from codegen.loops.contraction import PlainOutput
from codegen.loops.device import DeviceDescription
from codegen.loops.gpu_contraction import (
    PADDING,
    GroupSchedule,
    choose_group_schedule,
    sum_type,
)
from codegen.loops.grammar import Argument, Kernel
from codegen.render.c_family import Dialect, functions_used, is_half
from codegen.render.contraction_form import Text, batch_offset, offset_expression
from codegen.render.contraction_kernel import (
    RenderedKernel,
    contraction_of,
    epilogue_of,
    plain_output,
)
from codegen.render.gpu import GpuBody, parameters, vector_of_four
from codegen.render.source import KernelSource

# Tiles of so many rows of tiles follow each other: they share panels while a cache has them.
_BAND = 8


def group_schedule(cluster: Cluster, fusion: Fusion, device: DeviceDescription) -> GroupSchedule:
    root = contraction_of(cluster, fusion)
    match = fusion.contractions[root]
    output = plain_output(root, match, "")
    return choose_group_schedule(match.contraction, device, output)


def parts_bytes(cluster: Cluster, fusion: Fusion, device: DeviceDescription) -> int:
    """Working memory for the parts of sums that are cut along K."""
    schedule = group_schedule(cluster, fusion, device)
    if schedule.parts == 1:
        return 0
    contraction = fusion.contractions[contraction_of(cluster, fusion)].contraction
    return schedule.parts * prod(contraction.sizes[:3]) * max(4, contraction.dtype.itemsize)


def render_group_contraction(
    cluster: Cluster, fusion: Fusion, comments: Sequence[str], dialect: Dialect
) -> list[RenderedKernel]:
    """The kernel of a contraction and what is done with its results, or two where K is cut."""
    assert dialect.device is not None
    return _Contraction(cluster, fusion, comments, dialect, dialect.device).kernels()


@dataclass(frozen=True)
class _Panel:
    """One operand of a tile: ``size`` of its rows (or columns) by ``depth`` of K.

    An item moves vectors of four, along K or along the other axis, whichever lies side by side.
    """

    name: str  # a or b
    pointer: str
    dtype: DType
    across: tuple[Span, ...]
    inner: tuple[Span, ...]
    offset: int
    batch: tuple[Span, ...]
    extent: int  # rows, or columns, in all
    size: int
    depth: int

    @property
    def along_k(self) -> bool:
        across, inner = abs(self.across[-1].stride), abs(self.inner[-1].stride)
        return across != 1 and (inner == 1 or 0 < inner < across) and self.depth % 4 == 0

    @property
    def in_vectors(self) -> bool:
        """Whether the four always lie side by side."""
        span = (self.inner if self.along_k else self.across)[-1]
        return span.stride == 1 and span.extent % 4 == 0

    @property
    def may_be_aligned(self) -> bool:
        """Whether vectors lie on multiples of four if the memory begins on one."""
        last = (self.inner if self.along_k else self.across)[-1]
        spans = [s for s in (*self.across, *self.inner, *self.batch) if s is not last]
        strides = [s.stride for s in spans if s.extent > 1]
        return all(stride % 4 == 0 for stride in (*strides, self.offset))

    @property
    def line(self) -> int:
        """Elements from one k to the next in local memory."""
        return self.size + PADDING


class _Contraction:
    def __init__(
        self,
        cluster: Cluster,
        fusion: Fusion,
        comments: Sequence[str],
        dialect: Dialect,
        device: DeviceDescription,
    ) -> None:
        self.cluster, self.fusion, self.dialect = cluster, fusion, dialect
        self.comments = comments
        self.root = contraction_of(cluster, fusion)
        self.match: ContractionMatch = fusion.contractions[self.root]
        self.schedule = group_schedule(cluster, fusion, device)
        self.tile = self.schedule.tile
        self.dtype = self.match.contraction.dtype
        self.element = sum_type(self.dtype)
        contraction = self.match.contraction
        a, b = self.match.a, self.match.b
        if self.schedule.swap:
            contraction, a, b = contraction.transposed(), b, a
        self.contraction: Contraction = contraction.normalized()
        self.batches, self.m, self.n, self.k = self.contraction.sizes
        self.operands = (a, b)
        self.body = GpuBody(Kernel("", [], [], []), dialect)
        self.parts = self.schedule.parts
        self.work = prod(self.contraction.sizes)

    def kernels(self) -> list[RenderedKernel]:
        if self.parts == 1:
            return [self._product()]
        return [self._product(), self._summing()]

    # ---- kernels --------------------------------------------------------------------------------

    def _product(self) -> RenderedKernel:
        arguments: dict[Node, Argument] = {}
        for node in (self.match.a, self.match.b):
            if node not in arguments:
                arguments[node] = Argument(f"in{len(arguments)}", node.type, False)
        if self.parts > 1:
            working = self._working()
            body = self._product_lines(arguments, working)
            return self._kernel("contraction", [], body, arguments, working)
        # The arguments are known once the epilogue is written.
        invariant, _ = self._epilogue(arguments)
        body = self._product_lines(arguments, None)
        return self._kernel("contraction", invariant, body, arguments, None)

    def _summing(self) -> RenderedKernel:
        """The parts of each sum, in their order, and what is done with the result."""
        arguments: dict[Node, Argument] = {}
        working = self._working()
        invariant, consumption = self._epilogue(arguments)
        size = self.batches * self.m * self.n
        text = Text()
        index = self._index_c(arguments)
        text.add(
            f"const {index} at_ = get_global_id(0);",
            f"if (at_ < {size}) {{",
            f"const {index} batch_ = at_ / {self.m * self.n};",
            f"const {index} m_ = at_ / {self.n} % {self.m};",
            f"const {index} n_ = at_ % {self.n};",
            f"{self.element} sum_ = working[at_];",
            "#pragma unroll",
            f"for (int part_ = 1; part_ < {self.parts}; part_++) {{",
            f"sum_ += working[(size_t)part_ * {size} + at_];",
            "}",
            *self._result("sum_"),
            *consumption,
            "}",
        )
        items = 256 if self.tile.items >= 64 else self.tile.items
        return self._kernel(
            "contraction_parts", invariant, text, arguments, working, (-(-size // items), items)
        )

    def _working(self) -> Argument:
        nbytes = self.parts * self.batches * self.m * self.n
        ctype = {"uint": "int32", "ulong": "int64", "double": "float64"}
        dtype = BY_NAME[ctype.get(self.element, "float32")]
        return Argument("working", TensorType((nbytes,), dtype), True)

    def _kernel(
        self,
        name: str,
        invariant: Sequence[str],
        body: Text,
        arguments: dict[Node, Argument],
        working: Argument | None,
        size: tuple[int, int] | None = None,
    ) -> RenderedKernel:
        given = [*arguments.values(), *([working] if working else [])]
        operands: list[Node | Cluster] = [*arguments, *([self.cluster] if working else [])]
        listed = parameters(given, [a.name for a in given])
        text = "\n".join(
            [
                *[f"// {c}" for c in self.comments],
                "__kernel void KERNEL_NAME(",
                *[f"    {p}," for p in listed[:-1]],
                f"    {listed[-1]}",
                ") {",
                *[f"    // {a.name}: {a.type!r}" for a in given],
                *invariant,
                str(body).rstrip("\n"),
                "}",
                "",
            ]
        )
        groups, items = size or (self._groups(), self.tile.items)
        return RenderedKernel(
            KernelSource(name, text, (*self.dialect.prologue, *functions_used(text))),
            tuple(operands),
            True,
            0,
            2 * self.work,
            sum([a.type.nbytes for a in given]),
            groups=groups,
            items=items,
            schedule=[
                *(["of the transposed product"] if self.schedule.swap else []),
                f"{groups} work-groups of {items} items",
                f"a group has a tile of {self.tile.rows} by {self.tile.columns} sums, an item "
                f"{self.tile.item_rows} by {self.tile.item_columns} of them in registers",
                f"panels of {self.tile.depth} along the sum in local memory",
                *([f"the sum in {self.parts} parts"] if self.parts > 1 else []),
            ],
        )

    def _index_c(self, arguments: dict[Node, Argument]) -> str:
        sizes = [a.type.size for a in arguments.values()]
        return "int" if max([*sizes, self.batches * self.m * self.n]) < 1 << 30 else "long"

    # ---- what is done with results --------------------------------------------------------------

    def _epilogue(self, arguments: dict[Node, Argument]) -> tuple[list[str], Sequence[str]]:
        """Lines for every result alike, and those for each; ``arguments`` are known after it."""
        row, column = ("n_", "m_") if self.schedule.swap else ("m_", "n_")
        cluster, fusion, dialect = self.cluster, self.fusion, self.dialect
        invariant, each = epilogue_of(cluster, fusion, row, column, arguments, dialect)
        return invariant, each.lines

    def _result(self, text: str) -> list[str]:
        """The sum as a number of the contraction's type."""
        ctype = self.dtype.compute_c
        if is_half(self.dtype):
            text = self.body.rounded(self.dtype, text)
        elif self.dtype.kind != "float":
            text = f"({ctype}){text}"
        return [f"const {ctype} value_ = {text};"]

    # ---- the product ----------------------------------------------------------------------------

    def _groups(self) -> int:
        tile = self.tile
        tiles = -(-self.m // tile.rows) * -(-self.n // tile.columns)
        return self.batches * self.parts * tiles

    def _panels(self, arguments: dict[Node, Argument]) -> tuple[_Panel, _Panel]:
        c, tile = self.contraction, self.tile
        a, b = (arguments[node].name for node in self.operands)
        return (
            _Panel(
                "a", a, c.stored, a_spans(c.rows), a_spans(c.inner), c.a_offset,
                a_spans(c.batch), self.m, tile.rows, tile.depth,
            ),
            _Panel(
                "b", b, c.stored, b_spans(c.columns), b_spans(c.inner), c.b_offset,
                b_spans(c.batch), self.n, tile.columns, tile.depth,
            ),
        )  # fmt: skip

    def _product_lines(self, arguments: dict[Node, Argument], working: Argument | None) -> Text:
        text, tile = Text(), self.tile
        self.index = self._index_c(arguments)
        panels = self._panels(arguments)
        self._place(text)
        steps = self.schedule.part_steps(self.k)
        element = self.element
        for p in panels:
            text.add(
                f"__local {element}4 {p.name}_local_[{2 * p.depth * p.line // 4}];",
                f"const __global {p.dtype.storage_c} *{p.name}_ = {p.pointer} + {p.offset} + "
                f"({offset_expression(p.batch, 'batch_') if self.batches > 1 else 0});",
            )
            self._prepare(text, p)
        quads = tile.item_columns // 4
        for i in range(tile.item_rows):
            for j in range(quads):
                text.add(f"{element}4 c{i}_{j}_ = ({element}4)(0);")
        for p in panels:
            self._fetch(text, p, "k_first_")
        for p in panels:
            self._keep(text, p, "0")
        text.add("barrier(CLK_LOCAL_MEM_FENCE);")
        text.add(f"for (int step_ = 0; step_ < {steps}; step_++) {{")
        if steps > 1:
            text.add(f"if (step_ + 1 < {steps}) {{")
            text.add(f"const int k_next_ = k_first_ + (step_ + 1) * {tile.depth};")
            for p in panels:
                self._fetch(text, p, "k_next_")
            text.add("}")
        self._multiply(text, panels)
        if steps > 1:
            text.add(f"if (step_ + 1 < {steps}) {{")
            for p in panels:
                self._keep(text, p, "(step_ + 1) % 2")
            text.add("}")
            text.add("barrier(CLK_LOCAL_MEM_FENCE);")
        text.add("}")
        self._finish(text, arguments, working)
        return text

    def _place(self, text: Text) -> None:
        """Which tile a group has, and where in it an item stands: 32 items are 8 by 4."""
        tile, index = self.tile, self.index
        down, along = -(-self.m // tile.rows), -(-self.n // tile.columns)
        nx, ny = tile.columns // tile.item_columns, tile.rows // tile.item_rows
        text.add("const int item_ = get_local_id(0);")
        if nx % 8 == 0 and ny % 4 == 0:
            blocks = nx // 8
            text.add(
                f"const int x_ = item_ % 8 + item_ / 32 % {blocks} * 8;",
                f"const int y_ = item_ / 8 % 4 + item_ / {32 * blocks} * 4;",
            )
        else:
            text.add(f"const int x_ = item_ % {nx}, y_ = item_ / {nx};")
        text.add(
            f"const int tile_ = get_group_id(0) % {down * along};",
            f"const {index} batch_ = "
            f"{f'get_group_id(0) / {down * along * self.parts}' if self.batches > 1 else 0};",
        )
        if down > _BAND:
            band = _BAND * along
            text.add(
                f"const int band_ = tile_ / {band} * {_BAND};",
                f"const int height_ = min({_BAND}, {down} - band_);",
                f"const {index} m_first_ = (band_ + tile_ % {band} % height_) * {tile.rows};",
                f"const {index} n_first_ = tile_ % {band} / height_ * {tile.columns};",
            )
        else:
            text.add(
                f"const {index} m_first_ = tile_ % {down} * {tile.rows};",
                f"const {index} n_first_ = tile_ / {down} * {tile.columns};",
            )
        depth = self.schedule.part_steps(self.k) * tile.depth
        part = f"get_group_id(0) / {down * along} % {self.parts} * {depth}"
        text.add(f"const int k_first_ = {part if self.parts > 1 else 0};")

    # Each item moves ``turns`` vectors of a panel; the last turn may be some items' alone.

    def _turns(self, p: _Panel) -> list[tuple[int, str]]:
        """The turns, and what holds for the items that take part in each."""
        quads = p.size * p.depth // 4
        turns = []
        for turn in range(-(-quads // self.tile.items)):
            left = quads - turn * self.tile.items
            turns.append((turn, f"item_ < {left}" if left < self.tile.items else ""))
        return turns

    def _first(self, p: _Panel) -> str:
        return "m_first_" if p.name == "a" else "n_first_"

    def _prepare(self, text: Text, p: _Panel) -> None:
        """Where along the tile's axis, and along K, an item's vectors are: the same in each step.
        Past the edge the last row (or column) is read, whose sums nobody wants."""
        for turn, _ in self._turns(p):
            number = f"item_ + {turn * self.tile.items}" if turn else "item_"
            at, k = f"{p.name}{turn}_at_", f"{p.name}{turn}_k_"
            if p.along_k:
                per_line = p.depth // 4
                text.add(
                    f"const int {at} = ({number}) / {per_line};",
                    f"const int {k} = ({number}) % {per_line} * 4;",
                )
                self._offset(text, p, turn, 0, at, p.extent - 1)
                continue
            per_line = p.size // 4
            text.add(
                f"const int {at} = ({number}) % {per_line} * 4;",
                f"const int {k} = ({number}) / {per_line};",
            )
            if p.in_vectors:
                self._offset(text, p, turn, 0, at, p.extent - 4)
            else:
                for j in range(4):
                    self._offset(text, p, turn, j, f"{at} + {j}" if j else at, p.extent - 1)

    def _offset(self, text: Text, p: _Panel, turn: int, j: int, at: str, most: int) -> None:
        name = f"{p.name}{turn}_{j}_"
        clamped = f"{self._first(p)} + {at}"
        if p.extent % p.size:
            clamped = f"min({clamped}, ({self.index}){most})"
        text.add(
            f"const {self.index} {name}from_ = {clamped};",
            f"const {self.index} {name} = {offset_expression(p.across, name + 'from_')};",
        )

    def _fetch(self, text: Text, p: _Panel, k_first: str) -> None:
        """Bring the next panel's vectors to registers; zeros past the end of K."""
        vector = vector_of_four(p.dtype)
        steps = self.schedule.part_steps(self.k) * self.tile.depth
        checked = steps * self.parts != self.k
        for turn, condition in self._turns(p):
            name, k = f"{p.name}{turn}_next_", f"{k_first} + {p.name}{turn}_k_"
            if k_first == "k_first_":
                text.add(f"{vector} {name} = ({vector})(0);")
            if condition:
                text.add(f"if ({condition}) {{")
            if p.in_vectors:
                inner = offset_expression(p.inner, f"({k})")
                address = f"{p.name}_ + {p.name}{turn}_0_ + {inner}"
                loaded = f"LT_LOAD4({vector[:-1]}, {address})"
                if not p.may_be_aligned:
                    loaded = f"vload4(0, (const __global {vector[:-1]} *)({address}))"
                if checked:
                    loaded = f"{k} < {self.k} ? {loaded} : ({vector})(0)"
                text.add(f"{name} = {loaded};")
            else:
                for j in range(4):
                    at = f"{k} + {j}" if p.along_k and j else k
                    inner = offset_expression(p.inner, f"({at})")
                    across = f"{p.name}{turn}_{0 if p.along_k else j}_"
                    loaded = f"{p.name}_[{across} + {inner}]"
                    if checked:
                        loaded = f"{at} < {self.k} ? {loaded} : 0"
                    text.add(f"{name}.s{j} = {loaded};")
            if condition:
                text.add("}")

    def _keep(self, text: Text, p: _Panel, buffer: str) -> None:
        """Put the vectors into local memory, in which a line holds what has one k."""
        base = "0" if buffer == "0" else f"{buffer} * {p.depth * p.line}"
        element = self.element
        for turn, condition in self._turns(p):
            name, at, k = (f"{p.name}{turn}_{x}_" for x in ("next", "at", "k"))
            parts = [self._number(p.dtype, f"{name}.s{j}") for j in range(4)]
            text.add(f"if ({condition}) {{" if condition else "{")
            if p.along_k:
                text.add(
                    f"__local {element} *line_ = (__local {element} *){p.name}_local_ + {base} + "
                    f"{k} * {p.line} + {at};"
                )
                for j, part in enumerate(parts):
                    text.add(f"line_[{j * p.line}] = {part};")
            else:
                base4 = "0" if buffer == "0" else f"{buffer} * {p.depth * p.line // 4}"
                whole = f"({element}4)({', '.join(parts)})"
                if vector_of_four(p.dtype) == f"{element}4":
                    whole = name
                text.add(f"{p.name}_local_[{base4} + {k} * {p.line // 4} + {at} / 4] = {whole};")
            text.add("}")

    def _number(self, dtype: DType, stored: str) -> str:
        number = self.body.from_storage(dtype, stored)
        return number if dtype.kind == "float" else f"({self.element}){number}"

    def _multiply(self, text: Text, panels: tuple[_Panel, _Panel]) -> None:
        tile = self.tile
        a, b = panels
        text.add(
            f"const __local {self.element}4 *a_tile_ = a_local_ + "
            f"step_ % 2 * {a.depth * a.line // 4} + y_;",
            f"const __local {self.element}4 *b_tile_ = b_local_ + "
            f"step_ % 2 * {b.depth * b.line // 4} + x_;",
            "#pragma unroll",
            f"for (int k_ = 0; k_ < {tile.depth}; k_++) {{",
        )
        # Of eight rows (or columns) an item has two fours, half a tile apart: neighbours read
        # neighbouring vectors, which lie in different banks.
        for p, count in ((a, tile.item_rows // 4), (b, tile.item_columns // 4)):
            for q in range(count):
                half = f" + {q * p.size // 2 // 4}" if q else ""
                text.add(
                    f"const {self.element}4 {p.name}{q}_ = "
                    f"{p.name}_tile_[k_ * {p.line // 4}{half}];"
                )
        for i in range(tile.item_rows):
            for j in range(tile.item_columns // 4):
                text.add(f"c{i}_{j}_ += a{i // 4}_.s{i % 4} * b{j}_;")
        text.add("}")

    # ---- results --------------------------------------------------------------------------------

    def _finish(
        self, text: Text, arguments: dict[Node, Argument], working: Argument | None
    ) -> None:
        tile = self.tile
        output = self._vector_output(arguments, working)
        if output is not None:
            self._store_vectors(text, output, working)
            return
        rows, columns = tile.item_rows, tile.item_columns
        element = self.element
        text.add(f"{element} sums_[{rows * columns}];")
        for i in range(rows):
            for j in range(columns // 4):
                text.add(f"vstore4(c{i}_{j}_, {i * (columns // 4) + j}, sums_);")
        text.add(
            "#pragma unroll",
            f"for (int i_ = 0; i_ < {rows}; i_++) {{",
            f"const {self.index} m_ = m_first_ + {self._item_row('i_')};",
            "#pragma unroll",
            f"for (int j_ = 0; j_ < {columns}; j_++) {{",
            f"const {self.index} n_ = n_first_ + {self._item_column('j_')};",
        )
        conditions = []
        if self.m % tile.rows:
            conditions.append(f"m_ < {self.m}")
        if self.n % tile.columns:
            conditions.append(f"n_ < {self.n}")
        text.add(f"if ({' && '.join(conditions)}) {{" if conditions else "{")
        if working is not None:
            text.add(f"working[{self._part_place()} + n_] = sums_[i_ * {columns} + j_];")
        else:
            text.add(*self._result(f"sums_[i_ * {columns} + j_]"))
            text.add(*self._epilogue(arguments)[1])
        text.add("}", "}", "}")

    def _part_place(self) -> str:
        down, along = -(-self.m // self.tile.rows), -(-self.n // self.tile.columns)
        part = f"get_group_id(0) / {down * along} % {self.parts}"
        first = f"({part} * {self.batches} + batch_) * {self.m} + m_"
        return f"((size_t){first}) * {self.n}"

    def _item_row(self, i: str) -> str:
        if self.tile.item_rows == 8:
            return f"{i} / 4 * {self.tile.rows // 2} + y_ * 4 + {i} % 4"
        return f"y_ * 4 + {i}"

    def _item_column(self, j: str) -> str:
        if self.tile.item_columns == 8:
            return f"{j} / 4 * {self.tile.columns // 2} + x_ * 4 + {j} % 4"
        return f"x_ * 4 + {j}"

    def _vector_output(
        self, arguments: dict[Node, Argument], working: Argument | None
    ) -> PlainOutput | None:
        """Where vectors of four results are stored as they are; None where they are not."""
        if self.n % 4:
            return None
        if working is not None:
            return PlainOutput("working", self.m * self.n, self.n, 1)
        if self.cluster.nodes != [self.root] or self.dtype.storage_c != self.dtype.compute_c:
            return None
        output = plain_output(self.root, self.match, arguments[self.root].name)
        if output is not None and self.schedule.swap:
            output = output.transposed()
        if output is None or output.column_stride != 1 or self.dtype.itemsize < 4:
            return None
        return output

    def _store_vectors(self, text: Text, output: PlainOutput, working: Argument | None) -> None:
        tile = self.tile
        ctype = vector_of_four((working.type if working else self.root.type).dtype)
        for i in range(tile.item_rows):
            for j in range(tile.item_columns // 4):
                m = f"m_first_ + {i // 4 * tile.rows // 2} + y_ * 4 + {i % 4}"
                n = f"n_first_ + {j * tile.columns // 2} + x_ * 4"
                conditions = []
                if self.m % tile.rows:
                    conditions.append(f"{m} < {self.m}")
                if self.n % tile.columns:
                    conditions.append(f"{n} < {self.n}")
                text.add(f"if ({' && '.join(conditions)}) {{" if conditions else "{")
                if working is not None:
                    place = self._part_place().replace("m_)", f"{m})")
                else:
                    batch = batch_offset(output, "(size_t)batch_")
                    place = f"{batch} + ({m}) * {output.row_stride}"
                text.add(
                    f"__global {ctype[:-1]} *to_ = (__global {ctype[:-1]} *){output.pointer} + "
                    f"{output.offset} + {place} + {n};"
                )
                value = f"c{i}_{j}_"
                if ctype != f"{self.element}4":
                    value = f"as_{ctype}({value})"
                text.add(f"LT_STORE4({ctype[:-1]}, to_, {value});", "}")
