"""Addition to remainder: binary operations with type promotion and broadcasting."""

from __future__ import annotations

from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Function
from lazytorch.functions.promotion import promote, promote_float
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor, apply


def _add(x: Node, y: Node) -> Node:
    return ew.add(*promote(x, y))


def _add_scaled(x: Node, y: Node, alpha: Node) -> Node:
    a, b, scale = promote(x, y, alpha)
    return ew.add(a, ew.mul(b, scale))


def _sub(x: Node, y: Node) -> Node:
    if x.dtype is dt.bool_ and y.dtype is dt.bool_:
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
            "`logical_xor()` operator instead."
        )
    return ew.sub(*promote(x, y))


def _sub_scaled(x: Node, y: Node, alpha: Node) -> Node:
    a, b, scale = promote(x, y, alpha)
    return ew.sub(a, ew.mul(b, scale))


ADD = Function("add", _add)
ADD_SCALED = Function("add_scaled", _add_scaled, gradient_name="AddBackward0")
SUB = Function("sub", _sub)
SUB_SCALED = Function("sub_scaled", _sub_scaled, gradient_name="SubBackward0")
MUL = Function("mul", lambda x, y: ew.mul(*promote(x, y)))
DIV = Function("div", lambda x, y: ew.div(*promote_float(x, y)))


@operation(inplace=True, out=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other.

    >>> torch.add(torch.tensor([1, 2]), 10)
    tensor([11, 12])
    """
    if alpha == 1:
        return apply(ADD, (input, other))  # type: ignore[no-any-return]
    return apply(ADD_SCALED, (input, other, alpha))  # type: ignore[no-any-return]


@operation(inplace=True, out=True, names=("subtract",))
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other."""
    if alpha == 1:
        return apply(SUB, (input, other))  # type: ignore[no-any-return]
    return apply(SUB_SCALED, (input, other, alpha))  # type: ignore[no-any-return]


@operation(inplace=True, out=True, names=("multiply",))
def mul(input: Any, other: Any) -> Tensor:
    """input * other, element by element."""
    return apply(MUL, (input, other))  # type: ignore[no-any-return]
