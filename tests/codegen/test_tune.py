"""Schedules tried while a plan runs: the same numbers, remembered once, and never unasked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops import movement, reduction
from codegen.ops.leaves import parameter
from codegen.pipeline import Graph, build
from codegen.render.contraction_recipe import Recipe
from codegen.runtime import tune
from codegen.runtime.compiler import find_compiler
from codegen.runtime.memory import Buffer, allocate
from codegen.runtime.plan import CpuPlan, PlanRecord, with_kernels
from codegen.statistics import statistics
from tests.codegen.known_graphs import gelu, product

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler"),
]
ROOT = Path(__file__).parents[2]


def _inputs(*shapes: tuple[int, ...]) -> list[Node]:
    return [parameter(i, TensorType(shape, dt.float32)) for i, shape in enumerate(shapes)]


def plain() -> Graph:
    a, b = _inputs((203, 401), (401, 150))
    return Graph((a, b), (product(a, b),))


def transposed_with_bias() -> Graph:
    a, b, bias = _inputs((500, 210), (140, 500), (140,))
    x = product(movement.permute(a, (1, 0)), movement.permute(b, (1, 0)))
    return Graph((a, b, bias), (gelu(ew.add(x, reduction.broadcast(bias, x.shape, (1,)))),))


def swapped() -> Graph:
    a, b = _inputs((260, 330), (330, 100))
    return Graph((a, b), (movement.permute(product(a, b), (1, 0)),))


def long_rows() -> Graph:
    a, b, c = _inputs((70, 1000), (1000, 130), (70, 130))
    return Graph((a, b, c), (ew.add(product(a, b), c),))


GRAPHS = (plain, transposed_with_bias, swapped, long_rows)


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own, and nothing known."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LAZYTORCH_CACHE_DIR", str(folder))
    monkeypatch.delenv("LAZYTORCH_TUNE", raising=False)
    monkeypatch.setattr(tune, "_known", {})
    monkeypatch.setattr(tune, "_spent", 0.0)
    yield folder


def _values(graph: Graph) -> list[Buffer]:
    generator = np.random.default_rng(0)
    values = []
    for node in graph.parameters:
        buffer = allocate(node.type.nbytes)
        array = generator.standard_normal(node.shape, dtype=np.float32)
        buffer.as_numpy(node.dtype.numpy, node.shape)[...] = array
        values.append(buffer)
    return values


def _run(plan: CpuPlan, graph: Graph, values: list[Buffer]) -> bytes:
    return b"".join(
        buffer.as_numpy(node.dtype.numpy, node.shape).tobytes()
        for buffer, node in zip(plan.run(values), graph.outputs, strict=True)
    )


def _recipe(record: PlanRecord) -> tuple[int, dict[str, object]]:
    ((number, fields),) = [(i, k.recipe) for i, k in enumerate(record.kernels) if k.recipe]
    return number, fields


def _tuned(plan: CpuPlan, graph: Graph, values: list[Buffer]) -> None:
    for _ in range(200):
        plan.run(values)


@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.parametrize("threads", [1, 3])
def test_every_candidate_computes_the_same_bits(make: Callable[[], Graph], threads: int) -> None:
    graph = make()
    record, values = build(graph, threads), _values(graph)
    number, fields = _recipe(record)
    recipe = Recipe.from_fields(json.loads(json.dumps(fields)))
    assert recipe.fields() == fields
    source, _ = recipe.written(recipe.rule)
    assert source.body == record.kernels[number].body
    assert list(source.prologue) == record.kernels[number].prologue
    schedules = recipe.schedules()
    assert len(schedules) > 3 and schedules[0] == recipe.rule
    want = _run(CpuPlan(record), graph, values)
    for schedule in schedules[1:]:
        written = tune.Written(*recipe.written(schedule))
        plan = CpuPlan(with_kernels(record, {number: written}))
        assert _run(plan, graph, values) == want, schedule


def test_a_plan_computes_the_same_while_and_after_it_is_tuned(
    monkeypatch: pytest.MonkeyPatch, fresh: Path
) -> None:
    graph = transposed_with_bias()
    record, values = build(graph, 2), _values(graph)
    want = _run(CpuPlan(record), graph, values)
    monkeypatch.setenv("LAZYTORCH_TUNE", "1")
    # A winner that is not the rule's, whatever the clock says.
    monkeypatch.setattr(tune._Trial, "best", lambda trial: len(trial.schedules) - 1)
    plan, before = CpuPlan(record), statistics.contractions_tuned
    for _ in range(200):
        assert _run(plan, graph, values) == want
    assert statistics.contractions_tuned == before + 1
    number, _ = _recipe(record)
    assert plan.record.kernels[number].recipe is None
    assert plan.record.kernels[number].body != record.kernels[number].body
    assert len(list(fresh.glob("lt-tuned-*"))) == 1
    # Another plan with the same contraction takes the winner without a search.
    again = CpuPlan(build(graph, 2))
    _tuned(again, graph, values)
    assert statistics.contractions_tuned == before + 1
    assert again.record.kernels[number].body == plan.record.kernels[number].body


def test_nothing_is_timed_unasked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = plain()
    values, before = _values(graph), statistics.contractions_tuned
    for setting in ("0", ""):  # by default, not in the first runs
        monkeypatch.setenv("LAZYTORCH_TUNE", setting)
        plan = CpuPlan(build(graph, 2))
        for _ in range(90):
            plan.run(values)
    monkeypatch.setenv("LAZYTORCH_TUNE", "0")
    monkeypatch.setattr(tune, "_RUNS", 0)
    monkeypatch.setattr(tune, "_OPERATIONS", 0)
    _tuned(CpuPlan(build(graph, 2)), graph, values)
    assert statistics.contractions_tuned == before


def test_by_default_a_plan_that_runs_often_is_tuned_within_a_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = plain()
    values, before = _values(graph), statistics.contractions_tuned
    monkeypatch.setattr(tune, "_RUNS", 5)
    monkeypatch.setattr(tune, "_OPERATIONS", 0)
    monkeypatch.setattr(tune, "_BUDGET", 0.0)
    _tuned(CpuPlan(build(graph, 2)), graph, values)
    assert statistics.contractions_tuned == before
    monkeypatch.setattr(tune, "_BUDGET", 5.0)
    _tuned(CpuPlan(build(graph, 2)), graph, values)
    assert statistics.contractions_tuned == before + 1


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "unknown schedule"])
def test_a_damaged_winner_is_searched_anew(
    monkeypatch: pytest.MonkeyPatch, fresh: Path, damage: str
) -> None:
    graph = plain()
    values, before = _values(graph), statistics.contractions_tuned
    monkeypatch.setenv("LAZYTORCH_TUNE", "1")
    _tuned(CpuPlan(build(graph, 2)), graph, values)
    (path,) = fresh.glob("lt-tuned-*")
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    elif damage == "cut":
        path.write_bytes(content[:-9])
    elif damage == "empty":
        path.write_bytes(b"")
    else:  # sound, but of no candidate: such a kernel might compute other bits
        key, schedule = next(iter(tune._known.items()))
        tune._remember(key, replace(schedule, depth=8))
    tune._known.clear()
    _tuned(CpuPlan(build(graph, 2)), graph, values)
    assert statistics.contractions_tuned == before + 2
    tune._known.clear()
    _tuned(CpuPlan(build(graph, 2)), graph, values)
    assert statistics.contractions_tuned == before + 2


SCRIPT = """
import hashlib, json
import numpy as np
import lazytorch as torch
a, b, c = (torch.tensor(np.random.default_rng(i).random((300, 300), dtype=np.float32))
           for i in range(3))
digests = set()
for i in range(150):
    y = (a @ b + c).relu()
    digests.add(hashlib.sha256(y.numpy().tobytes()).hexdigest())
s = torch.stats()
print(json.dumps([sorted(digests), s.contractions_tuned, s.kernels_compiled]))
"""


def _start(folder: Path, tuning: str) -> subprocess.Popen[str]:
    environment = {"LAZYTORCH_CACHE_DIR": str(folder), "LAZYTORCH_TUNE": tuning}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env={**os.environ, **environment},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _finish(process: subprocess.Popen[str]) -> tuple[list[str], int, int]:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    digests, tuned, compiled = json.loads(output)
    return digests, tuned, compiled


def test_processes_share_what_was_found(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    results = [_finish(p) for p in [_start(folder, "1") for _ in range(2)]]
    (digest,) = results[0][0]
    assert results[1][0] == [digest] and results[0][1] + results[1][1] >= 1
    assert len(list(folder.glob("lt-tuned-*"))) == 1
    assert _finish(_start(folder, "1")) == ([digest], 0, 0)
    assert _finish(_start(tmp_path / "other", "0"))[:2] == ([digest], 0)
