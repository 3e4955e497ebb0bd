"""Kernels, graphs and dumps of tensors; the user's lines in them."""

from __future__ import annotations

import inspect
import subprocess
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

import lazytorch as torch
from codegen.graph.explain import explain_cuts, node_names
from codegen.pipeline import compile_graph
from codegen.runtime.compiler import find_compiler
from lazytorch.source import lines_of
from tests.codegen.graphs import RandomGraph
from tests.lazytorch.test_check import SmallGpt

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler"),
]


def line_here(offset: int = 0) -> str:
    """The caller's line, as kernels name it."""
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    name = str(Path(__file__)).removeprefix(str(Path.cwd()) + "/")
    return f"{name}:{frame.f_back.f_lineno + offset}"


def softmax(x: Any) -> Any:
    e = (x - x.amax(1, keepdim=True)).exp()
    return e / e.sum(1, keepdim=True)


def values(*shape: int) -> Any:
    return (torch.arange(shape[0] * shape[1]).reshape(*shape) % 7).to(torch.float32).realize()


def product(a: Any, b: Any) -> Any:
    return (a.unsqueeze(-1) * b).sum(1)


# ---- kernels -----------------------------------------------------------------------------------


def test_kernels_run_nothing() -> None:
    x = values(3, 4)
    torch.stats().reset()
    y = (x * 2).exp()
    (kernel,) = torch.kernels(y)
    assert torch.stats().kernels_run == 0 and torch.stats().plans_run == 0
    assert y._storage.expression.value is None
    assert kernel.operations > 12 and not kernel.parallel


def test_a_realized_tensor_has_no_kernels() -> None:
    assert torch.kernels((values(3, 4) + 1).realize()) == []


def test_a_kernel_says_what_it_is() -> None:
    x = values(30, 40)
    y = softmax(x)
    (kernel,) = torch.kernels(y)
    assert kernel.nodes == ["max_1", "broadcast_1", "sub_1", "exp_1", "sum_1", "broadcast_2",
                            "div_1"]  # fmt: skip
    source, result = kernel.arguments
    assert (source.dtype, source.shape, source.role) == ("float32", (30, 40), "parameter 0")
    assert (result.dtype, result.shape, result.role) == ("float32", (30, 40), "output 0")
    assert kernel.bytes == 2 * 30 * 40 * 4
    assert str(kernel) == kernel.source and "lt_exp_of_negative_f32(float" in kernel.source
    assert "not fused" not in kernel.source and kernel.unfused == []


def test_a_source_is_a_complete_file(tmp_path: Path) -> None:
    compiler = find_compiler()
    assert compiler is not None
    y = product(softmax(values(30, 40)), values(40, 8))
    for kernel in torch.kernels(y):
        subprocess.run(
            compiler.command_line(tmp_path / "out.so"), input=kernel.source.encode(), check=True
        )


def test_kernels_include_pending_writes() -> None:
    x, other = values(3, 4), values(2, 2)
    x += 1
    y = other * 3
    assert len(torch.kernels(y)) == 2
    assert x.tolist()[0] == [1, 2, 3, 4]


def test_why_kernels_are_two() -> None:
    x = values(30, 40)
    h = product(x, values(40, 8))
    first, second = torch.kernels(softmax(h))
    assert first.unfused == ["with max_1…div_1: a contraction's result goes into a reduction"]
    assert second.unfused == ["with sum_1: a contraction's result goes into a reduction"]


def test_an_unfused_column_read_is_explained() -> None:
    x = values(40, 40)
    e = x.exp().sin().exp()
    assert any("another point" in text for k in torch.kernels(e + e.t()) for text in k.unfused)


@pytest.mark.parametrize("seed", range(8))
def test_every_cut_of_a_random_graph_has_a_reason(seed: int) -> None:
    fusion = compile_graph(RandomGraph(seed).graph, threads=2).fusion
    cuts = explain_cuts(fusion, node_names(fusion))
    assert len(cuts) == fusion.graph().number_of_edges()
    assert all(cut.reason for cut in cuts)


# ---- user lines --------------------------------------------------------------------------------


def test_kernels_name_the_lines_they_came_from() -> None:
    x = values(30, 40)
    y = x + 1
    first = line_here(-1)
    z = y.exp()
    second = line_here(-1)
    (kernel,) = torch.kernels(z)
    assert kernel.lines == [first, second]


def test_a_function_of_ours_is_not_a_user_line() -> None:
    x = values(30, 40)
    y = torch.var(x, 1)
    here = line_here(-1)
    assert {line for k in torch.kernels(y) for line in k.lines} == {here}


def test_a_backward_kernel_names_the_forward_line_and_the_backward_line() -> None:
    x = values(30, 40).requires_grad_()
    y = x.exp().sin()
    forward = line_here(-1)
    z = y.sum()
    total = line_here(-1)
    z.backward()
    backward = line_here(-1)
    found = {line for k in torch.kernels(x.grad) for line in k.lines}
    assert found >= {forward, backward} and found <= {forward, total, backward}


