"""Reading and writing at places: x[...], masked_select, index_select and its writers."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops import indexing as places
from codegen.ops.leaves import iota
from codegen.ops.movement import reshape
from codegen.ops.reduction import broadcast, full
from codegen.ops.strided import contiguous_strides
from lazytorch import capture, levels
from lazytorch.application import apply, apply_expressions
from lazytorch.autocasting import in_widest
from lazytorch.core import broadcast_to
from lazytorch.expression import Expression, Function
from lazytorch.functions import views
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.basic_indices import Place, basic_place, integer, place_of, slice_of
from lazytorch.functions.conversion import clone, converted, moved, write_value
from lazytorch.functions.data import of_array
from lazytorch.functions.masks import MASKED_FILL
from lazytorch.functions.promotion import broadcast_shapes, promote
from lazytorch.functions.registration import operation
from lazytorch.levels import PLACEHOLDER
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import type_name
from lazytorch.view_history import RefusedView

# ---- index tensors -----------------------------------------------------------------


def needs_gradient_work(e: Expression, budget: int = 200) -> bool:
    """Whether computing a value would run calls that a gradient flows through, or cannot be done
    as long as it stands for many."""
    stack, seen = [e], {e}
    while stack:
        current = stack.pop()
        call = current.call
        if current.value is not None or call is None:
            continue
        if call.tracked or len(seen) > budget or call.signature.function is PLACEHOLDER:
            return True
        for i in call.inputs:
            if i not in seen:
                seen.add(i)
                stack.append(i)
    return False


_DYNAMIC_INDEX = (
    "vmap: We do not support batching operators that can support dynamic shape. Attempting to "
    "batch over indexing with a boolean mask."
)


def check_range(index: Tensor, size: int, message: Callable[[int], str], low: int = 0) -> None:
    """IndexError where a known index is outside low…size-1."""
    if not index._type.size or needs_gradient_work(index._storage.expression):
        return
    if not index._is_reachable():  # a GPU does not stop for it: what is out of range is clamped
        return
    least, most = _extremes(index)
    if least < low or most >= size:
        raise IndexError(message(least if least < low else most))


# Of the index tensor that was looked at last: its value, which part of it, and the extremes there.
_last: tuple[weakref.ref[Expression] | None, Any, tuple[int, int]] = (None, None, (0, 0))


def _extremes(index: Tensor) -> tuple[int, int]:
    """The least and the greatest of some indices, which a loop uses again and again."""
    global _last
    storage, part = index._storage, (index._geometry, index._type)
    known, of_part, found = _last
    is_known = known is not None and known() is storage.expression and of_part == part
    # What others may write to is looked at anew, and a capture is to know that it was.
    if not is_known or storage.special is not None or capture.state.active is not None:
        array = index._array()
        found = int(array.min()), int(array.max())
        _last = weakref.ref(storage.expression), part, found
    return found


def wrapped(index: Node, size: int) -> Node:
    """int64 places counted from the front, and kept in range where nobody could check them."""
    index = ew.cast(index, dt.int64)
    extent, zero = ew.full_like(index, size), ew.full_like(index, 0)
    front = ew.where(ew.lt(index, zero), ew.add(index, extent), index)
    return ew.minimum(ew.maximum(front, zero), ew.full_like(index, max(size - 1, 0)))


def _numbered(indices: Sequence[Node], shape: Shape, strides: Sequence[int], dims: Shape) -> Node:
    """The sum over ``dims`` of wrapped index times stride, in the indices' common shape."""
    common = broadcast_shapes(*[i.shape for i in indices])
    total: Node | None = None
    for dim, index in zip(dims, indices, strict=True):
        place = broadcast_to(wrapped(index, shape[dim]), common)
        if strides[dim] != 1:
            place = ew.mul(place, ew.full_like(place, strides[dim]))
        total = place if total is None else ew.add(total, place)
    assert total is not None
    return total


