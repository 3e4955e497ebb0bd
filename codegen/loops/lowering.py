"""What the lowering of every kind of cluster shares: axes, variables, and the finished kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from codegen.graph.explain import computed_nodes
from codegen.graph.fuse import Cluster, Fusion
from codegen.index.algebra import Index, Variable, unflatten, variable
from codegen.ir.node import Node
from codegen.loops.emitter import Emitter, Indices
from codegen.loops.grammar import Kernel

# Elements of the innermost axis that one task takes, where the axis is long.
BLOCK = 4096
LANES = 64
# Below this much scalar work a kernel runs on the calling thread alone.
PARALLEL_WORK = 1 << 16

# ---- axes -----------------------------------------------------------------------------------
# The axes of a cluster are walked in groups of neighbours, each group by one variable.

Groups = tuple[tuple[int, ...], ...]


def finest(cluster: Cluster) -> Groups:
    return tuple([(i,) for i in range(len(cluster.shape))])


def merged_groups(cluster: Cluster, accesses: Sequence[Index]) -> Groups:
    """Neighbouring axes in one group where every access steps through them as through one."""
    groups: list[tuple[int, ...]] = []
    for axis in range(len(cluster.shape)):
        # An axis of extent 1 goes with any neighbour and says nothing of the next.
        real = [a for a in groups[-1] if cluster.shape[a] != 1] if groups else []
        together = (
            groups
            and (axis in cluster.axes) == (groups[-1][-1] in cluster.axes)
            and (
                not real
                or cluster.shape[axis] == 1
                or all(_steps_as_one(a, real[-1], axis, cluster.shape[axis]) for a in accesses)
            )
        )
        if together:
            groups[-1] = (*groups[-1], axis)
        else:
            groups.append((axis,))
    return tuple(groups)


def _steps_as_one(access: Index, before: int, axis: int, extent: int) -> bool:
    outer, inner = f"i{before}", f"i{axis}"
    if access.coefficient(outer) != access.coefficient(inner) * extent:
        return False
    return not any(
        name in atom.variables
        for atom, _ in access.terms
        if not isinstance(atom, Variable)
        for name in (outer, inner)
    )


@dataclass
class Lowered:
    """A kernel and every index that it uses."""

    kernel: Kernel
    accesses: list[Index]


class Lowering:
    """What all kinds of cluster share."""

    def __init__(self, cluster: Cluster, fusion: Fusion, groups: Groups) -> None:
        self.cluster = cluster
        self.fusion = fusion
        self.members = set(cluster.nodes)
        self.groups = groups
        self.extents = [prod([cluster.shape[a] for a in group]) for group in groups]
        self.names = [f"i{group[0]}" for group in groups]
        self.variables = [variable(n, e) for n, e in zip(self.names, self.extents, strict=True)]
        self.emitter = Emitter(self._in_memory)
        self.point = self._point()

    def _in_memory(self, node: Node) -> bool:
        if node.operation.name == "parameter":
            return True
        return node in self.fusion.anchors and node not in self.members

    def _point(self) -> Indices:
        """The index of every axis of the cluster's shape, over the groups' variables."""
        indices: list[Index] = []
        for group, flat in zip(self.groups, self.variables, strict=True):
            indices.extend(unflatten(flat, [self.cluster.shape[a] for a in group]))
        return tuple(indices)

    def kernel(self) -> Kernel:
        nodes = self.cluster.nodes
        computed = [
            n
            for n in computed_nodes(self.cluster, self.fusion)
            if n.operation.kind != "movement" or n in self.members
        ]
        work = sum([n.operation.cost * points_of(n) for n in computed])
        traffic = sum([a.type.nbytes for a in self.emitter.arguments.values()])
        name = "_".join(dict.fromkeys([n.operation.name for n in nodes][-3:]))
        return kernel_of(name, self.emitter, work + traffic // 4 > PARALLEL_WORK, work, traffic)

    def stores(self) -> list[Node]:
        return [n for n in self.cluster.nodes if n in self.fusion.stored]


def points_of(node: Node) -> int:
    return node.inputs[0].type.size if node.operation.kind == "reduce" else node.type.size


def kernel_of(name: str, emitter: Emitter, parallel: bool, work: int, traffic: int) -> Kernel:
    return Kernel(
        name, list(emitter.arguments), list(emitter.arguments.values()),
        emitter.scopes[0].statements, parallel, work, traffic,
    )  # fmt: skip
