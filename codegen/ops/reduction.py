"""Reductions over axes, scans along one, and broadcast, the adjoint of sum."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, Shape, TensorType, make
from codegen.ops import elementwise as ew
from codegen.ops.calls import Template, call
from codegen.ops.leaves import constant, iota, parameter
from codegen.ops.movement import flip
from codegen.ops.products import (
    change_of_others,
    change_of_running,
    change_of_running_gradient,
)
from codegen.ops.registry import Array, Operation, Sample, interpreted_dtype, register

# ---- broadcast and sum --------------------------------------------------------------------


def _infer_broadcast(inputs: tuple[Node, ...], shape: Shape, axes: Shape) -> TensorType:
    (x,) = inputs
    fits = len(axes) == len(x.shape) and list(axes) == sorted(set(axes))
    if not fits or any(shape[a] != n for a, n in zip(axes, x.shape, strict=True)):
        raise ValueError(f"broadcast of {x.type} to {shape} at axes {axes}")
    return TensorType(shape, x.dtype)


def _broadcast_array(array: Array, shape: Shape, axes: Shape) -> Array:
    inner = [1] * len(shape)
    for axis, extent in zip(axes, array.shape, strict=True):
        inner[axis] = extent
    return np.broadcast_to(array.reshape(inner), shape)


def _added_axes(node: Node) -> list[int]:
    shape, axes = node.attributes
    assert isinstance(shape, tuple) and isinstance(axes, tuple)
    return [i for i in range(len(shape)) if i not in axes]


BROADCAST = register(
    Operation(
        "broadcast",
        "movement",
        _infer_broadcast,
        lambda _type, arrays, *attributes: _broadcast_array(arrays[0], *attributes),
        lambda node, g: (sum_(g, _added_axes(node)),),
        samples=(
            Sample((((3,), "float32", -1, 1),), ((2, 3, 4), (1,))),
            Sample((((), "int64", -9, 9),), ((2, 0), ())),
        ),
    )
)


def broadcast(x: Node, shape: Sequence[int], axes: Sequence[int]) -> Node:
    """Axis ``i`` of ``x`` becomes axis ``axes[i]`` of the result; along the others it repeats."""
    shape, axes = tuple(shape), tuple(axes)
    return x if shape == x.shape else make(BROADCAST, (x,), (shape, axes))


def kept_axes(rank: int, axes: Sequence[int]) -> Shape:
    """The axes of 0…rank-1 that are not in ``axes``."""
    return tuple([i for i in range(rank) if i not in axes])


def expand_back(x: Node, shape: Shape, axes: Sequence[int]) -> Node:
    """A reduction's result repeated along the axes that it was reduced over."""
    return broadcast(x, shape, kept_axes(len(shape), axes))


def _infer_reduce(inputs: tuple[Node, ...], axes: Shape) -> TensorType:
    (x,) = inputs
    if list(axes) != sorted(set(axes)) or (axes and not 0 <= axes[0] <= axes[-1] < len(x.shape)):
        raise ValueError(f"reduction of {x.type} over axes {axes}")
    return TensorType(tuple([n for i, n in enumerate(x.shape) if i not in axes]), x.dtype)


def _reference(
    function: Callable[..., Any], wide: bool = False
) -> Callable[[TensorType, Any, Shape], Array]:
    def reduce(type_: TensorType, arrays: Any, axes: Shape) -> Array:
        dtype = interpreted_dtype(type_)
        if wide and type_.dtype.kind == "float":
            return np.asarray(function(arrays[0], axis=axes, dtype=np.float64)).astype(dtype)
        return np.asarray(function(arrays[0], axis=axes)).astype(dtype)

    return reduce


_REDUCE_SAMPLES = (
    Sample((((3, 5), "float32", -2, 2),), ((1,),)),
    Sample((((3, 5), "float32", -2, 2),), ((0,),)),
    Sample((((2, 3, 4), "float64", -2, 2),), ((0, 2),)),
    Sample((((2, 70), "int64", -3, 3),), ((0, 1),)),
    Sample((((67, 5), "int32", -1, 2),), ((0,),)),
)

SUM = register(
    Operation(
        "sum",
        "reduce",
        _infer_reduce,
        _reference(np.sum, wide=True),
        lambda node, g: (expand_back(g, node.inputs[0].shape, node.attributes[0]),),  # type: ignore
        samples=(*_REDUCE_SAMPLES, Sample((((3, 0), "float32", -2, 2),), ((1,),))),
    )
)


