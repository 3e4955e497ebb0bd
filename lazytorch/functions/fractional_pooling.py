"""Maxima of windows at places that are drawn: fractional max pooling (Graham, 2015)."""

from __future__ import annotations

import math
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather
from codegen.ops.leaves import iota
from codegen.ops.movement import reshape, slice_
from codegen.ops.reduction import argmax, broadcast, full
from lazytorch.application import apply
from lazytorch.autocasting import in_float32
from lazytorch.expression import Function
from lazytorch.functions import views
from lazytorch.functions.bodies import Sizes, need_float, pair_up
from lazytorch.functions.random import rand
from lazytorch.tensor import Tensor


def _starts(sample: Node, size: int, outputs: int, window: int) -> Node:
    """Where the windows of one dimension begin: (N, C) samples -> (N, C, outputs)."""
    shape = (*sample.shape, outputs)
    if outputs == 1:
        return full(size - window, shape, dt.int64)
    # As PyTorch's: steps of one size, rounded down from a start that is drawn.
    alpha = (size - window) / (outputs - 1)
    drawn = broadcast(sample, shape, (0, 1))
    step = broadcast(ew.cast(iota(outputs), sample.dtype), shape, (2,))
    factor = ew.full_like(drawn, alpha)

    def whole(x: Node) -> Node:
        return ew.cast(ew.mul(x, factor), dt.int64)

    place = ew.sub(whole(ew.add(step, drawn)), whole(drawn))
    last = broadcast(ew.eq(iota(outputs), full(outputs - 1, (outputs,), dt.int64)), shape, (2,))
    return ew.where(last, ew.full_like(place, size - window), place)


def _fractional(x: Node, samples: Node, kernel: Sizes, outputs: Sizes) -> tuple[Node, Node]:
    """x: (N, C, ...sizes), samples: (N, C, rank), its last the first size's, as PyTorch's."""
    need_float(x, "fractional_max_pool")
    rank = len(kernel)
    batch, channels, *sizes = x.shape
    shape = (batch, channels, *outputs, *kernel)
    total: Node = full(0, shape, dt.int64)
    for i in range(rank):
        # The samples stand in the order width, height in two dimensions; in three, time first.
        column = rank - 1 - i if rank == 2 else i
        sample = slice_(samples, (0, 0, column), (batch, channels, 1), (1, 1, 1))
        starts = _starts(reshape(sample, (batch, channels)), sizes[i], outputs[i], kernel[i])
        place = ew.add(
            broadcast(starts, shape, (0, 1, 2 + i)),
            broadcast(iota(kernel[i]), shape, (2 + rank + i,)),
        )
        total = ew.add(ew.mul(total, ew.full_like(total, sizes[i])), place)
    count, window = math.prod(outputs), math.prod(kernel)
    flat = reshape(x, (batch, channels, math.prod(sizes)))
    index = reshape(total, (batch, channels, count * window))
    seen = reshape(gather(flat, index, 2), (batch, channels, count, window))
    best = argmax(seen, 3)
    four = reshape(best, (batch, channels, count, 1))
    places = gather(reshape(total, (batch, channels, count, window)), four, 3)
    places = reshape(places, (batch, channels, count))
    values = gather(flat, places, 2)
    result = (batch, channels, *outputs)
    return reshape(values, result), reshape(places, result)


FRACTIONAL = Function(
    "fractional_max_pool", _fractional, gradient_name="FractionalMaxPool2DBackward0"
)


@in_float32
def _pooled(
    input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Any, rank: int
) -> tuple[Tensor, Tensor]:
    name = f"fractional_max_pool{rank}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is None:
        ratio = (output_ratio,) * rank if isinstance(output_ratio, float) else tuple(output_ratio)
        sizes = input.shape[-rank:]
        output_size = tuple([int(n * r) for n, r in zip(sizes, ratio, strict=True)])
    if input.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(f"{name}(): Expected {rank + 1}D or {rank + 2}D input")
    kernel, outputs = pair_up(kernel_size, rank), pair_up(output_size, rank)
    for n, o, k in zip(input.shape[-rank:], outputs, kernel, strict=True):
        if o + k - 1 > n:
            raise RuntimeError(f"{name}(): pool size {k} too large relative to input size {n}")
    batched = input.ndim == rank + 2
    x = input if batched else views.unsqueeze(input, 0)
    if samples is None:
        samples = rand(*x.shape[:2], rank, dtype=x.dtype, device=x.device)
    values, places = apply(FRACTIONAL, (x, samples.detach()), (kernel, outputs))
    if batched:
        return values, places
    return views.squeeze(values, 0), views.squeeze(places, 0)


def fractional_max_pool2d_with_indices(
    input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The maxima of windows at drawn places of (N, C, H, W), and where in each plane they are."""
    return _pooled(input, kernel_size, output_size, output_ratio, _random_samples, 2)


def fractional_max_pool2d(
    input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The maxima of windows at drawn places of (N, C, H, W)."""
    found = _pooled(input, kernel_size, output_size, output_ratio, _random_samples, 2)
    return found if return_indices else found[0]


def fractional_max_pool3d_with_indices(
    input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The maxima of windows at drawn places of (N, C, D, H, W), and where they are."""
    return _pooled(input, kernel_size, output_size, output_ratio, _random_samples, 3)


def fractional_max_pool3d(
    input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The maxima of windows at drawn places of (N, C, D, H, W)."""
    found = _pooled(input, kernel_size, output_size, output_ratio, _random_samples, 3)
    return found if return_indices else found[0]
