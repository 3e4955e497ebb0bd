"""Storages: the memory that tensors alias. A write makes a new value of the storage."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen.ir.node import TensorType
from codegen.ops.movement import inverse_order
from codegen.runtime.memory import Buffer, allocate
from lazytorch import capture, levels, references
from lazytorch.autograd.grad_mode import inference
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.core import IDENTITY, REPLACE_VALUE
from lazytorch.device import placed
from lazytorch.expression import (
    Expression,
    new_call,
    new_expression,
    overwritten,
    shared_owner,
)
from lazytorch.layouts import Layout

# Storages written in place since they were last realized: the next realize writes them too. With
# each what its pending writes replace, the first and the last of them, where these may have to be
# undone because of what they are made of (undo.py).
pending_writes: dict[int, tuple[weakref.ref[Storage], tuple[Expression, ...]]] = {}


# Storages made since ``held_storages`` looked last, and those that it found to be pending then.
born: list[weakref.ref[Storage]] = []
held: list[weakref.ref[Storage]] = []


def note_born() -> None:
    """Let the derivative that is under way know what was made since it was asked last."""
    derivative = levels.state.derivative
    if derivative is not None:
        for reference in born[derivative.seen :]:
            derivative.made[id(reference())] = reference
        derivative.seen = len(born)


def forget_born() -> None:
    """As ``note_born``, before the list is emptied."""
    note_born()
    derivative = levels.state.derivative
    while derivative is not None:
        derivative.seen = 0
        derivative = derivative.outer


def held_storages() -> list[Storage]:
    """The storages that somebody holds and whose values are pending, the oldest first."""
    if levels.derivatives.count:
        forget_born()
    looked_at = [*held, *born]
    del born[: len(looked_at) - len(held)]
    held.clear()
    found = []
    for reference in looked_at:
        storage = reference()
        if storage is not None and storage.expression.value is None:
            held.append(reference)
            found.append(storage)
    return found


# Storages whose values are pending because a realize failed, or was interrupted: nothing computes
# them but a reading of what they are needed for.
_unsettled: list[weakref.ref[Storage]] = []


def leave_pending() -> None:
    """Compute what is pending now only where it is asked for, not with something else."""
    if levels.derivatives.count:
        forget_born()
    _unsettled.extend(held)
    _unsettled.extend(born)
    _unsettled.extend([reference for reference, _ in pending_writes.values()])
    born.clear()
    held.clear()
    pending_writes.clear()


def unsettled_values() -> list[Expression]:
    """The values that ``leave_pending`` left and that are pending still."""
    if not _unsettled:
        return []
    storages = {id(s): s for s in [r() for r in _unsettled] if s is not None}
    pending = [s for s in storages.values() if s.expression.value is None]
    _unsettled[:] = [weakref.ref(s) for s in pending]
    return [s.expression for s in pending]


class ForeignMemory:
    """A NumPy array given to from_numpy: shared for as long as somebody else may write to it."""

    __slots__ = ("array",)

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def alive(self) -> bool:
        # Besides this object, the buffer that wraps the array refers to it.
        own = references.BY_ATTRIBUTE + 1
        return self.array.base is not None or references.count(self.array) > own


class ExportedMemory:
    """A buffer that NumPy arrays made by numpy() look into, for as long as one of them lives.

    ``holder`` is the object that all those arrays have as their base.
    """

    __slots__ = ("holder",)

    def __init__(self, holder: Any) -> None:
        self.holder = weakref.ref(holder)

    def alive(self) -> bool:
        return self.holder() is not None


class Special:
    """What few storages have: ``shared``, whose eyes see the memory from outside, and ``layout``,
    how the elements lie, where that is not row by row."""

    __slots__ = ("layout", "shared")

    def __init__(
        self, shared: ForeignMemory | ExportedMemory | None, layout: Layout | None
    ) -> None:
        self.shared, self.layout = shared, layout


class Storage:
    """A block of elements with a value that changes by writes.

    expression  the present value, in the shape of the tensor that the storage was made for.
    version     counts writes.
    special     what few storages have, or None.
    shared      of that: whose eyes see the memory from outside, or None: then reads take a copy
                and writes happen at the call.
    layout      of that: how the elements lie, or None where they do row by row. It never changes:
                views are places in that order.
    regions     pending writes to parts of it.
    viewed      that it was viewed while a gradient flowed through it; not set otherwise.
    inference   that it was made in inference mode; not set otherwise.
    """

    __slots__ = (
        "__weakref__", "expression", "inference", "regions", "special", "version", "viewed"
    )  # fmt: skip
    viewed: bool
    inference: bool

    expression: Expression
    version: int
    regions: int
    special: Special | None

    @property
    def shared(self) -> ForeignMemory | ExportedMemory | None:
        return None if self.special is None else self.special.shared

    @shared.setter
    def shared(self, shared: ForeignMemory | ExportedMemory | None) -> None:
        layout = self.layout
        self.special = None if shared is None and layout is None else Special(shared, layout)

    @property
    def layout(self) -> Layout | None:
        return None if self.special is None else self.special.layout

    @property
    def order(self) -> tuple[int, ...] | None:
        """The axes from the outermost in memory to the innermost; None where rows lie so."""
        layout = None if self.special is None else self.special.layout
        return None if layout is None else layout.order

    @property
    def device(self) -> str:
        return self.expression.device

    def is_viewed(self) -> bool:
        """Whether there were views that a gradient flows through."""
        return getattr(self, "viewed", False)

    def is_inference(self) -> bool:
        """Whether it was made in inference mode."""
        return inference.used and getattr(self, "inference", False)

    def is_shared(self) -> bool:
        """Whether anybody outside the engine can see or change the memory now."""
        special = self.special
        if special is None or special.shared is None:
            return False
        if special.shared.alive():
            return True
        self.shared = None
        return False

    def memory(self) -> NDArray[Any]:
        """The computed elements as they lie in memory, in one dimension."""
        value = self.expression
        self.settle()
        assert isinstance(value.value, Buffer)
        return value.value.as_numpy(value.type.dtype.numpy, (value.type.size,))

    def flat(self, whole: NDArray[Any]) -> NDArray[Any]:
        """An array of all elements in one dimension, as they lie in memory."""
        order = self.order
        return (whole if order is None else whole.transpose(order)).reshape(-1)

    def settle(self) -> None:
        """Let the elements of a computed value lie in this storage's order. They lie in another
        where they were computed before they became its value."""
        value = self.expression
        assert isinstance(value.value, Buffer)
        if value.value.order != self.order:
            made = allocate(value.type.nbytes)
            made.order = self.order
            buffer_array(made, value.type)[...] = buffer_array(value.value, value.type)
            value.value = placed(made, value.device)

    def write(self, expression: Expression, silent: bool = False) -> None:
        """Replace the value, keeping the role of a leaf that requires grad.

        A ``silent`` write, through ``.data`` or of running statistics, is one that backward does
        not look for.
        """
        if capture.state.active is not None:
            capture.state.active.note_write(self)
        if levels.state.active:
            levels.note_write(self, expression)
        before = self.expression
        if before.leaf is not None and not expression.tracked & True:
            expression.leaf = before.leaf
            expression.tracked |= True
        reference = weakref.ref(self)
        before.owner = overwritten(reference, self.version, weakref.ref(expression), silent)
        if not silent:
            self.version += 1
        expression.owner = reference
        self.expression = expression
        if expression.value is None:
            # In the order of the writes, also where the number was that of a storage that is gone.
            known = pending_writes.pop(id(self), None)
            kept: tuple[Expression, ...] = ()
            if expression.depth > 1:  # else it is a copy, or a formula of the old value
                kept = (before,)
                if before.value is None and known is not None and known[0] is reference:
                    kept = (*known[1][:1], before)
            pending_writes[id(self)] = (reference, kept)

    def own_value(self) -> Expression:
        """The value, as an expression that no recorded call knows yet."""
        known = self.expression
        if references.count(known) <= references.BY_NAME + 2:
            return known
        if known.value is None or known.tracked:
            signature = IDENTITY.signature((known.type,), ())
            call = new_call(signature, (known,), known.tracked)
            call.has_gradient = known.call is not None and known.call.has_gradient
            tracked, depth = known.tracked, known.depth + 1
            made = new_expression(known.type, known.device, call, depth=depth, tracked=tracked)
            call.outputs = (weakref.ref(made),)
            self.expression = made
        else:
            self.expression = new_expression(known.type, known.device, value=known.value)
        known.owner = shared_owner(known)  # whoever has saved it sees writes to come
        self.expression.owner = weakref.ref(self)
        return self.expression

    def value_apart(self) -> Expression:
        """The value, as an expression that no recorded call knows, nor does it lead to the one that
        they know, which becomes a copy of what it was."""
        known = self.expression
        call = known.call
        if known.value is not None or call is None:
            self.expression = new_expression(known.type, known.device, value=known.value)
        else:
            depth = known.depth
            plain = new_expression(known.type, known.device, call, known.number, depth=depth)
            outputs = [*call.outputs]
            outputs[known.number] = weakref.ref(plain)
            call.outputs = tuple(outputs)
            signature = IDENTITY.signature((known.type,), ())
            known.number, known.depth = 0, depth + 1
            self.expression = new_expression(known.type, known.device, depth=depth + 1)
            for copy in (known, self.expression):
                copy.call = new_call(signature, (plain,), False)
                copy.call.has_gradient = call.has_gradient
                copy.call.outputs = (weakref.ref(copy),)
        known.owner = shared_owner(known)  # whoever has saved it sees writes to come
        self.expression.owner = weakref.ref(self)
        return self.expression

    def exported_array(self) -> NDArray[Any]:
        """The realized memory as an array that shares it: writes on either side are seen."""
        capture.refuse("a value was read")
        live = self.expression
        assert isinstance(live.value, Buffer)
        self.settle()
        if isinstance(self.shared, ExportedMemory):
            holder = self.shared.holder()
            if holder is not None:
                return in_order(np.asarray(holder), self.order)
        if not live.value.is_reachable:  # computed on a device beside what lives there
            copy = live.value.on_host()
            copy.order = live.value.order
            own = new_expression(live.type, live.device, value=copy)
            live.owner = None
            own.tracked, own.leaf = live.tracked, live.leaf
            own.owner = weakref.ref(self)
            live = self.expression = own
        if self.is_shared():
            return buffer_array(live.value, live.type)
        if (
            (live.tracked and live.leaf is None)
            or references.count(live) > references.BY_NAME + 1
            or references.count(live.value) > references.BY_ATTRIBUTE
        ):
            # Others read this value, or backward will, and NumPy may change it: it gets a copy.
            before, live = live, self.snapshot()
            before.owner = shared_owner(before)  # writes to come are writes to it
            self.expression = live
            live.owner = weakref.ref(self)
        array = memory_array(live.value, live.type)
        self.shared = ExportedMemory(array.base)
        return in_order(array, self.order)

    def snapshot(self) -> Expression:
        """The present value as a leaf that later outside writes do not change."""
        live = self.expression
        assert isinstance(live.value, Buffer)
        copy = allocate(live.type.nbytes)
        copy.order = live.value.order
        view = buffer_array(copy, live.type)
        view[...] = buffer_array(live.value, live.type)
        if live.tracked and live.leaf is None:
            taken = with_history(copy, live)
            taken.owner = shared_owner(live)
            return taken
        taken = new_expression(live.type, live.device, value=copy, tracked=live.tracked)
        taken.leaf = live.leaf
        taken.owner = shared_owner(live)
        return taken


def with_history(memory: Buffer, computed: Expression) -> Expression:
    """What some memory holds, which changes, where the gradient flows on to what was computed: as a
    value another than that, and than others like it."""
    type_, device = computed.type, computed.device
    now = new_expression(type_, device, value=memory)
    tracked = computed.tracked
    call = new_call(REPLACE_VALUE.signature((type_, type_), ()), (now, computed), tracked)
    made = new_expression(type_, device, call, 0, memory, tracked)
    call.outputs = (weakref.ref(made),)
    return made


def new_storage(expression: Expression, layout: Layout | None = None) -> Storage:
    """A storage that shows this value."""
    made = Storage()
    made.expression, made.version, made.regions, made.special = expression, 0, 0, None
    if layout is not None:
        made.special = Special(None, layout)
    expression.owner = reference = weakref.ref(made)
    if expression.value is None or levels.derivatives.count:
        born.append(reference)
    if inference.used and grad_state.inference:
        made.inference = True
    return made


def is_constant(expression: Expression) -> bool:
    """Whether a pending value is made of Python numbers alone (``grad.zero_()``): it costs nothing
    to keep pending, and folds into whatever reads it."""
    call = expression.call
    if call is None:
        return False
    for i in call.inputs:  # noqa: SIM110  a generator costs more than it looks at
        if not i.type.weak:
            return False
    return True


def buffer_array(buffer: Buffer, type_: TensorType) -> NDArray[Any]:
    """A buffer as a NumPy array of a type (bfloat16 as its bits)."""
    if buffer.order is None:
        return buffer.as_numpy(type_.dtype.numpy, type_.shape)
    return in_order(memory_array(buffer, type_), buffer.order)


def memory_array(buffer: Buffer, type_: TensorType) -> NDArray[Any]:
    """A buffer as an array whose axes are in the order in which they lie in memory."""
    shape = type_.shape if buffer.order is None else [type_.shape[i] for i in buffer.order]
    return buffer.as_numpy(type_.dtype.numpy, shape)


def in_order(array: NDArray[Any], order: tuple[int, ...] | None) -> NDArray[Any]:
    """An array whose axes lie in this order, with its axes in their own."""
    return array if order is None else array.transpose(inverse_order(order))


def share_array(array: NDArray[Any], type_: TensorType, device: str) -> Storage:
    """A storage over an array's own memory, which must be contiguous."""
    storage = new_storage(new_expression(type_, device, value=Buffer.wrapping(array)))
    storage.shared = ForeignMemory(array)
    return storage


def from_array(array: NDArray[Any], type_: TensorType, device: str) -> Storage:
    """A storage holding a copy of an array."""
    buffer = allocate(type_.nbytes)
    np.copyto(buffer_array(buffer, type_), array, casting="unsafe")
    return new_storage(new_expression(type_, device, value=placed(buffer, device)))
