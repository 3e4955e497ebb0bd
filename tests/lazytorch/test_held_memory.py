"""What training loops hold, by the engine's counter: as in PyTorch, after backward no more than
what the program keeps. Each loop is put together of a model, a loss, what is kept of a step, when
the loss is read, and what is done with the gradients."""

from __future__ import annotations

import gc
import itertools
import random
from typing import Any

import pytest
from devices import FUNCTIONS, memory_allocated

import lazytorch
from codegen.runtime import memory
from lazytorch import nn

MODELS = {
    "two layers": "torch.relu(hidden) @ w2",
    "smooth": "torch.tanh(hidden) @ w2",
    "biased": "(hidden + b1) @ w2 + 1",
    "transposed": "F.linear(F.relu(hidden), w2.t())",
    "linear": "hidden * 2 @ w2",
}
LOSSES = {
    "sum": "out.sum()",
    "mean": "out.mean()",
    "sum plus one": "(torch.relu(out) + 1).sum()",
    "doubled": "out.exp().sum() * 2",
    "shared out": "-(out.sum()) / 16",
    "viewed": "torch.relu(out).sum().view(1).squeeze()",
    "squares": "(out - y).pow(2).mean()",
    "mse_loss": "F.mse_loss(out, y)",
    "cross_entropy": "F.cross_entropy(out, t)",
    "nll_loss": "F.nll_loss(F.log_softmax(out, 1), t) + 0.1",
    "of two": "F.mse_loss(out, y) + 0.1 * w1.sum()",
    "decayed": "F.cross_entropy(out, t) + 1e-3 * (w1 * w1).sum()",
    "stacked": "torch.stack([out.sum(), out.mean()]).sum()",
    "of a part": "out[:, 0].sum()",
    "largest": "out.max()",
    "copied": "F.mse_loss(out, y).clone()",
    "double": "F.mse_loss(out, y).double()",
    "norm": "out.norm()",
}
KEEPS = {
    "nothing": "pass",
    "losses": "kept.append(loss)",
    "outputs": "kept.append(out)",
    "both": "kept.append((loss, out))",
    "hidden values": "kept.append(hidden)",
    "detached": "kept.append(loss.detach())",
    "sum in place": "total += loss",
    "sum": "total = total + loss",
    "mean": "total = total * 0.9 + loss * 0.1",
}
# Before and after backward.
READS = {
    "before": ("loss.item()", "pass"),
    "after": ("pass", "loss.item()"),
    "never": ("pass",) * 2,
}
UPDATES = {
    "SGD": "loss.backward(); optimizer.step(); optimizer.zero_grad()",
    "Adam": "loss.backward(); optimizer.step(); optimizer.zero_grad()",
    "by hand": """
    loss.backward()
    with torch.no_grad():
        for w in weights:
            w -= 1e-6 * w.grad
            w.grad = None""",
    "of grad": """
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    with torch.no_grad():
        for w, g in zip(weights, gradients):
            w -= 0 if g is None else 1e-6 * g""",
    "dropped": "loss.backward(); forget()",
    "accumulated": "loss.backward()",
    "read": "loss.backward(); [w.grad.sum().item() for w in weights]; forget()",
}


def loop(model: str, loss: str, keep: str, read: str, update: str) -> str:
    before, after = READS[read]
    weights = "w1, w2, b1" if model == "biased" else "w1, w2"
    return f"""
torch.manual_seed(0)
batches = [torch.rand(16, 32) for _ in range(3)]
y, t = torch.rand(16, 10), torch.zeros(16, dtype=torch.int64)
w1 = (torch.rand(32, 24) - 0.5).requires_grad_()
w2 = (torch.rand(24, 10) - 0.5).requires_grad_()
b1 = torch.zeros(24, requires_grad=True)
weights = [{weights}]
optimizer = torch.optim.{update if update in ("SGD", "Adam") else "SGD"}(weights, lr=1e-6)
kept, total = [], torch.zeros(())

def forget():
    for w in weights:
        w.grad = None

def step(i):
    global total
    hidden = batches[i % 3] @ w1
    out = {MODELS[model]}
    loss = {LOSSES[loss]}
    {before}
    {UPDATES[update]}
    {after}
    {KEEPS[keep]}
"""


def bytes_of(kept: Any) -> int:
    """What some tensors show, in the smallest blocks that hold it."""
    if isinstance(kept, (list, tuple)):
        return sum([bytes_of(x) for x in kept])
    return -(-kept.numel() * kept.element_size() // 64) * 64


def growth(program: str, steps: int = 6) -> float:
    """How many bytes more than what is kept a loop holds after each further step."""
    names: dict[str, Any] = {"torch": lazytorch, "F": lazytorch.nn.functional}
    exec(program, names)
    held = []
    for i in range(3 * steps):
        names["step"](i)
        if i % steps == steps - 1:
            gc.collect()
            held.append(memory_allocated() - bytes_of(names["kept"]))
    return max(held[1] - held[0], held[2] - held[1]) / steps


# A number a step stays where losses are added up: the graph of their sum is not freed.
NUMBERS = 3 * 64


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_loop_holds_what_it_keeps(loss: str, keep: str) -> None:
    lazytorch.set_default_device(FUNCTIONS)
    ways = list(itertools.product(MODELS, READS, UPDATES))
    try:
        for model, read, update in random.Random(loss + keep).sample(ways, 4):
            program = loop(model, loss, keep, read, update)
            assert growth(program) <= NUMBERS, program
    finally:
        lazytorch.set_default_device("cpu")


@pytest.mark.host
def test_the_first_step_of_a_kind_overwrites_what_it_updates() -> None:
    """In the weight's size: its gradient and two states come to it, and no second copy of any."""
    model = nn.Linear(512, 512)
    optimizer = lazytorch.optim.Adam(model.parameters())
    x = lazytorch.randn(4, 512)
    lazytorch.realize(x, *model.parameters())
    before = memory_allocated()
    memory.reset_peak()
    model(x).square().mean().backward()
    optimizer.step()
    assert memory.max_memory_allocated() - before < 3.5 * model.weight.nbytes


@pytest.mark.host
def test_a_new_plan_does_not_wait_with_the_memory_of_those_before() -> None:
    x = lazytorch.randn(1 << 20)
    lazytorch.realize(x)
    (x + 1).realize()  # its memory waits for the next of its size
    assert memory._free[memory.size_class(x.nbytes)]
    lazytorch.realize((x[:1000] * 3).sin())
    assert not memory._free[memory.size_class(x.nbytes)]
