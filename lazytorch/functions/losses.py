"""Losses between two tensors of like shape: distances and likelihoods."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import log, pi
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.calls import detach
from codegen.ops.reduction import (
    broadcast,
    sum_,
)
from codegen.runtime.memory import Buffer
from lazytorch.expression import Function
from lazytorch.functions.activations import LOGSIGMOID
from lazytorch.functions.bodies import (
    apply_one,
    call_function,
    need_float,
    number,
    reduced,
    square,
    with_rule,
    xlogy_node,
)
from lazytorch.functions.promotion import promote, promote_float
from lazytorch.storage import buffer_array
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name


def chosen_reduction(
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
    if reduction == "mean" and not x.dtype.differentiable:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {type_name(x.dtype)}"
        )
    return reduced(ew.abs_(ew.sub(x, y)), reduction)


def _within(d: Node, limit: Node) -> Node:
    """``d`` cut off at both limits; NaN stays."""
    low = ew.neg(limit)
    return ew.where(ew.le(d, low), low, ew.where(ew.ge(d, limit), limit, d))


def _smooth_l1(x: Node, y: Node, beta: Node, reduction: str) -> Node:
    x, y = promote(x, y)
    need_float(x, "smooth_l1_cpu")

    def loss(d: Node, b: Node) -> Node:
        size, half = ew.abs_(d), ew.full_like(d, 0.5)
        near = ew.div(ew.mul(half, square(d)), b)
        return ew.where(ew.lt(size, b), near, ew.sub(size, ew.mul(half, b)))

    def rule(g: Node, d: Node, b: Node) -> Sequence[Node | None]:
        return ew.mul(g, ew.div(_within(d, b), b)), None

    d = ew.sub(x, y)
    return reduced(with_rule(loss, rule, d, number(beta, d)), reduction)


def _huber(x: Node, y: Node, delta: Node, reduction: str) -> Node:
    x, y = promote(x, y)
    need_float(x, "huber_cpu")

    def loss(d: Node, b: Node) -> Node:
        size, half = ew.abs_(d), ew.full_like(d, 0.5)
        far = ew.mul(b, ew.sub(size, ew.mul(half, b)))
        return ew.where(ew.le(size, b), ew.mul(half, square(d)), far)

    def rule(g: Node, d: Node, b: Node) -> Sequence[Node | None]:
        return ew.mul(g, _within(d, b)), None

    d = ew.sub(x, y)
    return reduced(with_rule(loss, rule, d, number(delta, d)), reduction)


MSE = Function("mse_loss", _mse)
WEIGHTED_MSE = Function("weighted_mse_loss", _weighted_mse, gradient_name="MseLossBackward0")
L1 = Function("l1_loss", _l1, gradient_name="MeanBackward0", spares=lambda *_: (0, 1))
SMOOTH_L1 = Function("smooth_l1_loss", _smooth_l1)
HUBER = Function("huber_loss", _huber)


def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The squared difference, (input - target)²."""
    if type(reduction) is not str or size_average is not None or reduce is not None:
        reduction = chosen_reduction(reduction, size_average, reduce)
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
    reduction = chosen_reduction(reduction, size_average, reduce)
    _warn_sizes(input, target)
    return apply_one(L1, (input, target), (reduction,))


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """d² / (2 beta) where d = |input - target| is below beta, else d - beta / 2."""
    reduction = chosen_reduction(reduction, size_average, reduce)
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
    reduction = chosen_reduction(reduction)
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
        loss = ew.sub(xlogy_node(target, target), ew.mul(target, x))
    if reduction != "batchmean":
        return reduced(loss, reduction)
    total = reduced(loss, "sum")
    return ew.div(total, ew.full_like(total, x.shape[0]))


def _poisson_nll(
    x: Node, target: Node, eps: Node, log_input: bool, full: bool, reduction: str
) -> Node:
    target, x = promote_float(target, x)
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
    "binary_cross_entropy",
    _binary_cross_entropy,
    _binary_cross_entropy_rule,
    saves=lambda *_: (0, 1),
)
BINARY_CROSS_ENTROPY_WITH_LOGITS = Function(
    "binary_cross_entropy_with_logits",
    _binary_cross_entropy_with_logits,
    saves=lambda *_: (0, 1),
)
KL_DIV = Function(
    "kl_div", _kl_div, gradient_name="DivBackward0",
    spares=lambda _, log_target, *__: (0, 1) if log_target else (),
)  # fmt: skip


def _saved_by_poisson(
    _: object, tracked: frozenset[int], log_input: bool, full: bool, __: str
) -> tuple[int, ...]:
    """Of its nodes, the product with the target saves both, and the target's logarithm that."""
    of_target = (0,) if log_input and 1 in tracked else ()
    return (*of_target, *((1,) if 0 in tracked or (full and 1 in tracked) else ()))


POISSON_NLL = Function(
    "poisson_nll_loss", _poisson_nll, gradient_name="MeanBackward0", saves_exactly=_saved_by_poisson
)
GAUSSIAN_NLL = Function(
    "gaussian_nll_loss",
    _gaussian_nll,
    gradient_name="MeanBackward0",
    saves_inputs=True,  # by its power, whose gradient is a power of them
    spares=lambda *_: (0, 1, 2),
)


def _known(tensor: Tensor) -> Any:
    """The elements as an array where they are computed already, else None."""
    value = tensor._storage.expression.value
    if (
        not isinstance(value, Buffer)
        or not value.is_reachable
        or not tensor._type.size
        or tensor.dtype is dt.bfloat16
    ):
        return None
    return tensor._within(buffer_array(value, tensor._storage.expression.type))


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """-(target log(input) + (1 - target) log(1 - input)), the logarithms no less than -100."""
    reduction = chosen_reduction(reduction, size_average, reduce)
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
    reduction = chosen_reduction(reduction, size_average, reduce)
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
        reduction = chosen_reduction(reduction, size_average, reduce)
    return apply_one(KL_DIV, (input, target), (bool(log_target), reduction))


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
    size_average: bool | None = None, eps: float = 1e-8, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """exp(input) - target * input, or input - target log(input + eps)."""
    reduction = chosen_reduction(reduction, size_average, reduce)
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
    if own not in (shape, shape[:-1]):
        # One axis alone may be broadcast.
        differing = [b for a, b in zip(shape, own, strict=False) if a != b]
        if len(own) != len(shape) or sum(differing) != 1:
            raise ValueError("var is of incorrect size")
    known = _known(var)
    if known is not None and (known < 0).any():
        raise ValueError("var has negative entry/entries")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return apply_one(GAUSSIAN_NLL, (input, target, var, float(eps)), (bool(full), reduction))


_FILLED = Function("filled_like", lambda x, value: number(value, x))
