"""Tensors with a role in a module: parameters are trained, buffers are only kept."""

from __future__ import annotations

from typing import Any

from lazytorch.functions.creation import empty
from lazytorch.records import known_to_native
from lazytorch.tensor import Tensor

__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "UninitializedTensorMixin",
    "is_lazy",
]


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


known_to_native["Parameter"] = Parameter


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


class UninitializedTensorMixin:
    """A parameter or buffer whose shape is not known yet: it can be moved, converted and
    materialized; every operation on it is a ValueError."""

    cls_to_become: type[Tensor]
    requires_grad: bool
    data: Any

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become an ordinary parameter or buffer of this shape, its values undefined."""
        known = self.data
        self.data = empty(shape, device=device or known.device, dtype=dtype or known.dtype)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    def share_memory_(self) -> Any:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to "
            "initialize the parameters before calling `module.share_memory()`."
        )

    def _read(self) -> Any:
        raise ValueError(
            "Attempted to use an uninitialized parameter in an operation. This error happens when "
            "you are using a `LazyModule` or explicitly manipulating "
            f"`torch.nn.parameter.{type(self).__name__}` objects. When using LazyModules Call "
            "`forward` with a dummy batch to initialize the parameters before calling torch "
            "functions"
        )

    def copy_(self, other: Any, non_blocking: bool = False) -> Any:
        """Nothing to copy to: what is loaded is uninitialized too."""
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.requires_grad,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            make: Any = type(self)
            memo[id(self)] = make(self.requires_grad, self.data.device, self.data.dtype)
        return memo[id(self)]


def _converting(name: str) -> Any:
    def convert(self: Any, *args: Any, **kwargs: Any) -> Any:
        converted: Tensor = getattr(self.data, name)(*args, **kwargs)
        return _uninitialized(type(self), self.requires_grad, converted.device, converted.dtype)

    convert.__name__ = name
    return convert


for _name in (
    "to", "cpu", "cuda", "type", "half", "bfloat16", "float", "double", "char", "short", "int",
    "long",
):  # fmt: skip
    setattr(UninitializedTensorMixin, _name, _converting(_name))


def _uninitialized(cls: Any, requires_grad: bool, device: Any, dtype: Any) -> Any:
    data = empty(0, device=device, dtype=dtype)
    # As a view it is read through ``_read``, by every operation.
    return Tensor._make_subclass(cls, data._view((0,), (1,), 0), requires_grad)


def is_lazy(param: Any) -> bool:
    """Whether this is an uninitialized parameter or buffer."""
    return isinstance(param, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]
    """A parameter without a shape, until ``materialize`` gives it one.

    >>> p = torch.nn.UninitializedParameter()
    >>> p.materialize((2, 3))
    >>> p.shape
    torch.Size([2, 3])
    """

    cls_to_become = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> UninitializedParameter:
        made: UninitializedParameter = _uninitialized(cls, requires_grad, device, dtype)
        return made


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer without a shape, until ``materialize`` gives it one."""

    cls_to_become = Tensor
    persistent: bool

    def __new__(
        cls,
        requires_grad: bool = False,
        device: Any = None,
        dtype: Any = None,
        persistent: bool = True,
    ) -> UninitializedBuffer:
        made: UninitializedBuffer = _uninitialized(cls, requires_grad, device, dtype)
        made.persistent = persistent
        return made
