"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import (
    activations,
    arithmetic,
    convolution,
    losses,
    pooling,
    products,
)

__all__ = [
    "activations",
    "arithmetic",
    "convolution",
    "losses",
    "pooling",
    "products",
]
