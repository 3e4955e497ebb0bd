"""``torch.cuda.amp``: the former names of ``torch.amp``, for GPUs."""

from __future__ import annotations

import functools
from typing import Any

from codegen.dtype import DType, float16
from lazytorch import amp
from lazytorch.amp import custom_bwd as _custom_bwd
from lazytorch.amp import custom_fwd as _custom_fwd

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]

custom_fwd = functools.partial(_custom_fwd, device_type="cuda")
custom_bwd = functools.partial(_custom_bwd, device_type="cuda")


class autocast(amp.autocast):
    """``torch.autocast("cuda", …)``."""

    def __init__(
        self, enabled: bool = True, dtype: DType = float16, cache_enabled: bool = True
    ) -> None:
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class GradScaler(amp.GradScaler):
    """``torch.amp.GradScaler("cuda", …)``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__("cuda", *args, **options)
