"""Recognises a contraction: a sum of a product of two operands that are moved, not computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.index.access import source_of
from codegen.index.algebra import Index, flatten, variable
from codegen.index.contraction import Axis, Contraction
from codegen.ir.node import Node

# A vector times a smaller matrix than this, however it lies, is done as an ordinary reduction.
_MATRIX = 1 << 10


@dataclass(frozen=True)
class ContractionMatch:
    """A sum's operands, which must be in memory, and its axes by role.

    ``batch``, ``rows`` and ``columns`` number the axes of the product that the output keeps.
    """

    a: Node
    b: Node
    contraction: Contraction
    batch: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]


def match_contraction(node: Node, narrow: Sequence[DType] = ()) -> ContractionMatch | None:
    """The contraction that a sum is, or None where it is an ordinary reduction.

    ``narrow``: operands that were of such a type before a cast are wanted as they were.
    """
    for dtype in narrow:
        found = _match(node, (dtype, dtype))
        if found is not None and min(found.contraction.sizes[1:3]) > 1:
            return found
    return _match(node, (None, None))


def _match(node: Node, casts: tuple[DType | None, DType | None]) -> ContractionMatch | None:
    """The contraction of operands that are casts from given types, or as they are."""
    (product,) = node.inputs
    if product.operation.name != "mul" or node.type.size == 0 or product.type.size == 0:
        return None
    names = [f"d{i}" for i in range(len(product.shape))]
    indices = tuple([variable(n, e) for n, e in zip(names, product.shape, strict=True)])
    a, a_index = _operand(product.inputs[0], indices, casts[0])
    b, b_index = _operand(product.inputs[1], indices, casts[1])
    if casts != (None, None) and (node.dtype is not dt.float32 or (a.dtype, b.dtype) != casts):
        return None
    if not (a_index.is_affine() and b_index.is_affine()):
        return None
    summed = node.attributes[0]
    assert isinstance(summed, tuple)
    groups: dict[str, list[int]] = {"batch": [], "rows": [], "columns": [], "inner": []}
    for i, name in enumerate(names):
        in_a, in_b = a_index.coefficient(name) != 0, b_index.coefficient(name) != 0
        if i in summed:
            groups["inner"].append(i)
        elif in_a != in_b:
            groups["rows" if in_a else "columns"].append(i)
        else:
            groups["batch"].append(i)
    kept = [i for i in range(len(names)) if i not in summed and product.shape[i] != 1]
    for group in ("rows", "columns"):
        apart = _apart(groups[group], kept)
        groups[group] = [i for i in groups[group] if i not in apart]
        groups["batch"] = sorted([*groups["batch"], *apart])
    sizes = {key: prod([product.shape[i] for i in axes]) for key, axes in groups.items()}
    if sizes["inner"] < 2:
        return None
    if min(sizes["rows"], sizes["columns"]) < 2:
        # A vector times a matrix is an ordinary reduction, which fuses with what is around it,
        # but for one whose lanes would step over rows of the matrix.
        matrix, side = (a_index, "rows") if sizes["rows"] > 1 else (b_index, "columns")
        inner = [abs(matrix.coefficient(names[i])) for i in groups["inner"]]
        along = [abs(matrix.coefficient(names[i])) for i in groups[side]]
        large = sizes[side] * sizes["inner"] >= _MATRIX and sizes["batch"] == 1
        if not large or 1 not in along or 1 in inner:
            return None

    def axes_of(group: str) -> tuple[Axis, ...]:
        return tuple(
            [
                Axis(product.shape[i], a_index.coefficient(names[i]), b_index.coefficient(names[i]))
                for i in groups[group]
                if product.shape[i] != 1
            ]
        )

    contraction = Contraction(
        axes_of("batch"), axes_of("rows"), axes_of("columns"), axes_of("inner"),
        node.dtype, a_index.constant, b_index.constant, casts[0],
    )  # fmt: skip
    return ContractionMatch(
        a, b, contraction,
        tuple(groups["batch"]), tuple(groups["rows"]), tuple(groups["columns"]),
    )  # fmt: skip


def _apart(group: list[int], kept: list[int]) -> list[int]:
    """The axes of a group that other axes separate from its last ones in the output: walked as
    batch axes, they leave rows and columns that are each one stride in memory."""
    places = [kept.index(i) for i in group if i in kept]
    last = len(places)
    while last > 1 and places[last - 2] == places[last - 1] - 1:
        last -= 1
    return [kept[place] for place in places[: last - 1]] if places else []


def _operand(node: Node, indices: tuple[Index, ...], cast_from: DType | None) -> tuple[Node, Index]:
    """The node that has to be in memory, and where in it the product reads: before a cast from
    that type, where there is one."""
    while True:
        if node.operation.name == "cast" and node.inputs[0].dtype is cast_from:
            (node,) = node.inputs
        if node.operation.kind != "movement":
            break
        source, guard = source_of(node, indices)
        x = node.inputs[0]
        if guard != () or not flatten(source, x.shape).is_affine():
            break
        node, indices = x, source
    return node, flatten(indices, node.shape)
