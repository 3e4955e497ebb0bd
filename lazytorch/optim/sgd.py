"""SGD: stochastic gradient descent, with momentum if asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch import capture
from lazytorch.expression import Attributes, Function
from lazytorch.optim._recorded import (
    Formula,
    RecordedOptimizer,
    full_state,
    number,
    scaled,
    settled,
)
from lazytorch.optim.optimizer import check_fused, refuse_negative
from lazytorch.tensor import Tensor


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, has_decay, has_momentum, nesterov, maximize = arguments
    lr, decay, momentum, weight = inputs[-4:]
    params, buffers = [], []
    for i in range(count):
        f = Formula(inputs, count, i)
        direction = ew.neg(f.gradient) if maximize else f.gradient
        if has_decay:
            direction = scaled(direction, f.spread(decay), f.param)
        if has_momentum:
            kept = ew.mul(f.state(0), f.spread(momentum))
            buffer = settled(scaled(kept, f.spread(weight), direction))
            buffers.append(buffer)
            direction = scaled(direction, f.spread(momentum), buffer) if nesterov else buffer
        params.append(ew.sub(f.param, ew.mul(f.spread(lr), direction)))
    return [*params, *buffers]


class SGD(RecordedOptimizer):
    """Stochastic gradient descent.

    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    With gradient g, buffer b = momentum * b + (1 - dampening) * g, and param -= lr * b.
    """

    update = Function("sgd_update", _update)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        refuse_negative(
            ("learning rate", lr),
            ("momentum value", momentum),
            ("weight_decay value", weight_decay),
        )
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("nesterov", False)
            group.setdefault("maximize", False)
            group.setdefault("foreach", None)
            group.setdefault("differentiable", False)
            group.setdefault("fused", False)

    def state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def attributes(self, group: dict[str, Any]) -> Attributes:
        has_decay = number(group["weight_decay"]) != 0
        return (has_decay, group["momentum"] != 0, group["nesterov"], group["maximize"])

    def advance(
        self, p: Tensor, state: dict[str, Any], names: Sequence[str], group: dict[str, Any]
    ) -> float:
        if state.get("momentum_buffer") is not None:
            return self.following(p, state, group)[0]
        state["momentum_buffer"] = full_state(p, 0.0)
        return 1.0

    def following(
        self, p: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> tuple[float, dict[str, float]]:
        return 2.0, {}

    def step_sparse(self, p: Tensor, gradient: Any, group: dict[str, Any]) -> Tensor | None:
        """Only the rows in use move; a momentum is kept, and moves, for all."""
        if number(group["weight_decay"]) != 0:
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead."
            )
        if group["momentum"] != 0:
            return gradient.to_dense()  # type: ignore[no-any-return]
        capture.refuse("a gradient is sparse")
        rate = number(group["lr"])
        p.add_(gradient.detach(), alpha=rate if group["maximize"] else -rate)
        return None

    def numbers(self, group: dict[str, Any], step: float) -> list[float]:
        # The first gradient enters the buffer whole.
        weight = 1.0 if step == 1.0 else 1.0 - float(group["dampening"])
        decay = number(group["weight_decay"])
        return [number(group["lr"]), decay, float(group["momentum"]), weight]
