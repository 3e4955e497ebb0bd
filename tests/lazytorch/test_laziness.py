"""What laziness promises, by the engine's counters: nothing runs twice, nothing compiles anew,
nothing piles up."""

from __future__ import annotations

import gc
import importlib
import itertools
import multiprocessing
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from devices import memory_allocated

import lazytorch as torch
from codegen.runtime.compiler import find_compiler
from codegen.statistics import statistics
from lazytorch import application, nn
from lazytorch.expression import Expression
from lazytorch.storage import pending_writes

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler"),
]


def kernels_of(action: Any) -> int:
    before = statistics.kernels_run
    action()
    return statistics.kernels_run - before


def plans_made() -> int:
    return statistics.plans_lowered + statistics.plans_loaded


def live_expressions() -> int:
    gc.collect()
    return sum([type(x) is Expression for x in gc.get_objects()])


class Net:
    """A two-layer net by hand, as tutorials write it."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.x, self.y = torch.randn(8, 6), torch.randn(8, 3)
        self.w1 = torch.randn(6, 5, requires_grad=True)
        self.w2 = torch.randn(5, 3, requires_grad=True)

    def loss(self) -> Any:
        return (((self.x @ self.w1).relu() @ self.w2) - self.y).pow(2).mean()

    def step(self, lr: float, read: bool = False) -> float:
        loss = self.loss()
        value = loss.item() if read else 0.0
        loss.backward()
        with torch.no_grad():
            for w in (self.w1, self.w2):
                w -= lr * w.grad
                w.grad = None
        return value

    def read(self) -> None:
        self.w1.tolist()


def test_nothing_runs_before_it_is_needed() -> None:
    net = Net()
    net.read()
    assert kernels_of(lambda: net.loss().backward()) == 0


def test_a_loss_read_before_backward_runs_the_forward_once() -> None:
    unread, read = Net(), Net()

    def forward() -> None:
        read.loss().item()

    def whole(net: Net, early: bool) -> None:
        net.step(0.1, early)
        net.w1.tolist(), net.w2.tolist()

    for _ in range(2):
        whole(unread, False)
        whole(read, True)
    together = kernels_of(lambda: whole(unread, False))
    apart = kernels_of(lambda: whole(read, True))
    assert apart < together + kernels_of(forward), "the forward ran again"


def test_a_loss_read_before_backward_convolves_once() -> None:
    """A convolution's result is another shape of a product, which is what has to be kept."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    x = torch.randn(2, 3, 8, 8)

    def products(read: bool) -> int:
        for _ in range(2):
            with torch.profile() as made:
                loss = model(x).square().mean()
                if read:
                    loss.item()
                loss.backward()
                torch.realize(*[p.grad for p in model.parameters()])
        return sum([e.count for e in made.key_averages() if e.key == "contraction"])

    assert products(read=True) == products(read=False) == 2


def test_numbers_that_change_make_no_plans() -> None:
    net = Net()
    for i in range(3):
        net.step(0.1 / (i + 1), read=True)
    made = plans_made()
    for i in range(20):
        net.step(0.05 / (i + 1), read=True)
    net.read()
    assert plans_made() <= made + 1  # reading a weight itself


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_an_optimizer_makes_plans_in_its_first_steps_alone(name: str) -> None:
    net = Net()
    optimizer = getattr(torch.optim, name)([net.w1, net.w2], lr=0.01)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def step() -> None:
        optimizer.zero_grad()
        loss = net.loss()
        loss.backward()
        optimizer.step()
        schedule.step()
        loss.item()

    for _ in range(3):
        step()
    made = plans_made()
    for _ in range(10):
        step()
    assert plans_made() == made


def test_a_sum_of_losses_makes_no_plans() -> None:
    """Each step would trace those before it, if the sum kept what it is made of."""
    net = Net()
    total, made = torch.zeros(()), []
    for _ in range(10):
        loss = net.loss()
        loss.backward()
        with torch.no_grad():
            for w in (net.w1, net.w2):
                w -= 0.01 * w.grad
                w.grad = None
        total = total + loss
        net.read()
        made.append(plans_made())
    assert made[-1] == made[4]


