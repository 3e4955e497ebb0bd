"""compile: a function's calls, after the first few, as runs of the plans that it needs.

The first calls run as always, watched (``capture``). When two calls in a row did the same, the
next is *replayed*: the plans run on the present values, and what the calls changed (storages,
gradients, an optimizer's step count, random streams) is changed again, with no Python between.
A replay is allowed only while the Python state that the function reads is what it was
(``guards``); otherwise the call runs as always. So a compiled function differs from the plain
one in nothing but its speed, save for effects that nobody can see from here: ``print`` and the
like keep a function from being replayed, an attribute of a Python module is taken as constant.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import CodeType
from typing import Any, TypeVar

from codegen.ir.node import TensorType
from codegen.runtime.cpu import get_num_threads
from codegen.runtime.memory import Buffer
from codegen.runtime.plan import watchers
from codegen.runtime.signals import HeldOff
from lazytorch import autocasting, capture, late_errors, levels, overrides, references
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.capture import Capture
from lazytorch.defaults import defaults
from lazytorch.expression import Call, Expression, new_expression, overwritten, scalar
from lazytorch.guards import Guards, Observer, is_constant_value
from lazytorch.host_values import number_of
from lazytorch.later_reads import LaterRead
from lazytorch.nn.modules.module import Module
from lazytorch.one_call import OneCall, facts_of_fitting, one_call
from lazytorch.realize import checking, realize
from lazytorch.recompiles import note_obstacle
from lazytorch.recording import record, untracked
from lazytorch.records import native
from lazytorch.storage import Storage, is_constant, new_storage, pending_writes
from lazytorch.tensor import Tensor

# A function whose calls differ this often, or whose state changes this often, runs as always.
_MOST_ATTEMPTS = 8
_MOST_CASES = 64
# Calls in a row that found a tensor in another state than usual, before that is the usual one.
_MOST_MISSES = 4
_NOTHING = nullcontext()
T = TypeVar("T")


class _Obstacle(Exception):
    """Why a call cannot be replayed."""


def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "lazytorch",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """A function (or module) that does as ``model`` does, with less Python once calls repeat.

    What it gains most for is a whole training step:

    >>> @torch.compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = criterion(model(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss

    fullgraph  raise RuntimeError where a call cannot be replayed, naming the reason.
    disable    return ``model`` itself.

    A number that is read and only returned (``return loss.item()``) keeps no call from being
    replayed; one that a condition or a computation takes does.

    The other options of PyTorch are accepted and change nothing. ``step.replays`` counts the
    replayed calls, and ``step.obstacle`` says why the last call was not one.
    """
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, disable=disable)
    if not callable(model):
        raise RuntimeError(f"torch.compile expects a function or module, not {type(model)}")
    if disable:
        return model
    if isinstance(model, Module):
        return OptimizedModule(model, fullgraph)
    return CompiledFunction(model, fullgraph)


class CompiledFunction:
    """What ``compile`` makes of a function."""

    def __init__(self, function: Callable[..., Any], fullgraph: bool = False) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._fullgraph = fullgraph
        self._cases: dict[Any, _Case] = {}
        self._observer = Observer()
        self.replays = 0
        self.obstacle: str | None = "it has not been called twice"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        return functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if (
            capture.state.active is not None  # a part of another compiled function
            or checking.active
            or levels.state.inside  # a part of one that is transformed, or differentiated forward
            or levels.state.sources
        ):
            return self._function(*args, **kwargs)
        try:
            tensors: list[Tensor] = []
            key = (
                _key(args, tensors) if args else (),
                _key(kwargs, tensors) if kwargs else (),
                *_conditions(),
            )
            case = self._cases.get(key)
        except (_Obstacle, TypeError) as error:
            return self._plainly(str(error), args, kwargs)
        if case is None:
            if len(self._cases) >= _MOST_CASES:
                return self._plainly("its arguments take too many values", args, kwargs)
            case = self._cases[key] = _Case()
        replay = case.replay
        if replay is not None:
            arguments = [t._read() for t in tensors] if tensors else []
            reads_the_same = replay.reads_the_same()
            if reads_the_same and replay.fits(arguments, tensors):
                self.replays += 1
                case.misses = 0
                self.obstacle = None
                try:
                    return replay.run(arguments, tensors)
                except Exception as error:
                    late_errors.add_replayed(error, self._function)
                    raise
            case.misses += 1
            if reads_the_same and case.misses < _MOST_MISSES:
                return self._plainly("a tensor is not in its usual state", args, kwargs)
            case.replay = None
        if case.attempts >= _MOST_ATTEMPTS:
            return self._plainly(case.obstacle, args, kwargs)
        return self._watched(case, tensors, args, kwargs)

    def _codes(self) -> tuple[CodeType, CodeType] | None:
        """Of the function, if it is one of Python's, and of what calls it while it is watched."""
        code = getattr(self._function, "__code__", None)  # of a method, its function's
        watcher = CompiledFunction._watched.__code__
        return (code, watcher) if type(code) is CodeType else None

    def _plainly(self, obstacle: str, args: Any, kwargs: Any) -> Any:
        if obstacle != self.obstacle:  # to ask whether anybody wants to know takes its time
            self.obstacle = obstacle
            note_obstacle(self._function, obstacle)
        if self._fullgraph:
            raise RuntimeError(f"cannot replay {self._function!r}: {obstacle}")
        return self._function(*args, **kwargs)

    def _watched(self, case: _Case, tensors: list[Tensor], args: Any, kwargs: Any) -> Any:
        """Run the function as always, and see whether the next call may be a replay."""
        case.attempts += 1
        arguments = [t._read() for t in tensors]
        realize(arguments)
        active = Capture(arguments, [t._storage for t in tensors], self._codes())
        guards = Guards(self._function, args, kwargs, tensors, self._observer)
        capture.state.active = active
        try:
            with self._observer:
                result = self._function(*args, **kwargs)
            made = _returned(result, Tensor)
            reads = _returned(result, LaterRead)
            realize([t._storage.expression for t in made] + [_to_compute(r) for r in reads])
        finally:
            capture.state.active = None
        returned = result
        if reads:
            known = {id(r): number_of(r.expression.value, r.expression.type) for r in reads}
            result = _build(result, [], known)
        before = case.last
        case.last = None
        try:
            if self._observer.obstacle is not None:
                raise _Obstacle(self._observer.obstacle)
            if guards.obstacle is not None:
                raise _Obstacle(guards.obstacle)
            if not guards.hold():
                raise _Obstacle("the call changes Python objects that it reads")
            case.last = _Finished(active, returned)
            if before is None or self._observer.has_grown:
                raise _Obstacle("it has not been called twice in this way")
            case.replay = _Replay(before, case.last, guards, tensors)
            case.last = None
            case.attempts = 1
            case.replays += 1
            if case.replays > _MOST_ATTEMPTS:
                case.attempts, case.replay = _MOST_ATTEMPTS, None
                raise _Obstacle("the Python objects that it reads change too often")
        except _Obstacle as obstacle:
            self.obstacle = case.obstacle = str(obstacle)
            note_obstacle(self._function, self.obstacle)
        return result


class OptimizedModule(Module):
    """A module whose calls are compiled; parameters and state are those of ``_orig_mod``."""

    def __init__(self, module: Module, fullgraph: bool = False) -> None:
        super().__init__()
        self._orig_mod = module
        self.__dict__["_compiled"] = CompiledFunction(module, fullgraph)
        self.training = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.__dict__["_compiled"](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return self.__dict__["_modules"]["_orig_mod"]
        return getattr(self._orig_mod, name)


class _Case:
    """Calls whose arguments have the same types: what the last did, and the replay."""

    def __init__(self) -> None:
        self.attempts = 0
        self.replays = 0
        self.misses = 0
        self.last: _Finished | None = None
        self.replay: _Replay | None = None
        self.obstacle = ""


def _conditions() -> tuple[Any, ...]:
    """What a call depends on besides its arguments and the Python objects that it reads."""
    if overrides.state.modes:
        raise _Obstacle("a mode answers its calls")
    if grad_state.saved_hooks:
        raise _Obstacle("hooks are given what backward saves")
    cast: tuple[Any, ...] = ()
    if autocasting.active.count:
        cast = *autocasting.state.enabled.items(), *autocasting.state.dtypes.items()
    return (
        grad_state.enabled, defaults.device, defaults.dtype, defaults.bfloat16_products,
        get_num_threads(), cast,
    )  # fmt: skip


def _key(value: Any, tensors: list[Tensor]) -> Any:
    """What must be equal for two arguments to be alike; collects the tensors in them."""
    if isinstance(value, Tensor):
        if value._marker is not None or value._storage.is_shared():
            raise _Obstacle("an argument shares its memory with NumPy, or is a detached leaf")
        tensors.append(value)
        return (type(value), value._type.number, value._storage.device, value.requires_grad,
                None if value.is_contiguous() else value._strides())  # fmt: skip
    if isinstance(value, (float, complex)):
        return (type(value), repr(value))  # which tells -0.0 from 0.0
    if value is None or is_constant_value(value):
        return (type(value), value)
    if isinstance(value, (tuple, list)):
        return (type(value), *[_key(v, tensors) for v in value])
    if isinstance(value, dict):
        return (type(value), *[(type(k), k, _key(v, tensors)) for k, v in value.items()])
    return ("object", id(value))


def _to_compute(read: LaterRead) -> Expression:
    """What a number that was read is the value of; no gradient will be asked of it."""
    read.storage = None
    if read.expression.value is None and read.expression.tracked:
        read.expression = untracked(read.expression)
    return read.expression


def _returned(result: Any, kind: type[T]) -> list[T]:
    """What is of some class in a function's result."""
    found: list[T] = []
    stack = [result]
    while stack:
        item = stack.pop()
        if isinstance(item, kind):
            found.append(item)
        elif isinstance(item, (tuple, list)):
            stack.extend(reversed(item))
        elif isinstance(item, dict):
            stack.extend(reversed(list(item.values())))
    return found


class Constant:
    """A pending value made of Python numbers: a gradient that was set to zero."""

    def __init__(self, e: Expression) -> None:
        call = e.call
        assert call is not None
        self.signature = call.signature
        self.numbers = [i.value for i in call.inputs]
        self.device = e.device

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Constant)
            and self.signature is other.signature
            and self.numbers == other.numbers
        )

    __hash__ = None  # type: ignore[assignment]

    def is_value_of(self, e: Expression) -> bool:
        call = e.call
        return (
            e.value is None
            and call is not None
            and call.signature is self.signature
            and [i.value for i in call.inputs] == self.numbers
        )

    def make(self) -> Expression:
        inputs = tuple([scalar(x, self.device) for x in self.numbers])
        return record(self.signature.function, inputs, self.signature.attributes, False)[0]


class _Finished:
    """What a call came to: the capture, and where each thing that remains of it came from.

    storages   (storage, source of its value, how many writes)
    grads      (tensor, None | an existing tensor | a Fresh gradient)
    result     the call's result with Fresh in the place of new tensors, and Number of numbers
    """

    def __init__(self, active: Capture, result: Any) -> None:
        if active.obstacle is not None:
            raise _Obstacle(active.obstacle)
        self.capture = active
        self.outputs = {
            id(e): ("output", i, j)
            for i, run in enumerate(active.runs)
            for j, reference in enumerate(run.outputs)
            if reference is not None and (e := reference()) is not None
        }
        self.fresh: dict[int, Fresh] = {}
        self.grads: list[tuple[Tensor, Any]] = []
        for tensor, before in active.grads.values():
            gradient = tensor._grad
            if gradient is None or gradient is before:
                self.grads.append((tensor, gradient))
            else:
                self.grads.append((tensor, self._fresh(gradient)))
        active.grads.clear()  # the gradients that were replaced are let go of
        self.result = self._structure(result)
        self.storages = []
        for reference, value_before, version in active.written.values():
            storage = reference()
            if storage is None or id(storage) in self.fresh:
                continue
            if storage.expression is not value_before():
                source = self._source(storage.expression)
                self.storages.append((storage, source, storage.version - version))

    def _source(self, e: Expression) -> Any:
        found = self.outputs.get(id(e))
        if found is not None:
            return found
        if e.value is None and is_constant(e):
            return Constant(e)
        raise _Obstacle("a tensor holds what was not computed in the call")

    def _fresh(self, tensor: Tensor) -> Fresh:
        storage = tensor._storage
        known = self.fresh.get(id(storage))
        if known is None:
            known = self.fresh[id(storage)] = Fresh(tensor, self)
        return known

    def _structure(self, item: Any) -> Any:
        if isinstance(item, Tensor):
            if id(item._storage.expression) in self.outputs and not self._is_older(item):
                return self._fresh(item)
            return item
        if type(item) in (tuple, list):
            return type(item)([self._structure(v) for v in item])
        if type(item) is dict:
            return {k: self._structure(v) for k, v in item.items()}
        if type(item) is LaterRead:
            return Number(item.expression, self)
        if item is None or is_constant_value(item):
            return item
        raise _Obstacle(f"it returns an object of type {type(item).__name__}")

    def _is_older(self, tensor: Tensor) -> bool:
        """Whether the tensor's storage was there before the call: it was written, not made."""
        return id(tensor._storage) in self.capture.written

    def changed(self, tensors: Sequence[Tensor]) -> list[tuple[int, Tensor, Storage]]:
        """The arguments that the call changes or returns, by number: another call, of other
        tensors, changes and returns those."""
        storages = {id(s) for s, _, _ in self.storages}
        known = {id(t) for t, _ in self.grads} | {id(t) for t in _returned(self.result, Tensor)}
        return [
            (i, t, t._storage)
            for i, t in enumerate(tensors)
            if id(t._storage) in storages or id(t) in known
        ]

    def is_like(self, other: _Finished) -> bool:
        mine, theirs = self.capture, other.capture
        return (
            len(mine.runs) == len(theirs.runs)
            and all(
                [
                    a.cached is b.cached and a.sources == b.sources
                    for a, b in zip(mine.runs, theirs.runs, strict=True)
                ]
            )
            and len(mine.steps) == len(theirs.steps)
            and all([a.is_like(b) for a, b in zip(mine.steps, theirs.steps, strict=True)])
            and mine.draws == theirs.draws
            and _same(self.storages, other.storages)
            and _same(self.grads, other.grads)
            and _same(self.result, other.result)
        )


def _same(x: Any, y: Any) -> bool:
    """Equality where tensors and storages are equal to themselves alone."""
    if x is y:
        return True
    if type(x) is not type(y) or isinstance(x, (Tensor, Storage)):
        return False
    if isinstance(x, (tuple, list)):
        return len(x) == len(y) and all([_same(a, b) for a, b in zip(x, y, strict=True)])
    if isinstance(x, dict):
        return list(x) == list(y) and all([_same(x[k], y[k]) for k in x])
    return bool(x == y)


class Fresh:
    """A tensor that the call makes anew each time."""

    def __init__(self, tensor: Tensor, finished: _Finished) -> None:
        e = tensor._storage.expression
        if type(tensor) is not Tensor or tensor._geometry is not None or tensor._marker is not None:
            raise _Obstacle("it returns a view, or a tensor of a class of its own")
        if tensor._storage.layout is not None:
            raise _Obstacle("it returns a tensor that does not lie in rows")
        if e.tracked and (e.call is None or not e.call.freed):
            raise _Obstacle("a gradient may still be asked of what it returns")
        self.source = finished._source(e)
        self.type = e.type
        self.device = e.device
        self.call: Call | None = e.call if e.tracked else None
        self.number = e.number
        self.connected = tensor._connected

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Fresh)
            and self.source == other.source
            and self.type is other.type
            and self.connected == other.connected
            and (self.call is None) == (other.call is None)
        )

    __hash__ = None  # type: ignore[assignment]

    def make(self, value: Expression | Buffer) -> Tensor:
        if isinstance(value, Buffer):
            call = self.call
            e = new_expression(self.type, self.device, call, self.number, value, call is not None)
        else:
            e = value
        made = object.__new__(Tensor)
        made._storage = new_storage(e)
        made._type = self.type
        if not self.connected:
            made._connected = False
        return made


