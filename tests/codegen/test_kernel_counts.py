"""How many kernels known graphs become: a fusion that is lost shows here first."""

from __future__ import annotations

import pytest

from codegen.dtype import float32
from codegen.graph.explain import explain_cuts, node_names
from codegen.ir.node import TensorType
from codegen.ops.leaves import parameter
from codegen.ops.movement import permute, reshape
from codegen.pipeline import Graph, compile_graph
from tests.codegen.known_graphs import known_graph

COUNTS = {
    "softmax_rows": 1,
    "softmax_columns": 1,
    "layer_norm": 1,
    "batch_norm": 1,
    "long_chain": 1,
    "gelu_of_affine": 1,
    "matmul_bias_relu": 1,
    "conv2d": 2,  # the padded image, then the contraction
    "conv2d_winograd": 2,  # the padded image, then the contraction, as two kernels
    "step_of_a_weight": 1,
    "step_with_a_momentum": 2,
    "squared_differences": 2,
    "sum_all_large": 2,
    "row_and_column_sums": 2,
    "sums_of_one_input": 1,
    "max_and_argmax": 1,
    "cross_entropy": 2,  # a loss a row, then their mean
    "several_outputs": 1,
    "casts": 1,
    "max_pool": 1,
    "max_pool_padded": 2,  # the padded image, then the windows
    "random_uniform": 1,
    "attention": 1,
    "sort_rows": 1,
    "sort_short_rows": 2,  # what is sorted, then its order
    "binary_search": 1,
    "two_layers": 2,
    "layer_used_twice": 2,  # a product of matrices each
    "log_of_short_sums": 2,  # the logarithms are done in vectors
    "log_of_long_sums": 1,
}


@pytest.mark.parametrize("name", COUNTS)
def test_kernel_count(name: str) -> None:
    fusion = compile_graph(known_graph(name), threads=2).fusion
    assert len(fusion.clusters) == COUNTS[name], explain_cuts(fusion, node_names(fusion))


def test_numbers_are_no_loads() -> None:
    # A sum of two arrays times numbers is computed where it is read; nothing but outputs is stored.
    graph = known_graph("step_with_a_momentum")
    assert compile_graph(graph, threads=2).fusion.stored == set(graph.outputs)


def test_what_is_given_new_shapes_again_and_again_is_stored_between() -> None:
    x = y = parameter(0, TensorType((4, 6), float32))
    for _ in range(12):
        y = reshape(permute(y, (1, 0)), (4, 6))
    kernels = compile_graph(Graph((x,), (y,)), threads=1).record.kernels
    assert len(kernels) == 3
    assert max(len(k.body) for k in kernels) < 3000  # with each turn it was longer by as much again
