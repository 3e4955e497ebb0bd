"""Adamax: Adam with the largest recent gradient in place of the mean square."""

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
    *inputs, count, has_decay, maximize = arguments
    step_size, weight1, beta2, eps, decay = inputs[-5:]
    params, averages, largest = [], [], []
    for i in range(count):
        f = Formula(inputs, count, i)
        gradient = ew.neg(f.gradient) if maximize else f.gradient
        if has_decay:
            gradient = scaled(gradient, f.spread(decay), f.param)
        average = settled(scaled(f.state(0), f.spread(weight1), ew.sub(gradient, f.state(0))))
        norm = ew.maximum(
            ew.mul(f.state(1), f.spread(beta2)), ew.add(ew.abs_(gradient), f.spread(eps))
        )
        averages.append(average)
        largest.append(norm)
        params.append(ew.sub(f.param, ew.mul(f.spread(step_size), ew.div(average, norm))))
    return [*params, *averages, *largest]


class Adamax(RecordedOptimizer):
    """Adamax (Kingma and Ba, https://arxiv.org/abs/1412.6980, section 7).

    >>> optimizer = torch.optim.Adamax(model.parameters(), lr=2e-3)
    """

    update = Function("adamax_update", _update)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        refuse_negative(("learning rate", lr), ("epsilon value", eps))
        refuse_bad_betas(betas)
        refuse_negative(("weight_decay value", weight_decay))
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            group.setdefault("maximize", False)
            group.setdefault("differentiable", False)
            group.setdefault("capturable", False)

    def state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def attributes(self, group: dict[str, Any]) -> Attributes:
        return (group["weight_decay"] != 0, group["maximize"])

    def numbers(self, group: dict[str, Any], step: float) -> list[float]:
        beta1, beta2 = group["betas"]
        return [
            number(group["lr"]) / (1.0 - beta1**step),
            1.0 - beta1,
            float(beta2),
            float(group["eps"]),
            float(group["weight_decay"]),
        ]
