"""The profiler: what it records, its trace and table, and PyTorch's schedule of steps."""

from __future__ import annotations

import gzip
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch as pytorch

import lazytorch as torch
from codegen import spans
from codegen.ir import provenance
from codegen.runtime import plan as plans
from codegen.runtime.compiler import find_compiler
from lazytorch.inspect.savings import RunReport
from tests import perfetto

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.host,
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler"),
]


def step_of_training() -> Callable[[], float]:
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.ones(7, 6), torch.arange(7) % 3

    def step() -> float:
        with torch.profiler.record_function("forward"):
            loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def test_a_profile_names_kernels_lines_and_ranges_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    step = step_of_training()
    step()
    before = len(plans.watchers), len(spans.listeners), provenance.state.wanted
    with torch.profile() as made:
        step()
        step()
    assert (len(plans.watchers), len(spans.listeners), provenance.state.wanted) == before
    events = made.events()
    kernels = [e for e in events if e.category == "kernel"]
    assert {"forward", "realize", "trace"} <= {e.name for e in events} and kernels
    for e in kernels:
        assert e.stack and all(Path(line.rpartition(":")[0]).name == "test_profiler.py"
                               for line in e.stack)  # fmt: skip
        assert e.cpu_parent.category == "plan" and e.cpu_parent.cpu_parent.name == "realize"
    averages = {(a.key, a.category): a for a in made.key_averages()}
    assert averages["forward", "user"].count == 2
    assert sum(a.count for a in averages.values()) == len([e for e in events
                                                           if e.category != "share"])  # fmt: skip
    total = sum(e.elapsed for e in map(_Outermost, events) if e.is_outermost)
    assert made.events().self_cpu_time_total == pytest.approx(total)
    table = made.key_averages(group_by_input_shape=True).table("self_cpu_time_total", row_limit=3)
    assert len(table.splitlines()) == 3 + 3 + 1 + 1 and "Input Shapes" in table

    for name in ("trace.json", "trace.json.gz"):
        made.export_chrome_trace(str(tmp_path / name))
    trace = json.loads((tmp_path / "trace.json").read_text())
    with gzip.open(tmp_path / "trace.json.gz", "rt") as file:
        assert len(json.load(file)["traceEvents"]) == len(trace["traceEvents"])
    check_trace(trace)
    made.export_stacks(str(tmp_path / "stacks"))


class _Outermost:
    def __init__(self, event: Any) -> None:
        self.is_outermost = event.cpu_parent is None and event.category != "share"
        self.elapsed = event.time_range.elapsed_us()


