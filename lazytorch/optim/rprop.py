"""Rprop: steps whose size depends on the gradients' signs alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Attributes, Function
from lazytorch.optim._recorded import Formula, RecordedOptimizer, number
from lazytorch.optim.optimizer import refuse_negative
from lazytorch.tensor import Tensor


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, maximize = arguments
    shrink, grow, least, most = inputs[-4:]
    params, before, sizes = [], [], []
    for i in range(count):
        f = Formula(inputs, count, i)
        gradient = ew.neg(f.gradient) if maximize else f.gradient
        agreement = ew.mul(gradient, f.state(0))
        none, one = ew.full_like(gradient, 0), ew.full_like(gradient, 1)
        turned = ew.lt(agreement, none)
        factor = ew.where(ew.gt(agreement, none), f.spread(grow), one)
        factor = ew.where(turned, f.spread(shrink), factor)
        size = ew.maximum(ew.mul(f.state(1), factor), f.spread(least))
        size = ew.minimum(size, f.spread(most))
        gradient = ew.where(turned, none, gradient)
        params.append(ew.sub(f.param, ew.mul(ew.sign(gradient), size)))
        before.append(gradient)
        sizes.append(size)
    return [*params, *before, *sizes]


class Rprop(RecordedOptimizer):
    """Resilient backpropagation (Riedmiller and Braun, 1993), for whole batches.

    >>> optimizer = torch.optim.Rprop(model.parameters(), lr=0.01)

    etas        factors of a step's size where the gradient's sign changed, and where it did not.
    step_sizes  the least and the largest size; ``lr`` is the first.
    """

    update = Function("rprop_update", _update)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_negative(("learning rate", lr))
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
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
        return ("prev", "step_size")

    def first_value(self, name: str, group: dict[str, Any]) -> float:
        return number(group["lr"]) if name == "step_size" else 0.0

    def attributes(self, group: dict[str, Any]) -> Attributes:
        return (group["maximize"],)

    def numbers(self, group: dict[str, Any], step: float) -> list[float]:
        return [float(x) for x in (*group["etas"], *group["step_sizes"])]
