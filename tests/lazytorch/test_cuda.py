"""torch.cuda, without a GPU and with one: OpenCL's CPU device, called a GPU with its own memory."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator

import pytest

import lazytorch as torch
from codegen.runtime.opencl import Device, discovery, find_device
from lazytorch.device import _names

no_gpu = pytest.mark.skipif(bool(discovery.gpu_numbers()), reason="there is a GPU")
pytestmark = pytest.mark.host  # they say themselves where things are
NUMBER = 78


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """``cuda:0``."""
    try:
        handle = find_device("opencl").handle
    except RuntimeError as error:
        pytest.skip(str(error))
    if not made:  # once: plans know it
        made.append(Device(handle, NUMBER, on_host=False))
    monkeypatch.setitem(discovery._devices, NUMBER, made[0])
    monkeypatch.setattr(discovery, "gpu_numbers", lambda: [NUMBER])
    (torch.ones(2, device="cuda") + 1).tolist()  # the device's self-test is not in a test
    yield made[0]
    made[0].finish()
    _names.pop("cuda:0", None)


made: list[Device] = []


@no_gpu
def test_without_a_gpu() -> None:
    """What asks gives no; what needs one says that there is none, as either of PyTorch's errors."""
    cuda = torch.cuda
    assert not cuda.is_available() and cuda.device_count() == 0
    assert not cuda.is_initialized() and not cuda.is_bf16_supported()
    assert cuda.memory_allocated() == cuda.max_memory_allocated() == cuda.memory_reserved() == 0
    assert cuda.get_rng_state_all() == [] and cuda.memory_stats() == {}
    cuda.empty_cache()
    cuda.manual_seed_all(3)
    with cuda.stream(None), cuda.device_of(torch.ones(1)):
        pass
    needs = [
        lambda: torch.ones(2, device="cuda"), lambda: torch.ones(2).cuda(),
        lambda: torch.ones(2).to("cuda:1"), lambda: torch.nn.Linear(2, 2).cuda(),
        cuda.current_device, cuda.synchronize, lambda: cuda.get_device_name(0),
        cuda.get_device_properties, cuda.mem_get_info, cuda.current_stream, cuda.init,
    ]  # fmt: skip
    for kind in (AssertionError, RuntimeError):
        for needy in needs:
            with pytest.raises(kind, match="no GPU with an OpenCL driver was found"):
                needy()
    for make in (cuda.Event, cuda.Stream, torch.ones(2).pin_memory):
        with pytest.raises(RuntimeError):
            make()
    assert torch.ones(2).get_device() == -1 and not torch.ones(2).is_pinned()
    assert torch.accelerator.current_accelerator() is None
    assert not torch.accelerator.is_available() and torch.accelerator.device_count() == 0
    with torch.device("cuda"), pytest.raises(RuntimeError, match="no GPU"):
        torch.ones(2)


def test_devices_have_names(gpu: Device) -> None:
    x = torch.ones(2, 3, device="cuda")
    assert x.is_cuda and not x.is_cpu and x.get_device() == 0
    assert x.device == torch.device("cuda:0") == torch.device("cuda", 0) == torch.device(0)
    assert repr(x.device) == "device(type='cuda', index=0)" and str(x.device) == "cuda:0"
    assert torch.device("cuda") != x.device and hash(torch.device("cuda:0")) == hash(x.device)
    assert repr(x[0]) == "tensor([1., 1., 1.], device='cuda:0')"
    with torch.device("cuda"):
        assert torch.zeros(2).is_cuda and torch.tensor([1]).is_cuda
    torch.set_default_device("cuda")
    try:
        assert torch.rand(2).is_cuda
    finally:
        torch.set_default_device(None)
    assert torch.zeros(2).is_cpu
    with pytest.raises(RuntimeError, match=r"cuda:1.* is not available: 1 GPU"):
        torch.ones(1, device="cuda:1")
    with pytest.raises(RuntimeError, match="at least two devices, cuda:0 and cpu!"):
        x + torch.ones(2, 3)
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        x.numpy()
    cuda = torch.cuda
    assert cuda.is_available() and cuda.device_count() == 1 and cuda.current_device() == 0
    assert cuda.get_device_name() == cuda.get_device_properties("cuda").name == gpu.name
    assert cuda.get_device_capability() == (0, 0) and cuda.is_bf16_supported()
    with cuda.device(0), cuda.device_of(x), cuda.stream(cuda.Stream()):
        cuda.set_device("cuda:0")
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        cuda.set_device(3)
    assert torch.accelerator.current_accelerator() == torch.device("cuda")
    assert torch.ones(2).pin_memory().is_pinned()


