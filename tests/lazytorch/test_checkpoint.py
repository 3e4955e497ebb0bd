"""torch.utils.checkpoint: PyTorch's gradients, the same random numbers, and less memory."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs real PyTorch")

from devices import memory_allocated
from stories import compare_story

import lazytorch as torch
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
