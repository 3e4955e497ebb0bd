"""Normalising by mean and variance: over the batch, over features, over groups of channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops.movement import reshape
from codegen.ops.reduction import broadcast, expand_back, kept_axes, sum_
from lazytorch.application import apply
from lazytorch.autocasting import in_float32
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.expression import Function
from lazytorch.functions.bodies import (
    apply_one,
    mean_over,
    number,
    pad_axes,
    square,
    widen,
    windows,
)
from lazytorch.functions.promotion import as_float
from lazytorch.functions.registration import assign, operation
from lazytorch.levels import is_unknown, state
from lazytorch.recording import count_write
from lazytorch.tensor import Tensor

Axes = tuple[int, ...]


# ---- the common part ----------------------------------------------------------------------


def _statistics(x: Node, axes: Axes, eps: Node) -> tuple[Node, Node, Node]:
    """Mean, variance (of the population) and 1 / sqrt(variance + eps)."""
    mean = mean_over(x, axes)
    variance = mean_over(square(ew.sub(x, expand_back(mean, x.shape, axes))), axes)
    return mean, variance, ew.rsqrt(ew.add(variance, number(eps, variance)))


def _standardized(x: Node, mean: Node, inverse: Node, axes: Axes) -> Node:
    centred = ew.sub(x, expand_back(mean, x.shape, axes))
    return ew.mul(centred, expand_back(inverse, x.shape, axes))


def _to_input(g: Node, seen: Node, inverse: Node, axes: Axes) -> Node:
    """The input's cotangent from that of the standardized values ``seen``."""
    mean = expand_back(mean_over(g, axes), g.shape, axes)
    along = expand_back(mean_over(ew.mul(g, seen), axes), g.shape, axes)
    inner = ew.sub(ew.sub(g, mean), ew.mul(seen, along))
    return ew.mul(inner, expand_back(inverse, g.shape, axes))


def _affine(y: Node, weight: Node | None, bias: Node | None, axes: Axes) -> Node:
    """Scale and shift by parameters that lie along ``axes``."""
    if weight is not None:
        y = ew.mul(y, broadcast(ew.cast(weight, y.dtype), y.shape, axes))
    if bias is not None:
        y = ew.add(y, broadcast(ew.cast(bias, y.dtype), y.shape, axes))
    return y


def _parameters(rest: Sequence[Node], has_weight: bool, has_bias: bool) -> Any:
    weight = rest[0] if has_weight else None
    return weight, (rest[int(has_weight)] if has_bias else None)


def _affine_rule(
    x: Node, g: Node, eps: Node, weight: Node | None, bias: Node | None, axes: Axes, along: Axes
) -> list[Node | None]:
    """Cotangents of x, weight and bias (those there are), standardized over ``axes``."""
    wide, g = widen(x), widen(g)
    mean, _, inverse = _statistics(wide, axes, eps)
    seen = _standardized(wide, mean, inverse, axes)
    if along == axes:
        to_x = _to_input(_affine(g, weight, None, along), seen, inverse, axes)
    else:  # a weight that is one number along the axes: the parameters' sums are the input's
        scaled = inverse if weight is None else ew.mul(inverse, ew.cast(weight, inverse.dtype))
        to_x = _to_input(g, seen, scaled, axes)
    result: list[Node | None] = [ew.cast(to_x, x.dtype)]
    others = kept_axes(len(x.shape), along)
    if weight is not None:
        result.append(ew.cast(sum_(ew.mul(g, seen), others), weight.dtype))
    if bias is not None:
        result.append(ew.cast(sum_(g, others), bias.dtype))
    return result


# ---- layer norm, rms norm -----------------------------------------------------------------


def _last(x: Node, count: int) -> Axes:
    return tuple(range(len(x.shape) - count, len(x.shape)))


def _layer_norm(x: Node, eps: Node, *rest: Any) -> Node:
    *parameters, count, has_weight, has_bias = rest
    weight, bias = _parameters(parameters, has_weight, has_bias)
    axes, wide = _last(x, count), widen(x)
    mean, _, inverse = _statistics(wide, axes, eps)
    return ew.cast(_affine(_standardized(wide, mean, inverse, axes), weight, bias, axes), x.dtype)


