"""Random graphs: compiled C, simplified graphs and the interpreter give the same numbers."""

from __future__ import annotations

import pytest

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
