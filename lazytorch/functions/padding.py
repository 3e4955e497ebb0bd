"""Padding, resizing, and moving blocks between channels and space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.indexing import concatenate, gather
from codegen.ops.leaves import iota
from codegen.ops.movement import flip, permute, reshape, slice_
from codegen.ops.reduction import broadcast, full
from lazytorch.autocasting import in_float32
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.bodies import apply_one, number, pad_axes
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor

# ---- padding --------------------------------------------------------------------------------


def _pad_constant(x: Node, *rest: Any) -> Node:
    *value, low, high = rest
    padded = pad_axes(x, 0, low, high)
    if not value:
        return padded
    inside = pad_axes(full(True, x.shape, dt.bool_), 0, low, high)
    return ew.where(inside, padded, number(value[0], padded))


def _cut(x: Node, axis: int, start: int, size: int) -> Node:
    starts = [start if i == axis else 0 for i in range(len(x.shape))]
    sizes = [size if i == axis else n for i, n in enumerate(x.shape)]
    return slice_(x, starts, sizes, [1] * len(sizes))


def _pad_copies(x: Node, low: Sequence[int], high: Sequence[int], mode: str) -> Node:
    """Beyond the edge: the edge itself, its mirror image, or the other end."""
    for axis, (a, b) in enumerate(zip(low, high, strict=True)):
        if mode == "replicate" and (a < 0 or b < 0):
            # The edge stays the edge of the whole where more is added than is left.
            n = x.shape[axis]
            places = ew.add(iota(n + a + b), full(-a, (n + a + b,), dt.int64))
            places = ew.minimum(
                ew.maximum(places, ew.full_like(places, 0)), ew.full_like(places, n - 1)
            )
            shape = (*x.shape[:axis], n + a + b, *x.shape[axis + 1 :])
            x = gather(x, broadcast(places, shape, (axis,)), axis)
            continue
        if a < 0 or b < 0:
            x = _cut(x, axis, max(-a, 0), x.shape[axis] - max(-a, 0) - max(-b, 0))
            a, b = max(a, 0), max(b, 0)
        n = x.shape[axis]
        parts = [x]
        if a:
            parts.insert(0, _beyond(x, axis, a, mode, before=True))
        if b:
            parts.append(_beyond(x, axis, b, mode, before=False))
        if len(parts) > 1 and n:
            x = concatenate(parts, axis)
    return x


def _beyond(x: Node, axis: int, count: int, mode: str, before: bool) -> Node:
    n = x.shape[axis]
    if mode == "circular":
        return _cut(x, axis, n - count if before else 0, count)
    if mode == "reflect":
        return flip(_cut(x, axis, 1 if before else n - 1 - count, count), (axis,))
    edge = _cut(x, axis, 0 if before else n - 1, 1)
    return broadcast_to(edge, (*x.shape[:axis], count, *x.shape[axis + 1 :]))


PAD_CONSTANT = Function("constant_pad_nd", _pad_constant)
PAD_COPIES = Function(
    "pad_copies",
    _pad_copies,
    gradient_name="ReflectionPad2DBackward0",
    saves_inputs=True,
    saves=lambda _, *settings: () if "circular" in settings else (0,),
)


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Pad by (before, after) pairs from the last dimension on; negative amounts cut.

    ``mode``: constant, reflect, replicate or circular.
    """
    amounts = [int(n) for n in pad]
    shape = input._type.shape
    if len(amounts) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(amounts) > 2 * len(shape):
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(amounts)} and input of dimension {len(shape)}"
        )
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    rest = len(shape) - len(amounts) // 2
    low = (0,) * rest + tuple(reversed(amounts[::2]))
    high = (0,) * rest + tuple(reversed(amounts[1::2]))
    if any(a + n + b < 0 for a, n, b in zip(low, shape, high, strict=True)):
        raise RuntimeError("narrow(): length must be non-negative.")
    if mode == "constant":
        inputs = (input,) if not value else (input, value)
        return apply_one(PAD_CONSTANT, inputs, (low, high))
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    _check_copies(shape, amounts, mode)
    copied = _pad_by_copies if mode != "circular" else apply_one
    return copied(PAD_COPIES, (input,), (low, high, mode))