def sum_(x: Node, axes: Sequence[int]) -> Node:
    """Sum over axes, which the result lacks; 0 over none."""
    return make(SUM, (x,), (tuple(sorted(axes)),)) if axes else x


# ---- product, maximum, minimum ------------------------------------------------------------


def _product_gradient(node: Node, g: Node) -> tuple[Node]:
    (x,) = node.inputs
    (axes,) = node.attributes
    assert isinstance(axes, tuple)
    others = call(_others(x.type, axes), (x, node), 0)
    return (ew.mul(expand_back(g, x.shape, axes), others),)


@functools.cache
def _others(type_: TensorType, axes: tuple[int, ...]) -> Template:
    """For each element the product of the others, given that of all; whose derivative divides by
    none."""
    x = parameter(0, type_)
    whole = parameter(1, _infer_reduce((x,), axes))

    def gradient(
        inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Sequence[Node | None]
    ) -> list[Node | None]:
        (direction,) = cotangents
        assert direction is not None
        return [change_of_others(inputs[0], direction, axes), None]

    made = _products_of_others(x, whole, axes)
    return Template("product_of_others", (x, whole), (made,), gradient)


def _products_of_others(x: Node, product: Node, axes: tuple[int, ...]) -> Node:
    # Of several zeros in a group each is 0; of one, that element's is the others' product.
    zero = ew.full_like(x, 0)
    is_zero = ew.eq(x, zero)
    others = prod_(ew.where(is_zero, ew.full_like(x, 1), x), axes)
    zeros = sum_(ew.cast(is_zero, x.dtype), axes)
    product, others, zeros = (expand_back(n, x.shape, axes) for n in (product, others, zeros))
    at_zero = ew.where(ew.eq(zeros, ew.full_like(x, 1)), others, zero)
    one = ew.full_like(x, 1)
    elsewhere = ew.where(ew.eq(zeros, zero), ew.div(product, ew.where(is_zero, one, x)), zero)
    return ew.where(is_zero, at_zero, elsewhere)


PROD = register(
    Operation(
        "prod",
        "reduce",
        _infer_reduce,
        _reference(np.prod, wide=True),
        _product_gradient,
        samples=_REDUCE_SAMPLES,
    )
)


def _extremum_gradient(node: Node, g: Node) -> tuple[Node]:
    """Shared evenly by the elements that tie, as in PyTorch's amax and amin."""
    (x,) = node.inputs
    (axes,) = node.attributes
    assert isinstance(axes, tuple)
    best = expand_back(node, x.shape, axes)
    # NaN is the extremum where there is one, and NaN equals nothing.
    chosen = ew.or_(ew.eq(x, best), ew.ne(x, x))
    ties = sum_(ew.cast(chosen, x.dtype), axes)
    share = expand_back(ew.div(g, ties), x.shape, axes)
    return (ew.where(chosen, share, ew.full_like(x, 0)),)


MAX = register(
    Operation(
        "max",
        "reduce",
        _infer_reduce,
        _reference(np.max),
        _extremum_gradient,
        samples=_REDUCE_SAMPLES,
    )
)
MIN = register(
    Operation(
        "min",
        "reduce",
        _infer_reduce,
        _reference(np.min),
        _extremum_gradient,
        samples=_REDUCE_SAMPLES,
    )
)


def prod_(x: Node, axes: Sequence[int]) -> Node:
    """Product over axes; 1 over none."""
    return make(PROD, (x,), (tuple(sorted(axes)),)) if axes else x


def max_(x: Node, axes: Sequence[int]) -> Node:
    """Largest over axes of non-zero extent; NaN where there is one."""
    return make(MAX, (x,), (tuple(sorted(axes)),)) if axes else x


def min_(x: Node, axes: Sequence[int]) -> Node:
    """Smallest over axes of non-zero extent; NaN where there is one."""
    return make(MIN, (x,), (tuple(sorted(axes)),)) if axes else x


# ---- positions of extremes ----------------------------------------------------------------


def _infer_position(inputs: tuple[Node, ...], axes: Shape) -> TensorType:
    if len(axes) != 1:
        raise ValueError(f"position of an extremum over axes {axes}")
    return TensorType(_infer_reduce(inputs, axes).shape, dt.int64)