def _places(x: Node, indices: Sequence[Node], dims: Shape) -> tuple[Node, Node, int]:
    """What integer indices of the dimensions ``dims`` choose: ``x`` with these as one axis, the
    places along it in the shape that NumPy gives the result, and the axis."""
    shape, first, count = x.shape, dims[0], len(dims)
    if list(dims) != list(range(first, first + count)):
        places = _flat_places(shape, indices, dims)
        return flatten(x), places, 0
    before, taken, after = shape[:first], shape[first : first + count], shape[first + count :]
    strides = [0] * first + list(contiguous_strides(taken))
    number = _numbered(indices, shape, strides, dims)
    axes = tuple(range(first, first + len(number.shape)))
    number = broadcast(number, (*before, *number.shape, *after), axes)
    if count > 1:
        x = reshape(x, (*before, prod(taken), *after))
    return x, number, first


def _flat_places(shape: Shape, indices: Sequence[Node], dims: Shape) -> Node:
    """Flat positions that indices of dimensions choose which do not stand together: their common
    axes come first."""
    strides = contiguous_strides(shape)
    total = _numbered(indices, shape, strides, dims)
    kept = [i for i in range(len(shape)) if i not in dims]
    common = len(total.shape)
    result = (*total.shape, *[shape[i] for i in kept])
    total = broadcast(total, result, tuple(range(common)))
    for axis, dim in enumerate(kept, common):
        steps = iota(shape[dim])
        steps = ew.mul(steps, ew.full_like(steps, strides[dim]))
        total = ew.add(total, broadcast(steps, result, (axis,)))
    return total


def flatten(x: Node) -> Node:
    return reshape(x, (x.type.size,))


def _index(x: Node, *rest: Any) -> Node:
    *indices, dims = rest
    source, number, axis = _places(x, indices, dims)
    if not number.type.size:
        return ew.cast(ew.full_like(number, 0), x.dtype)
    return places.gather(source, number, axis)


def _index_put(x: Node, value: Node, *rest: Any) -> Node:
    *indices, dims, mode = rest
    base, number, axis = _places(x, indices, dims)
    if not number.type.size:
        return ew.cast(x, x.dtype)
    updates = broadcast_to(ew.cast(value, x.dtype), number.shape)
    return reshape(places.scatter(base, number, updates, mode, axis), x.shape)


INDEX = Function("index", _index)
INDEX_PUT = Function("index_put", _index_put)
_INDEX_ADD = Function("index_add", _index_put, saves_own=(1,))
_INDEX_COPY = Function("index_copy", _index_put, saves_own=(1,))


# ---- x[...] ------------------------------------------------------------------------


def _is_sequence_index(item: Any) -> bool:
    return isinstance(item, (list, range, np.ndarray))


def _as_index(item: Any) -> Tensor:
    if isinstance(item, Tensor):
        return item
    array = np.asarray(item)
    if not array.size and array.dtype.kind == "f":
        array = array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise TypeError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
            f"valid indices (got {type(item[0] if isinstance(item, list) else item).__name__})"
        )
    return of_array(array, dt.bool_ if array.dtype.kind == "b" else dt.int64)


def _consumed(item: Any) -> int:
    """How many dimensions an item of an index takes."""
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if isinstance(item, Tensor) and item.dtype in (dt.bool_, dt.uint8):
        return item.ndim
    return 1


def _items(key: Any) -> list[Any]:
    if type(key) is not tuple:
        if isinstance(key, list) and _list_is_tuple(key):
            key = tuple(key)
        else:
            key = (key,)
    return [_as_index(item) if _is_sequence_index(item) else
            item.item() if isinstance(item, np.bool_) else item for item in key]  # fmt: skip


def _list_is_tuple(key: list[Any]) -> bool:
    return len(key) < 32 and any(
        item is None or item is Ellipsis or isinstance(item, slice) for item in key
    )


