"""Resizing images: along each axis in turn; nearest picks, the others weigh neighbours, or
multiply by a matrix of weights."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import floor
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather
from codegen.ops.leaves import iota
from codegen.ops.movement import permute, reshape
from codegen.ops.reduction import broadcast, full, one_hot_mask, sum_
from codegen.runtime.interpreter import interpret
from lazytorch.expression import Function
from lazytorch.functions.adaptive_pooling import ADAPTIVE_AVG
from lazytorch.functions.bodies import apply_one, call_function, need_float
from lazytorch.functions.contraction import contract
from lazytorch.tensor import Tensor


def _nearest(x: Node, axis: int, size: int, scale: float, exact: bool) -> Node:
    n = x.shape[axis]
    if not exact and size % n == 0 and scale == n / size:
        shape = (*x.shape[: axis + 1], size // n, *x.shape[axis + 1 :])
        axes = [i if i <= axis else i + 1 for i in range(len(x.shape))]
        return reshape(broadcast(x, shape, axes), (*x.shape[:axis], size, *x.shape[axis + 1 :]))
    places = ew.cast(iota(size), dt.float32)
    if exact:
        places = ew.add(places, ew.full_like(places, 0.5))
    source = ew.floor(ew.mul(places, ew.full_like(places, scale)))
    index = ew.minimum(ew.cast(source, dt.int64), full(n - 1, (size,), dt.int64))
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    return gather(x, broadcast(index, shape, (axis,)), axis)


def _positions(size: int, n: int, scale: float, align: bool, clamp: bool, dtype: dt.DType) -> Node:
    """Where each output lies between the inputs."""
    places = ew.cast(iota(size), dtype)
    if align:
        return ew.mul(places, ew.full_like(places, (n - 1) / (size - 1) if size > 1 else 0.0))
    half = ew.full_like(places, 0.5)
    source = ew.sub(ew.mul(ew.add(places, half), ew.full_like(places, scale)), half)
    return ew.maximum(source, ew.full_like(source, 0)) if clamp else source


Shares = list[tuple[Node, Node]]


def _shares(size: int, n: int, scale: float, align: bool, cubic: bool, dtype: dt.DType) -> Shares:
    """Of each output the inputs that it is made of, and how much of each: 2, or 4 of cubics."""
    at = _positions(size, n, scale, align, not cubic, dtype)
    base = ew.floor(at)
    t = ew.sub(at, base)
    start = ew.cast(base, dt.int64)
    one = ew.full_like(t, 1)
    if cubic:
        shares = [
            (-1, cubic_far(ew.add(t, one))), (0, cubic_near(t)),
            (1, cubic_near(ew.sub(one, t))), (2, cubic_far(ew.sub(ew.full_like(t, 2), t))),
        ]  # fmt: skip
    else:
        shares = [(0, ew.sub(one, t)), (1, t)]
    found = []
    for offset, share in shares:
        place = ew.add(start, ew.full_like(start, offset))
        place = ew.minimum(ew.maximum(place, ew.full_like(place, 0)), ew.full_like(place, n - 1))
        found.append((place, share))
    return found


def _weights(shares: Shares, n: int) -> Node:
    """[output, input]: how much of each input each output holds."""
    shape = (*shares[0][1].shape, n)
    total = full(0, shape, shares[0][1].dtype)
    for place, share in shares:
        mask = one_hot_mask(place, shape, 1)
        spread = broadcast(share, shape, (0,))
        total = ew.add(total, ew.where(mask, spread, ew.full_like(spread, 0)))
    return total


def _between(x: Node, axis: int, size: int, scale: float, align: bool, cubic: bool) -> Node:
    """Along an axis the sums of neighbours' shares: one infinite input makes no others NaN."""
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    parts = [
        ew.mul(gather(x, broadcast(place, shape, (axis,)), axis), broadcast(share, shape, (axis,)))
        for place, share in _shares(size, x.shape[axis], scale, align, cubic, x.dtype)
    ]
    return functools.reduce(ew.add, parts)


