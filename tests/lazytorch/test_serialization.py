"""Checkpoints go to PyTorch and come from it, value for value; damaged ones are refused."""

from __future__ import annotations

import functools
import io
import os
import pickle
import sys
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazytorch
from lazytorch import _archive, serialization

torch = pytest.importorskip("torch", reason="needs real PyTorch")
pytestmark = [pytest.mark.pytorch, pytest.mark.host]

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
    "complex64", "complex128",
]  # fmt: skip
LACKED = ["complex32", "float8_e5m2"]


class Way:
    """A way from one library's objects to another's, through a file."""

    def __init__(self, giver: Any, taker: Any) -> None:
        self.giver, self.taker = giver, taker

    def __call__(self, item: Any, **options: Any) -> Any:
        file = io.BytesIO()
        self.giver.save(item, file)
        file.seek(0)
        return self.taker.load(file, **options)


ours_to_theirs = Way(lazytorch, torch)
theirs_to_ours = Way(torch, lazytorch)
ours_to_ours = Way(lazytorch, lazytorch)
ways = pytest.mark.parametrize(
    "travel",
    [ours_to_theirs, theirs_to_ours, ours_to_ours],
    ids=["ours to theirs", "theirs to ours", "ours to ours"],
)


def archive_of(item: Any) -> bytes:
    file = io.BytesIO()
    serialization.save(item, file)
    return file.getvalue()


@ways
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_type(travel: Any, dtype: str) -> None:
    for shape in [(), (0, 3), (2, 3)]:
        numbers = np.arange(1, 7)[: int(np.prod(shape))].reshape(shape).tolist()
        tensor = travel.giver.tensor(numbers, dtype=getattr(travel.giver, dtype)).reshape(shape)
        back = travel([tensor])[0]
        assert isinstance(back, travel.taker.Tensor)
        assert back.dtype == getattr(travel.taker, dtype)
        assert tuple(back.shape) == shape
        assert back.tolist() == tensor.tolist()


@pytest.mark.parametrize("dtype", LACKED)
def test_element_types_that_we_lack_are_refused(dtype: str) -> None:
    with pytest.raises((RuntimeError, AttributeError, pickle.UnpicklingError), match=dtype):
        theirs_to_ours([torch.zeros(2, dtype=getattr(torch, dtype))])


@ways
def test_views_share_one_storage(travel: Any) -> None:
    whole = travel.giver.arange(12.0).reshape(3, 4)
    back = travel({"whole": whole, "turned": whole.T, "part": whole[1:, ::2]})
    assert back["turned"].stride() == (1, 4) and back["part"].storage_offset() == 4
    back["whole"][1, 0] = 100
    assert back["part"][0, 0].item() == 100 and back["turned"][0, 1].item() == 100


@ways
def test_the_same_tensor_twice_is_one_object(travel: Any) -> None:
    tensor = travel.giver.ones(2)
    first, second = travel([tensor, tensor])
    assert first is second


def containers(module: Any) -> dict[str, Any]:
    return {
        "list": [1, 2.5, None, True, "text", b"bytes", 10**30, 1 + 2j],
        "nested": {"tuple": (1, (2,)), "set": {1, 2}, "bytearray": bytearray(b"ab")},
        "size": module.Size([2, 3]),
        "dtype": module.bfloat16,
        "devices": [module.device("cpu"), module.device("cuda", 1)],
        "layout": module.strided,
        "counter": Counter("aab"),
    }


@ways
def test_containers_and_plain_values(travel: Any) -> None:
    back = travel(containers(travel.giver))
    assert back == containers(travel.taker)
    assert type(back["size"]) is travel.taker.Size


@ways
def test_gradients_flags_and_parameters(travel: Any) -> None:
    module = travel.giver
    parameter = module.nn.Parameter(module.ones(2))
    parameter.note = "kept"
    frozen = module.nn.Parameter(module.ones(2), requires_grad=False)
    wanted = module.ones(3, requires_grad=True)
    wanted.label = 3
    back = travel([parameter, frozen, wanted, wanted * 2])
    assert [type(item) for item in back[:2]] == [travel.taker.nn.Parameter] * 2
    assert [item.requires_grad for item in back] == [True, False, True, True]
    assert back[0].note == "kept" and back[2].label == 3


