"""RMSprop: steps divided by a running root mean square of the gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Attributes, Function
from lazytorch.optim._recorded import Formula, RecordedOptimizer, number, scaled, settled
from lazytorch.optim.optimizer import refuse_negative
from lazytorch.tensor import Tensor


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, has_decay, has_momentum, centered, maximize = arguments
    lr, alpha, weight, eps, decay, momentum = inputs[-6:]
    params, squares, buffers, means = [], [], [], []
    for i in range(count):
        f = Formula(inputs, count, i)
        gradient = ew.neg(f.gradient) if maximize else f.gradient
        if has_decay:
            gradient = scaled(gradient, f.spread(decay), f.param)
        kept = ew.mul(f.state(0), f.spread(alpha))
        square = ew.add(kept, ew.mul(ew.mul(f.spread(weight), gradient), gradient))
        squares.append(square)
        spread = square
        if centered:
            mean = f.state(1 + has_momentum)
            mean = settled(scaled(mean, f.spread(weight), ew.sub(gradient, mean)))
            means.append(mean)
            spread = ew.sub(square, ew.mul(mean, mean))
        change = ew.div(gradient, ew.add(ew.sqrt(spread), f.spread(eps)))
        if has_momentum:
            change = settled(ew.add(ew.mul(f.state(1), f.spread(momentum)), change))
            buffers.append(change)
        params.append(ew.sub(f.param, ew.mul(f.spread(lr), change)))
    return [*params, *squares, *buffers, *means]


class RMSprop(RecordedOptimizer):
    """RMSprop, centered or with momentum if asked for.

    >>> optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
    """

    update = Function("rmsprop_update", _update)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_negative(
            ("learning rate", lr),
            ("epsilon value", eps),
            ("momentum value", momentum),
            ("weight_decay value", weight_decay),
            ("alpha value", alpha),
        )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("momentum", 0)
            group.setdefault("centered", False)
            group.setdefault("foreach", None)
            group.setdefault("maximize", False)
            group.setdefault("differentiable", False)
            group.setdefault("capturable", False)

    def state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        momentum = ("momentum_buffer",) if group["momentum"] > 0 else ()
        return ("square_avg", *momentum, *(("grad_avg",) if group["centered"] else ()))

    def attributes(self, group: dict[str, Any]) -> Attributes:
        has_decay, has_momentum = group["weight_decay"] != 0, group["momentum"] > 0
        return (has_decay, has_momentum, group["centered"], group["maximize"])

    def numbers(self, group: dict[str, Any], step: float) -> list[float]:
        alpha = float(group["alpha"])
        return [
            number(group["lr"]),
            alpha,
            1.0 - alpha,
            float(group["eps"]),
            float(group["weight_decay"]),
            float(group["momentum"]),
        ]
