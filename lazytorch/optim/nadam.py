"""NAdam: Adam with Nesterov's momentum, whose weight grows with the steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Attributes, Function
from lazytorch.optim._recorded import Formula, RecordedOptimizer, number, rounded, scaled, settled
from lazytorch.optim.optimizer import refuse_bad_betas, refuse_negative
from lazytorch.tensor import Tensor


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, has_decay, decoupled, maximize = arguments
    gradient_size, average_size, decay, weight1, beta2, weight2, correction2, eps = inputs[-8:]
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
        root = ew.add(ew.sqrt(ew.div(square, f.spread(correction2))), f.spread(eps))
        param = ew.sub(param, ew.mul(f.spread(gradient_size), ew.div(gradient, root)))
        param = ew.sub(param, ew.mul(f.spread(average_size), ew.div(average, root)))
        params.append(param)
        averages.append(average)
        squares.append(square)
    return [*params, *averages, *squares]


class NAdam(RecordedOptimizer):
    """NAdam (Dozat, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ).

    >>> optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)

    momentum_decay          how fast the momentum's weight comes to betas[0].
    decoupled_weight_decay  shrink the parameters themselves, as AdamW.
    """

    update = Function("nadam_update", _update)
    counters = ("step", "mu_product")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_negative(("learning rate", lr), ("epsilon value", eps))
        refuse_bad_betas(betas)
        refuse_negative(
            ("weight_decay value", weight_decay), ("momentum_decay value", momentum_decay)
        )
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("maximize", False)
            group.setdefault("foreach", None)
            group.setdefault("capturable", False)
            group.setdefault("differentiable", False)
            group.setdefault("decoupled_weight_decay", False)

    def state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def attributes(self, group: dict[str, Any]) -> Attributes:
        return (group["weight_decay"] != 0, group["decoupled_weight_decay"], group["maximize"])

    def start(
        self, p: Tensor, state: dict[str, Any], names: Sequence[str], group: dict[str, Any]
    ) -> None:
        state["step"] = 0.0
        state["mu_product"] = 1.0
        super().start(p, state, names, group)

    def following(
        self, p: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> tuple[tuple[float, float], dict[str, float]]:
        """The count, and the product of all momenta so far."""
        step, changes = super().following(p, state, group)
        product = rounded(state["mu_product"] * rounded(_momentum(group, step)))
        return (step, product), {**changes, "mu_product": product}

    def numbers(self, group: dict[str, Any], step: tuple[float, float]) -> list[float]:
        count, product = step
        lr, decay = number(group["lr"]), float(group["weight_decay"])
        beta1, beta2 = group["betas"]
        now, following = _momentum(group, count), _momentum(group, count + 1)
        return [
            lr * (1.0 - now) / (1.0 - product),
            lr * following / (1.0 - product * following),
            1.0 - lr * decay if group["decoupled_weight_decay"] else decay,
            1.0 - beta1,
            float(beta2),
            1.0 - beta2,
            1.0 - beta2**count,
            float(group["eps"]),
        ]


def _momentum(group: dict[str, Any], step: float) -> float:
    grown: float = 1.0 - 0.5 * 0.96 ** (step * group["momentum_decay"])
    return float(group["betas"][0]) * grown
