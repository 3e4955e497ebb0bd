"""A plan: kernels in order over a table of addresses, kept on disk under its description."""

from __future__ import annotations

import ctypes
import hashlib
import json
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import codegen
from codegen import settings
from codegen.errors import CompileError
from codegen.ops.host import HostCall
from codegen.render.source import KernelSource
from codegen.runtime import cache, tune
from codegen.runtime.compiler import find_compiler
from codegen.runtime.cpu import KernelTimes, Loop, Move, Program, get_num_threads
from codegen.runtime.host import Callback
from codegen.runtime.kernels import load_kernels
from codegen.runtime.matrix_units import matrix_units
from codegen.runtime.memory import Buffer, allocate
from codegen.runtime.sizes import packed_sizes
from codegen.statistics import statistics

SCALAR_FORMATS = {"float64": "d", "int64": "q", "bool_": "q"}


# In place of a type in a kernel's ``shapes``: what kernels of one cluster leave for each other.
WORKING_MEMORY = "working memory"


@dataclass
class KernelRecord:
    """One kernel of a plan: its text and what it does, for running and for reading.

    ``sizes``: the literals that its text reads from memory instead (sizes.py), which comes after
    the slots; in OpenCL its last arguments. ``groups`` and ``items``: work-groups and the
    work-items of each, on devices that have them; without, it is cut into shares.
    """

    name: str
    body: str
    prologue: list[str]
    slots: list[int]
    shapes: list[str]
    parallel: bool
    operations: int
    traffic: int
    sizes: list[str] = field(default_factory=list)
    groups: int = 0
    items: int = 0
    recipe: dict[str, Any] | None = None  # a contraction's, while other schedules may be tried
    host: HostCall | None = None  # called where there is no text to compile
    lines: list[str] = field(default_factory=list)  # these four only where inspection asks
    nodes: list[str] = field(default_factory=list)
    unfused: list[str] = field(default_factory=list)
    schedule: list[str] = field(default_factory=list)


@dataclass
class PlanRecord:
    """Everything that a plan is made of, in plain numbers and text.

    The table's slots are the parameters, then the outputs, then places in the arena, then those
    that loops move.
    ``scalars`` gives (parameter, dtype name) of those passed as Python numbers; ``donations``
    (output, parameter) where an output may take the memory of a parameter that is needed no more.
    """

    parameter_count: int
    scalars: list[tuple[int, str]]
    output_bytes: list[int]
    offsets: list[int]
    arena_bytes: int
    scratch_bytes: int
    kernels: list[KernelRecord]
    donations: list[tuple[int, int]]
    loops: list[Loop] = field(default_factory=list)
    results: list[int] = field(default_factory=list)
    device: str = "cpu"

    @property
    def memory_bytes(self) -> list[int]:
        """Of the memory that a run needs: of each output, and of the arena if there is one."""
        return [*self.output_bytes, *([self.arena_bytes] if self.offsets else ())]


