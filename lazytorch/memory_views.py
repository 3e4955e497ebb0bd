"""Views of computed memory without the graph, and writes to memory that NumPy shares."""

from __future__ import annotations

from codegen.ir.node import TensorType
from codegen.runtime.memory import Buffer
from lazytorch import capture, core
from lazytorch.expression import Expression, new_expression, shared_owner
from lazytorch.geometry import Geometry, is_contiguous, region_around
from lazytorch.realize import realize
from lazytorch.recording import record
from lazytorch.storage import Storage, buffer_array, with_history


def view_of_memory(type_: TensorType, geometry: Geometry, source: Expression) -> Expression | None:
    """The view as a leaf over part of computed memory, so that the next slice of the same
    shape (a batch, a row) runs the same plan; None where the part has no simple end."""
    if (
        type_.size == 0
        or geometry.changes_values
        or (
            geometry.offset == 0
            and type_.size == source.type.size
            and not is_contiguous(geometry.shape, geometry.strides)
        )
    ):
        return None
    itemsize = type_.dtype.itemsize
    if is_contiguous(geometry.shape, geometry.strides):
        memory = source.value.part(geometry.offset * itemsize, type_.nbytes)
        leaf = new_expression(type_, source.device, value=memory)
        leaf.owner = shared_owner(source)
        return leaf
    start, length, within = region_around(geometry)
    if start == 0 and length * itemsize == source.value.nbytes:
        return None
    if (start + length) * itemsize > source.value.nbytes:
        return None
    memory = source.value.part(start * itemsize, length * itemsize)
    part = new_expression(TensorType((length,), type_.dtype), source.device, value=memory)
    part.owner = shared_owner(source)
    return record(core.VIEW, (part,), (geometry.shape, geometry.strides, within), False)[0]


def write_into_shared(storage: Storage, value: Expression, silent: bool) -> None:
    """Write to memory that NumPy sees, at the call."""
    capture.refuse("memory that NumPy shares was written")
    realize([value])
    target = storage.expression
    assert isinstance(value.value, Buffer) and isinstance(target.value, Buffer)
    memory = target.value
    buffer_array(memory, target.type)[...] = buffer_array(value.value, value.type)
    if value.tracked and value.leaf is None:
        storage.write(with_history(memory, value), silent)
        value.owner = shared_owner(storage.expression)  # writes to come are writes to it
    else:
        value.value = memory
        storage.write(value, silent)
