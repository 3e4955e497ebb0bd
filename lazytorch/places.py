"""Views at other places in each step: after a few plans, where they begin is an argument.

In a plan the place of a view is a number in the text, like every size. A program that reads
``probs[action]`` would so have a plan for each action. Plans that differ in such places alone are
a family here; once it has a few members, the next plan takes what differed as arguments, and serves
every further place. Which those are is found by comparing the places that were seen, so a loop over
constant places within one step stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from codegen import dtype as dt
from codegen.ir.node import TensorType
from lazytorch.core import ViewFunction
from lazytorch.expression import Call, Signature

if TYPE_CHECKING:
    from lazytorch.realize import CachedPlan

# Plans that have their places in their text, before the next one takes arguments.
_PLANS_AT_PLACES = 2


@dataclass(frozen=True)
class MovedCall:
    """A call of a view whose place is known when it runs: by which signature it is computed then,
    and the numbers of the arguments that it gets besides its inputs."""

    ARGUMENT: ClassVar[TensorType] = TensorType((), dt.int64, True)

    call: Call
    signature: Signature
    arguments: tuple[int, ...]

    def describe(self) -> str:
        """What identifies it in another process, the call's inputs aside."""
        return f"{self.signature.describe()} at {self.arguments}"


class Pattern:
    """Which starts of a family's views are arguments, by number, and what the others are."""

    def __init__(self, seen: Sequence[tuple[int, ...]]) -> None:
        numbers: dict[tuple[int, ...], int] = {}
        # Starts that were always equal are one argument: what was one value in the graph stays one.
        columns = list(zip(*seen, strict=True))
        self.arguments = tuple([
            numbers.setdefault(column, len(numbers)) if len(set(column)) > 1 else -1
            for column in columns
        ])  # fmt: skip
        self.known = tuple([column[0] for column in columns])
        self.count = len(numbers)
        self.cached: CachedPlan | None = None

    def match(self, starts: tuple[int, ...]) -> list[int] | None:
        """The arguments with which a plan of this pattern is at these starts, if there are any."""
        found: list[int | None] = [None] * self.count
        for start, argument, known in zip(starts, self.arguments, self.known, strict=True):
            wanted = known if argument < 0 else found[argument]
            if wanted is None:
                found[argument] = start
            elif start != wanted:
                return None
        return found  # type: ignore[return-value]

    def moved(self, calls: Sequence[Call]) -> list[MovedCall]:
        """The family's calls of views that have arguments, as they are computed with those."""
        result = []
        position = 0
        for call in calls:
            region = call.signature.region
            assert region is not None
            count = len(region.starts)
            arguments = self.arguments[position : position + count]
            position += count
            given = tuple([n for n in arguments if n >= 0])
            if not given:
                continue
            pairs = zip(region.starts, arguments, strict=True)
            part = region.at([start if n < 0 else None for start, n in pairs])
            function = call.signature.function
            assert isinstance(function, ViewFunction)
            types = (*call.signature.input_types, *[MovedCall.ARGUMENT] * len(given))
            result.append(MovedCall(call, function.moved.signature(types, (part,)), given))
        return result


class Family:
    """Plans that differ in the places of views alone."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []
        self.patterns: list[Pattern] = []

    def has(self, starts: tuple[int, ...]) -> bool:
        """Whether a plan takes such starts as arguments."""
        return any([pattern.match(starts) is not None for pattern in self.patterns])

    def find(self, starts: tuple[int, ...]) -> tuple[Pattern, list[int]] | None:
        """A pattern of arguments for these starts, and they; None where the places are to stand
        in the plan's text."""
        for pattern in self.patterns:
            arguments = pattern.match(starts)
            if arguments is not None:
                return pattern, arguments
        self.seen.append(starts)
        if len(self.seen) <= _PLANS_AT_PLACES:
            return None
        pattern = Pattern(self.seen)
        arguments = pattern.match(starts)
        if arguments is None or not pattern.count:
            return None  # what is made again for another reason
        self.patterns.append(pattern)
        return pattern, arguments


def starts_of(calls: Sequence[Call]) -> tuple[int, ...]:
    """Where the regions of these calls begin, one after another."""
    found: list[int] = []
    for call in calls:
        region = call.signature.region
        if region is not None:
            found += region.starts  # type: ignore[arg-type]
    return tuple(found)
