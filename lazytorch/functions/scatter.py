"""gather and scatter: places along one dimension, and places of the flattened tensor."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops import indexing as places
from codegen.ops.leaves import iota
from codegen.ops.movement import reshape, slice_
from codegen.ops.reduction import broadcast, cumsum
from codegen.ops.strided import contiguous_strides
from lazytorch.application import apply
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions import views
from lazytorch.functions.conversion import clone
from lazytorch.functions.indexing import check_range, flatten, needs_gradient_work, wrapped
from lazytorch.functions.promotion import broadcast_shapes
from lazytorch.functions.registration import SAME, operation
from lazytorch.levels import for_all_examples
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import type_name

_REDUCTIONS = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}

# ---- gather and scatter -----------------------------------------------------------------------


def _along(x: Node, index: Node, axis: int) -> tuple[Node, Node, int]:
    """The tensor, places in it and along which axis, where each index replaces the coordinate
    along one dimension; of the others an index may leave the ends out, and then it is flat."""
    if all(n == x.shape[i] for i, n in enumerate(index.shape) if i != axis):
        return x, wrapped(index, x.shape[axis]), axis
    return flatten(x), _flat_along(x.shape, index, axis), 0


def _flat_along(shape: Shape, index: Node, axis: int) -> Node:
    strides = contiguous_strides(shape)
    total = wrapped(index, shape[axis])
    total = ew.mul(total, ew.full_like(total, strides[axis]))
    for i, n in enumerate(index.shape):
        if i != axis:
            steps = iota(n)
            steps = ew.mul(steps, ew.full_like(steps, strides[i]))
            total = ew.add(total, broadcast(steps, index.shape, (i,)))
    return total


def _gather(x: Node, index: Node, axis: int) -> Node:
    return places.gather(*_along(x, index, axis))


def _scatter(x: Node, index: Node, source: Node, axis: int, mode: str) -> Node:
    if not index.type.size:
        return ew.cast(x, x.dtype)
    source = ew.cast(source, x.dtype)
    if source.shape and source.shape != index.shape:
        source = _corner(source, index.shape)
    updates = broadcast_to(source, index.shape)
    base, place, along = _along(x, index, axis)
    return reshape(places.scatter(base, place, updates, mode, along), x.shape)


def _corner(x: Node, shape: Shape) -> Node:
    return slice_(x, (0,) * len(shape), shape, (1,) * len(shape))


GATHER = Function("gather", _gather, saves=lambda *_: (0, 1))
SCATTER = Function("scatter", _scatter)
SCATTER_REDUCE = Function("scatter_reduce", _scatter, saves=lambda *_: (0, 2, ~0))


def _check_index_shape(name: str, x: Tensor, axis: int, index: Tensor, source: Any) -> None:
    if not index.numel():
        return
    if index.dtype not in (dt.int64, dt.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if max(x.ndim, 1) != max(index.ndim, 1):
        raise RuntimeError(
            "Index tensor must have the same number of dimensions as "
            f"{'input' if name == 'gather' else 'self'} tensor"
        )
    if isinstance(source, Tensor) and max(source.ndim, 1) != max(index.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    for i, n in enumerate(index._type.shape):
        if i != axis and x.ndim and n > x._type.shape[i]:
            if name == "gather":
                raise RuntimeError(
                    f"Size does not match at dimension {i} expected index {list(index.shape)} to "
                    f"be no larger than self {list(x.shape)} apart from dimension {axis}"
                )
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(x.shape)} "
                f"apart from dimension {axis}"
                + (f" and to be no larger size than src {list(source.shape)}"
                   if isinstance(source, Tensor) else "")
            )  # fmt: skip
        if isinstance(source, Tensor) and source.ndim and n > source._type.shape[i]:
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(x.shape)} "
                f"apart from dimension {axis} and to be no larger size than src "
                f"{list(source.shape)}"
            )
    size = x._type.shape[axis] if x.ndim else 1
    check_index_values(index, axis, size)


def check_index_values(index: Tensor, axis: int, size: int) -> None:
    if not index._type.size or needs_gradient_work(index._storage.expression):
        return
    if not index._is_reachable():  # a GPU does not stop for it: what is out of range is clamped
        return
    array = index._array()
    least, most = int(array.min()), int(array.max())
    if least < 0 or most >= size:
        raise RuntimeError(
            f"index {least if least < 0 else most} is out of bounds for dimension {axis} with size "
            f"{size}"
        )


@operation(out="same type")
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """Along ``dim`` the places that ``index`` gives, one for each element of ``index``."""
    axis = wrap_dim(dim, input.ndim)
    _check_index_shape("gather", input, axis, index, None)
    if not input.ndim or not index.ndim or not index.numel():
        places = views.reshape(index.long(), -1)
        flat = apply(GATHER, (views.reshape(input, -1), places), (0,))
        return views.reshape(flat, index._type.shape)
    return apply(GATHER, (input, index), (axis,))  # type: ignore[no-any-return]


def _scattered(
    name: str, x: Tensor, dim: int, index: Tensor, source: Any, mode: str,
    function: Function = SCATTER,
) -> Tensor:  # fmt: skip
    axis = wrap_dim(dim, x.ndim)
    if isinstance(source, Tensor) and source.dtype is not x.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    _check_index_shape(name, x, axis, index, source)
    if not x.ndim or not index.ndim:
        flat = source if not isinstance(source, Tensor) else views.reshape(source, -1)
        made = apply(function, (views.reshape(x, -1), views.reshape(index, -1), flat), (0, mode))
        return views.reshape(made, x._type.shape)
    return apply(function, (x, index, source), (axis, mode))  # type: ignore[no-any-return]


@operation(inplace=True, out="same type")
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None,
    reduce: str | None = None,
) -> Tensor:  # fmt: skip
    """``src`` (a tensor or a number) written along ``dim`` at the places in ``index``."""
    if src is None:
        src = value
    if src is None:
        raise TypeError("scatter() received an invalid combination of arguments")
    if reduce is not None and reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    mode = {None: "set", "add": "add", "multiply": "mul"}[reduce]
    return _scattered("scatter", input, dim, index, src, mode)


@operation(inplace=True, out="same type")
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``src`` added along ``dim`` at the places in ``index``."""
    return _scattered("scatter", input, dim, index, src, "add")


