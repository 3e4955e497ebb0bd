"""A variational autoencoder of handwritten digits: four numbers an image, and images from them.

python examples/vae.py --epochs 60
"""

from __future__ import annotations

import numpy as np
from common import load_digits, make_parser, parse, progress, report, save_images

import lazytorch as torch
from lazytorch import nn
from lazytorch.nn import functional as F
from lazytorch.utils.data import DataLoader

PIXELS = 64


class VAE(nn.Module):
    """Images (N, 64) to scores of their pixels (N, 64), and mean and log variance (N, code)."""

    def __init__(self, code: int, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(PIXELS, width), nn.ReLU(), nn.Linear(width, 2 * code)
        )
        self.decoder = nn.Sequential(nn.Linear(code, width), nn.ReLU(), nn.Linear(width, PIXELS))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, 1)
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(drawn), mean, log_variance


def bound(
    scores: torch.Tensor, x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor
) -> torch.Tensor:
    """What the images cost at most, in nats an image: Kingma and Welling (2013)."""
    pixels = F.binary_cross_entropy_with_logits(scores, x, reduction="sum")
    code = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    return (pixels + code) / len(x)


def error_of_components(train: np.ndarray, test: np.ndarray, count: int) -> float:
    """The mean square error where images are described by their first principal components."""
    mean = train.mean(0)
    axes = np.linalg.svd(train - mean, full_matrices=False)[2][:count]
    return float((((test - mean) @ axes.T @ axes + mean - test) ** 2).mean())


def main() -> None:
    options = parse(make_parser(__doc__, epochs=60, batch_size=64, code=4, width=256, lr=2e-3))
    train, test = load_digits()
    loader = DataLoader(train, options.batch_size, shuffle=True, drop_last=True)
    model = VAE(options.code, options.width).to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    bar = progress(range(options.epochs), "training")
    for _ in bar:
        total = 0.0
        for images, _ in loader:
            images = images.flatten(1).to(options.device)
            scores, mean, log_variance = model(images)
            loss = bound(scores, images, mean, log_variance)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        bar.set_postfix(loss=f"{total / len(loader):.2f}")
    print(f"loss {total / len(loader):.2f} nats an image after {options.epochs} epochs")

    images = test.tensors[0].flatten(1)
    with torch.no_grad():
        code = model.encoder(images.to(options.device)).chunk(2, 1)[0]
        again = torch.sigmoid(model.decoder(code)).cpu().numpy()
        invented = torch.randn(24, options.code).to(options.device)
        invented = torch.sigmoid(model.decoder(invented)).cpu().numpy()
    given = images.numpy()
    baseline = error_of_components(train.tensors[0].flatten(1).numpy(), given, options.code)
    report("square error of a pixel", float(((again - given) ** 2).mean()), baseline,
           f"{options.code} principal components", ".4f")  # fmt: skip
    rows = [x.reshape(12, 8, 8) for x in (given[:12], again[:12], invented[:12], invented[12:])]
    save_images(options.picture, rows, ("given", "decoded again", "invented", "invented"))


if __name__ == "__main__":
    main()
