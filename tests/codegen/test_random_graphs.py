"""Random graphs: compiled C, simplified graphs and the interpreter give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.leaves import parameter
from codegen.ops.movement import permute
from codegen.ops.reduction import broadcast, sum_
from codegen.pipeline import Graph
from codegen.runtime.compiler import find_compiler
from tests.codegen.graphs import RandomGraph, compare

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
    x, y, w = [parameter(i, TensorType((8, 8), dt.float32)) for i in range(3)]

    def product_transposed(a: Node) -> Node:
        wide = [broadcast(a, (8, 8, 8), (0, 2)), broadcast(w, (8, 8, 8), (1, 2))]
        return permute(sum_(ew.mul(*wide), (2,)), (1, 0))

    first = product_transposed(ew.exp(y))
    second = product_transposed(ew.sin(x))
    outputs = (ew.tanh(ew.add(x, first)), ew.cos(ew.add(y, second)))
    arrays = list(np.random.default_rng(3).uniform(-1, 1, (3, 8, 8)).astype(np.float32))
    compare(Graph((x, y, w), outputs), arrays)
