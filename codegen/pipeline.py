"""From a graph to a plan that runs: the stages in their order. Read this first.

The front end has expanded calls and gradients before (graph/differentiate.py).

simplify    rules of algebra                                   (graph/simplify.py)
split       large reductions become two stages                 (graph/split.py)
layout      products are computed in the order that is wanted  (graph/layout.py)
recompute   work for later is repeated, or its result kept     (graph/recompute.py)
split rows  long sums are cut for the threads that wrote rows  (graph/split.py)
fuse        nodes that share loops become clusters             (graph/fuse.py)
chain       product, row-wise work, product: one cluster       (graph/chains.py)
order       what makes little of much runs early               (graph/order.py)
place       memory for what is stored                          (graph/memory.py)
lower       each cluster becomes loops                         (loops/lower.py)
render      loops become C or OpenCL C                         (render/)
compile     text becomes kernels; a plan runs them in order    (runtime/)
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from codegen import dtype as dt
from codegen import settings, spans
from codegen.errors import CompileError, UnsupportedTypeError
from codegen.graph.by_products import take_by_products
from codegen.graph.chains import Chain, find_chains
from codegen.graph.explain import annotate
from codegen.graph.fuse import Cluster, Fusion, fuse
from codegen.graph.layout import sink_permutes
from codegen.graph.memory import MemoryPlan, place_homes, plan_homes
from codegen.graph.order import run_early
from codegen.graph.passes import AppliedPass, Pass, Passes
from codegen.graph.pick import pick_elements
from codegen.graph.recompute import repeat_or_keep
from codegen.graph.simplify import simplify
from codegen.graph.split import split_reductions, split_rows
from codegen.graph.verify import verify_fusion
from codegen.ir import provenance
from codegen.ir.node import Node, in_memory_as, make, topological
from codegen.loops.gpu import cut_for_groups, lower_for_groups
from codegen.loops.gpu_scatter import lower_scatter as lower_group_scatter
from codegen.loops.grammar import Kernel
from codegen.loops.in_place import in_place_pairs
from codegen.loops.lower import lower, lower_copy, lower_scan, lower_write
from codegen.loops.scatter import lower_scatter
from codegen.loops.schedule_text import schedule_lines
from codegen.loops.verify import verify_kernel
from codegen.ops.elementwise import CAST
from codegen.ops.host import HostCall
from codegen.ops.registry import OPERATIONS, Array
from codegen.recurrence import (
    CompiledLoop,
    compile_loop,
    place_loop,
    prepare_loops,
    unroll_loops,
)
from codegen.render.c import C
from codegen.render.c_family import Dialect, render
from codegen.render.chain_kernel import render_chain_kernel
from codegen.render.contraction_kernel import RenderedKernel, render_contraction_kernel
from codegen.render.fourier_kernel import fourier_working_bytes, is_fourier, render_fourier_kernels
from codegen.render.gpu import gpu_dialect
from codegen.render.gpu_contraction import parts_bytes, render_group_contraction
from codegen.render.gpu_sort import fits_in_local_memory, render_group_sort
from codegen.render.opencl import OPENCL
from codegen.render.sort_kernel import render_sort_kernels, sort_working_bytes
from codegen.render.source import KernelSource
from codegen.render.winograd_kernel import render_winograd_kernels, winograd_choice
from codegen.runtime import opencl
from codegen.runtime import plan as plans
from codegen.runtime.compiler import find_compiler
from codegen.runtime.cpu import Loop, get_num_threads
from codegen.runtime.interpreter import from_buffer, interpret, to_buffer
from codegen.runtime.kernels import is_kept
from codegen.runtime.memory import Buffer, allocate
from codegen.runtime.opencl import OpenClPlan
from codegen.runtime.opencl.self_test import check_device
from codegen.runtime.plan import WORKING_MEMORY, CpuPlan, KernelRecord, PlanRecord, watchers
from codegen.runtime.report import report
from codegen.runtime.sizes import Family, family_key
from codegen.statistics import statistics
from codegen.taken_over import donations, taken_over

# After simplifying, nothing rewrites what the later passes put into its final form.
GRAPH_PASSES: tuple[tuple[str, Pass], ...] = (
    ("simplify", simplify),
    ("pick", pick_elements),
    ("split", split_reductions),
    ("layout", sink_permutes),
    ("recompute", repeat_or_keep),
)


@dataclass(frozen=True)
class Graph:
    """What to compute: outputs over numbered parameters, in primitive operations."""

    parameters: tuple[Node, ...]
    outputs: tuple[Node, ...]
    called: tuple[Node, ...] = ()  # the outputs before gradients were expanded, for inspection


@dataclass(frozen=True)
class Compiled:
    """A graph after every pass, for inspection: what runs is the record alone."""

    graph: Graph
    passes: tuple[AppliedPass, ...]  # over the graph's nodes, in order
    outputs: tuple[Node, ...]  # after them, each in memory of its own
    fusion: Fusion
    memory: MemoryPlan
    record: PlanRecord
    origins: provenance.Origins | None  # the user lines, where they were recorded
    owners: tuple[Cluster, ...]  # the cluster that each of the record's kernels is of


if settings.debug_level() >= 1:
    watchers.append(report)

# Told of every graph that is compiled: inspection puts its functions here.
listeners: list[Callable[[Compiled], None]] = []


class Plan(Protocol):
    """Something that computes a graph's outputs from its parameters' values."""

    donated: tuple[int, ...]  # parameters whose memory outputs can take

    def run(self, values: Sequence[Any], free: Collection[int] = ()) -> list[Buffer]: ...


class InterpretedPlan:
    """A graph run node by node in NumPy: the interpreter device."""

    donated: tuple[int, ...] = ()

    def __init__(self, graph: Graph, place: Callable[[Buffer], Buffer] | None = None) -> None:
        self.graph = graph
        self._place = place  # what puts values where a device has them

    def run(self, values: Sequence[Any], free: Collection[int] = ()) -> list[Buffer]:
        statistics.plans_run += 1
        began = spans.now() if spans.listeners else 0
        arrays = {}
        for node, value in zip(self.graph.parameters, values, strict=True):
            if isinstance(value, Buffer):
                arrays[node] = from_buffer(value.as_numpy(node.dtype.numpy, node.shape), node.type)
            else:
                arrays[node] = np.asarray(value, node.dtype.numpy)
        results = []
        for node, array in zip(
            self.graph.outputs, interpret(self.graph.outputs, arrays), strict=True
        ):
            buffer = allocate(node.type.nbytes)
            view = buffer.as_numpy(node.dtype.numpy, node.shape)
            view[...] = to_buffer(array, node.type)
            results.append(buffer if self._place is None else self._place(buffer))
        if began:
            spans.note("interpret", "interpret", began)
        return results


class StandInPlan:
    """A plan for the cpu device on OpenCL; on the interpreter in a process that cannot have it."""

    def __init__(self, graph: Graph, device: opencl.Device) -> None:
        self._graph = graph
        self._plan = compile_opencl(graph, device)
        self.donated = self._plan.donated

    def run(self, values: Sequence[Any], free: Collection[int] = ()) -> list[Buffer]:
        if opencl.is_usable():
            return self._plan.run(values, free)
        return InterpretedPlan(self._graph).run(values)


def find_plan(description: str) -> tuple[Plan, tuple[int, ...]] | None:
    """A plan made earlier, perhaps by another process, for a graph so described."""
    device = description.split("\n", 1)[0]
    if _has_queue(device):
        return _find_opencl_plan(opencl.find_device(device), description)
    if device != "cpu" or find_compiler() is None:
        return None
    began = spans.now() if spans.listeners else 0
    record = plans.load(description)
    if record is None:
        return None
    statistics.plans_loaded += 1
    _note_in_family(record, description, get_num_threads())
    plan = CpuPlan(record, description)
    if began:
        spans.note("load plan", "load", began, kernels=len(record.kernels))
    return plan, tuple(record.results)


def _note_in_family(record: PlanRecord, description: str, threads: int) -> None:
    key, leaves = family_key(description)
    _families[key].add(record, leaves)
    _families[key].made[description, threads] = record


def make_plan(graph: Graph, device: str, description: str, results: tuple[int, ...]) -> Plan:
    """Compile a graph for a device and keep the plan under its description.

    ``results`` are numbers that the caller knows the outputs by, kept with the plan.
    """
    compile_now: Callable[[], Plan]
    place: Callable[[Buffer], Buffer] | None = None
    if _has_queue(device):
        found_device = opencl.find_device(device)
        _require_types(graph, found_device)
        check_device(found_device, partial(_run_both, found_device))
        place = found_device.put
        compile_now = partial(compile_opencl, graph, found_device, description, results)
    elif device == "cpu" and find_compiler() is not None:
        compile_now = partial(_compile, graph, description, results)
    elif device == "cpu" and (found := _stand_in()) is not None:
        compile_now = partial(StandInPlan, graph, found)
    else:
        statistics.plans_lowered += 1
        return InterpretedPlan(graph)
    if provenance.state.active is None and _is_huge(graph):  # who asks for lines wants kernels
        return TieredPlan(graph, compile_now, place)
    return compile_now()


def _compile(graph: Graph, description: str, results: tuple[int, ...]) -> CpuPlan:
    dialect = _dialect_for(description)

    def plan_of(record: PlanRecord) -> CpuPlan:
        return CpuPlan(plans.with_known(record), description)

    return _compile_in_family(
        graph, description, results, get_num_threads(), dialect, plan_of, description
    )


def _dialect_for(description: str) -> Dialect:
    """C for this processor, as the settings want it."""
    return replace(
        C,
        matrix_units=plans.units_for(description),
        winograd=settings.get("LAZYTORCH_WINOGRAD"),
    )


AnyPlan = TypeVar("AnyPlan", CpuPlan, OpenClPlan)


def _compile_in_family(
    graph: Graph, description: str, results: tuple[int, ...], threads: int, dialect: Dialect,
    plan_of: Callable[[PlanRecord], AnyPlan], kept_as: str,
) -> AnyPlan:  # fmt: skip
    """A plan whose kernels are those of the same program at other sizes, where they can be; kept on
    disk under ``kept_as``."""
    statistics.plans_lowered += 1
    key, leaves = family_key(description)
    family = _families[key]
    known = family.made.get((description, threads))
    if known is not None:  # it is made again for its lines
        return plan_of(_with_lines(known, build(graph, threads, dialect)))
    resized = family.is_resized(leaves)
    record = build(graph, threads, dialect, any_rows=resized)
    record.results = list(results)
    if resized and family.first is not None:
        # The plan at its first size was written for that size alone.
        first, types = family.first
        family.add(compile_graph(first, threads, dialect, any_rows=True).record, types)
        family.first = None
    elif family.is_empty:
        family.first = (graph, leaves)
    literal = record.kernels
    record.kernels = family.generalized(record, leaves)
    try:
        plan = plan_of(record)
    except CompileError:  # a number that has to be known where it stands
        if record.kernels is literal:
            raise
        record.kernels = literal
        plan = plan_of(record)
    family.add(record, leaves)
    family.made[description, threads] = record
    plans.save(plan.record, kept_as)
    return plan


def _with_lines(record: PlanRecord, again: PlanRecord) -> PlanRecord:
    """The plan with what another making of it says of the user's lines."""
    if [k.name for k in record.kernels] != [k.name for k in again.kernels]:
        return record
    kernels = [
        replace(
            k, lines=found.lines, nodes=found.nodes, unfused=found.unfused, schedule=found.schedule
        )
        for k, found in zip(record.kernels, again.kernels, strict=True)
    ]
    return replace(record, kernels=kernels)


