"""DataParallel: each batch in parts, one for each of several devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazytorch import cuda
from lazytorch.device import Device
from lazytorch.functions.joining import cat, stack
from lazytorch.nn.modules.module import Module
from lazytorch.tensor import Tensor

__all__ = ["DataParallel", "data_parallel"]

# func.functional_call, which needs this package's modules: the top of the package puts it here.
functional_call: list[Any] = []


class DataParallel(Module):
    """A module whose batches are cut along ``dim`` and shared out among devices.

    ``device_ids`` are devices, or numbers of GPUs (passed over where there is none); left out, all
    GPUs where the module is on one, else the device where it is. Its parameters stay on the first,
    and so do their gradients; the parts' results are joined on ``output_device``, the first where
    none is given.

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
        self.module, self.dim = module, dim
        self.device_ids = _devices(module, device_ids)
        self.output_device = output_device

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        devices = self.device_ids
        if len(devices) < 2:
            return self.module(*inputs, **kwargs)
        _check_place(self.module, devices[0])
        output = devices[0] if self.output_device is None else _device(self.output_device)
        return _parallel(self.module, devices, output, self.dim, inputs, kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: Any | None = None,
) -> Any:
    """module(*inputs, **module_kwargs), as DataParallel runs it."""
    if not isinstance(inputs, tuple):
        inputs = (inputs,) if inputs is not None else ()
    return DataParallel(module, device_ids, output_device, dim)(*inputs, **(module_kwargs or {}))


def _device(item: Any) -> Device:
    return Device("cuda", item) if isinstance(item, int) else Device(item)


def _devices(module: Module, chosen: Sequence[Any] | None) -> list[Any]:
    if chosen is not None:
        # As in PyTorch, numbers of GPUs mean nothing where there is none.
        numbers_only = all([isinstance(item, int) for item in chosen])
        if numbers_only and not cuda.is_available():
            return []
        return [_device(item) for item in chosen]
    first = next(iter(module.parameters()), None)
    if first is None or first.device.type != "cuda":
        return []
    return [Device("cuda", number) for number in range(cuda.device_count())]


def _check_place(module: Module, first: Device) -> None:
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.device != first:
            raise RuntimeError(
                f"module must have its parameters and buffers on device {first} (device_ids[0]) "
                f"but found one of them on device: {tensor.device}"
            )


def _parallel(
    module: Module,
    devices: Sequence[Device],
    output: Device,
    dim: int,
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    parts = _scattered((inputs, kwargs), len(devices), dim)
    results = []
    for place, (device, (positional, named)) in enumerate(zip(devices, parts, strict=False)):
        positional, named = _moved(positional, device), _moved(named, device)
        # Copies that gradients flow through to the parameters themselves.
        copies = {name: p.to(device) for name, p in module.named_parameters()}
        if place > 0:
            # As PyTorch's, what a copy does to its buffers is lost, but for the first's.
            copies |= {name: b.to(device).clone() for name, b in module.named_buffers()}
        results.append(functional_call[0](module, copies, positional, named))
    return _gathered(results, output, dim)


def _scattered(item: Any, count: int, dim: int) -> list[Any]:
    """What each device gets: parts of tensors, inside of containers too; all else is repeated."""
    if isinstance(item, Tensor):
        return list(item.chunk(count, dim))
    if isinstance(item, (tuple, list)) and item:
        several = [_scattered(part, count, dim) for part in item]
        return [type(item)(parts) for parts in zip(*_even(several), strict=True)]
    if isinstance(item, dict) and item:
        several = [_scattered(part, count, dim) for part in item.values()]
        keys = list(item)
        return [dict(zip(keys, parts, strict=True)) for parts in zip(*_even(several), strict=True)]
    return [item] * count


def _even(several: list[list[Any]]) -> list[list[Any]]:
    """As many parts of each as there are of the one that has fewest."""
    fewest = min(map(len, several))
    return [parts[:fewest] for parts in several]


def _moved(item: Any, device: Device) -> Any:
    if isinstance(item, Tensor):
        return item.to(device)
    if isinstance(item, (tuple, list)):
        return type(item)([_moved(part, device) for part in item])
    if isinstance(item, dict):
        return {key: _moved(part, device) for key, part in item.items()}
    return item


def _gathered(results: Sequence[Any], device: Device, dim: int) -> Any:
    first = results[0]
    if isinstance(first, Tensor):
        here = [result.to(device) for result in results]
        return stack(here, 0) if first.dim() == 0 else cat(here, dim)
    if isinstance(first, dict):
        return {key: _gathered([r[key] for r in results], device, dim) for key in first}
    if isinstance(first, (tuple, list)):
        parts = [_gathered(column, device, dim) for column in zip(*results, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return first
