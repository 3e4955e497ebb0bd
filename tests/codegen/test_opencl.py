"""The opencl device: same numbers as the interpreter, and a stand-in where there is no compiler."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import lazytorch as torch
from codegen import dtype as dt
from codegen.ir.node import TensorType, make
from codegen.loops.device import DeviceDescription
from codegen.ops import elementwise as ew
from codegen.ops.leaves import parameter
from codegen.ops.registry import Array
from codegen.pipeline import Graph, compile_opencl
from codegen.runtime.interpreter import from_buffer, to_buffer
from codegen.runtime.memory import Buffer, allocate
from codegen.runtime.opencl import Device, discovery, find_device
from tests.codegen.graphs import RandomGraph, assert_same, run_interpreted, run_plan
from tests.codegen.test_operations import CASES, make_inputs

ROOT = Path(__file__).parents[2]


def problem_with_opencl() -> str:
    try:
        find_device("opencl")
    except RuntimeError as error:
        return str(error)
    return ""


PROBLEM = problem_with_opencl()
pytestmark = [pytest.mark.opencl, pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)]


# As a GPU of few units describes itself.
GPU = DeviceDescription("gpu", compute_units=8, local_memory_bytes=32 << 10)
# Numbers that no device of this machine has.
DISCRETE, WORK_GROUPS = "opencl:77", "opencl:78"


def stand_in(name: str) -> Device:
    """The device once more, as one that has memory of its own alone, and, as WORK_GROUPS, as a GPU
    that wants schedules for such."""
    number = int(name.split(":")[1])
    if number not in discovery._devices:
        made = Device(find_device("opencl").handle, number, on_host=False)
        made.schedules = GPU if name == WORK_GROUPS else None
        discovery._devices[number] = made
    return discovery._devices[number]


@pytest.fixture(params=["opencl", DISCRETE, WORK_GROUPS])
def name(request: pytest.FixtureRequest) -> str:
    """A device that works in the host's memory, and two that do not."""
    if request.param != "opencl":
        stand_in(request.param)
    return str(request.param)


@pytest.fixture
def device(name: str) -> Device:
    return find_device(name)


def run(graph: Graph, arrays: Sequence[Array], device: Device) -> list[Array]:
    return run_plan(compile_opencl(graph, device), graph, arrays)


def test_large_samples(device: Device) -> None:
    """What test_every_type.py leaves out, in one plan: a build costs more than many kernels."""
    parameters, arrays, outputs, names = [], [], [], []
    for case in CASES:
        operation, sample = case.values
        nodes, values = make_inputs(sample, wide=False)
        if all(n.type.size <= 300 for n in nodes):
            continue
        numbered = [parameter(len(parameters) + i, n.type) for i, n in enumerate(nodes)]
        parameters += numbered
        arrays += [
            from_buffer(to_buffer(v, n.type), n.type) for v, n in zip(values, nodes, strict=True)
        ]
        outputs.append(make(operation, tuple(numbered), sample.attributes))
        names.append(case.id)
    graph = Graph(tuple(parameters), tuple(outputs))
    wants = run_interpreted(graph, arrays)
    for name, got, want in zip(names, run(graph, arrays, device), wants, strict=True):
        assert_same(got, want, name)


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("schedules", [None, GPU])
def test_random_graph(
    seed: int, schedules: DeviceDescription | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_device("opencl"), "schedules", schedules)
    made = RandomGraph(seed)
    arrays = made.arrays()
    wants = run_interpreted(made.graph, arrays)
    for got, want in zip(run(made.graph, arrays, find_device("opencl")), wants, strict=True):
        assert_same(got, want)


def test_trigonometry_of_huge_numbers() -> None:
    """Its table of 2/pi is constant memory."""
    x = parameter(0, TensorType((4,), dt.float64))
    graph = Graph((x,), (ew.sin(x), ew.cos(x)))
    values = np.array([1e22, 2.0**1000, -3e9, 0.5])
    sine, cosine = run(graph, [values], find_device("opencl"))
    np.testing.assert_allclose(sine, np.sin(values), rtol=1e-14)
    np.testing.assert_allclose(cosine, np.cos(values), rtol=1e-14)


