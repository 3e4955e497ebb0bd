"""SparseAdam: Adam for sparse gradients, which moves what the gradient has entries for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lazytorch.functions.creation import zeros_like
from lazytorch.layout import sparse_coo
from lazytorch.optim._recorded import number
from lazytorch.optim._sparse import add_at, coalesced_gradient, entries_at
from lazytorch.optim.optimizer import Closure, Optimizer, Recording, run_closure
from lazytorch.tensor import Tensor


class SparseAdam(Optimizer):
    """Adam whose moments decay only where a gradient has entries.

    >>> optimizer = torch.optim.SparseAdam(embedding.parameters(), lr=0.001)

    Gradients have to be sparse (``nn.Embedding(sparse=True)``): RuntimeError otherwise.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        sparse = [
            [g, i]
            for g, group in enumerate(self.param_groups)
            for i, p in enumerate(group["params"])
            if p.is_sparse
        ]
        if sparse:
            raise ValueError(
                f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors"
            )

    def step(self, closure: Closure | None = None) -> Any:
        """Update the parameters once; the closure's result, if there is a closure."""
        with Recording(False):
            loss = run_closure(closure)
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self._update(p, group)
        return loss

    def _update(self, p: Tensor, group: dict[str, Any]) -> None:
        if p.grad.layout is not sparse_coo:
            raise RuntimeError(
                "SparseAdam does not support dense gradients, please consider Adam instead"
            )
        state = self.state[p]
        if not state:
            state.update(step=0, exp_avg=zeros_like(p), exp_avg_sq=zeros_like(p))
        state["step"] += 1
        gradient = coalesced_gradient(p.grad, group.get("maximize", False))
        if not gradient._nnz():
            return
        step, (beta1, beta2) = state["step"], group["betas"]
        g = gradient._entries
        moment = entries_at(state["exp_avg"], gradient)
        square = entries_at(state["exp_avg_sq"], gradient)
        change, square_change = (g - moment) * (1 - beta1), (g * g - square) * (1 - beta2)
        add_at(state["exp_avg"], gradient, change)
        add_at(state["exp_avg_sq"], gradient, square_change)
        size = number(group["lr"]) * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        direction = (moment + change) / ((square + square_change).sqrt() + group["eps"])
        add_at(p, gradient, direction, -size)
