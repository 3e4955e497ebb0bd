"""What prepares an image for a model with published weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor
from lazytorch.vision.transforms import functional as F


class ImageClassification(nn.Module):
    """Resized, cropped in the middle, from 0 to 1, normalized: an image of Pillow or a tensor
    (..., 3, H, W) to (..., 3, crop_size, crop_size)."""

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        interpolation: F.InterpolationMode = F.InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.crop_size, self.resize_size = [crop_size], [resize_size]
        self.mean, self.std = list(mean), list(std)
        self.interpolation, self.antialias = interpolation, antialias

    def forward(self, img: Any) -> Tensor:
        img = F.resize(img, self.resize_size, self.interpolation, antialias=self.antialias)
        img = F.center_crop(img, self.crop_size)
        if not isinstance(img, Tensor):
            img = F.pil_to_tensor(img)
        return F.normalize(F.convert_image_dtype(img), self.mean, self.std)

    def __repr__(self) -> str:
        shown = ("crop_size", "resize_size", "mean", "std", "interpolation")
        lines = [f"\n    {name}={getattr(self, name)}" for name in shown]
        return f"{self.__class__.__name__}({''.join(lines)}\n)"