def test_memory_at_any_address(device: Device) -> None:
    """A view begins where it begins; an empty tensor has no memory at all."""
    x = parameter(0, TensorType((1000,), dt.float32))
    empty = parameter(1, TensorType((0, 3), dt.float32))
    graph = Graph((x, empty), (ew.exp(x), ew.exp(empty)))
    plan = compile_opencl(graph, device)
    values = np.linspace(-3, 3, 1001, dtype=np.float32)
    for start in (0, 1):
        part = values[start : start + 1000]
        result, _ = plan.run([Buffer.wrapping(part), allocate(0)])
        got = result.as_numpy(np.dtype(np.float32), (1000,))
        np.testing.assert_allclose(got, np.exp(part), rtol=1e-6)


def test_scalars_are_arguments() -> None:
    x = torch.arange(5.0, device="opencl")
    assert [(x * scale + 1).sum().item() for scale in (2.0, 3.5)] == [25.0, 40.0]


def training_losses(device: str) -> list[float]:
    """Two steps of a small convolutional network on the given device."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 16, 10),
    )
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([1, 7, 3, 0])
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
        loss.backward()
        optimizer.step()
        assert str(loss.device).startswith(device)
        losses.append(loss.item())
    total = sum(p.detach().abs().sum().item() for p in model.parameters())
    return [*losses, total]


def test_training_step_of_a_network_is_that_of_the_cpu(name: str) -> None:
    assert training_losses(name) == pytest.approx(training_losses("cpu"), rel=1e-5)


def test_values_between_devices(name: str) -> None:
    """What is moved is a copy with a gradient; views, writes and numbers are where they should."""
    x = torch.arange(12.0).reshape(3, 4)
    there = x.to(name)
    x.add_(100)  # does not reach the copy
    assert there.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    there[1] = torch.full((4,), -1.0, device=name)
    there[:, 2] = 5.0
    there[2, 1:3].mul_(2)
    column = there[:, 1]
    there[0].copy_(torch.tensor([7.0, 8.0, 9.0, 1.0]))
    assert there.cpu().tolist() == [[7, 8, 9, 1], [-1, -1, 5, -1], [8, 18, 10, 11]]
    assert column.tolist() == [8, -1, 18] and there[2, 1].item() == 18
    assert there.T.to("cpu").contiguous()[1].tolist() == [8, -1, 18]
    assert copy.deepcopy(there).sum().item() == pickle.loads(pickle.dumps(there)).sum().item() == 74
    assert pickle.loads(pickle.dumps(there)).device == there.device

    weight = torch.ones(3, requires_grad=True)
    moved = weight.to(name)
    (moved * torch.arange(3.0, device=name)).sum().backward()
    assert weight.grad is not None and weight.grad.tolist() == [0, 1, 2]
    assert weight.grad.device.type == "cpu"
    weight.grad.add_(1)
    with torch.no_grad():
        weight -= weight.grad
    assert weight.tolist() == [0, -1, -2]
    weight.grad.numpy()[0] = 9
    assert weight.grad.tolist() == [9, 2, 3]
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        there + torch.ones(4)
    assert (there * torch.tensor(2.0)).sum().item() == 148


def test_what_is_in_flight_keeps_its_memory(name: str) -> None:
    """Names that go and writes that come before the kernels have run change nothing."""
    x = torch.ones(300, 300, device=name)
    torch.realize(x)
    kept = []
    for i in range(150):
        y = x @ x * (1 / 300)
        torch.realize(y)
        del x
        x = y
        host = torch.full((300, 300), float(i))
        moved = host.to(name)
        host.zero_()
        kept.append(moved.sum())
        torch.realize(kept[-1])
    assert x.sum().item() == pytest.approx(90000, rel=1e-4)
    assert [k.item() for k in kept] == [90000.0 * i for i in range(150)]
    value = torch.arange(1000.0, device=name)
    double = value * 2
    torch.realize(double)
    with torch.no_grad():
        value.zero_()
    torch.realize(value)
    assert double.sum().item() == 999000 and value.sum().item() == 0


def test_numpy_shares_memory_where_there_is_one() -> None:
    x = torch.arange(5.0, device="opencl")
    y = x * 2
    torch.realize(y)
    x.numpy()[0] = 4
    x.add_(1)
    assert x.numpy().tolist() == [5, 2, 3, 4, 5] and y.tolist() == [0, 2, 4, 6, 8]
    stand_in(DISCRETE)
    with pytest.raises(TypeError, match="can't convert opencl:77 device type tensor to numpy"):
        x.to(DISCRETE).numpy()
    assert x.to(DISCRETE).numpy(force=True).tolist() == [5, 2, 3, 4, 5]


DRAWS = {
    "uniform": lambda device: torch.rand(3, 67, device=device),
    "normal": lambda device: torch.randn(201, device=device),
    "integers": lambda device: torch.randint(-5, 9, (50,), device=device),
    "permutation": lambda device: torch.randperm(40, device=device),
    "bernoulli": lambda device: torch.bernoulli(torch.full((99,), 0.3, device=device)),
    "dropout": lambda device: torch.nn.functional.dropout(torch.ones(77, device=device), 0.4),
    "multinomial": lambda device: torch.multinomial(torch.arange(9.0, device=device), 5, True),
    "initial weights": lambda device: torch.nn.Linear(5, 7).to(device).weight.detach(),
}


@pytest.mark.parametrize("draw", DRAWS)
def test_a_seed_gives_the_same_numbers_on_every_device(draw: str) -> None:
    found = []
    for device in ("cpu", "opencl", "interpreter"):
        torch.manual_seed(11)
        values = [DRAWS[draw](device) for _ in range(2)]
        assert all(v.device.type == device for v in values)
        found.append([v.cpu().numpy() for v in values])
    for other in found[1:]:
        for x, y in zip(found[0], other, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)


def test_there_is_no_such_device() -> None:
    with pytest.raises(RuntimeError, match="device 'opencl:99' is not available"):
        torch.ones(3, device="opencl:99")


# ---- in processes of their own -------------------------------------------------------------------

TRAIN = """
import lazytorch as torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(32, 8)
for _ in range(20):
    optimizer.zero_grad()
    loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
    loss.backward()
    optimizer.step()