@pytest.mark.parametrize("read", [False, True])
def test_a_long_loop_holds_its_memory(read: bool) -> None:
    net = Net()
    for _ in range(20):
        net.step(1e-3, read)
    net.read()
    bytes_before, before = memory_allocated(), live_expressions()
    for _ in range(300):
        net.step(1e-3, read)
    net.read()
    assert memory_allocated() <= bytes_before
    assert live_expressions() <= before + 2


def test_memory_needs_no_garbage_collector() -> None:
    """What a step leaves behind goes by reference counts, not when the collector runs."""
    net = Net()
    for _ in range(20):
        net.step(1e-3, True)
    gc.collect()
    gc.disable()
    try:
        before = memory_allocated()
        for _ in range(50):
            net.step(1e-3, True)
        assert memory_allocated() <= before
    finally:
        gc.enable()


@pytest.mark.parametrize("computed", [True, False])
@pytest.mark.parametrize("ends", ["no backward", "backward", "name first", "name first, twice"])
def test_a_leaf_with_hooks_lives_as_long_as_its_graph(ends: str, computed: bool) -> None:
    calls: list[Any] = []
    gc.collect()
    gc.disable()
    try:
        x = torch.ones(8) * 2
        if computed:
            x.realize()
        x.requires_grad_()
        x.register_hook(lambda g: g * 2)
        x.register_post_accumulate_grad_hook(lambda p: calls.append(float(p.grad.sum())))
        storage = weakref.ref(x._storage)
        y = (x * x).sum()
        if ends == "backward":
            y.backward()
        del x
        if ends[:4] == "name":
            if ends == "name first, twice":
                y.backward(retain_graph=True)
            y.backward()
        del y
        assert storage() is None
    finally:
        gc.enable()
    assert calls == {"no backward": [], "name first, twice": [64.0, 128.0]}.get(ends, [64.0])


def test_parts_are_written_in_memory() -> None:
    """No kernel for a number that is written, one for what is computed."""
    x = torch.zeros(40)

    def write() -> None:
        for i in range(40):
            x[i] = i
        x[2:5] = 0.5
        x[::10] = 7

    assert kernels_of(write) == 1  # the zeros
    assert x[:11].tolist() == [7.0, 1.0, 0.5, 0.5, 0.5, 5.0, 6.0, 7.0, 8.0, 9.0, 7.0]
    assert x._version == 42

    def add() -> None:
        for i in range(40):
            x[i] += 1.0

    assert kernels_of(add) == 40
    assert x[:6].tolist() == [8.0, 2.0, 1.5, 1.5, 1.5, 6.0]
    assert x._version == 42 + 80  # PyTorch counts what is added and what is assigned


def test_operations_in_place_on_parts_record_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, row = torch.zeros(6, 4), torch.tensor([1.0, 2.0, 3.0, 4.0])
    whole = torch.zeros(6, dtype=torch.int64)

    def operate() -> None:
        for i in range(6):
            x[i] += row
            x[:, i % 4] *= 0.5
            x[i, 1:3] -= 1.0
            whole[i] += 3

    operate()
    recorded = []
    record = application._recorded
    monkeypatch.setattr(
        application, "_recorded", lambda f, *a: recorded.append(f.name) or record(f, *a)
    )
    operate()
    assert recorded == []
    x[1:3] += x[0:2]  # of the same memory
    assert recorded == ["add"]
    with pytest.raises(RuntimeError, match="can't be cast"):
        whole[1] += 1.5
    with pytest.raises(RuntimeError, match="broadcast shape"):
        x[1, :1] += row
    y = np.zeros((6, 4), np.float32)
    for _ in range(2):
        for i in range(6):
            y[i] += row.numpy()
            y[:, i % 4] *= 0.5
            y[i, 1:3] -= 1.0
    y[1:3] += y[0:2].copy()
    assert x.tolist() == y.tolist()
    assert whole.tolist() == [6] * 6


def test_a_value_that_was_read_stays_where_a_part_is_written() -> None:
    x = torch.zeros(6)
    x.tolist()
    later, row, copy = x + 1, x[1:3], x.clone()
    part = row * 2
    x[1] = 4.0
    x[2] += 1.0
    assert (later.tolist(), part.tolist(), copy.tolist()) == ([1.0] * 6, [0.0] * 2, [0.0] * 6)
    assert row.tolist() == [4.0, 1.0]
    shown = x.numpy()
    x[0] = 3.0
    assert shown.tolist() == [3.0, 4.0, 1.0, 0.0, 0.0, 0.0]


