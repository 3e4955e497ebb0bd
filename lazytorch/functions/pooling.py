"""Pooling: the maximum, mean or norm of sliding windows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import inf, prod
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops.indexing import scatter
from codegen.ops.leaves import constant, iota
from codegen.ops.movement import reshape
from codegen.ops.reduction import argmax_last_nan, broadcast, full, max_, sum_
from lazytorch.application import apply
from lazytorch.autocasting import in_float32
from lazytorch.expression import Function
from lazytorch.functions.activations import relu
from lazytorch.functions.bodies import (
    Sizes,
    apply_one,
    lowest,
    merge_axes,
    need_float,
    pad_axes,
    pair_up,
    windows,
)
from lazytorch.functions.convolution import Window
from lazytorch.functions.registration import SAME, operation, with_out
from lazytorch.functions.window_gradients import (
    are_apart,
    collected_sum,
    spread_out,
)
from lazytorch.tensor import Tensor

# ---- maximum ------------------------------------------------------------------------------


def _max_windows(x: Node, window: Window) -> Node:
    """The windows of the last axes, with each window as one last axis."""
    first = len(x.shape) - len(window.sizes)
    fill = constant(lowest(x.dtype), x.dtype)
    padded = pad_axes(x, first, window.low, window.high, fill)
    seen = windows(padded, first, window.kernel, window.outputs, window.stride, window.dilation)
    return merge_axes(seen, len(x.shape))


def _max_pool(x: Node, window: Window) -> tuple[Node, Node]:
    """The maxima, and where each stands in its unpadded plane."""
    seen = _max_windows(x, window)
    axis = len(seen.shape) - 1
    return max_(seen, (axis,)), _plane_index(argmax_last_nan(seen, axis), window)


def _plane_index(tap: Node, window: Window) -> Node:
    """A window's tap as a position in the flat input plane."""
    first = len(tap.shape) - len(window.sizes)
    index, rest = ew.full_like(tap, 0), tap
    factor = prod(window.kernel)
    for i, k in enumerate(window.kernel):
        factor //= k
        step = ew.full_like(tap, factor)
        place = ew.floor_divide(rest, step)
        rest = ew.sub(rest, ew.mul(place, step))
        steps = iota(tap.shape[first + i])
        steps = ew.mul(steps, ew.full_like(steps, window.stride[i]))
        origin = broadcast(steps, tap.shape, (first + i,))
        origin = ew.sub(origin, ew.full_like(tap, window.low[i]))
        at = ew.add(origin, ew.mul(place, ew.full_like(tap, window.dilation[i])))
        if window.low[i]:
            # In a window without a greatest element, all -inf, the first that is no padding.
            first_inside = ew.remainder(at, ew.full_like(at, window.dilation[i]))
            at = ew.where(ew.lt(at, ew.full_like(at, 0)), first_inside, at)
        index = ew.add(ew.mul(index, ew.full_like(tap, window.sizes[i])), at)
    return index


def _max_pool_rule(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None],
    window: Window,
) -> Sequence[Node | None]:  # fmt: skip
    (x,), g = inputs, cotangents[0]
    if g is None:
        return (None,)
    if are_apart(window):
        seen = _max_windows(x, window)
        return (spread_out(g, window, argmax_last_nan(seen, len(seen.shape) - 1)),)
    return (give_to_places(g, outputs[1], window.sizes),)


def give_to_places(g: Node, places: Node, sizes: Sizes) -> Node:
    """Each output's share added at the place of its plane that it chose."""
    first = len(g.shape) - len(sizes)
    cells = (prod(g.shape[:first]), prod(g.shape[first:]))
    base = full(0, (cells[0], prod(sizes)), g.dtype)
    total = scatter(base, reshape(places, cells), reshape(g, cells), "add", 1)
    return reshape(total, (*g.shape[:first], *sizes))


MAX_POOL = Function(
    "max_pool", _max_pool, _max_pool_rule, gradient_name="MaxPool2DWithIndicesBackward0",
    saves_inputs=True, saves=lambda *_: (0,),
)  # fmt: skip


# ---- geometry -----------------------------------------------------------------------------


def _numbers(value: Any, rank: int, name: str, function: str) -> Sizes:
    result = pair_up(value, rank)
    if len(result) != rank:
        ints = {1: "one int", 2: "two ints", 3: "three ints"}[rank]
        raise RuntimeError(f"{function}: {name} must either be a single int, or a tuple of {ints}")
    return result


