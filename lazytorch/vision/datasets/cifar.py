"""CIFAR-10 and CIFAR-100, from the pickles that they are published as."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from lazytorch.vision._pillow import pillow
from lazytorch.vision.datasets.utils import check_integrity, download_and_extract_archive
from lazytorch.vision.datasets.vision import Transform, VisionDataset

# What an array pickles to; NumPy has called the place by several names.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
} | {
    (module, "_reconstruct"): np.empty(0).__reduce__()[0]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
}


class _ArrayUnpickler(pickle.Unpickler):
    """Makes plain containers and arrays, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"a file of CIFAR holds arrays and lists, and this one asks for {module}.{name}"
            ) from None


def _read(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        try:
            found: dict[str, Any] = _ArrayUnpickler(file, encoding="latin1").load()
        except (EOFError, ValueError, TypeError, IndexError, KeyError) as error:
            raise RuntimeError(f"{path} is damaged: {error}") from error
    return found


class CIFAR10(VisionDataset):
    """Pictures of ten kinds of things, 32 by 32 in color: 50,000 to train and 10,000 to test.

    The files lie in ``root/cifar-10-batches-py``; ``download`` fetches them. ``data`` is an array
    (N, 32, 32, 3) and ``targets`` a list. An item is a picture of Pillow and an int, both
    transformed. RuntimeError where a file is missing or is not the published one.

    ``vision.datasets.CIFAR10("data", train=False, download=True)``
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list: ClassVar[Sequence[Sequence[str]]] = (
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    )
    test_list: ClassVar[Sequence[Sequence[str]]] = (
        ("test_batch", "40351d587109b95175f43aff81a1287e"),
    )
    meta: ClassVar[dict[str, str]] = {
        "filename": "batches.meta",
        "key": "label_names",
        "md5": "5ff9c542aee3614f3951f8cda6e48888",
    }
    data: Any
    targets: list[int]
    classes: list[str]

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
        if not self._check_integrity():
            raise RuntimeError(
                "Dataset not found or corrupted. You can use download=True to download it"
            )
        images, self.targets = [], []
        for name, _ in self.train_list if train else self.test_list:
            entry = _read(self._path(name))
            images.append(entry["data"])
            self.targets.extend(entry["labels" if "labels" in entry else "fine_labels"])
        stacked = np.vstack(images).reshape(-1, 3, 32, 32)
        self.data = np.ascontiguousarray(stacked.transpose(0, 2, 3, 1))
        self._load_meta()

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _load_meta(self) -> None:
        path = self._path(self.meta["filename"])
        if not check_integrity(path, self.meta["md5"]):
            raise RuntimeError(
                "Dataset metadata file not found or corrupted. You can use download=True to "
                "download it"
            )
        self.classes = _read(path)[self.meta["key"]]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(pillow().fromarray(self.data[index]), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def _check_integrity(self) -> bool:
        files = (*self.train_list, *self.test_list)
        return all(check_integrity(self._path(name), md5) for name, md5 in files)

    def download(self) -> None:
        """Fetch and unpack the archive, unless its files are there."""
        if not self._check_integrity():
            download_and_extract_archive(
                self.url, self.root, filename=self.filename, md5=self.tgz_md5
            )

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


class CIFAR100(CIFAR10):
    """As CIFAR10, of a hundred kinds."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = (("train", "16019d7e3df5f24257cddd939b257f8d"),)
    test_list = (("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),)
    meta: ClassVar[dict[str, str]] = {
        "filename": "meta",
        "key": "fine_label_names",
        "md5": "7973b15100ade9c7d40fb424638fde48",
    }
