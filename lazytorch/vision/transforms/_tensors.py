"""Between image tensors and the arrays that transforms compute on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from codegen import dtype as dt
from lazytorch.device import Device
from lazytorch.tensor import Tensor
from lazytorch.utils.data._engine import adopt


def is_tensor(image: Any) -> bool:
    return isinstance(image, Tensor)


def array_of(image: Tensor) -> np.ndarray[Any, Any]:
    """The values of (..., H, W); TypeError for what is no image."""
    if image.dim() < 2:
        raise TypeError("Tensor is not a torch image.")
    if image.requires_grad:
        raise RuntimeError(
            "this transform computes at once and has no gradient: detach() the image before it"
        )
    if image.dtype is dt.bfloat16:
        raise TypeError("transforms of bfloat16 images: convert them to float32 first")
    return image._array()


def tensor_of(array: Any, device: Any = None) -> Tensor:
    """A tensor over an array that nobody else uses (a view is copied)."""
    made = np.ascontiguousarray(array)
    if made.dtype == np.uint16:
        raise TypeError("lazytorch has no element type uint16: convert the image to mode I first")
    if not made.flags.owndata or not made.flags.writeable:
        made = made.copy()
    tensor = adopt(made.reshape(np.shape(array)), "", False)
    return tensor if device is None else tensor.to(device)


def mapped(image: Tensor, function: Callable[..., Any], *arguments: Any) -> Tensor:
    """``function`` of the image's array, as a tensor where the image was."""
    device = image.device
    return tensor_of(
        function(array_of(image), *arguments), None if device == Device("cpu") else device
    )
