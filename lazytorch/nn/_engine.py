"""Everything that `lazytorch.nn` needs from the engine, gathered in one place.

Until the engine's own modules are here, LT_NN_DEV=1 puts real PyTorch behind these names,
so that `nn` can be written and tested. The lead deletes that branch at the merge.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:

    class Tensor:
        """What the type checker knows of a tensor until the engine's own class is here."""

        data: Any
        grad: Any
        requires_grad: bool
        shape: Any
        device: Any
        dtype: Any

        @staticmethod
        def _make_subclass(kind: Any, data: Any, requires_grad: bool = False) -> Any: ...
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __float__(self) -> float: ...
        def __bool__(self) -> bool: ...

    class _Functional:
        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...

    functional = _Functional()
    cat: Callable[..., Tensor]
    diag: Callable[..., Tensor]
    empty: Callable[..., Tensor]
    empty_like: Callable[..., Tensor]
    eye: Callable[..., Tensor]
    ones: Callable[..., Tensor]
    qr: Callable[..., tuple[Tensor, Tensor]]
    randperm: Callable[..., Tensor]
    stack: Callable[..., Tensor]
    tensor: Callable[..., Tensor]
    vector_norm: Callable[..., Tensor]
    where: Callable[..., Tensor]
    zeros: Callable[..., Tensor]
    is_grad_enabled: Callable[[], bool]
    no_grad: Any
    device: Any
    dtype: Any
    long: Any
    channels_last: Any
    contiguous_format: Any
    preserve_format: Any
    disabled_torch_function: Any

elif os.environ.get("LT_NN_DEV"):
    import torch
    from torch import (
        Tensor,
        cat,
        channels_last,
        contiguous_format,
        device,
        diag,
        dtype,
        empty,
        empty_like,
        eye,
        is_grad_enabled,
        long,
        no_grad,
        ones,
        preserve_format,
        randperm,
        stack,
        tensor,
        where,
        zeros,
    )
    from torch.linalg import qr, vector_norm
    from torch.nn import functional

    disabled_torch_function = torch._C._disabled_torch_function_impl

else:
    raise ImportError(
        "lazytorch.nn is not yet joined to the engine: set LT_NN_DEV=1 to run it over PyTorch"
    )