def _layer_norm_rule(
    inputs: Sequence[Node], _outputs: Any, cotangents: Any, count: int, has_weight: bool,
    has_bias: bool,
) -> Sequence[Node | None]:  # fmt: skip
    x, eps, *parameters = inputs
    weight, bias = _parameters(parameters, has_weight, has_bias)
    axes = _last(x, count)
    to_x, *others = _affine_rule(x, cotangents[0], eps, weight, bias, axes, axes)
    return to_x, None, *others


def _rms_norm(x: Node, eps: Node, *rest: Any) -> Node:
    *weight, count = rest
    axes, wide = _last(x, count), widen(x)
    power = mean_over(square(wide), axes)
    inverse = ew.rsqrt(ew.add(power, number(eps, power)))
    y = ew.mul(wide, expand_back(inverse, x.shape, axes))
    return ew.cast(_affine(y, weight[0] if weight else None, None, axes), x.dtype)


LAYER_NORM = Function(
    "layer_norm", _layer_norm, _layer_norm_rule, gradient_name="NativeLayerNormBackward0",
    saves_inputs=True, joint=True, saves=lambda count, *_: range(count),
)  # fmt: skip
RMS_NORM = Function(
    "rms_norm", _rms_norm, gradient_name="FusedRmsNormBackward0",
    saves_exactly=lambda types, tracked, *_: range(len(types)) if 0 in tracked else (),
)  # fmt: skip


def _check_normalized(x: Tensor, shape: Shape, star: str, **parameters: Tensor | None) -> None:
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    for name, value in parameters.items():
        if value is not None and value._type.shape != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(value._type.shape)} and normalized_shape = {list(shape)}"
            )
    if x._type.shape[-len(shape) :] != shape:
        listed = ", ".join(map(str, shape))
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*{star}{listed}], "
            f"but got input of size{list(x._type.shape)}"
        )


@operation(method=False)
def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5, cudnn_enable: bool = True,
) -> Tensor:  # fmt: skip
    """(input - mean) / sqrt(variance + eps) over the last dimensions, times weight plus bias."""
    shape = tuple(normalized_shape)
    _check_normalized(input, shape, ", ", weight=weight, bias=bias)
    inputs = (input, float(eps), *[p for p in (weight, bias) if p is not None])
    return apply_one(LAYER_NORM, inputs, (len(shape), weight is not None, bias is not None))


@operation(method=False)
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:  # fmt: skip
    """The input over its root mean square over the last dimensions, times weight."""
    shape = tuple(normalized_shape)
    _check_normalized(input, shape, "", weight=weight)
    if eps is None:
        eps = 2.0**-52 if input.dtype.name == "float64" else 2.0**-23
    inputs = (input, float(eps)) + (() if weight is None else (weight,))
    return apply_one(RMS_NORM, inputs, (len(shape),))


# ---- batch norm -----------------------------------------------------------------------------


def _batch_axes(x: Node) -> Axes:
    return (0, *range(2, len(x.shape))) if len(x.shape) > 1 else ()


def _batch_norm(x: Node, eps: Node, momentum: Node, *rest: Any) -> list[Node]:
    """Training: y, and the new running mean and variance where there are old ones."""
    *given, has_weight, has_bias, has_running = rest
    weight, bias = _parameters(given, has_weight, has_bias)
    axes, wide = _batch_axes(x), widen(x)
    mean, variance, inverse = _statistics(wide, axes, eps)
    y = _affine(_standardized(wide, mean, inverse, axes), weight, bias, (1,))
    outputs = [ew.cast(y, x.dtype)]
    if has_running:
        count = prod([x.shape[a] for a in axes])
        unbiased = ew.mul(variance, ew.full_like(variance, count / max(count - 1, 1)))
        for old, new in zip(given[-2:], (mean, unbiased), strict=True):
            part = number(momentum, old)
            kept = ew.mul(ew.sub(ew.full_like(old, 1), part), old)
            outputs.append(ew.add(kept, ew.mul(part, ew.cast(new, old.dtype))))
    return outputs