def _resolve(x: Tensor, key: Any) -> tuple[Tensor, list[tuple[int, Tensor]], bool]:
    """The view that the basic parts of an index give, the index tensors left for its dimensions,
    and whether everything was taken as it is."""
    items = _items(key)
    shape = x._type.shape
    taken = sum([_consumed(item) for item in items])
    if not shape and taken and type(items[0]) is int:
        place_of(items[0], shape, 0)
    if taken > len(shape):
        if not shape and type(key) is slice:
            raise IndexError("slice() cannot be applied to a 0-dim tensor.")
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    sizes: list[int] = []
    strides: list[int] = []
    old_strides = x._steps()
    offset = x.storage_offset()
    advanced: list[tuple[int, Tensor]] = []
    unchecked: list[tuple[Tensor, int, int]] = []
    axis = 0
    name = "Alias"
    ellipsis_seen = False
    for item in items:
        if isinstance(item, slice):
            start, length, step = slice_of(item, shape[axis])
            sizes.append(length)
            strides.append(old_strides[axis] * step)
            offset += start * old_strides[axis]
            if start or step != 1 or length != shape[axis] or type(key) is slice:
                name = "Slice"  # else PyTorch makes no view for it
            axis += 1
        elif item is None:
            stride = shape[axis] * old_strides[axis] if axis < len(shape) else 1
            sizes.append(1)
            strides.append(stride)
            name = "Unsqueeze"
        elif item is Ellipsis:
            if ellipsis_seen:
                continue
            ellipsis_seen = True
            for _ in range(len(shape) - taken):
                sizes.append(shape[axis])
                strides.append(old_strides[axis])
                axis += 1
        elif isinstance(item, bool):
            advanced.append((len(sizes), of_array(np.zeros(int(item), np.int64), dt.int64)))
            sizes.append(1)
            strides.append(1)
            name = "Unsqueeze"
        elif isinstance(item, Tensor):
            if item.dtype in (dt.bool_, dt.uint8):
                _check_mask(item, shape, axis)
                found = _nonzero_of_mask(item) if item.ndim else ()
                if not item.ndim:
                    count = int(bool(item.item()))
                    advanced.append((len(sizes), of_array(np.zeros(count, np.int64), dt.int64)))
                    sizes.append(1)
                    strides.append(1)
                    name = "Unsqueeze"
                for part in found[: item.ndim]:
                    advanced.append((len(sizes), of_array(part, dt.int64)))
                    sizes.append(shape[axis])
                    strides.append(old_strides[axis])
                    axis += 1
            elif item.dtype.kind == "float" or (item.ndim and item.dtype not in _INDEX_TYPES):
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
            elif not item.ndim and item._storage.expression.value is not None:
                place = place_of(item.item(), shape, axis)
                offset += place * old_strides[axis]
                axis += 1
                name = "Select"
            else:
                unchecked.append((item, axis, len(advanced)))
                advanced.append((len(sizes), item))
                sizes.append(shape[axis])
                strides.append(old_strides[axis])
                axis += 1
        else:
            place = place_of(integer(item), shape, axis)
            offset += place * old_strides[axis]
            axis += 1
            name = "Select"
    sizes.extend(shape[axis:])
    strides.extend(old_strides[axis:])
    # Indices of which nothing comes read nothing.
    if unchecked and (len(advanced) == 1 or 0 not in _check_broadcast([i for _, i in advanced])):
        for index, place, number in unchecked:
            _check_index(index, shape, place, number)
    if x._storage.device != "cpu":
        # An index may be the cpu's, whatever it is an index of.
        advanced = [
            (d, moved(i, x._storage.device) if i._storage.device == "cpu" else i)
            for d, i in advanced
        ]
    if (
        advanced
        and tuple(sizes) == shape
        and tuple(strides) == old_strides
        and (offset == x.storage_offset())
    ):
        return x, advanced, True
    return x._view(sizes, strides, offset, name), advanced, False


@levels.refuses_examples(_DYNAMIC_INDEX)
def _nonzero_of_mask(mask: Tensor) -> Any:
    return np.nonzero(mask._array())


# Of tensors used as indices; a 0-d one of any integer type is a number.
_INDEX_TYPES = (dt.int64, dt.int32, dt.uint8, dt.bool_)


def _check_index(index: Tensor, shape: Shape, axis: int, number: int) -> None:
    size = shape[axis]
    if not size and index._type.size:
        raise IndexError("index is out of bounds for dimension with size 0")
    check_range(
        index, size,
        lambda bad: f"index {bad} is out of bounds for dimension {number} with size {size}", -size,
    )  # fmt: skip


def _check_mask(mask: Tensor, shape: Shape, axis: int) -> None:
    for i, n in enumerate(mask._type.shape):
        if shape[axis + i] != n:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {i} does not match the shape "
                f"of the indexed tensor {list(shape)} at index {axis + i}"
            )


def _check_broadcast(indices: Sequence[Tensor]) -> Shape:
    try:
        return broadcast_shapes(*[i._type.shape for i in indices])
    except RuntimeError:
        shapes = ", ".join([str(list(i.shape)) for i in indices])
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None


