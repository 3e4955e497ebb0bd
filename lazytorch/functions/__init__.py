"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import (
    activations,
    arithmetic,
    attention,
    comparison,
    conversion,
    convolution,
    creation,
    distance,
    dropout,
    embedding,
    indexing,
    joining,
    losses,
    normalization,
    norms,
    operators,
    padding,
    pointwise,
    pooling,
    products,
    random,
    reductions,
    scans,
    softmax,
    views,
)

__all__ = [
    "activations", "arithmetic", "attention", "comparison", "conversion", "convolution",
    "creation", "distance", "dropout", "embedding", "indexing", "joining", "losses",
    "normalization", "norms", "operators", "padding", "pointwise", "pooling", "products",
    "random", "reductions", "scans", "softmax", "views",
]  # fmt: skip

operators.install()