# By what the descriptions of a program's plans have in common.
_families: defaultdict[str, Family[Graph]] = defaultdict(Family)


def compile_opencl(
    graph: Graph, device: opencl.Device, description: str = "", results: tuple[int, ...] = ()
) -> OpenClPlan:
    """A plan for the device, kept on disk if it has a description."""
    kept_as = f"{device.fingerprint}\n{description}"
    if description and device.schedules is None:
        return _compile_in_family(
            graph, description, results, device.threads, OPENCL,
            partial(OpenClPlan, device=device), kept_as,
        )  # fmt: skip
    statistics.plans_lowered += 1
    plan = _lower_for_device(graph, device)
    plan.record.results = list(results)
    if description:
        plans.save(plan.record, kept_as)
    return plan


def compile_for(graph: Graph, device: str, description: str) -> Compiled:
    """The graph after every pass for a device, to be looked at; the interpreter's as for the cpu.

    Nothing is compiled to machine code or kept.
    """
    if _has_queue(device):
        found = opencl.find_device(device)
        schedules = found.schedules
        threads = found.threads if schedules is None else schedules.threads
        dialect = OPENCL if schedules is None else gpu_dialect(schedules)
    else:
        threads = get_num_threads()
        dialect = _dialect_for(description)
    compiled = compile_graph(graph, threads, dialect)
    compiled.record.device = device
    return compiled


