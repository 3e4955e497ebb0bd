"""Which Python objects a function reads, and whether they are still what they were."""

from __future__ import annotations

import dis
import gc
import operator
import os
import sys
import threading
import types
from array import array
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

import codegen
import lazytorch
from lazytorch.device import Device
from lazytorch.functions.random import Generator
from lazytorch.layout import Layout
from lazytorch.optim.optimizer import Optimizer
from lazytorch.records import native
from lazytorch.tensor import Tensor

# Code of the engine and of NumPy is no reader of the user's objects.
_ENGINE = tuple([os.path.dirname(str(m.__file__)) + os.sep for m in (codegen, lazytorch, np)])
_ENGINE_PACKAGES = ("codegen", "lazytorch", "numpy")
_LIBRARY = os.path.dirname(os.__file__) + os.sep
# Functions in C whose effects, or whose results, are other ones at each call.
_IMPURE_NAMES = frozenset({"print", "input", "open", "next", "exec", "eval", "breakpoint"})
_IMPURE_MODULES = ("time", "_random", "random", "numpy.random", "_datetime", "posix", "_socket")
_MOST_OBJECTS = 20_000
_PRIMITIVES = (int, float, complex, bool, str, bytes, type(None), type(Ellipsis), range, slice)
_CONSTANTS = (*_PRIMITIVES, Device, Layout, np.dtype, np.generic)
_OPAQUE = (
    Tensor, Generator, Device, Layout, np.ndarray, np.generic, np.dtype, type, types.ModuleType,
    types.BuiltinFunctionType, property, threading.Thread,
)  # fmt: skip


def is_constant_value(value: Any) -> bool:
    """Whether a value cannot change, and equal ones are the same."""
    return isinstance(value, (int, float, str, bytes, type(None))) or (
        type(value).__hash__ is not None and type(value).__module__.startswith("codegen.dtype")
    )


