"""Windows as columns: unfold and its transpose, fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from codegen.ir.node import Node
from codegen.ops.movement import permute, reshape, slice_
from lazytorch.expression import Function
from lazytorch.functions.bodies import Sizes, apply_one, pad_axes, pair_up, windows
from lazytorch.functions.convolution import Window
from lazytorch.functions.window_gradients import collected, folded, is_short
from lazytorch.tensor import Tensor


def _unfold(x: Node, window: Window) -> Node:
    if len(x.shape) == 3:
        single = _unfold(reshape(x, (1, *x.shape)), window)
        return reshape(single, single.shape[1:])
    padded = pad_axes(x, 2, window.low, window.high)
    seen = windows(padded, 2, window.kernel, window.outputs, window.stride, window.dilation)
    columns = permute(seen, (0, 1, 4, 5, 2, 3))
    return reshape(columns, (x.shape[0], x.shape[1] * prod(window.kernel), prod(window.outputs)))


def _fold(x: Node, window: Window) -> Node:
    if len(x.shape) == 2:
        single = _fold(reshape(x, (1, *x.shape)), window)
        return reshape(single, single.shape[1:])
    n, channels = x.shape[0], x.shape[1] // prod(window.kernel)
    split = reshape(x, (n, channels, *window.kernel, *window.outputs))
    if is_short(window):

        def term(taps: Sizes, move: Callable[[Node], Node]) -> Node:
            own = slice_(split, (0, 0, *taps, 0, 0), (n, channels, 1, 1, *window.outputs), (1,) * 6)
            return move(reshape(own, (n, channels, *window.outputs)))

        return collected(term, (n, channels, *window.sizes), x.dtype, window)
    return folded(permute(split, (0, 1, 4, 5, 2, 3)), 2, window)


UNFOLD = Function("im2col", _unfold)
FOLD = Function("col2im", _fold)


def unfold(
    input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """(N, C, H, W) -> (N, C times kernel, windows): each window as a column."""
    kernel, dilations = pair_up(kernel_size, 2), pair_up(dilation, 2)
    pads, strides = pair_up(padding, 2), pair_up(stride, 2)
    shape = input._type.shape
    if len(shape) not in (3, 4):
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(shape)}"
        )
    window = Window(strides, pads, pads, dilations, 1, shape[-2:], kernel)
    if any(o < 1 for o in window.outputs):
        raise RuntimeError(
            f"Given input with spatial size {_tuple(shape[-2:])}, kernel_size={_tuple(kernel)}, "
            f"dilation={_tuple(dilations)}, padding={_tuple(pads)}, calculated shape of the array "
            f"of sliding blocks as {_tuple(window.outputs)}, but its components must be at least "
            "one."
        )
    return apply_one(UNFOLD, (input,), (window,))


def _tuple(values: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, values)) + ")"


def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
    stride: Any = 1,
) -> Tensor:  # fmt: skip
    """unfold's transpose: columns put back where their windows lie, and summed."""
    sizes, kernel = pair_up(output_size, 2), pair_up(kernel_size, 2)
    dilations, pads, strides = pair_up(dilation, 2), pair_up(padding, 2), pair_up(stride, 2)
    shape = input._type.shape
    window = Window(strides, pads, pads, dilations, 1, sizes, kernel)
    if shape[-2] % prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={shape[-2]} and kernel_size={_tuple(kernel)}."
        )
    if shape[-1] != prod(window.outputs):
        counts = " * ".join(map(str, window.outputs))
        raise RuntimeError(
            f"Given output_size={_tuple(sizes)}, kernel_size={_tuple(kernel)}, "
            f"dilation={_tuple(dilations)}, padding={_tuple(pads)}, stride={_tuple(strides)}, "
            "expected size of input's dimension 2 to match the calculated number of sliding "
            f"blocks {counts} = {prod(window.outputs)}, but got input.size(2)={shape[-1]}."
        )
    return apply_one(FOLD, (input,), (window,))