@ways
def test_state_dicts_of_modules_and_optimizers(travel: Any) -> None:
    def make(module: Any) -> tuple[Any, Any]:
        layers = module.nn.Linear(3, 4, bias=False), module.nn.BatchNorm1d(4)
        model = module.nn.Sequential(*layers)
        return model, module.optim.Adam(model.parameters(), lr=0.1)

    def train(module: Any, model: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        inputs, weights = module.arange(15.0).sin(), module.arange(20.0).cos()
        (model(inputs.reshape(5, 3)) * weights.reshape(5, 4)).sum().backward()
        optimizer.step()

    model, optimizer = make(travel.giver)
    train(travel.giver, model, optimizer)
    back = travel({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    assert type(back["model"]) is OrderedDict
    assert back["model"]._metadata == model.state_dict()._metadata
    twin, twin_optimizer = make(travel.taker)
    twin.load_state_dict(back["model"])
    twin_optimizer.load_state_dict(back["optimizer"])
    train(travel.giver, model, optimizer)
    train(travel.taker, twin, twin_optimizer)
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(
            twin.state_dict()[name].numpy(), value.numpy(), rtol=1e-4, atol=1e-5
        )


def test_records_are_laid_out_as_pytorch_does(tmp_path: Path) -> None:
    listings = []
    for module in (lazytorch, torch):
        path = tmp_path / "some.name.pt"
        module.save({"a": module.ones(3), "b": module.arange(10)[2:6:2]}, path)
        with zipfile.ZipFile(path) as archive, open(path, "rb") as raw:
            assert archive.testzip() is None
            infos = archive.infolist()
            for info in infos:
                raw.seek(info.header_offset + 26)
                lengths = int.from_bytes(raw.read(2), "little") + int.from_bytes(
                    raw.read(2), "little"
                )
                assert (info.header_offset + 30 + lengths) % 64 == 0
            listings.append(
                [
                    (info.filename, info.file_size, archive.read(info))
                    for info in infos
                    if "serialization_id" not in info.filename
                ]
            )
    assert listings[0] == listings[1]


@pytest.mark.parametrize("mapped", [False, True])
def test_paths_and_mapped_files(tmp_path: Path, mapped: bool) -> None:
    path = tmp_path / "weights.pt"
    serialization.save({"a": lazytorch.arange(5.0)}, str(path))
    for load in (serialization.load, torch.load):
        back = load(path, mmap=mapped)["a"]
        back += 1
        assert back.tolist() == [1, 2, 3, 4, 5]
    assert serialization.load(path)["a"].tolist() == [0, 1, 2, 3, 4]
    with open(path, "rb") as file:
        assert serialization.load(file)["a"].tolist() == [0, 1, 2, 3, 4]


def test_saving_to_a_path_is_atomic(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    serialization.save([1], path)
    path.chmod(0o640)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        serialization.save([lazytorch.ones(2), lambda: None], path)
    assert serialization.load(path) == [1]
    serialization.save([2], path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.pt"]
    with pytest.raises(RuntimeError, match=r"Parent directory .* does not exist"):
        serialization.save([1], tmp_path / "missing" / "weights.pt")


class FullDisk:
    """A file that takes so many bytes and no more, or fails as it is flushed or closed."""

    def __init__(self, file: Any, space: int) -> None:
        self.file, self.space = file, space

    @classmethod
    def opened(cls, space: int, path: Path, mode: str) -> FullDisk:
        return cls(open(path, mode), space)

    def write(self, data: Any) -> int:
        taken = memoryview(data).cast("B")[: self.space]
        self.space -= self.file.write(taken)
        if len(taken) < memoryview(data).nbytes:
            self.file.flush()
            raise OSError(28, "No space left on device")
        return len(taken)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: Any) -> None:
        self.file.close()


def test_a_save_that_fails_at_any_byte_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pt"
    old, new = {"w": lazytorch.arange(40.0)}, {"w": lazytorch.ones(40), "n": 3}
    serialization.save(new, path)
    size = path.stat().st_size
    serialization.save(old, path)
    before = path.read_bytes()
    for space in range(size):
        with monkeypatch.context() as patch:
            full = functools.partial(FullDisk.opened, space)
            patch.setattr(_archive, "open", full, raising=False)
            with pytest.raises(OSError, match="No space left"):
                serialization.save(new, path)
        assert path.read_bytes() == before
    for function in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, lambda *_: (_ for _ in ()).throw(OSError("broken")))
            with pytest.raises(OSError, match="broken"):
                serialization.save(new, path)
        assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.pt"]
    assert torch.load(path)["w"].equal(torch.arange(40.0))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_other_pickle_protocols(protocol: int) -> None:
    file = io.BytesIO()
    item = {"a": lazytorch.ones(2), "s": {1}, "d": lazytorch.float16, "f": frozenset([1])}
    serialization.save(item, file, pickle_protocol=protocol)
    file.seek(0)
    assert torch.load(file, weights_only=False)["d"] is torch.float16
    file.seek(0)
    assert serialization.load(file, weights_only=False)["a"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "place",
    ["cpu", lazytorch.device("cpu"), {"cuda:0": "cpu"}, lambda s, where: s, lambda s, w: None],
)
def test_map_location(place: Any) -> None:
    assert ours_to_ours([lazytorch.ones(2)], map_location=place)[0].tolist() == [1, 1]


def test_unknown_locations_are_refused() -> None:
    with pytest.raises(RuntimeError, match="don't know how to restore data location"):
        ours_to_ours([lazytorch.ones(2)], map_location="elsewhere")


class Harmless:
    def __init__(self) -> None:
        self.value = 1


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/lazytorch_was_here",)


@pytest.mark.parametrize("item", [Harmless(), Evil(), range(3), int, np.ones(2), frozenset([1])])
def test_weights_only_refuses_other_names(item: Any) -> None:
    with pytest.raises(pickle.UnpicklingError, match="was not an allowed global by default") as got:
        theirs_to_ours([item])
    with pytest.raises(pickle.UnpicklingError) as wanted:
        ours_to_theirs([item])
    if not isinstance(item, (np.ndarray, Evil)):
        assert str(got.value) == str(wanted.value)


def test_weights_only_takes_what_the_user_allows() -> None:
    with serialization.safe_globals([Harmless]):
        assert serialization.get_safe_globals() == [Harmless]
        assert theirs_to_ours(Harmless()).value == 1
    assert serialization.get_safe_globals() == []
    assert theirs_to_ours(Harmless(), weights_only=False).value == 1


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # a call of a name that is not listed
        b"\x80\x02ccollections\nOrderedDict\n}X\x03\x00\x00\x00fooK\x01sb.",  # state for a class
        b"\x80\x02X\x01\x00\x00\x00a)R.",  # a call of a value
        b"\x80\x02ctorch\nTensor\nK\x01a.",  # append to a class
        b"\x80\x02\x82\x01.",  # the extension registry
        b"\x80\x02]K\x01K\x02s.",  # items of a list
        b"hello",
        b"\x80\x02}",
    ],
)
def test_weights_only_refuses_crafted_pickles(program: bytes) -> None:
    source = archive_of([1])
    crafted = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(source)) as old, zipfile.ZipFile(crafted, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, program if "data.pkl" in info.filename else old.read(info))
    crafted.seek(0)
    with pytest.raises((pickle.UnpicklingError, EOFError)):
        serialization.load(crafted)


