"""Transforms as functions, of images of Pillow and of tensors (..., C, H, W).

A tensor is transformed on the host at once, because an image's shape and choices are its own;
where a gradient flows through it, only what is a view or arithmetic is taken, and is recorded.
"""

from __future__ import annotations

import numbers
import sys
import warnings
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

from codegen import dtype as dt
from lazytorch.defaults import get_default_dtype
from lazytorch.functions.data import tensor as make_tensor
from lazytorch.nn.functional import pad as pad_recorded
from lazytorch.tensor import Tensor
from lazytorch.vision._pillow import is_pillow_image, pillow
from lazytorch.vision.transforms import _colors as colors
from lazytorch.vision.transforms import _geometry as geometry
from lazytorch.vision.transforms._tensors import array_of, is_tensor, mapped, tensor_of


class InterpolationMode(Enum):
    """How values between pixels are made; box, hamming and lanczos are Pillow's alone."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


# Pillow's constants.
_PILLOW_MODES = {
    InterpolationMode.NEAREST: 0, InterpolationMode.NEAREST_EXACT: 0,
    InterpolationMode.LANCZOS: 1, InterpolationMode.BILINEAR: 2, InterpolationMode.BICUBIC: 3,
    InterpolationMode.BOX: 4, InterpolationMode.HAMMING: 5,
}  # fmt: skip
_OF_PILLOW = {
    0: InterpolationMode.NEAREST, 1: InterpolationMode.LANCZOS, 2: InterpolationMode.BILINEAR,
    3: InterpolationMode.BICUBIC, 4: InterpolationMode.BOX, 5: InterpolationMode.HAMMING,
}  # fmt: skip
_ARRAY_TYPES = {"I": np.int32, "I;16": np.int16, "I;16B": np.int16, "F": np.float32}


def interpolation_mode(mode: Any) -> InterpolationMode:
    """The mode, or that of Pillow's constant; TypeError for anything else."""
    if isinstance(mode, int) and mode in _OF_PILLOW:
        return _OF_PILLOW[mode]
    if not isinstance(mode, InterpolationMode):
        raise TypeError(
            "Argument interpolation should be a InterpolationMode or a corresponding Pillow "
            "integer constant"
        )
    return mode


def _need_image(image: Any) -> None:
    if not is_tensor(image) and not is_pillow_image(image):
        raise TypeError(f"img should be PIL Image. Got {type(image)}")


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width]."""
    if is_tensor(img):
        channels = 1 if img.dim() == 2 else img.shape[-3]
        return [channels, *img.shape[-2:]]
    _need_image(img)
    return [len(img.getbands()), img.height, img.width]


def get_image_size(img: Any) -> list[int]:
    """[width, height]."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    return get_dimensions(img)[0]


def to_tensor(pic: Any) -> Tensor:
    """A picture, or an array (H, W) or (H, W, C), as a tensor (C, H, W); bytes go from 0 to 1.

    TypeError for anything else, ValueError for an array of other dimensions.
    """
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        array = pic[:, :, None] if pic.ndim == 2 else pic
    elif is_pillow_image(pic):
        array = _pixels(pic)
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    array = array.transpose(2, 0, 1)
    if array.dtype != np.uint8:
        return tensor_of(np.array(array, order="C"))
    default = get_default_dtype()
    if default not in (dt.float32, dt.float64):
        return tensor_of(np.array(array, order="C")).to(default).div(255)
    made = np.empty(array.shape, default.numpy)
    return tensor_of(np.divide(array, default.numpy.type(255), out=made, dtype=default.numpy))


def _pixels(pic: Any) -> Any:
    """An image's values (H, W, C)."""
    array = np.asarray(pic, _ARRAY_TYPES.get(pic.mode, np.uint8))
    if pic.mode == "1":
        array = array * np.uint8(255)
    return array.reshape(pic.height, pic.width, len(pic.getbands()))


def pil_to_tensor(pic: Any) -> Tensor:
    """An image of Pillow as a tensor (C, H, W) of its own type."""
    if not is_pillow_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    array = np.asarray(pic).reshape(pic.height, pic.width, len(pic.getbands()))
    return tensor_of(np.array(array.transpose(2, 0, 1), order="C"))


