"""The interpreter device: a graph run node by node through the operations' NumPy references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codegen.ir.node import Node, TensorType, topological
from codegen.ops.registry import Array
from codegen.ops.special_reference import bfloat16_to_float32, float32_to_bfloat16


def interpret(roots: Sequence[Node], values: Mapping[Node, Array]) -> list[Array]:
    """The roots' values; ``values`` holds those of the parameters.

    bfloat16 is float32 here, rounded; ``from_buffer`` and ``to_buffer`` convert.
    """
    users: dict[Node, int] = {}
    order = topological(roots)
    for node in [*roots, *[i for n in order for i in n.inputs]]:
        users[node] = users.get(node, 0) + 1
    done: dict[Node, Array] = dict(values)
    with np.errstate(all="ignore"):  # infinities and NaN are values like any other
        for node in order:
            if node not in done:
                arrays = [done[i] for i in node.inputs]
                done[node] = node.operation.reference(node.type, arrays, *node.attributes)
            for source in node.inputs:
                users[source] -= 1
                if not users[source]:
                    del done[source]
    return [done[root] for root in roots]


def from_buffer(array: Array, type_: TensorType) -> Array:
    """A buffer's content in the interpreter's form."""
    return bfloat16_to_float32(array) if type_.dtype.name == "bfloat16" else array


def to_buffer(array: Array, type_: TensorType) -> Array:
    """A value in the form in which buffers hold it."""
    return float32_to_bfloat16(array) if type_.dtype.name == "bfloat16" else array
