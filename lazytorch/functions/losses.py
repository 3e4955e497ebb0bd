"""Losses: what a model's output costs against its target."""

from __future__ import annotations

import warnings
from math import log, pi
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.calls import detach
from codegen.ops.reduction import (
    broadcast,
    cumsum,
    expand_back,
    max_,
    one_hot_mask,
    sum_,
)
from codegen.runtime.memory import Buffer
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.activations import LOGSIGMOID
from lazytorch.functions.bodies import (
    apply_one,
    call_function,
    mean_over,
    need_float,
    number,
    over_channels,
    reduced,
    square,
    type_name,
)
from lazytorch.functions.distance import pairwise, pairwise_distance
from lazytorch.functions.promotion import broadcast_together, promote, promote_float
from lazytorch.storage import buffer_array
from lazytorch.tensor import Tensor


def _reduction(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction's name, from the arguments of today or of old."""
    if size_average is not None or reduce is not None:
        average = size_average is None or size_average
        reduction = "none" if reduce is False else "mean" if average else "sum"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' "
            "instead.",
            stacklevel=4,
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def _warn_sizes(input: Tensor, target: Tensor) -> None:
    if target._type.shape != input._type.shape:
        warnings.warn(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


# ---- distances of two tensors -------------------------------------------------------------


def _mse(x: Node, y: Node, reduction: str) -> Node:
    x, y = promote(x, y)
    need_float(x, "mse_cpu")
    return reduced(square(ew.sub(x, y)), reduction)


def _weighted_mse(x: Node, y: Node, weight: Node, reduction: str) -> Node:
    x, y, w = promote(x, y, weight)
    loss = ew.mul(square(ew.sub(x, y)), w)
    if reduction != "mean":
        return reduced(loss, reduction)
    axes = range(len(loss.shape))
    return ew.div(sum_(loss, axes), sum_(w, axes))


def _l1(x: Node, y: Node, reduction: str) -> Node:
    x, y = promote(x, y)
    if reduction == "mean" and not x.dtype.is_floating_point:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {type_name(x.dtype)}"
        )
    return reduced(ew.abs_(ew.sub(x, y)), reduction)


def _smooth_l1(x: Node, y: Node, beta: Node, reduction: str) -> Node:
    x, y = promote(x, y)
    need_float(x, "smooth_l1_cpu")
    d = ew.abs_(ew.sub(x, y))
    b, half = number(beta, d), ew.full_like(d, 0.5)
    near = ew.div(ew.mul(half, square(d)), b)
    return reduced(ew.where(ew.lt(d, b), near, ew.sub(d, ew.mul(half, b))), reduction)


def _huber(x: Node, y: Node, delta: Node, reduction: str) -> Node:
    x, y = promote(x, y)
    need_float(x, "huber_cpu")
    d = ew.abs_(ew.sub(x, y))
    b, half = number(delta, d), ew.full_like(d, 0.5)
    far = ew.mul(b, ew.sub(d, ew.mul(half, b)))
    return reduced(ew.where(ew.le(d, b), ew.mul(half, square(d)), far), reduction)


MSE = Function("mse_loss", _mse)
WEIGHTED_MSE = Function("weighted_mse_loss", _weighted_mse, gradient_name="MseLossBackward0")
L1 = Function("l1_loss", _l1, gradient_name="MeanBackward0")
SMOOTH_L1 = Function("smooth_l1_loss", _smooth_l1)
HUBER = Function("huber_loss", _huber)


def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The squared difference, (input - target)²."""
    if type(reduction) is not str or size_average is not None or reduce is not None:
        reduction = _reduction(reduction, size_average, reduce)
    if input._type.shape != target._type.shape:
        _warn_sizes(input, target)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if weight is not None:
        if weight.size() != input.size():
            raise ValueError("Inputs and weights must have the same size.")
        return apply_one(WEIGHTED_MSE, (input, target, weight), (reduction,))
    return apply_one(MSE, (input, target), (reduction,))


def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The absolute difference, |input - target|."""
    reduction = _reduction(reduction, size_average, reduce)
    _warn_sizes(input, target)
    return apply_one(L1, (input, target), (reduction,))


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """d² / (2 beta) where d = |input - target| is below beta, else d - beta / 2."""
    reduction = _reduction(reduction, size_average, reduce)
    _warn_sizes(input, target)
    if beta == 0:
        return apply_one(L1, (input, target), (reduction,))
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return apply_one(SMOOTH_L1, (input, target, float(beta)), (reduction,))


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """d² / 2 where d = |input - target| is at most delta, else delta (d - delta / 2)."""
    reduction = _reduction(reduction)
    _warn_sizes(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is None:
        return apply_one(HUBER, (input, target, float(delta)), (reduction,))
    if weight.size() != input.size():
        raise ValueError("Inputs and weights must have the same size.")
    each = apply_one(HUBER, (input, target, float(delta)), ("none",))
    return apply_one(WEIGHTED, (each, weight), (reduction,))


def _weighted(loss: Node, weight: Node, reduction: str) -> Node:
    loss, w = promote(loss, weight)
    axes = range(len(loss.shape))
    if reduction != "mean":
        return reduced(ew.mul(loss, w), reduction)
    return ew.div(sum_(ew.mul(loss, w), axes), sum_(w, axes))


WEIGHTED = Function("weighted_loss", _weighted, gradient_name="HuberLossBackward0")


# ---- classes ------------------------------------------------------------------------------


def shifted(x: Node, axis: int) -> tuple[Node, Node]:
    """x less its maximum along an axis, and the logarithm of the sum of its exponentials."""
    top = detach(max_(x, (axis,)))
    lower = ew.sub(x, expand_back(top, x.shape, (axis,)))
    return lower, ew.log(sum_(ew.exp(lower), (axis,)))


def log_softmax_node(x: Node, axis: int) -> Node:
    """The logarithm of softmax along an axis."""
    lower, total = shifted(x, axis)
    return ew.sub(lower, expand_back(total, x.shape, (axis,)))


def _class_axis(x: Node) -> int:
    return 1 if len(x.shape) > 1 else 0


def _pick(values: Node, target: Node, axis: int) -> Node:
    """The value at the target class; 0 where the target is no class."""
    mask = one_hot_mask(ew.cast(target, dt.int64), values.shape, axis)
    return sum_(ew.where(mask, values, ew.full_like(values, 0)), (axis,))


def _class_weights(target: Node, ignore: Node, x: Node, weight: Node | None, axis: int) -> Node:
    """Each target's weight: its class's or 1; 0 where it is to be ignored."""
    if weight is None:
        chosen = ew.full_like(ew.cast(target, x.dtype), 1)
    else:
        spread = over_channels(ew.cast(weight, x.dtype), x.shape, axis)
        chosen = _pick(spread, target, axis)
    skipped = ew.eq(ew.cast(target, dt.int64), number(ignore, ew.cast(target, dt.int64)))
    return ew.where(skipped, ew.full_like(chosen, 0), chosen)


def _kept(loss: Node, weights: Node) -> Node:
    """The loss where it counts: what is ignored may be infinite."""
    none = ew.full_like(loss, 0)
    return ew.where(ew.eq(weights, ew.full_like(weights, 0)), none, ew.mul(loss, weights))


def _weighted_reduction(loss: Node, weights: Node, reduction: str) -> Node:
    if reduction == "none":
        return loss
    axes = tuple(range(len(loss.shape)))
    if reduction == "sum":
        return sum_(loss, axes)
    return ew.div(sum_(loss, axes), sum_(weights, axes))


def _check_classes(x: Node, target: Node, weight: Node | None) -> None:
    axis = _class_axis(x)
    if target.dtype not in (dt.int64, dt.uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {type_name(target.dtype)}"
        )
    if len(x.shape) > 1 and target.shape and x.shape[0] != target.shape[0]:
        raise ValueError(
            f"Expected input batch_size ({x.shape[0]}) to match target batch_size "
            f"({target.shape[0]})."
        )
    wanted = (*x.shape[:axis], *x.shape[axis + 1 :])
    if target.shape != wanted:
        if len(x.shape) <= 2:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if len(x.shape) == 4 and len(target.shape) != 3:
            raise RuntimeError(
                "only batches of spatial targets supported (3D tensors) but got targets of "
                f"dimension: {len(target.shape)}"
            )
        raise RuntimeError(f"Expected target size {list(wanted)}, got {list(target.shape)}")
    classes = x.shape[axis]
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight.shape)}"
        )


