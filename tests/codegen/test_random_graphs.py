"""Random graphs: compiled C, simplified graphs and the interpreter give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.graph.split import split_rows
from codegen.ir.node import Node, TensorType, topological
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather
from codegen.ops.leaves import parameter
from codegen.ops.movement import permute, slice_
from codegen.ops.reduction import broadcast, sum_
from codegen.ops.registry import interpreted_dtype
from codegen.pipeline import Graph, build
from codegen.runtime.compiler import find_compiler
from tests.codegen.graphs import (
    RandomGraph,
    assert_same,
    compare,
    run_compiled,
    run_interpreted,
)

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler"),
]


@pytest.mark.parametrize("seed", range(40))
def test_compiled_equals_interpreted(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZYTORCH_VERIFY", "1")
    made = RandomGraph(seed)
    compare(made.graph, made.arrays())


def test_kernels_that_would_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pairs that each could be one kernel, but not both: a pair reads from the other twice."""
    monkeypatch.setenv("LAZYTORCH_VERIFY", "1")
    types = [TensorType(shape, dt.float32) for shape in ((8, 8), (8, 8), (9, 8))]
    x, y, w = [parameter(i, t) for i, t in enumerate(types)]

    def part_of_product(a: Node) -> Node:
        wide = [broadcast(a, (8, 9, 8), (0, 2)), broadcast(w, (8, 9, 8), (1, 2))]
        return slice_(sum_(ew.mul(*wide), (2,)), (0, 1), (8, 8), (1, 1))

    first = part_of_product(ew.exp(y))
    second = part_of_product(ew.sin(x))
    outputs = (ew.tanh(ew.add(x, first)), ew.cos(ew.add(y, second)))
    generator = np.random.default_rng(3)
    arrays = [generator.uniform(-1, 1, t.shape).astype(np.float32) for t in types]
    compare(Graph((x, y, w), outputs), arrays)


def test_rows_that_begin_with_a_value_of_the_row() -> None:
    """Short rows are looked at to see whether they lie in pieces; not all of a kernel is rows."""
    v, x = (parameter(i, TensorType(s, dt.float32)) for i, s in enumerate([(64,), (64, 40)]))
    factor = ew.tanh(v)
    total = sum_(ew.mul(x, broadcast(factor, (64, 40), (0,))), (1,))
    generator = np.random.default_rng(3)
    arrays = [generator.uniform(-1, 1, n.shape).astype(np.float32) for n in (v, x)]
    compare(Graph((v, x), (factor, total)), arrays)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize(("inner", "kept"), [(70, 33), (9, 200), (1, 2000), (64, 64), (300, 1)])
def test_vector_times_matrix(inner: int, kept: int, left: bool, transposed: bool) -> None:
    """On either side, the matrix contiguous either way, with work on the result."""
    types = [TensorType((inner,), dt.float32), TensorType((kept,), dt.float32)]
    types.append(TensorType((kept, inner) if transposed else (inner, kept), dt.float32))
    x, y, w = [parameter(i, t) for i, t in enumerate(types)]
    matrix = w if transposed else permute(w, (1, 0))
    pair = (broadcast(x, (kept, inner), (1,)), matrix)
    total = sum_(ew.mul(*(pair if left else pair[::-1])), (1,))
    generator = np.random.default_rng(3)
    arrays = [generator.uniform(-1, 1, t.shape).astype(np.float32) for t in types]
    compare(Graph((x, y, w), (ew.tanh(ew.add(total, y)), total)), arrays)


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((150, 203), (1, 0)),
        ((129, 128), (1, 0)),
        ((5, 70, 90), (0, 2, 1)),
        ((40, 3, 33, 35), (3, 1, 0, 2)),
    ],
)
@pytest.mark.parametrize("dtype", [dt.float32, dt.float64, dt.float16, dt.int8])
def test_transposed_operands(shape: tuple[int, ...], order: tuple[int, ...], dtype: DType) -> None:
    """Nests in tiles, whose edges are no multiple of one."""
    x = parameter(0, TensorType(shape, dtype))
    moved = permute(x, order)
    y = parameter(1, moved.type)
    graph = Graph((x, y), (ew.add(moved, y), ew.neg(moved)))
    generator = np.random.default_rng(0)
    arrays = [generator.integers(-9, 9, p.shape).astype(p.dtype.numpy) for p in graph.parameters]
    compare(graph, arrays)


