"""LeNet-5, which torchvision lacks: the network of 1998 with rectified units and max pooling."""

from __future__ import annotations

from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor


class LeNet(nn.Module):
    """Images (N, in_channels, 28, 28) or (N, in_channels, 32, 32) to scores (N, num_classes)."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size: int = 28) -> None:
        super().__init__()
        if image_size not in (28, 32):
            raise ValueError(f"LeNet takes images of 28 or 32 pixels a side, not {image_size}")
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=(32 - image_size) // 2), nn.ReLU(inplace=True),
            nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120), nn.ReLU(inplace=True), nn.Linear(120, 84),
            nn.ReLU(inplace=True), nn.Linear(84, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


def lenet(num_classes: int = 10, in_channels: int = 1, image_size: int = 28) -> LeNet:
    """LeNet-5; no weights are published.

    >>> lenet()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    return LeNet(num_classes, in_channels, image_size)
