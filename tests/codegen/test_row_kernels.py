"""Kernels that go through rows: what they sum over the rows on their way, and what they pick."""

from __future__ import annotations

import re

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.leaves import parameter
from codegen.ops.reduction import (
    argmax,
    broadcast,
    cumsum,
    expand_back,
    logcumsumexp,
    max_,
    one_hot_mask,
    sum_,
)
from codegen.pipeline import Graph, compile_graph
from tests.codegen.graphs import run_compiled, run_interpreted


def _parameters(*types: tuple[tuple[int, ...], dt.DType]) -> tuple[Node, ...]:
    return tuple([parameter(i, TensorType(*t)) for i, t in enumerate(types)])


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("shape", [(768, 64), (12, 56, 100), (521, 65)])
def test_sums_over_rows_are_by_products(shape: tuple[int, ...], threads: int) -> None:
    x, g = parameters = _parameters((shape, dt.float32), (shape, dt.float32))
    last = (len(shape) - 1,)
    mean = ew.div(sum_(x, last), ew.full_like(sum_(x, last), shape[-1]))
    seen = ew.sub(x, expand_back(mean, shape, last))
    rows = tuple(range(len(shape) - 1))
    outputs = (ew.mul(g, seen), sum_(ew.mul(g, seen), rows), sum_(g, rows))
    graph = Graph(parameters, outputs)
    compiled = compile_graph(graph, threads)
    made = [c for c in compiled.fusion.clusters if c.by_products]
    count = int(np.prod(shape[:-1]))
    assert [len(c.by_products) for c in made] == ([2] if count % threads == 0 else [])
    # Added up beside the rows, not where neighbouring threads' sums are stored.
    texts = [k.body for k in compiled.record.kernels]
    assert not any([re.search(r"(out\d+\[.*\]) = \(\1 \+", text) for text in texts])
    numbers = np.random.default_rng(0)
    arrays = [(numbers.normal(size=shape) + 3).astype(np.float32) for _ in parameters]
    found = run_compiled(graph, arrays, threads)
    wide = arrays[0].astype(np.float64)
    centred = wide - wide.mean(-1, keepdims=True)
    product = arrays[1] * centred
    wanted = (product, product.sum(rows), arrays[1].astype(np.float64).sum(rows))
    for value, exact in zip(found, wanted, strict=True):
        np.testing.assert_allclose(value, exact, rtol=1e-5, atol=2e-3)


@pytest.mark.parametrize("shape", [(5, 40), (3, 17, 6), (0, 20)])
def test_a_sum_over_a_one_hot_mask_reads_one_element(shape: tuple[int, ...]) -> None:
    index_shape = (shape[0], *shape[2:])
    x, line, index = parameters = _parameters(
        (shape, dt.float32), ((shape[1],), dt.float32), (index_shape, dt.int64)
    )
    mask = one_hot_mask(index, shape, 1)

    def picked(value: Node) -> Node:
        return sum_(ew.where(mask, value, ew.full_like(value, 0)), (1,))

    lower = ew.sub(x, expand_back(max_(x, (1,)), shape, (1,)))
    spread = broadcast(line, shape, (1,))
    graph = Graph(parameters, (picked(x), picked(lower), picked(ew.mul(x, spread))))
    compiled = compile_graph(graph, 2)
    assert not shape[0] or not any(
        [n.operation.name == "sum" for c in compiled.fusion.clusters for n in c.nodes]
    )
    numbers = np.random.default_rng(0)
    values = numbers.normal(size=shape).astype(np.float32)
    values[numbers.random(shape) < 0.1] = np.nan  # in classes that nobody asks for, and in others
    places = numbers.integers(-2, shape[1] + 2, index_shape)  # some are no class
    arrays = [values, numbers.normal(size=shape[1]).astype(np.float32), places]
    exact = run_interpreted(graph, arrays)
    for value, wanted in zip(run_compiled(graph, arrays, 2), exact, strict=True):
        np.testing.assert_array_equal(value, wanted)
    inside = (places >= 0) & (places < shape[1])
    plain = np.take_along_axis(values, np.expand_dims(np.where(inside, places, 0), 1), 1)[:, 0]
    np.testing.assert_array_equal(exact[0], np.where(inside, plain, 0))


@pytest.mark.parametrize(
    ("shape", "streams"), [((33, 32768), 2), ((256, 1 << 14), 2), ((4096, 1024), 1), ((3, 8192), 1)]
)
def test_a_long_row_is_read_in_two_streams(shape: tuple[int, int], streams: int) -> None:
    (x,) = parameters = _parameters((shape, dt.float32))
    graph = Graph(parameters, (sum_(x, (1,)), argmax(x, 1)))
    kernels = compile_graph(graph, 2).record.kernels
    assert [k.body.count("long lane = 32; ") for k in kernels] == [streams - 1]
    values = np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.float32)
    sums, places = run_compiled(graph, [values], 2)
    np.testing.assert_array_equal(sums, values.sum(1, dtype=np.float64).astype(np.float32))
    np.testing.assert_array_equal(places, values.argmax(1))