def test_lines_survive_splitting_and_equal_expressions() -> None:
    x = values(1000, 200)
    y = x.sum()
    first = line_here(-1)
    again = x.sum()
    second = line_here(-1)
    lines = [line for k in torch.kernels(y, again) for line in k.lines]
    assert set(lines) == {first, second}


def test_a_copy_of_a_leaf_names_its_line() -> None:
    x = values(3, 43)  # a type of its own: later calls of a kind are not looked up
    y = x.clone()
    here = line_here(-1)
    (kernel,) = torch.kernels(y)
    assert kernel.lines == [here]


def test_only_the_first_calls_of_a_kind_are_looked_up() -> None:
    x = values(5, 77)

    def noted() -> bool:
        return bool(lines_of((x + x)._storage.expression.call))

    assert noted()
    for _ in range(100):
        x + x
    assert not noted()
    torch.inspect.record_lines(True)
    try:
        assert all(noted() for _ in range(100))
    finally:
        torch.inspect.record_lines(False)


# ---- recording and dumping ---------------------------------------------------------------------


def test_recorded_kernels_were_run() -> None:
    x = values(30, 41)
    with torch.inspect.record_kernels() as kernels:
        for _ in range(3):
            (x * 2).exp().realize()
        assert len(kernels) == 1
    (kernel,) = kernels
    assert kernel.runs == 3 and kernel.seconds > 0
    assert kernel.lines == [line_here(-4)]
    (x * 3 + 1).realize()
    assert len(kernels) == 1


@pytest.mark.host
def test_plans_kept_on_disk_carry_no_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZYTORCH_CACHE_DIR", str(tmp_path))
    x = values(30, 43)
    with torch.inspect.record_kernels() as kernels:
        (x * 2).cos().realize()
    assert kernels[0].lines and kernels[0].nodes
    (plan,) = [p for p in tmp_path.glob("*plan-*") if b"lt_cos_f32" in p.read_bytes()]
    assert b"test_inspect" not in plan.read_bytes()


def test_dump_writes_files_to_read(tmp_path: Path) -> None:
    y = softmax(product(values(30, 40), values(40, 8)))
    folder = torch.dump(y, tmp_path / "dumped")
    assert {p.name for p in folder.iterdir()} == {
        "000_contraction.c", "001_exp_sum_div.c", "graph.dot", "graph.txt", "index.md",
        "inputs.bin", "main.c", "outputs.bin", "plan.txt",
    }  # fmt: skip
    text = (folder / "001_exp_sum_div.c").read_text()
    assert " * schedule   vectors of " in (folder / "000_contraction.c").read_text()
    index = (folder / "index.md").read_text()
    assert "| [001_exp_sum_div.c](001_exp_sum_div.c) | " in index and "slot 0" in index
    assert " * schedule     i1 of 8 in " in text
    for part in (
        "computes   max_1", "test_inspect.py:", "float32[30×8] output", "operations",
        "not fused  with sum_1: a contraction's result goes into a reduction",
    ):  # fmt: skip
        assert part in text
    plan = (folder / "plan.txt").read_text()
    assert "2 kernels" in plan and "arena" in plan and "parameter 0" in plan
    assert (folder / "graph.txt").read_text().splitlines()[-1].startswith("return %")
    assert (folder / "graph.dot").read_text().startswith("digraph")


@pytest.mark.host
@pytest.mark.parametrize("kind", ["digits", "gpt", "recurrent"])
def test_a_dumped_plan_runs_alone(kind: str, tmp_path: Path) -> None:
    nn, F = torch.nn, torch.nn.functional
    torch.manual_seed(0)
    if kind == "recurrent":
        loss = nn.LSTM(4, 6)(torch.randn(5, 2, 4))[0]
        pending = [loss]
    else:
        model = SmallGpt() if kind == "gpt" else nn.Sequential(
            nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))  # fmt: skip
        x = torch.randint(0, 17, (2, 8)) if kind == "gpt" else torch.rand(30, 64)
        torch.realize(x, *model.parameters())
        y = model(x)
        loss = F.cross_entropy(y.flatten(0, -2), torch.arange(y[..., 0].numel()) % 10)
        loss.backward()
        pending = [loss, *[p.grad for p in model.parameters() if p.grad is not None]]
    folder = torch.dump(pending, tmp_path / "plan")
    assert pending[0]._storage.expression.value is None
    assert run_alone(folder) == "ok\n"


