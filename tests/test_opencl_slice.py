"""A small part of what runs on OpenCL at all: some function tests and some of PyTorch's operators,
in every run of the suite, so that the device cannot rot. All of it: docs/opencl.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.codegen.test_opencl import PROBLEM

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.opencl, pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


PARTS = ("autograd", "views", "indexing", "reductions", "laziness", "random", "sorting")


def test_functions() -> None:
    """A few tests of parts that are most unlike one another."""
    paths = [f"tests/lazytorch/test_{name}.py" for name in PARTS]
    options = ["-p", "no:cacheprovider", "-p", "no:warnings", "--share", "1/80"]
    done = run("pytest", *options, *paths, "tests/lazytorch/nn", LAZYTORCH_TEST_DEVICE="opencl")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.pytorch
def test_operators(tmp_path: Path) -> None:
    """One of thirty parts of PyTorch's database, on one sample of each type."""
    pytest.importorskip("torch")
    failures = str(tmp_path / "failures.txt")
    options = ["--device", "opencl", "--samples", "1", "--part", "7/30", "--jobs", "1"]
    done = run("tests.conformance", *options, "--failures", failures)
    assert done.returncode == 0 and "opencl: " in done.stdout, done.stdout + done.stderr
