"""``compile``: the same values, states and errors as the plain function, replayed or not."""

from __future__ import annotations

import gc
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import lazytorch as torch
from codegen.statistics import statistics
from lazytorch import nn
from lazytorch.records import native

Step = Callable[..., Any]
Program = Callable[[Callable[[Step], Step]], list[Any]]
CALLS = 9

scale = 2.0  # read by a program, which changes it


def data(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape, np.float32))


def filled(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(data(*p.shape, seed=i) / 4)
    return module


def state(model: nn.Module) -> list[Any]:
    """Everything that a model holds, gradients and versions included."""
    found: list[Any] = [v.numpy().copy() for v in model.state_dict().values()]
    found += [None if p.grad is None else p.grad.numpy().copy() for p in model.parameters()]
    return found + [p._version for p in model.parameters()]


def training(model: nn.Module, optimizer: Any, compiler: Any, x: Any, y: Any) -> list[Any]:
    criterion = nn.MSELoss()

    @compiler
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    found = [step(x + i, y).item() for i in range(CALLS)]
    return found + state(model) + [str(optimizer.state_dict())]


def two_layers(dropout: float = 0.0) -> nn.Module:
    return filled(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 2)))


def adam(compiler: Any) -> list[Any]:
    model = two_layers()
    return training(model, torch.optim.Adam(model.parameters()), compiler, data(4, 6), data(4, 2))


def momentum(compiler: Any) -> list[Any]:
    model = two_layers()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, dampening=0.5)
    return training(model, optimizer, compiler, data(4, 6), data(4, 2))


def dropout(compiler: Any) -> list[Any]:
    torch.manual_seed(1)
    model = two_layers(0.5)
    found = training(
        model, torch.optim.RMSprop(model.parameters()), compiler, data(4, 6), data(4, 2)
    )
    return [*found, torch.rand(3).numpy()]


def batch_norm(compiler: Any) -> list[Any]:
    layers = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    model = filled(nn.Sequential(*layers))
    optimizer = torch.optim.AdamW(model.parameters())
    return training(model, optimizer, compiler, data(3, 2, 4, 4), data(3, 2))


def by_hand(compiler: Any) -> list[Any]:
    w = data(6, 2).requires_grad_()
    x, y = data(4, 6), data(4, 2)

    @compiler
    def step() -> Any:
        loss = (x.mm(w).clamp(min=0) - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            w.sub_(1e-2 * w.grad)
            w.grad.zero_()
        return {"loss": loss, "all": [loss.detach(), None, 3]}

    found = [step() for _ in range(CALLS)]
    return [(f["loss"].item(), f["all"][0].item(), f["all"][1:]) for f in found] + [
        w.detach().numpy().copy(), w.grad.numpy().copy(), w._version
    ]  # fmt: skip


def inference(compiler: Any) -> list[Any]:
    model = two_layers(0.5).eval()

    @compiler
    def run(x: Any, *, power: int) -> Any:
        with torch.no_grad():
            return model(x).softmax(1) ** power

    batches = data(12, 6)
    return [run(batches[i : i + 3], power=2).numpy().copy() for i in range(CALLS)]


def learning_rate(compiler: Any) -> list[Any]:
    model = two_layers()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    x, y = data(4, 6), data(4, 2)

    @compiler
    def step() -> Any:
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    found = []
    for _ in range(CALLS):
        found.append(step().item())
        schedule.step()
    return found + state(model)


def two_shapes(compiler: Any) -> list[Any]:
    @compiler
    def f(x: Any, y: Any) -> Any:
        return x * 2 + y, y

    x = [data(3), data(2, 3)]
    return [[t.numpy().copy() for t in f(x[i % 2] + i, x[0])] for i in range(2 * CALLS)]


def counting_optimizers(compiler: Any) -> list[Any]:
    """Optimizers that count more than steps, or keep states of other shapes."""
    found: list[Any] = []
    for name in ("NAdam", "ASGD", "Adafactor", "Rprop"):
        model = two_layers()
        optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.01)
        found += training(model, optimizer, compiler, data(4, 6), data(4, 2))
    return found


