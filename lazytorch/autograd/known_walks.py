"""Graphs that backward has been through before: in a loop the next one is recognised by comparing,
which costs a third of what the walk does, with its checks."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from lazytorch.core import ALIASES
from lazytorch.expression import Call, Expression, Function, Overwritten, SharedSince, Signature
from lazytorch.importer import GRADIENT, TANGENT
from lazytorch.records import known_to_native, native, packed

_USUAL_OWNERS = frozenset([type(None), weakref.ref])
# So many structures are known for each signature at the root.
_MOST_KNOWN = 4


class KnownWalk:
    """The structure of a tracked graph under one root, in which nothing stands in backward's way.

    Its *occurrences* are the root, and then the inputs of its calls, call after call, each of which
    is found at an earlier occurrence of one of its outputs: see ``known_traces.KnownTrace``.

    steps    of each call: at which occurrence it is found, its signature, how many inputs it has.
    order    the tracked values, inputs first; ``calls``: those of them that calls made, the root's
             first.
    leaves   which of ``order`` are leaves; ``is_hooked``: whether a value has hooks.
    facts    what is compared, as records.c reads it.
    """

    __slots__ = (
        "calls", "facts", "firsts", "followed", "has_hooks", "is_hooked", "is_leaf", "leaves",
        "made_by", "numbers", "order", "same_as", "steps", "tracked", "untracked",
    )  # fmt: skip

    def __init__(
        self, root: Expression, order: Sequence[Expression], calls: Sequence[Call]
    ) -> None:
        met = [root]
        self.steps: list[tuple[int, Signature, int]] = []
        self.firsts: list[int] = []
        self.same_as: list[int] = []
        found: list[Call] = []
        places: dict[Call, int] = {}
        numbers: dict[Expression, int] = {}
        for place, e in enumerate(met):  # which grows meanwhile
            number = numbers.get(e)
            if number is None:
                number = numbers[e] = len(numbers)
                self.firsts.append(place)
            self.same_as.append(number)
            call = e.call
            if not e.tracked or e.leaf is not None or call is None or call in places:
                continue
            places[call] = len(found)
            found.append(call)
            self.steps.append((place, call.signature, len(call.inputs)))
            met += call.inputs
        each = [*numbers]
        self.tracked = [e.tracked for e in each]
        self.is_leaf = [e.leaf is not None for e in each]
        self.untracked = [i for i, e in enumerate(each) if not e.tracked]
        self.followed = [i for i, e in enumerate(each) if e.tracked and e.leaf is None]
        calls_of = [each[i].call for i in self.followed]
        self.made_by = [places[call] for call in calls_of if call is not None]
        self.numbers = [each[i].number for i in self.followed]
        self.order = [numbers[e] for e in order]
        self.calls = [places[call] for call in calls]
        self.leaves = [i for i, e in enumerate(order) if e.leaf is not None]
        self.has_hooks = [e.hooks is not None for e in each]
        self.is_hooked = any(self.has_hooks)
        kinds = zip(self.tracked, self.is_leaf, self.has_hooks, strict=True)
        self.facts = (
            tuple([signature for _, signature, _ in self.steps]),
            packed([(place, True, 2, count) for place, _, count in self.steps]),
            packed([self.firsts]),
            packed([self.same_as]),
            packed([[tracked + 2 * is_leaf + 4 * hooked for tracked, is_leaf, hooked in kinds]]),
            packed(zip(self.followed, self.made_by, self.numbers, strict=True)),
            packed([self.order]),
            packed([self.calls]),
        )

    def recognise(self, root: Expression) -> tuple[list[Expression], list[Call]] | None:
        """``Walk.order`` and ``Walk.calls`` under a root; None where the graph is another one, or
        there may be something in the way."""
        if native.known_walk is not None:
            return native.known_walk(self.facts, [root])  # type: ignore[no-any-return]
        return self._compare(root)

    def _compare(self, root: Expression) -> tuple[list[Expression], list[Call]] | None:
        met = [root]
        calls: list[Call] = []
        for place, signature, count in self.steps:
            call = met[place].call
            if call is None or call.signature is not signature or call.freed:
                return None
            inputs = call.inputs
            if len(inputs) != count or not call.tracked:
                return None
            calls.append(call)
            met += inputs
        each = [met[i] for i in self.firsts]
        if len(set(each)) != len(each) or [each[i] for i in self.same_as] != met:
            return None
        followed = [each[i] for i in self.followed]
        if (
            len(set(calls)) != len(calls)
            or [e.tracked for e in each] != self.tracked
            or [e.leaf is not None for e in each] != self.is_leaf
            or [e.hooks is not None for e in each] != self.has_hooks
            or [e.call for e in followed] != [calls[i] for i in self.made_by]
            or [e.number for e in followed] != self.numbers
        ):
            return None
        shown = [e for i in self.untracked for e in _shown_by(each[i])]
        outputs: list[Any] = [reference() for call in calls for reference in call.outputs]
        for e in (*each, *shown, *outputs):
            if e is not None and type(e.owner) not in _USUAL_OWNERS and _may_be_written(e):
                return None
        return [each[i] for i in self.order], [calls[i] for i in self.calls]


def _shown_by(e: Expression) -> Iterator[Expression]:
    """The values that an alias shows: of what, and of what that is an alias, and so on."""
    while (call := e.call) is not None and call.inputs and call.signature.function in ALIASES:
        e = call.inputs[0]
        yield e


def _may_be_written(e: Expression) -> bool:
    """Whether a value may have been written over since it was read, or is detached."""
    owner = e.owner
    return is_written(owner) or (type(owner) is SharedSince and owner.detached)


def is_written(owner: Any) -> bool:
    """Whether this stands at a value that backward takes for written over."""
    if type(owner) is SharedSince or (type(owner) is Overwritten and owner.silent):
        storage = owner.storage()
        return storage is not None and storage.version > owner.version
    return type(owner) is Overwritten


known_to_native["may_be_written"] = _may_be_written


def _has_rules_of_its_own(function: Function) -> bool:
    return function.refusal is not None or function in (GRADIENT, TANGENT)


class _Known:
    """The structures known for a signature at the root, and how many others came since one of
    them did."""

    __slots__ = ("others", "walks")

    def __init__(self) -> None:
        self.walks: list[KnownWalk] = []
        self.others = 0


_known: dict[Signature, _Known] = {}


def recognised(root: Expression) -> tuple[KnownWalk, list[Expression], list[Call]] | None:
    """The known structure of the graph under a root, if it has one; its ``Walk.order`` and
    ``Walk.calls``."""
    known = _known.get(root.call.signature) if root.call is not None else None
    if known is None:
        return None
    for walk in known.walks:
        found = walk.recognise(root)
        if found is not None:
            known.others = 0
            return walk, *found
    return None


def remember(root: Expression, order: Sequence[Expression], calls: Sequence[Call]) -> None:
    """Have a graph recognised the next time; where each one is new, more and more rarely."""
    call = root.call
    if call is None or any([_has_rules_of_its_own(c.signature.function) for c in calls]):
        return
    made = [e.call for e in order if e.leaf is None]
    if not all([c is not None and c.tracked for c in made]):
        return
    known = _known.get(call.signature)
    if known is None:
        known = _known[call.signature] = _Known()
    known.others += 1
    if known.others & (known.others - 1) == 0:
        known.walks = [KnownWalk(root, order, calls), *known.walks[: _MOST_KNOWN - 1]]
