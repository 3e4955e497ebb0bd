"""Convolutions of one to three dimensions: three contractions that are each other's gradients."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops.movement import flip, pad_to, reshape, slice_
from codegen.ops.reduction import full, sum_
from lazytorch import autocasting
from lazytorch.expression import Function
from lazytorch.functions.bodies import (
    Sizes,
    apply_one,
    call_function,
    over_channels,
    pad_axes,
    pair_up,
    windows,
)
from lazytorch.functions.contraction import contract
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name

_SPATIAL = ("x", "y", "z")
_KERNEL = ("i", "j", "k")
_PHASE = ("u", "v", "w")

T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """How the kernel slides: ``sizes`` is the input's extent along each spatial axis."""

    stride: Sizes
    low: Sizes
    high: Sizes
    dilation: Sizes
    groups: int
    sizes: Sizes
    kernel: Sizes

    @property
    def outputs(self) -> Sizes:
        return tuple(
            [
                (n + a + b - d * (k - 1) - 1) // s + 1
                for n, a, b, d, k, s in zip(
                    self.sizes, self.low, self.high, self.dilation, self.kernel, self.stride,
                    strict=True,
                )
            ]
        )  # fmt: skip


# ---- the three contractions ---------------------------------------------------------------
# x (n, channels, sizes), w (outputs, channels / groups, kernel), y (n, outputs, positions).


def _grouped(x: Node, axis: int, groups: int) -> Node:
    """Split an axis into (groups, rest)."""
    shape = (*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])
    return reshape(x, shape)


def _input_windows(x: Node, window: Window) -> Node:
    padded = pad_axes(x, 2, window.low, window.high)
    return windows(padded, 2, window.kernel, window.outputs, window.stride, window.dilation)


# Images of fewer elements are no matrix each: they are computed side by side.
_LARGE_IMAGE = 64


def _computed(
    sizes: Sequence[int], channel: str, spatial: Sequence[str], phases: Sequence[str] = ()
) -> Sequence[str] | None:
    """The order of axes in which images are computed, phase by phase; large ones, which have no
    phases, in the output's own."""
    if prod(sizes) < _LARGE_IMAGE:
        return ("g", channel, *phases, "n", *spatial)
    return ("n", "g", channel, *phases, *spatial) if phases else None


def _forward(x: Node, w: Node, window: Window) -> Node:
    """y[n, o, p] = sum over c, k of x[n, c, p stride + k dilation - low] w[o, c, k]."""
    seen, g = _input_windows(x, window), window.groups
    s, k = _SPATIAL[: len(window.sizes)], _KERNEL[: len(window.sizes)]
    y = contract(
        _grouped(w, 0, g), _grouped(seen, 1, g), ("g", "o", "c", *k), ("n", "g", "c", *s, *k),
        ("n", "g", "o", *s), _computed(window.outputs, "o", s),
    )  # fmt: skip
    return reshape(y, (x.shape[0], w.shape[0], *window.outputs))


