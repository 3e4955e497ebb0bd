"""Counters of what the engine did in this process; tests and users read them."""

from __future__ import annotations

from typing import Protocol


class NativeCounts(Protocol):
    """What native code counts by itself, since it was loaded."""

    def __call__(self) -> tuple[int, int]: ...


def _nothing_counted() -> tuple[int, int]:
    return 0, 0


_COUNTED = (
    "plans_run",
    "plans_lowered",  # plans made by the whole pipeline
    "plans_loaded",  # plans found in the cache on disk
    "kernels_run",
    "kernels_compiled",  # kernels given to the C compiler
    "kernels_loaded",  # kernels found compiled in the cache on disk
    "compiler_calls",
    "contractions_tuned",  # contractions of which other schedules were timed
)


class Statistics:
    """Counts since the process began (or since ``reset``)."""

    plans_lowered: int
    plans_loaded: int
    kernels_compiled: int
    kernels_loaded: int
    compiler_calls: int
    contractions_tuned: int

    def __init__(self) -> None:
        # Runs of compiled plans are counted in C (runtime/native.c): Python would take some 2 % of
        # a small operation for it. What is kept here is the difference.
        self.native: NativeCounts = _nothing_counted
        self._plans = self._kernels = 0
        self.reset()

    @property
    def plans_run(self) -> int:
        return self._plans + self.native()[0]

    @plans_run.setter
    def plans_run(self, count: int) -> None:
        self._plans = count - self.native()[0]

    @property
    def kernels_run(self) -> int:
        return self._kernels + self.native()[1]

    @kernels_run.setter
    def kernels_run(self, count: int) -> None:
        self._kernels = count - self.native()[1]

    def reset(self) -> None:
        for name in _COUNTED:
            setattr(self, name, 0)

    def __repr__(self) -> str:
        return f"Statistics({', '.join([f'{n}={getattr(self, n)}' for n in _COUNTED])})"


statistics = Statistics()
