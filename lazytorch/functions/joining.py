"""Copies that join, repeat, reverse or shift: cat, stack, repeat, flip, roll."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, Shape, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.indexing import concatenate
from codegen.ops.movement import flip as flip_node
from codegen.ops.movement import pad_to, reshape, slice_
from codegen.ops.reduction import broadcast
from codegen.ops.reduction import full as full_node
from codegen.runtime.memory import Buffer, allocate
from lazytorch import autocasting, capture, levels
from lazytorch.application import apply
from lazytorch.expression import Function, new_expression
from lazytorch.functions import views
from lazytorch.functions.arguments import integers, require_tensors, wrap_dims
from lazytorch.functions.conversion import clone
from lazytorch.functions.data import of_array
from lazytorch.functions.indexing import index_select
from lazytorch.functions.promotion import promote_types, result_dtype
from lazytorch.functions.registration import OF_CAT, operation
from lazytorch.levels import by_example, is_unknown
from lazytorch.tensor import Tensor, wrap, wrap_dim


def _cat(*rest: Any) -> Node:
    *parts, axis = rest
    dtype = result_dtype(parts)
    filled = [ew.cast(p, dtype) for p in parts if p.type.size]
    if not filled:
        shape = list(parts[0].shape)
        shape[axis] = sum([p.shape[axis] for p in parts])
        return full_node(0, tuple(shape), dtype)
    return concatenate(filled, axis)


def _stack(*rest: Any) -> Node:
    *parts, axis = rest
    shape = parts[0].shape
    raised = (*shape[:axis], 1, *shape[axis:])
    dtype = parts[0].dtype
    for p in parts[1:]:
        dtype = promote_types(dtype, p.dtype)
    if not prod(raised):
        return full_node(0, (*shape[:axis], len(parts), *shape[axis:]), dtype)
    return concatenate([reshape(ew.cast(p, dtype), raised) for p in parts], axis)


CAT = Function("cat", _cat)
STACK = Function("stack", _stack)


# So many parts that lie in memory are joined there at once, if together they are no larger.
_MANY_PARTS, _MOST_BYTES = 8, 1 << 20


def _joined_in_memory(parts: Sequence[Tensor], shape: Shape) -> Tensor | None:
    """A tensor of a shape with these parts, one after another in memory; None where they are few,
    or not known, or more is to be done than copying.

    Many parts are chosen anew each time, as by what draws a batch from a list of examples: what
    reads two such batches would be another graph wherever other parts are in both.
    """
    if (
        len(parts) < _MANY_PARTS
        or capture.state.active is not None
        or levels.state.inside
        or autocasting.active.count
    ):
        return None
    type_ = TensorType(shape, parts[0]._type.dtype)
    if not 0 < type_.nbytes <= _MOST_BYTES:
        return None
    sources = []
    for part in parts:
        e, geometry = part._storage.expression, part._geometry
        value = e.value
        if (
            type(value) is not Buffer
            or e.tracked
            or e.device != "cpu"
            or value.order is not None
            or part._type.dtype is not type_.dtype
            or part._storage.special is not None
            or part._marker is not None
            or (geometry is not None and (geometry.changes_values or not part.is_contiguous()))
        ):
            return None
        offset = geometry.offset * type_.dtype.itemsize if geometry is not None else 0
        sources.append((value.address + offset, part._type.nbytes))
    made = allocate(type_.nbytes)
    address = made.address
    for source, nbytes in sources:
        ctypes.memmove(address, source, nbytes)
        address += nbytes
    return wrap(new_expression(type_, "cpu", value=made))


def _check_tensors(tensors: Any, name: str) -> list[Tensor]:
    if isinstance(tensors, Tensor):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor"
        )
    parts = list(tensors)
    require_tensors(parts, 0)
    return parts


@operation(method=False, out=OF_CAT, names=("concat", "concatenate"))
def cat(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The tensors one after another along a dimension.

    >>> torch.cat([torch.tensor([1]), torch.tensor([2, 3])])
    tensor([1, 2, 3])
    """
    parts = _check_tensors(tensors, "cat")
    if not parts:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for i, p in enumerate(parts):
        if not p._type.shape:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    # A 1-D tensor without elements goes with everything, as it always has.
    real = [p for p in parts if p._type.shape != (0,)] or parts[:1]
    first = real[0]._type.shape
    where = wrap_dim(dim if axis is None else axis, len(first))
    for i, p in enumerate(real):
        shape = p._type.shape
        if len(shape) != len(first):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}"
            )
        for d, (n, m) in enumerate(zip(shape, first, strict=True)):
            if d != where and n != m:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {where}. Expected size {m} "
                    f"but got size {n} for tensor number {i} in the list."
                )
    length = sum([p._type.shape[where] for p in real])
    joined = _joined_in_memory(real, (length, *first[1:])) if where == 0 else None
    return apply(CAT, real, (where,)) if joined is None else joined


