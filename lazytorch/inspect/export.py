"""A function as one C file with its weights, which needs neither Python nor this engine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from codegen.errors import CodegenError
from codegen.pipeline import compile_for_c
from codegen.render.source import KernelSource
from codegen.runtime.kernels import kernel_file
from codegen.runtime.memory import Buffer
from codegen.runtime.plan import SCALAR_FORMATS, PlanRecord
from lazytorch.importer import import_graph
from lazytorch.layout import contiguous_format
from lazytorch.tensor import Tensor
from lazytorch.trace import Trace

_C_TYPES = {
    "float32": "float", "float64": "double", "int64": "long", "int32": "int", "int16": "short",
    "int8": "signed char", "uint8": "unsigned char", "bool_": "unsigned char",
    "uint16": "unsigned short", "uint32": "unsigned int", "uint64": "unsigned long",
    "float16": "unsigned short", "bfloat16": "unsigned short",
}  # fmt: skip
_PREAMBLE = """\
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wpsabi"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#endif
"""


def export(
    function: Callable[..., Any],
    example_inputs: Sequence[Tensor],
    path: str | os.PathLike[str],
    name: str = "model",
) -> Path:
    """Write ``function`` for inputs like the examples as one C file; returns its path.

    The file defines ``int NAME(const T0 *input0, …, U0 *output0, …)``: pointers to contiguous
    tensors of the examples' shapes and types (float16 and bfloat16 as their 16 bits), outputs in
    the order in which the function returns them; it returns 0, or 1 where memory cannot be had.
    Weights and every other computed tensor that the function reads are in the file. With
    ``-DNAME_MAIN`` it has a ``main`` as well, which reads the inputs' bytes from its standard
    input, one after another, and writes the outputs' to its standard output. Build with
    ``cc -O2 -march=native model.c -lm``. It runs on the calling thread alone.

    RuntimeError where something has no C: a factorization of LAPACK's, for instance.

    >>> layer = lazytorch.nn.Linear(4, 2)
    >>> lazytorch.export(layer, [lazytorch.ones(3, 4)], "layer.c").name  # doctest: +SKIP
    'layer.c'
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise ValueError(f"{name!r} is no name of a C function")
    # Copies of their own: what the function reads besides is a constant of the file.
    given = [_copied(x).realize() for x in example_inputs]
    result = function(*given)
    found = [result] if isinstance(result, Tensor) else list(result)
    if not all([isinstance(t, Tensor) for t in found]):
        raise TypeError("the function to export must return a tensor or a sequence of tensors")
    outputs = [_copied(t) for t in found]
    expressions = [t._storage.expression for t in outputs]
    trace = Trace([e for e in expressions if e.value is None])
    if any([e.value is not None for e in expressions]):
        raise CodegenError("an output to export was computed while the function ran")
    graph, numbers = import_graph(trace)
    record = compile_for_c(graph)
    for kernel in record.kernels:
        if kernel.host is not None:
            raise CodegenError(
                f"{kernel.name} cannot be exported: LAPACK does it, and there is no C of it. "
                "Export the parts before and after it, or compute its result beforehand."
            )
    inputs = [x._storage.expression for x in given]
    number_of = {id(e): i for i, e in enumerate(inputs)}
    sources: list[int | bytes] = []
    formats = dict(record.scalars)
    for i, e in enumerate([*trace.leaves, *trace.bound]):
        if id(e) in number_of:
            sources.append(number_of[id(e)])
        elif i in formats:
            kind = np.float64 if SCALAR_FORMATS[formats[i]] == "d" else np.int64
            sources.append(np.asarray(e.value, kind).tobytes())
        else:
            assert isinstance(e.value, Buffer)
            sources.append(e.value.as_numpy(np.dtype(np.uint8), (e.type.nbytes,)).tobytes())
    places = {number: i for i, number in enumerate(numbers)}
    order = [places[trace.numbers[e]] for e in expressions]
    text = _file(record, sources, [e.type for e in inputs], [e.type for e in expressions],
                 order, name)  # fmt: skip
    target = Path(path)
    target.write_text(text, encoding="utf-8")
    return target


def _copied(x: Tensor) -> Tensor:
    """A copy whose elements lie in order, without history."""
    made: Tensor = x.detach().clone(memory_format=contiguous_format)
    return made


