"""What the two language models share: letters as numbers, training, and writing."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
from common import load_text, progress, report, save_curves

import lazytorch as torch
from lazytorch import nn

# Numbers (N, T) and what was returned last time (None at first) to scores (N, T, letters) of
# the next letter, and what the model wants to be given next time.
Scores = Callable[[torch.Tensor, object], tuple[torch.Tensor, object]]


class Letters:
    """The text as numbers, nine tenths to train on and the rest to test."""

    def __init__(self) -> None:
        text = load_text()
        self.all = sorted(set(text))
        self.number = {c: i for i, c in enumerate(self.all)}
        numbers = np.array([self.number[c] for c in text])
        cut = len(text) * 9 // 10
        self.train, self.test = torch.tensor(numbers[:cut]), torch.tensor(numbers[cut:])

    def pairs_cost(self) -> float:
        """The test text's nats a letter where each is guessed from the one before it."""
        given, test = self.train.numpy(), self.test.numpy()
        counts = np.full((len(self.all), len(self.all)), 0.01)
        np.add.at(counts, (given[:-1], given[1:]), 1)
        logs = np.log(counts / counts.sum(1, keepdims=True))
        return float(-logs[test[:-1], test[1:]].mean())


def draw_batch(data: torch.Tensor, count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pieces from anywhere in the text, (count, length), and the same one letter later."""
    starts = torch.randint(len(data) - length - 1, (count, 1))
    places = starts + torch.arange(length)
    return data[places], data[places + 1]


def cost(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor], device: str) -> torch.Tensor:
    """The nats a letter that the model's guesses cost."""
    given, wanted = batch
    scores, _ = model(given.to(device), None)
    return nn.functional.cross_entropy(scores.flatten(0, 1), wanted.to(device).flatten())


def train(model: nn.Module, letters: Letters, options: argparse.Namespace) -> None:
    """Epochs of ``options.batches`` batches, then the number and the curve to look at."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr)
    size = options.batch_size, options.length
    fixed = [draw_batch(letters.test, *size) for _ in range(4)]
    curves: dict[str, list[float]] = {"training": [], "test": []}
    started = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        model.train()
        total = 0.0
        for _ in progress(range(options.batches), f"epoch {epoch}/{options.epochs}"):
            loss = cost(model, draw_batch(letters.train, *size), options.device)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            test = sum(cost(model, batch, options.device).item() for batch in fixed) / len(fixed)
        curves["training"].append(total / options.batches)
        curves["test"].append(test)
        print(f"epoch {epoch}: loss {total / options.batches:.3f}, on test text {test:.3f}")
    seconds = time.perf_counter() - started
    print(f"trained on {len(letters.train)} letters of {len(letters.all)} kinds in {seconds:.1f} s")
    pairs = letters.pairs_cost()
    curves["a table of pairs"] = [pairs] * options.epochs
    report("nats a letter", test, pairs, f"a table of pairs of letters; e^{test:.2f} is"
           f" {math.exp(test):.1f} choices")  # fmt: skip
    save_curves(options.picture, "nats a letter", **curves)


def write(model: Scores, letters: Letters, start: str, length: int, device: str) -> str:
    """``start`` and so many letters more, each drawn by the model's probabilities."""
    given = torch.tensor([[letters.number[c] for c in start]]).to(device)
    state, found = None, list(start)
    with torch.no_grad():
        for _ in range(length):
            scores, state = model(given, state)
            given = torch.multinomial(torch.softmax(scores[:, -1], 1), 1)
            found.append(letters.all[int(given.item())])
    return "".join(found)
