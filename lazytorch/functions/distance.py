"""Distances and likeness of vectors: norms of differences, cosines, normalising by a norm."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.calls import detach
from codegen.ops.movement import reshape
from codegen.ops.reduction import broadcast, expand_back, max_, sum_
from lazytorch.expression import Function
from lazytorch.functions import views
from lazytorch.functions.bodies import apply_one, call_function, number, square
from lazytorch.functions.contraction import contract
from lazytorch.functions.data import of_array
from lazytorch.functions.indexing import index_select
from lazytorch.functions.norms import NORM, norm_slope
from lazytorch.functions.promotion import broadcast_shapes, promote_float
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor, wrap_dim


def _root(x: Node) -> Node:
    """The square root, whose gradient at 0 is 0."""
    none = ew.full_like(x, 0)
    zero = ew.eq(x, none)
    return ew.where(zero, none, ew.sqrt(ew.where(zero, ew.full_like(x, 1), x)))


def norm_node(x: Node, axes: Sequence[int], power: float) -> Node:
    """The p-norm over axes for a power known when compiling: 0, 1, 2 or infinity."""
    if power == 2:
        return _root(sum_(square(x), axes))
    return call_function(NORM, (x,), (power, tuple(axes), False, None))


def general_norm(x: Node, axes: Sequence[int], power: Node) -> Node:
    """The p-norm for a power given as a number: 1 and 2 are as exact as their own forms."""
    return call_function(GENERAL_NORM, (x, power), (tuple(axes),))


def _general_norm(x: Node, power: Node, axes: tuple[int, ...]) -> Node:
    total = sum_(ew.pow_(ew.abs_(x), number(power, x)), axes)
    return ew.pow_(total, ew.div(ew.full_like(total, 1), number(power, total)))


def _general_norm_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], seeds: Sequence[Node], axes: tuple[int, ...]
) -> Sequence[Node | None]:
    x, power = inputs
    norm, g = (expand_back(n, x.shape, axes) for n in (outputs[0], seeds[0]))
    return [ew.mul(g, norm_slope(x, norm, number(power, x))), None]


GENERAL_NORM = Function("general_norm", _general_norm, _general_norm_gradient)


def _norm(x: Node, axes: Sequence[int], power: Node | None, kind: float) -> Node:
    return norm_node(x, axes, kind) if power is None else general_norm(x, axes, power)


def _split_power(p: Any) -> tuple[tuple[float, ...], float]:
    """The power as an input of the call, unless it is one with a form of its own."""
    p = float(p)
    return ((), p) if p in (0.0, 1.0, 2.0, inf) else ((p,), 0.0)


# ---- distances ----------------------------------------------------------------------------


def pairwise(x: Node, y: Node, power: Node, eps: Node) -> Node:
    """The norm along the last axis of x - y + eps."""
    return _general_or_two(ew.add(ew.sub(x, y), number(eps, x)), power)


def _general_or_two(d: Node, power: Node) -> Node:
    return general_norm(d, (len(d.shape) - 1,), power)


def _pairwise_distance(x: Node, y: Node, eps: Node, *rest: Any) -> Node:
    *power, kind, keepdim = rest
    x, y = promote_float(x, y)
    d = ew.add(ew.sub(x, y), number(eps, x))
    axis = len(d.shape) - 1
    result = _norm(d, (axis,), power[0] if power else None, kind)
    return reshape(result, (*result.shape, 1)) if keepdim else result


PAIRWISE_DISTANCE = Function(
    "pairwise_distance", _pairwise_distance, gradient_name="NormBackward1",
    saves=lambda *_: (~0,), spares=lambda *_: (0, 1),
)  # fmt: skip


@operation(method=False)
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension."""
    power, kind = _split_power(p)
    return apply_one(PAIRWISE_DISTANCE, (x1, x2, float(eps), *power), (kind, bool(keepdim)))


def _cosine_similarity(x: Node, y: Node, eps: Node, dim: int) -> Node:
    x, y = promote_float(x, y)
    axis = (wrap_dim(dim, len(x.shape)),) if x.shape else ()
    x, y = (ew.div(v, expand_back(_least(v, axis, eps), v.shape, axis)) for v in (x, y))
    return sum_(ew.mul(x, y), axis)


