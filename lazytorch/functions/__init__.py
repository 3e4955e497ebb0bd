"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import (
    activations,
    arithmetic,
    attention,
    convolution,
    distance,
    dropout,
    embedding,
    losses,
    normalization,
    padding,
    pooling,
    products,
)

__all__ = [
    "activations",
    "arithmetic",
    "attention",
    "convolution",
    "distance",
    "dropout",
    "embedding",
    "losses",
    "normalization",
    "padding",
    "pooling",
    "products",
]
