"""Trains a small GPT to continue text, letter by letter, on Python's own documentation.

python examples/char_gpt.py --epochs 6 --device cpu
"""

from __future__ import annotations

from common import make_parser, parse
from letters import Letters, train, write

import lazytorch as torch
from lazytorch import nn
from lazytorch.nn import functional as F


class Block(nn.Module):
    """Attention to the letters before, then two linear layers, each added to what comes in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind()
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(found.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class CharGPT(nn.Module):
    """Letters (N, T) to scores of the next one (N, T, letters); T is at most ``length``."""

    def __init__(self, letters: int, length: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.length = length
        self.letters, self.places = nn.Embedding(letters, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, letters, bias=False)
        self.head.weight = self.letters.weight
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, text: torch.Tensor, state: None = None) -> tuple[torch.Tensor, None]:
        places = torch.arange(text.shape[1], device=text.device)
        x = self.blocks(self.letters(text) + self.places(places))
        return self.head(self.norm(x)), None

    def writer(self, text: torch.Tensor, seen: torch.Tensor | None) -> tuple[torch.Tensor, object]:
        """As ``forward``, after the letters that were seen before.

        The text is read at its full length always, filled up behind: one plan for all lengths.
        """
        seen = (text if seen is None else torch.cat([seen, text], 1))[:, -self.length :]
        filled = F.pad(seen, (0, self.length - seen.shape[1]))
        scores, _ = self(filled)
        return scores[:, seen.shape[1] - 1 : seen.shape[1]], seen


def main() -> None:
    options = parse(
        make_parser(
            __doc__, epochs=6, batches=100, batch_size=32, length=64, width=128, heads=4, layers=3,
            letters=300, lr=2e-3,
        )
    )  # fmt: skip
    letters = Letters()
    model = CharGPT(
        len(letters.all), options.length, options.width, options.heads, options.layers
    ).to(options.device)
    train(model, letters, options)
    print(write(model.writer, letters, "The ", options.letters, options.device))


if __name__ == "__main__":
    main()
