"""Trains on 1,797 handwritten digits with differential privacy: the gradient of each image by
itself, by vmap of grad, is clipped, and noise is added to the sum.

python examples/per_sample_gradients.py --epochs 12 --device cpu
"""

from __future__ import annotations

import time
from pathlib import Path

import common
from matplotlib import pyplot as plt

import lazytorch as torch
from lazytorch import nn
from lazytorch.func import functional_call, grad, vmap
from lazytorch.utils.data import DataLoader, TensorDataset

TO_BEAT = 0.903  # the nearest mean image of the training set, which is not private


def make_model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(16 * 4 * 4, 32), nn.Tanh(), nn.Linear(32, 10),
    )  # fmt: skip


def gradients_of_each(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> dict[str, torch.Tensor]:
    """For each parameter its gradients, (N, *shape): one call computes those of all images."""

    def loss(
        parameters: dict[str, torch.Tensor], image: torch.Tensor, label: torch.Tensor
    ) -> torch.Tensor:
        scores = functional_call(model, parameters, (image.unsqueeze(0),))
        return nn.functional.cross_entropy(scores, label.unsqueeze(0))

    parameters = {name: p.detach() for name, p in model.named_parameters()}
    return vmap(grad(loss), in_dims=(None, 0, 0))(parameters, images, labels)


def norms_of(gradients: dict[str, torch.Tensor]) -> torch.Tensor:
    """The length of each image's gradient over all parameters, (N,)."""
    return sum(g.flatten(1).square().sum(1) for g in gradients.values()).sqrt()


def private_step(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor,
    optimizer: torch.optim.Optimizer, clip: float, noise: float,
) -> None:  # fmt: skip
    gradients = gradients_of_each(model, images, labels)
    scale = (clip / norms_of(gradients)).clamp(max=1)
    for name, p in model.named_parameters():
        total = torch.tensordot(scale, gradients[name], 1)
        p.grad = (total + noise * clip * torch.randn_like(total)) / len(images)
    optimizer.step()


def accuracy(model: nn.Module, data: TensorDataset, device: str) -> float:
    """The part of the labels that the model's best score agrees with."""
    images, labels = data[:]
    with torch.no_grad():
        guesses = model(images.to(device)).argmax(1)
    return (guesses == labels.to(device)).float().mean().item()


def show_lengths(model: nn.Module, data: TensorDataset, device: str, path: Path) -> None:
    """How long the gradients of the training images are, and the images of the longest."""
    images, labels = data[:]
    lengths = norms_of(gradients_of_each(model, images.to(device), labels.to(device))).cpu()
    figure = plt.figure(figsize=(9, 3))
    axes = figure.add_subplot(1, 2, 1)
    axes.hist(lengths.numpy(), 50, log=True)
    axes.set_xlabel("length of an image's gradient")
    for place, number in enumerate(lengths.argsort(descending=True)[:10].tolist()):
        axes = figure.add_subplot(2, 10, place % 5 + 6 + 10 * (place // 5))
        axes.imshow(images[number, 0].numpy(), cmap="gray_r")
        axes.set_title(labels[number].item(), fontsize=8)
        axes.axis("off")
    common.save_picture(figure, path)


def main() -> None:
    parser = common.make_parser(__doc__, epochs=20, batch_size=64)
    parser.add_argument("--clip", type=float, default=1.0, help="the longest gradient of an image")
    parser.add_argument("--noise", type=float, default=1.0, help="in lengths of a clipped gradient")
    options = common.parse(parser)
    train, test = common.load_digits()
    loader = DataLoader(train, options.batch_size, shuffle=True, drop_last=True)
    model = make_model().to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    started = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        for images, labels in common.progress(loader, f"epoch {epoch}/{options.epochs}"):
            images, labels = images.to(options.device), labels.to(options.device)
            private_step(model, images, labels, optimizer, options.clip, options.noise)
    torch.realize(*model.parameters())
    seconds = time.perf_counter() - started
    print(f"trained {options.epochs} epochs on {options.device} in {seconds:.1f} s")
    found = accuracy(model, test, options.device)
    common.report("test accuracy", found, TO_BEAT, "the nearest mean image")
    show_lengths(model, train, options.device, options.picture)


if __name__ == "__main__":
    main()
