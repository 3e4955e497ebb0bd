"""A recurrence: one graph, the body, run for each step of time with what the last step left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codegen.ir.node import Node, TensorType, make, substitute, topological
from codegen.ops.indexing import concatenate
from codegen.ops.movement import reshape, slice_
from codegen.ops.registry import Array, Operation, register


@dataclass(frozen=True)
class LoopBody:
    """What a loop does in each of ``steps`` steps (at least one), the last first if ``reverse``.

    parameters   numbered parameters: an element of each sequence, the states, the constants.
    outputs      the next states, then whatever else each step gives.
    """

    parameters: tuple[Node, ...]
    outputs: tuple[Node, ...]
    sequences: int
    states: int
    steps: int
    reverse: bool

    def __repr__(self) -> str:
        return f"{self.steps} steps"

    def times(self) -> Sequence[int]:
        """The steps in the order in which they are done."""
        return range(self.steps - 1, -1, -1) if self.reverse else range(self.steps)


def _infer_loop(inputs: tuple[Node, ...], body: LoopBody, number: int) -> TensorType:
    states = slice(body.sequences, body.sequences + body.states)
    for i, (value, p) in enumerate(zip(inputs, body.parameters, strict=True)):
        wanted = (body.steps, *p.shape) if i < body.sequences else p.shape
        if value.shape != wanted or value.dtype is not p.dtype:
            raise ValueError(f"loop input {value.type} for {p.type} of {body}")
    for p, after in zip(body.parameters[states], body.outputs, strict=False):
        if (p.shape, p.dtype) != (after.shape, after.dtype):
            raise ValueError(f"loop state {p.type} becomes {after.type}")
    made = body.outputs[number].type
    return TensorType((body.steps, *made.shape), made.dtype)


def _loop_reference(
    type_: TensorType, arrays: Sequence[Array], body: LoopBody, number: int
) -> Array:
    states = list(arrays[body.sequences : body.sequences + body.states])
    constants = arrays[body.sequences + body.states :]
    wanted = [*body.outputs[: body.states], body.outputs[number]]
    order = topological(wanted)
    results: list[Array | None] = [None] * body.steps
    for t in body.times():
        values = [a[t] for a in arrays[: body.sequences]] + states + list(constants)
        done = dict(zip(body.parameters, values, strict=True))
        for node in order:
            if node not in done:
                inputs = [done[i] for i in node.inputs]
                done[node] = node.operation.reference(node.type, inputs, *node.attributes)
        *states, results[t] = [done[node] for node in wanted]
    return np.stack([r for r in results if r is not None])


# Its gradient is that of the same loop unrolled: see graph/differentiate.py.
LOOP = register(Operation("loop", "loop", _infer_loop, _loop_reference))


def loop(body: LoopBody, inputs: Sequence[Node]) -> list[Node]:
    """Every output of the body, those of all steps stacked along a new first axis by time.

    inputs: sequences with time first, initial states, and constants, as the body's parameters.
    """
    return [make(LOOP, tuple(inputs), (body, i)) for i in range(len(body.outputs))]


def unrolled(node: Node, inputs: Sequence[Node]) -> Node:
    """A loop's output over these inputs as a graph without a loop: a copy of the body a step."""
    body, number = node.attributes
    assert isinstance(body, LoopBody) and isinstance(number, int)
    states = list(inputs[body.sequences : body.sequences + body.states])
    constants = inputs[body.sequences + body.states :]
    wanted = [*body.outputs[: body.states], body.outputs[number]]
    results: dict[int, Node] = {}
    for t in body.times():
        elements = [element(x, t) for x in inputs[: body.sequences]]
        values = [*elements, *states, *constants]
        *states, results[t] = substitute(wanted, dict(zip(body.parameters, values, strict=True)))
    shape = (1, *body.outputs[number].shape)
    return concatenate([reshape(results[t], shape) for t in range(body.steps)], 0)


def element(x: Node, t: int) -> Node:
    """x[t]"""
    rest = x.shape[1:]
    starts = (t, *[0] * len(rest))
    return reshape(slice_(x, starts, (1, *rest), (1,) * len(x.shape)), rest)