@pytest.mark.parametrize(
    ("shape", "axes", "lanes"),
    [((20, 100), (1,), 16), ((20, 128), (1,), 16), ((20, 129), (1,), 64), ((9, 5, 64), (0, 2), 64)],
)
def test_a_short_row_has_few_partial_results(
    shape: tuple[int, ...], axes: tuple[int, ...], lanes: int
) -> None:
    """Which take as long to fold as the row takes to be gone through."""
    (x,) = parameters = _parameters((shape, dt.float32))
    graph = Graph(parameters, (sum_(x, axes), max_(x, axes)))
    (kernel,) = compile_graph(graph, 1).record.kernels
    assert f"float acc_0[{lanes}];" in kernel.body
    values = np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.float32)
    sums, largest = run_compiled(graph, [values], 1)
    np.testing.assert_array_equal(sums, values.sum(axes))
    np.testing.assert_array_equal(largest, values.max(axes))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [dt.float32, dt.float64, dt.int64])
@pytest.mark.parametrize("shape", [(64, 64), (50, 100), (35, 17), (5, 7, 30), (41, 3, 20)])
def test_rows_that_are_only_summed_go_four_to_a_task(
    shape: tuple[int, ...], dtype: dt.DType, threads: int
) -> None:
    """Also the rows that are left over; what all rows read is read once."""
    axes = (len(shape) - 1,) if shape[1] != 3 else (1, 2)
    rows = tuple([n for i, n in enumerate(shape) if i not in axes])
    x, line, after = parameters = _parameters((shape, dtype), (shape[-1:], dtype), (rows, dtype))
    along = broadcast(line, shape, (len(shape) - 1,))
    total = sum_(ew.mul(x, along), axes)
    graph = Graph(parameters, (ew.mul(total, after), max_(x, axes)))
    (kernel,) = compile_graph(graph, threads).record.kernels
    count = int(np.prod(rows))
    assert len(re.findall(r"acc_\d+\[8\];", kernel.body)) == 2 * (4 + count % 4)
    if count % 4 == 0:
        assert kernel.body.count("= in0[") == 4 * kernel.body.count("= in1[")
    numbers = np.random.default_rng(0)
    arrays = [numbers.integers(-50, 50, p.shape).astype(dtype.numpy) for p in parameters]
    sums, largest = run_compiled(graph, arrays, threads)
    np.testing.assert_array_equal(sums, (arrays[0] * arrays[1]).sum(axes) * arrays[2])
    np.testing.assert_array_equal(largest, arrays[0].max(axes))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(37, 50), (5, 20), (3, 9, 8), (70, 1, 6), (40,), (2, 8)])
def test_slow_scans_along_the_last_axis_go_through_several_rows_at_once(
    shape: tuple[int, ...], threads: int
) -> None:
    """Quick ones do not: to bring together what lies apart takes longer."""
    (x,) = parameters = _parameters((shape, dt.float32))
    axis = len(shape) - 1
    graph = Graph(parameters, (logcumsumexp(x, axis), cumsum(x, axis)))
    exponentials, sums = compile_graph(graph, threads).record.kernels
    rows = int(np.prod(shape[:-1]))
    assert ("[16]" in exponentials.body) == (rows >= 4)
    assert "[16]" not in sums.body
    values = np.random.default_rng(0).integers(-9, 9, shape).astype(np.float32)
    found = run_compiled(graph, [values], threads)
    np.testing.assert_allclose(found[0], np.logaddexp.accumulate(values, axis), rtol=1e-5)
    np.testing.assert_array_equal(found[1], values.cumsum(axis))


@pytest.mark.parametrize(("shape", "ahead"), [((768, 128), 4), ((128, 1024), 0), ((64, 128), None)])
def test_rows_are_fetched_while_others_are_computed(
    shape: tuple[int, int], ahead: int | None
) -> None:
    """Short rows several at a time, whose memory would answer too late else; where results lie, so
    many rows ahead. What is small stays in the caches."""
    (x,) = parameters = _parameters((shape, dt.float32))
    total = expand_back(sum_(x, (1,)), shape, (1,))
    graph = Graph(parameters, (ew.sub(x, total),))
    (kernel,) = compile_graph(graph, 1).record.kernels
    fetched = re.findall(r"__builtin_prefetch\((\w+) \+ .*block(?: \+ (\d+))?(, 1)?\)", kernel.body)
    first = {"writes" if w else "reads": int(at or 0) for _, at, w in reversed(fetched)}
    row = shape[1]
    assert first == ({} if ahead is None else {"reads": max(1, ahead) * row, "writes": ahead * row})
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(
        run_compiled(graph, [array], 1)[0], array - array.sum(1, keepdims=True), atol=1e-4
    )


def test_exponentials_of_what_is_never_above_zero() -> None:
    """Numbers less their row's maximum, or minus a square; not less another row's."""
    (x,) = parameters = _parameters(((64, 64), dt.float32))

    def raised(axes: tuple[int, ...], along: tuple[int, ...]) -> Node:
        return ew.exp(ew.sub(x, expand_back(max_(x, axes), x.shape, along)))

    outputs = (raised((1,), (1,)), ew.exp(ew.neg(ew.mul(x, x))), raised((1,), (0,)), ew.exp(x))
    graph = Graph(parameters, outputs)
    array = (np.random.default_rng(1).normal(size=x.shape) * 20).astype(np.float32)
    text = "".join([k.body for k in compile_graph(graph, 1).record.kernels])
    assert text.count("lt_exp_of_negative_f32(") == text.count("lt_exp_f32(") == 2
    found, wanted = run_compiled(graph, [array], 1), run_interpreted(graph, [array])
    for value, exact in zip(found, wanted, strict=True):
        np.testing.assert_allclose(value, exact, rtol=1e-5)
