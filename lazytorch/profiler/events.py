"""Spans as PyTorch's profiler shows them: events that know their children, averages, a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lazytorch.profiler.recording import DEVICE, Recording, Span


class DeviceType(Enum):
    """Where an event took its time."""

    CPU = 0
    CUDA = 1


@dataclass(frozen=True)
class Interval:
    """Microseconds since the profile began."""

    start: float
    end: float

    def elapsed_us(self) -> float:
        return self.end - self.start


class _Times:
    """Names that PyTorch has for times (µs), of one event or of several under one name."""

    count: int
    cpu_time_total: float
    self_cpu_time_total: float
    device_time_total: float

    @property
    def cpu_time(self) -> float:
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def device_time(self) -> float:
        return self.device_time_total / self.count if self.count else 0.0

    @property
    def self_device_time_total(self) -> float:
        return self.device_time_total

    @property
    def cpu_time_str(self) -> str:
        return time_text(self.cpu_time)

    @property
    def cpu_time_total_str(self) -> str:
        return time_text(self.cpu_time_total)

    @property
    def self_cpu_time_total_str(self) -> str:
        return time_text(self.self_cpu_time_total)

    @property
    def device_time_total_str(self) -> str:
        return time_text(self.device_time_total)

    @property
    def self_device_time_total_str(self) -> str:
        return time_text(self.self_device_time_total)

    # As they were called when CUDA was the only device.
    cuda_time = device_time
    cuda_time_total = self_cuda_time_total = self_device_time_total


class FunctionEvent(_Times):
    """One span: a kernel, a stage of the engine, or a range that the user named.

    Times are in microseconds. ``stack`` has the user's lines, ``input_shapes`` the shapes of what a
    kernel reads and writes.
    """

    def __init__(self, number: int, span: Span, origin: int) -> None:
        self.id, self.span = number, span
        self.name = span.name
        self.key = "ProfilerStep*" if span.category == "step" else span.name  # summed under that
        self.category = span.category
        self.thread = span.thread
        self.time_range = Interval((span.begin - origin) / 1e3, (span.end - origin) / 1e3)
        self.is_async = False
        self.is_user_annotation = span.category in ("user", "step")
        self.device_type = DeviceType.CUDA if span.thread == DEVICE else DeviceType.CPU
        self.count = 1
        self.cpu_parent: FunctionEvent | None = None
        self.cpu_children: list[FunctionEvent] = []
        self.stack = list(span.stack)
        self.input_shapes = [_shape(text) for text in span.facts.get("shapes", ())]
        self.flops: int = span.facts.get("flops", 0)
        self.cpu_memory_usage = self.self_cpu_memory_usage = int(span.facts.get("memory", 0))
        elapsed = self.time_range.elapsed_us()
        on_device = self.device_type is not DeviceType.CPU
        self.cpu_time_total = 0.0 if on_device else elapsed
        self.device_time_total = elapsed if on_device else 0.0

    @property
    def self_cpu_time_total(self) -> float:  # type: ignore[override]
        return self.cpu_time_total - sum([c.cpu_time_total for c in self.cpu_children])

    def __repr__(self) -> str:
        return (
            f"<FunctionEvent id={self.id} name={self.name} category={self.category} "
            f"thread={self.thread} cpu_time={self.cpu_time_str} "
            f"start_us={self.time_range.start:.3f} end_us={self.time_range.end:.3f} "
            f"input_shapes={self.input_shapes}>"
        )


class FunctionEventAvg(_Times):
    """All events of one name: their number and sums of times, in microseconds."""

    def __init__(self, first: FunctionEvent) -> None:
        self.key, self.category = first.key, first.category
        self.is_async, self.is_user_annotation = False, first.is_user_annotation
        self.device_type = first.device_type
        self.input_shapes, self.stack = first.input_shapes, first.stack
        self.count = 0
        self.cpu_time_total = self.self_cpu_time_total = self.device_time_total = 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = self.flops = 0

    def add(self, event: FunctionEvent) -> FunctionEventAvg:
        self.count += 1
        self.cpu_time_total += event.cpu_time_total
        self.self_cpu_time_total += event.self_cpu_time_total
        self.device_time_total += event.device_time_total
        self.cpu_memory_usage += event.cpu_memory_usage
        self.self_cpu_memory_usage += event.self_cpu_memory_usage
        self.flops += event.flops
        if not self.stack:
            self.stack = event.stack
        return self

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} "
            f"cpu_time={self.cpu_time_str} count={self.count} input_shapes={self.input_shapes}>"
        )


Averaged = FunctionEvent | FunctionEventAvg


class EventList(list[Any]):
    """Events, or averages of events, and a table of them."""

    def __init__(self, events: Iterable[Averaged] = (), with_memory: bool = False,
                 with_flops: bool = False, with_stack: bool = False) -> None:  # fmt: skip
        super().__init__(events)
        self._with_memory, self._with_flops, self._with_stack = with_memory, with_flops, with_stack

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all events, each counted once, without the pool's other threads."""
        return float(sum([e.self_cpu_time_total for e in self if e.category != "share"]))

    def key_averages(
        self,
        group_by_input_shapes: bool = False,
        group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """One entry for each name (and shapes, and ``n`` innermost lines): times summed."""
        found: dict[Any, FunctionEventAvg] = {}
        for event in self:
            if event.category == "share":
                continue  # a kernel's time is counted where it was called
            key = (
                event.key,
                event.category,
                str(event.input_shapes) if group_by_input_shapes else "",
                tuple(event.stack[:group_by_stack_n]),
            )
            if key not in found:
                found[key] = FunctionEventAvg(event)
                if not group_by_input_shapes:
                    found[key].input_shapes = []
            found[key].add(event)
        made = EventList(found.values(), self._with_memory, self._with_flops, self._with_stack)
        made._by_shape, made._by_stack = group_by_input_shapes, group_by_stack_n
        return made

    _by_shape = False
    _by_stack = 0

    def total_average(self) -> FunctionEventAvg:
        """All events as one."""
        if not self:
            raise ValueError("total_average() of no events")
        total = FunctionEventAvg(self[0])
        total.key = "Total"
        for event in self:
            total.add(event)
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
        time_unit: str | None = None,
    ) -> str:
        """The events as text, the largest ``sort_by`` first: the name of a field, such as
        ``"self_cpu_time_total"``, ``"cpu_time_total"``, ``"count"`` or ``"device_time_total"``."""
        rows = list(self)
        if sort_by is not None:
            name = sort_by.replace("cuda_", "device_")
            rows.sort(key=lambda e: float(getattr(e, name)), reverse=True)
        if top_level_events_only:
            rows = [e for e in rows if getattr(e, "cpu_parent", None) is None]
        total = self.self_cpu_time_total or 1e-9
        device_total = sum([e.device_time_total for e in self])

        def text(us: float) -> str:
            return time_text(us, time_unit)

        columns: list[tuple[str, list[str]]] = [
            ("Name", [_cut(e.key, max_name_column_width) for e in rows]),
            ("Self CPU %", [f"{100 * e.self_cpu_time_total / total:.2f}%" for e in rows]),
            ("Self CPU", [text(e.self_cpu_time_total) for e in rows]),
            ("CPU total %", [f"{100 * e.cpu_time_total / total:.2f}%" for e in rows]),
            ("CPU total", [text(e.cpu_time_total) for e in rows]),
            ("CPU time avg", [text(e.cpu_time) for e in rows]),
        ]
        if device_total:
            columns += [
                ("Self device", [text(e.device_time_total) for e in rows]),
                ("Self device %", [f"{100 * e.device_time_total / device_total:.2f}%"
                                   for e in rows]),
                ("Device time avg", [text(e.device_time) for e in rows]),
            ]  # fmt: skip
        if self._with_memory:
            columns.append(("CPU Mem", [memory_text(e.cpu_memory_usage) for e in rows]))
        columns.append(("# of Calls", [str(e.count) for e in rows]))
        if self._with_flops:
            columns.append(
                ("Total MFLOPs", [f"{e.flops / 1e6:.3f}" if e.flops else "--" for e in rows])
            )
        if self._by_shape:
            shapes = [_cut(str(e.input_shapes), max_shapes_column_width) for e in rows]
            columns.append(("Input Shapes", shapes))
        if self._with_stack or self._by_stack:
            lines = [", ".join(e.stack[: self._by_stack or 3]) for e in rows]
            columns.append(("Source Location", [_cut_left(x, max_src_column_width) for x in lines]))
        made = _laid_out(columns, row_limit, header)
        made += f"\nSelf CPU time total: {text(self.self_cpu_time_total)}\n"
        return made + (f"Self device time total: {text(device_total)}\n" if device_total else "")

    def __str__(self) -> str:
        return self.table()


