"""What random programs may name: the library under test, Functions, hooks on saved values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from devices import FUNCTIONS as DEVICE

import lazytorch

_FUNCTIONS = compile(
    """
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)
    @staticmethod
    def backward(ctx, g):
        return g * 2
class Both(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x.sin(), x * y.sum()
    @staticmethod
    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * x.cos() + h * y.sum(), (h * x).sum() * torch.ones_like(y)
class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y
    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y * y)
class Signs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        positive = (x > 0).to(x.dtype)
        ctx.mark_non_differentiable(positive)
        return x * positive, positive
    @staticmethod
    def backward(ctx, g, h):
        return g * 0.5
class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()
class Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 3
class Part(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x.unsqueeze(0)
    @staticmethod
    def backward(ctx, g):
        return g.reshape(ctx.shape) * 2
class Sparing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.set_materialize_grads(False)
        return x * 2, y * 3
    @staticmethod
    def backward(ctx, g, h):
        return None if g is None else g * 2, None if h is None else h * 3
""",
    "<functions>",
    "exec",
)


def namespace(library: Any) -> dict[str, Any]:
    """The names that a program under a library begins with."""
    shared = torch.from_numpy if library is torch else _from_numpy
    names = {"torch": library, "np": np, "seen": [], "from_numpy": shared}
    names["saved_tensors_hooks"] = library.autograd.graph.saved_tensors_hooks
    names["checkpoint"] = library.utils.checkpoint.checkpoint
    names["forward_ad"] = library.autograd.forward_ad
    names["forget_gradients"] = _forget_gradients
    exec(_FUNCTIONS, names)
    return names


def _forget_gradients(names: dict[str, Any]) -> None:
    for name in [n for n, x in names.items() if n[0] == "v" and hasattr(x, "retain_grad")]:
        names[name].grad = None
    names["seen"].clear()


def _from_numpy(array: Any) -> Any:
    """lazytorch.from_numpy, which makes tensors of the cpu, on the device under test."""
    made = lazytorch.from_numpy(array)
    made._storage.expression.device = DEVICE
    return made


def run(statement: str, names: dict[str, Any]) -> Exception | None:
    """Run a statement; what it raised."""
    try:
        exec(statement, names)
    except Exception as error:
        return error
    return None
