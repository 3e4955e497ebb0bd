"""Cuts large reductions with few results in two, so that threads share them and sums stay exact.

sum over n  ->  sum over n / 32768 chunks, in double, of the sums of the chunks
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from codegen import dtype as dt
from codegen.graph.contraction_match import match_contraction
from codegen.ir.node import Node, make, rebuild, same
from codegen.ops import elementwise as ew
from codegen.ops.movement import reshape, slice_

# Elements of a chunk: few enough that a lane of 64 adds up 512 numbers.
CHUNK = 1 << 15
# Reductions with more independent results than this keep the threads busy as they are.
_FEW_TASKS = 16
_COMBINE = {"sum": ew.add, "prod": ew.mul, "max": ew.maximum, "min": ew.minimum}


def split_reductions(roots: Sequence[Node]) -> list[Node]:
    """The roots with every large reduction of few results in two stages."""
    return rebuild(roots, lambda node, inputs: _split(same(node, inputs)))


def _split(node: Node) -> Node:
    if node.operation.name not in _COMBINE or node.dtype.kind == "bool":
        return node
    (x,) = node.inputs
    axes = node.attributes[0]
    assert isinstance(axes, tuple)
    inner = prod([x.shape[a] for a in axes])
    if inner < 2 * CHUNK or _tasks(node) > _FEW_TASKS or match_contraction(node) is not None:
        return node
    axis = max(axes, key=lambda a: x.shape[a])
    extent = x.shape[axis]
    chunks = min(extent // 2, max(2, inner // CHUNK))
    # Chunks that leave no rest save a kernel, and let what is summed be computed on the way.
    chunks = next((c for c in range(chunks, 2 * chunks) if extent % c == 0), chunks)
    whole = extent - extent % chunks
    result = _in_chunks(node, _part(x, axis, 0, whole), axis, chunks)
    if whole < extent:
        rest = make(node.operation, (_part(x, axis, whole, extent),), (axes,))
        result = _COMBINE[node.operation.name](result, rest)
    return result


def _tasks(node: Node) -> int:
    """How many threads the reduction could use: rows, or blocks of 64 columns."""
    (x,) = node.inputs
    if len(x.shape) - 1 in node.attributes[0]:  # type: ignore[operator]
        return node.type.size
    return -(-node.type.size // 64)


def _part(x: Node, axis: int, start: int, stop: int) -> Node:
    starts = [start if i == axis else 0 for i in range(len(x.shape))]
    sizes = [stop - start if i == axis else n for i, n in enumerate(x.shape)]
    return slice_(x, starts, sizes, [1] * len(x.shape))


def _in_chunks(node: Node, x: Node, axis: int, chunks: int) -> Node:
    """The reduction of ``x``, whose ``axis`` is cut into chunks that are reduced first."""
    axes = node.attributes[0]
    assert isinstance(axes, tuple)
    cut = reshape(x, (*x.shape[:axis], chunks, x.shape[axis] // chunks, *x.shape[axis + 1 :]))
    first = tuple(sorted([a + (a >= axis) for a in axes]))
    partial = make(node.operation, (cut,), (first,))
    place = len([a for a in range(axis) if a not in axes])
    wide = node.operation.name == "sum" and node.dtype is dt.float32
    if wide:
        partial = ew.cast(partial, dt.float64)
    return ew.cast(make(node.operation, (partial,), ((place,),)), node.dtype)
