"""Checks on graphs and clusters, each named for its invariant; run after passes in tests."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.errors import VerifyError
from codegen.graph.fuse import Fusion
from codegen.ir.node import Node, TensorType, topological

_EXPANDED = ("call", "gradient", "mark")


def verify_graph(roots: Sequence[Node]) -> None:
    """Only primitive operations, each of the type that its own rule gives."""
    for node in topological(roots):
        if node.operation.kind in _EXPANDED:
            raise VerifyError(f"{node} should have been expanded")
        inferred = node.operation.infer(node.inputs, *node.attributes)
        if TensorType(inferred.shape, inferred.dtype) is not TensorType(node.shape, node.dtype):
            raise VerifyError(f"{node} should be {inferred}")


def verify_fusion(fusion: Fusion, outputs: Sequence[Node]) -> None:
    """Every anchor in one cluster; clusters in order; what crosses clusters is stored."""
    number = {n: c.number for c in fusion.clusters for n in c.nodes}
    if len(number) != sum([len(c.nodes) for c in fusion.clusters]):
        raise VerifyError("a node is in two clusters")
    missing = [n for n in outputs if n not in fusion.stored]
    if missing:
        raise VerifyError(f"outputs are not stored: {missing}")
    for cluster in fusion.clusters:
        for node in cluster.nodes:
            for read in fusion.reads[node]:
                source = number[read.source]
                if source > cluster.number:
                    raise VerifyError(f"{node} reads {read.source}, which is computed later")
                if source != cluster.number and read.source not in fusion.stored:
                    raise VerifyError(f"{read.source} is read by {node} but not stored")
