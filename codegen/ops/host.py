"""Calls of the host's linear algebra: the one operation whose kernel is not generated.

A factorization of a matrix is LAPACK's, called through NumPy and SciPy (ops/lapack.py), on every
device. A Fourier transform is SciPy's (ops/fourier.py) where its kernels are not written
(render/fourier_kernel.py). Their gradients are formulas of the front end, so the operation itself
has none.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, TensorType, make
from codegen.ops import fourier  # noqa: F401  enters its routines
from codegen.ops.lapack import ROUTINES
from codegen.ops.registry import Array, Operation, Sample, register

# Attributes: the routine's name with its own attributes, and which of its results is meant. Nodes
# of the same inputs and routine are one call.
Routine = tuple[Hashable, ...]


def result_types(types: Sequence[TensorType], routine: Routine) -> list[TensorType]:
    """The types of everything that a routine gives."""
    name, *attributes = routine
    assert isinstance(name, str)
    shapes = ROUTINES[name].shapes([t.shape for t in types], *attributes)
    return [TensorType(s, d or types[0].dtype) for s, d in shapes]


def run(types: Sequence[TensorType], routine: Routine, arrays: Sequence[Array]) -> Sequence[Array]:
    """What a routine gives, in the types that it should be."""
    name, *attributes = routine
    assert isinstance(name, str)
    with np.errstate(all="ignore"):  # infinities and NaN are values like any other
        found = ROUTINES[name].run(*arrays, *attributes)
    return [
        np.asarray(array).astype(t.dtype.numpy, copy=False).reshape(t.shape)
        for array, t in zip(found, types, strict=True)
    ]


def _infer(inputs: tuple[Node, ...], routine: Routine, number: int) -> TensorType:
    types = [x.type for x in inputs]
    if any(len(t.shape) < 1 or t.weak for t in types):
        raise ValueError(f"{routine[0]} of {types}")
    return result_types(types, routine)[number]


def _reference(_type: TensorType, arrays: Sequence[Array], routine: Routine, number: int) -> Array:
    from_types = [TensorType(a.shape, _dtype(a)) for a in arrays]
    return run(result_types(from_types, routine), routine, arrays)[number]


def _dtype(array: Array) -> dt.DType:
    return next(d for d in dt.ALL if d.numpy == array.dtype and d.name != "bfloat16")


def _matrix(*shape: int, dtype: str = "float32") -> tuple[tuple[int, ...], str, float, float]:
    return shape, dtype, -1, 1


HOST = register(
    Operation(
        "host",
        "host",
        _infer,
        _reference,
        samples=(
            Sample((_matrix(2, 5, 3),), (("qr", "reduced"), 1)),
            Sample((_matrix(4, 4, dtype="float64"),), (("lu_factor",), 0)),
            Sample((_matrix(3, 4, 6),), (("svd", False), 1)),
            Sample((_matrix(4, 4), _matrix(4, 2)), (("triangular_solve", True, True), 0)),
        ),
    )
)


@dataclass(frozen=True)
class HostCall:
    """What a host call does, in plain values. Its slots are its inputs, then those of its results
    that are wanted, which ``numbers`` tells.

    ``inputs``  the shape of each input, and its element type by name.
    """

    routine: list[Any]
    inputs: list[tuple[list[int], str]]
    numbers: list[int]

    def types(self) -> tuple[list[TensorType], list[TensorType]]:
        """Those of the inputs and of the results that are wanted."""
        given = [TensorType(tuple(shape), dt.BY_NAME[name]) for shape, name in self.inputs]
        return given, [result_types(given, tuple(self.routine))[i] for i in self.numbers]


def host_call(inputs: Sequence[Node], *routine: Hashable) -> list[Node]:
    """Everything that a routine of ops/lapack.py gives for the inputs."""
    count = len(result_types([x.type for x in inputs], routine))
    return [make(HOST, tuple(inputs), (routine, i)) for i in range(count)]
