"""What a whole program took, said at its end: ``lazytorch run --report``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from codegen import spans
from codegen.runtime import memory
from codegen.runtime import plan as plans
from codegen.runtime.plan import PlanRecord
from codegen.statistics import statistics
from lazytorch.inspect.explanation import in_bytes, in_seconds


class RunReport:
    """Adds up what happens between ``start`` and ``stop``; ``str()`` says it in lines."""

    def __init__(self) -> None:
        self.kernel_seconds = self.wall_seconds = 0.0
        self.spans: dict[str, float] = {}
        self._began = 0.0

    def start(self) -> None:
        statistics.reset()
        plans.watchers.append(self._note_run)
        spans.listeners.append(self._note_span)
        self._began = time.perf_counter()

    def stop(self) -> None:
        self.wall_seconds = time.perf_counter() - self._began
        plans.watchers.remove(self._note_run)
        spans.listeners.remove(self._note_span)

    def _note_run(self, _: PlanRecord, seconds: Sequence[float]) -> None:
        self.kernel_seconds += sum(seconds)

    def _note_span(self, _: str, category: str, begin: int, end: int, __: dict[str, Any]) -> None:
        self.spans[category] = self.spans.get(category, 0.0) + 1e-9 * (end - begin)

    def __str__(self) -> str:
        s = statistics
        compiling = self.spans.get("compile", 0.0)
        lowering = self.spans.get("lower", 0.0)
        return "\n".join([
            f"lazytorch: {in_seconds(self.wall_seconds)} in all",
            f"  kernels  {s.kernels_run} run in {s.plans_run} plans, "
            f"{in_seconds(self.kernel_seconds)}",
            f"  plans    {s.plans_lowered} made, {s.plans_loaded} found on disk; "
            f"{s.plans_run - s.plans_lowered - s.plans_loaded} runs needed neither",
            f"  compile  {s.kernels_compiled} kernels compiled, {s.kernels_loaded} found on disk, "
            f"{in_seconds(compiling)} in the compiler, {in_seconds(lowering)} in the engine",
            f"  memory   {in_bytes(memory.max_memory_allocated())} at most",
        ])  # fmt: skip
