"""What realizing tensors would take, said before anything runs."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

from codegen.pipeline import Compiled, is_kernel_kept, is_plan_kept
from codegen.runtime.cpu import get_num_threads
from codegen.runtime.report import computed_in, roofline_of
from codegen.runtime.roofline import Roofline
from lazytorch.inspect.information import compile_trace, pending_roots
from lazytorch.profiler.recording import measured_seconds
from lazytorch.realize import is_known
from lazytorch.tensor import Tensor
from lazytorch.trace import Trace


@dataclass(frozen=True)
class KernelEstimate:
    """One kernel that would run.

    seconds   the least that it can take on this machine; None where no roofline is known.
    bound     what that comes from, ``"memory"`` or ``"arithmetic"``.
    is_compiled  whether its machine code is kept, in this process or on disk.
    measured  the least seconds that it took inside a ``profile()`` of this process; None before.
    """

    name: str
    device: str
    operations: int
    bytes: int
    seconds: float | None
    bound: str
    is_compiled: bool
    lines: tuple[str, ...]
    nodes: tuple[str, ...]
    unfused: tuple[str, ...]
    measured: float | None = None


@dataclass(frozen=True)
class Explanation:
    """What ``lazytorch.explain`` found; ``str()`` is a table.

    kernels      in the order in which they would run.
    plan         by device, where its plan is known already: ``"memory"``, ``"disk"`` or ``"new"``.
    seconds      the least that all kernels together can take, starting them included, where a
                 roofline is known.
    peak_bytes   inputs, outputs and working memory at once.
    input_bytes, output_bytes, working_bytes  what those are each.
    """

    kernels: tuple[KernelEstimate, ...] = ()
    plan: dict[str, str] = field(default_factory=dict)
    input_bytes: int = 0
    output_bytes: int = 0
    working_bytes: int = 0

    @property
    def operations(self) -> int:
        return sum([k.operations for k in self.kernels])

    @property
    def bytes(self) -> int:
        return sum([k.bytes for k in self.kernels])

    @property
    def seconds(self) -> float:
        return sum([k.seconds or 0.0 for k in self.kernels])

    @property
    def measured(self) -> float | None:
        """Seconds that all kernels together took in profiles; None where one was in none."""
        times = [k.measured for k in self.kernels]
        return None if not times or None in times else sum([t for t in times if t is not None])

    @property
    def peak_bytes(self) -> int:
        return self.input_bytes + self.output_bytes + self.working_bytes

    @property
    def to_compile(self) -> int:
        """How many kernels would have to be compiled first."""
        return sum([not k.is_compiled for k in self.kernels])

    def rows(self) -> list[tuple[str, ...]]:
        """The table: a row a kernel, below a row of titles."""
        took = any([k.measured is not None for k in self.kernels])
        found: list[tuple[str, ...]] = [(
            "kernel", "operations", "bytes", "at least", *(["measured"] if took else []),
            "bound by", "compiled", "lines",
        )]  # fmt: skip
        for k in self.kernels:
            least = "-" if k.seconds is None else in_seconds(k.seconds)
            compiled = "yes" if k.is_compiled else "no"
            found.append((
                k.name, f"{k.operations:,}", f"{k.bytes:,}", least,
                *([in_seconds(k.measured) if k.measured is not None else "-"] if took else []),
                k.bound, compiled, " ".join(k.lines),
            ))  # fmt: skip
        return found

    def summary(self) -> str:
        """One sentence."""
        if not self.plan:
            return "nothing to compute"
        known = ", ".join([f"{device}: plan {_PLACES[at]}" for device, at in self.plan.items()])
        return (
            f"{len(self.kernels)} kernels, {self.operations:,} operations, {self.bytes:,} bytes, "
            f"at least {in_seconds(self.seconds)}"
            + (f", measured {in_seconds(self.measured)}" if self.measured is not None else "")
            + f"; peak memory {in_bytes(self.peak_bytes)} "
            f"(inputs {in_bytes(self.input_bytes)}, outputs {in_bytes(self.output_bytes)}, "
            f"working {in_bytes(self.working_bytes)}); {known}; {self.to_compile} to compile"
        )

    def __str__(self) -> str:
        rows = self.rows() if self.kernels else []
        widths = [max([len(row[i]) for row in rows]) for i in range(len(rows[0]))] if rows else []
        lines = []
        for row in rows:
            cells = [
                cell.rjust(width) if 1 <= i < rows[0].index("bound by") else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, self.summary()])

    def _repr_html_(self) -> str:
        if not self.kernels:
            return f"<p>{html.escape(self.summary())}</p>"
        title, *body = self.rows()
        head = "".join([f"<th>{html.escape(cell)}</th>" for cell in title])
        rows = "".join([
            "<tr>" + "".join([f"<td>{html.escape(cell)}</td>" for cell in row]) + "</tr>"
            for row in body
        ])  # fmt: skip
        return f"<table><tr>{head}</tr>{rows}</table><p>{html.escape(self.summary())}</p>"


_PLACES = {"memory": "in memory", "disk": "on disk", "new": "is new", "none": "is interpreted"}


def explain(*tensors: Tensor) -> Explanation:
    """What realizing these tensors now would take; nothing is run.

    Kernels with their bytes and operations, the least time that the machine's roofline allows (with
    what it takes to start them), peak memory, and what is cached already; beside the least times
    those that a ``profile()`` measured, where there was one. Whatever else the same plan would
    compute (pending writes, tensors on the way) counts.

    >>> x = lazytorch.ones(1000, 1000)
    >>> print(lazytorch.explain(x.exp().sum()))  # doctest: +SKIP
    """
    kernels: list[KernelEstimate] = []
    places: dict[str, str] = {}
    given, made, working = {}, 0, 0
    for device, roots in pending_roots(tensors).items():
        trace = Trace(roots)
        compiled, description = compile_trace(trace, device)
        places[device] = _place(trace, device, description)
        for e in (*trace.leaves, *trace.bound):
            given[id(e)] = 0 if e.type.weak else e.type.nbytes
        record = compiled.record
        made += sum(record.output_bytes)
        working += record.arena_bytes + record.scratch_bytes * get_num_threads()
        if not device.startswith("interpreter"):
            kernels += _estimates(compiled, device, roofline_of(device))
    return Explanation(tuple(kernels), places, sum(given.values()), made, working)


def _estimates(compiled: Compiled, device: str, roofline: Roofline | None) -> list[KernelEstimate]:
    return [
        KernelEstimate(
            k.name, device, k.operations, k.traffic,
            None if roofline is None else roofline.kernel_seconds(
                k.operations, k.traffic, computed_in(k), k.parallel or k.groups > 0
            ),
            "-" if roofline is None else roofline.bound(k.operations, k.traffic, computed_in(k)),
            is_kernel_kept(k, device),
            tuple(k.lines), tuple(k.nodes), tuple(k.unfused), measured_seconds(k),
        )
        for k in compiled.record.kernels
    ]  # fmt: skip


def _place(trace: Trace, device: str, description: str) -> str:
    if device.startswith("interpreter"):
        return "none"
    if is_known(trace, device):
        return "memory"
    return "disk" if is_plan_kept(description) else "new"


def in_seconds(seconds: float) -> str:
    """A time in the unit that fits."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def in_bytes(count: int) -> str:
    """A size in the unit that fits."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"
