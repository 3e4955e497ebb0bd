"""What data loading needs of tensors: batches made at once, out of the lazy graph.

A batch is copied together on the host when it is fetched: recording it would put as many nodes
into the graph as the batch has samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import TensorType
from codegen.runtime.cpu import set_num_threads
from codegen.runtime.memory import Buffer
from lazytorch import cuda
from lazytorch.expression import Expression, new_expression
from lazytorch.functions import data, joining, random
from lazytorch.functions.random import Generator, default_generator
from lazytorch.realize import realize
from lazytorch.storage import from_array, new_storage
from lazytorch.tensor import Tensor, wrap

__all__ = [
    "Generator", "Tensor", "accelerator_is_available", "adopt", "as_tensor", "default_generator",
    "float64_tensor", "int64_tensor", "manual_seed", "multinomial", "permutation",
    "prepare_worker", "random_integers", "random_seed", "realize_within", "rows",
    "seeded_generator", "stack", "to_array",
]  # fmt: skip

# How deep tensors are looked for in a dataset: ConcatDataset.datasets[i].dataset.tensors[j].
_DEPTH = 6


def random_seed(generator: Generator | None = None) -> int:
    """A random number from 0 to 2**63 - 1."""
    return int(random.draw_bits(1, generator)[0] >> np.uint64(1))


def manual_seed(seed: int) -> None:
    random.manual_seed(seed)


def seeded_generator(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def permutation(length: int, generator: Generator | None = None) -> list[int]:
    """0 … length-1 in random order."""
    return list(random.randperm(length, generator=generator).tolist())


def random_integers(high: int, count: int, generator: Generator | None = None) -> list[int]:
    """``count`` integers from 0 to ``high`` - 1."""
    drawn = random.randint(0, high, (count,), dtype=dt.int64, generator=generator)
    return list(drawn.tolist())


def multinomial(
    weights: Tensor, count: int, replacement: bool, generator: Generator | None = None
) -> list[int]:
    return list(random.multinomial(weights, count, replacement, generator=generator).tolist())


def float64_tensor(values: Any) -> Tensor:
    return data.as_tensor(values, dtype=dt.float64)


def int64_tensor(values: Any) -> Tensor:
    return data.tensor(values)


def as_tensor(values: Any) -> Tensor:
    """A tensor of the array's or the scalars' own type, sharing an array's memory."""
    return data.as_tensor(values)


def stack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors along a new first dimension."""
    first = tensors[0]._type
    plain = all(not t.requires_grad and t._storage.device == "cpu" for t in tensors)
    if not plain or any(t._type is not first for t in tensors):
        return joining.stack(tuple(tensors))
    realize([t._storage.expression for t in tensors])
    arrays = [t._array() for t in tensors]
    return _own(np.stack(arrays), TensorType((len(tensors), *first.shape), first.dtype))


def rows(tensor: Tensor, indices: Sequence[int]) -> Tensor:
    """A new tensor of the rows at ``indices``, in that order: ``tensor[indices]``."""
    if tensor.requires_grad or tensor._storage.device != "cpu":
        return tensor[indices]
    type_ = TensorType((len(indices), *tensor._type.shape[1:]), tensor._type.dtype)
    return _own(tensor._array()[np.asarray(indices, np.int64)], type_)


def _own(array: np.ndarray[Any, Any], type_: TensorType) -> Tensor:
    return wrap(from_array(array, type_, "cpu").expression)


def to_array(tensor: Tensor) -> tuple[np.ndarray[Any, Any], str]:
    """The tensor's values as a contiguous NumPy array, and what ``adopt`` needs besides.

    Runs in a worker process; an element type that NumPy lacks travels as its bits.
    """
    plain = np.ascontiguousarray(tensor._array()).reshape(tensor._type.shape)
    return plain, "bfloat16" if tensor._type.dtype is dt.bfloat16 else ""


def adopt(array: np.ndarray[Any, Any], dtype: str, requires_grad: bool) -> Tensor:
    """A tensor over the array's memory, which is writable and nobody else's, without a copy."""
    kind = dt.BY_NAME[dtype] if dtype else dt.from_numpy(array.dtype)
    expression = new_expression(TensorType(array.shape, kind), "cpu", value=Buffer.wrapping(array))
    tensor = object.__new__(Tensor)
    tensor._storage = new_storage(expression)
    tensor._type = expression.type
    return tensor._require_grad_() if requires_grad else tensor


def realize_within(dataset: Any) -> None:
    """Compute what is pending, and the tensors a dataset holds: workers then need not."""
    found: list[Expression] = []
    seen: set[int] = set()

    def visit(item: Any, depth: int) -> None:
        if depth == 0 or id(item) in seen:
            return
        if isinstance(item, Tensor):
            found.append(item._storage.expression)
        elif isinstance(item, dict):
            seen.add(id(item))
            for value in item.values():
                visit(value, depth - 1)
        elif isinstance(item, (list, tuple)):
            seen.add(id(item))
            # Lists of plain numbers may be long.
            if item and not isinstance(item[0], (int, float, str, bytes)):
                for value in item:
                    visit(value, depth - 1)
        elif hasattr(item, "__dict__") and not isinstance(item, type):
            seen.add(id(item))
            visit(vars(item), depth)

    visit(dataset, _DEPTH)
    realize(found)


def prepare_worker() -> None:
    """Called first in every worker process: it computes on one thread."""
    set_num_threads(1)


def accelerator_is_available() -> bool:
    return cuda.is_available()
