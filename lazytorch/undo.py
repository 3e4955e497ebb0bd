"""After a failure: the tensors that were to be written have the values that they can have.

In PyTorch the statement that fails writes nothing. Here it is recorded, and so is what is written
with its result; the failure comes when all of that is computed. What is made of it is then put back
to the last value that does not depend on it, and the other writes are done. Values that are no
writes stay as they were recorded: who reads one is told of the failure again, or gets it, where it
can be computed by then.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Sequence

from codegen.errors import CheckError
from lazytorch import realize
from lazytorch.expression import Call, Expression, Overwritten
from lazytorch.layout import strided
from lazytorch.storage import Storage, leave_pending, pending_writes
from lazytorch.trace import Trace

# So many values are tried one by one which could not be computed together.
_FEW = 8


def settle_failure(error: Exception, roots: Sequence[Expression]) -> None:
    """Undo the pending writes that failed with ``error`` when ``roots`` were computed with them,
    and do the others. Afterwards none of them is computed but where it is asked for."""
    wanted = [e for e in roots if e.value is None]
    held = realize.held_values()
    realize.undone.clear()
    first = True
    try:
        while True:
            pending = realize.pending_with(wanted)
            device = min([e.device for e in pending], default="")
            chosen = [e for e in pending if e.device == device]
            if not chosen:
                break
            trace = Trace(chosen, [e for e in held if e.device == device])
            undone = _undo(error, trace, device)
            if not undone and not first:
                break  # nobody knows what it is
            wanted, held, first = [], [], False
            try:
                _compute_writes()
            except Exception as another:
                error = another
            else:
                break
    except Exception:  # what is wrong may be wrong again: all that is pending stays so
        return
    finally:
        leave_pending()


def _compute_writes() -> None:
    pending = realize.pending_with(())
    for device in sorted({e.device for e in pending}):
        realize.run([e for e in pending if e.device == device], device)


def _undo(error: Exception, trace: Trace, device: str) -> bool:
    """Put back what a trace's writes replaced, as far as these failed; whether any has."""
    writes = [
        (key, storage, kept)
        for key, (reference, kept) in list(pending_writes.items())
        if (storage := reference()) is not None and storage.expression in trace.numbers
    ]
    if not writes:
        return False
    failed = _failed(error, trace, device)
    undone = [w for w in writes if w[1].expression in failed]
    earlier = [_earlier_values(trace, storage, kept) for _, storage, kept in undone]
    failed |= _not_computed([values[0] for values in earlier if values], device)
    for (key, storage, _), values in zip(undone, earlier, strict=True):
        del pending_writes[key]
        if values:  # else it was written over without being read, and is gone
            _put_back(storage, values)
            realize.undone.add(storage)
    _take_gradients_back(trace, failed)
    return bool(undone)


def _failed(error: Exception, trace: Trace, device: str) -> set[Expression]:
    """What a trace computes that is made of what failed. Where an error says nothing of what that
    is: of values that are made of common calls all, or none."""
    numbers = realize.failed_numbers(error, trace, device)
    if numbers:
        suspected = {e for e in trace.wanted if trace.numbers[e] in numbers}
        # What shares a kernel with what failed may do without it.
        tries = 0 if isinstance(error, CheckError) else _FEW
        failed: set[Expression] = set()
        for call in trace.calls:  # inputs first
            outputs = {e for r in call.outputs if (e := r()) is not None}
            if not failed.isdisjoint(call.inputs):
                failed |= outputs
            elif found := suspected & outputs:
                tries -= 1
                if tries < 0 or not _computes(list(found), device):
                    failed |= outputs
        return failed
    group: dict[Call, Call] = {}  # a call of each call's group, in the end the same

    def first(call: Call) -> Call:
        while group[call] is not call:
            group[call] = call = group[group[call]]
        return call

    for call in trace.calls:
        group[call] = call
        for i in call.inputs:
            if i.call in group:
                group[first(i.call)] = call
    groups: dict[Call, list[Expression]] = {}
    for e in trace.wanted:
        if e.call is not None:
            groups.setdefault(first(e.call), []).append(e)
    return {e for wanted in groups.values() if not _computes(wanted, device) for e in wanted}


def _not_computed(values: Sequence[Expression], device: str) -> set[Expression]:
    """Those that cannot be computed, of values that are computed if they can be."""
    if _computes(values, device):
        return set()
    if len(values) > _FEW:
        return {e for e in values if e.value is None}
    return {e for e in values if not _computes([e], device)}


def _computes(values: Sequence[Expression], device: str) -> bool:
    """Try to compute some values; whether they are known now."""
    try:
        realize.run_pending(values, device)
    except Exception:
        return False
    return True


def _earlier_values(trace: Trace, storage: Storage, kept: Sequence[Expression]) -> list[Expression]:
    """The values that pending writes of a storage have replaced, as far as they are remembered,
    the oldest first."""
    found = dict.fromkeys(kept)
    for e in trace.numbers:
        owner = e.owner
        if type(owner) is Overwritten and owner.storage() is storage:
            found[e] = None

    def place(e: Expression) -> tuple[int, int]:
        # Silent writes count no versions.
        version = e.owner.version if type(e.owner) is Overwritten else -1
        return version, trace.numbers.get(e, -1)

    return sorted(found, key=place)


def _put_back(storage: Storage, earlier: Sequence[Expression]) -> None:
    """Give a storage the last of its earlier values that can be computed, or the oldest."""
    first, last = 0, len(earlier) - 1
    # What is made of a value that fails does so too.
    while first < last:
        middle = (first + last + 1) // 2
        e = earlier[middle]
        if _computes([e], e.device):
            first = middle
        else:
            last = middle - 1
    value, undone = earlier[first], storage.expression
    if type(value.owner) is Overwritten:
        storage.version = value.owner.version
    undone.owner = None
    value.owner = weakref.ref(storage)
    storage.expression = value
    storage.regions = 0


def _take_gradients_back(trace: Trace, failed: Collection[Expression]) -> None:
    """Leave no gradient in ``.grad`` that a backward put there which failed."""
    for e in trace.numbers:
        tensor = e.leaf() if e.leaf is not None else None
        if tensor is None or tensor._grad is None or tensor._grad.layout is not strided:
            continue
        if tensor._grad._storage.expression in failed:
            tensor._grad = None


realize.settle_failure.append(settle_failure)
