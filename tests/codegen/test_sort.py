"""Sorts of every type and form, cut for several threads, give what the interpreter gives."""

from __future__ import annotations

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node, TensorType, make
from codegen.loops.sort import choose_sort
from codegen.ops.leaves import iota, parameter
from codegen.ops.registry import Array
from codegen.ops.sort import ARGSORT, SORT, sort
from codegen.pipeline import Graph
from codegen.runtime.compiler import find_compiler
from codegen.runtime.interpreter import from_buffer, to_buffer
from tests.codegen.graphs import assert_same, run_compiled, run_interpreted

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler"),
]
# Rows that are sorted by ranks, by radix, and in parts; and of each, all of the order, the first
# few, more of it, and a little of its middle.
SHAPES = {(5, 3): "ranks", (7, 130): "radix", (1, 40_001): "parts"}


def awkward(type_: TensorType, generator: np.random.Generator) -> Array:
    """Many ties; the ends of the type; NaN of both signs, infinities and zeros of both signs."""
    dtype, shape = type_.dtype, type_.shape
    if dtype.kind == "bool":
        return generator.random(shape) < 0.5
    if dtype.kind == "int":
        limits = np.iinfo(dtype.numpy)
        values = generator.integers(limits.min, limits.max, shape, dtype.numpy, endpoint=True)
        return np.where(generator.random(shape) < 0.3, dtype.numpy.type(5), values)
    special = generator.choice([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0], shape)
    values = np.where(generator.random(shape) < 0.3, special, generator.standard_normal(shape))
    # In bfloat16 there are few numbers, and in it they are rounded as a buffer would.
    stored = np.dtype(np.float32) if dtype is dt.bfloat16 else dtype.numpy
    return from_buffer(to_buffer(values.astype(stored), type_), type_)


@pytest.mark.parametrize("dtype", dt.ALL, ids=repr)
def test_every_form(dtype: DType) -> None:
    generator = np.random.default_rng(4)
    parameters, arrays, outputs = [], [], []
    for number, shape in enumerate(SHAPES):
        x = parameter(number, TensorType(shape, dtype))
        parameters.append(x)
        arrays.append(awkward(x.type, generator))
        n = shape[1]
        for descending in (False, True):
            for part in ((0, n), (0, min(n, 9)), (1, max(2, n // 5)), (n // 2, n // 2 + 1)):
                outputs.append(make(SORT, (x,), (descending, *part)))
                outputs.append(make(ARGSORT, (x,), (descending, *part)))
    graph = Graph(tuple(parameters), tuple(outputs))
    wants = run_interpreted(graph, arrays)
    # How rows are shared out has nothing to do with their type.
    for threads in (2, 5) if dtype in (dt.bfloat16, dt.float32, dt.int64) else (2,):
        for got, want, node in zip(
            run_compiled(graph, arrays, threads), wants, outputs, strict=True
        ):
            assert_same(got, want, repr((node, node.attributes)))
            if dtype.kind == "float":
                np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


def test_forms_are_those_meant() -> None:
    for (rows, extent), kind in SHAPES.items():
        assert choose_sort(rows, extent, 4, 0, extent, 2).kind == kind


@pytest.mark.parametrize("size", [1, 2, 1000, 40_000])
def test_equal_and_ordered_elements(size: int) -> None:
    """No digit differs, or the sort begins where it ends."""
    x = parameter(0, TensorType((size,), dt.float32))
    outputs: list[Node] = [part for d in (False, True) for part in sort(x, 0, d)]
    outputs += sort(x, 0, False, size // 2, size // 2 + 1)
    outputs += sort(iota(size), 0, True)
    graph = Graph((x,), tuple(outputs))
    for values in (np.zeros(size), np.full(size, np.nan), np.arange(size), -np.arange(size)):
        array = values.astype(np.float32)
        for got, want in zip(
            run_compiled(graph, [array]), run_interpreted(graph, [array]), strict=True
        ):
            assert_same(got, want)
