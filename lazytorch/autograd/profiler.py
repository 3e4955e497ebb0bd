"""torch.autograd.profiler: the profiler's older names."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from lazytorch.profiler import session
from lazytorch.profiler.events import EventList, FunctionEvent, FunctionEventAvg
from lazytorch.profiler.session import record_function

__all__ = [
    "EventList", "FunctionEvent", "emit_itt", "emit_nvtx", "profile", "record_function",
]  # fmt: skip


class profile:
    """As ``torch.profiler.profile`` without a schedule; nothing with ``enabled=False``."""

    def __init__(
        self,
        enabled: bool = True,
        *,
        use_cuda: bool = False,
        use_device: str | None = None,
        record_shapes: bool = False,
        with_flops: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_modules: bool = False,
        use_kineto: bool = False,
        use_cpu: bool = True,
        **options: Any,
    ) -> None:
        self.enabled = enabled
        self._made = session.profile(
            record_shapes=record_shapes, with_flops=with_flops, profile_memory=profile_memory,
            with_stack=with_stack, acc_events=bool(options.get("acc_events", False)),
        )  # fmt: skip

    def __enter__(self) -> profile:
        if self.enabled:
            self._made.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        if self.enabled:
            self._made.stop()

    @property
    def function_events(self) -> EventList:
        if self._made._events is None:
            raise RuntimeError("Profiler didn't finish running")
        return self._made.events()

    @property
    def self_cpu_time_total(self) -> float:
        return self.function_events.self_cpu_time_total

    def key_averages(
        self,
        group_by_input_shape: bool = False,
        group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        return self.function_events.key_averages(group_by_input_shape, group_by_stack_n)

    def table(self, *arguments: Any, **options: Any) -> str:
        return self.function_events.table(*arguments, **options)

    def total_average(self) -> FunctionEventAvg:
        return self.function_events.total_average()

    def export_chrome_trace(self, path: str) -> None:
        self._made.export_chrome_trace(path)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        self._made.export_stacks(path, metric)

    def __str__(self) -> str:
        return self.table() if self._made._events is not None else "<unfinished profiler>"


class emit_nvtx:
    """Ranges for NVIDIA's tools, in PyTorch; here a context that does nothing."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled, self.record_shapes = enabled, record_shapes

    def __enter__(self) -> emit_nvtx:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class emit_itt(emit_nvtx):
    """Ranges for Intel's tools, in PyTorch; here a context that does nothing."""
