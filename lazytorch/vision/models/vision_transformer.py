"""The vision transformer (Dosovitskiy et al. 2020): an encoder over patches of the image."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from lazytorch.functions.creation import empty, zeros
from lazytorch.functions.joining import cat
from lazytorch.nn import init
from lazytorch.nn import modules as nn
from lazytorch.nn.parameter import Parameter
from lazytorch.tensor import Tensor
from lazytorch.vision.models._initial import initialize_bias
from lazytorch.vision.models._registry import builder, weights_enum
from lazytorch.vision.ops.misc import MLP, Conv2dNormActivation

Norm = Callable[..., nn.Module]
_NORM: Norm = partial(nn.LayerNorm, eps=1e-6)


class ConvStemConfig(NamedTuple):
    """A convolution of those that stand before the encoder in place of one over each patch."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Norm = nn.BatchNorm2d
    activation_layer: Norm = nn.ReLU


class MLPBlock(MLP):
    """Two layers with GELU between them."""

    _version = 2

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, dropout=dropout)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                init.xavier_uniform_(m.weight)
                if m.bias is not None:
                    init.normal_(m.bias, std=1e-6)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        if local_metadata.get("version") in (None, 1):
            # The layers were called linear_1 and linear_2.
            for i in range(2):
                for part in ("weight", "bias"):
                    old = f"{prefix}linear_{i + 1}.{part}"
                    if old in state_dict:
                        state_dict[f"{prefix}{3 * i}.{part}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class EncoderBlock(nn.Module):
    """Attention and two layers, each normalized first and beside the identity."""

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Norm = _NORM,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: Tensor) -> Tensor:
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Blocks over a sequence (N, seq_length, hidden_dim), to which positions are added."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Norm = _NORM,
    ) -> None:
        super().__init__()
        self.pos_embedding = Parameter(empty((1, seq_length, hidden_dim)).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        options = num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
        blocks: list[tuple[str, nn.Module]] = [
            (f"encoder_layer_{i}", EncoderBlock(*options)) for i in range(num_layers)
        ]
        self.layers = nn.Sequential(OrderedDict(blocks))
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 3:
            raise AssertionError(f"Expected (batch_size, seq_length, hidden_dim) got {input.shape}")
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """Images (N, 3, image_size, image_size) to scores (N, num_classes)."""

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Norm = _NORM,
        conv_stem_configs: Sequence[ConvStemConfig] | None = None,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise AssertionError("Input shape indivisible by patch size!")
        self.image_size, self.patch_size, self.hidden_dim = image_size, patch_size, hidden_dim
        self.mlp_dim, self.num_classes = mlp_dim, num_classes
        self.attention_dropout, self.dropout = attention_dropout, dropout
        self.representation_size, self.norm_layer = representation_size, norm_layer
        self.conv_proj: nn.Module
        if conv_stem_configs is None:
            patches = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)
            init.trunc_normal_(patches.weight, std=math.sqrt(1 / (3 * patch_size**2)))
            last = self.conv_proj = patches
        else:
            self.conv_proj, last = _stem(conv_stem_configs, hidden_dim)
        initialize_bias(last)
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.class_token = Parameter(zeros((1, 1, hidden_dim)))
        self.encoder = Encoder(
            self.seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout,
            attention_dropout, norm_layer,
        )  # fmt: skip
        self.heads = nn.Sequential()
        width = hidden_dim
        if representation_size is not None:
            before = nn.Linear(hidden_dim, representation_size)
            init.trunc_normal_(before.weight, std=math.sqrt(1 / hidden_dim))
            initialize_bias(before)
            self.heads.add_module("pre_logits", before)
            self.heads.add_module("act", nn.Tanh())
            width = representation_size
        head = nn.Linear(width, num_classes)
        init.zeros_(head.weight)
        initialize_bias(head)
        self.heads.add_module("head", head)

    def _patches(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        for name, side in (("height", height), ("width", width)):
            if side != self.image_size:
                raise AssertionError(
                    f"Wrong image {name}! Expected {self.image_size} but got {side}!"
                )
        count = (self.image_size // self.patch_size) ** 2
        return self.conv_proj(x).reshape(batch, self.hidden_dim, count).permute(0, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        token = self.class_token.expand(x.shape[0], -1, -1)
        x = self.encoder(cat([token, self._patches(x)], 1))
        return self.heads(x[:, 0])


def _stem(configs: Sequence[ConvStemConfig], hidden_dim: int) -> tuple[nn.Sequential, nn.Conv2d]:
    """The convolutions before the encoder (Xiao et al. 2021), and the last of them."""
    stem, channels = nn.Sequential(), 3
    for i, (outputs, kernel, stride, norm, activation) in enumerate(configs):
        layer = Conv2dNormActivation(
            channels, outputs, kernel, stride, norm_layer=norm, activation_layer=activation
        )
        stem.add_module(f"conv_bn_relu_{i}", layer)
        channels = outputs
    last = nn.Conv2d(channels, hidden_dim, kernel_size=1)
    init.normal_(last.weight, mean=0.0, std=math.sqrt(2.0 / hidden_dim))
    stem.add_module("conv_last", last)
    return stem, last


def _vit(*sizes: Any, **options: Any) -> VisionTransformer:
    return VisionTransformer(options.pop("image_size", 224), *sizes, **options)


def _size_of_weights(weights: Any) -> dict[str, Any]:
    return {"image_size": weights.meta["min_size"][0]}


ViT_B_16_Weights = weights_enum("ViT_B_16_Weights")
ViT_B_32_Weights = weights_enum("ViT_B_32_Weights")
ViT_L_16_Weights = weights_enum("ViT_L_16_Weights")
ViT_L_32_Weights = weights_enum("ViT_L_32_Weights")
ViT_H_14_Weights = weights_enum("ViT_H_14_Weights")
# Patch, layers, heads, width, width between the two layers.
vit_b_16 = builder(
    "vit_b_16", _vit, ViT_B_16_Weights, 16, 12, 12, 768, 3072, loading=_size_of_weights
)
vit_b_32 = builder(
    "vit_b_32", _vit, ViT_B_32_Weights, 32, 12, 12, 768, 3072, loading=_size_of_weights
)
vit_l_16 = builder(
    "vit_l_16", _vit, ViT_L_16_Weights, 16, 24, 16, 1024, 4096, loading=_size_of_weights
)
vit_l_32 = builder(
    "vit_l_32", _vit, ViT_L_32_Weights, 32, 24, 16, 1024, 4096, loading=_size_of_weights
)
vit_h_14 = builder(
    "vit_h_14", _vit, ViT_H_14_Weights, 14, 32, 16, 1280, 5120, loading=_size_of_weights
)
