"""Replays computed where their results are to be: nobody who knew of what was there sees it."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazytorch as torch
from codegen.runtime.memory import Buffer
from lazytorch import nn
from lazytorch.one_call import OneCall
from lazytorch.records import native

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(not native.load(), reason="needs CPython and a C compiler"),
]

CALLS = 10


@pytest.fixture(autouse=True)
def _in_c() -> None:
    native.load()  # another test may have gone on in Python


def set_attribute(gradient: Any, kept: list[Any]) -> None:
    gradient.note = len(kept)


def write(gradient: Any, kept: list[Any]) -> None:
    gradient.mul_(2)
    kept.append(gradient._version)


def write_and_compute(gradient: Any, kept: list[Any]) -> None:
    gradient.mul_(2)
    kept.append(gradient.tolist())


def require_grad(gradient: Any, kept: list[Any]) -> None:
    gradient.requires_grad_()


def forget(gradient: Any, kept: list[Any]) -> None:
    pass


# What a user may do with a gradient that the next call replaces.
KNOWN: dict[str, Callable[[Any, list[Any]], Any]] = {
    "nothing": forget,
    "held": lambda g, kept: kept.append(g),
    "alias held": lambda g, kept: kept.append(g.detach()),
    "view held": lambda g, kept: kept.append(g[0]),
    "copy pending": lambda g, kept: kept.append(g * 2),
    "array held": lambda g, kept: kept.append(g.numpy()),
    "weakly held": lambda g, kept: kept.append(weakref.ref(g)),
    "attribute": set_attribute,
    "written": write,
    "written and computed": write_and_compute,
    "requires grad": require_grad,
    "storage shared": lambda g, kept: kept.append(g.untyped_storage()),
}


def is_one_call(function: Any) -> bool:
    """Whether a compiled function's calls are replayed, in C."""
    (case,) = function._cases.values()
    return function.obstacle is None and type(case.replay.one_call) is OneCall


def training(compiler: Any, look: Callable[[Any, list[Any]], Any], which: str) -> list[Any]:
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    x = torch.linspace(-1, 1, 15).view(5, 3)

    @compiler
    def step() -> Any:
        optimizer.zero_grad()
        loss = (layer(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    @compiler
    def infer() -> Any:
        with torch.no_grad():
            return x * 2 + layer.weight.sum()

    kept: list[Any] = []
    found = []
    for i in range(CALLS):
        loss, sums = step(), infer()
        known = layer.weight.grad if which == "gradient" else sums
        found.append((known._version, known.requires_grad, hasattr(known, "note")))
        if i > CALLS // 2 or (which == "result" and i != CALLS // 2):
            look(known, kept)
        del known
        if i % 2:
            found += [loss.item(), sums.tolist()]
    if compiler is torch.compile:
        assert is_one_call(step) and is_one_call(infer)
    gc.collect()
    found += [k() is None if isinstance(k, weakref.ref) else k for k in kept]
    return [f.tolist() if hasattr(f, "tolist") else f for f in found] + [
        layer.weight.tolist(), layer.weight.grad.tolist(), str(optimizer.state_dict())
    ]  # fmt: skip


@pytest.mark.parametrize("which", ["gradient", "result"])
@pytest.mark.parametrize("how", KNOWN)
def test_who_knows_of_what_a_call_made_keeps_it(how: str, which: str) -> None:
    compiled = training(torch.compile, KNOWN[how], which)
    assert str(compiled) == str(training(lambda f: f, KNOWN[how], which))


def test_nobody_knows_of_a_gradient_and_its_memory_stays() -> None:
    w = torch.ones(1000, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)

    @torch.compile
    def step() -> Any:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(5):
        step()
    memory = w.grad._storage.expression.value
    assert type(memory) is Buffer
    address = memory.address
    del memory
    for _ in range(3):
        step()
        assert w.grad._storage.expression.value.address == address
    kept = w.grad
    expected = kept.numpy().copy()
    step()
    assert w.grad is not kept
    np.testing.assert_array_equal(kept.numpy(), expected)
    assert is_one_call(step)


def test_results_that_are_kept_are_apart() -> None:
    x = torch.arange(5.0)

    @torch.compile
    def step(y: Any) -> Any:
        return x + y, {"twice": y * 2}

    kept = [step(torch.full((5,), float(i))) for i in range(12)]
    for i, (total, more) in enumerate(kept):
        assert total.tolist() == [i + k for k in range(5)]
        assert more["twice"].tolist() == [2.0 * i] * 5
    assert is_one_call(step)
    pairs = [step(torch.full((5,), float(i))) for i in range(2)]
    for i in range(2, 12):  # two are held at any time, and let go of in turn
        pairs[i % 2] = step(torch.full((5,), float(i)))
        for k in (i - 1, i):
            assert pairs[k % 2][0].tolist() == [k + j for j in range(5)]


def changed_by(what: str) -> list[Any]:
    """Losses of a compiled step, and of the plain one, whose optimizer's state is changed."""
    found = []
    for compiler in (torch.compile, lambda f: f):
        torch.manual_seed(0)
        layer = nn.Linear(3, 2)
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
        x = torch.linspace(-1, 1, 15).view(5, 3)

        @compiler
        def step(layer: Any = layer, optimizer: Any = optimizer, x: Any = x) -> Any:
            optimizer.zero_grad()
            loss = (layer(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        losses = [step().item() for _ in range(3)]
        saved = optimizer.state_dict()
        for i in range(3 * CALLS):
            if i == CALLS and what == "loaded":
                optimizer.load_state_dict(saved)
            elif i == CALLS and what == "cleared":
                optimizer.state.clear()
            elif i == CALLS and what == "counted apart":
                optimizer.state[layer.bias]["step"] = 1.0
            elif i == CALLS:
                optimizer.state[layer.bias]["exp_avg"] = torch.ones(2)
            losses.append(step().item())
        found.append([losses, str(optimizer.state_dict())])
    return found


@pytest.mark.parametrize("what", ["loaded", "cleared", "counted apart", "replaced"])
def test_an_optimizer_s_state_is_what_it_is_now(what: str) -> None:
    compiled, plain = changed_by(what)
    assert compiled == plain


def test_two_threads_replay_one_function() -> None:
    layer = nn.Linear(64, 64)
    run = torch.compile(lambda x: layer(x).relu().sum(1))
    inputs = [torch.full((64, 64), float(i)) for i in range(2)]
    with torch.no_grad():
        expected = [layer(x).relu().sum(1).tolist() for x in inputs]
        for x in inputs * 5:
            run(x)
    failed = []

    def work(i: int) -> None:
        for _ in range(300):
            with torch.no_grad():
                if not np.allclose(run(inputs[i]).tolist(), expected[i], rtol=1e-5):
                    failed.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed
