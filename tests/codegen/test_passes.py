"""The record that passes leave: the graph before and after each, and what changed."""

from __future__ import annotations

import pytest

from codegen.graph.passes import format_change
from codegen.ir import provenance
from codegen.ir.node import topological
from codegen.pipeline import compile_graph
from tests.codegen.graphs import RandomGraph


@pytest.mark.parametrize("seed", range(6))
def test_each_pass_begins_where_the_last_ended_and_says_what_it_changed(seed: int) -> None:
    with provenance.recording():
        compiled = compile_graph(RandomGraph(seed).graph, threads=2)
    assert [p.name for p in compiled.passes][:3] == ["simplify", "pick", "split"]
    at = compiled.graph.outputs
    for step in compiled.passes:
        assert step.before == at
        at = step.after
        before, after = set(topological(step.before)), set(topological(step.after))
        assert (before - set(step.removed)) | set(step.added) == after
        assert not set(step.added) & before and not set(step.removed) & after
        assert set(step.replaced) <= set(step.removed) and set(step.replaced.values()) <= after
        assert step.changed or not (step.added or step.removed or step.replaced)
        marks = [line[0] for line in format_change(step).splitlines()] if step.changed else []
        assert marks.count("+") == len(step.added) and marks.count("-") == len(step.removed)
    assert at == compiled.outputs


def test_debug_levels_print_the_graph_and_what_each_pass_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = RandomGraph(0).graph
    shown = {}
    for level in ("2", "3", "4"):
        monkeypatch.setenv("LAZYTORCH_DEBUG", level)
        compile_graph(graph, threads=1)
        printed = capsys.readouterr().err
        shown[level] = [x for x in printed.splitlines() if x.startswith("-- after")]
    assert shown["2"] == []
    assert shown["3"] == ["-- after expand", "-- after own memory"]
    assert shown["4"][:2] == ["-- after expand", "-- after simplify"] and len(shown["4"]) > 6
