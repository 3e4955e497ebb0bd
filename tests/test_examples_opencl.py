"""Every example trains on OpenCL as on the CPU: the same losses and lengths of gradients, but for
the rounding of float32.

All of them, which takes two minutes, with ``--examples``; else the smallest alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.codegen.test_opencl import PROBLEM
from tests.test_examples import RUNS, write_cifar

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.compiler,
    pytest.mark.opencl,
    pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM),
]
EXAMPLES = sorted(
    p.name for p in (ROOT / "examples").glob("*.py") if "__main__" in p.read_text("utf-8")
)
SMALLEST = ("digits.py", "two_layer_net.py")
NOTES = 5


def numbers(name: str, device: str, folder: Path) -> list[float]:
    program = [sys.executable, "-m", "tests.example_losses", str(NOTES)]
    options, _ = RUNS.get(name, ([], 0))  # those that make it short
    done = subprocess.run(
        [*program, str(ROOT / "examples" / name), *options, "--device", device],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "No module" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_numbers(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if name not in SMALLEST and not request.config.getoption("--examples"):
        pytest.skip("only with --examples")
    write_cifar(tmp_path / "cifar-10-batches-py")
    on_cpu = numbers(name, "cpu", tmp_path)
    assert len(on_cpu) == NOTES
    assert numbers(name, "opencl", tmp_path) == pytest.approx(on_cpu, rel=1e-4, abs=1e-5)