def _batch_norm_rule(
    inputs: Sequence[Node], _outputs: Any, cotangents: Any, has_weight: bool, has_bias: bool,
    has_running: bool,
) -> Sequence[Node | None]:  # fmt: skip
    x, eps, _momentum, *given = inputs
    if cotangents[0] is None:
        return [None] * len(inputs)
    weight, bias = _parameters(given, has_weight, has_bias)
    to_x, *others = _affine_rule(x, cotangents[0], eps, weight, bias, _batch_axes(x), (1,))
    return to_x, None, None, *others, *([None, None] if has_running else [])


def _batch_norm_fixed(x: Node, eps: Node, mean: Node, variance: Node, *rest: Any) -> Node:
    """Evaluation: with the running statistics."""
    *given, has_weight, has_bias = rest
    weight, bias = _parameters(given, has_weight, has_bias)
    wide = widen(x)
    variance = ew.cast(variance, wide.dtype)
    inverse = ew.rsqrt(ew.add(variance, number(eps, variance)))
    y = _standardized(wide, ew.cast(mean, wide.dtype), inverse, _batch_axes(x))
    return ew.cast(_affine(y, weight, bias, (1,)), x.dtype)


BATCH_NORM = Function(
    "batch_norm", _batch_norm, _batch_norm_rule, gradient_name="NativeBatchNormBackward0",
    saves_inputs=True, joint=True,
    saves=lambda count, has_weight, _, has_running: (
        0, *([3] if has_weight else []), *([count - 2, count - 1] if has_running else []),
    ),
)  # fmt: skip


def _saved_by_fixed(count: int, _: bool, has_bias: bool) -> range:
    return range(count - 1 if has_bias else count)


BATCH_NORM_FIXED = Function(
    "batch_norm_fixed", _batch_norm_fixed, gradient_name="NativeBatchNormBackward0",
    saves_inputs=True, joint=True, saves=_saved_by_fixed,
)  # fmt: skip
# PyTorch's reads copies, one for each sample, of all but the input.
INSTANCE_NORM_FIXED = Function(
    "instance_norm_fixed", _batch_norm_fixed, gradient_name="ViewBackward0",
    saves_inputs=True, joint=True, saves=_saved_by_fixed, spares=lambda count, *_: range(1, count),
)  # fmt: skip


_BATCHED_ALONE = (
    "Batch norm got a batched tensor as input while the running_mean or running_var, which will "
    "be updated in place, were not batched.\nIf you are using a module and do not need eval mode, "
    "please set `track_running_stats` to be False.If you are using a prebuilt module and do not "
    "need eval mode, please see the functorch website for resources on how to patch your module to "
    "work with vmap"
)


@operation(method=False)
def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """Each channel of (N, C, …) standardized over the batch, or with the running statistics.

    In training the running statistics, where given, are updated in place.
    """
    shape = input._type.shape
    if training:
        count = prod(shape) // max(shape[1] if len(shape) > 1 else 1, 1)
        if count == 1:
            raise ValueError(
                "Expected more than 1 value per channel when training, got input size "
                f"{input.size()}"
            )
    if training and eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if not training:
        return _by_statistics(BATCH_NORM_FIXED, input, running_mean, running_var, weight, bias, eps)
    _check_channels(shape, running_mean, running_var, weight, bias)
    parameters = [p for p in (weight, bias) if p is not None]
    flags = (weight is not None, bias is not None)
    numbers = (float(eps), float(momentum))
    # A batch of nothing has no statistics.
    if running_mean is None or running_var is None or not prod(shape):
        return apply_one(BATCH_NORM, (input, *numbers, *parameters), (*flags, False))
    result: Tensor
    result, mean, variance = _with_statistics(
        lambda mean, variance, parameters, flags: apply(
            BATCH_NORM,
            (input, *numbers, *parameters, mean.detach(), variance.detach()),
            (*flags, True),
        ),
        running_mean, running_var, parameters, flags,
    )  # fmt: skip
    _update(running_mean, running_var, mean.detach(), variance.detach())
    return result


def _update(running_mean: Tensor, running_var: Tensor, mean: Tensor, variance: Tensor) -> None:
    """Write running statistics, as PyTorch's kernel does, whom neither backward's version check
    nor a derivative of torch.func sees."""
    if state.active and is_unknown(mean._read()) and not is_unknown(running_mean._read()):
        raise RuntimeError(_BATCHED_ALONE)
    with no_grad():
        assign(running_mean._bare(), mean)
        assign(running_var._bare(), variance)


