"""A two-layer network three times, as in PyTorch's tutorial: by hand, with nn, with Adam.

python examples/two_layer_net.py --device cpu
"""

from __future__ import annotations

import argparse

import lazytorch as torch
from lazytorch import nn

BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10


def by_hand(x: torch.Tensor, y: torch.Tensor, steps: int) -> float:
    """Weights as plain tensors; autograd gives their gradients."""
    w1 = torch.randn(INPUTS, HIDDEN, device=x.device, requires_grad=True)
    w2 = torch.randn(HIDDEN, OUTPUTS, device=x.device, requires_grad=True)
    for _ in range(steps):
        loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= 1e-6 * w.grad
                w.grad.zero_()
    return loss.item()


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, OUTPUTS))


def with_modules(x: torch.Tensor, y: torch.Tensor, steps: int) -> float:
    """Layers keep the weights; the update is still written out."""
    model = make_model().to(x.device)
    loss_of = nn.MSELoss(reduction="sum")
    for _ in range(steps):
        loss = loss_of(model(x), y)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for w in model.parameters():
                w -= 1e-4 * w.grad
    return loss.item()


def with_adam(x: torch.Tensor, y: torch.Tensor, steps: int) -> float:
    """An optimizer updates the weights."""
    model = make_model().to(x.device)
    loss_of = nn.MSELoss(reduction="sum")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, opencl, cuda or interpreter")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    x = torch.randn(BATCH, INPUTS, device=options.device)
    y = torch.randn(BATCH, OUTPUTS, device=options.device)
    for train in (by_hand, with_modules, with_adam):
        loss = train(x, y, options.steps)
        print(f"{train.__name__}: loss {loss:.3g} after {options.steps} steps")


if __name__ == "__main__":
    main()
