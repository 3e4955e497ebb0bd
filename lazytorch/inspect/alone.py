"""A dumped plan that runs by itself: a ``main.c`` beside its kernels, inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from codegen.ops.registry import interpreted_dtype
from codegen.pipeline import Compiled, plan_of
from codegen.runtime.cpu import get_num_threads
from codegen.runtime.interpreter import to_buffer
from codegen.runtime.memory import Buffer, allocate
from codegen.runtime.plan import SCALAR_FORMATS, PlanRecord

_MOST_BYTES = 256 << 20  # of inputs and outputs together
_HELPERS = """\
static char *block(unsigned long bytes) {
    void *made = 0;
    if (posix_memalign(&made, 64, bytes + 64)) exit(2);
    return made;
}
static void load(FILE *file, char *target, unsigned long bytes) {
    if (fread(target, 1, bytes, file) != bytes) { fprintf(stderr, "too short\\n"); exit(2); }
}
static int differs(const char *a, const char *b, long bytes, int kind) {
    if (!memcmp(a, b, bytes)) return 0;
    if (kind == 4) for (long i = 0; i < bytes / 4; i++) {
        const float x = ((const float *)a)[i], y = ((const float *)b)[i];
        if (fabsf(x - y) > 1e-4f * (1 + fabsf(y)) || (x != x) != (y != y)) return 1;
    }
    else if (kind == 8) for (long i = 0; i < bytes / 8; i++) {
        const double x = ((const double *)a)[i], y = ((const double *)b)[i];
        if (fabs(x - y) > 1e-9 * (1 + fabs(y)) || (x != x) != (y != y)) return 1;
    }
    return kind != 4 && kind != 8;
}
"""


def symbols_of(record: PlanRecord, names: Sequence[str]) -> list[str]:
    """A C name for each kernel that no other of the plan has, from its file's."""
    return [f"kernel_{Path(name).stem}" for name in names[: len(record.kernels)]]


def made_up(compiled: Compiled) -> list[Any] | None:
    """Inputs for a plan: floats between 0 and 1, the same each time; integers are 0, which every
    index may be. None where they would be large."""
    parameters = compiled.graph.parameters
    if sum([n.type.nbytes for n in parameters]) > _MOST_BYTES:
        return None
    random = np.random.default_rng(0)
    values: list[Any] = []
    for node in parameters:
        if node.type.weak:
            values.append(1.0 if node.dtype.kind == "float" else 1)
            continue
        made = np.zeros(node.type.shape, interpreted_dtype(node.type))
        if node.dtype.kind == "float":
            made[...] = random.random(node.type.shape)
        values.append(allocate(node.type.nbytes))
        values[-1].as_numpy(node.dtype.numpy, node.shape)[...] = to_buffer(made, node.type)
    return values


def write_alone(
    folder: Path, compiled: Compiled, values: Sequence[Any], names: Sequence[str]
) -> str:
    """Write ``main.c``, ``inputs.bin`` and ``outputs.bin``; what to say of it, in a sentence.

    The plan is run once on ``values`` for the outputs; nothing else sees them.
    """
    record = compiled.record
    if any([k.host is not None for k in record.kernels]):
        return "no main.c: a part of the plan is LAPACK's, called through Python"
    if record.device != "cpu":
        return "no main.c: the kernels are not the cpu's"
    sizes = [8 if n.type.weak else n.type.nbytes for n in compiled.graph.parameters]
    if sum(sizes) + sum(record.output_bytes) > _MOST_BYTES:
        return f"no main.c: inputs and outputs are more than {_MOST_BYTES >> 20} MiB"
    formats = dict(record.scalars)
    with (folder / "inputs.bin").open("wb") as file:
        for i, (value, nbytes) in enumerate(zip(values, sizes, strict=True)):
            if isinstance(value, Buffer):
                file.write(value.as_numpy(np.dtype(np.uint8), (nbytes,)).tobytes())
            else:
                kind = np.float64 if SCALAR_FORMATS[formats[i]] == "d" else np.int64
                file.write(np.asarray(value, kind).tobytes())
    outputs = plan_of(record).run(values)
    with (folder / "outputs.bin").open("wb") as file:
        for buffer, nbytes in zip(outputs, record.output_bytes, strict=True):
            file.write(buffer.as_numpy(np.dtype(np.uint8), (nbytes,)).tobytes())
    (folder / "main.c").write_text(_main(compiled, sizes, symbols_of(record, names)), "utf-8")
    return "cc -O2 -march=native *.c -lm && ./a.out   builds the plan and compares its outputs"


def _main(compiled: Compiled, sizes: Sequence[int], symbols: Sequence[str]) -> str:
    record, threads = compiled.record, get_num_threads()
    slots = [*sizes, *record.output_bytes]
    kinds = [
        n.dtype.itemsize if n.dtype.name in ("float32", "float64") else 0 for n in compiled.outputs
    ]
    moved = sum([len(loop.moves) for loop in record.loops])
    whole = len(slots) + len(record.offsets) + moved
    lines = [
        "/* Runs the kernels beside it on inputs.bin, and compares with outputs.bin. */",
        "#include <math.h>", "#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>",
        "int posix_memalign(void **, size_t, size_t);",
        _HELPERS,
        *[f"void {s}(long thread, long threads, char **arguments, char *scratch);"
          for s in symbols],
        "int main(void) {",
        '    FILE *in = fopen("inputs.bin", "rb"), *wanted = fopen("outputs.bin", "rb");',
        '    if (!in || !wanted) { fprintf(stderr, "run it in its folder\\n"); return 2; }',
        f"    char *table[{max(whole, 1)}] = {{0}};",
        f"    char *arena = block({record.arena_bytes}), *scratch = block({record.scratch_bytes});",
    ]  # fmt: skip
    lines += [f"    table[{i}] = block({n});" for i, n in enumerate(slots)]
    lines += [f"    load(in, table[{i}], {n});" for i, n in enumerate(sizes)]
    lines += [f"    table[{len(slots) + i}] = arena + {o};" for i, o in enumerate(record.offsets)]

    def call(i: int) -> str:
        kernel = record.kernels[i]
        given = ", ".join([f"table[{slot}]" for slot in kernel.slots])
        count = threads if kernel.parallel else 1
        run = f"for (long t = 0; t < {count}; t++) {symbols[i]}(t, {count}, arguments, scratch);"
        return f"    {{ char *arguments[] = {{{given}}}; {run} }}"

    done = 0
    for loop in record.loops:
        lines += [call(i) for i in range(done, loop.begin)]
        lines.append(f"    for (long turn = 0; turn < {loop.turns}; turn++) {{")
        for m in loop.moves:
            later = f"table[{m.base}] + {m.offset} + turn % {m.period} * {m.stride}"
            place = f"turn ? {later} : table[{m.first}]" if m.first >= 0 else later
            lines.append(f"    table[{m.slot}] = {place};")
        lines += [call(i) for i in range(loop.begin, loop.end)]
        lines.append("    }")
        done = loop.end
    lines += [call(i) for i in range(done, len(record.kernels))]
    for i, (nbytes, kind) in enumerate(zip(record.output_bytes, kinds, strict=True)):
        lines += [
            f"    {{ char *found = table[{len(sizes) + i}], *known = block({nbytes});",
            f"      load(wanted, known, {nbytes});",
            f"      if (differs(found, known, {nbytes}, {kind})) "
            f'{{ printf("output {i} differs\\n"); return 1; }} }}',
        ]
    return "\n".join([*lines, '    printf("ok\\n");', "    return 0;", "}", ""])
