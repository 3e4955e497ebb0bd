"""Timer: how long a statement takes, everything that it asks for included."""

from __future__ import annotations

import enum
import textwrap
import timeit
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NoReturn

import lazytorch
from codegen.runtime.opencl.discovery import found_devices
from lazytorch.realize import flush
from lazytorch.utils.benchmark.measurement import Measurement, TaskSpec, set_torch_threads
from lazytorch.utils.benchmark.statement import Computation, computing

Callback = Callable[[int, float], Any]

_MOST_RUNS = 2**31 - 1
# Before times are looked at, kernels have to be compiled, and compiled ones loaded.
_WARMING_RUNS = 2


def timer() -> float:
    """Seconds, once every device has done all that it was asked for."""
    flush()
    for device in found_devices():
        device.finish()
    return timeit.default_timer()


class Language(enum.Enum):
    """What a statement is written in; only Python is timed here."""

    PYTHON = 0
    CPP = 1


class Timer:
    """Times a statement, on ``num_threads`` threads (one, unless said otherwise).

    stmt, setup, timer, globals  as of ``timeit.Timer``; ``torch`` is known if it is not in globals.
    label, sub_label, description, env  what the results are called, by which ``Compare`` makes
                                        tables: a table a label, a row a sub_label (or statement)
                                        and env, a column a description.

    Each run computes what the statement asks for: the values of expressions, what it puts into
    variables, what it writes, and gradients.

    >>> from lazytorch.utils.benchmark import Timer
    >>> timer = Timer("x @ x", globals={"x": torch.ones(64, 64)})
    >>> timer.timeit(100).number_per_run
    100
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Language | str = Language.PYTHON,
    ) -> None:
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        if language in (Language.CPP, "cpp", "c++"):
            raise NotImplementedError("statements in C++ are not timed here: there is no libtorch")
        if language not in (Language.PYTHON, "py", "python"):
            raise ValueError(f"Invalid language `{language}`.")
        if global_setup:
            raise ValueError(
                f"global_setup is C++ only, got `{global_setup}`. Most likely this code can "
                "simply be moved to `setup`."
            )
        stmt, setup = _dedented(stmt), _dedented(setup)
        self._computation = Computation()
        names = {"torch": lazytorch, **(globals or {}), **self._computation.names()}
        self._timer = timeit.Timer(computing(stmt), setup, timer, names)
        self._task_spec = TaskSpec(
            stmt, setup, global_setup, label, sub_label, description, env, num_threads
        )

    def _timeit(self, number: int) -> float:
        with self._computation:
            return max(self._timer.timeit(number), 1e-9)

    def _measured(self, number: int, times: list[float]) -> Measurement:
        return Measurement(number, times, self._task_spec)

    def timeit(self, number: int = 1000000) -> Measurement:
        """The time of ``number`` runs, after some that warm up."""
        with set_torch_threads(self._task_spec.num_threads):
            self._timeit(max(number // 100, 2))
            return self._measured(number, [self._timeit(number)])

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Callable[[int, float], NoReturn] | None = None) -> None:
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def blocked_autorange(
        self, callback: Callback | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Times of blocks of runs, so long that reading the clock does not count, for at least
        ``min_run_time`` seconds. ``callback`` is told of the number of runs and each time."""
        number = self._block_size(min_run_time)
        return self._repeated(number, lambda _: True, min_run_time, None, callback)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callback | None = None,
    ) -> Measurement:
        """As ``blocked_autorange``, until the quartiles are nearer to each other than
        ``threshold`` of the median, or ``max_run_time`` seconds are over."""
        number = self._block_size(0.05)

        def is_steady(times: list[float]) -> bool:
            return len(times) > 3 and self._measured(number, times).meets_confidence(threshold)

        return self._repeated(number, is_steady, min_run_time, max_run_time, callback)

    def collect_callgrind(self, number: int = 100, **_: Any) -> NoReturn:
        """Not here: Valgrind knows neither the instructions of the generated kernels nor AMX."""
        raise NotImplementedError("collect_callgrind is not supported; use blocked_autorange()")

    def _block_size(self, min_run_time: float) -> int:
        """Runs of which reading the clock is a ten-thousandth, or that take long."""
        with set_torch_threads(self._task_spec.num_threads):
            self._timeit(_WARMING_RUNS)
            overhead = median([self._timeit(0) for _ in range(5)])
            number = 1
            while True:
                taken = self._timeit(number)
                is_long = overhead / taken <= 1e-4 and taken >= min_run_time / 1000
                if is_long or taken > min_run_time or number * 10 > _MOST_RUNS:
                    return number
                number *= 10

    def _repeated(
        self,
        number: int,
        may_stop: Callable[[list[float]], bool],
        min_run_time: float,
        max_run_time: float | None,
        callback: Callback | None,
    ) -> Measurement:
        times: list[float] = []
        total = 0.0
        with set_torch_threads(self._task_spec.num_threads):
            while total < min_run_time or not may_stop(times):
                times.append(self._timeit(number))
                total += times[-1]
                if callback is not None:
                    callback(number, times[-1])
                if max_run_time and total > max_run_time:
                    break
        return self._measured(number, times)


def _dedented(text: str) -> str:
    """A block of text without its indentation, its first line break and its trailing spaces."""
    text = textwrap.dedent(text)
    return text.removeprefix("\n").rstrip()


__all__: Sequence[str] = ["Language", "Timer", "timer"]
