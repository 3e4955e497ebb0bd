"""The colors of images as arrays (..., C, H, W): uint8 up to 255, floating point up to 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def maximum(dtype: Any) -> float:
    """The value of white."""
    if dtype == np.bool_:
        return 1.0
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


def converted(image: Array, dtype: Any) -> Array:
    """In another type, with white staying white. RuntimeError where that cannot be exact."""
    old, new = image.dtype, np.dtype(dtype)
    if old == new:
        return image
    if np.issubdtype(old, np.floating):
        if np.issubdtype(new, np.floating):
            return image.astype(new)
        if (old == np.float32 and new in (np.int32, np.int64)) or (
            old == np.float64 and new == np.int64
        ):
            raise RuntimeError(
                f"The cast from torch.{old} to torch.{new} cannot be performed safely."
            )
        # Each value of the new type gets an equal part of 0 to 1.
        return (image * old.type(maximum(new) + 1.0 - 1e-3)).astype(new)
    white = maximum(old)
    if np.issubdtype(new, np.floating):
        return image.astype(new) / new.type(white)
    if white > maximum(new):
        return (image // int((white + 1) // (maximum(new) + 1))).astype(new)
    return image.astype(new) * new.type(int((maximum(new) + 1) // (white + 1)))


def need_channels(image: Array, *permitted: int) -> None:
    channels = image.shape[-3] if image.ndim > 2 else 1
    if channels not in permitted:
        raise TypeError(
            f"Input image tensor permitted channel values are {list(permitted)}, but found "
            f"{channels}"
        )


def _blend(first: Array, second: Any, ratio: float) -> Array:
    dtype = first.dtype if np.issubdtype(first.dtype, np.floating) else np.float32
    mixed = dtype_of(dtype)(ratio) * first + dtype_of(dtype)(1.0 - ratio) * second
    clipped: Array = np.clip(mixed, 0, maximum(first.dtype)).astype(first.dtype)
    return clipped


def dtype_of(dtype: Any) -> Any:
    return np.dtype(dtype).type


def gray(image: Array, channels: int = 1) -> Array:
    """The brightness that eyes see, in one channel or the same in three."""
    if image.ndim < 3:
        raise TypeError(
            f"Input image tensor should have at least 3 dimensions, but found {image.ndim}"
        )
    need_channels(image, 1, 3)
    if channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    made = image
    if image.shape[-3] == 3:
        kind = image.dtype if np.issubdtype(image.dtype, np.floating) else np.dtype(np.float32)
        weights = [kind.type(weight) for weight in (0.2989, 0.587, 0.114)]
        r, g, b = [image[..., i, :, :] for i in range(3)]
        made = (weights[0] * r + weights[1] * g + weights[2] * b).astype(image.dtype)
        made = made[..., None, :, :]
    # As torchvision, which gives back a gray image's one channel where three are asked for.
    return np.repeat(made, 3, axis=-3) if channels == image.shape[-3] == 3 else made.copy()


def brightness(image: Array, factor: float) -> Array:
    need_channels(image, 1, 3)
    return _blend(image, np.zeros((), np.float32), factor)


def contrast(image: Array, factor: float) -> Array:
    need_channels(image, 3, 1)
    dtype = image.dtype if np.issubdtype(image.dtype, np.floating) else np.float32
    source = gray(image) if image.shape[-3] == 3 else image
    mean = source.mean(axis=(-3, -2, -1), keepdims=True, dtype=np.float64).astype(dtype)
    return _blend(image, mean, factor)


def saturation(image: Array, factor: float) -> Array:
    need_channels(image, 1, 3)
    return image if image.shape[-3] == 1 else _blend(image, gray(image), factor)


def hue(image: Array, factor: float) -> Array:
    need_channels(image, 1, 3)
    if image.shape[-3] == 1:
        return image
    colors = _hue_saturation_value(converted(image, np.float32))
    colors[..., 0, :, :] = (colors[..., 0, :, :] + np.float32(factor)) % np.float32(1.0)
    return converted(_red_green_blue(colors), image.dtype)


def _hue_saturation_value(image: Array) -> Array:
    r, g, b = [image[..., i, :, :] for i in range(3)]
    high, low = image.max(-3), image.min(-3)
    flat, spread = high == low, high - low
    divisor = np.where(flat, 1, spread)
    saturated = spread / np.where(flat, 1, high)
    from_r, from_g, from_b = [(high - x) / divisor for x in (r, g, b)]
    is_red, is_green = high == r, high == g
    hues = np.where(
        is_red, from_b - from_g, np.where(is_green, 2.0 + from_r - from_b, 4.0 + from_g - from_r)
    )
    hues = np.fmod(hues / 6.0 + 1.0, 1.0)
    return np.stack((hues, saturated, high), axis=-3).astype(np.float32)


def _red_green_blue(image: Array) -> Array:
    h, s, v = [image[..., i, :, :] for i in range(3)]
    sector = np.floor(h * 6.0)
    part = h * 6.0 - sector
    p = np.clip(v * (1.0 - s), 0, 1)
    q = np.clip(v * (1.0 - s * part), 0, 1)
    t = np.clip(v * (1.0 - s * (1.0 - part)), 0, 1)
    which = sector.astype(np.int64) % 6
    channels = [(v, q, p, p, t, v), (t, v, v, q, p, p), (p, p, t, v, v, q)]
    made = [np.choose(which, choices) for choices in channels]
    return np.stack(made, axis=-3).astype(np.float32)


def gamma(image: Array, exponent: float, gain: float) -> Array:
    need_channels(image, 1, 3)
    if exponent < 0:
        raise ValueError("Gamma should be a non-negative real number")
    plain = image if np.issubdtype(image.dtype, np.floating) else converted(image, np.float32)
    bent = np.clip(gain * plain ** plain.dtype.type(exponent), 0, 1).astype(plain.dtype)
    return converted(bent, image.dtype)


def inverted(image: Array) -> Array:
    need_channels(image, 1, 3)
    return (dtype_of(image.dtype)(maximum(image.dtype)) - image).astype(image.dtype)


def _not_bytes(image: Array) -> TypeError:
    return TypeError(f"Only torch.uint8 image tensors are supported, but found torch.{image.dtype}")


def posterized(image: Array, bits: int) -> Array:
    if image.dtype != np.uint8:
        raise _not_bytes(image)
    need_channels(image, 1, 3)
    return image & np.uint8(256 - (1 << (8 - bits)) & 255)


def solarized(image: Array, threshold: float) -> Array:
    need_channels(image, 1, 3)
    if threshold > maximum(image.dtype):
        raise TypeError("Threshold should be less than bound of img.")
    return np.where(image >= threshold, inverted(image), image)


def sharpened(image: Array, factor: float) -> Array:
    need_channels(image, 1, 3)
    if image.shape[-1] <= 2 or image.shape[-2] <= 2:
        return image
    dtype = image.dtype if np.issubdtype(image.dtype, np.floating) else np.dtype(np.float32)
    wide = image.astype(dtype)
    total = 4 * wide[..., 1:-1, 1:-1]
    for down in range(3):
        for across in range(3):
            bottom, right = wide.shape[-2] - 2 + down, wide.shape[-1] - 2 + across
            total = total + wide[..., down:bottom, across:right]
    blurred = image.copy()
    inner = total / dtype.type(13)
    if np.issubdtype(image.dtype, np.integer):
        inner = np.rint(inner)
    blurred[..., 1:-1, 1:-1] = inner.astype(image.dtype)
    return _blend(image, blurred, factor)


def autocontrasted(image: Array) -> Array:
    need_channels(image, 1, 3)
    dtype = image.dtype if np.issubdtype(image.dtype, np.floating) else np.dtype(np.float32)
    white = maximum(image.dtype)
    low = image.min(axis=(-2, -1), keepdims=True).astype(dtype)
    high = image.max(axis=(-2, -1), keepdims=True).astype(dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = white / (high - low)
    flat = ~np.isfinite(scale)
    low = np.where(flat, 0, low)
    scale = np.where(flat, 1, scale).astype(dtype)
    return np.clip((image - low) * scale, 0, white).astype(image.dtype)


def equalized(image: Array) -> Array:
    need_channels(image, 1, 3)
    if image.dtype != np.uint8:
        raise _not_bytes(image)
    made = image.copy()
    for channel in made.reshape(-1, *made.shape[-2:]):
        counts = np.bincount(channel.reshape(-1), minlength=256)
        step = int(counts[counts != 0][:-1].sum()) // 255
        if step:
            table = (np.cumsum(counts) + step // 2) // step
            table = np.clip(np.concatenate(([0], table[:-1])), 0, 255)
            channel[...] = table.astype(np.uint8)[channel]
    return made
