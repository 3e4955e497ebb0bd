"""Which values may be written where others lie that nobody needs any more: in a plan's arena, and
between its parameters and its outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from codegen.graph.fuse import Cluster
from codegen.graph.memory import MemoryPlan
from codegen.ir.node import Node
from codegen.recurrence import CompiledLoop
from codegen.render.contraction_kernel import RenderedKernel

_Made = RenderedKernel | CompiledLoop


def taken_over(
    made: Sequence[tuple[Cluster, _Made]], memory: MemoryPlan
) -> list[tuple[Node, Node]]:
    """(output, input) of kernels that may write where they read, and see that memory once."""
    kernels = Counter([c for c, _ in made])
    found = []
    for cluster, kernel in made:
        if isinstance(kernel, CompiledLoop) or kernels[cluster] > 1:
            continue
        uses = Counter([memory.home.get(x, x) for x in kernel.operands if isinstance(x, Node)])
        found += [(o, i) for o, i in kernel.in_place if uses[memory.home.get(i, i)] == 1]
    return found


def donations(
    parameters: Sequence[Node], outputs: Sequence[Node], kernels: Sequence[_Made]
) -> list[tuple[int, int]]:
    """(output, parameter) where the output may take the parameter's memory, if the caller has no
    further use for it: no later kernel reads the parameter. None in a plan that may fail while it
    runs, which host calls may, for then what it read is wanted again."""
    if any([_calls_host(k) for k in kernels]):
        return []
    last_use = {node: i for i, k in enumerate(kernels) for node in k.operands}
    output_number = {node: i for i, node in enumerate(outputs)}
    parameter_number = {node: i for i, node in enumerate(parameters)}
    found: dict[int, int] = {}  # parameter -> output
    for i, k in enumerate(kernels):
        for output, source in () if isinstance(k, CompiledLoop) else k.in_place:
            if output in output_number and source in parameter_number and last_use[source] == i:
                to, of = output_number[output], parameter_number[source]
                if of not in found and to not in found.values():
                    found[of] = to
    return [(output, parameter) for parameter, output in found.items()]


def _calls_host(kernel: _Made) -> bool:
    if isinstance(kernel, CompiledLoop):
        return any([k.host is not None for k in kernel.record.kernels])
    return kernel.host is not None
