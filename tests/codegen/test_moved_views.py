"""Views whose place is an argument are the views at that place: random ones, on every device."""

from __future__ import annotations

import random

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.graph.differentiate import cotangents
from codegen.ir.node import Node, Shape, TensorType
from codegen.ops.leaves import parameter
from codegen.ops.moved_views import Region, place_at, region, view_at, write_view_at
from codegen.ops.strided import contiguous_strides, view, write_view
from codegen.pipeline import Graph
from tests.codegen.graphs import run_compiled, run_interpreted, run_opencl
from tests.codegen.test_opencl import PROBLEM

Geometry = tuple[Shape, Shape, int]


def random_geometry(rng: random.Random, base: Shape) -> Geometry:
    """What indexing, slicing, transposing, splitting an axis and expanding leave of a base."""
    shape, strides, offset = [], [], 0
    for n, stride in zip(base, contiguous_strides(base), strict=True):
        kind = rng.choice(["index", "slice", "all", "steps"])
        if kind == "index":
            offset += rng.randrange(n) * stride
            continue
        step = rng.randint(1, 3) if kind == "steps" else 1
        size = n if kind == "all" else rng.randint(1, (n - 1) // step + 1)
        offset += rng.randint(0, n - 1 - (size - 1) * step) * stride
        parts = [size]
        if size % 2 == 0 and rng.random() < 0.2:
            parts = [size // 2, 2]
        for i, part in enumerate(parts):
            shape.append(part)
            strides.append(stride * step * (parts[1] if i < len(parts) - 1 else 1))
    if rng.random() < 0.3:
        place = rng.randint(0, len(shape))
        shape.insert(place, rng.choice([1, 3]))
        strides.insert(place, 0)
    order = rng.sample(range(len(shape)), len(shape))
    return tuple([shape[i] for i in order]), tuple([strides[i] for i in order]), offset


def moved(rng: random.Random, part: Region) -> tuple[Region, list[int]]:
    """The region with some of its starts open, and these."""
    chosen = [rng.random() < 0.5 for _ in part.starts]
    chosen[rng.randrange(len(chosen))] = True
    pairs = list(zip(part.starts, chosen, strict=True))
    given = [start for start, is_open in pairs if is_open and start is not None]
    return part.at([None if is_open else start for start, is_open in pairs]), given


def cases(seed: int, count: int) -> tuple[Graph, list[np.ndarray], int]:
    """Reading, writing and placing at moved regions, then the same at places in the text."""
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    parameters: list[Node] = []
    arrays: list[np.ndarray] = []

    def given(array: np.ndarray, dtype: dt.DType) -> Node:
        parameters.append(parameter(len(parameters), TensorType(array.shape, dtype)))
        arrays.append(array)
        return parameters[-1]

    found, wanted = [], []
    while len(found) < 3 * count:
        base = tuple([rng.choice([1, 2, 3, 4, 6]) for _ in range(rng.randint(0, 4))])
        shape, strides, offset = random_geometry(rng, base)
        part = region(base, shape, strides, offset)
        if part is None:
            continue
        x = given(numbers.standard_normal(base).astype(np.float32), dt.float32)
        value = given(numbers.standard_normal(shape).astype(np.float32), dt.float32)
        part, starts = moved(rng, part)
        nodes = [given(np.asarray(start), dt.int64) for start in starts]
        read = view(x, shape, strides, offset)
        overlaps = any(s == 0 and n > 1 for n, s in zip(shape, strides, strict=True))
        found += [view_at(x, *nodes, part), place_at(value, *nodes, part),
                  x if overlaps else write_view_at(x, value, *nodes, part)]  # fmt: skip
        wanted += [read, cotangents([read], [value], {}, [x])[0],
                   x if overlaps else write_view(x, value, shape, strides, offset)]  # fmt: skip
    return Graph(tuple(parameters), (*found, *wanted)), arrays, len(found)


def check(values: list[np.ndarray], count: int) -> None:
    for found, wanted in zip(values[:count], values[count:], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_interpreted() -> None:
    graph, arrays, count = cases(0, 200)
    check(run_interpreted(graph, arrays), count)


@pytest.mark.parametrize("seed", range(2))
def test_compiled(seed: int) -> None:
    graph, arrays, count = cases(seed, 12)
    check(run_compiled(graph, arrays), count)


@pytest.mark.opencl
@pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
def test_on_opencl() -> None:
    graph, arrays, count = cases(3, 6)
    check(run_opencl(graph, arrays), count)
