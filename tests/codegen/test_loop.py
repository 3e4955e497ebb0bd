"""Loops: compiled with one body and moving addresses, unrolled, and as their reference."""

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.leaves import constant, iota, parameter
from codegen.ops.loop import LoopBody, loop, unrolled
from codegen.ops.movement import permute
from codegen.ops.reduction import broadcast, sum_
from codegen.pipeline import Graph, build
from tests.codegen.graphs import assert_same, compare, run_compiled, run_interpreted


def floats(*shape: int) -> TensorType:
    return TensorType(shape, dt.float32)


def product(x: Node, w: Node) -> Node:
    """(b, k) times (k, n)"""
    shape = (x.shape[0], w.shape[1], w.shape[0])
    wide = broadcast(permute(w, (1, 0)), shape, (1, 2))
    return sum_(ew.mul(broadcast(x, shape, (0, 2)), wide), (2,))


def outputs(steps: int, reverse: bool, start: Node | None = None) -> tuple[list[Node], list[Node]]:
    """A network of one state and a running sum: parameters; every stacked output."""
    parameters = [
        parameter(0, floats(steps, 3, 8)), parameter(1, floats(3, 8)), parameter(2, floats(8, 8))
    ]  # fmt: skip
    x, first, weight = parameters
    types = [floats(3, 8), floats(3, 8), floats(3, 8), floats(8, 8)]
    inner = tuple([parameter(i, t) for i, t in enumerate(types)])
    item, state, total, w = inner
    after = ew.tanh(ew.add(product(state, w), item))
    body = LoopBody(
        inner, (after, ew.add(total, after), ew.mul(after, item), state), 1, 2, steps, reverse
    )
    if start is None:
        start = broadcast(constant(0.5, dt.float32), (3, 8), ())
    return parameters, loop(body, [x, first, start, weight])


def values(parameters: list[Node]) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.uniform(-1, 1, p.shape).astype(np.float32) for p in parameters]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (3,), (0, 1, 2, 3)])
def test_loop(steps: int, reverse: bool, wanted: tuple[int, ...]) -> None:
    parameters, made = outputs(steps, reverse)
    graph = Graph(tuple(parameters), tuple([made[i] for i in wanted]))
    compare(graph, values(parameters))
    flat = Graph(graph.parameters, tuple([unrolled(n, n.inputs) for n in graph.outputs]))
    pairs = zip(*[run_interpreted(g, values(parameters)) for g in (graph, flat)], strict=True)
    for got, want in pairs:
        assert_same(got, want)


def test_loop_between_other_work() -> None:
    """Inputs that are computed, outputs that are read on, and a loop on another's results."""
    parameters, made = outputs(5, False)
    types = [floats(3, 8), floats(8)]
    inner = tuple([parameter(i, t) for i, t in enumerate(types)])
    body = LoopBody(inner, (ew.add(inner[1], sum_(inner[0], (0,))),), 1, 1, 5, True)
    count = ew.cast(iota(8), dt.float32)
    (second,) = loop(body, [ew.exp(made[0]), count])
    results = (ew.mul(second, second), sum_(made[1], (0,)), made[0])
    compare(Graph(tuple(parameters), results), values(parameters))


def test_loop_started_by_a_leaf() -> None:
    """A state that starts as a count, which is nowhere in memory."""
    inner = (parameter(0, TensorType((6,), dt.int64)),)
    body = LoopBody(inner, (ew.add(inner[0], inner[0]),), 0, 1, 4, False)
    (doubled,) = loop(body, [iota(6)])
    (found,) = run_compiled(Graph((), (doubled,)), [])
    assert (found == np.arange(6) * 2 ** np.arange(1, 5)[:, None]).all()


def test_one_body_however_long() -> None:
    """The kernels of a loop do not depend on how often it runs."""
    records = [
        build(Graph(tuple(parameters), tuple(made[:2])), 2)
        for parameters, made in (outputs(n, False) for n in (3, 300))
    ]
    short, long = records
    assert [k.body for k in short.kernels] == [k.body for k in long.kernels]
    assert [loop.turns for loop in long.loops] == [300]


def test_bodies_of_another_type_are_refused() -> None:
    parameters, made = outputs(3, False)
    body = made[0].attributes[0]
    assert isinstance(body, LoopBody)
    with pytest.raises(ValueError, match="loop input"):
        loop(body, [parameters[1], *made[0].inputs[1:]])


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("rows", "inner"), [(7, 20), (32, 70), (3, 400)])
def test_constant_operand_in_panels(rows: int, inner: int, transposed: bool) -> None:
    """A product that reads the same matrix in every step reads it in panels."""
    columns = 256
    x = parameter(0, floats(3, rows, inner))
    w = parameter(1, floats(columns, inner) if transposed else floats(inner, columns))
    start = broadcast(constant(0, dt.float32), (rows, columns), ())
    item, total, weight = inside = (
        parameter(0, floats(rows, inner)), parameter(1, floats(rows, columns)),
        parameter(2, w.type),
    )  # fmt: skip
    matrix = permute(weight, (1, 0)) if transposed else weight
    after = ew.add(total, product(item, matrix))
    body = LoopBody(inside, (after,), 1, 1, 3, False)
    graph = Graph((x, w), tuple(loop(body, [x, start, w])))
    shapes = [s for k in build(graph, 2).kernels if k.name == "contraction" for s in k.shapes]
    assert any(s.startswith("float32[") and s.count("×") == 2 for s in shapes)
    compare(graph, values([x, w]))
