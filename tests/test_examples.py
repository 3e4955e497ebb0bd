"""Each example runs to its end, and says what it should."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.compiler


def start(tmp_path: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def run(tmp_path: Path, name: str, *arguments: str) -> str:
    """What an example prints."""
    finished = start(tmp_path, name, *arguments)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


LETTERS = ["--epochs", "1", "--batches", "6", "--batch-size", "4", "--length", "12", "--width",
           "16", "--letters", "4"]  # fmt: skip


def percentage(text: str) -> float:
    (found,) = re.findall(r"accuracy: ([\d.]+)%", text)
    return float(found)


# Each as short as it can be and still be better than its baseline, where that is quick.
RUNS = {
    "cart_pole.py": (["--epochs", "12"], 1),
    "char_gpt.py": ([*LETTERS, "--layers", "1"], 0),
    "char_lstm.py": (LETTERS, 0),
    "cifar_lenet.py": (["--images", "800", "--epochs", "3"], 1),
    "cifar_resnet.py": (["--epochs", "1", "--batch-size", "8", "--width", "4"], 0),
    "digits.py": (["--epochs", "5"], 1),
    "fine_tuning.py": (["--epochs", "20"], 1),
    "gan.py": (["--epochs", "2", "--width", "16"], 0),
    "karate_gcn.py": ([], 1),
    "per_sample_gradients.py": (["--epochs", "2"], 0),
    "time_sequence.py": (["--epochs", "2", "--count", "16", "--width", "12"], -1),
    "vae.py": (["--epochs", "15", "--width", "128"], -1),
    "word2vec.py": (["--epochs", "1", "--batches", "6", "--batch-size", "64"], 0),
}


def write_cifar(folder: Path) -> None:
    """A few random images in the files of CIFAR-10, and what lets these pass for the published."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for name in ["test_batch", *[f"data_batch_{i}" for i in range(1, 6)]]:
        images = random.integers(0, 256, (8, 3072)).astype(np.uint8)
        labels = random.integers(0, 10, 8).tolist()
        (folder / name).write_bytes(pickle.dumps({"data": images, "labels": labels}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    # Python runs this where it finds it on its path.
    (folder.parent / "sitecustomize.py").write_text(
        "from lazytorch.vision.datasets import cifar\n"
        "cifar.check_integrity = lambda path, md5=None: True\n"
    )


@pytest.mark.parametrize("name", RUNS)
def test_example(tmp_path: Path, name: str) -> None:
    """It says its number beside the one to beat, and draws a picture."""
    for library in ("sklearn", "tqdm", "matplotlib"):
        pytest.importorskip(library)
    options, better = RUNS[name]
    if name == "cifar_resnet.py":
        write_cifar(tmp_path / "cifar-10-batches-py")
    printed = run(tmp_path, name, *options)
    (found,) = re.findall(r": ([\d.]+)%? \(to beat: ([\d.]+)%?,", printed)
    value, baseline = map(float, found)
    assert value * better >= baseline * better, printed
    picture = tmp_path / name.replace(".py", ".png")
    assert str(picture) in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_every_example_is_listed() -> None:
    scripts = [p.name for p in (ROOT / "examples").glob("*.py") if "def main" in p.read_text()]
    readme = (ROOT / "README.md").read_text()
    assert [name for name in sorted(scripts) if name not in readme] == []


def test_digits_kernels(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("tqdm")
    printed = run(tmp_path, "digits.py", "--epochs", "1", "--model", "mlp")
    assert list((tmp_path / "digits_kernels").rglob("*.c"))
    assert str(tmp_path / "digits_kernels") in printed


def test_resnet_says_what_is_missing(tmp_path: Path) -> None:
    finished = start(tmp_path, "cifar_resnet.py")
    assert finished.returncode == 1
    assert "cifar-10-python.tar.gz" in finished.stderr


@pytest.mark.slow
def test_digits_learns(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("tqdm")
    assert percentage(run(tmp_path, "digits.py", "--seed", "1")) >= 97


def test_two_layer_net(tmp_path: Path) -> None:
    printed = run(tmp_path, "two_layer_net.py", "--steps", "300")
    losses = [float(x) for x in re.findall(r"loss (\S+) after 300", printed)]
    assert len(losses) == 3
    assert max(losses) < 1


CHECKED = sorted(
    p.name for p in (ROOT / "examples").glob("*.py") if "__main__" in p.read_text("utf-8")
)


@pytest.mark.parametrize("name", CHECKED)
def test_check_mode_has_nothing_to_say(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The first steps of every example, each kernel held against the interpreter."""
    if name != "two_layer_net.py" and not request.config.getoption("--examples"):
        pytest.skip("only with --examples")
    write_cifar(tmp_path / "cifar-10-batches-py")
    options, _ = RUNS.get(name, ([], 0))
    finished = subprocess.run(
        [sys.executable, "-m", "tests.example_losses", "5", str(ROOT / "examples" / name),
         *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "LAZYTORCH_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    if "No module" in finished.stderr:
        pytest.skip(finished.stderr.strip().splitlines()[-1])
    assert finished.returncode == 0, finished.stderr