def check_trace(trace: dict[str, Any]) -> None:
    """The trace event format: names of threads, events that nest in each, a counter of memory."""
    events = trace["traceEvents"]
    named = {e["tid"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    spans_by_thread: dict[int, list[tuple[float, float]]] = {}
    for e in events:
        assert e["ts"] >= 0 and isinstance(e["pid"], int) and isinstance(e["tid"], int)
        if e["ph"] == "X":
            assert e["dur"] >= 0 and e["tid"] in named and e["cat"]
            spans_by_thread.setdefault(e["tid"], []).append((e["ts"], e["ts"] + e["dur"]))
    assert [e for e in events if e["ph"] == "C" and e["args"]["bytes in use"] > 0]
    for found in spans_by_thread.values():
        open_ends: list[float] = []
        for begin, end in sorted(found, key=lambda s: (s[0], -s[1])):
            while open_ends and open_ends[-1] <= begin + 1e-6:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1] + 1e-3
            open_ends.append(end)


@pytest.mark.parametrize(
    "options",
    [
        {"wait": 1, "warmup": 1, "active": 2},
        {"wait": 0, "warmup": 1, "active": 3, "repeat": 2, "skip_first": 2},
        {"wait": 2, "warmup": 0, "active": 1, "repeat": 1, "skip_first": 1, "skip_first_wait": 1},
        {"wait": 1, "warmup": 1, "active": 0},
    ],
)
def test_schedules_are_those_of_pytorch(options: dict[str, int]) -> None:
    seen = []
    for engine in (torch, pytorch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                chosen = engine.profiler.schedule(**options)
                seen.append(([chosen(i).name for i in range(20)], [str(w.message) for w in caught]))
            except AssertionError as error:
                seen.append(str(error))
    assert seen[0] == seen[1]


def test_steps_and_traces_come_when_pytorchs_do(tmp_path: Path) -> None:
    seen = []
    for engine in (torch, pytorch):
        found: list[Any] = []

        def ready(made: Any, found: list[Any] = found) -> None:
            keys = [e.key for e in made.key_averages() if e.key.startswith("ProfilerStep")]
            found.append((made.step_num, keys))

        chosen = engine.profiler.schedule(wait=1, warmup=1, active=2, repeat=2)
        with engine.profiler.profile(
            activities=[engine.profiler.ProfilerActivity.CPU], schedule=chosen, on_trace_ready=ready
        ) as made:
            for _ in range(9):
                (engine.ones(3) + 1).sum().item()
                made.step()
        seen.append(found)
    assert seen[0] == seen[1] and len(seen[0]) == 2
    handler = torch.profiler.tensorboard_trace_handler(str(tmp_path / "runs"), "me", use_gzip=True)
    with torch.profiler.profile(on_trace_ready=handler):
        (torch.ones(3) + 1).sum().item()
    (written,) = (tmp_path / "runs").iterdir()
    assert written.name.startswith("me.") and written.name.endswith(".pt.trace.json.gz")


def test_older_names_and_an_unfinished_profile() -> None:
    with torch.autograd.profiler.profile() as made, torch.autograd.profiler.emit_nvtx():
        (torch.ones(5) * 2).sum().item()
    assert "kernel" in {e.category for e in made.function_events}
    assert "Self CPU time total" in made.key_averages().table(sort_by="cpu_time_total")
    assert made.total_average().count == len(made.function_events)
    with torch.autograd.profiler.profile(enabled=False):
        pass
    for engine in (torch, pytorch):
        with pytest.raises(AssertionError, match="must be initialized before"):
            engine.profiler.profile().events()

    @torch.profiler.record_function("mine")
    def double(x: Any) -> Any:
        return x * 2

    with torch.profiler.profile() as nested:
        double(torch.ones(2))
    assert [e.key for e in nested.events()] == ["mine"]


def test_a_report_and_an_explanation_have_the_numbers_of_the_profile() -> None:
    step = step_of_training()
    step()
    report = RunReport()
    report.start()
    with torch.profile() as made:
        step()
        step()
    counts = torch.stats().kernels_run, torch.stats().plans_run
    report.stop()
    kernels = [e for e in made.events() if e.category == "kernel"]
    plans_run = [e for e in made.events() if e.category == "plan"]
    assert counts == (len(kernels), len(plans_run))
    said = re.findall(r"(\d+) run in (\d+) plans", str(report))
    assert said == [(str(counts[0]), str(counts[1]))]
    total = sum([e.cpu_time_total for e in kernels])
    assert 1e6 * report.kernel_seconds == pytest.approx(total, rel=1e-2, abs=1.0)
    assert report.wall_seconds >= report.kernel_seconds
    for category in ("realize", "trace", "lower", "compile"):
        seconds = report.spans.get(category, 0.0)
        spans_of = [e for e in made.events() if e.category == category]
        assert 1e6 * seconds == pytest.approx(sum([e.cpu_time_total for e in spans_of]), abs=1.0)

    x = torch.ones(53, 59).realize()
    assert torch.explain(x.sin() + 0.123).measured is None
    with torch.profile() as made:
        (x.sin() + 0.123).realize()
    found = torch.explain(x.sin() + 0.123)
    (event,) = [e for e in made.events() if e.category == "kernel"]
    assert found.measured == pytest.approx(event.cpu_time_total / 1e6, rel=1e-2, abs=1e-6)
    assert "measured" in found.rows()[0] and ", measured " in found.summary()


@pytest.mark.skipif(bool(perfetto.missing()), reason=perfetto.missing())
def test_perfetto_shows_kernels_threads_compiles_python_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAZYTORCH_CACHE_DIR", str(tmp_path / "empty"))
    x = torch.ones(41, 43)
    with torch.profile() as made:
        step_of_training()()
        (x.sin() * 1.2345 + 0.54321).sum(1).exp().tolist()  # a kernel that no other test has
    made.export_chrome_trace(str(tmp_path / "trace.json"))
    kernels = [e.name for e in made.events() if e.category == "kernel"]
    with perfetto.opened(tmp_path / "trace.json") as page:
        found = page.query("select name from slice where category = 'kernel' order by ts, id")
        assert [name for (name,) in found] == kernels
        counts = dict(page.query("select category, count(*) from slice group by 1"))
        assert {"compile", "realize", "plan", "python", "user_annotation"} <= set(counts)
        names = {name for (name,) in page.query("select name from slice")}
        assert {"nn.Module: Linear_1", "backward", "Optimizer.step#SGD.step", "forward"} <= names
        assert page.query("select count(*) from stats where severity != 'info' and value") == [(0,)]
        assert "MainThread" in {name for (name,) in page.query("select name from thread")}
        shown = page.query("select max(value) from counter")
        assert shown == [(made.max_memory,)]
        of_a_kernel = dict(page.query(
            "select key, display_value from args join slice using (arg_set_id) where slice.id ="
            " (select min(id) from slice where category = 'kernel')"
        ))  # fmt: skip
        assert float(of_a_kernel["args.GFLOP/s"]) >= 0 and "args.GB/s" in of_a_kernel
        assert "test_profiler.py" in of_a_kernel["args.lines[0]"]
        assert "memory bytes in use" in " ".join(page.tracks())
