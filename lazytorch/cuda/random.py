"""Random numbers on GPUs: the numbers of the one generator, which are the same on every device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lazytorch.cuda._devices import device_count, gpu, index_of, is_available
from lazytorch.functions.random import default_generator
from lazytorch.tensor import Tensor


def manual_seed(seed: int) -> None:
    """Seed the generator; nothing happens where there is no GPU."""
    if is_available():
        default_generator.manual_seed(int(seed))


manual_seed_all = manual_seed


def seed() -> None:
    """Seed the generator by chance; nothing happens where there is no GPU."""
    if is_available():
        default_generator.seed()


seed_all = seed


def initial_seed() -> int:
    """The generator's seed."""
    gpu()
    return default_generator.initial_seed()


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The generator's state, a ByteTensor."""
    gpu(index_of(device))
    return default_generator.get_state()


def get_rng_state_all() -> list[Tensor]:
    """The generator's state, once for each GPU."""
    return [get_rng_state(i) for i in range(device_count())]


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """Give the generator a state; nothing happens where there is no GPU."""
    if is_available():
        gpu(index_of(device))
        default_generator.set_state(new_state)


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    """Give the generator a state."""
    for i, state in enumerate(new_states):
        set_rng_state(state, i)
