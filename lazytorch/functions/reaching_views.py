"""as_strided views that reach outside the tensor that they are made of, or of one that overlaps.

Their gradient is PyTorch's: what arrives at places that the tensor does not show is dropped, and
what arrives at a place that it shows several times is shared out among those.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops import strided
from lazytorch.autograd.grad_mode import is_grad_enabled
from lazytorch.expression import Function
from lazytorch.geometry import Geometry, within_region
from lazytorch.recording import record
from lazytorch.tensor import Tensor

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
    input: Tensor, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> Tensor:
    """A view of a tensor's storage with any geometry that lies within it."""
    if 0 not in shape:
        reach = offset + 1 + sum([(n - 1) * s for n, s in zip(shape, strides, strict=True)])
        item, total = input.dtype.itemsize, input._storage.expression.type.nbytes
        if reach * item > total:
            raise RuntimeError(
                f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset "
                f"{offset}, and itemsize {item} requiring a storage size of {reach * item} are out "
                f"of bounds for storage of size {total}"
            )
    own = input._geometry
    if own is None and input._storage.layout is not None:
        own = Geometry(input._type.shape, input._strides(), 0)
    if own is not None and input.requires_grad and is_grad_enabled():
        geometry = Geometry(shape, strides, offset)
        if _reaches_out(own, geometry):
            return _reaching_view(input, geometry, own)
    return input._view(shape, strides, offset, "AsStrided")


def _reaching_view(input: Tensor, geometry: Geometry, own: Geometry) -> Tensor:
    storage = input._storage
    count = storage.expression.type.size
    whole = input._alias(Tensor, connected=False)  # in one dimension
    whole._geometry, whole._overlaps = Geometry((count,), (1,), 0), False
    whole._type = TensorType((count,), input.dtype)
    places = (geometry.shape, geometry.strides, geometry.offset)
    of_input = (own.shape, own.strides, own.offset)
    (value,) = record(AS_STRIDED, (whole._read(), input._read()), (places, of_input), True)
    view = input._alias(Tensor, connected=False)
    view._geometry = geometry
    view._type = TensorType(geometry.shape, input.dtype)
    view._view_name = "AsStrided"
    view._source, view._made_at, view._has_node = input, storage.version, True
    view._refused_write = _REFUSED_WRITE
    if input._one_of is not None:
        view._one_of = ("AsStrided", 0, None)
    view._reaches_out = input._connected
    view._marker = (storage.expression, value)
    return view
