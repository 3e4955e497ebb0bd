"""Random pictures, the same ones again at the same places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazytorch.vision.datasets.vision import Transform, VisionDataset
from lazytorch.vision.transforms.functional import to_pil_image


class FakeData(VisionDataset):
    """``size`` pictures of ``image_size`` (C, H, W) with a class each; ``random_offset`` gives
    others."""

    def __init__(
        self,
        size: int = 1000,
        image_size: Sequence[int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size, self.num_classes = size, num_classes
        self.image_size, self.random_offset = image_size, random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{self.__class__.__name__} index out of range")
        source = np.random.default_rng(index + self.random_offset)
        channels, height, width = self.image_size
        pixels = source.integers(0, 256, (height, width, channels), np.uint8)
        return self._transformed(to_pil_image(pixels), int(source.integers(self.num_classes)))

    def __len__(self) -> int:
        return self.size
