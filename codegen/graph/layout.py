"""Makes contractions compute their results in the order of axes in which they are wanted."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.graph.contraction_match import match_contraction
from codegen.ir.node import Node, make, rebuild, same, topological
from codegen.ops.movement import permute


def sink_permutes(roots: Sequence[Node]) -> list[Node]:
    """The roots with a permuted contraction computed in the permuted order, where the permuted
    value would have to be stored or is computed with: that saves a kernel that only moves.

    A permuted value that only other contractions read stays: they read it where it lies. So does
    one whose rows or columns the order would take apart (an image's, in a batch): many small
    products are slower than a large one and a copy.
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
    outputs = set(roots)

    def is_computed_with(node: Node) -> bool:
        return node in outputs or any(
            [
                (user.operation.kind == "elementwise" and user not in products)
                or (user.operation.name in ("reshape", "pad") and is_computed_with(user))
                for user in users[node]
            ]
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
