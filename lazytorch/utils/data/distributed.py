"""DistributedSampler: each process's share of the indices."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from itertools import cycle, islice

from lazytorch.distributed.groups import get_rank, get_world_size
from lazytorch.utils.data import _engine as engine
from lazytorch.utils.data.sampler import Sampler


class DistributedSampler(Sampler[int]):
    """Every ``num_replicas``-th index, beginning with the ``rank``-th, of all in random order.

    All ranks get equally many: the first indices come again at the end, or with ``drop_last`` the
    last are left out. The number of processes and the rank are the process group's unless given.
    Call ``set_epoch`` before each epoch for another order.

    >>> sampler = torch.utils.data.DistributedSampler(range(10), num_replicas=3, rank=0)
    >>> len(sampler)
    4
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        num_replicas = get_world_size() if num_replicas is None else num_replicas
        rank = get_rank() if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise ValueError(
                f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        length = len(dataset)
        self.num_samples = length // num_replicas if drop_last else -(-length // num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self) -> Iterator[int]:
        indices = list(range(len(self.dataset)))
        if self.shuffle:
            generator = engine.seeded_generator(self.seed + self.epoch)
            indices = engine.permutation(len(indices), generator)
        return islice(cycle(indices), self.rank, self.total_size, self.num_replicas)

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Draw another order: all ranks have to be told of the same epoch."""
        self.epoch = epoch
