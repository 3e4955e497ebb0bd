"""Images as arrays (..., H, W), padded, resized and resampled on the host.

A transform's shapes and choices differ from image to image: as calls of the engine each would be a
plan of its own. So NumPy does them at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def pad(image: Array, sides: Sequence[int], fill: Any, mode: Any) -> Array:
    """With ``sides`` (left, top, right, bottom) more pixels, or fewer where negative."""
    left, top, right, bottom = sides
    height, width = image.shape[-2:]
    cut = [max(0, -side) for side in sides]
    image = image[..., cut[1] : height - cut[3], cut[0] : width - cut[2]]
    widths = [(0, 0)] * (image.ndim - 2) + [
        (max(0, top), max(0, bottom)), (max(0, left), max(0, right)),
    ]  # fmt: skip
    if mode != "constant":
        return np.pad(image, widths, mode=mode)
    fills = np.asarray(fill).reshape(-1)
    if fills.size == 1:
        return np.pad(image, widths, constant_values=fills[0])
    grown = np.pad(image, widths)
    filled = np.broadcast_to(fills.astype(image.dtype)[:, None, None], grown.shape).copy()
    inside = np.s_[max(0, top) : grown.shape[-2] - max(0, bottom)]
    across = np.s_[max(0, left) : grown.shape[-1] - max(0, right)]
    filled[..., inside, across] = image
    return filled


def _cubic(x: Array, a: float) -> Array:
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _linear(x: Array) -> Array:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _taps(old: int, new: int, mode: str, antialias: bool) -> tuple[Array, Array]:
    """For each new place the old ones that it is made of, and their weights: (new, taps)."""
    scale = old / new
    centers = (np.arange(new) + 0.5) * scale
    # A filter grown to the scale keeps high frequencies out; PyTorch's cubic is sharper without.
    if antialias:
        wide = max(scale, 1.0)
        support = (2.0 if mode == "bicubic" else 1.0) * wide
        first = np.maximum(0, (centers - support + 0.5).astype(np.int64))
        last = np.minimum(old, (centers + support + 0.5).astype(np.int64))
        places = first[:, None] + np.arange(int((last - first).max()))
        distances = (places - centers[:, None] + 0.5) / wide
        weights = _cubic(distances, -0.5) if mode == "bicubic" else _linear(distances)
        weights = np.where(places < last[:, None], weights, 0.0)
        weights /= weights.sum(1, keepdims=True)
        return np.minimum(places, old - 1), weights
    points = centers - 0.5
    if mode == "bicubic":
        base = np.floor(points)
        places = base[:, None] + np.arange(-1, 3)
        weights = _cubic(points[:, None] - places, -0.75)
    else:
        points = np.maximum(points, 0.0)
        base = np.floor(points)
        places = base[:, None] + np.arange(2)
        weights = _linear(points[:, None] - places)
    return np.clip(places, 0, old - 1).astype(np.int64), weights


def _mixed(image: Array, axis: int, new: int, mode: str, antialias: bool) -> Array:
    """``new`` places along an axis, each the weighted sum of a few of the old."""
    places, weights = _taps(image.shape[axis], new, mode, antialias)
    weights = weights.astype(image.dtype)
    total: Any = 0.0
    for tap in range(places.shape[1]):
        weight = weights[:, tap]
        part = np.take(image, places[:, tap], axis=axis)
        part *= weight if axis == -1 else weight[:, None]
        total = part if tap == 0 else np.add(total, part, out=total)
    return total


def resize(image: Array, size: Sequence[int], mode: str, antialias: bool) -> Array:
    """To ``size`` (height, width), as ``torch.nn.functional.interpolate`` does it."""
    height, width = image.shape[-2:]
    new_height, new_width = size
    if mode in ("nearest", "nearest-exact"):
        half = np.float32(0.5 if mode == "nearest-exact" else 0.0)
        rows = np.floor(
            (np.arange(new_height, dtype=np.float32) + half) * np.float32(height / new_height)
        )
        columns = np.floor(
            (np.arange(new_width, dtype=np.float32) + half) * np.float32(width / new_width)
        )
        rows = np.minimum(rows, height - 1).astype(np.int64)
        columns = np.minimum(columns, width - 1).astype(np.int64)
        return image[..., rows[:, None], columns]
    antialias = antialias and mode in ("bilinear", "bicubic")
    dtype = image.dtype if image.dtype == np.float64 else np.float32
    result = image.astype(dtype)
    # Rows first: they are taken whole, and fewer are left for the columns.
    if height != new_height:
        result = _mixed(result, -2, new_height, mode, antialias)
    if width != new_width:
        result = _mixed(result, -1, new_width, mode, antialias)
    if mode == "bicubic" and image.dtype == np.uint8:
        result = np.clip(result, 0, 255)
    return restored(result, image.dtype)


def restored(result: Array, dtype: Any) -> Array:
    """Computed values in the image's own type, rounded to it."""
    if np.issubdtype(dtype, np.integer):
        result = np.rint(result)
    return result.astype(dtype, copy=False)


def affine_places(
    matrix: Sequence[float], size: Sequence[int], new: Sequence[int]
) -> tuple[Array, Array]:
    """Which (row, column) of an image of ``size`` each pixel of the new one shows; the matrix maps
    places measured from the centers."""
    (height, width), (new_height, new_width) = size, new
    x = np.arange(new_width) - new_width * 0.5 + 0.5
    y = (np.arange(new_height) - new_height * 0.5 + 0.5)[:, None]
    a, b, c, d, e, f = matrix
    columns = a * x + b * y + c + width * 0.5 - 0.5
    rows = d * x + e * y + f + height * 0.5 - 0.5
    return rows, columns