def _extent(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    reach = d * (k - 1) + 1
    total = n + 2 * p - reach
    count = (-(-total // s) if ceil_mode else total // s) + 1
    if ceil_mode and (count - 1) * s >= n + p:
        count -= 1
    return count


def _pool_window(x: Tensor, *settings: Any) -> Window:
    """How the windows lie; see ``_window``, which is asked once for the same settings."""
    if list in map(type, settings):
        settings = tuple([tuple(s) if isinstance(s, list) else s for s in settings])
    return _window(x._type.shape, *settings)


@functools.lru_cache(maxsize=4096)
def _window(
    shape: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
    rank: int, function: str,
) -> Window:  # fmt: skip
    """The padding after reaches as far as the last window, and no further."""
    kernels = _numbers(kernel, rank, "kernel_size", function)
    if not function.endswith("pool1d"):  # these look at their settings first
        dilated = _numbers(dilation, rank, "dilation", function)
        _check_padding(kernels, _numbers(padding, rank, "padding", function), dilated, function)
    _check_rank(shape, rank, function)
    empty = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    strides = kernels if empty else _numbers(stride, rank, "stride", function)
    pads = _numbers(padding, rank, "padding", function)
    dilations = _numbers(dilation, rank, "dilation", function)
    if any(p < 0 for p in pads):
        raise RuntimeError(f"pad must be non-negative, but got pad: {min(pads)}")
    if function == "max_pool1d" and kernels[0] <= 0:
        raise RuntimeError(
            f"max_pool1d() kernel_size must be greater than zero, but got {kernels[0]}"
        )
    if function == "max_pool1d" and dilations[0] <= 0:
        raise RuntimeError(
            f"max_pool1d() dilation must be greater than zero, but got {dilations[0]}"
        )
    if function == "max_pool1d" and strides[0] <= 0:
        raise RuntimeError(f"max_pool1d() stride must be greater than zero, but got {strides[0]}")
    if any(s == 0 for s in strides):
        raise RuntimeError("stride should not be zero")
    sizes = shape[len(shape) - rank :]
    _check_padding(kernels, pads, dilations, function)
    outputs = [
        _extent(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(sizes, kernels, strides, pads, dilations, strict=True)
    ]
    if any(n < 1 for n in outputs):
        _refuse_small(shape, sizes, kernels, outputs, function)
    high = tuple(
        [
            max(0, (o - 1) * s + d * (k - 1) + 1 - n - p)
            for o, s, d, k, n, p in zip(
                outputs, strides, dilations, kernels, sizes, pads, strict=True
            )
        ]
    )
    window = Window(strides, pads, high, dilations, 1, sizes, kernels)
    if window.outputs != tuple(outputs):
        # The input reaches further than the last window: nothing to pad.
        raise AssertionError(f"{window.outputs} windows, not {outputs}")
    return window


def _check_padding(kernels: Sizes, pads: Sizes, dilations: Sizes, function: str) -> None:
    if any(p < 0 for p in pads):
        raise RuntimeError(f"pad must be non-negative, but got pad: {min(pads)}")
    for k, p, d in zip(kernels, pads, dilations, strict=True):
        if p <= (d * (k - 1) + 1) // 2:
            continue
        if function == "max_pool1d":
            raise RuntimeError(
                "max_pool1d() padding should be at most half of kernel size, but got "
                f"padding={p} and kernel_size={k}"
            )
        raise RuntimeError(
            "pad should be at most half of effective kernel size, but got "
            f"pad={p}, kernel_size={k} and dilation={d}"
        )


def _check_rank(shape: Shape, rank: int, function: str) -> None:
    batched = len(shape) == rank + 2
    empty = 0 in shape[1:] if batched else 0 in shape
    if len(shape) in (rank + 1, rank + 2) and not (empty and function.startswith("max_pool1d")):
        if empty and function == "max_pool3d":
            axis = next(i for i, n in enumerate(shape[batched:]) if not n)
            raise RuntimeError(
                "max_pool3d_with_indices_out_cpu_template(): Expected input's non-batch dimensions "
                f"to have positive length, but input has a shape of {list(shape)} and non-batch "
                f"dimension {axis} has length zero!"
            )
        if not (empty and function in ("max_pool2d", "avg_pool2d")):
            return
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but "
            f"got:{list(shape)}"
        )
    if function == "max_pool1d":
        raise RuntimeError(
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got:{list(shape)}"
        )
    if function == "avg_pool1d":
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 "
            "'self' (while checking arguments for avg_pool1d)"
        )
    raise RuntimeError(
        f"non-empty {rank + 1}D or {rank + 2}D (batch mode) tensor expected for input"
    )


def _refuse_small(
    shape: Shape, sizes: Sizes, kernels: Sizes, outputs: Sequence[int], function: str
) -> None:
    if function == "max_pool1d":
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {outputs[0]}")
    if len(sizes) == 3 and function.startswith("avg"):
        t, h, w = sizes
        kt, kh, kw = kernels
        raise RuntimeError(
            f"input image (T: {t} H: {h} W: {w}) smaller than kernel size (kT: {kt} kH: {kh} kW: "
            f"{kw})"
        )
    rank = len(sizes)
    before = "x".join(map(str, shape[len(shape) - rank - 1 :]))
    after = "x".join(map(str, [shape[len(shape) - rank - 1], *outputs]))
    raise RuntimeError(
        f"Given input size: ({before}). Calculated output size: ({after}). Output size is too small"
    )


def max_pooled(
    input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
    return_indices: bool, rank: int,
) -> Any:  # fmt: skip
    function = "max_pool1d_with_indices" if rank == 1 and return_indices else f"max_pool{rank}d"
    window = _pool_window(input, kernel_size, stride, padding, dilation, ceil_mode, rank, function)
    values, indices = apply(MAX_POOL, (input,), (window,))
    return (values, indices) if return_indices else values


def max_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of (N, C, L)."""
    return max_pooled(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 1)


def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of (N, C, H, W)."""
    return max_pooled(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 2)


def max_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of (N, C, D, H, W)."""
    return max_pooled(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 3)


# ---- mean ---------------------------------------------------------------------------------


def _avg_pool(x: Node, *rest: Any) -> Node:
    """``rest``: a divisor (if any), then the window, and whether padding counts."""
    *divisor, window, padding, include = rest
    if x.dtype is not dt.int64:
        need_float(x, "avg_pool2d")
    quotient = ew.div if x.dtype.differentiable else ew.trunc_divide
    first = len(x.shape) - len(window.sizes)
    padded = pad_axes(x, first, window.low, window.high)
    seen = windows(padded, first, window.kernel, window.outputs, window.stride, window.dilation)
    total = sum_(seen, tuple(range(len(x.shape), len(seen.shape))))
    if divisor:
        return quotient(total, broadcast(ew.cast(divisor[0], x.dtype), total.shape, ()))
    if _is_even(window, padding, include):
        return quotient(total, ew.full_like(total, prod(window.kernel)))
    return quotient(total, _counts(total, window, padding, include))


def _is_even(window: Window, padding: Sizes, include: bool) -> bool:
    """Whether every mean is over a whole kernel."""
    whole = all(h <= p for h, p in zip(window.high, padding, strict=True))
    return whole and (include or (not any(window.low) and not any(window.high)))


def _counts(total: Node, window: Window, padding: Sizes, include: bool) -> Node:
    """Of how many elements each window's mean is."""
    first = len(total.shape) - len(window.sizes)
    count: Node | None = None
    for i, outputs in enumerate(window.outputs):
        steps = ew.mul(iota(outputs), full(window.stride[i], (outputs,), dt.int64))
        start = ew.sub(steps, ew.full_like(steps, window.low[i]))
        limit = window.sizes[i] + (padding[i] if include else 0)
        stop = ew.minimum(
            ew.add(start, ew.full_like(start, window.kernel[i])), ew.full_like(start, limit)
        )
        if not include:
            start = ew.maximum(start, ew.full_like(start, 0))
        spread = broadcast(ew.sub(stop, start), total.shape, (first + i,))
        count = spread if count is None else ew.mul(count, spread)
    assert count is not None
    return ew.cast(count, total.dtype)


def _avg_pool_rule(
    inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Sequence[Node | None],
    window: Window, padding: Sizes, include: bool,
) -> Sequence[Node | None]:  # fmt: skip
    g = cotangents[0]
    rest = (None,) * (len(inputs) - 1)
    if g is None:
        return None, *rest
    if len(inputs) == 1 and not _is_even(window, padding, include):
        share = ew.div(g, _counts(g, window, padding, include))
        return collected_sum(share, window), *rest

    def divided(total: Node) -> Node:
        if len(inputs) == 1:
            return ew.div(total, ew.full_like(total, prod(window.kernel)))
        return ew.div(total, broadcast(ew.cast(inputs[1], total.dtype), total.shape, ()))

    return collected_sum(g, window, divided), *rest


AVG_POOL = Function(
    "avg_pool",
    _avg_pool,
    _avg_pool_rule,
    gradient_name="AvgPool2DBackward0",
    saves_inputs=True,
    saves=lambda *_: (0,),
)


def _avg_pooled(
    input: Tensor, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, include: bool,
    divisor: int | None, rank: int,
) -> Tensor:  # fmt: skip
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    window = _pool_window(
        input, kernel_size, stride, padding, 1, ceil_mode, rank, f"avg_pool{rank}d"
    )
    inputs = (input,) if divisor is None else (input, divisor)
    pads = pair_up(padding, rank)
    return apply_one(AVG_POOL, inputs, (window, pads, bool(include)))


@operation(method=False)
def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    ceil_mode: bool = False, count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, L)."""
    return _avg_pooled(input, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1)


@functools.partial(with_out, kind=SAME)
def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, H, W)."""
    return _avg_pooled(
        input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 2
    )


@functools.partial(with_out, kind=SAME)
@in_float32
def avg_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, D, H, W)."""
    return _avg_pooled(
        input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 3
    )


# ---- unpooling ------------------------------------------------------------------------------


def _max_unpool(x: Node, index: Node, sizes: Sizes) -> Node:
    first = len(x.shape) - len(sizes)
    planes, plane = prod(x.shape[:first]), prod(sizes)
    places = reshape(index, (planes, prod(x.shape[first:])))
    base = full(0, (planes, plane), x.dtype)
    out = scatter(base, places, reshape(x, places.shape), "set", 1)
    return reshape(out, (*x.shape[:first], *sizes))


MAX_UNPOOL = Function("max_unpool", _max_unpool)


def _max_unpooled(
    x: Tensor, indices: Tensor, kernel: Any, stride: Any, padding: Any, output_size: Any, rank: int
) -> Tensor:
    kernels, pads = pair_up(kernel, rank), pair_up(padding, rank)
    strides = kernels if stride is None else pair_up(stride, rank)
    shape = x._type.shape
    first = len(shape) - rank
    sizes = tuple(
        [
            (n - 1) * s + k - 2 * p
            for n, s, k, p in zip(shape[first:], strides, kernels, pads, strict=True)
        ]
    )
    if output_size is not None:
        sizes = tuple([int(n) for n in output_size])[-rank:]
    if x._type.shape != indices._type.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(shape)}) "
            f"but got indices tensor with shape: {list(indices._type.shape)}"
        )
    return apply_one(MAX_UNPOOL, (x, indices), (sizes,))


@in_float32
def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """max_pool1d's partial inverse: maxima at their places, 0 elsewhere."""
    return _max_unpooled(input, indices, kernel_size, stride, padding, output_size, 1)


