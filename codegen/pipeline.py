"""From a graph to a plan that runs: the ordered list of passes. Read this first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codegen.ir.node import Node
from codegen.runtime.interpreter import from_buffer, interpret, to_buffer
from codegen.runtime.memory import Buffer, allocate
from codegen.statistics import statistics

import numpy as np

@dataclass(frozen=True)
class Graph:
    """What to compute: outputs over numbered parameters, in primitive operations."""

    parameters: tuple[Node, ...]
    outputs: tuple[Node, ...]


@dataclass
class Plan:
    graph: Graph

    def run(self, values: Sequence[Any]) -> list[Buffer]:
        statistics.plans_run += 1
        arrays = {}
        for p, v in zip(self.graph.parameters, values, strict=True):
            if isinstance(v, Buffer):
                arrays[p] = from_buffer(v.as_numpy(p.dtype.numpy, p.shape), p.type)
            else:
                arrays[p] = np.asarray(v, p.dtype.numpy)
        out = []
        for node, array in zip(self.graph.outputs, interpret(self.graph.outputs, arrays)):
            buffer = allocate(node.type.nbytes)
            buffer.as_numpy(node.dtype.numpy, node.shape)[...] = to_buffer(array, node.type)
            out.append(buffer)
        return out


def find_plan(description: str) -> tuple[Plan, tuple[int, ...]] | None:
    return None


def make_plan(graph: Graph, device: str, description: str, outputs: tuple[int, ...]) -> Plan:
    statistics.plans_lowered += 1
    return Plan(graph)
