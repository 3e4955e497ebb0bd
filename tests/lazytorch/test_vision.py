"""Datasets from files made here, transforms and models against what PyTorch computes."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as theirs
from torch.nn import functional as theirs_F

import lazytorch as torch
from lazytorch import hub
from lazytorch.vision import datasets, io, models, ops, transforms, utils
from lazytorch.vision.datasets import cifar
from lazytorch.vision.datasets.mnist import read_idx
from lazytorch.vision.models import _weights_table as table
from lazytorch.vision.transforms import functional as F
from lazytorch.vision.transforms import v2

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.host
RNG = np.random.default_rng(7)
IMAGE = RNG.integers(0, 256, (3, 20, 30), np.uint8)


# ---------------------------------------------------------------------------- datasets


def write_idx(path: Path, array: np.ndarray[Any, Any], packed: bool) -> None:
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_read_from_its_files(tmp_path: Path, packed: bool) -> None:
    images = RNG.integers(0, 256, (5, 28, 28), np.uint8)
    labels = np.array([3, 1, 4, 1, 5], np.uint8)
    for kind in (datasets.MNIST, datasets.FashionMNIST):
        raw = tmp_path / kind.__name__ / "raw"
        write_idx(raw / "t10k-images-idx3-ubyte", images, packed)
        write_idx(raw / "t10k-labels-idx1-ubyte", labels, packed)
        found = kind(tmp_path, train=False, transform=transforms.ToTensor())
        assert len(found) == 5 and found.targets.tolist() == labels.tolist()
        image, label = found[2]
        assert label == 4 and isinstance(label, int) and image.shape == (1, 28, 28)
        assert np.array_equal(image.numpy(), images[2][None].astype(np.float32) / 255)
        loader = torch.utils.data.DataLoader(found, batch_size=5)
        (batch,) = loader
        assert batch[0].shape == (5, 1, 28, 28) and batch[1].tolist() == labels.tolist()
    lines = [f"Root location: {tmp_path}", "Split: Test", "StandardTransform"]
    lines = ["Number of datapoints: 5", *lines, "Transform: ToTensor()"]
    assert repr(found).splitlines() == [
        "Dataset FashionMNIST",
        *["    " + line for line in lines[:4]],
        lines[4],
    ]
    with pytest.raises(RuntimeError, match="Dataset not found"):
        datasets.MNIST(tmp_path, train=True)


def test_damaged_idx_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_idx(path, RNG.integers(0, 256, (2, 3, 4), np.uint8), False)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(RuntimeError, match="damaged"):
            read_idx(path)
    path.write_bytes(gzip.compress(whole)[:-9])
    with pytest.raises(RuntimeError, match="damaged"):
        read_idx(path)


def make_cifar(root: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray[Any, Any]:
    """CIFAR-10 with three images a file, and its checksums in the place of the published."""
    folder = root / cifar.CIFAR10.base_folder
    folder.mkdir()
    pixels = RNG.integers(0, 256, (6, 3, 3072), np.uint8)

    def written(name: str, content: Any) -> str:
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    files = [
        (name, written(name, {"data": rows, "labels": [i, 1, 2]}))
        for i, (name, rows) in enumerate(
            zip(
                [n for n, _ in (*cifar.CIFAR10.train_list, *cifar.CIFAR10.test_list)],
                pixels,
                strict=True,
            )
        )
    ]
    meta = written("batches.meta", {"label_names": [f"class {i}" for i in range(10)]})
    monkeypatch.setattr(cifar.CIFAR10, "train_list", files[:5])
    monkeypatch.setattr(cifar.CIFAR10, "test_list", files[5:])
    monkeypatch.setattr(cifar.CIFAR10, "meta", {**cifar.CIFAR10.meta, "md5": meta})
    return pixels


def test_cifar_is_read_from_its_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = make_cifar(tmp_path, monkeypatch)
    found = datasets.CIFAR10(str(tmp_path), target_transform=lambda label: -label)
    assert found.data.shape == (15, 32, 32, 3) and found.targets[:6] == [0, 1, 2, 1, 1, 2]
    image, label = found[4]
    assert image.mode == "RGB" and label == -1 and found.classes[3] == "class 3"
    assert np.array_equal(np.asarray(image).transpose(2, 0, 1).reshape(-1), pixels[1, 1])
    assert len(datasets.CIFAR10(tmp_path, train=False)) == 3
    (tmp_path / found.base_folder / "test_batch").write_bytes(b"other")
    with pytest.raises(RuntimeError, match="not found or corrupted"):
        datasets.CIFAR10(tmp_path)


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


def test_a_pickle_of_cifar_calls_nothing(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": Evil()}))
    with pytest.raises(pickle.UnpicklingError, match=r"asks for \w+.system"):
        cifar._read(str(path))


def test_folders_of_images(tmp_path: Path) -> None:
    for name in ("dog/b.png", "dog/deep/a.PNG", "cat/c.png", "cat/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no image")
        else:
            Image.fromarray(IMAGE.transpose(1, 2, 0)).save(path)
    found = datasets.ImageFolder(tmp_path, transform=transforms.PILToTensor())
    assert found.classes == ["cat", "dog"] and found.targets == [0, 1, 1]
    assert np.array_equal(found[2][0].numpy(), IMAGE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no valid file for the classes empty"):
        datasets.ImageFolder(tmp_path)
    assert len(datasets.ImageFolder(tmp_path, allow_empty=True).classes) == 3


def test_fake_data_is_the_same_again() -> None:
    data = datasets.FakeData(10, (3, 8, 9), 4, transform=transforms.ToTensor())
    assert data[3][0].equal(data[3][0]) and not data[3][0].equal(data[4][0])
    assert data[3][0].shape == (3, 8, 9) and 0 <= data[3][1] < 4
    with pytest.raises(IndexError):
        data[10]


# ---------------------------------------------------------------------------- fetching


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine, of the files in a folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    served = tmp_path / "served"
    served.mkdir()
    made = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(served))
    )
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}", served
    made.shutdown()
    thread.join()
    made.server_close()


def test_downloads_are_checked_and_whole_or_absent(
    server: tuple[str, Path], tmp_path: Path
) -> None:
    address, served = server
    (served / "data.bin").write_bytes(b"published")
    md5 = hashlib.md5(b"published").hexdigest()
    datasets.utils.download_url(f"{address}/data.bin", tmp_path / "new", md5=md5)
    target = tmp_path / "new" / "data.bin"
    assert target.read_bytes() == b"published"
    target.write_bytes(b"spoiled")
    with pytest.raises(RuntimeError, match="corrupted"):
        datasets.utils.download_url(f"{address}/data.bin", tmp_path / "new", md5="0" * 32)
    assert os.listdir(tmp_path / "new") == ["data.bin"] and target.read_bytes() == b"spoiled"
    with pytest.raises(RuntimeError, match=r"(?s)could not be fetched.*put the file at"):
        datasets.utils.download_url("http://127.0.0.1:9/none.bin", tmp_path / "new")


def test_published_weights_load_once(
    server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, served = server
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    theirs.manual_seed(0)
    made = theirs.nn.Sequential(theirs.nn.Linear(2, 3))
    theirs.save(made.state_dict(), served / "plain.pth")
    digest = hashlib.sha256((served / "plain.pth").read_bytes()).hexdigest()
    name = f"net-{digest[:8]}.pth"
    (served / "plain.pth").rename(served / name)
    state = hub.load_state_dict_from_url(f"{address}/{name}", check_hash=True, progress=False)
    assert np.array_equal(state["0.weight"].numpy(), made[0].weight.detach().numpy())
    (served / name).rename(served / "net-01234567.pth")  # No longer at its address: it is kept.
    assert hub.load_state_dict_from_url(f"{address}/{name}")["0.bias"].shape == (3,)
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.load_state_dict_from_url(f"{address}/net-01234567.pth", check_hash=True)
    assert os.listdir(tmp_path / "home" / "hub" / "checkpoints") == [name]


def test_weights_are_chosen_and_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = models.squeezenet1_1(weights=None)
    kind = models.SqueezeNet1_1_Weights
    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", lambda *_, **__: source.state_dict())
    for chosen in (kind.DEFAULT, "DEFAULT", "IMAGENET1K_V1"):
        model = models.get_model("squeezenet1_1", weights=chosen)
        assert model.classifier[1].weight.equal(source.classifier[1].weight)
    with pytest.warns(UserWarning, match="deprecated"):
        models.squeezenet1_1(pretrained=True)
    with pytest.raises(ValueError, match="num_classes"):
        models.squeezenet1_1(weights="DEFAULT", num_classes=3)
    with pytest.raises(TypeError, match="expected SqueezeNet1_1_Weights"):
        models.squeezenet1_1(weights=models.ResNet18_Weights.DEFAULT)
    assert repr(models.ResNet50_Weights.DEFAULT) == "ResNet50_Weights.IMAGENET1K_V2"
    assert models.get_weight("VGG16_Weights.IMAGENET1K_V1").meta["categories"][:1] == ["tench"]
    prepared = models.ResNet50_Weights.DEFAULT.transforms()(torch.from_numpy(IMAGE))
    assert prepared.shape == (3, 224, 224)


# ---------------------------------------------------------------------------- models

NAMES = sorted(set(models.list_models()))
# Those whose parameters fill a gigabyte or need seconds to draw; their shapes follow from others'.
LARGE = (
    "resnet101", "convnext_small", "vit_l", "vit_h", "vit_b_16", "convnext_l", "convnext_b",
    "efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "efficientnet_v2_l",
    "efficientnet_v2_m", "vgg", "wide", "resnext101", "resnet152", "densenet161", "densenet201",
)  # fmt: skip


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith(LARGE)])
def test_models_have_as_many_parameters_as_published(name: str) -> None:
    rows = table.WEIGHTS[models.get_model_weights(name).__name__]
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    model = models.get_model(name, **options)
    assert sum([p.numel() for p in model.parameters()]) == rows[0][2]
    assert models.get_model_builder(name) is pickle.loads(pickle.dumps(getattr(models, name)))


def same_in_pytorch(state: dict[str, Any]) -> dict[str, Any]:
    return {key: theirs.from_numpy(value.numpy(force=True).copy()) for key, value in state.items()}


def test_resnet18_is_the_published_network() -> None:
    model = models.resnet18(num_classes=7)
    state = model.state_dict()
    assert list(state)[:3] == ["conv1.weight", "bn1.weight", "bn1.bias"]
    assert list(state)[-2:] == ["fc.weight", "fc.bias"] and len(state) == 122
    weights = same_in_pytorch(state)
    x = theirs.from_numpy(RNG.standard_normal((2, 3, 64, 64), np.float32))

    def normalized(y: Any, name: str) -> Any:
        return theirs_F.batch_norm(
            y, *[weights[f"{name}.{part}"] for part in ("running_mean", "running_var")],
            *[weights[f"{name}.{part}"] for part in ("weight", "bias")],
        )  # fmt: skip

    y = theirs_F.conv2d(x, weights["conv1.weight"], stride=2, padding=3)
    y = theirs_F.max_pool2d(normalized(y, "bn1").relu(), 3, 2, 1)
    for layer in range(1, 5):
        for block in range(2):
            name = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            z = theirs_F.conv2d(y, weights[f"{name}.conv1.weight"], stride=stride, padding=1)
            z = theirs_F.conv2d(
                normalized(z, f"{name}.bn1").relu(), weights[f"{name}.conv2.weight"], padding=1
            )
            if stride == 2:
                y = theirs_F.conv2d(y, weights[f"{name}.downsample.0.weight"], stride=2)
                y = normalized(y, f"{name}.downsample.1")
            y = (normalized(z, f"{name}.bn2") + y).relu()
    expected = theirs_F.linear(y.mean((2, 3)), weights["fc.weight"], weights["fc.bias"])
    model.eval()
    with torch.no_grad():
        found = model(torch.from_numpy(x.numpy()))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_vgg16_is_the_published_network() -> None:
    with torch.no_grad():
        features = models.vgg.make_layers((2, 2, 3, 3, 3))
    shapes = [tuple(p.shape) for name, p in features.named_parameters() if name.endswith("weight")]
    assert len(shapes) == 13 and shapes[0] == (64, 3, 3, 3) and shapes[-1] == (512, 512, 3, 3)
    convolutions = sum(p.numel() for p in features.parameters())
    classifier = 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert convolutions + classifier == 138_357_544
    names = [name for name, _ in features.named_parameters()]
    assert names[:4] == ["0.weight", "0.bias", "2.weight", "2.bias"] and names[-1] == "28.bias"


def test_lenet_learns_shapes() -> None:
    for side in (28, 32):
        assert models.lenet(image_size=side)(torch.zeros(2, 1, side, side)).shape == (2, 10)


# ---------------------------------------------------------------------------- transforms


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "nearest-exact"])
@pytest.mark.parametrize("size", [(7, 11), (33, 45), (20, 13), (1, 1)])
@pytest.mark.parametrize("antialias", [False, True])
def test_resize_is_pytorchs_interpolation(mode: str, size: Any, antialias: bool) -> None:
    image = RNG.random((2, 3, 20, 30), np.float32)
    options: dict[str, Any] = {}
    if mode in ("bilinear", "bicubic"):
        options = {"antialias": antialias, "align_corners": False}
    expected = theirs_F.interpolate(theirs.from_numpy(image), size, mode=mode, **options)
    found = F.resize(torch.from_numpy(image), size, F.InterpolationMode(mode), antialias=antialias)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=2e-5)


def test_affine_is_pytorchs_grid_sample() -> None:
    image = RNG.random((1, 3, 20, 30), np.float32)
    angle = 0.3
    cos, sin = np.cos(angle), np.sin(angle)
    rows = [[cos, sin * 20 / 30, 0.0], [-sin * 30 / 20, cos, 0.0]]
    matrix = theirs.tensor([rows], dtype=theirs.float32)
    grid = theirs_F.affine_grid(matrix, [1, 3, 20, 30], align_corners=False)
    expected = theirs_F.grid_sample(theirs.from_numpy(image), grid, align_corners=False)
    found = F.affine(
        torch.from_numpy(image), float(np.degrees(angle)), [0, 0], 1.0, 0.0,
        F.InterpolationMode.BILINEAR,
    )  # fmt: skip
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-4)


# Tensors are to look like pictures of Pillow that went through the same, within a rounding.
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("hflip", ()), ("vflip", ()), ("crop", (3, -4, 12, 40)), ("center_crop", ([40, 10],)),
        ("pad", ([1, 2, 3, 4], 9)), ("pad", (2, 0, "reflect")), ("pad", (2, 0, "symmetric")),
        ("adjust_brightness", (1.3,)), ("adjust_saturation", (0.4,)), ("adjust_contrast", (0.7,)),
        ("adjust_gamma", (0.8,)), ("adjust_sharpness", (0.3,)), ("invert", ()),
        ("posterize", (4,)), ("solarize", (99,)), ("equalize", ()), ("autocontrast", ()),
        ("rgb_to_grayscale", (3,)), ("gaussian_blur", (5, 1.2)), ("resize", ([31, 17],)),
        ("rotate", (90,)), ("resized_crop", (2, 3, 10, 12, [8, 9])),
    ],
)  # fmt: skip
def test_tensors_and_pictures_are_transformed_alike(name: str, arguments: Any) -> None:
    picture = Image.fromarray(IMAGE.transpose(1, 2, 0))
    function = getattr(F, name)
    found = function(torch.from_numpy(IMAGE), *arguments).numpy().astype(np.int64)
    expected = np.asarray(function(picture, *arguments)).transpose(2, 0, 1)
    assert found.shape == expected.shape and np.abs(found - expected).max() <= 2


def test_conversions() -> None:
    tensor = F.to_tensor(Image.fromarray(IMAGE.transpose(1, 2, 0)))
    assert np.array_equal(tensor.numpy(), IMAGE.astype(np.float32) / 255)
    assert np.array_equal(np.asarray(F.to_pil_image(tensor)), IMAGE.transpose(1, 2, 0))
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    expected = (IMAGE / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    normalize = transforms.Normalize(mean, std)
    np.testing.assert_allclose(normalize(tensor).numpy(), expected, atol=1e-6)
    tracked = tensor.clone().requires_grad_()
    normalize(tracked).sum().backward()
    assert tracked.grad is not None
    np.testing.assert_allclose(tracked.grad[:, 0, 0].numpy(), 1 / np.array(std), rtol=1e-6)
    with pytest.raises(RuntimeError, match="detach"):
        F.rotate(tracked, 10)


def test_chance_follows_the_seed() -> None:
    everything = transforms.Compose([
        transforms.RandomCrop(16, padding=2), transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(), transforms.ColorJitter(0.2, 0.2, 0.2, 0.1),
        transforms.RandomRotation(20), transforms.RandomAffine(5, (0.1, 0.1), (0.9, 1.1), 3),
        transforms.RandomPerspective(p=1.0), transforms.RandomResizedCrop(12),
        transforms.RandomErasing(p=1.0, value="random"), transforms.RandomGrayscale(),
        transforms.RandomApply([transforms.GaussianBlur(3)]),
        transforms.RandomChoice([transforms.RandomInvert(), transforms.Pad(0)]),
    ])  # fmt: skip
    image = torch.from_numpy(IMAGE.astype(np.float32) / 255)
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append([everything(image).numpy().copy() for _ in range(3)])
    assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])
    torch.manual_seed(0)
    flips = [transforms.RandomHorizontalFlip(0.3)(image) is not image for _ in range(1000)]
    assert 240 < sum(flips) < 360


def test_second_version_transforms_whole_samples() -> None:
    torch.manual_seed(3)
    picture = Image.fromarray(IMAGE.transpose(1, 2, 0))
    crop = v2.Compose([v2.RandomCrop(9), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    image, label = crop(picture, 5)
    assert image.shape == (3, 9, 9) and image.dtype is torch.float32 and label == 5
    pair = v2.RandomCrop(9)({"a": picture, "b": picture, "label": "x"})
    assert pair["a"].tobytes() == pair["b"].tobytes() and pair["label"] == "x"
    images, labels = v2.MixUp(num_classes=4)(torch.rand(3, 3, 8, 8), torch.tensor([0, 1, 2]))
    assert images.shape == (3, 3, 8, 8) and torch.allclose(labels.sum(1), torch.ones(3))


# ---------------------------------------------------------------------------- boxes, pictures


def test_boxes() -> None:
    corners = np.sort(RNG.random((12, 2, 2), np.float32) * 20, axis=1).reshape(12, 4)
    boxes = torch.from_numpy(corners)
    for form in ("xywh", "cxcywh"):
        there = ops.box_convert(boxes, "xyxy", form)
        back = ops.box_convert(there, form, "xyxy")
        np.testing.assert_allclose(back.numpy(), corners, atol=1e-5)
        ious = ops.box_iou(there, there, form)
        np.testing.assert_allclose(ious.numpy(), ops.box_iou(boxes, boxes).numpy(), atol=1e-4)
    ious = ops.box_iou(boxes, boxes).numpy()
    np.testing.assert_allclose(ious.diagonal(), 1.0, rtol=1e-5)
    scores = torch.from_numpy(RNG.permutation(12).astype(np.float32))
    kept = ops.nms(boxes, scores, 0.2).tolist()
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    for place in range(12):
        better = [k for k in kept if scores[k] > scores[place]]
        assert (place in kept) == all(ious[place, k] <= 0.2 for k in better)


def test_grids_and_files(tmp_path: Path) -> None:
    images = RNG.random((5, 1, 4, 6), np.float32)
    grid = utils.make_grid(torch.from_numpy(images), nrow=3, padding=1, pad_value=0.5)
    expected = np.full((3, 11, 22), 0.5, np.float32)
    for k, image in enumerate(images):
        top, left = 1 + 5 * (k // 3), 1 + 7 * (k % 3)
        expected[:, top : top + 4, left : left + 6] = image
    assert np.array_equal(grid.numpy(), expected)
    scaled = utils.make_grid(torch.from_numpy(images) * 9, normalize=True, scale_each=True)
    assert scaled.min() == 0 and scaled.max() == 1
    utils.save_image(torch.from_numpy(images[0]), tmp_path / "one.png")
    read = io.read_image(tmp_path / "one.png", io.ImageReadMode.GRAY)
    assert np.abs(read.numpy() - images[0] * 255).max() <= 0.5 + 1e-3
    (tmp_path / "none.png").write_text("no picture")
    with pytest.raises(RuntimeError, match="no picture"):
        io.read_image(tmp_path / "none.png")


def test_a_script_imports_torchvision(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import torch, torchvision\n"
        "import torchvision.transforms as T\n"
        "from torchvision.models import resnet18, ResNet18_Weights\n"
        "from torchvision.transforms import v2\n"
        "from torchvision.transforms.functional import hflip\n"
        "assert hflip(T.ToTensor()(v2.ToPILImage()(torch.ones(3, 4, 5)))).shape[2] == 5\n"
        "print(torchvision.__name__)\n"
    )
    command = [sys.executable, "-m", "lazytorch", "run", str(script)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "lazytorch.vision\n"
