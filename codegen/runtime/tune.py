"""Other schedules of heavy contractions, tried while a plan runs: the fastest is remembered.

A plan's own runs are the trials: in turn they use the kernels of one candidate after another, and
those kernels are timed where they stand, with the operands where the plan leaves them. All
candidates compute the same bits, so nobody can tell but by the clock. The winner is kept in the
cache folder, in a file of its own, under what it was found for: the contraction, what consumes it,
the threads, the compiler and the processor.
"""

from __future__ import annotations

import hashlib
import json
import statistics as numbers
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from codegen import settings
from codegen.errors import CompileError
from codegen.loops.contraction import Schedule
from codegen.render.contraction_recipe import Recipe
from codegen.render.source import KernelSource
from codegen.runtime import cache
from codegen.runtime.compiler import required_compiler
from codegen.runtime.cpu import Program
from codegen.runtime.kernels import load_kernels
from codegen.statistics import statistics

# By default a plan is left alone until it has run so often and done so much, a few seconds' worth;
# then one kernel is tried, and after as much again the next one.
_RUNS, _OPERATIONS = 100, 2e12
# What a process may spend on compiling candidates, in seconds, where it was not asked to.
_BUDGET = 5.0
_ROUNDS = 9  # timings of each candidate, after one that is not counted
# A candidate must take less than this part of the rule's time: differences below are noise.
_CLEARLY_LESS = 0.97

_known: dict[str, Schedule] = {}
_spent = 0.0


@dataclass(frozen=True)
class Written:
    """A kernel as text, for a schedule that the search has settled on."""

    source: KernelSource
    scratch_bytes: int


def is_off() -> bool:
    return settings.get("LAZYTORCH_TUNE") == "0"


def _is_asked_for() -> bool:
    return settings.get("LAZYTORCH_TUNE") == "1"


def winner(fields: dict[str, Any]) -> Written | None:
    """The kernel that an earlier search settled on for a recipe, if there was one."""
    recipe = Recipe.from_fields(fields)
    schedule = _remembered(_key(fields), recipe)
    return None if schedule is None else Written(*recipe.written(schedule))


class Search:
    """A plan's program while schedules are tried: runs it, and says when something was found.

    ``recipes``: those of the kernels to try, by number, with the operations of each. ``build``
    makes the program with some kernels replaced, ``adopt`` puts them into the plan and returns the
    program to go on with; ``done`` is called once, when nothing is left to try.
    """

    def __init__(
        self,
        recipes: Mapping[int, tuple[dict[str, Any], int]],
        program: Program,
        build: Callable[[Mapping[int, Written]], Program],
        adopt: Callable[[Mapping[int, Written]], Program],
        done: Callable[[], None],
    ) -> None:
        self._program, self._build, self._adopt, self._done = program, build, adopt, done
        groups: dict[str, _Group] = {}
        for number, (fields, operations) in recipes.items():
            group = groups.setdefault(_key(fields), _Group(_key(fields), fields))
            group.kernels.append(number)
            group.operations += operations
        self._waiting = sorted(groups.values(), key=lambda group: group.operations)
        work = sum([group.operations for group in self._waiting])
        self._interval = max(_RUNS, int(_OPERATIONS / work))
        self._runs_left = 0 if _is_asked_for() else self._interval
        self._trial: _Trial | None = None
        self._lock = threading.Lock()

    def waits(self) -> bool:
        """Count a run of the plan's own program, unless it is time to try another."""
        if self._trial is not None or self._runs_left <= 0:
            return False
        self._runs_left -= 1
        return True

    def run(self, table: Sequence[int]) -> None:
        """Run the plan's kernels, all of them, with one candidate's in their places."""
        if not self._lock.acquire(False):  # another thread is running this plan
            self._program.run(table)
            return
        try:
            if self._trial is None:
                self._runs_left -= 1
                if self._runs_left < 0:
                    self._trial = self._next_trial()
            if self._trial is None:
                self._program.run(table)
                return
            self._trial.run(table)
            if self._trial.is_over():
                self._settle(self._trial)
                self._trial = None
        finally:
            self._lock.release()

    def _next_trial(self) -> _Trial | None:
        """Candidates of the heaviest kernels that nothing is known about yet, compiled."""
        global _spent
        while self._waiting and (_is_asked_for() or _spent < _BUDGET) and not is_off():
            group = self._waiting.pop()
            known = winner(group.fields)
            if known is not None:
                self._program = self._adopt(dict.fromkeys(group.kernels, known))
                continue
            recipe = Recipe.from_fields(group.fields)
            schedules = recipe.schedules()
            start = time.perf_counter()
            try:
                written = [Written(*recipe.written(schedule)) for schedule in schedules]
                load_kernels([w.source for w in written])
                programs = [self._build(dict.fromkeys(group.kernels, w)) for w in written]
            except CompileError:  # the plan runs as it is
                continue
            finally:
                _spent += time.perf_counter() - start
            statistics.contractions_tuned += 1
            return _Trial(group, schedules, written, programs)
        self._done()
        return None

    def _settle(self, trial: _Trial) -> None:
        best = trial.best()
        _remember(trial.group.key, trial.schedules[best])
        self._program = self._adopt(dict.fromkeys(trial.group.kernels, trial.written[best]))
        self._runs_left = 0 if _is_asked_for() else self._interval


@dataclass
class _Group:
    """Kernels of one plan with the same recipe."""

    key: str
    fields: dict[str, Any]
    kernels: list[int] = field(default_factory=list)
    operations: int = 0


class _Trial:
    """The candidates of one group, taking turns."""

    def __init__(
        self,
        group: _Group,
        schedules: Sequence[Schedule],
        written: Sequence[Written],
        programs: Sequence[Program],
    ) -> None:
        self.group, self.schedules, self.written = group, schedules, written
        self._programs = programs
        self._seconds: list[list[float]] = [[] for _ in programs]
        self._runs = 0

    def run(self, table: Sequence[int]) -> None:
        turn = self._runs % len(self._programs)
        seconds = self._programs[turn].run_timed(table)
        if self._runs >= len(self._programs):
            self._seconds[turn].append(sum([seconds[i] for i in self.group.kernels]))
        self._runs += 1

    def is_over(self) -> bool:
        return self._runs == (1 + _ROUNDS) * len(self._programs)

    def best(self) -> int:
        """The fastest candidate; the first, which is the rule's, unless another clearly is."""
        times = [numbers.median(seconds) for seconds in self._seconds]
        best = times.index(min(times))
        return best if times[best] < _CLEARLY_LESS * times[0] else 0


def _key(fields: dict[str, Any]) -> str:
    parts = ["tuned", fields, required_compiler().fingerprint]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _remember(key: str, schedule: Schedule) -> None:
    _known[key] = schedule
    try:
        data = json.dumps([key, asdict(schedule)]).encode()
        cache.write_checked(cache.cache_path(f"tuned-{key[:32]}"), data)
    except OSError:
        return  # the next process searches again


def _remembered(key: str, recipe: Recipe) -> Schedule | None:
    """The schedule found for a recipe, by this process or another; only ever a candidate."""
    schedule = _known.get(key)
    if schedule is not None:
        return schedule
    path = cache.cache_path(f"tuned-{key[:32]}")
    content = cache.read_checked(path)
    if content is None:
        return None
    try:
        recorded_key, kept = json.loads(content)
        schedule = Schedule(**kept)
    except (ValueError, TypeError):
        recorded_key = ""
    if recorded_key != key or schedule not in recipe.schedules():
        cache.discard(path)
        return None
    assert schedule is not None
    _known[key] = schedule
    return schedule
