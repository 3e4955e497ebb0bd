"""Processes that compute together, two or three of them over sockets of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazytorch as torch
from lazytorch import distributed as dist
from lazytorch import multiprocessing as mp
from lazytorch import nn
from lazytorch.nn.parallel import DistributedDataParallel

pytestmark = pytest.mark.host
SIZE = 3
CASES: Any = [
    ((), ("float32",)), ((0,), ("int64",)), ((5, 3), ("float32", "bool")), ((70001,), ("float32",)),
]  # fmt: skip


def values(rank: int, shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(rank)
    return generator.integers(1, 9, shape).astype(dtype)


def meet(rank: int, folder: str, size: int) -> None:
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=size)


def check_collectives(rank: int, folder: str) -> None:
    meet(rank, folder, SIZE)
    assert (dist.get_rank(), dist.get_world_size()) == (rank, SIZE)
    for shape, dtypes in CASES:
        for dtype in dtypes:
            every = [values(r, shape, dtype) for r in range(SIZE)]

            def mine(own: Any = every[rank]) -> Any:
                return torch.from_numpy(np.array(own))

            operations = [(dist.ReduceOp.MAX, np.maximum.reduce)]
            if dtype != "bool":
                operations += [(dist.ReduceOp.SUM, sum), (dist.ReduceOp.PRODUCT, np.prod)]
            for op, expected in operations:
                options = {"axis": 0} if expected is np.prod else {}
                total = mine()
                dist.all_reduce(total, op)
                assert np.array_equal(total.numpy(), expected(every, **options)), (shape, dtype, op)
            for source in range(SIZE):
                given = mine()
                dist.broadcast(given, source)
                assert np.array_equal(given.numpy(), every[source])
            found = [torch.zeros_like(mine()) for _ in range(SIZE)]
            dist.all_gather(found, mine())
            assert all(np.array_equal(f.numpy(), e) for f, e in zip(found, every, strict=True))
            at_one = [torch.zeros_like(mine()) for _ in range(SIZE)] if rank == 1 else None
            dist.gather(mine(), at_one, dst=1)
            for f, e in zip(at_one or (), every, strict=False):
                assert np.array_equal(f.numpy(), e)
            part = torch.zeros_like(mine())
            dist.scatter(part, [torch.from_numpy(e) for e in every] if rank == 2 else None, src=2)
            assert np.array_equal(part.numpy(), every[rank])
    total = torch.full((4,), float(rank))
    dist.reduce(total, dst=0)
    assert total.tolist() == [3.0 if rank == 0 else rank] * 4
    average = torch.full((2,), float(rank), dtype=torch.bfloat16)
    dist.all_reduce(average, dist.ReduceOp.AVG)
    assert average.tolist() == [1.0, 1.0]
    # To the next rank, in order; the first sends first.
    ring = torch.zeros(3)
    if rank == 0:
        dist.send(torch.arange(3.0), 1)
        assert dist.recv(ring, 2) == 2
    else:
        dist.recv(ring, rank - 1)
        dist.send(ring + 1, (rank + 1) % SIZE)
    assert ring.tolist() == [float(i + (rank - 1) % SIZE) for i in range(3)]
    parts = torch.arange(3.0) + 10 * rank
    landed = [torch.zeros(1) for _ in range(SIZE)]
    dist.all_to_all(landed, list(parts.split(1)))
    assert [x.item() for x in landed] == [rank, 10 + rank, 20 + rank]
    sizes = [1, 2, 0]  # to each rank; rank r gets sizes[r] rows from each
    rows = torch.zeros(sizes[rank] * SIZE, 2)
    given = torch.full((3, 2), float(rank))
    dist.all_to_all_single(rows, given, [sizes[rank]] * SIZE, sizes)
    assert rows[:, 0].tolist() == [r for r in range(SIZE) for _ in range(sizes[rank])]
    after, before = (rank + 1) % SIZE, (rank - 1) % SIZE
    told_by = torch.zeros(1)
    mine_to_all = [dist.P2POp(dist.isend, torch.ones(1) * rank, after),
                   dist.P2POp(dist.irecv, told_by, before)]  # fmt: skip
    for work in dist.batch_isend_irecv(mine_to_all):
        work.wait()
    assert told_by.item() == before
    if rank == 0:
        dist.send_object_list(["a", {"b": 2}], 1)
    elif rank == 1:
        objects_told: list[Any] = [None, None]
        assert dist.recv_object_list(objects_told, 0) == 0 and objects_told == ["a", {"b": 2}]
    pair = dist.new_group([0, 2])
    assert dist.get_global_rank(pair, 1) == 2 and dist.get_group_rank(pair, 2) == 1
    if rank != 1:
        total = torch.ones(2) * (rank + 1)
        dist.all_reduce(total, group=pair)
        assert total.tolist() == [4.0, 4.0] and pair.rank == rank // 2
    objects: list[Any] = [None] * SIZE
    dist.all_gather_object(objects, {"rank": rank, "long": "x" * rank * 1000})
    assert [o["rank"] for o in objects] == [0, 1, 2] and len(objects[2]["long"]) == 2000
    told = [rank, "a"]
    dist.broadcast_object_list(told, src=2)
    assert told == [2, "a"]
    dist.barrier()
    dist.destroy_process_group()
    assert not dist.is_initialized()


def test_collectives(tmp_path: Path) -> None:
    mp.spawn(check_collectives, (str(tmp_path),), nprocs=SIZE)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)
        self.unused = nn.Linear(2, 2)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Any) -> Any:
        self.seen += 1
        return self.second(self.first(x).relu())


def batch(part: slice) -> tuple[Any, Any]:
    generator = np.random.default_rng(3)
    x, y = generator.random((8, 4), np.float32), generator.integers(0, 3, 8)
    return torch.from_numpy(x[part].copy()), torch.from_numpy(y[part].copy())


def train(model: Any, part: slice) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for _ in range(3):
        x, y = batch(part)
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def check_data_parallel(rank: int, folder: str) -> None:
    meet(rank, folder, 2)
    torch.manual_seed(rank)  # Copies that begin differently become rank 0's.
    model = DistributedDataParallel(Net(), bucket_cap_mb=1e-4)
    assert next(iter(model.state_dict())) == "module.seen"
    start = {k: v.clone() for k, v in model.module.state_dict().items()}
    train(model, slice(4 * rank, 4 * rank + 4))
    assert model.module.unused.weight.grad is None
    alone = Net()
    alone.load_state_dict(start)
    train(alone, slice(0, 8))
    for ours, whole in zip(model.parameters(), alone.parameters(), strict=True):
        np.testing.assert_allclose(
            ours.detach().numpy(), whole.detach().numpy(), rtol=1e-4, atol=1e-6
        )
    # Gradients that add up without a message, then with one.
    x, y = batch(slice(4 * rank, 4 * rank + 4))
    model.zero_grad()
    with model.no_sync():
        nn.functional.cross_entropy(model(x), y).backward()
    local = model.module.first.weight.grad.clone()
    nn.functional.cross_entropy(model(x), y).backward()
    everyone = [torch.zeros_like(local) for _ in range(2)]
    dist.all_gather(everyone, local)
    summed = (everyone[0] + everyone[1]).numpy()
    np.testing.assert_allclose(model.module.first.weight.grad.numpy(), summed, rtol=1e-4, atol=1e-7)
    dist.destroy_process_group()


def test_data_parallel_is_one_process_with_the_whole_batch(tmp_path: Path) -> None:
    mp.spawn(check_data_parallel, (str(tmp_path),), nprocs=2)
    assert not list(tmp_path.iterdir())  # Others can meet there now.


def test_a_batch_in_parts_on_several_devices() -> None:
    model = Net()
    x, y = batch(slice(0, 8))
    parallel = nn.DataParallel(model, device_ids=["cpu", "interpreter", "cpu"])
    nn.functional.cross_entropy(parallel(x), y).backward()
    found = [p.grad.clone() for p in list(model.parameters())[:4]]
    assert model.seen.item() == 1
    model.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    for mine, whole in zip(found, model.parameters(), strict=False):
        np.testing.assert_allclose(mine.numpy(), whole.grad.numpy(), rtol=1e-4, atol=1e-6)
    with pytest.raises(RuntimeError, match="on device interpreter"):
        nn.DataParallel(model, device_ids=["interpreter", "cpu"])(x)


def meet_over_tcp(rank: int, port_file: str) -> None:
    # As torchrun would set them; the port is one that rank 0 found free.
    path = Path(port_file)
    if rank == 0:
        store = dist.TCPStore("127.0.0.1", 0, 2, is_master=True)
        path.with_suffix(".new").write_text(str(store.port))
        path.with_suffix(".new").rename(path)
    else:
        while not path.exists():
            os.sched_yield()
        store = dist.TCPStore("127.0.0.1", int(path.read_text()), 2)
    store.set(f"name{rank}", f"rank {rank}")
    assert store.get(f"name{1 - rank}") == f"rank {1 - rank}".encode()
    store.add("count", 2)
    dist.init_process_group("cpu:gloo,cuda:nccl", store=store, rank=rank, world_size=2)
    total = torch.ones(3) * (rank + 1)
    dist.all_reduce(total)
    assert total.tolist() == [3.0] * 3 and int(store.get("count")) == 4
    dist.barrier()
    dist.destroy_process_group()


def test_processes_meet_over_tcp(tmp_path: Path) -> None:
    mp.spawn(meet_over_tcp, (str(tmp_path / "port"),), nprocs=2)


def fail(rank: int) -> None:
    if rank == 1:
        raise ValueError("the reason")
    while True:
        os.sched_yield()


def test_a_failing_process_ends_the_others() -> None:
    with pytest.raises(mp.ProcessRaisedException, match=r"(?s)Process 1 terminated.*the reason"):
        mp.spawn(fail, nprocs=2)


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="environment variable RANK expected, but not set"):
        dist.init_process_group("gloo")
    with pytest.raises(ValueError, match="has not been initialized"):
        dist.get_rank()
    with pytest.raises(RuntimeError, match="NCCL"):
        dist.init_process_group("nccl")
    with pytest.raises(ValueError, match="rank parameter missing"):
        dist.init_process_group("gloo", "tcp://127.0.0.1:1", world_size=1)
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        with pytest.raises(ValueError, match="twice"):
            dist.init_process_group("gloo", store=store, rank=0, world_size=1)
        alone = DistributedDataParallel(nn.Linear(2, 2))
        alone(torch.ones(1, 2)).sum().backward()
        assert alone.module.bias.grad.tolist() == [1.0, 1.0]
    finally:
        dist.destroy_process_group()
