"""Sums, means, spreads and extremes over dimensions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node, Shape
from codegen.ops import complex_numbers as cn
from codegen.ops import elementwise as ew
from codegen.ops import reduction as rd
from codegen.ops.movement import reshape
from lazytorch import return_types
from lazytorch.application import apply
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import accumulation_type, apply_one, call_function, with_rule
from lazytorch.functions.promotion import as_float
from lazytorch.functions.registration import INPUT_TYPE, PUBLIC, SAME_OF_SEVERAL, operation
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import type_name

Dims = Any  # an int, a sequence of them, or None for all


# ---- dimensions -------------------------------------------------------------------------------


def reduced_axes(dim: Dims, rank: int, empty_is_all: bool = True) -> Shape:
    """The axes that ``dim`` names, sorted; IndexError or RuntimeError as PyTorch's."""
    if rank > 64:
        raise RuntimeError("only tensors with up to 64 dims are supported")
    if dim is None:
        return tuple(range(rank))
    if isinstance(dim, int):
        axis = wrap_dim(dim, rank)
        return (axis,) if rank else ()
    if not len(dim):
        return tuple(range(rank)) if empty_is_all else ()
    axes = [wrap_dim(int(d), rank) for d in dim]
    for axis in axes:
        if axes.count(axis) > 1:
            raise RuntimeError(f"dim {axis} appears multiple times in the list of dims")
    return tuple(sorted(axes)) if rank else ()


def keep(x: Node, shape: Shape, axes: Shape, keepdim: bool) -> Node:
    """A reduction's result with its axes back as units, where asked for."""
    if not keepdim:
        return x
    return reshape(x, tuple([1 if i in axes else n for i, n in enumerate(shape)]))


def unkeep(x: Node, shape: Shape, axes: Shape) -> Node:
    """A (kept or unkept) result repeated over the axes it was reduced over."""
    bare = reshape(x, tuple([n for i, n in enumerate(shape) if i not in axes]))
    return rd.expand_back(bare, shape, axes)


def extent(shape: Shape, axes: Shape) -> int:
    """How many elements each result is made of."""
    return math.prod([shape[a] for a in axes])


def summed(x: Node, axes: Shape) -> Node:
    """Sum over axes, half types accumulated in float32."""
    return ew.cast(rd.sum_(ew.cast(x, accumulation_type(x.dtype)), axes), x.dtype)


# ---- sums and products ------------------------------------------------------------------------


def _widened(x: Node, dtype: DType | None) -> Node:
    if dtype is None:
        dtype = x.dtype if x.dtype.differentiable else dt.int64
    return ew.cast(x, dtype)


def _sum(x: Node, axes: Shape, keepdim: bool, dtype: DType | None) -> Node:
    return keep(summed(_widened(x, dtype), axes), x.shape, axes, keepdim)


def _without_nan(x: Node) -> Node:
    if not x.dtype.differentiable:
        return x

    def kept(x: Node) -> Node:
        return ew.where(ew.eq(x, x), x, ew.full_like(x, 0))

    def times_known(g: Node, x: Node) -> Sequence[Node]:
        """0 times the cotangent where x is NaN: the mean of NaN alone has 1 / 0."""
        return (ew.mul(g, ew.cast(ew.eq(x, x), g.dtype)),)

    return with_rule(kept, times_known, x)


def _nansum(x: Node, axes: Shape, keepdim: bool, dtype: DType | None) -> Node:
    return _sum(_without_nan(x), axes, keepdim, dtype)


def _prod(x: Node, axes: Shape, keepdim: bool, dtype: DType | None) -> Node:
    wide = _widened(x, dtype)
    product = rd.prod_(ew.cast(wide, accumulation_type(wide.dtype)), axes)
    return keep(ew.cast(product, wide.dtype), x.shape, axes, keepdim)


def divided(total: Node, count: float) -> Node:
    """A node divided by a number that the shape fixes."""
    return ew.div(total, ew.full_like(total, count))


