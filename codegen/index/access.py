"""Movement operations as index maps: where an element of the output comes from in the input."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.index.algebra import Condition, Index, constant, inside
from codegen.index.algebra import reshape as reshape_indices
from codegen.ir.node import Node

Indices = tuple[Index, ...]
# Conditions that must all hold for the element to come from the input; False: it never does.
Guard = tuple[Condition, ...]


def source_of(node: Node, indices: Sequence[Index]) -> tuple[Indices, Guard | None]:
    """The input indices behind an output index of a movement node, and when they apply.

    A guard of None says that the element is never taken from the input.
    """
    (name, attributes) = (node.operation.name, node.attributes)
    x = node.inputs[0]
    if name == "reshape":
        return tuple(reshape_indices(tuple(indices), node.shape, x.shape)), ()
    if name == "permute":
        order: Sequence[int] = attributes[0]  # type: ignore[assignment]
        back = sorted(range(len(order)), key=lambda i: order[i])
        return tuple([indices[i] for i in back]), ()
    if name == "broadcast":
        axes: Sequence[int] = attributes[1]  # type: ignore[assignment]
        return tuple([indices[a] for a in axes]), ()
    if name == "slice":
        starts, _sizes, steps = attributes
        return _strided(indices, starts, steps), ()  # type: ignore[arg-type]
    if name == "pad":
        return _unpadded(node, indices)
    if name == "skew":
        axis, _extent, stride, dilation = attributes
        place = indices[axis] * stride + indices[-1] * dilation  # type: ignore
        return _with(indices, axis, place), ()  # type: ignore[arg-type]
    if name == "unskew":
        return _unskewed(node, indices)
    raise AssertionError(f"{name} does not move values")


def _strided(indices: Sequence[Index], starts: Sequence[int], steps: Sequence[int]) -> Indices:
    return tuple([i * t + s for i, s, t in zip(indices, starts, steps, strict=True)])


def _with(indices: Sequence[Index], axis: int, index: Index) -> Indices:
    return (*indices[:axis], index, *indices[axis + 1 :])


def _unpadded(node: Node, indices: Sequence[Index]) -> tuple[Indices, Guard | None]:
    x = node.inputs[0]
    _shape, starts, steps = node.attributes
    guard: list[Condition] = []
    result: list[Index] = []
    for index, size, start, step in zip(indices, x.shape, starts, steps, strict=True):  # type: ignore
        place = _divided(index - start, step, size, guard)
        if place is None:
            return tuple([constant(0)] * len(x.shape)), None
        result.append(place)
    return tuple(result), tuple(guard)


def _unskewed(node: Node, indices: Sequence[Index]) -> tuple[Indices, Guard | None]:
    x = node.inputs[0]
    axis, _length, stride, dilation = node.attributes
    guard: list[Condition] = []
    shifted = indices[axis] - indices[-1] * dilation  # type: ignore
    place = _divided(shifted, stride, x.shape[axis], guard)  # type: ignore
    if place is None:
        return tuple([constant(0)] * len(x.shape)), None
    return _with(indices, axis, place), tuple(guard)  # type: ignore[arg-type]


def _divided(shifted: Index, step: int, size: int, guard: list[Condition]) -> Index | None:
    """``shifted / step`` where that is whole and within ``size``; None where it never is."""
    checks = [inside(shifted, 0, (size - 1) * step + 1)]
    if step > 1:
        checks.append(inside(shifted % step, 0, 1))
    for check in checks:
        if check is False:
            return None
        if isinstance(check, Condition):
            guard.append(check)
    return shifted // step
