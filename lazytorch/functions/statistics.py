"""Covariances, histograms and finite differences of samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops import reduction as rd
from codegen.ops.indexing import concatenate, scatter
from codegen.ops.movement import reshape, slice_
from codegen.ops.sort import insertion_places
from lazytorch import return_types
from lazytorch.expression import Function
from lazytorch.functions import views
from lazytorch.functions.arguments import not_implemented, require_tensor
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.creation import linspace
from lazytorch.functions.products import matmul
from lazytorch.functions.promotion import as_float
from lazytorch.functions.registration import operation
from lazytorch.levels import by_example
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import type_name

# ---- covariance -------------------------------------------------------------------------------


def _check_weights(name: str, weights: Tensor, observations: int) -> None:
    if weights.ndim > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
            f"{weights.ndim} dimensions"
        )
    kind = weights.dtype.kind
    if name == "fweights" and kind != "int":
        raise RuntimeError(
            "cov(): expected fweights to have integral dtype but got fweights with "
            f"{type_name(weights.dtype)} dtype"
        )
    if name == "aweights" and kind != "float":
        raise RuntimeError(
            "cov(): expected aweights to have floating point dtype but got aweights with "
            f"{type_name(weights.dtype)} dtype"
        )
    if weights.numel() != observations:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input "
            f"but got {weights.numel()} != {observations}"
        )
    if weights.numel() and bool((weights < 0).any()):
        raise RuntimeError(f"cov(): {name} cannot be negative")


@operation()
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The covariances of variables (rows) over observations (columns).

    ``fweights``: how often each observation is counted; ``aweights``: how much it matters.
    """
    require_tensor("cov", input)
    if input.ndim > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
    if input.dtype is dt.bool_:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input if input.ndim == 2 else views.reshape(input, 1, -1)
    observations = x._type.shape[1]
    weight: Tensor | None = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is not None:
            _check_weights(name, given, observations)
            given = views.reshape(given, -1)
            weight = given if weight is None else weight * given
    if not x.dtype.differentiable and not (weight is not None and weight.is_floating_point()):
        x = x.to(as_float(x.dtype))
    if weight is None:
        total: Any = observations
        mean = x.sum(1, keepdim=True) / total
    else:
        total = weight.sum()
        mean = (x * weight).sum(1, keepdim=True) / total
    if weight is None:
        norm: Any = float(max(total - correction, 0))
    elif aweights is None or not correction:
        norm = (total - correction).clamp(min=0)
    else:
        norm = (total - correction * (weight * aweights).sum() / total).clamp(min=0)
    centred = x - mean
    other = centred if weight is None else centred * weight
    product = matmul(centred, views.transpose(other, 0, 1).conj().to(centred.dtype)) / norm
    return views.reshape(product, ()) if product.numel() == 1 else product


@operation()
def corrcoef(input: Tensor) -> Tensor:
    """The correlations of variables (rows) over observations (columns), within [-1, 1]."""
    require_tensor("corrcoef", input)
    if input.ndim > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
    c = cov(input)
    if not c.ndim:
        return c / c
    deviation = views.unsqueeze(c.diagonal().sqrt(), -1)
    return (c / deviation / deviation.t()).clip(-1, 1)  # type: ignore[no-any-return]


# ---- histograms -------------------------------------------------------------------------------


def _places(x: Node, edges: Node) -> Node:
    """The number of the bin of each element; one beyond the last for what lies in none."""
    bins = edges.shape[0] - 1
    first = slice_(edges, (0,), (1,), (1,))
    last = slice_(edges, (bins,), (1,), (1,))
    low, high = [rd.broadcast(reshape(e, ()), x.shape, ()) for e in (first, last)]
    place = ew.sub(insertion_places(edges, x, True), rd.full(1, x.shape, dt.int64))
    place = ew.minimum(place, ew.full_like(place, bins - 1))
    inside = ew.and_(ew.ge(x, low), ew.le(x, high))
    return ew.where(inside, place, ew.full_like(place, bins))


def _histogram(x: Node, *rest: Any) -> Node:
    """x: (N, D) points; the edges along each of the D dimensions; perhaps (N) weights."""
    *nodes, dimensions, density = rest
    edges = nodes[:dimensions]
    count = x.shape[0]
    sizes = [e.shape[0] - 1 for e in edges]
    total = rd.full(0, (count,), dt.int64)
    inside = rd.full(True, (count,), dt.bool_)
    for i, e in enumerate(edges):
        column = reshape(slice_(x, (0, i), (count, 1), (1, 1)), (count,))
        place = _places(column, e)
        bins = ew.full_like(place, sizes[i])
        inside = ew.and_(inside, ew.lt(place, bins))
        total = ew.add(ew.mul(total, bins), place)
    cells = math.prod(sizes)
    total = ew.where(inside, total, ew.full_like(total, cells))
    weights = nodes[dimensions] if len(nodes) > dimensions else rd.full(1, (count,), x.dtype)
    found = scatter(rd.full(0, (cells + 1,), x.dtype), total, ew.cast(weights, x.dtype), "add")
    found = reshape(slice_(found, (0,), (cells,), (1,)), sizes)
    if density:
        axes = tuple(range(dimensions))
        found = ew.div(found, rd.broadcast(rd.sum_(found, axes), found.shape, ()))
        for i, e in enumerate(edges):
            widths = ew.sub(slice_(e, (1,), (sizes[i],), (1,)), slice_(e, (0,), (sizes[i],), (1,)))
            found = ew.div(found, rd.broadcast(widths, found.shape, (i,)))
    return found


