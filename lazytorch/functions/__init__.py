"""Every torch.* function, a file a family. Importing this enters them all."""

from lazytorch.functions import (
    arithmetic,
    conversion,
    creation,
    indexing,
    joining,
    random,
    views,
)

__all__ = ["arithmetic", "conversion", "creation", "indexing", "joining", "random", "views"]
