"""Signals wait while memory changes hands: what Python does on one may raise between any two steps.

A kernel that writes over what it reads cannot be run twice. If Ctrl-C raised after it ran and
before its results have their places, they would be computed again from what is there no more.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

# What ``signal`` is made of: without conversions to enumerations, which take ten times as long.
_plain: Any = importlib.import_module(
    "_signal" if "_signal" in sys.builtin_module_names else "signal"
)

_NAMES = ("SIGHUP", "SIGTERM", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGINT")
_NUMBERS = [int(getattr(signal, name)) for name in _NAMES if hasattr(signal, name)]
_Handler = Callable[[int, FrameType | None], Any]


class HeldOff:
    """A with-block in which no signal raises; those that came are answered at its end.

    Only the main thread answers signals, so elsewhere there is nothing to do.
    """

    __slots__ = ("_came", "_handlers")

    def __enter__(self) -> None:
        self._handlers: list[tuple[int, _Handler]] = []
        self._came: list[tuple[int, FrameType | None]] = []
        if threading.get_ident() != threading.main_thread().ident:
            return
        try:
            for number in _NUMBERS:
                handler = _plain.getsignal(number)
                if callable(handler):
                    self._handlers.append((number, handler))
                    _plain.signal(number, self._note)
        except BaseException:
            self._put_back()
            raise

    def __exit__(self, *_: object) -> None:
        self._put_back()
        handlers = dict(self._handlers)
        for number, frame in self._came:
            handlers[number](number, frame)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if (number, frame) not in self._came:
            self._came.append((number, frame))

    def _put_back(self) -> None:
        for number, handler in self._handlers:
            with contextlib.suppress(ValueError):  # the main thread of a process that is ending
                _plain.signal(number, handler)
