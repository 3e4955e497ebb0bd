"""Reads the one element that a sum over a one-hot mask comes to.

sum over c of (c == index ? value : 0)  ->  value[index], or 0 where the index is out of range

A loss against class numbers is written with the mask, whose adjoint is a mask that its reader
computes, where that of a gather would be a scatter. What is picked is looked for among what is in
memory: the work on the way there is done for the one element.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen import dtype as dt
from codegen.graph.contraction_match import match_contraction
from codegen.ir.node import Node, rebuild, same, topological
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather
from codegen.ops.movement import inverse_order, permute
from codegen.ops.reduction import broadcast

# Below this many elements they are all in a line or two.
_LEAST = 16
# More work than this is repeated for one element only if the row that it is one of is long.
_MOST_NODES = 32


def pick_elements(roots: Sequence[Node]) -> list[Node]:
    """The roots with sums over one-hot masks read where they can be."""
    made: dict[Node, str] = {}

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        node = same(node, inputs)
        found = _one_hot(node)
        if found is None:
            return node
        value, index, axis = found
        extent = value.shape[axis]
        place = ew.cast(index, dt.int64)
        inside = ew.and_(
            ew.ge(place, ew.full_like(place, 0)), ew.lt(place, ew.full_like(place, extent))
        )
        safe = ew.where(inside, place, ew.full_like(place, 0))
        picked = _element(value, safe, axis, made, [_MOST_NODES])
        if picked is None:
            return node
        none = ew.full_like(picked, 0)
        # A sum begins with 0, so it is never -0.
        return ew.add(ew.where(inside, picked, none), none)

    return rebuild(roots, change)


def _one_hot(node: Node) -> tuple[Node, Node, int] | None:
    """Value, index and axis where a node is the sum of a value over a one-hot mask."""
    if node.operation.name != "sum":
        return None
    (chosen,), axes = node.inputs, node.attributes[0]
    assert isinstance(axes, tuple)
    if len(axes) != 1:
        return None
    axis: int = axes[0]
    if chosen.operation.name != "where" or chosen.shape[axis] < _LEAST:
        return None
    mask, value, zero = chosen.inputs
    if mask.operation.name != "eq" or not _is_zero(zero):
        return None
    places, other = mask.inputs
    others = tuple([i for i in range(len(mask.shape)) if i != axis])
    matches = (
        places.operation.name == other.operation.name == "broadcast"
        and places.inputs[0].operation.name == "iota"
        and places.attributes[1] == (axis,)
        and other.attributes[1] == others
        and other.dtype.kind == "int"
    )
    return (value, other.inputs[0], axis) if matches else None


def _is_zero(node: Node) -> bool:
    while node.operation.name in ("broadcast", "reshape"):
        (node,) = node.inputs
    return node.operation.name == "constant" and node.attributes[0] == 0


def _element(
    node: Node, index: Node, axis: int, in_memory: dict[Node, str], left: list[int]
) -> Node | None:
    """The node's elements at an index along an axis, which the result lacks; None where they would
    be of something that is nowhere in memory. ``left``: how many nodes may still be repeated."""
    left[0] -= 1
    if left[0] < 0:
        return None
    name, kind = node.operation.name, node.operation.kind
    rest = (*node.shape[:axis], *node.shape[axis + 1 :])
    if name == "constant":
        return None
    if _will_be_in_memory(node, in_memory):
        return gather(node, index, axis)
    if name == "iota":
        return ew.cast(index, node.dtype)
    if kind == "elementwise":
        parts = [_element(i, index, axis, in_memory, left) for i in node.inputs]
        return None if None in parts else same(node, tuple([p for p in parts if p is not None]))
    if name == "broadcast":
        (source,) = node.inputs
        kept = node.attributes[1]
        assert isinstance(kept, tuple)
        if axis not in kept:
            return broadcast(source, rest, [a - (a > axis) for a in kept])
        if kept == (axis,):
            return _element_of_line(source, index, in_memory)
        return None
    if name == "permute" and node.inputs[0].operation.name == "parameter":
        order = node.attributes[0]
        assert isinstance(order, tuple)
        remaining = [a for i, a in enumerate(order) if i != axis]  # the source's axes in turn
        turned = [sorted(remaining).index(a) for a in remaining]
        moved = permute(index, inverse_order(turned))
        part = _element(node.inputs[0], moved, order[axis], in_memory, left)
        return None if part is None else permute(part, turned)
    return None


def _element_of_line(line: Node, index: Node, in_memory: dict[Node, str]) -> Node | None:
    """A line's element for each index."""
    if line.operation.name == "iota":
        return ew.cast(index, line.dtype)
    return gather(line, index, 0) if _will_be_in_memory(line, in_memory) else None


def _will_be_in_memory(node: Node, known: dict[Node, str]) -> bool:
    """Whether a value is stored in any case: a parameter, or element-wise work on what kernels of
    other kinds leave, before which a row-wise kernel begins anew."""
    while node.operation.name == "reshape":
        (node,) = node.inputs
    return node.operation.name == "parameter" or _made_of(node, known) == "stored"


def _made_of(node: Node, known: dict[Node, str]) -> str:
    """``leaf``: element-wise of leaves alone; ``stored``: of leaves and of what has a kernel of its
    own; ``other``: of anything else."""
    for n in topological([node], stop=lambda n: n in known):
        if n in known:
            continue
        kind, below = n.operation.kind, {known[i] for i in n.inputs}
        if kind == "leaf":
            known[n] = "leaf"
        elif _has_its_own_kernel(n):
            known[n] = "stored"
        elif kind == "elementwise" or n.operation.name == "reshape" or below <= {"leaf"}:
            known[n] = max(below, key=("leaf", "stored", "other").index, default="leaf")
        else:
            known[n] = "other"
    return known[node]


def _has_its_own_kernel(node: Node) -> bool:
    if node.operation.name == "sum" and node.inputs[0].operation.name == "mul":
        return match_contraction(node) is not None
    return node.operation.kind in ("scan", "scatter", "sort", "loop", "host")