def _nll(x: Node, target: Node, ignore: Node, *rest: Any) -> Node:
    # As in PyTorch, no gradient flows to the classes' weights.
    weight, reduction = (detach(rest[0]) if len(rest) == 2 else None), rest[-1]
    need_float(x, "nll_loss_out_frame")
    _check_classes(x, target, weight)
    axis = _class_axis(x)
    weights = _class_weights(target, ignore, x, weight, axis)
    loss = _kept(ew.neg(_pick(x, target, axis)), weights)
    return _weighted_reduction(loss, weights, reduction)


def _cross_entropy(x: Node, target: Node, ignore: Node, *rest: Any) -> Node:
    """``rest``: class weights (if any), label smoothing (if any), then the attributes."""
    reduction, has_weight, smooth = rest[-3:]
    weight = detach(rest[0]) if has_weight else None
    need_float(x, "log_softmax_lastdim_kernel_impl")
    _check_classes(x, target, weight)
    axis = _class_axis(x)
    lower, total = shifted(x, axis)
    weights = _class_weights(target, ignore, x, weight, axis)
    loss = _kept(ew.sub(total, _pick(lower, target, axis)), weights)
    if smooth:
        epsilon = rest[int(has_weight)]
        every = ew.sub(expand_back(total, x.shape, (axis,)), lower)
        if weight is not None:
            every = ew.mul(every, over_channels(ew.cast(weight, x.dtype), x.shape, axis))
        spread = sum_(every, (axis,))
        ignored = ew.eq(ew.cast(target, dt.int64), number(ignore, ew.cast(target, dt.int64)))
        spread = ew.where(ignored, ew.full_like(spread, 0), spread)
        part = number(epsilon, loss)
        kept = ew.mul(ew.sub(ew.full_like(loss, 1), part), loss)
        share = ew.div(part, ew.full_like(part, x.shape[axis]))
        loss = ew.add(kept, ew.mul(share, spread))
    return _weighted_reduction(loss, weights, reduction)