HISTOGRAM = Function("histogram", _histogram)


def _limits(name: str, x: Tensor, range: Sequence[float] | None) -> list[tuple[float, float]]:
    """The outer edges along each dimension: as given, or those of the values."""
    count = x._type.shape[-1]
    if range is not None:
        if len(range) != 2 * count:
            raise RuntimeError(
                f"{name}: for a {count}-dimensional histogram range should have {2 * count} "
                f"elements, but got {len(range)}"
            )
        pairs = [(float(range[2 * i]), float(range[2 * i + 1])) for i in _indices(count)]
    elif not x._type.shape[0]:
        pairs = [(0.0, 1.0)] * count
    else:
        array = x.detach()._float_array()
        pairs = [(float(array[:, i].min()), float(array[:, i].max())) for i in _indices(count)]
    found = []
    for low, high in pairs:
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(f"{name}: dimension 0's range [{low:g}, {high:g}] is not finite")
        if low > high:
            raise RuntimeError(
                f"{name}: min should not exceed max, but got min {low:g} max {high:g} for "
                "dimension 0"
            )
        found.append((low - 0.5, high + 0.5) if low == high else (low, high))
    return found


def _indices(count: int) -> range:
    return range(count)


def _check_histogram(name: str, x: Tensor, weight: Tensor | None) -> None:
    if x.dtype not in (dt.float32, dt.float64):
        raise not_implemented("histogramdd", x.dtype)
    if weight is None:
        return
    if weight.dtype is not x.dtype:
        raise RuntimeError(
            f"{name}: if weight tensor is provided, input tensor and weight tensor should have the "
            f"same dtype, but got input(torch.{_lower(x)}), and weight(torch.{_lower(weight)})"
        )


def _lower(x: Tensor) -> str:
    return repr(x.dtype).removeprefix("torch.")


def _edges(
    name: str, x: Tensor, bins: Sequence[Any], range: Sequence[float] | None
) -> list[Tensor]:
    if all(isinstance(b, Tensor) for b in bins):
        for b in bins:
            if b.dtype is not x.dtype:
                raise RuntimeError(
                    f"{name}: input tensor and bins tensors should have the same dtype, but got "
                    f"input with dtype {_lower(x)} and bins with dtype {_lower(b)}"
                )
            if b.ndim != 1 or not b.numel():
                raise RuntimeError(
                    f"{name}: bins tensor should have one dimension and at least one element"
                )
        return list(bins)
    for b in bins:
        if b <= 0:
            raise RuntimeError(f"{name}: bins must be > 0, but got {b} for dimension 0")
    limits = _limits(name, x, range)
    return [
        linspace(low, high, int(b) + 1, dtype=x.dtype, device=x.device)
        for (low, high), b in zip(limits, bins, strict=True)
    ]


@operation()
@by_example
def histogram(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None,
    weight: Tensor | None = None, density: bool = False, out: Any = None,
) -> Any:  # fmt: skip
    """The (weighted) counts of values between edges, and the edges: (hist, bin_edges).

    ``bins``: how many bins of one width, over ``range`` or that of the values; or the edges.
    """
    require_tensor("histogram", input)
    _check_histogram("torch.histogramdd", input, weight)
    if weight is not None and weight._type.shape != input._type.shape:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the "
            "input tensor excluding its innermost dimension, but got input with shape "
            f"{[*input.shape, 1]} and weight with shape {list(weight.shape)}"
        )
    flat = views.reshape(input.detach(), -1, 1)
    (edges,) = _edges("torch.histogramdd", flat, [bins], range)
    parts = [flat, edges] + ([] if weight is None else [views.reshape(weight.detach(), -1)])
    found = return_types.histogram((apply_one(HISTOGRAM, parts, (1, bool(density))), edges))
    if out is None:
        return found
    for target, value in zip(out, found, strict=True):
        target.resize_(value.shape).copy_(value)
    return return_types.histogram(out)