assert loss.item() < 0.1, loss
"""
BLOCK = "import sys; sys.modules[{!r}] = None\n"
FORK = """
import os, signal
child = os.fork()
if child == 0:
    signal.alarm(20)
    assert (model(x) * 2).sum().item() is not None
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def run_script(source: str, path: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Python with this PATH, and folders for PoCL's and our own caches that are new."""
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("LAZYTORCH_CC", "COMPILER_PATH")},
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "LAZYTORCH_CACHE_DIR": str(cache / "kernels"),
        "POCL_CACHE_DIR": str(cache / "pocl"),
    }
    # A wheel with a compiler must not be found either.
    hide = "import importlib.util as u; f = u.find_spec\n"
    hide += "u.find_spec = lambda n, *a: None if n == 'ziglang' else f(n, *a)\n"
    return subprocess.run(
        [sys.executable, "-c", hide + source],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def lines_said(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in result.stderr.splitlines() if "lazytorch:" in line]


def test_without_a_compiler_opencl_stands_in(tmp_path: Path) -> None:
    """No compiler means no linker, which PoCL needs: it is given ours. A fork may follow."""
    result = run_script(TRAIN + FORK, "", tmp_path)
    assert result.returncode == 0, result.stderr
    (line,) = lines_said(result)
    assert "no C compiler found" in line and "running on OpenCL (" in line


def test_without_opencl_too_the_interpreter_stands_in(tmp_path: Path) -> None:
    result = run_script(BLOCK.format("pyopencl") + TRAIN, "", tmp_path)
    assert result.returncode == 0, result.stderr
    (line,) = lines_said(result)
    assert "running on the slow interpreter" in line and "pip install 'pyopencl[pocl]'" in line


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    source = BLOCK.format("pyopencl") + "import lazytorch as t; t.ones(3, device='opencl')"
    result = run_script(source, os.environ["PATH"], tmp_path)
    assert "RuntimeError" in result.stderr and "pip install 'pyopencl[pocl]'" in result.stderr
