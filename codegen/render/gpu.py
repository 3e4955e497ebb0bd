"""OpenCL C 1.2 for devices with work-groups: vectors of four, local memory, barriers.

The text keeps to the standard, which drivers of GPUs hold one to: no attributes but OpenCL's, no
builtins but OpenCL's, local memory declared at a kernel's top level, barriers only there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import replace

from codegen.dtype import DType
from codegen.index.algebra import Index
from codegen.loops.device import DeviceDescription
from codegen.loops.grammar import (
    Accumulator,
    Argument,
    Carry,
    Chosen,
    Fold,
    Group,
    GroupForm,
    Items,
    Load,
    Loop,
    Once,
    Quad,
    Row,
    Segment,
    Sequential,
    Serial,
    Statement,
    Store,
    Strided,
    Tile,
)
from codegen.render.c_family import Body, Dialect, accumulator_c, beats, combined, neutral
from codegen.render.opencl import OPENCL

_PROLOGUE = """\
#undef LT_CPU
#define _Bool bool
#define __builtin_inff() as_float(0x7f800000)
#define __builtin_nanf(text) as_float(0x7fc00000)
#define __builtin_inf() as_double(0x7ff0000000000000L)
#define __builtin_nan(text) as_double(0x7ff8000000000000L)
/* Kernels without a schedule for work-groups are cut into shares. */
#define thread ((long)get_global_id(0))
#define threads ((long)get_global_size(0))
#define half part  /* a type in OpenCL C, a variable in the kernels */
/* Four neighbours: in one access where they lie on a multiple of their size. */
#define LT_ALIGNED(type, p) (((size_t)(p) & (sizeof(type##4) - 1)) == 0)
#define LT_LOAD4(type, p) \\
    (LT_ALIGNED(type, p) ? *(const __global type##4 *)(p) : vload4(0, (const __global type *)(p)))
#define LT_STORE4(type, p, v) \\
    if (LT_ALIGNED(type, p)) *(__global type##4 *)(p) = v; \\
    else vstore4(v, 0, (__global type *)(p))
"""
_FP64 = "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
_BARRIER = "barrier(CLK_LOCAL_MEM_FENCE);"
_VECTORS = {
    "unsigned char": "uchar4", "signed char": "char4", "unsigned short": "ushort4",
    "unsigned int": "uint4", "unsigned long": "ulong4",
}  # fmt: skip
# Loops of a constant number of turns up to this are unrolled: what they keep stays in registers.
_UNROLLED = 16


def gpu_dialect(device: DeviceDescription) -> Dialect:
    """The dialect for a device with work-groups."""
    prologue = (_FP64 if device.has_fp64 else "") + _PROLOGUE
    return replace(
        OPENCL,
        opening=_opening,
        opening_in_loops=None,
        independent=lambda steps: "",
        over_partial=lambda steps: [],
        aligned="",
        has_chains=False,
        prologue=(prologue,),
        device=device,
        body=GpuBody,
    )


def parameters(arguments: Sequence[Argument], restrict: Container[str]) -> list[str]:
    """A kernel's parameters, in their order."""
    result = []
    for a in arguments:
        const = "" if a.written else "const "
        qualifier = "restrict " if a.name in restrict and not a.written else ""
        result.append(f"__global {const}{a.type.dtype.storage_c} *{qualifier}{a.name}")
    return result


def _opening(
    arguments: Sequence[Argument], scratch_bytes: int, restrict: Container[str]
) -> list[str]:
    given = parameters(arguments, restrict)
    if scratch_bytes:
        given.append("__global char *scratch")
    lines = [
        "__kernel void KERNEL_NAME(",
        *[f"    {parameter}," for parameter in given[:-1]],
        f"    {given[-1]}",
        ") {",
        *[f"    // {a.name}: {a.type!r}" for a in arguments],
    ]
    if scratch_bytes:
        lines.append(f"    scratch += thread * {scratch_bytes};")
    return lines


def vector_of_four(dtype: DType) -> str:
    """The OpenCL vector of four elements as they are stored."""
    return _VECTORS.get(dtype.storage_c, f"{dtype.storage_c}4")


class GpuBody(Body):
    """Statements to lines of text, those for work-groups too."""

    form = GroupForm(1, 1)
    whole = True  # every item of the group has a row

    @property
    def index_c(self) -> str:
        return self.kernel.index_c

    def loop(self, loop: Loop, level: int) -> list[str]:
        writers: dict[type, Callable[..., list[str]]] = {
            Items: self.items,
            Quad: self.quad,
            Tile: self.tile,
            Group: self.group,
            Strided: self.strided,
            Segment: self.segment,
            Once: self.once,
            Chosen: self.chosen,
        }
        writer = writers.get(type(loop))
        if writer is not None:
            return writer(loop, level)
        if isinstance(loop, Serial | Sequential) and loop.extent == 1:
            return self.block(loop.body, level)
        return super().loop(loop, level)

    def simple(self, statement: Statement) -> list[str]:
        if isinstance(statement, Carry):
            return self.carry(statement)
        return super().simple(statement)

    # ---- an item an element ---------------------------------------------------------------------

    def items(self, loop: Items, level: int) -> list[str]:
        pad = "    " * level
        number = "get_group_id(0)" if _has_tile(loop) else "get_global_id(0)"
        declared = f"const {self.index_c} {loop.variable} = {number};"
        if _has_tile(loop):
            return [pad + declared, *self.block(loop.body, level)]
        return [
            f"{pad}{{",
            f"{pad}    {declared}",
            f"{pad}    if ({loop.variable} < {loop.extent}) {{",
            *self.block(loop.body, level + 2),
            f"{pad}    }}",
            f"{pad}}}",
        ]

    def chosen(self, loop: Chosen, level: int) -> list[str]:
        """No lists: neighbouring items mostly choose alike."""
        pad, index, v = "    " * level, self.index_c, loop.variable
        return [
            f"{pad}for ({index} {v} = 0; {v} < {loop.extent}; {v}++) {{",
            *self.block(loop.choose, level + 1),
            f"{pad}    const {index} {loop.place} = lt_clamp_index({loop.number}, {loop.limit});",
            f"{pad}    if ((unsigned long)({loop.place} - ({loop.low.to_c()})) < {loop.size}) {{",
            *self.block(loop.body, level + 2),
            f"{pad}    }}",
            f"{pad}}}",
        ]

    def quad(self, loop: Quad, level: int) -> list[str]:
        """What lies side by side is loaded and stored as vectors; the rest is there four times."""
        pad = "    " * level
        v = loop.variable
        lines = [f"{pad}const {self.index_c} {v}_quad = {loop.start.to_c()};"]
        loads = [s for s in loop.body if isinstance(s, Load) and _is_side_by_side(s, v)]
        stores = [s for s in loop.body if isinstance(s, Store) and _is_side_by_side(s, v)]
        for load in loads:
            vector = vector_of_four(load.dtype)
            place = _first(load.place, v)
            lines.append(
                f"{pad}const {vector} {load.name}_quad = "
                f"LT_LOAD4({vector[:-1]}, {load.argument} + {place});"
            )
        names = {}
        for number, store in enumerate(stores):
            names[number] = f"{store.argument}_quad{number}"
            lines.append(f"{pad}{vector_of_four(store.dtype)} {names[number]};")
        for lane in range(4):
            lines += [f"{pad}{{", f"{pad}    const {self.index_c} {v} = {v}_quad + {lane};"]
            stored = 0
            for statement in loop.body:
                if statement in loads:
                    assert isinstance(statement, Load)
                    part = f"{statement.name}_quad.s{lane}"
                    text = self.loaded(statement, part)
                elif statement in stores:
                    assert isinstance(statement, Store)
                    value = self.to_storage(statement.dtype, statement.value)
                    text = [f"{names[stored]}.s{lane} = {value};"]
                    stored += 1
                else:
                    lines += self.block([statement], level + 1)
                    continue
                lines += [f"{pad}    {line}" for line in text]
            lines.append(f"{pad}}}")
        for number, store in enumerate(stores):
            place = _first(store.place, v)
            vector = vector_of_four(store.dtype)
            lines.append(
                f"{pad}LT_STORE4({vector[:-1]}, {store.argument} + {place}, {names[number]});"
            )
        return lines

    def tile(self, loop: Tile, level: int) -> list[str]:
        pad = "    " * level
        size, index = loop.size, self.index_c
        lines_at_once = self.kernel.items // size
        lines = [
            f"{pad}const int near = get_local_id(0) % {size}, far = get_local_id(0) / {size};",
            *[
                f"{pad}__local {s.dtype.storage_c} {s.name}_local[{size * (size + 1)}];"
                for s in loop.staged
            ],
        ]

        def walk(variable: str, across: str, body: list[str]) -> list[str]:
            """Neighbouring items along the first."""
            starts = {loop.variable: loop.start, loop.across: loop.across_start}
            extents = {loop.variable: loop.extent, loop.across: loop.across_extent}
            conditions = [
                f"{name} < {extents[name]}" for name in (variable, across) if extents[name] % size
            ]
            opened = f"if ({' && '.join(conditions)}) {{" if conditions else "{"
            return [
                f"{pad}for (int step = far; step < {size}; step += {lines_at_once}) {{",
                f"{pad}    const {index} {variable} = {starts[variable].to_c()} + near;",
                f"{pad}    const {index} {across} = {starts[across].to_c()} + step;",
                f"{pad}    {opened}",
                *body,
                f"{pad}    }}",
                f"{pad}}}",
            ]

        inner = "    " * (level + 2)
        fill = [
            f"{inner}{s.name}_local[step * {size + 1} + near] = {s.argument}[{s.place.to_c()}];"
            for s in loop.staged
        ]
        lines += walk(loop.across, loop.variable, fill)
        lines.append(f"{pad}{_BARRIER}")
        body = [f"{inner}const int lane = near * {size + 1} + step;"]
        for s in loop.staged:
            value = self.from_storage(s.dtype, f"{s.name}_local[lane]")
            body.append(f"{inner}const {s.dtype.compute_c} {s.name} = {value};")
        body += self.block(loop.body, level + 2)
        return lines + walk(loop.variable, loop.across, body)

    # ---- rows -----------------------------------------------------------------------------------

    def group(self, loop: Group, level: int) -> list[str]:
        pad, index, form, v = "    " * level, self.index_c, loop.form, loop.variable
        self.form, self.whole = form, loop.extent % form.rows == 0
        item = "get_local_id(0)"
        if form.strands == 1:
            part, strand = item, "0"
        elif form.rows == 1:
            part, strand = "0", item
        elif form.by_columns:
            part, strand = f"{item} % {form.rows}", f"{item} / {form.rows}"
        else:
            part, strand = f"{item} / {form.strands}", f"{item} % {form.strands}"
        lines = [f"const int part = {part}, strand = {strand};"]
        number = f"({index})get_group_id(0) * {form.rows} + part"
        if self.whole:
            lines.append(f"const {index} {v} = {number};")
        else:
            lines += [
                f"const {index} {v}_number = {number};",
                f"const bool active = {v}_number < {loop.extent};",
                f"const {index} {v} = active ? {v}_number : {loop.extent - 1};",
            ]
        return [*[pad + line for line in lines], *self.block(loop.body, level)]

    def strided(self, loop: Strided, level: int) -> list[str]:
        pad, index, v = "    " * level, self.index_c, loop.variable
        strands, turns = loop.form.strands, loop.turns
        conditions = [] if loop.extent % strands == 0 else [f"{v} < {loop.extent}"]
        if not self.whole:
            conditions.append("active")
        opened = f"if ({' && '.join(conditions)}) {{" if conditions else "{"
        unroll = [f"{pad}#pragma unroll"] if 1 < turns <= _UNROLLED else []
        number = "turn" if strands == 1 else f"turn * {strands} + strand"
        return [
            *unroll,
            f"{pad}for ({index} turn = 0; turn < {turns}; turn++) {{",
            f"{pad}    const {index} {v} = {number};",
            f"{pad}    {opened}",
            *self.block(loop.body, level + 2),
            f"{pad}    }}",
            f"{pad}}}",
        ]

    def segment(self, loop: Segment, level: int) -> list[str]:
        pad, index, v, size = "    " * level, self.index_c, loop.variable, loop.size
        end = f"min(({index})(strand + 1) * {size}, ({index}){loop.extent})"
        if loop.form.strands == 1:
            end = str(loop.extent)
        if not self.whole:
            end = f"active ? {end} : 0"
        first = "0" if loop.form.strands == 1 else f"({index})strand * {size}"
        return [
            f"{pad}{{",
            f"{pad}    const {index} {v}_end = {end};",
            f"{pad}    for ({index} {v} = {first}; {v} < {v}_end; {v}++) {{",
            *self.block(loop.body, level + 2),
            f"{pad}    }}",
            f"{pad}}}",
        ]

    def once(self, loop: Once, level: int) -> list[str]:
        pad = "    " * level
        conditions = ["strand == 0"] if self.form.strands > 1 else []
        if not self.whole:
            conditions.append("active")
        opened = f"if ({' && '.join(conditions)}) {{" if conditions else "{"
        return [f"{pad}{opened}", *self.block(loop.body, level + 1), f"{pad}}}"]

    def row(self, row: Row) -> list[str]:
        space = "__local " if row.shared else ""
        return [f"{space}{accumulator_c(row.dtype)} {row.name}[{row.lanes}];"]

    def accumulator(self, a: Accumulator) -> list[str]:
        assert a.lanes == 1 or not self.kernel.items
        if a.lanes > 1:
            return super().accumulator(a)
        start = neutral(a.operation, a.dtype)
        lines = [f"{accumulator_c(a.dtype)} {a.name}[1];", f"{a.name}[0] = {start};"]
        if "arg" in a.operation.name:
            lines += [f"long {a.name}_at[1];", f"{a.name}_at[0] = -1;"]
        return lines

    # ---- what a group's items find together -----------------------------------------------------

    def slot(self, part: str, strand: str) -> str:
        """Where an item's partial result lies: neighbouring items have neighbouring ones."""
        form = self.form
        if form.rows == 1:
            return strand
        if form.by_columns:
            return part if strand == "0" else f"({strand}) * {form.rows} + {part}"
        first = f"{part} * {form.strands}"
        return first if strand == "0" else f"{first} + {strand}"

    def fold(self, fold: Fold) -> list[str]:
        """Partial results by fours in local memory, until one is left that every item reads."""
        a, form = fold.accumulator, self.form
        ctype = accumulator_c(a.dtype)
        is_position = "arg" in a.operation.name
        if form.strands == 1:
            if is_position:
                return [f"const long {fold.name} = {a.name}_at[0];"]
            return [f"const {ctype} {fold.name} = {self.rounded(a.dtype, a.name + '[0]')};"]
        shared, own = f"{a.name}_shared", f"{a.name}_own"
        lines = [
            f"__local {ctype} {shared}[{form.items}];",
            *([f"__local long {shared}_at[{form.items}];"] if is_position else []),
            f"const int {own} = {self.slot('part', 'strand')};",
            f"{shared}[{own}] = {a.name}[0];",
            *([f"{shared}_at[{own}] = {a.name}_at[0];"] if is_position else []),
            _BARRIER,
        ]
        left, stride = form.strands, form.rows if form.by_columns else 1
        while left > 1:
            parts = 4 if left % 4 == 0 else 2
            left //= parts
            lines.append(f"if (strand < {left}) {{")
            for number in range(1, parts):
                other = f"{own} + {left * number * stride}"
                lines += ["    " + line for line in self.fold_two(a, ctype, other)]
            lines += [
                f"    {shared}[{own}] = {a.name}[0];",
                *([f"    {shared}_at[{own}] = {a.name}_at[0];"] if is_position else []),
                "}",
                _BARRIER,
            ]
        first = self.slot("part", "0")
        if is_position:
            return [*lines, f"const long {fold.name} = {shared}_at[{first}];"]
        result = self.rounded(a.dtype, f"{shared}[{first}]")
        return [*lines, f"const {ctype} {fold.name} = {result};"]

    def fold_two(self, a: Accumulator, ctype: str, other: str) -> list[str]:
        """Combine another item's partial result into an item's own."""
        shared, best, value = f"{a.name}_shared", f"{a.name}[0]", f"{a.name}_other"
        read = f"const {ctype} {value} = {shared}[{other}];"
        if "arg" not in a.operation.name:
            return ["{", f"    {read}", *["    " + s for s in self.combine(a, best, value)], "}"]
        at, best_at = f"{value}_at", f"{a.name}_at[0]"
        same = f"({value} == {best} || ({value} != {value} && {best} != {best}))"
        better = f"{best_at} < 0 || {beats(a, value, best)} || ({same} && {at} < {best_at})"
        return [
            "{",
            f"    {read}",
            f"    const long {at} = {shared}_at[{other}];",
            f"    if ({at} >= 0 && ({better})) {{",
            f"        {best} = {value};",
            f"        {best_at} = {at};",
            "    }",
            "}",
        ]

    def carry(self, carry: Carry) -> list[str]:
        """What each item's segment comes to, summed over the items before it."""
        a, form = carry.accumulator, self.form
        ctype = accumulator_c(a.dtype)
        shared, own = f"{a.name}_shared", self.slot("part", "strand")
        lines = [
            f"__local {ctype} {shared}[{form.items}];",
            f"{shared}[{own}] = {a.name}[0];",
            _BARRIER,
        ]
        step = 1
        while step < form.strands:
            before = f"{shared}[{self.slot('part', f'strand - {step}')}]"
            both = combined(a.operation, a.dtype, before, f"{shared}[{own}]")
            lines += [
                f"const {ctype} {a.name}_{step} = strand < {step} ? {shared}[{own}] : ({both});",
                _BARRIER,
                f"{shared}[{own}] = {a.name}_{step};",
                _BARRIER,
            ]
            step *= 2
        start = neutral(a.operation, a.dtype)
        before = f"{shared}[{self.slot('part', 'strand - 1')}]"
        return [*lines, f"{a.name}[0] = strand > 0 ? {before} : {start};"]

    # ---- where a GPU's compiler needs no help ---------------------------------------------------

    def opaque_truth(self, number: str) -> str:
        return number


def _has_tile(loop: Items) -> bool:
    return any(isinstance(s, Tile) for s in loop.body)


def _is_side_by_side(access: Load | Store, variable: str) -> bool:
    """Whether the four accesses of a quad are one vector."""
    place = access.place
    if not isinstance(place, Index) or place.coefficient(variable) != 1:
        return False
    inside = any(variable in atom.variables and atom.to_c() != variable for atom, _ in place.terms)
    if isinstance(access, Store):
        return not inside and access.combine is None
    return not inside and not access.guard


def _first(place: object, variable: str) -> str:
    assert isinstance(place, Index)
    return re.sub(rf"\b{variable}\b", f"{variable}_quad", place.to_c())
