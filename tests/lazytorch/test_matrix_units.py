"""Products of bfloat16 on the processor's matrix units: the interpreter's values, to the bit.

Inputs are small multiples of 1/8, so that every sum is exact, in whatever order it is taken. Each
kind of units runs the same program in a process of its own; where there are none, the float32 path
alone does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import lazytorch as torch
from codegen.runtime.matrix_units import usable_units
from lazytorch.defaults import defaults

PROGRAM = """
import sys
import numpy as np
import lazytorch as torch
from lazytorch.nn import functional as F

generator = np.random.default_rng(0)
found = {}

def rand(*shape, dtype=torch.bfloat16):
    values = generator.integers(-8, 9, shape) / 8
    return torch.tensor(values, dtype=torch.float32).to(dtype)

def keep(name, *tensors):
    values = [t.detach().float() for t in tensors]
    torch.realize(*values)  # one plan, and one start of the compiler, for all
    for i, value in enumerate(values):
        found[f"{name} {i}"] = value.numpy()

for m, n, k in [(1, 15, 17), (31, 33, 2), (33, 31, 65), (64, 32, 96), (16, 70, 301), (2, 2, 3)]:
    keep(f"plain {m} {n} {k}", rand(m, k) @ rand(k, n), rand(k, m).t() @ rand(k, n),
         rand(m, k) @ rand(n, k).t(), rand(k, m).t() @ rand(n, k).t())
    strided = rand(2 * m, 3 * k)[::2, 1::3] @ rand(n, k + 1)[:, 1:].t()
    keep(f"strided {m} {n} {k}", strided, rand(3, m, k) @ rand(3, k, n), rand(m, k) @ rand(2, k, n))
    fused = F.relu(F.linear(rand(m, k), rand(n, k), rand(n))) * 2
    turned = torch.einsum("mk,kn->nm", rand(m, k), rand(k, n)).float()
    keep(f"fused {m} {n} {k}", fused, turned)
    x, w = rand(m, k).requires_grad_(), rand(n, k).requires_grad_()
    F.linear(x, w).backward(rand(m, n))
    keep(f"gradient {m} {n} {k}", x.grad, w.grad)
keep("empty", rand(0, 5) @ rand(5, 3), rand(4, 0) @ rand(0, 3), rand(2, 5) @ rand(5, 0))

for options in ({}, {"stride": 2, "padding": 1}, {"groups": 2}, {"dilation": 2, "padding": 2}):
    x, w = rand(2, 4, 9, 11).requires_grad_(), rand(6, 4 // options.get("groups", 1), 3, 3)
    y = F.conv2d(x, w.requires_grad_(), rand(6), **options)
    y.backward(rand(*y.shape))
    keep(f"convolution {options}", y, x.grad, w.grad)

special = rand(40, 50)
special[3, 7], special[5, 0], special[39, 49] = float("nan"), float("inf"), -float("inf")
keep("special", special @ rand(50, 33), rand(33, 40) @ special)

torch.set_float32_matmul_precision("medium")
x, w = (rand(40, 50, dtype=torch.float32).requires_grad_() for _ in range(2))
(x @ w.t()).backward(rand(40, 40, dtype=torch.float32))
keep("medium", x.grad, w.grad)
np.savez(sys.argv[1], **found)
"""


def results(folder: Path, device: str, units: str) -> dict[str, np.ndarray]:
    path = folder / f"{device}-{units}.npz"
    environment = {**os.environ, "LAZYTORCH_DEVICE": device, "LAZYTORCH_MATRIX_UNITS": units}
    subprocess.run([sys.executable, "-c", PROGRAM, str(path)], check=True, env=environment)
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return results(tmp_path_factory.mktemp("units"), "interpreter", "none")


@pytest.mark.compiler
@pytest.mark.parametrize("units", ["none", *usable_units()])
def test_products_are_exact(units: str, expected: dict[str, np.ndarray], tmp_path: Path) -> None:
    found = results(tmp_path, "cpu", units)
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.compiler
@pytest.mark.parametrize("shape", [(100, 70, 1000), (33, 65, 127)])
def test_sums_are_in_float32(shape: tuple[int, int, int]) -> None:
    """Against float64, where sums are not exact; and the same bits every time."""
    m, n, k = shape
    generator = np.random.default_rng(1)
    a, b = (
        torch.tensor(generator.standard_normal(s), dtype=torch.bfloat16, device="cpu")
        for s in ((m, k), (k, n))
    )
    wide = a.float().numpy().astype(np.float64), b.float().numpy().astype(np.float64)
    sums, scale = wide[0] @ wide[1], np.abs(wide[0]) @ np.abs(wide[1])
    runs = [(a @ b).float().numpy() for _ in range(3)]
    assert all([(run == runs[0]).all() for run in runs])
    assert (np.abs(runs[0] - sums) <= np.abs(sums) * 2.0**-8 + scale * 2.0**-20).all()


@pytest.fixture
def precision() -> Iterator[Callable[[str], None]]:
    yield torch.set_float32_matmul_precision
    torch.set_float32_matmul_precision("highest")


def test_precision_of_float32(precision: Callable[[str], None]) -> None:
    assert torch.get_float32_matmul_precision() == "highest"
    generator = np.random.default_rng(2)
    a, b = (
        torch.tensor(generator.standard_normal(s), dtype=torch.float32)
        for s in ((40, 64), (64, 50))
    )
    exact = (a @ b).numpy()
    for name in ("high", "medium", "highest"):
        precision(name)
        assert torch.get_float32_matmul_precision() == name
        rounded = a.bfloat16().float().numpy() @ b.bfloat16().float().numpy()
        wanted = rounded if defaults.bfloat16_products else exact
        np.testing.assert_allclose((a @ b).numpy(), wanted, rtol=0, atol=1e-4)
        assert (name == "medium" and bool(usable_units())) == defaults.bfloat16_products
    with pytest.warns(UserWarning, match="is not one of 'highest'"):
        precision("low")
    assert torch.get_float32_matmul_precision() == "highest"
