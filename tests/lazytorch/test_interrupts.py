"""Ctrl-C at every place in the engine where Python may answer it: the program goes on.

Each statement runs once for each such place that it passes, is interrupted there, and then

* every tensor has the value of before the statement or that of after it; that of after it, where
  the interrupt came when all was recorded, while it was computed,
* memory that waits for reuse is counted as before,
* the next statement runs.

    python tests/lazytorch/test_interrupts.py --every

interrupts at every passing of each place, not at the first alone.
"""

from __future__ import annotations

import argparse
import dis
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest

import codegen
import lazytorch
from codegen.runtime import memory
from codegen.runtime.compiler import find_compiler
from lazytorch.realize import realize
from lazytorch.records import native

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.host,
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler"),
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="CPython's instructions"),
]

SETUP = """
a, b, c = [torch.linspace(i - 1.0, i + 0.5, 12, dtype=torch.float64).view(4, 3) for i in range(3)]
av, cv = a[1:], c[1:]
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4, False), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
model.double()
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

def loss_of_model():
    optimizer.zero_grad()
    return model(a).square().mean()

@torch.compile
def compiled():
    loss = loss_of_model()
    loss.backward()
    optimizer.step()
    return loss
"""
# Each memory is written once. Of the first, all is recorded before anything is computed.
STATEMENTS = {
    "step": "loss = loss_of_model(); loss.backward(); optimizer.step()",
    "step that looks at its loss":
        "loss = loss_of_model(); loss.item(); loss.backward(); optimizer.step()",
    "compiled step": "loss = compiled()",
    "writes": "av.add_(b[:3] * 2); b.mul_(1 + 0.1 * a); cv.copy_(b[1:].tanh()); c.tolist()",
}  # fmt: skip
_PACKAGES = tuple([os.path.dirname(str(m.__file__)) + os.sep for m in (codegen, lazytorch)])
# Python drops what is raised there, whatever a program does.
_DROPS = ("__del__",)
Place = tuple[CodeType, int]


def program(steps: int, statement: CodeType) -> dict[str, Any]:
    """What a program holds after some statements."""
    names: dict[str, Any] = {"torch": lazytorch, "nn": lazytorch.nn}
    exec(SETUP, names)
    realize([names[n]._storage.expression for n in "abc"])
    realize([p._storage.expression for p in names["model"].parameters()])
    for _ in range(steps):
        exec(statement, names)
    return names


def values(names: dict[str, Any]) -> dict[str, Any]:
    found = {n: names[n].tolist() for n in ("a", "av", "b", "c", "cv")}
    for i, p in enumerate(names["model"].parameters()):
        found[f"parameter {i}"] = p.detach().tolist()
        found[f"gradient {i}"] = None if p.grad is None else p.grad.tolist()
    for name, x in names["model"].named_buffers():
        found[name] = x.tolist()
    for i, state in names["optimizer"].state_dict()["state"].items():
        found |= {f"{name} {i}": x.tolist() for name, x in state.items()}
    return found


# ---- places --------------------------------------------------------------------------------------

_known_places: dict[CodeType, set[int]] = {}


def places_in(code: CodeType) -> set[int]:
    """Where CPython may answer a signal: at a function's beginning, behind calls, in loops."""
    found = _known_places.get(code)
    if found is None:
        found, before = set(), ""
        for instruction in dis.get_instructions(code):
            if before in ("RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX"):
                found.add(instruction.offset)
            before = instruction.opname
            if before == "JUMP_BACKWARD":
                found.add(instruction.argval)
        _known_places[code] = found
    return found


