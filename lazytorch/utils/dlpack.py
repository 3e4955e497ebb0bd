"""torch.utils.dlpack: memory shared with other libraries' arrays."""

from __future__ import annotations

from lazytorch.device import DLDeviceType
from lazytorch.functions.conversion import to_dlpack
from lazytorch.functions.data import from_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]