def _cross_entropy_probabilities(x: Node, target: Node, *rest: Any) -> Node:
    """Against a distribution over the classes."""
    reduction, has_weight, smooth = rest[-3:]
    need_float(x, "log_softmax_lastdim_kernel_impl")
    if x.shape != target.shape:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    axis = _class_axis(x)
    chances = ew.cast(target, x.dtype)
    if smooth:
        part = number(rest[int(has_weight)], x)
        share = ew.div(part, ew.full_like(x, x.shape[axis]))
        chances = ew.add(ew.mul(chances, ew.sub(ew.full_like(x, 1), part)), share)
    loss = ew.neg(ew.mul(log_softmax_node(x, axis), chances))
    if has_weight:
        loss = ew.mul(loss, over_channels(ew.cast(rest[0], x.dtype), x.shape, axis))
    each = sum_(loss, (axis,))
    if reduction != "mean":
        return reduced(each, reduction)
    count = x.shape[0] if len(x.shape) > 1 else 1
    for n in x.shape[2:]:
        count *= n
    total = sum_(each, range(len(each.shape)))
    return ew.div(total, ew.full_like(total, count))


NLL = Function("nll_loss", _nll)
CROSS_ENTROPY = Function("cross_entropy", _cross_entropy, gradient_name="NllLossBackward0")
CROSS_ENTROPY_PROBABILITIES = Function(
    "cross_entropy_probabilities", _cross_entropy_probabilities, gradient_name="DivBackward1"
)


