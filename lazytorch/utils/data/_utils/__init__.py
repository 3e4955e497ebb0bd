"""Where PyTorch keeps the DataLoader's parts."""

from lazytorch.utils.data._utils import collate as collate
