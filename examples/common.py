"""What the examples share: their arguments, progress bars, data, pictures and last line."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from pydoc_data.topics import topics
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from tqdm import tqdm

import lazytorch as torch
from lazytorch.utils.data import TensorDataset
from lazytorch.vision.datasets import CIFAR10

matplotlib.use("Agg")  # pictures go to files
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def make_parser(description: str | None, epochs: int, **numbers: float) -> argparse.ArgumentParser:
    """--device, --epochs, --seed and --picture, and an option for each of ``numbers``."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, opencl, cuda or interpreter")
    parser.add_argument("--epochs", type=int, default=epochs)
    for name, default in numbers.items():
        parser.add_argument(
            "--" + name.replace("_", "-"), type=type(default), default=default,
            help=f"(default: {default})",
        )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    picture = Path(Path(sys.argv[0]).stem + ".png")
    parser.add_argument("--picture", type=Path, default=picture, help=f"(default: {picture})")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options, with the random numbers seeded."""
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    return options


def progress(items: Iterable[Any], title: str, **kwargs: Any) -> tqdm[Any]:
    """The items with a bar that counts them, gone when they are through."""
    return tqdm(items, title, leave=False, **kwargs)


def report(what: str, value: float, to_beat: float, baseline: str, form: str = ".3f") -> None:
    """The number that an example is judged by, beside that of a simple method."""
    print(f"{what}: {value:{form}} (to beat: {to_beat:{form}}, {baseline})")


def save_picture(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"picture: {path.resolve()}")


def save_curves(path: Path, label: str, **curves: Iterable[float]) -> None:
    """A line for each of ``curves``, over epochs."""
    figure, axes = plt.subplots(figsize=(6, 4))
    for name, values in curves.items():
        axes.plot(list(values), label=name.replace("_", " "))
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.legend()
    save_picture(figure, path)


def save_images(path: Path, rows: Iterable[Iterable[np.ndarray]], titles: Iterable[str]) -> None:
    """A grid of gray images (H, W), each row under its title."""
    grid = [list(row) for row in rows]
    figure, axes = plt.subplots(
        len(grid), len(grid[0]), figsize=(len(grid[0]), 1.2 * len(grid)), squeeze=False
    )
    for row, title, images in zip(axes, titles, grid, strict=True):
        row[0].set_title(title, loc="left", fontsize=9)
        for place, image in zip(row, images, strict=True):
            place.imshow(image, cmap="gray", vmin=0, vmax=1)
            place.axis("off")
    save_picture(figure, path)


def load_digits() -> tuple[TensorDataset, TensorDataset]:
    """1,797 handwritten digits (1, 8, 8) in 0 to 1: four fifths to train on, the rest to test."""
    from sklearn import datasets

    digits = datasets.load_digits()
    images = torch.from_numpy(digits.images.astype(np.float32) / 16).unsqueeze(1)
    labels = torch.from_numpy(digits.target.astype(np.int64))
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    train, test = order[: len(order) * 4 // 5], order[len(order) * 4 // 5 :]
    return (
        TensorDataset(images[train], labels[train]),
        TensorDataset(images[test], labels[test]),
    )


def load_text() -> str:
    """The pages of Python's language reference, without the letters that are rare in them."""
    text = "\n".join(topics[name] for name in sorted(topics))
    return "".join(c for c in text if c == "\n" or " " <= c <= "~")


def load_words() -> list[str]:
    """The words of the same pages, in their order."""
    return re.findall("[a-z]+", load_text().lower())


def load_cifar(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) uint8 and labels (N,) of a part (train, test) of CIFAR-10's files."""
    found = CIFAR10(folder.parent, train=part == "train")
    return found.data.transpose(0, 3, 1, 2), np.array(found.targets)
