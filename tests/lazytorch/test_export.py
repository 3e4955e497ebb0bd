"""Exported functions: one C file, built by a plain compiler, with the same results."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazytorch as torch
from codegen.runtime.compiler import find_compiler
from lazytorch import nn
from lazytorch.nn import functional as F
from tests.lazytorch.test_check import SmallGpt

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.host,
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler"),
]


def built(path: Path, *flags: str) -> Path:
    compiler = find_compiler()
    assert compiler is not None
    output = path.with_suffix(".so" if "-shared" in flags else ".out")
    command = [*compiler.command, "-O2", "-Wall", *flags, str(path), "-o", str(output), "-lm"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "warning" not in finished.stderr, finished.stderr
    return output


def called(library: Path, given: list[Any], shape: tuple[int, ...]) -> Any:
    arrays = [np.ascontiguousarray(x.numpy()) for x in given]
    out = np.empty(shape, np.float32)
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (*arrays, out)]
    assert ctypes.CDLL(str(library)).model(*pointers) == 0
    return out


def network() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(4 * 16, 10), nn.LogSoftmax(1),
    ).eval()  # fmt: skip


def recurrent(x: Any) -> Any:
    torch.manual_seed(1)
    return nn.LSTM(4, 6, batch_first=True)(x)[0]


@pytest.mark.parametrize("kind", ["network", "gpt", "recurrent"])
def test_an_exported_function_computes_the_same(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    function, example, other = {
        "network": lambda: (network(), torch.randn(5, 1, 8, 8), torch.randn(5, 1, 8, 8)),
        "gpt": lambda: (SmallGpt(), torch.randint(0, 17, (2, 8)), torch.randint(0, 17, (2, 8))),
        "recurrent": lambda: (recurrent, torch.randn(2, 7, 4), torch.randn(2, 7, 4)),
    }[kind]()
    path = torch.export(function, [example], tmp_path / "model.c")
    with torch.no_grad():
        wanted = function(other).numpy()
    found = called(built(path, "-shared", "-fPIC"), [other], wanted.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_an_exported_program_runs_alone(tmp_path: Path) -> None:
    weight = torch.randn(3, 4)
    path = torch.export(lambda x: F.gelu(x @ weight) * 2, [torch.zeros(2, 3)], tmp_path / "alone.c")
    x = torch.randn(2, 3)
    program = built(path, "-Dmodel_MAIN")
    printed = subprocess.run([program], input=x.numpy().tobytes(), capture_output=True, check=True)
    found = np.frombuffer(printed.stdout, np.float32).reshape(2, 4)
    np.testing.assert_allclose(found, (F.gelu(x @ weight) * 2).numpy(), rtol=1e-4, atol=1e-5)


def test_what_has_no_c_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="LAPACK does it"):
        torch.export(
            lambda x: torch.linalg.eigh(x)[0], [torch.eye(3).clone()], tmp_path / "model.c"
        )