def _least(x: Node, axis: tuple[int, ...], eps: Node) -> Node:
    length = _root(sum_(square(x), axis))
    least = number(eps, length)
    # As PyTorch: the length is cut off at eps, its gradient is not.
    at_least = ew.add(ew.sub(length, detach(length)), least)
    return ew.where(ew.lt(length, least), at_least, length)


COSINE_SIMILARITY = Function(
    "cosine_similarity", _cosine_similarity, gradient_name="SumBackward1",
    saves_exactly=lambda _, tracked, *__: sorted(tracked),
)  # fmt: skip


@operation(method=False)
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between x1 and x2 along a dimension."""
    return apply_one(COSINE_SIMILARITY, (x1, x2, float(eps)), (dim,))


def _normalize(x: Node, eps: Node, *rest: Any) -> Node:
    *power, kind, axes = rest
    length = _norm(x, axes, power[0] if power else None, kind)
    least = number(eps, length)
    length = ew.where(ew.lt(length, least), least, length)
    return ew.div(x, expand_back(length, x.shape, axes))


NORMALIZE = Function(
    "normalize", _normalize, gradient_name="DivBackward0", saves_inputs=True,
    spares=lambda *_: (~0,),
)  # fmt: skip


def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None
) -> Tensor:
    """The input divided by its p-norm along ``dim``, which is no less than eps."""
    if not input.dim():
        wrap_dim(dim, 0)
        made = views.reshape(normalize(views.reshape(input, 1), p, 0, eps), ())
        return made if out is None else out.copy_(made)
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    axes = tuple(sorted({wrap_dim(d, input.dim()) for d in dims}))
    power, kind = _split_power(p)
    result = apply_one(NORMALIZE, (input, float(eps), *power), (kind, axes))
    return result if out is None else out.copy_(result)


def _farthest(difference: Node, known: bool) -> Node:
    """``known``: of the differences that are not NaN."""
    size = ew.abs_(difference)
    if known:
        size = ew.where(ew.eq(size, size), size, ew.full_like(size, 0))
    return max_(size, (len(size.shape) - 1,))


def _farthest_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], seeds: Sequence[Node], _known: bool
) -> Sequence[Node]:
    """To each difference that is the largest, unshared; NaN where one is NaN, or both infinite."""
    (d,) = inputs
    far, g = (expand_back(n, d.shape, (len(d.shape) - 1,)) for n in (outputs[0], seeds[0]))
    less, one = ew.abs_(ew.sub(ew.abs_(d), far)), ew.full_like(d, 1)
    return [ew.mul(ew.mul(g, ew.sign(d)), ew.sub(one, ew.minimum(one, ew.ceil(less))))]


FARTHEST = Function("farthest", _farthest, _farthest_gradient)


def _distance(difference: Node, power: Sequence[Node], kind: float, known: bool) -> Node:
    """The norm along the last axis; for p = 0, where a difference is NaN so is the count."""
    axes = (len(difference.shape) - 1,)
    if kind == inf:
        return call_function(FARTHEST, (difference,), (known,))
    if kind == 1:  # whose slope is NaN where the difference is
        is_number = ew.eq(difference, difference)
        sign = detach(ew.where(is_number, ew.sign(difference), difference))
        return sum_(ew.mul(difference, sign), axes)
    result = _norm(difference, axes, power[0] if power else None, kind)
    if power or kind:
        return result
    unknown = ew.ne(difference, difference)
    none = ew.full_like(difference, 0)
    return ew.add(result, sum_(ew.where(unknown, detach(difference), none), axes))


def _cdist(x: Node, y: Node, *rest: Any) -> Node:
    *power, kind = rest
    x_batch, y_batch = x.shape[:-2], y.shape[:-2]
    batch = broadcast_shapes(x_batch, y_batch)
    n, m, d = x.shape[-2], y.shape[-2], x.shape[-1]
    shape = (*batch, n, m, d)

    def spread(v: Node, axis: int) -> Node:
        first = len(batch) - (len(v.shape) - 2)
        kept = [i for i, k in enumerate(v.shape[:-2]) if k == batch[first + i]]
        core = reshape(v, [*[v.shape[i] for i in kept], *v.shape[-2:]])
        return broadcast(core, shape, [*[first + i for i in kept], axis, len(shape) - 1])

    rank = len(batch)
    difference = ew.sub(spread(x, rank), spread(y, rank + 1))
    return _distance(difference, power, kind, known=True)


CDIST = Function("cdist", _cdist, saves=lambda *_: (0, 1, ~0))


def _euclidean(x: Node, y: Node) -> Node:
    """The root of |x|² + |y|² - 2 x y: one product of matrices in the place of all differences.
    What rounding makes of it is no less than 0."""
    batch = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    names = [f"b{i}" for i in range(len(batch))]

    def labelled(v: Node, row: str) -> tuple[Node, list[str]]:
        own = names[len(batch) - (len(v.shape) - 2) :]
        sizes = dict(zip(names, batch, strict=True))
        kept = [(n, k) for n, k in zip(own, v.shape[:-2], strict=True) if k == sizes[n]]
        core = reshape(v, [*[k for _, k in kept], *v.shape[-2:]])
        return core, [*[n for n, _ in kept], row, "d"]

    (a, a_axes), (b, b_axes) = labelled(x, "n"), labelled(y, "m")
    out = [*names, "n", "m"]
    product = contract(a, b, a_axes, b_axes, out)

    def squares(v: Node, axes: list[str]) -> Node:
        length = sum_(square(v), (len(axes) - 1,))
        return broadcast(length, product.shape, [out.index(name) for name in axes[:-1]])

    lengths = ew.add(squares(a, a_axes), squares(b, b_axes))
    squared = ew.sub(lengths, ew.mul(ew.full_like(product, 2), product))
    return _root(ew.maximum(squared, ew.full_like(squared, 0)))


EUCLIDEAN = Function(
    "euclidean_distance", _euclidean, gradient_name="ViewBackward0", saves=lambda *_: (0, 1, ~0)
)
# With more rows than this PyTorch multiplies matrices too.
_FEW_ROWS = 25
_COMPUTE_MODES = (
    "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist",
)  # fmt: skip


def _pdist(x: Node, y: Node, *rest: Any) -> Node:
    *power, kind = rest
    return _distance(ew.sub(x, y), power, kind, known=False)


PDIST = Function("pdist", _pdist, saves=lambda *_: (0, ~0))


@operation(method=False)
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distance of each row to every later row: (N, M) -> (N (N - 1) / 2)."""
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = np.triu_indices(input.shape[0], 1)
    device = input._storage.device
    pairs = [index_select(input, 0, of_array(i, dt.int64, device)) for i in (first, second)]
    power, kind = _split_power(p)
    return apply_one(PDIST, (*pairs, *power), (kind,))


