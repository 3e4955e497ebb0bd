"""Trains a recurrent network to continue text, letter by letter, on Python's own documentation.

python examples/char_lstm.py --steps 600 --device cpu
"""

from __future__ import annotations

import argparse
import time
from pydoc_data.topics import topics

import lazytorch as torch
from lazytorch import nn


class CharLSTM(nn.Module):
    """Letters (N, T) to scores of the next one (N, T, letters), and the states after the last."""

    def __init__(self, letters: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(letters, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, letters)

    def forward(
        self, text: torch.Tensor, states: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        outputs, states = self.lstm(self.embedding(text), states)
        return self.head(outputs), states


def load_text() -> str:
    """The language reference's pages, without the letters that are rare in them."""
    text = "\n".join(topics[name] for name in sorted(topics))
    return "".join(c for c in text if c == "\n" or " " <= c <= "~")


def draw_batch(data: torch.Tensor, count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pieces from anywhere in the text, (count, length), and the same one letter later."""
    starts = torch.randint(len(data) - length - 1, (count, 1))
    places = starts + torch.arange(length)
    return data[places], data[places + 1]


def continue_text(model: CharLSTM, letters: list[str], start: str, length: int, device: str) -> str:
    """``start`` and so many letters more, each drawn by the model's probabilities."""
    model.eval()
    number = {c: i for i, c in enumerate(letters)}
    given = torch.tensor([[number[c] for c in start]]).to(device)
    states, found = None, list(start)
    with torch.no_grad():
        for _ in range(length):
            scores, states = model(given, states)
            given = torch.multinomial(torch.softmax(scores[:, -1], 1), 1)
            found.append(letters[int(given.item())])
    return "".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, opencl, cuda or interpreter")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--length", type=int, default=64, help="letters a piece")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--letters", type=int, default=300, help="how many to write at the end")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    text = load_text()
    letters = sorted(set(text))
    number = {c: i for i, c in enumerate(letters)}
    data = torch.tensor([number[c] for c in text])
    model = CharLSTM(len(letters), options.width).to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    started = time.perf_counter()
    for step in range(1, options.steps + 1):
        given, wanted = draw_batch(data, options.batch_size, options.length)
        scores, _ = model(given.to(options.device))
        loss = nn.functional.cross_entropy(
            scores.flatten(0, 1), wanted.to(options.device).flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0 or step == options.steps:
            print(f"loss {loss.item():.3f} after {step} steps")
    seconds = time.perf_counter() - started
    print(f"trained on {len(text)} letters of {len(letters)} kinds in {seconds:.1f} s\n")
    print(continue_text(model, letters, "The ", options.letters, options.device))


if __name__ == "__main__":
    main()
