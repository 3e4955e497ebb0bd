"""Well-known training programs learn here what they learn in PyTorch, step by step."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")
from tests.programs.comparison import FOLDER, NAMES, STEPS, compare  # noqa: E402

pytestmark = [pytest.mark.pytorch, pytest.mark.compiler]
DEVICE = os.environ.get("LAZYTORCH_TEST_DEVICE") or "cpu"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch's threads spin while they wait for each other, at the cost of tests beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("name", NAMES)
def test_losses_equal(name: str) -> None:
    found = compare(name, DEVICE)
    assert found.error < 1, (found.ours, found.theirs, found.exact)
    assert found.late_plans == 0


@pytest.mark.host
@pytest.mark.parametrize("name", ["actor_critic", "gpt", "vae"])
def test_scripts_run_unchanged(name: str) -> None:
    """As ``lazytorch run script.py``, with weights of their own."""
    finished = subprocess.run(
        [sys.executable, "-m", "lazytorch", "run", str(FOLDER / f"{name}.py")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    losses = [float(line) for line in finished.stdout.splitlines()]
    assert len(losses) == STEPS
    assert min(losses[10:]) < max(losses[:10])