def _input_gradient(y: Node, w: Node, window: Window) -> Node:
    """The transpose of forward in x.

    Elements of x that lie a stride apart meet the same taps of the kernel: with
    p + low = stride q + r,  x[n, c, p] = sum over o, t of y[n, o, q - t] w[o, c, r + stride t].
    So each phase r is one more row of results of a convolution of y itself, and the phases are
    laid between each other at the end (Shi et al. 2016, arXiv 1609.07009).
    """
    rank, g = len(window.sizes), window.groups
    y, strides = _apart(y, window)
    taps = tuple([-(-k // s) for k, s in zip(window.kernel, strides, strict=True)])
    phases = tuple([min(k, s) for k, s in zip(window.kernel, strides, strict=True)])
    firsts = [a // s for a, s in zip(window.low, strides, strict=True)]
    lasts = [(a + n - 1) // s for a, n, s in zip(window.low, window.sizes, strides, strict=True)]
    counts = tuple([last - first + 1 for first, last in zip(firsts, lasts, strict=True)])
    low = [d * (t - 1) - q for d, t, q in zip(window.dilation, taps, firsts, strict=True)]
    high = [last - n + 1 for last, n in zip(lasts, y.shape[2:], strict=True)]
    if any([n <= max(-a, 0) + max(-b, 0) for n, a, b in zip(y.shape[2:], low, high, strict=True)]):
        return full(0, (y.shape[0], g * w.shape[1], *window.sizes), y.dtype)
    seen = windows(pad_axes(y, 2, low, high), 2, taps, counts, (1,) * rank, window.dilation)
    whole = [t * r - k for t, r, k in zip(taps, phases, window.kernel, strict=True)]
    split = _between(taps, phases)
    turned = reshape(pad_axes(w, 2, [0] * rank, whole), (*w.shape[:2], *split))
    turned = flip(turned, range(2, 2 + 2 * rank, 2))
    s, k, r = _SPATIAL[:rank], _KERNEL[:rank], _PHASE[:rank]
    x = contract(
        _grouped(turned, 0, g), _grouped(seen, 1, g), ("g", "o", "c", *_between(k, r)),
        ("n", "g", "o", *s, *k), ("n", "g", "c", *_between(s, r)),
        _computed(counts, "c", s, r if prod(phases) > 1 else ()),
    )  # fmt: skip
    x = reshape(x, (y.shape[0], g * w.shape[1], *_between(counts, phases)))
    missing = [n - m for n, m in zip(strides, phases, strict=True)]
    x = pad_axes(x, 2, [0] * 2 * rank, _between([0] * rank, missing))
    x = reshape(x, (*x.shape[:2], *[n * m for n, m in zip(counts, strides, strict=True)]))
    starts = [a - q * m for a, q, m in zip(window.low, firsts, strides, strict=True)]
    return slice_(x, [0, 0, *starts], [*x.shape[:2], *window.sizes], [1] * len(x.shape))


def _between(a: Sequence[T], b: Sequence[T]) -> tuple[T, ...]:
    """The items of two sequences in turn."""
    return tuple([item for pair in zip(a, b, strict=True) for item in pair])


def _apart(y: Node, window: Window) -> tuple[Node, Sizes]:
    """y with stride - 1 zeros between along the axes where the kernel is spread too, and the
    strides of the others, 1 along these."""
    steps = [s if d > 1 else 1 for s, d in zip(window.stride, window.dilation, strict=True)]
    strides = tuple([s // step for s, step in zip(window.stride, steps, strict=True)])
    if prod(steps) == 1 or 0 in y.shape:
        return y, strides
    shape = [(n - 1) * step + 1 for n, step in zip(y.shape[2:], steps, strict=True)]
    return pad_to(y, [*y.shape[:2], *shape], [0] * len(y.shape), [1, 1, *steps]), strides


def _weight_gradient(x: Node, y: Node, window: Window) -> Node:
    """The transpose of forward in w."""
    seen, g = _input_windows(x, window), window.groups
    s, k = _SPATIAL[: len(window.sizes)], _KERNEL[: len(window.sizes)]
    w = contract(
        _grouped(y, 1, g), _grouped(seen, 1, g), ("n", "g", "o", *s), ("n", "g", "c", *s, *k),
        ("g", "o", "c", *k),
    )  # fmt: skip
    return reshape(w, (y.shape[1], x.shape[1] // g, *window.kernel))


Cotangents = Sequence["Node | None"]


def _forward_rule(
    inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Cotangents, window: Window
) -> Cotangents:
    (x, w), g = inputs, cotangents[0]
    assert g is not None
    return (
        call_function(CONVOLUTION_INPUT, (g, w), (window,)),
        call_function(CONVOLUTION_WEIGHT, (x, g), (window,)),
    )


def _input_rule(
    inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Cotangents, window: Window
) -> Cotangents:
    (y, w), g = inputs, cotangents[0]
    assert g is not None
    return (
        call_function(CONVOLUTION_PLAIN, (g, w), (window,)),
        call_function(CONVOLUTION_WEIGHT, (g, y), (window,)),
    )


def _weight_rule(
    inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Cotangents, window: Window
) -> Cotangents:
    (x, y), g = inputs, cotangents[0]
    assert g is not None
    return (
        call_function(CONVOLUTION_INPUT, (y, g), (window,)),
        call_function(CONVOLUTION_PLAIN, (x, g), (window,)),
    )


CONVOLUTION_PLAIN = Function("convolution_plain", _forward, _forward_rule)
CONVOLUTION_INPUT = Function("convolution_input", _input_gradient, _input_rule)
CONVOLUTION_WEIGHT = Function("convolution_weight", _weight_gradient, _weight_rule)


# ---- the public forms: any batch, a bias --------------------------------------------------


def _batched(x: Node, window: Window) -> Node:
    return x if len(x.shape) == len(window.sizes) + 2 else reshape(x, (1, *x.shape))


def _with_bias(y: Node, bias: Sequence[Node]) -> Node:
    return ew.add(y, over_channels(bias[0], y.shape)) if bias else y


def _like(x: Node, y: Node) -> Node:
    """Without the batch axis where ``x`` has none."""
    return y if len(x.shape) == len(y.shape) else reshape(y, y.shape[1:])


def _convolution(x: Node, w: Node, *rest: Any) -> Node:
    *bias, window = rest
    return _like(x, _with_bias(_forward(_batched(x, window), w, window), bias))


def _transposed(x: Node, w: Node, *rest: Any) -> Node:
    *bias, window = rest
    return _like(x, _with_bias(_input_gradient(_batched(x, window), w, window), bias))


def _bias_rule(rule: Any, inputs: Sequence[Node], g: Node | None, window: Window) -> Cotangents:
    x, w, *bias = inputs
    assert g is not None
    g = _batched(g, window)
    to_x, to_w = rule((_batched(x, window), w), (), (g,), window)
    axes = [i for i in range(len(g.shape)) if i != 1]
    return (reshape(to_x, x.shape), to_w, *[sum_(g, axes) for _ in bias])


CONVOLUTION = Function(
    "convolution",
    _convolution,
    lambda inputs, _outputs, g, window: _bias_rule(_forward_rule, inputs, g[0], window),
    saves_inputs=True,
    joint=True,
    saves=lambda *_: (0, 1),
)
CONVOLUTION_TRANSPOSED = Function(
    "convolution_transposed",
    _transposed,
    lambda inputs, _outputs, g, window: _bias_rule(_input_rule, inputs, g[0], window),
    gradient_name="ConvolutionBackward0",
    saves_inputs=True,
    joint=True,
    saves=lambda *_: (0, 1),
)


def _numbers(value: Any, rank: int, name: str) -> Sizes:
    """A setting of each spatial dimension."""
    result = pair_up(value, rank)
    if len(result) != rank:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {rank} values to match "
            f"the convolution dimensions, but got {name}={list(result)}"
        )
    return result


def _check(
    input: Shape, weight: Shape, bias: Shape | None, rank: int, groups: int, name: str,
    transposed: bool,
) -> tuple[Shape, Shape]:  # fmt: skip
    """Refuse shapes that do not fit, and give those of input, with a batch, and weight."""
    if len(weight) < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if len(weight) != rank + 2:
        raise RuntimeError(
            f"expected stride to be a single integer value or a list of {len(weight) - 2} values "
            f"to match the convolution dimensions, but got stride={[1] * rank}"
        )
    if len(input) not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, but got "
            f"input of size: {list(input)}"
        )
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    batched = input if len(input) == rank + 2 else (1, *input)
    if 0 < weight[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            f"got weight of size {list(weight)} instead"
        )
    if weight[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{list(weight)}] instead"
        )
    wanted = weight[0] if transposed else weight[1] * groups
    if batched[1] != wanted:
        form = f"transposed={int(transposed)}" if transposed else f"groups={groups}"
        raise RuntimeError(
            f"Given {form}, weight of size {list(weight)}, expected input{list(batched)} to have "
            f"{wanted} channels, but got {batched[1]} channels instead"
        )
    outputs = weight[1] * groups if transposed else weight[0]
    if bias is not None and bias != (outputs,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(weight)}, "
            f"expected bias to be 1-dimensional with {outputs} elements, but got bias of size "
            f"{list(bias)} instead"
        )
    return batched, weight


def _check_types(x: Tensor, w: Tensor, bias: Tensor | None) -> None:
    if autocasting.active.count and autocasting.state.enabled.get(
        autocasting.device_type(x._storage.device)
    ):
        return  # they are about to be cast
    if w._type.dtype is not x._type.dtype:
        raise RuntimeError(
            f"expected scalar type {type_name(x._type.dtype)} but found {type_name(w._type.dtype)}"
        )
    if bias is not None and bias._type.dtype is not x._type.dtype:
        raise RuntimeError(
            f"Input type ({x._type.dtype.name.replace('32', '').replace('float64', 'double')}) and "
            f"bias type ({bias._type.dtype.name.replace('32', '').replace('float64', 'double')}) "
            "should be the same"
        )


def _check_signs(strides: Sizes, padding: Any, rank: int) -> None:
    if any(s <= 0 for s in strides):
        raise RuntimeError("non-positive stride is not supported")
    if not isinstance(padding, str) and any(p < 0 for p in _numbers(padding, rank, "padding")):
        raise RuntimeError("negative padding is not supported")


def _padding(padding: Any, rank: int, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    """Amounts before and after, from numbers, "valid" or "same"."""
    if not isinstance(padding, str):
        amounts = _numbers(padding, rank, "padding")
        return amounts, amounts
    if padding == "valid":
        return (0,) * rank, (0,) * rank
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return tuple([t // 2 for t in total]), tuple([t - t // 2 for t in total])


def _convolve(
    x: Tensor, w: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any,
    groups: int, rank: int,
) -> Tensor:  # fmt: skip
    _check_types(x, w, bias)
    window = _window(
        x._type.shape, w._type.shape, None if bias is None else bias._type.shape,
        _hashable(stride), _hashable(padding), _hashable(dilation), groups, rank,
    )  # fmt: skip
    inputs = (x, w) if bias is None else (x, w, bias)
    return apply_one(CONVOLUTION, inputs, (window,))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@functools.lru_cache(maxsize=4096)
def _window(
    x: Shape, w: Shape, bias: Shape | None, stride: Any, padding: Any, dilation: Any, groups: int,
    rank: int,
) -> Window:  # fmt: skip
    """The window of a convolution whose arguments fit."""
    if len(w) == rank + 2 and len(x) in (rank + 1, rank + 2):
        _check_signs(_numbers(stride, rank, "stride"), padding, rank)
    elif isinstance(padding, str) and len(w) > 2 and len(x) != len(w):
        raise RuntimeError(
            f"Expected {len(w)}-dimensional input for {len(w)}-dimensional weight{list(w)}, but "
            f"got {len(x)}-dimensional input of size {list(x)} instead"
        )
    input, weight = _check(x, w, bias, rank, groups, f"conv{rank}d", False)
    strides = _numbers(stride, rank, "stride")
    dilations = _numbers(dilation, rank, "dilation")
    if any(d <= 0 for d in dilations):
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilations)}")
    low, high = _padding(padding, rank, weight[2:], strides, dilations)
    window = Window(strides, low, high, dilations, groups, input[2:], weight[2:])
    padded = [n + a + b for n, a, b in zip(input[2:], low, high, strict=True)]
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, weight[2:], strict=True)]
    if any(n < k for n, k in zip(padded, reach, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_crosses(padded)}). Kernel size: "
            f"({_crosses(reach)}). Kernel size can't be greater than actual input size"
        )
    return window


def _crosses(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _convolve_transposed(
    x: Tensor, w: Tensor, bias: Tensor | None, stride: Any, padding: Any, output_padding: Any,
    groups: int, dilation: Any, rank: int,
) -> Tensor:  # fmt: skip
    _check_types(x, w, bias)
    window = _window_transposed(
        x._type.shape, w._type.shape, None if bias is None else bias._type.shape,
        _hashable(stride), _hashable(padding), _hashable(output_padding), groups,
        _hashable(dilation), rank,
    )  # fmt: skip
    inputs = (x, w) if bias is None else (x, w, bias)
    return apply_one(CONVOLUTION_TRANSPOSED, inputs, (window,))


@functools.lru_cache(maxsize=4096)
def _window_transposed(
    x: Shape, w: Shape, bias: Shape | None, stride: Any, padding: Any, output_padding: Any,
    groups: int, dilation: Any, rank: int,
) -> Window:  # fmt: skip
    """The window of the convolution that the arguments are the transpose of."""
    input, weight = _check(x, w, bias, rank, groups, f"conv_transpose{rank}d", True)
    strides, amounts = _numbers(stride, rank, "stride"), _numbers(padding, rank, "padding")
    dilations = _numbers(dilation, rank, "dilation")
    extra = _numbers(output_padding, rank, "output_padding")
    _check_signs(strides, amounts, rank)
    if any(e >= s and e >= d for e, s, d in zip(extra, strides, dilations, strict=True)):
        names = ("depth", "height", "width")[-rank:] if rank > 1 else ("width",)
        shown = " ".join(
            f"{what}_{name}: {value}"
            for what, values in (
                ("output_padding", extra), ("stride", strides), ("dilation", dilations)
            )
            for name, value in zip(names, values, strict=True)
        )  # fmt: skip
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got {shown}"
        )
    sizes = tuple(
        [
            (n - 1) * s - 2 * p + d * (k - 1) + e + 1
            for n, s, p, d, k, e in zip(
                input[2:], strides, amounts, dilations, weight[2:], extra, strict=True
            )
        ]
    )
    if any(n <= 0 for n in sizes):
        raise RuntimeError(
            f"Given input size per channel: ({_crosses(input[2:])}). Calculated output size per "
            f"channel: ({_crosses(sizes)}). Output size is too small"
        )
    # Output padding of a stride and more would make room for another window.
    high = tuple([p - e // s * s for p, e, s in zip(amounts, extra, strides, strict=True)])
    return Window(strides, amounts, high, dilations, groups, sizes, weight[2:])


@operation(method=False)
def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """input (N, C, L), weight (O, C / groups, K) -> (N, O, L'): cross-correlation."""
    return _convolve(input, weight, bias, stride, padding, dilation, groups, 1)


@operation(method=False)
def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """input (N, C, H, W), weight (O, C / groups, K, K) -> (N, O, H', W'): cross-correlation."""
    return _convolve(input, weight, bias, stride, padding, dilation, groups, 2)


@operation(method=False)
def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """input (N, C, D, H, W), weight (O, C / groups, K, K, K): cross-correlation."""
    return _convolve(input, weight, bias, stride, padding, dilation, groups, 3)


@operation(method=False)
def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """conv1d's transpose: input (N, O, L), weight (O, C / groups, K) -> (N, C, L')."""
    return _convolve_transposed(
        input, weight, bias, stride, padding, output_padding, groups, dilation, 1
    )


@operation(method=False)
def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """conv2d's transpose: input (N, O, H, W), weight (O, C / groups, K, K) -> (N, C, H', W')."""
    return _convolve_transposed(
        input, weight, bias, stride, padding, output_padding, groups, dilation, 2
    )


@operation(method=False)
def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """conv3d's transpose."""
    return _convolve_transposed(
        input, weight, bias, stride, padding, output_padding, groups, dilation, 3
    )
