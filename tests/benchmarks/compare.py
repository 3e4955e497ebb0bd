"""Times the same programs on this engine and on PyTorch eager, in turn, and prints the ratios.

    python tests/benchmarks/compare.py [--threads N] [--rounds N] [name …]

Each engine runs in a process of its own, because two pools of spinning threads in one process
slow each other down. The parent lets them run a round each, in turn; a round repeats the program
for a while and gives its mean; the figure is the median over rounds. Results are compared before
anything is timed. Ratio: PyTorch's time over ours, so more than 1 is faster than PyTorch.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

ROUND_SECONDS = 0.15


@dataclass(frozen=True)
class Case:
    """A program: ``setup`` runs once, ``step`` is timed; ``result`` names what must agree."""

    name: str
    setup: str
    step: str
    result: str


TWO_LAYER = """
x, y = rand(64, 1000), rand(64, 10)
model = torch.nn.Sequential(
    torch.nn.Linear(1000, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))
fill(model)
criterion = torch.nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
"""
TRAIN = """
loss = criterion(model(x), y)
optimizer.zero_grad()
loss.backward()
optimizer.step()
"""
BY_HAND = """
x, y = rand(64, 1000), rand(64, 10)
w1 = (rand(1000, 100) * 0.01).requires_grad_()
w2 = (rand(100, 10) * 0.01).requires_grad_()
"""
BY_HAND_STEP = """
loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
loss.backward()
with torch.no_grad():
    w1 -= 1e-6 * w1.grad
    w2 -= 1e-6 * w2.grad
    w1.grad.zero_()
    w2.grad.zero_()
"""
LENET = """
nn, F = torch.nn, torch.nn.functional
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))
model = Net()
fill(model)
x, y = rand(BATCH, 3, 32, 32), torch.arange(BATCH) % 10
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
"""


def _cases() -> list[Case]:
    cases = [
        Case("two layers, Adam", TWO_LAYER, TRAIN, "loss"),
        Case("two layers, Adam, loss read", TWO_LAYER, TRAIN.replace(
            "optimizer.zero_grad()", "loss.item()\noptimizer.zero_grad()"), "loss"),
        Case("two layers by hand", BY_HAND, BY_HAND_STEP, "loss"),
        Case("LeNet, batch 4", LENET.replace("BATCH", "4"), TRAIN, "loss"),
        Case("LeNet, batch 64", LENET.replace("BATCH", "64"), TRAIN, "loss"),
    ]  # fmt: skip
    for n in (64, 128, 256, 512):
        for kind, left, right in (("", "a", "b"), (" Aᵀ", "a.t()", "b"), (" Bᵀ", "a", "b.t()")):
            cases.append(
                Case(f"matmul {n}{kind}", f"a, b = rand({n}, {n}), rand({n}, {n})",
                     f"c = done({left} @ {right})", "c")
            )  # fmt: skip
            if n <= 128:  # ten at once: the products themselves rather than the calls
                cases.append(
                    Case(f"10 products of {n}{kind}",
                         f"a, b = rand({n}, {n}), [rand({n}, {n}) for _ in range(10)]",
                         f"products = [{left.replace('b', 'm')} @ {right.replace('b', 'm')} "
                         "for m in b]\nc = done(*products)", "c")
                )  # fmt: skip
    big = "x, a, b = rand(1 << 24), rand(1 << 24), rand(1 << 24)"
    cases += [
        Case("gelu(x*a+b), 16M", big, "y = done(torch.nn.functional.gelu(x * a + b))", "y"),
        Case("softmax 4096×1024", "x = rand(4096, 1024)", "y = done(torch.softmax(x, 1))", "y"),
        Case("layer norm 4096×1024", "x = rand(4096, 1024)",
             "y = done(torch.nn.functional.layer_norm(x, (1024,)))", "y"),
        Case("sum 16M", "x = rand(1 << 24)", "y = done(x.sum())", "y"),
        Case("100 chained adds of 10", "x = rand(10)",
             "y = x\nfor _ in range(100):\n    y = y + x\ndone(y)", "y"),
    ]  # fmt: skip
    return cases


def _serve(engine: str, threads: int, connection: Connection) -> None:
    """Run cases as the parent asks, in a process that has one engine only."""
    os.environ["LAZYTORCH_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
    import numpy as np

    if engine == "torch":
        import torch
    else:
        import lazytorch as torch
    torch.set_num_threads(threads)
    generator = np.random.default_rng(0)

    def rand(*shape: int) -> Any:
        return torch.tensor(generator.random(shape, dtype=np.float32) * 2 - 1)

    def fill(model: Any) -> None:
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(rand(*p.shape) / math.sqrt(p.shape[-1]))

    def done(*tensors: Any) -> Any:
        if engine != "torch":
            torch.realize(*tensors)
        return tensors[0]

    while True:
        case, seconds = connection.recv()
        if case is not None:
            generator = np.random.default_rng(0)
            scope: dict[str, Any] = {"torch": torch, "rand": rand, "fill": fill, "done": done}
            exec(case.setup, scope)
            step = compile(case.step, case.name, "exec")
            for _ in range(3):
                exec(step, scope)
            connection.send(np.asarray(scope[case.result].detach().numpy()).copy())
        else:
            for _ in range(2):
                exec(step, scope)
            count, start = 0, time.perf_counter()
            while (now := time.perf_counter()) - start < seconds or not count:
                exec(step, scope)
                count += 1
            connection.send((now - start) / count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("names", nargs="*", help="run only the cases whose names contain one")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    workers = {}
    for engine in ("torch", "lazytorch"):
        mine, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(engine, arguments.threads, theirs), daemon=True
        )
        process.start()
        workers[engine] = mine
    print(f"{arguments.threads} threads, medians of {arguments.rounds} rounds, in turn")
    print(f"{'program':<30} {'PyTorch µs':>11} {'ours µs':>11} {'ratio':>7}   largest difference")
    for case in _cases():
        if arguments.names and not any(name in case.name for name in arguments.names):
            continue
        _compare(case, workers, arguments.rounds)


def _compare(case: Case, workers: dict[str, Any], rounds: int) -> None:
    import numpy as np

    results = {}
    for engine, worker in workers.items():
        worker.send((case, None))
        results[engine] = worker.recv()
    difference = np.abs(results["torch"] - results["lazytorch"]).max()
    times: dict[str, list[float]] = {engine: [] for engine in workers}
    for _ in range(rounds):
        for engine, worker in workers.items():
            time.sleep(0.01)  # the other engine's threads go to sleep
            worker.send((None, ROUND_SECONDS))
            times[engine].append(worker.recv())
    theirs, ours = (statistics.median(times[e]) * 1e6 for e in ("torch", "lazytorch"))
    print(
        f"{case.name:<30} {theirs:>11.1f} {ours:>11.1f} {theirs / ours:>7.2f}   {difference:.1e}",
        flush=True,
    )


if __name__ == "__main__":
    main()
