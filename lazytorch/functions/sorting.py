"""Sorting, and what is found by it: the largest, the k-th, medians, quantiles, modes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from math import nan
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops import reduction as rd
from codegen.ops import sort as order
from codegen.ops.indexing import gather
from codegen.ops.leaves import iota
from codegen.ops.movement import pad_to, permute, reshape, slice_
from lazytorch import return_types
from lazytorch.application import apply
from lazytorch.autocasting import in_float32
from lazytorch.expression import Function
from lazytorch.functions.arguments import no_positional, not_implemented, require_tensor
from lazytorch.functions.arithmetic import LERP
from lazytorch.functions.bodies import apply_one, call_function, lowest
from lazytorch.functions.indexing import flatten, needs_gradient_work
from lazytorch.functions.reductions import keep, select_gradient
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor, wrap_dim

Nodes = Sequence["Node | None"]

# ---- the whole order --------------------------------------------------------------------------


def _part(x: Node, axis: int, descending: bool, start: int, stop: int | None) -> tuple[Node, Node]:
    """Values and places of a part of the order along an axis; a 0-d value is its own order."""
    if not x.shape:
        return ew.cast(x, x.dtype), rd.full(0, (), dt.int64)
    return order.sort(x, axis, descending, start, stop)


SORT = Function(
    "sort",
    lambda x, axis, descending: _part(x, axis, descending, 0, None),
    saves_exactly=lambda *_: (~1,),
)
TOPK = Function(
    "topk",
    lambda x, axis, largest, k: _part(x, axis, largest, 0, k),
    saves_exactly=lambda *_: (~1,),
)


def _sorted(name: str, input: Tensor, dim: Any, descending: bool) -> Any:
    require_tensor(name, input)
    if isinstance(dim, bool):
        raise no_positional(name, (input, dim))
    return apply(SORT, (input,), (wrap_dim(dim, input.ndim), bool(descending)))


@operation(out="same type")
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = None) -> Any:
    """Values in order along ``dim``, and the places that they came from; ties keep their order.

    >>> torch.sort(torch.tensor([3, 1, 2]))
    torch.return_types.sort(
    values=tensor([1, 2, 3]),
    indices=tensor([1, 2, 0]))
    """
    return return_types.sort(_sorted("sort", input, dim, descending))


@operation(out=True)
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The places along ``dim`` of the values in order."""
    return _sorted("argsort", input, dim, descending)[1]  # type: ignore[no-any-return]


@operation(out="same type")
def msort(input: Tensor) -> Tensor:
    """Values in order along the first dimension."""
    return _sorted("msort", input, 0, False)[0]  # type: ignore[no-any-return]


# ---- one of the order -------------------------------------------------------------------------


def _last(x: Node, axis: int) -> Node:
    """The axis moved behind the others."""
    return permute(x, [*[i for i in range(len(x.shape)) if i != axis], axis])


def _along_last(x: Node, places: Node) -> Node:
    """The elements at places along the last axis."""
    return gather(flatten(x), order.flat_places(places, x.shape[-1]))


def _one(x: Node, axes: Shape, keepdim: bool, values: Node, places: Node) -> tuple[Node, Node]:
    """What is one along the axis, with that axis or without it."""
    shape = tuple([n for i, n in enumerate(x.shape) if i not in axes])
    found = [keep(reshape(part, shape), x.shape, axes, keepdim) for part in (values, places)]
    return found[0], found[1]


def _kth(x: Node, axes: Shape, keepdim: bool, k: int) -> tuple[Node, Node]:
    if not axes:
        return _part(x, 0, False, 0, None)
    return _one(x, axes, keepdim, *order.sort(x, axes[0], False, k - 1, k))


def _median(x: Node, axes: Shape, keepdim: bool) -> tuple[Node, Node]:
    """The lower of two middle values; the first NaN, where there is one."""
    if not axes:
        return _part(x, 0, False, 0, None)
    middle = (x.shape[axes[0]] - 1) // 2
    values, places = _one(x, axes, keepdim, *order.sort(x, axes[0], False, middle, middle + 1))
    if x.dtype.kind == "float":
        most, first = _one(x, axes, keepdim, rd.max_(x, axes), rd.argmax(x, axes[0]))
        has_nan = ew.ne(most, most)
        values, places = ew.where(has_nan, most, values), ew.where(has_nan, first, places)
    return values, places


def _numbers(x: Node) -> Node:
    """How many are not NaN along the last axis, which stays."""
    count = rd.sum_(ew.cast(ew.eq(x, x), dt.int64), (len(x.shape) - 1,))
    return reshape(count, (*count.shape, 1))


