"""torch.cpu: the processor as one device among others, which has nothing to wait for."""

from __future__ import annotations

import contextlib
from typing import Any

from lazytorch.cpu import amp

__all__ = [
    "Event", "Stream", "StreamContext", "amp", "current_device", "current_stream", "device_count",
    "is_available", "is_initialized", "set_device", "stream", "synchronize",
]  # fmt: skip


class Stream:
    """An order of work: there is one."""

    def __init__(self, priority: int = -1) -> None:
        pass

    def wait_stream(self, stream: Any) -> None:
        pass

    def record_event(self) -> None:
        pass

    def wait_event(self, event: Any) -> None:
        pass


class Event:
    """A moment of a stream: what was called before has been done."""

    def query(self) -> bool:
        return True

    def record(self, stream: Any = None) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def wait(self, stream: Any = None) -> None:
        pass


class StreamContext(contextlib.nullcontext[Any]):
    """Within, work is done in the one order that there is."""


_default_stream = Stream()


def stream(stream: Stream) -> StreamContext:
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    return _default_stream


def current_device() -> str:
    return "cpu"


def set_device(device: Any) -> None:
    pass


def device_count() -> int:
    return 1


def is_available() -> bool:
    return True


def is_initialized() -> bool:
    return True


def synchronize(device: Any = None) -> None:
    pass