def _check_channels(shape: Sequence[int], *values: Tensor | None) -> None:
    channels = shape[1] if len(shape) > 1 else shape[0]
    names = ("running_mean", "running_var", "weight", "bias")
    for name, value in zip(names, values, strict=True):
        if value is not None and value.numel() != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {value.numel()}")


def _by_statistics(
    function: Function, input: Tensor, mean: Tensor | None, variance: Tensor | None,
    weight: Tensor | None, bias: Tensor | None, eps: float,
) -> Tensor:  # fmt: skip
    """In evaluation: with running statistics."""
    if eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    for name, value in (("running_mean", mean), ("running_var", variance)):
        if value is None:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
    _check_channels(input._type.shape, mean, variance, weight, bias)
    parameters = [p for p in (weight, bias) if p is not None]
    inputs = (input, float(eps), mean, variance, *parameters)
    return apply_one(function, inputs, (weight is not None, bias is not None))


def _with_statistics(
    update: Callable[..., Any], mean: Tensor, variance: Tensor, parameters: Any, flags: Any
) -> Any:
    """What ``update`` gives for both running statistics, the new ones last. Under vmap one alone
    may differ between the examples: there each is of a call that depends on nothing else."""
    if not state.active:
        return update(mean, variance, parameters, flags)
    *rest, _, _ = update(mean, variance, parameters, flags)
    none = (), (False, False)
    return *rest, update(mean, mean, *none)[-2], update(variance, variance, *none)[-1]


# ---- groups and instances ---------------------------------------------------------------------


def _group_norm(x: Node, eps: Node, *rest: Any) -> Node:
    """A group of channels of one sample at a time."""
    *given, groups, has_weight, has_bias = rest
    weight, bias = _parameters(given, has_weight, has_bias)
    wide = reshape(widen(x), _group_shape(x, groups))
    axes = tuple(range(2, len(wide.shape)))
    mean, _, inverse = _statistics(wide, axes, eps)
    y = reshape(_standardized(wide, mean, inverse, axes), x.shape)
    return ew.cast(_affine(y, weight, bias, (1,)), x.dtype)


def _group_shape(x: Node, groups: int) -> Shape:
    """The shape with an axis of groups before that of a group's channels; as it is where each has
    one, because a kernel goes through the loops of one shape."""
    if groups == x.shape[1] and len(x.shape) > 2:
        return x.shape
    return (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _group_norm_rule(
    inputs: Sequence[Node], _outputs: Any, cotangents: Any, groups: int, has_weight: bool,
    has_bias: bool,
) -> Sequence[Node | None]:  # fmt: skip
    x, eps, *given = inputs
    weight, bias = _parameters(given, has_weight, has_bias)
    g, shape = widen(cotangents[0]), _group_shape(x, groups)
    wide = reshape(widen(x), shape)
    axes = tuple(range(2, len(shape)))
    mean, _, inverse = _statistics(wide, axes, eps)
    seen = _standardized(wide, mean, inverse, axes)
    scaled = reshape(_affine(g, weight, None, (1,)), shape)
    to_x = reshape(_to_input(scaled, seen, inverse, axes), x.shape)
    result: list[Node | None] = [ew.cast(to_x, x.dtype), None]
    others = kept_axes(len(x.shape), (1,))
    if weight is not None:
        product = ew.mul(g, reshape(seen, x.shape))
        result.append(ew.cast(sum_(product, others), weight.dtype))
    if bias is not None:
        result.append(ew.cast(sum_(g, others), bias.dtype))
    return result


GROUP_NORM = Function(
    "group_norm", _group_norm, _group_norm_rule, gradient_name="NativeGroupNormBackward0",
    saves=lambda _, __, has_weight, *___: (0, 2) if has_weight else (0,),
)  # fmt: skip
# A batch normalization of each sample's channels, in PyTorch.
INSTANCE_NORM = Function(
    "instance_norm", _group_norm, _group_norm_rule, gradient_name="ViewBackward0",
    saves_inputs=True, joint=True, spares=lambda count, *_: range(2, count),
)  # fmt: skip


@operation(method=False)
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """Each group of channels of each sample of (N, C, …) standardized."""
    return _by_groups(GROUP_NORM, input, num_groups, weight, bias, eps)


def _by_groups(
    function: Function, input: Tensor, num_groups: int, weight: Tensor | None, bias: Tensor | None,
    eps: float,
) -> Tensor:  # fmt: skip
    shape = input._type.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {len(shape)}"
        )
    if shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(shape)} and num_groups={num_groups}"
        )
    if prod(shape) // (num_groups or 1) == 1 and shape[0] == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.size()}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value._type.shape != (shape[1],):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, "
                f"but got {name} of shape {list(value._type.shape)} and input of shape "
                f"{list(shape)}"
            )
    inputs = (input, float(eps), *[p for p in (weight, bias) if p is not None])
    return apply_one(function, inputs, (num_groups, weight is not None, bias is not None))


