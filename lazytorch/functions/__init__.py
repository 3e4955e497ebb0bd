"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import (
    arithmetic,
    comparison,
    norms,
    operators,
    pointwise,
    reductions,
    scans,
    softmax,
)

__all__ = [
    "arithmetic", "comparison", "norms", "operators", "pointwise", "reductions", "scans",
    "softmax",
]  # fmt: skip

operators.install()
