"""What runs in a worker process: indices come in, batches go out, and it ends with its parent."""

from __future__ import annotations

import contextlib
import os
import queue
import random
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from lazytorch.utils.data import _engine as engine
from lazytorch.utils.data.dataset import IterableDataset
from lazytorch.utils.data.fetch import FetchPlan
from lazytorch.utils.data.transfer import receive, send

# How often a worker looks whether its parent is alive, should the pipe not tell.
_PARENT_CHECK_SECONDS = 5.0


@dataclass
class WorkerInfo:
    """Which worker this is; what ``get_worker_info`` gives in a worker process."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Which worker process runs this code; None in the main process."""
    return _worker_info


@dataclass(frozen=True)
class Task:
    """Make the batch number ``number`` of ``epoch`` from ``indices``."""

    epoch: int
    number: int
    indices: Any


@dataclass(frozen=True)
class NewEpoch:
    """Start over: tasks of earlier epochs no longer matter."""

    epoch: int


@dataclass(frozen=True)
class Result:
    """The batch of a task, or in its place a failure, or word that the samples have ended."""

    epoch: int
    number: int
    data: Any


@dataclass(frozen=True)
class Exhausted:
    """This worker's iterable dataset is at its end."""


class _KeyErrorText(str):
    """A message that KeyError shows as it is, and not its repr."""

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Failure:
    """An exception on its way to another process, with its traceback as text."""

    kind: type[BaseException]
    text: str
    where: str

    @classmethod
    def now(cls, worker_id: int) -> Failure:
        """The exception being handled."""
        kind = sys.exc_info()[0]
        where = f"in DataLoader worker process {worker_id}"
        return cls(kind or RuntimeError, traceback.format_exc(), where)

    def reraise(self) -> None:
        message = f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}"
        if self.kind is KeyError:
            message = _KeyErrorText(message)
        try:
            error = self.kind(message)
        except Exception:
            # An exception that takes other arguments than one text.
            raise RuntimeError(message) from None
        raise error


@dataclass(frozen=True)
class WorkerSetup:
    """All that a worker process is told at its start."""

    plan: FetchPlan
    base_seed: int
    worker_id: int
    num_workers: int
    worker_init_fn: Callable[[int], None] | None
    # The parent's ends of the pipes of this and earlier workers, which a fork copied.
    inherited: tuple[Connection, ...]


def run_worker(connection: Connection, setup: WorkerSetup) -> None:
    """Serve tasks until the parent says stop (None), closes the pipe, or is gone."""
    for other in setup.inherited:
        other.close()
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    newest_epoch = [0]
    listener = threading.Thread(
        target=_listen, args=(connection, tasks, newest_epoch, os.getppid()), daemon=True
    )
    listener.start()
    # The parent has the same interrupt, or is gone: either way nobody waits for more.
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        _serve(connection, tasks, newest_epoch, setup)


def _listen(
    connection: Connection, tasks: queue.SimpleQueue[Any], newest_epoch: list[int], parent: int
) -> None:
    """Move messages from the pipe to the queue.

    A thread of its own, so that a parent sending indices never waits for a worker that is
    itself waiting to hand over a batch.
    """
    try:
        while True:
            while not wait([connection], _PARENT_CHECK_SECONDS):
                if os.getppid() != parent:
                    os._exit(1)
            message = receive(connection)
            if isinstance(message, NewEpoch):
                newest_epoch[0] = message.epoch
            tasks.put(message)
            if message is None:
                return
    except (EOFError, OSError):
        tasks.put(None)


def _seed_everything(base_seed: int, worker_id: int) -> None:
    seed = base_seed + worker_id
    random.seed(seed)
    engine.manual_seed(seed)
    words = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    np.random.seed(np.random.SeedSequence(words).generate_state(4))


def _serve(
    connection: Connection,
    tasks: queue.SimpleQueue[Any],
    newest_epoch: list[int],
    setup: WorkerSetup,
) -> None:
    global _worker_info
    plan, worker_id = setup.plan, setup.worker_id
    engine.prepare_worker()
    _seed_everything(setup.base_seed, worker_id)
    seed = setup.base_seed + worker_id
    _worker_info = WorkerInfo(worker_id, setup.num_workers, seed, plan.dataset)

    failure: Failure | None = None
    try:
        if setup.worker_init_fn is not None:
            setup.worker_init_fn(worker_id)
        fetch = plan.fetcher()
    except Exception:
        failure = Failure.now(worker_id)
    exhausted = False
    while (message := tasks.get()) is not None:
        if isinstance(message, NewEpoch):
            exhausted, failure = False, None
            try:
                fetch = plan.fetcher()
            except Exception:
                failure = Failure.now(worker_id)
            continue
        if exhausted or message.epoch < newest_epoch[0]:
            continue
        data: Any
        if failure is not None:
            data = failure  # Nothing can be fetched after a failed start: every task reports it.
        else:
            try:
                data = fetch(message.indices)
            except Exception as error:
                if isinstance(error, StopIteration) and isinstance(plan.dataset, IterableDataset):
                    data, exhausted = Exhausted(), True
                else:
                    data = Failure.now(worker_id)
        _send_result(connection, Result(message.epoch, message.number, data), worker_id)


def _send_result(connection: Connection, result: Result, worker_id: int) -> None:
    try:
        send(connection, result)
    except OSError:
        raise
    except Exception:
        # The batch cannot be pickled, or its failure's type cannot; a plain one always can.
        plain = result.data if isinstance(result.data, Failure) else Failure.now(worker_id)
        plain = Failure(RuntimeError, plain.text, plain.where)
        send(connection, Result(result.epoch, result.number, plain))
