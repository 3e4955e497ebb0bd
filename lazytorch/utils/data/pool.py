"""The main process's side of the workers: starting, feeding, watching and ending them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from multiprocessing.connection import Connection, wait
from typing import Any

from lazytorch.utils.data.fetch import FetchPlan
from lazytorch.utils.data.transfer import receive, send
from lazytorch.utils.data.worker import WorkerSetup, run_worker

# How long a worker may finish what it is at, when it is told to stop.
_PATIENCE_SECONDS = 5.0


class WorkerPool:
    """Worker processes, each with a pipe of its own: the death of one spoils no other's."""

    def __init__(
        self,
        plan: FetchPlan,
        num_workers: int,
        base_seed: int,
        worker_init_fn: Any,
        context: Any,
    ) -> None:
        self._owner = os.getpid()
        self._connections: list[Connection] = []
        self._processes: list[Any] = []
        forks = context.get_start_method() == "fork"
        try:
            for worker_id in range(num_workers):
                ours, theirs = context.Pipe()
                self._connections.append(ours)
                setup = WorkerSetup(
                    plan,
                    base_seed,
                    worker_id,
                    num_workers,
                    worker_init_fn,
                    tuple(self._connections) if forks else (),
                )
                process = context.Process(target=run_worker, args=(theirs, setup), daemon=True)
                process.start()
                theirs.close()
                self._processes.append(process)
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        return bool(self._processes)

    def send(self, worker_id: int, message: Any) -> None:
        """Give a worker something to do; RuntimeError where it is dead."""
        try:
            send(self._connections[worker_id], message)
        except (BrokenPipeError, ConnectionResetError):
            error, cause = self._death([worker_id])
            raise error from cause

    def receive(self, timeout: float | None) -> tuple[int, Any]:
        """The next message of any worker, and which worker it is from.

        RuntimeError where a worker has died, or none sends within ``timeout`` seconds.
        """
        sentinels = [process.sentinel for process in self._processes]
        ready = wait([*self._connections, *sentinels], timeout)
        if not ready:
            raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
        for worker_id, connection in enumerate(self._connections):
            # What a worker sent before it died still counts.
            if connection in ready or (sentinels[worker_id] in ready and connection.poll()):
                try:
                    return worker_id, receive(connection)
                except (EOFError, ConnectionResetError):
                    error, cause = self._death([worker_id])
                    raise error from cause
        dead = [which for which, sentinel in enumerate(sentinels) if sentinel in ready]
        error, cause = self._death(dead)
        raise error from cause

    def _death(self, worker_ids: list[int]) -> tuple[RuntimeError, RuntimeError]:
        """The error to raise, and the one that caused it."""
        processes = [self._processes[worker_id] for worker_id in worker_ids]
        for process in processes:
            process.join(_PATIENCE_SECONDS)
        code, pid = processes[0].exitcode, processes[0].pid
        if code is not None and code < 0:
            name = signal.strsignal(-code) or f"Unknown signal {-code}"
            reason = f"DataLoader worker (pid {pid}) is killed by signal: {name}. "
        else:
            reason = (
                f"DataLoader worker (pid {pid}) exited unexpectedly with exit code {code}. Details "
                "are lost due to multiprocessing. Rerunning with num_workers=0 may give better "
                "error trace."
            )
        pids = ", ".join(str(process.pid) for process in processes)
        error = RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly")
        return error, RuntimeError(reason)

    def close(self) -> None:
        """End the workers: by word, after a while by SIGTERM, at last by SIGKILL."""
        # A forked child that drops its copy of the pool must not end its siblings.
        if os.getpid() != self._owner:
            return
        processes, self._processes = self._processes, []
        connections, self._connections = self._connections, []
        for connection in connections:
            with contextlib.suppress(OSError):  # It may be dead already.
                send(connection, None)
            # Ends a worker that is waiting to hand over a batch.
            connection.close()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for end in ("terminate", "kill"):
            alive = [process for process in processes if process.is_alive()]
            for process in alive:
                getattr(process, end)()
            for process in alive:
                process.join(1.0)
        for process in processes:
            if not process.is_alive():
                process.close()
