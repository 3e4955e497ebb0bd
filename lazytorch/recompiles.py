"""Why a plan had to be made: what differs from the plan before that is most like it."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codegen import settings
from lazytorch.source import lines_of

if TYPE_CHECKING:
    from codegen.ir.node import TensorType
    from lazytorch.expression import Signature
    from lazytorch.trace import Trace

_KEPT = 200  # structures of plans that others are compared with
_LISTED = 1000  # reasons that are kept


class RecompileError(RuntimeError):
    """A plan had to be made inside ``assert_no_recompile``; the message says why."""


@dataclass(frozen=True)
class _Item:
    """A call of a plan: what it is, which values it reads (by number), where it was made."""

    signature: Signature
    inputs: tuple[int, ...]
    tracked: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Structure:
    device: str
    leaves: tuple[tuple[int, TensorType, int], ...]
    items: tuple[_Item, ...]
    wanted: tuple[int, ...]

    @property
    def names(self) -> list[str]:
        return [item.signature.function.name for item in self.items]


class _State:
    """``forbidden`` counts the contexts in which no plan may be made."""

    forbidden = 0


state = _State()
_known: deque[_Structure] = deque(maxlen=_KEPT)
_made: deque[tuple[_Structure, tuple[_Structure, ...]]] = deque(maxlen=_LISTED)


def note_miss(trace: Trace, device: str) -> None:
    """A trace has no plan in this process: remember it, say why, or refuse to go on."""
    structure = _structure(trace, device)
    if state.forbidden:
        raise RecompileError(
            f"a plan had to be made where none was expected: {_reason(structure, _known)}. "
            "Keep shapes, types and attributes the same in every step (pad the last batch, pass "
            "numbers as tensors or plain arguments), or run it once before "
            "assert_no_recompile()."
        )
    earlier = tuple([s for s in _known if s.device == device])[-20:]
    _made.append((structure, earlier))
    if settings.debug_level() >= 1 and earlier:
        print(f"lazytorch: new plan: {_reason(structure, earlier)}", file=sys.stderr)
    _known.append(structure)


def note_obstacle(function: Any, reason: str) -> None:
    """LAZYTORCH_DEBUG: calls of a compiled function are not replayed, now for this reason."""
    if settings.debug_level() >= 1:
        name = getattr(function, "__qualname__", type(function).__name__)
        code = getattr(function, "__code__", None)
        place = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
        print(f"lazytorch: compiled {name}{place} runs as always: {reason}", file=sys.stderr)


def recompiles() -> list[str]:
    """For each plan that this process has made, in order, why: a sentence with the user's line.

    The first plan of a program is new; every further one differs from an earlier one in
    something. A loop that has settled makes none.
    """
    return [_reason(structure, earlier) for structure, earlier in _made]


@contextmanager
def assert_no_recompile() -> Iterator[None]:
    """RecompileError, which says why, where a plan has to be made inside.

    >>> x = lazytorch.ones(3).realize()
    >>> print((x + 1).sum().item())
    6.0
    >>> with lazytorch.assert_no_recompile():
    ...     print((x + 1).sum().item())
    6.0
    """
    state.forbidden += 1
    try:
        yield
    finally:
        state.forbidden -= 1


def _structure(trace: Trace, device: str) -> _Structure:
    numbers = trace.numbers
    return _Structure(
        device,
        tuple([(numbers[e], e.type, e.tracked) for e in trace.leaves]),
        tuple([
            _Item(c.signature, tuple([numbers[i] for i in c.inputs]), c.tracked, lines_of(c))
            for c in trace.calls
        ]),
        tuple([numbers[e] for e in trace.wanted]),
    )  # fmt: skip


# ---- what differs -------------------------------------------------------------------------------


def _reason(structure: _Structure, earlier: Sequence[_Structure] | deque[_Structure]) -> str:
    # Of equally near ones the latest.
    candidates = [s for s in reversed(earlier) if s.device == structure.device]
    if not candidates:
        return f"the first plan on {structure.device} ({_program(structure)})"
    nearest = max(candidates, key=lambda s: _likeness(structure, s))
    if not structure.items or _prefix(structure.names, nearest.names) == 0:
        return f"a new program ({_program(structure)})"
    return _difference(structure, nearest)


def _program(structure: _Structure) -> str:
    names = structure.names
    lines = next((item.lines for item in structure.items if item.lines), ())
    place = f", from {lines[0]}" if lines else ""
    return f"{len(names)} calls: {', '.join(names[:4])}{', …' if len(names) > 4 else ''}{place}"


def _likeness(a: _Structure, b: _Structure) -> tuple[int, int]:
    same = sum([x.signature is y.signature for x, y in zip(a.items, b.items, strict=False)])
    return (2 * _prefix(a.names, b.names) - max(len(a.items), len(b.items)), same)


def _prefix(a: Sequence[str], b: Sequence[str]) -> int:
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count


def _difference(new: _Structure, old: _Structure) -> str:
    """The first thing that differs, inputs before what is made of them."""
    leaf_types = {number: (type_, tracked) for number, type_, tracked in new.leaves}
    old_types = {number: (type_, tracked) for number, type_, tracked in old.leaves}
    for number, (a, b) in enumerate(zip(new.items, old.items, strict=False)):
        name = a.signature.function.name
        where = f" at {a.lines[-1]}" if a.lines else ""
        call = f"call {number} ({name}{where})"
        if name != b.signature.function.name:
            return f"{call}: {name}, where {b.signature.function.name} was before"
        if a.signature is not b.signature:
            return f"{call}: {_signatures(a.signature, b.signature)}"
        if a.tracked != b.tracked:
            now, before = ("is", "was not") if a.tracked else ("is not", "was")
            return f"{call} {now} recorded for gradients, and {before} before"
        if a.inputs != b.inputs:
            return f"{call} reads other values than before: one is computed already, or shared"
        for i, source in enumerate(a.inputs):
            if leaf_types.get(source) != old_types.get(source):
                is_now, was = _leaf(leaf_types, source), _leaf(old_types, source)
                return f"{call}: input {i} is {is_now}, was {was}"
    if len(new.items) != len(old.items):
        longer = new.items if len(new.items) > len(old.items) else old.items
        extra = longer[min(len(new.items), len(old.items))]
        more = "more" if longer is new.items else "fewer"
        where = f" at {extra.lines[-1]}" if extra.lines else ""
        count = abs(len(new.items) - len(old.items))
        return f"{count} {more} calls, from {extra.signature.function.name}{where} on"
    if new.wanted != old.wanted:
        return (
            "the same calls, but other results are kept: a tensor on the way is still referred to, "
            "or is not any more"
        )
    return "the same calls in another state (values that are computed already, donated or bound)"


def _leaf(types: dict[int, tuple[TensorType, int]], number: int) -> str:
    found = types.get(number)
    if found is None:
        return "computed"
    return f"{found[0]!r}{', requiring grad' if found[1] else ''}"


def _signatures(a: Signature, b: Signature) -> str:
    for i, (x, y) in enumerate(zip(a.input_types, b.input_types, strict=False)):
        if x is y:
            continue
        if x.dtype is not y.dtype:
            return f"input {i} is of {x.dtype.name.rstrip('_')}, was of {y.dtype.name.rstrip('_')}"
        if x.shape != y.shape:
            return f"input {i} has shape {x.shape}, had {y.shape}"
        return f"input {i} is {x!r}, was {y!r}"
    if len(a.input_types) != len(b.input_types):
        return f"{len(a.input_types)} inputs, {len(b.input_types)} before"
    for i, (p, q) in enumerate(zip(a.attributes, b.attributes, strict=False)):
        if p != q:
            return f"attribute {i} is {p!r}, was {q!r}"
    if a.conditions != b.conditions:
        return f"traced under {a.conditions or 'defaults'}, was under {b.conditions or 'defaults'}"
    return f"attributes {a.attributes!r}, were {b.attributes!r}"
