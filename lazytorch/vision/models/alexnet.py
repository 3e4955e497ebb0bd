"""AlexNet (Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks")."""

from __future__ import annotations

from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor
from lazytorch.vision.models._registry import builder, weights_enum


class AlexNet(nn.Module):
    """Images (N, 3, H, W), at least 63 pixels a side, to scores (N, num_classes)."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for outputs, kernel, stride, pooled in (
            (64, 11, 4, True), (192, 5, 1, True), (384, 3, 1, False), (256, 3, 1, False),
            (256, 3, 1, True),
        ):  # fmt: skip
            padding = 2 if kernel > 3 else 1
            layers += [nn.Conv2d(channels, outputs, kernel, stride, padding), nn.ReLU(inplace=True)]
            if pooled:
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2))
            channels = outputs
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True),
            nn.Dropout(p=dropout), nn.Linear(4096, 4096), nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))


AlexNet_Weights = weights_enum("AlexNet_Weights")
alexnet = builder("alexnet", AlexNet, AlexNet_Weights)