def _require_float(name: str, input: Tensor, dtype: DType | None) -> None:
    wanted = dtype or input.dtype
    if not wanted.differentiable:
        which = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"{name}(): could not infer output dtype. {which} dtype must be either a floating "
            f"point or complex dtype. Got: {type_name(wanted)}"
        )


def mean_node(x: Node, axes: Shape) -> Node:
    """Mean of a floating-point node over axes, half types accumulated in float32."""
    total = rd.sum_(ew.cast(x, accumulation_type(x.dtype)), axes)
    return ew.cast(divided(total, extent(x.shape, axes)), x.dtype)


def _mean(x: Node, axes: Shape, keepdim: bool, dtype: DType | None) -> Node:
    return keep(mean_node(ew.cast(x, dtype or x.dtype), axes), x.shape, axes, keepdim)


def _nanmean(x: Node, axes: Shape, keepdim: bool, dtype: DType | None) -> Node:
    x = ew.cast(x, dtype or x.dtype)
    count = rd.sum_(ew.cast(ew.eq(x, x), accumulation_type(x.dtype)), axes)
    total = rd.sum_(ew.cast(_without_nan(x), accumulation_type(x.dtype)), axes)
    return keep(ew.cast(ew.div(total, count), x.dtype), x.shape, axes, keepdim)


SUM = Function("sum", _sum)
SUM_DIM = Function("sum_dim", _sum, gradient_name="SumBackward1")
PROD = Function("prod", _prod, saves=lambda *_: (0, ~0))
PROD_DIM = Function("prod_dim", _prod, gradient_name="ProdBackward1", saves=lambda *_: (0, ~0))
MEAN = Function("mean", _mean)
MEAN_DIM = Function("mean_dim", _mean, gradient_name="MeanBackward1")
NANSUM = Function("nansum", _nansum)
NANMEAN = Function("nanmean", _nanmean)


@operation(out=True)
def sum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """Sum over ``dim`` (all by default); integers and bools add up in int64.

    >>> torch.sum(torch.tensor([[1, 2], [3, 4]]), 0)
    tensor([4, 6])
    """
    require_tensor("sum", input)
    axes = reduced_axes(dim, input.ndim)
    return apply_one(SUM if dim is None else SUM_DIM, (input,), (axes, bool(keepdim), dtype))


@operation(out=True)
def nansum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """Sum over ``dim``, NaN counted as 0."""
    require_tensor("nansum", input)
    return apply_one(NANSUM, (input,), (reduced_axes(dim, input.ndim), bool(keepdim), dtype))


@operation(out=True)
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """Product over ``dim`` (all by default); integers and bools multiply in int64."""
    require_tensor("prod", input)
    axes = reduced_axes(dim, input.ndim)
    return apply_one(PROD if dim is None else PROD_DIM, (input,), (axes, bool(keepdim), dtype))


@operation(out=True)
def mean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """Mean over ``dim`` (all by default) of a floating-point tensor."""
    require_tensor("mean", input)
    _require_float("mean", input, dtype)
    axes = reduced_axes(dim, input.ndim)
    return apply_one(MEAN if dim is None else MEAN_DIM, (input,), (axes, bool(keepdim), dtype))


@operation(out=True)
def nanmean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """Mean over ``dim`` of the elements that are not NaN."""
    require_tensor("nanmean", input)
    if not input.dtype.differentiable:
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{type_name(input.dtype)}"
        )
    return apply_one(NANMEAN, (input,), (reduced_axes(dim, input.ndim), bool(keepdim), dtype))


# ---- variance and standard deviation ----------------------------------------------------------


def _deviations(x: Node, axes: Shape) -> Node:
    wide = ew.cast(x, accumulation_type(x.dtype))
    average = divided(rd.sum_(wide, axes), extent(x.shape, axes))
    return ew.sub(wide, rd.expand_back(average, x.shape, axes))


