"""The few engine functions that data loading needs; the only file to change at the merge.

With LT_DEV set they are played by real PyTorch, so that loading can be developed and tested
without the engine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

if not os.environ.get("LT_DEV"):
    raise ImportError("lazytorch's engine is not wired to utils.data yet; set LT_DEV=1")

import torch

Tensor: Any = torch.Tensor
Generator: Any = torch.Generator
default_generator: Any = torch.default_generator


def random_seed(generator: Any = None) -> int:
    """One int64 drawn as ``torch.empty((), dtype=torch.int64).random_(generator=generator)``."""
    return int(torch.empty((), dtype=torch.int64).random_(generator=generator).item())


def manual_seed(seed: int) -> None:
    torch.manual_seed(seed)


def seeded_generator(seed: int) -> Any:
    return torch.Generator().manual_seed(seed)


def permutation(length: int, generator: Any = None) -> list[int]:
    """``torch.randperm(length)`` as Python integers."""
    return list(torch.randperm(length, generator=generator).tolist())


def random_integers(high: int, count: int, generator: Any = None) -> list[int]:
    """``torch.randint(high, (count,))`` as Python integers."""
    drawn = torch.randint(high, (count,), dtype=torch.int64, generator=generator)
    return list(drawn.tolist())


def multinomial(weights: Any, count: int, replacement: bool, generator: Any = None) -> list[int]:
    return list(torch.multinomial(weights, count, replacement, generator=generator).tolist())


def float64_tensor(values: Any) -> Any:
    return torch.as_tensor(values, dtype=torch.float64)


def int64_tensor(values: Any) -> Any:
    return torch.tensor(values)


def as_tensor(values: Any) -> Any:
    """A tensor of the array's or the scalars' own type, sharing an array's memory."""
    return torch.as_tensor(values)


def stack(tensors: Sequence[Any]) -> Any:
    return torch.stack(tuple(tensors))


def rows(tensor: Any, indices: Sequence[int]) -> Any:
    """A new tensor of the rows at ``indices``, in that order: ``tensor[indices]``."""
    return tensor[indices]


def to_array(tensor: Any) -> tuple[np.ndarray[Any, Any], str]:
    """The tensor's values as a contiguous NumPy array, and what ``from_array`` needs besides.

    Runs in a worker process; an element type that NumPy lacks travels as its bits.
    """
    plain = tensor.detach().cpu().contiguous()
    if plain.dtype is torch.bfloat16:
        return plain.view(torch.int16).numpy(), "bfloat16"
    return plain.numpy(), ""


def from_array(array: np.ndarray[Any, Any], dtype: str, requires_grad: bool) -> Any:
    """A tensor over the array's memory, which is writable and nobody else's, without a copy."""
    tensor = torch.from_numpy(array)
    if dtype:
        tensor = tensor.view(getattr(torch, dtype))
    return tensor.requires_grad_(requires_grad)


def prepare_worker() -> None:
    """Called first in every worker process: one thread, nothing inherited that would hang."""
    torch.set_num_threads(1)


def accelerator_is_available() -> bool:
    return bool(torch.cuda.is_available())
