"""Products and combinations of elements, powers of vectors, places as coordinates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import DType
from lazytorch.functions import views
from lazytorch.functions.arithmetic import div, mul, pow, remainder
from lazytorch.functions.creation import arange, empty, full, meshgrid
from lazytorch.functions.data import of_array
from lazytorch.functions.indexing import index_select
from lazytorch.functions.joining import stack
from lazytorch.functions.promotion import broadcast_shapes as common_shape
from lazytorch.functions.registration import operation
from lazytorch.size import Size
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name


@operation(method=False)
def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes are broadcast to.

    >>> torch.broadcast_shapes((2, 1), (3,))
    torch.Size([2, 3])
    """
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    for shape in given:
        if any(n < 0 for n in shape):
            raise RuntimeError(
                f"Trying to create tensor with negative dimension ({min(shape)}): ({shape})"
            )
    try:
        return Size(common_shape(*given))
    except RuntimeError:
        raise RuntimeError(
            "Shape mismatch: objects cannot be broadcast to a single shape"
        ) from None


@operation(method=False)
def result_type(tensor1: Any, tensor2: Any) -> DType:
    """The element type of arithmetic between the two, each a tensor or a number."""
    stand_ins = [
        empty((1,) if x.ndim else (), dtype=x.dtype) if isinstance(x, Tensor) else x
        for x in (tensor1, tensor2)
    ]
    if not isinstance(stand_ins[0], Tensor) and not isinstance(stand_ins[1], Tensor):
        stand_ins[0] = full((), stand_ins[0])
    return mul(*stand_ins).dtype


@operation(method=False)
def cartesian_prod(*tensors: Any) -> Tensor:
    """Every combination of one element of each vector, as rows."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    for x in given:
        if x.ndim != 1:
            raise RuntimeError("Expect a 1D vector, but got shape " + f"{list(x.shape)}")
    if len(given) == 1:
        return given[0]  # type: ignore[no-any-return]
    parts = meshgrid(*given, indexing="ij")
    return stack([views.reshape(p, -1) for p in parts], 1)


@operation(method=False)
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """The combinations of ``r`` elements of a vector, as rows.

    >>> torch.combinations(torch.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty(0)  # type: ignore[no-any-return]
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input.numel()), r))
    places = np.array(rows, np.int64).reshape(len(rows), r)
    flat = index_select(input, 0, of_array(places.ravel(), dt.int64, input._storage.device))
    return views.reshape(flat, places.shape)


@operation(method=False)
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's elements as rows, falling unless ``increasing``."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.numel() if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    exponents = arange(count, device=x.device)
    if not increasing:
        exponents = count - 1 - exponents
    if x.dtype is dt.bool_:
        x = x.long()
    return pow(views.unsqueeze(x, 1), exponents)


@operation(method=False)
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Places of a flattened tensor of ``shape`` as one tensor of coordinates a dimension."""
    if not isinstance(indices, Tensor) or indices.dtype.kind != "int":
        kind = type_name(indices.dtype) if isinstance(indices, Tensor) else type(indices).__name__
        raise ValueError(f"expected 'indices' to be integer dtype, but got {kind}")
    if not isinstance(shape, (int, Sequence, Tensor)):
        raise ValueError("expected 'shape' to be int or sequence of ints")
    sizes = (shape,) if isinstance(shape, int) else tuple([int(n) for n in list(shape)])
    if any(n < 0 for n in sizes):
        raise ValueError("'shape' cannot have negative values, but got " + f"{sizes}")
    found = []
    for i, n in enumerate(sizes):
        step = math.prod(sizes[i + 1 :])
        found.append(remainder(div(indices, step, rounding_mode="floor"), n))
    return tuple(found)