def _degrees(x: Node, axes: Shape, correction: float) -> float:
    degrees = extent(x.shape, axes) - correction
    return degrees if degrees > 0 else 0.0


def _spread(x: Node, axes: Shape, keepdim: bool, correction: float, root: bool) -> Node:
    if x.dtype.is_complex:
        attributes = (axes, keepdim, correction, False)
        parts = [call_function(VAR, (part,), attributes) for part in cn.parts(x)]
        total = ew.add(*parts)
        return ew.sqrt(total) if root else total
    centered = _deviations(x, axes)
    variance = divided(rd.sum_(ew.mul(centered, centered), axes), _degrees(x, axes, correction))
    result = ew.sqrt(variance) if root else variance
    return keep(ew.cast(result, x.dtype), x.shape, axes, keepdim)


def _spread_gradient(
    x: Node, out: Node, g: Node, axes: Shape, correction: float, root: bool
) -> Node:
    """2 (x - mean) / (n - correction) for the variance; 0 where a standard deviation is 0."""
    if root:
        zero = ew.full_like(out, 0)
        at_zero = ew.eq(out, zero)
        half = ew.div(g, ew.mul(ew.where(at_zero, ew.full_like(out, 1), out), ew.full_like(out, 2)))
        g = ew.where(at_zero, zero, half)
    centered = _deviations(x, axes)
    degrees = _degrees(x, axes, correction)
    scale = ew.full_like(centered, 2 / degrees if degrees else math.inf)
    back = unkeep(ew.cast(g, centered.dtype), x.shape, axes)
    return ew.cast(ew.mul(back, ew.mul(scale, centered)), x.dtype)


def _one_spread_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None],
    axes: Shape, _keepdim: bool, correction: float, root: bool,
) -> Sequence[Node | None]:  # fmt: skip
    g = cotangents[0]
    if g is None:
        return [None]
    return [_spread_gradient(inputs[0], outputs[0], g, axes, correction, root)]


def _spread_mean(
    x: Node, axes: Shape, keepdim: bool, correction: float, root: bool
) -> Sequence[Node]:
    average = keep(mean_node(x, axes), x.shape, axes, keepdim)
    return _spread(x, axes, keepdim, correction, root), average


def _spread_mean_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None],
    axes: Shape, _keepdim: bool, correction: float, root: bool,
) -> Sequence[Node | None]:  # fmt: skip
    (x,) = inputs
    total = None
    if cotangents[0] is not None:
        total = _spread_gradient(x, outputs[0], cotangents[0], axes, correction, root)
    if cotangents[1] is not None:
        part = divided(unkeep(cotangents[1], x.shape, axes), extent(x.shape, axes))
        total = part if total is None else ew.add(total, part)
    return [total]


VAR = Function("var", _spread, gradient=_one_spread_gradient)
STD = Function("std", _spread, gradient=_one_spread_gradient)
VAR_MEAN = Function("var_mean", _spread_mean, gradient=_spread_mean_gradient)
STD_MEAN = Function("std_mean", _spread_mean, gradient=_spread_mean_gradient)


def _call_spread(
    function: Function, input: Tensor, dim: Dims, unbiased: bool | None, correction: float | None,
    keepdim: bool,
) -> Any:  # fmt: skip
    name, root = function.name, function in (STD, STD_MEAN)
    require_tensor(name, input)
    if not input.dtype.differentiable:
        raise RuntimeError(f"{name} only support floating point and complex dtypes")
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = 1 if unbiased else 0
    elif correction is None:
        correction = 1
    axes = reduced_axes(dim, input.ndim)
    if extent(input._type.shape, axes) <= correction and input.numel():
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
            "reduction factor (input numel divided by output numel).",
            stacklevel=3,
        )
    return apply(function, (input,), (axes, bool(keepdim), float(correction), root))


