"""RAdam: Adam that takes plain momentum steps until its mean square can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Attributes, Function
from lazytorch.optim._recorded import Formula, RecordedOptimizer, number, scaled, settled
from lazytorch.optim.optimizer import refuse_bad_betas, refuse_negative
from lazytorch.tensor import Tensor


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, has_decay, decoupled, maximize = arguments
    plain_size, adaptive_size, decay, weight1, beta2, weight2, eps = inputs[-7:]
    params, averages, squares = [], [], []
    for i in range(count):
        f = Formula(inputs, count, i)
        gradient = ew.neg(f.gradient) if maximize else f.gradient
        param = f.param
        if has_decay and decoupled:
            param = ew.mul(param, f.spread(decay))
        elif has_decay:
            gradient = scaled(gradient, f.spread(decay), param)
        average = settled(scaled(f.state(0), f.spread(weight1), ew.sub(gradient, f.state(0))))
        kept = ew.mul(f.state(1), f.spread(beta2))
        square = ew.add(kept, ew.mul(ew.mul(f.spread(weight2), gradient), gradient))
        averages.append(average)
        squares.append(square)
        # One of the two sizes is 0, so that the turn from one to the other compiles nothing.
        adaptive = ew.div(f.spread(adaptive_size), ew.add(ew.sqrt(square), f.spread(eps)))
        size = ew.add(f.spread(plain_size), adaptive)
        params.append(ew.sub(param, ew.mul(average, size)))
    return [*params, *averages, *squares]


class RAdam(RecordedOptimizer):
    """RAdam (Liu et al., https://arxiv.org/abs/1908.03265).

    >>> optimizer = torch.optim.RAdam(model.parameters(), lr=1e-3)
    """

    update = Function("radam_update", _update)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_negative(("learning rate", lr), ("epsilon value", eps))
        refuse_bad_betas(betas)
        refuse_negative(("weight_decay value", weight_decay))
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            group.setdefault("maximize", False)
            group.setdefault("differentiable", False)
            group.setdefault("decoupled_weight_decay", False)
            group.setdefault("capturable", False)

    def state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def attributes(self, group: dict[str, Any]) -> Attributes:
        return (group["weight_decay"] != 0, group["decoupled_weight_decay"], group["maximize"])

    def numbers(self, group: dict[str, Any], step: float) -> list[float]:
        lr, decay = number(group["lr"]), float(group["weight_decay"])
        beta1, beta2 = group["betas"]
        size = lr / (1.0 - beta1**step)
        correction2 = 1.0 - beta2**step
        # The number of gradients that the mean square rests on, in the end and now.
        most = 2.0 / (1.0 - beta2) - 1.0
        length = most - 2.0 * step * beta2**step / correction2
        adaptive = 0.0
        if length > 5.0:
            part = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
            size, adaptive = 0.0, size * (part * correction2) ** 0.5
        return [
            size,
            adaptive,
            1.0 - lr * decay if group["decoupled_weight_decay"] else decay,
            1.0 - beta1,
            float(beta2),
            1.0 - beta2,
            float(group["eps"]),
        ]
