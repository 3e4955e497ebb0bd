"""``profile``: a recording that follows a schedule of steps, with PyTorch's names."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import ContextDecorator
from enum import Enum
from types import TracebackType
from typing import Any
from warnings import warn

from codegen import spans
from lazytorch.profiler.events import EventList, events_of
from lazytorch.profiler.recording import Recording
from lazytorch.profiler.trace import write_trace


class ProfilerActivity(Enum):
    """What to record; the engine records all that it does, whichever are named."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


class ProfilerAction(Enum):
    """What a schedule says of a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def supported_activities() -> set[ProfilerActivity]:
    """The activities that ``profile`` records by default."""
    return {ProfilerActivity.CPU}


def schedule(
    *,
    wait: int,
    warmup: int,
    active: int,
    repeat: int = 0,
    skip_first: int = 0,
    skip_first_wait: int = 0,
) -> Callable[[int], ProfilerAction]:
    """What to do at each step: ``skip_first`` steps of nothing; then, ``repeat`` times (0: always),
    ``wait`` steps of nothing, ``warmup`` steps that are not shown, ``active`` steps recorded.

    AssertionError for negative numbers, or ``active`` 0.
    """
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup} "
            f"(need >= 0), active={active} (need > 0), repeat={repeat} (need >= 0), "
            f"skip_first={skip_first} (need >= 0)."
        )
    if warmup == 0:
        warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)
    length = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait != 0:
            step += wait
        if 0 < repeat <= step / length:
            return ProfilerAction.NONE
        at = step % length
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(
    dir_name: str,
    worker_name: str | None = None,
    use_gzip: bool = False,
    use_python_export: bool = False,
) -> Callable[[profile], None]:
    """For ``on_trace_ready``: writes each trace into the folder, made where it is missing.

    ``worker_name``: what the files' names begin with, by default the host and the process.
    """

    def handle(made: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        name = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        suffix = ".gz" if use_gzip else ""
        # Nanoseconds, so that no two traces have one name.
        made.export_chrome_trace(
            os.path.join(dir_name, f"{name}.{time.time_ns()}.pt.trace.json{suffix}")
        )

    return handle


class record_function(ContextDecorator):
    """A named range of the profile, as a context or a decorator; nothing where none is active.

    Kernels run where a value is read, which may be after the range: they name the lines that they
    compute, and a ``loss.item()`` inside keeps them inside.

    >>> with torch.profiler.record_function("forward"):
    ...     loss = model(torch.ones(3, 2)).sum()
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self._began: list[int] = []  # a decorated function may call itself

    def __enter__(self) -> record_function:
        self._began.append(spans.now() if spans.listeners else 0)
        return self

    def __exit__(self, *error: object) -> None:
        began = self._began.pop()
        if began:
            spans.note(self.name, "user", began, args=self.args)


