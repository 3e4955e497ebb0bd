"""Small pieces that function bodies are made of: numbers, means, windows, checks and names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import inf, prod
from typing import Any

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.graph.differentiate import cotangents
from codegen.ir.node import Node, Shape, substitute
from codegen.ops import elementwise as ew
from codegen.ops.calls import Template, call
from codegen.ops.leaves import parameter
from codegen.ops.movement import pad_to, reshape, skew, slice_
from codegen.ops.reduction import broadcast, sum_
from lazytorch.application import apply
from lazytorch.core import broadcast_to
from lazytorch.expression import Attributes, Function
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name

# ``apply`` for functions of one output.
apply_one: Callable[..., Tensor] = apply


def need_float(x: Node, kernel: str) -> None:
    """Refuse element types that PyTorch has no kernel for."""
    if not x.dtype.is_floating_point:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{type_name(x.dtype)}'")


# ---- numbers and means --------------------------------------------------------------------


def number(value: Node, like: Node) -> Node:
    """A 0-d value in the shape and element type of ``like``."""
    return broadcast_to(ew.cast(value, like.dtype), like.shape)


def accumulation_type(dtype: DType) -> DType:
    """The type to add up in: float32 for the half types."""
    return dt.float32 if dtype in (dt.float16, dt.bfloat16) else dtype


def widen(x: Node) -> Node:
    """Half-width floats as float32; all else as it is."""
    return ew.cast(x, accumulation_type(x.dtype))


def in_accumulation_type(body: Callable[..., Node]) -> Callable[..., Node]:
    """A body of one float operand done in float32 for the half types, and rounded once."""

    @functools.wraps(body)
    def wide(x: Node, *rest: Any) -> Node:
        if accumulation_type(x.dtype) is x.dtype:
            return body(x, *rest)
        return ew.cast(body(widen(x), *rest), x.dtype)

    return wide


def by_one_factor(body: Callable[..., Node]) -> Callable[..., Sequence[Node]]:
    """The gradient rule of an element-wise body of one operand: its derivative, times the
    cotangent. The derivative depends on the operand alone, so that it may be computed, and kept,
    where the value is: both are made of the same exponentials."""

    def rule(
        inputs: Sequence[Node], _outputs: Any, seeds: Sequence[Node], *attributes: Any
    ) -> Sequence[Node]:
        x, seed = widen(inputs[0]), widen(seeds[0])
        operand = parameter(-1, x.type)  # x itself comes with all that it was made of
        value = body(operand, *attributes)
        slopes = cotangents([value], [ew.full_like(value, 1)], {}, [operand])
        (slope,) = substitute(slopes, {operand: x})
        return (ew.cast(ew.mul(seed, slope), inputs[0].dtype),)

    return rule


def with_rule(
    body: Callable[..., Node], rule: Callable[..., Sequence[Node | None]], *inputs: Node
) -> Node:
    """``body(*inputs)``, differentiated by ``rule``: (cotangent, *inputs) -> the inputs'
    cotangents. For what the body's own derivative is not at kinks, poles and infinities, of real
    numbers."""
    if any([n.dtype.is_complex for n in inputs]):
        return body(*inputs)
    parameters = tuple([parameter(i, n.type) for i, n in enumerate(inputs)])

    def gradient(values: Sequence[Node], _outputs: Any, seeds: Sequence[Node | None]) -> Any:
        (seed,) = seeds
        return [None] * len(values) if seed is None else rule(seed, *values)

    template = Template(body.__name__, parameters, (body(*parameters),), gradient)
    return call(template, inputs, 0)


def not_differentiable(name: str, is_known: bool = True) -> Callable[..., Any]:
    """The rule of what PyTorch has no gradient of: ``backward`` raises. ``is_known``: PyTorch's
    table of derivatives says so, and its name for it; else it is missing there."""

    def refusal(in_place: bool) -> Exception:
        if is_known:
            return NotImplementedError(f"the derivative for '{name}' is not implemented.")
        return RuntimeError(f"derivative for aten::{name}{'_' * in_place} is not implemented")

    def rule(*_: Any) -> Any:
        raise NotImplementedError(str(refusal(False)))

    rule.refusal = refusal  # type: ignore[attr-defined]
    return rule


def without_derivative(name: str) -> dict[str, Any]:
    """Facts of a Function whose derivative is missing in PyTorch's table: what its node is called,
    and that ``backward`` raises."""
    rule = not_differentiable(name, is_known=False)
    return {"gradient": rule, "gradient_name": "torch::autograd::NotImplemented"}


def mean_over(x: Node, axes: Sequence[int]) -> Node:
    """The mean over axes, which the result lacks; NaN over none."""
    count = prod([x.shape[a] for a in axes])
    total = sum_(x, axes)
    return ew.div(total, ew.full_like(total, count))


def summed_to(g: Node, like: Node) -> Node:
    """A cotangent of a broadcast operand, as that of the operand."""
    from_rank = len(g.shape) - len(like.shape)
    axes = [i for i, n in enumerate(g.shape) if i < from_rank or like.shape[i - from_rank] != n]
    return ew.cast(reshape(sum_(g, axes), like.shape), like.dtype)


def over_channels(x: Node, shape: Shape, axis: int = 1) -> Node:
    """A vector along one axis of ``shape``."""
    return broadcast(x, shape, (axis,))


def reduced(loss: Node, reduction: str) -> Node:
    """A loss as asked for: each element (none), their sum, or their mean."""
    if reduction == "none":
        return loss
    axes = tuple(range(len(loss.shape)))
    return sum_(loss, axes) if reduction == "sum" else mean_over(loss, axes)


def square(x: Node) -> Node:
    return ew.mul(x, x)


def xlogy_node(x: Node, y: Node) -> Node:
    """x log(y), and 0 where x is 0, unless y is NaN."""
    return _times_log(x, y, ew.log, 0)


def xlog1py_node(x: Node, y: Node) -> Node:
    """x log(1 + y), and 0 where x is 0, unless y is NaN."""
    return _times_log(x, y, ew.log1p, -1)


def _times_log(x: Node, y: Node, log: Callable[[Node], Node], pole: float) -> Node:
    """x log(y), where ``log`` has its pole at a place of its own."""

    def no_product(x: Node, y: Node) -> Node:
        return ew.and_(ew.eq(x, ew.full_like(x, 0)), ew.le(y, ew.full_like(y, pole)))

    def product(x: Node, y: Node) -> Node:
        infinite = ew.and_(ew.eq(x, ew.full_like(x, 0)), ew.eq(y, ew.full_like(y, inf)))
        none = ew.or_(no_product(x, y), infinite)
        return ew.mul(x, log(ew.where(none, ew.full_like(y, pole + 1), y)))

    def rule(g: Node, x: Node, y: Node) -> Sequence[Node]:
        to_x = ew.where(no_product(x, y), ew.full_like(g, 0), _times_log(g, y, log, pole))
        return to_x, ew.mul(g, ew.div(x, ew.sub(y, ew.full_like(y, pole))))

    return with_rule(product, rule, x, y)


def call_function(function: Function, inputs: Sequence[Node], attributes: Attributes = ()) -> Node:
    """The first output of a function as a call node, for a gradient that is differentiable."""
    signature = function.signature(tuple([i.type for i in inputs]), attributes)
    return call(signature.template, inputs, 0)


# ---- windows ------------------------------------------------------------------------------

Sizes = tuple[int, ...]


def pair_up(value: Any, count: int) -> Sizes:
    """One number for every dimension, or one each."""
    if isinstance(value, int):
        return (value,) * count
    given = tuple([int(v) for v in value])
    return given * count if len(given) == 1 else given


def pad_axes(
    x: Node, first: int, low: Sequence[int], high: Sequence[int], fill: Node | None = None
) -> Node:
    """Pad the axes from ``first`` on; negative amounts cut."""
    shape, starts, sizes, cuts = list(x.shape), [0] * first, list(x.shape), [0] * first
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        axis = first + i
        cuts.append(max(-a, 0))
        starts.append(max(a, 0))
        sizes[axis] = x.shape[axis] - max(-a, 0) - max(-b, 0)
        shape[axis] = sizes[axis] + max(a, 0) + max(b, 0)
    rest = len(shape) - len(starts)
    cuts, starts = cuts + [0] * rest, starts + [0] * rest
    steps = [1] * len(shape)
    return pad_to(slice_(x, cuts, sizes, steps), shape, starts, steps, fill)


def windows(
    x: Node, first: int, kernel: Sizes, extents: Sizes, stride: Sizes, dilation: Sizes
) -> Node:
    """Sliding windows over the axes from ``first`` on; the kernel's axes come last."""
    for i, (size, extent) in enumerate(zip(kernel, extents, strict=True)):
        rank = len(x.shape)
        spread = broadcast(x, (*x.shape, size), tuple(range(rank)))
        x = skew(spread, first + i, extent, stride[i], dilation[i])
    return x


def lowest(dtype: DType) -> float | int:
    """The smallest value of an element type."""
    if dtype.is_floating_point:
        return -inf
    return -(1 << (dtype.itemsize * 8 - 1)) if dtype.is_signed else 0


def merge_axes(x: Node, first: int) -> Node:
    """The axes from ``first`` on as one."""
    return reshape(x, (*x.shape[:first], prod(x.shape[first:])))
