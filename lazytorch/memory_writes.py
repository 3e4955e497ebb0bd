"""Writes to parts of a tensor that are done at once, in the memory of its storage."""

from __future__ import annotations

from ctypes import memmove
from typing import TYPE_CHECKING, Any

from codegen import spans
from codegen.ir.node import TensorType
from codegen.runtime.memory import Buffer, allocate
from lazytorch import autocasting, capture, levels, references
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.elements import fits, write_element
from lazytorch.expression import WEAK_FLOAT, WEAK_INT, Expression, Function, new_expression
from lazytorch.geometry import repeats
from lazytorch.realize import realize
from lazytorch.recording import count_write, run_call
from lazytorch.storage import buffer_array, is_constant

if TYPE_CHECKING:
    from lazytorch.geometry import Geometry
    from lazytorch.storage import Storage

# Writes to parts of one pending value that are still recorded; after these it is computed.
MOST_PENDING_REGIONS = 8
_NUMBER_TYPES: dict[type, TensorType] = {float: WEAK_FLOAT, int: WEAK_INT}
# Bytes of a value that others refer to, up to which it is copied to be written to.
MOST_COPIED = 1 << 14


class MemoryWrites:
    """The part of ``Tensor`` that writes where a value is computed and nobody else refers to it, or
    where nothing but the value changes."""

    if TYPE_CHECKING:
        # What Tensor has besides.
        _storage: Storage
        _type: TensorType
        _geometry: Geometry | None
        _marker: tuple[Expression, Expression] | None
        _parent: Any
        _silent: bool
        _view_cache: tuple[Expression, Expression] | None

        def __getattr__(self, name: str) -> Any: ...

    def _is_plain(self) -> bool:
        """Whether what is written here without recording just becomes the storage's value."""
        storage = self._storage
        before = storage.expression
        return (
            self._geometry is None
            and self._marker is None
            and storage.special is None
            and not self._silent
            and (before.leaf is not None or not before.tracked)
        )

    def _write_in_memory(self, value: Expression) -> bool:
        """Put a value into its place in memory at once, if the storage is computed and nothing
        else refers to its old value. A loop that fills a buffer part by part would otherwise make
        a kernel for each part."""
        geometry = self._geometry
        if geometry is None or geometry.changes_values or levels.is_unknown(value):
            return False
        if not self._is_to_be_written():
            return False
        if value.value is None:
            realize([value])
        buffer = self._memory_to_write()
        if buffer is None:
            return False
        source = value.value
        if buffer.memory is not None and self._copy_on_device(buffer, source):
            self._show(buffer)
            return True
        if not buffer.is_reachable:
            return False
        if type(source) is Buffer and source.order is None and self.is_contiguous():
            place = buffer.address + geometry.offset * self._type.dtype.itemsize
            memmove(place, source.address, self._type.nbytes)
        else:
            target = self._within(buffer_array(buffer, self._storage.expression.type))
            target[...] = buffer_array(source, value.type) if type(source) is Buffer else source
        self._show(buffer)
        return True

    def _write_number(self, number: Any) -> bool:
        """As ``_write_in_memory``, a number everywhere, where nothing is to be done besides."""
        storage, geometry, dtype = self._storage, self._geometry, self._type.dtype
        if (
            geometry is None
            or not self._is_computed_at_once(storage.expression)
            or not self._is_plain_part()
            or not fits(number, dtype)
            or not self._may_be_written()
        ):
            return False
        if not self._is_to_be_written():
            return False
        buffer = self._memory_to_write()
        if buffer is None:
            return False
        if self._type.size == 1:
            write_element(buffer.address + geometry.offset * dtype.itemsize, dtype, number)
        else:
            self._within(buffer_array(buffer, storage.expression.type))[...] = number
        self._show(buffer)
        return True

    def _operate_in_memory(self, function: Function, other: Any) -> bool:
        """Do ``function`` of this view and a number or a computed tensor in its memory, at once:
        where the plan of one such call is known, nothing is recorded for it, and nothing moved."""
        storage, geometry = self._storage, self._geometry
        if (
            geometry is None
            or storage.expression.value is None
            or not self._is_plain_part()
            or capture.state.active is not None
            or levels.state.active
            or autocasting.active.count
            or spans.listeners
        ):
            return False
        type_ = _NUMBER_TYPES.get(type(other))
        if type_ is not None:
            operand = new_expression(type_, "cpu", value=other)
        elif type(other) is not type(self) or other._storage is storage:
            return False
        else:
            operand = other._read()
            if operand.tracked or operand.device != "cpu":
                return False
        signature = function.signatures.get(((self._type, operand.type), ()))
        if (
            signature is None
            or signature.output_types != (self._type,)
            or not self._may_be_written()
        ):
            return False
        if operand.value is None:
            realize([operand])
        if type(operand.value) is Buffer and operand.value.order is not None:
            return False
        buffer = self._memory_to_write()
        if buffer is None or not buffer.is_reachable:
            return False
        kind, shape, nbytes = self._type.dtype.numpy, self._type.shape, self._type.nbytes
        if self.is_contiguous():
            part = buffer.part(geometry.offset * self._type.dtype.itemsize, nbytes)
            made = run_call(signature, new_expression(self._type, "cpu", value=part), operand)
            if made is not part:
                memmove(part.address, made.address, nbytes)
        else:
            part = allocate(nbytes)
            shown = self._within(buffer_array(buffer, storage.expression.type))
            part.as_numpy(kind, shape)[...] = shown
            made = run_call(signature, new_expression(self._type, "cpu", value=part), operand)
            shown[...] = made.as_numpy(kind, shape)
        self._show(buffer)
        return True

    def _is_plain_part(self) -> bool:
        """Whether this is a view of host memory of which nothing is to be done but to write."""
        storage, geometry = self._storage, self._geometry
        return (
            geometry is not None
            and storage.special is None
            and not storage.expression.tracked
            and storage.expression.device == "cpu"
            and self._marker is None
            and self._parent is None
            and self._is_written_as_ever()
            and not geometry.changes_values
            and not repeats(geometry)
        )

    def _is_written_as_ever(self) -> bool:
        """Whether no derivative, inference mode or hook has a say in writes to this."""
        return (
            not levels.derivatives.count
            and (grad_state.inference or not self._storage.is_inference())
            and not grad_state.saved_hooks
        )

    def _may_be_written(self) -> bool:
        """Whether no error of PyTorch's stands against a recorded write to this view."""
        if grad_state.enabled:
            try:
                self._refuse_unknown_history()
                self._refuse_recorded_write(self._storage.expression)
            except RuntimeError:
                return False
        return True

    def _write_itself(self, value: Any) -> bool:
        """Write a tensor of this storage over this one, where it shows the same, as ``x[i] += 1``
        does after it has written there: nothing changes, and the write counts."""
        storage = self._storage
        if (
            value._geometry != self._geometry
            or storage.special is not None
            or storage.expression.tracked
            or self._marker is not None
            or self._parent is not None
            or value._marker is not None
            or value._parent is not None
            or self._silent
            or not self._is_written_as_ever()
            or levels.state.active
            or capture.state.active is not None
        ):
            return False
        if grad_state.enabled:
            self._refuse_recorded_write(storage.expression)
        count_write(storage)
        return True

    def _is_to_be_written(self) -> bool:
        """Whether a write to a part is to be done in the storage's memory, whose value is computed
        now if it was not."""
        storage = self._storage
        value = storage.expression
        if storage.shared is not None or levels.is_unknown(value):
            return False
        if value.value is None:
            if not self._is_computed_at_once(value):
                storage.regions += 1
                if storage.regions <= MOST_PENDING_REGIONS:
                    return False
            realize([value])
        storage.regions = 0
        return True

    def _is_computed_at_once(self, value: Expression) -> bool:
        """Whether a value that a part is written of is known, or takes no more than to fill it."""
        if value.value is not None:
            return True
        is_free = capture.state.active is None and not levels.state.active
        return is_free and value.device == "cpu" and is_constant(value)

    def _memory_to_write(self) -> Buffer | None:
        """The memory of the storage's value, to be written to in place, or a copy where others
        refer to it and that is small; None where that is not to be done."""
        self._view_cache = None
        storage = self._storage
        value = storage.expression
        buffer: Buffer = value.value
        if capture.state.active is not None or buffer.order != storage.order:
            return None
        # Besides the name here: the storage's attribute, and the expression's.
        alone = references.BY_NAME + 1
        if references.count(value) <= alone and references.count(buffer) <= alone:
            return buffer
        if buffer.memory is not None or buffer.nbytes > MOST_COPIED:
            return None
        copy = buffer.on_host()
        copy.order = buffer.order
        return copy

    def _show(self, buffer: Buffer) -> None:
        """Let the storage's value be what was written to this memory."""
        storage = self._storage
        before = storage.expression
        storage.write(new_expression(before.type, before.device, value=buffer), self._silent)

    def _copy_on_device(self, buffer: Buffer, source: Any) -> bool:
        """Copy memory of a device into this view's place in its storage's; False where it takes
        more than that, or the host has to."""
        if type(source) is not Buffer or source.order is not None or not self.is_contiguous():
            return False
        offset = self.storage_offset() * self._type.dtype.itemsize
        assert buffer.memory is not None
        return not source.nbytes or buffer.memory.copy_in(offset, source)
