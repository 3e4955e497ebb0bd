"""A loop as part of a plan: its body's kernels, and the slots that move from turn to turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.graph.contraction_match import ContractionMatch, match_contraction
from codegen.graph.fuse import Cluster
from codegen.graph.memory import MemoryPlan
from codegen.graph.simplify import simplify
from codegen.index.contraction import Contraction
from codegen.ir.node import Node, make, rebuild, same, topological
from codegen.loops.contraction import wanted_panel_width
from codegen.ops import elementwise as ew
from codegen.ops.elementwise import CAST
from codegen.ops.leaves import parameter
from codegen.ops.loop import LOOP, LoopBody, unrolled
from codegen.ops.movement import permute, reshape
from codegen.ops.reduction import broadcast, sum_
from codegen.runtime.cpu import Loop, Move
from codegen.runtime.plan import KernelRecord, PlanRecord

BuildBody = Callable[[Sequence[Node], Sequence[Node]], PlanRecord]


def unroll_loops(roots: Sequence[Node]) -> list[Node]:
    """The roots without loops, whose bodies stand there as often as they would be run."""

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        return unrolled(node, inputs) if node.operation is LOOP else same(node, inputs)

    return rebuild(roots, change)


def prepare_loops(roots: Sequence[Node], threads: int) -> list[Node]:
    """The roots with what loops read laid out for them: constants of a body that are the right
    side of its products in panels, once, before the loop; and everything in memory."""
    known: dict[tuple[LoopBody, tuple[Node, ...]], tuple[LoopBody, tuple[Node, ...]]] = {}

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.operation is not LOOP:
            return same(node, inputs)
        body, number = node.attributes
        assert isinstance(body, LoopBody)
        if (body, inputs) not in known:
            laid_out, given = _with_panels(body, inputs, threads)
            stored = [make(CAST, (i,), (i.dtype,)) if _is_nowhere(i) else i for i in given]
            known[body, inputs] = laid_out, tuple(stored)
        laid_out, given = known[body, inputs]
        return make(LOOP, given, (laid_out, number))

    return rebuild(roots, change)


def _with_panels(
    body: LoopBody, inputs: tuple[Node, ...], threads: int
) -> tuple[LoopBody, tuple[Node, ...]]:
    """A loop whose products read their constant operand in panels, and its inputs."""
    constants = set(body.parameters[body.sequences + body.states :])
    parameters, given = list(body.parameters), list(inputs)

    def change(node: Node, sources: tuple[Node, ...]) -> Node:
        match = match_contraction(node) if node.operation.name == "sum" else None
        if match is None or match.b not in constants:
            return same(node, sources)
        width = _panel_width(match, threads)
        if not width:
            return same(node, sources)
        source = inputs[body.parameters.index(match.b)]
        given.append(_panels(source, match.contraction, width))
        parameters.append(parameter(len(parameters), given[-1].type))
        (product,) = sources
        return _times_panels(node, product.inputs[0], parameters[-1], match.columns[0])

    outputs = rebuild(simplify(body.outputs), change)
    if len(parameters) == len(body.parameters):
        return body, inputs
    read = set(topological(outputs))
    kept = [i for i, p in enumerate(parameters) if p not in constants or p in read]
    body = replace(body, parameters=tuple([parameters[i] for i in kept]), outputs=tuple(outputs))
    return body, tuple([given[i] for i in kept])


def _panel_width(match: ContractionMatch, threads: int) -> int:
    """How wide a whole matrix, the right operand, should be cut; 0 for not at all."""
    c = match.contraction
    if c.batch or c.b_offset or len(match.columns) != 1 or len(c.columns) != 1 or len(c.inner) != 1:
        return 0
    n, k = c.columns[0], c.inner[0]
    whole = {(n.b, k.b), (1, n.extent), (k.extent, 1)}
    if len(whole) != 2 or match.b.type.size != n.extent * k.extent:
        return 0
    return wanted_panel_width(c, threads)


def _panels(x: Node, contraction: Contraction, width: int) -> Node:
    """A matrix of columns and inner axis, in either order, as (columns / width, inner, width)."""
    n, k = contraction.columns[0], contraction.inner[0].extent
    count = n.extent // width
    if n.b == 1:
        return permute(reshape(x, (k, count, width)), (1, 0, 2))
    return permute(reshape(x, (count, width, k)), (0, 2, 1))


def _times_panels(total: Node, a: Node, panels: Node, column: int) -> Node:
    """The sum ``total`` over the product of ``a`` and what is laid out in ``panels`` now."""
    shape = total.inputs[0].shape
    axes = total.attributes[0]
    assert isinstance(axes, tuple)
    inner: int = axes[0]
    split = (*shape[:column], panels.shape[0], panels.shape[2], *shape[column + 1 :])
    inner += inner > column
    if inner > column:
        b = broadcast(permute(panels, (0, 2, 1)), split, (column, column + 1, inner))
    else:
        b = broadcast(permute(panels, (1, 0, 2)), split, (inner, column, column + 1))
    return reshape(sum_(ew.mul(reshape(a, split), b), (inner,)), total.shape)


def _is_nowhere(node: Node) -> bool:
    while node.operation.name == "reshape":
        node = node.inputs[0]
    return node.operation.kind == "leaf" and node.operation.name != "parameter"


@dataclass(frozen=True, eq=False)
class CompiledLoop:
    """A loop cluster: the plan of one turn, over the body's parameters and its outputs that are
    needed, and where those outputs go.

    ``places`` gives for each output the node that stacks it, or, for a state that only the next
    turn reads, the byte of the working memory at which its two places are.
    """

    inputs: tuple[Node, ...]
    body: LoopBody
    record: PlanRecord
    places: tuple[Node | int, ...]
    output_bytes: tuple[int, ...]
    working_bytes: int

    @property
    def operands(self) -> tuple[Node, ...]:
        return (*self.inputs, *[p for p in self.places if isinstance(p, Node)])


def compile_loop(cluster: Cluster, alignment: int, build: BuildBody) -> CompiledLoop:
    """A cluster of one loop's outputs; ``build`` compiles a body, from parameters and outputs."""
    first = cluster.nodes[0]
    body = first.attributes[0]
    assert isinstance(body, LoopBody)
    stacked = {node.attributes[1]: node for node in cluster.nodes}
    numbers = [i for i in range(len(body.outputs)) if i < body.states or i in stacked]
    outputs = unroll_loops([body.outputs[i] for i in numbers])
    record = build(body.parameters, outputs)
    places: list[Node | int] = []
    end = record.arena_bytes
    for i, output in zip(numbers, outputs, strict=True):
        if i in stacked:
            places.append(stacked[i])
        else:
            places.append(end)
            end += 2 * _padded(output.type.nbytes, alignment)
    return CompiledLoop(
        first.inputs, body, record, tuple(places), tuple([o.type.nbytes for o in outputs]), end
    )


