"""Trains a small network on 1,797 handwritten digits, and shows its kernels.

python examples/digits.py --model cnn --epochs 12 --device cpu
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from common import load_digits, make_parser, parse, progress, report, save_images

import lazytorch as torch
from lazytorch import nn
from lazytorch.utils.data import DataLoader, TensorDataset

MODELS = {
    # Images (N, 1, 8, 8) to scores (N, 10).
    "cnn": lambda: nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 2 * 2, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10),
    ),
    "mlp": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
    ),
}  # fmt: skip


def train_epoch(
    model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer, device: str, title: str
) -> None:
    model.train()
    bar = progress(loader, title)
    for number, (images, labels) in enumerate(bar):
        images, labels = images.to(device), labels.to(device)
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number % 5 == 0:
            bar.set_postfix(loss=f"{loss.item():.4f}")


def guess(model: nn.Module, images: torch.Tensor, device: str) -> np.ndarray:
    """The class of the best score of each image, (N,)."""
    model.eval()
    with torch.no_grad():
        return model(images.to(device)).argmax(1).cpu().numpy()


def nearest_means(train: TensorDataset, test: TensorDataset) -> float:
    """The accuracy where each image is taken for the class whose mean image is nearest."""
    images, labels = [x.numpy() for x in train.tensors]
    means = np.stack([images[labels == i].mean(0) for i in range(10)])
    images, labels = [x.numpy() for x in test.tensors]
    distances = ((images[:, None] - means) ** 2).sum((2, 3, 4))
    return float((distances.argmin(1) == labels).mean())


def main() -> None:
    parser = make_parser(__doc__, epochs=15, batch_size=32)
    parser.add_argument("--model", choices=sorted(MODELS), default="cnn")
    parser.add_argument("--kernels", type=Path, default=Path("digits_kernels"))
    options = parse(parser)

    train, test = load_digits()
    loader = DataLoader(train, options.batch_size, shuffle=True, drop_last=True)
    model = MODELS[options.model]().to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    started = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        title = f"epoch {epoch}/{options.epochs}"
        train_epoch(model, loader, optimizer, options.device, title)
    seconds = time.perf_counter() - started
    print(f"trained {options.epochs} epochs on {options.device} in {seconds:.1f} s")
    images, labels = test.tensors
    right = guess(model, images, options.device) == labels.numpy()
    report("test accuracy", right.mean(), nearest_means(train, test), "the nearest mean", ".2%")
    images = images[:, 0].numpy()
    chosen = [images[right][:12], images[~right][:12]]
    # A row is full: where nothing was taken for another digit, it is empty images.
    rows = [[*row, *np.zeros((12 - len(row), 8, 8))] for row in chosen]
    save_images(options.picture, rows, ("recognised", "taken for another"))
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
