"""Adam and AdamW: steps scaled by running averages of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Attributes, Function
from lazytorch.optim._recorded import Formula, RecordedOptimizer, number, scaled, settled
from lazytorch.optim.optimizer import check_fused
from lazytorch.tensor import Tensor


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, has_decay, decoupled, amsgrad, maximize = arguments
    step_size, decay, weight1, beta2, weight2, scale2, eps = inputs[-7:]
    params, averages, squares, largest = [], [], [], []
    for i in range(count):
        f = Formula(inputs, count, i)
        gradient = ew.neg(f.gradient) if maximize else f.gradient
        param = f.param
        if has_decay and decoupled:
            param = ew.mul(param, f.spread(decay))
        elif has_decay:
            gradient = scaled(gradient, f.spread(decay), param)
        average = f.state(0)
        average = settled(scaled(average, f.spread(weight1), ew.sub(gradient, average)))
        kept = ew.mul(f.state(1), f.spread(beta2))
        square = ew.add(kept, ew.mul(ew.mul(f.spread(weight2), gradient), gradient))
        spread = square
        if amsgrad:
            spread = ew.maximum(f.state(2), square)
            largest.append(spread)
        # Times one over its correction: kernels are bound by their divisions.
        root = ew.mul(ew.sqrt(spread), f.spread(scale2))
        change = ew.div(average, ew.add(root, f.spread(eps)))
        params.append(ew.sub(param, ew.mul(f.spread(step_size), change)))
        averages.append(average)
        squares.append(square)
    return [*params, *averages, *squares, *largest]


class Adam(RecordedOptimizer):
    """Adam (Kingma and Ba, https://arxiv.org/abs/1412.6980).

    >>> optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    amsgrad                 divide by the largest second moment so far.
    decoupled_weight_decay  shrink the parameters themselves, as AdamW.
    """

    update = Function("adam_update", _update)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if isinstance(lr, Tensor):
            if foreach and not capturable:
                raise ValueError(
                    "lr as a Tensor is not supported for capturable=False and foreach=True"
                )
            if lr.numel() != 1:
                raise ValueError("Tensor lr must be 1-element")
        if not number(lr) >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        _check_betas(betas, foreach, capturable)
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("amsgrad", False)
            group.setdefault("maximize", False)
            group.setdefault("foreach", None)
            group.setdefault("capturable", False)
            group.setdefault("differentiable", False)
            group.setdefault("decoupled_weight_decay", False)
            group.setdefault("fused", None)

    def state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        if group["amsgrad"]:
            return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
        return ("exp_avg", "exp_avg_sq")

    def attributes(self, group: dict[str, Any]) -> Attributes:
        return (
            group["weight_decay"] != 0,
            group["decoupled_weight_decay"],
            group["amsgrad"],
            group["maximize"],
        )

    def numbers(self, group: dict[str, Any], step: float) -> list[float]:
        lr, decay = number(group["lr"]), float(group["weight_decay"])
        beta1, beta2 = group["betas"]
        beta1, beta2 = number(beta1), number(beta2)
        return [
            lr / (1.0 - beta1**step),
            1.0 - lr * decay if group["decoupled_weight_decay"] else decay,
            1.0 - beta1,
            beta2,
            1.0 - beta2,
            (1.0 - beta2**step) ** -0.5,
            float(group["eps"]),
        ]


def _check_betas(betas: Sequence[Any], foreach: bool | None, capturable: bool) -> None:
    for i in range(2):
        if not 0.0 <= number(betas[i]) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
    if not (
        (isinstance(betas[0], float) and isinstance(betas[1], float))
        or (isinstance(betas[0], Tensor) and isinstance(betas[1], Tensor))
    ):
        raise ValueError("betas must be either both floats or both Tensors")
    for i in range(2):
        if isinstance(betas[i], Tensor):
            if foreach and not capturable:
                raise ValueError(
                    f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True"
                )
            if betas[i].numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101).

    >>> optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
