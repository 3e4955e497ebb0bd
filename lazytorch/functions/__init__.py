"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import arithmetic, comparison, operators, pointwise, reductions

__all__ = ["arithmetic", "comparison", "operators", "pointwise", "reductions"]

operators.install()
