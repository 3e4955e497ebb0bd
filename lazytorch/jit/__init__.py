"""``torch.jit``: what scripts call to have a program compiled, which happens here anyway.

``script`` and ``trace`` give back a callable that computes the same. There is no TorchScript file
format: save a ``state_dict`` instead.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, Final, TypeVar

from lazytorch.compiled import compile as _compile
from lazytorch.nn import Module

T = TypeVar("T")
ScriptModule = Module
Error = RuntimeError
_NO_FILES = (
    "there is no TorchScript in lazytorch. Save what was learned by torch.save(module.state_dict(),"
    " path), and build the module from its class to load it."
)

__all__ = [
    "Attribute", "Error", "Final", "ScriptModule", "annotate", "export", "fork", "freeze", "ignore",
    "interface", "is_scripting", "is_tracing", "isinstance", "load", "optimize_for_inference",
    "optimized_execution", "save", "script", "script_if_tracing", "script_method",
    "set_fusion_strategy", "strict_fusion", "trace", "trace_module", "unused", "wait",
]  # fmt: skip


def script(
    obj: T,
    optimize: Any = None,
    _frames_up: int = 0,
    _rcb: Any = None,
    example_inputs: Any = None,
) -> T:
    """``obj`` as it is (a function, class or module): Python itself records what it computes.

    >>> import lazytorch as torch
    >>> @torch.jit.script
    ... def twice(x: torch.Tensor) -> torch.Tensor:
    ...     return x * 2
    >>> twice(torch.ones(2))
    tensor([2., 2.])
    """
    return obj


def trace(
    func: Callable[..., Any] | None = None,
    example_inputs: Any = None,
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Any = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    **options: Any,
) -> Any:
    """A function that repeats its kernels without Python (``torch.compile``); a module as it is.

    Unlike PyTorch's, it follows branches on values: nothing is frozen at the example's.
    The example inputs are run through once, so that errors show here.
    """
    if func is None:
        raise RuntimeError("trace() needs a function or module to trace")
    given = options.get("example_kwarg_inputs") or {}
    inputs = () if example_inputs is None else example_inputs
    func(*(inputs if type(inputs) in (tuple, list) else (inputs,)), **given)
    return func if type(func) is not _Function else _compile(func)


_Function = type(lambda: None)


def trace_module(mod: Module, inputs: dict[str, Any], *_: Any, **__: Any) -> Module:
    """``mod`` as it is; the methods named by ``inputs`` are run through once."""
    for name, given in inputs.items():
        getattr(mod, name)(*(given if type(given) in (tuple, list) else (given,)))
    return mod


def freeze(mod: Module, preserved_attrs: Any = None, optimize_numerics: bool = True) -> Module:
    """``mod`` as it is; it has to be in evaluation mode, as in PyTorch."""
    if mod.training:
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() "
            "on your module before freezing."
        )
    return mod


def optimize_for_inference(mod: Module, other_methods: Any = None) -> Module:
    """``mod`` in evaluation mode."""
    return mod.eval()


def save(m: Any, f: Any, _extra_files: Any = None) -> None:
    """Refused: see ``torch.save``."""
    raise NotImplementedError(_NO_FILES)


def load(f: Any, map_location: Any = None, _extra_files: Any = None, **_: Any) -> Any:
    """Refused: see ``torch.load``."""
    raise NotImplementedError(_NO_FILES)


def _as_it_is(obj: T) -> T:
    return obj


export = script_method = interface = _as_it_is


def ignore(drop: Any = False, **_: Any) -> Any:
    """Decorator, with or without arguments, of what PyTorch's compiler leaves to Python."""
    return drop if callable(drop) else _as_it_is


def unused(fn: T) -> T:
    """Decorator of a method that PyTorch's compiler replaces by an error; it stays as it is."""
    return fn


def script_if_tracing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: ``fn`` as it is."""

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


def is_scripting() -> bool:
    return False


def is_tracing() -> bool:
    return False


def annotate(the_type: Any, the_value: T) -> T:
    """``the_value``."""
    return the_value


class Attribute:
    """A value with the type that PyTorch's compiler gives it."""

    def __init__(self, value: Any, type: Any) -> None:
        self.value, self.type = value, type


_isinstance = isinstance


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's own, for classes; of ``List[int]`` and its like, the class before the bracket."""
    kinds = target_type if _isinstance(target_type, tuple) else (target_type,)
    return _isinstance(obj, tuple([getattr(kind, "__origin__", kind) for kind in kinds]))


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The result of the call, which ``wait`` gives: recorded work waits by itself."""
    return func(*args, **kwargs)


def wait(future: T) -> T:
    return future


class optimized_execution:
    """Context manager without effect."""

    def __init__(self, should_optimize: bool = True) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_: Any) -> None: ...


strict_fusion = optimized_execution


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Without effect: what is fused does not depend on it."""
    warnings.warn("set_fusion_strategy has no effect in lazytorch", stacklevel=2)
    return strategy
