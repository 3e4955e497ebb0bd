"""Runs the checks in worker processes: a crash or a hang of one costs one operator."""

from __future__ import annotations

import importlib
import multiprocessing as mp
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

from .check import Findings, Options
from .compiling import Compilers

# An operator that takes longer than this many seconds hangs.
PATIENCE = 120.0
# Operators after which a worker is replaced, so that memory stays bounded.
LIFETIME = 100
# Workers to each process of the caller's: most of them wait for the compiler, which is the
# cheaper the more is compiled together.
SHARE = 12


# Imported in workers alone: it readies the process for them.
_WORKER = f"{__package__}.worker"

Task = tuple[int, int]  # an operator's number, and which piece of its samples


def _work(connection: Connection, options: Options) -> None:
    importlib.import_module(_WORKER).work(connection, options)


def begin() -> None:
    """Start the process that workers are forked from: it has imported everything by the time that
    there is something to do."""
    mp.set_forkserver_preload([_WORKER])
    forkserver.ensure_running()


class _Worker:
    def __init__(self, options: Options) -> None:
        context = mp.get_context("forkserver")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, options), daemon=True)
        self.process.start()
        other.close()
        self.task: Task | None = None
        self.since, self.done, self.ready = time.monotonic(), 0, False

    def start(self, task: Task) -> None:
        self.task, self.since = task, time.monotonic()
        self.connection.send(task)

    def stop(self) -> None:
        self.connection.close()
        if self.task is not None or not self.ready:
            self.process.kill()
        self.process.join()


class _Gathered:
    """The findings on the pieces of operators, until an operator is whole."""

    def __init__(self, names: dict[int, tuple[str, str]]) -> None:
        self._names = names
        self._found: dict[int, Findings] = {}
        self._missing: dict[int, int] = {}

    def add(self, task: Task, findings: Findings) -> tuple[list[Task], list[Findings]]:
        """What is still to be done of this operator and was not yet said to be; its findings,
        once they are whole."""
        number, piece = task
        more = [(number, i) for i in range(1, findings.pieces)] if piece == 0 else []
        if number in self._found:
            self._found[number].add(findings)
        else:
            self._found[number] = findings
        self._missing[number] = self._missing.get(number, 1) + len(more) - 1
        if self._missing[number]:
            return more, []
        return more, [self._found.pop(number)]

    def lost(self, task: Task, reason: str, seconds: float) -> list[Findings]:
        findings = Findings(*self._names[task[0]], seconds=seconds)
        findings.note("values", reason)
        return self.add(task, findings)[1]


def run(
    numbers: list[int], names: dict[int, tuple[str, str]], options: Options, jobs: int
) -> Iterator[Findings]:
    """The findings on each operator, as they come; ``names``: title and family of each."""
    begin()
    waiting: list[Task] = [(number, 0) for number in reversed(numbers)]
    gathered = _Gathered(names)
    workers: list[_Worker] = []
    compilers = Compilers(jobs)
    share = SHARE if options.device == "cpu" else 1
    patience = share * PATIENCE
    try:
        while waiting or any(w.task for w in workers):
            wanted = min(share * jobs, len(waiting) + sum(w.task is not None for w in workers))
            workers += [_Worker(options) for _ in range(wanted - len(workers))]
            for connection in wait([w.connection for w in workers], timeout=1.0):
                worker = next(w for w in workers if w.connection is connection)
                try:
                    message: Any = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    workers.remove(worker)
                    worker.process.join()
                    if worker.task is None:
                        raise RuntimeError("a worker died before it had begun") from None
                    reason = f"the process died with code {worker.process.exitcode}"
                    yield from gathered.lost(worker.task, reason, time.monotonic() - worker.since)
                    continue
                if isinstance(message, dict):
                    compilers.ask(connection, message)
                    continue
                if worker.task is not None:
                    worker.done += 1
                    more, whole = gathered.add(worker.task, message)
                    waiting += reversed(more)
                    yield from whole
                worker.ready, worker.task = True, None
                if worker.done >= LIFETIME or not waiting:
                    workers.remove(worker)
                    worker.stop()
                else:
                    worker.start(waiting.pop())
            for worker in list(workers):
                spent = time.monotonic() - worker.since
                if worker.task is not None and spent > patience:
                    workers.remove(worker)
                    worker.stop()
                    yield from gathered.lost(worker.task, f"no result in {patience:.0f} s", spent)
    finally:
        for worker in workers:
            worker.stop()
        compilers.stop()