class profile:
    """Records what the engine does inside, kernel by kernel: a context, or ``start`` and ``stop``.

    ``schedule``: see there; with it, ``step()`` is to be called after every step of a loop.
    ``on_trace_ready``: called with this object when a recording is complete.
    ``record_shapes``: keep the shapes of what kernels read and write.
    ``profile_memory``: record the memory in use; ``with_flops``: count operations.
    ``with_stack``: record the user's lines. A plan that was made without them is made again once,
    which takes time in the first step.
    ``activities`` and the rest are taken for PyTorch's sake.

    >>> with torch.profiler.profile(with_stack=True) as made:
    ...     y = torch.rand(3).exp().realize()
    >>> table = made.key_averages().table(sort_by="self_cpu_time_total", row_limit=10)
    >>> made.export_chrome_trace("trace.json")  # for ui.perfetto.dev
    """

    def __init__(
        self,
        *,
        activities: Iterable[Any] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Any = None,
        execution_trace_observer: Any = None,
        acc_events: bool = False,
        use_cuda: bool | None = None,
        custom_trace_id_callback: Callable[[], str] | None = None,
        post_processing_timeout_s: float | None = None,
    ) -> None:
        if activities is not None and not list(activities):
            raise AssertionError("No valid profiler activities found")
        self.record_shapes, self.profile_memory = record_shapes, profile_memory
        self.with_stack, self.with_flops, self.with_modules = with_stack, with_flops, with_modules
        self.acc_events = acc_events
        self.schedule = schedule
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self.current_action = self._action_at(0)
        self.recording: Recording | None = None  # the one that is active, or the last
        self._events: EventList | None = None
        self._accumulated: list[EventList] = []
        self._step_began = 0
        self._metadata: dict[str, Any] = {}
        self._trace_id = (custom_trace_id_callback or (lambda: uuid.uuid4().hex.upper()))()

    def _action_at(self, step: int) -> ProfilerAction:
        return ProfilerAction.RECORD if self.schedule is None else self.schedule(step)

    # ---- Recording ----

    def start(self) -> None:
        """Begin with the schedule's first step."""
        self._enter(self.current_action)
        self._step_began = spans.now()

    def stop(self) -> None:
        """End: what was being recorded is complete."""
        self._end_step()
        if self.current_action in _RECORDING:
            self._finish()
            self._tell()
        elif self.recording is not None:
            self.recording.leave_lines()

    def step(self) -> None:
        """Say that the next step of the loop begins."""
        self._end_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self._action_at(self.step_num)
        if before is ProfilerAction.RECORD_AND_SAVE or (
            before is ProfilerAction.RECORD and self.current_action not in _RECORDING
        ):
            self._finish()
            if before is ProfilerAction.RECORD_AND_SAVE:
                self._tell()
            before = ProfilerAction.NONE
        if before is not self.current_action and before not in _RECORDING:
            self._enter(self.current_action)
        self._step_began = spans.now()

    def _enter(self, action: ProfilerAction) -> None:
        if action is ProfilerAction.NONE:
            if self.recording is not None:
                self.recording.leave_lines()
            return
        if self.recording is None or self.recording.ended:
            self.recording = Recording(self.with_stack, self.profile_memory, self.with_modules)
        if action is ProfilerAction.WARMUP:
            self.recording.follow_lines()
        else:
            self._events = None
            self.recording.start()

    def _end_step(self) -> None:
        if self.schedule is not None and self.current_action in _RECORDING:
            assert self.recording is not None
            name = f"ProfilerStep#{self.step_num}"
            self.recording.add(name, "step", self._step_began, spans.now())

    def _finish(self) -> None:
        assert self.recording is not None
        self.recording.stop()
        self._events = events_of(
            self.recording, self.profile_memory, self.with_flops, self.with_stack
        )
        if not self.record_shapes:
            for event in self._events:
                event.input_shapes = []
        if self.acc_events:
            self._accumulated.append(self._events)
            self._events = EventList(
                [e for events in self._accumulated for e in events],
                self.profile_memory, self.with_flops, self.with_stack,
            )  # fmt: skip

    def _tell(self) -> None:
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self.stop()

    # ---- What was recorded ----

    def events(self) -> EventList:
        """Every event of the last recording, in the order in which they began."""
        if self._events is None:
            raise AssertionError("Profiler must be initialized before accessing events")
        return self._events

    def key_averages(
        self,
        group_by_input_shape: bool = False,
        group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """The events summed by name, and by shapes or by the ``n`` innermost lines if asked for."""
        if self._events is None:
            raise AssertionError("Profiler must be initialized before getting key averages")
        return self._events.key_averages(group_by_input_shape, group_by_stack_n)

    def export_chrome_trace(self, path: str, use_python_export: bool = False) -> None:
        """Write the last recording as a trace for ui.perfetto.dev; ``.gz`` compresses it."""
        write_trace(self._complete(), path, {"trace_id": self._trace_id, **self._metadata})

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write a line for each stack, outermost frame first, with microseconds: for flame graphs.

        Needs ``with_stack=True``. ``metric``: ``self_cpu_time_total`` or
        ``self_device_time_total``.
        """
        sums: dict[str, float] = {}
        name = metric.replace("cuda_", "device_")
        for event in self.events():
            if event.stack and event.category != "share":
                stack = ";".join([*reversed(event.stack), event.name]).replace(" ", "_")
                sums[stack] = sums.get(stack, 0.0) + getattr(event, name)
        with open(path, "w", encoding="utf-8") as file:
            file.writelines([f"{stack} {int(us)}\n" for stack, us in sums.items() if us >= 1])

    def add_metadata(self, key: str, value: str) -> None:
        """Put a text beside the trace's events."""
        self._metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """Put a value, given as JSON, beside the trace's events."""
        self._metadata[key] = json.loads(value)

    preset_metadata_json = add_metadata_json

    @property
    def max_memory(self) -> int:
        """The most bytes of the engine's memory that were seen in use; needs ``profile_memory``."""
        return max([nbytes for _, nbytes in self._complete().memory], default=0)

    def get_trace_id(self) -> str:
        return self._trace_id

    def _complete(self) -> Recording:
        if self.recording is None or not self.recording.ended:
            raise AssertionError("Profiler must be stopped before its trace can be exported")
        return self.recording

    def __str__(self) -> str:
        if self._events is None:
            return "<profile: nothing recorded yet>"
        return self.key_averages().table(sort_by="self_cpu_time_total", row_limit=20)
