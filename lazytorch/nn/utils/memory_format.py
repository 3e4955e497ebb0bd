"""Memory formats of convolutions' weights, which the compiler chooses here by itself."""

from __future__ import annotations

from typing import Any, TypeVar

from lazytorch.nn.modules.module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]

M = TypeVar("M", bound=Module)


def convert_conv2d_weight_memory_format(module: M, memory_format: Any) -> M:
    """Accepted for PyTorch's sake: kernels lay out weights as they need them."""
    return module


def convert_conv3d_weight_memory_format(module: M, memory_format: Any) -> M:
    """Accepted for PyTorch's sake: kernels lay out weights as they need them."""
    return module
