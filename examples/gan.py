"""A generator of handwritten digits that learns from a discriminator's judgement: a small DCGAN.

python examples/gan.py --epochs 60
"""

from __future__ import annotations

import numpy as np
from common import load_digits, make_parser, parse, progress, report, save_images

import lazytorch as torch
from lazytorch import nn
from lazytorch.nn import functional as F
from lazytorch.utils.data import DataLoader


def make_generator(code: int, width: int) -> nn.Module:
    """Noise (N, code, 1, 1) to images (N, 1, 8, 8) in -1 to 1."""
    return nn.Sequential(
        nn.ConvTranspose2d(code, 2 * width, 2, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def make_discriminator(width: int) -> nn.Module:
    """Images (N, 1, 8, 8) to scores (N, 1), high where they look real."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Dropout(0.3),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(2 * width * 4, 1),
    )  # fmt: skip


def judge(scores: torch.Tensor, real: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, real))


def distance(real: np.ndarray, invented: np.ndarray) -> float:
    """How far the nearest invented image is from a real one (N, pixels), on average.

    It is small where what was invented looks real, and is of every kind.
    """
    squares = (real**2).sum(1)[:, None] + (invented**2).sum(1) - 2 * real @ invented.T
    return float(np.sqrt(squares.min(1).clip(0)).mean())


def main() -> None:
    options = parse(make_parser(__doc__, epochs=60, batch_size=64, code=16, width=32, lr=1e-3))
    train, test = load_digits()
    loader = DataLoader(train, options.batch_size, shuffle=True, drop_last=True)
    generator = make_generator(options.code, options.width).to(options.device)
    discriminator = make_discriminator(options.width).to(options.device)
    adams = [
        torch.optim.Adam(m.parameters(), lr=options.lr, betas=(0.5, 0.999))
        for m in (generator, discriminator)
    ]

    def invent(count: int) -> torch.Tensor:
        return generator(torch.randn(count, options.code, 1, 1).to(options.device))

    bar = progress(range(options.epochs), "training")
    for _ in bar:
        sums = np.zeros(2)
        for images, _ in loader:
            real = images.to(options.device) * 2 - 1
            invented = invent(len(real))
            judged = judge(discriminator(real), 0.9) + judge(discriminator(invented.detach()), 0)
            adams[1].zero_grad()
            judged.backward()
            adams[1].step()
            fooled = judge(discriminator(invented), 1)
            adams[0].zero_grad()
            fooled.backward()
            adams[0].step()
            sums += judged.item(), fooled.item()
        sums /= len(loader)
        bar.set_postfix(discriminator=f"{sums[0]:.3f}", generator=f"{sums[1]:.3f}")
    print(f"loss {sums[0]:.3f} of the discriminator, {sums[1]:.3f} of the generator")

    real = test.tensors[0].flatten(1).numpy()
    with torch.no_grad():
        found = (invent(len(real)).flatten(1).cpu().numpy() + 1) / 2
    # Each pixel as it is in some digit or other, whatever the others are.
    pixels = train.tensors[0].flatten(1).numpy()
    apart = np.random.default_rng(0).permuted(pixels, axis=0)[: len(real)]
    judged = distance(real, found), distance(real, apart)
    report("from a real digit to the nearest", *judged, "pixels drawn one by one", ".3f")
    rows = [x.reshape(12, 8, 8) for x in (real[:12], found[:12], found[12:24], found[24:36])]
    save_images(options.picture, rows, ("real", "invented", "", ""))


if __name__ == "__main__":
    main()