def test_damaged_files_are_refused() -> None:
    whole = archive_of({"a": lazytorch.arange(1000.0)})
    for length in range(1, len(whole), 97):
        with pytest.raises((RuntimeError, pickle.UnpicklingError)):
            serialization.load(io.BytesIO(whole[:length]))
    position = whole.index(torch.arange(1000.0).numpy().tobytes()) + 100
    flipped = whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
    with pytest.raises(RuntimeError, match="bad checksum of file data/0"):
        serialization.load(io.BytesIO(flipped))
    with pytest.raises(pickle.UnpicklingError, match="not a PyTorch checkpoint"):
        serialization.load(io.BytesIO(b"<html>not found</html>"))
    with pytest.raises(EOFError):
        serialization.load(io.BytesIO(b""))


def old_file(item: Any) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(item, file, _use_new_zipfile_serialization=False)
    file.seek(0)
    return file


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_old_format(dtype: str, weights_only: bool) -> None:
    whole = torch.arange(12).to(getattr(torch, dtype)).reshape(3, 4)
    layer = torch.nn.Linear(2, 3)
    item = OrderedDict(
        whole=whole, view=whole.T[1:], empty=whole[:0], one=whole[0, 1], state=layer.state_dict(),
        parameter=layer.weight, number=3, text="ä",
    )  # fmt: skip
    found = serialization.load(old_file(item), weights_only=weights_only)
    for name in ("whole", "view", "empty", "one"):
        assert found[name].tolist() == item[name].tolist(), name
        assert str(found[name].dtype) == f"torch.{dtype}"
        assert found[name].stride() == item[name].stride()
    found["whole"][1, 2] = 1
    assert found["view"][1, 1].item() == 1
    assert found["state"]["bias"].tolist() == layer.bias.tolist()
    assert isinstance(found["parameter"], lazytorch.nn.Parameter)
    assert found["parameter"].tolist() == layer.weight.tolist()
    assert (found["number"], found["text"]) == (3, "ä")


