"""DataLoader: batches of a dataset, made here or in worker processes, in a sampler's order."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from lazytorch.utils.data import _engine as engine
from lazytorch.utils.data.collate import default_collate, default_convert
from lazytorch.utils.data.dataset import Dataset, IterableDataset
from lazytorch.utils.data.fetch import FetchPlan
from lazytorch.utils.data.pool import WorkerPool
from lazytorch.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from lazytorch.utils.data.worker import Exhausted, Failure, NewEpoch, Result, Task

T = TypeVar("T", covariant=True)
# PyTorch's names for the types of such arguments.
_collate_fn_t = Callable[[list[Any]], Any]
_worker_init_fn_t = Callable[[int], None]

_FIXED_ATTRIBUTES = (
    "batch_size",
    "batch_sampler",
    "sampler",
    "drop_last",
    "dataset",
    "persistent_workers",
)


class _EndlessSampler(Sampler[None]):
    """Stands in where an iterable dataset sets the order itself."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class DataLoader(Generic[T]):
    """Iterates over batches of ``dataset``.

    ``batch_size`` None gives single samples. ``num_workers`` processes fetch ahead, each
    ``prefetch_factor`` batches (2); with ``persistent_workers`` they live from one epoch to the
    next. ``timeout`` (seconds) bounds the wait for a batch; ``in_order=False`` gives batches as
    they come. Arguments that contradict each other raise ValueError.
    """

    dataset: Dataset[T]
    batch_size: int | None
    sampler: Any
    batch_sampler: Any

    def __init__(
        self,
        dataset: Dataset[T],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_worker_arguments(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order

        chosen_sampler: Any = sampler
        is_iterable = isinstance(dataset, IterableDataset)
        if is_iterable:
            _check_iterable_arguments(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, "
                    "sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with "
                "drop_last"
            )
        if sampler is None:
            if is_iterable:
                chosen_sampler = _EndlessSampler()
            elif shuffle:
                chosen_sampler = RandomSampler(dataset, generator=generator)  # type: ignore[arg-type]
            else:
                chosen_sampler = SequentialSampler(dataset)  # type: ignore[arg-type]
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(chosen_sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = chosen_sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self._reported_length: int | None = None
        self._iterator: _WorkersIterator | None = None
        self._is_complete = True
        _warn_of_too_many_workers(num_workers)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED_ATTRIBUTES and self.__dict__.get("_is_complete"):
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        return self.__multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        self.__multiprocessing_context = _checked_context(context, self.num_workers)

    @property
    def _index_sampler(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def _plan(self) -> FetchPlan:
        return FetchPlan(
            self.dataset, self.collate_fn, self.batch_sampler is not None, self.drop_last
        )

    def __iter__(self) -> Iterator[Any]:
        if not self.num_workers:
            return _LocalIterator(self)
        if not self.persistent_workers:
            return _WorkersIterator(self)
        if self._iterator is None or not self._iterator.is_open:
            self._iterator = _WorkersIterator(self)
        else:
            self._iterator.start_over(self)
        return self._iterator

    def __len__(self) -> int:
        """The number of batches; for an iterable dataset a guess from its own length."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        length = self._reported_length = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)


class _Iterator:
    """What both kinds share: the sampler, the seed of the epoch, counting."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        if loader.pin_memory and not engine.accelerator_is_available():
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device "
                "pinned memory won't be used.",
                stacklevel=4,
            )
        self._dataset = loader.dataset
        self._num_workers = loader.num_workers
        self._start_epoch(loader)

    def _start_epoch(self, loader: DataLoader[Any]) -> None:
        self._index_sampler = loader._index_sampler
        self._indices = iter(self._index_sampler)
        # Drawn in every epoch and before the sampler draws, as PyTorch does: the order of a
        # shuffled epoch depends on it.
        self._base_seed = engine.random_seed(loader.generator)
        self._count = 0
        self._reported_length = loader._reported_length

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __next__(self) -> Any:
        batch = self._next_batch()
        self._count += 1
        if self._reported_length is not None and self._count > self._reported_length:
            self._warn_of_wrong_length()
        return batch

    def _next_batch(self) -> Any:
        raise NotImplementedError

    def _warn_of_wrong_length(self) -> None:
        message = (
            f"Length of IterableDataset {self._dataset} was reported to be "
            f"{self._reported_length}"
            f"(when accessing len(dataloader)), but {self._count} samples have been fetched. "
        )
        if self._num_workers:
            message += (
                "For multiprocessing data-loading, this could be caused by not properly "
                "configuring the IterableDataset replica at each worker. Please see "
                "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for "
                "examples."
            )
        warnings.warn(message, stacklevel=3)


class _LocalIterator(_Iterator):
    """Makes every batch when it is asked for."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._fetch = loader._plan().fetcher()

    def _next_batch(self) -> Any:
        return self._fetch(next(self._indices))


class _WorkersIterator(_Iterator):
    """Has workers make batches ahead, and gives them in the order of their tasks."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        engine.realize_within(loader.dataset)
        self._pool = WorkerPool(
            loader._plan(),
            loader.num_workers,
            self._base_seed,
            loader.worker_init_fn,
            loader.multiprocessing_context or multiprocessing.get_context(),
        )
        # The loader itself is not kept: with persistent workers it keeps the iterator.
        self._prefetched = (loader.prefetch_factor or 0) * loader.num_workers
        self._in_order = loader.in_order
        self._timeout = loader.timeout or None
        self._persistent = loader.persistent_workers
        # Runs when the iterator is collected and at the interpreter's exit, whichever is first.
        self._close = weakref.finalize(self, self._pool.close)
        self._epoch = 0
        self._begin()

    @property
    def is_open(self) -> bool:
        return self._pool.is_open

    def start_over(self, loader: DataLoader[Any]) -> None:
        """Begin another epoch with the same workers."""
        self._start_epoch(loader)
        self._epoch += 1
        try:
            for worker_id in range(self._num_workers):
                self._pool.send(worker_id, NewEpoch(self._epoch))
            self._begin()
        except BaseException:
            self._close()
            raise

    def _begin(self) -> None:
        self._next_task = 0  # The number of the next task to hand out.
        self._next_result = 0  # The number of the task whose batch comes next.
        self._owners: dict[int, int] = {}  # Task to worker, until its batch has been given.
        self._arrived: dict[int, Any] = {}
        self._active = [True] * self._num_workers
        self._turn = itertools.cycle(range(self._num_workers))
        for _ in range(self._prefetched):
            self._hand_out()

    def _hand_out(self) -> None:
        """Give the next indices to the worker whose turn it is."""
        if not any(self._active):
            return
        try:
            indices = next(self._indices)
        except StopIteration:
            return
        worker_id = next(worker for worker in self._turn if self._active[worker])
        if not self._in_order:
            # The least busy one; among equals, the one whose turn it is.
            busy = [0] * len(self._active)
            for owner in self._owners.values():
                busy[owner] += 1
            worker_id = min(
                (which for which, active in enumerate(self._active) if active),
                key=lambda which: (busy[which], which != worker_id),
            )
        self._owners[self._next_task] = worker_id
        self._pool.send(worker_id, Task(self._epoch, self._next_task, indices))
        self._next_task += 1

    def _next_batch(self) -> Any:
        try:
            number = self._awaited_task()
            if number is not None:
                data = self._arrived.pop(number)
                del self._owners[number]
                self._hand_out()
        except BaseException:
            # A dead worker, a timeout, Ctrl-C: the workers are of no more use.
            self._close()
            raise
        if number is None:
            if not self._persistent:
                self._close()
            raise StopIteration
        if isinstance(data, Failure):
            data.reraise()
        return data

    def _awaited_task(self) -> int | None:
        """The task whose batch comes next, once it is here; None at the end."""
        while self._pool.is_open:
            number = self._ready_task()
            if number is not None:
                return number
            if not self._owners:
                return None
            worker_id, result = self._pool.receive(self._timeout)
            self._take(worker_id, result)
        return None

    def _ready_task(self) -> int | None:
        if not self._in_order:
            return next(iter(self._arrived), None)
        # Tasks that went to a worker after its samples had ended are passed over.
        while self._next_result < self._next_task and self._next_result not in self._owners:
            self._next_result += 1
        if self._next_result not in self._arrived:
            return None
        self._next_result += 1
        return self._next_result - 1

    def _take(self, worker_id: int, result: Result) -> None:
        if result.epoch != self._epoch:
            return  # Left over from an epoch that was broken off.
        if not isinstance(result.data, Exhausted):
            self._arrived[result.number] = result.data
            return
        self._active[worker_id] = False
        void = [
            task
            for task, owner in self._owners.items()
            if owner == worker_id and task not in self._arrived
        ]
        for task in void:
            del self._owners[task]
        for _ in void:
            self._hand_out()


def _check_worker_arguments(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable "
            "multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing."
            "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_iterable_arguments(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    start = "DataLoader with IterableDataset: expected unspecified"
    if shuffle not in (False, None):
        raise ValueError(f"{start} shuffle option, but got shuffle={shuffle}")
    if sampler is not None:
        raise ValueError(f"{start} sampler option, but got sampler={sampler}")
    if batch_sampler is not None:
        raise ValueError(f"{start} batch_sampler option, but got batch_sampler={batch_sampler}")


def _checked_context(context: Any, num_workers: int) -> Any:
    if context is None:
        return None
    if num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > "
            f"0), but got num_workers={num_workers}"
        )
    if isinstance(context, str):
        methods = multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(
                "multiprocessing_context option should specify a valid start method in "
                f"{methods!r}, but got multiprocessing_context={context!r}"
            )
        return multiprocessing.get_context(context)
    if not hasattr(context, "Process") or not hasattr(context, "get_start_method"):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string "
            f"specifying the start method, but got multiprocessing_context={context}"
        )
    return context


def _warn_of_too_many_workers(num_workers: int) -> None:
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    if num_workers > cores:
        warnings.warn(
            f"This DataLoader will create {num_workers} worker processes in total. Our suggested "
            f"max number of worker in current system is {cores}, which is smaller than what this "
            "DataLoader is going to create. Please be aware that excessive worker creation might "
            "get DataLoader running slow or even freeze, lower the worker number to avoid "
            "potential slowness/freeze if necessary.",
            stacklevel=3,
        )