def _instance_statistics(x: Node, mean: Node, variance: Node, momentum: Node) -> list[Node]:
    """New running statistics: the means over the batch of each instance's own."""
    axes = tuple(range(2, len(x.shape)))
    count = prod(x.shape[2:])
    own_mean = mean_over(x, axes)
    centred = square(ew.sub(x, expand_back(own_mean, x.shape, axes)))
    total = sum_(centred, axes)
    own_variance = ew.div(total, ew.full_like(total, max(count - 1, 1)))
    outputs = []
    for old, new in ((mean, own_mean), (variance, own_variance)):
        part = number(momentum, old)
        kept = ew.mul(ew.sub(ew.full_like(old, 1), part), old)
        outputs.append(ew.add(kept, ew.mul(part, ew.cast(mean_over(new, (0,)), old.dtype))))
    return outputs


INSTANCE_STATISTICS = Function("instance_statistics", _instance_statistics)


@operation(method=False)
def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
    momentum: float = 0.1, eps: float = 1e-5, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """Each channel of each sample of (N, C, …) standardized."""
    shape = input._type.shape
    if use_input_stats and prod(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.size()}"
        )
    if not use_input_stats:
        return _by_statistics(
            INSTANCE_NORM_FIXED, input, running_mean, running_var, weight, bias, eps
        )
    if running_mean is not None and running_var is not None:
        with no_grad():
            x = input.detach()
            mean, variance = _with_statistics(
                lambda mean, variance, *_: apply(
                    INSTANCE_STATISTICS, (x, mean.detach(), variance.detach(), float(momentum))
                ),
                running_mean, running_var, (), (),
            )  # fmt: skip
        _update(running_mean, running_var, mean, variance)
        for written in (running_mean, running_var):
            count_write(written._storage)  # PyTorch copies them, which backward sees
    return _by_groups(INSTANCE_NORM, input, shape[1], weight, bias, eps)


# ---- local response ---------------------------------------------------------------------------


def _local_response_norm(x: Node, alpha: Node, beta: Node, k: Node, size: int) -> Node:
    whole = x
    if x.dtype.kind != "float":
        # PyTorch's mean of integers is an integer, rounded towards zero.
        x = ew.cast(x, as_float(x.dtype))
    powers = pad_axes(square(x), 1, (size // 2,), ((size - 1) // 2,))
    seen = windows(powers, 1, (size,), (x.shape[1],), (1,), (1,))
    mean = mean_over(seen, (len(x.shape),))
    if whole is not x:
        mean = ew.trunc(mean)
    below = ew.pow_(ew.add(ew.mul(mean, number(alpha, x)), number(k, x)), number(beta, x))
    return ew.div(x, below)


LOCAL_RESPONSE_NORM = Function(
    "local_response_norm", _local_response_norm, gradient_name="DivBackward0",
    spares=lambda *_: (~0,),
)  # fmt: skip


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """The input over (k + alpha * mean of squares of ``size`` neighbouring channels)^beta."""
    if input.dim() < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality                          input (got "
            f"{input.dim()} dimensions)"
        )
    if not input.numel():
        return input
    inputs = (input, float(alpha), float(beta), float(k))
    return (_normalized if input.dim() > 3 else apply_one)(LOCAL_RESPONSE_NORM, inputs, (size,))


_normalized = in_float32(apply_one)  # autocast computes means of images so, not those of signals