def test_damaged_files_of_the_old_format_are_refused(tmp_path: Path) -> None:
    whole = old_file({"a": torch.arange(100.0), "b": torch.arange(5)}).getvalue()
    for length in range(1, len(whole), 31):
        with pytest.raises((RuntimeError, pickle.UnpicklingError)):
            serialization.load(io.BytesIO(whole[:length]))
    size = (100).to_bytes(8, "little")
    with pytest.raises(RuntimeError, match="wrong byte size"):
        serialization.load(io.BytesIO(whole.replace(size, (101).to_bytes(8, "little"))))
    with pytest.raises(pickle.UnpicklingError, match="allowed global"):
        serialization.load(old_file([Path("x")]))
    (tmp_path / "old.pt").write_bytes(whole)
    with pytest.raises(RuntimeError, match="mmap can only be used"):
        serialization.load(tmp_path / "old.pt", mmap=True)


OPTIMIZERS = [
    n for n in lazytorch.optim.__all__
    if isinstance(getattr(lazytorch.optim, n), type) and n not in ("Optimizer", "SparseAdam")
]  # fmt: skip


@pytest.mark.parametrize("travel", [ours_to_theirs, theirs_to_ours])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_states_of_every_optimizer(travel: Any, name: str) -> None:
    def make(module: Any) -> tuple[Any, Any]:
        p = module.nn.Parameter(module.arange(6.0).reshape(2, 3).sin())
        return p, getattr(module.optim, name)([p], lr=0.1)

    def step(module: Any, p: Any, optimizer: Any) -> None:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = ((p - 1) ** 4 * module.arange(1.0, 4.0)).sum()
            loss.backward()
            return loss

        optimizer.step(closure)

    p, optimizer = make(travel.giver)
    step(travel.giver, p, optimizer)
    back = travel({"p": p, "optimizer": optimizer.state_dict()})
    q, twin = make(travel.taker)
    with travel.taker.no_grad():
        q.copy_(back["p"])
    twin.load_state_dict(back["optimizer"])
    step(travel.giver, p, optimizer)
    step(travel.taker, q, twin)
    np.testing.assert_allclose(
        q.detach().numpy(), p.detach().numpy(), atol=5e-3 if name == "Muon" else 1e-4
    )