def convert_image_dtype(image: Tensor, dtype: Any = dt.float32) -> Tensor:
    """In another type, with white staying white."""
    if not is_tensor(image):
        raise TypeError("Input img should be Tensor Image")
    if image.dtype is dtype:
        return image
    if dtype is dt.bfloat16:
        return convert_image_dtype(image, dt.float32).to(dtype)
    if image.requires_grad and image.is_floating_point():
        return image.to(dtype)
    return mapped(image, colors.converted, dtype.numpy)


# By channels: the modes that an image may have; the first is chosen for bytes.
_MODES: dict[int, tuple[str, ...]] = {
    2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX"),
}  # fmt: skip


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (C, H, W), or an array (H, W, C), as a picture; floats count from 0 to 1."""
    if is_tensor(pic):
        array = pic.detach().numpy(force=True)
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    elif isinstance(pic, np.ndarray):
        array = pic
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise ValueError(f"pic should be 2/3 dimensional. Got {array.ndim} dimensions.")
    channels = array.shape[-1]
    if channels > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
    if np.issubdtype(array.dtype, np.floating) and mode != "F":
        array = (array * 255).astype(np.uint8)
    if channels == 1:
        array = array[:, :, 0]
        little = "I;16" if sys.byteorder == "little" else "I;16B"
        expected = {"uint8": "L", "int16": little, "int32": "I", "float32": "F"}
        found = expected.get(array.dtype.name)
        if mode is not None and mode != found:
            raise ValueError(
                f"Incorrect mode ({mode}) supplied for input type {np.dtype}. Should be {found}"
            )
        mode = found
    else:
        permitted = _MODES[channels]
        if mode is not None and mode not in permitted:
            raise ValueError(f"Only modes {list(permitted)} are supported for {channels}D inputs")
        if mode is None and array.dtype == np.uint8:
            mode = permitted[0]
    if mode is None:
        raise TypeError(f"Input type {array.dtype} is not supported")
    return _image_of(array, mode)


def _image_of(array: Any, mode: str) -> Any:
    array = np.ascontiguousarray(array)
    size = (array.shape[1], array.shape[0])
    # fromarray's own argument for modes is on its way out.
    if array.dtype == np.uint8:
        return pillow().frombytes(mode, size, array.tobytes())
    return pillow().frombytes(mode, size, array.tobytes(), "raw", mode)


def normalize(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Tensor:
    """(tensor - mean) / std, a mean and a deviation for each channel of (..., C, H, W)."""
    if not is_tensor(tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.dim() < 3:
        raise ValueError(
            "Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = "
            f"{tensor.size()}"
        )
    if tensor.requires_grad or inplace or tensor.dtype not in (dt.float32, dt.float64):
        return _normalize_recorded(tensor, mean, std, inplace)
    kind = tensor.dtype.numpy
    means, deviations = [np.asarray(_numbers(x), kind).reshape(-1, 1, 1) for x in (mean, std)]
    if not deviations.all():
        raise _zero_deviation(tensor.dtype)

    def scaled(image: Any) -> Any:
        made = image - means
        made /= deviations
        return made

    return mapped(tensor, scaled)


def _normalize_recorded(tensor: Tensor, mean: Any, std: Any, inplace: bool) -> Tensor:
    means, deviations = [
        make_tensor(_numbers(x), dtype=tensor.dtype, device=tensor.device).view(-1, 1, 1)
        for x in (mean, std)
    ]
    if not deviations.all():
        raise _zero_deviation(tensor.dtype)
    if inplace:
        return tensor.sub_(means).div_(deviations)
    return (tensor - means) / deviations


def _numbers(values: Any) -> list[float]:
    if is_tensor(values) or isinstance(values, np.ndarray):
        values = values.tolist()
    return [values] if isinstance(values, (int, float)) else list(values)


def _zero_deviation(dtype: Any) -> ValueError:
    return ValueError(
        f"std evaluated to zero after conversion to {dtype}, leading to division by zero."
    )


def resize(
    img: Any,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """To ``size`` (height, width); of one number, the shorter side gets it and the longer one as
    much as keeps the shape, but at most ``max_size``."""
    mode = interpolation_mode(interpolation)
    if isinstance(size, (list, tuple)):
        if len(size) not in (1, 2):
            raise ValueError(
                f"Size must be an int or a 1 or 2 element tuple/list, not a {len(size)} element "
                "tuple/list"
            )
        if max_size is not None and len(size) != 1:
            raise ValueError(
                "max_size should only be passed if size specifies the length of the smaller edge, "
                "i.e. size should be an int or a sequence of length 1 in torchscript mode."
            )
    _, height, width = get_dimensions(img)
    new = _resized((height, width), [size] if isinstance(size, int) else size, max_size)
    if [height, width] == new:
        return img
    if not is_tensor(img):
        if antialias is False:
            warnings.warn(
                "Anti-alias option is always applied for PIL Image input. Argument antialias is "
                "ignored.",
                stacklevel=2,
            )
        return img.resize((new[1], new[0]), _PILLOW_MODES[mode])
    if mode.value in ("box", "hamming", "lanczos"):
        raise NotImplementedError(f"Interpolation mode '{mode.value}' is for images of Pillow")
    return mapped(img, geometry.resize, new, mode.value, bool(antialias))


def _resized(image: tuple[int, int], size: Sequence[int] | None, longest: int | None) -> list[int]:
    height, width = image
    short, long = min(image), max(image)
    if size is not None and len(size) == 2:
        return [size[0], size[1]]
    if size is None:
        if not isinstance(longest, int):
            raise ValueError(
                f"max_size must be an integer when size is None, but got {longest} instead."
            )
        new_short, new_long = int(longest * short / long), longest
    else:
        new_short, new_long = size[0], int(size[0] * long / short)
        if longest is not None:
            if longest <= new_short:
                raise ValueError(
                    f"max_size = {longest} must be strictly greater than the requested size for "
                    f"the smaller edge size = {size}"
                )
            if new_long > longest:
                new_short, new_long = int(longest * new_short / new_long), longest
    return [new_long, new_short] if width <= height else [new_short, new_long]


def _sides(padding: Any) -> list[int]:
    """[left, top, right, bottom] of one, two or four numbers."""
    if isinstance(padding, (int, float, np.number)):
        return [int(padding)] * 4
    if not isinstance(padding, (tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if len(padding) not in (1, 2, 4):
        raise ValueError(
            f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element "
            "tuple"
        )
    return [int(padding[i % len(padding)]) for i in range(4)]


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """With more pixels around: one number for all sides, two for (left and right, top and bottom),
    or (left, top, right, bottom); of one color, or the edge's, or mirrored."""
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    sides = _sides(padding)
    if is_tensor(img):
        if img.requires_grad and padding_mode == "constant":
            left, top, right, bottom = sides
            return pad_recorded(img, (left, right, top, bottom), value=float(fill))
        return mapped(img, geometry.pad, sides, fill, padding_mode)
    _need_image(img)
    if padding_mode == "constant" and min(sides) >= 0:
        palette = img.getpalette() if img.mode == "P" else None
        made = pillow("ImageOps").expand(img, border=tuple(sides), fill=_pillow_fill(fill, img))
        if palette is not None:
            made.putpalette(palette)
        return made
    array = np.asarray(img)
    channels_first = array.transpose(2, 0, 1) if array.ndim == 3 else array
    made = geometry.pad(channels_first, sides, _pillow_fill(fill, img), padding_mode)
    return _like(made.transpose(1, 2, 0) if array.ndim == 3 else made, img)


