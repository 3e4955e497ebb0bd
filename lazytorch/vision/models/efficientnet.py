"""EfficientNet (Tan and Le 2019) and its second version (2021)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lazytorch.nn import init
from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor
from lazytorch.vision.models._initial import initialize_bias
from lazytorch.vision.models._registry import builder, weights_enum
from lazytorch.vision.models.mobilenetv2 import make_divisible
from lazytorch.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation, StochasticDepth

Norm = Callable[..., nn.Module]


@dataclass
class Stage:
    """A row of the papers' tables: blocks of one kind, the first with the stride."""

    fused: bool
    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int

    def scaled(self, width_mult: float, depth_mult: float) -> Stage:
        return replace(
            self,
            input_channels=make_divisible(self.input_channels * width_mult, 8),
            out_channels=make_divisible(self.out_channels * width_mult, 8),
            num_layers=math.ceil(self.num_layers * depth_mult),
        )


class _Block(nn.Module):
    """Convolutions beside the identity, of which whole rows are left out at random."""

    def __init__(self, stage: Stage, drop: float, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        if stage.stride not in (1, 2):
            raise ValueError("illegal stride value")
        self.use_res_connect = stage.stride == 1 and stage.input_channels == stage.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(drop, "row")
        self.out_channels = stage.out_channels

    def forward(self, input: Tensor) -> Tensor:
        result = self.block(input)
        if self.use_res_connect:
            result = self.stochastic_depth(result) + input
        return result


class MBConv(_Block):
    """A convolution of each channel alone, with squeeze and excitation."""

    def __init__(self, stage: Stage, stochastic_depth_prob: float, norm_layer: Norm) -> None:
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        inputs, kernel = stage.input_channels, stage.kernel
        wide = make_divisible(inputs * stage.expand_ratio, 8)
        layers: list[nn.Module] = []
        if wide != inputs:
            layers.append(block(inputs, wide, kernel_size=1))
        layers.append(block(wide, wide, kernel_size=kernel, stride=stage.stride, groups=wide))
        silu = partial(nn.SiLU, inplace=True)
        layers.append(SqueezeExcitation(wide, max(1, inputs // 4), activation=silu))
        layers.append(block(wide, stage.out_channels, kernel_size=1, activation_layer=None))
        super().__init__(stage, stochastic_depth_prob, layers)


class FusedMBConv(_Block):
    """One convolution in place of the first two of MBConv."""

    def __init__(self, stage: Stage, stochastic_depth_prob: float, norm_layer: Norm) -> None:
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        inputs, outputs = stage.input_channels, stage.out_channels
        wide = make_divisible(inputs * stage.expand_ratio, 8)
        first = partial(block, kernel_size=stage.kernel, stride=stage.stride)
        layers: list[nn.Module]
        if wide != inputs:
            last = block(wide, outputs, kernel_size=1, activation_layer=None)
            layers = [first(inputs, wide), last]
        else:
            layers = [first(inputs, outputs)]
        super().__init__(stage, stochastic_depth_prob, layers)


class EfficientNet(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes)."""

    def __init__(
        self,
        inverted_residual_setting: Sequence[Stage],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        norm = norm_layer or nn.BatchNorm2d
        outer = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        first = inverted_residual_setting[0].input_channels
        layers: list[nn.Module] = [outer(3, first, kernel_size=3, stride=2)]
        total = sum(stage.num_layers for stage in inverted_residual_setting)
        made = 0
        for stage in inverted_residual_setting:
            blocks = []
            for i in range(stage.num_layers):
                row = replace(stage, input_channels=stage.out_channels, stride=1) if i else stage
                kind = FusedMBConv if stage.fused else MBConv
                blocks.append(kind(row, stochastic_depth_prob * made / total, norm))
                made += 1
            layers.append(nn.Sequential(*blocks))
        before = inverted_residual_setting[-1].out_channels
        last = 4 * before if last_channel is None else last_channel
        layers.append(outer(before, last, kernel_size=1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout, inplace=True), nn.Linear(last, num_classes)
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                init.kaiming_normal_(m.weight, mode="fan_out")
            elif isinstance(m, nn.Linear):
                reach = 1.0 / math.sqrt(m.out_features)
                init.uniform_(m.weight, -reach, reach)
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                initialize_bias(m)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


# Fused, expansion, kernel, stride, inputs, outputs, layers.
_B = [
    Stage(False, *row)
    for row in (
        (1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3),
        (6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1),
    )
]  # fmt: skip
_V2_S = [
    Stage(*row)
    for row in (
        (True, 1, 3, 1, 24, 24, 2), (True, 4, 3, 2, 24, 48, 4), (True, 4, 3, 2, 48, 64, 4),
        (False, 4, 3, 2, 64, 128, 6), (False, 6, 3, 1, 128, 160, 9),
        (False, 6, 3, 2, 160, 256, 15),
    )
]  # fmt: skip
_V2_M = [
    Stage(*row)
    for row in (
        (True, 1, 3, 1, 24, 24, 3), (True, 4, 3, 2, 24, 48, 5), (True, 4, 3, 2, 48, 80, 5),
        (False, 4, 3, 2, 80, 160, 7), (False, 6, 3, 1, 160, 176, 14),
        (False, 6, 3, 2, 176, 304, 18), (False, 6, 3, 1, 304, 512, 5),
    )
]  # fmt: skip
_V2_L = [
    Stage(*row)
    for row in (
        (True, 1, 3, 1, 32, 32, 4), (True, 4, 3, 2, 32, 64, 7), (True, 4, 3, 2, 64, 96, 7),
        (False, 4, 3, 2, 96, 192, 10), (False, 6, 3, 1, 192, 224, 19),
        (False, 6, 3, 2, 224, 384, 25), (False, 6, 3, 1, 384, 640, 7),
    )
]  # fmt: skip


def _efficientnet_b(width: float, depth: float, dropout: float, **options: Any) -> EfficientNet:
    return EfficientNet([stage.scaled(width, depth) for stage in _B], dropout, **options)


EfficientNet_B0_Weights = weights_enum("EfficientNet_B0_Weights")
EfficientNet_B1_Weights = weights_enum("EfficientNet_B1_Weights")
EfficientNet_B2_Weights = weights_enum("EfficientNet_B2_Weights")
EfficientNet_B3_Weights = weights_enum("EfficientNet_B3_Weights")
EfficientNet_B4_Weights = weights_enum("EfficientNet_B4_Weights")
EfficientNet_B5_Weights = weights_enum("EfficientNet_B5_Weights")
EfficientNet_B6_Weights = weights_enum("EfficientNet_B6_Weights")
EfficientNet_B7_Weights = weights_enum("EfficientNet_B7_Weights")
EfficientNet_V2_S_Weights = weights_enum("EfficientNet_V2_S_Weights")
EfficientNet_V2_M_Weights = weights_enum("EfficientNet_V2_M_Weights")
EfficientNet_V2_L_Weights = weights_enum("EfficientNet_V2_L_Weights")

_make = _efficientnet_b
_EPS: dict[str, Any] = {"norm_layer": partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)}
efficientnet_b0 = builder("efficientnet_b0", _make, EfficientNet_B0_Weights, 1.0, 1.0, 0.2)
efficientnet_b1 = builder("efficientnet_b1", _make, EfficientNet_B1_Weights, 1.0, 1.1, 0.2)
efficientnet_b2 = builder("efficientnet_b2", _make, EfficientNet_B2_Weights, 1.1, 1.2, 0.3)
efficientnet_b3 = builder("efficientnet_b3", _make, EfficientNet_B3_Weights, 1.2, 1.4, 0.3)
efficientnet_b4 = builder("efficientnet_b4", _make, EfficientNet_B4_Weights, 1.4, 1.8, 0.4)
efficientnet_b5 = builder("efficientnet_b5", _make, EfficientNet_B5_Weights, 1.6, 2.2, 0.4, **_EPS)
efficientnet_b6 = builder("efficientnet_b6", _make, EfficientNet_B6_Weights, 1.8, 2.6, 0.5, **_EPS)
efficientnet_b7 = builder("efficientnet_b7", _make, EfficientNet_B7_Weights, 2.0, 3.1, 0.5, **_EPS)
_V2: dict[str, Any] = {"norm_layer": partial(nn.BatchNorm2d, eps=1e-3), "last_channel": 1280}
efficientnet_v2_s = builder(
    "efficientnet_v2_s", EfficientNet, EfficientNet_V2_S_Weights, _V2_S, 0.2, **_V2
)
efficientnet_v2_m = builder(
    "efficientnet_v2_m", EfficientNet, EfficientNet_V2_M_Weights, _V2_M, 0.3, **_V2
)
efficientnet_v2_l = builder(
    "efficientnet_v2_l", EfficientNet, EfficientNet_V2_L_Weights, _V2_L, 0.4, **_V2
)