def compile_for_c(graph: Graph) -> PlanRecord:
    """The graph as kernels of C for one thread, without instructions that must be asked for."""
    return compile_graph(graph, 1, replace(C, winograd=settings.get("LAZYTORCH_WINOGRAD"))).record


def is_plan_kept(description: str) -> bool:
    """Whether a plan is kept on disk for a graph so described."""
    device = description.split("\n", 1)[0]
    if _has_queue(device):
        description = f"{opencl.find_device(device).fingerprint}\n{description}"
    return plans.is_kept(description)


def is_kernel_kept(record: KernelRecord, device: str) -> bool:
    """Whether a kernel's machine code is kept; PoCL keeps its own, of which nothing is known."""
    if record.host is not None:
        return True
    if _has_queue(device) or find_compiler() is None:
        return False
    return is_kept(KernelSource(record.name, record.body, tuple(record.prologue)))


def plan_of(record: PlanRecord) -> CpuPlan | OpenClPlan:
    """What runs a plan's kernels on the device that they were written for."""
    if _has_queue(record.device):
        return OpenClPlan(record, opencl.find_device(record.device))
    return CpuPlan(record)


def _lower_for_device(graph: Graph, device: opencl.Device) -> OpenClPlan:
    schedules = device.schedules
    if schedules is None:
        return OpenClPlan(build(graph, device.threads, OPENCL), device)
    while True:
        try:
            return OpenClPlan(build(graph, schedules.threads, gpu_dialect(schedules)), device)
        except opencl.GroupsTooLargeError as error:
            if error.limit >= schedules.max_work_group_size:
                raise
            schedules = replace(schedules, max_work_group_size=error.limit)


