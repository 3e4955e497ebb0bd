"""Which values lie in memory in another order than that of their axes, and which are to."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from codegen.runtime.memory import Buffer

if TYPE_CHECKING:
    from lazytorch.expression import Expression
    from lazytorch.trace import Trace

Order = tuple[int, ...]


def order_of(e: Expression) -> Order | None:
    """The order in memory of a computed value's axes; None where it is their own."""
    value = e.value
    return value.order if type(value) is Buffer else None


def wanted_order(e: Expression) -> Order | None:
    """The order in which a value that is to be computed is to lie: its storage's."""
    owner = e.owner
    storage = owner() if type(owner) is weakref.ref else None
    return storage.order if storage is not None and storage.expression is e else None


def has_orders(e: Expression) -> bool:
    """Whether a small call makes, or reads, what lies in another order than its axes."""
    if wanted_order(e) is not None or e.call is None:
        return True
    for i in e.call.inputs:
        if order_of(i) is not None:
            return True
        behind = i.call.inputs if i.value is None and i.call is not None else ()
        if any([order_of(j) is not None for j in behind]):
            return True
    return False


def orders_of_outputs(trace: Trace, outputs: Sequence[int]) -> tuple[tuple[int, Order], ...]:
    """The places among a plan's outputs of those that lie in another order, and that order."""
    by_number = {trace.numbers[e]: order for e, order in trace.orders.items()}
    return tuple([(i, by_number[n]) for i, n in enumerate(outputs) if n in by_number])
