"""Nodes that the compiler expands: calls of templates, gradients, and marks on values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from codegen.ir.node import Node, TensorType, make
from codegen.ops.registry import Operation, register

CustomGradient = Callable[
    [Sequence[Node], Sequence[Node], Sequence["Node | None"]], Sequence["Node | None"]
]


class Steps(NamedTuple):
    """How to make one output of a template's graph over other inputs.

    constants  what depends on no input.
    made       operation, places of its inputs, attributes of each other node; places count the
               inputs, the constants and these, in this order.
    output     the output's place.
    """

    constants: tuple[Node, ...]
    made: tuple[tuple[Operation, tuple[int, ...], tuple[Hashable, ...]], ...]
    output: int


@dataclass(frozen=True, eq=False)
class Template:
    """A composite traced once: a graph over ``parameters`` that a call stands for.

    ``gradient``, where given, maps (inputs, outputs, cotangents) to the inputs' cotangents and
    is used in place of differentiating the graph.
    """

    name: str
    parameters: tuple[Node, ...]
    outputs: tuple[Node, ...]
    gradient: CustomGradient | None = None
    # The outputs with calls inside inlined: by number, and whether those with a gradient rule stay.
    steps: dict[tuple[int, bool], Steps] = field(default_factory=dict, repr=False)
    # The same for many examples, by their number and which parameters have one value for each.
    batched: dict[tuple[int, tuple[bool, ...]], Template] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return self.name


def _never(*_: Any) -> Any:
    raise AssertionError("this node is expanded before anything runs")


def _infer_call(inputs: tuple[Node, ...], template: Template, number: int) -> TensorType:
    given, wanted = [i.type for i in inputs], [p.type for p in template.parameters]
    if given != wanted:
        raise ValueError(f"call of {template.name} with {given}, not {wanted}")
    made = template.outputs[number].type
    return TensorType(made.shape, made.dtype)  # a number that came out of a call is a tensor


CALL = register(Operation("call", "call", _infer_call, _never, _never))


def call(template: Template, inputs: Sequence[Node], number: int) -> Node:
    """Output ``number`` of a template's graph applied to the inputs."""
    return make(CALL, tuple(inputs), (template, number))


def _infer_gradient(inputs: tuple[Node, ...], roots: int, overrides: int, n: int) -> TensorType:
    first = 2 * roots + 2 * overrides
    for value, cotangent in zip(inputs[:roots], inputs[roots : 2 * roots], strict=True):
        if value.type is not cotangent.type:
            raise ValueError(f"cotangent {cotangent.type} for a value {value.type}")
    wanted = inputs[first + n].type
    return TensorType(wanted.shape, wanted.dtype)


GRADIENT = register(Operation("gradient", "gradient", _infer_gradient, _never))


def gradient(
    roots: Sequence[Node],
    cotangents: Sequence[Node],
    replaced: Sequence[Node],
    replacements: Sequence[Node],
    targets: Sequence[Node],
    number: int,
) -> Node:
    """The cotangent of ``targets[number]`` given those of the roots.

    At each node in ``replaced`` the cotangent that arrives gives way to its replacement.
    """
    inputs = (*roots, *cotangents, *replaced, *replacements, *targets)
    return make(GRADIENT, inputs, (len(roots), len(replaced), number))


def _infer_tangent(inputs: tuple[Node, ...], roots: int, number: int) -> TensorType:
    sources = (len(inputs) - roots) // 2
    duals = zip(inputs[roots : roots + sources], inputs[roots + sources :], strict=True)
    for value, given in duals:
        if value.type is not given.type:
            raise ValueError(f"tangent {given.type} for a value {value.type}")
    wanted = inputs[number].type
    return TensorType(wanted.shape, wanted.dtype)


TANGENT = register(Operation("tangent", "gradient", _infer_tangent, _never))


def tangent(
    roots: Sequence[Node], sources: Sequence[Node], tangents: Sequence[Node], number: int
) -> Node:
    """How ``roots[number]`` changes as the sources change by their tangents."""
    return make(TANGENT, (*roots, *sources, *tangents), (len(roots), number))


def _identity_type(inputs: tuple[Node, ...], *_: Any) -> TensorType:
    return TensorType(inputs[0].shape, inputs[0].dtype)


DETACH = register(
    Operation("detach", "mark", _identity_type, lambda _type, arrays, _reverse: arrays[0])
)
MARK = register(
    Operation(
        "mark", "mark", _identity_type, lambda _type, arrays, _: arrays[0], lambda node, g: (g,)
    )
)


def detach(x: Node, reverse: bool = False) -> Node:
    """``x``, through which no gradient flows; with ``reverse``, as of what no_grad computes, a
    tangent does."""
    return make(DETACH, (x,), (reverse,))


def mark(x: Node, tag: int) -> Node:
    """``x`` as a value of its own: equal expressions elsewhere stay distinct from it."""
    return make(MARK, (x,), (tag,))
