"""Muon: momentum whose matrix is made nearly orthogonal before the step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.movement import permute
from codegen.ops.reduction import expand_back, sum_
from lazytorch.expression import Attributes, Function
from lazytorch.functions.bodies import square
from lazytorch.functions.products import matmul_node
from lazytorch.optim._recorded import (
    Formula,
    RecordedOptimizer,
    full_state,
    number,
    scaled,
    settled,
)
from lazytorch.tensor import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def _orthogonalized(x: Node, coefficients: Sequence[float], steps: int, eps: float) -> Node:
    """Newton and Schulz's iteration towards the nearest orthogonal matrix, in bfloat16."""
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = ew.cast(x, dt.bfloat16)
    if tall:
        x = permute(x, (1, 0))

    def wide(node: Node) -> Node:
        return ew.cast(node, dt.float32)

    def times(factor: float, node: Node) -> Node:
        return ew.mul(ew.full_like(node, factor), node)

    norm = ew.cast(ew.sqrt(sum_(square(wide(x)), (0, 1))), dt.bfloat16)
    norm = ew.maximum(norm, ew.full_like(norm, eps))
    x = ew.div(x, expand_back(norm, x.shape, (0, 1)))
    for _ in range(steps):
        gram = matmul_node(x, permute(x, (1, 0)))
        squared = matmul_node(wide(gram), wide(gram))
        update = ew.cast(ew.add(times(b, wide(gram)), times(c, squared)), dt.bfloat16)
        moved = matmul_node(wide(update), wide(x))
        x = ew.cast(ew.add(times(a, wide(x)), moved), dt.bfloat16)
    return permute(x, (1, 0)) if tall else x


def _update(*arguments: Any) -> Sequence[Node]:
    *inputs, count, nesterov, coefficients, steps, eps, ratio = arguments
    lr, kept, momentum, weight = inputs[-4:]
    params, buffers = [], []
    for i in range(count):
        f = Formula(inputs, count, i)
        buffer = settled(scaled(f.state(0), f.spread(weight), ew.sub(f.gradient, f.state(0))))
        update = buffer
        if nesterov:
            update = scaled(f.gradient, f.spread(momentum), ew.sub(buffer, f.gradient))
        update = ew.cast(_orthogonalized(update, coefficients, steps, eps), f.dtype)
        factor = ew.mul(lr, ew.full_like(lr, _ratio(ratio, f.param.shape)))
        param = ew.mul(f.param, f.spread(kept))
        params.append(ew.sub(param, ew.mul(f.spread(factor), update)))
        buffers.append(buffer)
    return [*params, *buffers]


def _ratio(kind: str | None, shape: tuple[int, ...]) -> float:
    """By how much a matrix's rate is larger, for its shape."""
    rows, columns = shape
    if kind == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))


class Muon(RecordedOptimizer):
    """Muon (Jordan, https://kellerjordan.github.io/posts/muon), for matrices inside a network.

    >>> optimizer = torch.optim.Muon([p for p in model.parameters() if p.ndim == 2], lr=1e-3)

    adjust_lr_fn  "original" scales the rate by sqrt(max(1, rows / columns)), "match_rms_adamw"
                  by 0.2 * sqrt(max(rows, columns)).
    """

    update = Function("muon_update", _update)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = _COEFFICIENTS,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not number(lr) >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not momentum >= 0.0:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with size: "
                        f"{p.size()}"
                    )

    def state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def advance(
        self, p: Tensor, state: dict[str, Any], names: Sequence[str], group: dict[str, Any]
    ) -> float:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = full_state(p, 0.0)
        return 1.0

    def following(
        self, p: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> tuple[float, dict[str, float]]:
        return 1.0, {}

    def attributes(self, group: dict[str, Any]) -> Attributes:
        if group["ns_steps"] >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        coefficients = tuple([float(c) for c in group["ns_coefficients"]])
        return (
            bool(group["nesterov"]), coefficients, int(group["ns_steps"]), float(group["eps"]),
            group["adjust_lr_fn"],
        )  # fmt: skip

    def numbers(self, group: dict[str, Any], step: float) -> list[float]:
        lr, momentum = number(group["lr"]), float(group["momentum"])
        return [lr, 1.0 - lr * group["weight_decay"], momentum, 1.0 - momentum]
