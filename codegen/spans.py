"""What the engine does and when, told to whoever listens: the profiler is made of this.

A span is ``(name, category, begin, end, facts)`` with times of ``now`` in nanoseconds. Categories:
``realize`` (all that one realize does), ``trace``, ``lower``, ``pass``, ``load`` (a plan or
kernels from disk), ``compile`` (the C compiler), ``interpret``, ``transfer`` (between devices).
Kernels are told of by the watchers of runtime/plan.py.

Who reports asks ``if spans.listeners`` first: with nobody listening that is all that it costs.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns as now
from typing import Any

__all__ = ["Listener", "listeners", "note", "now"]

Listener = Callable[[str, str, int, int, dict[str, Any]], None]
listeners: list[Listener] = []


def note(name: str, category: str, begin: int, **facts: Any) -> None:
    """Tell of what began then and ends now, in this thread."""
    end = now()
    for listener in tuple(listeners):
        listener(name, category, begin, end, facts)
