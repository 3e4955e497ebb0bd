"""Fusing a BatchNorm, as it is in evaluation, into the layer before it."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from lazytorch.functions.creation import ones_like, zeros_like
from lazytorch.nn.modules.module import Module
from lazytorch.nn.parameter import Parameter
from lazytorch.tensor import Tensor

__all__ = [
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
]

M = TypeVar("M", bound=Module)


def fuse_conv_bn_eval(conv: M, bn: Any, transpose: bool = False) -> M:
    """A new convolution that does what `conv` and then `bn` do in evaluation; `transpose` for a
    transposed one.

    >>> conv, norm = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)
    >>> fused = torch.nn.utils.fuse_conv_bn_eval(conv.eval(), norm.eval())
    """
    _check_modes(conv, bn)
    fused: Any = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias,
        transpose,
    )  # fmt: skip
    made: M = fused
    return made


def fuse_linear_bn_eval(linear: M, bn: Any) -> M:
    """A new Linear that does what `linear` and then `bn` do in evaluation."""
    _check_modes(linear, bn)
    fused: Any = copy.deepcopy(linear)
    width = fused.out_features
    if bn.num_features not in (width, 1):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"linear.out_features={width} and bn.num_features={bn.num_features}"
        )
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    made: M = fused
    return made


def _check_modes(layer: Module, bn: Any) -> None:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """The fused weight and bias of a convolution."""
    bias = zeros_like(bn_rm) if conv_b is None else conv_b
    weight = ones_like(bn_rm) if bn_w is None else bn_w
    shift = zeros_like(bn_rm) if bn_b is None else bn_b
    inverse = (bn_rv + bn_eps).rsqrt()
    shape = [1, -1] if transpose else [-1, 1]
    factors = (weight * inverse).reshape(shape + [1] * (conv_w.dim() - 2))
    return _parameters(conv_w, conv_w * factors, conv_b, (bias - bn_rm) * inverse * weight + shift)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor,
    bn_b: Tensor,
) -> tuple[Parameter, Parameter]:
    """The fused weight and bias of a Linear."""
    bias = zeros_like(bn_rm) if linear_b is None else linear_b
    factors = bn_w * (bn_rv + bn_eps).rsqrt()
    weight = linear_w * factors.unsqueeze(-1).to(linear_w.dtype)
    return _parameters(linear_w, weight, linear_b, (bias - bn_rm) * factors + bn_b)


def _parameters(
    old_weight: Tensor, weight: Tensor, old_bias: Tensor | None, bias: Tensor
) -> tuple[Parameter, Parameter]:
    like = old_weight if old_bias is None else old_bias
    trained = False if old_bias is None else old_bias.requires_grad
    return (
        Parameter(weight.detach().to(old_weight.dtype), old_weight.requires_grad),
        Parameter(bias.detach().to(like.dtype), trained),
    )
