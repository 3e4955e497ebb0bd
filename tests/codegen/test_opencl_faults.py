"""What goes wrong with drivers: said in plain words, and nothing is lost. Simulated at pyopencl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazytorch as torch
from codegen.errors import CompileError, OutOfMemoryError, UnsupportedTypeError
from codegen.render.source import KernelSource
from codegen.runtime import cache
from codegen.runtime.opencl import Device, discovery, find_device, programs, self_test
from codegen.runtime.opencl.report import device_lines
from lazytorch.device import _names
from tests.codegen.test_opencl import DISCRETE, PROBLEM, ROOT, stand_in

pytestmark = [pytest.mark.opencl, pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)]


BINARY = KernelSource("one", "__kernel void KERNEL_NAME(__global int *x) { x[0] = 7; }")


@pytest.fixture
def opencl(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """pyopencl, in a process that has not looked for devices yet."""
    import pyopencl

    monkeypatch.setattr(discovery, "_handles", None)
    monkeypatch.setattr(discovery, "_devices", {})
    known = dict(_names)
    _names.clear()
    yield pyopencl
    _names.update(known)


def test_no_driver(opencl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise opencl.LogicError("clGetPlatformIDs failed: PLATFORM_NOT_FOUND_KHR")

    monkeypatch.setattr(opencl, "get_platforms", refuse)
    with pytest.raises(RuntimeError, match=r"PLATFORM_NOT_FOUND_KHR.*pip install"):
        torch.ones(2, device="opencl")
    assert not torch.cuda.is_available()
    assert "pip install" in "\n".join(device_lines())


def test_a_driver_without_a_device(opencl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Platform:
        name = "empty"

        def get_devices(self) -> list[Any]:
            raise opencl.RuntimeError("clGetDeviceIDs failed: DEVICE_NOT_FOUND")

    monkeypatch.setattr(opencl, "get_platforms", lambda: [Platform()])
    with pytest.raises(RuntimeError, match="no platform has a device: install"):
        torch.ones(2, device="opencl")
    assert "no platform has a device" in next(iter(device_lines()))


@pytest.mark.parametrize("name", ["opencl", DISCRETE])
def test_memory_runs_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call fails, the process goes on, and every tensor keeps its value."""
    device = stand_in(DISCRETE) if name == DISCRETE else find_device(name)
    x = torch.arange(1000.0, device=name)
    weight = torch.ones(5, device=name)
    torch.realize(x, weight)
    device.pool.release()
    make, limit = device.opencl.Buffer, 1 << 20

    def refuse(context: Any, flags: int, size: int = 0, hostbuf: Any = None) -> Any:
        if max(size, memoryview(hostbuf).nbytes if hostbuf is not None else 0) > limit:
            code = device.opencl.status_code.MEM_OBJECT_ALLOCATION_FAILURE
            raise device.opencl.MemoryError("create_buffer", code, "")
        return make(context, flags, size, hostbuf)

    weight.mul_(3)  # pending
    with monkeypatch.context() as patch:
        patch.setattr(device.opencl, "Buffer", refuse)
        big = x[:, None] * x
        with pytest.raises(torch.OutOfMemoryError, match=r"Tried to allocate 4.00 MiB.*capacity"):
            torch.realize(big)
        with pytest.raises(RuntimeError):
            torch.zeros(1 << 20).to(name)
        assert x.sum().item() == 499500 and weight.tolist() == [3] * 5
    assert issubclass(torch.cuda.OutOfMemoryError, RuntimeError)
    assert torch.OutOfMemoryError is OutOfMemoryError
    assert big[-1, -1].item() == 998001
    assert x.tolist() == list(range(1000))


def test_a_text_that_is_refused() -> None:
    source = KernelSource("wrong", "__kernel void KERNEL_NAME(__global int *x) {\n    x[0] = y;\n}")
    with pytest.raises(CompileError, match="undeclared identifier") as caught:
        programs.kernels_of([source], find_device("opencl"))
    place, line = str(caught.value).splitlines()[:2]
    path, number = place.split("refused generated code: ")[1].split(":")[:2]
    assert line.strip() == Path(path).read_text().splitlines()[int(number) - 1].strip()
    assert line.strip() == "x[0] = y;"