def transformer(compiler: Any) -> list[Any]:
    layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
    model = filled(nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Linear(6, 2)))
    optimizer = torch.optim.Adam(model.parameters())
    return training(model, optimizer, compiler, data(2, 4, 6), data(2, 4, 2))


def computed_between_writes(compiler: Any) -> list[Any]:
    """The first value is gone when the second is made, which may stand where it stood."""
    total = torch.zeros(3)

    @compiler
    def step(x: Any) -> Any:
        total.add_(x)
        total.realize()
        total.add_(x)
        return total * 1

    found = [step(data(3, seed=i)).tolist() for i in range(CALLS)]
    return [*found, total.tolist()]


def memory_replaced(compiler: Any) -> list[Any]:
    w, layer = data(6), filled(nn.Linear(6, 2))

    @compiler
    def step(x: Any) -> Any:
        w.mul_(0.75)
        with torch.no_grad():
            return layer(x * w)

    found = []
    for i in range(3):
        found += [step(data(6)).tolist() for _ in range(CALLS)] + [w.tolist()]
        if i == 1:
            layer.weight.data = data(2, 6, seed=i)
        else:
            w.data = data(6, seed=i)
    return found


def arguments_written(compiler: Any) -> list[Any]:
    @compiler
    def step(x: Any, y: Any) -> Any:
        x.add_(y)
        x.mul_(0.5)
        return x

    found = []
    for i in range(2):
        x, y = data(3, seed=i), data(3, seed=i + 5)
        for _ in range(CALLS):
            made = step(x, y)
            found += [made is x, x.tolist(), x._version]
    return found


def zeroed_elsewhere(compiler: Any) -> list[Any]:
    total = torch.ones(3, device="interpreter")

    @compiler
    def step(x: Any) -> Any:
        y = total * x
        total.fill_(2.0)
        total.zero_()
        return y

    x = data(3).to("interpreter")
    found = [step(x).tolist() for _ in range(CALLS)]
    return [*found, (total + x).tolist(), total._version]


REPLAYED = [
    memory_replaced, arguments_written, zeroed_elsewhere,
    adam, momentum, dropout, batch_norm, by_hand, inference, learning_rate, two_shapes,
    counting_optimizers, transformer, computed_between_writes,
]  # fmt: skip


def mode_and_globals(compiler: Any) -> list[Any]:
    """A module's mode, a global number, a list: what changes is seen at the next call."""
    global scale
    scale = 2.0
    model, factors, options = two_layers(0.5), [1.0], {"shift": 1.0}
    torch.manual_seed(3)
    x = data(4, 6)

    class Holder:
        gain = 1.0

    holder = Holder()

    @compiler
    def f() -> Any:
        with torch.no_grad():
            return model(x) * scale * factors[-1] * holder.gain + options["shift"]

    found = []
    for i in range(5 * CALLS):
        if i == CALLS:
            model.eval()
        if i == 2 * CALLS:
            scale = 3.0
        if i == 3 * CALLS:
            factors.append(4.0)
        if i == 4 * CALLS:
            holder.gain, options["shift"] = 2.0, 7.0
        found.append(f().numpy().copy())
    return found