def _between_gradient(
    inputs: Sequence[Node], _outputs: Sequence[Node], seeds: Sequence[Node], axis: int, size: int,
    scale: float, align: bool, cubic: bool,
) -> Sequence[Node]:  # fmt: skip
    """By the matrix of the shares: a product is faster than adding at computed places."""
    (x,), (g,), n = inputs, seeds, inputs[0].shape[axis]
    weights = _weights(_shares(size, n, scale, align, cubic, x.dtype), n)
    return [_times(g, axis, permute(weights, (1, 0)))]


BETWEEN = Function("interpolate_along", _between, _between_gradient)
_A = -0.75  # the cubic kernel's free parameter, as PyTorch's; with antialiasing it is -0.5


def _polynomial(t: Node, coefficients: Sequence[float]) -> Node:
    value = ew.full_like(t, coefficients[0])
    for c in coefficients[1:]:
        value = ew.add(ew.mul(value, t), ew.full_like(t, c))
    return value


def cubic_near(t: Node, a: float = _A) -> Node:
    return _polynomial(t, (a + 2, -(a + 3), 0.0, 1.0))


def cubic_far(t: Node, a: float = _A) -> Node:
    return _polynomial(t, (a, -5 * a, 8 * a, -4 * a))


def _smooth_weights(size: int, n: int, scale: float, cubic: bool, dtype: dt.DType) -> Node:
    """[output, input], with antialiasing: the kernel is as wide as an output is in inputs."""
    wide = max(scale, 1.0)
    reach = (2.0 if cubic else 1.0) * wide
    places = ew.cast(iota(size), dtype)
    half = ew.full_like(places, 0.5)
    center = ew.mul(ew.add(places, half), ew.full_like(places, scale))

    def edge(offset: float) -> Node:
        """Truncated, and within the image."""
        at = ew.trunc(ew.add(ew.add(center, ew.full_like(center, offset)), half))
        return ew.minimum(ew.maximum(at, ew.full_like(at, 0)), ew.full_like(at, n))

    def across(x: Node) -> Node:
        return broadcast(x, (size, n), (0,))

    inputs = broadcast(ew.cast(iota(n), dtype), (size, n), (1,))
    away = ew.sub(ew.add(inputs, ew.full_like(inputs, 0.5)), across(center))
    t = ew.abs_(ew.mul(away, ew.full_like(away, 1 / wide)))
    none, one = ew.full_like(t, 0), ew.full_like(t, 1)
    if cubic:
        far = ew.where(ew.lt(t, ew.full_like(t, 2)), cubic_far(t, -0.5), none)
        share = ew.where(ew.lt(t, one), cubic_near(t, -0.5), far)
    else:
        share = ew.maximum(ew.sub(one, t), none)
    within = ew.and_(ew.ge(inputs, across(edge(-reach))), ew.lt(inputs, across(edge(reach))))
    share = ew.where(within, share, none)
    return ew.div(share, across(sum_(share, (1,))))


# ---- images of 8 bits ---------------------------------------------------------------------------
# PyTorch's (and Pillow's) arithmetic: weights are integers over a power of two, and each axis's
# result is an image of 8 bits again.


def _precision(weights: Node) -> int:
    """How many binary digits the weights keep behind the point, to fit into 16 bits."""
    largest = float(np.max(interpret([weights], {})[0], initial=0.0))
    digits = 0
    while digits < 22 and int(0.5 + largest * (1 << (digits + 1))) < 1 << 15:
        digits += 1
    return digits


def _resized_bytes(x: Node, axis: int, weights: Node) -> Node:
    """A uint8 image times a float64 matrix of weights along an axis."""
    digits = _precision(weights)
    scaled = ew.mul(weights, ew.full_like(weights, float(1 << digits)))
    half = ew.full_like(scaled, 0.5)
    below = ew.lt(scaled, ew.full_like(scaled, 0))
    whole = ew.trunc(ew.add(scaled, ew.where(below, ew.neg(half), half)))
    total = _times(ew.cast(x, dt.int32), axis, ew.cast(whole, dt.int32))
    total = ew.add(total, ew.full_like(total, 1 << max(digits - 1, 0)))
    total = ew.shift_right(total, ew.full_like(total, digits))
    low, high = ew.full_like(total, 0), ew.full_like(total, 255)
    return ew.cast(ew.minimum(ew.maximum(total, low), high), dt.uint8)


