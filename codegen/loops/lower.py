"""From a cluster to the loops of its kernel, by its kind; kernels of copies, writes and scans."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from codegen.graph.fuse import Cluster, Fusion
from codegen.index.algebra import flatten, unflatten, variable
from codegen.ir.node import Node
from codegen.loops.emitter import Emitter
from codegen.loops.grammar import (
    Accumulator,
    Kernel,
    Load,
    Parallel,
    Reduce,
    Row,
    Sequential,
    SetLane,
    Statement,
    Vector,
)
from codegen.loops.lowering import (
    BLOCK,
    LANES,
    PARALLEL_WORK,
    Groups,
    finest,
    kernel_of,
    merged_groups,
)
from codegen.loops.pointwise import Pointwise, Region
from codegen.loops.prefetch import with_prefetches
from codegen.loops.roots import with_roots_apart
from codegen.loops.rows import Rows
from codegen.loops.streams import in_two_streams


def lower(cluster: Cluster, fusion: Fusion, whole_lines: bool = False) -> Kernel:
    """The kernel of a cluster that is not a contraction; ``whole_lines``: for a dialect that turns
    tiles in registers, and writes lines past the caches."""

    def lowering(groups: Groups) -> Pointwise | Rows:
        if cluster.kind == "pointwise":
            return Pointwise(cluster, fusion, groups, whole_lines)
        return Rows(cluster, fusion, groups)

    kernel = lowering(finest(cluster)).run()
    groups = merged_groups(cluster, kernel.accesses)
    if len(groups) < len(cluster.shape):
        kernel = lowering(groups).run()
    made = in_two_streams(with_prefetches(kernel.kernel))
    return with_roots_apart(made) if whole_lines else made


# ---- kernels of their own ------------------------------------------------------------------------


def lower_copy(source: Node, target: Node) -> Kernel:
    """A kernel that copies one node's memory to another's, element by element."""
    emitter = Emitter(lambda node: True)
    size = target.type.size
    blocks = max(1, -(-size // BLOCK))
    start = variable("task", blocks) * BLOCK
    with (
        emitter.loop(("task",), lambda body: Parallel("task", blocks, body)),
        emitter.loop(("i0",), lambda body: Vector("i0", start, min(BLOCK, size), size, body)),
    ):
        flat = variable("i0", size)
        argument = emitter.argument(source)
        name = emitter.name(argument.name)
        emitter.add(Load(name, source.dtype, argument.name, flat))
        emitter.store(target, flat, name)
    traffic = 2 * target.type.nbytes
    return kernel_of("copy", emitter, traffic // 4 > PARALLEL_WORK, 0, traffic)


def lower_write(cluster: Cluster, fusion: Fusion, whole_lines: bool = False) -> Kernel:
    """Store the values of writes, of one shape, into their regions of the same memory; the rest
    of the memory is there already. ``whole_lines`` as in ``lower``."""
    points = Cluster("pointwise", cluster.nodes[0].inputs[1].shape, (), cluster.nodes)
    kernel = Region(points, fusion, finest(points), whole_lines).run()
    groups = merged_groups(points, kernel.accesses)
    if len(groups) < len(points.shape):
        kernel = Region(points, fusion, groups, whole_lines).run()
    return kernel.kernel


# Lanes that lie apart in memory, each in a cache line of its own.
_APART = 16


def _lane_axis(node: Node, axis: int) -> int | None:
    """The last axis but that of the scan, if lanes along it are worth while: they are neighbours,
    or a step takes longer than to bring together what lies apart."""
    others = [i for i, extent in enumerate(node.shape) if i != axis and extent > 1]
    if not others or node.shape[others[-1]] < 4:
        return None
    slow = node.operation.name == "logcumsumexp"
    return others[-1] if others[-1] > axis or slow else None


def lower_scan(node: Node, fusion: Fusion) -> Kernel:
    """Running results along one axis, all other axes in parallel; lanes along the last of those."""
    (x,) = node.inputs
    (axis,) = node.attributes
    assert isinstance(axis, int)
    emitter = Emitter(lambda n: n.operation.name == "parameter" or n in fusion.anchors)
    shape = x.shape
    across = _lane_axis(node, axis)
    others = [i for i in range(len(shape)) if i not in (axis, across)]
    task_shape = [shape[i] for i in others]
    lanes = 1
    if across is not None:
        lanes = LANES if across > axis else _APART
        task_shape.append(-(-shape[across] // lanes))
    tasks = prod(task_shape)
    indices = unflatten(variable("task", tasks), task_shape)
    point = dict(zip(others, indices, strict=False))
    point[axis] = variable("i0", shape[axis])
    if across is not None:
        point[across] = variable("i1", shape[across])
    place = tuple([point[i] for i in range(len(shape))])
    with emitter.loop(("task",), lambda body: Parallel("task", tasks, body)):
        accumulator = Accumulator(emitter.name("acc"), node.dtype, node.operation, lanes)
        emitter.add(accumulator)
        apart = across is not None and across < axis
        row = Row(emitter.name("row"), node.dtype, lanes)
        if apart:
            emitter.add(row)

        def read(lane: str) -> str:
            return emitter.value(x, place)[0]

        def write(lane: str) -> None:
            emitter.store(node, flatten(place, shape), f"{accumulator.name}[{lane}]")

        def step(lane: str) -> None:
            emitter.add(Reduce(accumulator, lane, read(lane)))
            write(lane)

        # Compilers make no vectors of a loop whose elements lie apart by some distances: those are
        # brought together in a loop of their own, and put back in another.
        steps: tuple[Callable[[str], None], ...] = (step,)
        if apart:
            steps = (
                lambda lane: emitter.add(SetLane(row.name, lane, read(lane))),
                lambda lane: emitter.add(Reduce(accumulator, lane, f"{row.name}[{lane}]")),
                write,
            )

        def vector(body: list[Statement]) -> Vector:
            assert across is not None
            return Vector("i1", indices[-1] * lanes, lanes, shape[across], body)

        with emitter.loop(("i0",), lambda body: Sequential("i0", shape[axis], body)):
            for each in steps:
                if across is None:
                    each("0")
                else:
                    with emitter.loop(("i1",), vector):
                        each("lane")
    work = node.type.size * 4
    parallel = work > PARALLEL_WORK
    return kernel_of(node.operation.name, emitter, parallel, work, 2 * node.type.nbytes)