def variables_of_a_function_out_of_reach(compiler: Any) -> list[Any]:
    """One that is held where no attribute, item or variable leads."""
    factor, x = 1.0, data(4)

    class Holder:
        __slots__ = ("scaled",)

    holder = Holder()
    holder.scaled = lambda x: x * factor
    f = compiler(lambda: holder.scaled(x))
    found = []
    for i in range(3 * CALLS):
        factor = float(i // CALLS)
        found.append(f().numpy().copy())
    return found


def frozen(compiler: Any) -> list[Any]:
    """A parameter frozen, and one replaced, on the way."""
    model = two_layers()
    optimizer = torch.optim.Adam(model.parameters())
    found = training(model, optimizer, compiler, data(4, 6), data(4, 2))
    x, y = data(4, 6), data(4, 2)

    @compiler
    def step() -> Any:
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    for i in range(3 * CALLS):
        if i == CALLS:
            model[0].weight.requires_grad_(False)
        if i == 2 * CALLS:
            model[3] = filled(nn.Linear(8, 2))
        found.append(step().item())
    return found + state(model)


def signs_of_zero(compiler: Any) -> list[Any]:
    factor = 0.0

    @compiler
    def step(x: Any, other: float) -> Any:
        return x * factor, x * other

    found = [step(data(3), 0.0) for _ in range(CALLS)]
    factor = -0.0
    found += [step(data(3), 0.0) for _ in range(CALLS)]
    found += [step(data(3), -0.0) for _ in range(CALLS)]
    return [[x.tolist() for x in pair] for pair in found]


CHANGING = [signs_of_zero, mode_and_globals, variables_of_a_function_out_of_reach, frozen]


def reads_the_loss(compiler: Any) -> list[Any]:
    w = data(3).requires_grad_()
    x = data(3, seed=1)

    @compiler
    def step() -> Any:
        loss = (w * x).sum()
        if loss.item() > -5:
            loss.backward()
            with torch.no_grad():
                w.sub_(w.grad)
        return loss

    return [step().item() for _ in range(CALLS)] + [w.detach().numpy().copy()]


def counts(compiler: Any) -> list[Any]:
    x, seen = data(3), []

    @compiler
    def f() -> Any:
        seen.append(len(seen))
        return x * len(seen)

    return [f().numpy().copy() for _ in range(CALLS)] + [list(seen)]


def draws(compiler: Any) -> list[Any]:
    x = data(3)
    random.seed(1)
    return_value = compiler(lambda: x * random.random())
    return [return_value().numpy().copy() for _ in range(CALLS)]


def prints(compiler: Any) -> list[Any]:
    x = data(3)

    @compiler
    def f() -> Any:
        print("a line a call")
        return x + 1

    return [f().numpy().copy() for _ in range(CALLS)]


def makes_tensors(compiler: Any) -> list[Any]:
    x, values = data(3), iter(range(100))

    @compiler
    def f() -> Any:
        return x + torch.tensor([float(next(values))] * 3)

    return [f().numpy().copy() for _ in range(CALLS)]


def keeps_a_graph(compiler: Any) -> list[Any]:
    model, x = two_layers(), data(4, 6)
    forward = compiler(model)
    found = []
    for _ in range(CALLS):
        forward(x).square().sum().backward()
        found.append(state(model))
    return found


def numpy_memory(compiler: Any) -> list[Any]:
    array = np.ones(4, np.float32)
    x = torch.from_numpy(array)
    double = compiler(lambda x: x * 2)
    found = []
    for i in range(CALLS):
        array[0] = i
        found.append(double(x).numpy().copy())
    return found


PLAIN = [
    reads_the_loss, counts, draws, prints, makes_tensors, keeps_a_graph, numpy_memory
]  # fmt: skip


def compiled(program: Program) -> tuple[list[Any], int, list[str | None]]:
    """What a program gives with its functions compiled, how many calls were replayed, and why the
    last were not."""
    made: list[Any] = []

    def compiler(f: Any) -> Any:
        result = torch.compile(f)
        made.append(result)
        return result

    results = program(compiler)
    obstacles = [getattr(f, "obstacle", None) for f in made]
    return results, sum([getattr(f, "replays", 0) for f in made]), obstacles


@pytest.fixture(params=["C", "Python"])
def records(request: pytest.FixtureRequest) -> Iterator[None]:
    """With records.c, where it can be loaded, and without."""
    loaded = native.plain is not None
    (native.load if request.param == "C" else native.unload)()
    yield
    (native.load if loaded else native.unload)()


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("program", [*REPLAYED, *CHANGING, *PLAIN], ids=lambda p: p.__name__)
def test_a_compiled_function_does_as_the_plain_one(program: Program, capsys: Any) -> None:
    expected = program(lambda f: f)
    printed = capsys.readouterr().out
    results, replays, obstacles = compiled(program)
    assert str(results) == str(expected)
    assert capsys.readouterr().out == printed
    if program in REPLAYED:
        assert replays >= CALLS - 5, obstacles
    elif program in CHANGING:
        assert replays >= 2 * (CALLS - 5), obstacles
    else:
        assert replays == 0


def test_what_garbage_collection_calls_is_no_part_of_a_call() -> None:
    """Libraries (hypothesis, JAX) hang functions on it, which read the time."""

    def timed(*_: Any) -> None:
        time.perf_counter()

    threshold = gc.get_threshold()
    gc.callbacks.append(timed)
    gc.set_threshold(1)
    try:
        _, replays, obstacles = compiled(adam)
    finally:
        gc.callbacks.remove(timed)
        gc.set_threshold(*threshold)
    assert replays >= CALLS - 5, obstacles
    assert gc.isenabled()


def test_a_replay_lowers_nothing_and_makes_new_tensors() -> None:
    model = two_layers()
    optimizer = torch.optim.Adam(model.parameters())
    x = data(4, 6)

    @torch.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(x) for _ in range(5)]
    gradient = model[0].weight.grad
    kept = gradient.numpy().copy()
    before = statistics.plans_lowered
    losses += [step(x) for _ in range(5)]
    assert step.replays >= 5 and step.obstacle is None
    assert statistics.plans_lowered == before
    assert len({loss.item() for loss in losses}) == len(losses)
    assert model[0].weight.grad is not gradient
    assert (gradient.numpy() == kept).all()
    assert losses[-1].requires_grad
    with pytest.raises(RuntimeError, match="second time"):
        losses[-1].backward()


