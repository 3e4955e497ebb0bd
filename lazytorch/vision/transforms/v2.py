"""The second version of transforms: the same, of whole samples.

A sample is any nest of tuples, lists and dicts. Every image in it is transformed by the same
choices: pictures of Pillow, and tensors where there is no such picture (only the first one where
they are bare); labels and numbers pass. Boxes and masks are not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from codegen import dtype as dt
from lazytorch.functions.data import as_tensor
from lazytorch.functions.random import default_generator
from lazytorch.nn import Module
from lazytorch.nn.functional import one_hot
from lazytorch.tensor import Tensor
from lazytorch.utils import _pytree
from lazytorch.vision._pillow import is_pillow_image
from lazytorch.vision.transforms import _chance, _fixed, functional
from lazytorch.vision.transforms import _random as draw
from lazytorch.vision.transforms.functional import InterpolationMode


def _images(leaves: list[Any]) -> list[int]:
    """The places of what is an image."""
    pictures = [i for i, leaf in enumerate(leaves) if is_pillow_image(leaf)]
    if pictures:
        return pictures
    arrays = [i for i, leaf in enumerate(leaves) if isinstance(leaf, (Tensor, np.ndarray))]
    return arrays[:1]


def _of_samples(base: Any) -> Any:
    """A transform of one image as one of samples."""

    class OfSamples(base):  # type: ignore[misc]
        def __call__(self, *inputs: Any) -> Any:
            sample = inputs if len(inputs) > 1 else inputs[0]
            leaves, structure = _pytree.tree_flatten(sample)
            seed, first = default_generator._seed, default_generator._next
            for place in _images(leaves):
                # The same numbers for every image.
                default_generator._seed, default_generator._next = seed, first
                leaves[place] = super().__call__(leaves[place])
            return _pytree.tree_unflatten(leaves, structure)

    OfSamples.__name__ = OfSamples.__qualname__ = base.__name__
    OfSamples.__doc__ = base.__doc__
    OfSamples.__module__ = __name__
    return OfSamples


CenterCrop = _of_samples(_fixed.CenterCrop)
ColorJitter = _of_samples(_chance.ColorJitter)
ConvertImageDtype = _of_samples(_fixed.ConvertImageDtype)
ElasticTransform = _of_samples(_chance.ElasticTransform)
FiveCrop = _of_samples(_fixed.FiveCrop)
GaussianBlur = _of_samples(_chance.GaussianBlur)
Grayscale = _of_samples(_fixed.Grayscale)
Normalize = _of_samples(_fixed.Normalize)
PILToTensor = _of_samples(_fixed.PILToTensor)
Pad = _of_samples(_fixed.Pad)
RandomAdjustSharpness = _of_samples(_chance.RandomAdjustSharpness)
RandomAffine = _of_samples(_chance.RandomAffine)
RandomAutocontrast = _of_samples(_chance.RandomAutocontrast)
RandomCrop = _of_samples(_chance.RandomCrop)
RandomEqualize = _of_samples(_chance.RandomEqualize)
RandomErasing = _of_samples(_chance.RandomErasing)
RandomGrayscale = _of_samples(_chance.RandomGrayscale)
RandomHorizontalFlip = _of_samples(_chance.RandomHorizontalFlip)
RandomInvert = _of_samples(_chance.RandomInvert)
RandomPerspective = _of_samples(_chance.RandomPerspective)
RandomPosterize = _of_samples(_chance.RandomPosterize)
RandomResizedCrop = _of_samples(_chance.RandomResizedCrop)
RandomRotation = _of_samples(_chance.RandomRotation)
RandomSolarize = _of_samples(_chance.RandomSolarize)
RandomVerticalFlip = _of_samples(_chance.RandomVerticalFlip)
Resize = _of_samples(_fixed.Resize)
TenCrop = _of_samples(_fixed.TenCrop)
ToPILImage = _of_samples(_fixed.ToPILImage)
ToTensor = _of_samples(_fixed.ToTensor)


class Compose(_fixed.Compose):
    """One transform after the other, of whole samples."""

    def __call__(self, *inputs: Any) -> Any:
        sample = inputs if len(inputs) > 1 else inputs[0]
        for t in self.transforms:
            sample = t(sample)
        return sample


class Lambda(Module):
    """A function of the user's, of every leaf of a type."""

    def __init__(self, lambd: Callable[[Any], Any], *types: type) -> None:
        super().__init__()
        self.lambd, self.types = lambd, types or (object,)

    def forward(self, sample: Any) -> Any:
        leaves, structure = _pytree.tree_flatten(sample)
        made = [self.lambd(leaf) if isinstance(leaf, self.types) else leaf for leaf in leaves]
        return _pytree.tree_unflatten(made, structure)


class RandomApply(_fixed.RandomApply):
    """All of the transforms with probability ``p``, else none."""


class RandomChoice(_fixed.RandomChoice):
    """One of the transforms."""


class RandomOrder(_fixed.RandomOrder):
    """All of the transforms in random order."""


class Identity(Module):
    """The sample as it is."""

    def forward(self, sample: Any) -> Any:
        return sample


