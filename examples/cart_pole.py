"""Learns to balance a pole on a cart by trying: REINFORCE, with a value as its baseline.

python examples/cart_pole.py --epochs 60

Williams (1992); the cart of Barto, Sutton and Anderson (1983), many at once, written in NumPy.
"""

from __future__ import annotations

import numpy as np
from common import make_parser, parse, progress, report, save_curves

import lazytorch as torch
from lazytorch import nn
from lazytorch.nn import functional as F


class Carts:
    """``count`` carts with a pole each; what has fallen stays so."""

    def __init__(self, count: int, random: np.random.Generator) -> None:
        self.states = random.uniform(-0.05, 0.05, (count, 4))
        self.up = np.ones(count, bool)

    def push(self, right: np.ndarray) -> None:
        """One fiftieth of a second with a push of 10 N to a side, by the equations of motion."""
        _, speed, angle, turning = self.states.T
        sine, cosine = np.sin(angle), np.cos(angle)
        force = (np.where(right, 10.0, -10.0) + 0.05 * turning**2 * sine) / 1.1
        turn = (9.8 * sine - cosine * force) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
        rates = np.stack([speed, force - 0.05 * turn * cosine / 1.1, turning, turn], 1)
        self.states = np.where(self.up[:, None], self.states + 0.02 * rates, self.states)
        self.up &= (np.abs(self.states[:, 0]) < 2.4) & (np.abs(self.states[:, 2]) < np.radians(12))


class Policy(nn.Module):
    """States (..., 4) to scores of pushing left and right (..., 2) and the value (...)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, width), nn.Tanh())
        self.actor, self.critic = nn.Linear(width, 2), nn.Linear(width, 1)

    def forward(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.body(states)
        return self.actor(x), self.critic(x).squeeze(-1)


def play(
    policy: Policy | None, count: int, length: int, random: np.random.Generator, device: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States (length, count, 4), actions and whether the pole was up (length, count).

    Each action is drawn by the policy's probabilities; without a policy, evenly.
    """
    carts, found = Carts(count, random), []
    for _ in range(length):
        states, up, chances = carts.states.astype(np.float32), carts.up.copy(), np.full(count, 0.5)
        if policy is not None:
            with torch.no_grad():
                scores, _ = policy(torch.from_numpy(states).to(device))
                chances = torch.softmax(scores, -1)[:, 1].cpu().numpy()
        right = random.random(count) < chances
        carts.push(right)
        found.append((states, right, up))
    states, actions, up = [np.stack(x) for x in zip(*found, strict=True)]
    return states, actions, up


def main() -> None:
    options = parse(make_parser(__doc__, epochs=60, count=16, length=200, width=64, lr=1e-2))
    random = np.random.default_rng(options.seed)
    policy = Policy(options.width).to(options.device)
    optimizer = torch.optim.Adam(policy.parameters(), lr=options.lr)
    lengths = []
    bar = progress(range(options.epochs), "training")
    for _ in bar:
        played = play(policy, options.count, options.length, random, options.device)
        states, actions, up = [torch.from_numpy(x).to(options.device) for x in played]
        # A reward for each moment that the pole stays up, those to come at a discount.
        returns = np.zeros((options.length + 1, options.count), np.float32)
        for t in reversed(range(options.length)):
            returns[t] = played[2][t] * (1 + 0.98 * returns[t + 1])
        wanted, weight = torch.from_numpy(returns[:-1]).to(options.device), up.float()
        scores, value = policy(states)
        value = value * 10
        better = (wanted - value).detach()
        better = better / (better.square() * weight).sum().div(weight.sum()).sqrt()
        log = F.log_softmax(scores, -1).gather(-1, actions.long().unsqueeze(-1)).squeeze(-1)
        losses = -log * better + 0.01 * F.smooth_l1_loss(value, wanted, reduction="none")
        loss = (losses * weight).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lengths.append(float(played[2].sum(0).mean()))
        bar.set_postfix(steps=f"{lengths[-1]:.0f}", loss=f"{loss.item():.3f}")
    print(f"loss {loss.item():.4f} after {options.epochs} epochs")

    judged = [
        float(play(p, 64, options.length, random, options.device)[2].sum(0).mean())
        for p in (policy, None)
    ]
    report(f"steps that the pole stays up, of {options.length}", *judged, "random pushes", ".1f")
    save_curves(options.picture, "steps", trained=lengths, random=[judged[1]] * options.epochs)


if __name__ == "__main__":
    main()