def _check_targets(target: Tensor, classes: int, ignore: int) -> None:
    """Refuse class numbers out of range, where they are known already."""
    value = target._storage.expression.value
    if not isinstance(value, Buffer) or not target._type.size:
        return
    array = target._within(buffer_array(value, target._storage.expression.type))
    if array.min() >= 0 and array.max() < classes:
        return
    wrong = array[(array != ignore) & ((array < 0) | (array >= classes))]
    if wrong.size:
        raise IndexError(f"Target {int(wrong.flat[0])} is out of bounds.")


def _classes(input: Tensor) -> int:
    shape = input._type.shape
    if not shape:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    return shape[1] if len(shape) > 1 else shape[0]


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Minus the input at the target class. input: (N, C, …) log-probabilities; target: (N, …)."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_targets(target, _classes(input), ignore_index)
    inputs = (input, target, ignore_index) + (() if weight is None else (weight,))
    return apply_one(NLL, inputs, (reduction,))


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """Minus the log-softmax of the input at the target class, or against class probabilities.

    input: (C) or (N, C, …) logits; target: () or (N, …) class numbers, or as the input.
    """
    reduction = _reduction(reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    smooth = label_smoothing > 0
    extra: tuple[Any, ...] = () if weight is None else (weight,)
    if smooth:
        extra += (float(label_smoothing),)
    attributes = (reduction, weight is not None, smooth)
    classes = _classes(input)
    if input._type.shape == target._type.shape and target._type.dtype.kind == "float":
        return apply_one(CROSS_ENTROPY_PROBABILITIES, (input, target, *extra), attributes)
    if input._type.shape == target._type.shape and target._type.dtype.kind != "float":
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{type_name(target._type.dtype)}"
        )
    _check_targets(target, classes, ignore_index)
    return apply_one(CROSS_ENTROPY, (input, target, ignore_index, *extra), attributes)


# ---- likelihoods ------------------------------------------------------------------------------


def _binary_cross_entropy(x: Node, target: Node, *rest: Any) -> Node:
    *weight, reduction = rest
    need_float(x, "binary_cross_entropy")
    if target.dtype is not x.dtype:
        raise RuntimeError(
            f"Found dtype {type_name(target.dtype)} but expected {type_name(x.dtype)}"
        )
    floor, one = ew.full_like(x, -100), ew.full_like(x, 1)
    hit = ew.mul(target, ew.maximum(ew.log(x), floor))
    miss = ew.mul(ew.sub(one, target), ew.maximum(ew.log1p(ew.neg(x)), floor))
    loss = ew.neg(ew.add(hit, miss))
    return reduced(ew.mul(loss, number(weight[0], loss)) if weight else loss, reduction)


def _spread_cotangent(g: Node, x: Node, reduction: str) -> Node:
    """Each element's share of a reduced loss's cotangent."""
    if reduction == "none":
        return g
    spread = broadcast(g, x.shape, ())
    return spread if reduction == "sum" else ew.div(spread, ew.full_like(x, x.type.size))


def _binary_cross_entropy_rule(inputs: Any, _outputs: Any, cotangents: Any, reduction: str) -> Any:
    x, target, *weight = inputs
    g = _spread_cotangent(cotangents[0], x, reduction)
    if weight:
        g = ew.mul(g, number(weight[0], g))
    one = ew.full_like(x, 1)
    below = ew.maximum(ew.mul(ew.sub(one, x), x), ew.full_like(x, 1e-12))
    to_target = ew.sub(ew.log1p(ew.neg(x)), ew.log(x))
    to_x = ew.div(ew.mul(g, ew.sub(x, target)), below)
    return (to_x, ew.mul(g, to_target), *[None for _ in weight])


def _binary_cross_entropy_with_logits(x: Node, target: Node, *rest: Any) -> Node:
    *extra, has_weight, has_positive, reduction = rest
    need_float(x, "binary_cross_entropy_with_logits")
    x, target = promote(x, target)
    one = ew.full_like(x, 1)
    sure = call_function(LOGSIGMOID, (x,))
    if has_positive:
        positive = number(extra[-1], x)
        sure = ew.mul(sure, ew.add(ew.mul(ew.sub(positive, one), target), one))
    loss = ew.sub(ew.mul(ew.sub(one, target), x), sure)
    if has_weight:
        loss = ew.mul(loss, number(extra[0], loss))
    return reduced(loss, reduction)


