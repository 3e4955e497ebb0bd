"""``torch.distributed.constants``: how long ranks wait for one another."""

from lazytorch.distributed.stores import DEFAULT_TIMEOUT as default_pg_timeout

__all__ = ["default_pg_timeout"]
