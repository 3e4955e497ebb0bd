"""The older name of ``torch.func.functional_call``."""

from __future__ import annotations

import warnings
from typing import Any

from lazytorch.func.modules import functional_call as _functional_call
from lazytorch.nn.modules.module import Module
from lazytorch.tensor import Tensor

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``torch.func.functional_call``, which has taken its place.

    >>> m = torch.nn.Linear(2, 1, bias=False)
    >>> given = {"weight": torch.ones(1, 2)}
    >>> torch.nn.utils.stateless.functional_call(m, given, torch.ones(2))
    tensor([2.])
    """
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be "
        "removed in a future version of PyTorch. Please use `torch.func.functional_call` instead "
        "which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )
