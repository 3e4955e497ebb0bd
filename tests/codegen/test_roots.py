"""Loops that take square roots without the divider: where, and with the same bits."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.ir.node import Node, TensorType
from codegen.loops.roots import ROOTS
from codegen.ops import elementwise as ew
from codegen.ops.leaves import parameter
from codegen.pipeline import Graph, build
from codegen.render.mathematics import definitions
from codegen.runtime.compiler import compile_many, find_compiler
from tests.codegen.graphs import run_compiled, run_interpreted

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler")


@pytest.fixture(autouse=True)
def wide_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of 64 bytes, whatever this processor has: the text does without them too."""
    monkeypatch.setattr("codegen.loops.contraction.vector_bytes", lambda: 64)


def _parameters(count: int, size: int, dtype: dt.DType = dt.float32) -> tuple[Node, ...]:
    return tuple([parameter(i, TensorType((size,), dtype)) for i in range(count)])


def _is_cut(*outputs: Node) -> bool:
    found = {n for o in outputs for n in _leaves(o)}
    graph = Graph(tuple(sorted(found, key=lambda n: str(n.attributes))), outputs)
    (kernel,) = build(graph, 1).kernels
    return "lt_roots(" in kernel.body


def _leaves(node: Node) -> set[Node]:
    if node.operation.name == "parameter":
        return {node}
    return {leaf for i in node.inputs for leaf in _leaves(i)}


def test_cut_where_the_divider_is_waited_for() -> None:
    x, y = _parameters(2, 1000)
    assert _is_cut(ew.div(x, ew.sqrt(y)))
    assert _is_cut(ew.sqrt(y))
    assert not _is_cut(ew.div(x, y))
    assert not _is_cut(ew.div(ew.exp(ew.sin(ew.tanh(x))), ew.sqrt(y)))
    assert not _is_cut(ew.sqrt(_parameters(1, ROOTS - 1)[0]))
    for dtype in (dt.float64, dt.float16, dt.bfloat16):
        x, y = _parameters(2, 1000, dtype)
        assert not _is_cut(ew.div(x, ew.sqrt(y)))


@pytest.mark.compiler
@needs_compiler
@pytest.mark.parametrize("size", [16, 17, 1000, 5000])
@pytest.mark.parametrize("threads", [1, 2])
def test_cut_loops_compute_the_same_bits(size: int, threads: int) -> None:
    x, y, z = parameters = _parameters(3, size)
    lower = ew.maximum(x, z)  # used before, between and after
    first = ew.sqrt(y)
    second = ew.sqrt(ew.sub(first, lower))
    outputs = (lower, ew.div(lower, first), second, ew.maximum(ew.div(z, second), lower))
    graph = Graph(parameters, outputs)
    assert any("lt_roots(" in k.body for k in build(graph, threads).kernels)
    numbers = np.random.default_rng(size)
    arrays = [numbers.normal(size=size).astype(np.float32) for _ in parameters]
    arrays[1] **= 2
    arrays[1][:: numbers.integers(2, 40)] = 0
    arrays[1][size // 3 : size // 3 + 9] = [-0.0, -1, np.inf, -np.inf, np.nan, 1e-40, 1e-32, 0, 3]
    with np.errstate(all="ignore"):
        exact = run_interpreted(graph, arrays)
    for found, wanted in zip(run_compiled(graph, arrays, threads), exact, strict=True):
        np.testing.assert_array_equal(found, wanted)
        number = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(found[number]), np.signbit(wanted[number]))


_EVERY_NUMBER = """
/* How many numbers, of all that there are, have another root than sqrtf's. */
long wrong(void) {
    long count = 0;
    for (unsigned long first = 0; first < 1UL << 32; first += 16) {
        float x[16] __attribute__((aligned(64)));
        for (unsigned i = 0; i < 16; i++) x[i] = lt_from_bits_f32((int)(first + i));
        float y[16];
        for (unsigned i = 0; i < 16; i++) y[i] = __builtin_sqrtf(x[i]);
        lt_roots(x);
        for (unsigned i = 0; i < 16; i++)
            count += lt_bits_f32(x[i]) != lt_bits_f32(y[i]) && (x[i] == x[i] || y[i] == y[i]);
    }
    return count;
}
"""


@pytest.mark.compiler
@needs_compiler
def test_every_root_is_rounded_correctly(tmp_path: Path) -> None:
    library = tmp_path / "roots.so"
    compile_many([definitions(["lt_roots"]) + _EVERY_NUMBER], [library])
    wrong = ctypes.CDLL(str(library)).wrong
    wrong.restype = ctypes.c_long
    assert wrong() == 0