def events_of(
    recording: Recording, with_memory: bool, with_flops: bool, with_stack: bool
) -> EventList:
    """A recording's spans in the order in which they began, children under their parents."""
    spans = sorted(recording.spans, key=lambda s: (s.begin, -s.end))
    events = [FunctionEvent(i, s, recording.began) for i, s in enumerate(spans)]
    open_by_thread: dict[int, list[FunctionEvent]] = {}
    for event in events:
        open_events = open_by_thread.setdefault(event.thread, [])
        while open_events and open_events[-1].span.end < event.span.end:
            open_events.pop()
        if open_events:
            event.cpu_parent = open_events[-1]
            open_events[-1].cpu_children.append(event)
        open_events.append(event)
    return EventList(events, with_memory, with_flops, with_stack)


def time_text(us: float, unit: str | None = None) -> str:
    """Microseconds in the unit that suits them, or in ``s``, ``ms`` or ``us``."""
    if unit == "s" or (unit is None and us >= 1e6):
        return f"{us / 1e6:.3f}s"
    if unit == "ms" or (unit is None and us >= 1e3):
        return f"{us / 1e3:.3f}ms"
    return f"{us:.3f}us"


def memory_text(nbytes: int) -> str:
    """A number of bytes in the unit that suits it."""
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if abs(nbytes) >= size:
            return f"{nbytes / size:.2f} {unit}"
    return f"{nbytes} B"


def _laid_out(columns: list[tuple[str, list[str]]], row_limit: int, header: str | None) -> str:
    cut = len(columns[0][1]) if row_limit < 0 else row_limit
    shown = [(title, values[:cut]) for title, values in columns]
    widths = [max(12, len(title), *[len(v) for v in values], 0) for title, values in shown]
    rule = "  ".join(["-" * w for w in widths]) + "  "
    lines = [rule, "  ".join([t.rjust(w) for (t, _), w in zip(shown, widths, strict=True)]), rule]
    for row in zip(*[values for _, values in shown], strict=True):
        lines.append("  ".join([v.rjust(w) for v, w in zip(row, widths, strict=True)]))
    if header is not None:
        lines.insert(0, header)
    return "\n".join([*lines, rule])


def _shape(text: str) -> list[int]:
    """The extents in the text of a type, such as ``float32[3×4]``."""
    extents = text.rstrip("]~").partition("[")[2]
    return [int(n) for n in extents.split("×")] if extents[:1].isdigit() else []


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _cut_left(text: str, width: int) -> str:
    return text if len(text) <= width else "..." + text[3 - width :]
