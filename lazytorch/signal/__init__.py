"""torch.signal: windows."""

from lazytorch.signal import windows

__all__ = ["windows"]
