"""Pictures of tensors: many in one grid, and in a file."""

from __future__ import annotations

import math
from typing import Any

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.functions.joining import cat, stack
from lazytorch.nn.functional import pad
from lazytorch.tensor import Tensor
from lazytorch.vision._pillow import pillow


def make_grid(
    tensor: Any,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Images (N, C, H, W), or a list of them, in one (3, H, W): ``nrow`` in a row.

    ``normalize`` stretches the values to 0 to 1, from ``value_range`` or from the least to the
    greatest, of all or (``scale_each``) of each. TypeError for anything but tensors.

    >>> make_grid(torch.zeros(10, 1, 4, 4), nrow=5).shape
    torch.Size([3, 14, 32])
    """
    if isinstance(tensor, list):
        for t in tensor:
            if not isinstance(t, Tensor):
                raise TypeError(
                    f"tensor or list of tensors expected, got a list containing {type(t)}"
                )
        tensor = stack(tensor, 0)
    elif not isinstance(tensor, Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    while tensor.dim() < 4:
        tensor = tensor.unsqueeze(0)
    if tensor.shape[1] == 1:
        tensor = cat((tensor, tensor, tensor), 1)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError(
                "value_range has to be a tuple (min, max) if specified. min and max are numbers"
            )
        tensor = _stretched(tensor, value_range, scale_each)
    if tensor.shape[0] == 1:
        return tensor.squeeze(0)
    count, channels, height, width = tensor.shape
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    framed = pad(tensor, (padding, 0, padding, 0), value=pad_value)
    if rows * columns > count:
        size = (rows * columns - count, *framed.shape[1:])
        framed = cat((framed, framed.new_full(size, pad_value)), 0)
    tall, wide = height + padding, width + padding
    grid = framed.view(rows, columns, channels, tall, wide).permute(2, 0, 3, 1, 4)
    grid = grid.reshape(channels, rows * tall, columns * wide)
    return pad(grid, (0, padding, 0, padding), value=pad_value)


def _stretched(images: Tensor, limits: tuple[float, float] | None, each: bool) -> Tensor:
    if limits is not None:
        low, high = limits
        return (images.clamp(low, high) - low) / max(high - low, 1e-5)
    axes = (1, 2, 3) if each else (0, 1, 2, 3)
    low, high = images.amin(axes, keepdim=True), images.amax(axes, keepdim=True)
    return (images - low) / (high - low).clamp(min=1e-5)


def save_image(tensor: Any, fp: Any, format: str | None = None, **kwargs: Any) -> None:
    """Write images from 0 to 1 as one picture; ``kwargs`` are ``make_grid``'s."""
    with no_grad():
        grid = make_grid(tensor, **kwargs)
        bytes_ = (grid.detach().float() * 255 + 0.5).clamp(0, 255).permute(1, 2, 0)
        pillow().fromarray(bytes_.numpy(force=True).astype("uint8")).save(fp, format=format)
