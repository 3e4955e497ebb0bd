"""ShuffleNet V2 (Ma et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

from lazytorch.functions.joining import cat
from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor
from lazytorch.vision.models._registry import builder, weights_enum


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """The channels of (N, C, H, W), dealt out: the first of each group, the second, …"""
    batch, channels, height, width = x.shape
    x = x.view(batch, groups, channels // groups, height, width).transpose(1, 2)
    return x.reshape(batch, channels, height, width)


def _pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel_size=1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, channels, 3, stride, 1, bias=False, groups=channels)
    return [convolution, nn.BatchNorm2d(channels)]


class InvertedResidual(nn.Module):
    """Half of the channels pass by; with a stride, both branches compute."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError("illegal stride value")
        self.stride = stride
        half = oup // 2
        if stride == 1 and inp != 2 * half:
            raise ValueError(
                f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values. If "
                "stride == 1 then inp should be equal to oup // 2 << 1."
            )
        if stride > 1:
            self.branch1 = nn.Sequential(*_depthwise(inp, stride), *_pointwise(inp, half))
        else:
            self.branch1 = nn.Sequential()
        first = _pointwise(inp if stride > 1 else half, half)
        self.branch2 = nn.Sequential(*first, *_depthwise(half, stride), *_pointwise(half, half))

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            kept, changed = x.chunk(2, dim=1)
            return channel_shuffle(cat((kept, self.branch2(changed)), 1), 2)
        return channel_shuffle(cat((self.branch1(x), self.branch2(x)), 1), 2)


class ShuffleNetV2(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes)."""

    def __init__(
        self,
        stages_repeats: Sequence[int],
        stages_out_channels: Sequence[int],
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError("expected stages_repeats as list of 3 positive ints")
        if len(stages_out_channels) != 5:
            raise ValueError("expected stages_out_channels as list of 5 positive ints")
        first, *middle, last = stages_out_channels
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = first
        for stage, (repeats, outputs) in enumerate(zip(stages_repeats, middle, strict=True), 2):
            blocks = [InvertedResidual(channels, outputs, 2)]
            blocks += [InvertedResidual(outputs, outputs, 1) for _ in range(repeats - 1)]
            setattr(self, f"stage{stage}", nn.Sequential(*blocks))
            channels = outputs
        self.conv5 = nn.Sequential(*_pointwise(channels, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(self.conv5(x).mean([2, 3]))


ShuffleNet_V2_X0_5_Weights = weights_enum("ShuffleNet_V2_X0_5_Weights")
ShuffleNet_V2_X1_0_Weights = weights_enum("ShuffleNet_V2_X1_0_Weights")
ShuffleNet_V2_X1_5_Weights = weights_enum("ShuffleNet_V2_X1_5_Weights")
ShuffleNet_V2_X2_0_Weights = weights_enum("ShuffleNet_V2_X2_0_Weights")
_REPEATS = (4, 8, 4)
shufflenet_v2_x0_5 = builder(
    "shufflenet_v2_x0_5", ShuffleNetV2, ShuffleNet_V2_X0_5_Weights, _REPEATS,
    (24, 48, 96, 192, 1024),
)  # fmt: skip
shufflenet_v2_x1_0 = builder(
    "shufflenet_v2_x1_0", ShuffleNetV2, ShuffleNet_V2_X1_0_Weights, _REPEATS,
    (24, 116, 232, 464, 1024),
)  # fmt: skip
shufflenet_v2_x1_5 = builder(
    "shufflenet_v2_x1_5", ShuffleNetV2, ShuffleNet_V2_X1_5_Weights, _REPEATS,
    (24, 176, 352, 704, 1024),
)  # fmt: skip
shufflenet_v2_x2_0 = builder(
    "shufflenet_v2_x2_0", ShuffleNetV2, ShuffleNet_V2_X2_0_Weights, _REPEATS,
    (24, 244, 488, 976, 2048),
)  # fmt: skip