def _get(self: Tensor, key: Any) -> Tensor:
    """A view for integers, slices, ``...`` and None; a copy for tensors, lists and masks."""
    place = basic_place(self, key)
    if place is not None:
        return self._view(*place)
    source, advanced, _ = _resolve(self, key)
    if not advanced:
        return source
    indices = [i for _, i in advanced]
    dims = tuple([d for d, _ in advanced])
    _check_broadcast(indices)
    return apply(INDEX, (source, *indices), (dims,))  # type: ignore[no-any-return]


def _result_shape(shape: Shape, indices: Sequence[Tensor], dims: Shape) -> Shape:
    common = _check_broadcast(indices)
    kept = [i for i in range(len(shape)) if i not in dims]
    if list(dims) == list(range(dims[0], dims[0] + len(dims))):
        before = [i for i in kept if i < dims[0]]
    else:
        before = []
    after = [i for i in kept if i not in before]
    return (*[shape[i] for i in before], *common, *[shape[i] for i in after])


def _set_item(self: Tensor, key: Any, value: Any) -> None:
    """Write into the places that ``self[key]`` shows."""
    if isinstance(value, np.generic):
        value = value.item()
    elif not isinstance(value, (Tensor, int, float, complex)):
        kind = "numpy.ndarray" if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"can't assign a {kind} to a torch.{type_name(self.dtype)}Tensor")
    if (
        isinstance(key, Tensor)
        and key.dtype is dt.bool_
        and key.ndim
        and (not isinstance(value, Tensor) or not value.ndim)
    ):
        _check_mask(key, self._type.shape, 0)
        while key.ndim < self.ndim:
            key = views.unsqueeze(key, -1)
        if self._geometry is not None:
            self._refuse_unknown_history()
        self._write(apply_expressions(MASKED_FILL, (self, key, value))[0])
        return
    if key is Ellipsis or (isinstance(key, slice) and key == slice(None) and self.ndim):
        target = self
        advanced: list[tuple[int, Tensor]] = []
    else:
        items = (key,) if type(key) is slice else key
        place = basic_place(self, items)
        if place is None:
            target, advanced, _ = _resolve(self, items)
        elif _is_at(value, self, place) and value._write_itself(value):
            return
        else:
            target, advanced = self._view(*place), []
    if target._view_name == "Alias":
        target = self  # x[:] and x[...] are the tensor, not a view of it
    if target._geometry is not None:
        target._refuse_unknown_history()
    if isinstance(value, Tensor):
        value = _without_leading_units(value, target.ndim if not advanced else None)
    if not advanced:
        write_value(target, value)
        return
    indices = [i for _, i in advanced]
    dims = tuple([d for d, _ in advanced])
    wanted = _result_shape(target._type.shape, indices, dims)
    if isinstance(value, Tensor):
        while value.ndim > len(wanted) and value._type.shape[0] == 1:
            value = views.select(value, 0, 0)
        try:
            _check_values(value._type.shape, wanted)
            if value.dtype is not target.dtype and not (value.numel() == 1 and _is_one_mask(key)):
                raise _wrong_source(target, value)
        except RuntimeError:
            target._refuse_before(value.requires_grad)
            raise
        if value.dtype is not target.dtype:
            value = converted(value, target.dtype)
    try:
        target._write(apply_expressions(INDEX_PUT, (target, value, *indices), (dims, "set"))[0])
    except RefusedView:
        target._refuse_before(False)
        raise


def _is_at(view: Any, x: Tensor, place: Place) -> bool:
    """Whether a value is this view of another, as ``x[i] += 1`` assigns to where it was."""
    if not isinstance(view, Tensor) or view._source is not x:
        return False
    geometry = view._geometry
    return (
        geometry is not None
        and geometry.place == place[:3]
        and not geometry.changes_values
        and view._type.dtype is x._type.dtype
    )


def _is_one_mask(key: Any) -> bool:
    """Whether one mask, and no other array, chooses the places: one value is filled in there."""
    arrays = [
        i for i in (key if isinstance(key, tuple) else (key,))
        if isinstance(i, (list, np.ndarray)) or (isinstance(i, Tensor) and i.ndim)
    ]  # fmt: skip
    return len(arrays) == 1 and np.asarray(arrays[0]).dtype == np.bool_