def _padded(nbytes: int, alignment: int) -> int:
    return max(-(-nbytes // alignment) * alignment, alignment)


def place_loop(
    loop: CompiledLoop,
    slot: Mapping[Node | Cluster, int],
    cluster: Cluster,
    memory: MemoryPlan,
    alignment: int,
    next_slot: int,
    begin: int,
) -> tuple[list[KernelRecord], Loop]:
    """The kernels of a turn over slots from ``next_slot`` on, which the loop moves, and the loop.

    ``begin`` is the number of the first of these kernels in the plan.
    """
    body, record = loop.body, loop.record
    last = body.steps - 1

    def slot_of(node: Node) -> int:
        return slot[memory.home.get(node, node)]

    def walk(base: int, nbytes: int) -> Move:
        """Element t of a sequence in turn t, or in turn last - t of a reversed loop."""
        if body.reverse:
            return Move(0, base, -1, body.steps, last * nbytes, -nbytes)
        return Move(0, base, -1, body.steps, 0, nbytes)

    def written(number: int) -> Move:
        place, nbytes = loop.places[number], loop.output_bytes[number]
        if isinstance(place, Node):
            return walk(slot_of(place), nbytes)
        return Move(0, slot[cluster], -1, 2, place, _padded(nbytes, alignment))

    def read_state(number: int, start: Node) -> Move:
        """What the turn before has written; in the first turn, the initial state."""
        move = written(number)
        back = move.offset - move.stride
        if move.period == 2:  # two places in turn
            back, move = move.offset + move.stride, replace(move, stride=-move.stride)
        return replace(move, offset=back, first=slot_of(start))

    moves: list[Move] = []
    for i, (node, p) in enumerate(zip(loop.inputs, body.parameters, strict=True)):
        if i < body.sequences:
            moves.append(walk(slot_of(node), p.type.nbytes))
        elif i < body.sequences + body.states:
            moves.append(read_state(i - body.sequences, node))
        else:
            moves.append(Move(0, slot_of(node), -1, 1, 0, 0))
    moves += [written(i) for i in range(len(loop.places))]
    moves += [Move(0, slot[cluster], -1, 1, offset, 0) for offset in record.offsets]
    kernels = [
        replace(
            k,
            slots=[next_slot + s for s in k.slots],
            operations=k.operations * body.steps,
            traffic=k.traffic * body.steps,
        )
        for k in record.kernels
    ]
    numbered = tuple([replace(m, slot=next_slot + i) for i, m in enumerate(moves)])
    return kernels, Loop(begin, begin + len(kernels), body.steps, numbered)