@operation(out=True)
def var(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None,
) -> Tensor:  # fmt: skip
    """Variance over ``dim``: squared deviations over (n - correction), by default n - 1."""
    return _call_spread(VAR, input, dim, unbiased, correction, keepdim)  # type: ignore[no-any-return]


@operation(out=True)
def std(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None,
) -> Tensor:  # fmt: skip
    """Standard deviation over ``dim``: the root of ``var``."""
    return _call_spread(STD, input, dim, unbiased, correction, keepdim)  # type: ignore[no-any-return]


@operation(method=False)
def var_mean(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """``var`` and ``mean`` over ``dim``, in one pass."""
    return _call_spread(VAR_MEAN, input, dim, unbiased, correction, keepdim)  # type: ignore[no-any-return]


@operation(method=False)
def std_mean(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """``std`` and ``mean`` over ``dim``, in one pass."""
    return _call_spread(STD_MEAN, input, dim, unbiased, correction, keepdim)  # type: ignore[no-any-return]


# ---- extremes ---------------------------------------------------------------------------------


def _amax(x: Node, axes: Shape, keepdim: bool) -> Node:
    return keep(rd.max_(x, axes), x.shape, axes, keepdim)


def _amin(x: Node, axes: Shape, keepdim: bool) -> Node:
    return keep(rd.min_(x, axes), x.shape, axes, keepdim)


def _aminmax(x: Node, axes: Shape, keepdim: bool) -> Sequence[Node]:
    return _amin(x, axes, keepdim), _amax(x, axes, keepdim)


def _shared_evenly(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None],
    axes: Shape, _keepdim: bool,
) -> Sequence[Node | None]:  # fmt: skip
    """By the elements that equal an extreme; NaN equals none, and a share of it is 0 / 0."""
    (x,) = inputs
    total: Node | None = None
    for extreme, g in zip(outputs, cotangents, strict=True):
        if g is None:
            continue
        chosen = ew.eq(x, unkeep(extreme, x.shape, axes))
        g = reshape(g, tuple([n for i, n in enumerate(x.shape) if i not in axes]))
        share = ew.div(g, rd.sum_(ew.cast(chosen, x.dtype), axes))
        none = ew.mul(share, ew.full_like(share, 0))
        part = ew.where(chosen, *[rd.expand_back(n, x.shape, axes) for n in (share, none)])
        total = part if total is None else ew.add(total, part)
    return [total]


Positions = Callable[[Node, int], Node]
Extreme = Callable[[Node, Sequence[int]], Node]


def _with_index(extreme: Extreme, position: Positions) -> Callable[..., Sequence[Node]]:
    def body(x: Node, axes: Shape, keepdim: bool) -> Sequence[Node]:
        if not axes:
            return ew.cast(x, x.dtype), rd.full(0, x.shape, dt.int64)
        values, indices = extreme(x, axes), position(x, axes[0])
        return keep(values, x.shape, axes, keepdim), keep(indices, x.shape, axes, keepdim)

    return body


def select_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None],
    axes: Shape, _keepdim: bool,
) -> Sequence[Node | None]:  # fmt: skip
    """The cotangent at the one element that was chosen."""
    (x,), g = inputs, cotangents[0]
    if g is None:
        return [None]
    if not axes:
        return [g]
    index = reshape(outputs[1], tuple([n for i, n in enumerate(x.shape) if i not in axes]))
    chosen = rd.one_hot_mask(index, x.shape, axes[0])
    return [ew.where(chosen, unkeep(g, x.shape, axes), ew.full_like(x, 0))]


def _position(position: Positions) -> Callable[..., Node]:
    def body(x: Node, axes: Shape | None, keepdim: bool) -> Node:
        if axes is None:
            flat = position(reshape(x, (x.type.size,)), 0)
            return reshape(flat, (1,) * len(x.shape)) if keepdim else flat
        if not axes:
            return rd.full(0, x.shape, dt.int64)
        return keep(position(x, axes[0]), x.shape, axes, keepdim)

    return body