def _find_opencl_plan(
    device: opencl.Device, description: str
) -> tuple[OpenClPlan, tuple[int, ...]] | None:
    record = plans.load(f"{device.fingerprint}\n{description}")
    if record is None:
        return None
    check_device(device, partial(_run_both, device))
    try:
        plan = OpenClPlan(record, device)
    except CompileError:  # of other options, after all
        return None
    statistics.plans_loaded += 1
    if device.schedules is None:
        _note_in_family(record, description, device.threads)
    return plan, tuple(record.results)


def _has_queue(device: str) -> bool:
    return device.startswith(("opencl", "cuda"))


def _require_types(graph: Graph, device: opencl.Device) -> None:
    """UnsupportedTypeError where the graph needs what the device does not have."""
    if not device.has_double and any(
        [n.dtype is dt.float64 and not n.type.weak for n in topological(graph.outputs)]
    ):
        raise UnsupportedTypeError(
            f"float64 is not supported on {device.name}: the device cannot compute in double "
            "precision. Convert to float32 first, or compute on the cpu."
        )


def _run_both(
    device: opencl.Device,
    parameters: Sequence[Node],
    outputs: Sequence[Node],
    arrays: Sequence[Array],
) -> tuple[list[Array], list[Array]]:
    """The outputs as the device and as the interpreter compute them."""
    graph = Graph(tuple(parameters), tuple(outputs))
    buffers = []
    for node, array in zip(parameters, arrays, strict=True):
        buffers.append(allocate(node.type.nbytes))
        buffers[-1].as_numpy(node.dtype.numpy, node.shape)[...] = to_buffer(array, node.type)
    found, wanted = [
        [b.as_numpy(n.dtype.numpy, n.shape) for b, n in zip(values, outputs, strict=True)]
        for values in (
            compile_opencl(graph, device).run(buffers), InterpretedPlan(graph).run(buffers)
        )
    ]  # fmt: skip
    return found, wanted