class CpuPlan:
    """A plan of compiled kernels, run by one native call."""

    def __init__(self, record: PlanRecord, description: str = "") -> None:
        self.record = record
        self._description = description  # under which the plan is kept on disk
        self._sizes: list[Any] = []
        self._callbacks: list[Callback] = []
        self._errors: list[BaseException] = []  # of host calls, which cannot raise through C
        self._program = self._build({})
        self._search = None if tune.is_off() else self._begin_search()
        self._scalars = [i for i, _ in record.scalars]
        self._formats = struct.Struct("".join([SCALAR_FORMATS[n] for _, n in record.scalars]))
        self._numbers = ctypes.create_string_buffer(8 * max(1, len(record.scalars)))
        self._is_simple = self._may_be_simple()
        self.donated = tuple([p for _, p in record.donations])
        base = ctypes.addressof(self._numbers)
        # The parameters' part of the table: numbers lie where they always do.
        self._parameters = [0] * record.parameter_count
        for place, i in enumerate(self._scalars):
            self._parameters[i] = base + 8 * place
        self._buffers = sorted({*range(record.parameter_count)} - {*self._scalars})

    def run(self, values: Sequence[Any], free: Collection[int] = ()) -> list[Buffer]:
        """Run on the parameters' values (buffers, or numbers for scalars): the outputs.

        ``free`` numbers the parameters whose memory outputs may take: see ``donations``.
        """
        record = self.record
        if self._errors:
            self._errors.clear()  # of a run that was interrupted before it raised them
        if self._is_simple and not watchers:
            (nbytes,) = record.output_bytes
            output = allocate(nbytes)
            self._program.run([*[v.address for v in values], output.address])
            if self._errors:
                self._raise()
            return [output]
        scalars = self._scalars
        if scalars:
            self._formats.pack_into(self._numbers, 0, *[values[i] for i in scalars])
            table = self._parameters.copy()
            for i in self._buffers:
                table[i] = values[i].address
        else:
            table = [v.address for v in values]
        if free:
            taken = {out: values[p] for out, p in record.donations if p in free}
            outputs = [
                taken[i] if i in taken else allocate(n) for i, n in enumerate(record.output_bytes)
            ]
        else:
            outputs = [allocate(n) for n in record.output_bytes]
        table += [b.address for b in outputs]
        arena = None
        if record.offsets:
            arena = allocate(record.arena_bytes)
            start = arena.address
            table += [start + offset for offset in record.offsets]
        if record.kernels:
            if watchers:
                seconds = self._program.run_timed(table)
                for watcher in tuple(watchers):
                    watcher(record, seconds)
            else:
                (self._search or self._program).run(table)
            if self._errors:
                self._raise()
        else:
            statistics.plans_run += 1  # of others the runtime counts the program
        del arena
        return outputs

    def program(self) -> Program | None:
        """What C may run in the place of ``run``, as long as ``is_run_by`` says so; None where a
        kernel calls Python."""
        return None if self._callbacks or not self.record.kernels else self._program

    def is_run_by(self, program: Program) -> bool:
        """Whether the next run is one of this program, and not of others that are to be tried: a
        search counts it."""
        if self._program is not program:
            return False
        return self._search is None or self._search.waits()

    def raise_no_room(self) -> None:
        """Raise what ``run`` raises where there is no room for scratch memory."""
        self._program.raise_no_room()

    def _raise(self) -> None:
        """Raise the first error of a run: those after it may only follow from it."""
        error = self._errors[0]
        self._errors.clear()
        raise error

    def _build(self, replaced: Mapping[int, tune.Written]) -> Program:
        """The program, with some of its kernels replaced."""
        record = with_kernels(self.record, replaced)
        table_size = record.parameter_count + len(record.output_bytes) + len(record.offsets)
        next_slot = table_size + sum([len(loop.moves) for loop in record.loops])
        slots: list[list[int]] = []
        sizes: list[Any] = []
        for k in record.kernels:
            slots.append(k.slots)
            if k.sizes:
                slots[-1] = [*k.slots, next_slot + len(sizes)]
                sizes.append(ctypes.create_string_buffer(packed_sizes(k.sizes)))
        self._sizes += sizes  # kept alive: what the kernels read
        compiled = [i for i, k in enumerate(record.kernels) if k.host is None]
        sources = [_source(record.kernels[i]) for i in compiled]
        try:
            addresses = iter(load_kernels(sources))
        except CompileError as error:
            error.numbers = tuple([compiled[i] for i in error.numbers])
            raise
        calls = [
            None if k.host is None else Callback(k.host, k.name, i, self._errors)
            for i, k in enumerate(record.kernels)
        ]
        self._callbacks += [c for c in calls if c is not None]
        return Program(
            [next(addresses) if c is None else c.address for c in calls],
            slots,
            [k.parallel for k in record.kernels],
            table_size,
            record.scratch_bytes,
            record.loops,
            [ctypes.addressof(s) for s in sizes],
        )

    def _begin_search(self) -> tune.Search | None:
        recipes = {
            i: (k.recipe, k.operations)
            for i, k in enumerate(self.record.kernels)
            if k.recipe is not None
        }
        if not recipes:
            return None
        return tune.Search(recipes, self._program, self._build, self._adopt, self._end_search)

    def _adopt(self, replaced: Mapping[int, tune.Written]) -> Program:
        """Let kernels take the places of others for good, on disk too."""
        self.record = with_kernels(self.record, replaced)
        self._program = self._build({})
        if self._description:
            save(self.record, self._description)
        return self._program

    def _end_search(self) -> None:
        self._search = None
        self._is_simple = self._may_be_simple()

    def _may_be_simple(self) -> bool:
        """Nothing but buffers in, one buffer out, no search: the path of a single operation."""
        record = self.record
        return bool(
            record.kernels
            and self._search is None
            and len(record.output_bytes) == 1
            and not (record.scalars or record.offsets or record.donations or record.loops)
        )


