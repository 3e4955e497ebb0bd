"""torch.masked: reductions, scans and normalizations of the elements where a mask holds.

What is masked out is replaced by the neutral element of the operation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from codegen.dtype import DType
from lazytorch.defaults import defaults
from lazytorch.functions import pointwise, reductions, scans, sorting, views
from lazytorch.functions import softmax as normalizations
from lazytorch.functions.creation import full, ones
from lazytorch.functions.masks import where
from lazytorch.functions.norms import vector_norm
from lazytorch.functions.reductions import Dims, reduced_axes
from lazytorch.tensor import Tensor

Mask = Tensor | None


def _extreme(dtype: DType, highest: bool) -> float | int:
    if dtype.is_floating_point:
        return math.inf if highest else -math.inf
    limits = np.iinfo(dtype.numpy)
    return int(limits.max if highest else limits.min)


def _spread(input: Tensor, mask: Tensor) -> Tensor:
    """The mask in the shape of the input."""
    if mask.ndim > input.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the "
            "input)"
        )
    return views.expand(mask, input.shape).bool()  # type: ignore[no-any-return]


def _filled(input: Tensor, mask: Mask, neutral: Any) -> Tensor:
    if mask is None:
        return input
    value = full((), neutral, dtype=input.dtype, device=input.device)
    return where(_spread(input, mask), input, value)  # type: ignore[no-any-return]


def _dims(dim: Dims, input: Tensor) -> list[int]:
    return list(reduced_axes(dim, input.ndim))


def _wide(input: Tensor, dtype: DType | None) -> DType:
    """The type that sums are in."""
    if dtype is not None:
        return dtype
    return input.sum().dtype if input.dtype.kind != "float" else input.dtype


def sum(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """The sum over ``dim`` of the elements where ``mask`` holds; 0 where it holds nowhere."""
    return reductions.sum(
        _filled(input, mask, 0), _dims(dim, input), bool(keepdim), dtype=_wide(input, dtype)
    )


def prod(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """The product over ``dim`` of the elements where ``mask`` holds."""
    result = _filled(input, mask, 1).to(_wide(input, dtype))
    for axis in reversed(_dims(dim, input)):
        result = result.prod(axis, bool(keepdim))
    return result  # type: ignore[no-any-return]


def cumsum(input: Tensor, dim: int, *, dtype: DType | None = None, mask: Mask = None) -> Tensor:
    """Running sums along ``dim`` of the elements where ``mask`` holds."""
    kind = dtype or input.dtype
    return scans.cumsum(_filled(input, mask, 0), dim, dtype=kind).to(kind)  # type: ignore[no-any-return]


def cumprod(input: Tensor, dim: int, *, dtype: DType | None = None, mask: Mask = None) -> Tensor:
    """Running products along ``dim`` of the elements where ``mask`` holds."""
    kind = dtype or input.dtype
    return scans.cumprod(_filled(input, mask, 1), dim, dtype=kind).to(kind)  # type: ignore[no-any-return]


def amax(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """The largest of the elements where ``mask`` holds."""
    known = _filled(input, mask, _extreme(input.dtype, False))
    return reductions.amax(known, _dims(dim, input), bool(keepdim)).to(dtype or input.dtype)  # type: ignore[no-any-return]


def amin(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """The smallest of the elements where ``mask`` holds."""
    known = _filled(input, mask, _extreme(input.dtype, True))
    return reductions.amin(known, _dims(dim, input), bool(keepdim)).to(dtype or input.dtype)  # type: ignore[no-any-return]


def argmax(
    input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """Where the largest of the elements is where ``mask`` holds."""
    known = _filled(input, mask, _extreme(input.dtype, False))
    return reductions.argmax(known, dim, bool(keepdim)).to(dtype or input.dtype)  # type: ignore[no-any-return]


def argmin(
    input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """Where the smallest of the elements is where ``mask`` holds."""
    known = _filled(input, mask, _extreme(input.dtype, True))
    return reductions.argmin(known, dim, bool(keepdim)).to(dtype or input.dtype)  # type: ignore[no-any-return]


def _count(input: Tensor, dim: Dims, keepdim: bool, mask: Mask) -> Tensor:
    present = (
        ones(input.shape, device=input.device).bool() if mask is None else _spread(input, mask)
    )
    return reductions.sum(present, _dims(dim, input), keepdim)


def mean(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """The mean over ``dim`` of the elements where ``mask`` holds; NaN where it holds nowhere."""
    kind = dtype or input.dtype
    if kind.kind != "float":
        source = "Input" if dtype is None else "Optional"
        raise ValueError(
            f"mean(): Could not infer output dtype. {source} dtype must be either a floating point "
            f"or complex dtype. Got: {kind!r}"
        )
    total = sum(input, dim, keepdim=keepdim, dtype=kind, mask=mask)
    return total / _count(input, dim, bool(keepdim), mask)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """The median along ``dim`` of the elements where ``mask`` holds; NaN where it holds nowhere."""
    floating = input.is_floating_point()
    known = _filled(input if floating else input.to(defaults.dtype), mask, math.nan)
    output: Tensor = sorting.nanmedian(known, dim, keepdim)[0]
    if floating:
        return output
    if bool(output.isnan().any()):
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    return output.to(dtype or input.dtype)  # type: ignore[no-any-return]


def logsumexp(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """log of the sum of exp of the elements where ``mask`` holds."""
    known = _filled(input, mask, _extreme(input.dtype, False))
    return reductions.logsumexp(known, _dims(dim, input), keepdim).to(dtype or input.dtype)  # type: ignore[no-any-return]


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: DType | None = None, input_mask: Mask = None,
    other_mask: Mask = None,
) -> Tensor:  # fmt: skip
    """log(exp(input) + exp(other)), where each counts where its mask holds."""
    a = _filled(input, input_mask, -math.inf)
    b = _filled(other, other_mask, -math.inf)
    return pointwise.logaddexp(a, b).to(dtype or input.dtype)  # type: ignore[no-any-return]


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Dims = None, *, keepdim: bool = False,
    dtype: DType | None = None, mask: Mask = None,
) -> Tensor:  # fmt: skip
    """The norm of the elements where ``mask`` holds."""
    known = _filled(input, mask, math.inf if ord == -math.inf else 0)
    return vector_norm(
        known, 2.0 if ord is None else ord, _dims(dim, input), bool(keepdim),
        dtype=dtype or input.dtype,
    )  # fmt: skip


def var(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *,
    correction: float | None = None, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """The variance of the elements where ``mask`` holds."""
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    less = float(unbiased) if unbiased is not None else 1.0 if correction is None else correction
    kind = dtype or (input.dtype if input.is_floating_point() else defaults.dtype)
    count = _count(input, dim, True, mask)
    centred = input - sum(input, dim, keepdim=True, dtype=kind, mask=mask) / count
    total = sum(centred * centred, dim, keepdim=keepdim, dtype=kind, mask=mask)
    count = views.reshape(count, total.shape).to(kind)
    return (total / (count - less).clamp(min=0)).to(kind)  # type: ignore[no-any-return]


def std(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *,
    correction: float | None = None, keepdim: bool = False, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """The standard deviation of the elements where ``mask`` holds."""
    variance = var(
        input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask
    )
    return variance.sqrt()  # type: ignore[no-any-return]


def softmax(input: Tensor, dim: int, *, dtype: DType | None = None, mask: Mask = None) -> Tensor:
    """softmax along ``dim`` of the elements where ``mask`` holds; 0 elsewhere."""
    known = _filled(input, mask, _extreme(input.dtype, False))
    return normalizations.softmax(known, dim, dtype=dtype or input.dtype)


def log_softmax(
    input: Tensor, dim: int, *, dtype: DType | None = None, mask: Mask = None
) -> Tensor:
    """log_softmax along ``dim`` of the elements where ``mask`` holds."""
    known = _filled(input, mask, _extreme(input.dtype, False))
    return normalizations.log_softmax(known, dim, dtype=dtype or input.dtype)


def softmin(input: Tensor, dim: int, *, dtype: DType | None = None, mask: Mask = None) -> Tensor:
    """softmin along ``dim`` of the elements where ``mask`` holds; 0 elsewhere."""
    known = _filled(input, mask, _extreme(input.dtype, True))
    return normalizations.softmax(-known, dim, dtype=dtype or input.dtype)


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: DType | None = None,
    mask: Mask = None,
) -> Tensor:  # fmt: skip
    """The elements where ``mask`` holds divided by their norm, which is no less than eps."""
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _filled(input, mask, 0) / pointwise.maximum(length, length.new_full((), eps))


__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp",
    "logsumexp", "mean", "median", "norm", "normalize", "prod", "softmax", "softmin", "std", "sum",
    "var",
]  # fmt: skip
