"""Loops whose steps are recognised by their structure (known_traces.py, autograd/known_walks.py):
steps that differ from those before must be noticed, in whatever they differ."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from devices import COMPILED

import lazytorch
from lazytorch.records import native
from lazytorch.view_history import views

backward: Any = sys.modules["lazytorch.autograd.backward"]  # a function has its name
realize: Any = sys.modules["lazytorch.realize"]
torch = pytest.importorskip("torch")


class _Program:
    """A model of two weights and what steps do with it; the same in both libraries."""

    def __init__(self, library: Any) -> None:
        generator = np.random.default_rng(0)
        self.t = library
        self.seen: list[Any] = []
        self.kept: list[Any] = []

        def made(*shape: int) -> Any:
            return library.tensor(generator.random(shape, dtype=np.float32) - 0.5)

        self.x, self.y = made(4, 6), made(4, 6)
        self.w = library.nn.Parameter(made(6, 6))
        self.v = library.nn.Parameter(made(6, 6))
        self.optimizer = library.optim.SGD([self.w, self.v], lr=0.01, momentum=0.9)

    def forward(self, first: Any = None, second: Any = None) -> tuple[Any, Any]:
        first = self.w if first is None else first
        second = self.v if second is None else second
        hidden = (self.x @ first).tanh()
        return hidden, ((hidden @ second - self.y) ** 2).mean()

    def finish(self, loss: Any) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    # ---- what a step may do ------------------------------------------------------------------

    def plain(self) -> None:
        self.finish(self.forward()[1])

    def one_weight_twice(self) -> None:
        self.finish(self.forward(self.w, self.w)[1])

    def weights_exchanged(self) -> None:
        self.finish(self.forward(self.v, self.w)[1])

    def hidden_is_kept(self) -> None:
        hidden, loss = self.forward()
        self.finish(loss)
        self.seen.append(hidden.detach())

    def loss_is_read(self) -> None:
        loss = self.forward()[1]
        self.seen.append(loss.item())
        self.finish(loss)

    def another_is_pending(self) -> None:
        hidden, loss = self.forward()
        self.kept = [hidden.detach() * 2]
        self.finish(loss)
        self.seen.append(self.kept[0])

    def frozen(self) -> None:
        self.v.requires_grad_(False)
        self.plain()
        self.v.requires_grad_(True)

    def hooked(self) -> None:
        handle = self.w.register_hook(lambda g: g * 3)
        self.plain()
        handle.remove()

    def inner_hook(self) -> None:
        hidden, loss = self.forward()
        hidden.register_hook(lambda g: g * 2)
        self.finish(loss)

    def retained(self) -> None:
        hidden, loss = self.forward()
        hidden.retain_grad()
        self.finish(loss)
        self.seen.append(hidden.grad)

    def backward_twice(self) -> None:
        loss = self.forward()[1]
        self.optimizer.zero_grad()
        loss.backward(retain_graph=True)
        loss.backward()
        self.optimizer.step()

    def freed(self) -> None:
        loss = self.forward()[1]
        self.finish(loss)
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()

    def overwritten(self) -> None:
        hidden, loss = self.forward()
        with self.t.no_grad():
            hidden.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace"):
            loss.backward()

    def weight_overwritten(self) -> None:
        loss = self.forward()[1]
        with self.t.no_grad():
            self.v.mul_(1.5)
        with pytest.raises(RuntimeError, match="modified by an inplace"):
            loss.backward()

    def input_written(self) -> None:
        self.x.add_(0.125)
        self.plain()

    def input_is_a_view(self) -> None:
        before, self.x = self.x, self.x.flip(0)[:].view(2, 2, 6).view(4, 6)
        self.plain()
        self.x = before

    def gradients_added(self) -> None:
        self.forward()[1].backward()
        self.optimizer.step()

    def of_a_gradient(self) -> None:
        loss = self.forward()[1]
        (gradient,) = self.t.autograd.grad(loss, self.w, create_graph=True)
        self.finish(loss + (gradient**2).sum())

    def weight_replaced(self) -> None:
        self.w.data = self.w.data * 0.5
        self.plain()

    def another_rate(self) -> None:
        self.optimizer.param_groups[0]["lr"] *= 1.25
        self.plain()

    def detached(self) -> None:
        hidden = (self.x @ self.w).tanh().detach()
        self.finish(((hidden @ self.v - self.y) ** 2).mean())


_STEPS: list[Callable[[_Program], None]] = [
    value for name, value in vars(_Program).items()
    if callable(value) and name not in ("__init__", "forward", "finish")
]  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
def test_steps_that_differ_are_noticed(seed: int) -> None:
    ours, theirs = _Program(lazytorch), _Program(torch)
    steps = [*_STEPS]
    random.Random(seed).shuffle(steps)
    for step in steps:
        # Often enough that both plain and other steps are known when they change.
        for each in (_Program.plain, _Program.plain, _Program.plain, step, step, step):
            each(ours)
            each(theirs)
        for mine, other in ((ours.w, theirs.w), (ours.v, theirs.v)):
            np.testing.assert_allclose(
                mine.detach().numpy(), other.detach().numpy(), 1e-4, 1e-5, err_msg=step.__name__
            )
    for a, b in zip(ours.seen, theirs.seen, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), 1e-4, 1e-5)


def test_a_known_graph_takes_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left to do for it is done at once; not where a hook came meanwhile."""
    monkeypatch.setattr(views, "watched", False)  # a view with a hook has graphs looked through
    weight, sessions = lazytorch.ones(3, requires_grad=True), []
    usual = backward.Session
    monkeypatch.setattr(backward, "Session", lambda *given: sessions.append(step) or usual(*given))
    for step in range(12):
        hooks = [weight.register_hook(lambda g: g * 2)] if step == 6 else []
        inner = weight.exp()
        if step == 8:
            inner.register_hook(lambda g: g * 3)
        inner.sum().backward()
        for hook in hooks:
            hook.remove()
    assert {6, 8} <= {*sessions} <= {0, 1, 6, 8}
    expected = (10 + 2 + 3) * np.exp(1.0)
    assert weight.grad.tolist() == pytest.approx([expected] * 3, rel=1e-5)


