"""What there is to compute under some roots, and the key by which its plan is found."""

from __future__ import annotations

import weakref
from collections.abc import Container, Sequence
from typing import Any

from lazytorch import layouts, levels
from lazytorch.expression import Call, Expression
from lazytorch.freed import is_let_go
from lazytorch.orders import Order, order_of, wanted_order

# Marks in a key; signatures and numbers are not negative, and leaves' types far below.
_LEAF, _BOUND, _WANTED, _FREED = -1, -2, -3, -4
# Orders of axes in memory, behind what lies so, and forms of views in a family's key: below these.
_FIRST_ORDER = -(1 << 59)
_FIRST_FORM = -(1 << 60)


class Trace:
    """Everything pending under some roots, in an order that depends on structure alone; and those
    of ``held``, values that somebody holds, which are made of what is computed on the way.

    key        identifies the structure: equal keys may run the same plan on their leaves.
    leaves     the expressions whose values go in.
    calls      the calls to run, inputs first.
    tracked    those of them that a gradient flows through.
    numbers    each expression's number; a call's outputs are numbered together.
    bound      realized expressions that a gradient goes through: definition and value are known.
    wanted     the expressions to compute: the roots, and whatever else some tensor still shows.
    joined     of ``held``, those that are computed too.
    views      the calls of views that may lie elsewhere the next time, and their places in the key.
    orders     of what is wanted and is to lie in memory in another order of its axes, that order.
    """

    references_to_leaf = 2  # those of the list of leaves and of the numbering

    __slots__ = (
        "bound", "calls", "has_gradient", "joined", "key", "leaves", "numbers", "orders", "tracked",
        "views", "wanted",
    )  # fmt: skip

    def __init__(self, roots: Sequence[Expression], held: Sequence[Expression] = ()) -> None:
        key: list[int] = []
        leaves: list[Expression] = []
        calls: list[Call] = []
        tracked: list[Call] = []
        numbers: dict[Expression, int] = {}
        bound: list[Expression] = []
        wanted: list[Expression] = []
        joined: list[Expression] = []
        views: list[tuple[Call, int]] = []
        orders: dict[Expression, Order] = {}
        ordered = layouts.orders.used
        count = 0
        has_gradient = False
        for e in roots:
            if e.call is not None and e.call.has_gradient:
                has_gradient = True
        chosen = set(roots)
        # Values whose calls are numbered next, and, in tuples, those that are yet to be visited.
        stack: list[Any] = [(e,) for e in reversed(roots)]
        outputs: Sequence[Expression | None]
        reference_type = weakref.ref
        offered = iter(held)
        while True:
            while stack:
                e = stack.pop()
                if type(e) is tuple:
                    (e,) = e
                    if e in numbers:
                        continue
                    # Down the first of what is pending, as far as that goes.
                    while True:
                        first = others = None
                        for i in e.call.inputs:
                            source = i.call
                            if (
                                source is not None
                                and (
                                    i.value is None
                                    or (has_gradient and i.tracked and source.inputs)
                                )
                                and i not in numbers
                            ):
                                if first is None:
                                    first = i
                                elif others is None:
                                    others = [(i,)]
                                else:
                                    others.append((i,))
                        if first is None:
                            break
                        stack.append(e)
                        if others is not None:
                            stack += others[::-1]
                        e = first
                call = e.call
                calls.append(call)
                if call.tracked:
                    tracked.append(call)
                signature = call.signature
                if signature.region is not None:
                    views.append((call, len(key)))
                if not call.inputs and is_let_go(call):
                    key.append(_FREED)
                key.append(signature.number + call.tracked)
                for i in call.inputs:
                    known = numbers.get(i)
                    if known is None:
                        known = numbers[i] = count
                        count += 1
                        leaves.append(i)
                        key.append(~(4 * i.type.number + i.tracked))
                        if ordered and (order := order_of(i)) is not None:
                            key.append(_FIRST_ORDER - layouts.order_number(order))
                    key.append(known)
                references = call.outputs
                if len(references) == 1:
                    outputs = (e,)
                    if e.value is None and e.leaf is None and e not in chosen:
                        # The commonest case of what follows: a value that nobody shows.
                        owner = e.owner
                        if type(owner) is not reference_type or owner() is None:
                            numbers[e] = count
                            count += 1
                            continue
                else:
                    outputs = [r() for r in references]
                for output in outputs:
                    if output is None or output in numbers:
                        continue  # gone, or a leaf: known, and no gradient goes through it
                    number = count + output.number
                    numbers[output] = number
                    if output.value is not None:
                        bound.append(output)
                        key.append(_BOUND)
                        key.append(number)
                        if ordered and (order := order_of(output)) is not None:
                            key.append(_FIRST_ORDER - layouts.order_number(order))
                        continue
                    if output.leaf is not None:
                        key.append(_LEAF)
                    owner = output.owner
                    if output in chosen or (
                        type(owner) is reference_type
                        and (storage := owner()) is not None
                        and storage.expression is output
                    ):
                        wanted.append(output)
                        key.append(_WANTED)
                        key.append(number)
                        if ordered and (order := wanted_order(output)) is not None:
                            orders[output] = order
                            key.append(_FIRST_ORDER - layouts.order_number(order))
                count += len(references)
            found = None
            if held:
                kept = chosen.union(wanted)
                found = next((e for e in offered if loses(e, numbers, kept, has_gradient)), None)
            if found is None:
                break
            joined.append(found)
            stack.append((found,))
        self.key, self.leaves, self.calls, self.numbers = key, leaves, calls, numbers
        self.bound, self.wanted, self.has_gradient = bound, wanted, has_gradient
        self.tracked, self.views, self.orders, self.joined = tracked, views, orders, joined

    def family_key(self) -> tuple[int, ...]:
        """The key but for where views begin."""
        key = self.key.copy()
        for call, place in self.views:
            key[place] = _FIRST_FORM - 4 * call.signature.form - call.tracked
        return tuple(key)


# So many pending values are looked at to find what a value that somebody holds is made of.
MOST_LOOKED_AT = 500


def loses(
    e: Expression, numbers: Container[Expression], kept: set[Expression], has_gradient: bool
) -> bool:
    """Whether a pending value is made of others that are about to be computed and not kept: they
    would have to be computed again for it."""
    if e in numbers or (e.call is not None and e.call.has_gradient and not has_gradient):
        return False
    found = False
    seen = {e}
    stack = [e]
    while stack:
        call = stack.pop().call
        if call is None or call.signature.function is levels.PLACEHOLDER:
            return False  # left over from a vmap: nobody can compute it
        for i in call.inputs:
            if i.value is not None or i in seen:
                continue
            if i not in numbers:
                seen.add(i)
                stack.append(i)
            elif i not in kept:
                found = True
        if len(seen) > MOST_LOOKED_AT:
            return False
    return found
