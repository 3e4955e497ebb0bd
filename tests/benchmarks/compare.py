"""Times the same programs on this engine, PyTorch eager, torch.compile and JAX, in turn.

    python tests/benchmarks/compare.py [--threads N] [--engines …] [--json FILE] [name …]

Each engine runs in a process of its own, because two pools of spinning threads in one process
slow each other down. The parent lets them run a round each, in turn; a round repeats the program
for a while and gives its mean; the figure is the median over rounds. Results are compared before
anything is timed. Ratio: the best of the others' time over ours, so more than 1 is faster.

Engines: eager (PyTorch, fused optimizers), compile (torch.compile of the step), jax (where it is
installed and the program is written for it), ours (the plain loop), compiled (our ``compile``),
opencl (the plain loop on the ``opencl`` device; its ratio to ours is printed as well).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from importlib import metadata
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2])]

from programs import Case, cases  # noqa: E402
from programs_jax import JAX_PROGRAMS  # noqa: E402

ROUND_SECONDS = 0.15
ENGINES = ("eager", "compile", "jax", "ours", "compiled", "opencl")
OURS = ("ours", "compiled", "opencl")
KINDS = ("microseconds", "first_seconds", "peak_megabytes", "cold_seconds", "warm_seconds")


def _serve(engine: str, threads: int, connection: Connection) -> None:
    """Run cases as the parent asks, in a process that has one engine only."""
    os.environ["LAZYTORCH_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    while True:
        try:
            case, seconds = connection.recv()
        except EOFError:
            return  # the parent is done
        if case is not None:
            try:
                start = time.perf_counter()
                step, result = _prepared(engine, case, threads)
                value, first = result(), time.perf_counter() - start
                connection.send((value, first))
            except Exception as error:
                connection.send((RuntimeError(f"{type(error).__name__}: {error}"[:300]), 0.0))
        else:
            for _ in range(2):
                step()
            count, start = 0, time.perf_counter()
            while (now := time.perf_counter()) - start < seconds or not count:
                step()
                count += 1
            connection.send((now - start) / count)


def _prepared(engine: str, case: Case, threads: int) -> tuple[Any, Any]:
    """The program's step, and what runs it three times and gives its result as an array."""
    if engine == "jax":
        return _prepared_jax(case)
    import numpy as np

    if engine in OURS:
        import lazytorch as torch
    else:
        import torch
    torch.set_num_threads(threads)
    if engine == "opencl":
        torch.set_default_device("opencl")
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
        if engine in OURS:
            torch.realize(*tensors)
        return tensors[0]

    scope: dict[str, Any] = {
        "torch": torch, "rand": rand, "integers": integers, "fill": fill, "done": done,
        "timed": False, "fused": {} if engine in OURS else {"fused": True},
    }  # fmt: skip
    exec(case.setup, scope)
    body = textwrap.indent(case.step.strip(), "    ")
    exec(f"def step():\n{body}\n    return {case.result}", scope)
    step = scope["step"]
    if engine in ("compile", "compiled"):
        step = torch.compile(step)
    if engine == "opencl":
        from codegen.runtime.opencl import find_device

        plain, device = step, find_device("opencl")

        def step() -> Any:
            value = plain()
            device.finish()  # else only what it costs to ask would be timed
            return value

    def result() -> Any:
        for _ in range(3):
            value = step()
        scope["timed"] = True
        if isinstance(value, list):  # returned so that nobody may leave any out: one is compared
            value = value[-1]
        return np.asarray(value.detach().float().numpy()).copy()

    return step, result


def _prepared_jax(case: Case) -> tuple[Any, Any]:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    import numpy as np

    scope: dict[str, Any] = {"jax": jax, "jnp": jax.numpy}
    generator = np.random.default_rng(0)
    scope["rand"] = lambda *shape: jax.numpy.asarray(
        generator.random(shape, dtype=np.float32) * 2 - 1
    )
    scope["integers"] = lambda bound, *shape: jax.numpy.asarray(generator.integers(0, bound, shape))
    program = JAX_PROGRAMS.get(case.name)
    if program is None:
        raise NotImplementedError("not written for JAX")
    exec(program, scope)
    run = scope["step"]

    def step() -> Any:
        return jax.block_until_ready(run())

    def result() -> Any:
        for _ in range(3):
            value = step()
        return np.asarray(value, np.float32)

    return step, result


def _peak(engine: str, case: Case, threads: int, connection: Connection) -> None:
    """Send the peak resident megabytes of a process that does nothing but 20 steps of a case."""
    try:
        step, result = _prepared(engine, case, threads)
        result()
        for _ in range(17):
            step()
        connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    except Exception as error:
        connection.send(RuntimeError(f"{type(error).__name__}: {error}"[:300]))


def _peaks(case: Case, engines: list[str], threads: int) -> dict[str, float]:
    """Peak memory of a case in each engine, in megabytes."""
    context = multiprocessing.get_context("spawn")
    found = {}
    for engine in engines:
        mine, theirs = context.Pipe()
        process = context.Process(target=_peak, args=(engine, case, threads, theirs))
        process.start()
        value = mine.recv()
        process.join()
        if not isinstance(value, Exception):
            found[engine] = value
    print(f"{case.name:<30} " + ", ".join([f"{v:.0f} MB {e}" for e, v in found.items()]))
    return found