@operation(inplace=True, out=SAME)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """``src`` combined along ``dim`` by sum, prod, mean, amax or amin at places in ``index``."""
    if reduce not in (*_REDUCTIONS, "mean"):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if not include_self:
        input = _with_neutral(input, dim, index, reduce)
    mode = _REDUCTIONS.get(reduce, "add")
    total = _scattered("scatter", input, dim, index, src, mode, SCATTER_REDUCE)
    if reduce != "mean":
        return total
    start = apply(_FILLED, (input, int(include_self)))
    count = _scattered("scatter", start, dim, index, apply(_FILLED, (src, 1)), "add")
    return apply(_MEAN, (total, count))  # type: ignore[no-any-return]


def _filled(x: Node, value: Node) -> Node:
    return broadcast(ew.cast(value, x.dtype), x.shape, ())


def _mean(total: Node, count: Node) -> Node:
    divisor = ew.maximum(count, ew.full_like(count, 1))
    if total.dtype.differentiable:
        return ew.div(total, divisor)
    return ew.floor_divide(total, divisor)


_FILLED = Function("filled", _filled)
_MEAN = Function("scatter_mean", _mean, gradient_name="ScatterReduceBackward0")


def _with_neutral(x: Tensor, dim: int, index: Tensor, reduce: str) -> Tensor:
    """The tensor with the places to be written set to the reduction's neutral element."""
    high: Any
    if x.dtype.kind == "float":
        low, high = float("-inf"), float("inf")
    elif x.dtype.kind == "bool":
        low, high = False, True
    else:
        numbers = np.iinfo(x.dtype.numpy)
        low, high = int(numbers.min), int(numbers.max)
    neutral = {"sum": 0, "mean": 0, "prod": 1, "amax": low, "amin": high}[reduce]
    return _scattered("scatter", x, dim, index, neutral, "set")


# ---- flat places ---------------------------------------------------------------------------------


def _checkflatten(index: Tensor, size: int) -> None:
    check_range(
        index, size, lambda bad: f"out of range: tried to access index {bad} on a tensor of {size} "
        "elements.", -size,
    )  # fmt: skip


def _take(x: Node, index: Node) -> Node:
    return places.gather(flatten(x), wrapped(index, x.type.size))


def _put(x: Node, index: Node, source: Node, mode: str) -> Node:
    if not index.type.size:
        return ew.cast(x, x.dtype)
    flat = flatten(wrapped(index, x.type.size))
    return reshape(places.scatter(flatten(x), flat, flatten(source), mode), x.shape)


TAKE = Function("take", _take, saves=lambda *_: (0,))
PUT = Function("put", _put, saves_exactly=lambda _, tracked, *__: (1, 2) if 2 in tracked else (1,))


