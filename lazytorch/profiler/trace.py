"""A recording as a Chrome trace: JSON that ui.perfetto.dev and chrome://tracing open.

The format is the "Trace Event Format": complete events (``ph`` X) with ``ts`` and ``dur`` in
microseconds, counters (C), names of processes and threads (M).
"""

from __future__ import annotations

import gzip
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lazytorch.profiler.recording import DEVICE, Recording


def trace_of(recording: Recording, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The trace as a dictionary; ``metadata`` is put beside the events."""
    process = os.getpid()
    base = {"pid": process, "tid": 0, "ts": 0}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", **base, "args": {"name": "lazytorch"}}
    ]
    # The threads of Python first, then the kernels' own.
    threads = {}
    for number, (thread, name) in enumerate(recording.thread_names().items()):
        threads[thread] = thread if thread > 0 else _own_number(thread)
        place = {"pid": process, "tid": threads[thread], "ts": 0}
        events += [
            {"ph": "M", "name": "thread_name", **place, "args": {"name": name}},
            {"ph": "M", "name": "thread_sort_index", **place, "args": {"sort_index": number}},
        ]
    for span in sorted(recording.spans, key=lambda s: (s.begin, -s.end)):
        events.append({
            "ph": "X", "cat": _CATEGORIES.get(span.category, span.category), "name": span.name,
            "pid": process, "tid": threads[span.thread],
            "ts": _microseconds(span.begin - recording.began),
            "dur": _microseconds(span.end - span.begin),
            "args": {k: v for k, v in span.facts.items() if v is not None}
            | ({"stack": list(span.stack)} if span.stack else {}),
        })  # fmt: skip
    for at, nbytes in recording.memory:
        events.append({
            "ph": "C", "cat": "memory", "name": "memory", "pid": process, "tid": 0,
            "ts": _microseconds(at - recording.began), "args": {"bytes in use": nbytes},
        })  # fmt: skip
    return {
        "schemaVersion": 1,
        "displayTimeUnit": "ms",
        "host_name": socket.gethostname(),
        **(metadata or {}),
        "traceEvents": events,
    }


# As PyTorch calls them, where it has such.
_CATEGORIES = {"user": "user_annotation", "step": "user_annotation", "share": "kernel"}


def _own_number(thread: int) -> int:
    """A number for a thread that the system's numbers do not name."""
    return (1 << 30) + (0 if thread == DEVICE else -thread)


def _microseconds(nanoseconds: int) -> float:
    return nanoseconds / 1000


def write_trace(
    recording: Recording, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write the trace into a file, compressed where its name ends in ``.gz``."""
    text = json.dumps(trace_of(recording, {**(metadata or {}), "traceName": str(path)}))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if str(path).endswith(".gz"):
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write(text)
    else:
        Path(path).write_text(text, encoding="utf-8")
