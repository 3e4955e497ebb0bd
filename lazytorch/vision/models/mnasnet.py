"""MNASNet B1 (Tan et al. 2018)."""

from __future__ import annotations

from lazytorch.nn import init
from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor
from lazytorch.vision.models._initial import initialize_bias
from lazytorch.vision.models._registry import builder, weights_enum

# The paper's 0.9997 is how much of the old statistics stays.
_MOMENTUM = 1 - 0.9997
# Of each stack: kernel, stride, expansion, blocks.
_STACKS = ((3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1))


def _convolved(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs, momentum=_MOMENTUM)]


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.apply_residual = inputs == outputs and stride == 1
        self.layers = nn.Sequential(
            *_convolved(inputs, wide, 1, 1, 1), nn.ReLU(inplace=True),
            *_convolved(wide, wide, kernel, stride, wide), nn.ReLU(inplace=True),
            *_convolved(wide, outputs, 1, 1, 1),
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        result = self.layers(input)
        return result + input if self.apply_residual else result


def _rounded(value: float) -> int:
    """To a multiple of 8, upwards unless that is more than a tenth too much."""
    found = max(8, int(value + 4) // 8 * 8)
    return found if found >= 0.9 * value else found + 8


class MNASNet(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes); ``alpha`` scales the channels."""

    _version = 2

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha, self.num_classes = alpha, num_classes
        depths = [_rounded(depth * alpha) for depth in (32, 16, 24, 40, 80, 96, 192, 320)]
        layers = [
            *_convolved(3, depths[0], 3, 2, 1), nn.ReLU(inplace=True),
            *_convolved(depths[0], depths[0], 3, 1, depths[0]), nn.ReLU(inplace=True),
            *_convolved(depths[0], depths[1], 1, 1, 1),
        ]  # fmt: skip
        for i, (kernel, stride, expansion, count) in enumerate(_STACKS, 1):
            blocks = [_InvertedResidual(depths[i], depths[i + 1], kernel, stride, expansion)]
            for _ in range(1, count):
                blocks.append(_InvertedResidual(depths[i + 1], depths[i + 1], kernel, 1, expansion))
            layers.append(nn.Sequential(*blocks))
        layers += [*_convolved(depths[7], 1280, 1, 1, 1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes)
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.Linear):
                init.kaiming_uniform_(m.weight, mode="fan_out", nonlinearity="sigmoid")
                initialize_bias(m)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.layers(x).mean([2, 3]))


MNASNet0_5_Weights = weights_enum("MNASNet0_5_Weights")
MNASNet0_75_Weights = weights_enum("MNASNet0_75_Weights")
MNASNet1_0_Weights = weights_enum("MNASNet1_0_Weights")
MNASNet1_3_Weights = weights_enum("MNASNet1_3_Weights")
mnasnet0_5 = builder("mnasnet0_5", MNASNet, MNASNet0_5_Weights, 0.5)
mnasnet0_75 = builder("mnasnet0_75", MNASNet, MNASNet0_75_Weights, 0.75)
mnasnet1_0 = builder("mnasnet1_0", MNASNet, MNASNet1_0_Weights, 1.0)
mnasnet1_3 = builder("mnasnet1_3", MNASNet, MNASNet1_3_Weights, 1.3)
