"""Functions of torch.nn.functional as torch itself has them: with the native functions' order of
arguments, reductions by number, and results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codegen import dtype as dt
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.functions import (
    adaptive_pooling,
    bags,
    losses,
    margin_losses,
    padding,
    pooling,
    views,
)
from lazytorch.functions import convolution as convolutions
from lazytorch.functions import embedding as embeddings
from lazytorch.functions.creation import empty, full_like, ones_like
from lazytorch.functions.random import bernoulli
from lazytorch.functions.registration import PUBLIC, operation
from lazytorch.tensor import Tensor

Optional = Tensor | None
_REDUCTIONS = ("none", "mean", "sum")
_BAG_MODES = ("sum", "mean", "max")


def _reduction(number: int) -> str:
    """The name of a reduction given by its number."""
    if number not in range(len(_REDUCTIONS)):
        raise ValueError(f"{number} is not a valid value for reduction")
    return _REDUCTIONS[number]


# ---- losses -----------------------------------------------------------------------------------


@operation(method=False)
def kl_div(input: Tensor, target: Tensor, reduction: int = 0, *, log_target: bool = False) -> Any:
    """``nn.functional.kl_div``, with the reduction's number: 0 none, 1 mean, 2 sum."""
    return losses.kl_div(input, target, reduction=_reduction(reduction), log_target=log_target)


@operation(method=False)
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """``nn.functional.poisson_nll_loss``, with the reduction's number."""
    return losses.poisson_nll_loss(
        input, target, log_input, full, eps=eps, reduction=_reduction(reduction)
    )


@operation(method=False, out=True)
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Optional = None, pos_weight: Optional = None,
    reduction: int = 0,
) -> Tensor:  # fmt: skip
    """``nn.functional.binary_cross_entropy_with_logits``, with the reduction's number."""
    return losses.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_reduction(reduction), pos_weight=pos_weight
    )


@operation(method=False)
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 0
) -> Tensor:
    """``nn.functional.hinge_embedding_loss``, with the reduction's number."""
    return margin_losses.hinge_embedding_loss(
        input, target, margin, reduction=_reduction(reduction)
    )


@operation(method=False)
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """``nn.functional.cosine_embedding_loss``, with the reduction's number."""
    return margin_losses.cosine_embedding_loss(
        input1, input2, target, margin, reduction=_reduction(reduction)
    )


@operation(method=False)
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """``nn.functional.margin_ranking_loss``, with the reduction's number."""
    return margin_losses.margin_ranking_loss(
        input1, input2, target, margin, reduction=_reduction(reduction)
    )


@operation(method=False)
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, reduction: int = 0,
) -> Tensor:  # fmt: skip
    """``nn.functional.triplet_margin_loss``, with the reduction's number."""
    return margin_losses.triplet_margin_loss(
        anchor, positive, negative, margin, p, eps, swap, reduction=_reduction(reduction)
    )


# ---- pooling ----------------------------------------------------------------------------------


def _pooling(pool: Callable[..., Any], name: str, indices: bool) -> None:
    def public(
        input: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Any:  # fmt: skip
        steps = None if stride == () or stride == [] else stride
        return pool(input, kernel_size, steps, padding, dilation, ceil_mode, indices)

    public.__name__ = public.__qualname__ = name
    more = ", and where they stood" if indices else ""
    public.__doc__ = f"The maximum of each window{more}."
    operation(method=False)(public)


for _name, _pool in (
    ("max_pool1d", pooling.max_pool1d), ("max_pool2d", pooling.max_pool2d),
    ("max_pool3d", pooling.max_pool3d),
):  # fmt: skip
    _pooling(_pool, _name, False)
_pooling(pooling.max_pool1d, "max_pool1d_with_indices", True)


@operation(method=False)
def adaptive_max_pool1d(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """The maxima of ``output_size`` windows, and where they stood."""
    found: tuple[Tensor, Tensor] = adaptive_pooling.adaptive_max_pool1d(input, output_size, True)
    return found


# ---- rows of tables ---------------------------------------------------------------------------


@operation(method=False, out=True)
def embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:  # fmt: skip
    """weight[indices]: (rows, columns) and (*) numbers -> (*, columns). A negative ``padding_idx``
    means none."""
    padding = padding_idx if padding_idx >= 0 else None
    return embeddings.embedding(
        indices, weight, padding, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
    )


@operation(method=False)
def embedding_renorm_(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """Cut the rows in use down to ``max_norm``, in place."""
    with no_grad():
        embeddings.embedding(indices, weight, None, max_norm, norm_type)
    return weight


PUBLIC["embedding_renorm_"] = PUBLIC.pop("embedding_renorm")


@operation(method=False)
def embedding_bag(
    weight: Tensor, indices: Tensor, offsets: Tensor, scale_grad_by_freq: bool = False,
    mode: int = 0, sparse: bool = False, per_sample_weights: Optional = None,
    include_last_offset: bool = False, padding_idx: int | None = -1,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The sum (mode 0), mean (1) or maximum (2) of the rows in each bag; then what a backward of
    PyTorch's reads, here empty."""
    padding = None if padding_idx is None or padding_idx < 0 else padding_idx
    result = bags.embedding_bag(
        indices, weight, offsets, None, 2.0, scale_grad_by_freq, _BAG_MODES[mode], sparse,
        per_sample_weights, include_last_offset, padding,
    )  # fmt: skip
    nothing = [empty((0,), dtype=dt.int64, device=weight.device) for _ in range(3)]
    return (result, nothing[0], nothing[1], nothing[2])


# ---- convolutions -----------------------------------------------------------------------------


@operation(method=False)
def convolution(
    input: Tensor, weight: Tensor, bias: Optional, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], transposed: bool, output_padding: Sequence[int], groups: int,
) -> Tensor:  # fmt: skip
    """A convolution, or a transposed one, over as many dimensions as the weight has."""
    rank = weight.dim() - 2
    forward = (convolutions.conv1d, convolutions.conv2d, convolutions.conv3d)
    backward = (
        convolutions.conv_transpose1d, convolutions.conv_transpose2d,
        convolutions.conv_transpose3d,
    )  # fmt: skip
    if transposed:
        settings: Any = (stride, padding, output_padding, groups, dilation)
        return backward[rank - 1](input, weight, bias, *settings)
    return forward[rank - 1](input, weight, bias, stride, padding, dilation, groups)


@operation(method=False)
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """(time, batch, channels) by (width, channels, outputs): a convolution along time."""
    moved = views.permute(input, (1, 2, 0))
    made = convolutions.conv1d(moved, views.permute(weight, (2, 1, 0)), bias, padding=pad)
    return views.permute(made, (2, 0, 1))


# ---- others -----------------------------------------------------------------------------------


@operation(method=False)
def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """As ``channel_shuffle``."""
    return padding.channel_shuffle(input, groups)


@operation(method=False)
def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """The input with each element 0 with probability p, else divided by 1 - p; and which stayed."""
    if train is False or (train is None and not p):
        return input * 1, ones_like(input, dtype=dt.bool_)
    kept = bernoulli(full_like(input, 1 - p, dtype=dt.float32)).to(dt.bool_)
    return input * kept * (1 / (1 - p) if p < 1 else 0.0), kept


@operation()
def unsafe_split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """As ``split_with_sizes``, whose parts may be written to alone."""
    parts: tuple[Tensor, ...] = PUBLIC["split_with_sizes"](input, split_sizes, dim)
    return parts
