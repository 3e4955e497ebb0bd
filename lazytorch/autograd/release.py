"""What backward has freed, let go of as soon as the gradients made of it are known, or forgotten.

A freed call has nothing to keep once no gradient of it is pending and those of its results that
somebody holds are known. So its inputs go: the users of a value first, and with the last of them
the value, unless somebody else holds it.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Collection, Sequence

from lazytorch import core
from lazytorch.autograd.reads import edges, saves_numbers_alone, way_of
from lazytorch.autograd.walk import Walk
from lazytorch.expression import Call
from lazytorch.freed import is_let_go, let_go
from lazytorch.levels import state as transforms
from lazytorch.realize import after_run, is_pending
from lazytorch.records import native


class Reader(weakref.ref[Call]):
    """A gradient call, known by the ``calls`` that it reads. Once it is gone these are due."""

    __slots__ = ("calls",)
    calls: list[weakref.ref[Call]]


# Readers that are gone, and calls with results that somebody waits for.
_due: deque[Reader] = deque()
_waiting: list[weakref.ref[Call]] = []


class _Sessions:
    """``running``: how many backward passes are under way in Python."""

    running = 0


sessions = _Sessions()


def reader(call: Call) -> Reader:
    """What tells the calls that a gradient is made of when it needs them no more."""
    made = Reader(call, _due.append)
    made.calls = []
    return made


def note_readers(calls: Sequence[Call], readers: Sequence[Reader]) -> None:
    """Note that gradients read some calls."""
    references = [weakref.ref(call) for call in calls]
    for each in readers:
        each.calls = references
    for call in calls:
        # Those of earlier passes may still be pending, and read this call too.
        earlier = [r for r in call.readers if r() is not None] if call.readers else None
        call.readers = [*earlier, *readers] if earlier else readers


def free(
    walk: Walk, retain: bool, readers: Sequence[Reader], ran: Collection[Call] | None = None
) -> None:
    """After backward, whose gradients are the ``readers``, has been through the calls of a walk:
    free them, unless they are to be retained; those alone that ``ran``, if it failed then."""
    calls = walk.calls if ran is None else [c for c in walk.calls if c in ran]
    note_readers(calls, readers)
    for call in calls:
        if retain or (way_of(call) is not None and not _is_freed(call, walk)):
            continue
        call.freed = True
        if call.signature.function is core.CUSTOM:
            custom = call.node.custom
            if custom is not None:
                custom._free()
    if not retain and not readers:
        _waiting.extend([weakref.ref(call) for call in calls])
    if _due:
        release()


def _is_freed(call: Call, walk: Walk) -> bool:
    """Free of a gradient call what a walk went through; whether that is all of it."""
    outputs = [e for e in [reference() for reference in call.outputs] if e is not None]
    for e in outputs:
        if e in walk.seen:
            call.way.freed |= call.way.made_of[e.number]
    return all([e in walk.seen for e in outputs])


def release(computed: Sequence[Call] = ()) -> None:
    """Let go of what freed calls need no more, and of what others, ``computed`` now, do."""
    if transforms.sources or sessions.running:
        return  # a tangent may be asked for, or a walk goes on
    for call in _of_freed(computed):
        if not _is_read(call.readers):
            _let_go(call)
    if _waiting:
        waiting = _waiting[:]
        _waiting.clear()
        _release(waiting)
    while _due:
        _release(_due.popleft().calls)


after_run.append(release)


def _release(calls: Sequence[weakref.ref[Call]]) -> None:
    """Let go of the inputs of some calls, if they are freed, users before what they use."""
    if native.let_go is not None:
        calls = native.let_go(calls)
    readers: Sequence[Reader] = ()  # of the call before: many calls share them
    is_read = False
    for reference in calls:
        call = reference()
        if call is None or not call.freed or not call.inputs:
            continue
        if call.readers is not readers:
            readers = call.readers
            is_read = _is_read(readers)
        if not is_read and not _let_go(call):  # else the readers will tell
            _waiting.append(reference)


def _is_read(readers: Sequence[Reader]) -> bool:
    """Whether gradients that read a call still need it."""
    return any([is_pending(reader) for reader in readers])


def _let_go(call: Call) -> bool:
    """Let go of the inputs of a call, unless somebody waits for its results."""
    for reference in call.outputs:
        e = reference()
        if e is not None and e.value is None:
            return False
    let_go(call, edges(call))
    if way_of(call) is not None:  # what it was made of may go with it
        _due.extend([r for r in weakref.getweakrefs(call) if type(r) is Reader])
    return True


def _of_freed(calls: Sequence[Call]) -> Sequence[Call]:
    """Those of some calls, inputs first, that are not freed but made of what is alone, and save no
    tensor, such as sums of losses: users before what they use."""
    found: dict[Call, None] = {}
    for call in calls:
        for e in call.inputs:
            made = e.call
            if e.tracked and (
                e.leaf is not None
                or made is None
                or not (made.freed or made in found or is_let_go(made))
            ):
                break
        else:
            # What is made of nothing tracked is where a derivative begins.
            if any([e.tracked for e in call.inputs]) and saves_numbers_alone(call):
                found[call] = None
    return [*found][::-1]
