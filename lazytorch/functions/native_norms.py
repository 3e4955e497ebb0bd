"""Normalizations that also return the statistics they used: torch.native_layer_norm and its kin."""

from __future__ import annotations

from collections.abc import Sequence

from lazytorch.functions import views
from lazytorch.functions.creation import empty
from lazytorch.functions.normalization import batch_norm, group_norm, layer_norm
from lazytorch.functions.reductions import var
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor

Optional = Tensor | None


def _statistics(x: Tensor, axes: Sequence[int], eps: float, keepdim: bool) -> tuple[Tensor, Tensor]:
    """The mean, and one over the deviation."""
    variance = var(x, list(axes), correction=0, keepdim=keepdim)
    return x.mean(list(axes), keepdim), (variance + eps).rsqrt()


@operation(method=False)
def native_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Optional, bias: Optional, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """``layer_norm``, the means, and one over the deviations."""
    output = layer_norm(input, normalized_shape, weight, bias, eps)
    axes = range(input.ndim - len(normalized_shape), input.ndim)
    return (output, *_statistics(input.detach(), axes, eps, True))


@operation(method=False)
def native_group_norm(
    input: Tensor, weight: Optional, bias: Optional, N: int, C: int, HxW: int, group: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """``group_norm``, and (N, group) means and one over the deviations."""
    output = group_norm(input, group, weight, bias, eps)
    grouped = views.reshape(input, N, group, C // group * HxW)
    return (output, *_statistics(grouped, (2,), eps, False))


@operation(method=False, out=True)
def native_batch_norm(
    input: Tensor, weight: Optional, bias: Optional, running_mean: Optional,
    running_var: Optional, training: bool, momentum: float, eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """``batch_norm``; in training also each channel's mean and one over the deviation."""
    output = batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        nothing = empty((0,), dtype=input.dtype, device=input.device)
        return output, nothing, nothing
    axes = [i for i in range(input.ndim) if i != 1]
    return (output, *_statistics(input.detach(), axes, eps, False))
