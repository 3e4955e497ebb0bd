"""Every example trains on OpenCL as on the CPU: the same losses, to float32's rounding.

All of them, which takes two minutes, with ``--examples``; else the smallest alone.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.codegen.test_opencl import PROBLEM

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
STEPS = 3


def losses(name: str, device: str, folder: Path) -> list[float]:
    program = [sys.executable, "-m", "tests.example_losses", str(STEPS)]
    done = subprocess.run(
        [*program, str(ROOT / "examples" / name), "--device", device],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "No module" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def write_cifar(folder: Path) -> None:
    """A few random images in the files of CIFAR-10."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for name in ["test_batch", *[f"data_batch_{i}" for i in range(1, 6)]]:
        images = random.integers(0, 256, (20, 3072)).astype(np.uint8)
        labels = random.integers(0, 10, 20).tolist()
        (folder / name).write_bytes(pickle.dumps({b"data": images, b"labels": labels}))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_losses(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if name not in SMALLEST and not request.config.getoption("--examples"):
        pytest.skip("only with --examples")
    write_cifar(tmp_path / "cifar-10-batches-py")
    on_cpu = losses(name, "cpu", tmp_path)
    assert len(on_cpu) == STEPS
    assert losses(name, "opencl", tmp_path) == pytest.approx(on_cpu, rel=1e-4, abs=1e-5)
