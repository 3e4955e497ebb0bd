"""After a failure, whatever it is: everything has PyTorch's values, and the program goes on.

Under lazytorch some statements of a program fail, by one of several causes, there or later, and the
program goes on. Under PyTorch the statements that fail are left out, and those that read what was
to be made of it before the failure came. Every tensor that was written, every parameter, every
state of the optimizer must agree, what was made of what failed must raise again when it is read,
and all memory must come back.

    python tests/lazytorch/test_failures.py --programs 1000 --seed 7

runs that many, and says which differ.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import os
import random
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

import lazytorch  # noqa: E402
from codegen.errors import CompileError, HostCallError  # noqa: E402
from codegen.ops import lapack  # noqa: E402
from codegen.runtime import compiler, kernels, memory, plan  # noqa: E402
from codegen.runtime.compiler import find_compiler  # noqa: E402
from codegen.runtime.cpu import Program  # noqa: E402
from lazytorch.inspect import CheckError  # noqa: E402

pytestmark = [
    pytest.mark.pytorch,
    pytest.mark.compiler,
    pytest.mark.host,
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler"),
]

PROGRAMS = 4  # of each cause
_POOL = ("a", "b", "c")  # with views of all but their first element: av, …


# ---- programs ----------------------------------------------------------------------------------


@dataclass
class Statement:
    """One line; the names it reads, what it writes in place or makes, and whether it fails."""

    text: str
    reads: list[str] = field(default_factory=list)
    writes: str = ""
    makes: str = ""
    fails: bool = False
    trains: bool = False


def program(seed: int, fails: bool) -> list[Statement]:
    rng, statements = random.Random(seed), []
    for _ in range(rng.randint(3, 5)):
        for _ in range(rng.randint(1, 5)):
            statements.append(statement(rng, fails and rng.random() < 0.25))
        if rng.random() < 0.5:
            bad = fails and rng.random() < 0.4
            more = "fail(x[0])" if bad else ""
            statements.append(Statement(f"train({more})", fails=bad, trains=True))
        statements.append(Statement(f"{rng.choice(_POOL)}.tolist()"))
    return statements


def statement(rng: random.Random, fails: bool) -> Statement:
    base, other = rng.choice(_POOL), rng.choice(_POOL)
    fresh = rng.choice(["t", "u"])
    kind = rng.choice(["fresh", "add", "mul", "copy", "part", "fill", "of fresh"])
    read = fresh if kind == "of fresh" else other
    value = f"fail({read})" if fails else f"{read}.tanh()"
    if kind == "fresh":
        text = f"{fresh} = {value} + 0.5 * {base}"
        return Statement(text, [read, base], makes=fresh, fails=fails)
    if kind == "fill":
        return Statement(f"{base}.fill_(0.75)", writes=base)
    if kind == "copy":
        return Statement(f"{base}.copy_({value} * 0.5)", [read], base, fails=fails)
    if kind == "part":
        return Statement(f"{base}v.add_({value}[:2])", [read, base], base, fails=fails)
    if kind == "mul":
        return Statement(f"{base}.mul_(1 + 0.1 * {value})", [read, base], base, fails=fails)
    return Statement(f"{base}.add_({value})", [read, base], base, fails=fails)


SETUP = """
a, b, c, t, u = [torch.tensor(v, dtype=torch.float64) for v in values]
av, bv, cv = a[1:], b[1:], c[1:]
x = torch.tensor(examples, dtype=torch.float64)
model = nn.Sequential(nn.Linear(3, 4, False), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
model.double()
with torch.no_grad():
    for i, p in enumerate(model.parameters()):
        p.copy_(torch.linspace(-0.5, 0.5 + i, p.numel()).view(p.shape))
optimizer = make_optimizer(model.parameters())

def forward():
    optimizer.zero_grad()
    return model(x).square().mean()

def train(more=None):
    loss = forward()
    if more is not None:
        loss = loss + more.sum()
    loss.backward()
    optimizer.step()
"""


def namespace(library: Any, seed: int) -> dict[str, Any]:
    numbers = np.random.RandomState(seed)
    names = {
        "torch": library,
        "nn": library.nn,
        "values": numbers.randn(5, 3).tolist(),
        "examples": numbers.randn(5, 3).tolist(),
        "make_optimizer": (
            lambda p: (
                library.optim.Adam(p, lr=0.1)
                if seed % 2
                else library.optim.SGD(p, lr=0.1, momentum=0.9)
            )
        ),
    }
    exec(SETUP, names)
    return names


class Expected:
    """The program under PyTorch, told of each statement whether it raised under lazytorch.

    missing    the names of what was made of what failed.
    unwritten  of what it was to be written to, until the failure comes.
    """

    def __init__(self, seed: int) -> None:
        self.names = namespace(torch, seed)
        self.missing: set[str] = set()
        self.unwritten: set[str] = set()

    def run(self, s: Statement, raised: bool) -> None:
        gone = self.missing | self.unwritten
        fails = s.fails or not gone.isdisjoint(s.reads)
        if s.trains and fails:
            exec("forward()", self.names)
        elif s.trains or not (fails or raised):
            exec(s.text, self.names)
            self.missing.discard(s.makes)
            self.unwritten.discard(s.writes)
        elif s.makes:
            self.missing.add(s.makes)
        else:
            self.unwritten.add(s.writes)
        if raised:
            self.unwritten.clear()


# ---- causes ------------------------------------------------------------------------------------


@dataclass
class Cause:
    """A way to fail: the error, the tensor operation that fails, and what makes it do so."""

    error: type[BaseException]
    fail: Callable[[Any], Any]
    planted: Callable[[random.Random], contextlib.AbstractContextManager[Any]]


def checked(rng: random.Random) -> Any:
    return lazytorch.check()


@contextlib.contextmanager
def replaced(place: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


@contextlib.contextmanager
def failing_routine(rng: random.Random) -> Iterator[None]:
    def refuse(*_: Any) -> Any:
        raise np.linalg.LinAlgError("did not converge")

    before = lapack.ROUTINES["eigh"]
    lapack.ROUTINES["eigh"] = type(before)(before.shapes, refuse)
    try:
        yield
    finally:
        lapack.ROUTINES["eigh"] = before


def refused_kernels(rng: random.Random) -> Any:
    load = plan.load_kernels

    def refuse(sources: Any) -> Any:
        wrong = [i for i, source in enumerate(sources) if "lt_cosh" in source.body]
        if wrong:
            error = CompileError("a planted refusal")
            error.kernels = tuple([sources[i].name for i in wrong])
            error.numbers = tuple(wrong)
            raise error
        return load(sources)

    return replaced(plan, "load_kernels", refuse)


armed: list[str] = []  # the statement that may be interrupted now


@contextlib.contextmanager
def interrupted(rng: random.Random) -> Iterator[None]:
    """Ctrl-C after some kernels have run, and while some are compiled."""
    run, load = Program.run, plan.load_kernels

    def run_interrupted(self: Program, table: Any) -> None:
        run(self, table)
        if armed and rng.random() < 0.5:
            signal.raise_signal(signal.SIGINT)

    def load_interrupted(sources: Any) -> Any:
        if armed and rng.random() < 0.3:
            raise KeyboardInterrupt
        return load(sources)

    with (
        replaced(Program, "run", run_interrupted),
        replaced(plan, "load_kernels", load_interrupted),
    ):
        yield


CAUSES = {
    "check": Cause(CheckError, lambda x: (x - x) / (x - x), checked),
    "memory": Cause(
        lazytorch.OutOfMemoryError,
        lambda x: (x.sum() + lazytorch.ones(1 << 24, 1) + lazytorch.ones(1, 1 << 27)).cumsum(1)[
            0, :3
        ],
        lambda rng: contextlib.nullcontext(),
    ),
    "routine": Cause(
        HostCallError, lambda x: lazytorch.linalg.eigh(x.outer(x))[0], failing_routine
    ),
    "compiler": Cause(CompileError, lambda x: x.cosh(), refused_kernels),
    "interrupt": Cause(KeyboardInterrupt, lambda x: x, interrupted),
}


# ---- running -----------------------------------------------------------------------------------


def run_program(name: str, seed: int) -> None:
    gc.collect()
    before = memory.memory_allocated()
    in_thread = name != "interrupt" and seed % 3 == 0
    if in_thread:
        errors: list[BaseException] = []

        def work() -> None:
            try:
                compare(name, seed)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
    else:
        compare(name, seed)
    gc.collect()
    left = memory.memory_allocated() - before
    assert left == 0, f"{left} bytes are still in use"


def compare(name: str, seed: int) -> None:
    cause, rng = CAUSES[name], random.Random(seed)
    expected, found = Expected(seed), namespace(lazytorch, seed)
    found["fail"] = cause.fail
    lazytorch.realize(*[found[n] for n in ("a", "b", "c", "t", "u", "x")])
    lazytorch.realize(*found["model"].parameters())
    kept: list[BaseException] = []  # who holds an error holds no memory by it
    with cause.planted(rng):
        for s in program(seed, fails=name != "interrupt"):
            armed[:] = [s.text] if s.trains or s.text.endswith("tolist()") else []
            raised = False
            try:
                exec(s.text, found)
            except cause.error as error:
                raised = True
                kept.append(error)
            armed.clear()
            expected.run(s, raised)
            if not expected.unwritten and rng.random() < 0.2:
                agree(expected, found)
        for missing in expected.missing:
            with pytest.raises(cause.error):
                found[missing].tolist()
        agree(expected, found)


def agree(expected: Expected, found: dict[str, Any]) -> None:
    names = expected.names
    for name in ("a", "av", "b", "bv", "c", "cv", "t", "u"):
        if name not in expected.missing:
            same(found[name], names[name], name)
    for (name, p), q in zip(
        names["model"].named_parameters(), found["model"].parameters(), strict=True
    ):
        same(q, p, name)
        assert (p.grad is None) == (q.grad is None), f"{name}.grad is {q.grad}, not {p.grad}"
        if p.grad is not None:
            same(q.grad, p.grad, f"{name}.grad")
    for (name, p), q in zip(names["model"].named_buffers(), found["model"].buffers(), strict=True):
        same(q, p, name)
    wanted, given = [n["optimizer"].state_dict()["state"] for n in (names, found)]
    assert wanted.keys() == given.keys(), f"state of {list(given)}, not of {list(wanted)}"
    for number, state in wanted.items():
        for name, value in state.items():
            same(given[number][name], value, f"state {number} {name}")


def same(found: Any, wanted: Any, name: str) -> None:
    np.testing.assert_allclose(
        found.detach().numpy(), wanted.detach().numpy(), 1e-6, 1e-8, err_msg=name
    )


@pytest.fixture(autouse=True)
def _ctrl_c_interrupts() -> Iterator[None]:
    """Also in a process that was started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("seed", range(PROGRAMS))
@pytest.mark.parametrize("cause", CAUSES)
def test_programs_go_on_after_failures(cause: str, seed: int) -> None:
    run_program(cause, seed)


# ---- the system fails ---------------------------------------------------------------------------


def with_command(*command: str) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        found = replace(compiler.required_compiler(), command=command)
        patch.setattr(compiler, "required_compiler", lambda: found)

    return plant


def full_disk(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(kernels, "_keep", refuse)
    patch.setattr(kernels.cache, "fall_back", lambda reason: False)


def interrupted_compiler(patch: pytest.MonkeyPatch) -> None:
    with_command("sh", "-c", "kill -INT $PPID; sleep 60")(patch)
    # One compiler: what a second one sends might come at any time after the first was seen.
    patch.setattr(compiler.settings, "num_threads", lambda: 1)


SYSTEM: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], type[BaseException], str]] = {
    "no compiler": (with_command("/no/compiler"), CompileError, "cannot be started any more"),
    "killed": (with_command("sh", "-c", "kill -9 $$"), CompileError, "was killed before"),
    "full disk": (full_disk, CompileError, "No space left on device"),
    "Ctrl-C": (interrupted_compiler, KeyboardInterrupt, ""),
}