_NO_COMPILER = "lazytorch: no C compiler found (cc, gcc, clang, or `pip install ziglang`)"
_stand_ins: list[opencl.Device | None] = []  # what was found, once it was looked for


def _stand_in() -> opencl.Device | None:
    """What runs the cpu device's plans where there is no C compiler: None for the interpreter."""
    if not _stand_ins:
        device, problem = None, "OpenCL has no CPU device that computes correctly"
        try:
            found = opencl.find_device("opencl")
            if found.on_host:
                check_device(found, partial(_run_both, found))
                device = found
        except RuntimeError as error:
            problem = str(error)
        place = f"OpenCL ({device.description})" if device else f"the slow interpreter ({problem})"
        print(f"{_NO_COMPILER}; running on {place}", file=sys.stderr)
        _stand_ins.append(device)
    return _stand_ins[0] if opencl.is_usable() else None


# A graph of more operations than this, on tensors no larger than that, costs seconds to compile
# and milliseconds to interpret: it is compiled only once it comes a second time, and for every so
# many operations more one time later.
_MANY_OPERATIONS = 1000
_OPERATIONS_A_RUN = 250
_SMALL_TENSOR = 1 << 14
# So many runs by the interpreter cost about as much as the compiler: 5 and 250 µs an operation.
_MOST_INTERPRETED = 50