def _kl_div(x: Node, target: Node, log_target: bool, reduction: str) -> Node:
    x, target = promote_float(x, target)
    if log_target:
        loss = ew.mul(ew.exp(target), ew.sub(target, x))
    else:
        none = ew.full_like(target, 0)
        zero = ew.eq(target, none)
        known = ew.log(ew.where(zero, ew.full_like(target, 1), target))
        loss = ew.sub(ew.where(zero, none, ew.mul(target, known)), ew.mul(target, x))
    if reduction != "batchmean":
        return reduced(loss, reduction)
    total = reduced(loss, "sum")
    return ew.div(total, ew.full_like(total, x.shape[0]))


def _poisson_nll(
    x: Node, target: Node, eps: Node, log_input: bool, full: bool, reduction: str
) -> Node:
    x, target = promote_float(x, target)
    if log_input:
        loss = ew.sub(ew.exp(x), ew.mul(target, x))
    else:
        loss = ew.sub(x, ew.mul(target, ew.log(ew.add(x, number(eps, x)))))
    if full:
        one = ew.full_like(target, 1)
        many = ew.gt(target, one)
        t = ew.where(many, target, one)
        root = ew.mul(ew.full_like(t, 0.5), ew.log(ew.mul(ew.full_like(t, 2 * pi), t)))
        stirling = ew.add(ew.sub(ew.mul(t, ew.log(t)), t), root)
        loss = ew.add(loss, ew.where(many, stirling, ew.full_like(loss, 0)))
    return reduced(loss, reduction)


def _gaussian_nll(x: Node, target: Node, var: Node, eps: Node, full: bool, reduction: str) -> Node:
    if len(var.shape) < len(x.shape) and var.shape == x.shape[:-1]:
        var = broadcast(var, (*var.shape, 1), tuple(range(len(var.shape))))
    x, target, var = promote_float(x, target, var)
    least = number(eps, var)
    limited = detach(ew.where(ew.lt(var, least), least, var))
    # The value is cut off, the gradient is not.
    var = ew.add(ew.sub(var, detach(var)), limited)
    loss = ew.add(ew.log(var), ew.div(square(ew.sub(x, target)), var))
    loss = ew.mul(loss, ew.full_like(loss, 0.5))
    if full:
        loss = ew.add(loss, ew.full_like(loss, 0.5 * log(2 * pi)))
    return reduced(loss, reduction)


BINARY_CROSS_ENTROPY = Function(
    "binary_cross_entropy", _binary_cross_entropy, _binary_cross_entropy_rule
)
BINARY_CROSS_ENTROPY_WITH_LOGITS = Function(
    "binary_cross_entropy_with_logits", _binary_cross_entropy_with_logits
)
KL_DIV = Function("kl_div", _kl_div, gradient_name="DivBackward0")
POISSON_NLL = Function("poisson_nll_loss", _poisson_nll, gradient_name="MeanBackward0")
GAUSSIAN_NLL = Function("gaussian_nll_loss", _gaussian_nll, gradient_name="MeanBackward0")


def _known(tensor: Tensor) -> Any:
    """The elements as an array where they are computed already, else None."""
    value = tensor._storage.expression.value
    if not isinstance(value, Buffer) or not tensor._type.size or tensor.dtype is dt.bfloat16:
        return None
    return tensor._within(buffer_array(value, tensor._storage.expression.type))


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """-(target log(input) + (1 - target) log(1 - input)), the logarithms no less than -100."""
    reduction = _reduction(reduction, size_average, reduce)
    if target._type.shape != input._type.shape:
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}) is deprecated. Please ensure they have the same size."
        )
    known = _known(input)
    if known is not None and not ((known >= 0) & (known <= 1)).all():
        raise RuntimeError("all elements of input should be between 0 and 1")
    inputs = (input, target) + (() if weight is None else (weight,))
    return apply_one(BINARY_CROSS_ENTROPY, inputs, (reduction,))


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """binary_cross_entropy of sigmoid(input), without overflow."""
    reduction = _reduction(reduction, size_average, reduce)
    if target._type.shape != input._type.shape:
        raise ValueError(
            f"Target size ({target.size()}) must be the same as input size ({input.size()})"
        )
    extra = [w for w in (weight, pos_weight) if w is not None]
    attributes = (weight is not None, pos_weight is not None, reduction)
    return apply_one(BINARY_CROSS_ENTROPY_WITH_LOGITS, (input, target, *extra), attributes)