def test_an_old_value_of_a_parameter_survives_a_replay() -> None:
    w = data(1000).requires_grad_()
    optimizer = torch.optim.SGD([w], lr=0.1)

    @torch.compile
    def step() -> None:
        optimizer.zero_grad()
        w.square().sum().backward()
        optimizer.step()

    for _ in range(6):
        step()
    assert step.replays > 0
    later = w.detach() * 1  # pending, and reads the value of now
    copy = w.detach().clone()
    seen = w.detach().numpy()
    expected = seen.copy()
    step()
    np.testing.assert_allclose(seen, expected * 0.8, rtol=1e-6)
    np.testing.assert_array_equal(later.numpy(), expected)
    np.testing.assert_array_equal(copy.numpy(), expected)


def test_an_error_leaves_the_function_usable() -> None:
    @torch.compile
    def f(x: Any, y: Any) -> Any:
        return x @ y

    for _ in range(4):
        with pytest.raises(RuntimeError):
            f(data(2, 3), data(2, 3))
    for _ in range(5):
        assert f(data(2, 3), data(3, 2)).shape == (2, 2)
    assert f.replays > 0


def test_options() -> None:
    @torch.compile(mode="max-autotune", dynamic=False, backend="inductor")
    def f(x: Any) -> Any:
        """A docstring."""
        return x + 1

    assert f.__name__ == "f" and f.__doc__ == "A docstring."
    plain = torch.compile(len, disable=True)
    assert plain is len
    strict = torch.compile(lambda x: x * float(x.sum()), fullgraph=True)
    with pytest.raises(RuntimeError, match="a value was read"):
        for _ in range(12):
            strict(data(3))
    model = torch.compile(two_layers())
    assert all([name.startswith("_orig_mod.") for name in model.state_dict()])
    with pytest.raises(RuntimeError, match="expects a function or module"):
        torch.compile(3)


class Scaler:
    def __init__(self) -> None:
        self.x = data(3)

    @torch.compile
    def scaled(self, factor: float) -> Any:
        return self.x * factor


