"""3 x 3 convolutions by Winograd's transform, wherever they can be: exact on small integers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# Weights are multiples of four, so that transformed ones are integers; normalization is by powers
# of two. Run on this engine and on PyTorch.
PROGRAM = """
import sys
from importlib import import_module

import numpy as np

torch = import_module(sys.argv[1])
F = torch.nn.functional
generator = np.random.default_rng(0)
found = {}


def integers(*shape, step=1):
    return torch.tensor((generator.integers(-4, 5, shape) * step).astype(np.float32))


def keep(name, *tensors):
    for i, value in enumerate(tensors):
        found[f"{name} {i}"] = value.detach().numpy()


def strided(x, layout):
    if layout == "channels last":
        return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    if layout == "columns":
        return x.transpose(2, 3).contiguous().transpose(2, 3)
    return x.repeat(1, 1, 2, 1)[:, :, ::2] if layout == "every second row" else x


for n, c, o, h, w, padding, groups, layout in [
    (2, 8, 16, 14, 14, 1, 1, ""),
    (1, 7, 5, 9, 11, (0, 2), 1, ""),
    (3, 12, 8, 6, 5, 1, 4, ""),
    (2, 6, 9, 8, 37, 0, 1, "channels last"),
    (2, 4, 6, 33, 8, (2, 0), 2, "columns"),
    (2, 5, 3, 6, 7, 0, 1, "every second row"),
    (4, 3, 17, 3, 4, 1, 1, ""),
]:
    x = strided(integers(n, c, h, w), layout).requires_grad_()
    weight = integers(o, c // groups, 3, 3, step=4).requires_grad_()
    bias = integers(o)
    y = F.conv2d(x, weight, bias, padding=padding, groups=groups)
    z = F.relu(y) + 2 * y
    name = f"{(n, c, o, h, w, padding, groups, layout)}"
    keep(name, y, z, *torch.autograd.grad(z, (x, weight), integers(*z.shape)))

# A residual block of a network in eval mode, and a transposed convolution.
x, weight, second = integers(2, 8, 9, 9), integers(8, 8, 3, 3, step=4), integers(8, 8, 3, 3, step=4)
norm = torch.nn.BatchNorm2d(8, eps=0.0).eval()
with torch.no_grad():
    norm.running_var.copy_(torch.tensor([0.25, 4.0] * 4))
    norm.running_mean.copy_(integers(8))
    norm.bias.copy_(integers(8))
    y = F.relu(norm(F.conv2d(x, weight, padding=1)))
    keep("block", F.relu(norm(F.conv2d(y, second, padding=1)) + x))
    keep("transposed", F.conv_transpose2d(x, weight, padding=1))
    keep("volume", F.conv3d(integers(2, 3, 4, 6, 7), integers(5, 3, 2, 3, 3, step=4), padding=1))
    # What is not finite stays where it was (infinity may become NaN).
    special = generator.standard_normal((2, 4, 16, 37)).astype(np.float32)
    for value, count in (("nan", 3), ("inf", 5), ("-inf", 5)):
        special.reshape(-1)[generator.integers(0, special.size, count)] = float(value)
    y = F.conv2d(torch.tensor(special), integers(5, 4, 3, 3), padding=1)
    keep("special", torch.isfinite(y))
np.savez(sys.argv[2], **found)

# Where other inputs of a window are much larger than the result: for check mode.
only = torch.zeros(8, 8, 3, 3)
only[torch.arange(8), torch.arange(8), 1, 1] = 1
wide = torch.tensor(np.exp(3 * generator.standard_normal((2, 8, 9, 9))).astype(np.float32))
F.conv2d(wide, only, padding=1).numpy()
if sys.argv[1] == "lazytorch":
    kernels = torch.kernels(F.conv2d(x, weight, padding=1))
    assert "winograd_weights" in [kernel.name for kernel in kernels], kernels
"""


def results(folder: Path, package: str, **settings: str) -> dict[str, np.ndarray]:
    path = folder / f"{package}-{len(settings)}.npz"
    environment = {**os.environ, "LAZYTORCH_DEVICE": "cpu", **settings}
    program = [sys.executable, "-c", PROGRAM, package, str(path)]
    subprocess.run(program, check=True, env=environment)
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.mark.compiler
@pytest.mark.host
def test_convolutions_are_exact(tmp_path: Path) -> None:
    """Also in check mode."""
    expected = results(tmp_path, "torch")
    for more in ({}, {"LAZYTORCH_CHECK": "1", "LAZYTORCH_VERIFY": "1"}):
        found = results(tmp_path, "lazytorch", LAZYTORCH_WINOGRAD="1", **more)
        assert list(found) == list(expected)
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)
