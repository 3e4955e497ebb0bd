"""Densely connected networks (Huang et al. 2016)."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from lazytorch.functions.joining import cat
from lazytorch.nn import functional as F
from lazytorch.nn import init
from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor
from lazytorch.utils.checkpoint import checkpoint
from lazytorch.vision.models._initial import initialize_bias
from lazytorch.vision.models._registry import builder, weights_enum


class _DenseLayer(nn.Module):
    def __init__(
        self, inputs: int, growth_rate: int, bn_size: int, drop_rate: float, memory_efficient: bool
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, bn_size * growth_rate, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(
            bn_size * growth_rate, growth_rate, kernel_size=3, padding=1, bias=False
        )
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def _narrow(self, *inputs: Tensor) -> Tensor:
        return self.conv1(self.relu1(self.norm1(cat(inputs, 1))))

    def forward(self, inputs: Tensor | list[Tensor]) -> Tensor:
        several = [inputs] if isinstance(inputs, Tensor) else inputs
        if self.memory_efficient and any(x.requires_grad for x in several):
            x = checkpoint(self._narrow, *several, use_reentrant=False)
        else:
            x = self._narrow(*several)
        x = self.conv2(self.relu2(self.norm2(x)))
        if self.drop_rate > 0:
            x = F.dropout(x, p=self.drop_rate, training=self.training)
        return x


class _DenseBlock(nn.ModuleDict):
    """Layers of which each reads what all before it gave."""

    _version = 2

    def __init__(
        self,
        layers: int,
        inputs: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool,
    ) -> None:
        super().__init__()
        for i in range(layers):
            layer = _DenseLayer(
                inputs + i * growth_rate, growth_rate, bn_size, drop_rate, memory_efficient
            )
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, init_features: Tensor) -> Tensor:
        features = [init_features]
        for layer in self.values():
            features.append(layer(features))
        return cat(features, 1)


class _Transition(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(inputs, outputs, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class DenseNet(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes).

    ``block_config`` counts the layers of each block, a layer adds ``growth_rate`` channels and
    computes ``bn_size`` times as many in between; ``memory_efficient`` computes those again in
    backward.
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        channels = num_init_features
        first: list[tuple[str, nn.Module]] = [
            ("conv0", nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False)),
            ("norm0", nn.BatchNorm2d(channels)),
            ("relu0", nn.ReLU(inplace=True)),
            ("pool0", nn.MaxPool2d(kernel_size=3, stride=2, padding=1)),
        ]
        self.features = nn.Sequential(OrderedDict(first))
        for i, layers in enumerate(block_config, 1):
            block = _DenseBlock(layers, channels, bn_size, growth_rate, drop_rate, memory_efficient)
            self.features.add_module(f"denseblock{i}", block)
            channels += layers * growth_rate
            if i != len(block_config):
                self.features.add_module(f"transition{i}", _Transition(channels, channels // 2))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                init.kaiming_normal_(m.weight)
            elif isinstance(m, nn.Linear):
                initialize_bias(m)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x), inplace=True)
        x = F.adaptive_avg_pool2d(x, (1, 1))
        return self.classifier(x.flatten(1))


# The published files say "norm.1" where a module is called norm1: dots no longer are allowed.
_OLD_NAME = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")


def _load(model: DenseNet, weights: Any, progress: bool) -> None:
    found = weights.get_state_dict(progress=progress, check_hash=True)
    model.load_state_dict({_OLD_NAME.sub(r"\1\2", key): value for key, value in found.items()})


DenseNet121_Weights = weights_enum("DenseNet121_Weights")
DenseNet161_Weights = weights_enum("DenseNet161_Weights")
DenseNet169_Weights = weights_enum("DenseNet169_Weights")
DenseNet201_Weights = weights_enum("DenseNet201_Weights")
densenet121 = builder(
    "densenet121", DenseNet, DenseNet121_Weights, 32, (6, 12, 24, 16), 64, load=_load
)
densenet161 = builder(
    "densenet161", DenseNet, DenseNet161_Weights, 48, (6, 12, 36, 24), 96, load=_load
)
densenet169 = builder(
    "densenet169", DenseNet, DenseNet169_Weights, 32, (6, 12, 32, 32), 64, load=_load
)
densenet201 = builder(
    "densenet201", DenseNet, DenseNet201_Weights, 32, (6, 12, 48, 32), 64, load=_load
)
