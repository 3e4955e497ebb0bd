"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import (
    activations,
    arithmetic,
    comparison,
    conversion,
    convolution,
    creation,
    losses,
    norms,
    operators,
    pointwise,
    pooling,
    products,
    reductions,
    scans,
    softmax,
    views,
)

__all__ = [
    "activations", "arithmetic", "comparison", "conversion", "convolution", "creation", "losses",
    "norms", "operators", "pointwise", "pooling", "products", "reductions", "scans", "softmax",
    "views",
]  # fmt: skip

operators.install()
