"""Tensors with a role in a module: parameters are trained, buffers are only kept."""

from __future__ import annotations

from typing import Any

from lazytorch.functions.creation import empty
from lazytorch.tensor import Tensor

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A leaf tensor that a module registers as its parameter when it is assigned to it.

    It shares storage with `data`; operations on it give plain tensors.
    """

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = empty(0)
        elif not isinstance(data, Tensor):
            data = data.detach()
        parameter: Parameter = Tensor._make_subclass(cls, data, requires_grad)
        return parameter

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that a module registers as a buffer when it is assigned to it.

    It is part of the module's state (of its state_dict too when `persistent`), and is not
    trained.
    """

    persistent: bool

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = empty(0)
        buffer: Buffer = Tensor._make_subclass(cls, data.detach(), data.requires_grad)
        buffer.persistent = persistent
        return buffer