def test_safetensors(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    from safetensors.torch import load_file, save_file

    path = tmp_path / "x.safetensors"
    for dtype in [d for d in DTYPES if d != "complex128"]:  # which the format lacks
        made = torch.arange(6).to(getattr(torch, dtype)).reshape(2, 3)
        theirs = {"whole": made, "turned": made.T.contiguous(), "none": made[:0], "one": made[0, 1]}
        save_file({k: v.clone() for k, v in theirs.items()}, path, metadata={"format": "pt"})
        found = lazytorch.load_safetensors(path)
        assert {k: v.tolist() for k, v in found.items()} == {
            k: v.tolist() for k, v in theirs.items()
        }
        assert {str(v.dtype) for v in found.values()} == {f"torch.{dtype}"}
        lazytorch.save_safetensors({**found, "view": found["whole"].T}, path, {"made": "here"})
        again = load_file(path)
        assert again["whole"].dtype is made.dtype
        assert again["view"].tolist() == made.T.tolist()
    layer = lazytorch.nn.Linear(2, 3)
    lazytorch.save_safetensors(layer.state_dict(), path)
    lazytorch.nn.Linear(2, 3).load_state_dict(lazytorch.load_safetensors(path))
    content = path.read_bytes()
    for length in (0, 5, 60, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(RuntimeError, match="damaged"):
            lazytorch.load_safetensors(path)
    path.write_bytes(content)
    with pytest.raises(TypeError, match="dict of str to Tensor"):
        lazytorch.save_safetensors({"a": 1}, path)  # type: ignore[dict-item]
    assert path.read_bytes() == content


def test_safetensors_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match="pip install safetensors"):
        lazytorch.load_safetensors("x")


def test_files_without_checksums_load() -> None:
    torch.serialization.set_crc32_options(False)
    try:
        assert theirs_to_ours([torch.ones(2)])[0].tolist() == [1, 1]
    finally:
        torch.serialization.set_crc32_options(True)


def test_arguments_are_checked_as_in_pytorch() -> None:
    for save in (serialization.save, torch.save):
        with pytest.raises(AttributeError, match="expected 'f' to be string, path"):
            save([1], 3)
    for load in (serialization.load, torch.load):
        with pytest.raises(AttributeError, match="You can only"):
            load(3)
        with pytest.raises(RuntimeError, match="Can not safely load weights"):
            load(io.BytesIO(archive_of([1])), pickle_module=pickle, weights_only=True)
        with pytest.raises(ValueError, match="must be a file path"):
            load(io.BytesIO(archive_of([1])), mmap=True)


def test_whole_modules_change_their_class() -> None:
    theirs = torch.nn.Linear(2, 3)
    ours = theirs_to_ours(theirs, weights_only=False)
    assert type(ours) is lazytorch.nn.Linear
    assert ours.weight.tolist() == theirs.weight.tolist()
    back = ours_to_theirs(ours, weights_only=False)
    assert type(back) is torch.nn.Linear
    inputs = torch.randn(4, 2)
    assert torch.equal(back(inputs), theirs(inputs))
    with serialization.safe_globals([lazytorch.nn.Linear]):
        assert type(theirs_to_ours(theirs)) is lazytorch.nn.Linear


@pytest.mark.filterwarnings("ignore")
def test_whole_modules_of_many_kinds() -> None:
    def make(module: Any) -> dict[str, Any]:
        n = module.nn
        layer = n.TransformerEncoderLayer(4, 2, 6, activation=n.functional.gelu)
        average = module.optim.swa_utils.AveragedModel(n.Linear(2, 3))
        return {
            "encoder": n.TransformerEncoder(layer, 1), "lazy": n.LazyLinear(3),
            "lazy norm": n.LazyBatchNorm2d(), "adaptive": n.AdaptiveLogSoftmaxWithLoss(4, 6, [2]),
            "loss": n.LinearCrossEntropyLoss(2, 3, options=n.LinearCrossEntropyOptions()),
            "hook": n.utils.weight_norm(n.Linear(2, 3)), "sync": n.SyncBatchNorm(3),
            "spectral": n.utils.spectral_norm(n.Linear(2, 3)), "average": average,
            "parallel": n.DataParallel(n.EmbeddingBag(3, 2)),
        }  # fmt: skip

    for travel in (ours_to_theirs, theirs_to_ours):
        given, home = make(travel.giver), make(travel.taker)
        taken = travel(given, weights_only=False)
        for name, module in taken.items():
            assert type(module) is type(home[name]), name
            assert repr(module) == repr(home[name])
        x = travel.taker.ones(3, 2, 4)
        taken["encoder"].eval()(x)
        assert taken["lazy"](x).shape == (3, 2, 3)


@pytest.mark.filterwarnings("ignore:.*Container:FutureWarning")
def test_classes_we_lack_are_named() -> None:
    theirs = torch.nn.Container()  # deprecated there, so it will not come here
    with pytest.raises(pickle.UnpicklingError, match=r"needs torch\.nn\.modules\..*Container"):
        theirs_to_ours(theirs, weights_only=False)
