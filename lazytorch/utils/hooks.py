"""Handles that take a registered hook away again."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

_Hook = TypeVar("_Hook", bound=Callable[..., Any])


class RemovableHandle:
    """Removes one hook from its registry, and from the registries of that hook's options.

    The registries are held weakly, so a handle never keeps a module or tensor alive.
    Used as a context manager, it removes the hook on leaving.
    """

    next_id = 0

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        if extra_dict is None:
            extra_dict = []
        elif isinstance(extra_dict, dict):
            extra_dict = [extra_dict]
        self.hooks_dict_ref: Any = weakref.ref(hooks_dict)
        self.extra_dict_ref: tuple[Any, ...] = tuple(weakref.ref(extra) for extra in extra_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1

    def remove(self) -> None:
        """Remove the hook; a second call does nothing."""
        for reference in (self.hooks_dict_ref, *self.extra_dict_ref):
            registry = reference()
            if registry is not None:
                registry.pop(self.id, None)

    def __getstate__(self) -> tuple[Any, ...]:
        return (self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        registry, self.id, extra = state
        # A registry that is gone is replaced by one that nobody else holds: a dead reference.
        self.hooks_dict_ref = weakref.ref(OrderedDict() if registry is None else registry)
        self.extra_dict_ref = tuple(weakref.ref(e) for e in extra if e is not None)
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def unserializable_hook(hook: _Hook) -> _Hook:
    """Mark a tensor hook as one that is knowingly left out when the tensor is saved."""
    hook.__torch_unserializable__ = True  # type: ignore[attr-defined]
    return hook
