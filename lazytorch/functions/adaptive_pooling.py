"""Adaptive pooling: the mean or maximum of each cell of an even grid."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather
from codegen.ops.leaves import iota
from codegen.ops.movement import reshape
from codegen.ops.reduction import argmax_last_nan, broadcast, max_, sum_
from lazytorch.application import apply
from lazytorch.autocasting import in_float32
from lazytorch.expression import Function
from lazytorch.functions.bodies import Sizes, apply_one, mean_over, merge_axes, need_float
from lazytorch.functions.contraction import contract
from lazytorch.functions.pooling import give_to_places, max_pooled
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor


def _bounds(n: int, outputs: int) -> tuple[list[int], list[int]]:
    """Where each output's stretch of the input begins and ends."""
    starts = [o * n // outputs for o in range(outputs)]
    stops = [-(-(o + 1) * n // outputs) for o in range(outputs)]
    return starts, stops


def _edges(n: int, outputs: int) -> tuple[Node, Node]:
    """``_bounds`` as nodes of [outputs]."""
    o = iota(outputs)
    size, count, one = ew.full_like(o, n), ew.full_like(o, outputs), ew.full_like(o, 1)
    start = ew.floor_divide(ew.mul(o, size), count)
    stop = ew.neg(ew.floor_divide(ew.neg(ew.mul(ew.add(o, one), size)), count))
    return start, stop


def _membership(n: int, outputs: int) -> Node:
    """[output, input]: whether the input belongs to the output's stretch."""
    shape = (outputs, n)
    start, stop = [broadcast(edge, shape, (0,)) for edge in _edges(n, outputs)]
    i = broadcast(iota(n), shape, (1,))
    return ew.and_(ew.ge(i, start), ew.lt(i, stop))


def _adaptive_avg(x: Node, sizes: Sizes) -> Node:
    need_float(x, "adaptive_avg_pool2d")
    first = len(x.shape) - len(sizes)
    if all(n % o == 0 for n, o in zip(x.shape[first:], sizes, strict=True)):
        shape = list(x.shape[:first])
        axes = []
        for n, o in zip(x.shape[first:], sizes, strict=True):
            axes.append(len(shape) + 1)
            shape += [o, n // o]
        return mean_over(reshape(x, shape), axes)
    for i, o in enumerate(sizes):
        axis, n = first + i, x.shape[first + i]
        member = ew.cast(_membership(n, o), x.dtype)
        lengths = broadcast(sum_(member, (1,)), (o, n), (0,))
        labels = list(range(len(x.shape)))
        out: list[Any] = ["o" if j == axis else j for j in labels]
        x = contract(x, ew.div(member, lengths), labels, ("o", axis), out)
    return x


def _adaptive_places(inputs: Sizes, sizes: Sizes) -> Node:
    """[outputs…, taps…]: which element of the flat plane each tap of each output is. Outputs of
    fewer taps than the longest repeat their last."""
    rank = len(sizes)
    bounds = [_bounds(n, o) for n, o in zip(inputs, sizes, strict=True)]
    taps = [max([b - a for a, b in zip(*each, strict=True)], default=1) for each in bounds]
    shape = (*sizes, *taps)
    place: Node | None = None
    for i, (n, o) in enumerate(zip(inputs, sizes, strict=True)):
        start, stop = [broadcast(edge, shape, (i,)) for edge in _edges(n, o)]
        at = ew.add(start, broadcast(iota(taps[i]), shape, (rank + i,)))
        at = ew.minimum(at, ew.sub(stop, ew.full_like(stop, 1)))
        place = at if place is None else ew.add(ew.mul(place, ew.full_like(place, n)), at)
    assert place is not None
    return merge_axes(place, rank)


def _adaptive_max(x: Node, sizes: Sizes) -> tuple[Node, Node]:
    """The maxima, and where each stands in its plane."""
    first = len(x.shape) - len(sizes)
    inputs = x.shape[first:]
    places = _adaptive_places(inputs, sizes)
    shape = (*x.shape[:first], *places.shape)
    index = broadcast(places, shape, tuple(range(first, len(shape))))
    seen = gather(reshape(x, (*x.shape[:first], prod(inputs))), index, first)
    axis = len(shape) - 1
    tap = argmax_last_nan(seen, axis)
    outputs = prod(sizes)
    own = reshape(iota(outputs), sizes)
    steps = ew.mul(own, ew.full_like(own, places.shape[-1]))
    at = ew.add(broadcast(steps, tap.shape, tuple(range(first, axis))), tap)
    return max_(seen, (axis,)), gather(reshape(places, (places.type.size,)), at)


def _adaptive_max_rule(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None],
    sizes: Sizes,
) -> Sequence[Node | None]:  # fmt: skip
    (x,), g = inputs, cotangents[0]
    if g is None:
        return (None,)
    return (give_to_places(g, outputs[1], x.shape[len(x.shape) - len(sizes) :]),)


ADAPTIVE_AVG = Function(
    "adaptive_avg_pool", _adaptive_avg, gradient_name="AdaptiveAvgPool2DBackward0",
    saves_inputs=True, saves=lambda *_: (0,),
)  # fmt: skip
ADAPTIVE_MAX = Function(
    "adaptive_max_pool", _adaptive_max, _adaptive_max_rule,
    gradient_name="AdaptiveMaxPool2DBackward0", saves_inputs=True, saves=lambda *_: (0,),
)  # fmt: skip


def _adaptive_sizes(x: Tensor, output_size: Any, rank: int, function: str) -> Sizes:
    shape = x._type.shape
    given = output_size if isinstance(output_size, (tuple, list)) else ()
    if len(shape) <= len(given) and rank > 1:
        raise ValueError(f"Input dimension should be at least {len(given) + 1}")
    if len(given) not in (0, 1, rank) or (not given and isinstance(output_size, (tuple, list))):
        if rank == 1:
            raise RuntimeError(f"{function}() argument 'output_size' should contain one int (got "
                               f"{len(given)})")  # fmt: skip
        inner = "internal error: " if "max" in function else ""
        if not inner:
            raise RuntimeError(f"{function}: output_size must be {rank}")
        raise RuntimeError(f"{function}(): {inner}output_size.size() must be {rank}")
    if len(shape) not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"{function}(): Expected {rank + 1}D or {rank + 2}D tensor, but got {list(shape)}"
        )
    one = output_size is None or isinstance(output_size, int)
    given = (output_size,) * rank if one else tuple(output_size)
    first = len(shape) - rank
    if len(given) == 1:
        given = given * rank
    sizes = tuple([shape[first + i] if o is None else int(o) for i, o in enumerate(given)])
    if sizes and min(sizes) < 0:
        wanted = ", ".join(map(str, sizes))
        raise RuntimeError(
            f"{function}: elements of output_size must be greater than or equal to 0 but received "
            f"{{{wanted}}}"
            if "avg" in function
            else f"Trying to create tensor with negative dimension {min(sizes)}: "
            f"{[*shape[:first], *sizes]}"
        )
    return sizes


def _adaptive_max_pooled(x: Tensor, output_size: Any, indices: bool, rank: int) -> Any:
    sizes = _adaptive_sizes(x, output_size, rank, f"adaptive_max_pool{rank}d")
    inputs = x._type.shape[x.dim() - rank :]
    if all(o and n and n % o == 0 for n, o in zip(inputs, sizes, strict=True)):
        kernel = tuple([n // o for n, o in zip(inputs, sizes, strict=True)])
        return max_pooled(x, kernel, None, 0, 1, False, indices, rank)
    values, places = apply(ADAPTIVE_MAX, (x,), (sizes,))
    return (values, places) if indices else values


@operation(method=False)
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The means of ``output_size`` even stretches."""
    sizes = _adaptive_sizes(input, output_size, 1, "adaptive_avg_pool1d")
    return apply_one(ADAPTIVE_AVG, (input,), (sizes,))


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of an even grid of ``output_size`` cells."""
    sizes = _adaptive_sizes(input, output_size, 2, "adaptive_avg_pool2d")
    return apply_one(ADAPTIVE_AVG, (input,), (sizes,))


@in_float32
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The means of an even grid of ``output_size`` cells."""
    sizes = _adaptive_sizes(input, output_size, 3, "adaptive_avg_pool3d")
    return apply_one(ADAPTIVE_AVG, (input,), (sizes,))


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of ``output_size`` even stretches."""
    return _adaptive_max_pooled(input, output_size, return_indices, 1)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of an even grid of ``output_size`` cells."""
    return _adaptive_max_pooled(input, output_size, return_indices, 2)


@in_float32
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of an even grid of ``output_size`` cells."""
    return _adaptive_max_pooled(input, output_size, return_indices, 3)
