"""Scatters cut between threads: the same bits for every number of threads, and the reference's."""

from __future__ import annotations

import random

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.errors import VerifyError
from codegen.index.algebra import constant, variable
from codegen.ir.node import Node, TensorType
from codegen.loops.grammar import Argument, Chosen, Computed, Kernel, Parallel, Store
from codegen.loops.verify import verify_kernel
from codegen.ops import elementwise as ew
from codegen.ops import indexing
from codegen.ops.leaves import parameter
from codegen.ops.reduction import broadcast, full
from codegen.ops.registry import Array
from codegen.pipeline import Graph, build
from tests.codegen.graphs import assert_same, run_compiled, run_interpreted

THREADS = (1, 2, 3, 7)


@pytest.fixture(autouse=True)
def every_scatter_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codegen.loops.scatter.PARALLEL_WORK", -1)
    monkeypatch.setenv("LAZYTORCH_VERIFY", "1")


class RandomScatter:
    """A scatter with axes before, of, and after the one that its index numbers."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.parameters: list[Node] = []
        self.arrays: list[Array] = []
        self.dtype = self.random.choice((dt.float32, dt.float32, dt.float64, dt.int64, dt.int32,
                                         dt.int8, dt.bool_))  # fmt: skip
        before = self._sizes(2, (0, 1, 2, 3, 14))
        after = self._sizes(2, (1, 1, 2, 5, 70))
        chosen = self._sizes(2, (0, 1, 3, 50, 300))
        extent = self.random.choice((1, 2, 3, 10, 700))
        base = self._base((*before, extent, *after))
        index = self._index(before, chosen, after, extent)
        updates = self._values((*before, *chosen, *after), self.dtype)
        mode = self.random.choice(("set", "add", "mul", "max", "min"))
        if self.dtype is dt.bool_:
            mode = self.random.choice(("set", "add", "max", "min"))
        out = indexing.scatter(base, index, updates, mode, len(before))
        outputs = [out, ew.add(out, out)] if self.random.random() < 0.3 else [out]
        self.graph = Graph(tuple(self.parameters), tuple(outputs))

    def _sizes(self, most: int, choices: tuple[int, ...]) -> tuple[int, ...]:
        return tuple([self.random.choice(choices) for _ in range(self.random.randint(0, most))])

    def _parameter(self, array: Array, dtype: dt.DType) -> Node:
        self.parameters.append(parameter(len(self.parameters), TensorType(array.shape, dtype)))
        self.arrays.append(array.astype(dtype.numpy))
        return self.parameters[-1]

    def _values(self, shape: tuple[int, ...], dtype: dt.DType) -> Node:
        array = self.numbers.uniform(-2, 2, shape)
        if dtype.kind == "float":
            array = np.where(self.numbers.random(shape) < 0.01, np.nan, array)
        if dtype.kind == "bool":
            array = array > 0
        return self._parameter(array, dtype)

    def _base(self, shape: tuple[int, ...]) -> Node:
        kind = self.random.randrange(3)
        if kind == 0:
            return full(0, shape, self.dtype)
        x = self._values(shape, self.dtype)
        return x if kind == 1 else ew.maximum(x, ew.full_like(x, 0))

    def _index(
        self, before: tuple[int, ...], chosen: tuple[int, ...], after: tuple[int, ...], extent: int
    ) -> Node:
        """Of every element, or one for all of the axes before, after, or both."""
        own, axes = [], []
        for axis, size in enumerate((*before, *chosen, *after)):
            part = (axis >= len(before)) + (axis >= len(before) + len(chosen))
            if part == 1 or self.random.random() < 0.5:
                own.append(size)
                axes.append(axis)
        index = self._parameter(self.numbers.integers(0, extent, own), dt.int64)
        return broadcast(index, (*before, *chosen, *after), axes)


@pytest.mark.parametrize("seed", range(40))
def test_same_bits_for_every_number_of_threads(seed: int) -> None:
    made = RandomScatter(seed)
    wants = run_interpreted(made.graph, made.arrays)
    for threads in THREADS:
        for got, want in zip(run_compiled(made.graph, made.arrays, threads), wants, strict=True):
            assert_same(got, want, f"{threads} threads")
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("base", "index", "axis", "tasks"),
    [
        ((1000,), (5000,), 0, 3),  # parts of the places
        ((50, 64), (900, 64), 0, 3),  # parts of the window
        ((40, 30), (40, 900), 1, 40),  # the batch
        ((2, 30, 5), (2, 900, 5), 1, 6),
    ],
)
def test_what_is_cut(base: tuple[int, ...], index: tuple[int, ...], axis: int, tasks: int) -> None:
    types = [TensorType(base, dt.float32), TensorType(index, dt.int64)]
    nodes = [parameter(i, t) for i, t in enumerate([*types, TensorType(index, dt.float32)])]
    out = indexing.scatter(nodes[0], nodes[1], nodes[2], "add", axis)
    (kernel,) = build(Graph(tuple(nodes), (out,)), 3).kernels
    assert f"last = {tasks}L * (thread + 1)" in kernel.body


def test_threads_that_share_places_are_refused() -> None:
    """The verifier sees a cut whose parts do not depend on the task."""
    type_ = TensorType((8,), dt.float32)

    def kernel(part: bool) -> Kernel:
        low = variable("task", 2) * 4 if part else constant(0)
        place = Computed("place", 8, 1, constant(0), True)
        store = Store("out0", dt.float32, place, "1.0f")
        chosen = Chosen("step", 5, "0L", 8, low, 4, "place", [], [store])
        out = parameter(0, type_)
        return Kernel("k", [out], [Argument("out0", type_, True)], [Parallel("task", 2, [chosen])])

    verify_kernel(kernel(True))
    with pytest.raises(VerifyError, match="race"):
        verify_kernel(kernel(False))