@pytest.mark.parametrize("case", SYSTEM)
def test_a_step_is_repeated_once_the_system_is_well_again(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, kind, words = SYSTEM[case]
    expected, found = namespace(torch, 1), namespace(lazytorch, 1)
    lazytorch.realize(found["x"], *found["model"].parameters())
    with monkeypatch.context() as patch:
        # Nothing is known of what is to be compiled.
        patch.setattr(sys.modules["lazytorch.realize"], "find_plan", lambda description: None)
        patch.setattr(sys.modules["lazytorch.realize"], "_plans", {})
        patch.setattr(sys.modules["lazytorch.realize"], "_known", {})
        patch.setattr(kernels, "_addresses", {})
        patch.setattr(kernels, "_load_cached_kernel", lambda key: False)
        plant(patch)
        with pytest.raises(kind, match=words or None):
            found["train"]()
    if kind is not KeyboardInterrupt:  # after which the step is still to be computed
        found["train"]()
    expected["train"]()
    for p, q in zip(expected["model"].parameters(), found["model"].parameters(), strict=True):
        same(q, p, case)
    state = found["optimizer"].state_dict()["state"]
    assert [s["step"].item() for s in state.values()] == [1.0] * len(state)


USERS = """
class Failing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        refuse(gradient)
        return gradient * 2

def refuse(gradient):
    if failing:
        raise ValueError("no gradient today")

failing = True
if kind == "hook":
    model[3].weight.register_hook(refuse)
elif kind == "inner hook":
    model[2].register_full_backward_hook(lambda module, given, taken: refuse(taken))
a.requires_grad_()
more = Failing.apply(a) if kind == "backward" else None
try:
    train(more)
    raised = ""
except ValueError as error:
    raised = str(error)
failing = False
train(Failing.apply(a) if kind == "backward" else None)
"""


@pytest.mark.parametrize("kind", ["hook", "inner hook", "backward"])
def test_what_users_raise_in_backward_leaves_a_step_undone(kind: str) -> None:
    expected, found = namespace(torch, 1), namespace(lazytorch, 1)
    for names in (expected, found):
        names["kind"] = kind
        exec(USERS, names)
        assert names["raised"] == "no gradient today"
    for (name, p), q in zip(
        expected["model"].named_parameters(), found["model"].parameters(), strict=True
    ):
        same(q, p, name)


def main() -> int:
    parser = argparse.ArgumentParser(description="Random programs in which something fails.")
    parser.add_argument("--programs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cause", choices=list(CAUSES), action="append")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    differ = 0
    for seed in range(given.seed, given.seed + given.programs):
        for cause in given.cause or CAUSES:
            try:
                run_program(cause, seed)
            except BaseException as error:
                differ += 1
                print(f"{cause} {seed}: {str(error)[:300]}")
                if given.programs == 1:
                    for s in program(seed, cause != "interrupt"):
                        print(f"    {s.text}")
                    traceback.print_exc()
    print(f"{differ} of {given.programs * len(given.cause or CAUSES)} programs differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
