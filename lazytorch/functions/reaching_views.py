"""as_strided views that reach outside the tensor that they are made of, or of one that overlaps.

Their gradient is PyTorch's: what arrives at places that the tensor does not show is dropped, and
what arrives at a place that it shows several times is shared out among those.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops import strided
from codegen.ops.strided import contiguous_strides
from lazytorch import core
from lazytorch.autograd.grad_mode import is_grad_enabled
from lazytorch.expression import Expression, Function
from lazytorch.geometry import Geometry, within_region
from lazytorch.recording import record, tracked_of, untracked
from lazytorch.tensor import Tensor, wrap

_REFUSED_WRITE = (
    "a recorded write to an as_strided view that reaches outside the tensor it is made of is not "
    "supported; clone() the view first"
)
_Place = tuple[tuple[int, ...], tuple[int, ...], int]


def _view(whole: Node, _source: Node, of: _Place, _by: _Place) -> Node:
    return strided.view(whole, *of)


def _to_source(
    inputs: Sequence[Node],
    _outputs: Sequence[Node],
    cotangents: Sequence[Node | None],
    of: _Place,
    by: _Place,
) -> Sequence[Node | None]:
    (given,) = cotangents
    assert given is not None
    size = inputs[0].type.size
    arrived = strided.view(strided.view_gradient(given, size, *of), *by)
    ones = ew.full_like(inputs[1], 1)
    times = strided.view(strided.view_gradient(ones, size, *by), *by)
    return None, ew.div(arrived, times)


AS_STRIDED = Function("as_strided", _view, gradient=_to_source, gradient_name="AsStridedBackward0")


def _reaches_out(source: Geometry, view: Geometry) -> bool:
    """Whether a view is none of the tensor it is made of: by its places, or as that overlaps."""
    if 0 in view.shape or 0 in source.shape:
        return False
    reach = 0
    for stride, count in sorted(zip(source.strides, source.shape, strict=True)):
        if count > 1:
            if stride <= reach:
                return True
            reach += (count - 1) * stride
    try:
        within_region(view, source)
    except RuntimeError:
        return True
    return False


def strided_view(
    input: Tensor, shape: tuple[int, ...], strides: tuple[int, ...], offset: int | None
) -> Tensor:
    """A view of a tensor's storage with any geometry that lies within it; ``offset`` None: from
    where the tensor begins."""
    own = _place(input)
    geometry = own._replace(
        shape=shape, strides=strides, offset=own.offset if offset is None else offset
    )
    if input._stands_for is not None:
        return _seen_beside(input, geometry, own)
    _check_bounds(geometry, input._storage.expression.type.size, input)
    is_whole = input._geometry is None and input._storage.layout is None
    if not is_whole and input.requires_grad and is_grad_enabled() and _reaches_out(own, geometry):
        return _reaching_view(input, geometry, own)
    return input._view(*geometry.place, "AsStrided")


def _check_bounds(view: Geometry, size: int, input: Tensor) -> None:
    if 0 in view.shape:
        return
    both = zip(view.shape, view.strides, strict=True)
    reach = view.offset + 1 + sum([(n - 1) * s for n, s in both])
    item = input.dtype.itemsize
    if reach > size:
        raise RuntimeError(
            f"setStorage: sizes {list(view.shape)}, strides {list(view.strides)}, storage offset "
            f"{view.offset}, and itemsize {item} requiring a storage size of {reach * item} are "
            f"out of bounds for storage of size {size * item}"
        )


def _whole(input: Tensor) -> Tensor:
    """A tensor's storage in one dimension."""
    count = input._storage.expression.type.size
    whole = input._alias(Tensor, connected=False)
    whole._geometry = _place(input)._replace(shape=(count,), strides=(1,), offset=0)
    whole._overlaps = False
    whole._type = TensorType((count,), input.dtype)
    return whole


def _reaching_view(input: Tensor, geometry: Geometry, own: Geometry) -> Tensor:
    storage = input._storage
    (value,) = record(
        AS_STRIDED, (_whole(input)._read(), input._read()), (geometry.place, own.place), True
    )
    view = input._alias(Tensor, connected=False)
    view._geometry = geometry
    view._type = TensorType(geometry.shape, input.dtype)
    view._view_name = "AsStrided"
    view._source, view._made_at, view._has_node = input, storage.version, True
    view._refused_write = _REFUSED_WRITE
    view._of_unrecorded = input._without_recording or input._of_unrecorded
    if input._one_of is not None:
        view._one_of = ("AsStrided", 0, None)
    view._reaches_out = input._connected
    view._marker = (storage.expression, value)
    return view


# ---- of what a derivative is taken by: a copy, that lies where the tensor given does ------------


def _place(x: Tensor) -> Geometry:
    """Where a tensor lies in its storage, or in that of the tensor whose copy it shows."""
    own = x._geometry or Geometry(x._type.shape, x._strides(), 0)
    if x._stands_for is None:
        return own
    given = _place(x._stands_for[0])
    if x._geometry is None:
        return given
    if given.strides != contiguous_strides(given.shape):
        raise NotImplementedError(
            "as_strided of a view of a function's input, where a derivative is taken by that "
            "input and it does not lie in rows; clone() the input first"
        )
    return own._replace(offset=given.offset + own.offset)


def _memory(x: Tensor) -> Expression:
    """What lies around a tensor, in one dimension, with what was written to its copy."""
    if x._stands_for is None:
        return _whole(x)._read()
    given, copied = x._stands_for
    around, value = _memory(given), x._storage.expression
    if value is copied:
        return around
    value = untracked(value) if value.tracked else value
    return record(core.WRITE_VIEW, (around, value), _place(given).place, False)[0]


def _seen_beside(input: Tensor, geometry: Geometry, own: Geometry) -> Tensor:
    """What a view of the memory around shows, of which the tensor's own elements are the copy's.
    It is no view of the copy: writes to it are not seen there."""
    around = _memory(input)
    _check_bounds(geometry, around.type.size, input)
    source = input._read()
    places = (geometry.place, own.place)
    return wrap(record(AS_STRIDED, (around, source), places, tracked_of([source]))[0])
