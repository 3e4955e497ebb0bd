"""Losses against class numbers or distributions over classes."""

from __future__ import annotations

from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.calls import detach
from codegen.ops.reduction import (
    expand_back,
    max_,
    one_hot_mask,
    sum_,
)
from codegen.runtime.memory import Buffer
from lazytorch.expression import Function
from lazytorch.functions.bodies import (
    apply_one,
    call_function,
    need_float,
    number,
    over_channels,
    reduced,
)
from lazytorch.functions.losses import chosen_reduction
from lazytorch.functions.softmax import LOG_SOFTMAX
from lazytorch.storage import buffer_array
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name


def _shifted(x: Node, axis: int) -> tuple[Node, Node]:
    """x less its maximum along an axis, and the logarithm of the sum of its exponentials."""
    top = detach(max_(x, (axis,)))
    lower = ew.sub(x, expand_back(top, x.shape, (axis,)))
    return lower, ew.log(sum_(ew.exp(lower), (axis,)))


def _class_axis(x: Node) -> int:
    return 1 if len(x.shape) > 1 else 0


def _pick(values: Node, target: Node, axis: int) -> Node:
    """The value at the target class; 0 where the target is no class."""
    mask = one_hot_mask(ew.cast(target, dt.int64), values.shape, axis)
    return sum_(ew.where(mask, values, ew.full_like(values, 0)), (axis,))


def _is_ignored(target: Node, ignore: Node) -> Node:
    target = ew.cast(target, dt.int64)
    return ew.eq(target, number(ignore, target))


def _weighted(
    loss: Node, target: Node, ignore: Node, x: Node, weight: Node | None, axis: int
) -> tuple[Node, Node]:
    """The losses times their weights, and these: each target's class's or 1; and 0 where it is to
    be ignored, whose loss may be infinite."""
    ignored, none = _is_ignored(target, ignore), ew.full_like(loss, 0)
    if weight is None:
        return ew.where(ignored, none, loss), ew.where(ignored, none, ew.full_like(loss, 1))
    chosen = _pick(over_channels(ew.cast(weight, x.dtype), x.shape, axis), target, axis)
    weights = ew.where(ignored, none, chosen)
    return ew.where(ignored, none, ew.mul(loss, weights)), weights


def _weighted_reduction(loss: Node, weights: Node, reduction: str) -> Node:
    if reduction == "none":
        return loss
    axes = tuple(range(len(loss.shape)))
    if reduction == "sum":
        return sum_(loss, axes)
    return ew.div(sum_(loss, axes), sum_(weights, axes))


def _check_classes(x: Node, target: Node, weight: Node | None) -> None:
    axis = _class_axis(x)
    if len(x.shape) > 1 and target.shape and x.shape[0] != target.shape[0]:
        raise ValueError(
            f"Expected input batch_size ({x.shape[0]}) to match target batch_size "
            f"({target.shape[0]})."
        )
    if target.dtype not in (dt.int64, dt.uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {type_name(target.dtype)}"
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
    if weight is not None and weight.dtype is not x.dtype:
        raise RuntimeError(
            f"expected scalar type {type_name(x.dtype)} but found {type_name(weight.dtype)}"
        )


def _nll(x: Node, target: Node, ignore: Node, *rest: Any) -> Node:
    # As in PyTorch, no gradient flows to the classes' weights.
    weight, reduction = (detach(rest[0]) if len(rest) == 2 else None), rest[-1]
    need_float(x, "nll_loss_out_frame")
    _check_classes(x, target, weight)
    axis = _class_axis(x)
    loss, weights = _weighted(ew.neg(_pick(x, target, axis)), target, ignore, x, weight, axis)
    if not loss.shape and reduction != "none":  # PyTorch's sum begins with 0, so it is never -0
        loss = ew.add(loss, ew.full_like(loss, 0))
    return _weighted_reduction(loss, weights, reduction)


def _cross_entropy(x: Node, target: Node, ignore: Node, *rest: Any) -> Node:
    """``rest``: class weights (if any), label smoothing (if any), then the attributes."""
    reduction, has_weight, smooth = rest[-3:]
    weight = detach(rest[0]) if has_weight else None
    need_float(x, "log_softmax_lastdim_kernel_impl")
    _check_classes(x, target, weight)
    axis = _class_axis(x)
    lower, total = _shifted(x, axis)
    loss = ew.sub(total, _pick(lower, target, axis))
    loss, weights = _weighted(loss, target, ignore, x, weight, axis)
    if smooth:
        epsilon = rest[int(has_weight)]
        every = ew.sub(expand_back(total, x.shape, (axis,)), lower)
        if weight is not None:
            every = ew.mul(every, over_channels(ew.cast(weight, x.dtype), x.shape, axis))
        spread = sum_(every, (axis,))
        spread = ew.where(_is_ignored(target, ignore), ew.full_like(spread, 0), spread)
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
    loss = ew.neg(ew.mul(call_function(LOG_SOFTMAX, (x,), (axis, None)), chances))
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


NLL = Function("nll_loss", _nll, saves_inputs=True, saves=lambda *_: (0,))
# A logarithm of a softmax, which saves its result, and what is made of that.
CROSS_ENTROPY = Function(
    "cross_entropy", _cross_entropy, gradient_name="NllLossBackward0", spares=lambda *_: (0,)
)
CROSS_ENTROPY_PROBABILITIES = Function(
    "cross_entropy_probabilities", _cross_entropy_probabilities, gradient_name="DivBackward1",
    spares=lambda _, __, ___, smooth: (0, 1) if smooth else (0,),
)  # fmt: skip


def _check_targets(target: Tensor, classes: int, ignore: int) -> None:
    """Refuse class numbers out of range, where they are known already."""
    value = target._storage.expression.value
    if not isinstance(value, Buffer) or not value.is_reachable or not target._type.size:
        return
    if target._type.dtype.kind == "float":  # which the function itself refuses
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
    reduction = chosen_reduction(reduction, size_average, reduce)
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
    reduction = chosen_reduction(reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    smooth = label_smoothing > 0
    extra: tuple[Any, ...] = () if weight is None else (weight,)
    if smooth:
        extra += (float(label_smoothing),)
    attributes = (reduction, weight is not None, smooth)
    classes = _classes(input)
    if input._type.shape == target._type.shape and target._type.dtype.kind == "float":
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return apply_one(CROSS_ENTROPY_PROBABILITIES, (input, target, *extra), attributes)
    if input._type.shape == target._type.shape and target._type.dtype.kind != "float":
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{type_name(target._type.dtype)}"
        )
    _check_targets(target, classes, ignore_index)
    return apply_one(CROSS_ENTROPY, (input, target, ignore_index, *extra), attributes)