def _source(k: KernelRecord) -> KernelSource:
    return KernelSource(k.name, k.body, tuple(k.prologue))


def with_kernels(record: PlanRecord, replaced: Mapping[int, tune.Written]) -> PlanRecord:
    """A plan in which kernels that a search has settled on are in the places of others."""
    if not replaced:
        return record
    kernels, scratch_bytes = list(record.kernels), record.scratch_bytes
    for i, written in replaced.items():
        source = written.source
        kernels[i] = replace(
            kernels[i],
            body=source.body,
            prologue=list(source.prologue),
            sizes=[],
            recipe=None,
            schedule=[],
        )
        scratch_bytes = max(scratch_bytes, written.scratch_bytes)
    return replace(record, kernels=kernels, scratch_bytes=scratch_bytes)


def with_known(record: PlanRecord) -> PlanRecord:
    """The plan with what earlier searches have found for its contractions."""
    if tune.is_off():
        return record
    found = {i: tune.winner(k.recipe) for i, k in enumerate(record.kernels) if k.recipe is not None}
    return with_kernels(record, {i: w for i, w in found.items() if w is not None})


# Told of every run of a plan, with the seconds that each of its kernels took.
watchers: list[Callable[[PlanRecord, KernelTimes], None]] = []


def save(record: PlanRecord, description: str) -> None:
    """Keep a plan on disk, so that another process need not lower it again."""
    fields = asdict(record)
    for kernel in fields["kernels"]:  # another program that finds this plan has other lines
        kernel.update(lines=[], nodes=[], unfused=[], schedule=[])
    try:
        cache.write_checked(_path(description), json.dumps(fields).encode())
    except OSError:
        return  # the cache saves time; nothing depends on it


def load(description: str) -> PlanRecord | None:
    """The plan kept for this description, if there is a sound one."""
    data = cache.read_checked(_path(description))
    if data is None:
        return None
    try:
        fields = json.loads(data)
        fields["kernels"] = [
            KernelRecord(**{**k, "host": HostCall(**k["host"]) if k["host"] else None})
            for k in fields["kernels"]
        ]
        fields["loops"] = [
            Loop(**{**x, "moves": tuple([Move(**m) for m in x["moves"]])}) for x in fields["loops"]
        ]
        fields["scalars"] = [(i, name) for i, name in fields["scalars"]]
        fields["donations"] = [(i, j) for i, j in fields["donations"]]
        return PlanRecord(**fields)
    except (ValueError, TypeError, KeyError):
        return None


def is_kept(description: str) -> bool:
    """Whether a plan is kept on disk for this description."""
    return _path(description).exists()


def units_for(description: str) -> str:
    """The matrix units that a plan is made for: to look for them takes a compiler, so only a plan
    that has something for them asks."""
    return matrix_units() if "bfloat16" in description else ""


def _path(description: str) -> Path:
    chosen = f"{units_for(description)}\n{settings.get('LAZYTORCH_WINOGRAD')}"
    text = f"{engine_fingerprint()}\n{get_num_threads()}\n{chosen}\n{description}"
    return cache.cache_path("plan-" + hashlib.sha256(text.encode()).hexdigest()[:40])


@lru_cache
def engine_fingerprint() -> str:
    """Changes whenever the engine's source, or the compiler that it uses, does."""
    compiler = find_compiler()
    parts = [compiler.fingerprint if compiler else "none"]
    package = Path(codegen.__file__).parent
    for folder in (package, package.parent / "lazytorch"):
        for path in sorted(folder.rglob("*.py")):
            status = path.stat()
            name = path.relative_to(package.parent)
            parts.append(f"{name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
