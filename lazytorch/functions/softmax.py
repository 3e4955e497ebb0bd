"""softmax, log_softmax and softmin, with gradients in terms of the output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen.dtype import DType
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops import reduction as rd
from lazytorch.expression import Function
from lazytorch.functions.arguments import not_implemented, require_tensor
from lazytorch.functions.bodies import accumulation_type, apply_one
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor, wrap_dim

Nodes = Sequence["Node | None"]


def _shifted(name: str, x: Node, axis: int, dtype: DType | None) -> tuple[Node, DType]:
    """x less its largest along the axis, in the type to compute in; the type of the result."""
    result = dtype or x.dtype
    if result.kind != "float":
        raise not_implemented(name, result)
    wide = ew.cast(ew.cast(x, result), accumulation_type(result))
    axes = _axes(x, axis)
    largest = rd.max_(wide, axes) if axes else wide
    return ew.sub(wide, rd.expand_back(largest, wide.shape, axes)), result


def _axes(x: Node, axis: int) -> tuple[int, ...]:
    """The axis; none of a 0-d node, which is a row of one."""
    return (axis,) if x.shape else ()


def _sum(x: Node, axis: int) -> Node:
    axes = _axes(x, axis)
    return rd.sum_(x, axes) if axes else x


def _total(x: Node, axis: int) -> Node:
    return rd.expand_back(_sum(x, axis), x.shape, _axes(x, axis))


def softmax_node(x: Node, axis: int, dtype: DType | None = None) -> Node:
    """exp(x) over its sum along an axis; the axis of a 0-d node is ignored."""
    if not x.type.size:
        return ew.cast(x, dtype or x.dtype)
    shifted, result = _shifted("softmax_lastdim_kernel_impl", x, axis, dtype)
    powers = ew.exp(shifted)
    return ew.cast(divided_by_row(powers, _sum(powers, axis), _axes(x, axis)), result)


def divided_by_row(x: Node, total: Node, axes: tuple[int, ...]) -> Node:
    """x over a value a row, which is at least 1: by one division a row, for a division an element
    takes longer than its exponential."""
    inverse = ew.div(ew.full_like(total, 1), total)
    return ew.mul(x, rd.expand_back(inverse, x.shape, axes))


def log_softmax_node(x: Node, axis: int, dtype: DType | None = None) -> Node:
    """x - log(sum(exp(x))) along an axis."""
    if not x.type.size:
        return ew.cast(x, dtype or x.dtype)
    shifted, result = _shifted("log_softmax_lastdim_kernel_impl", x, axis, dtype)
    total = _sum(ew.exp(shifted), axis)
    return ew.cast(ew.sub(shifted, rd.expand_back(ew.log(total), x.shape, _axes(x, axis))), result)


def _in_accumulation_type(g: Node, out: Node) -> tuple[Node, Node]:
    wide = accumulation_type(out.dtype)
    return ew.cast(g, wide), ew.cast(out, wide)


def softmax_gradient(
    inputs: Nodes, outputs: Sequence[Node], cotangents: Nodes, axis: int, _dtype: DType | None
) -> Nodes:
    """The gradient of a softmax y along an axis: (g - sum(g y)) y."""
    x, given = inputs[0], cotangents[0]
    if x is None or given is None:
        return [None]
    g, y = _in_accumulation_type(given, outputs[0])
    return [ew.cast(ew.mul(ew.sub(g, _total(ew.mul(g, y), axis)), y), x.dtype)]


def _log_softmax_gradient(
    inputs: Nodes, outputs: Sequence[Node], cotangents: Nodes, axis: int, _dtype: DType | None
) -> Nodes:
    """g - exp(y) sum(g)."""
    x, given = inputs[0], cotangents[0]
    if x is None or given is None:
        return [None]
    g, y = _in_accumulation_type(given, outputs[0])
    return [ew.cast(ew.sub(g, ew.mul(ew.exp(y), _total(g, axis))), x.dtype)]


def _softmin_gradient(
    inputs: Nodes, outputs: Sequence[Node], cotangents: Nodes, axis: int, dtype: DType | None
) -> Nodes:
    (part,) = softmax_gradient(inputs, outputs, cotangents, axis, dtype)
    return [None if part is None else ew.neg(part)]


SOFTMAX = Function("softmax", softmax_node, gradient=softmax_gradient)
LOG_SOFTMAX = Function("log_softmax", log_softmax_node, gradient=_log_softmax_gradient)
SOFTMIN = Function(
    "softmin",
    lambda x, axis, dtype: softmax_node(ew.neg(x), axis, dtype),
    gradient=_softmin_gradient,
    gradient_name="SoftmaxBackward0",
)


def _call(function: Function, input: Any, dim: int, dtype: DType | None) -> Tensor:
    require_tensor(function.name, input)
    return apply_one(function, (input,), (wrap_dim(dim, input.ndim), dtype))


@operation(out="same type")
def softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """exp(input) / sum(exp(input)) along ``dim``.

    >>> torch.softmax(torch.tensor([0.0, 0.0]), 0)
    tensor([0.5000, 0.5000])
    """
    return _call(SOFTMAX, input, dim, dtype)


@operation(out="same type")
def log_softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """log(softmax(input)) along ``dim``, evaluated stably."""
    return _call(LOG_SOFTMAX, input, dim, dtype)


@operation(function=False, method=False)
def softmin(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """softmax(-input) along ``dim``."""
    return _call(SOFTMIN, input, dim, dtype)
