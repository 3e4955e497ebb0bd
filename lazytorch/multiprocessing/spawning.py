"""A function in several processes: started together, and ended together when one fails."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any


class ProcessException(Exception):
    """A process has failed: which, and its process id."""

    def __init__(self, msg: str, error_index: int, pid: int) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid


class ProcessRaisedException(ProcessException):
    """A process has raised; the message has its traceback."""


class ProcessExitedException(ProcessException):
    """A process has ended with a status other than 0, or by a signal."""

    def __init__(
        self,
        msg: str,
        error_index: int,
        error_pid: int,
        exit_code: int,
        signal_name: str | None = None,
    ) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name


def _run(function: Callable[..., Any], rank: int, arguments: tuple[Any, ...], errors: Any) -> None:
    try:
        function(rank, *arguments)
    except KeyboardInterrupt:
        pass  # The parent was told as well.
    except Exception:
        errors.send(traceback.format_exc())
        sys.exit(1)


class ProcessContext:
    """Processes that run; ``join`` waits for them."""

    def __init__(self, processes: list[Any], errors: list[Any]) -> None:
        self.processes, self._errors = processes, errors
        self.sentinels = {process.sentinel: i for i, process in enumerate(processes)}

    def pids(self) -> list[int]:
        return [int(process.pid) for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait for the processes; whether all have ended. Where one has failed, the others are
        ended (after ``grace_period`` seconds), and ProcessRaisedException or
        ProcessExitedException tells of it."""
        if not self.sentinels:
            return True
        ready = multiprocessing.connection.wait(list(self.sentinels), timeout)
        failed = None
        for sentinel in ready:
            which = self.sentinels.pop(sentinel)
            self.processes[which].join()
            if self.processes[which].exitcode != 0:
                failed = which
                break
        if failed is None:
            return not self.sentinels
        self._end_all(grace_period)
        raise self._failure(failed)

    def _end_all(self, grace_period: float | None) -> None:
        deadline = time.monotonic() + (grace_period or 0.0)
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for end in ("terminate", "kill"):
            for process in self.processes:
                if process.is_alive():
                    getattr(process, end)()
            for process in self.processes:
                process.join(30.0)

    def _failure(self, which: int) -> ProcessException:
        process = self.processes[which]
        if self._errors[which].poll():
            text = self._errors[which].recv()
            message = f"\n\n-- Process {which} terminated with the following error:\n{text}"
            return ProcessRaisedException(message, which, process.pid)
        code = process.exitcode
        if code < 0:
            name = signal.Signals(-code).name
            message = f"process {which} terminated with signal {name}"
            return ProcessExitedException(message, which, process.pid, code, name)
        message = f"process {which} terminated with exit code {code}"
        return ProcessExitedException(message, which, process.pid, code)


SpawnContext = ProcessContext


def start_processes(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """``fn(i, *args)`` in process i of ``nprocs``; with ``join``, waits for all of them."""
    context = multiprocessing.get_context(start_method)
    processes, errors = [], []
    for rank in range(nprocs):
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(  # type: ignore[attr-defined]
            target=_run, args=(fn, rank, args, theirs), daemon=daemon
        )
        process.start()
        theirs.close()
        processes.append(process)
        errors.append(mine)
    made = ProcessContext(processes, errors)
    if not join:
        return made
    while not made.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """As ``start_processes``; ``fn`` is to be at the top of a module.

    ``torch.multiprocessing.spawn(train, args=(world_size,), nprocs=world_size)``
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)


_strategy = "file_system"


def get_all_sharing_strategies() -> set[str]:
    return {"file_system", "file_descriptor"}


def get_sharing_strategy() -> str:
    return _strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Kept and not used: tensors go by value. ValueError for an unknown one."""
    global _strategy
    if new_strategy not in get_all_sharing_strategies():
        raise ValueError(f"there is no sharing strategy {new_strategy!r}")
    _strategy = new_strategy
