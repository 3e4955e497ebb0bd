"""Tiles in C that are turned in registers before they are read, results that are gathered in the
first-level cache and written from there past the others, a line at a time, and square roots of
whole vectors."""

from __future__ import annotations

from codegen.dtype import DType
from codegen.index.algebra import Index, variable
from codegen.loops.grammar import Kernel, Load, Place, Store, Vector
from codegen.loops.lines import LINE
from codegen.loops.roots import ROOTS, stages
from codegen.render.c_family import Body, Dialect
from codegen.render.line_functions import BEFORE, STREAM, STREAMED, TURN


class LinesBody(Body):
    """Statements to lines of C; see ``Vector`` for what is done otherwise."""

    def __init__(self, kernel: Kernel, dialect: Dialect) -> None:
        super().__init__(kernel, dialect)
        # What is read from a tile, and what is gathered for lines, as text.
        self.turned: dict[tuple[str, Place], str] = {}
        self.gathered: dict[str, str] = {}
        self.lead = 0  # elements that the open tile has before its first, for rows that begin there
        self.has_streams = False

    def lines(self) -> list[str]:
        lines = super().lines()
        return [*lines, f"    {STREAMED}();"] if self.has_streams else lines

    def vector(self, loop: Vector, level: int) -> list[str]:
        if loop.turned:
            return self.tile(loop, level)
        if loop.streamed:
            return self.stream(loop, level)
        if loop.roots:
            return self.cut(loop, level)
        return super().vector(loop, level)

    def load(self, load: Load) -> list[str]:
        element = self.turned.get((load.argument, load.place))
        return super().load(load) if element is None else self.loaded(load, element)

    def store(self, store: Store) -> str:
        element = self.gathered.get(store.argument)
        if element is None:
            return super().store(store)
        return f"{element} = {self.to_storage(store.dtype, store.value)};"

    def tile(self, loop: Vector, level: int) -> list[str]:
        """The loop across a tile, around the one along it."""
        v = loop.variable
        (along,) = [s for s in loop.body if isinstance(s, Vector)]
        u = along.variable
        starts, count = self.clipped(loop)
        along_starts, along_count = self.clipped(along)
        lines = [*starts, *along_starts]
        self.lead = _lead(along)
        first, width = f"{u}_start", along.block + self.lead
        if self.lead:
            first, end = f"{u}_first", f"{first} + {along_count}"
            lines.append(f"const long {first} = {u}_start ? {u}_start - {self.lead} : 0;")
            along_count = f"{end} - {first}"
        corner = {v: variable(f"{v}_start", loop.extent), u: variable(first, along.extent)}
        for number, (argument, place) in enumerate(loop.turned):
            dtype, name = self.dtypes[argument], f"turned{number}"
            self.turned[argument, place] = f"{name}[step * {width} + {u} - {first}]"
            lines += [
                _array(dtype, name, loop.block * width),
                f"{TURN}{dtype.itemsize}({argument} + {place.substitute(corner).to_c()}, "
                f"{place.coefficient(u)}, {name}, {width}, {along_count}, {count});",
            ]
        lines += [
            f"for (long step = 0; step < {count}; step++) {{",
            f"    const long {v} = {v}_start + step;",
            *self.block(loop.body, 1),
            "}",
        ]
        self.turned.clear()
        self.lead = 0
        return _in_braces(lines, level)

    def stream(self, loop: Vector, level: int) -> list[str]:
        """The loop, and then its results from arrays to where they belong."""
        self.has_streams = True
        u, first, lead = loop.variable, f"{loop.variable}_start", self.lead
        lines, count = self.clipped(loop)
        stores = {s.argument: s for s in loop.body if isinstance(s, Store)}

        def target(argument: str, at: str) -> str:
            place = stores[argument].place
            assert isinstance(place, Index)
            return f"{argument} + {place.substitute({u: variable(at, loop.extent)}).to_c()}"

        if lead:
            # From the beginning of a line to the beginning of another, or to the row's end.
            first, end = f"{u}_line", f"{u}_end"
            (argument,) = loop.streamed
            size = stores[argument].dtype.itemsize
            lines += [
                f"const long {end} = {u}_start + {count};",
                f"const long {first} = {u}_start - "
                f"({u}_start ? {BEFORE}({target(argument, f'{u}_start')}) / {size} : 0);",
                f"const long {u}_steps = {end} - {first} - "
                f"({end} < {loop.extent} ? {BEFORE}({target(argument, end)}) / {size} : 0);",
            ]
            count = f"{u}_steps"
        after = []
        for argument in loop.streamed:
            dtype, name = stores[argument].dtype, f"{argument}_line"
            self.gathered[argument] = f"{name}[lane]"
            lines.append(_array(dtype, name, loop.block + lead))
            after.append(
                f"{STREAM}({target(argument, first)}, {name}, {count} * {dtype.itemsize});"
            )
        lines += [
            self.dialect.independent(loop.block),
            f"for (long lane = 0; lane < {count}; lane++) {{",
            f"    const long {u} = {first} + lane;",
            *self.block(loop.body, 1),
            "}",
            *after,
        ]
        self.gathered.clear()
        return _in_braces(lines, level)

    def cut(self, loop: Vector, level: int) -> list[str]:
        """The loop in whole vectors, one stage after another, and the steps that are left over."""
        v, independent = loop.variable, self.dialect.independent(ROOTS)
        parts = stages(loop)
        arrays = [name for part in parts for name in (*part.kept, *(part.root or ())[:1])]
        starts, count = self.clipped(loop)
        declared = ", ".join(
            f"{name}_s[{ROOTS}] __attribute__((aligned({LINE})))" for name in arrays
        )
        lines = [
            *starts,
            f"const long {v}_whole = {count} - {count} % {ROOTS};",
            f"for (long first = 0; first < {v}_whole; first += {ROOTS}) {{",
            f"    float {declared};",
        ]
        for part in parts:
            lines += [
                f"    {independent}",
                f"    for (long lane = 0; lane < {ROOTS}; lane++) {{",
                f"        const long {v} = {v}_start + first + lane;",
                *[f"        const float {name} = {name}_s[lane];" for name in part.reads],
                *self.block(part.body, 2),
                *[f"        {name}_s[lane] = {name};" for name in part.kept],
            ]
            if part.root:
                name, operand = part.root
                lines += [
                    f"        {name}_s[lane] = {operand};",
                    "    }",
                    f"    lt_roots({name}_s);",
                ]
            else:
                lines.append("    }")
        lines += [
            "}",
            f"for (long lane = {v}_whole; lane < {count}; lane++) {{",
            f"    const long {v} = {v}_start + lane;",
            *self.block(loop.body, 1),
            "}",
        ]
        return _in_braces(lines, level)


def _lead(loop: Vector) -> int:
    """How many elements before a tile's first its rows may begin, so that they begin where a line
    does: as many as a line has, if rows of its one result begin anywhere in lines."""
    if len(loop.streamed) != 1:
        return 0
    (store,) = [s for s in loop.body if isinstance(s, Store) and s.argument in loop.streamed]
    assert isinstance(store.place, Index)
    elements = LINE // store.dtype.itemsize
    row = store.place.substitute({loop.variable: variable(loop.variable, 1)})
    return 0 if row.is_multiple_of(elements) or loop.block < elements else elements


def _array(dtype: DType, name: str, size: int) -> str:
    return f"{dtype.storage_c} {name}[{size}] __attribute__((aligned({LINE})));"


def _in_braces(lines: list[str], level: int) -> list[str]:
    pad = "    " * level
    return [f"{pad}{{", *[f"{pad}    {line}" for line in lines], f"{pad}}}"]