def _like(array: Any, image: Any) -> Any:
    """An array as an image of the same mode."""
    if image.mode == "1":
        return pillow().fromarray(array)
    made = _image_of(array, image.mode)
    if image.mode == "P":
        made.putpalette(image.getpalette())
    return made


def _pillow_fill(fill: Any, image: Any) -> Any:
    """The color as Pillow takes it: an integer for each channel."""
    channels = len(image.getbands())
    several = list(fill) if isinstance(fill, (list, tuple)) else [0 if fill is None else fill]
    if len(several) == 1:
        several *= channels
    elif len(several) != channels:
        raise ValueError(
            "The number of elements in 'fill' does not match the number of channels of the image "
            f"({len(several)} != {channels})"
        )
    if image.mode != "F":
        several = [int(x) for x in several]
    return several[0] if channels == 1 else tuple(several)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part that begins at (top, left); what of it is outside the image is black."""
    if not is_tensor(img):
        _need_image(img)
        return img.crop((left, top, left + width, top + height))
    rows, columns = img.shape[-2:]
    right, bottom = left + width, top + height
    inside = img[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if left >= 0 and top >= 0 and right <= columns and bottom <= rows:
        return inside
    sides = [
        max(min(-left, width), 0), max(min(-top, height), 0),
        max(right - max(columns, left), 0), max(bottom - max(rows, top), 0),
    ]  # fmt: skip
    return pad(inside, sides)


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle, of one side's length or of (height, width); a smaller image is padded first."""
    height, width = _two(output_size)
    _, rows, columns = get_dimensions(img)
    if width > columns or height > rows:
        wide, tall = max(width - columns, 0), max(height - rows, 0)
        img = pad(img, [wide // 2, tall // 2, (wide + 1) // 2, (tall + 1) // 2])
        _, rows, columns = get_dimensions(img)
    return crop(img, round((rows - height) / 2.0), round((columns - width) / 2.0), height, width)


def _two(size: Any) -> tuple[int, int]:
    if isinstance(size, (int, float, np.number)):
        return int(size), int(size)
    return (size[0], size[0]) if len(size) == 1 else (size[0], size[1])


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A part of the image, resized."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    if is_tensor(img):
        return img.flip(-1) if img.requires_grad else mapped(img, lambda x: x[..., ::-1])
    _need_image(img)
    return img.transpose(0)


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    if is_tensor(img):
        return img.flip(-2) if img.requires_grad else mapped(img, lambda x: x[..., ::-1, :])
    _need_image(img)
    return img.transpose(1)


def five_crop(img: Any, size: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The four corners and the middle: top left, top right, bottom left, bottom right, middle."""
    height, width = _two(size)
    _, rows, columns = get_dimensions(img)
    if width > columns or height > rows:
        raise ValueError(f"Requested crop size {size} is bigger than input size {(rows, columns)}")
    corners = [
        crop(img, top, left, height, width)
        for top in (0, rows - height)
        for left in (0, columns - width)
    ]
    return (*corners, center_crop(img, (height, width)))


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """``five_crop`` of the image and of the image flipped."""
    flipped = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(flipped, size)


def _not_negative(name: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def _enhanced(img: Any, kind: str, factor: float) -> Any:
    _need_image(img)
    return getattr(pillow("ImageEnhance"), kind)(img).enhance(factor)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """0 is black, 1 the image as it is."""
    if not is_tensor(img):
        return _enhanced(img, "Brightness", brightness_factor)
    _not_negative("brightness_factor", brightness_factor)
    return mapped(img, colors.brightness, float(brightness_factor))


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """0 is the mean brightness all over, 1 the image as it is."""
    if not is_tensor(img):
        return _enhanced(img, "Contrast", contrast_factor)
    _not_negative("contrast_factor", contrast_factor)
    return mapped(img, colors.contrast, float(contrast_factor))


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """0 is gray, 1 the image as it is."""
    if not is_tensor(img):
        return _enhanced(img, "Color", saturation_factor)
    _not_negative("saturation_factor", saturation_factor)
    return mapped(img, colors.saturation, float(saturation_factor))


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Hues turned by ``hue_factor``, from -0.5 to 0.5 of the whole circle."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if is_tensor(img):
        return mapped(img, colors.hue, float(hue_factor))
    _need_image(img)
    if img.mode in ("L", "1", "I", "F"):
        return img
    hues, saturations, values = img.convert("HSV").split()
    turned = np.array(hues, np.uint8) + np.int32(hue_factor * 255).astype(np.uint8)
    merged = pillow().merge("HSV", (_image_of(turned, "L"), saturations, values))
    return merged.convert(img.mode)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain * value ** gamma, of values from 0 to 1."""
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    if is_tensor(img):
        return mapped(img, colors.gamma, gamma, gain)
    _need_image(img)
    table = [int((255 + 1 - 1e-3) * gain * (x / 255.0) ** gamma) for x in range(256)] * 3
    return img.convert("RGB").point(table).convert(img.mode)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """0 is blurred, 1 the image as it is."""
    if not is_tensor(img):
        return _enhanced(img, "Sharpness", sharpness_factor)
    _not_negative("sharpness_factor", sharpness_factor)
    return mapped(img, colors.sharpened, float(sharpness_factor))


def _operated(name: str, img: Any, *arguments: Any) -> Any:
    _need_image(img)
    return getattr(pillow("ImageOps"), name)(img, *arguments)


def invert(img: Any) -> Any:
    """The negative."""
    return mapped(img, colors.inverted) if is_tensor(img) else _operated("invert", img)


def posterize(img: Any, bits: int) -> Any:
    """With ``bits`` bits left of each byte, 0 to 8."""
    if not 0 <= bits <= 8:
        raise ValueError(f"The number if bits should be between 0 and 8. Got {bits}")
    if is_tensor(img):
        return mapped(img, colors.posterized, bits)
    return _operated("posterize", img, bits)


def solarize(img: Any, threshold: float) -> Any:
    """The negative where values are at ``threshold`` or above."""
    if is_tensor(img):
        return mapped(img, colors.solarized, threshold)
    return _operated("solarize", img, threshold)


def autocontrast(img: Any) -> Any:
    """Each channel stretched from black to white."""
    return mapped(img, colors.autocontrasted) if is_tensor(img) else _operated("autocontrast", img)


def equalize(img: Any) -> Any:
    """Each channel with as many pixels of every brightness as can be."""
    return mapped(img, colors.equalized) if is_tensor(img) else _operated("equalize", img)


def _check_fill(img: Any, fill: Any, mode: InterpolationMode) -> Any:
    channels = get_dimensions(img)[0]
    if isinstance(fill, (tuple, list)) and len(fill) > 1 and len(fill) != channels:
        raise ValueError(
            "The number of elements in 'fill' cannot broadcast to match the number of channels of "
            f"the image ({len(fill)} != {channels})"
        )
    if mode.value not in ("nearest", "bilinear"):
        raise ValueError(f"Interpolation mode '{mode.value}' is unsupported with Tensor input")
    return fill


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Any = None,
    fill: Any = None,
) -> Any:
    """Turned counter-clockwise by ``angle`` degrees about ``center`` (x, y), else the middle;
    ``expand`` grows the image to hold all of it."""
    mode = interpolation_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if not is_tensor(img):
        _need_image(img)
        color = _pillow_fill(fill, img)
        return img.rotate(angle, _PILLOW_MODES[mode], expand, center, fillcolor=color)
    _check_fill(img, fill, mode)
    height, width = img.shape[-2:]
    matrix = geometry.inverse_affine(
        _from_middle(center, width, height), -angle, [0.0, 0.0], 1.0, [0.0, 0.0]
    )
    new = geometry.rotated_size(matrix, height, width) if expand else (height, width)
    places = geometry.affine_places(matrix, (height, width), new)
    return mapped(img, geometry.sample, *places, mode.value, fill)


def _from_middle(center: Any, width: int, height: int) -> list[float]:
    if center is None:
        return [0.0, 0.0]
    return [center[0] - width * 0.5, center[1] - height * 0.5]


def affine(
    img: Any,
    angle: float,
    translate: Any,
    scale: float,
    shear: Any,
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Any = None,
) -> Any:
    """Turned clockwise by ``angle`` degrees, moved by ``translate`` pixels, scaled, and sheared by
    degrees along x and y; the middle, or ``center`` (x, y), stays."""
    mode = interpolation_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    if not isinstance(shear, (numbers.Number, list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    shears: Any = [shear, 0.0] if isinstance(shear, numbers.Number) else list(shear)
    if len(shears) == 1:
        shears *= 2
    if len(shears) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {shear}")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    _, height, width = get_dimensions(img)
    if not is_tensor(img):
        middle = [width * 0.5, height * 0.5] if center is None else center
        matrix = geometry.inverse_affine(middle, angle, translate, scale, shears)
        options = {"fillcolor": _pillow_fill(fill, img)}
        # 0 is Pillow's AFFINE.
        return img.transform(img.size, 0, matrix, _PILLOW_MODES[mode], **options)
    _check_fill(img, fill, mode)
    middle = _from_middle(center, width, height)
    matrix = geometry.inverse_affine(middle, angle, translate, scale, shears)
    places = geometry.affine_places(matrix, (height, width), (height, width))
    return mapped(img, geometry.sample, *places, mode.value, fill)


def perspective(
    img: Any,
    startpoints: Sequence[Sequence[float]],
    endpoints: Sequence[Sequence[float]],
    interpolation: Any = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """Seen from another side: the four start points (x, y) go to the end points."""
    mode = interpolation_mode(interpolation)
    coefficients = geometry.perspective_coefficients(startpoints, endpoints)
    if not is_tensor(img):
        _need_image(img)
        options = {"fillcolor": _pillow_fill(fill, img)}
        # 2 is Pillow's PERSPECTIVE.
        return img.transform(img.size, 2, coefficients, _PILLOW_MODES[mode], **options)
    _check_fill(img, fill, mode)
    places = geometry.perspective_places(coefficients, img.shape[-2:])
    return mapped(img, geometry.sample, *places, mode.value, fill)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The brightness, in one channel or three."""
    if is_tensor(img):
        return mapped(img, colors.gray, num_output_channels)
    return to_grayscale(img, num_output_channels)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The brightness of an image of Pillow, as mode L or RGB."""
    if not is_pillow_image(img):
        raise TypeError("Input should be PIL Image")
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    gray = img.convert("L")
    return gray if num_output_channels == 1 else pillow().merge("RGB", (gray, gray, gray))


def erase(img: Any, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Any:
    """The tensor with ``v`` in the rectangle of h by w at row i, column j."""
    if not is_tensor(img):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    if inplace or img.requires_grad:
        made = img if inplace else img.clone()
        made[..., i : i + h, j : j + w] = v
        return made

    def erased(image: Any) -> Any:
        made = image.copy()
        made[..., i : i + h, j : j + w] = array_of(v) if is_tensor(v) else v
        return made

    return mapped(img, erased)


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """Blurred by a normal distribution of deviation ``sigma`` over an odd number of pixels."""
    if not isinstance(kernel_size, (int, list, tuple)):
        raise TypeError(
            f"kernel_size should be int or a sequence of integers. Got {type(kernel_size)}"
        )
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if len(sizes) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(sizes)}")
    for size in sizes:
        if size % 2 == 0 or size < 0:
            raise ValueError(f"kernel_size should have odd and positive integers. Got {sizes}")
    if sigma is None:
        sigma = [size * 0.15 + 0.35 for size in sizes]
    deviations = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else list(sigma)
    if len(deviations) == 1:
        deviations *= 2
    if len(deviations) != 2:
        raise ValueError(f"If sigma is a sequence, its length should be 2. Got {len(deviations)}")
    for deviation in deviations:
        if deviation <= 0.0:
            raise ValueError(f"sigma should have positive values. Got {deviations}")
    if is_tensor(img):
        return mapped(img, geometry.gaussian_blur, sizes, deviations)
    blurred = geometry.gaussian_blur(array_of(pil_to_tensor(img)), sizes, deviations)
    return to_pil_image(tensor_of(blurred), mode=img.mode)


def elastic_transform(
    img: Any,
    displacement: Tensor,
    interpolation: Any = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """Each pixel moved by ``displacement`` (1, H, W, 2): x and y, in halves of the image."""
    mode = interpolation_mode(interpolation)
    if not is_tensor(displacement):
        raise TypeError("Argument displacement should be a Tensor")
    tensor = img if is_tensor(img) else pil_to_tensor(img)
    height, width = tensor.shape[-2:]
    if tuple(displacement.shape) != (1, height, width, 2):
        raise ValueError(
            f"Argument displacement shape should be {(1, height, width, 2)}, but "
            f"given {displacement.shape}"
        )
    moves = array_of(displacement)[0].astype(np.float64)
    rows = np.arange(height)[:, None] + moves[..., 1] * height / 2
    columns = np.arange(width) + moves[..., 0] * width / 2
    _check_fill(tensor, fill, mode)
    made = mapped(tensor, geometry.sample, rows, columns, mode.value, fill)
    return made if is_tensor(img) else to_pil_image(made, mode=img.mode)