class Number:
    """A number that the call reads anew each time, of something that it computes."""

    def __init__(self, e: Expression, finished: _Finished) -> None:
        self.source = finished._source(e)
        self.type = e.type
        if type(self.source) is not tuple:
            raise _Obstacle("it reads a constant")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.source == other.source and self.type is other.type

    __hash__ = None  # type: ignore[assignment]

    def make(self, value: Buffer) -> Any:
        return number_of(value, self.type)


class _Replay:
    """A call as runs of plans: made of two calls that did the same."""

    def __init__(
        self, first: _Finished, second: _Finished, guards: Guards, tensors: Sequence[Tensor]
    ) -> None:
        if not second.is_like(first):
            raise _Obstacle("two calls in a row did different things")
        self.guards = guards
        for step in second.capture.steps:
            guards.watch_states(step.optimizer, step.states)
        self.finished = second
        runs = second.capture.runs
        self.constants: list[tuple[Storage, Constant]] = []
        self.storages: list[tuple[Storage, TensorType, bool]] = []  # with what their values are
        self.after = {id(s): source for s, source, _ in second.storages}
        self.same = second.changed(tensors)
        seen: set[int] = set()
        for run in runs:
            for source in run.sources:
                if source[0] in ("storage", "part") and id(source[1]) not in seen:
                    storage = source[1]
                    seen.add(id(storage))
                    e = storage.expression
                    self.storages.append((storage, e.type, e.tracked))
        for storage, source, _ in second.storages:
            if isinstance(source, Constant):
                # A constant after each call is one before the next, which its plan is made for.
                self.constants.append((storage, source))
        self.constant_numbers = {id(s) for s, _ in self.constants}
        # For each run its values, numbers that never change among them, the storages whose values
        # others are, and where the rest comes from.
        self.values = [[s[2] if s[0] == "number" else None for s in run.sources] for run in runs]
        self.lends = len(runs) == 1 and bool(runs[0].cached.plan.donated)
        self.changes = bool(second.storages or second.grads or second.capture.steps)
        self.facts = facts_of_fitting(
            self.storages,
            [(s, x, n) for s, x, n in second.storages if isinstance(x, Constant)],
            [s for s, _, _ in second.storages],
            second.capture.steps,
        )
        self.returned = _returned(second.result, Fresh)
        self.numbers = _returned(second.result, Number)
        self.one_call: OneCall | bool = len(runs) == 1
        self.held = [
            [(i, s[1]) for i, s in enumerate(run.sources) if s[0] == "storage"] for run in runs
        ]
        self.sources = [
            [(i, s) for i, s in enumerate(run.sources) if s[0] not in ("number", "storage")]
            for run in runs
        ]

    def reads_the_same(self) -> bool:
        """Whether the Python state is what the plans were made for."""
        if not self.guards.hold():
            return False
        for step in self.finished.capture.steps:  # noqa: SIM110  nearly always one
            if not step.is_valid():
                return False
        return True

    def fits(self, arguments: list[Expression], tensors: list[Tensor]) -> bool:
        """Whether the plans can run on the tensors as they are now."""
        for number, tensor, changed in self.same:
            if tensors[number] is not tensor or tensor._storage is not changed:
                return False
        if native.fits is not None and native.fits(self.facts, arguments, tensors):
            return True
        for changed, _, _ in self.finished.storages:
            if changed.special is not None and changed.is_shared():
                return False
        for e, tensor in zip(arguments, tensors, strict=True):
            if type(e.value) is not Buffer:
                realize([e])
            if tensor._storage.expression.value is None or e.value.order is not None:
                return False
        if pending_writes and any([n not in self.constant_numbers for n in pending_writes]):
            realize(())
        for storage, type_, tracked in self.storages:
            e = storage.expression
            if (
                type(e.value) is not Buffer
                or e.value.order is not None
                or e.type is not type_
                or e.tracked is not tracked
                or (storage.special is not None and storage.is_shared())
            ):
                return False
        constants = self.constants
        if constants and not all([c.is_value_of(s.expression) for s, c in constants]):
            return False
        return all([step.are_alike() for step in self.finished.capture.steps])

    def run(self, arguments: list[Expression], tensors: list[Tensor]) -> Any:
        """Compute what the call did, then change what it changed; nothing if that fails."""
        active = self.finished.capture
        numbers: list[list[Any]] = []
        counted: list[tuple[list[Any], dict[str, float]]] = []
        for step in active.steps:
            found, counters = step.following()
            numbers.append(found)
            if counters:
                counted.append((step.states, counters))
        for generator, count in active.draws:
            numbers.append([*generator.take(count)])
        if native.replay is not None and self.one_call and not watchers:
            if self.one_call is True or self.one_call.is_outdated():
                self.one_call = self._one_call()
            if type(self.one_call) is OneCall:
                made = self.one_call.run(arguments, numbers, counted)
                if made is not None:
                    return self._result(made)
        with HeldOff() if self.lends else _NOTHING:
            results = self._compute(arguments, tensors, numbers)
            with HeldOff() if self.changes and not self.lends else _NOTHING:
                return self._change(results, counted)

    def _one_call(self) -> OneCall | bool:
        finished = self.finished
        active, fresh = finished.capture, [*finished.fresh.values()]
        return one_call(
            active.runs[0], finished.storages, finished.grads, fresh, self.returned,
            self.numbers, len(active.steps),
        )  # fmt: skip

    def _result(self, made: list[Any]) -> Any:
        """The call's result, of what was made for the outputs of the only plan."""
        result = self.finished.result
        if result is None:
            return None
        if type(result) is Fresh:
            return made[result.source[2]]
        known = {id(f): made[f.source[2]] for f in self.returned}
        for number in self.numbers:
            value = made[number.source[2]]
            if type(value) is Tensor:
                value = value._storage.expression.value
            known[id(number)] = number.make(value)
        return _build(result, [], known)

    def _compute(
        self, arguments: list[Expression], tensors: list[Tensor], numbers: list[list[Any]]
    ) -> list[list[Buffer]]:
        active = self.finished.capture
        steps, draws = numbers[: len(active.steps)], numbers[len(active.steps) :]
        results: list[list[Buffer]] = []
        for run, known, held, sources in zip(
            active.runs, self.values, self.held, self.sources, strict=True
        ):
            values: list[Any] = known.copy()
            for i, storage in held:
                values[i] = storage.expression.value
            for i, source in sources:
                kind = source[0]
                if kind == "step":
                    values[i] = steps[source[1]][source[2]]
                elif kind == "argument":
                    values[i] = arguments[source[1]].value
                elif kind == "output":
                    values[i] = results[source[1]][source[2]]
                elif kind == "draw":
                    values[i] = draws[source[1]][source[2]]
                else:
                    storage = source[1] if kind == "part" else tensors[source[1]]._storage
                    values[i] = storage.expression.value.part(source[2], source[3])
            plan = run.cached.plan
            free = self._free(run) if self.lends else ()
            results.append(plan.run(values, free))
        return results

    def _change(
        self, results: list[list[Buffer]], counted: list[tuple[list[Any], dict[str, float]]]
    ) -> Any:
        finished = self.finished
        for states, counters in counted:
            for state in states:
                state.update(counters)
        for storage, source, writes in finished.storages:
            if type(source) is tuple:
                _set(storage, results[source[1]][source[2]], writes)
            else:
                storage.write(source.make())
                storage.version += writes - 1
        made: dict[int, Any] = {}
        for tensor, gradient in finished.grads:
            tensor._grad = _build(gradient, results, made) if gradient is not None else None
        result = finished.result
        return None if result is None else _build(result, results, made)

    def _free(self, run: capture.Run) -> list[int]:
        """The leaves whose memory outputs may take: replaced by the call, and seen by nobody."""
        free = []
        for number in run.cached.plan.donated:
            if number >= len(run.sources):
                continue
            source = run.sources[number]
            if source[0] != "storage" or type(self.after.get(id(source[1]))) is not tuple:
                continue
            e = source[1].expression
            # Besides the name here, the storage refers to the expression; the list of values
            # refers to the buffer.
            if (
                references.count(e) == references.BY_NAME + 1
                and references.count(e.value) == references.BY_ATTRIBUTE + 1
                and e.hooks is None
                and e.value.is_whole
            ):
                free.append(number)
        return free


