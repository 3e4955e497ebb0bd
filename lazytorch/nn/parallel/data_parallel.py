"""DataParallel: a module over the one device that there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazytorch.nn.modules.module import Module

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(Module):
    """A module whose batches would be cut along `dim` and shared out among GPUs.

    As PyTorch's without GPUs, it passes everything on to `module`. More than one device is
    refused: a device's kernels use the whole of it already.

    >>> model = torch.nn.DataParallel(torch.nn.Linear(2, 3))
    >>> model(torch.ones(4, 2)).shape, list(model.state_dict())
    (torch.Size([4, 3]), ['module.weight', 'module.bias'])
    """

    module: Module
    device_ids: list[Any]

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        _check_devices(device_ids)
        self.module = module
        self.device_ids = []
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: Any | None = None,
) -> Any:
    """module(*inputs, **module_kwargs), as DataParallel runs it."""
    _check_devices(device_ids)
    if not isinstance(inputs, tuple):
        inputs = (inputs,) if inputs is not None else ()
    return module(*inputs, **(module_kwargs or {}))


def _check_devices(device_ids: Sequence[Any] | None) -> None:
    if device_ids is not None and len(device_ids) > 1:
        raise NotImplementedError(
            f"DataParallel over {len(device_ids)} devices ({list(device_ids)}) is not supported: "
            "leave device_ids out to run the module where its parameters are"
        )
