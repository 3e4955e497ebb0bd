"""``torch.utils.data._utils.collate``: how samples become a batch."""

from lazytorch.utils.data.collate import default_collate as default_collate
from lazytorch.utils.data.collate import default_convert as default_convert
