"""Calls whose plans are found without a search: one, of values that are known or views of such; or
several, of values that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lazytorch.expression import Expression


def small_call(e: Expression) -> tuple[tuple[Any, ...], list[Expression]] | None:
    """A key for one call whose inputs are computed values, or views and the like of such, and the
    leaves in the order in which ``Trace`` finds them; None where there is more to it."""
    call = e.call
    if call is None or call.tracked or len(call.outputs) != 1:
        return None
    key: list[Any] = [e.device, call.signature.number]
    leaves: list[Expression] = []
    behind: list[Expression] = []
    for i in call.inputs:
        if i.value is not None:
            leaves.append(i)
            key.append(-1)
            continue
        source = i.call
        if source is None or source.tracked or i.owner is not None or len(source.outputs) != 1:
            return None
        key.append(source.signature.number)
        for j in source.inputs:
            if j.value is None:
                return None
            behind.append(j)
    leaves = behind + leaves
    return (tuple(key), leaves) if len(set(leaves)) == len(leaves) else None


def small_calls(
    roots: Sequence[Expression],
) -> tuple[tuple[Any, ...], list[Expression]] | None:
    """As ``small_call``, for values that are each a call's one output, all of them on one device;
    the key says which calls read the same value."""
    device = roots[0].device if roots else ""
    key: list[Any] = [device]
    leaves: dict[Expression, int] = {}
    for e in roots:
        call = e.call
        if call is None or call.tracked or len(call.outputs) != 1 or e.device != device:
            return None
        key.append(call.signature.number)
        for i in call.inputs:
            if i.value is None:
                return None
            key.append(leaves.setdefault(i, len(leaves)))
    return tuple(key), list(leaves)
