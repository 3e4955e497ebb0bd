"""Writes to parts of a tensor that are done at once, in the memory of its storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codegen.runtime.memory import Buffer
from lazytorch import capture, levels, references
from lazytorch.expression import Expression, new_expression
from lazytorch.realize import realize
from lazytorch.storage import buffer_array

if TYPE_CHECKING:
    from codegen.ir.node import TensorType
    from lazytorch.geometry import Geometry
    from lazytorch.storage import Storage

# Writes to parts of one pending value that are still recorded; after these it is computed.
MOST_PENDING_REGIONS = 8


class MemoryWrites:
    """The part of ``Tensor`` that writes where a value is computed and nobody else refers to it, or
    where nothing but the value changes."""

    if TYPE_CHECKING:
        # What Tensor has besides.
        _storage: Storage
        _type: TensorType
        _geometry: Geometry | None
        _marker: tuple[Expression, Expression] | None
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
        storage, geometry = self._storage, self._geometry
        if storage.shared is not None or (geometry is not None and geometry.changes_values):
            return False
        if levels.is_unknown(value) or levels.is_unknown(storage.expression):
            return False
        if storage.expression.value is None:
            storage.regions += 1
            if storage.regions <= MOST_PENDING_REGIONS:
                return False
            realize([storage.expression])
        storage.regions = 0
        if value.value is None:
            realize([value])
        self._view_cache = None
        before = storage.expression
        buffer = before.value
        # Besides the names here: the storage's attribute, and the expression's.
        alone = references.BY_NAME + 1
        if references.count(before) > alone or references.count(buffer) > alone:
            return False
        capture.refuse("a tensor was written part by part")
        source = value.value
        if buffer.order != storage.order:
            return False
        if buffer.memory is not None and self._copy_on_device(buffer, source):
            storage.write(new_expression(before.type, before.device, value=buffer), self._silent)
            return True
        if not buffer.is_reachable:
            return False
        target = self._within(buffer_array(buffer, before.type))
        if type(source) is Buffer:
            target[...] = buffer_array(source, value.type)
        else:
            target[...] = source
        storage.write(new_expression(before.type, before.device, value=buffer), self._silent)
        return True

    def _copy_on_device(self, buffer: Buffer, source: Any) -> bool:
        """Copy memory of a device into this view's place in its storage's; False where it takes
        more than that, or the host has to."""
        if type(source) is not Buffer or source.order is not None or not self.is_contiguous():
            return False
        offset = self.storage_offset() * self._type.dtype.itemsize
        assert buffer.memory is not None
        return not source.nbytes or buffer.memory.copy_in(offset, source)
