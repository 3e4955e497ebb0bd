"""Averages of a model's parameters over the training: stochastic weight averaging and EMA."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.application import apply_expressions
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.data import tensor
from lazytorch.nn.modules.batchnorm import _BatchNorm
from lazytorch.nn.modules.module import Module
from lazytorch.optim._recorded import scaled
from lazytorch.optim.lr_scheduler.base import LRScheduler, per_group
from lazytorch.optim.optimizer import Optimizer
from lazytorch.tensor import Tensor

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip

Average = Callable[[Tensor, Tensor, Any], Tensor]
MultiAverage = Callable[[Any, Any, Any], None]


def _lerp(*arguments: Any) -> Sequence[Node]:
    *inputs, weight = arguments
    count = len(inputs) // 2
    moved = []
    for average, new in zip(inputs[:count], inputs[count:], strict=True):
        factor = broadcast_to(ew.cast(weight, average.dtype), average.shape)
        moved.append(scaled(average, factor, ew.sub(new, average)))
    return moved


# All averages of one kind, a part of the way towards the values of now.
LERP = Function("averages_lerp", _lerp)


def _move_towards(averages: Sequence[Tensor], values: Sequence[Tensor], weight: Any) -> None:
    moved = apply_expressions(LERP, [*averages, *values, weight])
    for average, value in zip(averages, moved, strict=True):
        average._write(value)


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """decay * average + (1 - decay) * parameter, for lists of them."""
    _check_decay(decay)

    def ema_update(averages: Any, values: Any, _: Any) -> None:
        with no_grad():
            if averages[0].is_floating_point():
                _move_towards(averages, values, 1 - decay)
                return
            for average, value in zip(averages, values, strict=True):
                average.copy_(average * decay + value * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> MultiAverage:
    """The plain mean of all that was averaged, for lists of parameters."""

    def swa_update(averages: Any, values: Any, num_averaged: Any) -> None:
        with no_grad():
            if averages[0].is_floating_point():
                weight = 1 / (num_averaged + 1)
                _move_towards(averages, values, weight)
                return
            for average, value in zip(averages, values, strict=True):
                average.copy_(average + (value - average) / (num_averaged + 1))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """decay * average + (1 - decay) * parameter."""
    _check_decay(decay)

    def ema_update(average: Tensor, value: Tensor, num_averaged: Any) -> Tensor:
        with no_grad():
            return average * decay + value * (1 - decay)

    return ema_update


def get_swa_avg_fn() -> Average:
    """The plain mean of all that was averaged."""

    def swa_update(average: Tensor, value: Tensor, num_averaged: Any) -> Tensor:
        with no_grad():
            result: Tensor = average + (value - average) / (num_averaged + 1)
            return result

    return swa_update


class AveragedModel(Module):
    """A copy of a model, ``module``, whose parameters are averages over the training.

    >>> averaged = torch.optim.swa_utils.AveragedModel(model)
    >>> averaged.update_parameters(model)  # once an epoch, or a step

    avg_fn        the new average of (average, parameter, number averaged); the mean without it.
    multi_avg_fn  the same for lists, in place.
    use_buffers   average buffers too, instead of copying them.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the model's present parameters into the averages."""

        def averaged(m: Module) -> Iterable[Tensor]:
            own: Iterable[Tensor] = m.parameters()
            return itertools.chain(own, m.buffers()) if self.use_buffers else own

        pairs = [
            (average.detach(), value.detach().to(average.device))
            for average, value in zip(averaged(self.module), averaged(model), strict=False)
        ]
        with no_grad():
            self._average(pairs)
            if not self.use_buffers:
                for average, value in zip(self.module.buffers(), model.buffers(), strict=True):
                    average.copy_(value.detach())
        self.n_averaged += 1

    def _average(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        if int(self.n_averaged) == 0:
            for average, value in pairs:
                average.copy_(value)
            return
        if self.avg_fn is not None:
            for average, value in pairs:
                count = self.n_averaged.to(average.device)
                average.copy_(self.avg_fn(average, value, count))
            return
        groups: dict[Any, list[tuple[Tensor, Tensor]]] = {}
        for average, value in pairs:
            groups.setdefault((average.device, average.dtype), []).append((average, value))
        update = self.multi_avg_fn or get_swa_multi_avg_fn()
        for (device, _), group in groups.items():
            averages, values = zip(*group, strict=True)
            update(list(averages), list(values), self.n_averaged.to(device))


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of a model's BatchNorm layers anew, from all batches.

    loader  batches, or tuples and lists that begin with one.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
    was_training = model.training
    model.train()
    for layer in layers:
        layer.momentum = None
    with no_grad():
        for batch in loader:
            input = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(input if device is None else input.to(device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the present learning rate to ``swa_lr`` in ``anneal_epochs``, along half a cosine or a
    line, and that from then on.

    >>> schedule = torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.05)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = per_group("swa_lr", optimizer, swa_lr)
        for rate, group in zip(rates, optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                "anneal_strategy must be one of 'cos' or 'linear', instead got " + anneal_strategy
            )
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """How much of the way is done at a part ``t`` of the time."""
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def _way_done(self, step: int) -> float:
        return self.anneal_func(max(0, min(1, step / max(1, self.anneal_epochs))))

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._way_done(step - 1), self._way_done(step)
        rates = []
        for group in self.optimizer.param_groups:
            goal = group["swa_lr"]
            # The rate that this began with, so that other schedules may change it meanwhile.
            first = goal if before == 1 else (group["lr"] - before * goal) / (1 - before)
            rates.append(goal * now + first * (1 - now))
        return rates
