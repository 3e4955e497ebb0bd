"""Where values lie in a plan's arena, and what is not stored at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.leaves import parameter
from codegen.ops.movement import permute
from codegen.ops.reduction import cumsum, expand_back, sum_
from codegen.pipeline import Graph, compile_graph
from tests.codegen.graphs import compare
from tests.codegen.known_graphs import normalized, product

N = 96


def turned(x: Node) -> Node:
    return ew.exp(ew.add(x, permute(x, (1, 0))))


# What is made of a value that nobody else reads, and whether it takes that value's place.
MADE: dict[str, tuple[Callable[[Node], Node], bool]] = {
    "of each element": (lambda x: ew.exp(ew.exp(x)), True),
    "by columns": (lambda x: normalized(x, (0,)), True),
    "of all": (lambda x: normalized(x, (0, 1)), True),
    "of another element": (turned, False),
    "by a scan": (lambda x: cumsum(x, 0), False),
}


@pytest.mark.parametrize("name", MADE)
def test_a_result_takes_the_place_of_what_it_is_made_of(name: str) -> None:
    make, takes = MADE[name]
    a, b, c = parameters = [parameter(i, TensorType((N, N), dt.float32)) for i in range(3)]
    # A scan is a kernel of its own.
    graph = Graph(tuple(parameters), (product(make(cumsum(product(a, b), 1)), c),))
    memory = compile_graph(graph, 2).memory
    *_, source, made = [memory.offsets[n] for n in memory.offsets if n in memory.lifetimes]
    assert (made == source) is takes
    numbers = np.random.default_rng(0)
    compare(graph, [numbers.normal(size=(N, N)).astype(np.float32) / 50 for _ in parameters])


def test_what_is_summed_up_alone_is_not_stored_by_a_product() -> None:
    """The sum's kernel computes it of what is stored in any case."""
    a, b, x = parameters = [parameter(i, TensorType((N, N), dt.float32)) for i in range(3)]
    found = ew.exp(product(a, b))
    mean, scale = sum_(x, (0,)), sum_(ew.mul(x, x), (0,))
    seen = ew.mul(ew.sub(x, expand_back(mean, x.shape, (0,))), expand_back(scale, x.shape, (0,)))
    graph = Graph(tuple(parameters), (sum_(ew.mul(seen, found), (0,)), found))
    memory = compile_graph(graph, 2).memory
    assert all([n.shape == (N,) for n in memory.lifetimes])
    numbers = np.random.default_rng(0)
    compare(graph, [numbers.normal(size=(N, N)).astype(np.float32) / 50 for _ in parameters])
