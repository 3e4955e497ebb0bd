"""Batching: a graph over examples as one over a batch of them.

In: a graph for one example, and for some of its nodes what they are for all examples, along a new
first axis. Out: the same graph for all examples. What depends on no batched node stays as it is,
and is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from codegen import dtype as dt
from codegen.graph.inline import inline_plain
from codegen.ir.node import Node, TensorType, make, same, topological
from codegen.ops import elementwise as ew
from codegen.ops.calls import Template, call
from codegen.ops.indexing import EMPTY, WRITE, empty, gather, write
from codegen.ops.leaves import parameter
from codegen.ops.loop import LoopBody
from codegen.ops.movement import inverse_order, pad_to, permute
from codegen.ops.reduction import broadcast, full, sum_


def batch(
    roots: Sequence[Node], given: Mapping[Node, tuple[Node, bool]], size: int
) -> list[tuple[Node, bool]]:
    """The roots for ``size`` examples, each with whether it has the batch axis in front.

    ``given`` maps nodes to what stands for them, with or without that axis.
    """
    batching = _Batching(given, size)
    return [batching.image(root) for root in roots]


def lifted(node: Node, size: int) -> Node:
    """A value that is the same for all examples, repeated along a new first axis."""
    shape = (size, *node.shape)
    if node.operation.name == "broadcast":
        (source,), (_, axes) = node.inputs, node.attributes
        assert isinstance(axes, tuple)
        return broadcast(source, shape, [a + 1 for a in axes])
    return broadcast(node, shape, range(1, len(shape)))


class _Batching:
    """One transform: what stands for each node so far."""

    def __init__(self, given: Mapping[Node, tuple[Node, bool]], size: int) -> None:
        self.images: dict[Node, tuple[Node, bool]] = dict(given)
        self.size = size

    def image(self, root: Node) -> tuple[Node, bool]:
        images = self.images
        for node in topological([root], stop=lambda n: n in images):
            if node not in images:
                inputs = [images[i] for i in node.inputs]
                if any([flag for _, flag in inputs]):
                    images[node] = self._batched(node, inputs), True
                else:
                    images[node] = same(node, tuple([i for i, _ in inputs])), False
        return images[root]

    def lift(self, value: tuple[Node, bool]) -> Node:
        node, flag = value
        return node if flag else lifted(node, self.size)

    def _batched(self, node: Node, inputs: Sequence[tuple[Node, bool]]) -> Node:
        rule = _RULES.get(node.operation.name) or _RULES[node.operation.kind]
        return rule(self, node, inputs)


Inputs = Sequence[tuple[Node, bool]]
Rule = Callable[[_Batching, Node, Inputs], Node]


def _elementwise(b: _Batching, node: Node, inputs: Inputs) -> Node:
    return make(node.operation, tuple([b.lift(i) for i in inputs]), node.attributes)


def _on_attributes(change: Callable[..., Any]) -> Rule:
    """The same operation with other attributes, which ``change`` makes of (size, *attributes)."""

    def rule(b: _Batching, node: Node, inputs: Inputs) -> Node:
        return make(node.operation, tuple([b.lift(i) for i in inputs]),
                    change(b.size, *node.attributes))  # fmt: skip

    return rule


def _shifted(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple([a + 1 for a in axes])


def _pad(b: _Batching, node: Node, inputs: Inputs) -> Node:
    (x, fill), (shape, starts, steps) = inputs, node.attributes
    assert isinstance(shape, tuple) and isinstance(starts, tuple) and isinstance(steps, tuple)
    whole, starts, steps = (b.size, *shape), (0, *starts), (1, *steps)
    value = b.lift(x)
    if not fill[1]:
        return pad_to(value, whole, starts, steps, fill[0])
    inside = pad_to(full(True, value.shape, dt.bool_), whole, starts, steps)
    return ew.where(inside, pad_to(value, whole, starts, steps), broadcast(fill[0], whole, (0,)))


def _gather(b: _Batching, node: Node, inputs: Inputs) -> Node:
    (x, x_batched), (index, index_batched) = inputs
    (axis,) = node.attributes
    assert isinstance(axis, int)
    if x_batched:
        return gather(x, b.lift((index, index_batched)), axis + 1)
    # The examples are further places along the axis: the tensor that they share stays one.
    order = [*range(1, axis + 1), 0, *range(axis + 1, len(index.shape))]
    return permute(gather(x, permute(index, order), axis), inverse_order(order))


def _write(b: _Batching, node: Node, inputs: Inputs) -> Node:
    (base, base_batched), value = inputs
    starts, steps = node.attributes
    assert isinstance(starts, tuple) and isinstance(steps, tuple)
    into = base if base_batched else _lifted_base(b, base)
    return write(into, b.lift(value), (0, *starts), (1, *steps))


def _lifted_base(b: _Batching, base: Node) -> Node:
    """Writes into fresh memory, as a concatenation is made of, stay such writes."""
    parts: list[Node] = []
    first = base
    while first.operation is WRITE:
        parts.append(first)
        first = first.inputs[0]
    if first.operation is not EMPTY:
        return lifted(base, b.size)
    result = empty((b.size, *base.shape), base.dtype)
    for part in reversed(parts):
        starts, steps = part.attributes
        assert isinstance(starts, tuple) and isinstance(steps, tuple)
        result = write(result, lifted(part.inputs[1], b.size), (0, *starts), (1, *steps))
    return result


def _loop(b: _Batching, node: Node, inputs: Inputs) -> Node:
    """The same loop with its states for all examples, and constants as they are."""
    body, number = node.attributes
    assert isinstance(body, LoopBody) and isinstance(number, int)
    parameters: list[Node] = []
    values: list[Node] = []
    given: dict[Node, tuple[Node, bool]] = {}
    for i, (p, (value, flag)) in enumerate(zip(body.parameters, inputs, strict=True)):
        if body.sequences <= i < body.sequences + body.states:
            value, flag = b.lift((value, flag)), True
        elif flag and i < body.sequences:
            value = permute(value, (1, 0, *range(2, len(value.shape))))  # time first
        shape = (b.size, *p.shape) if flag else p.shape
        parameters.append(parameter(i, TensorType(shape, p.dtype)))
        values.append(value)
        given[p] = parameters[-1], flag
    outputs = [
        image if flag else lifted(image, b.size)
        for image, flag in batch(body.outputs, given, b.size)
    ]
    wide = LoopBody(
        tuple(parameters), tuple(outputs), body.sequences, body.states, body.steps, body.reverse
    )
    result = make(node.operation, tuple(values), (wide, number))
    return permute(result, (1, 0, *range(2, len(result.shape))))


def _call(b: _Batching, node: Node, inputs: Inputs) -> Node:
    template, number = node.attributes
    assert isinstance(template, Template) and isinstance(number, int)
    key = b.size, tuple([flag for _, flag in inputs])
    wide = template.batched.get(key)
    if wide is None:
        wide = template.batched[key] = _batched_template(template, *key)
    return call(wide, [value for value, _ in inputs], number)


def _batched_template(template: Template, size: int, flags: tuple[bool, ...]) -> Template:
    parameters = [
        parameter(i, TensorType((size, *p.shape), p.dtype) if flag else p.type)
        for i, (p, flag) in enumerate(zip(template.parameters, flags, strict=True))
    ]
    given = dict(zip(template.parameters, zip(parameters, flags, strict=True), strict=True))
    images = batch(inline_plain(template.outputs), given, size)
    outputs = [image if flag else lifted(image, size) for image, flag in images]
    rule = None if template.gradient is None else _batched_gradient(template, size, flags)
    return Template(template.name, tuple(parameters), tuple(outputs), rule)


def _batched_gradient(template: Template, size: int, flags: tuple[bool, ...]) -> Any:
    """The gradient rule for all examples: the rule for one of them, batched. An input that the
    examples share gets the sum of their cotangents."""
    one = template.gradient
    assert one is not None
    count, outputs = len(template.parameters), template.outputs
    inputs = [parameter(i, p.type) for i, p in enumerate(template.parameters)]
    results = [parameter(count + i, TensorType(o.shape, o.dtype)) for i, o in enumerate(outputs)]

    def rule(
        given_inputs: Sequence[Node],
        given_outputs: Sequence[Node],
        given_cotangents: Sequence[Node | None],
    ) -> list[Node | None]:
        first = count + len(results)
        seen = [
            None if c is None else parameter(first + i, results[i].type)
            for i, c in enumerate(given_cotangents)
        ]
        parts = one(inputs, results, seen)
        images = {p: (v, f) for p, v, f in zip(inputs, given_inputs, flags, strict=True)}
        images.update({p: (v, True) for p, v in zip(results, given_outputs, strict=True)})
        for p, c in zip(seen, given_cotangents, strict=True):
            if p is not None and c is not None:
                images[p] = c, True
        batching = _Batching(images, size)
        found = iter(inline_plain([part for part in parts if part is not None]))
        pulled: list[Node | None] = []
        for part, flag in zip(parts, flags, strict=True):
            if part is None:
                pulled.append(None)
                continue
            value = batching.lift(batching.image(next(found)))
            pulled.append(value if flag else sum_(value, (0,)))
        return pulled

    return rule


_RULES: dict[str, Rule] = {
    "elementwise": _elementwise,
    "sort": _elementwise,
    "mark": _elementwise,
    "as_real": _elementwise,
    "host": _elementwise,  # leading dimensions are a batch
    "reduce": _on_attributes(lambda _size, axes: (_shifted(axes),)),
    "scan": _on_attributes(lambda _size, axis: (axis + 1,)),
    "scatter": _on_attributes(lambda _size, mode, axis: (mode, axis + 1)),
    "reshape": _on_attributes(lambda size, shape: ((size, *shape),)),
    "permute": _on_attributes(lambda _size, order: ((0, *_shifted(order)),)),
    "slice": _on_attributes(
        lambda size, starts, sizes, steps: ((0, *starts), (size, *sizes), (1, *steps))
    ),
    "broadcast": _on_attributes(lambda size, shape, axes: ((size, *shape), (0, *_shifted(axes)))),
    "skew": _on_attributes(lambda _size, axis, *rest: (axis + 1, *rest)),
    "unskew": _on_attributes(lambda _size, axis, *rest: (axis + 1, *rest)),
    "pad": _pad,
    "gather": _gather,
    "write": _write,
    "loop": _loop,
    "call": _call,
}
