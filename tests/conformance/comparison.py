"""Whether a result of ours is what PyTorch's is; the reason where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from lazytorch.tensor import Tensor

from . import database
from .translate import NotApplicable, array_of

Tolerance = tuple[float, float]


def tensors(value: Any) -> Iterator[Any]:
    """The tensors, of either library, in a result or in arguments, in order."""
    if isinstance(value, (torch.Tensor, Tensor)):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from tensors(v)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """A result, or arguments, with what a function makes of each of their tensors, in order."""
    if isinstance(value, (torch.Tensor, Tensor)):
        return function(value)
    if isinstance(value, (list, tuple)):
        parts = [mapped(v, function) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {k: mapped(v, function) for k, v in value.items()}
    return value


def kind_of(x: Any) -> str:
    return str(x.dtype).removeprefix("torch.")


def structure(found: Any, expected: Any) -> str | None:
    """Types, shapes and dtypes, and whether gradients flow; None where they are the same."""
    if isinstance(expected, torch.Tensor):
        is_complex = expected.is_complex() and not database.complex_only
        if is_complex or expected.layout is not torch.strided:
            raise NotApplicable("a complex or sparse result")
        if not isinstance(found, Tensor):
            return f"{type(found).__name__} instead of a tensor"
        if tuple(found.shape) != tuple(expected.shape):
            return f"shape {tuple(found.shape)} instead of {tuple(expected.shape)}"
        if kind_of(found) != kind_of(expected):
            return f"dtype {kind_of(found)} instead of {kind_of(expected)}"
        if found.requires_grad != expected.requires_grad:
            return f"requires_grad {found.requires_grad}"
        return None
    if isinstance(expected, (list, tuple)):
        if not isinstance(found, list if isinstance(expected, list) else tuple):
            return f"{type(found).__name__} instead of {type(expected).__name__}"
        if len(found) != len(expected):
            return f"{len(found)} results instead of {len(expected)}"
        reasons = [structure(f, e) for f, e in zip(found, expected, strict=True)]
        return next((r for r in reasons if r), None)
    if isinstance(expected, torch.dtype):
        return None if str(found) == str(expected) else f"{found} instead of {expected}"
    if isinstance(expected, complex) and not database.complex_only:
        raise NotApplicable("a complex result")
    if type(found) is not type(expected):
        return f"{type(found).__name__} instead of {type(expected).__name__}"
    return None


def values(found: Any, expected: Any, allowed: Tolerance) -> str | None:
    """Numbers, of results of the same structure; None where they are the same."""
    if isinstance(expected, torch.Tensor):
        return numbers(array_of(found), array_of(expected), allowed)
    if isinstance(expected, (list, tuple)):
        reasons = [values(f, e, allowed) for f, e in zip(found, expected, strict=True)]
        return next((r for r in reasons if r), None)
    if isinstance(expected, (float, complex)):
        return numbers(np.array(found), np.array(expected), allowed)
    return None if str(found) == str(expected) else f"{found} instead of {expected}"


def numbers(f: np.ndarray[Any, Any], e: np.ndarray[Any, Any], allowed: Tolerance) -> str | None:
    if f.shape != e.shape:
        return f"shape {f.shape} instead of {e.shape}"
    with np.errstate(all="ignore"):
        if e.dtype.kind in "fc":
            same = np.isclose(f.astype(e.dtype), e, *allowed, equal_nan=True)
        else:
            same = f == e
    if same.all():
        return None
    wrong = ~same
    return (
        f"{int(wrong.sum())} of {same.size} values, the first {f[wrong].flat[0]!r} instead of "
        f"{e[wrong].flat[0]!r}"
    )


def memory(found: Any, expected: Any, ours: Any, theirs: Any) -> str | None:
    """A result that shares memory with an argument in PyTorch does so here, at the same strides."""
    known = {}
    for mine, real in zip(tensors(ours), tensors(theirs), strict=True):
        known[real.untyped_storage().data_ptr()] = mine
    for f, e in zip(tensors(found), tensors(expected), strict=True):
        source = known.get(e.untyped_storage().data_ptr()) if e.untyped_storage().nbytes() else None
        if source is None:
            continue
        if f._storage is not source._storage:
            return "a copy instead of a view"
        if not same_layout(f, e):
            return f"a view of strides {f.stride()} instead of {e.stride()}"
    return None


def same_layout(f: Any, e: Any) -> bool:
    """Equal strides where they mean something."""
    if not e.numel():
        return True
    pairs = zip(e.shape, f.stride(), e.stride(), strict=True)
    return all(a == b for n, a, b in pairs if n > 1)
