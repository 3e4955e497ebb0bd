"""Dropout: elements or whole channels put to 0 at random, from counter-based random bits."""

from __future__ import annotations

from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.reduction import argmax, broadcast, one_hot_mask
from lazytorch.expression import Function
from lazytorch.functions.activations import LEAKY_RELU
from lazytorch.functions.bodies import apply_one, need_float, number
from lazytorch.functions.random import take, uniform
from lazytorch.functions.registration import PUBLIC, assign, assign_made, operation
from lazytorch.tensor import Tensor, wrap_dim


def _kept(x: Node, p: Node, seed: Node, stream: Node, channels: int) -> Node:
    """Which elements stay; with ``channels``, decided for so many leading axes together."""
    shape = x.shape[:channels] if channels else x.shape
    drawn = uniform(seed, stream, shape, dt.float32)
    stay = ew.ge(drawn, number(p, drawn))
    return broadcast(stay, x.shape, tuple(range(len(shape))))


def dropout_node(x: Node, p: Node, seed: Node, stream: Node, channels: int) -> Node:
    need_float(x, "bernoulli_scalar_cpu_")
    stay = _kept(x, p, seed, stream, channels)
    one, none = ew.full_like(p, 1), ew.full_like(p, 0)
    some = ew.lt(p, one)
    scale = ew.where(some, ew.div(one, ew.where(some, ew.sub(one, p), one)), none)
    return ew.where(stay, ew.mul(x, number(scale, x)), ew.full_like(x, 0))


_ALPHA = -1.7580993408473766


def _alpha_dropout(x: Node, p: Node, seed: Node, stream: Node, channels: int) -> Node:
    """Klambauer et al. (2017): dropped to selu's lower limit; mean and variance kept."""
    stay = _kept(x, p, seed, stream, channels)
    one = ew.full_like(p, 1)
    spread = ew.add(ew.mul(ew.full_like(p, _ALPHA * _ALPHA), p), one)
    left = ew.sub(one, p)
    a = ew.rsqrt(ew.mul(left, spread))
    b = ew.neg(ew.mul(ew.mul(a, p), ew.full_like(p, _ALPHA)))
    put = ew.where(stay, x, ew.full_like(x, _ALPHA))
    return ew.add(ew.mul(put, number(a, x)), number(b, x))


def _rrelu(x: Node, low: Node, high: Node, seed: Node, stream: Node) -> Node:
    need_float(x, "rrelu_with_noise_out_cpu")
    drawn = ew.cast(uniform(seed, stream, x.shape, dt.float32), x.dtype)
    a, b = number(low, x), number(high, x)
    slope = ew.add(a, ew.mul(drawn, ew.sub(b, a)))
    return ew.where(ew.gt(x, ew.full_like(x, 0)), x, ew.mul(x, slope))


def _gumbel(x: Node, tau: Node, seed: Node, stream: Node) -> Node:
    """Logits with Gumbel noise, -log(-log(u)), added, over the temperature."""
    drawn = uniform(seed, stream, x.shape, dt.float32)
    inside = ew.add(drawn, ew.full_like(drawn, 2.0**-25))
    noise = ew.neg(ew.log(ew.neg(ew.log(inside))))
    return ew.div(ew.add(x, ew.cast(noise, x.dtype)), number(tau, x))


DROPOUT = Function("dropout", dropout_node, gradient_name="NativeDropoutBackward0")
ALPHA_DROPOUT = Function("alpha_dropout", _alpha_dropout, gradient_name="AddBackward0")
RRELU = Function("rrelu", _rrelu, gradient_name="RreluWithNoiseBackward0", saves_inputs=True)
GUMBEL = Function("gumbel", _gumbel, gradient_name="AddBackward0")


# ---- public forms -----------------------------------------------------------------------------


def _dropped(
    function: Function, input: Tensor, p: float, training: bool, inplace: bool, channels: int
) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0 or not input._type.size:
        return input
    if p == 1:  # nothing is drawn
        nothing = input * 0
        return assign(input, nothing) if inplace else nothing
    if channels == 2 and input.dim() < 2 and function is ALPHA_DROPOUT:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    inputs = (input, float(p), *take())
    if inplace:
        return assign_made(input, apply_one, function, inputs, (channels,))
    return apply_one(function, inputs, (channels,))


@operation(method=False)
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element 0 with probability p, else divided by 1 - p."""
    return _dropped(DROPOUT, input, p, training, inplace, 0)


def _by_channel(input: Tensor, p: float, training: bool, inplace: bool, rank: int) -> Tensor:
    batched = input.dim() >= rank + 2 or (rank == 1 and input.dim() > 2)
    return _dropped(DROPOUT, input, p, training, inplace, 2 if batched else 1)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (N, C, L) or (C, L) at a time."""
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. Note that "
            "dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
            "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _by_channel(input, p, training, inplace, 1)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (N, C, H, W) at a time."""
    return _dropped(DROPOUT, input, p, training, inplace, 2)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (N, C, D, H, W) at a time."""
    return _by_channel(input, p, training, inplace, 3)


@operation(method=False)
def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps the mean and variance of selu's outputs."""
    return _dropped(ALPHA_DROPOUT, input, p, training, inplace, 0)


@operation(method=False)
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """alpha_dropout of whole channels."""
    return _dropped(ALPHA_DROPOUT, input, p, training, inplace, 2)


@operation(method=False)
def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
    inplace: bool = False,
) -> Tensor:  # fmt: skip
    """leaky_relu with slopes drawn from [lower, upper) in training, their mean else."""
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    function, inputs = LEAKY_RELU, [input, (lower + upper) / 2]
    if training:
        function, inputs = RRELU, [input, float(lower), float(upper), *take()]
    if inplace:
        return assign_made(input, apply_one, function, inputs)
    return apply_one(function, inputs)


def _in_place(name: str, drop: Any) -> None:
    def written(input: Tensor, p: float, train: bool) -> Tensor:
        made: Tensor = drop(input, p, train, True)
        return made

    written.__name__ = written.__qualname__ = name
    written.__doc__ = f"In-place form of ``{name[:-1]}``."
    PUBLIC[name] = written


for _name, _drop in (
    ("dropout_", dropout), ("alpha_dropout_", alpha_dropout),
    ("feature_dropout_", dropout2d), ("feature_alpha_dropout_", feature_alpha_dropout),
):  # fmt: skip
    _in_place(_name, _drop)


@operation(method=False)
def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Whole channels of (N, C, …) at a time."""
    return dropout2d(input, p, train)


def rrelu_(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False
) -> Tensor:
    """In-place form of ``rrelu``."""
    made: Tensor = rrelu(input, lower, upper, training, True)
    return made


PUBLIC["rrelu_"] = rrelu_


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Samples of a relaxed categorical distribution; ``hard``: one-hot, with the soft gradient."""
    noisy = apply_one(GUMBEL, (logits, float(tau), *take()))
    soft: Tensor = PUBLIC["softmax"](noisy, dim)
    if not hard:
        return soft
    return apply_one(_HARD, (soft,), (wrap_dim(dim, logits.dim()),))


def _hard(soft: Node, axis: int) -> Node:
    flat = argmax(soft, axis)
    return ew.cast(one_hot_mask(flat, soft.shape, axis), soft.dtype)


_HARD = Function(
    "hard_choice", _hard, lambda _inputs, _outputs, g, _axis: (g[0],),
    gradient_name="AddBackward0",
)  # fmt: skip