MAX = Function("max", _amax, gradient_name="MaxBackward1")
MIN = Function("min", _amin, gradient_name="MinBackward1")
MAX_DIM = Function(
    "max_dim", _with_index(rd.max_, rd.argmax), select_gradient, gradient_name="MaxBackward0"
)
MIN_DIM = Function(
    "min_dim", _with_index(rd.min_, rd.argmin), select_gradient, gradient_name="MinBackward0"
)
AMAX = Function("amax", _amax, _shared_evenly)
AMIN = Function("amin", _amin, _shared_evenly)
AMINMAX = Function("aminmax", _aminmax, _shared_evenly)
ARGMAX = Function("argmax", _position(rd.argmax))
ARGMIN = Function("argmin", _position(rd.argmin))


def _check_extents(name: str, input: Tensor, axes: Shape) -> None:
    for axis in axes:
        if input._type.shape[axis] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")


def _refuse_empty(name: str, input: Tensor, error: type[Exception]) -> None:
    if not input.numel():
        raise error(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
            "the reduction dim with the 'dim' argument."
        )


def _extreme(
    name: str, whole: Function, along: Function, pair: Any,
    input: Tensor, dim: Any, keepdim: bool,
) -> Any:  # fmt: skip
    require_tensor(name, input)
    if isinstance(dim, Tensor):
        return PUBLIC[name + "imum"](input, dim)
    if dim is None:
        _refuse_empty(name, input, RuntimeError)
        return apply(whole, (input,), (tuple(range(input.ndim)), False))
    axes = reduced_axes(dim, input.ndim)
    _check_extents(name, input, axes)
    return pair(apply(along, (input,), (axes, bool(keepdim))))


@operation(out=SAME_OF_SEVERAL)
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The largest element; along ``dim`` also its index; of two tensors the larger elements.

    >>> torch.max(torch.tensor([1, 3, 2]), 0)
    torch.return_types.max(
    values=tensor(3),
    indices=tensor(1))
    """
    dim = other if other is not None else dim
    return _extreme("max", MAX, MAX_DIM, return_types.max, input, dim, keepdim)


@operation(out=SAME_OF_SEVERAL)
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The smallest element; along ``dim`` also its index; of two tensors the smaller elements."""
    dim = other if other is not None else dim
    return _extreme("min", MIN, MIN_DIM, return_types.min, input, dim, keepdim)


def _reduce_all(name: str, function: Function, input: Tensor, dim: Dims, keepdim: bool) -> Any:
    require_tensor(name, input)
    axes = reduced_axes(dim, input.ndim)
    if dim is None or (not isinstance(dim, int) and not len(dim)):
        if not input.numel() and name == "aminmax":
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
                "identity."
            )
        if not input.numel():
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
    else:
        _check_extents(name, input, axes)
    return apply(function, (input,), (axes, bool(keepdim)))


@operation(out=INPUT_TYPE)
def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """Largest over ``dim``; ties share the gradient."""
    return _reduce_all("amax", AMAX, input, dim, keepdim)  # type: ignore[no-any-return]


@operation(out=INPUT_TYPE)
def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """Smallest over ``dim``; ties share the gradient."""
    return _reduce_all("amin", AMIN, input, dim, keepdim)  # type: ignore[no-any-return]


@operation(out="same type")
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """Smallest and largest over ``dim`` (all by default), in one pass."""
    return return_types.aminmax(_reduce_all("aminmax", AMINMAX, input, dim, keepdim))


