"""ResNet-18 on CIFAR-10, from the data set's own files.

    python examples/cifar_resnet.py --data cifar-10-batches-py --epochs 10

The files are those of cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from common import load_cifar, make_parser, parse, progress, report, save_curves

import lazytorch as torch
from lazytorch import nn
from lazytorch.nn import functional as F
from lazytorch.utils.data import DataLoader, TensorDataset


class BasicBlock(nn.Module):
    """Two convolutions, added to what comes in."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def resnet18(width: int) -> nn.Module:
    """Images (N, 3, 32, 32) to scores (N, 10); ``width`` is 64 in He et al. (2015)."""
    layers = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    inputs = width
    for stage in range(4):
        outputs = width << stage
        layers += [BasicBlock(inputs, outputs, 1 if stage == 0 else 2),
                   BasicBlock(outputs, outputs, 1)]  # fmt: skip
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def augment(images: torch.Tensor) -> torch.Tensor:
    """The images moved by up to four pixels, all the same way, and perhaps mirrored."""
    down, right = torch.randint(9, (2,)).tolist()
    size = images.shape[-1]
    moved = F.pad(images, (4, 4, 4, 4))[..., down : down + size, right : right + size]
    return moved.flip(-1) if torch.rand(()).item() < 0.5 else moved


def accuracy(model: nn.Module, loader: DataLoader, device: str) -> float:
    model.eval()
    correct = 0.0
    with torch.no_grad():
        for images, labels in loader:
            found = model(images.to(device)).argmax(1)
            correct += (found == labels.to(device)).sum().item()
    return correct / len(loader.dataset)


def main() -> None:
    parser = make_parser(__doc__, epochs=10, batch_size=128, width=64, lr=0.1, images=50000)
    parser.add_argument("--data", type=Path, default=Path("cifar-10-batches-py"))
    options = parse(parser)
    if not (options.data / "data_batch_1").exists():
        sys.exit(
            f"{options.data} has no CIFAR-10 in it: unpack cifar-10-python.tar.gz of "
            "https://www.cs.toronto.edu/~kriz/cifar.html, and say where with --data"
        )

    def load(part: str) -> TensorDataset:
        images, labels = load_cifar(options.data, part)
        scaled = images[: options.images].astype(np.float32) / 127.5 - 1
        return TensorDataset(torch.from_numpy(scaled), torch.from_numpy(labels[: options.images]))

    train = DataLoader(load("train"), options.batch_size, shuffle=True, drop_last=True)
    test = DataLoader(load("test"), options.batch_size)
    model = resnet18(options.width).to(options.device)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=options.lr, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    steps = options.epochs * len(train)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=steps)
    curve = []
    for epoch in range(1, options.epochs + 1):
        model.train()
        total = 0.0
        for images, labels in progress(train, f"epoch {epoch}/{options.epochs}"):
            scores = model(augment(images).to(options.device))
            loss = F.cross_entropy(scores, labels.to(options.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        curve.append(accuracy(model, test, options.device))
        print(f"epoch {epoch}: loss {total / len(train):.3f}, accuracy {curve[-1]:.1%}")
    # What k nearest neighbours reach on the raw pixels.
    report("test accuracy", curve[-1], 0.354, "nearest neighbours of raw pixels", ".1%")
    save_curves(options.picture, "accuracy", test=curve)


if __name__ == "__main__":
    main()
