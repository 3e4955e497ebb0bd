"""``torch.cpu.amp``: the former names of ``torch.amp``, for the processor."""

from __future__ import annotations

from typing import Any

from codegen.dtype import DType, bfloat16
from lazytorch import amp

__all__ = ["GradScaler", "autocast"]


class autocast(amp.autocast):
    """``torch.autocast("cpu", …)``."""

    def __init__(
        self, enabled: bool = True, dtype: DType = bfloat16, cache_enabled: bool = True
    ) -> None:
        super().__init__("cpu", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class GradScaler(amp.GradScaler):
    """``torch.amp.GradScaler("cpu", …)``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__("cpu", *args, **options)
