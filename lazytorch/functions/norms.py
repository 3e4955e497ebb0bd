"""Norms over dimensions, and the distance of two tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from codegen.dtype import DType
from codegen.graph.differentiate import cotangents as differentiated
from codegen.ir.node import Node, Shape, substitute
from codegen.ops import elementwise as ew
from codegen.ops import reduction as rd
from codegen.ops.leaves import parameter
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import (
    accumulation_type,
    apply_one,
    call_function,
    number,
    summed_to,
)
from lazytorch.functions.promotion import promote_float
from lazytorch.functions.reductions import Dims, extent, keep, reduced_axes, unkeep
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import type_name

Nodes = Sequence["Node | None"]


def norm_node(x: Node, order: float, axes: Shape) -> Node:
    """(sum |x|**order)**(1/order) over axes; for 0 the count of non-zeros, for ±inf extremes."""
    size = ew.abs_(x)
    if order == 0:
        return rd.sum_(ew.cast(ew.ne(x, ew.full_like(x, 0)), x.dtype), axes)
    if order in (math.inf, -math.inf):
        if not extent(x.shape, axes):
            kept = tuple([n for i, n in enumerate(x.shape) if i not in axes])
            return rd.full(0 if order > 0 else math.inf, kept, x.dtype)
        return rd.max_(size, axes) if order > 0 else rd.min_(size, axes)
    if order == 1:
        return rd.sum_(size, axes)
    if order == 2:
        return ew.sqrt(rd.sum_(ew.mul(x, x), axes))
    total = rd.sum_(ew.pow_(size, ew.full_like(size, order)), axes)
    return ew.pow_(total, ew.full_like(total, 1 / order))


def _norm(x: Node, order: float, axes: Shape, keepdim: bool, dtype: DType | None) -> Node:
    x = ew.cast(x, dtype or x.dtype)
    if x.dtype.is_complex:
        return call_function(NORM, (ew.abs_(x),), (order, axes, keepdim, None))
    wide = ew.cast(x, accumulation_type(x.dtype))
    return keep(ew.cast(norm_node(wide, order, axes), x.dtype), x.shape, axes, keepdim)


def _norm_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes,
    order: float, axes: Shape, _keepdim: bool, _dtype: DType | None,
) -> Nodes:  # fmt: skip
    """The slope of the norm, and 0 where it has none: at a norm of 0."""
    given = cotangents[0]
    if given is None or order == 0:
        return [None]
    x = ew.cast(inputs[0], given.dtype)
    g, norm = unkeep(given, x.shape, axes), unkeep(outputs[0], x.shape, axes)
    zero, one = ew.full_like(x, 0), ew.full_like(x, 1)
    if order == 1:
        slope = ew.mul(g, ew.sign(x))
    elif order in (math.inf, -math.inf):
        size = ew.abs_(x)
        found = ew.cast(ew.or_(ew.eq(size, norm), ew.ne(size, size)), x.dtype)
        share = ew.div(g, rd.expand_back(rd.sum_(found, axes), x.shape, axes))
        slope = ew.mul(ew.sign(x), ew.mul(share, found))
    elif order == 2:
        flat = ew.eq(norm, zero)
        slope = ew.where(flat, zero, ew.mul(g, ew.div(x, ew.where(flat, one, norm))))
    else:
        slope = ew.mul(g, norm_slope(x, norm, ew.full_like(x, order)))
    return [ew.cast(slope, inputs[0].dtype)]


def norm_slope(x: Node, norm: Node, order: Node) -> Node:
    """|x / norm|**(order - 1) by the sign of x; 0 where the norm is 0.

    Orders between 0 and 1 in two factors, which small x do not let overflow; of x = 0, as in
    PyTorch, 0 times the norm's, which is NaN where that is infinite; and where the norm is NaN.
    """
    zero, one = ew.full_like(x, 0), ew.full_like(x, 1)
    flat, nothing = ew.eq(norm, zero), ew.eq(x, zero)
    in_two = ew.and_(ew.gt(order, zero), ew.lt(order, one))
    scale, size = ew.where(flat, one, norm), ew.where(nothing, one, ew.abs_(x))
    known = ew.where(ew.eq(norm, norm), one, norm)
    of_norm = ew.where(in_two, ew.pow_(scale, ew.sub(one, order)), known)
    of_x = ew.pow_(ew.where(in_two, size, ew.div(size, scale)), ew.sub(order, one))
    slope = ew.mul(ew.where(nothing, zero, ew.mul(ew.sign(x), of_x)), of_norm)
    return ew.where(flat, zero, slope)


NORM = Function(
    "linalg_vector_norm", _norm, gradient=_norm_gradient,
    gradient_name="LinalgVectorNormBackward0", saves=lambda *_: (0, ~0),
)  # fmt: skip


def vector_norm(
    x: Tensor, ord: float = 2, dim: Dims = None, keepdim: bool = False, *,
    dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """The norm of all elements, or of those along ``dim``, of any order."""
    require_tensor("linalg_vector_norm", x)
    for given in (x.dtype, dtype or x.dtype):
        if not given.differentiable:
            raise RuntimeError(
                "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
                f"{type_name(given)}"
            )
    axes = reduced_axes(dim, x.ndim)
    if (ord < 0 or ord == math.inf) and not extent(x._type.shape, axes):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord:g} norm on an empty tensor because the "
            "operation does not have an identity"
        )
    return apply_one(NORM, (x,), (float(ord), axes, bool(keepdim), dtype))


def _dist(x: Node, y: Node, order: float) -> Node:
    a, b = promote_float(x, y)
    axes = tuple(range(len(a.shape)))
    if a.dtype.is_complex:
        return call_function(NORM, (ew.abs_(ew.sub(a, b)),), (order, axes, False, None))
    return norm_node(ew.sub(a, b), order, axes)


def _dist_gradient(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Nodes, order: float
) -> Nodes:
    a, b = promote_float(*inputs)
    axes = tuple(range(len(a.shape)))
    (part,) = _norm_gradient([ew.sub(a, b)], outputs, cotangents, order, axes, False, None)
    if part is None:
        return [None, None]
    return [summed_to(part, inputs[0]), summed_to(ew.neg(part), inputs[1])]


DIST = Function("dist", _dist, gradient=_dist_gradient)


@operation()
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other."""
    require_tensor("dist", input)
    require_tensor("dist", other, "other", 2)
    return apply_one(DIST, (input, other), (float(p),))