def test_methods() -> None:
    scaler = Scaler()
    for factor in (1.0, 2.0):
        for _ in range(5):
            np.testing.assert_allclose(scaler.scaled(factor).numpy(), data(3).numpy() * factor)
    assert Scaler.scaled.replays > 0


class _Doubles(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        return found * 2 if func is torch.matmul else found


class _Differentiated:
    """A dual level with a tensor in it whose tangent is asked for."""

    def __enter__(self) -> None:
        self._level = torch.autograd.forward_ad.dual_level()
        self._level.__enter__()
        ones = torch.ones(2)
        torch.autograd.forward_ad.make_dual(ones, ones)

    def __exit__(self, *exc: Any) -> None:
        self._level.__exit__(*exc)


_AROUND: dict[str, Callable[[], Any]] = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "autocast to half": lambda: torch.autocast("cpu", torch.float16),
    "device": lambda: torch.device("interpreter"),
    "mode": _Doubles,
    "inference": torch.inference_mode,
    "forward mode": _Differentiated,
}


@pytest.mark.parametrize("name", _AROUND)
def test_what_is_set_around_a_call_is_seen(name: str) -> None:
    def step(x: Any) -> Any:
        return torch.matmul(x, x), torch.ones(2) * 3

    compiled_step = torch.compile(step)
    for inside in (False, True, False):
        for _ in range(CALLS):
            with _AROUND[name]() if inside else nullcontext():
                pairs = list(zip(step(data(3, 3)), compiled_step(data(3, 3)), strict=True))
                for expected, found in pairs:
                    assert (found.dtype, found.device) == (expected.dtype, expected.device)
                    assert found.is_inference() == expected.is_inference()
                    assert found.tolist() == expected.tolist()
    assert compiled_step.replays >= CALLS - 3


def test_a_transformed_function_calls_a_compiled_one() -> None:
    square = torch.compile(lambda x: x * x)
    x = data(4)
    for _ in range(CALLS):
        square(x)
        torch.testing.assert_close(torch.func.grad(lambda x: square(x).sum())(x), 2 * x)
        torch.testing.assert_close(torch.func.vmap(square)(x), x * x)
        torch.testing.assert_close(torch.func.jvp(square, (x,), (x,))[1], 2 * x * x)
    assert square.replays >= CALLS - 3


def _put(held: dict[str, Any], kind: str, v: Any) -> None:
    """Write a number to where ``READ_FROM`` reads it."""
    if kind in ("list", "deque", "mixed"):
        held[kind][0] = v
    elif kind == "dict":
        held[kind]["key"] = v
    else:
        held[kind] = {"new list": [v], "tuple": (v,), "deep": [(v,)], "keys": {v: 0}, "set": {v}}[
            kind
        ]


READ_FROM: dict[str, Callable[[Any], Any]] = {
    "list": lambda x: x[0],
    "new list": lambda x: x[0],
    "tuple": lambda x: x[0],
    "deep": lambda x: x[0][0],
    "dict": lambda x: x["key"],
    "keys": min,
    "set": min,
    "deque": lambda x: x[0],
    "mixed": lambda x: x[0],
}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("kind", READ_FROM)
def test_equal_numbers_of_another_type_are_others(kind: str, loaded: bool) -> None:
    read, x, was_loaded = READ_FROM[kind], torch.arange(3), native.plain is not None
    held: dict[str, Any] = {"list": [0], "deque": deque([0]), "dict": {}, "mixed": [0, x]}

    def plain() -> Any:
        return x + x * read(held[kind])

    (native.load if loaded else native.unload)()
    try:
        for first in (1, True, 1.0, 0.0, -0.0):
            _put(held, kind, first)
            function = torch.compile(plain)
            for _ in range(CALLS):
                function()
            assert function.replays >= CALLS - 4
            for v in (1, True, 1.0, 0.0, -0.0, first):
                _put(held, kind, v)
                assert repr(function()) == repr(plain()), (first, v)
    finally:
        (native.load if was_loaded else native.unload)()
