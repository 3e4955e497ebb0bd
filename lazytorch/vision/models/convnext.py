"""ConvNeXt (Liu et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from lazytorch.functions.creation import full
from lazytorch.nn import functional as F
from lazytorch.nn import init
from lazytorch.nn import modules as nn
from lazytorch.nn.parameter import Parameter
from lazytorch.tensor import Tensor
from lazytorch.vision.models._initial import initialize_bias
from lazytorch.vision.models._registry import builder, weights_enum
from lazytorch.vision.ops.misc import Conv2dNormActivation, Permute, StochasticDepth


class LayerNorm2d(nn.LayerNorm):
    """Normalizes the channels of images (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """A 7x7 convolution of each channel alone, then two layers, scaled, beside the identity."""

    def __init__(self, dim: int, layer_scale: float, stochastic_depth_prob: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim), Permute([0, 2, 3, 1]),
            nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, 4 * dim), nn.GELU(),
            nn.Linear(4 * dim, dim), Permute([0, 3, 1, 2]),
        )  # fmt: skip
        self.layer_scale = Parameter(full((dim, 1, 1), layer_scale))
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Tensor) -> Tensor:
        return self.stochastic_depth(self.layer_scale * self.block(input)) + input


class ConvNeXt(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes); stage i has ``depths[i]`` blocks of
    ``widths[i]`` channels."""

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        norm = partial(LayerNorm2d, eps=1e-6)
        layers: list[nn.Module] = [
            Conv2dNormActivation(
                3, widths[0], kernel_size=4, stride=4, padding=0, norm_layer=norm,
                activation_layer=None, bias=True,
            )
        ]  # fmt: skip
        total, made = sum(depths), 0
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = []
            for _ in range(depth):
                drop = stochastic_depth_prob * made / (total - 1.0)
                blocks.append(CNBlock(width, layer_scale, drop))
                made += 1
            layers.append(nn.Sequential(*blocks))
            if i + 1 < len(widths):
                halve = nn.Conv2d(width, widths[i + 1], kernel_size=2, stride=2)
                layers.append(nn.Sequential(norm(width), halve))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            norm(widths[-1]), nn.Flatten(1), nn.Linear(widths[-1], num_classes)
        )
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                init.trunc_normal_(m.weight, std=0.02)
                initialize_bias(m)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)))


ConvNeXt_Tiny_Weights = weights_enum("ConvNeXt_Tiny_Weights")
ConvNeXt_Small_Weights = weights_enum("ConvNeXt_Small_Weights")
ConvNeXt_Base_Weights = weights_enum("ConvNeXt_Base_Weights")
ConvNeXt_Large_Weights = weights_enum("ConvNeXt_Large_Weights")
_96, _128, _192 = [tuple(first * 2**i for i in range(4)) for first in (96, 128, 192)]
_DEEP = (3, 3, 27, 3)
convnext_tiny = builder(
    "convnext_tiny", ConvNeXt, ConvNeXt_Tiny_Weights, _96, (3, 3, 9, 3), stochastic_depth_prob=0.1
)
convnext_small = builder(
    "convnext_small", ConvNeXt, ConvNeXt_Small_Weights, _96, _DEEP, stochastic_depth_prob=0.4
)
convnext_base = builder(
    "convnext_base", ConvNeXt, ConvNeXt_Base_Weights, _128, _DEEP, stochastic_depth_prob=0.5
)
convnext_large = builder(
    "convnext_large", ConvNeXt, ConvNeXt_Large_Weights, _192, _DEEP, stochastic_depth_prob=0.5
)