def _scaled_down(x: Node, limit: Node, order: float, axes: Shape) -> tuple[Node, Node]:
    """x with a norm of ``limit``, and where its norm is above that."""
    length = call_function(NORM, (x,), (order, axes, False, None))
    most = number(limit, length)
    factor = ew.div(most, ew.add(length, ew.full_like(length, 1e-7)))
    spread = ew.cast(rd.expand_back(factor, x.shape, axes), x.dtype)
    return ew.mul(x, spread), rd.expand_back(ew.gt(length, most), x.shape, axes)


def _renorm(x: Node, limit: Node, order: float, axes: Shape) -> Node:
    scaled, above = _scaled_down(x, limit, order, axes)
    return ew.where(above, scaled, x)


def _renorm_gradient(
    inputs: Sequence[Node], _outputs: Sequence[Node], seeds: Sequence[Node], order: float,
    axes: Shape,
) -> Nodes:  # fmt: skip
    """Where x stays as it is the cotangent does, whatever its norm's slope is."""
    x, limit = inputs
    operand = parameter(-1, x.type)
    scaled, _ = _scaled_down(operand, limit, order, axes)
    (through,) = substitute(differentiated([scaled], seeds, {}, [operand]), {operand: x})
    return [ew.where(_scaled_down(x, limit, order, axes)[1], through, seeds[0]), None]


RENORM = Function("renorm", _renorm, _renorm_gradient)


@operation(inplace=True, out="same type")
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each part along ``dim`` whose p-norm is above ``maxnorm`` scaled down to it."""
    require_tensor("renorm", input)
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    if input.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions"
        )
    axis = wrap_dim(dim, input.ndim)
    others = tuple([i for i in range(input.ndim) if i != axis])
    return apply_one(RENORM, (input, float(maxnorm)), (float(p), others))
