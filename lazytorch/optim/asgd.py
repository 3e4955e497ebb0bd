"""ASGD: gradient descent with a falling rate, and the average of the parameters beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Attributes, Function
from lazytorch.optim._recorded import Formula, RecordedOptimizer, number, rounded, scaled
from lazytorch.optim.optimizer import refuse_negative
from lazytorch.tensor import Tensor


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, has_decay, maximize = arguments
    rate, kept, past, decay = inputs[-4:]
    params, averages = [], []
    for i in range(count):
        f = Formula(inputs, count, i)
        gradient = ew.neg(f.gradient) if maximize else f.gradient
        if has_decay:
            gradient = scaled(gradient, f.spread(decay), f.param)
        param = ew.sub(ew.mul(f.param, f.spread(kept)), ew.mul(f.spread(rate), gradient))
        params.append(param)
        # Of the average nothing is left (past is 0) until averaging begins: just the parameter.
        averages.append(scaled(param, f.spread(past), ew.sub(f.state(0), param)))
    return [*params, *averages]


class ASGD(RecordedOptimizer):
    """Averaged SGD (Polyak and Juditsky, https://dl.acm.org/citation.cfm?id=131098).

    >>> optimizer = torch.optim.ASGD(model.parameters(), lr=0.01)

    The rate in step t is lr / (1 + lambd * lr * t)**alpha; averaging begins in step t0. The
    average of a parameter p is ``optimizer.state[p]["ax"]``.
    """

    update = Function("asgd_update", _update)
    counters = ("step", "eta", "mu")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        refuse_negative(("learning rate", lr), ("weight_decay value", weight_decay))
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
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
        return ("ax",)

    def attributes(self, group: dict[str, Any]) -> Attributes:
        return (group["weight_decay"] != 0, group["maximize"])

    def start(
        self, p: Tensor, state: dict[str, Any], names: Sequence[str], group: dict[str, Any]
    ) -> None:
        state["step"] = 0.0
        state["eta"] = rounded(number(group["lr"]))
        state["mu"] = 1.0
        super().start(p, state, names, group)

    def following(
        self, p: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> tuple[tuple[float, float], dict[str, float]]:
        """The rate and the weight of this step, which the state holds; then the next step's."""
        step, changes = super().following(p, state, group)
        lr = number(group["lr"])
        eta = rounded(lr / ((1 + group["lambd"] * lr * step) ** group["alpha"]))
        mu = rounded(1.0 / max(1.0, step - group["t0"]))
        return (state["eta"], state["mu"]), {**changes, "eta": eta, "mu": mu}

    def numbers(self, group: dict[str, Any], step: tuple[float, float]) -> list[float]:
        rate, weight = step
        return [rate, 1.0 - group["lambd"] * rate, 1.0 - weight, float(group["weight_decay"])]
