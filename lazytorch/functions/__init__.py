"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import (
    arithmetic,
    comparison,
    conversion,
    creation,
    data,
    indexing,
    joining,
    norms,
    operators,
    pointwise,
    random,
    reductions,
    scans,
    scatter,
    softmax,
    views,
)

__all__ = [
    "arithmetic", "comparison", "conversion", "creation", "data", "indexing", "joining", "norms",
    "operators", "pointwise", "random", "reductions", "scans", "scatter", "softmax", "views",
]  # fmt: skip

operators.install()
