"""What the engine told while a profile was active: spans of time in threads, and memory in use."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from codegen import spans
from codegen.ir import provenance
from codegen.runtime import plan as plans
from codegen.runtime.cpu import KernelTimes
from codegen.runtime.memory import memory_allocated
from codegen.runtime.plan import KernelRecord, PlanRecord
from lazytorch.profiler.python import PythonRanges
from lazytorch.source import every_line_is_noted, is_internal, record_lines

POOL = -1000  # thread k of the kernel pool is the thread POOL - k
DEVICE = -1  # kernels on a device with a queue


@dataclass
class Span:
    """Something that took time: ``begin`` and ``end`` in nanoseconds of ``spans.now``.

    ``category``: those of codegen/spans.py, and ``plan``, ``kernel``, ``share`` (a kernel's part on
    another thread of the pool), ``python`` (modules, optimizers, ``backward()``), ``user``
    (``record_function``), ``step``.
    """

    name: str
    category: str
    begin: int
    end: int
    thread: int
    facts: dict[str, Any] = field(default_factory=dict)
    stack: tuple[str, ...] = ()  # user code, innermost first: ``file(line): function``


class Recording:
    """Collects spans from ``start`` to ``stop``; nothing is collected, and nothing costs, before
    and after."""

    def __init__(
        self, with_stack: bool = False, with_memory: bool = False, with_modules: bool = False
    ) -> None:
        self.spans: list[Span] = []
        self.memory: list[tuple[int, int]] = []  # (time, bytes in use)
        self.threads: dict[int, str] = {}
        self.plans: list[PlanRecord] = []  # in the order of their first runs
        self._numbers: dict[int, int] = {}  # of the plans, by identity
        self.began = self.ended = 0
        self._with_stack, self._with_memory = with_stack, with_memory
        self._with_modules = with_modules
        self._python: PythonRanges | None = None
        self._follows_lines = self._noted_before = False

    def follow_lines(self) -> None:
        """Have plans made with the user's lines from now on: what a warm-up is for."""
        if self._with_stack and not self._follows_lines:
            self._follows_lines, self._noted_before = True, every_line_is_noted()
            provenance.state.wanted += 1
            record_lines(True)

    def start(self) -> Recording:
        self.follow_lines()
        self.began = spans.now()
        spans.listeners.append(self._note)
        plans.watchers.append(self._note_run)
        if self._with_modules:
            self._python = PythonRanges(self._note_call)
        self._note_memory()
        return self

    def stop(self) -> None:
        if self._note in spans.listeners:
            spans.listeners.remove(self._note)
            plans.watchers.remove(self._note_run)
            if self._python is not None:
                self._python.stop()
                self._python = None
            self._note_memory()
            self.ended = spans.now()
        self.leave_lines()

    def leave_lines(self) -> None:
        if self._follows_lines:
            self._follows_lines = False
            provenance.state.wanted -= 1
            record_lines(self._noted_before)

    def add(self, name: str, category: str, begin: int, end: int, **facts: Any) -> Span:
        """A span of this thread."""
        thread = threading.get_native_id()
        if thread not in self.threads:
            self.threads[thread] = threading.current_thread().name
        made = Span(name, category, begin, end, thread, facts)
        self.spans.append(made)
        return made

    def _note(self, name: str, category: str, begin: int, end: int, facts: dict[str, Any]) -> None:
        made = self.add(name, category, begin, end, **facts)
        if self._with_stack and category in ("realize", "user", "python", "transfer"):
            made.stack = user_stack()
        if category == "realize":
            self._note_memory()

    def _note_call(self, name: str, begin: int) -> None:
        self._note(name, "python", begin, spans.now(), {})

    def _note_memory(self) -> None:
        if self._with_memory:
            self.memory.append((spans.now(), memory_allocated()))

    def _note_run(self, record: PlanRecord, seconds: KernelTimes) -> None:
        end = spans.now()
        if self._with_memory:  # the plan has had its outputs and working memory since it began
            self.memory.append((seconds.began, memory_allocated()))
        number = self._numbers.setdefault(id(record), len(self.plans))
        if number == len(self.plans):
            self.plans.append(record)
        plan = self.add(
            f"plan of {len(record.kernels)} kernels", "plan", seconds.began, end, plan=number,
            memory=sum(record.output_bytes), arena=record.arena_bytes,
        )  # fmt: skip
        note_times(record, seconds)
        at = seconds.began
        steps = zip(record.kernels, seconds, seconds.shares, strict=True)
        for i, (kernel, duration, shares) in enumerate(steps):
            stop = min(at + round(duration * 1e9), end)
            facts = {
                "plan": number, "kernel": i,
                "shapes": kernel.shapes, "flops": kernel.operations, "bytes": kernel.traffic,
                "parallel": kernel.parallel, "lines": kernel.lines,
            }  # fmt: skip
            thread = DEVICE if seconds.on_queue else plan.thread
            self.spans.append(
                Span(kernel.name, "kernel", at, stop, thread, facts, tuple(kernel.lines))
            )
            for runner, begin, share_end in shares:
                if runner:
                    self.spans.append(Span(kernel.name, "share", begin, share_end, POOL - runner,
                                           {"plan": number, "kernel": i}))  # fmt: skip
            at = stop

    def thread_names(self) -> dict[int, str]:
        """A name for every thread that a span is in."""
        names = dict(self.threads)
        for thread in sorted({s.thread for s in self.spans} - set(names), reverse=True):
            names[thread] = "device" if thread == DEVICE else f"kernel thread {POOL - thread}"
        return names


_least: dict[tuple[str, str, tuple[str, ...]], float] = {}


def note_times(record: PlanRecord, seconds: Sequence[float]) -> None:
    """Keep the least time that each kernel took in any recording."""
    for kernel, duration in zip(record.kernels, seconds, strict=True):
        key = (kernel.name, kernel.body, tuple(kernel.shapes))
        _least[key] = min(duration, _least.get(key, duration))


def measured_seconds(kernel: KernelRecord) -> float | None:
    """The least time that a kernel took in this process's recordings; None before any."""
    return _least.get((kernel.name, kernel.body, tuple(kernel.shapes)))


def user_stack() -> tuple[str, ...]:
    """The user's frames of this thread, innermost first, as ``file(line): function``."""
    found = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not is_internal(code.co_filename):
            found.append(f"{code.co_filename}({frame.f_lineno}): {code.co_qualname}")
        frame = frame.f_back
    return tuple(found)
