"""Sampling images at places that a grid gives, and grids of affine maps."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.calls import detach
from codegen.ops.indexing import gather
from codegen.ops.movement import reshape, slice_
from codegen.ops.reduction import broadcast, full
from lazytorch.autocasting import in_float32
from lazytorch.expression import Function
from lazytorch.functions import views
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.creation import arange, ones
from lazytorch.functions.joining import stack
from lazytorch.functions.products import matmul
from lazytorch.functions.registration import operation
from lazytorch.functions.resizing import cubic_far, cubic_near
from lazytorch.tensor import Tensor

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


def _number(x: Node, value: float) -> Node:
    return ew.full_like(x, value)


def _unnormalized(x: Node, size: int, align: bool) -> Node:
    """From [-1, 1] to places: the centres of the outermost pixels, or their outer edges."""
    shifted = ew.add(x, _number(x, 1))
    if align:
        return ew.mul(shifted, _number(x, (size - 1) / 2))
    return ew.div(ew.sub(ew.mul(shifted, _number(x, size)), _number(x, 1)), _number(x, 2))


def _clipped(x: Node, size: int) -> Node:
    """Within the image; no gradient flows from its limits on."""
    low, high = _number(x, 0), _number(x, size - 1)
    limited = ew.where(ew.ge(x, high), high, low)
    return ew.where(ew.and_(ew.gt(x, low), ew.lt(x, high)), x, limited)


def _reflected(x: Node, size: int, align: bool) -> Node:
    """Reflected at the outermost centres, or edges, until it is within the image."""
    low, span = (0.0, float(size - 1)) if align else (-0.5, float(size))
    if not span:
        return _number(x, 0)
    away = ew.sub(x, _number(x, low))
    away = ew.where(ew.lt(away, _number(x, 0)), ew.neg(away), away)
    rest = ew.fmod(away, _number(x, span))
    turns = ew.floor(ew.div(detach(away), _number(x, span)))
    even = ew.eq(ew.fmod(turns, _number(x, 2)), _number(x, 0))
    back = ew.where(even, rest, ew.sub(_number(x, span), rest))
    return ew.add(back, _number(x, low))


def _padded(x: Node, size: int, padding: str, align: bool) -> Node:
    if padding == "border":
        return _clipped(x, size)
    if padding == "reflection":
        return _clipped(_reflected(x, size, align), size)
    return x


Tap = tuple[Node, "Node | None", Node]  # place (N, P) as float, weight, whether it is inside


def _tap(place: Node, weight: Node | None, size: int) -> Tap:
    inside = ew.and_(ew.ge(place, _number(place, 0)), ew.le(place, _number(place, size - 1)))
    return ew.where(inside, place, _number(place, 0)), weight, inside


def _taps(x: Node, size: int, mode: str, padding: str, align: bool) -> list[Tap]:
    """Along one axis: the places that a coordinate is interpolated from."""
    at = _unnormalized(x, size, align)
    if mode == "bicubic":
        base = ew.floor(detach(at))
        t, one = ew.sub(at, base), _number(at, 1)
        weights = (
            cubic_far(ew.add(t, one)), cubic_near(t), cubic_near(ew.sub(one, t)),
            cubic_far(ew.sub(_number(t, 2), t)),
        )  # fmt: skip
        places = [ew.add(base, _number(base, i - 1)) for i in range(4)]
        places = [_padded(p, size, padding, align) for p in places]
        return [_tap(p, w, size) for p, w in zip(places, weights, strict=True)]
    at = _padded(at, size, padding, align)
    if mode == "nearest":
        return [_tap(ew.round_(detach(at)), None, size)]
    base = ew.floor(detach(at))
    t = ew.sub(at, base)
    one = _number(at, 1)
    return [_tap(base, ew.sub(one, t), size), _tap(ew.add(base, one), t, size)]


def _grid_sample(x: Node, grid: Node, mode: str, padding: str, align: bool) -> Node:
    """x: (N, C, ...sizes), grid: (N, ...outputs, rank), its last axis from the last size on."""
    batch, channels, *sizes = x.shape
    rank, outputs = len(sizes), grid.shape[1:-1]
    count = math.prod(outputs)
    shape = (batch, channels, count)
    flat = reshape(x, (batch, channels, math.prod(sizes)))
    axes = []
    for i, size in enumerate(sizes):
        start = [0] * (rank + 1) + [rank - 1 - i]
        one = slice_(grid, start, (*grid.shape[:-1], 1), [1] * len(start))
        axes.append(_taps(reshape(one, (batch, count)), size, mode, padding, align))
    total: Node | None = None
    for taps in itertools.product(*axes):
        place = full(0, (batch, count), dt.int64)
        inside: Node | None = None
        weight: Node | None = None
        for (at, share, within), size in zip(taps, sizes, strict=True):
            place = ew.add(ew.mul(place, ew.full_like(place, size)), ew.cast(at, dt.int64))
            inside = within if inside is None else ew.and_(inside, within)
            if share is not None:
                weight = share if weight is None else ew.mul(weight, share)
        assert inside is not None
        value = gather(flat, broadcast(place, shape, (0, 2)), 2)
        if weight is not None:
            value = ew.mul(value, broadcast(weight, shape, (0, 2)))
        value = ew.where(broadcast(inside, shape, (0, 2)), value, ew.full_like(value, 0))
        total = value if total is None else ew.add(total, value)
    assert total is not None
    return reshape(total, (batch, channels, *outputs))


GRID_SAMPLE = Function(
    "grid_sample", _grid_sample, gradient_name="GridSampler2DBackward0", saves_inputs=True,
    joint=True, saves=lambda *_: (0, 1),
)  # fmt: skip


def _check(input: Tensor, grid: Tensor, mode: str) -> None:
    a, b = input._type.shape, grid._type.shape
    if input.dtype is not grid.dtype:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{input.dtype!r} and grid has {grid.dtype!r}"
        )
    if len(a) not in (4, 5) or len(a) != len(b):
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            f"got input with sizes {list(a)} and grid with sizes {list(b)}"
        )
    if a[0] != b[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with "
            f"sizes {list(a)} and grid with sizes {list(b)}"
        )
    if b[-1] != len(a) - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {len(a) - 2} in last dimension, but got "
            f"grid with sizes {list(b)}"
        )
    if mode == "bicubic" and len(a) == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    for i, n in enumerate(a[2:]):
        if not n:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input "
                f"has sizes {list(a)} with dimension {i + 2} being empty"
            )


@in_float32
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """input (N, C, H, W) at places in [-1, 1], grid (N, H', W', 2) of (x, y) -> (N, C, H', W').

    Likewise (N, C, D, H, W) and (N, D', H', W', 3). ``mode``: bilinear, nearest or bicubic;
    ``padding_mode``: what lies outside is zeros, the border, or the reflection of the inside.
    """
    if mode not in _MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
            "documentation of grid_sample for details.",
            stacklevel=2,
        )
        align_corners = False
    _check(input, grid, mode)
    return apply_one(GRID_SAMPLE, (input, grid), (mode, padding_mode, bool(align_corners)))


def _sampler(name: str) -> Any:
    def sampler(
        input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int,
        align_corners: bool,
    ) -> Tensor:  # fmt: skip
        return grid_sample(
            input, grid, _MODES[interpolation_mode], _PADDINGS[padding_mode], align_corners
        )

    sampler.__name__ = sampler.__qualname__ = name
    sampler.__doc__ = "``grid_sample``, whose modes are given as numbers."
    return operation(method=False)(sampler)


grid_sampler = _sampler("grid_sampler")
grid_sampler_2d = _sampler("grid_sampler_2d")
grid_sampler_3d = _sampler("grid_sampler_3d")


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid of places, (N, H, W, 2), that the affine maps theta (N, 2, 3) take an image of
    ``size`` (N, C, H, W) to; likewise (N, D, H, W, 3) and (N, 3, 4)."""
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype!r}")
    rank = len(size) - 2
    if rank not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    if theta.ndim != 3 or tuple(theta.shape[-2:]) != (rank, rank + 1):
        raise ValueError(
            f"Expected a batch of {rank}D affine matrices of shape Nx{rank}x{rank + 1} for size "
            f"{size}. Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    outputs = tuple(size[2:])
    options: Any = {"dtype": theta.dtype, "device": theta.device}
    columns = []
    for axis in reversed(range(rank)):
        n = outputs[axis]
        places = (2 * arange(n, **options) - (n - 1)) / (
            (n - 1 if n > 1 else 1) if align_corners else n
        )
        shape = [n if i == axis else 1 for i in range(rank)]
        columns.append(views.reshape(views.expand(views.reshape(places, shape), outputs), -1))
    columns.append(ones(math.prod(outputs), **options))
    points = stack(columns, 1)
    grid = matmul(points, views.transpose(theta, 1, 2))
    return views.reshape(grid, (size[0], *outputs, rank))


@operation(method=False)
def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """As ``nn.functional.affine_grid``."""
    return affine_grid(theta, size, align_corners)
