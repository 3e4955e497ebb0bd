"""segment_reduce: runs of neighbours along one dimension, each reduced to one element."""

from __future__ import annotations

from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops.indexing import scatter
from codegen.ops.leaves import iota
from codegen.ops.movement import slice_
from codegen.ops.reduction import broadcast, sum_
from lazytorch.application import apply
from lazytorch.expression import Function
from lazytorch.functions.arguments import not_implemented, require_tensor
from lazytorch.functions.registration import operation
from lazytorch.levels import for_all_examples
from lazytorch.tensor import Tensor

_START = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf")}
_MODES = {"sum": "add", "mean": "add", "prod": "mul", "max": "max", "min": "min"}


def _places(ends: Node, length: int) -> Node:
    """(…, segments) ends -> (…, length): the number of the segment that each element is in."""
    *batch, count = ends.shape
    rank = len(batch)
    wide = (*batch, length, count)
    beyond = ew.ge(
        broadcast(ew.cast(iota(length), ends.dtype), wide, (rank,)),
        broadcast(ends, wide, (*range(rank), rank + 1)),
    )
    return sum_(ew.cast(beyond, dt.int64), (rank + 1,))


def _segment_reduce(data: Node, ends: Node, initial: Node, reduce: str, given: bool) -> Node:
    """data (*batch, length, *rest), ends (*batch, segments): where each segment stops."""
    axis = len(ends.shape) - 1
    segments, length = ends.shape[-1], data.shape[axis]
    places = _places(ends, length)
    # What is behind the last end is in one more segment, which is left out.
    shape: Shape = (*data.shape[:axis], segments + 1, *data.shape[axis + 1 :])
    start = broadcast(ew.cast(initial, data.dtype), shape, ())
    kept = tuple(range(axis + 1))
    at = broadcast(places, data.shape, kept)
    made = scatter(start, at, data, _MODES[reduce], axis)
    if reduce != "mean":
        return _without_rest(made, axis)
    none = ew.full_like(start, 0)
    count = scatter(none, at, ew.full_like(data, 1), "add", axis)
    empty = ew.eq(count, none)
    safe = ew.where(empty, ew.full_like(count, 1), count)
    of_none = start if given else ew.full_like(start, float("nan"))
    return _without_rest(ew.where(empty, of_none, ew.div(made, safe)), axis)


def _without_rest(x: Node, axis: int) -> Node:
    sizes = (*x.shape[:axis], x.shape[axis] - 1, *x.shape[axis + 1 :])
    return slice_(x, [0] * len(sizes), sizes, [1] * len(sizes))


SEGMENT_REDUCE = Function("segment_reduce", _segment_reduce)


@operation(method=False)
def segment_reduce(
    data: Tensor, reduce: str, *, lengths: Tensor | None = None, indices: Tensor | None = None,
    offsets: Tensor | None = None, axis: int = 0, unsafe: bool = False, initial: Any = None,
) -> Tensor:  # fmt: skip
    """Each run of neighbours along ``axis`` as its sum, mean, max, min or prod.

    ``lengths`` (…, segments), of the sizes of the dimensions before ``axis``; or ``offsets``, one
    more, where the runs begin and the last ends. ``initial`` enters every reduction. Floats alone;
    looks at the lengths unless ``unsafe``.

    >>> torch.segment_reduce(torch.tensor([1.0, 2.0, 3.0]), "sum", lengths=torch.tensor([1, 2]))
    tensor([1., 5.])
    """
    require_tensor("segment_reduce", data)
    if reduce not in _START:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if data.dtype.kind != "float":
        raise not_implemented("_segment_reduce_cpu", data.dtype)
    if offsets is not None and lengths is None:
        lengths = offsets.diff()
        ends = offsets.narrow(-1, 1, offsets.shape[-1] - 1)
    else:
        assert lengths is not None
        ends = lengths.cumsum(-1)
        if not unsafe:
            _check_lengths(lengths, data.shape[lengths.ndim - 1])
    start = _START[reduce] if initial is None else float(initial)
    made: Tensor = apply(SEGMENT_REDUCE, (data, ends, start), (reduce, initial is not None))
    return made


def _check_lengths(lengths: Tensor, size: int) -> None:
    array = for_all_examples(lengths.detach())._array()
    if (array < 0).any():
        raise RuntimeError("lengths contains negative value!")
    if (array.sum(-1) != size).any():
        raise RuntimeError(
            "segment_reduce(): Expected all rows of lengths along axis to sum to "
            "data.size(lengths.dim()-1) when !unsafe."
        )
