"""DistributedDataParallel: a module in several processes, whose gradients are averaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from lazytorch.autograd import backward as engine
from lazytorch.autograd.grad_mode import no_grad, state
from lazytorch.distributed import ReduceOp
from lazytorch.distributed import collective_algorithms as algorithms
from lazytorch.distributed.collectives import array_of, write
from lazytorch.distributed.groups import ProcessGroup, chosen
from lazytorch.functions.creation import zeros_like
from lazytorch.nn.modules.module import Module
from lazytorch.realize import realize
from lazytorch.tensor import Tensor

__all__ = ["DistributedDataParallel"]

_MEGABYTE = 1 << 20


class DistributedDataParallel(Module):
    """A module of which each process has a copy and trains it on its own part of the batch.

    All copies begin as rank 0's. At the end of each backward() the gradients are averaged over the
    processes of ``process_group``, in buckets of ``bucket_cap_mb`` megabytes; so the optimizers,
    the same in all processes, do the same. Buffers are rank 0's before each forward pass in
    training (``broadcast_buffers``). A parameter that no process used has no gradient; one that
    some did not use counts as zero there.

    ``torch.nn.parallel.DistributedDataParallel(model)``, after ``init_process_group``.
    """

    module: Module

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool | None = None,
        init_sync: bool = True,
        process_group: ProcessGroup | None = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        **_: Any,
    ) -> None:
        super().__init__()
        self._group = chosen(process_group)
        trained = [p for p in module.parameters() if p.requires_grad]
        if not trained:
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter "
                "that requires a gradient."
            )
        if device_ids is not None and len(device_ids) > 1:
            raise ValueError(
                "device_ids can only be None or contain a single element: each process has one "
                f"device, and got {list(device_ids)}"
            )
        self.module = module
        self.dim, self.process_group = dim, self._group
        self.broadcast_buffers = broadcast_buffers is not False
        self.find_unused_parameters = find_unused_parameters
        self.static_graph = static_graph
        self.require_backward_grad_sync = True
        self._forward_synced = True
        self._used: set[int] = set()
        self._trained = trained
        self._buckets = _buckets(trained, bucket_cap_mb or 25.0)
        for number, parameter in enumerate(trained):
            parameter.register_post_accumulate_grad_hook(self._hook(number))
        if init_sync:
            self._share([*module.parameters(), *module.buffers()])

    def _hook(self, number: int) -> Any:
        def note(_: Tensor) -> None:
            if self._forward_synced:
                if not self._used:
                    engine.at_the_end.append(self._average)
                self._used.add(number)

        return note

    def _average(self) -> None:
        """Average the gradients over all processes, at the end of a backward()."""
        used = np.zeros(len(self._trained), np.uint8)
        used[list(self._used)] = 1
        self._used.clear()
        # One plan for all of them: in parts, each would compute what it shares with others anew.
        realize([p._grad._storage.expression for p in self._trained if p._grad is not None])
        algorithms.all_reduce(self._group, used, ReduceOp.MAX)
        for bucket in self._buckets:
            present = [number for number in bucket if used[number]]
            if not present:
                continue
            arrays = []
            for number in present:
                parameter = self._trained[number]
                if parameter._grad is None:
                    with no_grad():
                        parameter._grad = zeros_like(parameter)
                arrays.append(array_of(parameter._grad))
            flat = np.concatenate([array.reshape(-1) for array in arrays])
            algorithms.all_reduce(self._group, flat, ReduceOp.AVG)
            parts = np.split(flat, np.cumsum([array.size for array in arrays])[:-1])
            for number, array, part in zip(present, arrays, parts, strict=True):
                gradient = self._trained[number]._grad
                assert gradient is not None
                write(gradient, part.reshape(array.shape))

    def _share(self, tensors: Sequence[Tensor]) -> None:
        """Give all processes rank 0's values, those of one type in one message."""
        realize([t._storage.expression for t in tensors])
        by_type: dict[Any, list[Tensor]] = {}
        for tensor in tensors:
            by_type.setdefault(tensor.dtype, []).append(tensor)
        for several in by_type.values():
            arrays = [array_of(tensor) for tensor in several]
            flat = np.concatenate([array.reshape(-1) for array in arrays])
            algorithms.broadcast(self._group, flat, 0)
            if self._group.rank == 0:
                continue
            parts = np.split(flat, np.cumsum([array.size for array in arrays])[:-1])
            for tensor, array, part in zip(several, arrays, parts, strict=True):
                write(tensor.data, part.reshape(array.shape))

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        synced = state.enabled and self.require_backward_grad_sync
        self._forward_synced = synced
        if synced and self.broadcast_buffers and self.training:
            buffers = list(self.module.buffers())
            if buffers:
                self._share(buffers)
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Within it, forward passes whose gradients stay this process's own, and add up."""
        before = self.require_backward_grad_sync
        self.require_backward_grad_sync = False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before


def _buckets(parameters: Sequence[Tensor], megabytes: float) -> list[list[int]]:
    """The numbers of parameters of one type, the last first, as many as fit in a bucket."""
    buckets: list[list[int]] = []
    filled = 0
    for number in reversed(range(len(parameters))):
        parameter = parameters[number]
        size = parameter.numel() * parameter.element_size()
        fits = buckets and filled + size <= megabytes * _MEGABYTE
        if not fits or parameters[buckets[-1][-1]].dtype is not parameter.dtype:
            buckets.append([])
            filled = 0
        buckets[-1].append(number)
        filled += size
    return buckets