class _ToImage(Module):
    """A picture, or an array (H, W, C), as a tensor (C, H, W) of its own type."""

    def forward(self, image: Any) -> Tensor:
        if isinstance(image, Tensor):
            return image
        if is_pillow_image(image):
            return functional.pil_to_tensor(image)
        array = image[:, :, None] if image.ndim == 2 else image
        return as_tensor(np.array(array.transpose(2, 0, 1), order="C"))


class _ToDtype(Module):
    """Another element type; with ``scale``, white stays white."""

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        super().__init__()
        self.dtype, self.scale = dtype, scale

    def forward(self, image: Any) -> Any:
        if not isinstance(image, Tensor):
            return image
        if self.scale:
            return functional.convert_image_dtype(image, self.dtype)
        return image.to(self.dtype)


class _RGB(Module):
    """With three channels."""

    def forward(self, image: Any) -> Any:
        if is_pillow_image(image):
            return image.convert("RGB")
        return functional.rgb_to_grayscale(image, 3) if image.shape[-3] == 1 else image


class _GaussianNoise(Module):
    """Normal noise added to floating-point images, clipped to 0 to 1."""

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        super().__init__()
        self.mean, self.sigma, self.clip = mean, sigma, clip

    def forward(self, image: Tensor) -> Tensor:
        if not image.is_floating_point():
            raise ValueError(f"Input tensor is expected to be in float dtype, got {image.dtype}")
        noise = draw.source().standard_normal(tuple(image.shape), np.float32)
        made = image + as_tensor(noise * self.sigma + self.mean).to(image.dtype)
        return made.clamp(0, 1) if self.clip else made


ToImage, ToDtype, RGB = [_of_samples(base) for base in (_ToImage, _ToDtype, _RGB)]
GaussianNoise = _of_samples(_GaussianNoise)
for _made in (ToImage, ToDtype, RGB, GaussianNoise):
    _made.__name__ = _made.__qualname__ = _made.__name__.removeprefix("_")
ToPureTensor = Identity


class _Mixing(Module):
    """The base of those that mix the images of a batch (N, C, H, W) and their labels (N)."""

    def __init__(
        self, *, alpha: float = 1.0, num_classes: int | None = None, labels_getter: Any = "default"
    ) -> None:
        super().__init__()
        if labels_getter != "default":
            raise NotImplementedError("only batches of images and labels are mixed")
        if not alpha > 0:
            raise ValueError(f"Argument 'alpha' should be positive, got {alpha}")
        self.alpha, self.num_classes = float(alpha), num_classes

    def forward(self, *inputs: Any) -> tuple[Tensor, Tensor]:
        images, labels = inputs if len(inputs) > 1 else inputs[0]
        if labels.dim() == 1:
            if self.num_classes is None:
                raise ValueError("num_classes must be passed if the labels are index-based (1D)")
            labels = one_hot(labels, num_classes=self.num_classes)
        labels = labels.to(dt.float32)
        part = float(draw.source().beta(self.alpha, self.alpha))
        mixed, part = self.mixed(images, images.roll(1, 0), part)
        return mixed, labels.roll(1, 0) * (1.0 - part) + labels * part

    def mixed(self, images: Tensor, others: Tensor, part: float) -> tuple[Tensor, float]:
        raise NotImplementedError


class MixUp(_Mixing):
    """Each image of a batch blended with the one before it (Zhang et al. 2017)."""

    def mixed(self, images: Tensor, others: Tensor, part: float) -> tuple[Tensor, float]:
        return images * part + others * (1.0 - part), part


class CutMix(_Mixing):
    """A rectangle of each image of a batch from the one before it (Yun et al. 2019)."""

    def mixed(self, images: Tensor, others: Tensor, part: float) -> tuple[Tensor, float]:
        height, width = images.shape[-2:]
        middle = draw.integer(0, height), draw.integer(0, width)
        half = 0.5 * (1.0 - part) ** 0.5
        top, left = max(middle[0] - int(half * height), 0), max(middle[1] - int(half * width), 0)
        bottom = min(middle[0] + int(half * height), height)
        right = min(middle[1] + int(half * width), width)
        made = images.clone()
        made[..., top:bottom, left:right] = others[..., top:bottom, left:right]
        return made, 1.0 - (bottom - top) * (right - left) / (height * width)


__all__ = [
    "RGB", "CenterCrop", "ColorJitter", "Compose", "ConvertImageDtype", "CutMix",
    "ElasticTransform", "FiveCrop", "GaussianBlur", "GaussianNoise", "Grayscale", "Identity",
    "InterpolationMode", "Lambda", "MixUp", "Normalize", "PILToTensor", "Pad",
    "RandomAdjustSharpness", "RandomAffine", "RandomApply", "RandomAutocontrast", "RandomChoice",
    "RandomCrop", "RandomEqualize", "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip",
    "RandomInvert", "RandomOrder", "RandomPerspective", "RandomPosterize", "RandomResizedCrop",
    "RandomRotation", "RandomSolarize", "RandomVerticalFlip", "Resize", "TenCrop", "ToDtype",
    "ToImage", "ToPILImage", "ToPureTensor", "ToTensor", "functional",
]  # fmt: skip