@operation(
    out=(
        "take(): self and out expected to have the same dtype, but got self.dtype = {made} and "
        "out.dtype = {out}"
    )
)
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at places of the flattened tensor."""
    if index.dtype is not dt.int64:
        raise RuntimeError("take(): Expected a long tensor for index, but got "
                           f"{type_name(index.dtype)}")  # fmt: skip
    if not input.numel() and index.numel():
        raise IndexError("take(): tried to take from an empty tensor")
    _checkflatten(index, input.numel())
    return apply(TAKE, (input, index))  # type: ignore[no-any-return]


@operation(inplace=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """``source`` written (or added) at places of the flattened tensor."""
    if index.dtype is not dt.int64:
        raise RuntimeError("put_(): Expected a long tensor for index, but got "
                           f"{type_name(index.dtype)}")  # fmt: skip
    if source.dtype is not input.dtype:
        raise RuntimeError("put_(): self and source expected to have the same dtype, but got "
                           f"self.dtype = {type_name(input.dtype)} and source.dtype = "
                           f"{type_name(source.dtype)}")  # fmt: skip
    if index.numel() != source.numel():
        raise IndexError("put_(): Expected source and index to have the same number of elements, "
                           f"but got source.numel() = {source.numel()}, index.numel() = "
                           f"{index.numel()}")  # fmt: skip
    _checkflatten(index, input.numel())
    return apply(PUT, (input, index, source), ("add" if accumulate else "set",))  # type: ignore[no-any-return]


@operation(out="same type")
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As ``gather``, with the other dimensions broadcast."""
    if indices.dtype is not dt.int64:
        raise RuntimeError("torch.take_along_dim(): dtype of indices should be Long but got "
                           f"{type_name(indices.dtype)}")  # fmt: skip
    if dim is None:
        return gather(views.reshape(input, -1), 0, _from_front(views.reshape(indices, -1), input))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    axis = wrap_dim(dim, input.ndim)
    a, b = list(input._type.shape), list(indices._type.shape)
    a[axis], b[axis] = 1, 1
    common = list(broadcast_shapes(a, b))
    source, wanted = list(common), list(common)
    source[axis], wanted[axis] = input._type.shape[axis], indices._type.shape[axis]
    places = _from_front(indices, input, axis)
    return gather(views.expand(input, source), axis, views.expand(places, wanted))


def _from_front(indices: Tensor, input: Tensor, axis: int | None = None) -> Tensor:
    """Places counted from the front, whichever end they were counted from."""
    size = input.numel() if axis is None or not input.ndim else input._type.shape[axis]
    return apply(WRAPPED, (indices,), (size,))  # type: ignore[no-any-return]


WRAPPED = Function("wrapped", wrapped)


@operation(inplace=True, out=SAME)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *,
    include_self: bool = True,
) -> Tensor:  # fmt: skip
    """``source`` combined in at the listed places of a dimension."""
    axis = wrap_dim(dim, input.ndim)
    if not input.ndim:
        index, source = views.reshape(index, -1), views.reshape(source, -1)
        one = views.reshape(input, 1)
        made = index_reduce(one, 0, index, source, reduce, include_self=include_self)
        return views.reshape(made, ())
    shape = [1] * input.ndim
    shape[axis] = -1
    spread = views.expand(views.reshape(index, shape), source._type.shape)
    return scatter_reduce(input, dim, spread, source, reduce, include_self=include_self)


def _masked_scatter(x: Node, mask: Node, source: Node) -> Node:
    """Each place where the mask holds takes the element whose number is that of such places
    before it."""
    shape = broadcast_shapes(x.shape, mask.shape)
    chosen = flatten(broadcast_to(mask, shape))
    before = ew.sub(cumsum(ew.cast(chosen, dt.int64), 0), ew.cast(chosen, dt.int64))
    last = ew.full_like(before, source.type.size - 1)
    values = places.gather(flatten(source), ew.minimum(before, last))
    return reshape(ew.where(chosen, values, flatten(broadcast_to(x, shape))), shape)


MASKED_SCATTER = Function("masked_scatter", _masked_scatter)


@operation(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements of ``source`` in order, where the mask holds; computes the mask
    where that may hold more often than ``source`` has elements."""
    if input.dtype is not source.dtype:
        raise RuntimeError(
            "masked_scatter_: expected self and source to have same dtypes but got "
            f"{type_name(input.dtype)} and {type_name(source.dtype)}"
        )
    if mask.dtype is not dt.bool_:
        raise RuntimeError(
            "masked_scatter_ only supports boolean masks, but got mask with dtype "
            f"{type_name(mask.dtype)}"
        )
    shape = broadcast_shapes(input._type.shape, mask._type.shape)
    if source.numel() < prod(shape):
        counts = for_all_examples(mask)._array().reshape(-1, mask.numel()).sum(1)
        if counts.size and counts.max() * (prod(shape) // mask.numel()) > source.numel():
            raise RuntimeError("Number of elements of source < number of ones in mask")
    if not source.numel():
        return clone(views.expand(input, shape))
    return apply(MASKED_SCATTER, (input, mask, source))  # type: ignore[no-any-return]
