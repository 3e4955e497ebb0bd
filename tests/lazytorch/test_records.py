"""records.c and its twins in Python: what one makes and finds, the other does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from test_programs import differences, made

import lazytorch as torch
from codegen.runtime.memory import memory_allocated, release_cached
from lazytorch import recording, records, storage
from lazytorch.autograd.known_walks import KnownWalk
from lazytorch.expression import all_functions
from lazytorch.known_traces import KnownTrace
from lazytorch.records import native
from lazytorch.storage import born, held, pending_writes
from lazytorch.trace import MOST_LOOKED_AT, loses
from lazytorch.view_history import views

realize: Any = sys.modules["lazytorch.realize"]  # the function has its name

pytestmark = [
    pytest.mark.pytorch,
    pytest.mark.skipif(not native.load(), reason="needs CPython and a C compiler"),
]


@pytest.fixture
def python_alone() -> Iterator[None]:
    native.unload()
    yield
    native.load()


def slots_of(e: Any) -> dict[str, Any]:
    """What an expression and its call say of themselves; objects by what they are to each other."""
    call = e.call
    owner = None if e.owner is None else e.owner()
    return {
        "type": e.type, "device": e.device, "number": e.number, "value": e.value, "leaf": e.leaf,
        "hooks": e.hooks, "tracked": e.tracked, "depth": e.depth,
        "owner": owner is not None and (owner.expression is e, owner.version, owner.regions,
                                        owner.layout, owner in [r() for r in born]),
        "call": (call.signature, call.inputs, call.tracked, call.has_gradient, call.freed,
                 call.place, call.readers, hasattr(call, "sequence")),
        "outputs": [output() is e for output in call.outputs],
    }  # fmt: skip


def inputs() -> dict[str, Any]:
    leaf = torch.ones(2, 3, requires_grad=True)
    shared, turned = torch.zeros(2, 3), torch.ones(3, 2)
    shared.numpy()
    return {
        "leaf": leaf, "plain": torch.ones(2, 3), "pending": torch.ones(2, 3) + 1,
        "tracked": leaf * 2, "parameter": torch.nn.Parameter(torch.ones(2, 3)),
        "detached": leaf.detach(), "view": turned.t(), "tracked view": (leaf * 1)[:, :],
        "shared": shared, "gradient": torch.autograd.grad((leaf**2).sum(), leaf)[0],
        "of another type": torch.ones(2, 3, dtype=torch.float64), "number": 2.5, "integer": 3,
    }  # fmt: skip


PAIRS = [(a, b) for a in inputs() for b in inputs() if "number" not in a and "integer" not in a]


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("recording_is_on", [True, False])
def test_calls_are_recorded_alike(
    first: str, second: str, recording_is_on: bool, python_alone: None
) -> None:
    tensors = inputs()
    x, y = tensors[first], tensors[second]

    def results() -> list[Any]:
        with torch.set_grad_enabled(recording_is_on):
            return [x + y, torch.sub(x, y), *torch.max(x, 1), torch.relu(x)]

    for _ in range(70):  # the first calls of a signature note the user's line
        in_python = results()
    native.load()
    in_c = results()
    pairs = list(zip(in_python, in_c, strict=True))
    for one, other in pairs:
        mine, theirs = [slots_of(t._storage.expression) for t in (one, other)]
        for fact, same in zip(mine.pop("call"), theirs.pop("call"), strict=True):
            if isinstance(fact, tuple) and fact and hasattr(fact[0], "tracked"):
                # A number is an expression of its own each time.
                assert [(e.type, e.tracked) for e in fact] == [(e.type, e.tracked) for e in same]
            else:
                assert fact == same
        assert mine == theirs
    for one, other in pairs:
        assert one.tolist() == other.tolist()


def test_what_is_not_usual_is_left_to_python() -> None:
    plain = native.plain
    assert plain is not None
    function = next(f for f in all_functions() if f.name == "add")
    x = torch.ones(2, 3)
    for inputs_ in ((x.t(), x.t()), (x, object()), (x, True), [x] * 1001, "xy", (x, None)):
        assert plain(function, inputs_, (), True) is None
    assert plain(function, (torch.ones(7, 11, 1, 3), torch.ones(1, 11, 5, 1)), (), True) is None


def test_records_are_in_c_again_after_inference_mode_and_hooks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, answers = native.plain, []

    def noted(*arguments: Any) -> Any:
        answers.append(plain(*arguments))  # type: ignore[misc]
        return answers[-1]

    monkeypatch.setattr(native, "plain", noted)
    leaf = torch.ones(3, requires_grad=True)
    with torch.inference_mode():
        x = torch.ones(3)
        x + 1
        with torch.inference_mode(False):
            leaf * leaf
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        leaf * leaf
    assert not answers
    for _ in range(70):  # the first calls of a signature note the user's line
        leaf * leaf
    assert answers[-1] is not None
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved"):
        leaf * x
    assert answers[-1] is None
    assert (x + 1).tolist() == [2, 2, 2] and not (x + 1).is_inference()
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        x += 1


TARGETS = {
    "plain": lambda: torch.ones(2, 3),
    "leaf": lambda: torch.ones(2, 3, requires_grad=True),
    "parameter": lambda: torch.nn.Parameter(torch.ones(2, 3)),
    "pending": lambda: torch.ones(2, 3) + 1,
    "tracked": lambda: torch.ones(2, 3, requires_grad=True) * 2,
    "detached": lambda: (torch.ones(2, 3, requires_grad=True) * 2).detach(),
    "silent": lambda: torch.ones(2, 3).data,
    "view": lambda: torch.ones(3, 2).t(),
    "of another type": lambda: torch.ones(2, 3, dtype=torch.int64),
    "of another shape": lambda: torch.ones(1, 3),
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("recording_is_on", [True, False])
def test_writes_are_recorded_alike(kind: str, recording_is_on: bool, python_alone: None) -> None:
    """In-place operators and ``zero_``, which in C take one function."""

    def written() -> list[Any]:
        target, other = TARGETS[kind](), torch.full((2, 3), 3.0)
        versions, said = [], ""
        with torch.set_grad_enabled(recording_is_on):
            try:
                target += 0.5 * other
                versions.append(target._version)
                target *= target
                target -= other
                versions.append(target._version)
                pending = [r() is target._storage for r, _ in pending_writes.values()]
                kept = [len(before) for r, before in pending_writes.values()
                        if r() is target._storage]  # fmt: skip
                versions += [pending[-1:], kept]
                target /= 2
            except RuntimeError as error:
                said = str(error)
            if kind not in ("leaf", "parameter") or not recording_is_on:
                held = torch.ones(4)
                held += target.sum()
                target.zero_()
                versions.append(held.tolist())
        return [versions, said, target.requires_grad, target.is_leaf, target.tolist()]

    for _ in range(70):  # the first calls of a signature note the user's line
        in_python = written()
    native.load()
    assert written() == in_python


def test_writes_that_no_gradient_flows_through_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while gradients are recorded; where one might flow, or PyTorch refuses, they are not."""
    written: list[bool] = []
    write = native.write_over
    assert write is not None

    def counted(*arguments: Any) -> Any:
        written.append(write(*arguments) is not None)
        return True if written[-1] else None

    monkeypatch.setattr(native, "write_over", counted)
    leaf, total, rate = torch.ones(3, requires_grad=True), torch.zeros(3), torch.ones(3)
    for _ in range(70):  # the first calls of a signature note the user's line
        total += rate
    assert written[-1]
    written.clear()
    assert (total.tolist(), total._version) == ([70.0] * 3, 70)
    total += leaf
    total += rate
    assert total.requires_grad
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        leaf += 1.0
    first = torch.zeros(4).chunk(2)[0]
    first += 1.0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rate += 1.0
    assert not any(written)