def _argument(name: str, function: Function, input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    require_tensor(name, input)
    if input.dtype is dt.bool_:
        raise RuntimeError(f"{name}(): does not support bool input")
    if dim is None:
        _refuse_empty(name, input, IndexError)
        return apply_one(function, (input,), (None, bool(keepdim)))
    axes = reduced_axes(dim, input.ndim)
    _check_extents(name, input, axes)
    return apply_one(function, (input,), (axes, bool(keepdim)))


@operation(out="same type")
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first largest element, in the flattened tensor or along ``dim``."""
    return _argument("argmax", ARGMAX, input, dim, keepdim)


@operation(out="same type")
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first smallest element, in the flattened tensor or along ``dim``."""
    return _argument("argmin", ARGMIN, input, dim, keepdim)


# ---- truth and counting -----------------------------------------------------------------------


def truth(x: Node) -> Node:
    """Whether each element is not 0."""
    return x if x.dtype is dt.bool_ else ew.ne(x, ew.full_like(x, 0))


def _logical(extreme: Extreme, of_nothing: bool) -> Callable[..., Node]:
    def body(x: Node, axes: Shape, keepdim: bool) -> Node:
        if extent(x.shape, axes):
            found = extreme(truth(x), axes)
        else:
            kept = tuple([n for i, n in enumerate(x.shape) if i not in axes])
            found = rd.full(of_nothing, kept, dt.bool_)
        dtype = dt.uint8 if x.dtype is dt.uint8 else dt.bool_
        return keep(ew.cast(found, dtype), x.shape, axes, keepdim)

    return body


ANY = Function("any", _logical(rd.max_, False))
ALL = Function("all", _logical(rd.min_, True))
COUNT_NONZERO = Function(
    "count_nonzero", lambda x, axes: rd.sum_(ew.cast(truth(x), dt.int64), axes)
)


@operation(out="any only supports bool tensor for result, got: {out}")
def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element along ``dim`` (all by default) is not 0."""
    require_tensor("any", input)
    axes = reduced_axes(dim, input.ndim, empty_is_all=False)
    return apply_one(ANY, (input,), (axes, bool(keepdim)))


@operation(out="all only supports bool tensor for result, got: {out}")
def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether every element along ``dim`` (all by default) is not 0."""
    require_tensor("all", input)
    axes = reduced_axes(dim, input.ndim, empty_is_all=False)
    return apply_one(ALL, (input,), (axes, bool(keepdim)))


@operation()
def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements along ``dim`` (all by default) are not 0."""
    require_tensor("count_nonzero", input)
    return apply_one(COUNT_NONZERO, (input,), (reduced_axes(dim, input.ndim),))


# ---- logsumexp --------------------------------------------------------------------------------


def _logsumexp(x: Node, axes: Shape, keepdim: bool) -> Node:
    x = ew.cast(x, as_float(x.dtype))
    if not extent(x.shape, axes):
        kept = tuple([n for i, n in enumerate(x.shape) if i not in axes])
        return keep(rd.full(-math.inf, kept, x.dtype), x.shape, axes, keepdim)
    largest = rd.max_(cn.parts(x)[0], axes)
    infinite = ew.eq(ew.abs_(largest), ew.full_like(largest, math.inf))
    shift = ew.where(infinite, ew.full_like(largest, 0), largest)
    shift = ew.cast(shift, x.dtype)
    total = summed(ew.exp(ew.sub(x, rd.expand_back(shift, x.shape, axes))), axes)
    return keep(ew.add(ew.log(total), shift), x.shape, axes, keepdim)


def _logsumexp_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None],
    axes: Shape, _keepdim: bool,
) -> Sequence[Node | None]:  # fmt: skip
    (x,), g = inputs, cotangents[0]
    if g is None:
        return [None]
    weight = ew.exp(ew.sub(ew.cast(x, g.dtype), unkeep(outputs[0], x.shape, axes)))
    return [ew.cast(ew.mul(unkeep(g, x.shape, axes), weight), x.dtype)]


LOGSUMEXP = Function("logsumexp", _logsumexp, gradient=_logsumexp_gradient)


@operation(out=True)
def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over ``dim``, evaluated so that nothing overflows."""
    require_tensor("logsumexp", input)
    return apply_one(LOGSUMEXP, (input,), (reduced_axes(dim, input.ndim), bool(keepdim)))