_pad_by_copies = in_float32(apply_one)


@operation()
def constant_pad_nd(input: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """``pad`` with a number."""
    return _pad(input, pad, "constant", value)


_pad = pad


def _check_copies(shape: Sequence[int], amounts: Sequence[int], mode: str) -> None:
    if len(shape) - len(amounts) // 2 not in (1, 2) or len(amounts) > 6:
        raise NotImplementedError(
            f"Padding size {len(amounts)} is not supported for {len(shape)}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    for i in range(len(amounts) // 2):
        axis = len(shape) - 1 - i
        a, b, n = amounts[2 * i], amounts[2 * i + 1], shape[axis]
        if mode == "reflect" and max(a, b) >= n:
            raise RuntimeError(
                f"Argument #{4 + 2 * i}: Padding size should be less than the corresponding input "
                f"dimension, but got: padding ({a}, {b}) at dimension {axis} of input "
                f"{list(shape)}"
            )
        if mode == "circular" and max(a, b) > n:
            raise RuntimeError("Padding value causes wrapping around more than once.")


# ---- pixels and channels ----------------------------------------------------------------------


def _pixel_shuffle(x: Node, r: int) -> Node:
    *outer, c, h, w = x.shape
    rank = len(outer)
    split = reshape(x, (*outer, c // (r * r), r, r, h, w))
    order = [*range(rank), *[rank + i for i in (0, 3, 1, 4, 2)]]
    return reshape(permute(split, order), (*outer, c // (r * r), h * r, w * r))


def _pixel_unshuffle(x: Node, r: int) -> Node:
    *outer, c, h, w = x.shape
    rank = len(outer)
    split = reshape(x, (*outer, c, h // r, r, w // r, r))
    order = [*range(rank), *[rank + i for i in (0, 2, 4, 1, 3)]]
    return reshape(permute(split, order), (*outer, c * r * r, h // r, w // r))


def _channel_shuffle(x: Node, groups: int) -> Node:
    n, c, *space = x.shape
    split = reshape(x, (n, groups, c // groups, *space))
    order = (0, 2, 1, *range(3, len(split.shape)))
    return reshape(permute(split, order), x.shape)


PIXEL_SHUFFLE = Function("pixel_shuffle", _pixel_shuffle)
PIXEL_UNSHUFFLE = Function("pixel_unshuffle", _pixel_unshuffle)
CHANNEL_SHUFFLE = Function("channel_shuffle", _channel_shuffle)


@operation(method=False)
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C r², H, W) -> (*, C, H r, W r)."""
    shape, square = input._type.shape, upscale_factor**2
    _need_image(shape, "pixel_shuffle")
    if shape[-3] % square:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={shape[-3]} is not divisible by {square}"
        )
    return apply_one(PIXEL_SHUFFLE, (input,), (upscale_factor,))


@operation(method=False)
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) -> (*, C r², H, W)."""
    shape = input._type.shape
    _need_image(shape, "pixel_unshuffle")
    for name, i in (("height", -2), ("width", -1)):
        if shape[i] % downscale_factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                f"input.size({i})={shape[i]} is not divisible by {downscale_factor}"
            )
    return apply_one(PIXEL_UNSHUFFLE, (input,), (downscale_factor,))


def _need_image(shape: Sequence[int], name: str) -> None:
    if len(shape) < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with "
            f"{len(shape)} dimension(s)"
        )


@operation(method=False)
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of (N, C, …) regrouped: taken in turn from each group."""
    shape = input._type.shape
    if len(shape) < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}"
        )
    if shape[1] % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {shape[1]} channels and "
            f"{groups} groups."
        )
    return apply_one(CHANNEL_SHUFFLE, (input,), (groups,))
