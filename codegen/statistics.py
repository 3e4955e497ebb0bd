"""Counters of what the engine did in this process; tests and users read them."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Statistics:
    """Counts since the process began (or since ``reset``)."""

    plans_run: int = 0
    plans_lowered: int = 0  # plans made by the whole pipeline
    plans_loaded: int = 0  # plans found in the cache on disk
    kernels_run: int = 0
    kernels_compiled: int = 0  # kernels given to the C compiler
    kernels_loaded: int = 0  # kernels found compiled in the cache on disk
    compiler_calls: int = 0
    contractions_tuned: int = 0  # contractions of which other schedules were timed

    def reset(self) -> None:
        for field in fields(self):
            setattr(self, field.name, 0)


statistics = Statistics()