def _position(function: Callable[..., Any]) -> Callable[[TensorType, Any, Shape], Array]:
    return lambda _type, arrays, axes: np.asarray(function(arrays[0], axis=axes[0])).astype(
        np.int64
    )


def _argmax_last_nan(x: Array, axis: int) -> Array:
    unknown = np.isnan(x)
    last = x.shape[axis] - 1 - np.argmax(np.flip(unknown, axis), axis=axis)
    return np.asarray(np.where(unknown.any(axis=axis), last, np.argmax(x, axis=axis)))


ARGMAX = register(
    Operation(
        "argmax",
        "reduce",
        _infer_position,
        _position(np.argmax),
        samples=_REDUCE_SAMPLES[:2],
    )
)
ARGMAX_LAST_NAN = register(
    Operation(
        "argmax_last_nan",
        "reduce",
        _infer_position,
        _position(_argmax_last_nan),
        samples=_REDUCE_SAMPLES[:2],
    )
)
ARGMIN = register(
    Operation(
        "argmin",
        "reduce",
        _infer_position,
        _position(np.argmin),
        samples=_REDUCE_SAMPLES[:2],
    )
)


def argmax(x: Node, axis: int) -> Node:
    """Position of the first largest element along an axis (the first NaN where there is one)."""
    return make(ARGMAX, (x,), ((axis,),))


def argmax_last_nan(x: Node, axis: int) -> Node:
    """As ``argmax``, but of NaN the last: so PyTorch's pooling looks for the maximum."""
    return make(ARGMAX_LAST_NAN, (x,), ((axis,),))


def argmin(x: Node, axis: int) -> Node:
    """Position of the first smallest element along an axis (the first NaN where there is one)."""
    return make(ARGMIN, (x,), ((axis,),))


def one_hot_mask(index: Node, shape: Shape, axis: int) -> Node:
    """True where the position along ``axis`` equals ``index`` (shape without that axis)."""
    places = broadcast(iota(shape[axis], index.dtype), shape, (axis,))
    return ew.eq(places, expand_back(index, shape, (axis,)))


# ---- scans --------------------------------------------------------------------------------


def _infer_scan(inputs: tuple[Node, ...], axis: int) -> TensorType:
    (x,) = inputs
    if not 0 <= axis < len(x.shape):
        raise ValueError(f"scan of {x.type} along axis {axis}")
    return x.type


def _cumsum_gradient(node: Node, g: Node) -> tuple[Node]:
    (axis,) = node.attributes
    assert isinstance(axis, int)
    return (reverse_cumsum(g, axis),)


_SCAN_SAMPLES = (
    Sample((((3, 5), "float32", -2, 2),), (1,)),
    Sample((((4, 3), "float64", -2, 2),), (0,)),
    Sample((((7,), "int64", -2, 2),), (0,)),
)

CUMSUM = register(
    Operation(
        "cumsum",
        "scan",
        _infer_scan,
        lambda type_, arrays, axis: np.cumsum(arrays[0], axis=axis).astype(
            interpreted_dtype(type_)
        ),
        _cumsum_gradient,
        samples=_SCAN_SAMPLES,
    )
)
CUMPROD = register(
    Operation(
        "cumprod",
        "scan",
        _infer_scan,
        lambda type_, arrays, axis: np.cumprod(arrays[0], axis=axis).astype(
            interpreted_dtype(type_)
        ),
        lambda node, g: (_cumprod_gradient(node, g),),
        samples=_SCAN_SAMPLES,
    )
)


def reverse_cumsum(x: Node, axis: int) -> Node:
    """Running sum along an axis from its end."""
    return flip(cumsum(flip(x, (axis,)), axis), (axis,))


def _cumprod_gradient(node: Node, g: Node) -> Node:
    (x,) = node.inputs
    (axis,) = node.attributes
    assert isinstance(axis, int)
    return call(_running_gradient(x.type, axis), (x, g, node), 0)


