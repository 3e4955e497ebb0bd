"""Each example runs to its end, and says what it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.compiler


def run(tmp_path: Path, name: str, *arguments: str) -> str:
    """What an example prints."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def percentage(text: str) -> float:
    (found,) = re.findall(r"([\d.]+)%", text)
    return float(found)


def test_digits(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("tqdm")
    printed = run(tmp_path, "digits.py", "--epochs", "5")
    assert percentage(printed) > 90
    sources = list((tmp_path / "digits_kernels").rglob("*.c"))
    assert sources
    assert str(tmp_path / "digits_kernels") in printed


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_digits_learns(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("tqdm")
    assert percentage(run(tmp_path, "digits.py", "--seed", str(seed))) >= 97


def test_two_layer_net(tmp_path: Path) -> None:
    printed = run(tmp_path, "two_layer_net.py", "--steps", "300")
    losses = [float(x) for x in re.findall(r"loss (\S+) after 300", printed)]
    assert len(losses) == 3
    assert max(losses) < 1


def test_cifar_lenet(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    printed = run(tmp_path, "cifar_lenet.py", "--images", "800", "--epochs", "3")
    assert percentage(printed) > 50


def test_char_lstm(tmp_path: Path) -> None:
    options = ["--steps", "200", "--batch-size", "8", "--width", "32", "--letters", "20"]
    printed = run(tmp_path, "char_lstm.py", *options)
    first, last = [float(x) for x in re.findall(r"loss (\S+) after", printed)]
    assert last < first < 4
    assert "The " in printed
