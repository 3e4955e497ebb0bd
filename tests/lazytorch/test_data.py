"""The DataLoader gives what PyTorch's gives, in its order, and leaves nothing behind."""

from __future__ import annotations

import collections
import contextlib
import gc
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazytorch
import lazytorch.utils.data as ours
from lazytorch.utils.data import dataloader as loader_module

torch = pytest.importorskip("torch", reason="needs real PyTorch")

import torch.utils.data as theirs  # noqa: E402

# Datasets are in the host's memory; a driver would not survive the forks.
pytestmark = [pytest.mark.pytorch, pytest.mark.host]

both = pytest.mark.parametrize("package", [ours, theirs], ids=["ours", "theirs"])
TENSORS = {ours: lazytorch, theirs: torch}


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = set(os.listdir("/dev/shm"))
    yield
    if multiprocessing.active_children():
        gc.collect()
    deadline = time.monotonic() + 6
    # Another process may be making a semaphore, whose name is there for a moment.
    while multiprocessing.active_children() or not set(os.listdir("/dev/shm")) <= before:
        assert time.monotonic() < deadline, (multiprocessing.active_children(), before)
        time.sleep(0.01)


class Squares(ours.Dataset[Any]):
    def __init__(self, length: int = 10, module: Any = lazytorch) -> None:
        self.length, self.module = length, module

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return self.module.full((3,), float(index)), {"square": index * index, "name": str(index)}


class Large(Squares):
    def __getitem__(self, index: int) -> Any:
        half = self.module.bfloat16
        return self.module.full((300, 100), index, dtype=half), np.full(9000, index)


class Row(ours.Dataset[Any]):
    """Sample ``i`` is what ``act(i)`` gives; a helper for what goes on in workers."""

    def __init__(self, act: Any, length: int = 8) -> None:
        self.act, self.length = act, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return self.act(index)


class Stream(ours.IterableDataset[int]):
    def __init__(self, length: int, reported: int | None = None) -> None:
        self.length, self.reported = length, reported

    def __iter__(self) -> Iterator[int]:
        info = ours.get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(first, self.length, step))


