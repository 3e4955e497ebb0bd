"""Timing statements, as ``torch.utils.benchmark``: what a statement asks for is computed in each
run, so that its time is that of the work and not of writing it down."""

from __future__ import annotations

from lazytorch.utils.benchmark.comparison import Colorize, Compare
from lazytorch.utils.benchmark.measurement import (
    Measurement,
    TaskSpec,
    ordered_unique,
    select_unit,
    set_torch_threads,
    trim_sigfig,
    unit_to_english,
)
from lazytorch.utils.benchmark.timer import Language, Timer, timer

__all__ = [
    "Colorize", "Compare", "Language", "Measurement", "TaskSpec", "Timer", "ordered_unique",
    "select_unit", "set_torch_threads", "timer", "trim_sigfig", "unit_to_english",
]  # fmt: skip