_ALIASES: dict[str, Callable[[Any], list[Any]]] = {
    "elements": list,
    "detached": lambda x: list(x.detach()),
    "negated": lambda x: list(x._neg_view()),
    "a view of a view": lambda x: [x[:2][0], x[:2][1], x[1:][1]],
}


@pytest.mark.parametrize("kind", _ALIASES)
@pytest.mark.parametrize("is_read", [False, True])
@pytest.mark.parametrize("compares", ["C", "Python"])
def test_factors_that_are_aliases_are_known(
    monkeypatch: pytest.MonkeyPatch, kind: str, is_read: bool, compares: str
) -> None:
    """A loss weighed by the elements of a tensor; a write to that is noticed in a known graph."""
    if compares == "Python":
        monkeypatch.setattr(native, "known_walk", None)
    monkeypatch.setattr(views, "watched", False)
    sessions: list[int] = []
    usual = backward.Session
    monkeypatch.setattr(backward, "Session", lambda *given: sessions.append(step) or usual(*given))
    weight = lazytorch.ones(3, requires_grad=True)
    for step in range(8):
        factors = lazytorch.tensor([1.0, 2.0, 3.0]) * (step + 1)
        if is_read:
            factors.sum().item()
        terms = [w * w * f for w, f in zip(weight.unbind(), _ALIASES[kind](factors), strict=True)]
        loss = lazytorch.stack(terms).sum()
        if step == 7:
            factors.mul_(2)
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()
        else:
            loss.backward()
    assert {*sessions} <= {0, 1, 7}
    sign = -1 if kind == "negated" else 1
    assert weight.grad.tolist() == [sign * 56.0, sign * 112.0, sign * 168.0]


