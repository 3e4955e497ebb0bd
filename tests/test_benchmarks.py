"""The benchmarks run: the runner, the file of figures and the page that is made of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.mark.pytorch
@pytest.mark.compiler
def test_the_runner_and_the_report(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    figures = tmp_path / "figures.json"

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=BENCHMARKS, capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    printed = run(
        "compare.py", "--engines", "eager,ours,compiled", "--rounds", "1", "--json", str(figures),
        "two layers by hand", "100 chained adds",
    )  # fmt: skip
    assert "cannot" not in printed and "differs" not in printed
    starts = run("compare.py", "--engines", "ours", "--starts", "--json", str(figures),
                 "two layers by hand")  # fmt: skip
    assert "cold" in starts and "warm" in starts
    run("report.py", str(figures), "--docs", str(tmp_path), "--one-thread", str(figures))
    page = (tmp_path / "performance.md").read_text()
    assert "| two layers by hand |" in page and "| 100 chained adds of 10 |" in page
    assert "empty" in page and "On one thread" in page
    assert (tmp_path / "performance.svg").stat().st_size > 1000


@pytest.mark.opencl
def test_kernels_for_work_groups() -> None:
    pytest.importorskip("pyopencl")
    command = [sys.executable, "gpu.py", "--size", "64", "--rounds", "1"]
    environment = {**os.environ, "LAZYTORCH_OPENCL_SCHEDULE": "gpu"}
    done = subprocess.run(
        command, cwd=BENCHMARKS, env=environment, capture_output=True, text=True, timeout=120,
        check=True,
    )  # fmt: skip
    assert "of peak" in done.stdout and "of the copy" in done.stdout
