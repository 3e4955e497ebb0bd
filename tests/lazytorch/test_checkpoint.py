"""torch.utils.checkpoint: PyTorch's gradients, the same random numbers, and less memory."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs real PyTorch")

from devices import memory_allocated
from stories import compare_story

import lazytorch as torch
from codegen.runtime.memory import max_memory_allocated, reset_peak
from codegen.runtime.plan import watchers
from lazytorch import nn
from lazytorch.utils.checkpoint import checkpoint

pytestmark = pytest.mark.pytorch

STORY = """
c = torch.utils.checkpoint
runs = []
w = torch.tensor([0.5, -1.0], requires_grad=True)
def part(x, k, y=None):
    runs.append(torch.is_grad_enabled())
    z = (x * w).sin() * k
    return z if y is None else (z + y, [z * y, 3])
for reentrant in (True, False):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    w.grad = None
    h = c.checkpoint(part, x * 2, 3, use_reentrant=reentrant)
    log(h, len(runs))
    h = c.checkpoint(part, h + x, 2, use_reentrant=reentrant) * x
    h.sum().backward()
    log(x.grad, w.grad, len(runs))
    with torch.no_grad():
        log(c.checkpoint(part, x, 3, use_reentrant=reentrant).requires_grad)
x.grad = None
a, (b, n) = c.checkpoint(part, x, 2, y=x * x, use_reentrant=False)
log(n, torch.autograd.grad((a * b).sum(), [x, w], retain_graph=True))
a, (b, n) = c.checkpoint(part, x, 2, y=x * x, use_reentrant=False)
log(torch.autograd.grad(b.sum(), [w, x]))
y = c.checkpoint(part, x.detach(), 2, use_reentrant=False)
log(torch.autograd.grad(y.sum(), w))
g, = torch.autograd.grad(c.checkpoint(part, x, 2, use_reentrant=False).sum(), x, create_graph=True)
log(g, torch.autograd.grad(g.sum(), [x, w]))
fails(lambda: c.checkpoint(part, x, 2, use_reentrant=True, other=3))
fails(lambda: c.checkpoint(part, x, 2, use_reentrant=False, determinism_check="all"))
once = []
def other_shape(x):
    once.append(1)
    return x.sin() if len(once) % 2 else x[:1].sin()
def differs(**options):
    try:
        c.checkpoint(other_shape, x, use_reentrant=False, **options).sum().backward()
    except c.CheckpointError as error:
        log("differs")
differs()
contexts = lambda: (torch.no_grad(), torch.enable_grad())
fails(lambda: c.checkpoint(part, x, 2, use_reentrant=False, context_fn=contexts, debug=True))
fails(lambda: c.checkpoint(part, x, 2, use_reentrant=True, context_fn=contexts))
x.grad = None
with c.set_checkpoint_early_stop(False):
    c.checkpoint(part, x, 2, use_reentrant=False, early_stop=True).sum().backward()
log(x.grad)
layers = [torch.sin, torch.exp, torch.tanh, torch.cos, torch.sigmoid]
for reentrant in (True, False):
    y = c.checkpoint_sequential(layers, 2, x, use_reentrant=reentrant)
    log(y, torch.autograd.grad(y.sum(), x) if not reentrant else y.sum().backward(), x.grad)
"""


def test_story() -> None:
    compare_story(STORY)


RUNS = """
c = torch.utils.checkpoint
parts = dict(
    more=lambda x: x.sin().cos(), sin=lambda x: x.sin(), double=lambda x: x * 2, mm=lambda x: x @ x,
    exp=lambda x: x.exp(), both=lambda x: x.sin() * x.cos(), add=lambda x: x + 1,
    detached=lambda x: x.detach().sin() * x, softmax=lambda x: torch.softmax(x, 1),
)
others = dict(float64=lambda x: x.double().sin(), row=lambda x: x[:1].sin())
ways = dict(
    backward=lambda y, x: y.backward(), grad=lambda y, x: torch.autograd.grad(y, x),
    inputs=lambda y, x: y.backward(inputs=[x]),
    double=lambda y, x: torch.autograd.grad(y, x, create_graph=True),
)
def outcome(first, second, way, **options):
    runs = []
    def part(x):
        runs.append(x)
        return (first if len(runs) == 1 else second)(x)
    x = torch.tensor([[0.5, 1.0], [2.0, -1.0]], requires_grad=True)
    try:
        found = way(c.checkpoint(part, x, **options).sum(), x)
    except RuntimeError as error:
        text = str(error).split("\\n\\nTip")[0].split(", 'device'")[0]
        return type(error).__name__, text
    return (found, x.grad) if first is second else "ran"
for name, first in parts.items():
    for other, second in {**parts, **others}.items():
        for options in ({}, {"determinism_check": "none"}, {"early_stop": False}):
            if other in parts or not options:
                way = ways["backward"]
                log(name, other, outcome(first, second, way, use_reentrant=False, **options))
    for way, function in ways.items():
        for reentrant in (True, False):
            for preserves in (True, False):
                options = dict(use_reentrant=reentrant, preserve_rng_state=preserves)
                log(name, way, options, outcome(first, first, function, **options))
with c.set_checkpoint_early_stop(False):
    log(outcome(parts["sin"], parts["more"], ways["backward"], use_reentrant=False))
