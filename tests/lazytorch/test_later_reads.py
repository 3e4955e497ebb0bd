"""Numbers that compiled functions read: which of them are only returned, and what replays give."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lazytorch as torch
from lazytorch.later_reads import is_only_returned
from lazytorch.records import native

CALLS = 8


class One:
    """Notes of each read whether what it gives is known to be only returned."""

    def __init__(self) -> None:
        self.found: list[bool] = []

    def __enter__(self) -> One:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def item(self) -> float:
        reader = sys._getframe(1)
        self.found.append(is_only_returned(reader.f_code, reader.f_lasti))
        return 1.0


kept: Any = None
RETURNED: list[Callable[[Any], Any]] = []
USED: list[Callable[[Any], Any]] = []


@RETURNED.append
def thrown_away(x: Any) -> Any:
    for _ in range(2):
        x.item()
    return 3


@RETURNED.append
def alone(x: Any) -> Any:
    return x.item()


@RETURNED.append
def together(x: Any) -> Any:
    return x.item(), [x.item(), x]


@RETURNED.append
def from_a_variable(x: Any) -> Any:
    value = x.item()
    print(end="")
    return value


@RETURNED.append
def from_a_variable_in_several_ways(x: Any) -> Any:
    value = x.item()
    if x is None:
        return None, value
    return [value, 3]


@RETURNED.append
def named(x: Any) -> Any:
    return {"loss": x.item(), "kind": len("ab")}


@RETURNED.append
def computed_names(x: Any) -> Any:
    return {str(1): x.item()}


@USED.append
def added(x: Any) -> Any:
    return x.item() + 1


@USED.append
def compared(x: Any) -> Any:
    return 1 if x.item() > 3 else 2


@USED.append
def an_argument(x: Any) -> Any:
    return abs(x.item())


@USED.append
def an_argument_by_name(x: Any) -> Any:
    return dict(value=x.item())  # noqa: C408


@USED.append
def kept_in_a_list(x: Any) -> Any:
    values: list[Any] = []
    values.append(x.item())
    return values


@USED.append
def kept_in_what_is_returned(x: Any) -> Any:
    values = [x.item()]
    values.append(2)
    return values


@USED.append
def read_in_what_is_returned(x: Any) -> Any:
    values = [x.item()]
    return values[0]


@USED.append
def also_printed(x: Any) -> Any:
    value = x.item()
    print(f"{value}", end="")
    return value


@USED.append
def tested(x: Any) -> Any:
    value = x.item()
    return value or 2


@USED.append
def tested_at_once(x: Any) -> Any:
    return x.item() or 2


@USED.append
def changed_by_itself(x: Any) -> Any:
    value = x.item()
    value += 1
    return value


@USED.append
def negated(x: Any) -> Any:
    return -x.item()


@USED.append
def a_name(x: Any) -> Any:
    return {x.item(): 1}


@USED.append
def in_a_comprehension(x: Any) -> Any:
    return [x.item() for _ in range(2)]


@USED.append
def in_a_closure(x: Any) -> Any:
    value = x.item()
    return (lambda: value)()


@USED.append
def in_a_global(x: Any) -> Any:
    global kept
    kept = x.item()


@USED.append
def in_an_attribute(x: Any) -> Any:
    x.kept = x.item()


@USED.append
def in_a_loop(x: Any) -> Any:
    for value in [x.item()]:
        return value
    return None


@USED.append
def unpacked(x: Any) -> Any:
    value = [x.item()]
    return (*value,)


@USED.append
def asserted(x: Any) -> Any:
    value = x.item()
    assert value == value
    return value


@USED.append
def raised(x: Any) -> Any:
    try:
        raise ValueError(x.item())
    except ValueError as error:
        return error.args[0]


@USED.append
def called_by_c(x: Any) -> Any:
    return list(map(type(x).item, [x]))


@USED.append
def shown_to_others(x: Any) -> Any:
    value = x.item()
    shown = locals()
    return shown["value"], value


@pytest.mark.parametrize("function", RETURNED, ids=lambda f: f.__name__)
def test_what_is_only_returned(function: Callable[[Any], Any]) -> None:
    x = One()
    function(x)
    assert x.found
    assert all(x.found)


@pytest.mark.parametrize("function", USED, ids=lambda f: f.__name__)
def test_what_is_used(function: Callable[[Any], Any]) -> None:
    x = One()
    function(x)
    assert x.found
    assert not any(x.found)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="with statements are other instructions")
def test_what_is_returned_from_within_a_context() -> None:
    x = One()

    def inside() -> Any:
        with x:
            return x.item(), x.item()

    inside()
    assert x.found == [True, True]


@pytest.fixture(params=["C", "Python"])
def _records(request: pytest.FixtureRequest) -> Iterator[None]:
    """With records.c, where it can be loaded, and without."""
    loaded = native.plain is not None
    (native.load if request.param == "C" else native.unload)()
    yield
    (native.load if loaded else native.unload)()


def steps(form: str, compiler: Callable[[Any], Any]) -> tuple[list[Any], Any]:
    """What the calls of a training step give that reads its loss in some form."""
    w = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    x = torch.arange(12.0).view(4, 3)
    optimizer = torch.optim.Adam([w], lr=0.1)
    losses: list[Any] = []

    def update(loss: Any) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def thrown_away() -> Any:
        loss = (x @ w).square().mean()
        loss.item()
        update(loss)

    def before() -> Any:
        loss = (x @ w).square().mean()
        value = loss.item()
        update(loss)
        return value

    def after() -> Any:
        loss = (x @ w).square().mean()
        update(loss)
        return loss.item()

    def of_nothing_else() -> Any:
        loss = (x @ w).square().mean()
        update(loss)
        return {"positive": ((x @ w) > 0).sum().item(), "loss": loss, "again": loss.item()}

    def of_what_is_written() -> Any:
        loss = (x @ w).square().mean()
        with torch.no_grad():
            w.mul_(0.9)
            total = w.sum().item()
            w.clamp_(max=2)
        return total, loss.item()

    def with_no_gradient() -> Any:
        return (x @ w).square().mean().item(), (x.sum() > 3).item()

    def branches() -> Any:
        loss = (x @ w).square().mean()
        update(loss)
        if loss.item() < 1:
            return "small"
        return loss

    def appends() -> Any:
        loss = (x @ w).square().mean()
        update(loss)
        losses.append(loss.item())

    def shown_to_numpy() -> Any:
        loss = (x @ w).square().mean().detach()
        value = loss.item()
        loss.numpy()[...] = 7
        return value, loss.item()

    def written_over() -> Any:
        with torch.no_grad():
            loss = (x @ w).square().mean()
            value = loss.item()
            loss.mul_(7)
        return value, loss.item()

    step = compiler(locals()[form])
    found = [step() for _ in range(CALLS)]
    plain = [x.item() if isinstance(x, torch.Tensor) else x for call in found for x in values(call)]
    return [*plain, *losses, *w.tolist()], step


def values(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [*item.values()]
    return [*item] if isinstance(item, tuple) else [item]


REPLAYED = [
    "thrown_away", "before", "after", "of_nothing_else", "of_what_is_written", "with_no_gradient",
    "written_over",
]  # fmt: skip


@pytest.mark.usefixtures("_records")
@pytest.mark.parametrize("form", [*REPLAYED, "branches", "appends", "shown_to_numpy"])
def test_a_step_that_reads(form: str) -> None:
    expected, _ = steps(form, lambda f: f)
    found, step = steps(form, torch.compile)
    assert [type(x) for x in found] == [type(x) for x in expected]
    numbers = [(x, y) for x, y in zip(found, expected, strict=True) if isinstance(x, float)]
    np.testing.assert_allclose(*zip(*numbers, strict=True), rtol=1e-5)
    assert [x for x in found if not isinstance(x, float)] == [
        x for x in expected if not isinstance(x, float)
    ]
    assert step.replays == (CALLS - 3 if form in REPLAYED else 0), step.obstacle


def test_a_read_is_seen_behind_overrides() -> None:
    class Overriding(torch.Tensor):
        pass

    torch.ones(1).as_subclass(Overriding).item()
    _, step = steps("after", torch.compile)
    assert step.replays


def test_a_read_is_no_end_of_a_plan() -> None:
    x = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=0.1)

    def step() -> Any:
        loss = (x * x).sum()
        value = loss.item()
        loss.backward()
        optimizer.step()
        return value

    compiled = torch.compile(step)
    for _ in range(6):
        compiled()
    torch.stats().reset()
    compiled()
    assert torch.stats().plans_run == 1