def _nanmedian(x: Node, axes: Shape, keepdim: bool) -> tuple[Node, Node]:
    """The lower of two middle values among those that are not NaN; NaN where there are none."""
    if not axes or x.dtype.kind != "float":
        return _median(x, axes, keepdim)
    last = _last(x, axes[0])
    values, places = order.sort(last, len(x.shape) - 1)
    count = _numbers(last)
    before = ew.maximum(ew.sub(count, ew.full_like(count, 1)), ew.full_like(count, 0))
    middle = ew.shift_right(before, ew.full_like(count, 1))
    return _one(x, axes, keepdim, _along_last(values, middle), _along_last(places, middle))


def _mode(x: Node, axes: Shape, keepdim: bool) -> tuple[Node, Node]:
    """The smallest of the most frequent values, and where it stands last."""
    if not axes:
        return _part(x, 0, False, 0, None)
    last = _last(x, axes[0])
    rank, n = len(x.shape) - 1, x.shape[axes[0]]
    values, places = order.sort(last, rank)
    number = rd.broadcast(iota(n), last.shape, (rank,))
    # Where the run of equal values that each is in began.
    size, none, unit = (*last.shape[:-1], n - 1), (0,) * rank, (1,) * (rank + 1)
    after, ahead = [slice_(values, (*none, i), size, unit) for i in (1, 0)]
    here = slice_(number, (*none, 1), size, unit)
    begins = ew.where(ew.ne(after, ahead), here, ew.full_like(here, 0))
    begin = rd.cummax(pad_to(begins, last.shape, (*none, 1), unit), rank)
    longest = rd.argmax(ew.sub(number, begin), rank)
    chosen = reshape(longest, (*last.shape[:-1], 1))
    return _one(x, axes, keepdim, _along_last(values, chosen), _along_last(places, chosen))


KTHVALUE = Function(
    "kthvalue",
    _kth,
    lambda inputs, outputs, cotangents, axes, keepdim, _k: select_gradient(
        inputs, outputs, cotangents, axes, keepdim
    ),
    saves=lambda *_: (~1,),
)
MEDIAN_DIM = Function(
    "median_dim", _median, select_gradient, "MedianBackward1", saves=lambda *_: (~1,)
)
NANMEDIAN_DIM = Function(
    "nanmedian_dim", _nanmedian, select_gradient, "NanmedianBackward1", saves=lambda *_: (~1,)
)
MODE = Function("mode", _mode, select_gradient, saves=lambda *_: (~1,))


def _shared_gradient(inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes) -> Nodes:
    """Shared evenly by the elements that equal the result."""
    (x,), (out,), (g,) = inputs, outputs, cotangents
    if g is None:
        return [None]
    value = rd.broadcast(out, x.shape, ())
    chosen = ew.or_(ew.eq(x, value), ew.and_(ew.ne(x, x), ew.ne(value, value)))
    ties = rd.sum_(ew.cast(chosen, g.dtype), range(len(x.shape)))
    share = rd.broadcast(ew.div(g, ties), x.shape, ())
    return [ew.where(chosen, share, ew.full_like(x, 0))]


def _of_all(along: Callable[[Node, Shape, bool], tuple[Node, Node]]) -> Callable[[Node], Node]:
    def body(x: Node) -> Node:
        if x.type.size:
            return along(flatten(x), (0,), False)[0]
        # PyTorch fills in NaN, which as an integer is the lowest of 32 bits or more.
        wide = x.dtype in (dt.int32, dt.int64)
        nothing = lowest(x.dtype) if wide else 0 if x.dtype.kind == "int" else nan
        return rd.full(nothing, (), x.dtype)

    return body


MEDIAN = Function("median", _of_all(_median), _shared_gradient)
NANMEDIAN = Function("nanmedian", _of_all(_nanmedian), _shared_gradient)


def _axes(name: str, input: Tensor, dim: int) -> Shape:
    """The dimension, which must not be empty; none of a 0-d tensor."""
    require_tensor(name, input)
    axis = wrap_dim(dim, input.ndim)
    if not input.ndim:
        return ()
    if not input._type.shape[axis]:
        raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
    return (axis,)


def _integer(name: str, k: Any) -> int:
    if isinstance(k, float):
        raise TypeError(f"{name}(): argument 'k' (position 2) must be int, not float")
    return operator.index(k)


@operation(out="same type")
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The ``k`` largest (or smallest) values along ``dim``, in order, and their places."""
    require_tensor("topk", input)
    k, axis = _integer("topk", k), wrap_dim(dim, input.ndim)
    if not 0 <= k <= (input._type.shape[axis] if input.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if input.dtype is dt.bool_:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    return return_types.topk(apply(TOPK, (input,), (axis, bool(largest), k)))


@operation(out="output values must be of same type as input")
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The ``k``-th smallest value along ``dim``, counted from 1, and its place."""
    axes = _axes("kthvalue", input, dim)
    k = _integer("kthvalue", k)
    if not 1 <= k <= (input._type.shape[axes[0]] if axes else 1):
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {axes[0] if axes else 0}"
        )
    if input.dtype is dt.bool_ and axes:
        raise not_implemented("kthvalue_cpu", input.dtype)
    return return_types.kthvalue(apply(KTHVALUE, (input,), (axes, bool(keepdim), k)))


