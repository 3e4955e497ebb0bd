"""Running sums, products and extremes along a dimension; differences and the trapezoidal rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops import reduction as rd
from codegen.ops.indexing import concatenate, scatter
from codegen.ops.leaves import iota
from codegen.ops.movement import reshape, slice_
from lazytorch import return_types
from lazytorch.application import apply
from lazytorch.expression import Function
from lazytorch.functions.arguments import not_implemented, require_tensor
from lazytorch.functions.bodies import accumulation_type, apply_one, number
from lazytorch.functions.promotion import as_float, promote, result_dtype
from lazytorch.functions.reductions import keep
from lazytorch.functions.registration import SCALAR_TYPE, operation
from lazytorch.tensor import Tensor, wrap_dim

Nodes = Sequence["Node | None"]

# ---- sums and products ------------------------------------------------------------------------


def _scan(primitive: Callable[[Node, int], Node]) -> Callable[..., Node]:
    def body(x: Node, axis: int, dtype: DType | None) -> Node:
        result = dtype or (x.dtype if x.dtype.differentiable else dt.int64)
        x = ew.cast(x, result)
        if not x.shape:
            return x
        return ew.cast(primitive(ew.cast(x, accumulation_type(result)), axis), result)

    return body


def _logcumsumexp(x: Node, axis: int) -> Node:
    if x.dtype.kind != "float":
        raise not_implemented("logcumsumexp_out_cpu", x.dtype)
    if not x.shape:
        return x
    return ew.cast(rd.logcumsumexp(ew.cast(x, accumulation_type(x.dtype)), axis), x.dtype)


CUMSUM = Function("cumsum", _scan(rd.cumsum))
CUMPROD = Function("cumprod", _scan(rd.cumprod), saves=lambda *_: (0, ~0))
LOGCUMSUMEXP = Function("logcumsumexp", _logcumsumexp)


@operation(inplace=True, out=True)
def cumsum(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """Running sum along ``dim``; integers and bools add up in int64.

    >>> torch.cumsum(torch.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    require_tensor("cumsum", input)
    return apply_one(CUMSUM, (input,), (wrap_dim(dim, input.ndim), dtype))


@operation(inplace=True, out=True)
def cumprod(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """Running product along ``dim``; integers and bools multiply in int64."""
    require_tensor("cumprod", input)
    return apply_one(CUMPROD, (input,), (wrap_dim(dim, input.ndim), dtype))


@operation(out=SCALAR_TYPE)
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """Running log(sum(exp(input))) along ``dim``, evaluated stably."""
    require_tensor("logcumsumexp", input)
    return apply_one(LOGCUMSUMEXP, (input,), (wrap_dim(dim, input.ndim),))


# ---- extremes ---------------------------------------------------------------------------------


def _running(primitive: Callable[[Node, int], Node]) -> Callable[..., Sequence[Node]]:
    """Values, and the last place up to each where the extremum stands."""

    def body(x: Node, axis: int) -> Sequence[Node]:
        if not x.shape:
            return ew.cast(x, x.dtype), rd.full(0, (), dt.int64)
        values = primitive(x, axis)
        holds = ew.or_(ew.eq(x, values), ew.ne(x, x))
        places = rd.broadcast(iota(x.shape[axis]), x.shape, (axis,))
        return values, rd.cummax(ew.where(holds, places, ew.full_like(places, 0)), axis)

    return body


def _running_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes, axis: int
) -> Nodes:
    """Each cotangent added up at the element that its extremum was."""
    x, g = inputs[0], cotangents[0]
    if g is None or not x.shape:
        return [g]
    return [scatter(rd.full(0, x.shape, x.dtype), outputs[1], g, "add", axis)]


CUMMAX = Function("cummax", _running(rd.cummax), gradient=_running_gradient)
CUMMIN = Function("cummin", _running(rd.cummin), gradient=_running_gradient)


@operation(out=SCALAR_TYPE)
def cummax(input: Tensor, dim: int) -> Any:
    """Running maximum along ``dim``, and where it (last) stands."""
    require_tensor("cummax", input)
    return return_types.cummax(apply(CUMMAX, (input,), (wrap_dim(dim, input.ndim),)))


@operation(out=SCALAR_TYPE)
def cummin(input: Tensor, dim: int) -> Any:
    """Running minimum along ``dim``, and where it (last) stands."""
    require_tensor("cummin", input)
    return return_types.cummin(apply(CUMMIN, (input,), (wrap_dim(dim, input.ndim),)))


# ---- differences and integrals ----------------------------------------------------------------


def _part(x: Node, axis: int, start: int, size: int) -> Node:
    starts = [start if i == axis else 0 for i in range(len(x.shape))]
    sizes = [size if i == axis else n for i, n in enumerate(x.shape)]
    return slice_(x, starts, sizes, [1] * len(x.shape))


def _neighbours(x: Node, axis: int) -> tuple[Node, Node]:
    """Every element but the first, and every one but the last."""
    size = max(x.shape[axis] - 1, 0)
    return _part(x, axis, min(1, x.shape[axis]), size), _part(x, axis, 0, size)


def _diff(*nodes_and_attributes: Any) -> Node:
    *nodes, n, axis = nodes_and_attributes
    dtype = result_dtype(nodes)
    x = concatenate([ew.cast(node, dtype) for node in nodes], axis)
    for _ in range(min(n, x.shape[axis])):
        after, before = _neighbours(x, axis)
        x = ew.xor(after, before) if dtype is dt.bool_ else ew.sub(after, before)
    return x


DIFF = Function("diff", _diff)


@operation(out=SCALAR_TYPE)
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The n-th differences of neighbours along ``dim``."""
    require_tensor("diff", input)
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0:
        return input.clone()  # type: ignore[no-any-return]
    parts = [p for p in (prepend, input, append) if p is not None]
    return apply_one(DIFF, parts, (int(n), wrap_dim(dim, input.ndim)))


def _trapezoid_areas(y: Node, spacing: Node, axis: int) -> Node:
    """Half the sum of neighbours times their distance: ``spacing`` or differences of it."""
    if spacing.shape:
        if len(spacing.shape) == 1 and spacing.shape[0] != y.shape[axis]:
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
        if len(spacing.shape) == 1:
            after, before = _neighbours(spacing, 0)
            unit = tuple([-1 if i == axis else 1 for i in range(len(y.shape))])
            shape = tuple([after.shape[0] if n == -1 else 1 for n in unit])
            width = reshape(ew.sub(after, before), shape)
        else:
            lined = (1,) * (len(y.shape) - len(spacing.shape)) + spacing.shape
            width = ew.sub(*_neighbours(reshape(spacing, lined), axis))
    else:
        width = spacing
    after, before = _neighbours(y, axis)
    areas = ew.mul(*promote(ew.add(after, before), width))
    areas = ew.cast(areas, as_float(areas.dtype))
    return ew.mul(areas, ew.full_like(areas, 0.5))


def _trapezoid(y: Node, spacing: Node, axis: int) -> Node:
    if not spacing.shape and y.shape[axis]:
        return _evenly_spaced(y, spacing, axis)
    areas = _trapezoid_areas(y, spacing, axis)
    return keep(rd.sum_(areas, (axis,)), areas.shape, (axis,), False)


def _evenly_spaced(y: Node, spacing: Node, axis: int) -> Node:
    """The sum less half of the ends, which of infinities alone is NaN, as in PyTorch."""
    y = ew.cast(y, as_float(result_dtype((y, spacing))))
    starts, sizes, steps = [0] * len(y.shape), list(y.shape), [1] * len(y.shape)
    sizes[axis] = 1
    first = slice_(y, starts, sizes, steps)
    starts[axis] = y.shape[axis] - 1
    ends = ew.add(first, slice_(y, starts, sizes, steps))
    half = rd.sum_(ew.mul(ends, ew.full_like(ends, 0.5)), (axis,))
    whole = ew.sub(rd.sum_(y, (axis,)), half)
    return ew.mul(whole, number(spacing, whole))


TRAPEZOID = Function("trapezoid", _trapezoid)
CUMULATIVE_TRAPEZOID = Function(
    "cumulative_trapezoid", lambda y, s, axis: rd.cumsum(_trapezoid_areas(y, s, axis), axis)
)


def _spacing(x: Tensor | None, dx: float | None) -> Any:
    if x is not None and dx is not None:
        raise RuntimeError("trapezoid: received both x and dx")
    return x if x is not None else 1 if dx is None else dx


@operation(method=False, names=("trapz",))
def trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The integral of ``y`` along ``dim`` by the trapezoidal rule, at places ``x`` or steps dx."""
    return apply_one(TRAPEZOID, (y, _spacing(x, dx)), (wrap_dim(dim, y.ndim),))


@operation(method=False)
def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """Running integral of ``y`` along ``dim`` by the trapezoidal rule."""
    return apply_one(CUMULATIVE_TRAPEZOID, (y, _spacing(x, dx)), (wrap_dim(dim, y.ndim),))
