"""Sums, means and maxima of bags of rows: embedding_bag."""

from __future__ import annotations

import math

from lazytorch.functions import views
from lazytorch.functions.comparison import eq, ne
from lazytorch.functions.creation import arange, full, zeros
from lazytorch.functions.embedding import embedding
from lazytorch.functions.indexing import index_add
from lazytorch.functions.masks import where
from lazytorch.functions.scatter import gather, scatter_reduce
from lazytorch.functions.searching import bucketize
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name

_MODES = ("sum", "mean", "max")


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
    norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean",
    sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """The sum, mean or maximum of the rows of ``weight`` in each bag: (bags, columns).

    Bags are the rows of a matrix of numbers; or stretches of a vector of numbers that begin at
    ``offsets``. Rows ``padding_idx`` do not count.
    """
    if mode not in _MODES:
        raise ValueError("mode has to be one of sum or mean")
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                f"of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        bags = input.shape[0]
        number = views.reshape(
            views.expand(views.reshape(arange(bags, device=input.device), -1, 1), input.shape), -1
        )
    elif input.ndim == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets.ndim != 1:
            raise ValueError("offsets has to be a 1D Tensor")
        starts = offsets[:-1] if include_last_offset else offsets
        bags = starts.numel()
        number = bucketize(arange(input.numel(), device=input.device), starts, right=True) - 1
    else:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}"
        )
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                "embedding_bag: per_sample_weights was not None. per_sample_weights is only "
                f"supported for mode='sum' (got mode='{mode}'). Please open a feature request on "
                "GitHub."
            )
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({list(per_sample_weights.shape)}) is not "
                f"None, then it must have the same shape as the input ({list(input.shape)})"
            )
        if per_sample_weights.dtype is not weight.dtype:
            raise RuntimeError(
                f"expected scalar type {type_name(weight.dtype)} but found "
                f"{type_name(per_sample_weights.dtype)}"
            )
    flat = views.reshape(input, -1)
    rows = embedding(flat, weight, None, max_norm, norm_type, scale_grad_by_freq, sparse)
    counts: Tensor | None = None
    if padding_idx is not None:
        counts = ne(flat, padding_idx % weight.shape[0])
    if mode == "max":
        return _maxima(rows, number, bags, counts)
    if per_sample_weights is not None:
        rows = rows * views.reshape(per_sample_weights, -1, 1)
    if counts is not None:
        rows = where(views.unsqueeze(counts, 1), rows, 0.0)
    options = {"dtype": weight.dtype, "device": weight.device}
    total: Tensor = index_add(zeros(bags, weight.shape[1], **options), 0, number, rows)
    if mode == "sum":
        return total
    each = (number >= 0 if counts is None else counts).to(weight.dtype)
    sizes = index_add(zeros(bags, **options), 0, number, each)
    return total / views.unsqueeze(sizes.clamp(min=1), 1)


def _maxima(rows: Tensor, number: Tensor, bags: int, counts: Tensor | None) -> Tensor:
    """The first of each bag's rows that no other exceeds, column by column; 0 of a bag without any.
    As in PyTorch NaN exceeds nothing, and nothing a NaN that comes first."""
    count, columns = rows.shape
    if not count:
        return rows.new_zeros((bags, columns))  # type: ignore[no-any-return]
    device = rows.device
    order = arange(count, device=device)
    firsts = scatter_reduce(
        full((bags,), count, device=device), 0, number,
        order if counts is None else where(counts, order, count), "amin",
    )  # fmt: skip
    places = views.expand(views.reshape(number, -1, 1), rows.shape)
    known = eq(rows, rows).detach()
    if counts is not None:
        known = known & views.unsqueeze(counts, 1)
    values = where(known, rows.detach(), -math.inf)
    most = scatter_reduce(values.new_full((bags, columns), -math.inf), 0, places, values, "amax")
    greatest = known & eq(values, gather(most, 0, places))
    found = scatter_reduce(
        full((bags, columns), count, device=device), 0, places,
        where(greatest, views.unsqueeze(order, 1), count), "amin",
    )  # fmt: skip
    firsts = views.expand(views.unsqueeze(firsts, 1), (bags, columns))
    first = gather(rows.detach(), 0, firsts.clamp(max=count - 1))
    chosen = where(eq(first, first), found, firsts)
    return where(chosen < count, gather(rows, 0, chosen.clamp(max=count - 1)), 0.0)  # type: ignore[no-any-return]
