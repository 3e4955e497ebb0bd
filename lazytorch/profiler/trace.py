"""A recording as a Chrome trace: JSON that ui.perfetto.dev and chrome://tracing open.

The format is the "Trace Event Format": complete events (``ph`` X) with ``ts`` and ``dur`` in
microseconds, counters (C), names of processes and threads (M). There are no arrows (s, f):
Perfetto draws them from a span's end, and a kernel's parts on other threads begin before it.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lazytorch.profiler.recording import Recording, Span


def trace_of(recording: Recording, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The trace as a dictionary; ``metadata`` is put beside the events."""
    process = os.getpid()
    base = {"pid": process, "tid": 0, "ts": 0}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", **base, "args": {"name": "lazytorch"}},
        {
            "ph": "M",
            "name": "process_labels",
            **base,
            "args": {"labels": os.path.basename(sys.argv[0])},
        },
    ]
    # The threads of Python first, then the kernels' own.
    names = recording.thread_names()
    threads = _numbers(list(names))
    for order, (thread, name) in enumerate(names.items()):
        place = {"pid": process, "tid": threads[thread], "ts": 0}
        events += [
            {"ph": "M", "name": "thread_name", **place, "args": {"name": name}},
            {"ph": "M", "name": "thread_sort_index", **place, "args": {"sort_index": order}},
        ]
    for span in sorted(recording.spans, key=lambda s: (s.begin, -s.end)):
        events.append({
            "ph": "X", "cat": _CATEGORIES.get(span.category, span.category), "name": span.name,
            "pid": process, "tid": threads[span.thread],
            "ts": _microseconds(span.begin - recording.began),
            "dur": _microseconds(span.end - span.begin),
            "args": _arguments(span),
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


# As PyTorch calls them, where it has such. A share has a name of its own, because its time is in
# that of the kernel that it is a part of.
_CATEGORIES = {"user": "user_annotation", "step": "user_annotation", "share": "kernel_share"}


def _arguments(span: Span) -> dict[str, Any]:
    """What is shown of a span where it is clicked: rates with their units, then lines."""
    facts = {k: v for k, v in span.facts.items() if v is not None}
    made: dict[str, Any] = {}
    if span.category == "kernel" and span.end > span.begin:
        made = {
            "GFLOP/s": round(facts["flops"] / (span.end - span.begin), 3),
            "GB/s": round(facts["bytes"] / (span.end - span.begin), 3),
        }
        made["lines"] = facts.pop("lines", [])
        made["shapes"] = ", ".join(facts.pop("shapes"))
    elif span.stack:
        made["stack"] = list(span.stack)
    return made | facts


def _numbers(threads: Sequence[int]) -> dict[int, int]:
    """Each thread's number: the system's, or the first free one from 1 for those of our own."""
    taken = {t for t in threads if t > 0}
    free = (n for n in itertools.count(1) if n not in taken)
    return {t: t if t > 0 else next(free) for t in threads}


def _microseconds(nanoseconds: int) -> float:
    return nanoseconds / 1000


def write_trace(
    recording: Recording, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write the trace into a file, compressed where its name ends in ``.gz``."""
    made = trace_of(recording, {**(metadata or {}), "traceName": str(path)})
    text = json.dumps(made, ensure_ascii=False)  # Perfetto shows escapes in arguments as they are
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if str(path).endswith(".gz"):
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write(text)
    else:
        Path(path).write_text(text, encoding="utf-8")
