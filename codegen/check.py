"""Check mode: a plan whose kernels run one by one, each compared with the interpreter at once.

A kernel is compared on the values that its inputs really have, so errors do not add up on the way,
and the first kernel that is wrong is the one that is named. Where a result is further from the
interpreter's than a few last bits, runtime/rounding.py says how far rounding may take it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codegen.errors import CheckError
from codegen.failures import made_from
from codegen.graph.explain import node_names
from codegen.graph.fuse import Cluster
from codegen.ir.node import Node, TensorType, topological
from codegen.loops.contraction_winograd import image_windows
from codegen.ops.registry import Array
from codegen.pipeline import Compiled, Graph, compile_for, plan_of
from codegen.render.source import KernelSource
from codegen.render.winograd_kernel import WEIGHTS_KERNEL
from codegen.runtime import cache
from codegen.runtime.interpreter import from_buffer
from codegen.runtime.kernels import kernel_file
from codegen.runtime.memory import Buffer, allocate
from codegen.runtime.opencl import find_device
from codegen.runtime.plan import KernelRecord, PlanRecord
from codegen.runtime.rounding import EPSILON, moved_values
from codegen.statistics import statistics

_LAST_BITS = 8  # what is not looked at more closely
_TRIALS = 16  # of rounding; one may cancel by chance, and mostly the first is enough
# Larger intermediate values than this the interpreter is not asked for (a product's are of the
# size of rows times columns times inner).
_MOST_ELEMENTS = 1 << 27


@dataclass(frozen=True)
class _Step:
    """What runs before the next comparison: the kernels of one cluster, as a plan of their own.

    ``slots``: those of the whole plan's table that are the parameters of this plan.
    """

    cluster: Cluster
    kernels: Sequence[KernelRecord]
    slots: list[int]
    plan: Any


class CheckedPlan:
    """A plan that raises CheckError at its first kernel that computes something else than the
    interpreter, or makes the first NaN or infinity out of finite numbers."""

    donated: tuple[int, ...] = ()

    def __init__(self, graph: Graph, device: str, description: str) -> None:
        self._graph, self._device = graph, device
        self._compiled = compiled = compile_for(graph, device, description)
        keys = [*graph.parameters, *compiled.outputs, *compiled.memory.offsets]
        self._slot: dict[Any, int] = {}
        for slot, key in enumerate(keys):
            self._slot[key] = slot
        self._sizes = _slot_sizes(compiled)
        self._names = node_names(compiled.fusion)
        self._steps = _steps(compiled)
        self._transformed = _transformed(compiled)

    def run(self, values: Sequence[Any], free: Collection[int] = ()) -> list[Buffer]:
        compiled, device = self._compiled, self._device
        record, parameters = compiled.record, self._graph.parameters
        table: list[Any] = [
            *values,
            *[_zeros(n, device) for n in self._sizes],
        ]  # what is not written stays zero
        known: dict[Node, Array] = {}
        for node, value in zip(parameters, values, strict=True):
            known[node] = _read(value, node.type)
        for step in self._steps:
            if step.plan is not None:
                step.plan.run([table[slot] for slot in step.slots])
            self._compare(step, table, known)
        statistics.plans_run += 1
        return table[record.parameter_count :][: len(record.output_bytes)]

    def _compare(self, step: _Step, table: list[Any], known: dict[Node, Array]) -> None:
        """Read what a cluster has stored, and hold it against the interpreter."""
        cluster, memory, stored = step.cluster, self._compiled.memory, self._compiled.fusion.stored
        found: dict[Node, Array] = {}
        for node in cluster.nodes:
            if node in stored or cluster.kind == "empty":
                slot = self._slot[memory.home.get(node, node)]
                found[node] = _read(table[slot], node.type)
        if cluster.kind != "empty" and found:
            order = topological(list(found), stop=lambda n: n in known)
            if max([n.type.size for n in order]) <= _MOST_ELEMENTS:
                self._hold_against(step, order, found, known)
        known.update(found)

    def _hold_against(
        self, step: _Step, order: Sequence[Node], found: Mapping[Node, Array],
        known: Mapping[Node, Array],
    ) -> None:  # fmt: skip
        given = {n: known[n] for n in order if n in known}
        wanted = _evaluate(order, given, found)
        trials: list[dict[Node, Array]] = []
        for node, array in found.items():
            wrong = _differing(array, wanted[node], node.type)
            for number in range(_TRIALS):
                if not wrong.any():
                    break
                if number == len(trials):
                    trials.append(moved_values(order, given, number, self._transformed))
                wrong &= _differing(array, wanted[node], node.type, trials[number][node])
            if wrong.any():
                self._raise_differing(step, node, array, wanted[node], wrong, given)
        finite = all([_is_finite(x) for x in given.values()])
        if finite and not all([_is_finite(x) for x in found.values()]):
            self._raise_not_finite(step, order, given)

    # ---- what is said --------------------------------------------------------------------------

    def _raise_differing(
        self, step: _Step, node: Node, found: Array, wanted: Array, wrong: Array,
        given: Mapping[Node, Array],
    ) -> None:  # fmt: skip
        place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        index = f"element {tuple([int(i) for i in place])}" if wrong.ndim else "the value"
        count = f"{int(wrong.sum())} of {wrong.size} elements differ by more than rounding"
        raise self._error(
            [node],
            f"kernel {self._title(step)} computes {self._names[node]} otherwise than the "
            f"interpreter: {index} is {found[place]} instead of {wanted[place]}, {count}.\n"
            + self._details(step, node, given)
            + "\nThis is a defect of the engine, not of the program: report it with the kernel's "
            'file. On device="interpreter" the program runs without kernels.',
        )

    def _raise_not_finite(
        self, step: _Step, order: Sequence[Node], given: Mapping[Node, Array]
    ) -> None:
        arrays = _evaluate(order, given)
        for node in order:
            if node in given or not node.inputs:
                continue
            inputs = [arrays[i] for i in node.inputs]
            if _is_finite(arrays[node]) or not all([_is_finite(x) for x in inputs]):
                continue
            array = arrays[node]
            what = "NaN" if np.isnan(array).any() else "infinity"
            ranges = [self._range(i, arrays[i]) for i in node.inputs]
            raise self._error(
                [n for n in order if n not in given and not _is_finite(arrays[n])],
                f"the first {what} comes from finite numbers in {self._names.get(node) or node!r} "
                f"({node.operation.name}), computed by kernel {self._title(step)}: "
                f"{int((~np.isfinite(array)).sum())} of {array.size} elements are not finite.\n"
                + self._details(step, node, given, ranges)
                + "\nLook at the inputs' ranges: clamp or scale them before this operation.",
            )

    def _error(self, failed: Collection[Node], message: str) -> CheckError:
        error = CheckError(message)
        error.outputs = made_from(self._compiled.outputs, failed)
        return error

    def _title(self, step: _Step) -> str:
        return " and ".join([repr(k.name) for k in step.kernels]) or "(none)"

    def _details(
        self, step: _Step, node: Node, given: Mapping[Node, Array], ranges: Iterable[str] = ()
    ) -> str:
        origins = self._compiled.origins
        lines = list(origins.of(node)) if origins is not None else []
        others = sorted({x for k in step.kernels for x in k.lines} - set(lines))
        rows = [f"  line    {line}" for line in lines]
        if others:
            rows.append(f"  kernel of the lines  {' '.join([*lines, *others])}")
        rows += [f"  reads   {r}" for r in ranges]
        rows += [f"  input   {self._range(n, x)}" for n, x in given.items()]
        rows += [f"  source  {path}" for path in _written(step.kernels, self._device)]
        return "\n".join(rows)

    def _range(self, node: Node, array: Array) -> str:
        name = self._names.get(node)
        if name is None:
            name = f"parameter {self._slot[node]}" if node in self._slot else node.operation.name
        title = f"{name} {node.type!r}"
        if not array.size or array.dtype.kind not in "fiub":
            return title
        bad = ~np.isfinite(array)
        good = array[~bad]
        ends = f"min {good.min():.6g}, max {good.max():.6g}" if good.size else "nothing finite"
        nans = int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0
        return f"{title}: {ends}, {nans} NaN, {int(bad.sum()) - nans} infinite"


def _slot_sizes(compiled: Compiled) -> list[int]:
    """Bytes of the memory behind each slot that is no parameter."""
    record = compiled.record
    # How much working memory a kernel uses is not recorded: it gets the rest of the arena.
    places = [
        key.type.nbytes if isinstance(key, Node) else record.arena_bytes - offset
        for key, offset in compiled.memory.offsets.items()
    ]
    return [*record.output_bytes, *places]


def _steps(compiled: Compiled) -> list[_Step]:
    """The plan's kernels by cluster, in order; clusters without kernels too."""
    record = compiled.record
    kernels: dict[int, list[int]] = {}
    for i, cluster in enumerate(compiled.owners):
        kernels.setdefault(cluster.number, []).append(i)
    steps = []
    for cluster in compiled.fusion.clusters:
        numbers = kernels.get(cluster.number, [])
        chosen = [record.kernels[i] for i in numbers]
        slots: list[int] = []
        plan = None
        if numbers:
            part, slots = _part(record, numbers[0], numbers[-1] + 1)
            plan = plan_of(part)
        steps.append(_Step(cluster, chosen, slots, plan))
    return steps


