"""MobileNet V3 (Howard et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor
from lazytorch.vision.models._registry import builder, weights_enum
from lazytorch.vision.models.mobilenetv2 import initialize, make_divisible
from lazytorch.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation

_SQUEEZE = partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)


class InvertedResidualConfig:
    """What a block is made of; ``width_mult`` scales its channels."""

    def __init__(
        self,
        input_channels: int,
        kernel: int,
        expanded_channels: int,
        out_channels: int,
        use_se: bool,
        activation: str,
        stride: int,
        dilation: int,
        width_mult: float,
    ) -> None:
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se, self.use_hs = use_se, activation == "HS"
        self.stride, self.dilation = stride, dilation

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        return make_divisible(channels * width_mult, 8)


class InvertedResidual(nn.Module):
    """Version 2's block, with squeeze and excitation before the last convolution."""

    def __init__(
        self,
        cnf: InvertedResidualConfig,
        norm_layer: Callable[..., nn.Module],
        se_layer: Callable[..., nn.Module] = _SQUEEZE,
    ) -> None:
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        activation: Any = nn.Hardswish if cnf.use_hs else nn.ReLU
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation)
        wide = cnf.expanded_channels
        layers: list[nn.Module] = []
        if wide != cnf.input_channels:
            layers.append(block(cnf.input_channels, wide, kernel_size=1))
        layers.append(
            block(
                wide, wide, kernel_size=cnf.kernel, stride=1 if cnf.dilation > 1 else cnf.stride,
                dilation=cnf.dilation, groups=wide,
            )
        )  # fmt: skip
        if cnf.use_se:
            layers.append(se_layer(wide, make_divisible(wide // 4, 8)))
        layers.append(
            Conv2dNormActivation(
                wide, cnf.out_channels, kernel_size=1, norm_layer=norm_layer, activation_layer=None
            )
        )
        self.block = nn.Sequential(*layers)
        self.out_channels = cnf.out_channels

    def forward(self, input: Tensor) -> Tensor:
        result = self.block(input)
        return result + input if self.use_res_connect else result


class MobileNetV3(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes)."""

    def __init__(
        self,
        inverted_residual_setting: Sequence[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        norm = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        make = block or InvertedResidual
        outer = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.Hardswish)
        first = inverted_residual_setting[0].input_channels
        last = inverted_residual_setting[-1].out_channels
        self.features = nn.Sequential(
            outer(3, first, kernel_size=3, stride=2),
            *[make(one, norm) for one in inverted_residual_setting],
            outer(last, 6 * last, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * last, last_channel), nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True), nn.Linear(last_channel, num_classes),
        )  # fmt: skip
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


# Of each block: inputs, kernel, expanded, outputs, squeeze and excitation, activation, stride. The
# stages from "tail" on are halved by reduced_tail and dilated by dilated.
_LARGE = (
    (16, 3, 16, 16, False, "RE", 1), (16, 3, 64, 24, False, "RE", 2),
    (24, 3, 72, 24, False, "RE", 1), (24, 5, 72, 40, True, "RE", 2),
    (40, 5, 120, 40, True, "RE", 1), (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2), (80, 3, 200, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1), (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 480, 112, True, "HS", 1), (112, 3, 672, 112, True, "HS", 1),
)  # fmt: skip
_LARGE_TAIL = (112, 672, 160, 960)
_SMALL = (
    (16, 3, 16, 16, True, "RE", 2), (16, 3, 72, 24, False, "RE", 2),
    (24, 3, 88, 24, False, "RE", 1), (24, 5, 96, 40, True, "HS", 2),
    (40, 5, 240, 40, True, "HS", 1), (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1), (48, 5, 144, 48, True, "HS", 1),
)  # fmt: skip
_SMALL_TAIL = (48, 288, 96, 576)


def _mobilenet_v3(
    blocks: Sequence[Any],
    tail: tuple[int, int, int, int],
    last_channel: int,
    width_mult: float = 1.0,
    reduced_tail: bool = False,
    dilated: bool = False,
    **options: Any,
) -> MobileNetV3:
    halved, dilation = 2 if reduced_tail else 1, 2 if dilated else 1
    make: Any = partial(InvertedResidualConfig, width_mult=width_mult)
    inputs, first, outputs, wide = tail[0], tail[1], tail[2] // halved, tail[3] // halved
    settings = [make(*row, 1) for row in blocks]
    settings.append(make(inputs, 5, first, outputs, True, "HS", 2, dilation))
    settings += [make(outputs, 5, wide, outputs, True, "HS", 1, dilation) for _ in range(2)]
    last = InvertedResidualConfig.adjust_channels(last_channel // halved, width_mult)
    return MobileNetV3(settings, last, **options)


MobileNet_V3_Large_Weights = weights_enum("MobileNet_V3_Large_Weights")
MobileNet_V3_Small_Weights = weights_enum("MobileNet_V3_Small_Weights")
mobilenet_v3_large = builder(
    "mobilenet_v3_large", _mobilenet_v3, MobileNet_V3_Large_Weights, _LARGE, _LARGE_TAIL, 1280
)
mobilenet_v3_small = builder(
    "mobilenet_v3_small", _mobilenet_v3, MobileNet_V3_Small_Weights, _SMALL, _SMALL_TAIL, 1024
)
