"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import (
    activations,
    arithmetic,
    comparison,
    conversion,
    convolution,
    creation,
    indexing,
    joining,
    losses,
    norms,
    operators,
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
    "activations", "arithmetic", "comparison", "conversion", "convolution", "creation", "indexing",
    "joining", "losses", "norms", "operators", "pointwise", "pooling", "products", "random",
    "reductions", "scans", "softmax", "views",
]  # fmt: skip

operators.install()
