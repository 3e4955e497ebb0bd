"""Streams, which are all the one queue of their GPU, and events in it."""

from __future__ import annotations

from typing import Any

from lazytorch.cuda._devices import gpu, index_of, is_available
from lazytorch.device import Device
from lazytorch.realize import flush


class Stream:
    """A GPU's queue: work runs in the order in which it was asked for, whatever the stream."""

    def __init__(self, device: Any = None, priority: int = 0, **_: Any) -> None:
        if not is_available():
            raise RuntimeError("torch.cuda.Stream requires CUDA support")
        self.device_index = index_of(device)
        self.priority = priority
        self.stream_id = self.cuda_stream = 0

    @property
    def device(self) -> Device:
        return Device("cuda", self.device_index)

    def synchronize(self) -> None:
        """Wait until everything that was asked for is done."""
        flush()
        gpu(self.device_index).finish()

    def query(self) -> bool:
        """Whether everything that was asked for is done."""
        found = gpu(self.device_index)
        return found.is_done(found.enqueued)

    def record_event(self, event: Event | None = None) -> Event:
        """An event at this point of the queue."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Nothing to do: what comes after an event in the queue runs after it."""

    def wait_stream(self, stream: Stream) -> None:
        """Nothing to do: there is one queue. Another GPU's is waited for."""
        if stream.device_index != self.device_index:
            stream.synchronize()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.device_index == self.device_index

    def __hash__(self) -> int:
        return hash((self.device_index, self.stream_id))

    def __repr__(self) -> str:
        return f"<torch.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: Any) -> None:
        return None


class Event:
    """A point in a GPU's queue, which tells when it was reached if ``enable_timing``."""

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False,
        external: bool = False,
    ) -> None:  # fmt: skip
        if not is_available():
            raise RuntimeError("Tried to instantiate dummy base class Event")
        self.enable_timing = enable_timing
        self._event: Any = None
        self._device_index = -1

    def record(self, stream: Stream | None = None) -> None:
        """Put the event behind all that was asked for, pending writes included."""
        flush()
        self._device_index = index_of() if stream is None else stream.device_index
        found = gpu(self._device_index)
        if self.enable_timing:
            found.enable_timing()
        self._event = found.mark()

    def wait(self, stream: Stream | None = None) -> None:
        """Nothing to do: what comes after an event in the queue runs after it."""

    def query(self) -> bool:
        """Whether the event was reached; True if it was never recorded."""
        if self._event is None:
            return True
        status: int = self._event.command_execution_status
        return bool(status <= gpu(self._device_index).opencl.command_execution_status.COMPLETE)

    def synchronize(self) -> None:
        """Wait until the event is reached."""
        if self._event is not None:
            self._event.wait()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to a later one, by the device's clock; never below 0."""
        if not (self.enable_timing and end_event.enable_timing):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self._event is None or end_event._event is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if not (self.query() and end_event.query()):
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        for event in (self._event, end_event._event):
            event.wait()  # PoCL calls an event complete before it has its times
        nanoseconds: int = end_event._event.profile.end - self._event.profile.end
        return max(nanoseconds, 0) * 1e-6


class StreamContext:
    """A context that chooses a stream, which chooses its GPU."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: Any) -> None:
        return None


def stream(stream: Stream | None) -> StreamContext:
    """A context in which work goes to ``stream``; to the one queue, as everywhere."""
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """The stream of a GPU."""
    gpu(device)
    return Stream(device)


default_stream = current_stream


def set_stream(stream: Stream) -> None:
    """Kept for scripts: there is one queue."""
