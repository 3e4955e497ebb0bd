"""What an operation is: one record, which every pass, device and test interprets."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen.ir.node import Node, TensorType

Array = NDArray[Any]
Gradient = Callable[[Node, Node], Sequence["Node | None"]]


@dataclass(frozen=True)
class Sample:
    """Inputs that an operation is tested on: (shape, dtype name, low, high) each, attributes."""

    inputs: tuple[tuple[tuple[int, ...], str, float, float], ...]
    attributes: tuple[Hashable, ...] = ()


@dataclass(frozen=True, eq=False)
class Operation:
    """One primitive operation.

    ``kind``       leaf, movement, elementwise, reduce, gather; scan, sort, scatter, host, write and
                   empty, which have kernels of their own; loop, a graph of many; call, gradient and
                   mark, which are expanded.
    ``infer``      (inputs, *attributes) -> TensorType; raises on inputs that do not fit.
    ``reference``  (output type, arrays, *attributes) -> array: what it means, in NumPy.
    ``gradient``   (node, cotangent) -> a cotangent or None for each input; None altogether
                   where the operation is not differentiable.
    ``spelling``   C text of the scalar, with {0}, {1}… for inputs, or a function of
                   (compute C type) that gives it; element-wise operations only.
    ``cost``       rough scalar operations an element, for fusion's decisions.
    """

    name: str
    kind: str
    infer: Callable[..., TensorType]
    reference: Callable[..., Array]
    gradient: Gradient | None = None
    spelling: str | Callable[[str], str] | None = None
    cost: int = 1
    samples: tuple[Sample, ...] = ()

    def __repr__(self) -> str:
        return self.name


OPERATIONS: dict[str, Operation] = {}


def register(operation: Operation) -> Operation:
    """Enter an operation into the registry under its name, which must be new."""
    if operation.name in OPERATIONS:
        raise ValueError(f"operation {operation.name!r} is registered already")
    OPERATIONS[operation.name] = operation
    return operation


def as_dtype(array: Array, type_: TensorType) -> Array:
    """An array in the dtype in which the interpreter holds values of this type."""
    return np.asarray(array, dtype=interpreted_dtype(type_))


def interpreted_dtype(type_: TensorType) -> np.dtype[Any]:
    """The interpreter holds bfloat16 as float32 rounded to it, all else in its own type."""
    return np.dtype(np.float32) if type_.dtype.name == "bfloat16" else type_.dtype.numpy