def _file(
    record: PlanRecord, sources: Sequence[int | bytes], inputs: Sequence[Any],
    outputs: Sequence[Any], order: Sequence[int], name: str,
) -> str:  # fmt: skip
    symbols = [f"{name}_kernel_{i}" for i in range(len(record.kernels))]
    kernels = kernel_file([
        (symbol, KernelSource(k.name, "static " + k.body, tuple(k.prologue)))
        for symbol, k in zip(symbols, record.kernels, strict=True)
    ])  # fmt: skip
    parameters = [
        *[f"const {_C_TYPES[t.dtype.name]} *input{i}" for i, t in enumerate(inputs)],
        *[f"{_C_TYPES[t.dtype.name]} *output{i}" for i, t in enumerate(outputs)],
    ]
    comments = [
        *[f"input{i}: {t!r}" for i, t in enumerate(inputs)],
        *[f"output{i}: {t!r}" for i, t in enumerate(outputs)],
    ]
    constants = [_constant(f"{name}_data_{i}", s) for i, s in enumerate(sources)
                 if isinstance(s, bytes)]  # fmt: skip
    table = [
        f"(char *)input{s}" if isinstance(s, int) else f"(char *){name}_data_{i}"
        for i, s in enumerate(sources)
    ]
    extra, memory = [], record.arena_bytes
    for i, nbytes in enumerate(record.output_bytes):
        if i in order:
            table.append(f"(char *)output{order.index(i)}")
        else:  # a value that only a backward pass would read
            extra.append(memory)
            table.append(f"memory + {memory}")
            memory += -(-nbytes // 64) * 64
    table += [f"memory + {offset}" for offset in record.offsets]
    moved = sum([len(loop.moves) for loop in record.loops])
    table += ["0"] * moved
    scratch = memory
    memory += record.scratch_bytes
    body = [
        f"int {name}({', '.join(parameters)}) {{",
        "    void *block = 0;",
        f"    if (posix_memalign(&block, 64, {max(memory, 64)})) return 1;",
        f"    char *memory = block, *scratch = memory + {scratch};",
        f"    char *table[] = {{{', '.join(table)}}};",
        "    (void)scratch; (void)table;",
        *_calls(record, symbols),
        "    free(block);",
        "    return 0;",
        "}",
    ]
    heading = [f"/* {name}: made by lazytorch.export.", *[f"   {c}" for c in comments], "*/"]
    declared = "int posix_memalign(void **, unsigned long, unsigned long);\nvoid free(void *);\n"
    parts = ["\n".join(heading), _PREAMBLE, declared, *constants, kernels, "\n".join(body),
             _main(name, inputs, outputs)]  # fmt: skip
    return "\n".join(parts) + "\n"


def _constant(name: str, data: bytes) -> str:
    """Bytes as an aligned array of whole words."""
    padded = data + bytes(-len(data) % 8 or (8 if not data else 0))
    words = np.frombuffer(padded, np.uint64)
    rows = [
        ", ".join([f"{w:#x}" for w in words[i : i + 8]]) for i in range(0, len(words), 8)
    ]  # fmt: skip
    joined = ",\n    ".join(rows)
    return (
        f"static const unsigned long long {name}[{len(words)}] __attribute__((aligned(64))) = "
        f"{{\n    {joined}}};\n"
    )


def _calls(record: PlanRecord, symbols: Sequence[str]) -> list[str]:
    """The kernels in their order, loops as loops over the table."""

    def call(i: int, indent: str) -> str:
        slots = ", ".join([f"table[{slot}]" for slot in record.kernels[i].slots])
        run = f"{symbols[i]}(0, 1, arguments, scratch);"
        return f"{indent}{{ char *arguments[] = {{{slots}}}; {run} }}"

    lines, done = [], 0
    for loop in record.loops:
        lines += [call(i, "    ") for i in range(done, loop.begin)]
        lines.append(f"    for (long turn = 0; turn < {loop.turns}; turn++) {{")
        for m in loop.moves:
            later = f"table[{m.base}] + {m.offset} + turn % {m.period} * {m.stride}"
            place = f"turn ? {later} : table[{m.first}]" if m.first >= 0 else later
            lines.append(f"        table[{m.slot}] = {place};")
        lines += [call(i, "        ") for i in range(loop.begin, loop.end)]
        lines.append("    }")
        done = loop.end
    return [*lines, *[call(i, "    ") for i in range(done, len(record.kernels))]]


def _main(name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
    types = [
        *[(f"input{i}", t) for i, t in enumerate(inputs)],
        *[(f"output{i}", t) for i, t in enumerate(outputs)],
    ]
    lines = [f"#ifdef {name}_MAIN", "#include <stdio.h>", "int main(void) {"]
    lines += [
        f"    static {_C_TYPES[t.dtype.name]} {v}[{max(t.size, 1)}] __attribute__((aligned(64)));"
        for v, t in types
    ]
    for i, t in enumerate(inputs):
        lines.append(
            f"    if (fread(input{i}, 1, {t.nbytes}, stdin) != {t.nbytes}) "
            f'{{ fprintf(stderr, "input{i} is too short\\n"); return 1; }}'
        )
    lines.append(f"    if ({name}({', '.join([v for v, _ in types])})) return 1;")
    lines += [f"    fwrite(output{i}, 1, {t.nbytes}, stdout);" for i, t in enumerate(outputs)]
    return "\n".join([*lines, "    return 0;", "}", "#endif"])
