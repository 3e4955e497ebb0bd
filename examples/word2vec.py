"""Learns vectors of words from what stands beside them: skip-gram with sparse gradients.

python examples/word2vec.py --epochs 10

Mikolov et al., "Distributed Representations of Words and Phrases" (2013), on the text of Python's
language reference.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from common import load_words, make_parser, parse, plt, progress, report, save_picture

import lazytorch as torch
from lazytorch import nn
from lazytorch.nn import functional as F


class SkipGram(nn.Module):
    """Words (N,) and words that may stand beside them (N, M) to scores (N, M)."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width, sparse=True)
        self.contexts = nn.Embedding(words, width, sparse=True)
        nn.init.uniform_(self.words.weight, -0.5 / width, 0.5 / width)
        nn.init.zeros_(self.contexts.weight)

    def forward(self, words: torch.Tensor, contexts: torch.Tensor) -> torch.Tensor:
        return (self.contexts(contexts) @ self.words(words).unsqueeze(2)).squeeze(2)


def neighbours(numbers: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Each pair of words at most ``reach`` apart, both ways."""
    firsts = [numbers[:-d] for d in range(1, reach + 1)]
    seconds = [numbers[d:] for d in range(1, reach + 1)]
    return np.concatenate(firsts + seconds), np.concatenate(seconds + firsts)


def main() -> None:
    options = parse(
        make_parser(__doc__, epochs=10, batch_size=2048, width=64, reach=4, others=5, least=5,
                    batches=200, lr=2e-3)
    )  # fmt: skip
    random = np.random.default_rng(options.seed)
    text = load_words()
    counts = {w: n for w, n in Counter(text).most_common() if n >= options.least}
    names = list(counts)
    number = {w: i for i, w in enumerate(names)}
    # Frequent words are left out mostly: their neighbours say little.
    share = np.array(list(counts.values())) / len(text)
    kept = random.random(len(text)) < np.sqrt(1e-3 / np.array([share[number[w]] if w in number
                                                               else 1 for w in text]))  # fmt: skip
    numbers = np.array([number.get(w, -1) for w in text])[kept]
    numbers = numbers[numbers >= 0]
    cut = len(numbers) * 9 // 10
    words, contexts = neighbours(numbers[:cut], options.reach)
    noise = np.bincount(numbers, minlength=len(names)) ** 0.75
    noise /= noise.sum()

    model = SkipGram(len(names), options.width).to(options.device)
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=options.lr)
    size = options.batch_size
    target = torch.zeros(size, 1 + options.others)
    target[:, 0] = 1
    target = target.to(options.device)
    for epoch in range(1, options.epochs + 1):
        total = 0.0
        for _ in progress(range(options.batches), f"epoch {epoch}/{options.epochs}"):
            chosen = random.integers(0, len(words), size)
            others = random.choice(len(names), (size, options.others), p=noise)
            beside = np.concatenate([contexts[chosen, None], others], 1)
            scores = model(
                torch.from_numpy(words[chosen]).to(options.device),
                torch.from_numpy(beside).to(options.device),
            )
            loss = F.binary_cross_entropy_with_logits(scores, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / options.batches:.4f}")

    vectors = model.words.weight.detach().cpu().numpy()
    beside = model.contexts.weight.detach().cpu().numpy()
    words, contexts = neighbours(numbers[cut:], options.reach)
    other = random.choice(len(names), len(words), p=noise)
    scores = (vectors[words] * (beside[contexts] - beside[other])).sum(1)
    often = noise[contexts] - noise[other]
    judged = [float((x > 0).mean() + (x == 0).mean() / 2) for x in (scores, often)]
    report("a neighbour in new text told from a random word", *judged, "the more frequent", ".1%")

    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for name in ("function", "class", "integer", "import"):
        if name in number:
            nearest = np.argsort(-unit @ unit[number[name]])[1:6]
            print(f"{name}: {', '.join(names[i] for i in nearest)}")
    shown = unit[:150] - unit[:150].mean(0)
    places = shown @ np.linalg.svd(shown, full_matrices=False)[2][:2].T
    figure, axes = plt.subplots(figsize=(10, 8))
    axes.scatter(*places.T, s=3)
    for name, place in zip(names, places, strict=False):
        axes.annotate(name, place, fontsize=7)
    save_picture(figure, options.picture)


if __name__ == "__main__":
    main()