@functools.cache
def _running_gradient(type_: TensorType, axis: int) -> Template:
    """The gradient of a running product, given that; whose derivatives divide by no factor."""
    x, g, node = (parameter(i, TensorType(type_.shape, type_.dtype)) for i in range(3))

    def gradient(
        inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Sequence[Node | None]
    ) -> list[Node | None]:
        (x, g, _), (direction,) = inputs, cotangents
        assert direction is not None
        by_factors = change_of_running_gradient(x, g, direction, axis)
        return [by_factors, change_of_running(x, direction, axis), None]

    made = _through_running_product(x, g, node, axis)
    return Template("cumprod_gradient", (x, g, node), (made,), gradient)


def _through_running_product(x: Node, g: Node, node: Node, axis: int) -> Node:
    """Reverse sum of g * out / x up to the first 0; there, of g times the other factors; then 0."""
    zero, one = ew.full_like(x, 0), ew.full_like(x, 1)
    is_zero = ew.eq(x, zero)
    zeros = cumsum(ew.cast(is_zero, x.dtype), axis)
    first = ew.and_(is_zero, ew.eq(zeros, one))
    others = cumprod(ew.where(first, one, x), axis)
    none_yet = ew.eq(zeros, zero)
    # Products from a 0 on are 0 or, times infinity, NaN, which is none of the sums'.
    after_first = ew.where(ew.eq(zeros, one), ew.mul(g, others), zero)
    up_to_first = ew.where(none_yet, ew.mul(g, node), zero)
    at_first = reverse_cumsum(after_first, axis)
    before = ew.div(reverse_cumsum(up_to_first, axis), ew.where(is_zero, one, x))
    return ew.where(none_yet, before, ew.where(first, at_first, zero))


def _accumulated(function: Any) -> Callable[..., Array]:
    def scan(type_: TensorType, arrays: Sequence[Array], axis: int) -> Array:
        with np.errstate(all="ignore"):
            result = function.accumulate(arrays[0], axis=axis)
        return np.asarray(result).astype(interpreted_dtype(type_))

    return scan


def _logcumsumexp_gradient(node: Node, g: Node) -> tuple[Node]:
    """exp(x) times the reverse sum of g exp(-out), in logarithms, by the sign of g."""
    (x,) = node.inputs
    (axis,) = node.attributes
    assert isinstance(axis, int)
    # A finite logarithm of 0: of two infinities the second derivative would take the difference.
    nothing, zero = ew.full_like(g, -1e30), ew.full_like(g, 0)

    def part(signed: Node) -> Node:
        positive = ew.gt(signed, zero)
        logarithm = ew.where(
            positive, ew.log(ew.where(positive, signed, ew.full_like(g, 1))), nothing
        )
        turned = flip(ew.sub(logarithm, node), (axis,))
        return ew.exp(ew.add(flip(logcumsumexp(turned, axis), (axis,)), x))

    return (ew.sub(part(g), part(ew.neg(g))),)


# The gradient of a running extremum goes to the element found, which its caller knows.
CUMMAX = register(
    Operation("cummax", "scan", _infer_scan, _accumulated(np.maximum), samples=_SCAN_SAMPLES)
)
CUMMIN = register(
    Operation("cummin", "scan", _infer_scan, _accumulated(np.minimum), samples=_SCAN_SAMPLES)
)
LOGCUMSUMEXP = register(
    Operation(
        "logcumsumexp", "scan", _infer_scan, _accumulated(np.logaddexp), _logcumsumexp_gradient,
        samples=_SCAN_SAMPLES[:2],
    )
)  # fmt: skip


def cummax(x: Node, axis: int) -> Node:
    """Running maximum along an axis; NaN from the first NaN on."""
    return make(CUMMAX, (x,), (axis,))


def cummin(x: Node, axis: int) -> Node:
    """Running minimum along an axis; NaN from the first NaN on."""
    return make(CUMMIN, (x,), (axis,))


def logcumsumexp(x: Node, axis: int) -> Node:
    """Running log(sum(exp(x))) along an axis."""
    return make(LOGCUMSUMEXP, (x,), (axis,))


def cumsum(x: Node, axis: int) -> Node:
    """Running sum along an axis."""
    return make(CUMSUM, (x,), (axis,))


def cumprod(x: Node, axis: int) -> Node:
    """Running product along an axis."""
    return make(CUMPROD, (x,), (axis,))


def full(value: float, shape: Shape, dtype: dt.DType) -> Node:
    """A tensor of one number."""
    return broadcast(constant(value, dtype), shape, ())
