"""A chain as text: for each block of rows, one product, the row-wise work, the other product."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from math import prod

from codegen.graph.causal import ends_with_neutral
from codegen.graph.chains import Chain
from codegen.graph.fuse import Fusion
from codegen.ir.node import Node
from codegen.loops.contraction import chain_schedules
from codegen.loops.grammar import ROW_STEP, Argument, Kernel
from codegen.loops.lower import lower
from codegen.loops.schedule_text import schedule_lines
from codegen.render.c_family import Dialect, functions_used
from codegen.render.contraction_c import Task
from codegen.render.contraction_kernel import (
    RenderedKernel,
    contraction_of,
    contraction_text,
    is_parallel,
)
from codegen.render.source import KernelSource


def render_chain_kernel(
    chain: Chain,
    fusion: Fusion,
    threads: int,
    comments: list[str],
    dialect: Dialect,
    any_rows: bool = False,
) -> RenderedKernel:
    """The kernel of a chain. Its middle lives in scratch memory, block by block, at pointers moved
    so that the code of each part finds it where the whole matrix would have it."""
    first, middle, third = chain.parts
    matches = [fusion.contractions[contraction_of(part, fusion)] for part in (first, third)]
    one, two = [match.contraction.normalized() for match in matches]
    schedules = chain_schedules(one, two)
    batch, rows, columns, _ = one.sizes
    block = schedules[0].row_block
    blocks = -(-rows // block)
    # Each part sees what the others leave it as stored.
    inside = replace(fusion, stored=fusion.stored | {chain.scores, chain.weights})
    local = [chain.scores] + [chain.weights] * (chain.weights not in fusion.stored)
    names = {node: f"block{i}" for i, node in enumerate(local)}
    arguments: dict[Node, Argument] = {
        node: Argument(name, node.type, True) for node, name in names.items()
    }
    needed = _needed(chain, columns)
    # Of causal rows the later cost more: few batches are dealt out to threads block by block.
    dealt = chain.causal and batch < 4 * threads
    fresh = f"m_begin_ < {block} * threads" if dealt else "m_begin_ == 0 || task_ == first_"
    scratch = 0
    for node in local:
        scratch += -(-block * columns * node.dtype.itemsize // 64) * 64
    product, product_start, _ = contraction_text(
        first, inside, arguments, dialect, 1, schedules[0],
        Task(scratch, fresh, columns=needed if chain.skips else ""), any_rows,
    )  # fmt: skip
    kernel = lower(middle, inside)
    bounded = _is_bounded(chain, inside)
    kernel.row_end = "row_end" if bounded else ""
    for node, argument in zip(kernel.operands, kernel.arguments, strict=True):
        known = arguments.get(node)
        if known is None or (argument.written and not known.written):
            name = known.name if known else f"in{len(arguments)}"
            arguments[node] = replace(argument, name=name)
    last, last_start, _ = contraction_text(
        third, inside, arguments, dialect, 1, schedules[1],
        Task(product.scratch_bytes + kernel.scratch_bytes, fresh, inner=needed), any_rows,
    )  # fmt: skip
    row_function, row_text = _row_function(kernel, dialect)
    operands = [node for node in arguments if node not in names]
    pointers = ", ".join([arguments[node].name for node in kernel.operands])
    row_lines = _row_lines(
        f"{row_function}(row_, {batch * rows}, {pointers}, scratch + {product.scratch_bytes}, "
        "{});",
        columns,
        f"row_ % {rows}" if bounded else "",
        arguments[chain.weights].name,
        needed if chain.weights in local else str(columns),
    )
    text = "\n".join([
        *[f"// {c}" for c in comments],
        *dialect.opening([arguments[node] for node in operands], last.scratch_bytes, ()),
        *(
            [f"    for (long task_ = thread; task_ < {batch * blocks}; task_ += threads) {{"]
            if dealt
            else [
                f"    const long first_ = {batch * blocks}L * thread / threads;",
                f"    const long end_ = {batch * blocks}L * (thread + 1) / threads;",
                "    for (long task_ = first_; task_ < end_; task_++) {",
            ]
        ),
        f"        const long row_begin_ = task_ / {blocks} * {rows} + task_ % {blocks} * {block};",
        f"        const long row_count_ = task_ % {blocks} < {blocks - 1} ? {block} : "
        f"{rows - (blocks - 1) * block};",
        *map(dialect.from_c, _local_pointers(local, arguments, block, columns)),
        "    {",
        *product_start,
        dialect.from_c(product.body),
        "    }",
        "        // The work on each row, at the number it has in the whole.",
        f"        const long m_end_ = task_ % {blocks} * {block} + row_count_;",
        "        for (long row_ = row_begin_; row_ < row_begin_ + row_count_; row_++) {",
        *["            " + line for line in row_lines],
        "        }",
        "    {",
        *last_start,
        dialect.from_c(last.body),
        "    }",
        "    }",
        "}",
        "",
    ])  # fmt: skip
    guarded = f"#ifndef {row_function}_defined\n#define {row_function}_defined\n{row_text}#endif\n"
    helpers = [dialect.from_c(h) for h in (product.helpers, last.helpers) if h]
    prologue = (*dialect.prologue, *functions_used(row_text + text), *helpers, guarded)
    work = prod(one.sizes) + prod(two.sizes)
    return RenderedKernel(
        KernelSource("chain", text, prologue),
        tuple(operands),
        is_parallel(work, fusion),
        last.scratch_bytes,
        2 * work + kernel.operations,
        sum([arguments[node].type.nbytes for node in operands]),
        schedule=[
            f"{batch} matrices, {blocks} blocks of at most {block} rows each, shared out to the "
            "threads",
            "each block: the first product, the work on its rows, the second product; what lies "
            "between stays in scratch memory",
            *(["stops at the diagonal: what is masked beyond it is not computed"]
              if chain.skips else []),
            *[
                f"{which} product: {line}"
                for which, schedule in zip(("first", "second"), schedules, strict=True)
                for line in schedule_lines(schedule)
            ],
        ],
    )  # fmt: skip


def _is_bounded(chain: Chain, fusion: Fusion) -> bool:
    """Whether the middle needs each row only as far as its own number, but for zeros."""
    middle = chain.parts[1].nodes
    stored = [n for n in middle if n in fusion.stored and n.operation.kind != "reduce"]
    return chain.causal and stored == [chain.weights] and ends_with_neutral(middle)


def _row_lines(call: str, columns: int, bound: str, weights: str, end: str) -> list[str]:
    """The work on a row: all of it, or as far as the step in which its own number is, and zeros
    up to where it is read."""
    if not bound:
        return [call.format(columns)]
    whole = columns - columns % ROW_STEP
    place = f"{weights}[row_ * {columns} + n_"
    return [
        f"const long steps_end_ = ({bound} / {ROW_STEP} + 1) * {ROW_STEP};",
        f"const long row_end_ = steps_end_ < {columns} ? steps_end_ : {columns};",
        call.format("row_end_"),
        f"const long zeros_end_ = {end};",
        "long n_ = row_end_;",
        f"for (; n_ < {whole} && n_ < zeros_end_; n_ += {ROW_STEP}) {{",
        f"    for (long i_ = 0; i_ < {ROW_STEP}; i_++) {place} + i_] = 0;",
        "}",
        *([f"for (; n_ < zeros_end_; n_++) {place}] = 0;"] if columns > whole else []),
    ]


def _row_function(kernel: Kernel, dialect: Dialect) -> tuple[str, str]:
    """The work on one row, number ``thread`` of ``threads``, as a function: its name and text."""
    pointers = [
        f"{'' if a.written else 'const '}{a.type.dtype.storage_c} *{a.name}"
        for a in kernel.arguments
    ]
    parameters = ["long thread, long threads", *pointers, "char *scratch", "long row_end"]
    head = f"static __attribute__((noinline)) void ROW_FUNCTION({', '.join(parameters)}) {{"
    text = "\n".join([dialect.from_c(head), *dialect.body_of(kernel).lines(), "}", ""])
    name = f"rows_{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    return name, text.replace("ROW_FUNCTION", name)


def _needed(chain: Chain, columns: int) -> str:
    """How many columns of the rows before ``m_end_`` matter, as a C expression; empty for all."""
    return f"m_end_ < {columns} ? m_end_ : {columns}" if chain.causal else ""


def _local_pointers(
    local: list[Node], arguments: dict[Node, Argument], block: int, columns: int
) -> list[str]:
    lines, at = [], 0
    for node in local:
        name, c_type = arguments[node].name, node.dtype.storage_c
        lines.append(
            f"        {c_type} *{name} = ({c_type} *)(scratch + {at}) - row_begin_ * {columns};"
        )
        at += -(-block * columns * node.dtype.itemsize // 64) * 64
    return lines