class TieredPlan:
    """A huge graph on small tensors: interpreted the first time, or the first few times, and
    compiled then."""

    donated: tuple[int, ...] = ()

    def __init__(
        self,
        graph: Graph,
        compile_now: Callable[[], Plan],
        place: Callable[[Buffer], Buffer] | None,
    ) -> None:
        self._compile_now = compile_now
        self._interpreted: InterpretedPlan | None = InterpretedPlan(graph, place)
        more = len(topological(graph.outputs)) - _MANY_OPERATIONS
        self._left = min(_MOST_INTERPRETED, 1 + more // _OPERATIONS_A_RUN)
        self._compiled: Plan | None = None

    def run(self, values: Sequence[Any], free: Collection[int] = ()) -> list[Buffer]:
        if self._interpreted is not None:
            plan = self._interpreted
            self._left -= 1
            if self._left <= 0:
                self._interpreted = None
            return plan.run(values)
        if self._compiled is None:
            self._compiled = self._compile_now()
        return self._compiled.run(values)


def _is_huge(graph: Graph) -> bool:
    nodes = topological(graph.outputs)
    return len(nodes) > _MANY_OPERATIONS and all([n.type.size <= _SMALL_TENSOR for n in nodes])


def build(graph: Graph, threads: int, dialect: Dialect = C, any_rows: bool = False) -> PlanRecord:
    """What a plan for the graph is made of; with ``any_rows`` its products of matrices are written
    as they would be for other numbers of rows."""
    compiled = compile_graph(graph, threads, dialect, any_rows)
    for listener in listeners:
        listener(compiled)
    return compiled.record


def compile_graph(
    graph: Graph, threads: int, dialect: Dialect = C, any_rows: bool = False
) -> Compiled:
    """The passes, in order: graph to clusters to loops to text."""
    passes = Passes(graph.outputs, graph.called)
    if dialect.opening_in_loops is None:
        passes.apply("unroll loops", unroll_loops)
    by_threads: Pass = partial(split_rows, threads=threads if dialect.device is None else 1)
    for name, apply_pass in (*GRAPH_PASSES, ("split rows", by_threads)):
        if name == "split" and dialect.device is not None:
            apply_pass = partial(split_reductions, cut=cut_for_groups(dialect.device))
        passes.apply(name, apply_pass)
    passes.apply("prepare loops", partial(prepare_loops, threads=threads))
    outputs = passes.apply("own memory", _own_memory)
    passes.finish()
    began = spans.now() if spans.listeners else 0
    fusion = fuse(outputs, dialect.narrow)
    if dialect.has_chains:
        fusion = find_chains(fusion, outputs)
    if dialect.device is None:
        fusion = take_by_products(fusion, outputs)
    fusion = run_early(fusion)
    if settings.get("LAZYTORCH_VERIFY") != "0":
        verify_fusion(fusion, outputs)
    if began:
        spans.note("fuse", "pass", began, clusters=len(fusion.clusters))
    began = spans.now() if spans.listeners else 0
    loops = {
        c: compile_loop(c, dialect.alignment, partial(_build_body, threads, dialect))
        for c in fusion.clusters
        if c.kind == "loop"
    }
    working = {c: loop.working_bytes for c, loop in loops.items()}
    working |= {c: sort_working_bytes(c, threads) for c in fusion.clusters if c.kind == "sort"}
    if dialect.device is not None:
        products = [c for c in fusion.clusters if c.kind == "contraction"]
        working |= {c: parts_bytes(c, fusion, dialect.device) for c in products}
    if dialect.has_fourier:
        working |= {c: fourier_working_bytes(c, threads) for c in fusion.clusters if is_fourier(c)}
    chosen = {c: winograd_choice(c, fusion, threads, dialect, any_rows) for c in fusion.clusters}
    winograd = {c: choice for c, choice in chosen.items() if choice is not None}
    working |= {c: choice.working_bytes for c, choice in winograd.items()}
    working = {c: nbytes for c, nbytes in working.items() if nbytes}
    memory = plan_homes(fusion, outputs)
    made: list[tuple[Cluster, RenderedKernel | CompiledLoop]] = []
    for c in fusion.clusters:
        if c in loops:
            made.append((c, loops[c]))
        elif c in winograd:
            comments = _comments(c, fusion)
            made += [
                (c, k) for k in render_winograd_kernels(winograd[c], c, fusion, comments, dialect)
            ]
        else:
            made += [(c, k) for k in _kernels(c, fusion, memory, threads, dialect, any_rows)]
    taken = taken_over(made, memory)
    place_homes(memory, len(fusion.clusters), dialect.alignment, working, taken)
    record, clusters = _assemble(graph, outputs, memory, made, dialect)
    if began:
        spans.note("write kernels", "lower", began, kernels=len(record.kernels))
    origins = provenance.state.active
    if origins is not None:
        notes = annotate(fusion, origins)
        for cluster, kernel in zip(clusters, record.kernels, strict=True):
            kernel.lines, kernel.nodes, kernel.unfused = notes[cluster.number]
    owners = tuple(clusters)
    return Compiled(
        graph, tuple(passes.applied), tuple(outputs), fusion, memory, record, origins, owners
    )


def _build_body(
    threads: int, dialect: Dialect, parameters: Sequence[Node], outputs: Sequence[Node]
) -> PlanRecord:
    """The plan of one turn of a loop. Its nodes came from no line of their own."""
    origins, provenance.state.active = provenance.state.active, None
    assert dialect.opening_in_loops is not None
    dialect = replace(dialect, opening=dialect.opening_in_loops)
    try:
        graph = Graph(tuple(parameters), tuple(outputs))
        return compile_graph(graph, threads, dialect).record
    finally:
        provenance.state.active = origins


def _own_memory(outputs: Sequence[Node]) -> list[Node]:
    """Outputs that are leaves, or one node twice, as copies: each output is memory of its own."""
    seen: set[Node] = set()
    result = []
    origins = provenance.state.active
    for i, node in enumerate(outputs):
        while node in seen or node.operation.kind in ("leaf", "empty"):
            source, node = node, make(CAST, (node,), (node.dtype,))
            if origins is not None and i < len(origins.outputs):
                origins.claim(node, origins.outputs[i], (source,))
        seen.add(node)
        result.append(node)
    return result


def _kernels(
    cluster: Cluster,
    fusion: Fusion,
    memory: MemoryPlan,
    threads: int,
    dialect: Dialect,
    any_rows: bool,
) -> list[RenderedKernel]:
    """A cluster's kernels: one, or none, or a copy and a write into it, or a sort's."""
    first = cluster.nodes[0]
    comments = _comments(cluster, fusion)
    if cluster.kind == "contraction":
        if dialect.device is not None:
            return render_group_contraction(cluster, fusion, comments, dialect)
        return [render_contraction_kernel(cluster, fusion, threads, comments, dialect, any_rows)]
    if isinstance(cluster, Chain):
        return [render_chain_kernel(cluster, fusion, threads, comments, dialect, any_rows)]
    if cluster.kind == "sort":
        if dialect.device is not None and fits_in_local_memory(cluster, dialect.device):
            return render_group_sort(cluster, fusion, comments, dialect, dialect.device)
        return render_sort_kernels(cluster, fusion, threads, comments, dialect)
    if cluster.kind == "host":
        if dialect.has_fourier and is_fourier(cluster):
            return render_fourier_kernels(cluster, threads, comments, dialect)
        return [_host_call(cluster, comments)]
    if cluster.kind == "empty":
        return []
    if cluster.kind == "scatter" and dialect.device is not None:
        fresh = first in memory.copies
        kernel = lower_group_scatter(first, fusion, OPERATIONS, dialect.device, fresh)
        return [_rendered(kernel, comments, dialect)]
    if cluster.kind == "scatter":
        kernel = lower_scatter(first, fusion, OPERATIONS, threads, first in memory.copies)
        return [_rendered(kernel, comments, dialect)]
    if dialect.device is not None:
        lowered = lower_for_groups(cluster, fusion, memory.copies, dialect.device)
        return [_rendered(kernel, comments, dialect) for kernel in lowered]
    lowered = []
    if first in memory.copies:
        base = first if cluster.kind == "alias" else first.inputs[0]
        lowered.append(lower_copy(in_memory_as(base), first))
    if cluster.kind == "write":
        if first.inputs[1].type.size:
            lowered.append(lower_write(cluster, fusion, dialect.whole_lines))
    elif cluster.kind == "alias":
        pass  # it is where it should be
    elif cluster.kind == "scan":
        lowered.append(lower_scan(first, fusion))
    else:
        lowered.append(lower(cluster, fusion, dialect.whole_lines))
    return [_rendered(kernel, comments, dialect) for kernel in lowered]


def _comments(cluster: Cluster, fusion: Fusion) -> list[str]:
    """What a cluster's kernels say of what they store."""
    return [f"{n.operation.name} {n.type!r}" for n in cluster.nodes if n in fusion.stored]


def _host_call(cluster: Cluster, comments: list[str]) -> RenderedKernel:
    """A host call as a step of the plan; its text is for readers alone."""
    first = cluster.nodes[0]
    routine = first.attributes[0]
    assert isinstance(routine, tuple)
    numbers = [node.attributes[1] for node in cluster.nodes]
    host = HostCall(
        list(routine),
        [(list(x.shape), x.dtype.name) for x in first.inputs],
        numbers,  # type: ignore[arg-type]
    )
    text = "\n".join([f"// {line}" for line in (f"{routine} in NumPy or SciPy", *comments)])
    operands = (*first.inputs, *cluster.nodes)
    traffic = sum([x.type.nbytes for x in operands])
    source = KernelSource(f"host_{routine[0]}", text)
    return RenderedKernel(source, operands, False, 0, 0, traffic, host=host)


def _rendered(kernel: Kernel, comments: list[str], dialect: Dialect) -> RenderedKernel:
    if settings.get("LAZYTORCH_VERIFY") != "0":
        verify_kernel(kernel)
    kernel.comments = comments
    return RenderedKernel(
        render(kernel, dialect),
        tuple(kernel.operands),
        kernel.parallel,
        kernel.scratch_bytes,
        kernel.operations,
        kernel.traffic,
        tuple(in_place_pairs(kernel)),
        groups=kernel.groups,
        items=kernel.items,
        schedule=kernel,
    )


def _assemble(
    graph: Graph,
    outputs: Sequence[Node],
    memory: MemoryPlan,
    made: Sequence[tuple[Cluster, RenderedKernel | CompiledLoop]],
    dialect: Dialect,
) -> tuple[PlanRecord, list[Cluster]]:
    """The plan, and which cluster each of its kernels belongs to."""
    slot: dict[Node | Cluster, int] = {node: i for i, node in enumerate(graph.parameters)}
    for key in (*outputs, *memory.offsets):
        slot[key] = len(slot)
    records: list[KernelRecord] = []
    clusters: list[Cluster] = []
    loops: list[Loop] = []
    scratch_bytes, next_slot = 0, len(slot)
    for cluster, k in made:
        if isinstance(k, CompiledLoop):
            kernels, loop = place_loop(
                k, slot, cluster, memory, dialect.alignment, next_slot, len(records)
            )
            records += kernels
            loops.append(loop)
            next_slot += len(loop.moves)
            scratch_bytes = max(scratch_bytes, k.record.scratch_bytes)
        else:
            records.append(_kernel_record(k, slot, memory))
            scratch_bytes = max(scratch_bytes, k.scratch_bytes)
        clusters += [cluster] * (len(records) - len(clusters))
    record = PlanRecord(
        len(graph.parameters),
        [(i, p.dtype.name) for i, p in enumerate(graph.parameters) if p.type.weak],
        [node.type.nbytes for node in outputs],
        list(memory.offsets.values()),
        memory.arena_bytes,
        scratch_bytes,
        records,
        donations(graph.parameters, outputs, [k for _, k in made]),
        loops,
    )
    return record, clusters


def _kernel_record(
    k: RenderedKernel, slot: Mapping[Node | Cluster, int], memory: MemoryPlan
) -> KernelRecord:
    return KernelRecord(
        k.source.name,
        k.source.body,
        list(k.source.prologue),
        [slot[memory.home.get(x, x) if isinstance(x, Node) else x] for x in k.operands],
        [repr(x.type) if isinstance(x, Node) else WORKING_MEMORY for x in k.operands],
        k.parallel,
        k.operations,
        k.traffic,
        recipe=k.recipe.fields() if k.recipe else None,
        groups=k.groups,
        items=k.items,
        host=k.host,
        schedule=schedule_lines(k.schedule) if k.schedule and provenance.state.active else [],
    )
