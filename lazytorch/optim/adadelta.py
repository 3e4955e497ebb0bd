"""Adadelta: steps as long as earlier steps were, relative to the gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Attributes, Function
from lazytorch.optim._recorded import Formula, RecordedOptimizer, number, scaled
from lazytorch.optim.optimizer import refuse_negative
from lazytorch.tensor import Tensor


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, has_decay, maximize = arguments
    lr, rho, weight, eps, decay = inputs[-5:]
    params, squares, changes = [], [], []
    for i in range(count):
        f = Formula(inputs, count, i)
        gradient = ew.neg(f.gradient) if maximize else f.gradient
        if has_decay:
            gradient = scaled(gradient, f.spread(decay), f.param)
        rho_, weight_, eps_ = f.spread(rho), f.spread(weight), f.spread(eps)
        square = ew.add(ew.mul(f.state(0), rho_), ew.mul(ew.mul(weight_, gradient), gradient))
        root = ew.sqrt(ew.add(square, eps_))
        change = ew.mul(ew.div(ew.sqrt(ew.add(f.state(1), eps_)), root), gradient)
        squares.append(square)
        changes.append(ew.add(ew.mul(f.state(1), rho_), ew.mul(ew.mul(weight_, change), change)))
        params.append(ew.sub(f.param, ew.mul(f.spread(lr), change)))
    return [*params, *squares, *changes]


class Adadelta(RecordedOptimizer):
    """Adadelta (Zeiler, https://arxiv.org/abs/1212.5701).

    >>> optimizer = torch.optim.Adadelta(model.parameters())
    """

    update = Function("adadelta_update", _update)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_negative(("learning rate", lr))
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        refuse_negative(("epsilon value", eps), ("weight_decay value", weight_decay))
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
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
        return ("square_avg", "acc_delta")

    def attributes(self, group: dict[str, Any]) -> Attributes:
        return (group["weight_decay"] != 0, group["maximize"])

    def numbers(self, group: dict[str, Any], step: float) -> list[float]:
        rho = float(group["rho"])
        return [
            number(group["lr"]),
            rho,
            1.0 - rho,
            float(group["eps"]),
            float(group["weight_decay"]),
        ]