def _transformed(compiled: Compiled) -> dict[Node, int]:
    """The sums that are computed by Winograd's transform: which factor has the weights."""
    numbers = {}
    for cluster, kernel in zip(compiled.owners, compiled.record.kernels, strict=True):
        if kernel.name == WEIGHTS_KERNEL:
            for root in cluster.nodes:
                match = compiled.fusion.contractions.get(root)
                windows = image_windows(match.contraction) if match else None
                if windows is not None:
                    numbers[root] = int(windows.swap)
    return numbers


def _part(record: PlanRecord, begin: int, end: int) -> tuple[PlanRecord, list[int]]:
    """Some kernels of a plan as a plan whose parameters are all the memory that they use."""
    loops = [x for x in record.loops if begin <= x.begin and x.end <= end]
    first_moved = record.parameter_count + len(record.output_bytes) + len(record.offsets)
    used = {slot for k in record.kernels[begin:end] for slot in k.slots if slot < first_moved}
    used |= {s for x in loops for m in x.moves for s in (m.base, m.first) if s >= 0}
    slots = sorted(used)
    number = {slot: i for i, slot in enumerate(slots)}
    moved = [m.slot for x in loops for m in x.moves]
    number |= {slot: len(slots) + i for i, slot in enumerate(moved)}
    number[-1] = -1
    scalars = dict(record.scalars)
    return replace(
        record,
        parameter_count=len(slots),
        scalars=[(number[s], scalars[s]) for s in slots if s in scalars],
        output_bytes=[],
        offsets=[],
        arena_bytes=0,
        kernels=[
            replace(k, slots=[number[s] for s in k.slots], recipe=None)
            for k in record.kernels[begin:end]
        ],
        donations=[],
        loops=[
            replace(
                x,
                begin=x.begin - begin,
                end=x.end - begin,
                moves=tuple([
                    replace(m, slot=number[m.slot], base=number[m.base], first=number[m.first])
                    for m in x.moves
                ]),
            )
            for x in loops
        ],
        results=[],
    ), slots  # fmt: skip