class Observer:
    """Collects the user's code that runs in watched calls; says what cannot be repeated.

    Nothing is collected as garbage meanwhile: what libraries do then is no part of the call.
    """

    def __init__(self) -> None:
        self.codes: dict[types.CodeType, dict[str, Any]] = {}
        self.obstacle: str | None = None
        self.has_grown = False
        self._before: Any = None
        self._collects = False

    def __enter__(self) -> None:
        self.obstacle = None
        self.has_grown = False
        self._before = sys.getprofile()
        self._collects = gc.isenabled()
        gc.disable()
        sys.setprofile(self._see)

    def __exit__(self, *exc: object) -> None:
        sys.setprofile(self._before)
        if self._collects:
            gc.enable()

    def _see(self, frame: types.FrameType, event: str, argument: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code not in self.codes and not _is_engine(frame):
                if code.co_filename.startswith(_LIBRARY) and "site-packages" not in (
                    code.co_filename
                ):
                    if "random.py" in code.co_filename:
                        self.obstacle = "it draws Python's random numbers"
                    return
                self.codes[code] = frame.f_globals
                self.has_grown = True
        elif event == "c_call" and not _is_engine(frame):
            if frame.f_code.co_filename.startswith(_LIBRARY):
                return
            name = getattr(argument, "__name__", "")
            owner = getattr(argument, "__self__", None)
            module = getattr(argument, "__module__", None) or type(owner).__module__
            if (name in _IMPURE_NAMES and module == "builtins") or module.startswith(
                _IMPURE_MODULES
            ):
                self.obstacle = f"it calls {name}()"


def _is_engine(frame: types.FrameType) -> bool:
    """Whether code is the engine's, in a file or made from a text, as dataclasses' methods are, or
    of the part of Python that is frozen into it."""
    name = frame.f_code.co_filename
    if name.startswith((*_ENGINE, "<frozen ")):
        return True
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return package in _ENGINE_PACKAGES and name.startswith("<")


class Guards:
    """What a function reads besides tensors, as it is now; ``hold`` says whether it still is."""

    def __init__(
        self,
        function: Any,
        args: Any,
        kwargs: Any,
        given: Sequence[Tensor],
        observer: Observer,
    ) -> None:
        """``given``: the tensors among the arguments, which may be others in each call."""
        self.obstacle: str | None = None
        self._given = {id(t) for t in given}
        self._tensors: list[tuple[Tensor, Any, Any]] = []  # (tensor, its storage, its geometry)
        self._names: list[tuple[dict[str, Any], str, Any]] = []
        self._cells: list[tuple[Any, Any]] = []
        self._containers: list[tuple[Any, list[Any]]] = []  # (live, its items)
        self._seen: set[int] = set()
        self._kept: list[Any] = []
        self._pending: deque[Any] = deque()
        self._packed: bytes | None = None
        self._functions: dict[types.CodeType, list[types.FunctionType]] = {
            code: [] for code in observer.codes
        }
        for f in gc.get_referrers(*observer.codes):  # all at once: it looks at every object
            if isinstance(f, types.FunctionType):
                self._functions[f.__code__].append(f)
        for code, scope in observer.codes.items():
            self._read_names(code, scope)
        for functions in self._functions.values():
            for f in functions:
                self._read_function(f)
        self._pending.extend([function, args, kwargs])
        while self._pending:
            self._walk(self._pending.popleft())
            if len(self._seen) > _MOST_OBJECTS:
                self.obstacle = "it reads too many Python objects"
                break

    def watch_states(self, optimizer: Optimizer, states: Sequence[Any]) -> None:
        """An optimizer's states of some parameters are the same objects in each call, and so are
        the tensors in them; their numbers are read afresh."""
        self._packed = None
        attributes = vars(optimizer)
        self._names += [(attributes, name, attributes[name]) for name in ("state", "param_groups")]
        self._containers.append((optimizer.state, _items(optimizer.state)))
        for state in states:
            for name, value in state.items() if state is not None else ():
                if isinstance(value, Tensor):
                    self._names.append((state, name, value))
                    self._watch(value)

    def hold(self) -> bool:
        """Whether everything is as it was."""
        try:
            if native.unchanged is None:
                native.count_repeat()
            else:
                if self._packed is None:
                    self._packed = self._pack()
                if native.unchanged(self._packed):
                    return True
            return (
                _same_items(
                    [scope.get(name) for scope, name, _ in self._names],
                    [value for _, _, value in self._names],
                )
                and all([_same(cell.cell_contents, value) for cell, value in self._cells])
                and all([_same_items(_items(live), items) for live, items in self._containers])
                # else a tensor's data was replaced
                and all([t._storage is s and t._geometry is g for t, s, g in self._tensors])
            )
        except (ValueError, RuntimeError, TypeError):  # of a comparison: these are other objects
            return False

    def _pack(self) -> bytes:
        """All of it as guards.c reads it: words, most of them addresses of what is kept here."""
        rows = [*self._names, *self._cells, *self._tensors]
        words = [len(self._names), len(self._cells), len(self._tensors), len(self._containers)]
        words += [id(x) for row in rows for x in row]
        for container, items in self._containers:
            kind = 0 if isinstance(container, dict) else 1 if type(container) is list else 2
            words += [id(container), kind, len(items), *map(id, items)]
        return array("q", words).tobytes()

    def _read_names(self, code: types.CodeType, scope: dict[str, Any]) -> None:
        names = {}
        for instruction in dis.get_instructions(code):
            name = instruction.argval
            stores = instruction.opname in ("STORE_GLOBAL", "STORE_NAME")
            if stores or (instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") and name in scope):
                names[name] = scope.get(name)
        self._names += [(scope, name, value) for name, value in names.items()]
        self._pending.extend(names.values())

    def _read_function(self, function: types.FunctionType) -> None:
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:
                continue
            self._cells.append((cell, value))
            self._pending.append(value)
        if function.__defaults__:
            self._pending.append(function.__defaults__)
        if function.__kwdefaults__:
            self._pending.append(function.__kwdefaults__)

    def _walk(self, value: Any) -> None:
        if isinstance(value, _PRIMITIVES) or id(value) in self._seen:
            return
        if isinstance(value, Tensor):
            self._watch(value)
            return
        if isinstance(value, _OPAQUE):
            return
        self._seen.add(id(value))
        self._kept.append(value)  # so that no id is used twice
        if isinstance(value, types.MethodType):
            self._pending.extend([value.__self__, value.__func__])
        elif isinstance(value, types.FunctionType):
            if value.__code__ in self._functions:
                self._read_function(value)
        elif isinstance(value, (tuple, frozenset)):
            self._pending.extend(value)
        elif isinstance(value, Optimizer):
            self._walk_optimizer(value)
        elif hasattr(value, "__next__"):
            self.obstacle = "it reads an iterator"
        elif isinstance(value, (list, dict, set, deque)):
            self._walk_container(value)
        elif hasattr(value, "__dict__"):
            self._walk_container(value.__dict__)
        if isinstance(value, types.GeneratorType):
            self.obstacle = "it reads a generator"

    def _watch(self, tensor: Tensor) -> None:
        self._seen.add(id(tensor))
        if id(tensor) not in self._given:
            self._tensors.append((tensor, tensor._storage, tensor._geometry))

    def _walk_container(self, value: Any) -> None:
        items = _items(value)
        self._containers.append((value, items))
        self._pending.extend(items)

    def _walk_optimizer(self, optimizer: Optimizer) -> None:
        """Options and step counts are read afresh at each replay; hooks are not called."""
        for name, value in vars(optimizer).items():
            if name.endswith("_hooks"):
                if value:
                    self.obstacle = "an optimizer has hooks"
                self._containers.append((value, []))
        self._containers.append((optimizer.param_groups, list(optimizer.param_groups)))
        for group in optimizer.param_groups:
            self._containers.append((group["params"], list(group["params"])))
            self._pending.extend(group["params"])


def _items(container: Any) -> list[Any]:
    """What is in a container, in its order; of a dict the keys and the values in turn."""
    if isinstance(container, dict):
        return [x for item in container.items() for x in item]
    return list(container)


def _same(x: Any, y: Any) -> bool:
    """Whether two objects are one, or equal constants of one type, or made of such. Other objects
    are not compared: equal ones may differ in what the function reads of them."""
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if type(x) in (list, tuple, dict):
        return _same_items(_items(x), _items(y))
    # -0.0 and 0.0 are equal.
    return isinstance(x, _CONSTANTS) and bool(x == y) and repr(x) == repr(y)


def _same_items(a: list[Any], b: list[Any]) -> bool:
    if len(a) != len(b):
        return False
    return all(map(operator.is_, a, b)) or all(map(_same, a, b))