@operation(method=False)
def histogramdd(
    input: Tensor, bins: Any, range: Sequence[float] | None = None, weight: Tensor | None = None,
    density: bool = False,
) -> Any:  # fmt: skip
    """The (weighted) counts of points (…, D) in a grid, and the edges along its dimensions."""
    require_tensor("histogramdd", input)
    if input.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    _check_histogram("torch.histogramdd", input, weight)
    dimensions = input._type.shape[-1]
    counts = [bins] * dimensions if isinstance(bins, int) else list(bins)
    if len(counts) != dimensions:
        raise RuntimeError(
            "torch.histogramdd: The size of bins must be equal to the innermost dimension of the "
            "input."
        )
    flat = views.reshape(input.detach(), -1, dimensions)
    edges = _edges("torch.histogramdd", flat, counts, range)
    parts = [flat, *edges] + ([] if weight is None else [views.reshape(weight.detach(), -1)])
    found = apply_one(HISTOGRAM, parts, (dimensions, bool(density)))
    return return_types.histogramdd((found, tuple(edges)))


# ---- finite differences -------------------------------------------------------------------------


def _slope(x: Node, *rest: Any) -> Node:
    """The derivative along an axis by differences of second order inside, of the first or second
    at the ends. ``rest``: the distance of neighbours, or the places of all."""
    places, axis, edge_order = rest
    n = x.shape[axis]

    def part(v: Node, start: int, size: int) -> Node:
        along = axis if v is x else 0
        starts, sizes = [0] * len(v.shape), list(v.shape)
        starts[along], sizes[along] = start, size
        return slice_(v, starts, sizes, [1] * len(v.shape))

    def spread(v: Node) -> Node:
        shape = (*x.shape[:axis], v.shape[0], *x.shape[axis + 1 :])
        return rd.broadcast(ew.cast(v, x.dtype), shape, (axis,))

    if places.shape:
        steps = ew.sub(part(places, 1, n - 1), part(places, 0, n - 1))
    else:
        steps = rd.broadcast(ew.cast(places, x.dtype), (n - 1,), ())
    before, after = part(steps, 0, n - 2), part(steps, 1, n - 2)
    low, middle, high = part(x, 0, n - 2), part(x, 1, n - 2), part(x, 2, n - 2)
    a, b = spread(before), spread(after)
    both = ew.add(a, b)
    if places.shape:
        inner = ew.add(
            ew.sub(
                ew.mul(ew.div(a, ew.mul(b, both)), high), ew.mul(ew.div(b, ew.mul(a, both)), low)
            ),
            ew.mul(ew.div(ew.sub(b, a), ew.mul(a, b)), middle),
        )
    else:
        inner = ew.div(ew.sub(high, low), both)
    ends = []
    for first in (True, False):
        at = 0 if first else n - 2
        step = spread(part(steps, at, 1))
        plain = ew.div(ew.sub(part(x, at + 1, 1), part(x, at, 1)), step)
        if edge_order == 2:
            # By the parabola through the three outermost places.
            near = spread(part(steps, at, 1))
            far = spread(part(steps, 1 if first else n - 3, 1))
            other_at = 1 if first else n - 3
            other = ew.div(ew.sub(part(x, other_at + 1, 1), part(x, other_at, 1)), far)
            bend = ew.div(ew.mul(ew.sub(plain, other), near), ew.add(near, far))
            plain = ew.add(plain, bend)
        ends.append(plain)
    return concatenate([ends[0], inner, ends[1]], axis)


SLOPE = Function("slope", _slope, gradient_name="GradientBackward0")


@operation(method=False)
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The derivatives of samples along each of the dimensions, by central differences.

    ``spacing``: the distance of neighbours, one or one a dimension, or tensors of places.
    """
    require_tensor("gradient", input)
    dims = list(range(input.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    axes = [wrap_dim(d, input.ndim) for d in dims]
    if len(set(axes)) != len(axes):
        twice = next(a for i, a in enumerate(axes) if a in axes[:i])
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if input.dtype is dt.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    spacing = 1 if spacing is None else spacing
    several = isinstance(spacing, (list, tuple))
    if several and len(spacing) != len(axes):
        if dim is not None:
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and "
                "dim arguments to have the same length, but got a spacing argument of length "
                f"{len(spacing)} and a dim argument of length {len(axes)}."
            )
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
            f"equal to 'self.dim() = {len(axes)}', but got a list of length {len(spacing)}"
        )
    spacings = list(spacing) if several else [spacing] * len(axes)
    for axis, given in zip(axes, spacings, strict=True):
        size = input._type.shape[axis] if input.ndim else 1
        if size < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1"
            )
        if isinstance(given, Tensor) and given.ndim and given.numel() != size:
            raise RuntimeError(
                "torch.gradient expected each element to have one dimension, and the size of the "
                f"dimension {axis}"
            )
        if isinstance(given, Tensor) and given._storage.device != input._storage.device:
            raise RuntimeError("torch.gradient expected each tensor to be on the same device")
    x = input if input.dtype.differentiable else input.to(as_float(input.dtype))
    return tuple(
        [
            apply_one(SLOPE, (x, given), (axis, int(edge_order)))
            for axis, given in zip(axes, spacings, strict=True)
        ]
    )