@in_float32
def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """max_pool2d's partial inverse: maxima at their places, 0 elsewhere."""
    return _max_unpooled(input, indices, kernel_size, stride, padding, output_size, 2)


@in_float32
def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """max_pool3d's partial inverse: maxima at their places, 0 elsewhere."""
    return _max_unpooled(input, indices, kernel_size, stride, padding, output_size, 3)


# ---- norm of windows --------------------------------------------------------------------------


def _lp_pooled(
    x: Tensor, norm_type: Any, kernel: Any, stride: Any, ceil_mode: bool, rank: int
) -> Tensor:
    if norm_type == inf:
        return max_pooled(x.abs(), kernel, stride, 0, 1, ceil_mode, False, rank)  # type: ignore[no-any-return]
    if norm_type == -inf:
        return -max_pooled(-x.abs(), kernel, stride, 0, 1, ceil_mode, False, rank)  # type: ignore[no-any-return]
    mean = _avg_pooled(x.pow(norm_type), kernel, stride, 0, ceil_mode, True, None, rank)
    # PyTorch's formula, which takes roots of what is negative too; in the gradient relu ends what
    # a root of 0 makes infinite.
    kept = mean.sign() * relu(mean.abs()) * prod(pair_up(kernel, rank))
    return kept.pow(1.0 / norm_type)  # type: ignore[no-any-return]


def lp_pool1d(
    input: Tensor, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window."""
    return _lp_pooled(input, norm_type, kernel_size, stride, ceil_mode, 1)


def lp_pool2d(
    input: Tensor, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window."""
    return _lp_pooled(input, norm_type, kernel_size, stride, ceil_mode, 2)


def lp_pool3d(
    input: Tensor, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window."""
    return _lp_pooled(input, norm_type, kernel_size, stride, ceil_mode, 3)