def _set(storage: Storage, buffer: Buffer, writes: int) -> None:
    """A storage's new value, as ``writes`` writes would leave it."""
    e = storage.expression
    storage.version += writes
    if references.count(e) == references.BY_NAME + 1 and e.hooks is None:
        e.value = buffer  # nobody else knows the old value's expression
        return
    new = new_expression(e.type, e.device, value=buffer)
    if e.leaf is not None:
        new.leaf, new.tracked = e.leaf, True
    reference = weakref.ref(storage)
    silent = writes == 0
    e.owner = overwritten(
        reference, storage.version if silent else storage.version - 1, weakref.ref(new), silent
    )
    new.owner = reference
    storage.expression = new


def _build(item: Any, results: list[list[Buffer]], made: dict[int, Any]) -> Any:
    """What a call returns, or gives a tensor for its gradient; ``made``: what is known of that."""
    if type(item) in (Fresh, Number, LaterRead):
        known = made.get(id(item))
        if known is None:
            source = item.source
            value = results[source[1]][source[2]] if type(source) is tuple else source.make()
            known = made[id(item)] = item.make(value)
        return known
    if type(item) in (tuple, list):
        return type(item)([_build(v, results, made) for v in item])
    if type(item) is dict:
        return {k: _build(v, results, made) for k, v in item.items()}
    return item
