"""Activations: functions of each element (glu: of two halves), one recorded call each."""

from __future__ import annotations

from math import inf, pi, sqrt
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.movement import slice_
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.bodies import (
    apply_one,
    need_float,
    need_tensor,
    number,
    over_channels,
    type_name,
)
from lazytorch.functions.promotion import promote_float
from lazytorch.functions.registration import PUBLIC, assign, operation
from lazytorch.tensor import Tensor, wrap_dim


def _c(x: Node, value: float) -> Node:
    return ew.full_like(x, value)


def _finish(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    return assign(input, result) if inplace else result


# ---- piecewise linear -----------------------------------------------------------------------


def _relu(x: Node) -> Node:
    if x.dtype.kind == "bool":
        raise RuntimeError("Boolean inputs not supported for relu")
    # NaN passes: it is not below zero.
    return ew.where(ew.lt(x, _c(x, 0)), _c(x, 0), x)


def _relu_rule(_inputs: Any, outputs: Any, cotangents: Any) -> Any:
    y, g = outputs[0], cotangents[0]
    return (ew.where(ew.le(y, _c(y, 0)), _c(g, 0), g),)


RELU = Function("relu", _relu, _relu_rule)


@operation(inplace=True)
def relu(input: Tensor) -> Tensor:
    """max(input, 0)."""
    need_tensor(input, "relu")
    return apply_one(RELU, (input,))
