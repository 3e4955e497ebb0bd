"""Adafactor: Adam-like steps with a mean square a row and a column instead of an element."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.reduction import expand_back, sum_
from lazytorch.core import broadcast_to
from lazytorch.dtypes import finfo
from lazytorch.expression import Attributes, Function
from lazytorch.functions.bodies import square
from lazytorch.optim._recorded import Formula, RecordedOptimizer, full_state, number, scaled
from lazytorch.tensor import Tensor


def _mean(x: Node, axis: int) -> Node:
    """The mean along an axis, which stays with extent 1."""
    axis %= len(x.shape)
    total = sum_(x, (axis,))
    mean = ew.div(total, ew.full_like(total, x.shape[axis]))
    return expand_back(mean, (*x.shape[:axis], 1, *x.shape[axis + 1 :]), (axis,))


def _root_mean_square(x: Node) -> Node:
    axes = tuple(range(len(x.shape)))
    total = sum_(square(x), axes)
    return ew.div(ew.sqrt(total), ew.full_like(total, sqrt(max(x.type.size, 1))))


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, is_matrix, has_decay, maximize = arguments
    weight, rho, kept, eps1, eps2, threshold = inputs[-6:]
    params: list[Node] = []
    states: list[list[Node]] = [[], []] if is_matrix else [[]]
    for i in range(count):
        f = Formula(inputs, count, i)
        gradient = ew.neg(f.gradient) if maximize else f.gradient
        size = _root_mean_square(f.param)
        size = ew.mul(ew.maximum(size, ew.cast(eps2, f.dtype)), ew.cast(rho, f.dtype))
        param = ew.mul(f.param, f.spread(kept)) if has_decay else f.param

        def moved(old: Node, new: Node, f: Formula = f) -> Node:
            factor = broadcast_to(ew.cast(weight, f.dtype), old.shape)
            return scaled(old, factor, ew.sub(new, old))

        squares = square(gradient)
        if is_matrix:
            rows = moved(f.state(0), _mean(squares, -1))
            columns = moved(f.state(1), _mean(squares, -2))
            mean = _mean(rows, -2)
            least = broadcast_to(ew.cast(eps1, f.dtype), mean.shape)
            estimate = ew.mul(broadcast_to(rows, param.shape), broadcast_to(columns, param.shape))
            estimate = ew.div(estimate, broadcast_to(ew.maximum(mean, least), param.shape))
            states[0].append(rows)
            states[1].append(columns)
        else:
            estimate = moved(f.state(0), squares)
            states[0].append(estimate)
        floor = f.spread(eps1)
        estimate = ew.maximum(estimate, ew.mul(floor, floor))
        update = ew.mul(gradient, ew.div(ew.full_like(estimate, 1), ew.sqrt(estimate)))
        clip = ew.div(_root_mean_square(update), ew.cast(threshold, f.dtype))
        factor = ew.div(size, ew.maximum(clip, ew.full_like(clip, 1)))
        params.append(ew.sub(param, ew.mul(f.spread(factor), update)))
    return [*params, *[node for nodes in states for node in nodes]]


class Adafactor(RecordedOptimizer):
    """Adafactor (Shazeer and Stern, https://arxiv.org/abs/1804.04235).

    >>> optimizer = torch.optim.Adafactor(model.parameters(), lr=1e-2)

    beta2_decay  the mean squares' weight in step t is 1 - t**beta2_decay.
    eps          the least mean square, squared (None: the type's epsilon), and the least size of
                 a parameter, by which steps are scaled.
    d            steps whose root mean square is larger are shortened.
    """

    update = Function("adafactor_update", _update)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not number(lr) >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)

    def state_names(self, group: dict[str, Any]) -> None:
        return None

    def names_of(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        return ("row_var", "col_var") if p.dim() > 1 else ("variance",)

    def start(
        self, p: Tensor, state: dict[str, Any], names: Sequence[str], group: dict[str, Any]
    ) -> None:
        state["step"] = 0.0
        shape = tuple(p.shape)
        if p.dim() > 1:
            state["row_var"] = full_state(p, 0.0, (*shape[:-1], 1))
            state["col_var"] = full_state(p, 0.0, (*shape[:-2], 1, shape[-1]))
        else:
            state["variance"] = full_state(p, 0.0)

    def following(
        self, p: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> tuple[tuple[float, float], dict[str, float]]:
        """The count, and the least mean square of the parameter's type."""
        eps = group["eps"][0]
        count, changes = super().following(p, state, group)
        return (count, float(finfo(p.dtype).eps if eps is None else eps)), changes

    def form(self, group: dict[str, Any], names: tuple[str, ...]) -> Attributes:
        return (len(names) == 2, group["weight_decay"] != 0, group["maximize"])

    def numbers(self, group: dict[str, Any], step: tuple[float, float]) -> list[float]:
        count, eps1 = step
        lr = number(group["lr"])
        return [
            count ** group["beta2_decay"],
            min(lr, 1.0 / count**0.5),
            1.0 - lr * group["weight_decay"],
            eps1,
            float(group["eps"][1]),
            float(group["d"]),
        ]