def _zeros(nbytes: int, device: str) -> Buffer:
    made = allocate(nbytes)
    made.as_numpy(np.dtype(np.uint8), (nbytes,))[...] = 0
    return find_device(device).put(made) if device.startswith(("opencl", "cuda")) else made


def _read(value: Any, type_: TensorType) -> Array:
    """A copy of a value, in the interpreter's form."""
    if not isinstance(value, Buffer):
        return np.asarray(value, type_.dtype.numpy)
    return from_buffer(value.as_numpy(type_.dtype.numpy, type_.shape), type_).copy()


def _evaluate(
    order: Sequence[Node], given: Mapping[Node, Array], kept: Collection[Node] | None = None
) -> dict[Node, Array]:
    """The nodes' values by their references: those of ``kept`` at least, or of all."""
    done = dict(given)
    left: dict[Node, int] = {}
    for node in order:
        for source in node.inputs if node not in given else ():
            left[source] = left.get(source, 0) + 1
    with np.errstate(all="ignore"):
        for node in order:
            if node in given:
                continue
            arrays = [done[i] for i in node.inputs]
            done[node] = node.operation.reference(node.type, arrays, *node.attributes)
            for source in node.inputs:
                left[source] -= 1
                if kept is not None and not left[source] and source not in kept:
                    done.pop(source, None)
    return done


def _differing(found: Array, wanted: Array, type_: TensorType, moved: Array | None = None) -> Array:
    """Where two values differ by more than last bits, or than ``moved`` differs from ``wanted``."""
    epsilon = EPSILON.get(type_.dtype.name)
    if epsilon is None or wanted.dtype.kind not in "fc":
        same = found == wanted
        # Integers of floats (a comparison, a rounding) may be others where rounding makes them so.
        return np.asarray(~(same if moved is None else same | (moved != wanted)))
    wide = np.complex128 if wanted.dtype.kind == "c" else np.float64
    with np.errstate(all="ignore"):
        a, b = found.astype(wide), wanted.astype(wide)
        limit = _LAST_BITS * epsilon * np.abs(b)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        if moved is not None:
            c = moved.astype(wide)
            change = np.abs(c - b)
            limit += np.where(np.isnan(change), np.inf, change)
            same |= ~np.isfinite(c) & ~np.isfinite(a)  # what overflows in one order of adding up
        tiny = 1e-300 if type_.dtype.name in ("float64", "complex128") else 1e-37
        if type_.dtype.name == "float16":
            tiny = 1e-6
        same |= np.abs(a - b) <= limit + tiny
    return np.asarray(~same)


def _is_finite(array: Array) -> bool:
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _written(kernels: Sequence[KernelRecord], device: str) -> list[str]:
    """Where the kernels' texts can be read."""
    paths = []
    for k in kernels:
        if k.host is not None:
            continue
        text = kernel_file([(k.name, KernelSource(k.name, k.body, tuple(k.prologue)))])
        suffix = "cl" if device.startswith(("opencl", "cuda")) else "c"
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        path = cache.cache_path(f"checked-{digest}.{suffix}")
        try:
            cache.write_atomically(path, text.encode())
        except OSError:
            paths.append("not kept: the cache folder cannot be written")
        else:
            paths.append(str(path))
    return paths
