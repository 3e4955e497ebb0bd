"""Each example runs to its end, and says what it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.codegen.test_opencl import PROBLEM

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


# A few steps of each, and which of the lines it prints have numbers that follow from them.
SHORT = {
    "digits.py": (["--epochs", "1", "--batch-size", "128"], "test accuracy"),
    "two_layer_net.py": (["--steps", "20"], "loss"),
    "cifar_lenet.py": (["--images", "160", "--epochs", "1"], "loss"),
    "char_lstm.py": (
        ["--steps", "6", "--batch-size", "4", "--length", "12", "--width", "16", "--letters", "4"],
        "loss",
    ),
}


@pytest.mark.opencl
@pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
@pytest.mark.parametrize("name", SHORT)
def test_opencl_trains_to_the_same_numbers(tmp_path: Path, name: str) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("tqdm")
    options, marked = SHORT[name]
    found = []
    for device in ("cpu", "opencl"):
        lines = run(tmp_path, name, *options, "--device", device).splitlines()
        text = "\n".join([line for line in lines if marked in line])
        found.append([float(x) for x in re.findall(r"\d+\.\d+|\d+", text)])
    assert found[0] and found[1] == pytest.approx(found[0], rel=2e-3)


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