@operation(method=False, out=OF_CAT)
def stack(tensors: Any, dim: int = 0) -> Tensor:
    """The tensors side by side along a new dimension."""
    parts = _check_tensors(tensors, "stack")
    if not parts:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = parts[0]._type.shape
    for i, p in enumerate(parts):
        if p._type.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
                f"{list(p.shape)} at entry {i}"
            )
    where = wrap_dim(dim, len(first) + 1)
    joined = _joined_in_memory(parts, (len(parts), *first)) if where == 0 else None
    return apply(STACK, parts, (where,)) if joined is None else joined


@operation(method=False, out=OF_CAT)
def hstack(tensors: Any) -> Tensor:
    """Joined along the second dimension (the first of vectors)."""
    parts = [views.atleast_1d(p) for p in _check_tensors(tensors, "hstack")]
    if not parts:
        raise RuntimeError("hstack expects a non-empty TensorList")
    return cat(parts, 0 if parts[0].ndim == 1 else 1)


@operation(method=False, out=OF_CAT, names=("row_stack",))
def vstack(tensors: Any) -> Tensor:
    """Joined along the first dimension, vectors as rows."""
    parts = [views.atleast_2d(p) for p in _check_tensors(tensors, "vstack")]
    if not parts:
        raise RuntimeError("vstack expects a non-empty TensorList")
    return cat(parts, 0)


@operation(method=False, out=OF_CAT)
def dstack(tensors: Any) -> Tensor:
    """Joined along the third dimension."""
    parts = [views.atleast_3d(p) for p in _check_tensors(tensors, "dstack")]
    if not parts:
        raise RuntimeError("dstack expects a non-empty TensorList")
    return cat(parts, 2)


@operation(method=False, out=OF_CAT)
def column_stack(tensors: Any) -> Tensor:
    """Joined along the second dimension, vectors as columns."""
    parts = _check_tensors(tensors, "column_stack")
    if not parts:
        raise RuntimeError("column_stack expects a non-empty TensorList")
    columns = [views.reshape(p, p.numel(), 1) if p.ndim <= 1 else p for p in parts]
    return cat(columns, 1)


@operation(method=False)
def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of a matrix of zeros."""
    parts = [views.atleast_2d(p) for p in tensors]
    return apply(BLOCK_DIAG, parts)  # type: ignore[no-any-return]


def _block_diag(*parts: Node) -> Node:
    dtype = parts[0].dtype
    for p in parts[1:]:
        dtype = promote_types(dtype, p.dtype)
    columns = sum([p.shape[1] for p in parts])
    rows, start = [], 0
    for p in parts:
        if p.type.size:
            rows.append(pad_to(ew.cast(p, dtype), (p.shape[0], columns), (0, start), (1, 1)))
        elif p.shape[0]:
            rows.append(full_node(0, (p.shape[0], columns), dtype))
        start += p.shape[1]
    return concatenate(rows, 0) if rows else full_node(0, (0, columns), dtype)


BLOCK_DIAG = Function("block_diag", _block_diag)

# ---- repetition --------------------------------------------------------------------


def _repeat(x: Node, times: Shape) -> Node:
    shape = (*[1] * (len(times) - len(x.shape)), *x.shape)
    inner: list[int] = []
    for n, m in zip(times, shape, strict=True):
        inner.extend((n, m))
    result = tuple([n * m for n, m in zip(times, shape, strict=True)])
    if not prod(result):
        return full_node(0, result, x.dtype)
    spread = broadcast(reshape(x, shape), tuple(inner), tuple(range(1, len(inner), 2)))
    return reshape(spread, result)


REPEAT = Function("repeat", _repeat)


@operation(function=False)
def repeat(self: Tensor, *repeats: Any) -> Tensor:
    """The whole tensor repeated along each dimension."""
    times = integers(repeats, "repeat", "repeats")
    if len(times) < self.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    if any(n < 0 for n in times):
        shape = (*[1] * (len(times) - self.ndim), *self._type.shape)
        sizes = [n * m for n, m in zip(times, shape, strict=True)]
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(sizes)}: {sizes}")
    return apply(REPEAT, (self,), (times,))  # type: ignore[no-any-return]


@operation()
def tile(input: Tensor, *dims: Any) -> Tensor:
    """As ``repeat``, with missing leading counts taken as 1."""
    times = integers(dims, "tile", "dims")
    return repeat(input, (*[1] * (input.ndim - len(times)), *times))


def _repeat_each(x: Node, count: int, axis: int) -> Node:
    shape = x.shape
    result = (*shape[:axis], shape[axis] * count, *shape[axis + 1 :])
    if not prod(result):
        return full_node(0, result, x.dtype)
    spread = (*shape[: axis + 1], count, *shape[axis + 1 :])
    axes = [i for i in range(len(spread)) if i != axis + 1]
    return reshape(broadcast(x, spread, axes), result)


REPEAT_EACH = Function("repeat_interleave", _repeat_each)


@by_example
def _repeated_places(repeats: Tensor) -> Tensor:
    """Each place as often as ``repeats`` says."""
    counts = repeats.detach()._array()
    if counts.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if counts.size and counts.min() < 0:
        raise RuntimeError("repeats can not be negative")
    found = np.repeat(np.arange(len(counts)), counts)
    return of_array(found, dt.int64, repeats._storage.device)


@operation()
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (or each place of a dimension) repeated in place."""
    if repeats is None:
        return _repeated_places(input)
    if dim is None:
        input, dim = views.reshape(input, -1), 0
    axis = wrap_dim(dim, input.ndim)
    extent = input._type.shape[axis] if input.ndim else 1
    if isinstance(repeats, Tensor) and repeats.numel() == 1:
        if is_unknown(repeats._read()):
            repeats = views.expand(views.reshape(repeats, 1), (extent,))
        else:
            repeats = int(repeats.item())
    if not isinstance(repeats, int):
        if not isinstance(repeats, Tensor):
            repeats = of_array(np.asarray(repeats, np.int64), dt.int64, input._storage.device)
        if repeats.ndim != 1:
            raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
        if len(repeats) != extent:
            raise RuntimeError(
                "repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{len(repeats)} and input.size({axis}) = {extent}"
            )
        return index_select(input, axis, _repeated_places(repeats))
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    return apply(REPEAT_EACH, (input,), (repeats, axis))  # type: ignore[no-any-return]


