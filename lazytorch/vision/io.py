"""Pictures in files, read and written by Pillow as tensors (C, H, W) of bytes."""

from __future__ import annotations

import io
import os
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from lazytorch.tensor import Tensor
from lazytorch.vision._pillow import pillow
from lazytorch.vision.transforms._tensors import array_of, tensor_of
from lazytorch.vision.transforms.functional import pil_to_tensor, to_pil_image


class ImageReadMode(Enum):
    """The channels that a picture is read with."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4


_MODES = {
    ImageReadMode.GRAY: "L", ImageReadMode.GRAY_ALPHA: "LA", ImageReadMode.RGB: "RGB",
    ImageReadMode.RGB_ALPHA: "RGBA",
}  # fmt: skip


def _decoded(source: Any, mode: ImageReadMode | str, turned: bool) -> Tensor:
    wanted = ImageReadMode[mode.upper()] if isinstance(mode, str) else mode
    try:
        with pillow().open(source) as image:
            upright = pillow("ImageOps").exif_transpose(image) if turned else image
            if wanted is not ImageReadMode.UNCHANGED:
                upright = upright.convert(_MODES[wanted])
            elif upright.mode == "P":
                upright = upright.convert("RGB")
            return pil_to_tensor(upright)
    except pillow().UnidentifiedImageError as error:
        raise RuntimeError(f"Pillow reads no picture here: {error}") from error


def read_image(
    path: str | os.PathLike[str],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """The picture in a file, (C, H, W). RuntimeError where it is none.

    ``vision.io.read_image("cat.png").shape`` is ``torch.Size([3, 480, 640])`` of a colour image of
    640 by 480.
    """
    return _decoded(os.fspath(path), mode, apply_exif_orientation)


def decode_image(
    input: Tensor | str | os.PathLike[str],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """The picture in a file, or in a tensor of a file's bytes."""
    if isinstance(input, Tensor):
        return _decoded(io.BytesIO(array_of(input[None]).tobytes()), mode, apply_exif_orientation)
    return read_image(input, mode, apply_exif_orientation)


decode_jpeg = decode_png = decode_image


def read_file(path: str | os.PathLike[str]) -> Tensor:
    """A file's bytes."""
    return tensor_of(np.frombuffer(Path(path).read_bytes(), np.uint8))


def write_file(filename: str | os.PathLike[str], data: Tensor) -> None:
    """Write bytes to a file."""
    Path(filename).write_bytes(data._array().tobytes())


def write_png(input: Tensor, filename: str | os.PathLike[str], compression_level: int = 6) -> None:
    """Write (C, H, W) bytes as PNG."""
    to_pil_image(input).save(filename, "PNG", compress_level=compression_level)


def write_jpeg(input: Tensor, filename: str | os.PathLike[str], quality: int = 75) -> None:
    """Write (C, H, W) bytes as JPEG; ``quality`` goes from 1 to 100."""
    to_pil_image(input).save(filename, "JPEG", quality=quality)