def run_alone(folder: Path) -> str:
    """What a dumped plan prints, built without the engine."""
    compiler = find_compiler()
    assert compiler is not None
    sources = [str(p) for p in sorted(folder.glob("*.c"))]
    command = [*compiler.command, "-O1", "-march=native", "-w", *sources, "-o", "alone", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    ran = subprocess.run(["./alone"], cwd=folder, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


def test_dump_all_writes_each_plan_once(tmp_path: Path) -> None:
    x = values(30, 42)
    with torch.dump_all(tmp_path):
        assert torch.inspect.kernel_folder() == tmp_path
        for _ in range(2):
            (x + 5).tanh().realize()
        x.sum().item()
    assert torch.inspect.kernel_folder() is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plan_000", "plan_001"]
    assert (tmp_path / "plan_000" / "graph.txt").exists()
    assert run_alone(tmp_path / "plan_000") == "ok\n"


# ---- graphs ------------------------------------------------------------------------------------


def test_graph_of_a_tensor() -> None:
    y = softmax(product(values(30, 40), values(40, 8)))
    network = torch.graph(y)
    assert isinstance(network, nx.DiGraph) and nx.is_directed_acyclic_graph(network)
    facts = network.nodes["exp_1"]
    assert (facts["operation"], facts["shape"], facts["dtype"]) == ("exp", (30, 8), "float32")
    assert facts["cluster"] == network.nodes["div_1"]["cluster"] == 1
    assert any("test_inspect.py:" in line for line in facts["lines"])
    assert [n for n, f in network.nodes(data=True) if f["output"]] == ["div_1"]
    assert list(network.graph["clusters"].edges) == [(0, 1)]


def test_dot_has_a_box_a_kernel() -> None:
    text = torch.inspect.to_dot(torch.graph(softmax(product(values(30, 40), values(40, 8)))))
    assert text.count("subgraph cluster_") == 2
    assert text.count("{") == text.count("}")


def test_debug_prints_a_line_a_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    from codegen.runtime import plan, report

    x = values(30, 44)
    plan.watchers.append(report.report)
    try:
        with torch.inspect.record_kernels():
            (x * 2).exp().realize()
    finally:
        plan.watchers.remove(report.report)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lazytorch: exp ") and line.endswith(line_here(-4))
    assert "GB/s" in line and "float32[30×44]" in line


def test_two_calls_of_a_function_keep_their_own_lines() -> None:
    x, y = values(30, 45), values(30, 45)
    a = x.exp()
    first = line_here(-1)
    b = y.exp()
    second = line_here(-1)
    network = torch.graph(a, b)
    lines = [f["lines"] for _, f in network.nodes(data=True) if f["operation"] == "exp"]
    assert sorted(lines) == [[first], [second]]


def test_the_interpreter_runs_no_kernels() -> None:
    y = torch.ones(3, 4, device="interpreter").realize().exp()
    assert torch.kernels(y) == []
    assert "exp_1" in torch.graph(y)


def test_a_huge_graph_is_compiled_at_once_where_kernels_are_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("codegen.pipeline._MANY_OPERATIONS", 20)
    x = values(2, 3)
    y = x
    for _ in range(15):
        y = (y + x).tanh()
    with torch.inspect.record_kernels() as kernels:
        y.realize()
    assert kernels


# ---- the roofline --------------------------------------------------------------------------------


@pytest.mark.host
def test_the_roofline_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from codegen.runtime import roofline

    found = torch.inspect.machine("cpu")
    assert found.cache_bytes_per_second >= found.bytes_per_second > 0
    assert found.peak("float32") > 0 and found.peak("int8") == found.peak("float32")
    assert found.seconds(0, found.bytes_per_second) == 1.0
    assert found.kernel_seconds(0, 0) == found.fork_seconds > found.start_seconds > 0
    assert found.kernel_seconds(1e9, 0, parallel=False) > 1e9 * found.threads / found.peak(
        "float32"
    )
    assert found.bound(1, 1e6) == "memory" and found.bound(1e12, 1) == "arithmetic"
    roofline._measured.cache_clear()
    monkeypatch.setattr(roofline, "_best", None)  # from now on it is remembered
    assert torch.inspect.machine("cpu") == found
    with pytest.raises(RuntimeError, match="runs no kernels"):
        torch.inspect.machine("interpreter")


# ---- before anything runs ------------------------------------------------------------------------


def test_an_explanation_says_what_would_run() -> None:
    x = values(30, 46)
    y = softmax(product(x, values(46, 8)))
    torch.stats().reset()
    found = torch.explain(y)
    assert torch.stats().plans_run == 0 and y._storage.expression.value is None
    assert [k.name for k in found.kernels] == [k.name for k in torch.kernels(y)]
    assert found.operations == sum([k.operations for k in torch.kernels(y)])
    assert all([k.lines for k in found.kernels])
    assert found.output_bytes == 30 * 8 * 4 and found.input_bytes == (30 * 46 + 46 * 8) * 4
    assert found.peak_bytes >= found.input_bytes + found.output_bytes
    assert "contraction" in str(found) and "peak memory" in str(found)
    assert "<table>" in found._repr_html_()
    y.realize()
    again = softmax(product(x, values(46, 8)))
    assert list(torch.explain(again).plan.values()) == ["memory"]
    assert str(torch.explain(y)) == "nothing to compute"
