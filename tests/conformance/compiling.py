"""Compiles for all workers: the kernels that wait are compiled together, many in one file.

Most kernels of a walk are a few lines, of which a compiler's start and a linker's are three
quarters of the time.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection

from codegen.errors import CompileError
from codegen.render.source import KernelSource
from codegen.runtime import kernels

# Seconds for which the first request waits for others.
_GATHERING = 0.03

Request = tuple[Connection, Mapping[str, KernelSource]]


class Compilers:
    """``count`` threads that compile what workers ask for, and tell them when it is in the
    cache."""

    def __init__(self, count: int) -> None:
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._turn = threading.Lock()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def ask(self, connection: Connection, missing: Mapping[str, KernelSource]) -> None:
        self._requests.put((connection, missing))

    def stop(self) -> None:
        for _ in self._threads:
            self._requests.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while requests := self._gather():
            together: dict[str, KernelSource] = {}
            for _, missing in requests:
                together.update(missing)
            # Where it fails, each worker compiles its own, and says what is wrong.
            with contextlib.suppress(CompileError, OSError):
                kernels.compile_into_cache(together)
            for connection, _ in requests:
                with contextlib.suppress(OSError):  # the worker was stopped
                    connection.send("compiled")

    def _gather(self) -> list[Request]:
        """What waits, and what comes soon after the first of it; nothing at the end."""
        with self._turn:
            first = self._requests.get()
            if first is None:
                return []
            requests = [first]
            time.sleep(_GATHERING)
            while not self._requests.empty():
                request = self._requests.get()
                if request is None:
                    self._requests.put(None)
                    break
                requests.append(request)
            return requests
