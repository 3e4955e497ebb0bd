"""The C text of about forty kernels, as it stands in golden/: what a change does to it shows here.

After a change that means to alter kernels, ``pytest --update-golden`` writes them anew; the
difference is read before it is committed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen.pipeline import build
from tests.codegen.known_graphs import COUNTED_ONLY, GRAPHS, known_graph

FOLDER = Path(__file__).parent / "golden"
NAMES = [name for name in GRAPHS if name not in COUNTED_ONLY]


@pytest.fixture(autouse=True)
def same_machine_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of 32 bytes and a cache of 1 MB, whatever this processor has; every kernel is
    verified."""
    monkeypatch.setenv("LAZYTORCH_VERIFY", "1")
    for module in ("contraction", "contraction_winograd"):
        monkeypatch.setattr(f"codegen.loops.{module}.vector_bytes", lambda: 32)
        monkeypatch.setattr(f"codegen.loops.{module}.second_level_cache_bytes", lambda: 1 << 20)


def kernel_text(name: str) -> str:
    parts = []
    for kernel in build(known_graph(name), threads=2).kernels:
        share = "parallel" if kernel.parallel else "serial"
        work = f"{kernel.operations} operations, {kernel.traffic} bytes, {share}"
        parts.append(f"// {kernel.name}: {work}\n{kernel.body}")
    return "\n".join(parts)


@pytest.mark.parametrize("name", NAMES)
def test_golden_kernel(name: str, request: pytest.FixtureRequest) -> None:
    path = FOLDER / f"{name}.c"
    text = kernel_text(name)
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"no golden file {path}: run pytest --update-golden"
    assert text == path.read_text(encoding="utf-8"), "changed: see --update-golden"


def test_every_golden_file_is_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.c")} == set(NAMES)


def test_kernel_text_is_the_same_each_time() -> None:
    assert kernel_text("matmul_bias_relu") == kernel_text("matmul_bias_relu")
