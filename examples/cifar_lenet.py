"""The network of PyTorch's CIFAR-10 tutorial, on the data set's own files or on random images.

    python examples/cifar_lenet.py --data cifar-10-batches-py

The files are those of cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from common import load_cifar, make_parser, parse, progress, report, save_curves

import lazytorch as torch
import lazytorch.nn.functional as F
from lazytorch import nn, optim
from lazytorch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    """Images (N, 3, 32, 32) to scores (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def load_images(folder: Path | None, part: str, limit: int) -> TensorDataset:
    """``limit`` images and labels of a part (train, test); random ones where there is no folder."""
    if folder is None:
        generator = np.random.default_rng(len(part))
        labels = generator.integers(0, 10, limit)
        images = generator.standard_normal((limit, 3, 32, 32), np.float32)
        # Something to learn: each class is brighter in a row of its own.
        images[np.arange(limit), :, 3 * labels + 1] += 2
    else:
        images, labels = load_cifar(folder, part)
        images, labels = images[:limit].astype(np.float32) / 127.5 - 1, labels[:limit]
    return TensorDataset(torch.tensor(images), torch.tensor(labels.astype(np.int64)))


def main() -> None:
    parser = make_parser(__doc__, epochs=2, images=2000, batch_size=32)
    parser.add_argument("--data", type=Path, help="the folder cifar-10-batches-py")
    options = parse(parser)

    train = DataLoader(
        load_images(options.data, "train", options.images),
        options.batch_size, shuffle=True, drop_last=True,
    )  # fmt: skip
    test = DataLoader(load_images(options.data, "test", options.images // 4), 250)
    net = Net().to(options.device)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    losses = []
    for epoch in range(options.epochs):
        running = 0.0
        for inputs, labels in progress(train, f"epoch {epoch + 1}"):
            optimizer.zero_grad()
            loss = criterion(net(inputs.to(options.device)), labels.to(options.device))
            loss.backward()
            optimizer.step()
            running += loss.item()
        losses.append(running / len(train))
        print(f"epoch {epoch + 1}: loss {losses[-1]:.3f}")

    correct = total = 0
    with torch.no_grad():
        for inputs, labels in test:
            guesses = net(inputs.to(options.device)).argmax(1)
            correct += int((guesses == labels.to(options.device)).sum().item())
            total += len(labels)
    report(f"accuracy on {total} test images", correct / total, 0.1, "a guess", ".1%")
    save_curves(options.picture, "loss", training=losses)


if __name__ == "__main__":
    main()
