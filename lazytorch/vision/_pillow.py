"""Pillow, which reads, writes and transforms images; an optional library."""

from __future__ import annotations

import importlib
from typing import Any

try:
    import PIL.Image as _image
except ImportError:
    _image = None  # type: ignore[assignment]


def pillow(module: str = "Image") -> Any:
    """A module of Pillow; ImportError says what to install where it is missing."""
    if _image is None:
        raise ImportError("Images are read and written by Pillow: pip install pillow")
    return importlib.import_module(f"PIL.{module}")


def is_pillow_image(item: Any) -> bool:
    return _image is not None and isinstance(item, _image.Image)
