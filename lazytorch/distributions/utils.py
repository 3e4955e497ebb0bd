"""What the families share: broadcasting of parameters, probabilities and logits, lazy values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Number
from typing import Any, Generic, TypeVar, overload

from lazytorch.autograd.grad_mode import enable_grad
from lazytorch.defaults import defaults
from lazytorch.dtypes import finfo
from lazytorch.functions.creation import arange, zeros
from lazytorch.functions.data import tensor
from lazytorch.functions.random import randn
from lazytorch.functions.views import broadcast_tensors
from lazytorch.overrides import is_tensor_like
from lazytorch.tensor import Tensor

euler_constant = 0.57721566490153286060

__all__ = [
    "broadcast_all", "clamp_probs", "euler_constant", "lazy_property", "logits_to_probs",
    "probs_to_logits", "tril_matrix_to_vec", "vec_to_tril_matrix",
]  # fmt: skip

R = TypeVar("R")


def broadcast_all(*values: Any) -> tuple[Any, ...]:
    """The values broadcast against one another. Numbers become tensors of the first tensor's type
    and device, or of the default type where there is no tensor.

    >>> [tuple(v.shape) for v in torch.distributions.utils.broadcast_all(torch.ones(3), 2.0)]
    [(3,), (3,)]
    """
    if not all([is_tensor_like(v) or isinstance(v, Number) for v in values]):
        raise ValueError(
            "Input arguments must all be instances of Number, "
            "torch.Tensor or objects implementing __torch_function__."
        )
    options: dict[str, Any] = {"dtype": defaults.dtype}
    for v in values:
        if isinstance(v, Tensor):
            options = {"dtype": v.dtype, "device": v.device}
            break
    return tuple(
        broadcast_tensors(*[v if is_tensor_like(v) else tensor(v, **options) for v in values])
    )


def _standard_normal(shape: Any, dtype: Any, device: Any) -> Tensor:
    return randn(shape, dtype=dtype, device=device)


def _sum_rightmost(value: Any, dim: int) -> Any:
    """The sum over the last ``dim`` dimensions."""
    if dim == 0:
        return value
    return value.reshape((*value.shape[: value.dim() - dim], -1)).sum(-1)


def logits_to_probs(logits: Any, is_binary: bool = False) -> Any:
    """Probabilities: of logarithms of odds where ``is_binary``, else by softmax."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def clamp_probs(probs: Any) -> Any:
    """Probabilities kept off 0 and 1 by the last place of 1."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Any, is_binary: bool = False) -> Any:
    """Logarithms of probabilities, or of odds where ``is_binary``."""
    inner = clamp_probs(probs)
    return inner.log() - (-inner).log1p() if is_binary else inner.log()


class lazy_property(Generic[R]):
    """A property that is computed when first read, and kept in the object."""

    def __init__(self, wrapped: Callable[[Any], R]) -> None:
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)  # type: ignore[arg-type]

    @overload
    def __get__(self, instance: None, owner: Any = None) -> lazy_property[R]: ...
    @overload
    def __get__(self, instance: object, owner: Any = None) -> R: ...
    def __get__(self, instance: object | None, owner: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def _lower_places(n: int, diag: int) -> list[int]:
    """Where the lower triangle's elements lie in an n by n matrix read row by row."""
    return [i * n + j for i in range(n) for j in range(n) if j - i <= diag]


def tril_matrix_to_vec(mat: Any, diag: int = 0) -> Any:
    """The lower triangle (..., n, n), row by row, as (..., count)."""
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    places = tensor(_lower_places(n, diag), device=mat.device)
    return mat.reshape((*mat.shape[:-2], n * n)).index_select(-1, places)


def vec_to_tril_matrix(vec: Any, diag: int = 0) -> Any:
    """The matrix (..., n, n), zero above the triangle, whose lower triangle is (..., count)."""
    count = vec.shape[-1]
    n = (
        -(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * count + 4 * abs(diag) * (diag + 1)) ** 0.5
    ) / 2
    if not round(n) - n == 0:
        raise ValueError(
            f"The size of last dimension is {count} which cannot be expressed as "
            "the lower triangular part of a square D x D matrix."
        )
    size = int(n)
    places = tensor(_lower_places(size, diag), device=vec.device)
    flat = zeros((*vec.shape[:-1], size * size), dtype=vec.dtype, device=vec.device)
    return flat.index_copy(-1, places, vec).reshape((*vec.shape[:-1], size, size))


def numbers_below(count: int, like: Any) -> Any:
    """0 … count-1 in the type and on the device of another tensor."""
    return arange(count, dtype=like.dtype, device=like.device)
