"""Fetching: from the indices of one batch to the batch, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lazytorch.utils.data.collate import default_collate
from lazytorch.utils.data.dataset import IterableDataset, collated_rows, fetch_samples

Fetcher = Callable[[Any], Any]


@dataclass(frozen=True)
class FetchPlan:
    """What a process needs to make batches.

    With ``batched``, it is asked for lists of indices and collates their samples; without, for
    single indices. An iterable dataset gets as many samples as the list is long.
    """

    dataset: Any
    collate: Callable[[Any], Any]
    batched: bool
    drop_last: bool

    def fetcher(self) -> Fetcher:
        """A function of indices; StopIteration says that an iterable dataset is at its end."""
        if isinstance(self.dataset, IterableDataset):
            return _IterableFetcher(self).fetch
        return self._fetch

    def _fetch(self, indices: Any) -> Any:
        if not self.batched:
            return self.collate(self.dataset[indices])
        if self.collate is default_collate:
            batch = collated_rows(self.dataset, indices)
            if batch is not None:
                return batch
        return self.collate(fetch_samples(self.dataset, indices))


class _IterableFetcher:
    def __init__(self, plan: FetchPlan) -> None:
        self._plan = plan
        self._samples: Iterator[Any] = iter(plan.dataset)
        self._ended = False

    def fetch(self, places: Any) -> Any:
        if self._ended:
            raise StopIteration
        if not self._plan.batched:
            return self._plan.collate(next(self._samples))
        return self._plan.collate(self._take(places))

    def _take(self, places: Sequence[Any]) -> list[Any]:
        taken = []
        for _ in places:
            try:
                taken.append(next(self._samples))
            except StopIteration:
                self._ended = True
                break
        if not taken or (self._plan.drop_last and len(taken) < len(places)):
            raise StopIteration
        return taken
