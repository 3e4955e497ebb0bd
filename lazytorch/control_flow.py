"""torch.cond and while_loop, and numbers that PyTorch's tracing may stand symbols for: plain ones
here, because Python's control flow runs as it is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any


class SymInt:
    """An integer known to a tracer alone; nothing here is one."""


class SymFloat:
    """A number known to a tracer alone; nothing here is one."""


class SymBool:
    """A truth value known to a tracer alone; nothing here is one."""


def cond(
    pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any],
    operands: Sequence[Any] = (),
) -> Any:  # fmt: skip
    """``true_fn(*operands)`` or ``false_fn(*operands)``; computes ``pred``.

    >>> torch.cond(torch.tensor(True), lambda x: x + 1, lambda x: x - 1, (torch.tensor(1),))
    tensor(2)
    """
    return (true_fn if bool(pred) else false_fn)(*operands)


def while_loop(
    cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Any
) -> Any:
    """The inputs through ``body_fn`` for as long as ``cond_fn`` holds, which it computes."""
    values = tuple(carried_inputs)
    while bool(cond_fn(*values)):
        values = tuple(body_fn(*values))
    return values


def sym_int(a: Any) -> int:
    """The integer part."""
    return int(a)


def sym_float(a: Any) -> float:
    """The number as a float."""
    return float(a)


def sym_not(a: Any) -> bool:
    """The negation."""
    return not a


def sym_max(a: Any, b: Any) -> Any:
    """The larger, a float where one of them is."""
    larger = max(a, b)
    return float(larger) if isinstance(a, float) or isinstance(b, float) else larger


def sym_min(a: Any, b: Any) -> Any:
    """The smaller, a float where one of them is."""
    smaller = min(a, b)
    return float(smaller) if isinstance(a, float) or isinstance(b, float) else smaller


def sym_sum(args: Sequence[Any]) -> Any:
    """The sum."""
    return sum(args)


def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """One of two numbers."""
    return t if b else f


def sym_sqrt(a: Any) -> float:
    """The square root."""
    return math.sqrt(a)


__all__ = [
    "SymBool", "SymFloat", "SymInt", "cond", "sym_float", "sym_int", "sym_ite", "sym_max",
    "sym_min", "sym_not", "sym_sqrt", "sym_sum", "while_loop",
]  # fmt: skip
