"""Runs the checks in worker processes: a crash or a hang of one costs one operator."""

from __future__ import annotations

import multiprocessing as mp
import os
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from .check import Findings, Options

# An operator that takes longer than this many seconds hangs.
PATIENCE = 120.0
# Operators after which a worker is replaced, so that memory stays bounded.
LIFETIME = 150


def _work(connection: Connection, options: Options) -> None:
    """Check the operators whose numbers come in; send the findings back."""
    os.environ.setdefault("LAZYTORCH_TUNE", "0")
    import torch

    import lazytorch

    from . import check, database, transforms

    torch.set_num_threads(1)
    lazytorch.set_num_threads(1)
    lazytorch.set_default_device(options.device)
    found = database.operators()
    chosen = isinstance(options, transforms.TransformOptions)
    judge: Any = transforms.check if chosen else check.check
    connection.send("ready")
    while True:
        try:
            number = connection.recv()
        except EOFError:
            return
        connection.send(judge(found[number], options))


class _Worker:
    def __init__(self, options: Options) -> None:
        context = mp.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, options), daemon=True)
        self.process.start()
        other.close()
        self.number: int | None = None
        self.since, self.done, self.ready = time.monotonic(), 0, False

    def start(self, number: int) -> None:
        self.number, self.since = number, time.monotonic()
        self.connection.send(number)

    def stop(self) -> None:
        self.connection.close()
        if self.number is not None or not self.ready:
            self.process.kill()
        self.process.join()


def _lost(name: tuple[str, str], reason: str, seconds: float) -> Findings:
    findings = Findings(*name, seconds=seconds)
    findings.note("values", reason)
    return findings


def run(
    numbers: list[int], names: dict[int, tuple[str, str]], options: Options, jobs: int
) -> Iterator[Findings]:
    """The findings on each operator, as they come; ``names``: title and family of each."""
    waiting = list(reversed(numbers))
    workers: list[_Worker] = []
    try:
        while waiting or any(w.number is not None for w in workers):
            while len(workers) < min(
                jobs, len(waiting) + sum(w.number is not None for w in workers)
            ):
                workers.append(_Worker(options))
            for connection in wait([w.connection for w in workers], timeout=1.0):
                worker = next(w for w in workers if w.connection is connection)
                try:
                    message: Any = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    workers.remove(worker)
                    worker.process.join()
                    if worker.number is None:
                        raise RuntimeError("a worker died before it had begun") from None
                    reason = f"the process died with code {worker.process.exitcode}"
                    spent = time.monotonic() - worker.since
                    yield _lost(names[worker.number], reason, spent)
                    continue
                worker.ready, worker.number = True, None
                if message != "ready":
                    worker.done += 1
                    yield message
                if worker.done >= LIFETIME or not waiting:
                    workers.remove(worker)
                    worker.stop()
                else:
                    worker.start(waiting.pop())
            for worker in list(workers):
                spent = time.monotonic() - worker.since
                if worker.number is not None and spent > PATIENCE:
                    workers.remove(worker)
                    number = worker.number
                    worker.stop()
                    yield _lost(names[number], f"no result within {PATIENCE:.0f} s", spent)
    finally:
        for worker in workers:
            worker.stop()