@operation(method=False)
def cdist(
    x1: Tensor, x2: Tensor, p: float = 2.0,
    compute_mode: str = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:  # fmt: skip
    """The p-norm distance of every row of x1 to every row of x2: (*, N, D), (*, M, D) -> (*, N, M).

    ``compute_mode`` says when distances for p = 2 are made of a product of matrices, many times
    faster than of differences, but with an error of the order of the vectors' lengths: by default
    where there are more than 25 rows, as in PyTorch.
    """
    if x1.dim() < 2 or x2.dim() < 2:
        which, t = ("X1", x1) if x1.dim() < 2 else ("X2", x2)
        raise RuntimeError(f"cdist only supports at least 2D tensors, {which} got: {t.dim()}D")
    if x1._type.shape[-1] != x2._type.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1._type.shape[-1]} X2: "
            f"{x2._type.shape[-1]}"
        )
    if compute_mode not in _COMPUTE_MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    power, kind = _split_power(p)
    many = max(x1._type.shape[-2], x2._type.shape[-2]) > _FEW_ROWS
    multiplies = compute_mode == _COMPUTE_MODES[1] or (compute_mode == _COMPUTE_MODES[0] and many)
    if kind == 2 and multiplies and x1._type.size and x2._type.size:
        return apply_one(EUCLIDEAN, (x1, x2))
    return apply_one(CDIST, (x1, x2, *power), (kind,))
