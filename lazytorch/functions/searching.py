"""Places in a sorted sequence, distinct values, and counts of values."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops import reduction as rd
from codegen.ops.indexing import scatter
from codegen.ops.movement import slice_
from codegen.ops.sort import insertion_places
from lazytorch.expression import Function
from lazytorch.functions import views
from lazytorch.functions.arguments import not_implemented, require_tensor
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.data import of_array
from lazytorch.functions.indexing import flatten
from lazytorch.functions.promotion import result_dtype
from lazytorch.functions.registration import operation
from lazytorch.functions.scatter import gather as gather_along
from lazytorch.functions.sorting import msort, sort
from lazytorch.levels import by_example, dynamic_shape, is_unknown, refuses_examples
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import type_name

# ---- places in a sorted sequence --------------------------------------------------------------


def _search(sequence: Node, values: Node, right: bool, dtype: dt.DType) -> Node:
    common = result_dtype((sequence, values))
    if common is dt.bool_ and values.type.size:
        raise not_implemented("searchsorted_out_cpu", common)
    sequence, values = ew.cast(sequence, common), ew.cast(values, common)
    return ew.cast(insertion_places(sequence, values, right), dtype)


SEARCHSORTED = Function("searchsorted", _search)


def _with_sorter(sequence: Tensor, sorter: Tensor) -> Tensor:
    name = "torch.searchsorted()"
    if sorter._type.shape != sequence._type.shape:
        raise RuntimeError(
            f"{name}: boundary and sorter must have the same size, but got boundary tensor "
            f"{list(sequence.shape)}and got sorter tensor {list(sorter.shape)}"
        )
    if sorter.dtype is not dt.int64:
        raise RuntimeError(
            f"{name}: sorter must be a tensor of long dtype but got dtype {type_name(sorter.dtype)}"
        )
    if is_unknown(sorter._read()):
        return gather_along(sequence, -1, sorter)
    places = sorter._array()
    if places.size and not (places.min() >= 0 and places.max() < sequence._type.shape[-1]):
        raise RuntimeError(f"{name}: sorter index out of range")
    return gather_along(sequence, -1, sorter)


_WRONG_OUT = (
    "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64)"
    " depending on whether out_int32 flag is True"
)


@operation(
    method=False,
    out=_WRONG_OUT,
)
def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False,
    side: str | None = None, sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where each value would go into a sequence sorted along its last dimension, so that it stays
    sorted: before equal elements, or behind them if ``right``."""
    name = "torch.searchsorted()"
    require_tensor("searchsorted", sorted_sequence, "sorted_sequence")
    rank = sorted_sequence.ndim
    shape = input._type.shape if isinstance(input, Tensor) else ()
    if side is not None:
        if side not in ("left", "right"):
            raise RuntimeError(f"{name}: side can only be 'left' or 'right' but got {side}")
        if right and side == "left":
            raise RuntimeError(
                f"{name}: side and right can't be set to opposites, got side of left while right "
                "was True"
            )
        right = side == "right"
    if not rank:
        raise RuntimeError(
            f"{name}: boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if rank > 1 and not shape:
        raise RuntimeError(
            f"{name}: input value can be a scalar only when boundaries tensor dimension is 1, but "
            f"we got boundaries tensor dim({rank}) and input value's dim(0) numel(1)"
        )
    if rank > 1 and sorted_sequence._type.shape[:-1] != shape[:-1]:
        raise RuntimeError(
            f"{name}: boundaries tensor should be 1 dimension or the first N-1 dimensions of "
            "boundaries tensor and input value tensor must match, but we got boundaries tensor "
            f"{list(sorted_sequence.shape)} and input value tensor {list(shape)}"
        )
    if sorter is not None:
        sorted_sequence = _with_sorter(sorted_sequence, sorter)
    dtype = dt.int32 if out_int32 else dt.int64
    return apply_one(SEARCHSORTED, (sorted_sequence, input), (bool(right), dtype))


@operation(
    method=False,
    out=_WRONG_OUT,
)
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """The number of the bucket between sorted ``boundaries`` that each value falls into."""
    require_tensor("bucketize", boundaries, "boundaries", 2)
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    dtype = dt.int32 if out_int32 else dt.int64
    return apply_one(SEARCHSORTED, (boundaries, input), (bool(right), dtype))


# ---- distinct values --------------------------------------------------------------------------
# How many there are decides the shape, so the input is computed, and the rest in NumPy.


def _is_first(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the rows differ from the row before; NaN differs from everything."""
    first = np.ones(len(array), np.bool_)
    differs = array[1:] != array[:-1]
    first[1:] = differs if array.ndim == 1 else differs.any(1)
    return first


def _runs(
    input: Tensor, rows: NDArray[Any], places: NDArray[Any] | None, inverse: bool, counts: bool
) -> tuple[NDArray[Any], list[Tensor]]:
    """The first row of each run of equal rows; and, where asked for, the number of each row's run
    (at ``places``, where they were moved) and the lengths of the runs."""
    first = _is_first(rows)
    extra = []
    if inverse:
        numbers = np.cumsum(first) - 1
        if places is not None:
            moved = np.empty_like(numbers)
            moved[places] = numbers
            numbers = moved
        extra.append(of_array(numbers, dt.int64, input._storage.device))
    if counts:
        begins = np.flatnonzero(first)
        lengths = np.full_like(begins, len(rows))
        lengths[:-1] = begins[1:]
        lengths -= begins
        extra.append(of_array(lengths, dt.int64, input._storage.device))
    return rows[first], extra


def _result(distinct: Tensor, extra: list[Tensor]) -> Any:
    return (distinct, *extra) if extra else distinct


def _whole(input: Tensor, rows: Tensor, places: Tensor | None, inverse: bool, counts: bool) -> Any:
    """Distinct elements of the flattened input."""
    found, extra = _runs(
        input, rows._float_array(), None if places is None else places._array(), inverse, counts
    )
    if inverse:
        extra[0] = views.reshape(extra[0], input._type.shape)
    return _result(of_array(found, input.dtype, input._storage.device), extra)


def _along(input: Tensor, dim: int, ordered: bool, inverse: bool, counts: bool) -> Any:
    """Distinct parts along a dimension: neighbours only, or all in lexicographic order."""
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    axis = wrap_dim(dim, input.ndim)
    shape = input._type.shape
    if not input.numel() and (shape[axis] or 0 in shape[:axis] + shape[axis + 1 :]):
        raise RuntimeError(
            "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
        )
    moved = np.moveaxis(input.detach()._float_array(), axis, 0)
    rows = moved.reshape(len(moved), int(np.prod(moved.shape[1:])))
    places = np.lexsort(rows.T[::-1]) if ordered and len(rows) else None
    found, extra = _runs(input, rows if places is None else rows[places], places, inverse, counts)
    parts = np.moveaxis(found.reshape(len(found), *moved.shape[1:]), 0, axis)
    return _result(of_array(np.ascontiguousarray(parts), input.dtype, input._storage.device), extra)


@operation()
@refuses_examples(dynamic_shape("_unique2"))
def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """The distinct values in order, or parts along ``dim``; computes the input."""
    require_tensor("unique", input)
    if dim is not None:
        return _along(input, dim, True, return_inverse, return_counts)
    flat = views.reshape(input.detach(), -1)
    values, places = sort(flat) if return_inverse else (msort(flat), None)
    return _whole(input, values, places, return_inverse, return_counts)


@operation()
@refuses_examples(dynamic_shape("unique_consecutive"))
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """The values, or parts along ``dim``, that differ from those before; computes the input."""
    require_tensor("unique_consecutive", input)
    if dim is not None:
        return _along(input, dim, False, return_inverse, return_counts)
    flat = views.reshape(input.detach(), -1)
    return _whole(input, flat, None, return_inverse, return_counts)


# ---- counts -----------------------------------------------------------------------------------


def _counted(places: Node, weights: Node, size: int) -> Node:
    """The weights of each of ``size`` places added up."""
    return scatter(rd.full(0, (size,), weights.dtype), places, weights, "add")


def _bincount(x: Node, *rest: Any) -> Node:
    *weights, size = rest
    places = ew.cast(x, dt.int64)
    return _counted(places, weights[0] if weights else ew.full_like(places, 1), size)


def _histogram(x: Node, low: Node, high: Node, bins: int) -> Node:
    """Counts in ``bins`` equal intervals, each without its end but the last."""
    x = flatten(x)
    low, high = [rd.broadcast(ew.cast(end, x.dtype), x.shape, ()) for end in (low, high)]
    scaled = ew.mul(ew.sub(x, low), ew.full_like(x, bins))
    place = ew.cast(ew.div(scaled, ew.sub(high, low)), dt.int64)
    place = ew.minimum(place, ew.full_like(place, bins - 1))
    # What is outside is counted in one more place, and left out.
    inside = ew.and_(ew.ge(x, low), ew.le(x, high))
    place = ew.where(inside, place, ew.full_like(place, bins))
    counts = slice_(_counted(place, ew.full_like(place, 1), bins + 1), (0,), (bins,), (1,))
    return ew.cast(counts, x.dtype)


BINCOUNT = Function("bincount", _bincount)
HISTC = Function("histc", _histogram)


@operation()
@by_example
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often (or with what total weight) each number from 0 on occurs; computes the input."""
    require_tensor("bincount", input)
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if input.dtype.kind != "int":
        raise not_implemented("bincount_cpu", input.dtype)
    if input.ndim == 1 and not input.numel():
        return apply_one(BINCOUNT, (input,), (int(minlength),))
    numbers = input._array()
    if input.ndim != 1 or numbers.min() < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    size = max(int(numbers.max()) + 1, int(minlength))
    if weights is None:
        return apply_one(BINCOUNT, (input,), (size,))
    if weights._type.shape != input._type.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    weights = weights.detach()
    if weights.dtype is not dt.float32:
        weights = weights.to(dt.float64)
    return apply_one(BINCOUNT, (input, weights), (size,))


@operation(out=True)
@by_example
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Counts in ``bins`` equal intervals from ``min`` to ``max``; of equal ends, those of the
    input, which is computed."""
    require_tensor("histc", input)
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    if input.dtype.kind != "float":
        raise not_implemented("histogram_cpu", input.dtype)
    low, high = float(min), float(max)
    if low == high and input.numel():
        array = input.detach()._float_array()
        low, high = float(array.min()), float(array.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (isfinite(low) and isfinite(high)):
        raise RuntimeError(f"torch.histc: range of [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")
    return apply_one(HISTC, (input.detach(), low, high), (int(bins),))