def test_what_is_pending_and_held_is_found_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    names = "pending", "held", "free_leaves"
    in_c = {name: getattr(native, name) for name in names}
    asked = dict.fromkeys(names, 0)

    def pending(roots: Any) -> Any:
        found = in_c["pending"](roots)
        monkeypatch.setattr(native, "pending", None)
        assert found == realize.pending_with(roots)
        monkeypatch.setattr(native, "pending", pending)
        asked["pending"] += len(found) > 0
        return found

    def find_held() -> Any:
        before = held.copy(), born.copy()
        found = in_c["held"]()
        after = held.copy(), born.copy()
        held[:], born[:] = before
        assert found == [s.expression for s in storage.held_storages()]
        assert after == (held, born)
        asked["held"] += len(found) > 0
        return found

    def free_leaves(*arguments: Any) -> Any:
        found = in_c["free_leaves"](*arguments)
        asked["free_leaves"] += bool(found)
        return found

    for name, function in zip(names, (pending, find_held, free_leaves), strict=True):
        monkeypatch.setattr(native, name, function)
    monkeypatch.setattr(native, "compute", None)  # it asks nobody
    monkeypatch.setattr(realize, "unsettled_values", list)  # those of tests before
    model = torch.nn.Linear(6, 5)
    optimizer = torch.optim.Adam(model.parameters())
    x = torch.rand(4, 6)
    kept = None
    for step in range(20):
        loss = (model(x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        kept = loss * 2 if step % 7 else kept
    assert min(asked.values()) > 5


def test_the_same_leaves_are_free_for_reuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "compute", None)

    def numbers() -> list[list[int]]:
        found = []
        plain = realize._free_leaves
        monkeypatch.setattr(
            realize, "_free_leaves", lambda *given: found.append(plain(*given)) or found[-1]
        )
        weight = torch.ones(300, 200, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
        kept = []
        for step in range(12):
            loss = (weight * 2).sum()
            optimizer.zero_grad()
            loss.backward(retain_graph=step == 7)
            if step % 3 == 1:
                kept.append(optimizer.state[weight]["momentum_buffer"].detach().clone())
            if step == 5:
                kept.append(weight.detach() * 2)
            optimizer.step()
        monkeypatch.setattr(realize, "_free_leaves", plain)
        return found

    numbers()  # the first steps find no plans yet
    in_c = numbers()
    monkeypatch.setattr(native, "free_leaves", None)
    assert numbers() == in_c
    assert any(in_c)


def same_graphs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have both twins asked of each graph from now on, and compared; how often either said yes."""
    found = [0, 0]
    c = native.known_trace, native.known_walk, native.loses_any
    assert c[0] is not None and c[1] is not None and c[2] is not None
    traces: dict[int, KnownTrace] = {}
    walks: dict[int, KnownWalk] = {}
    recognise, recognise_walk = KnownTrace.recognise, KnownWalk.recognise

    def known_trace(facts: Any, roots: Any) -> Any:
        answers = c[0](facts, roots), traces[id(facts)]._compare(roots)  # type: ignore[misc]
        assert answers[0] == answers[1] or list(answers[0]) == list(answers[1])
        found[0] += answers[0] is not None
        return answers[0]

    def known_walk(facts: Any, roots: Any) -> Any:
        answers = c[1](facts, roots), walks[id(facts)]._compare(*roots)  # type: ignore[misc]
        assert answers[0] == answers[1]
        found[1] += answers[0] is not None
        return answers[0]

    def loses_any(held: Any, values: Any, wanted: Any, has_gradient: bool) -> bool:
        known, kept = set(values), set(wanted)
        rest = [e for e in held if e not in known]
        answer = any([loses(e, known, kept, has_gradient) for e in rest])
        assert c[2](held, values, wanted, has_gradient) is answer  # type: ignore[misc]
        return answer

    def remembered(self: KnownTrace, roots: Any) -> Any:
        traces[id(self.facts)] = self
        return recognise(self, roots)

    def remembered_walk(self: KnownWalk, root: Any) -> Any:
        walks[id(self.facts)] = self
        return recognise_walk(self, root)

    monkeypatch.setattr(native, "compute", None)  # it asks nobody
    monkeypatch.setattr(realize, "unsettled_values", list)  # those of tests before
    monkeypatch.setattr(KnownTrace, "recognise", remembered)
    monkeypatch.setattr(KnownWalk, "recognise", remembered_walk)
    for name, function in (
        ("known_trace", known_trace), ("known_walk", known_walk), ("loses_any", loses_any)
    ):  # fmt: skip
        monkeypatch.setattr(native, name, function)
    return found


def training(steps: int, answers: list[Any]) -> list[Any]:
    """What steps of a loop come to, in which now and then something is held, read or kept; the
    memory in use after each is part of it. ``answers`` gets what ``compute`` of runs.c gave."""
    compute = native.compute

    def noted(*arguments: Any) -> Any:
        answers.append(compute(*arguments))  # type: ignore[misc]
        return answers[-1]

    if compute is not None:
        native.compute = noted
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(60, 50), torch.nn.Tanh(), torch.nn.Linear(50, 2))
    optimizer = torch.optim.Adam(model.parameters())
    x, before = torch.rand(4, 60), memory_allocated()
    seen: list[Any] = []
    kept: list[Any] = []
    for step in range(steps):
        loss = (model(x * 2 if step % 9 == 8 else x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward(retain_graph=step % 9 == 5)
        if step % 9 == 2:
            kept.append(model[0].weight.detach())  # which sees what is written
        if step % 9 == 3:
            kept.append(model[0].weight.detach().clone())
        if step % 9 == 4:
            kept.append(loss * 2)
        if step % 9 == 5:
            loss.backward()
        if step % 9 == 6:
            release_cached()
        if step % 9 == 0:
            x = torch.rand(4, 60) if step % 2 else torch.rand(60, 4).t()
        if step == 40:
            optimizer.param_groups[0]["lr"] = 0.1
        optimizer.step()
        seen.append(memory_allocated() - before)
        if step % 9 == 7:
            seen.append(loss.item())
    native.compute = compute
    return [seen, [t.tolist() for t in [*model.parameters(), *kept]]]


def test_traces_are_computed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realize, "unsettled_values", list)  # those of tests before
    answers: list[Any] = []
    training(60, [])  # the plans are made
    in_c = training(60, answers)
    # Done; not the known one; and memory is to be made.
    assert sum(type(a) is list for a in answers) > 15
    assert {type(a) for a in answers} >= {list, bool, tuple}
    monkeypatch.setattr(native, "compute", None)
    assert training(60, []) == in_c


def trained(is_compiled: bool, interrupted: int) -> list[Any]:
    """A weight and its momentum after nine steps, the last of which a signal interrupts while their
    kernels run."""
    torch.manual_seed(0)
    weight = torch.rand(1 << 22).requires_grad_()  # of which a step takes some 30 ms
    optimizer = torch.optim.SGD([weight], lr=1e-3, momentum=0.9)

    def step() -> None:
        # The memory of its arena is freed by calling Python, which must not lose the signal.
        y = weight.sin().exp().atan().softmax(0).square().sum()
        optimizer.zero_grad()
        y.backward()
        optimizer.step()

    run = torch.compile(step) if is_compiled else step
    for _ in range(9 - interrupted):
        run()
    for _ in range(interrupted):
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(KeyboardInterrupt):
            run()
    return [weight, optimizer.state[weight]["momentum_buffer"]]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that send signals")
@pytest.mark.parametrize("is_compiled", [False, True])
def test_a_signal_while_kernels_run_is_answered_when_they_are_done(is_compiled: bool) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        found = zip(trained(is_compiled, 4), trained(is_compiled, 0), strict=True)
        assert all([torch.equal(a, b) for a, b in found])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_random_programs_are_recognised_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    same_graphs(monkeypatch)
    for seed in range(4000, 4040):
        assert not list(differences(made(seed)))


def test_steps_of_loops_are_recognised_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "watched", False)  # else walks are not recognised
    found = same_graphs(monkeypatch)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    optimizer = torch.optim.Adam(model.parameters())
    x, by_hand = torch.rand(4, 6), torch.ones(6, 6, requires_grad=True)
    kept = []
    for step in range(30):
        loss = (model(x @ by_hand) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            by_hand -= 0.1 * by_hand.grad
            by_hand.grad.zero_()
        if step % 7 == 0:
            kept.append(loss * 2)
    assert found[0] > 10 and found[1] > 10


def test_programs_in_python_alone(python_alone: None) -> None:
    for seed in range(5000, 5040):
        assert not list(differences(made(seed)))


def test_it_is_loaded_when_steps_repeat_and_can_be_forbidden() -> None:
    program = """
    import lazytorch as torch
    from lazytorch.records import native
    w = torch.ones(3, requires_grad=True)
    for step in range(40):
        (w * 2).sum().backward()
        w.grad.tolist()
        w.grad = None
        if step == 3: assert native.plain is None
    print(native.plain is not None)
    """
    for setting, expected in (("", "True"), ("0", "False")):
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True,
            env={**os.environ, "LAZYTORCH_RECORDS": setting}, check=True,
        )  # fmt: skip
        assert ran.stdout.strip() == expected


def test_where_it_cannot_be_loaded_python_goes_on(
    monkeypatch: pytest.MonkeyPatch, python_alone: None
) -> None:
    def refused() -> Any:
        raise NotImplementedError("another Python")

    monkeypatch.setattr(records, "_loaded", refused)
    assert not native.load()
    assert (torch.ones(2) + 1).tolist() == [2, 2]


def test_limits_are_those_of_python() -> None:
    source = records.source_in_c()
    for name in ("MAXIMUM_DEPTH", "MAXIMUM_TURNS", "SMALL"):
        assert re.search(rf"\b{name} = {getattr(recording, name)}\b", source)
    assert f"MOST_LOOKED_AT = {MOST_LOOKED_AT} " in source


@pytest.mark.usefixtures("python_alone")
def test_steps_that_read_their_loss_before_backward_load_it() -> None:
    native._repeats = 0
    x = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=0.1)
    for _ in range(30):
        loss = x.exp().sin().sum()  # whose gradient reads what is saved
        loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert native.plain is not None
