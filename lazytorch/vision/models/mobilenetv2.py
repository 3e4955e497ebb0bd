"""MobileNet V2 (Sandler et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from lazytorch.nn import functional as F
from lazytorch.nn import init
from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor
from lazytorch.vision.models._initial import initialize_bias
from lazytorch.vision.models._registry import builder, weights_enum
from lazytorch.vision.ops.misc import Conv2dNormActivation


def make_divisible(value: float, divisor: int, least: int | None = None) -> int:
    """The multiple of ``divisor`` nearest to ``value``, but not under nine tenths of it."""
    found = max(least or divisor, int(value + divisor / 2) // divisor * divisor)
    return found + divisor if found < 0.9 * value else found


def initialize(module: nn.Module) -> None:
    """The initial values of versions 2 and 3: He's for convolutions, small ones for layers."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            init.kaiming_normal_(m.weight, mode="fan_out")
        elif isinstance(m, nn.Linear):
            init.normal_(m.weight, 0, 0.01)
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            initialize_bias(m)


class InvertedResidual(nn.Module):
    """A block: more channels, a convolution of each alone, fewer channels, beside the input."""

    def __init__(
        self,
        inp: int,
        oup: int,
        stride: int,
        expand_ratio: float,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        norm = norm_layer or nn.BatchNorm2d
        self.stride = stride
        hidden = round(inp * expand_ratio)
        self.use_res_connect = stride == 1 and inp == oup
        block = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(block(inp, hidden, kernel_size=1))
        layers += [
            block(hidden, hidden, stride=stride, groups=hidden),
            nn.Conv2d(hidden, oup, 1, 1, 0, bias=False),
            norm(oup),
        ]
        self.conv = nn.Sequential(*layers)
        self.out_channels = oup

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


# Of each stage: expansion, channels, blocks, stride of the first.
_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


class MobileNetV2(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes); ``width_mult`` scales all channels."""

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        make, norm = block or InvertedResidual, norm_layer or nn.BatchNorm2d
        stages = _STAGES if inverted_residual_setting is None else inverted_residual_setting
        if len(stages) == 0 or len(stages[0]) != 4:
            raise ValueError(
                "inverted_residual_setting should be non-empty or a 4-element list, got "
                f"{inverted_residual_setting}"
            )
        outer = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6)
        channels = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [outer(3, channels, stride=2)]
        for expansion, width, count, stride in stages:
            outputs = make_divisible(width * width_mult, round_nearest)
            for i in range(count):
                features.append(
                    make(
                        channels, outputs, 1 if i else stride,
                        expand_ratio=expansion, norm_layer=norm,
                    )
                )  # fmt: skip
                channels = outputs
        features.append(outer(channels, self.last_channel, kernel_size=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes)
        )
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(x.flatten(1))


MobileNet_V2_Weights = weights_enum("MobileNet_V2_Weights")
mobilenet_v2 = builder("mobilenet_v2", MobileNetV2, MobileNet_V2_Weights)
