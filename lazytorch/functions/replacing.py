"""Copies with a part replaced: slice_scatter and its kin; and writing to a diagonal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazytorch import core
from lazytorch.application import apply
from lazytorch.functions import views
from lazytorch.functions.conversion import clone, converted, write_value
from lazytorch.functions.registration import SAME, operation
from lazytorch.recording import record
from lazytorch.result_layouts import lay_out
from lazytorch.tensor import Tensor, wrap, wrap_dim


def _function(name: str) -> core.ViewFunction:
    """What a write to a view is, with a node of its own, which saves nothing."""
    node = "".join([word.capitalize() for word in name.split("_")]) + "Backward0"
    return core.ViewFunction(name, core.WRITE_VIEW.body, core.WRITE_VIEW_AT, node)


_SELECT = _function("select_scatter")
_SLICE = _function("slice_scatter")
_DIAGONAL = _function("diagonal_scatter")
_STRIDED = _function("as_strided_scatter")


def _replaced(
    function: core.ViewFunction, input: Tensor, src: Tensor, part: Callable[[Tensor], Tensor]
) -> Tensor:
    copied = clone(input.detach())  # says how the result lies in memory
    plain = wrap(record(core.IDENTITY, (copied._read(),), (), False)[0])  # as the call sees it
    target = part(plain)
    if target._type.shape != src._type.shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(target.shape)}"
        )
    place = (target._type.shape, target._strides(), target.storage_offset())
    made: Tensor = apply(function, (input, converted(src, input._type.dtype)), place)
    return made if copied.is_contiguous() else lay_out(made, copied._strides())


@operation()
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy with ``src`` at one place of a dimension."""
    return _replaced(_SELECT, input, src, lambda x: views.select(x, dim, index))


@operation(out=SAME)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Tensor:  # fmt: skip
    """A copy with ``src`` in a slice of a dimension."""
    axis = wrap_dim(dim, input.ndim)
    key = (*[slice(None)] * axis, slice(start, end, step))
    return _replaced(_SLICE, input, src, lambda x: x[key])


@operation()
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy with ``src`` along a diagonal."""
    return _replaced(_DIAGONAL, input, src, lambda x: x.diagonal(offset, dim1, dim2))


@operation()
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None
) -> Tensor:
    """A copy with ``src`` in the places of a strided view."""
    of = input.contiguous() if input._geometry is not None else input
    if of.is_contiguous():
        return _replaced(
            _STRIDED, of, src, lambda x: views.as_strided(x, size, stride, storage_offset)
        )
    made: Tensor = clone(of)
    write_value(views.as_strided(made, size, stride, storage_offset), src)
    return made


def _fill_diagonal(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write one number along the main diagonal."""
    shape = self._type.shape
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) != 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step = sum(self._strides())
    length = min(shape)
    write_value(self._view((length,), (step,), self.storage_offset()), fill_value)
    if wrap and len(shape) == 2 and shape[0] > shape[1] + 1:
        n, m = shape
        rows = self._strides()[0]
        start = self.storage_offset() + rows * (m + 1)
        while start < self.storage_offset() + rows * n:
            left = (self.storage_offset() + rows * n - start + rows - 1) // rows
            write_value(self._view((min(m, left),), (step,), start), fill_value)
            start += rows * (m + 1)
    return self


setattr(Tensor, "fill_diagonal_", _fill_diagonal)  # noqa: B010
