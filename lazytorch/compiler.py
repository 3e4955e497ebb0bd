"""``torch.compiler``: what programs say about ``torch.compile``; most of it needs no answer.

No tracer reads a program's Python (see ``lazytorch.compile``), so that nothing has to be hidden
from one: what decorates a function gives it back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lazytorch.compiled import compile as compile

T = TypeVar("T")

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable",
    "get_default_backend", "is_compiling", "is_dynamo_compiling", "is_exporting", "list_backends",
    "nested_compile_region", "reset", "set_default_backend", "set_stance", "substitute_in_graph",
]  # fmt: skip


def is_compiling() -> bool:
    """False: a program's Python is run, never traced."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """``fn`` as it is; without it, a decorator."""
    return (lambda function: function) if fn is None else fn


def allow_in_graph(fn: T) -> T:
    """``fn`` as it is."""
    return fn


assume_constant_result = nested_compile_region = allow_in_graph


def substitute_in_graph(original_fn: Any, **options: Any) -> Callable[[T], T]:
    """A decorator that gives the function back: the original goes on being called."""
    return allow_in_graph


def cudagraph_mark_step_begin() -> None:
    """Nothing: memory of an earlier call is never overwritten."""


def reset() -> None:
    """Nothing: a compiled function sees for itself when its record no longer holds."""


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The names that ``torch.compile(backend=…)`` is known to take."""
    return ["lazytorch"]


def get_default_backend() -> str:
    """The backend of ``torch.compile``."""
    return "lazytorch"


def set_default_backend(backend: Any = None) -> None:
    """Nothing: there is one."""


class set_stance:
    """Accepted as a statement, a context or a decorator; calls are compiled as always."""

    def __init__(self, stance: str = "default", **options: Any) -> None:
        self.stance = stance

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass

    def __call__(self, fn: T) -> T:
        return fn