def _wrong_source(target: Tensor, value: Tensor) -> RuntimeError:
    return RuntimeError(
        "Index put requires the source and destination dtypes match, got "
        f"{type_name(target.dtype)} for the destination and {type_name(value.dtype)} "
        "for the source."
    )


def _without_leading_units(value: Tensor, rank: int | None) -> Tensor:
    if rank is not None:
        while value.ndim > rank and value._type.shape[0] == 1:
            value = views.select(value, 0, 0)
    return value


def _check_values(given: Shape, wanted: Shape) -> None:
    fits = len(given) <= len(wanted) and all(
        n in (1, m) for n, m in zip(reversed(given), reversed(wanted), strict=False)
    )
    if not fits:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(given)} cannot be broadcast to indexing "
            f"result of shape {list(wanted)}"
        )


setattr(Tensor, "__getitem__", _get)  # noqa: B010
setattr(Tensor, "__setitem__", _set_item)  # noqa: B010


@operation(inplace=True)
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """``input`` with ``values`` written (or added) at the places that index tensors choose."""
    source, advanced, _ = _resolve(input, tuple([slice(None) if i is None else i for i in indices]))
    if values.dtype is not input.dtype:
        raise _wrong_source(input, values)
    if source is not input and source._type.shape != input._type.shape:
        raise IndexError("index_put takes index tensors alone")
    found = [i for _, i in advanced]
    dims = tuple([d for d, _ in advanced])
    _check_values(values._type.shape, _result_shape(input._type.shape, found, dims))
    mode = "add" if accumulate else "set"
    return apply(INDEX_PUT, (input, values, *found), (dims, mode))  # type: ignore[no-any-return]


_DYNAMIC_SELECT = (
    "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask) We cannot support this "
    "because for each batch this would return a differently shaped Tensor. Please file an issue at "
    "https://github.com/pytorch/pytorch/issues if you need this feature."
)


@operation(out="masked_select(): self and result must have the same scalar type")
@levels.refuses_examples(_DYNAMIC_SELECT)
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, in one dimension; computes the mask."""
    if mask.dtype is not dt.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = broadcast_shapes(input._type.shape, mask._type.shape)
    return _get(views.expand(input, shape), views.expand(mask, shape)) if shape else (
        _get(views.reshape(input, 1), views.reshape(mask, 1))
    )  # fmt: skip


# ---- along one dimension: index_select and its writers -----------------------------


def _need_index(index: Tensor, name: str, any_rank: bool = False) -> None:
    if index.dtype not in (dt.int64, dt.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index")
    if not any_rank and index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")


def _flat_index(index: Tensor) -> Tensor:
    return index if index.ndim else views.reshape(index, 1)


@operation(out="index_select(): self and result must have the same scalar type")
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The places of one dimension that ``index`` lists."""
    require_tensor("index_select", index, "index", 3)
    if index.dtype not in (dt.int64, dt.int32):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    axis = wrap_dim(dim, input.ndim)
    if not input.ndim:
        if index.numel() != 1:
            raise RuntimeError(
                "index_select(): Index to scalar can have only 1 value, got "
                f"{index.numel()} value(s)"
            )
        return clone(input)
    check_range(index, input._type.shape[axis], lambda _: "index out of range in self")
    return apply(INDEX, (input, _flat_index(index)), ((axis,),))  # type: ignore[no-any-return]


def _moved_shape(shape: Shape, axis: int, count: int) -> Shape:
    return (*shape[:axis], count, *shape[axis + 1 :])


