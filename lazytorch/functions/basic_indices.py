"""Indices of integers and slices: the places that they mean, and the views that they give."""

from __future__ import annotations

import operator
from typing import Any

from codegen.ir.node import Shape
from lazytorch.tensor import Tensor

# How a view lies, and what PyTorch calls the operation that makes it.
Place = tuple[Shape, Shape, int, str]


def basic_place(x: Tensor, key: Any) -> Place | None:
    """Where the view lies that integers and slices give, as most indices are; None of others, and
    of such that are refused."""
    shape, strides = x._type.shape, x._steps()
    geometry = x._geometry
    offset = geometry.offset if geometry is not None else 0
    if type(key) is int:
        if not shape or not -shape[0] <= key < shape[0]:
            return None
        offset += (key if key >= 0 else key + shape[0]) * strides[0]
        return shape[1:], strides[1:], offset, "Select"
    is_slice = type(key) is slice
    if is_slice:
        key = (key,)
    elif type(key) is not tuple:
        return None
    if len(key) > len(shape):
        return None
    sizes: list[int] = []
    steps: list[int] = []
    name = "Alias"
    for item, size, stride in zip(key, shape, strides, strict=False):
        if type(item) is int:
            if not -size <= item < size:
                return None
            offset += (item if item >= 0 else item + size) * stride
            name = "Select"
        elif type(item) is slice:
            start, length, step = slice_of(item, size)
            sizes.append(length)
            steps.append(stride * step)
            offset += start * stride
            if start or step != 1 or length != size or is_slice:
                name = "Slice"  # else PyTorch makes no view for it
        else:
            return None
    left = len(key)
    return (*sizes, *shape[left:]), (*steps, *strides[left:]), offset, name


# What a slice usually has for its bounds.
_BOUNDS = (int, type(None))


def slice_of(item: slice, size: int) -> tuple[int, int, int]:
    """Where a slice of an axis begins, how many elements it has, and the step between them."""
    if item.step is None and type(item.start) in _BOUNDS and type(item.stop) in _BOUNDS:
        first, last, _ = item.indices(size)
        return first, max(0, last - first), 1
    step = 1 if item.step is None else integer(item.step)
    if step == 0:
        raise ValueError("slice step cannot be zero")
    if step < 0:
        raise ValueError("step must be greater than zero")
    start = None if item.start is None else integer(item.start)
    stop = None if item.stop is None else integer(item.stop)
    first, last, _ = slice(start, stop, step).indices(size)
    return first, max(0, -(-(last - first) // step)), step


def integer(item: Any) -> int:
    """An item of an index as a number."""
    try:
        return operator.index(item)
    except TypeError:
        if isinstance(item, Tensor):
            return int(item.item())
        if isinstance(item, str):
            raise TypeError("new(): invalid data type 'str'") from None
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
            f"valid indices (got {type(item).__name__})"
        ) from None


def place_of(place: int, shape: Shape, axis: int) -> int:
    """A place along an axis, counted from its front."""
    if not shape:
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` "
            "in C++ to convert a 0-dim tensor to a number"
        )
    size = shape[axis]
    if not -size <= place < size:
        raise IndexError(f"index {place} is out of bounds for dimension {axis} with size {size}")
    return place + size if place < 0 else place
