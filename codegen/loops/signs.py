"""Which values are never above zero, by what they are made of: an exponential of one takes less."""

from __future__ import annotations

from dataclasses import replace

from codegen.ir.node import Node
from codegen.ops.elementwise import EXP
from codegen.ops.leaves import constant_value
from codegen.ops.reduction import kept_axes
from codegen.ops.registry import Operation

# e^x for what is never above zero, but perhaps NaN; not in the registry, for no graph has it.
EXP_OF_NEGATIVE = replace(EXP, name="exp_of_negative")


def operation_of(node: Node) -> Operation:
    """The operation by which a node is computed: its own, or what does the same for its inputs."""
    if node.operation is EXP and _is_never_positive(node.inputs[0]):
        return EXP_OF_NEGATIVE
    return node.operation


def _is_never_positive(node: Node) -> bool:
    name = node.operation.name
    if name == "neg":
        return _is_never_negative(node.inputs[0])
    if name == "sub":
        return _is_row_maximum(node.inputs[1], node.inputs[0])
    if name == "mul":
        return any(
            [
                _has_sign(factor, -1) and _is_never_negative(other)
                for factor, other in (node.inputs, node.inputs[::-1])
            ]
        )
    return False


def _is_never_negative(node: Node) -> bool:
    name, inputs = node.operation.name, node.inputs
    if name == "mul":
        return inputs[0] is inputs[1] or all([_is_never_negative(i) for i in inputs])
    return name == "abs" or _has_sign(node, 1)


def _has_sign(node: Node, sign: int) -> bool:
    value = constant_value(node)
    return isinstance(value, int | float) and value * sign >= 0


def _is_row_maximum(node: Node, values: Node) -> bool:
    """Whether each element is the largest of ``values`` along the axes on which it is repeated, or
    anything where that is -infinity."""
    if node.operation.name != "broadcast":
        return False
    largest = node.inputs[0]
    if largest.operation.name == "where":
        condition, _, largest = largest.inputs
        lowest = condition.inputs[1] if condition.operation.name == "eq" else condition
        if condition.inputs[:1] != (largest,) or constant_value(lowest) != -float("inf"):
            return False
    if largest.operation.name != "max" or largest.inputs[0] is not values:
        return False
    kept = kept_axes(len(values.shape), largest.attributes[0])  # type: ignore[arg-type]
    return node.attributes == (values.shape, kept)
