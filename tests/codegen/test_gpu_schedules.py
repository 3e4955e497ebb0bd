"""Schedules for devices with work-groups: their text (golden/*.cl), and that they compute the same
as the interpreter on awkward shapes and on small devices. Run on PoCL, which is a CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.index.contraction import Axis, Contraction
from codegen.ir.node import Node
from codegen.loops.device import DeviceDescription
from codegen.loops.gpu_contraction import choose_group_schedule, tile_bytes
from codegen.ops import elementwise as ew
from codegen.ops import movement, reduction
from codegen.ops.registry import Array
from codegen.pipeline import Graph, build, compile_opencl
from codegen.render.gpu import gpu_dialect
from codegen.runtime.opencl import find_device
from tests.codegen.graphs import assert_same, run_interpreted
from tests.codegen.known_graphs import GRAPHS, Inputs, Maker, known_graph, product, softmax
from tests.codegen.test_opencl import PROBLEM, run

FOLDER = Path(__file__).parent / "golden"
LARGE = DeviceDescription("gpu", 132, 48 << 10, 1024, 1, has_fp64=True, has_fp16=True)
SMALL = DeviceDescription("gpu", 2, 4 << 10, 32)
GOLDEN = (
    "matmul_large",
    "matmul_bias_relu",
    "softmax_rows",
    "exp_chain",
    "sum_columns",
    "add_transposed",
    "sort_rows",
)
needs_opencl = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)


def graph_of(name: str) -> Graph:
    if name in GRAPHS:
        return known_graph(name)
    inputs = Inputs()
    result = product(inputs(2048, 1024), inputs(1024, 2048))
    return Graph(tuple(inputs.made), (result,))


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_kernel(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAZYTORCH_VERIFY", "1")
    record = build(graph_of(name), LARGE.threads, gpu_dialect(LARGE))
    text = "\n".join(
        [f"// {k.name}: {k.groups} groups of {k.items}\n{k.body}" for k in record.kernels]
    )
    path = FOLDER / f"{name}.cl"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), "changed: see --update-golden"


@pytest.mark.parametrize("device", [LARGE, SMALL, DeviceDescription("gpu", 8, 1 << 10, 1)])
def test_tiles_fit_the_device(device: DeviceDescription) -> None:
    for m, n, k in [(1, 7, 3), (4096, 4096, 4096), (8, 10000, 64), (64, 64, 1 << 20), (33, 2, 99)]:
        for dtype in (dt.float32, dt.float64, dt.int64, dt.uint8):
            axes = (Axis(m, k, 0),), (Axis(n, 0, 1),), (Axis(k, 1, n),)
            schedule = choose_group_schedule(Contraction((), *axes, dtype), device)
            assert schedule.tile.items <= device.max_work_group_size
            assert tile_bytes(schedule.tile, dtype) <= device.local_memory_bytes


def random_inputs(inputs: Inputs) -> list[Array]:
    generator = np.random.default_rng(3)
    arrays = []
    for node in inputs.made:
        values = generator.standard_normal(node.shape) * (1 if node.dtype.kind == "float" else 9)
        arrays.append(values.astype(node.dtype.numpy))
    return arrays


def products(inputs: Inputs) -> tuple[Node, ...]:
    """Every way for operands to lie, at sizes around those of tiles."""

    def turned(rows: int, columns: int, is_turned: bool, dtype: DType = dt.float32) -> Node:
        if is_turned:
            return movement.permute(inputs(columns, rows, dtype=dtype), (1, 0))
        return inputs(rows, columns, dtype=dtype)

    sizes = [(1, 9, 40), (5, 1, 33), (16, 16, 16), (67, 36, 20), (130, 33, 7), (9, 12, 700)]
    results = []
    for number, (m, n, k) in enumerate(sizes):
        for a_turned in (False, True):
            b_turned = (number + a_turned) % 2 == 0
            results.append(product(turned(m, k, a_turned), turned(k, n, b_turned)))
    for dtype in (dt.float64, dt.int32, dt.int64):
        results.append(product(turned(17, 30, False, dtype), turned(30, 20, True, dtype)))
    relu = product(inputs(40, 24), inputs(24, 36))
    results.append(ew.maximum(relu, ew.full_like(relu, 0)))
    return tuple(results)


def rows(inputs: Inputs) -> tuple[Node, ...]:
    """Reductions along every axis, short and long, and scans; one value is not a number."""
    results = []
    for shape, axis in [((3, 700), 1), ((3, 700), 0), ((5, 6, 40), 1), ((70, 2), 1), ((1, 9), 0)]:
        x = inputs(*shape)
        results += [softmax(x, axis), reduction.sum_(x, (axis,)), reduction.cumsum(x, axis)]
        results += [reduction.argmax(x, axis), reduction.max_(x, (axis,))]
    return tuple(results)


def moved(inputs: Inputs) -> tuple[Node, ...]:
    """Transposes through tiles, and vectors of four that begin anywhere."""
    x, y = inputs(150, 200), inputs(3, 70, 90)
    part = movement.slice_(inputs(40, 41), (1, 3), (38, 36), (1, 1))
    return (
        ew.exp(movement.permute(x, (1, 0))),
        ew.add(movement.permute(y, (0, 2, 1)), inputs(3, 90, 70)),
        ew.exp(part),
        ew.add(inputs(1003), inputs(1003)),
    )


@needs_opencl
@pytest.mark.opencl
@pytest.mark.parametrize("make_graph", [products, rows, moved])
@pytest.mark.parametrize("description", [LARGE, SMALL], ids=["large", "small"])
def test_same_as_the_interpreter(
    make_graph: Maker, description: DeviceDescription, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = find_device("opencl")
    monkeypatch.setattr(device, "schedules", description)
    monkeypatch.setenv("LAZYTORCH_VERIFY", "1")
    inputs = Inputs()
    outputs = make_graph(inputs)
    assert isinstance(outputs, tuple)
    graph = Graph(tuple(inputs.made), outputs)
    arrays = random_inputs(inputs)
    if make_graph is rows:
        for array in arrays[:3]:
            array.flat[array.size // 3] = np.nan
    wants = run_interpreted(graph, arrays)
    got = run(graph, arrays, device)
    for number, (mine, want) in enumerate(zip(got, wants, strict=True)):
        assert_same(mine, want, f"{number}: {graph.outputs[number]!r}")
    again = run(graph, arrays, device)
    for mine, other in zip(got, again, strict=True):
        np.testing.assert_array_equal(mine, other)  # the same bits each time


@needs_opencl
@pytest.mark.opencl
def test_smaller_groups_where_the_driver_takes_no_larger_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = find_device("opencl")
    monkeypatch.setattr(device, "schedules", LARGE)
    limit: Callable[[object], int] = lambda kernel: 64  # noqa: E731
    monkeypatch.setattr(device, "group_limit", limit)
    inputs = Inputs()
    graph = Graph((), (product(inputs(256, 64), inputs(64, 256)), softmax(inputs(8, 900), 1)))
    plan = compile_opencl(Graph(tuple(inputs.made), graph.outputs), device)
    assert max([kernel.items for kernel in plan.record.kernels]) <= 64