def test_a_view_that_is_written_over_itself() -> None:
    """Nothing changes but the count of writes, by which backward knows what it may not read."""
    x = torch.ones(4)
    weight = torch.ones(4, requires_grad=True)
    product = weight * x
    x[1:3] = x[1:3]
    assert x._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()
    x.expand(2, 4)[:] = x.expand(2, 4)
    assert x._version == 2


def test_a_long_chain() -> None:
    x = torch.zeros(3)
    for _ in range(5000):
        x = x + 1
    assert x.tolist() == [5000.0] * 3


@pytest.mark.parametrize(("turns", "runs"), [(250, 1), (900, 7)])
def test_a_long_chain_is_compiled(turns: int, runs: int) -> None:
    """Whatever its length, and also where it is interpreted the first few times."""
    for _ in range(runs):
        a, b, c = [torch.tensor([number] * 10) for number in (0.5, 0.5, 0.25)]
        for _ in range(turns):
            a = a * b + c
        assert a.sum().item() == 5.0


@pytest.mark.parametrize("in_place", [False, True])
def test_turns_of_a_long_loop_are_run_by_one_plan(in_place: bool) -> None:
    """They are cut at the same call each time, and none waits for long."""

    def loop(turns: int) -> None:
        a, b = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.5])
        for _ in range(turns):
            if in_place:
                a *= 0.5
                a += b
                a -= 0.25
            else:
                a = a * 0.5 + b - 0.25
            assert a._storage.expression.depth <= 195
        assert a.tolist() == [0.5, 0.5]

    loop(400)
    before = plans_made()
    loop(1600)
    assert plans_made() - before <= 2  # its last turns


def test_a_long_chain_with_gradients() -> None:
    start = torch.ones(2, requires_grad=True)
    x = start
    for _ in range(500):
        x = x * 1.001
    x.sum().backward()
    assert start.grad is not None
    assert start.grad.tolist() == pytest.approx([1.001**500] * 2, rel=1e-4)


def test_running_statistics_grow_no_graph() -> None:
    norm = nn.BatchNorm1d(4)
    x = torch.randn(16, 4)
    for _ in range(5):
        norm(x)
    norm.running_mean.tolist()
    before = live_expressions()
    for _ in range(100):
        norm(x)
    assert norm.running_mean._storage.expression.depth <= 200
    norm.running_mean.tolist(), norm.running_var.tolist()
    assert live_expressions() <= before + 4
    assert int(norm.num_batches_tracked) == 105


def test_what_numpy_writes_later_does_not_reach_back() -> None:
    array = np.ones(4, np.float32)
    x = torch.from_numpy(array)
    y = x * 2
    array[:] = 5
    assert y.tolist() == [2.0] * 4
    assert x.tolist() == [5.0] * 4


def test_what_is_written_to_exported_memory_does_not_reach_back() -> None:
    x = torch.ones(4)
    y, copy = x + 1, x.detach().clone()
    array = x.numpy()
    array[:] = 5
    x.mul_(2)
    assert y.tolist() == [2.0] * 4
    assert copy.tolist() == [1.0] * 4
    assert x.tolist() == array.tolist() == [10.0] * 4


def test_exported_memory_does_not_cut_the_graph() -> None:
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    seen = y.detach().numpy()
    y.sum().backward()
    assert seen.tolist() == [2.0] * 3
    assert x.grad is not None and x.grad.tolist() == [2.0] * 3


def _child(queue: Any) -> None:
    x = torch.arange(10.0)
    queue.put((x * x).sum().item())


@pytest.fixture
def forked() -> Iterator[Any]:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_child, args=(queue,))
    yield process, queue
    if process.is_alive():
        process.kill()
    process.join()


@pytest.mark.host
@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system"
)
def test_a_forked_process_runs_plans(forked: Any) -> None:
    big = torch.randn(256, 256)
    (big @ big).sum().item()  # starts the threads, which a child does not inherit
    process, queue = forked
    process.start()
    assert queue.get(timeout=60) == 285.0
    process.join(timeout=60)
    assert process.exitcode == 0


