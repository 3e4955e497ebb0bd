"""``__torch_function__``: classes and modes that decide what a call of a public function does.

Nothing here costs much until a program needs it: the first class of tensors, or the first mode,
puts a dispatching function in the place of every method and of most public functions
(``install``); those with ``out=`` have a place for it (``registration.overriding``), so that they
stay the same objects. Other objects that have ``__torch_function__`` are asked when a function
refuses them.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from lazytorch.functions.registration import UNANSWERED, overriding, refused
from lazytorch.tensor import Tensor, subclassed

__all__ = [
    "BaseTorchFunctionMode", "TorchFunctionMode", "get_default_nowrap_functions",
    "get_ignored_functions", "get_overridable_functions", "handle_torch_function",
    "has_torch_function", "has_torch_function_unary", "has_torch_function_variadic",
    "is_tensor_like", "is_tensor_method_or_property", "resolve_name", "wrap_torch_function",
]  # fmt: skip


class _State(threading.local):
    subclasses_off = 0  # depth of DisableTorchFunctionSubclass
    off = 0  # depth of DisableTorchFunction

    def __init__(self) -> None:
        self.modes: list[TorchFunctionMode] = []


state = _State()
_installed = False
# The dispatching functions, and where they were found: "torch.add", "torch.Tensor.add".
_names: dict[Callable[..., Any], str] = {}
# Those behind binary operators.
_binary: set[Callable[..., Any]] = set()

# Not dispatched: what makes an object, or is asked by Python itself while dispatching.
_PLAIN = {
    "__new__", "__init__", "__init_subclass__", "__getattr__", "__class__", "__dir__", "__hash__",
    "__torch_function__", "__setattr__", "as_subclass",
}  # fmt: skip
_PLAIN_FUNCTIONS = {
    "typename", "is_tensor", "is_storage", "compile", "realize", "stats", "manual_seed", "seed",
    "initial_seed", "get_rng_state", "set_rng_state", "save", "load", "kernels", "dump", "dump_all",
    "graph", "is_grad_enabled", "get_default_dtype", "set_default_dtype", "get_default_device",
    "set_default_device", "set_printoptions", "get_printoptions", "vmap", "profile", "explain",
    "export", "check",
}  # fmt: skip
# How PyTorch calls the methods behind operators.
_OPERATORS = {
    f"__{form}{name}__": called
    for name, called in {
        "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "matmul": "matmul",
        "pow": "pow", "mod": "remainder", "floordiv": "floor_divide", "and": "and", "or": "or",
        "xor": "xor",
    }.items()
    for form in ("", "r", "i")
}  # fmt: skip
_COMPARISONS = {f"__{name}__": name for name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "abs")}
_NAMESPACES = ("", "nn.functional", "nn.init", "linalg", "fft", "special", "sparse", "masked")


class DisableTorchFunctionSubclass:
    """Inside a ``with`` block, overrides of classes are not asked; modes are."""

    def __enter__(self) -> None:
        state.subclasses_off += 1

    def __exit__(self, *_: Any) -> None:
        state.subclasses_off -= 1


class DisableTorchFunction:
    """Inside a ``with`` block, neither classes nor modes are asked."""

    def __enter__(self) -> None:
        state.off += 1

    def __exit__(self, *_: Any) -> None:
        state.off -= 1


def _disabled_torch_function_impl(*_: Any, **__: Any) -> Any:
    """As a class's ``__torch_function__``: the class is treated as a plain tensor."""
    return NotImplemented


_overriding: dict[type, bool] = {}


def _overrides(kind: type) -> bool:
    found = _overriding.get(kind)
    if found is None:
        rule = getattr(kind, "__torch_function__", None)
        # PyTorch's own tensors, which from_dlpack may be given, would call the function again.
        inside = f"{kind.__module__}.".startswith(("lazytorch.", "torch."))
        found = _overriding[kind] = not (
            rule is None or inside or rule is _disabled_torch_function_impl
        )
    return found


def _overridden_arguments(values: Iterable[Any]) -> list[Any]:
    """One argument of each class with an override: subclasses before their bases, else in order."""
    found: list[Any] = []
    for value in values:
        if type(value) is Tensor:
            continue
        members = value if type(value) in (tuple, list) else (value,)
        for member in members:
            kind = type(member)
            if kind is Tensor or not _overrides(kind) or any(type(f) is kind for f in found):
                continue
            place = (i for i, f in enumerate(found) if issubclass(kind, type(f)))
            found.insert(next(place, len(found)), member)
    return found


