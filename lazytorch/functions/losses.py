"""Losses: what a model's output costs against its target."""

from __future__ import annotations

import warnings
from math import log, pi
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.calls import detach
from codegen.ops.leaves import iota
from codegen.ops.reduction import broadcast, expand_back, max_, one_hot_mask, sum_
from codegen.runtime.memory import Buffer
from lazytorch.expression import Function
from lazytorch.functions.bodies import (
    apply_one,
    mean_over,
    need_float,
    number,
    over_channels,
    reduced,
    square,
    type_name,
)
from lazytorch.functions.promotion import promote, promote_float
from lazytorch.storage import buffer_array
from lazytorch.tensor import Tensor


def _reduction(
    reduction: str, size_average: bool | None = None, reduce: bool | None = None
) -> str:
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
        raise RuntimeError(
            f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}"
        )
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
