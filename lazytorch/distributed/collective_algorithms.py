"""Collective operations on arrays: every rank of a group calls the same ones in the same order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np

from lazytorch.distributed.transports import Transport

Array = np.ndarray[Any, Any]


class ReduceOp(Enum):
    """How values of several ranks become one."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7


setattr(ReduceOp, "RedOpType", ReduceOp)  # noqa: B010  PyTorch's name for the type of the values


_FUNCTIONS: dict[ReduceOp, Callable[..., Any]] = {
    ReduceOp.SUM: np.add, ReduceOp.AVG: np.add, ReduceOp.PRODUCT: np.multiply,
    ReduceOp.MIN: np.minimum, ReduceOp.MAX: np.maximum, ReduceOp.BAND: np.bitwise_and,
    ReduceOp.BOR: np.bitwise_or, ReduceOp.BXOR: np.bitwise_xor,
}  # fmt: skip


class Ranks:
    """Some of a transport's ranks, numbered from 0 among themselves."""

    def __init__(self, transport: Transport, ranks: Sequence[int]) -> None:
        self.transport, self.ranks = transport, list(ranks)
        self.size = len(self.ranks)
        self.rank = self.ranks.index(transport.rank) if transport.rank in self.ranks else -1

    def send(self, to: int, array: Array) -> None:
        self.transport.send(self.ranks[to], bytes_of(array))

    def receive(self, source: int, into: Array) -> None:
        self.transport.receive(self.ranks[source], bytes_of(into))

    def shift(self, array: Array, into: Array) -> None:
        """To the next rank, from the one before, around the ring."""
        to = self.ranks[(self.rank + 1) % self.size]
        source = self.ranks[self.rank - 1]
        self.transport.exchange(to, bytes_of(array), source, bytes_of(into))


def bytes_of(array: Array) -> Array:
    return array.reshape(-1).view(np.uint8)


def all_reduce(group: Ranks, array: Array, op: ReduceOp) -> None:
    """Each rank's array becomes what all ranks' make, the same bits on every rank.

    Around a ring: first every rank sums up one part of it, then the parts go round.
    """
    if group.size > 1:
        flat = array.reshape(-1)
        parts = [flat[part] for part in _parts(flat.size, group.size)]
        coming = np.empty(max(part.size for part in parts), array.dtype)
        combine = _FUNCTIONS[op]
        for turn in range(group.size - 1):
            mine = parts[(group.rank - turn) % group.size]
            other = parts[(group.rank - turn - 1) % group.size]
            arrived = coming[: other.size]
            group.shift(mine, arrived)
            combine(other, arrived, out=other)
        for turn in range(group.size - 1):
            mine = parts[(group.rank + 1 - turn) % group.size]
            group.shift(mine, parts[(group.rank - turn) % group.size])
    if op is ReduceOp.AVG:
        array /= group.size


def _parts(length: int, count: int) -> list[slice]:
    """``length`` places in ``count`` parts, as equal as can be."""
    bounds = [length * i // count for i in range(count + 1)]
    return [slice(bounds[i], bounds[i + 1]) for i in range(count)]


def broadcast(group: Ranks, array: Array, source: int) -> None:
    """The source's array on every rank, down a binary tree."""
    place = (group.rank - source) % group.size
    reach = 1
    while reach < group.size:
        reach *= 2
    # Whoever has it sends half the remaining distance ahead.
    has = place == 0
    while reach > 1:
        half = reach // 2
        if has and place % reach == 0 and place + half < group.size:
            group.send((place + half + source) % group.size, array)
        elif not has and place % reach == half:
            group.receive((place - half + source) % group.size, array)
            has = True
        reach = half


def all_gather(group: Ranks, array: Array) -> list[Array]:
    """The arrays of all ranks, which are of one shape, in the order of ranks."""
    found = [np.empty_like(array) for _ in range(group.size)]
    found[group.rank] = array
    for turn in range(group.size - 1):
        group.shift(
            found[(group.rank - turn) % group.size], found[(group.rank - turn - 1) % group.size]
        )
    return found


def gather(group: Ranks, array: Array, target: int) -> list[Array] | None:
    """At the target the arrays of all ranks; None elsewhere."""
    if group.rank != target:
        group.send(target, array)
        return None
    found = [np.empty_like(array) for _ in range(group.size)]
    for rank in range(group.size):
        if rank == target:
            found[rank] = array
        else:
            group.receive(rank, found[rank])
    return found


def scatter(group: Ranks, arrays: Sequence[Array] | None, into: Array, source: int) -> None:
    """To each rank its one of the source's arrays."""
    if group.rank != source:
        group.receive(source, into)
        return
    assert arrays is not None
    for rank, array in enumerate(arrays):
        if rank == source:
            into[...] = array
        else:
            group.send(rank, array)


def all_to_all(group: Ranks, arrays: Sequence[Array], found: Sequence[Array]) -> None:
    """The i-th array goes to rank i; what rank i sends lands in the i-th found."""
    found[group.rank][...] = arrays[group.rank]
    for step in range(1, group.size):
        to, source = (group.rank + step) % group.size, (group.rank - step) % group.size
        group.transport.exchange(
            group.ranks[to], bytes_of(arrays[to]), group.ranks[source], bytes_of(found[source])
        )
