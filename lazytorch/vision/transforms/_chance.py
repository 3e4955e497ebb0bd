"""Transforms by chance: crops, flips, turns, colors; ``get_params`` draws what is open."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazytorch.nn import modules as nn
from lazytorch.tensor import Tensor
from lazytorch.vision.transforms import _random as draw
from lazytorch.vision.transforms import functional as F
from lazytorch.vision.transforms._arguments import (
    angles,
    channel_colors,
    color,
    need_sequence,
    two_sizes,
)
from lazytorch.vision.transforms._tensors import is_tensor, tensor_of

_BILINEAR, _NEAREST = F.InterpolationMode.BILINEAR, F.InterpolationMode.NEAREST


class RandomCrop(nn.Module):
    """A part of ``size`` anywhere, of the image padded first."""

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = tuple(two_sizes(size))
        self.padding, self.pad_if_needed = padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    @staticmethod
    def get_params(img: Any, output_size: Sequence[int]) -> tuple[int, int, int, int]:
        """Top, left, height, width."""
        _, h, w = F.get_dimensions(img)
        th, tw = output_size
        if h < th or w < tw:
            raise ValueError(
                f"Required crop size {(th, tw)} is larger than input image size {(h, w)}"
            )
        if w == tw and h == th:
            return 0, 0, h, w
        return draw.integer(0, h - th + 1), draw.integer(0, w - tw + 1), th, tw

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(img)
        if self.pad_if_needed and width < self.size[1]:
            img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(size={self.size}, padding={self.padding})"


class _WithProbability(nn.Module):
    """Something with probability ``p``, else the image as it is."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return self.change(img) if draw.uniform() < self.p else img

    def change(self, img: Any) -> Any:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(p={self.p})"


class RandomHorizontalFlip(_WithProbability):
    """Left and right exchanged with probability ``p``."""

    def change(self, img: Any) -> Any:
        return F.hflip(img)


class RandomVerticalFlip(_WithProbability):
    """Top and bottom exchanged with probability ``p``."""

    def change(self, img: Any) -> Any:
        return F.vflip(img)


