"""Masks: what is filled in or chosen where they hold, and the places that are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch import levels
from lazytorch.application import apply
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.data import of_array
from lazytorch.functions.promotion import broadcast_shapes, promote
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor
from lazytorch.type_names import c_name, type_name


def _masked_fill(x: Node, mask: Node, value: Node) -> Node:
    shape = broadcast_shapes(x.shape, mask.shape)
    return ew.where(
        broadcast_to(mask, shape), broadcast_to(ew.cast(value, x.dtype), shape),
        broadcast_to(x, shape),
    )  # fmt: skip


MASKED_FILL = Function("masked_fill", _masked_fill)


@operation(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value`` where the mask holds."""
    require_tensor("masked_fill", mask, "mask", 2)
    if mask.dtype is not dt.bool_:
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype "
            f"{c_name(mask.dtype)}"
        )
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    broadcast_shapes(mask._type.shape, input._type.shape)
    return apply(MASKED_FILL, (input, mask, value))  # type: ignore[no-any-return]


def _argwhere(array: Any) -> Any:
    found = np.nonzero(np.atleast_1d(array))
    return np.stack(found, 1)[:, : array.ndim]


def _nonzero_array(input: Tensor) -> Any:
    return input.detach()._float_array()


@operation(out="nonzero: Expected out tensor to have scalar type {made} but got scalar type{out}")
@levels.refuses_examples(levels.dynamic_shape("nonzero"))
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The places that are not zero, as rows of a matrix or as one tensor a dimension."""
    array, device = _nonzero_array(input), input._storage.device
    if as_tuple:
        found = np.nonzero(np.atleast_1d(array))
        return tuple([of_array(a, dt.int64, device) for a in found])
    return of_array(_argwhere(array), dt.int64, device)


@operation()
@levels.by_example
def argwhere(input: Tensor) -> Tensor:
    return nonzero(input)  # type: ignore[no-any-return]


@operation(out=True)
@levels.by_example
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """``nonzero`` cut or filled up to ``size`` rows."""
    found = _argwhere(_nonzero_array(input))[:size]
    whole = np.full((size, input.ndim), fill_value, np.int64)
    whole[: len(found)] = found
    return of_array(whole, dt.int64, input._storage.device)


def _where(condition: Node, x: Node, y: Node) -> Node:
    a, b = promote(x, y)
    shape = broadcast_shapes(condition.shape, a.shape)
    return ew.where(
        broadcast_to(ew.cast(condition, dt.bool_), shape), broadcast_to(a, shape),
        broadcast_to(b, shape),
    )  # fmt: skip


WHERE = Function("where", _where)


@operation(method=False, out="Expected out type to be {made} but got {out}")
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """``input`` where the condition holds, else ``other``; alone: ``nonzero(as_tuple=True)``."""
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    if not isinstance(condition, Tensor):
        kinds = ", ".join([type(x).__name__ for x in (condition, input, other)])
        raise TypeError(f"where() received an invalid combination of arguments - got ({kinds})")
    if condition.dtype not in (dt.bool_, dt.uint8):
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{type_name(condition.dtype)}"
        )
    return apply(WHERE, (condition, input, other))


Tensor.where = lambda self, condition, other: where(condition, self, other)  # type: ignore
