"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import (
    arithmetic,
    comparison,
    conversion,
    creation,
    norms,
    operators,
    pointwise,
    reductions,
    scans,
    softmax,
    views,
)

__all__ = [
    "arithmetic", "comparison", "conversion", "creation", "norms", "operators", "pointwise",
    "reductions", "scans", "softmax", "views",
]  # fmt: skip

operators.install()
