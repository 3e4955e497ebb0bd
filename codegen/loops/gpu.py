"""From a cluster to kernels for devices with work-groups: which schedule each kind has."""

from __future__ import annotations

from collections.abc import Collection

from codegen.graph.fuse import Cluster, Fusion
from codegen.graph.split import Cut
from codegen.ir.node import Node, in_memory_as
from codegen.loops.device import DeviceDescription
from codegen.loops.gpu_pointwise import lower_copy, lower_pointwise, lower_region
from codegen.loops.gpu_rows import lower_rows, lower_scan
from codegen.loops.grammar import Kernel

# Elements that a work-group reduces to one, where there are few results for all of them.
_CHUNK = 1 << 12


def cut_for_groups(device: DeviceDescription) -> Cut:
    """How large reductions are cut, so that every unit has something to do."""
    return Cut(_CHUNK, device.compute_units, device.has_fp64)


def lower_for_groups(
    cluster: Cluster, fusion: Fusion, copies: Collection[Node], device: DeviceDescription
) -> list[Kernel]:
    """The kernels of a cluster of loops: what it writes into is copied first, where it must be."""
    first = cluster.nodes[0]
    lowered = []
    if first in copies:
        base = first if cluster.kind == "alias" else first.inputs[0]
        lowered.append(lower_copy(in_memory_as(base), first, device))
    if cluster.kind == "write":
        if first.inputs[1].type.size:
            lowered.append(lower_region(cluster, fusion, device))
    elif cluster.kind == "scan":
        lowered.append(lower_scan(first, fusion, device))
    elif cluster.kind == "rows":
        lowered.append(lower_rows(cluster, fusion, device))
    elif cluster.kind == "pointwise":
        lowered.append(lower_pointwise(cluster, fusion, device))
    return lowered