class RandomGrayscale(_WithProbability):
    """Gray, in as many channels, with probability ``p``."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def change(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, F.get_dimensions(img)[0])


class RandomInvert(_WithProbability):
    """The negative with probability ``p``."""

    def change(self, img: Any) -> Any:
        return F.invert(img)


class RandomAutocontrast(_WithProbability):
    """Stretched from black to white with probability ``p``."""

    def change(self, img: Any) -> Any:
        return F.autocontrast(img)


class RandomEqualize(_WithProbability):
    """All brightnesses as often, with probability ``p``."""

    def change(self, img: Any) -> Any:
        return F.equalize(img)


class RandomPosterize(_WithProbability):
    """``bits`` bits of each byte, with probability ``p``."""

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits

    def change(self, img: Any) -> Any:
        return F.posterize(img, self.bits)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(bits={self.bits},p={self.p})"


class RandomSolarize(_WithProbability):
    """The negative of what is above ``threshold``, with probability ``p``."""

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold

    def change(self, img: Any) -> Any:
        return F.solarize(img, self.threshold)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(threshold={self.threshold},p={self.p})"


class RandomAdjustSharpness(_WithProbability):
    """Sharper or blurred, with probability ``p``."""

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def change(self, img: Any) -> Any:
        return F.adjust_sharpness(img, self.sharpness_factor)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(sharpness_factor={self.sharpness_factor},p={self.p})"


class RandomPerspective(nn.Module):
    """Seen from another side, with probability ``p``."""

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: Any = _BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.p, self.distortion_scale, self.fill = p, distortion_scale, color(fill)
        self.interpolation = F.interpolation_mode(interpolation)

    @staticmethod
    def get_params(
        width: int, height: int, distortion_scale: float
    ) -> tuple[list[list[int]], list[list[int]]]:
        """The corners, and where they go."""
        across, down = [int(distortion_scale * (side // 2)) for side in (width, height)]
        starts = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        ends = [
            [
                draw.integer(width - across - 1, width) if x else draw.integer(0, across + 1),
                draw.integer(height - down - 1, height) if y else draw.integer(0, down + 1),
            ]
            for x, y in starts
        ]
        return starts, ends

    def forward(self, img: Any) -> Any:
        channels, height, width = F.get_dimensions(img)
        if draw.uniform() >= self.p:
            return img
        fill = channel_colors(self.fill, channels) if is_tensor(img) else self.fill
        points = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, *points, self.interpolation, fill)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(p={self.p})"


def _area(
    height: int, width: int, scale: Sequence[float], ratio: Sequence[float]
) -> tuple[int, int]:
    """A random (width, height) of a part of the area within ``scale``, of a shape in ``ratio``."""
    area = height * width * draw.uniform(scale[0], scale[1])
    aspect = math.exp(draw.uniform(math.log(ratio[0]), math.log(ratio[1])))
    return round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))


def _check_ranges(scale: Any, ratio: Any) -> None:
    if not isinstance(scale, Sequence):
        raise TypeError("Scale should be a sequence")
    if not isinstance(ratio, Sequence):
        raise TypeError("Ratio should be a sequence")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=3)


class RandomResizedCrop(nn.Module):
    """A part of random area and shape, resized."""

    def __init__(
        self,
        size: Any,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = _BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = two_sizes(size)
        _check_ranges(scale, ratio)
        self.interpolation = F.interpolation_mode(interpolation)
        self.antialias, self.scale, self.ratio = antialias, scale, ratio

    @staticmethod
    def get_params(
        img: Any, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """Top, left, height, width; the middle where ten tries do not fit."""
        _, height, width = F.get_dimensions(img)
        for _ in range(10):
            w, h = _area(height, width, scale, ratio)
            if 0 < w <= width and 0 < h <= height:
                return draw.integer(0, height - h + 1), draw.integer(0, width - w + 1), h, w
        shape = width / height
        w, h = width, height
        if shape < min(ratio):
            h = round(w / min(ratio))
        elif shape > max(ratio):
            w = round(h * max(ratio))
        return (height - h) // 2, (width - w) // 2, h, w

    def forward(self, img: Any) -> Any:
        part = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *part, self.size, self.interpolation, self.antialias)

    def __repr__(self) -> str:
        scale, ratio = [tuple([round(x, 4) for x in pair]) for pair in (self.scale, self.ratio)]
        return (
            f"{self.__class__.__name__}(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class ColorJitter(nn.Module):
    """Brightness, contrast, saturation and hue, each changed by chance, in random order.

    A number x stands for factors from 1 - x to 1 + x (of the hue, from -x to x).
    """

    def __init__(
        self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0
    ) -> None:
        super().__init__()
        self.brightness = self._range(brightness, "brightness")
        self.contrast = self._range(contrast, "contrast")
        self.saturation = self._range(saturation, "saturation")
        self.hue = self._range(hue, "hue", 0, (-0.5, 0.5))

    @staticmethod
    def _range(
        value: Any, name: str, center: float = 1, bound: tuple[float, float] = (0, math.inf)
    ) -> tuple[float, ...] | None:
        if isinstance(value, numbers.Number):
            if value < 0:  # type: ignore[operator]
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            found = [center - float(value), center + float(value)]  # type: ignore[arg-type]
            if center:
                found[0] = max(found[0], 0.0)
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            found = [float(value[0]), float(value[1])]
        else:
            raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
        if not bound[0] <= found[0] <= found[1] <= bound[1]:
            raise ValueError(f"{name} values should be between {bound}, but got {found}.")
        return None if found[0] == found[1] == center else tuple(found)

    @staticmethod
    def get_params(*ranges: Sequence[float] | None) -> tuple[Any, ...]:
        """The order, then the factor of each, None where nothing changes."""
        order = draw.permutation(4)
        factors = [None if pair is None else draw.uniform(pair[0], pair[1]) for pair in ranges]
        return (order, *factors)

    def forward(self, img: Any) -> Any:
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        functions = F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue
        for which in order:
            if factors[which] is not None:
                img = functions[which](img, factors[which])
        return img

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


class RandomRotation(nn.Module):
    """Turned by degrees within a range."""

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = _NEAREST,
        expand: bool = False,
        center: Any = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.interpolation = F.interpolation_mode(interpolation)
        self.degrees = angles(degrees, "degrees")
        if center is not None:
            need_sequence(center, "center", (2,))
        self.center, self.expand, self.fill = center, expand, color(fill)

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        return draw.uniform(float(degrees[0]), float(degrees[1]))

    def forward(self, img: Any) -> Any:
        fill = self.fill
        if is_tensor(img):
            fill = channel_colors(fill, F.get_dimensions(img)[0])
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, fill)

    def __repr__(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"{self.__class__.__name__}(degrees={self.degrees}, interpolation="
            f"{self.interpolation.value}, expand={self.expand}{center}, fill={self.fill})"
        )


class RandomAffine(nn.Module):
    """Turned, moved (by parts of the sides), scaled and sheared within ranges."""

    def __init__(
        self,
        degrees: Any,
        translate: Any = None,
        scale: Any = None,
        shear: Any = None,
        interpolation: Any = _NEAREST,
        fill: Any = 0,
        center: Any = None,
    ) -> None:
        super().__init__()
        self.interpolation = F.interpolation_mode(interpolation)
        self.degrees = angles(degrees, "degrees")
        if translate is not None:
            need_sequence(translate, "translate", (2,))
            if not all(0.0 <= t <= 1.0 for t in translate):
                raise ValueError("translation values should be between 0 and 1")
        if scale is not None:
            need_sequence(scale, "scale", (2,))
            if any(s <= 0 for s in scale):
                raise ValueError("scale values should be positive")
        if center is not None:
            need_sequence(center, "center", (2,))
        self.translate, self.scale = translate, scale
        self.shear = None if shear is None else angles(shear, "shear", (2, 4))
        self.fill, self.center = color(fill), center

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """Degrees, (right, down), scale, degrees of shear along x and y."""
        angle = draw.uniform(float(degrees[0]), float(degrees[1]))
        moved = (0, 0)
        if translate is not None:
            reach = [t * side for t, side in zip(translate, img_size, strict=True)]
            moved = (
                round(draw.uniform(-reach[0], reach[0])),
                round(draw.uniform(-reach[1], reach[1])),
            )
        scale = 1.0 if scale_ranges is None else draw.uniform(scale_ranges[0], scale_ranges[1])
        shear = (0.0, 0.0)
        if shears is not None:
            along_x = draw.uniform(shears[0], shears[1])
            shear = (along_x, draw.uniform(shears[2], shears[3]) if len(shears) == 4 else 0.0)
        return angle, moved, scale, shear

    def forward(self, img: Any) -> Any:
        channels, height, width = F.get_dimensions(img)
        fill = channel_colors(self.fill, channels) if is_tensor(img) else self.fill
        found = self.get_params(
            self.degrees, self.translate, self.scale, self.shear, (width, height)
        )
        return F.affine(img, *found, self.interpolation, fill, self.center)

    def __repr__(self) -> str:
        parts = [f"degrees={self.degrees}"]
        for name, plain in (("translate", None), ("scale", None), ("shear", None)):
            if getattr(self, name) is not plain:
                parts.append(f"{name}={getattr(self, name)}")
        if self.interpolation is not _NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            parts.append(f"fill={self.fill}")
        if self.center is not None:
            parts.append(f"center={self.center}")
        return f"{self.__class__.__name__}({', '.join(parts)})"


class RandomErasing(nn.Module):
    """A rectangle of a tensor overwritten with ``value`` ("random": normal numbers)."""

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        _check_ranges(scale, ratio)
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p, self.scale, self.ratio = p, scale, ratio
        self.value, self.inplace = value, inplace

    @staticmethod
    def get_params(
        img: Tensor,
        scale: Sequence[float],
        ratio: Sequence[float],
        value: Sequence[float] | None = None,
    ) -> tuple[int, int, int, int, Any]:
        """Top, left, height, width, and what to write; the image itself where no try fits."""
        channels, height, width = img.shape[-3:]
        for _ in range(10):
            h, w = _area(height, width, scale, ratio)
            if h >= height or w >= width:
                continue
            if value is None:
                normal = draw.source().standard_normal((channels, h, w), np.float32)
                made = tensor_of(normal)
            else:
                made = tensor_of(np.array(value, np.float32)[:, None, None])
            return draw.integer(0, height - h + 1), draw.integer(0, width - w + 1), h, w, made
        return 0, 0, height, width, img

    def forward(self, img: Tensor) -> Tensor:
        if draw.uniform() >= self.p:
            return img
        value: list[float] | None = None
        if not isinstance(self.value, str):
            several: Any = self.value if isinstance(self.value, (list, tuple)) else [self.value]
            value = [float(x) for x in several]
            if len(value) not in (1, img.shape[-3]):
                raise ValueError(
                    "If value is a sequence, it should have either a single value or "
                    f"{img.shape[-3]} (number of input channels)"
                )
        found = self.get_params(img, self.scale, self.ratio, value)
        return F.erase(img, *found, self.inplace)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace={self.inplace})"
        )


class GaussianBlur(nn.Module):
    """Blurred by a deviation within a range."""

    def __init__(self, kernel_size: Any, sigma: Any = (0.1, 2.0)) -> None:
        super().__init__()
        message = "Kernel size should be a tuple/list of two integers"
        self.kernel_size = two_sizes(kernel_size, message)
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        if isinstance(sigma, numbers.Number):
            if sigma <= 0:  # type: ignore[operator]
                raise ValueError("If sigma is a single number, it must be positive.")
            sigma = (sigma, sigma)
        elif isinstance(sigma, Sequence) and len(sigma) == 2:
            if not 0.0 < sigma[0] <= sigma[1]:
                raise ValueError("sigma values should be positive and of the form (min, max).")
        else:
            raise ValueError("sigma should be a single number or a list/tuple with length 2.")
        self.sigma: Any = sigma

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        return draw.uniform(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        sigma = self.get_params(self.sigma[0], self.sigma[1])
        return F.gaussian_blur(img, list(self.kernel_size), [sigma, sigma])

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"


class ElasticTransform(nn.Module):
    """Each pixel moved a little, its neighbours much the same way."""

    def __init__(
        self, alpha: Any = 50.0, sigma: Any = 5.0, interpolation: Any = _BILINEAR, fill: Any = 0
    ) -> None:
        super().__init__()
        self.alpha, self.sigma = _two_floats(alpha, "alpha"), _two_floats(sigma, "sigma")
        self.interpolation = F.interpolation_mode(interpolation)
        if not isinstance(fill, (int, float, list, tuple)):
            raise TypeError(
                f"fill should be int or float or a list or tuple of them. Got {type(fill)}"
            )
        self.fill = [float(x) for x in (fill if isinstance(fill, (list, tuple)) else [fill])]

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> Tensor:
        """The displacement (1, H, W, 2)."""
        moves = []
        for axis, (reach, deviation) in enumerate(zip(alpha, sigma, strict=True)):
            noise = draw.source().random((1, *size), np.float32) * 2 - 1
            if deviation > 0.0:
                kernel = int(8 * deviation + 1) | 1
                noise = F.gaussian_blur(tensor_of(noise), [kernel] * 2, list(sigma))._array()
            moves.append(noise * np.float32(reach / size[1 - axis]))
        return tensor_of(np.stack(moves, axis=-1))

    def forward(self, tensor: Any) -> Any:
        _, height, width = F.get_dimensions(tensor)
        moves = self.get_params(self.alpha, self.sigma, [height, width])
        return F.elastic_transform(tensor, moves, self.interpolation, self.fill)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(alpha={self.alpha}, sigma={self.sigma}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )


def _two_floats(value: Any, name: str) -> list[float]:
    if not isinstance(value, (float, Sequence)):
        raise TypeError(f"{name} should be float or a sequence of floats. Got {type(value)}")
    if isinstance(value, float):
        return [value, value]
    if len(value) != 2:
        raise ValueError(f"If {name} is a sequence its length should be 2. Got {len(value)}")
    for element in value:
        if not isinstance(element, float):
            raise TypeError(f"{name} should be a sequence of floats. Got {type(element)}")
    return list(value)
