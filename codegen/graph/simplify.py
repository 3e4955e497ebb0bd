"""Rewrites a graph into fewer, simpler operations with the same values: rules as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from codegen.graph.contraction_match import match_contraction
from codegen.ir.node import Node, make, rebuild, same
from codegen.ops import elementwise as ew
from codegen.ops.indexing import concatenate
from codegen.ops.leaves import constant, constant_value
from codegen.ops.movement import inverse_order, permute, reshape
from codegen.ops.reduction import broadcast, full, sum_

Rule = Callable[[Node], "Node | None"]


def simplify(roots: Sequence[Node]) -> list[Node]:
    """The roots with every rule applied bottom-up until none matches."""
    return rebuild(roots, lambda node, inputs: simplify_node(same(node, inputs)))


def simplify_node(node: Node) -> Node:
    """A node over simplified inputs, simplified; the node itself where no rule matches."""
    while True:
        replacement = _apply_rules(node)
        if replacement is None or replacement is node:
            return node
        node = replacement


def _apply_rules(node: Node) -> Node | None:
    for rule in RULES.get(node.operation.name, ()):
        replacement = rule(node)
        if replacement is not None:
            return replacement
    if node.operation.kind == "elementwise":
        return _fold_constants(node)
    return None


# ---- movement -------------------------------------------------------------------------------


def _reshape_of_reshape(node: Node) -> Node | None:
    """reshape(reshape(x)) -> reshape(x)"""
    (x,) = node.inputs
    return reshape(x.inputs[0], node.shape) if x.operation.name == "reshape" else None


def _reshape_of_constant(node: Node) -> Node | None:
    """reshape(broadcast(scalar)) -> broadcast(scalar)"""
    (x,) = node.inputs
    if x.operation.name == "broadcast" and x.inputs[0].shape == ():
        return broadcast(x.inputs[0], node.shape, ())
    return None


def _permute_of_permute(node: Node) -> Node | None:
    """permute(permute(x)) -> permute(x)"""
    (x,) = node.inputs
    if x.operation.name != "permute":
        return None
    outer, inner = node.attributes[0], x.attributes[0]
    assert isinstance(outer, tuple) and isinstance(inner, tuple)
    return permute(x.inputs[0], [inner[i] for i in outer])


def _permute_of_units(node: Node) -> Node | None:
    """permute(x) -> reshape(x) where only axes of extent 1 move"""
    (x,) = node.inputs
    order = node.attributes[0]
    assert isinstance(order, tuple)
    moved = [i for i in order if x.shape[i] != 1]
    return reshape(x, node.shape) if moved == sorted(moved) else None


def _permute_of_broadcast(node: Node) -> Node | None:
    """permute(broadcast(x)) -> broadcast(permute(x))"""
    (x,) = node.inputs
    if x.operation.name != "broadcast":
        return None
    back = inverse_order(node.attributes[0])  # type: ignore[arg-type]
    axes = x.attributes[1]
    assert isinstance(axes, tuple)
    targets = [back[a] for a in axes]
    order = sorted(range(len(targets)), key=targets.__getitem__)
    return broadcast(permute(x.inputs[0], order), node.shape, sorted(targets))


def _broadcast_of_broadcast(node: Node) -> Node | None:
    """broadcast(broadcast(x)) -> broadcast(x)"""
    (x,) = node.inputs
    if x.operation.name != "broadcast":
        return None
    outer, inner = node.attributes[1], x.attributes[1]
    assert isinstance(outer, tuple) and isinstance(inner, tuple)
    return broadcast(x.inputs[0], node.shape, [outer[a] for a in inner])


def _broadcast_of_unit_axes(node: Node) -> Node | None:
    """broadcast(x) with unit axes -> reshape, or broadcast(reshape(x)) without them"""
    (x,) = node.inputs
    axes = node.attributes[1]
    assert isinstance(axes, tuple)
    if node.type.size == x.type.size:
        return reshape(x, node.shape)
    kept = [i for i, n in enumerate(x.shape) if n != 1]
    if len(kept) == len(x.shape):
        return None
    return broadcast(reshape(x, [x.shape[i] for i in kept]), node.shape, [axes[i] for i in kept])


# ---- arithmetic -------------------------------------------------------------------------------


def _mul_by_one(node: Node) -> Node | None:
    """x * 1 -> x"""
    x, y = node.inputs
    if _is(y, 1):
        return x
    return y if _is(x, 1) else None


def _div_by_one(node: Node) -> Node | None:
    """x / 1 -> x"""
    x, y = node.inputs
    return x if _is(y, 1) else None


def _sub_zero(node: Node) -> Node | None:
    """x - 0 -> x"""
    x, y = node.inputs
    return x if _is(y, 0) and str(constant_value(y)) != "-0.0" else None


def _add_zero(node: Node) -> Node | None:
    """n + 0 -> n, for integers: -0.0 + 0.0 is 0.0"""
    x, y = node.inputs
    if node.dtype.kind == "float":
        return None
    if _is(y, 0):
        return x
    return y if _is(x, 0) else None


def _add_of_parts(node: Node) -> Node | None:
    """pad(x) + pad(y) + ... -> concatenate(x, y, ...), where parts of one size, which are one
    kernel, lie side by side and fill the whole: the gradient of what was split"""
    parts: list[Node] = []
    terms = list(node.inputs)
    while terms:
        term = terms.pop()
        if term.operation.name == "add":
            terms.extend(term.inputs)
        elif term.operation.name == "pad" and _is(term.inputs[1], 0):
            parts.append(term)
        else:
            return None
    moved = {a for p in parts for a, n in enumerate(p.inputs[0].shape) if n != node.shape[a]}
    if len(moved) != 1 or len({p.inputs[0].shape for p in parts}) != 1:
        return None
    (axis,) = moved
    at = 0
    parts.sort(key=lambda p: _start(p, axis))
    for part in parts:
        size, steps = part.inputs[0].shape[axis], part.attributes[2]
        assert isinstance(steps, tuple)
        if _start(part, axis) != at or (size > 1 and steps[axis] != 1):
            return None
        at += size
    # Each part has a zero added to it, for that makes of -0.0 what the sum made of it.
    zero = [ew.add(p.inputs[0], ew.full_like(p.inputs[0], 0)) for p in parts]
    return concatenate(zero, axis) if at == node.shape[axis] else None


def _start(padded: Node, axis: int) -> int:
    starts = padded.attributes[1]
    assert isinstance(starts, tuple)
    return int(starts[axis])


def _neg_of_neg(node: Node) -> Node | None:
    """--x -> x"""
    (x,) = node.inputs
    return x.inputs[0] if x.operation.name == "neg" else None


def _where_of_constant(node: Node) -> Node | None:
    """where(true, x, y) -> x; where(c, x, x) -> x"""
    condition, x, y = node.inputs
    if x is y:
        return x
    value = constant_value(condition)
    return None if value is None else x if value else y


def _is(node: Node, number: float) -> bool:
    value = constant_value(node)
    return value is not None and value == number


def _fold_constants(node: Node) -> Node | None:
    """op(constants) -> constant"""
    values = [constant_value(i) for i in node.inputs]
    if not values or any(v is None for v in values):
        return None
    if node.dtype.name == "bfloat16" or any(i.dtype.name == "bfloat16" for i in node.inputs):
        return None
    arrays = [np.asarray(v, i.dtype.numpy) for v, i in zip(values, node.inputs, strict=True)]
    result = node.operation.reference(node.type, arrays, *node.attributes)
    return broadcast(constant(result.item(), node.dtype), node.shape, ())


# ---- reductions ---------------------------------------------------------------------------------


def _reduce_units(node: Node) -> Node | None:
    """sum, prod, max, min over axes of extent 1 -> reshape"""
    (x,) = node.inputs
    axes = node.attributes[0]
    assert isinstance(axes, tuple)
    units = [a for a in axes if x.shape[a] == 1]
    if not units:
        return None
    rest = [a for a in axes if a not in units]
    shape = [n for i, n in enumerate(x.shape) if i not in units]
    if x.operation.name == "mul":  # it stays next to the sum, so that the two are a contraction
        squeezed = ew.mul(*[reshape(i, shape) for i in x.inputs])
    else:
        squeezed = reshape(x, shape)
    if not rest:
        return squeezed
    moved = tuple([a - sum(u < a for u in units) for a in rest])
    return make(node.operation, (squeezed,), (moved,))


def _sum_of_broadcast(node: Node) -> Node | None:
    """sum(broadcast(x)) over the repeated axes -> x * count"""
    (x,) = node.inputs
    if x.operation.name != "broadcast":
        return None
    axes, kept = node.attributes[0], x.attributes[1]
    assert isinstance(axes, tuple) and isinstance(kept, tuple)
    repeated = [a for a in axes if a not in kept]
    if not repeated:
        return None
    count = 1
    for a in repeated:
        count *= x.shape[a]
    if not count:  # of nothing, however often it is infinite
        return full(0, node.shape, node.dtype)
    source = x.inputs[0]
    total = ew.mul(source, ew.full_like(source, count))
    left = [i for i in range(len(x.shape)) if i not in repeated]
    places = [left.index(a) for a in kept]
    smaller = broadcast(total, [x.shape[i] for i in left], places)
    return sum_(smaller, [left.index(a) for a in axes if a not in repeated])


def _sum_of_products(node: Node) -> Node | None:
    """sum(x * y + u * v) -> sum(x * y) + sum(u * v), where each is a product of matrices

    So are the gradients of weights that several products read: they arrive added up.
    """
    (x,) = node.inputs
    if x.operation not in (ew.ADD, ew.SUB):
        return None
    axes = node.attributes[0]
    assert isinstance(axes, tuple)
    parts: list[Node] = []
    for term in x.inputs:
        part = sum_(term, axes)
        apart = part if match_contraction(part) is not None else _sum_of_products(part)
        if apart is None:
            return None
        parts.append(apart)
    return make(x.operation, tuple(parts), ())


RULES: dict[str, tuple[Rule, ...]] = {
    "reshape": (_reshape_of_reshape, _reshape_of_constant),
    "permute": (_permute_of_permute, _permute_of_units, _permute_of_broadcast),
    "broadcast": (_broadcast_of_broadcast, _broadcast_of_unit_axes),
    "mul": (_mul_by_one,),
    "div": (_div_by_one,),
    "sub": (_sub_zero,),
    "add": (_add_zero, _add_of_parts),
    "neg": (_neg_of_neg,),
    "where": (_where_of_constant,),
    "sum": (_reduce_units, _sum_of_broadcast, _sum_of_products),
    "prod": (_reduce_units,),
    "max": (_reduce_units,),
    "min": (_reduce_units,),
}