class Watch:
    """Is told of each place that is passed: of all of the engine, or of one function."""

    def __init__(self, passes: Callable[[Place], None], only: CodeType | None = None) -> None:
        self._passes, self._only = passes, only

    def run(self, statement: CodeType, names: dict[str, Any]) -> None:
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            exec(statement, names)
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if code is self._only or (
            self._only is None
            and code.co_filename.startswith(_PACKAGES)
            and code.co_name not in _DROPS
        ):
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            return self._step
        return None

    def _step(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode" and frame.f_lasti in places_in(frame.f_code):
            self._passes((frame.f_code, frame.f_lasti))
        return self._step


def passed(statement: CodeType, names: dict[str, Any]) -> dict[Place, int]:
    """The places that a statement passes, and how often."""
    counts: dict[Place, int] = {}

    def count(place: Place) -> None:
        counts[place] = counts.get(place, 0) + 1

    Watch(count).run(statement, names)
    return counts


def interrupt(
    statement: CodeType, names: dict[str, Any], place: Place, time: int
) -> KeyboardInterrupt | None:
    """Run a statement, with Ctrl-C where it passes a place for the ``time``-th time; what it
    raised, None where it does not pass it so often."""
    left = time

    def count(now: Place) -> None:
        nonlocal left
        if now == place:
            left -= 1
            if left == 0:
                signal.raise_signal(signal.SIGINT)

    try:
        Watch(count, place[0]).run(statement, names)
    except KeyboardInterrupt as error:
        return error
    assert left > 0, "Ctrl-C was lost"
    return None


def was_computing(error: KeyboardInterrupt) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is realize.__code__:
            return True
        trace = trace.tb_next
    return False


# ---- the test ------------------------------------------------------------------------------------


def same(found: Any, wanted: Any) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return np.shape(found) == np.shape(wanted) and np.allclose(found, wanted, 1e-9, 1e-12)


def interrupt_everywhere(name: str, steps: int, every: bool = False) -> int:
    """Interrupt a statement that follows ``steps`` of its kind; how often."""
    statement = compile(STATEMENTS[name], "statement", "exec")
    for _ in range(3):  # every plan is made
        program(steps + 2, statement)
    before, after, following = [values(program(steps + n, statement)) for n in range(3)]
    places = passed(statement, program(steps, statement))
    times = [(p, i) for p, n in places.items() for i in (range(1, n + 1) if every else (1,))]
    for place, time in times:
        names = program(steps, statement)
        error = interrupt(statement, names, place, time)
        if error is None:
            continue
        line = next(n for first, end, n in place[0].co_lines() if first <= place[1] < end)
        where = f"{place[0].co_filename}:{line}, {place[0].co_name}, passing {time}"
        waiting = sum([size * len(blocks) for size, blocks in memory._free.items()])
        assert memory._waiting == waiting, where
        recorded = name == "step" and was_computing(error)
        del error
        # As in PyTorch, a switch stays where Ctrl-C comes between its context and the block.
        assert lazytorch.is_grad_enabled() or place[0].co_name in ("__enter__", "__exit__"), where
        lazytorch.set_grad_enabled(True)
        found = values(names)
        for what, value in found.items():
            may_be = [after] if recorded else [after, before]
            if not recorded and (what not in before or what.startswith("gradient")):
                continue  # a first state, or a gradient that was forgotten for the next
            assert any([same(value, state[what]) for state in may_be]), f"{what}: {where}"
        exec(statement, names)
        found = values(names)
        if recorded:
            wrong = [what for what, value in following.items() if not same(found[what], value)]
            assert not wrong, f"{wrong} after the next: {where}"
    return len(times)


@pytest.fixture(autouse=True)
def _ctrl_c_interrupts() -> Iterator[None]:
    """Also in a process that was started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("records", "name", "steps"),
    [
        ("Python", "step", 0),
        ("C", "step that looks at its loss", 2),
        ("C", "writes", 1),
        ("Python", "compiled step", 5),
        ("C", "compiled step", 5),
    ],
)
def test_ctrl_c_anywhere(records: str, name: str, steps: int) -> None:
    loaded = native.plain is not None
    if records == "C" and not native.load():
        pytest.skip("records.c cannot be loaded")
    if records == "Python":
        native.unload()
    try:
        assert interrupt_everywhere(name, steps) > (20 if name == "compiled step" else 100)
    finally:
        (native.load if loaded else native.unload)()


def main() -> int:
    parser = argparse.ArgumentParser(description="Ctrl-C at every place in the engine.")
    parser.add_argument("--every", action="store_true", help="at every passing of each")
    every = parser.parse_args().every
    for records in (native.unload, native.load):
        records()
        for name in STATEMENTS:
            for steps in (0, 1, 2):
                print(f"{name}, after {steps}: {interrupt_everywhere(name, steps, every)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
