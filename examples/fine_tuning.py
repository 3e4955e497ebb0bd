"""Fine-tunes a network from a PyTorch checkpoint: it knows clean digits, and learns faint ones.

python examples/fine_tuning.py --epochs 30

The checkpoint is made first, by PyTorch itself where it is installed.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from common import load_digits, make_parser, parse, progress, report, save_curves

import lazytorch as torch
from lazytorch import nn
from lazytorch.nn import functional as F


def make_network(library: ModuleType) -> Any:
    """Images (N, 1, 8, 8) to scores (N, 10), with the modules of PyTorch or lazytorch."""
    nn = library.nn
    return nn.Sequential(
        nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 16, 64), nn.ReLU(),
        ),
        nn.Linear(64, 10),
    )  # fmt: skip


def write_checkpoint(path: Path, images: np.ndarray, labels: np.ndarray, epochs: int) -> None:
    """Train on these (N, 1, 8, 8) with PyTorch, or here where it is missing; save the state."""
    there = importlib.util.find_spec("torch") is not None
    library = importlib.import_module("torch" if there else "lazytorch")
    library.manual_seed(0)
    model = make_network(library)
    optimizer = library.optim.Adam(model.parameters(), lr=2e-3)
    x, y = library.from_numpy(images), library.from_numpy(labels)
    for _ in progress(range(epochs), "the checkpoint"):
        for first in range(0, len(x) - 63, 64):
            loss = library.nn.functional.cross_entropy(
                model(x[first : first + 64]), y[first : first + 64]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    library.save({"model": model.state_dict(), "epochs": epochs}, path)
    print(f"{library.__name__} wrote {path.resolve()}")


def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


def fit(
    model: nn.Module, data: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor], lr: float, epochs: int, title: str,
) -> list[float]:  # fmt: skip
    """Accuracies on ``test`` after each epoch, which is one step on all of ``data``."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    found = []
    for _ in progress(range(epochs), title):
        model.train()
        loss = F.cross_entropy(model(data[0]), data[1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(accuracy(model, *test))
    print(f"{title}: loss {loss.item():.4f}")
    return found


def main() -> None:
    parser = make_parser(__doc__, epochs=30, examples=40)
    parser.add_argument("--checkpoint", type=Path, default=Path("digits.pt"))
    parser.add_argument("--checkpoint-epochs", type=int, default=10)
    options = parse(parser)
    train, test = [[x.numpy() for x in part.tensors] for part in load_digits()]
    if not options.checkpoint.exists():
        write_checkpoint(options.checkpoint, *train, options.checkpoint_epochs)

    random = np.random.default_rng(options.seed)

    def faint(images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        scanned = 0.5 * images + 0.3 * random.random(images.shape)
        return (torch.from_numpy(scanned.astype(np.float32)).to(options.device),
                torch.from_numpy(labels).to(options.device))  # fmt: skip

    few, judged = faint(*[x[: options.examples] for x in train]), faint(*test)
    saved = torch.load(options.checkpoint, map_location=options.device, weights_only=True)
    tuned, fresh = [make_network(torch).to(options.device) for _ in range(2)]
    print(tuned.load_state_dict(saved["model"]))
    before = accuracy(tuned, *judged)
    curves = {
        "from the checkpoint": fit(tuned, few, judged, 1e-3, options.epochs, "fine-tuning"),
        "from nothing": fit(fresh, few, judged, 2e-3, options.epochs, "from nothing"),
        "as it was": [before] * options.epochs,
    }
    print(f"from nothing: accuracy {curves['from nothing'][-1]:.1%}")
    report(f"accuracy after {options.examples} faint digits", curves["from the checkpoint"][-1],
           before, "the checkpoint as it was", ".1%")  # fmt: skip
    save_curves(options.picture, "accuracy", **curves)


if __name__ == "__main__":
    main()
