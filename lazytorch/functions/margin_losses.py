"""Losses that ask for a margin between what is alike and what is not."""

from __future__ import annotations

from math import nan
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.movement import reshape
from codegen.ops.reduction import (
    broadcast,
    cumsum,
    expand_back,
    max_,
    one_hot_mask,
    sum_,
)
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
)
from lazytorch.functions.distance import pairwise, pairwise_distance
from lazytorch.functions.losses import chosen_reduction
from lazytorch.functions.promotion import broadcast_together, promote, promote_float
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name


def _at_least_zero(x: Node) -> Node:
    """PyTorch's clamp_min: the gradient passes at 0, and not where x is NaN."""
    none = ew.full_like(x, 0)
    return ew.where(ew.ge(x, none), x, ew.where(ew.lt(x, none), none, ew.full_like(x, nan)))


def _above_zero(x: Node) -> Node:
    """What counts of a violated margin: nothing, and without gradient, at 0 and of NaN."""
    none = ew.full_like(x, 0)
    return ew.where(ew.gt(x, none), x, none)


def _cosine_embedding(x: Node, y: Node, target: Node, margin: Node, reduction: str) -> Node:
    x, y = promote_float(x, y)
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
    x, y, t = promote_float(x, y, target)
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
    if not x.shape:
        x, target = reshape(x, (1,)), reshape(target, (1,))
        scalar = reduction == "none"
        made = _multi_margin(x, target, margin, *weight, power, reduction)
        return reshape(made, ()) if scalar else made
    if len(x.shape) > 2 or not x.shape[-1]:
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(x.shape)}"
        )
    if len(x.shape) == 2 and target.shape != x.shape[:1]:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{x.shape[0]}], but got "
            f"{list(target.shape)}. Input has shape {list(x.shape)}."
        )
    if weight and weight[0].shape != x.shape[-1:]:
        raise RuntimeError(
            f"inconsistent weight size, expected {x.shape[-1]} but got {list(weight[0].shape)}"
        )
    if target.dtype is not dt.int64:
        raise RuntimeError(f"expected scalar type Long but found {type_name(target.dtype)}")
    axis, classes = len(x.shape) - 1, x.shape[-1]
    index = broadcast_to(target, x.shape[:-1]) if len(x.shape) > 1 else _without_axes(target)
    mask = one_hot_mask(ew.cast(index, dt.int64), x.shape, axis)
    none = ew.full_like(x, 0)
    right = expand_back(sum_(ew.where(mask, x, none), (axis,)), x.shape, (axis,))
    loss = _above_zero(ew.add(ew.sub(number(margin, x), right), x))
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
    if not x.shape:
        x, target = reshape(x, (1,)), reshape(target, (1,))
    if len(x.shape) > 2 or not x.shape[-1]:
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(x.shape)}"
        )
    if target.shape != x.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(x.shape)}"
        )
    if target.dtype is not dt.int64:
        raise RuntimeError(f"expected scalar type Long but found {type_name(target.dtype)}")
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
    loss = _above_zero(ew.add(ew.sub(ew.full_like(scores, 1), right), scores))
    each = sum_(ew.where(counts, loss, none), (rank - 1, rank))
    return reduced(ew.div(each, ew.full_like(each, classes)), reduction)


def _triplet_margin(
    a: Node, positive: Node, negative: Node, margin: Node, power: Node, eps: Node, swap: bool,
    reduction: str,
) -> Node:  # fmt: skip
    a, positive, negative = promote_float(a, positive, negative)
    near = pairwise(a, positive, power, eps)
    far = pairwise(a, negative, power, eps)
    if swap:
        other = pairwise(positive, negative, power, eps)
        far = ew.minimum(far, other)
    loss = _at_least_zero(ew.add(number(margin, near), ew.sub(near, far)))
    return reduced(loss, reduction)


COSINE_EMBEDDING = Function(
    "cosine_embedding_loss", _cosine_embedding, gradient_name="MeanBackward0",
    spares=lambda *_: (2,),
)  # fmt: skip
MARGIN_RANKING = Function(
    "margin_ranking_loss", _margin_ranking, gradient_name="MeanBackward0",
    spares=lambda *_: (0, 1, 2),
)  # fmt: skip
HINGE_EMBEDDING = Function(
    "hinge_embedding_loss", _hinge_embedding, gradient_name="MeanBackward0",
    spares=lambda *_: (0, 1),
)  # fmt: skip
SOFT_MARGIN = Function("soft_margin_loss", _soft_margin)
MULTILABEL_SOFT_MARGIN = Function(
    "multilabel_soft_margin_loss", _multilabel_soft_margin, gradient_name="MeanBackward0"
)
MULTI_MARGIN = Function("multi_margin_loss", _multi_margin, saves_inputs=True)
MULTILABEL_MARGIN = Function("multilabel_margin_loss", _multilabel_margin, saves_inputs=True)
TRIPLET_MARGIN = Function(
    "triplet_margin_loss", _triplet_margin, gradient_name="MeanBackward0",
    spares=lambda *_: (0, 1, 2),
)  # fmt: skip


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1."""
    reduction = chosen_reduction(reduction, size_average, reduce)
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
    reduction = chosen_reduction(reduction, size_average, reduce)
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
    reduction = chosen_reduction(reduction, size_average, reduce)
    return apply_one(HINGE_EMBEDDING, (input, target, float(margin)), (reduction,))


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """log(1 + exp(-target * input))."""
    reduction = chosen_reduction(reduction, size_average, reduce)
    return apply_one(SOFT_MARGIN, (input, target), (reduction,))


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Binary cross-entropy of the logits, the mean over classes."""
    reduction = chosen_reduction(reduction, size_average, reduce)
    inputs = (input, target) + (() if weight is None else (weight,))
    return apply_one(MULTILABEL_SOFT_MARGIN, inputs, (reduction,))


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean over the wrong classes of max(0, margin - right + wrong)^p."""
    reduction = chosen_reduction(reduction, size_average, reduce)
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
    reduction = chosen_reduction(reduction, size_average, reduce)
    return apply_one(MULTILABEL_MARGIN, (input, target), (reduction,))


def _check_triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.dim()}D, positive {positive.dim()}D, and "
            f"negative {negative.dim()}D inputs"
        )


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
    eps: float = 1e-6, swap: bool = False, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, |anchor - positive| - |anchor - negative| + margin)."""
    reduction = chosen_reduction(reduction, size_average, reduce)
    _check_triplet(anchor, positive, negative, margin)
    inputs = (anchor, positive, negative, float(margin), float(p), float(eps))
    return apply_one(TRIPLET_MARGIN, inputs, (bool(swap), reduction))


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Any = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """As triplet_margin_loss, with any distance."""
    reduction = chosen_reduction(reduction)
    _check_triplet(anchor, positive, negative, margin)
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
