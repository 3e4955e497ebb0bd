"""Trains a recurrent network to continue text, letter by letter, on Python's own documentation.

python examples/char_lstm.py --epochs 6 --device cpu
"""

from __future__ import annotations

from common import make_parser, parse
from letters import Letters, train, write

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


def main() -> None:
    options = parse(
        make_parser(
            __doc__,
            epochs=6,
            batches=100,
            batch_size=32,
            length=64,
            width=256,
            letters=300,
            lr=2e-3,
        )
    )
    letters = Letters()
    model = CharLSTM(len(letters.all), options.width).to(options.device)
    train(model, letters, options)
    print(write(model, letters, "The ", options.letters, options.device))


if __name__ == "__main__":
    main()
