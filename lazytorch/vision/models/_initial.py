"""Initial values that several models share."""

from __future__ import annotations

from typing import Any

from lazytorch.nn import init


def initialize_bias(layer: Any) -> None:
    """Zeros, where the layer has a bias."""
    if layer.bias is not None:
        init.zeros_(layer.bias)
