"""Tensors with a role in a module: parameters are trained, buffers are only kept."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from lazytorch.functions.creation import empty
from lazytorch.layout import preserve_format
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

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            data = self.data.clone(memory_format=preserve_format)
            memo[id(self)] = type(self)(data, self.requires_grad)
        copied: Parameter = memo[id(self)]
        return copied

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # The empty dictionary is where PyTorch's format keeps hooks; they are not saved.
        facts = (self.data, self.requires_grad, OrderedDict[int, Any]())
        if self.__dict__:
            return (_rebuild_parameter_with_state, (*facts, dict(self.__dict__)))
        return (_rebuild_parameter, facts)


def _rebuild_parameter(data: Tensor, requires_grad: bool, backward_hooks: Any) -> Parameter:
    """Make a parameter again from its pickle."""
    return Parameter(data, requires_grad)


def _rebuild_parameter_with_state(
    data: Tensor, requires_grad: bool, backward_hooks: Any, state: dict[str, Any]
) -> Parameter:
    """Make a parameter again, with the attributes that its user had set on it."""
    parameter = _rebuild_parameter(data, requires_grad, backward_hooks)
    parameter.__dict__.update(state)
    return parameter


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

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer:
        if id(self) not in memo:
            data = self.data.clone(memory_format=preserve_format)
            memo[id(self)] = type(self)(
                data.requires_grad_(self.requires_grad), persistent=self.persistent
            )
        copied: Buffer = memo[id(self)]
        return copied

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return (_rebuild_buffer, (self.data, self.requires_grad, self.persistent))


def _rebuild_buffer(data: Tensor, requires_grad: bool, persistent: bool) -> Buffer:
    """Make a buffer again from its pickle."""
    return Buffer(data.requires_grad_(requires_grad), persistent=persistent)
