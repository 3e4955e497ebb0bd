"""Modules without their initial values."""

from __future__ import annotations

import inspect
from typing import Any

from lazytorch.nn.modules.module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """A module of this class, whose parameters' values are undefined (here: the initial ones,
    which nothing computes before they are read).

    >>> layer = torch.nn.utils.skip_init(torch.nn.Linear, 2, 3)
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    return module_cls(*args, **kwargs)
