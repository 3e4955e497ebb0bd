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
from multiprocessing.connection import Connection
from typing import Any

from programs import Case, cases

ROUND_SECONDS = 0.15


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

    def integers(bound: int, *shape: int) -> Any:
        return torch.tensor(generator.integers(0, bound, shape))

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
            scope: dict[str, Any] = {
                "torch": torch,
                "rand": rand,
                "integers": integers,
                "fill": fill,
                "done": done,
                "timed": False,
            }
            try:
                exec(case.setup, scope)
                step = compile(case.step, case.name, "exec")
                for _ in range(3):
                    exec(step, scope)
                connection.send(np.asarray(scope[case.result].detach().numpy()).copy())
            except Exception as error:
                connection.send(error.with_traceback(None))
            scope["timed"] = True
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
    for case in cases():
        if arguments.names and not any(name in case.name for name in arguments.names):
            continue
        _compare(case, workers, arguments.rounds)


def _compare(case: Case, workers: dict[str, Any], rounds: int) -> None:
    import numpy as np

    results = {}
    for engine, worker in workers.items():
        worker.send((case, None))
        results[engine] = worker.recv()
    for engine, result in results.items():
        if isinstance(result, Exception):
            print(f"{case.name:<30} {engine} cannot: {result}", flush=True)
            return
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