def test_what_is_held_is_computed_with_what_it_is_made_of() -> None:
    """A state that goes on from step to step, and a count that is read in the end: neither is
    computed from steps long past, and nothing of those stays."""
    w = torch.randn(6, 6, requires_grad=True)

    def step(state: Any, count: Any) -> Any:
        hidden = (torch.ones(4, 6) @ w + state.detach()).tanh()
        return hidden.pow(2).mean(), hidden.flip(0) * 0.5, count + (hidden.mean(1) > 0).sum()

    state, count = torch.zeros(4, 6), torch.tensor(0)
    facts = []
    for _ in range(12):
        made, ran = plans_made(), statistics.kernels_run
        loss, state, count = step(state, count)
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
        loss.item()
        facts.append((plans_made() - made, statistics.kernels_run - ran, live_expressions()))
    assert len({*facts[4:]}) == 1
    assert facts[-1][0] == 0
    assert kernels_of(count.item) == 0


def test_writes_wait_in_the_order_of_the_program() -> None:
    """Also where a storage has the number of one that is gone: plans do not depend on addresses."""
    torch.realize()  # nothing else waits
    tensors = [torch.ones(n) for n in range(1, 9)]
    for t in tensors:
        t.add_(1)
    del tensors, t
    for _ in range(3):
        tensors = [torch.ones(n) for n in range(1, 9)]
        for t in reversed(tensors):
            t.add_(1)
        waiting = [r() for r, _ in pending_writes.values()]
        sizes = [s.expression.type.size for s in waiting if s is not None]
        assert sizes == [8, 7, 6, 5, 4, 3, 2, 1]
        del tensors, t, waiting


def test_one_call_on_computed_values_needs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one on views of such, nor several: plans are found by the calls' signatures."""
    a, b = torch.randn(7, 5), torch.randn(7, 3)
    torch.realize(a, b)
    programs: tuple[Callable[[], tuple[Any, ...]], ...] = (
        lambda: (a.exp(),),
        lambda: (a.t() @ b,),
        lambda: (b.t() @ a,),
        lambda: (a.t() @ b, b.exp(), b.t() @ b),
        lambda: (a + a, b + b),
    )
    wanted = [[x.numpy().copy() for x in program()] for program in programs]
    for program in programs:
        torch.realize(*program())
    searches: list[object] = []
    module = importlib.import_module("lazytorch.realize")  # the package has a function of its name
    monkeypatch.setattr(module, "Trace", searches.append)
    for program, values in zip(programs, wanted, strict=True):
        made = program()
        torch.realize(*made)
        assert all((x.numpy() == value).all() for x, value in zip(made, values, strict=True))
    assert not searches


def test_several_calls_are_told_apart_by_what_they_share() -> None:
    """Calls of the same functions on other values of the same types: another plan for each way in
    which they read the same values."""
    values = [torch.randn(4, 4).realize() for _ in range(4)]
    for a, b, c, d in itertools.product(values, repeat=4):
        first, second = a @ b, c @ d
        torch.realize(first, second)
        for x, (y, z) in ((first, (a, b)), (second, (c, d))):
            assert (abs(x.numpy() - y.numpy() @ z.numpy()) < 1e-5).all()


def test_a_product_of_transposed_matrices_is_one_call() -> None:
    a, b = torch.randn(7, 5), torch.randn(7, 3)
    torch.realize(a, b)
    for x in (a, a + 1):
        product = x.t() @ b
        call = product._storage.expression.call
        assert call.inputs == (x._storage.expression, b._storage.expression)


def test_a_graph_that_was_freed_keeps_no_weights() -> None:
    w = torch.ones(1000, 100, requires_grad=True)
    x, y, held = torch.ones(2, 1000), torch.zeros(2, 100), []
    for _ in range(3):
        loss = nn.functional.mse_loss(torch.relu(x @ w), y)
        loss.backward()
        with torch.no_grad():
            w -= 1e-6 * w.grad
        w.grad = None
        w.tolist()
        held.append(memory_allocated())
        del loss
        assert held[-1] - memory_allocated() < 10_000
