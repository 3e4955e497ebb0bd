"""torch.amp: mixed precision by autocast, and the scaling of gradients that goes with it."""

from __future__ import annotations

from lazytorch.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from lazytorch.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