def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """target (log(target) - input): the input holds log-probabilities."""
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition.'mean' will be changed to behave the same as 'batchmean' in the next major "
            "release.",
            stacklevel=2,
        )
    if reduction != "batchmean":
        reduction = _reduction(reduction, size_average, reduce)
    return apply_one(KL_DIV, (input, target), (bool(log_target), reduction))


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
    size_average: bool | None = None, eps: float = 1e-8, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """exp(input) - target * input, or input - target log(input + eps)."""
    reduction = _reduction(reduction, size_average, reduce)
    attributes = (bool(log_input), bool(full), reduction)
    return apply_one(POISSON_NLL, (input, target, float(eps)), attributes)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """(log(var) + (input - target)² / var) / 2, var no less than eps."""
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = apply_one(_FILLED, (input, float(var)))
    shape, own = input._type.shape, var._type.shape
    if own not in (shape, shape[:-1]) and not (own[:-1] == shape[:-1] and own[-1:] == (1,)):
        raise ValueError("var is of incorrect size")
    known = _known(var)
    if known is not None and (known < 0).any():
        raise ValueError("var has negative entry/entries")
    reduction = _reduction(reduction)
    return apply_one(GAUSSIAN_NLL, (input, target, var, float(eps)), (bool(full), reduction))


_FILLED = Function("filled_like", lambda x, value: number(value, x))


# ---- margins ----------------------------------------------------------------------------------


def _at_least_zero(x: Node) -> Node:
    none = ew.full_like(x, 0)
    return ew.where(ew.lt(x, none), none, x)


def _cosine_embedding(x: Node, y: Node, target: Node, margin: Node, reduction: str) -> Node:
    x, y = promote(x, y)
    axis = (len(x.shape) - 1,)
    tiny = 1e-12
    dot = sum_(ew.mul(x, y), axis)
    a, b = sum_(square(x), axis), sum_(square(y), axis)
    both = ew.mul(ew.add(a, ew.full_like(a, tiny)), ew.add(b, ew.full_like(b, tiny)))
    cosine = ew.div(dot, ew.sqrt(both))
    cosine, t = broadcast_together(cosine, target)
    alike = ew.sub(ew.full_like(cosine, 1), cosine)
    apart = _at_least_zero(ew.sub(cosine, number(margin, cosine)))
    none = ew.full_like(cosine, 0)
    first = ew.where(ew.eq(t, ew.full_like(t, 1)), alike, none)
    second = ew.where(ew.eq(t, ew.full_like(t, -1)), apart, none)
    return reduced(ew.add(first, second), reduction)


def _margin_ranking(x: Node, y: Node, target: Node, margin: Node, reduction: str) -> Node:
    x, y, t = promote(x, y, target)
    loss = ew.add(ew.mul(ew.neg(t), ew.sub(x, y)), number(margin, x))
    return reduced(_at_least_zero(loss), reduction)


def _hinge_embedding(x: Node, target: Node, margin: Node, reduction: str) -> Node:
    x, t = promote(x, target)
    none, one = ew.full_like(x, 0), ew.full_like(t, 1)
    apart = ew.where(ew.ne(t, one), _at_least_zero(ew.sub(number(margin, x), x)), none)
    alike = ew.where(ew.ne(t, ew.neg(one)), x, none)
    return reduced(ew.add(apart, alike), reduction)


