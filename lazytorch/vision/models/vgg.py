"""VGG with 11 to 19 layers (Simonyan and Zisserman 2014), with batch normalization or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazytorch.nn import init
from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor
from lazytorch.vision.models._initial import initialize_bias
from lazytorch.vision.models._registry import builder, weights_enum

# How many convolutions of 64, 128, 256, 512 and 512 outputs there are before each pooling.
_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    """Images (N, 3, H, W), at least 32 pixels a side, to scores (N, num_classes)."""

    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), nn.Dropout(p=dropout),
            nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )  # fmt: skip
        if init_weights:
            for m in self.modules():
                if isinstance(m, nn.Conv2d):
                    init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                elif isinstance(m, nn.Linear):
                    init.normal_(m.weight, 0, 0.01)
                if isinstance(m, (nn.Conv2d, nn.Linear)):
                    initialize_bias(m)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))


def make_layers(depths: Sequence[int], batch_norm: bool = False) -> nn.Sequential:
    """The convolutions, ``depths[i]`` of them before the i-th pooling."""
    layers: list[nn.Module] = []
    channels = 3
    for depth, outputs in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            layers.append(nn.Conv2d(channels, outputs, kernel_size=3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(outputs))
            layers.append(nn.ReLU(inplace=True))
            channels = outputs
        layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*layers)


def _vgg(depth: int, batch_norm: bool, **options: Any) -> VGG:
    return VGG(make_layers(_DEPTHS[depth], batch_norm), **options)


def _builder(depth: int, batch_norm: bool) -> Any:
    suffix = "_bn" if batch_norm else ""
    weights = globals()[f"VGG{depth}{suffix.upper()}_Weights"]
    without_initial = {"init_weights": False}
    return builder(f"vgg{depth}{suffix}", _vgg, weights, depth, batch_norm, loading=without_initial)


VGG11_Weights = weights_enum("VGG11_Weights")
VGG11_BN_Weights = weights_enum("VGG11_BN_Weights")
VGG13_Weights = weights_enum("VGG13_Weights")
VGG13_BN_Weights = weights_enum("VGG13_BN_Weights")
VGG16_Weights = weights_enum("VGG16_Weights")
VGG16_BN_Weights = weights_enum("VGG16_BN_Weights")
VGG19_Weights = weights_enum("VGG19_Weights")
VGG19_BN_Weights = weights_enum("VGG19_BN_Weights")
vgg11, vgg11_bn = _builder(11, False), _builder(11, True)
vgg13, vgg13_bn = _builder(13, False), _builder(13, True)
vgg16, vgg16_bn = _builder(16, False), _builder(16, True)
vgg19, vgg19_bn = _builder(19, False), _builder(19, True)
