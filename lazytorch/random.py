"""``torch.random``: the state of the default generators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from lazytorch import cuda
from lazytorch.functions.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

__all__ = [
    "Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed",
    "seed", "set_rng_state",
]  # fmt: skip


@contextmanager
def fork_rng(
    devices: Iterable[Any] | None = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str = "cuda",
) -> Iterator[None]:
    """What is drawn inside does not change what is drawn after it.

    devices  GPUs whose generators are restored too, besides the CPU's; all of them if None

    >>> import lazytorch as torch
    >>> _ = torch.manual_seed(0)
    >>> with torch.random.fork_rng():
    ...     first = torch.rand(2)
    >>> torch.equal(first, torch.rand(2))
    True
    """
    if not enabled:
        yield
        return
    chosen = range(cuda.device_count()) if devices is None else list(devices)
    before = get_rng_state()
    states = [cuda.get_rng_state(device) for device in chosen]
    try:
        yield
    finally:
        set_rng_state(before)
        for device, state in zip(chosen, states, strict=True):
            cuda.set_rng_state(state, device)