def plain(value: Any) -> Any:
    """The value with every tensor in it, of whichever library, as its type and its numbers."""
    if isinstance(value, (torch.Tensor, lazytorch.Tensor)):
        return "tensor", str(value.dtype), tuple(value.shape), value.tolist()
    if isinstance(value, np.ndarray):
        return "array", value.dtype, value.tolist()
    if isinstance(value, dict):
        return type(value), {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [plain(item) for item in value]
    return type(value), value


def same(left: Any, right: Any) -> bool:
    return bool(plain(left) == plain(right))


def in_ours(value: Any) -> Any:
    """The value with PyTorch's tensors in it as ours."""
    if isinstance(value, torch.Tensor):
        return lazytorch.from_numpy(value.numpy())
    if isinstance(value, list):
        return [in_ours(item) for item in value]
    return value


# ---------------------------------------------------------------------------- collating

Point = collections.namedtuple("Point", "x y")


class Settings(dict):  # type: ignore[type-arg]
    pass


COLLATED = [
    [torch.ones(2), torch.zeros(2)],
    [np.ones(2), np.zeros(2)],
    [np.ones(2, np.float32), np.zeros(2)],
    [np.array(1), np.array(2)],
    [np.float32(1), np.float32(2)],
    [np.int16(1), np.int16(2)],
    [np.bool_(True), np.bool_(False)],
    [1.5, 2],
    [1, 2],
    [True, False],
    ["a", "b"],
    [b"a", b"b"],
    [(1, 2.0), (3, 4.0)],
    [[1, "a"], [2, "b"]],
    [Point(1, 2.0), Point(3, 4.0)],
    [{"a": 1, "b": [2]}, {"a": 3, "b": [4]}],
    [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    [Settings(a=1), Settings(a=2)],
    [range(2), range(2, 4)],
    [{"a": 1}, {"a": 2, "b": 3}],
    # What neither collates:
    [{1}, {2}],
    [None, None],
    [1 + 2j],
    [[1, 2], [1]],
    [torch.ones(2), torch.ones(3)],
    [np.ones(2), np.ones(3)],
    [np.array(["a"])],
    [{"a": 1, "b": 3}, {"a": 2}],
    [object()],
]


@pytest.mark.parametrize("batch", COLLATED, ids=lambda b: re.sub(" at 0x.*?>", ">", repr(b)))
def test_collate_is_pytorchs(batch: Any) -> None:
    def outcome(function: Any, batch: Any) -> Any:
        try:
            return function(batch)
        except Exception as error:
            return type(error), str(error).replace("lazytorch", "torch")

    wanted = outcome(theirs.default_collate, batch)
    assert same(outcome(ours.default_collate, in_ours(batch)), wanted)


def test_convert_is_pytorchs() -> None:
    data = [
        np.ones(1), {"a": np.float32(2)}, Point(1, np.ones(1)), "s", np.array(["s"]), 3, (1, 2),
        b"x", torch.ones(1), Settings(a=np.ones(2)),
    ]  # fmt: skip
    assert same(ours.default_convert(in_ours(data)), theirs.default_convert(data))


# ---------------------------------------------------------------------------- datasets


@both
def test_datasets(package: Any) -> None:
    arange = TENSORS[package].arange
    numbers = package.TensorDataset(arange(5), arange(5) * 2)
    assert len(numbers) == 5 and [int(part) for part in numbers[3]] == [3, 6]
    joined = package.ConcatDataset([range(3), range(10, 12)])
    assert [joined[index] for index in (0, 3, 4, -1, -5)] == [0, 10, 11, 11, 0]
    assert joined.cumulative_sizes == [3, 5] and len(joined) == 5
    part = package.Subset(range(10, 20), [3, 1])
    assert [part[0], part[1], len(part)] == [13, 11, 2]
    assert part.__getitems__([1, 0]) == [11, 13]
    pairs = package.StackDataset(range(3), a_list := [5, 6, 7])
    assert pairs[1] == (1, a_list[1]) and pairs.__getitems__([0, 2]) == [(0, 5), (2, 7)]
    named = package.StackDataset(x=range(3), y=part.__class__(range(9), [1, 2, 3]))
    assert named[2] == {"x": 2, "y": 3} and named.__getitems__([1]) == [{"x": 1, "y": 2}]
    assert len(numbers + numbers) == 10


def test_tensor_rows_are_taken_at_once_and_equal_collated_samples() -> None:
    data = ours.TensorDataset(
        lazytorch.randn(20, 3), lazytorch.arange(20), lazytorch.rand(20) > 0.5
    )
    part = ours.Subset(ours.Subset(data, range(3, 20, 2)), [4, 2, 0, 1, 5])

    class Doubled(ours.TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            return tuple(tensor * 2 for tensor in super().__getitem__(index))

    for dataset in (data, part, Doubled(lazytorch.arange(20))):
        batches = list(ours.DataLoader(dataset, batch_size=4))
        slow = ours.DataLoader([dataset[index] for index in range(len(dataset))], batch_size=4)
        assert same(batches, list(slow))
    batch = next(iter(ours.DataLoader(data, batch_size=4)))
    batch[1] += 100
    assert data.tensors[1].tolist() == list(range(20))


@pytest.mark.parametrize("lengths", [[5, 4, 1], [0.3, 0.3, 0.4], [1.0], [0.15, 0.85]])
def test_random_split(lengths: list[float]) -> None:
    def split(package: Any, seed: int) -> list[list[int]]:
        generator = TENSORS[package].Generator().manual_seed(seed)
        return [list(part) for part in package.random_split(range(10), lengths, generator)]

    assert [len(part) for part in split(ours, 0)] == [len(part) for part in split(theirs, 0)]
    assert split(ours, 1) == split(ours, 1) != split(ours, 2)
    assert sorted([n for part in split(ours, 1) for n in part]) == list(range(10))
    lazytorch.manual_seed(0)
    first = [list(part) for part in ours.random_split(range(10), lengths)]
    lazytorch.manual_seed(0)
    assert first == [list(part) for part in ours.random_split(range(10), lengths)]


# ---------------------------------------------------------------------------- order


@pytest.mark.parametrize(
    "make",
    [
        lambda package, generator: package.RandomSampler(range(7), generator=generator),
        lambda package, generator: package.RandomSampler(range(7), True, 70, generator),
        lambda package, generator: package.RandomSampler(range(7), False, 17, generator),
        lambda package, generator: package.SubsetRandomSampler([4, 8, 2, 9], generator),
        lambda package, generator: package.WeightedRandomSampler([1.0, 2, 3], 9, True, generator),
        lambda package, generator: package.WeightedRandomSampler([1.0, 2, 3], 2, False, generator),
        lambda package, generator: package.BatchSampler(
            package.SequentialSampler("abcde"), 2, True
        ),
    ],
)
@pytest.mark.parametrize("own_generator", [True, False])
def test_samplers(make: Any, own_generator: bool) -> None:
    orders = []
    for package, seed in ((ours, 5), (ours, 5), (theirs, 5)):
        module = TENSORS[package]
        module.manual_seed(seed)
        generator = module.Generator().manual_seed(3) if own_generator else None
        sampler = make(package, generator)
        orders.append([len(sampler), list(sampler), list(sampler)])
    assert orders[0] == orders[1]
    counts = [[length, len(first), len(second)] for length, first, second in orders]
    assert counts[0] == counts[2]
    if type(sampler).__name__ not in ("WeightedRandomSampler", "BatchSampler"):
        assert orders[0][1] != orders[0][2]
    if type(sampler).__name__ == "SubsetRandomSampler":
        assert sorted(orders[0][1]) == [2, 4, 8, 9]
    elif len(orders[0][1]) == 7:
        assert sorted(orders[0][1]) == list(range(7))


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("length", [0, 2, 7, 10])
def test_distributed_sampler(length: int, drop_last: bool) -> None:
    def orders(package: Any, shuffle: bool) -> list[Any]:
        made = []
        for rank in range(3):
            sampler = package.DistributedSampler(range(length), 3, rank, shuffle, 5, drop_last)
            sampler.set_epoch(4)
            made.append([len(sampler), list(sampler)])
        return made

    assert orders(ours, False) == orders(theirs, False)
    shuffled = orders(ours, True)
    assert [n for n, _ in shuffled] == [n for n, _ in orders(theirs, True)]
    taken = [i for _, part in shuffled for i in part]
    assert len(taken) == sum(n for n, _ in shuffled)
    assert len(set(taken)) == min(length, len(taken))


def test_weights_set_how_often() -> None:
    lazytorch.manual_seed(0)
    drawn = list(ours.WeightedRandomSampler([1.0, 0.0, 3.0], 4000))
    assert drawn.count(1) == 0
    assert 2850 < drawn.count(2) < 3150


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("own_generator", [True, False])
def test_shuffled_epochs(num_workers: int, own_generator: bool) -> None:
    orders = []
    for _ in range(2):
        lazytorch.manual_seed(5)
        generator = lazytorch.Generator().manual_seed(3) if own_generator else None
        loader = ours.DataLoader(
            range(20), 3, shuffle=True, num_workers=num_workers, generator=generator
        )
        orders.append([[n for batch in loader for n in batch.tolist()] for _ in range(2)])
    assert orders[0] == orders[1]
    first, second = orders[0]
    assert first != second
    assert sorted(first) == sorted(second) == list(range(20))


# ---------------------------------------------------------------------------- loading


OPTIONS: list[dict[str, Any]] = [
    {"batch_size": 3},
    {"batch_size": 3, "drop_last": True},
    {"batch_size": None},
    {"batch_sampler": [[1, 2], [5], [0, 3, 4]]},
    {"sampler": [3, 1, 2], "batch_size": 2},
    {"batch_size": 4, "collate_fn": len},
]


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_batches_are_pytorchs(options: dict[str, Any]) -> None:
    for kind, length in ((Squares, 10), (Large, 6)):
        dataset = kind(length)
        wanted = theirs.DataLoader(kind(length, torch), **options)
        for workers in ({}, {"num_workers": 2, "prefetch_factor": 3}):
            loader = ours.DataLoader(dataset, **options, **workers)
            assert len(loader) == len(wanted)
            assert same(list(loader), list(wanted))


@pytest.mark.parametrize("options", [{}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True},
                                     {"batch_size": None}])  # fmt: skip
@pytest.mark.parametrize("num_workers", [0, 3])
def test_iterable_datasets(options: dict[str, Any], num_workers: int) -> None:
    loader = ours.DataLoader(Stream(20), num_workers=num_workers, **options)
    samples = [int(one) for batch in loader for one in lazytorch.as_tensor(batch).reshape(-1)]
    if num_workers and options.get("drop_last"):
        assert len(samples) == 18 and len(set(samples)) == 18
    elif num_workers:
        assert sorted(samples) == list(range(20))
    else:
        assert samples == list(range(18 if options.get("drop_last") else 20))


def test_wrong_length_of_an_iterable_dataset_warns() -> None:
    class Liar(Stream):
        def __len__(self) -> int:
            return 3

    loader = ours.DataLoader(Liar(5))
    assert len(loader) == 3
    with pytest.warns(UserWarning, match=r"was reported to be 3.*but 4 samples have been fetched"):
        list(loader)


@pytest.mark.parametrize(
    "method",
    ["spawn", pytest.param(multiprocessing.get_context("forkserver"), marks=pytest.mark.slow)],
)
def test_other_start_methods(method: Any) -> None:
    data = ours.TensorDataset(lazytorch.arange(6), lazytorch.randn(6, 2))
    loader = ours.DataLoader(data, 4, num_workers=1, multiprocessing_context=method)
    assert same(list(loader), list(ours.DataLoader(data, 4)))


def test_batches_from_workers_are_private_and_writable() -> None:
    loader = ours.DataLoader(Large(4), 2, num_workers=1)
    first, second = list(loader)
    first[0] += 1
    assert [set(row) for part in (second, first) for row in part[0].reshape(2, -1).tolist()] == [
        {2.0}, {3.0}, {1.0}, {2.0}
    ]  # fmt: skip
    del loader, second
    gc.collect()
    assert first[1].sum().item() == 9000


def test_batches_are_made_at_once() -> None:
    data = ours.TensorDataset(lazytorch.randn(20, 3) * 2, lazytorch.arange(20))
    singles = [(data.tensors[0][i], i) for i in range(20)]
    for dataset in (data, singles):
        for workers in (0, 1):
            for batch in ours.DataLoader(dataset, 4, num_workers=workers):
                for tensor in batch:
                    assert tensor._storage.expression.value is not None
                    assert not tensor._storage.is_shared()


def test_pending_tensors_are_computed_before_workers_start() -> None:
    data = ours.TensorDataset(lazytorch.randn(20, 3) * 2)
    nested = ours.ConcatDataset([ours.Subset(data, range(5))])
    assert data.tensors[0]._storage.expression.value is None
    list(ours.DataLoader(nested, 5, num_workers=1))
    assert data.tensors[0]._storage.expression.value is not None


def test_workers_compute_on_one_thread() -> None:
    def act(index: int) -> Any:
        return lazytorch.get_num_threads(), lazytorch.full((4,), 2.0).exp().sum()

    lazytorch.full((4,), 2.0).exp().sum().item()
    threads, sums = next(iter(ours.DataLoader(Row(act), 4, num_workers=1)))
    assert threads.tolist() == [1] * 4
    assert sums.tolist() == pytest.approx([29.5562] * 4)


def test_results_out_of_order() -> None:
    def act(index: int) -> int:
        time.sleep(0.15 if index == 0 else 0)
        return index

    loader = ours.DataLoader(Row(act), num_workers=2, in_order=False)
    order = [int(batch) for batch in loader]
    assert sorted(order) == list(range(8)) and order[0] != 0
    assert [int(batch) for batch in ours.DataLoader(Row(act), num_workers=2)] == list(range(8))


def test_persistent_workers_live_on() -> None:
    dataset = Row(lambda index: (index, os.getpid()), 8)
    loader = ours.DataLoader(dataset, 2, num_workers=2, persistent_workers=True)
    processes = []
    for epoch in range(4):
        for number, (indices, pids) in enumerate(loader):
            processes.append(int(pids[0]))
            assert indices.tolist() == [2 * number, 2 * number + 1]
            if epoch == 2:
                break
    assert len(set(processes)) == 2 and len(processes) == 13
    del loader
    assert multiprocessing.active_children() == []
    stream = ours.DataLoader(Stream(6), num_workers=2, persistent_workers=True)
    for _ in range(3):
        assert sorted(int(batch) for batch in stream) == list(range(6))


def test_workers_are_seeded() -> None:
    def act(index: int) -> Any:
        numbers = (lazytorch.rand(1).item(), random.random(), float(np.random.rand()))
        return lazytorch.initial_seed(), *numbers

    runs = []
    for _ in range(2):
        lazytorch.manual_seed(3)
        runs.append(plain(list(ours.DataLoader(Row(act, 4), num_workers=2))))
    assert runs[0] == runs[1]
    first, second = ours.DataLoader(Row(act, 2), num_workers=2)
    assert all(float(a) != float(b) for a, b in zip(first[1:], second[1:], strict=True))


def test_worker_info_and_init_function() -> None:
    started: list[int] = []

    def act(index: int) -> Any:
        info = ours.get_worker_info()
        assert info is not None
        assert info.dataset.length == 4 and info.seed == lazytorch.initial_seed()
        return info.id, info.num_workers, started[0]

    loader = ours.DataLoader(Row(act, 4), None, num_workers=2, worker_init_fn=started.append)
    assert list(loader) == [[0, 2, 0], [1, 2, 1]] * 2
    assert ours.get_worker_info() is None and started == []


# ---------------------------------------------------------------------------- what goes wrong


class TwoArguments(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(first, second)


def fail(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize("error", [ValueError("boo"), KeyError("key"), TwoArguments(1, 2)])
def test_exceptions_of_workers_come_back(error: Exception) -> None:
    dataset = Row(lambda index: fail(error) if index == 1 else index, 4)
    batches = iter(ours.DataLoader(dataset, num_workers=2))
    assert next(batches).tolist() == [0]
    kind = RuntimeError if isinstance(error, TwoArguments) else type(error)
    with pytest.raises(kind) as caught:
        next(batches)
    text = str(caught.value)
    name = type(error).__name__
    assert text.startswith(f"Caught {name} in DataLoader worker process 1.\nOriginal Traceback")
    assert "in fail" in text and text.rstrip().splitlines()[-1].startswith((name, __name__))
    assert [batch.tolist() for batch in batches] == [[2], [3]]


def test_failing_starts_come_back() -> None:
    with pytest.raises(ValueError, match=r"Caught ValueError in DataLoader worker process 0"):
        list(ours.DataLoader([1], num_workers=1, worker_init_fn=lambda _: fail(ValueError("x"))))


def test_batches_that_cannot_travel_are_named() -> None:
    loader = ours.DataLoader(Row(lambda index: lambda: 0), None, num_workers=1)
    with pytest.raises(RuntimeError, match=r"(?s)in DataLoader worker process 0.*pickle"):
        next(iter(loader))


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM, 3])
@pytest.mark.parametrize("persistent", [False, True])
def test_a_worker_that_dies_raises(death: Any, persistent: bool) -> None:
    def act(index: int) -> int:
        if index == 3:
            os._exit(3) if death == 3 else os.kill(os.getpid(), death)
        return index

    loader = ours.DataLoader(Row(act), num_workers=2, persistent_workers=persistent)
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid\(s\) \d+\) exited unexpected"
                       ) as caught:  # fmt: skip
        list(loader)
    assert time.monotonic() - started < 4
    reason = "exit code 3" if death == 3 else "is killed by signal: "
    assert reason in str(caught.value.__cause__)