def test_a_driver_that_wants_its_own_declarations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are built with them from then on."""
    device = find_device("opencl")
    monkeypatch.setattr(device, "programs", {})
    monkeypatch.setattr(device, "bare_options", ["-D __kernel=no"])
    assert len(programs.kernels_of([BINARY], device)) == 1 and device.bare_options == []


def test_a_device_without_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_in(DISCRETE), "has_double", False)
    x = torch.ones(3, dtype=torch.float64, device=DISCRETE)
    with pytest.raises(UnsupportedTypeError, match="float64 is not supported on"):
        (x + 1).sum().item()


def test_a_device_that_computes_wrongly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is refused, now and in later processes; a sound one is tested once."""
    monkeypatch.setenv("LAZYTORCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(self_test, "_sound", set())
    device = find_device("opencl")
    tests = []

    def run(wrong: float) -> Any:
        def both(parameters: Any, outputs: Any, arrays: Any) -> Any:
            tests.append(len(outputs))
            values = [np.ones((2, 2), np.float32) for _ in outputs]
            return [v + np.float32(wrong) for v in values], values

        return both

    with pytest.raises(self_test.WrongDeviceError, match=r"exp gives .*2.0.* for .*1.0"):
        self_test.check_device(device, run(1))
    with pytest.raises(self_test.WrongDeviceError, match="computes wrongly"):
        self_test.check_device(device, run(0))
    (file,) = tmp_path.glob("lt-self-test-*")
    file.write_bytes(file.read_bytes()[:-1])  # damaged: tested again
    self_test.check_device(device, run(0))
    self_test._sound.clear()
    self_test.check_device(device, run(1))
    assert len(tests) == 2 and tests[0] >= 15


def test_binaries_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the driver keeps no programs, and whatever happens to the files."""
    monkeypatch.setenv("LAZYTORCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(programs, "is_pocl", lambda handle: False)
    device = find_device("opencl")

    def built() -> tuple[int, int]:
        torch.stats().reset()
        monkeypatch.setattr(device, "programs", {})  # as in another process
        (kernel,) = programs.kernels_of([BINARY], device)
        result = device.allocate(4)
        memory: Any = result.memory
        kernel.set_arg(0, memory.handle)
        device.opencl.enqueue_nd_range_kernel(device.queue, kernel, (1,), (1,)).wait()
        assert result.as_numpy(np.dtype(np.int32), (1,))[0] == 7
        return torch.stats().kernels_compiled, torch.stats().kernels_loaded

    assert built() == (1, 0)
    assert built() == (0, 1)
    (file,) = tmp_path.glob("lt-opencl-*")
    content = file.read_bytes()
    file.write_bytes(content[:-3])
    assert built() == (1, 0)
    cache.write_checked(file, b"not a program")
    assert built() == (1, 0)
    assert built() == (0, 1)


SCRIPT = """
import json, lazytorch as torch
x = torch.arange(12., device="opencl").reshape(3, 4)
y = (x @ x.T).softmax(1).sum() * 2.5
print(json.dumps([y.item(), torch.stats().plans_lowered, torch.stats().plans_loaded]))
"""


def test_a_second_process_lowers_nothing(tmp_path: Path) -> None:
    def run() -> Any:
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT),
            "LAZYTORCH_CACHE_DIR": str(tmp_path),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    first, second = run(), run()
    assert first[0] == second[0] == 7.5 and first[1] > 0
    assert second[1] == 0 and second[2] > 0
    for file in tmp_path.glob("lt-plan-*"):
        file.write_bytes(b"damaged")
    assert run()[0] == 7.5


def test_devices_are_listed() -> None:
    lines = list(device_lines())
    assert lines[0].startswith("opencl:0") and "GiB" in lines[0]
    assert isinstance(find_device("opencl"), Device)