def _check_source(name: str, x: Tensor, axis: int, index: Tensor, source: Tensor) -> None:
    if x.dtype is not source.dtype:
        if name == "index_copy":
            raise RuntimeError(
                "index_copy_(): self and source expected to have the same dtype, but got (self) "
                f"{type_name(x.dtype)} and (source) {type_name(source.dtype)}"
            )
        raise RuntimeError(
            f"{name}_(): self ({type_name(x.dtype)}) and source ({type_name(source.dtype)}) "
            "must have the same scalar type"
        )
    wanted = _moved_shape(x._type.shape, axis, index.numel()) if x.ndim else ()
    given = source._type.shape
    if name == "index_copy":
        if given and x.ndim and len(given) != x.ndim:
            raise IndexError(
                "index_copy_(): When source and destination are not scalars, their dimensionality "
                f"must match. Source dimensionality ({len(given)}), destination dimensionality "
                f"({x.ndim})"
            )
        mine, other = [s[:axis] + s[axis + 1 :] for s in (x._type.shape, given)]
        if mine != other:
            words = [" ".join(map(str, s)) for s in (mine, other)]
            raise RuntimeError(
                "index_copy_(): Source/destination tensor must have same slice shapes. "
                f"Destination slice shape: {words[0]} at dimension {axis} and source slice "
                f"shape: {words[1]} at dimension 0."
            )
        if given and x.ndim and given[axis] != index.numel():
            raise IndexError(
                f"index_copy_(): Number of indices ({index.numel()}) should be equal to "
                f"source.size(dim) ({given[axis]})"
            )
    if x.ndim and given != wanted and not (not given and prod(wanted) == 1):
        raise RuntimeError(
            f"{name}_(): Number of indices ({index.numel()}) should be equal to "
            f"source.size(dim): ({given[axis] if axis < len(given) else 1}), for dim: {axis}"
            if axis >= len(given) or given[axis] != index.numel()
            else "source tensor shape must match self tensor shape, excluding the specified "
            f"dimension. Got self.shape = {list(x.shape)} source.shape = {list(source.shape)}"
        )


def _write_along(name: str, function: Function, mode: str) -> Any:
    def body(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
        axis = wrap_dim(dim, x.ndim)
        _need_index(index, name)
        _check_source(name, x, axis, index, source)
        extent = x._type.shape[axis] if x.ndim else 1
        prefix = "index_copy_(): " if name == "index_copy" else ""
        check_range(
            index, extent,
            lambda bad: f"{prefix}index {bad} is out of bounds for dimension {axis} with size "
            f"{extent}" if prefix else "index out of range in self",
        )  # fmt: skip
        if not x.ndim:
            lifted = body(views.reshape(x, 1), 0, _flat_index(index), views.reshape(source, 1))
            return views.reshape(lifted, ())
        if not source.ndim:
            source = views.reshape(source, (1,) * x.ndim)
        return apply(function, (x, source, _flat_index(index)), ((axis,), mode))  # type: ignore[no-any-return]

    return body


_index_add = _write_along("index_add", _INDEX_ADD, "add")
_index_copy = _write_along("index_copy", _INDEX_COPY, "set")
_SCALE = Function(
    "index_add_alpha", lambda source, alpha: ew.mul(*promote(source, alpha)), saves=lambda *_: (0,)
)


@operation(inplace=True, out="same type")
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """``alpha * source`` added at the listed places of a dimension."""
    if alpha != 1:
        source = apply(_SCALE, (source, alpha))
    return _index_add(input, dim, index, source)  # type: ignore[no-any-return]


@operation(inplace=True, out="same type")
@in_widest
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """``source`` written at the listed places of a dimension."""
    return _index_copy(input, dim, index, source)  # type: ignore[no-any-return]


def _index_fill(x: Node, index: Node, value: Node, axis: int) -> Node:
    """Places that are named twice count once in the value's gradient, as in PyTorch."""
    extent = x.shape[axis]
    chosen = places.scatter(
        full(False, (extent,), dt.bool_), wrapped(index, extent),
        full(True, index.shape, dt.bool_), "set",
    )  # fmt: skip
    return ew.where(
        broadcast(chosen, x.shape, (axis,)), broadcast_to(ew.cast(value, x.dtype), x.shape), x
    )


INDEX_FILL = Function("index_fill", _index_fill)


@operation(inplace=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """One number written at the listed places of a dimension."""
    axis = wrap_dim(dim, input.ndim)
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    if index.dtype not in (dt.int64, dt.int32):
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    extent = input._type.shape[axis] if input.ndim else 1
    check_range(
        index, extent,
        lambda bad: f"index {bad} is out of bounds for dimension {axis} with size {extent}",
        -extent,
    )  # fmt: skip
    source = input if input.ndim else views.reshape(input, 1)
    made = apply(INDEX_FILL, (source, _flat_index(index), value), (axis,))
    return made if input.ndim else views.reshape(made, ())


__all__ = ["check_range"]
