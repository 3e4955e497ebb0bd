"""Random numbers for transforms: of the default generator, drawn on the host one by one.

A number is a hash of the generator's seed and of the next of its streams, in integers of Python:
two microseconds, where a tensor of one element would need a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazytorch import capture
from lazytorch.functions.random import default_generator

_MASK = (1 << 64) - 1


def bits() -> int:
    """64 random bits (SplitMix64's output function over seed and stream)."""
    capture.refuse("a transform drew a random number")
    seed, stream = default_generator.take()
    mixed = (seed * 0xD1342543DE82EF95 + (stream + 1) * 0x9E3779B97F4A7C15) & _MASK
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & _MASK
    return mixed ^ (mixed >> 31)


def uniform(low: float = 0.0, high: float = 1.0) -> float:
    """A number from ``low`` to ``high``, evenly."""
    return low + (high - low) * ((bits() >> 11) / (1 << 53))


def integer(low: int, high: int) -> int:
    """An integer from ``low`` to ``high`` - 1, evenly."""
    if high <= low:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got {low} >= {high}")
    return low + bits() % (high - low)


def permutation(length: int) -> list[int]:
    order = list(range(length))
    for last in range(length - 1, 0, -1):
        other = integer(0, last + 1)
        order[last], order[other] = order[other], order[last]
    return order


def weighted(weights: Sequence[float]) -> int:
    """A place among the weights, each as often as its weight says."""
    point = uniform(0.0, float(sum(weights)))
    for place, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return place
    return len(weights) - 1


def source() -> Any:
    """A NumPy generator for many numbers at once."""
    return np.random.Generator(np.random.PCG64(bits()))
