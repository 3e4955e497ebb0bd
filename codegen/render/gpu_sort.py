"""A sort as OpenCL C for devices with work-groups: a row a group, in local memory.

A bitonic network exchanges pairs of a key and a place, no two of which are equal: so the order is
that of a stable sort. Its steps are the same for any values.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from codegen.graph.fuse import Cluster, Fusion
from codegen.ir.node import Node, in_memory_as
from codegen.loops.device import DeviceDescription
from codegen.loops.grammar import Argument
from codegen.ops.sort import SORT
from codegen.render.c_family import Dialect
from codegen.render.contraction_form import Text
from codegen.render.contraction_kernel import RenderedKernel
from codegen.render.gpu import parameters
from codegen.render.sort_keys import WIDE_PAIR, Keys
from codegen.render.source import KernelSource


def fits_in_local_memory(cluster: Cluster, device: DeviceDescription) -> bool:
    """Whether a row of pairs, filled up to a power of two, has room in local memory."""
    (x,) = cluster.nodes[0].inputs
    extent = x.shape[-1]
    keys = Keys(x.dtype, False, extent)
    return _padded(extent) * keys.pair_bytes <= device.local_memory_bytes


def _padded(extent: int) -> int:
    return 1 << max(1, (extent - 1).bit_length())


def render_group_sort(
    cluster: Cluster,
    fusion: Fusion,
    comments: Sequence[str],
    dialect: Dialect,
    device: DeviceDescription,
) -> list[RenderedKernel]:
    node = cluster.nodes[0]
    (x,) = node.inputs
    descending, start, stop = node.attributes
    assert isinstance(start, int) and isinstance(stop, int)
    rows, extent = prod(x.shape[:-1]), x.shape[-1]
    if not rows or not extent or stop == start:
        return []
    outputs = [n for n in cluster.nodes if n in fusion.stored]
    keys = Keys(x.dtype, bool(descending), extent)
    padded = _padded(extent)
    items = min(padded // 2, device.items)
    source = Argument("in0", in_memory_as(x).type, False)
    written = [Argument(f"out{1 + i}", n.type, True) for i, n in enumerate(outputs)]
    most = "{0xffffffffffffffffUL, 0xffffffffffffffffUL}" if keys.wide else "0xffffffffffffffffUL"
    text = Text()
    text.add(
        f"const __global {keys.element} *source = (const __global {keys.element} *)in0 + "
        f"(size_t)get_group_id(0) * {extent};",
        "const int item = get_local_id(0);",
        f"__local {keys.pair} pairs[{padded}];",
        f"for (int i = item; i < {padded}; i += {items}) {{",
        f"{keys.pair} pair = {most};",
        f"if (i < {extent}) {{",
        *keys.encode("source[i]"),
        f"const {keys.pair} made = {keys.make('i')};",
        "pair = made;",
        "}",
        "pairs[i] = pair;",
        "}",
        "barrier(CLK_LOCAL_MEM_FENCE);",
        f"for (int size = 2; size <= {padded}; size *= 2) {{",
        "for (int stride = size / 2; stride > 0; stride /= 2) {",
        f"for (int i = item; i < {padded // 2}; i += {items}) {{",
        "const int low = 2 * i - (i & (stride - 1)), high = low + stride;",
        f"const {keys.pair} x = pairs[low], y = pairs[high];",
        f"const int falls = (low & size) != 0, turned = {keys.before('y', 'x')};",
        "if (falls != turned) {",
        "pairs[low] = y;",
        "pairs[high] = x;",
        "}",
        "}",
        "barrier(CLK_LOCAL_MEM_FENCE);",
        "}",
        "}",
        f"for (int i = item + {start}; i < {stop}; i += {items}) {{",
        f"const {keys.pair} pair = pairs[i];",
        f"const size_t at = (size_t)get_group_id(0) * {stop - start} + i - {start};",
    )
    if any(n.operation is SORT for n in outputs):
        text.add(*keys.decode("pair"))
    for argument, output in zip(written, outputs, strict=True):
        if output.operation is SORT:
            text.add(f"((__global {keys.element} *){argument.name})[at] = ({keys.element})value;")
        else:
            text.add(f"{argument.name}[at] = {keys.place_of('pair')};")
    text.add("}")
    listed = parameters([source, *written], ())
    body = "\n".join(
        [
            *[f"// {c}" for c in comments],
            "__kernel void KERNEL_NAME(",
            *[f"    {p}," for p in listed[:-1]],
            f"    {listed[-1]}",
            ") {",
            str(text).rstrip("\n"),
            "}",
            "",
        ]
    )
    operands: list[Node | Cluster] = [in_memory_as(x), *outputs]
    prologue = (*dialect.prologue, *([WIDE_PAIR] if keys.wide else []))
    return [
        RenderedKernel(
            KernelSource("sort", body, prologue),
            tuple(operands),
            True,
            0,
            rows * padded * (padded.bit_length() - 1) ** 2 // 2,
            x.type.nbytes + sum([n.type.nbytes for n in outputs]),
            groups=rows,
            items=items,
            schedule=[
                f"{rows} rows, a work-group of {items} items each",
                f"bitonic sort of {padded} elements in local memory",
            ],
        )
    ]
