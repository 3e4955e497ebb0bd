"""Cuts sums in parts, so that threads share them.

Large reductions with few results, which stay exact:
sum over n  ->  sum over n / 32768 chunks, in double, of the sums of the chunks

Products of what the plan computes, summed over many rows, for each thread its own rows:
sum over n  ->  sum over the first half + sum over the second
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod

from codegen import dtype as dt
from codegen.graph.contraction_match import ContractionMatch, match_contraction
from codegen.ir.node import Node, make, rebuild, same, topological
from codegen.ops import elementwise as ew
from codegen.ops.movement import permute, reshape, slice_
from codegen.ops.reduction import sum_


@dataclass(frozen=True)
class Cut:
    """When reductions are cut, and how finely.

    ``chunk``: elements of a chunk. ``few``: with more independent results than this the processors
    are busy as it is. ``in_double``: the chunks' float32 sums are added up in float64.
    """

    chunk: int
    few: int
    in_double: bool = True


# A lane of 64 adds up 512 numbers of a chunk.
FOR_THREADS = Cut(chunk=1 << 15, few=16)
_COMBINE = {"sum": ew.add, "prod": ew.mul, "max": ew.maximum, "min": ew.minimum}


def split_reductions(roots: Sequence[Node], cut: Cut = FOR_THREADS) -> list[Node]:
    """The roots with every large reduction of few results in two stages."""
    return rebuild(roots, lambda node, inputs: _split(same(node, inputs), cut))


def _split(node: Node, cut: Cut) -> Node:
    if node.operation.name not in _COMBINE or node.dtype.kind == "bool":
        return node
    (x,) = node.inputs
    axes = node.attributes[0]
    assert isinstance(axes, tuple)
    inner = prod([x.shape[a] for a in axes])
    if inner < 2 * cut.chunk or _tasks(node) > cut.few or match_contraction(node) is not None:
        return node
    axis = max(axes, key=lambda a: x.shape[a])
    extent = x.shape[axis]
    chunks = min(extent // 2, max(2, inner // cut.chunk))
    # Chunks that leave no rest save a kernel, and let what is summed be computed on the way.
    chunks = next((c for c in range(chunks, 2 * chunks) if extent % c == 0), chunks)
    whole = extent - extent % chunks
    result = _in_chunks(node, _part(x, axis, 0, whole), axis, chunks, cut.in_double)
    if whole < extent:
        rest = make(node.operation, (_part(x, axis, whole, extent),), (axes,))
        result = _COMBINE[node.operation.name](result, rest)
    return result


# Sums that are cut for threads are over so many rows …
_LONG = 512
# … with results few enough to be written once a thread: of products, and of columns …
_FEW_RESULTS, _FEW_COLUMNS = 1 << 17, 1 << 11
# … and, of products, so many multiplications that adding the parts up costs little beside.
_HEAVY = 1 << 22
_MOST_PARTS = 4


def split_rows(roots: Sequence[Node], threads: int) -> list[Node]:
    """The roots with long sums over rows that the plan computes cut for the threads.

    So are the gradients of a layer's weight and bias: summed over the rows of what came back,
    and of what the layer was given. Each thread has just written a part of these, which is in its
    own cache; any other cut fetches most of it from other cores. What reads the result adds the
    parts on the way.
    """
    beside = _summed_beside(roots)
    return rebuild(roots, lambda node, inputs: _cut_rows(same(node, inputs), threads, beside))


def _summed_beside(roots: Sequence[Node]) -> set[tuple[Node, tuple[int, ...]]]:
    """Leaves that a kernel which goes through rows has at hand, each with the rows' axes: the sum
    of the leaf over these costs nothing there."""
    found = set()
    for node in topological(roots):
        if node.operation.name == "sum" and _goes_with_rows(node):
            axes = node.attributes[0]
            assert isinstance(axes, tuple)
            (x,) = node.inputs
            for n in topological([x], stop=lambda n: n.operation.kind != "elementwise"):
                if n.operation.kind == "leaf" and n.shape == x.shape:
                    found.add((n, axes))
    return found


def _goes_with_rows(node: Node) -> bool:
    """Whether a sum over rows is of something that is made of reductions of the same rows."""
    (x,) = node.inputs
    rank, axes = len(x.shape), node.attributes[0]
    assert isinstance(axes, tuple)
    if not axes or len(axes) == rank or axes != tuple(range(len(axes))):
        return False
    for n in topological([x], stop=lambda n: n.operation.kind not in ("elementwise", "movement")):
        along_rows = n.operation.kind == "reduce" and n.inputs[0].shape == x.shape
        if along_rows and n.attributes[0] == tuple(range(len(axes), rank)):
            return True
    return False


def _cut_rows(node: Node, threads: int, beside: set[tuple[Node, tuple[int, ...]]]) -> Node:
    if node.operation.name != "sum" or node.dtype not in (dt.float32, dt.float64):
        return node
    (x,) = node.inputs
    axes = node.attributes[0]
    assert isinstance(axes, tuple)
    match = match_contraction(node)
    is_long = _is_long_sum_of_columns(node) if match is None else _is_long_product(match)
    if match is None and is_long and ((x, axes) in beside or _goes_with_rows(node)):
        return _in_parts_of_rows(node, threads)
    axis = next((a for a in axes if x.shape[a] % threads == 0), None)
    # One part is worth it where its reader, an optimizer's step, would take the sum with it to the
    # end of the plan, when the rows have left the caches.
    fewest = 1 if match is None else 2
    cuts = fewest <= threads <= _MOST_PARTS and x.operation.kind != "leaf"
    if axis is None or not is_long or not cuts:
        return node

    def with_parts(value: Node) -> Node:
        """The axis that is cut as two, the parts' own before all others."""
        length = value.shape[axis]
        shape = (*value.shape[:axis], threads, length // threads, *value.shape[axis + 1 :])
        order = [axis, *[i for i in range(len(shape)) if i != axis]]
        return permute(reshape(value, shape), order)

    cut = with_parts(x) if match is None else ew.mul(*[with_parts(v) for v in x.inputs])
    parts = sum_(cut, tuple([a + 1 for a in axes]))
    return reduce(ew.add, [reshape(_part(parts, 0, i, i + 1), node.shape) for i in range(threads)])


def _in_parts_of_rows(node: Node, threads: int) -> Node:
    """A sum over leading axes as one of so many parts of neighbouring rows."""
    (x,) = node.inputs
    rows = x.type.size // node.type.size
    if rows % threads:
        return node
    sums = sum_(reshape(x, (threads, rows // threads, *node.shape)), (1,))
    if threads > _MOST_PARTS:
        return sum_(sums, (0,))
    return reduce(ew.add, [reshape(_part(sums, 0, i, i + 1), node.shape) for i in range(threads)])


def _is_long_product(match: ContractionMatch) -> bool:
    batch, rows, columns, inner = match.contraction.sizes
    return (
        batch == 1
        and inner >= _LONG
        and rows * columns <= _FEW_RESULTS
        and min(rows, columns) >= FOR_THREADS.few
        and rows * columns * inner >= _HEAVY
        and "leaf" not in (match.a.operation.kind, match.b.operation.kind)
    )


def _is_long_sum_of_columns(node: Node) -> bool:
    (x,) = node.inputs
    axes = node.attributes[0]
    assert isinstance(axes, tuple)
    columns = node.type.size
    return (
        0 in axes
        and len(x.shape) - 1 not in axes
        and columns <= _FEW_COLUMNS
        and x.type.size >= _LONG * columns
    )


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


def _in_chunks(node: Node, x: Node, axis: int, chunks: int, in_double: bool) -> Node:
    """The reduction of ``x``, whose ``axis`` is cut into chunks that are reduced first."""
    axes = node.attributes[0]
    assert isinstance(axes, tuple)
    cut = reshape(x, (*x.shape[:axis], chunks, x.shape[axis] // chunks, *x.shape[axis + 1 :]))
    first = tuple(sorted([a + (a >= axis) for a in axes]))
    partial = make(node.operation, (cut,), (first,))
    place = len([a for a in range(axis) if a not in axes])
    if in_double and node.operation.name == "sum" and node.dtype is dt.float32:
        partial = ew.cast(partial, dt.float64)
    return ew.cast(make(node.operation, (partial,), ((place,),)), node.dtype)