# ---- reversal and shifts -----------------------------------------------------------

FLIP = Function("flip", lambda x, axes: ew.cast(flip_node(x, axes), x.dtype))


@operation()
def flip(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """The elements of these dimensions in reverse order, as a copy."""
    given = args if dims is None else (dims,)
    axes = wrap_dims(integers(given, "flip", "dims"), input.ndim)
    if not input.ndim:
        return clone(input)
    return apply(FLIP, (input,), (axes,))  # type: ignore[no-any-return]


@operation()
def fliplr(input: Tensor) -> Tensor:
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


@operation()
def flipud(input: Tensor) -> Tensor:
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


@operation()
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by 90 degrees ``k`` times in the plane of two dimensions."""
    dims = list(dims)
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    first, second = wrap_dim(dims[0], input.ndim), wrap_dim(dims[1], input.ndim)
    if first == second:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    k %= 4
    if k == 1:
        return views.transpose(flip(input, second), first, second)
    if k == 2:
        return flip(input, (first, second))
    if k == 3:
        return views.transpose(flip(input, first), first, second)
    return clone(input)


def _roll(x: Node, shifts: Shape, axes: Shape) -> Node:
    """Along the axes; along all elements in a row where there are none."""
    if not axes:
        return reshape(_roll(reshape(x, (x.type.size,)), shifts, (0,)), x.shape)
    for shift, axis in zip(shifts, axes, strict=True):
        extent = x.shape[axis]
        shift %= max(extent, 1)
        if not shift or not x.type.size:
            continue
        steps = [1] * len(x.shape)
        parts = []
        for start, length in ((extent - shift, shift), (0, extent - shift)):
            starts = [start if i == axis else 0 for i in range(len(steps))]
            sizes = [length if i == axis else n for i, n in enumerate(x.shape)]
            parts.append(slice_(x, starts, sizes, steps))
        x = concatenate(parts, axis)
    return ew.cast(x, x.dtype)


ROLL = Function("roll", _roll)


@operation()
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """The elements shifted along dimensions, those that fall off coming back in front."""
    moves = integers((shifts,), "roll", "shifts")
    if not moves:
        raise RuntimeError("`shifts` required")
    if dims is None or dims == ():
        if len(moves) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(moves)}, dims:0")
        return apply(ROLL, (input,), (moves, ()))  # type: ignore[no-any-return]
    axes = integers((dims,), "roll", "dims")
    if len(moves) != len(axes):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(moves)}, dims:{len(axes)}"
        )
    if not input.ndim and axes:
        raise IndexError(f"Dimension specified as {axes[0]} but tensor has no dimensions")
    wrapped = tuple([wrap_dim(d, input.ndim) for d in axes])
    return apply(ROLL, (input,), (moves, wrapped))  # type: ignore[no-any-return]
