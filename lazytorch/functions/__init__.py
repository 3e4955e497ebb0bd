"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import arithmetic

__all__ = ["arithmetic"]