def test_the_same_roots_with_another_count() -> None:
    """A plan reached from one root and from two: what is known of it is of one of them."""
    x = lazytorch.ones(3).realize()
    for _ in range(3):
        a = x + 1
        b = a * 2
        lazytorch.realize(a, b)
        a = x + 1
        b = a * 2
        lazytorch.realize(b)
        assert a.tolist() == [2.0] * 3 and b.tolist() == [4.0] * 3


@pytest.mark.parametrize("device", [COMPILED, "interpreter"])
@pytest.mark.parametrize("tracked", [False, True])
def test_the_same_steps_on_what_lies_in_another_order(device: str, tracked: bool) -> None:
    """A plan that reads transposed memory is not the one for the same steps on rows."""
    values = np.arange(9, dtype=np.float32).reshape(3, 3)
    with lazytorch.device(device):
        for lies_transposed in (True, True, True, False, False, False, True):
            x = lazytorch.tensor(values)
            x = (x.t() * 1 if lies_transposed else x.clone()).realize()
            x.requires_grad_(tracked)
            # Two calls: a single one is found in another way.
            found = (x.sum(0, keepdim=True) * x).sum(1)
            given = values.T if lies_transposed else values
            assert found.tolist() == (given.sum(0) * given).sum(1).tolist()


@pytest.fixture(params=["C", "Python"])
def traced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The traces that are made, with records.c, where it can be loaded, and without."""
    made: list[Any] = []
    usual, loaded = realize.Trace, native.plain is not None
    monkeypatch.setattr(realize, "Trace", lambda *given: made.append(given) or usual(*given))
    (native.load if request.param == "C" else native.unload)()
    yield made
    (native.load if loaded else native.unload)()


def test_steps_that_read_their_loss_before_backward_are_known(traced: list[Any]) -> None:
    ours, theirs = _Program(lazytorch), _Program(torch)
    for i in range(8):
        if i == 4:
            traced.clear()
        ours.loss_is_read()
        theirs.loss_is_read()
    assert not traced
    np.testing.assert_allclose(ours.seen, theirs.seen, 1e-5)


def test_what_a_read_loss_saved_is_looked_at_anew(traced: list[Any]) -> None:
    """Which of it is there, and whether there is a gradient at all, may be another in each step."""
    weight, found = lazytorch.ones(3, requires_grad=True), []
    for i in range(12):
        inner = weight.exp()
        loss = inner.sin().sum()
        if i % 3:
            loss.item()
        if i % 4 == 3:
            found.append(inner.tolist())
        weight.grad = None
        loss.backward()
        found.append(weight.grad.tolist())
    inner, gradient = [np.exp(1.0)] * 3, [np.cos(np.exp(1.0)) * np.exp(1.0)] * 3
    for i, values in enumerate(found):
        assert values == pytest.approx(inner if i % 5 == 3 else gradient, rel=1e-5)


def test_structures_with_the_same_root_take_turns(traced: list[Any]) -> None:
    x = lazytorch.ones(3).realize()
    for i in range(8):
        if i == 4:
            traced.clear()
        for steps in range(1, 6):
            y = x
            for _ in range(steps):
                y = (y * 2).abs()
            assert y.sum().item() == 3 * 2**steps
    assert not traced


def test_what_is_held_and_made_of_what_is_computed_is_known_with_it(traced: list[Any]) -> None:
    """Old ones that nobody ever asks for may be held as well, and more of them each time."""
    x, kept = lazytorch.ones(3).realize(), []
    for i in range(12):
        if i == 8:
            traced.clear()
        inner = x * float(i) + 1
        joined, other = inner.exp() * 2, inner - 1
        kept.append(lazytorch.ones(3) * i if i % 3 else x * 2)
        total = (inner * 3).sum()
        del inner
        assert total.item() == 9.0 * i + 9
        assert joined.tolist() == pytest.approx([2 * np.exp(i + 1.0)] * 3)
        assert other.tolist() == [float(i)] * 3
    assert not traced
    assert [k.tolist() for k in kept] == [[float(i if i % 3 else 2)] * 3 for i in range(12)]