def _starts(case: Case, engines: list[str], threads: int) -> dict[str, dict[str, float]]:
    """Seconds from the start of a process to the result of a case's third step: with nothing in
    any cache (cold), and in a second process (warm)."""
    found: dict[str, dict[str, float]] = {"cold_seconds": {}, "warm_seconds": {}}
    command = [sys.executable, __file__, "--threads", str(threads), "--third-step"]
    for engine in engines:
        with tempfile.TemporaryDirectory() as folder:
            environment = {
                **os.environ, "LAZYTORCH_CACHE_DIR": f"{folder}/ours",
                "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
                "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            }  # fmt: skip
            for kind in found:
                start = time.perf_counter()
                done = subprocess.run([*command, engine, case.name], env=environment)
                if done.returncode == 0:
                    found[kind][engine] = time.perf_counter() - start
    for kind, seconds in found.items():
        text = ", ".join([f"{v:.2f} s {e}" for e, v in seconds.items()])
        print(f"{case.name:<30} {kind.split('_')[0]} {text}", flush=True)
    return found


def _third_step(engine: str, name: str, threads: int) -> None:
    (case,) = [c for c in cases() if c.name == name]
    _prepared(engine, case, threads)[1]()
    os._exit(0)  # what an engine does at exit is not what was asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--engines", default="eager,ours", help=f"some of {','.join(ENGINES)}")
    parser.add_argument("--json", type=Path, help="merge the figures into this file")
    parser.add_argument("--memory", action="store_true", help="peak memory instead of time")
    parser.add_argument("--starts", action="store_true", help="cold and warm starts instead")
    parser.add_argument("--third-step", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", help="run only the cases whose names contain one")
    arguments = parser.parse_args()
    if arguments.third_step:
        _third_step(*arguments.names, arguments.threads)
    engines = [e for e in arguments.engines.split(",") if e != "jax" or find_spec("jax")]
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"no such engine: {', '.join(sorted(unknown))}")
    chosen = [
        c for c in cases() if not arguments.names or any([n in c.name for n in arguments.names])
    ]
    if arguments.memory or arguments.starts:
        for case in chosen:
            if arguments.memory:
                figures: dict[str, Any] = {
                    "peak_megabytes": _peaks(case, engines, arguments.threads)
                }
            else:
                figures = _starts(case, engines, arguments.threads)
            if arguments.json:
                _merge(arguments.json, case.name, figures, arguments.threads)
        return
    context = multiprocessing.get_context("spawn")
    workers = {}
    for engine in engines:
        mine, theirs = context.Pipe()
        context.Process(
            target=_serve, args=(engine, arguments.threads, theirs), daemon=False
        ).start()
        workers[engine] = mine
    print(f"{arguments.threads} threads, medians of {arguments.rounds} rounds, in turn")
    heads = "".join([f"{e + ' µs':>13}" for e in engines])
    print(f"{'program':<30}{heads}   best of the others / ours")
    for case in chosen:
        figures = _compare(case, workers, arguments.rounds)
        if arguments.json and figures:
            _merge(arguments.json, case.name, figures, arguments.threads)
    for worker in workers.values():
        worker.close()


def _compare(case: Case, workers: dict[str, Any], rounds: int) -> dict[str, Any]:
    import numpy as np

    results, first, notes = {}, {}, []
    for engine, worker in workers.items():
        worker.send((case, None))
        value, seconds = worker.recv()
        if isinstance(value, Exception):
            if engine != "jax" or case.name in JAX_PROGRAMS:
                notes.append(f"{engine} cannot: {value}")
        else:
            results[engine], first[engine] = value, seconds
    reference = next((results[e] for e in OURS if e in results), None)
    if reference is None:
        print(f"{case.name:<30} {'; '.join(notes)}", flush=True)
        return {}
    for engine, value in results.items():
        if engine == "jax":
            continue  # its random weights are others
        difference = float(np.abs(value - reference).max()) if value.size else 0.0
        if difference > 1e-2 * max(1.0, float(np.abs(reference).max())):
            notes.append(f"{engine} differs by {difference:.1e}")
    times: dict[str, list[float]] = {engine: [] for engine in results}
    for _ in range(rounds):
        for engine in results:
            time.sleep(0.01)  # the other engine's threads go to sleep
            workers[engine].send((None, ROUND_SECONDS))
            times[engine].append(workers[engine].recv())
    medians = {e: statistics.median(t) * 1e6 for e, t in times.items()}
    others = [t for e, t in medians.items() if e not in OURS]
    ratios = [f"{min(others) / medians[e]:.2f} {e}" for e in OURS if e in medians and others]
    if "ours" in medians and "opencl" in medians:
        ratios.append(f"opencl at {medians['ours'] / medians['opencl']:.2f} of C")
    row = "".join([f"{medians[e]:>13.1f}" if e in medians else f"{'-':>13}" for e in workers])
    print(f"{case.name:<30}{row}   {', '.join(ratios)}  {'; '.join(notes)}", flush=True)
    return {"microseconds": medians, "first_seconds": first, "notes": notes}


def _merge(path: Path, name: str, figures: dict[str, Any], threads: int) -> None:
    """Put a program's figures into the file, keeping those of engines that did not run now."""
    known = json.loads(path.read_text()) if path.exists() else {"programs": {}}
    known["machine"] = _machine(threads)
    program = known["programs"].setdefault(name, {})
    for kind in KINDS:
        new = {k: float(f"{v:.4g}") for k, v in figures.get(kind, {}).items()}
        program.setdefault(kind, {}).update(new)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    temporary.replace(path)


def _machine(threads: int) -> dict[str, Any]:
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if "model name" in x), model)
    found = {}
    for package in ("torch", "jax", "numpy"):
        if find_spec(package):
            found[package] = metadata.version(package)
    return {"processor": model, "cores": os.cpu_count(), "threads": threads, "versions": found}


if __name__ == "__main__":
    main()