def _soft_margin(x: Node, target: Node, reduction: str) -> Node:
    x, t = promote(x, target)
    return reduced(ew.neg(call_function(LOGSIGMOID, (ew.mul(x, t),))), reduction)


def _multilabel_soft_margin(x: Node, target: Node, *rest: Any) -> Node:
    *weight, reduction = rest
    x, t = promote(x, target)
    hit = ew.mul(t, call_function(LOGSIGMOID, (x,)))
    miss = ew.mul(ew.sub(ew.full_like(t, 1), t), call_function(LOGSIGMOID, (ew.neg(x),)))
    loss = ew.neg(ew.add(hit, miss))
    if weight:
        loss = ew.mul(loss, number(weight[0], loss))
    return reduced(mean_over(loss, (len(x.shape) - 1,)), reduction)


def _multi_margin(x: Node, target: Node, margin: Node, *rest: Any) -> Node:
    *weight, power, reduction = rest
    need_float(x, "multi_margin_loss")
    axis, classes = len(x.shape) - 1, x.shape[-1]
    index = broadcast_to(target, x.shape[:-1]) if len(x.shape) > 1 else _without_axes(target)
    mask = one_hot_mask(ew.cast(index, dt.int64), x.shape, axis)
    none = ew.full_like(x, 0)
    right = expand_back(sum_(ew.where(mask, x, none), (axis,)), x.shape, (axis,))
    loss = _at_least_zero(ew.add(ew.sub(number(margin, x), right), x))
    if power == 2:
        loss = square(loss)
    if weight:
        spread = over_channels(weight[0], x.shape, axis)
        own = sum_(ew.where(mask, spread, none), (axis,))
        loss = ew.mul(loss, expand_back(own, x.shape, (axis,)))
    each = sum_(ew.where(mask, none, loss), (axis,))
    return reduced(ew.div(each, ew.full_like(each, classes)), reduction)


def _without_axes(x: Node) -> Node:
    return sum_(x, tuple(range(len(x.shape))))


def _multilabel_margin(x: Node, target: Node, reduction: str) -> Node:
    """Target rows list classes up to the first -1."""
    need_float(x, "multilabel_margin_loss")
    classes, rank = x.shape[-1], len(x.shape)
    ended = ew.cast(ew.lt(target, ew.full_like(target, 0)), dt.int64)
    listed = ew.eq(cumsum(ended, rank - 1), ew.full_like(target, 0))
    shape = (*x.shape, classes)  # (…, place in the list, class)
    outer = tuple(range(rank - 1))
    mask = one_hot_mask(ew.cast(target, dt.int64), shape, rank)
    mask = ew.and_(mask, expand_back(listed, shape, (rank,)))
    scores = broadcast(x, shape, (*outer, rank))
    none = ew.full_like(scores, 0)
    right = expand_back(sum_(ew.where(mask, scores, none), (rank,)), shape, (rank,))
    taken = max_(ew.cast(mask, dt.int64), (rank - 1,))
    free = ew.eq(expand_back(taken, shape, (rank - 1,)), ew.cast(none, dt.int64))
    counts = ew.and_(free, expand_back(listed, shape, (rank,)))
    loss = _at_least_zero(ew.add(ew.sub(ew.full_like(scores, 1), right), scores))
    each = sum_(ew.where(counts, loss, none), (rank - 1, rank))
    return reduced(ew.div(each, ew.full_like(each, classes)), reduction)


def _triplet_margin(
    a: Node, positive: Node, negative: Node, margin: Node, power: Node, eps: Node, swap: bool,
    reduction: str,
) -> Node:  # fmt: skip
    a, positive, negative = promote(a, positive, negative)
    near = pairwise(a, positive, power, eps)
    far = pairwise(a, negative, power, eps)
    if swap:
        other = pairwise(positive, negative, power, eps)
        far = ew.minimum(far, other)
    loss = _at_least_zero(ew.add(number(margin, near), ew.sub(near, far)))
    return reduced(loss, reduction)


