"""Attributes and old methods of tensors that few scripts use: devices, layout, resizing."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

from codegen.dtype import DType
from lazytorch.functions import views
from lazytorch.functions.arguments import integers
from lazytorch.functions.conversion import write_value
from lazytorch.functions.creation import empty
from lazytorch.functions.data import from_numpy
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor


@operation(function=False)
def as_subclass(self: Tensor, cls: type[Tensor]) -> Tensor:
    """The same tensor, gradient and all, as an instance of a class of tensors."""
    made: Tensor = object.__new__(cls)
    made.__dict__.update(views.view(self, self._type.shape).__dict__)
    made._view_name = "Alias"
    return made


@operation(function=False)
def const_data_ptr(self: Tensor) -> int:
    """The address of the first element, for reading."""
    return self.data_ptr()


@operation(function=False)
def dim_order(self: Tensor, *, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions from the outermost to the innermost in memory.

    >>> torch.zeros(2, 3).t().dim_order()
    (1, 0)
    """
    formats = ambiguity_check if isinstance(ambiguity_check, list) else []
    if not isinstance(ambiguity_check, (bool, list)):
        raise TypeError("The ambiguity_check argument must be a bool or a list of memory formats.")
    strides, shape = self._strides(), self._type.shape
    ambiguous = any(a == b for a, b in itertools.pairwise(strides)) or 1 in shape
    fitting = [f for f in formats if self.is_contiguous(memory_format=f)]
    if ambiguity_check and ambiguous and len(fitting) != 1:
        raise RuntimeError(
            "The tensor does not have unique dim order, or cannot map to exact one of the given "
            "memory formats."
        )
    return tuple(sorted(range(len(shape)), key=lambda i: (-strides[i], i)))


@operation(function=False)
def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What a module's ``load_state_dict`` puts in this tensor's place."""
    if assign:
        return other.detach()
    write_value(self, other)
    return self.detach()


@operation(function=False)
def record_stream(self: Tensor, s: Any) -> None:
    """Kept for scripts: memory is given back when nobody reads it any more, whatever the stream."""


@operation(function=False)
def resize(self: Tensor, *sizes: Any) -> Tensor:
    """The old name of ``reshape`` to as many elements."""
    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    shape = integers(sizes, "resize")
    count = 1
    for n in shape:
        count *= n
    if count != self._type.size:
        wanted, own = "x".join(map(str, shape)), "x".join(map(str, self._type.shape))
        raise RuntimeError(
            f"requested resize to {wanted} ({count} elements in total), but the given tensor has a "
            f"size of {own} ({self._type.size} elements). autograd's resize can only change the "
            "shape of a given tensor, while preserving the number of elements. "
        )
    return views.reshape(self, shape)


@operation(function=False)
def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """``resize`` to the shape of another tensor."""
    return resize(self, tensor._type.shape)


def _gradient_type(self: Tensor) -> DType:
    return self._type.dtype


def _volatile(self: Tensor) -> bool:
    warnings.warn("volatile was removed (Variable.volatile is always False)", stacklevel=2)
    return False


for _name in ("is_ipu", "is_maia", "is_mtia", "is_vulkan", "is_xla", "is_xpu"):
    setattr(Tensor, _name, False)
for _name, _getter in (("grad_dtype", _gradient_type), ("volatile", _volatile)):
    setattr(Tensor, _name, property(_getter))
Tensor.name = None  # type: ignore[attr-defined]


@operation(method=False)
def from_file(
    filename: str, shared: bool | None = None, size: int = 0, *, dtype: DType | None = None,
    **_: Any,
) -> Tensor:  # fmt: skip
    """``size`` elements of a file, mapped into memory; what is written goes to it if ``shared``."""
    kind = empty(0, dtype=dtype).dtype
    if shared and size:
        with open(filename, "ab") as file:
            file.truncate(max(file.tell(), size * kind.itemsize))
    mode: Any = "r+" if shared else "c"
    memory = np.memmap(filename, np.uint8, mode, shape=(size * kind.itemsize,))
    return views.view(from_numpy(memory), kind)


def _complex(self: Tensor) -> complex:
    """The one element as a complex number of Python's."""
    return complex(self.item())


for _name, _protocol in (
    ("__long__", Tensor.__int__), ("__nonzero__", Tensor.__bool__), ("__complex__", _complex),
):  # fmt: skip
    setattr(Tensor, _name, _protocol)
