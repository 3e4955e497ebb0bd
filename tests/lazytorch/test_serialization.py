"""Checkpoints go to PyTorch and come from it, value for value; damaged ones are refused."""

from __future__ import annotations

import io
import os
import pickle
import sys
import types
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")
os.environ.setdefault("LT_DEV", "1")

from lazytorch import serialization  # noqa: E402

pytestmark = pytest.mark.pytorch

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool, torch.uint16, torch.uint32, torch.uint64,
    torch.complex64, torch.complex128,
]  # fmt: skip


def ours_to_theirs(item: Any, **options: Any) -> Any:
    file = io.BytesIO()
    serialization.save(item, file)
    file.seek(0)
    return torch.load(file, **options)


def theirs_to_ours(item: Any, **options: Any) -> Any:
    file = io.BytesIO()
    torch.save(item, file)
    file.seek(0)
    return serialization.load(file, **options)


def ours_to_ours(item: Any, **options: Any) -> Any:
    file = io.BytesIO()
    serialization.save(item, file)
    file.seek(0)
    return serialization.load(file, **options)


ways = pytest.mark.parametrize("travel", [ours_to_theirs, theirs_to_ours, ours_to_ours])


def archive_of(item: Any) -> bytes:
    file = io.BytesIO()
    serialization.save(item, file)
    return file.getvalue()


@ways
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_element_type(travel: Any, dtype: Any) -> None:
    for shape in [(), (0, 3), (2, 3)]:
        tensor = torch.arange(1, 7)[: max(1, np.prod(shape))].to(dtype)
        tensor = tensor.reshape(shape) if tensor.numel() == np.prod(shape) else tensor[:0]
        back = travel([tensor])[0]
        assert back.dtype == dtype and back.shape == tensor.shape
        assert torch.equal(back, tensor)


@ways
def test_views_share_one_storage(travel: Any) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    back = travel({"whole": whole, "turned": whole.T, "part": whole[1:, ::2]})
    assert back["turned"].stride() == (1, 4) and back["part"].storage_offset() == 4
    back["whole"][1, 0] = 100
    assert back["part"][0, 0] == 100 and back["turned"][0, 1] == 100


@ways
def test_the_same_tensor_twice_is_one_object(travel: Any) -> None:
    tensor = torch.ones(2)
    first, second = travel([tensor, tensor])
    assert first is second


@ways
def test_containers_and_plain_values(travel: Any) -> None:
    item = {
        "list": [1, 2.5, None, True, "text", b"bytes", 10**30, 1 + 2j],
        "nested": {"tuple": (1, (2,)), "set": {1, 2}, "bytearray": bytearray(b"ab")},
        "size": torch.Size([2, 3]),
        "dtype": torch.bfloat16,
        "devices": [torch.device("cpu"), torch.device("cuda", 1)],
        "layout": torch.strided,
        "counter": Counter("aab"),
    }
    back = travel(item)
    assert back == item
    assert type(back["size"]) is torch.Size


@ways
def test_gradients_flags_and_parameters(travel: Any) -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.note = "kept"
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    wanted = torch.ones(3, requires_grad=True)
    wanted.label = 3
    back = travel([parameter, frozen, wanted, wanted * 2])
    assert [type(item) for item in back[:2]] == [torch.nn.Parameter] * 2
    assert [item.requires_grad for item in back] == [True, False, True, True]
    assert back[0].note == "kept" and back[2].label == 3


@ways
def test_state_dicts_of_modules_and_optimizers(travel: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    back = travel({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    assert type(back["model"]) is OrderedDict
    assert back["model"]._metadata == model.state_dict()._metadata
    for name, value in model.state_dict().items():
        assert torch.equal(back["model"][name], value)
    optimizer.load_state_dict(back["optimizer"])


def test_records_are_laid_out_as_pytorch_does(tmp_path: Path) -> None:
    item = {"a": torch.ones(3), "b": torch.arange(10)[2:6:2]}
    listings = []
    for writer in (serialization.save, torch.save):
        path = tmp_path / "some.name.pt"
        writer(item, path)
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
    serialization.save({"a": torch.arange(5.0)}, str(path))
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
        serialization.save([torch.ones(2), lambda: None], path)
    assert serialization.load(path) == [1]
    serialization.save([2], path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.pt"]
    with pytest.raises(RuntimeError, match=r"Parent directory .* does not exist"):
        serialization.save([1], tmp_path / "missing" / "weights.pt")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_other_pickle_protocols(protocol: int) -> None:
    file = io.BytesIO()
    item = {"a": torch.ones(2), "s": {1}, "d": torch.float16, "f": frozenset([1])}
    serialization.save(item, file, pickle_protocol=protocol)
    file.seek(0)
    assert torch.load(file, weights_only=False)["d"] is torch.float16
    file.seek(0)
    assert serialization.load(file, weights_only=False)["a"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "place", ["cpu", torch.device("cpu"), {"cuda:0": "cpu"}, lambda s, where: s, lambda s, w: None]
)
def test_map_location(place: Any) -> None:
    assert ours_to_ours([torch.ones(2)], map_location=place)[0].tolist() == [1, 1]


def test_unknown_locations_are_refused() -> None:
    with pytest.raises(RuntimeError, match="don't know how to restore data location"):
        ours_to_ours([torch.ones(2)], map_location="elsewhere")


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
    whole = archive_of({"a": torch.arange(1000.0)})
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


def test_old_format_is_named() -> None:
    file = io.BytesIO()
    torch.save([torch.ones(2)], file, _use_new_zipfile_serialization=False)
    file.seek(0)
    with pytest.raises(RuntimeError, match=r"before PyTorch 1\.6"):
        serialization.load(file)


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


def test_views_of_two_types_are_refused() -> None:
    tensor = torch.ones(4)
    with pytest.raises(RuntimeError, match="Cannot save multiple tensors or storages"):
        archive_of([tensor, tensor.view(torch.int32)])


@pytest.fixture
def own_linear(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class of ours that stands where PyTorch's Linear does."""

    class Linear:
        """Takes any state."""

    name = "lazytorch.nn.modules.linear"
    Linear.__module__, Linear.__qualname__ = name, "Linear"
    for index in range(2, name.count(".") + 2):
        part = ".".join(name.split(".")[:index])
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    monkeypatch.setattr(sys.modules[name], "Linear", Linear, raising=False)
    return Linear


def test_whole_modules_change_their_class(own_linear: Any) -> None:
    theirs = torch.nn.Linear(2, 3)
    ours = theirs_to_ours(theirs, weights_only=False)
    assert type(ours) is own_linear
    assert torch.equal(ours._parameters["weight"], theirs.weight)
    back = ours_to_theirs(ours, weights_only=False)
    assert type(back) is torch.nn.Linear
    inputs = torch.randn(4, 2)
    assert torch.equal(back(inputs), theirs(inputs))
    with serialization.safe_globals([own_linear]):
        assert type(theirs_to_ours(theirs)) is own_linear


def test_classes_we_lack_are_named() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"needs torch\.nn\.modules\.linear\.Linear"):
        theirs_to_ours(torch.nn.Linear(2, 3), weights_only=False)
