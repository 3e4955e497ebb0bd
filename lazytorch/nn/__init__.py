"""Building blocks of networks: `Module`, parameters, layers, losses, initial values."""

from __future__ import annotations

from typing import Any

from lazytorch.nn import attention as attention
from lazytorch.nn import functional as functional
from lazytorch.nn import init as init
from lazytorch.nn import modules as modules
from lazytorch.nn import parallel as parallel
from lazytorch.nn import parameter as parameter
from lazytorch.nn import utils as utils
from lazytorch.nn.modules import *  # noqa: F403
from lazytorch.nn.parallel import DataParallel as DataParallel
from lazytorch.nn.parameter import Buffer as Buffer
from lazytorch.nn.parameter import Parameter as Parameter
from lazytorch.nn.parameter import UninitializedBuffer as UninitializedBuffer
from lazytorch.nn.parameter import UninitializedParameter as UninitializedParameter


def factory_kwargs(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """The arguments device, dtype and memory_format out of a constructor's, checked for others."""
    if kwargs is None:
        return {}
    simple = {"device", "dtype", "memory_format"}
    unexpected = kwargs.keys() - {*simple, "factory_kwargs"}
    if unexpected:
        raise TypeError(f"unexpected kwargs {unexpected}")
    found = dict(kwargs.get("factory_kwargs", {}))
    for name in simple & kwargs.keys():
        if name in found:
            raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
        found[name] = kwargs[name]
    return found