def test_events_take_times(gpu: Device) -> None:
    begin, end = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    x = torch.ones(200, 200, device="cuda")
    begin.record()
    y = x @ x
    torch.realize(y)
    end.record(torch.cuda.current_stream())
    end.synchronize()
    assert begin.query() and end.query() and begin.elapsed_time(end) >= 0
    torch.cuda.current_stream().synchronize()
    assert torch.cuda.current_stream().query()


def test_memory_is_counted(gpu: Device) -> None:
    cuda = torch.cuda
    cuda.synchronize()
    cuda.reset_peak_memory_stats()
    before = cuda.memory_allocated()
    x = torch.ones(1 << 20, device="cuda")
    y = x * 2
    torch.realize(x, y)
    assert cuda.memory_allocated() == before + (8 << 20)
    del x
    assert cuda.memory_allocated() == before + (4 << 20) <= cuda.memory_reserved()
    del y
    assert cuda.memory_allocated() == before
    assert cuda.max_memory_allocated() >= before + (8 << 20)
    free, total = cuda.mem_get_info()
    assert 0 < free < total
    cuda.empty_cache()
    assert cuda.memory_reserved() < before + (4 << 20)


def test_a_network_and_its_optimizer_move(gpu: Device) -> None:
    """Values stay on the device: nothing is fetched but what is asked for."""
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    )
    reference = copy.deepcopy(model)
    model.cuda()
    assert all(p.is_cuda and p.is_leaf and p.requires_grad for p in model.parameters())
    data, labels = torch.randn(16, 1, 8, 8), torch.randint(0, 3, (16,))
    fetched = []
    fetch = gpu.fetch
    gpu.fetch = lambda *a: fetched.append(a[2]) or fetch(*a)  # type: ignore[method-assign,func-returns-value]
    try:
        losses = []
        for network in (model, reference):
            optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
            place = "cuda" if network is model else "cpu"
            for _ in range(4):
                x = data.pin_memory().to(place, non_blocking=True)
                loss = torch.nn.functional.cross_entropy(network(x), labels.to(place))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        assert fetched == [4]
    finally:
        del gpu.fetch
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "state": optimizer.state_dict()}, file)
    file.seek(0)
    loaded = torch.load(file)["model"]
    file.seek(0)
    on_cpu = torch.load(file, map_location="cpu")["model"]
    for name, value in model.state_dict().items():
        assert loaded[name].device == value.device and on_cpu[name].is_cpu
        assert torch.equal(loaded[name], value) and torch.equal(on_cpu[name], value.cpu())
    again = pickle.loads(pickle.dumps(model))
    assert next(again.parameters()).is_cuda
    model.cpu()
    assert all(p.is_cpu for p in model.parameters())
    reference.load_state_dict(on_cpu)


def test_the_same_numbers_from_the_same_seed(gpu: Device) -> None:
    torch.manual_seed(5)
    here = torch.randn(10)
    torch.cuda.manual_seed_all(5)
    assert torch.equal(torch.randn(10, device="cuda").cpu(), here)
    state = torch.cuda.get_rng_state()
    first = torch.rand(3, device="cuda").tolist()
    torch.cuda.set_rng_state(state)
    assert torch.rand(3, device="cuda").tolist() == first
