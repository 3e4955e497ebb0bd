"""The engine's names that layers are written with, gathered in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from codegen.dtype import DType as dtype
from codegen.dtype import int64 as long
from lazytorch.autograd.grad_mode import is_grad_enabled, no_grad
from lazytorch.device import Device as device
from lazytorch.functions.creation import diag, empty, empty_like, eye, ones, tensor, zeros
from lazytorch.functions.norms import vector_norm
from lazytorch.functions.registration import PUBLIC
from lazytorch.layout import channels_last, contiguous_format, preserve_format
from lazytorch.tensor import Tensor

__all__ = [
    "Tensor",
    "cat",
    "channels_last",
    "contiguous_format",
    "device",
    "diag",
    "disabled_torch_function",
    "dtype",
    "empty",
    "empty_like",
    "eye",
    "functional",
    "is_grad_enabled",
    "long",
    "no_grad",
    "ones",
    "preserve_format",
    "qr",
    "randperm",
    "stack",
    "tensor",
    "vector_norm",
    "where",
    "zeros",
]