COSINE_EMBEDDING = Function(
    "cosine_embedding_loss", _cosine_embedding, gradient_name="MeanBackward0"
)
MARGIN_RANKING = Function("margin_ranking_loss", _margin_ranking, gradient_name="MeanBackward0")
HINGE_EMBEDDING = Function("hinge_embedding_loss", _hinge_embedding, gradient_name="MeanBackward0")
SOFT_MARGIN = Function("soft_margin_loss", _soft_margin)
MULTILABEL_SOFT_MARGIN = Function(
    "multilabel_soft_margin_loss", _multilabel_soft_margin, gradient_name="MeanBackward0"
)
MULTI_MARGIN = Function("multi_margin_loss", _multi_margin)
MULTILABEL_MARGIN = Function("multilabel_margin_loss", _multilabel_margin)
TRIPLET_MARGIN = Function("triplet_margin_loss", _triplet_margin, gradient_name="MeanBackward0")


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1."""
    reduction = _reduction(reduction, size_average, reduce)
    wanted = target.dim() + 1
    if target.dim() > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.dim() != wanted or input2.dim() != wanted:
        raise RuntimeError(
            f"{target.dim()}D target tensor expects {wanted}D input tensors, but found inputs with "
            f"sizes {list(input1.shape)} and {list(input2.shape)}."
        )
    inputs = (input1, input2, target, float(margin))
    return apply_one(COSINE_EMBEDDING, inputs, (reduction,))


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, -target (input1 - input2) + margin)."""
    reduction = _reduction(reduction, size_average, reduce)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    inputs = (input1, input2, target, float(margin))
    return apply_one(MARGIN_RANKING, inputs, (reduction,))


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The input where the target is 1, max(0, margin - input) where it is -1."""
    reduction = _reduction(reduction, size_average, reduce)
    return apply_one(HINGE_EMBEDDING, (input, target, float(margin)), (reduction,))


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """log(1 + exp(-target * input))."""
    reduction = _reduction(reduction, size_average, reduce)
    return apply_one(SOFT_MARGIN, (input, target), (reduction,))


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Binary cross-entropy of the logits, the mean over classes."""
    reduction = _reduction(reduction, size_average, reduce)
    inputs = (input, target) + (() if weight is None else (weight,))
    return apply_one(MULTILABEL_SOFT_MARGIN, inputs, (reduction,))


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean over the wrong classes of max(0, margin - right + wrong)^p."""
    reduction = _reduction(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    inputs = (input, target, float(margin)) + (() if weight is None else (weight,))
    return apply_one(MULTI_MARGIN, inputs, (p, reduction))


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, 1 - right + wrong) over every right and wrong class; targets end at the first -1."""
    reduction = _reduction(reduction, size_average, reduce)
    return apply_one(MULTILABEL_MARGIN, (input, target), (reduction,))


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
    eps: float = 1e-6, swap: bool = False, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, |anchor - positive| - |anchor - negative| + margin)."""
    reduction = _reduction(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.dim()}D, positive {positive.dim()}D, and "
            f"negative {negative.dim()}D inputs"
        )
    inputs = (anchor, positive, negative, float(margin), float(p), float(eps))
    return apply_one(TRIPLET_MARGIN, inputs, (bool(swap), reduction))


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Any = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """As triplet_margin_loss, with any distance."""
    reduction = _reduction(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.dim()}D, positive {positive.dim()}D, and "
            f"negative {negative.dim()}D inputs"
        )
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    other = (distance(positive, negative),) if swap else ()
    return apply_one(_TRIPLET_OF_DISTANCES, (near, far, *other, float(margin)), (reduction,))


def _triplet_of_distances(near: Node, far: Node, *rest: Any) -> Node:
    *other, margin, reduction = rest
    near, far = promote(near, far)
    if other:
        far = ew.minimum(far, other[0])
    loss = _at_least_zero(ew.add(number(margin, near), ew.sub(near, far)))
    return reduced(loss, reduction)


_TRIPLET_OF_DISTANCES = Function(
    "triplet_margin_with_distance_loss", _triplet_of_distances, gradient_name="MeanBackward0"
)
