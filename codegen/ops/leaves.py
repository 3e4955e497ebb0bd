"""Where values come from: parameters of the graph, constants, and counting."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import HALF_OF_COMPLEX, DType
from codegen.ir.node import Node, TensorType, make
from codegen.ops.registry import OPERATIONS, Array, Operation, as_dtype, interpreted_dtype, register


def _parameter_reference(type_: TensorType, arrays: Any, *_: Any) -> Array:
    raise AssertionError("a parameter is bound to a value, never computed")


PARAMETER = register(
    Operation("parameter", "leaf", lambda _inputs, _number, type_: type_, _parameter_reference)
)
CONSTANT = register(
    Operation(
        "constant",
        "leaf",
        lambda _inputs, _value, _text, dtype: TensorType((), dtype),
        lambda type_, _arrays, value, _text, _dtype: as_dtype(value, type_),
    )
)
IOTA = register(
    Operation(
        "iota",
        "leaf",
        lambda _inputs, size, dtype: TensorType((size,), dtype),
        lambda type_, _arrays, size, _dtype: np.arange(size).astype(interpreted_dtype(type_)),
    )
)


def parameter(number: int, type_: TensorType) -> Node:
    """Argument ``number`` of a graph."""
    return make(PARAMETER, (), (number, type_))


def constant(value: complex, dtype: DType) -> Node:
    """A 0-d constant, converted to the element type as C would."""
    if dtype in HALF_OF_COMPLEX:
        half, number = HALF_OF_COMPLEX[dtype], complex(value)
        parts = constant(number.real, half), constant(number.imag, half)
        return make(OPERATIONS["complex"], parts, ())
    held: float | int | bool
    assert not isinstance(value, complex)
    if dtype.kind == "bool":
        held = bool(value)
    elif dtype.kind == "int":
        bits = dtype.itemsize * 8
        held = int(value) & ((1 << bits) - 1)
        if dtype.is_signed and held >= 1 << (bits - 1):
            held -= 1 << bits
    else:
        held = float(value)
    # The text tells -0.0 from 0.0, which compare equal.
    return make(CONSTANT, (), (held, repr(held), dtype))


def iota(size: int, dtype: DType = dt.int64) -> Node:
    """0, 1, … size-1."""
    return make(IOTA, (), (size, dtype))


def constant_value(node: Node) -> float | int | bool | None:
    """The number that a constant (or a broadcast of one) holds, else None."""
    while node.operation.name == "broadcast":
        node = node.inputs[0]
    if node.operation is CONSTANT:
        value = node.attributes[0]
        assert isinstance(value, (float, int))
        return value
    return None