def test_timeout() -> None:
    loader = ours.DataLoader(Row(lambda index: time.sleep(0.3)), None, num_workers=1, timeout=0.1)
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.1 seconds"):
        list(loader)


def test_breaking_off_ends_the_workers() -> None:
    for dataset in (Large(40), Squares(40)):
        for _ in ours.DataLoader(dataset, 4, num_workers=2, prefetch_factor=5):
            assert len(multiprocessing.active_children()) == 2
            break
        gc.collect()
        assert multiprocessing.active_children() == []


def test_large_index_lists_and_batches_do_not_block() -> None:
    sampler = [list(range(60_000))] * 6
    loader = ours.DataLoader(
        Row(int, 60_000), batch_sampler=sampler, num_workers=1, prefetch_factor=6,
        collate_fn=lambda samples: ["some text"] * 60_000,
    )  # fmt: skip
    assert [len(batch) for batch in loader] == [60_000] * 6


SCRIPT = """
import os, sys, time
import lazytorch as torch
import lazytorch.utils.data as data
class Rows(data.Dataset):
    def __len__(self): return 100
    def __getitem__(self, index): return torch.ones(100_000), os.getpid()
if __name__ == "__main__":
    batches = iter(data.DataLoader(Rows(), num_workers=2, persistent_workers=True))
    print(*{int(next(batches)[1]) for _ in range(4)}, flush=True)
    if sys.argv[1] == "wait":
        time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    endings = [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
    with contextlib.ExitStack() as stack:
        parents = [stack.enter_context(start_parent(script, ending)) for ending in endings]
        for parent, ending in zip(parents, endings, strict=True):
            check_ending(parent, ending)


def start_parent(script: Path, ending: signal.Signals | None) -> Any:
    return subprocess.Popen(
        [sys.executable, str(script), "wait" if ending else "exit"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def check_ending(parent: Any, ending: signal.Signals | None) -> None:
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    if ending == signal.SIGINT:
        os.killpg(parent.pid, ending)  # As Ctrl-C does.
    elif ending:
        parent.send_signal(ending)
    parent.wait(10)
    deadline = time.monotonic() + 8
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_alive, workers))
    errors = parent.stderr.read()
    assert "leaked" not in errors
    assert errors.count("Traceback") == (1 if ending == signal.SIGINT else 0), errors


# ---------------------------------------------------------------------------- arguments


ARGUMENTS: list[dict[str, Any]] = [
    {"num_workers": -1}, {"timeout": -1}, {"prefetch_factor": 2}, {"persistent_workers": True},
    {"num_workers": 1, "prefetch_factor": -1}, {"sampler": [1], "shuffle": True},
    {"batch_sampler": [[1]], "batch_size": 2}, {"batch_size": None, "drop_last": True},
    {"batch_size": 0}, {"batch_size": 2.5}, {"multiprocessing_context": "spawn"},
    {"num_workers": 1, "multiprocessing_context": "x"},
    {"num_workers": 1, "multiprocessing_context": 3},
]  # fmt: skip


def message_of(act: Any) -> Any:
    with pytest.raises(Exception) as caught:
        act()
    return caught.type, str(caught.value)


@pytest.mark.parametrize("options", ARGUMENTS, ids=repr)
def test_argument_errors_are_pytorchs(options: dict[str, Any]) -> None:
    wanted = message_of(lambda: theirs.DataLoader([1, 2], **options))
    assert message_of(lambda: ours.DataLoader([1, 2], **options)) == wanted


@pytest.mark.parametrize(
    "act",
    [
        lambda package: package.DataLoader([], shuffle=True),
        lambda package: setattr(package.DataLoader([1]), "batch_size", 3),
        lambda package: package.RandomSampler([1], replacement=1),
        lambda package: package.RandomSampler([1], num_samples=2.5),
        lambda package: package.WeightedRandomSampler([1.0], 0),
        lambda package: package.WeightedRandomSampler([[1.0]], 1),
        lambda package: package.WeightedRandomSampler([1.0], 1, replacement=2),
        lambda package: package.BatchSampler([1], 0, False),
        lambda package: package.BatchSampler([1], 1, 2),
        lambda package: package.random_split(range(10), [5, 4]),
        lambda package: package.random_split(range(10), [0.3, 0.3]),
        lambda package: package.random_split(range(10), [1.3, -0.3]),
        lambda package: package.TensorDataset(TENSORS[package].ones(2), TENSORS[package].ones(3)),
        lambda package: package.ConcatDataset([]),
        lambda package: package.ConcatDataset([range(3)])[-6],
        lambda package: package.StackDataset(range(3), range(2)),
        lambda package: package.StackDataset(),
        lambda package: package.StackDataset(range(3), a=range(3)),
        lambda package: list(package.ChainDataset([range(3)])),
        lambda package: package.DataLoader(package.IterableDataset(), shuffle=True),
        lambda package: package.DataLoader(package.IterableDataset(), sampler=[1]),
        lambda package: package.DataLoader(package.IterableDataset(), batch_sampler=[1]),
        lambda package: package.Dataset()[0],
    ],
)
def test_other_errors_are_pytorchs(act: Any) -> None:
    assert message_of(lambda: act(ours)) == message_of(lambda: act(theirs))


def test_warnings() -> None:
    with pytest.warns(UserWarning, match="This DataLoader will create 999 worker processes"):
        ours.DataLoader([1], num_workers=999)
    if not torch.cuda.is_available():
        with pytest.warns(UserWarning, match="'pin_memory' argument is set as true but no"):
            list(ours.DataLoader([1], pin_memory=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loader_module.DataLoader([1]).prefetch_factor is None