log(outcome(parts["more"], parts["sin"], ways["backward"], use_reentrant=False, debug=True)[0])
"""


def test_what_both_runs_save_is_compared() -> None:
    compare_story(RUNS)


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        convolution = lambda: nn.Conv2d(channels, channels, 3, padding=1)  # noqa: E731
        self.inner = nn.Sequential(
            convolution(), nn.BatchNorm2d(channels), nn.ReLU(), nn.Dropout(0.2),
            convolution(), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.inner(x)).relu()


@pytest.mark.host
@pytest.mark.parametrize(("on", "most"), [(False, 7), (True, 9)])
def test_peak_memory_of_a_step(on: bool, most: float) -> None:
    """In results of the block's layers: PyTorch has 8 at once, with a checkpoint or without."""
    torch.manual_seed(0)
    block = nn.Sequential(
        nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16),
    )  # fmt: skip
    x = torch.randn(8, 16, 64, 64, requires_grad=True)
    torch.realize(x, *block.parameters())
    before = memory_allocated()
    reset_peak()
    part = lambda x: (x + block(x)).relu()  # noqa: E731
    h = checkpoint(part, x, use_reentrant=False) if on else part(x)
    h.square().mean().backward()
    torch.realize(x.grad, *[p.grad for p in block.parameters()])
    assert max_memory_allocated() - before < most * x.nbytes


@pytest.mark.host
@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("on", [True, False])
def test_backward_keeps_the_result_of_what_stops_the_compiler(on: bool, reads: bool) -> None:
    """A checkpoint and a user's Function run forward once, and a checkpoint in backward."""

    class Part(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return (x @ x).exp()

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient

    x = torch.rand(32, 32, requires_grad=True)
    torch.realize(x)
    products = []
    watchers.append(
        lambda record, _: products.extend([k for k in record.kernels if k.name == "contraction"])
    )
    try:
        y = checkpoint(lambda x: (x @ x).exp(), x, use_reentrant=False) if on else Part.apply(x)
        loss = y.square().sum()
        del y
        if reads:
            loss.item()
        loss.backward()
        torch.realize(x.grad)
    finally:
        watchers.pop()
    # The checkpoint's second run and gradient are three more.
    assert len(products) == (4 if on else 1)


@pytest.mark.host
def test_a_checkpoint_that_ends_another_is_computed_twice() -> None:
    def inner(x: Any) -> Any:
        return (x @ x).exp()

    def outer(x: Any) -> Any:
        return checkpoint(inner, x * 2, use_reentrant=False)

    x = torch.rand(32, 32, requires_grad=True)
    torch.realize(x)
    products = []
    watchers.append(
        lambda record, _: products.extend([k for k in record.kernels if k.name == "contraction"])
    )
    try:
        checkpoint(outer, x, use_reentrant=False).square().sum().backward()
        torch.realize(x.grad)
    finally:
        watchers.pop()
    assert len(products) == 4  # two runs, and the two of the gradient


@pytest.mark.parametrize("reentrant", [True, False])
def test_memory(reentrant: bool) -> None:
    """Residual blocks keep less than half of their activations; their gradients are the same."""
    torch.manual_seed(0)
    blocks = [Block(4) for _ in range(3)]
    parameters = [p for b in blocks for p in b.parameters()]
    results = []
    for on in (False, True):
        torch.manual_seed(1)
        x = torch.randn(4, 4, 16, 16, requires_grad=True)
        torch.realize(x)
        for p in parameters:
            p.grad = None
        before = memory_allocated()
        h = x
        for b in blocks:
            h = checkpoint(b, h, use_reentrant=reentrant) if on else b(h)
        loss = h.square().mean()
        torch.realize(loss)
        held = memory_allocated() - before
        loss.backward()
        torch.realize(x.grad, *[p.grad for p in parameters])
        results.append((held, loss.item(), [p.grad.tolist() for p in (x, *parameters)]))
    (plain, *expected), (less, *found) = results
    assert less < plain / 2
    assert found[0] == pytest.approx(expected[0])
    for mine, other in zip(found[1], expected[1], strict=True):
        torch_mine, torch_other = torch.tensor(mine), torch.tensor(other)
        assert torch.allclose(torch_mine, torch_other, rtol=1e-4, atol=1e-5)


def test_a_pass_of_another_thread_is_not_its_own() -> None:
    """A reentrant checkpoint in a whole backward, while another thread asks for one leaf."""
    x, y = (torch.ones(2, requires_grad=True) for _ in range(2))
    began, done = threading.Event(), threading.Event()
    doubled = y * 2
    doubled.register_hook(lambda g: began.set() or (done.wait(20) and None))
    other = threading.Thread(target=lambda: doubled.sum().backward(inputs=[y]))
    part = checkpoint(torch.sin, x, use_reentrant=True)
    part.register_hook(lambda g: other.start() or (began.wait(20) and None))
    try:
        part.sum().backward()
    finally:
        done.set()
        other.join()
    assert x.grad.tolist() == x.cos().tolist() and y.grad.tolist() == [2, 2]


ARGUMENTS = """
call = torch.utils.checkpoint.checkpoint
x = torch.tensor([1.0, 2.0], requires_grad=True)
h = x * 2
def written(a):
    return a.mul_(3).sin()
y = call(written, h, use_reentrant=False)
log(h, h._version)
fails(lambda: y.sum().backward())
h = x * 2
view = call(lambda a: a[:1], h, use_reentrant=False)
view.mul_(5)
log(h, view._base is h)
h = x * 2
def keeps(a):
    a.retain_grad()
    return a.sin()
call(keeps, h, use_reentrant=False).sum().backward()
log(h.grad, x.grad)
h = x * 2
call(lambda a: a.sin() * h, h, use_reentrant=False).sum().backward()
log(x.grad)
log(call(lambda a: (a, a.sin()), h, use_reentrant=False)[0] is h)
"""


def test_a_part_is_given_the_arguments_themselves() -> None:
    compare_story(ARGUMENTS)