def perspective_places(coefficients: Sequence[float], size: Sequence[int]) -> tuple[Array, Array]:
    """As ``affine_places``, for (ax + by + c) / (gx + hy + 1) and (dx + ey + f) / (…)."""
    height, width = size
    x = np.arange(width) + 0.5
    y = (np.arange(height) + 0.5)[:, None]
    a, b, c, d, e, f, g, h = coefficients
    below = g * x + h * y + 1.0
    return (d * x + e * y + f) / below - 0.5, (a * x + b * y + c) / below - 0.5


def sample(image: Array, rows: Array, columns: Array, mode: str, fill: Any) -> Array:
    """The image at places between its pixels; outside is ``fill`` (None: 0), a number a channel."""
    dtype = image.dtype if image.dtype == np.float64 else np.float32
    values = image.astype(dtype)
    fills = np.zeros(1, dtype) if fill is None else np.asarray(fill, dtype).reshape(-1)
    fills = fills[:, None, None] if values.ndim > 2 else fills.reshape(-1)[0]
    if mode == "nearest":
        # float32 rounding, so that places midway between two pixels fall as PyTorch's do.
        near, inside = _at(values, np.rint(np.float32(rows)), np.rint(np.float32(columns)))
        return restored(np.where(inside, near, fills), image.dtype)
    top, left = np.floor(rows), np.floor(columns)
    down, right = (rows - top).astype(dtype), (columns - left).astype(dtype)
    total: Any = 0.0
    covered: Any = 0.0
    for row, row_weight in ((top, 1 - down), (top + 1, down)):
        for column, column_weight in ((left, 1 - right), (left + 1, right)):
            found, inside = _at(values, row, column)
            weight = np.where(inside, row_weight * column_weight, 0)
            total = total + found * weight
            covered = covered + weight
    return restored(
        total * covered + (1 - covered) * fills if fill is not None else total, image.dtype
    )


def _at(values: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
    """The pixels at whole places, and which of these are inside."""
    height, width = values.shape[-2:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    row = np.clip(rows, 0, height - 1).astype(np.int64)
    column = np.clip(columns, 0, width - 1).astype(np.int64)
    return values[..., row, column], inside


def rotated_size(matrix: Sequence[float], height: int, width: int) -> tuple[int, int]:
    """The (height, width) that holds the whole image, turned."""
    corners = np.array(
        [[x * width, y * height, 1.0] for x in (-0.5, 0.5) for y in (-0.5, 0.5)], np.float32
    )
    moved = corners @ np.asarray(matrix, np.float32).reshape(2, 3).T
    offset = np.array([width * 0.5, height * 0.5], np.float32)
    # What rounding makes of whole numbers must not add a pixel.
    tolerance = 1e-4
    high = np.ceil(np.trunc((moved.max(0) + offset) / tolerance) * tolerance)
    low = np.floor(np.trunc((moved.min(0) + offset) / tolerance) * tolerance)
    across, down = (high - low).tolist()
    return int(down), int(across)


def inverse_affine(
    center: Sequence[float],
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
) -> list[float]:
    """The six numbers that lead from a place in the result to the one in the image.

    The image is sheared, turned by ``angle`` degrees, scaled, all about ``center``, and moved.
    """
    turn, shear_x, shear_y = [math.radians(x) for x in (angle, *shear)]
    (cx, cy), (tx, ty) = center, translate
    a = math.cos(turn - shear_y) / math.cos(shear_y)
    b = -math.cos(turn - shear_y) * math.tan(shear_x) / math.cos(shear_y) - math.sin(turn)
    c = math.sin(turn - shear_y) / math.cos(shear_y)
    d = -math.sin(turn - shear_y) * math.tan(shear_x) / math.cos(shear_y) + math.cos(turn)
    # The determinant of a turn and a shear is 1.
    a, b, c, d = d / scale, -b / scale, -c / scale, a / scale
    return [
        a, b, cx - a * (cx + tx) - b * (cy + ty),
        c, d, cy - c * (cx + tx) - d * (cy + ty),
    ]  # fmt: skip


def perspective_coefficients(
    startpoints: Sequence[Sequence[float]], endpoints: Sequence[Sequence[float]]
) -> list[float]:
    """The eight numbers that lead from the end points back to the start points."""
    rows, values = [], []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
        values += [u, v]
    found = np.linalg.lstsq(np.array(rows, np.float64), np.array(values, np.float64), rcond=None)[0]
    return [float(x) for x in found.astype(np.float32)]


def gaussian_blur(image: Array, kernel_size: Sequence[int], sigma: Sequence[float]) -> Array:
    """Blurred along x and y; the edge is a mirror."""
    dtype = image.dtype if image.dtype == np.float64 else np.float32
    result = image.astype(dtype)
    for axis, size, deviation in ((-1, kernel_size[0], sigma[0]), (-2, kernel_size[1], sigma[1])):
        half = (size - 1) * 0.5
        weights = np.exp(-0.5 * (np.linspace(-half, half, size) / deviation) ** 2)
        weights = (weights / weights.sum()).astype(dtype)
        widths = [(0, 0)] * result.ndim
        widths[axis] = (size // 2, size // 2)
        if size // 2 >= image.shape[axis]:
            raise RuntimeError(
                "Padding size should be less than the corresponding input dimension, but got: "
                f"padding {size // 2} at a dimension of {image.shape[axis]}"
            )
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(result, widths, mode="reflect"), size, axis=axis
        )
        result = windows @ weights
    return restored(result, image.dtype)
