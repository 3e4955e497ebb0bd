"""Continues noisy sine waves: an LSTM that sees a hundred points, trained with LBFGS.

python examples/time_sequence.py --epochs 6
"""

from __future__ import annotations

import numpy as np
from common import make_parser, parse, plt, progress, report, save_picture

import lazytorch as torch
from lazytorch import nn


class Sequence(nn.Module):
    """Values (N, T, 1) to guesses of the next ones (N, T, 1), then ``future`` more."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, width, 2, batch_first=True)
        self.linear = nn.Linear(width, 1)

    def forward(self, values: torch.Tensor, future: int = 0) -> torch.Tensor:
        outputs, states = self.lstm(values)
        found = [self.linear(outputs)]
        for _ in range(future):
            outputs, states = self.lstm(found[-1][:, -1:], states)
            found.append(self.linear(outputs))
        return torch.cat(found, 1)


def make_waves(count: int, length: int, random: np.random.Generator) -> np.ndarray:
    """Sines of one frequency, each with a phase of its own, and noise: (count, length, 1)."""
    phases = random.uniform(0, 2 * np.pi, (count, 1, 1))
    waves = np.sin(np.arange(length)[:, None] / 4 + phases)
    return (waves + 0.05 * random.standard_normal(waves.shape)).astype(np.float32)


def main() -> None:
    options = parse(make_parser(__doc__, epochs=6, count=64, length=100, future=50, width=24))
    random = np.random.default_rng(options.seed)
    train = torch.from_numpy(make_waves(options.count, options.length, random)).to(options.device)
    whole = make_waves(16, options.length + options.future, random)
    test = torch.from_numpy(whole[:, : options.length]).to(options.device)
    model = Sequence(options.width).to(options.device)
    criterion = nn.MSELoss()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.8, max_iter=20)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = criterion(model(train[:, :-1]), train[:, 1:])
        loss.backward()
        return loss

    bar = progress(range(options.epochs), "training")
    for _ in bar:
        loss = optimizer.step(closure).item()
        bar.set_postfix(loss=f"{loss:.5f}")
    print(f"loss {loss:.5f} at the beginning of epoch {options.epochs}")

    with torch.no_grad():
        found = model(test, future=options.future - 1)[:, -options.future :].cpu().numpy()
    wanted = whole[:, options.length :]
    still = whole[:, options.length - 1 : options.length]
    report(f"square error of {options.future} points", float(((found - wanted) ** 2).mean()),
           float(((still - wanted) ** 2).mean()), "the last point repeated", ".4f")  # fmt: skip
    figure, axes = plt.subplots(figsize=(9, 4))
    beyond = np.arange(options.length, options.length + options.future)
    for i, colour in enumerate("rgb"):
        axes.plot(whole[i, : options.length, 0], colour)
        axes.plot(beyond, found[i, :, 0], colour + ":")
    axes.set_title("dotted: the model's continuation")
    save_picture(figure, options.picture)


if __name__ == "__main__":
    main()