def _times(x: Node, axis: int, weights: Node) -> Node:
    """x along an axis times a matrix [output, input]."""
    labels: list[Any] = list(range(len(x.shape)))
    out = ["o" if j == axis else j for j in labels]
    return contract(x, weights, labels, ("o", axis), out)


def _interpolate(
    x: Node, sizes: Sequence[int], scales: Sequence[float], mode: str, align: bool, smooth: bool
) -> Node:
    first = len(x.shape) - len(sizes)
    steps = list(enumerate(zip(sizes, scales, strict=True), first))
    if mode.startswith("nearest"):
        for axis, (size, scale) in steps:
            x = _nearest(x, axis, size, scale, mode == "nearest-exact")
        return x
    in_bytes = x.dtype is dt.uint8 and mode in ("bilinear", "bicubic")
    if not in_bytes:
        need_float(x, f"upsample_{mode}2d")
    # Columns go first where bytes are rounded in between.
    for axis, (size, scale) in reversed(steps) if in_bytes else steps:
        n, dtype = x.shape[axis], dt.float64 if in_bytes else x.dtype
        if smooth:
            step = scale if not align else (n - 1) / (size - 1) if size > 1 else 0.0
            weights = _smooth_weights(size, n, step, mode == "bicubic", dtype)
        else:
            if not in_bytes:
                x = call_function(BETWEEN, (x,), (axis, size, scale, align, mode == "bicubic"))
                continue
            weights = _weights(_shares(size, n, scale, align, mode == "bicubic", dtype), n)
        x = _resized_bytes(x, axis, weights) if in_bytes else _times(x, axis, weights)
    return x


INTERPOLATE = Function("interpolate", _interpolate, gradient_name="UpsampleBackward0")
_RANKS = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}


def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:  # fmt: skip
    """Resize the spatial dimensions of (N, C, …) to ``size``, or by ``scale_factor``.

    ``mode``: nearest, nearest-exact, linear, bilinear, trilinear, bicubic or area.
    """
    shape = input._type.shape
    rank = len(shape) - 2
    if align_corners is not None and mode in ("nearest", "area", "nearest-exact"):
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear "
            "| bicubic | trilinear"
        )
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if antialias and not (mode in ("bilinear", "bicubic") and len(shape) == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    sizes, factors = _wanted_sizes(shape, rank, size, scale_factor)
    if len(shape) not in (3, 4, 5) or mode not in ("nearest", "nearest-exact", "area", *_RANKS):
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported (got "
            f"{len(shape)}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | "
            f"lanczos | area | nearest-exact (got {mode})"
        )
    if mode in _RANKS and len(shape) != _RANKS[mode]:
        raise NotImplementedError(
            f"Got {len(shape)}D input, but {mode} mode needs {_RANKS[mode]}D input"
        )
    if mode == "area":
        return apply_one(ADAPTIVE_AVG, (input,), (sizes,))
    if recompute_scale_factor or factors is None:
        scales = tuple([n / o for n, o in zip(shape[2:], sizes, strict=True)])
    else:
        scales = tuple([1.0 / f for f in factors])
    settings = (sizes, scales, mode, bool(align_corners), bool(antialias))
    return apply_one(INTERPOLATE, (input,), settings)


def _wanted_sizes(shape: Sequence[int], rank: int, size: Any, factor: Any) -> Any:
    if size is not None:
        if isinstance(size, (tuple, list)) and len(size) != rank:
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but got input "
                f"with spatial dimensions of {list(shape[2:])} and output size of {size}. Please "
                "provide input tensor in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, "
                "...,oK) format."
            )
        given = size if isinstance(size, (tuple, list)) else [size] * rank
        return tuple([int(n) for n in given]), None
    if isinstance(factor, (tuple, list)) and len(factor) != rank:
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input "
            f"with spatial dimensions of {list(shape[2:])} and scale_factor of shape {factor}. "
            "Please provide input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in (s1, "
            "s2, ...,sK) format."
        )
    given = factor if isinstance(factor, (tuple, list)) else [factor] * rank
    factors = [float(f) for f in given]
    return tuple([floor(n * f) for n, f in zip(shape[2:], factors, strict=True)]), factors
