"""Trains a small convolutional network on 1,797 handwritten digits, and shows its kernels.

python examples/digits.py --epochs 12 --device cpu
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import lazytorch as torch
from lazytorch import nn
from lazytorch.utils.data import DataLoader, TensorDataset


class Digits(nn.Module):
    """Two convolutions and two linear layers: images (N, 1, 8, 8) to scores (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(32 * 2 * 2, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(images))


def load_data() -> tuple[TensorDataset, TensorDataset]:
    """Four fifths of the digits to train on, and the rest to test."""
    digits = load_digits()
    images = torch.from_numpy(digits.images.astype(np.float32) / 16).unsqueeze(1)
    labels = torch.from_numpy(digits.target.astype(np.int64))
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    train, test = order[: len(order) * 4 // 5], order[len(order) * 4 // 5 :]
    return (
        TensorDataset(images[train], labels[train]),
        TensorDataset(images[test], labels[test]),
    )


def train_epoch(
    model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer, device: str, title: str
) -> None:
    model.train()
    progress = tqdm(loader, title, leave=False)
    for number, (images, labels) in enumerate(progress):
        images, labels = images.to(device), labels.to(device)
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number % 5 == 0:
            progress.set_postfix(loss=f"{loss.item():.4f}")


def accuracy(model: nn.Module, loader: DataLoader, device: str) -> float:
    """The part of the labels that the model's best score agrees with."""
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in loader:
            guesses = model(images.to(device)).argmax(1)
            correct += int((guesses == labels.to(device)).sum().item())
            total += len(labels)
    return correct / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, opencl, cuda or interpreter")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kernels", type=Path, default=Path("digits_kernels"))
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    train, test = load_data()
    train_loader = DataLoader(train, options.batch_size, shuffle=True, drop_last=True)
    test_loader = DataLoader(test, len(test))
    model = Digits().to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    started = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        title = f"epoch {epoch}/{options.epochs}"
        train_epoch(model, train_loader, optimizer, options.device, title)
    seconds = time.perf_counter() - started
    print(f"trained {options.epochs} epochs on {options.device} in {seconds:.1f} s")
    print(f"test accuracy: {accuracy(model, test_loader, options.device):.2%}")
    write_kernels(model, train, options.device, options.kernels)


def write_kernels(model: nn.Module, data: TensorDataset, device: str, folder: Path) -> None:
    """The kernels of a loss and its gradients: their C source, a file a kernel."""
    images, labels = data[:32]
    model.train()
    model.zero_grad()
    loss = nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
    loss.backward()
    torch.dump([loss, *[p.grad for p in model.parameters()]], folder)
    print(f"generated kernels: {folder.resolve()}")


if __name__ == "__main__":
    main()
