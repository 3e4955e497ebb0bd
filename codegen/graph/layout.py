"""Orders of axes: contractions and outputs computed in those in which they are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codegen.graph.contraction_match import match_contraction
from codegen.ir.node import Node, Shape, make, rebuild, same, topological
from codegen.ops.movement import inverse_order, permute


def sink_permutes(roots: Sequence[Node]) -> list[Node]:
    """The roots with a permuted contraction computed in the permuted order, where the permuted
    value would have to be stored or is computed with: that saves a kernel that only moves.

    A permuted value that only other contractions read stays, if they can read it where it lies,
    which they cannot where a reshape joins axes that are apart there. So does one whose rows or
    columns the order would take apart (an image's, in a batch): many small products are slower than
    a large one and a copy.
    """
    order = topological(roots)
    users: dict[Node, list[Node]] = {node: [] for node in order}
    for node in order:
        for source in node.inputs:
            users[source].append(node)
    contractions = {
        n: match
        for n in order
        if n.operation.name == "sum" and (match := match_contraction(n)) is not None
    }
    products = {n.inputs[0] for n in contractions}
    operands = {x for match in contractions.values() for x in (match.a, match.b)}
    outputs = set(roots)

    def is_computed_with(node: Node) -> bool:
        return (
            node in outputs
            or node in operands
            or any(
                [
                    (user.operation.kind == "elementwise" and user not in products)
                    or (user.operation.name in ("reshape", "pad") and is_computed_with(user))
                    for user in users[node]
                ]
            )
        )

    def is_alone(node: Node) -> bool:
        return len(users[node]) == 1 and node not in outputs

    def can_move(node: Node) -> bool:
        """Whether the contraction has as many products in the permute's order."""
        axes = node.attributes[0]
        assert isinstance(axes, tuple)
        result = _sum_in_order(node.inputs[0], axes)
        match, before = match_contraction(result), contractions[node.inputs[0]]
        return match is not None and match.contraction.sizes[0] <= before.contraction.sizes[0]

    chosen = {
        node
        for node in order
        if node.operation.name == "permute"
        and node.inputs[0] in contractions
        and is_alone(node.inputs[0])
        and is_alone(node.inputs[0].inputs[0])
        and is_computed_with(node)
        and can_move(node)
    }
    if not chosen:
        return list(roots)

    def sink(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node not in chosen:
            return same(node, inputs)
        axes = node.attributes[0]
        assert isinstance(axes, tuple)
        return _sum_in_order(inputs[0], axes)

    return rebuild(roots, sink)


def _sum_in_order(node: Node, order: tuple[int, ...]) -> Node:
    """A sum of a product, its kept axes in another order."""
    (product,) = node.inputs
    summed = node.attributes[0]
    assert isinstance(summed, tuple)
    kept = [i for i in range(len(product.shape)) if i not in summed]
    whole = (*[kept[i] for i in order], *summed)
    moved = make(product.operation, tuple([permute(x, whole) for x in product.inputs]), ())
    return make(node.operation, (moved,), (tuple(range(len(kept), len(whole))),))


def outputs_in_order(outputs: Sequence[Node], orders: Mapping[int, Shape]) -> list[Node]:
    """The outputs, some with their axes in another order, in which they are to lie in memory.

    The element-wise operations that such an output comes from are done in its order, each once for
    whoever reads it: so a loop goes through memory as it lies where the operands lie alike.

    orders: of an output by its number; its axes from the outermost in memory to the innermost.
    """
    chosen: dict[Node, Shape] = {}
    for number, order in orders.items():
        stack = [outputs[number]]
        while stack:
            node = stack.pop()
            if node.operation.kind == "elementwise" and node not in chosen:
                chosen[node] = order
                stack.extend(node.inputs)

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        order = chosen.get(node)
        if order is None:
            return same(node, inputs)
        turned = tuple([_permuted(i, order) for i in inputs])
        return permute(make(node.operation, turned, node.attributes), inverse_order(order))

    made = rebuild(outputs, change)
    return [_permuted(x, orders[i]) if i in orders else x for i, x in enumerate(made)]


def _permuted(x: Node, order: Shape) -> Node:
    if x.operation.name != "permute":
        return permute(x, order)
    (inner,) = x.attributes
    return permute(x.inputs[0], [inner[i] for i in order])  # type: ignore[index]