def _middle(
    name: str, whole: Function, along: Function, pair: Any, input: Tensor, dim: int | None,
    keepdim: bool,
) -> Any:  # fmt: skip
    require_tensor(name, input)
    axes = _axes("median", input, dim) if dim is not None else ()
    if input.dtype is dt.bool_ and (dim is not None or input.numel()):
        raise not_implemented("median_cpu", input.dtype)
    if dim is None:
        return apply(whole, (input,))
    return pair(apply(along, (input,), (axes, bool(keepdim))))


@operation(out=True)
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle value, the lower of two; along ``dim`` also its place. NaN if there is any."""
    return _middle("median", MEDIAN, MEDIAN_DIM, return_types.median, input, dim, keepdim)


@operation(out=True)
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """As ``median``, of what is not NaN."""
    pair = return_types.nanmedian
    return _middle("nanmedian", NANMEDIAN, NANMEDIAN_DIM, pair, input, dim, keepdim)


@operation(out="expected scalar type '{made}' but got '{out}' for values output")
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent value along ``dim``, the smallest of such, and its last place."""
    axes = _axes("mode", input, dim)
    return return_types.mode(apply(MODE, (input,), (axes, bool(keepdim))))


# ---- quantiles --------------------------------------------------------------------------------

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    x: Node, q: Node, axis: int | None, keepdim: bool, interpolation: str, ignore_nan: bool
) -> Node:
    """Values at the ranks q (n - 1) of the order, NaN apart or not; the axis of ``q`` first."""
    last = flatten(x) if axis is None or not x.shape else _last(x, axis)
    axes = tuple(range(len(x.shape))) if axis is None else (axis,) if x.shape else ()
    n, rank = last.shape[-1], len(last.shape) - 1
    values, _ = order.sort(last, rank)
    at = (*last.shape[:-1], q.type.size)
    fraction = rd.broadcast(ew.cast(flatten(q), x.dtype), at, (rank,))
    if ignore_nan:
        count = rd.broadcast(reshape(_numbers(last), last.shape[:-1]), at, range(rank))
        ranks = ew.mul(fraction, ew.cast(ew.sub(count, ew.full_like(count, 1)), x.dtype))
        ranks = ew.maximum(ranks, ew.full_like(ranks, 0))
    else:
        most = rd.broadcast(rd.max_(last, (rank,)), at, range(rank))
        end = ew.full_like(fraction, n - 1)
        ranks = ew.where(ew.ne(most, most), end, ew.mul(fraction, end))
    rounding = {"lower": ew.floor, "higher": ew.ceil, "nearest": ew.round_}.get(interpolation)
    if rounding is not None:
        ranks = rounding(ranks)
    below = ew.cast(ranks, dt.int64)
    result = _along_last(values, below)
    if rounding is None:
        weight = ew.sub(ranks, ew.cast(below, x.dtype))
        if interpolation == "midpoint":
            weight = ew.full_like(ranks, 0.5)
        above = _along_last(values, ew.cast(ew.ceil(ranks), dt.int64))
        result = call_function(LERP, (result, above, weight))
    result = permute(result, (rank, *range(rank)))
    shape = tuple([m for i, m in enumerate(x.shape) if i not in axes])
    if keepdim:
        shape = tuple([1 if i in axes else m for i, m in enumerate(x.shape)])
    return reshape(result, (*q.shape, *shape))


QUANTILE = Function("quantile", _quantile, spares=lambda *_: (0, 1))


def _call_quantile(
    name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str,
    ignore_nan: bool,
) -> Tensor:  # fmt: skip
    require_tensor(name, input)
    if not isinstance(q, (int, float, Tensor)):
        raise no_positional(name, (input, q))
    if not input.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if isinstance(q, Tensor) and q.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if input.dtype not in (dt.float32, dt.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if isinstance(q, Tensor) and q.dtype is not input.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        q = float(q)
    elif not needs_gradient_work(q._storage.expression):
        fractions = q.detach()._array()
        if not ((fractions >= 0) & (fractions <= 1)).all():
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    axis = None if dim is None else wrap_dim(dim, input.ndim)
    attributes = (axis, bool(keepdim), interpolation, ignore_nan)
    return apply_one(QUANTILE, (input, q), attributes)


@operation(out="quantile() out tensor must be same dtype as the input tensor")
@in_float32
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """The values that fractions ``q`` (a number or a vector) lie below along ``dim``."""
    return _call_quantile("quantile", input, q, dim, keepdim, interpolation, False)


@operation(out="quantile() out tensor must be same dtype as the input tensor")
@in_float32
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """As ``quantile``, of what is not NaN."""
    return _call_quantile("nanquantile", input, q, dim, keepdim, interpolation, True)
