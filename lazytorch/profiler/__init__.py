"""torch.profiler: what ran, when and for how long."""

from __future__ import annotations

from typing import Any

from lazytorch.profiler.events import DeviceType
from lazytorch.profiler.session import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    record_function,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)

__all__ = [
    "DeviceType", "ProfilerAction", "ProfilerActivity", "kineto_available", "profile",
    "profile_all", "record_function", "schedule", "supported_activities",
    "tensorboard_trace_handler",
]  # fmt: skip


def kineto_available() -> bool:
    """Whether PyTorch's own tracing library is there: it is not, and not needed."""
    return False


def profile_all(**options: Any) -> profile:
    """``profile`` with user lines, shapes, memory, operation counts and modules:
    ``lazytorch.profile()``.

    >>> with lazytorch.profile() as made:
    ...     y = torch.rand(3).exp().realize()
    >>> text = str(made)  # the twenty names that took most time
    >>> made.export_chrome_trace("trace.json")  # for ui.perfetto.dev
    """
    return profile(**{"with_stack": True, "record_shapes": True, "profile_memory": True,
                      "with_flops": True, "with_modules": True, **options})  # fmt: skip
