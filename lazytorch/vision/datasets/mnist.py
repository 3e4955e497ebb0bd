"""MNIST and what comes in its format: files of bytes with their shape in front (IDX)."""

from __future__ import annotations

import gzip
import os
import shutil
import string
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lazytorch.tensor import Tensor
from lazytorch.vision._pillow import pillow
from lazytorch.vision.datasets.utils import (
    download_and_extract_archive,
    extract_archive,
    verify_str_arg,
)
from lazytorch.vision.datasets.vision import Transform, VisionDataset
from lazytorch.vision.transforms._tensors import tensor_of

_DTYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_GZIP = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """The array in an IDX file, compressed or not; RuntimeError where it is damaged."""
    content = Path(path).read_bytes()
    if content[:2] == _GZIP:
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError) as error:
            raise RuntimeError(f"{path} is damaged: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES or not content[3]:
        raise RuntimeError(f"{path} is no IDX file, or is damaged: it starts with {content[:4]!r}")
    dtype, dimensions = np.dtype(_DTYPES[content[2]]), content[3]
    start = 4 * (dimensions + 1)
    if len(content) < start:
        raise RuntimeError(f"{path} is damaged: it ends inside its shape")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    size = int(np.prod(shape, dtype=np.int64))
    if len(content) - start != size * dtype.itemsize:
        raise RuntimeError(
            f"{path} is damaged: {len(content) - start} bytes follow where its shape {shape} "
            f"needs {size * dtype.itemsize}"
        )
    array = np.frombuffer(content, dtype, size, start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def read_image_file(path: str | os.PathLike[str]) -> Tensor:
    """Images (N, rows, columns), uint8."""
    return tensor_of(_bytes(path, 3))


def read_label_file(path: str | os.PathLike[str]) -> Tensor:
    """Labels (N), int64."""
    return tensor_of(_bytes(path, 1).astype(np.int64))


def _bytes(path: str | os.PathLike[str], dimensions: int) -> np.ndarray[Any, Any]:
    array = read_idx(path)
    if array.dtype != np.uint8:
        raise TypeError(f"{path} should hold bytes instead of {array.dtype}")
    if array.ndim != dimensions:
        raise ValueError(f"{path} should have {dimensions} dimensions instead of {array.ndim}")
    return array


class MNIST(VisionDataset):
    """Handwritten digits, 28 by 28: 60,000 to train and 10,000 to test.

    The files lie in ``root/MNIST/raw``, compressed or not; ``download`` fetches them. An item is a
    picture of Pillow (mode L) and an int, both transformed. RuntimeError where files are missing.

    ``vision.datasets.MNIST("data", download=True, transform=vision.transforms.ToTensor())``
    """

    mirrors: ClassVar[Sequence[str]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    resources: ClassVar[Sequence[tuple[str, str]]] = (
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    )
    classes: Sequence[str] = (
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six",
        "7 - seven", "8 - eight", "9 - nine",
    )  # fmt: skip
    data: Tensor
    targets: Tensor

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        if not self._check_exists():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        images, labels = self._files()
        self.data = read_image_file(self._found(images))  # type: ignore[arg-type]
        self.targets = read_label_file(self._found(labels))  # type: ignore[arg-type]
        if len(self.data) != len(self.targets):
            raise RuntimeError(
                f"{images} has {len(self.data)} images and {labels} {len(self.targets)} labels"
            )

    def _files(self) -> tuple[str, str]:
        """The names of the images' and the labels' file."""
        part = "train" if self.train else "t10k"
        return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"

    def _found(self, name: str) -> str | None:
        """Where a file lies, as it is or compressed."""
        for ending in ("", ".gz"):
            path = os.path.join(self.raw_folder, name + ending)
            if os.path.isfile(path):
                return path
        return None

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = _element(self.data, index), int(_element(self.targets, index))
        return self._transformed(pillow().fromarray(image), target)

    def __len__(self) -> int:
        return len(self.data)

    @property
    def raw_folder(self) -> str:
        return os.path.join(self.root, self.__class__.__name__, "raw")

    @property
    def processed_folder(self) -> str:
        return os.path.join(self.root, self.__class__.__name__, "processed")

    @property
    def class_to_idx(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.classes)}

    def _check_exists(self) -> bool:
        return all(self._found(name) is not None for name in self._files())

    def download(self) -> None:
        """Fetch and unpack the files that are missing."""
        if self._check_exists():
            return
        for filename, md5 in self.resources:
            failures = []
            for mirror in self.mirrors:
                try:
                    download_and_extract_archive(
                        mirror + filename, self.raw_folder, filename=filename, md5=md5
                    )
                except RuntimeError as error:
                    failures.append(f"Tried {mirror}, got:\n{error}\n")
                else:
                    break
            else:
                raise RuntimeError(f"Error downloading {filename}:\n{''.join(failures)}")

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"

    def _renamed(self, old: str, now: str) -> Tensor:
        warnings.warn(f"{old} has been renamed {now}", stacklevel=3)
        found: Tensor = getattr(self, now)
        return found

    @property
    def train_labels(self) -> Tensor:
        return self._renamed("train_labels", "targets")

    @property
    def test_labels(self) -> Tensor:
        return self._renamed("test_labels", "targets")

    @property
    def train_data(self) -> Tensor:
        return self._renamed("train_data", "data")

    @property
    def test_data(self) -> Tensor:
        return self._renamed("test_data", "data")


def _element(values: Any, index: int) -> Any:
    """One element on the host, of a tensor or of what a user has put in its place."""
    return (values._array() if isinstance(values, Tensor) else values)[index]


class FashionMNIST(MNIST):
    """Pictures of clothes in the place of digits."""

    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    resources = (
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    )
    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    )  # fmt: skip


class KMNIST(MNIST):
    """Cursive Japanese characters in the place of digits."""

    mirrors = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    resources = (
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    )
    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


_CHARACTERS = set(string.digits + string.ascii_letters)
# Lower case that looks like its capital.
_MERGED = set("cijklmopsuvwxyz")


class EMNIST(MNIST):
    """Handwritten letters and digits; ``split`` is byclass, bymerge, balanced, letters, digits or
    mnist."""

    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    classes_split_dict: ClassVar[dict[str, list[str]]] = {
        "byclass": sorted(_CHARACTERS),
        "bymerge": sorted(_CHARACTERS - _MERGED),
        "balanced": sorted(_CHARACTERS - _MERGED),
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }

    def __init__(self, root: str | os.PathLike[str], split: str, **kwargs: Any) -> None:
        self.split = verify_str_arg(split, "split", self.splits)
        super().__init__(root, **kwargs)
        self.classes = self.classes_split_dict[self.split]

    def _files(self) -> tuple[str, str]:
        prefix = f"emnist-{self.split}-{'train' if self.train else 'test'}"
        return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"

    def download(self) -> None:
        """Fetch the archive of all splits and unpack it."""
        if self._check_exists():
            return
        download_and_extract_archive(self.url, self.raw_folder, md5=self.md5)
        unpacked = Path(self.raw_folder) / "gzip"
        for file in sorted(unpacked.glob("*.gz")):
            extract_archive(file, self.raw_folder)
        shutil.rmtree(unpacked)
