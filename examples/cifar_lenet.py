"""The network of PyTorch's CIFAR-10 tutorial, on the data set's own files or on random images.

    python examples/cifar_lenet.py --data cifar-10-batches-py

The files are those of cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import numpy as np
from tqdm import tqdm

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
        names = ["test_batch"] if part == "test" else [f"data_batch_{i}" for i in range(1, 6)]
        # These pickles come from the data set's authors; load no other files here.
        batches = [pickle.loads((folder / n).read_bytes(), encoding="bytes") for n in names]
        images = np.concatenate([b[b"data"] for b in batches])[:limit].reshape(-1, 3, 32, 32)
        images = images.astype(np.float32) / 127.5 - 1
        labels = np.concatenate([b[b"labels"] for b in batches])[:limit]
    return TensorDataset(torch.tensor(images), torch.tensor(labels.astype(np.int64)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder cifar-10-batches-py")
    parser.add_argument("--device", default="cpu", help="cpu, opencl, cuda or interpreter")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--images", type=int, default=2000, help="how many of them to train on")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    train = DataLoader(
        load_images(options.data, "train", options.images),
        options.batch_size, shuffle=True, drop_last=True,
    )  # fmt: skip
    test = DataLoader(load_images(options.data, "test", options.images // 4), 250)
    net = Net().to(options.device)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    for epoch in range(options.epochs):
        running = 0.0
        for inputs, labels in tqdm(train, f"epoch {epoch + 1}", leave=False):
            optimizer.zero_grad()
            loss = criterion(net(inputs.to(options.device)), labels.to(options.device))
            loss.backward()
            optimizer.step()
            running += loss.item()
        print(f"epoch {epoch + 1}: loss {running / len(train):.3f}")

    correct = total = 0
    with torch.no_grad():
        for inputs, labels in test:
            guesses = net(inputs.to(options.device)).argmax(1)
            correct += int((guesses == labels.to(options.device)).sum().item())
            total += len(labels)
    print(f"accuracy on {total} test images: {correct / total:.1%}")


if __name__ == "__main__":
    main()