def _dispatching(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function, or what the overrides of its arguments and the modes make of the call."""

    @functools.wraps(function)
    def dispatching(*args: Any, **kwargs: Any) -> Any:
        answer = _answer(dispatching, args, kwargs)
        return function(*args, **kwargs) if answer is UNANSWERED else answer

    _names[dispatching] = name
    return dispatching


def _answer(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if state.off:
        return UNANSWERED
    found = [] if state.subclasses_off else _overridden_arguments([*args, *kwargs.values()])
    if found or state.modes:
        return _dispatch(function, found, args, kwargs)
    return UNANSWERED


def _answer_refused(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Called while a TypeError is handled, which goes on where no argument has an override."""
    if _installed or not (found := _overridden_arguments([*args, *kwargs.values()])):
        raise
    _names.setdefault(function, f"torch.{function.__name__}")
    return _dispatch(function, found, args, kwargs)


def _operator(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """As ``_dispatching``; where every override refuses, Python asks the other operand."""
    called = _OPERATORS[name]
    if name.startswith("__r") and called not in ("add", "mul"):
        called = name

    made = _dispatching(function, f"torch.Tensor.{called}")
    made.__name__ = called
    _binary.add(made)
    return made


def _dispatch(
    function: Callable[..., Any], found: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    types = tuple([type(value) for value in found])
    if state.modes:
        mode = state.modes.pop()
        try:
            result = mode.__torch_function__(function, types, args, kwargs)
        finally:
            state.modes.append(mode)
        if result is not NotImplemented:
            return result
    for value in found:
        result = type(value).__torch_function__(function, types, args, kwargs)
        if result is not NotImplemented:
            return result
    if function in _binary:
        return NotImplemented
    refused = "\n".join([f"  - tensor subclass {kind}" for kind in types])
    raise TypeError(
        f"Multiple dispatch failed for '{_names.get(function, function)}'; all __torch_function__ "
        f"handlers returned NotImplemented:\n\n{refused}"
    )


def install() -> None:
    """From now on, public functions and Tensor's methods ask for overrides."""
    global _installed
    if _installed:
        return
    _installed = True
    overriding.append(_answer)
    replaced: dict[int, Callable[..., Any]] = {}
    for name in _NAMESPACES:
        module = sys.modules[f"lazytorch.{name}".rstrip(".")]
        for key, value in list(vars(module).items()):
            if _is_public_function(key, value):
                path = f"torch.{name}.{key}".replace("..", ".")
                if hasattr(value, "asks_for_overrides"):
                    _names.setdefault(value, path)
                    continue
                if id(value) not in replaced:
                    replaced[id(value)] = _dispatching(value, path)
                setattr(module, key, replaced[id(value)])
    members = {
        key: value for base in reversed(Tensor.__mro__[:-1]) for key, value in vars(base).items()
    }
    for key, value in members.items():
        if key in _PLAIN or (key.startswith("_") and not key.endswith("__")):
            continue
        if key in _OPERATORS and isinstance(value, FunctionType):
            setattr(Tensor, key, _operator(value, key))
        elif isinstance(value, FunctionType):
            made = _dispatching(value, f"torch.Tensor.{key}")
            made.__name__ = _COMPARISONS.get(key, key)
            setattr(Tensor, key, made)
        elif isinstance(value, property):
            setattr(Tensor, key, _dispatching_property(value, key))


def _is_public_function(name: str, value: object) -> bool:
    if name.startswith("_") or not isinstance(value, FunctionType) or name in _PLAIN_FUNCTIONS:
        return False
    return value.__module__.startswith("lazytorch.")


def _dispatching_property(value: property, name: str) -> property:
    def named(function: Callable[..., Any] | None, form: str) -> Callable[..., Any] | None:
        if function is None:
            return None
        made = _dispatching(function, f"torch.Tensor.{name}.{form}")
        made.__name__ = form
        return made

    return property(
        named(value.fget, "__get__"), named(value.fset, "__set__"), named(value.fdel, "__delete__")
    )


def _default(
    cls: type[Tensor],
    func: Callable[..., Any],
    types: Iterable[type],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
) -> Any:
    """What a subclass does unless it says otherwise: the plain function, its results of ``cls``."""
    if not all([issubclass(cls, kind) for kind in types]):
        return NotImplemented
    with DisableTorchFunctionSubclass():
        result = func(*args, **(kwargs or {}))
        return result if func in get_default_nowrap_functions() else _as(result, cls)


def _as(result: Any, cls: type[Tensor]) -> Any:
    if cls is Tensor:
        return result
    if isinstance(result, Tensor):
        return result if isinstance(result, cls) else result.as_subclass(cls)
    if isinstance(result, (tuple, list)):
        members = [_as(member, cls) for member in result]
        named = isinstance(result, tuple) and type(result) is not tuple
        return type(result)(*members) if hasattr(result, "_fields") else (
            type(result)(members) if named or type(result) in (tuple, list) else result
        )  # fmt: skip
    return result


@functools.lru_cache(maxsize=1)
def _nowrap() -> set[Callable[..., Any]]:
    names = ("_base", "grad", "_grad")
    return {p.fget for n in names if isinstance(p := vars(Tensor).get(n), property) and p.fget}


def get_default_nowrap_functions() -> set[Callable[..., Any]]:
    """Functions whose results the default override leaves as they are."""
    install()
    return _nowrap()


class TorchFunctionMode:
    """Inside ``with Mode():``, ``__torch_function__`` of the mode answers every public call.

    >>> class Counting(torch.overrides.TorchFunctionMode):
    ...     calls = 0
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         self.calls += 1
    ...         return func(*args, **(kwargs or {}))
    >>> with Counting() as counting:
    ...     x = torch.ones(2) * 3
    >>> counting.calls
    2
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Any:
        install()
        state.modes.append(self)
        return self

    def __exit__(self, *_: Any) -> None:
        state.modes.pop()

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> TorchFunctionMode:
        return cls(*args, **kwargs)


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that does what would be done without it."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return func(*args, **(kwargs or {}))


# ---- for functions of one's own -----------------------------------------------------------------


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether an argument's class, or a mode, wants to answer a call with these arguments."""
    if state.off:
        return False
    if state.modes:
        return True
    return not state.subclasses_off and bool(_overridden_arguments(relevant_args))


def has_torch_function_unary(tensor: Any) -> bool:
    return has_torch_function((tensor,))


def has_torch_function_variadic(*args: Any) -> bool:
    return has_torch_function(args)


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """What the overrides of ``relevant_args`` make of ``public_api(*args, **kwargs)``.

    Raises TypeError where all of them return NotImplemented.
    """
    _names.setdefault(public_api, f"{public_api.__module__}.{public_api.__name__}")
    return _dispatch(public_api, _overridden_arguments(relevant_args), args, kwargs)


def wrap_torch_function(dispatcher: Callable[..., Iterable[Any]]) -> Callable[..., Any]:
    """Decorator: the function asks the overrides of what ``dispatcher`` picks of its arguments."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            relevant = tuple(dispatcher(*args, **kwargs))
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return decorate


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a tensor, or has ``__torch_function__``."""
    return type(inp) is Tensor or hasattr(inp, "__torch_function__")


def get_overridable_functions() -> dict[Any, list[Callable[..., Any]]]:
    """Every function that asks for overrides, by where it is found."""
    install()
    found: dict[Any, list[Callable[..., Any]]] = {}
    for function, name in _names.items():
        path = name.removeprefix("torch.").split(".")[:-1]
        owner: Any = (
            Tensor if path[:1] == ["Tensor"] else sys.modules[".".join(["lazytorch", *path])]
        )
        found.setdefault(owner, []).append(function)
    return found


def get_ignored_functions() -> set[Callable[..., Any]]:
    """Public functions that do not ask for overrides."""
    module = vars(sys.modules["lazytorch"])
    return {module[name] for name in _PLAIN_FUNCTIONS if name in module}


def resolve_name(f: Callable[..., Any]) -> str | None:
    """Where a function that asks for overrides is found: "torch.Tensor.add"."""
    return _names.get(f)


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Whether a function, as an override is given it, belongs to Tensor."""
    return _names.get(func, "").startswith("torch.Tensor.")


@contextmanager
def enable_reentrant_dispatch() -> Iterator[None]:
    """Without effect: a call inside a function is not held back from what it dispatches to."""
    yield


Tensor.__torch_function__ = classmethod(_default)  # type: ignore[attr-defined]
subclassed.append(install)
refused.append(_answer_refused)
