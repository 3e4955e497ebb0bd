"""Modules run on several devices, or in several processes, at once."""

from lazytorch.nn.parallel.data_parallel import DataParallel, data_parallel
from lazytorch.nn.parallel.distributed import DistributedDataParallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]