@pytest.mark.parametrize("dtype", [dt.float32, dt.float64, dt.float16, dt.int8])
@pytest.mark.parametrize("outputs", [1, 2])
def test_transposed_past_the_caches(
    outputs: int, dtype: DType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tiles of large results: rows that begin anywhere in lines, the last tile a narrow one."""
    monkeypatch.setenv("LAZYTORCH_VERIFY", "1")
    monkeypatch.setattr("codegen.loops.lines._STREAMED", 0)
    monkeypatch.setattr("codegen.loops.lines._SHORT_ROW", 0)
    x = parameter(0, TensorType((3, 261, 75), dtype))
    moved = permute(x, (0, 2, 1))
    y = parameter(1, moved.type)
    graph = Graph((x, y), (ew.add(moved, y), ew.neg(moved))[:outputs])
    generator = np.random.default_rng(0)
    arrays = [generator.integers(-9, 9, p.shape).astype(p.dtype.numpy) for p in graph.parameters]
    compare(graph, arrays)
    assert "lt_lines_stream" in build(graph, threads=2).kernels[0].body


@pytest.mark.parametrize("dtype", dt.ALL, ids=repr)
@pytest.mark.parametrize("size", [3, 1000])
def test_places_from_comparisons(size: int, dtype: DType) -> None:
    """Of which compilers know that they are 0 or 1."""
    x, y = [parameter(i, TensorType((77,), dt.float32)) for i in (0, 1)]
    table = parameter(2, TensorType((size,), dtype))
    less = ew.cast(ew.lt(x, y), dt.int64)
    one, two = ew.full_like(less, 1), ew.full_like(less, 2)
    places = (less, ew.add(less, one), ew.add(one, less), ew.where(ew.lt(x, y), two, one))
    graph = Graph((x, y, table), tuple([gather(table, p) for p in places]))
    generator = np.random.default_rng(3)
    arrays = [generator.uniform(-1, 1, 77).astype(np.float32) for _ in range(2)]
    numbers = generator.integers(0, 100, size).astype(interpreted_dtype(table.type))
    compare(graph, [*arrays, numbers])


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_long_sums_of_computed_rows(threads: int, order: tuple[int, int]) -> None:
    """The gradients of a weight and a bias: each thread sums over rows of its own. With one thread
    the bias's is a part too: what reads it does not take its kernel along."""
    x, y = [parameter(i, TensorType((n, 20, 30), dt.float32)) for i, n in enumerate((96, 80))]
    kept = [ew.tanh(n) for n in (x, y)]
    left, right = kept[order[0]], kept[order[1]]
    wide = (left.shape[0], right.shape[0], 20, 30)
    product = ew.mul(broadcast(left, wide, (0, 2, 3)), broadcast(right, wide, (1, 2, 3)))
    columns = sum_(permute(kept[0], (1, 2, 0)), (0, 1))
    graph = Graph((x, y), (ew.exp(sum_(product, (2, 3))), *kept, columns))
    cut = topological(split_rows(graph.outputs, threads))
    sums = sorted([n.shape for n in cut if n.operation.name == "sum"])
    columns_in_parts = (threads, *columns.shape)
    whole = sum_(product, (2, 3)).shape
    assert sums == sorted([columns_in_parts, (threads, *whole) if threads > 1 else whole])
    generator = np.random.default_rng(3)
    arrays = [generator.uniform(-1, 1, n.shape).astype(np.float32) for n in (x, y)]
    first, again = [run_compiled(graph, arrays, threads) for _ in range(2)]
    for got, repeated, want in zip(first, again, run_interpreted(graph, arrays), strict=True):
        assert_same(got, want)
        np.testing.assert_array_equal(got, repeated)
