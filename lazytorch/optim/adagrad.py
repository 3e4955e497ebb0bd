"""Adagrad: steps divided by the root of the sum of all squared gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Attributes, Function
from lazytorch.optim._recorded import Formula, RecordedOptimizer, number, scaled
from lazytorch.optim._sparse import add_at, coalesced_gradient, entries_at
from lazytorch.optim.optimizer import check_fused, refuse_negative
from lazytorch.tensor import Tensor


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, has_decay, maximize = arguments
    rate, eps, decay = inputs[-3:]
    params, sums = [], []
    for i in range(count):
        f = Formula(inputs, count, i)
        gradient = ew.neg(f.gradient) if maximize else f.gradient
        if has_decay:
            gradient = scaled(gradient, f.spread(decay), f.param)
        total = ew.add(f.state(0), ew.mul(gradient, gradient))
        change = ew.div(gradient, ew.add(ew.sqrt(total), f.spread(eps)))
        params.append(ew.sub(f.param, ew.mul(f.spread(rate), change)))
        sums.append(total)
    return [*params, *sums]


class Adagrad(RecordedOptimizer):
    """Adagrad (Duchi, Hazan and Singer, https://jmlr.org/papers/v12/duchi11a.html).

    >>> optimizer = torch.optim.Adagrad(model.parameters(), lr=0.01)
    """

    update = Function("adagrad_update", _update)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        refuse_negative(
            ("learning rate", lr),
            ("lr_decay value", lr_decay),
            ("weight_decay value", weight_decay),
            ("initial_accumulator_value value", initial_accumulator_value),
            ("epsilon value", eps),
        )
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)
        for group in self.param_groups:
            for p in group["params"]:
                self.start(p, self.state[p], ("sum",), group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            group.setdefault("maximize", False)
            group.setdefault("differentiable", False)
            group.setdefault("fused", None)

    def state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def first_value(self, name: str, group: dict[str, Any]) -> float:
        return float(self.defaults["initial_accumulator_value"])

    def attributes(self, group: dict[str, Any]) -> Attributes:
        return (group["weight_decay"] != 0, group["maximize"])

    def step_sparse(self, p: Tensor, gradient: Any, group: dict[str, Any]) -> Tensor | None:
        """Only what the gradient has entries for moves."""
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        state = self.state[p]
        step = self.advance(p, state, self.state_names(group), group)
        rate, eps, _ = self.numbers(group, step)
        found = coalesced_gradient(gradient, group["maximize"])
        if found._nnz():
            square = found._entries * found._entries
            total = entries_at(state["sum"], found) + square
            add_at(state["sum"], found, square)
            add_at(p, found, found._entries / (total.sqrt() + eps), -rate)
        return None

    def numbers(self, group: dict[str, Any], step: float) -> list[float]:
        rate = number(group["lr"]) / (1.0 + (step - 1.0) * float(group["lr_decay"]))
        return [rate, float(group["eps"]), float(group["weight_decay"])]
