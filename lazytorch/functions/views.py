"""Views, which share the storage of their tensor and cost only arithmetic on its geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from codegen.dtype import DType
from codegen.ir.node import TensorType
from codegen.ops.strided import contiguous_strides
from lazytorch import core
from lazytorch.application import apply
from lazytorch.autograd.grad_mode import is_grad_enabled
from lazytorch.functions.arguments import integers, wrap_dims
from lazytorch.functions.promotion import broadcast_shapes
from lazytorch.functions.reaching_views import strided_view
from lazytorch.functions.registration import PUBLIC, operation
from lazytorch.functions.retyped_views import as_type
from lazytorch.recording import count_write
from lazytorch.tensor import Geometry, Tensor, wrap_dim
from lazytorch.type_names import type_name
from lazytorch.view_history import ONE_OF_SEVERAL, refusal_of_inner

Shape = Sequence[int]

# ---- view and reshape --------------------------------------------------------------


def inferred_shape(sizes: Shape, count: int) -> tuple[int, ...]:
    """The shape with its -1 replaced by what ``count`` elements leave."""
    known, unknown = 1, None
    for i, n in enumerate(sizes):
        if n == -1:
            if unknown is not None:
                raise RuntimeError("only one dimension can be inferred")
            unknown = i
        elif n < 0:
            raise RuntimeError(f"invalid shape dimension {n} at index {i} of shape {list(sizes)}")
        else:
            known *= n
    if unknown is None:
        if known != count:
            raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {count}")
        return tuple(sizes)
    if known == 0 and count == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(sizes)} because the unspecified "
            "dimension size -1 can be any value and is ambiguous"
        )
    if known == 0 or count % known:
        raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {count}")
    return (*sizes[:unknown], count // known, *sizes[unknown + 1 :])


def view_strides(shape: Shape, strides: Shape, wanted: Shape) -> tuple[int, ...] | None:
    """The strides that show the same elements in the wanted shape, or None if there are none.

    Walks chunks of dimensions that lie contiguously in one another, innermost first.
    """
    count = math.prod(shape)
    if count == 0:
        return tuple(strides) if tuple(shape) == tuple(wanted) else contiguous_strides(wanted)
    if not shape:
        return (1,) * len(wanted)
    result = [0] * len(wanted)
    axis = len(wanted) - 1
    base, chunk, seen = strides[-1], 1, 1
    for i in range(len(shape) - 1, -1, -1):
        chunk *= shape[i]
        if i == 0 or (shape[i - 1] != 1 and strides[i - 1] != chunk * base):
            while axis >= 0 and (seen < chunk or wanted[axis] == 1):
                result[axis] = seen * base
                seen *= wanted[axis]
                axis -= 1
            if seen != chunk:
                return None
            if i:
                base, chunk, seen = strides[i - 1], 1, 1
    return tuple(result) if axis == -1 else None


def _viewed(x: Tensor, shape: tuple[int, ...], name: str) -> Tensor | None:
    if x._geometry is None and x._storage.special is None:
        return x._view(shape, contiguous_strides(shape), 0, name)
    strides = view_strides(x._type.shape, x._steps(), shape)
    return None if strides is None else x._view(shape, strides, x.storage_offset(), name)


@operation(function=False)
def view(self: Tensor, *shape: Any, **options: Any) -> Tensor:
    """The same memory in another shape, or seen as another element type."""
    if "dtype" in options:
        shape = (options["dtype"],)
    elif "size" in options:
        shape = (options["size"],)
    if len(shape) == 1 and isinstance(shape[0], DType):
        return as_type(self, shape[0])
    if not shape:
        raise TypeError("view() received an invalid combination of arguments - got ()")
    wanted = inferred_shape(integers(shape, "view"), self._type.size)
    found = _viewed(self, wanted, "View")
    if found is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return found


def alias(x: Tensor, name: str = "Alias") -> Tensor:
    """A view of everything."""
    return x._view(x._type.shape, x._steps(), x.storage_offset(), name)


@operation(function=False)
def view_as(self: Tensor, other: Tensor) -> Tensor:
    return view(self, other._type.shape)


RESHAPE_NAME = "UnsafeView"


@operation()
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape: a view where the strides allow it, else a copy."""
    if not shape:
        raise TypeError('reshape() missing 1 required positional arguments: "shape"')
    return _reshaped(input, inferred_shape(integers(shape, "reshape", "shape"), input._type.size))


def _reshaped(input: Tensor, wanted: tuple[int, ...]) -> Tensor:
    found = _viewed(input, wanted, "View" if input.is_contiguous() else "ReshapeAlias")
    if found is not None:
        return found
    copy = apply(core.IDENTITY, (input,))
    return copy._view(wanted, contiguous_strides(wanted), 0, RESHAPE_NAME)  # type: ignore[no-any-return]


@operation(function=False)
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    return reshape(self, other._type.shape)


@operation()
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    if input.ndim == 1:
        return input if input.is_contiguous() else input.contiguous()
    return reshape(input, -1)


@operation()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim as one."""
    rank, shape = input.ndim, input._type.shape
    start, end = wrap_dim(start_dim, rank), wrap_dim(end_dim, rank)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not rank:
        return reshape(input, 1)
    if start == end:
        return input
    merged = math.prod(shape[start : end + 1])
    return _reshaped(input, (*shape[:start], merged, *shape[end + 1 :]))


@operation()
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """One dimension as several; one of ``sizes`` may be -1."""
    axis, shape = wrap_dim(dim, input.ndim), input._type.shape
    sizes = integers((sizes,), "unflatten", "sizes")
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        inner = inferred_shape(sizes, shape[axis])
    except RuntimeError:
        if sizes.count(-1) > 1:
            raise
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {axis} "
            f"({shape[axis]}) in the input tensor"
        ) from None
    return view(input, (*shape[:axis], *inner, *shape[axis + 1 :]))


# ---- order of dimensions -----------------------------------------------------------


@lru_cache(4096)
def _permuted_place(
    type_: TensorType, place: Geometry | None, order: Shape
) -> tuple[Geometry, TensorType]:
    place = place or Geometry(type_.shape, contiguous_strides(type_.shape), 0)
    shape = tuple([type_.shape[i] for i in order])
    made = place._replace(shape=shape, strides=tuple([place.strides[i] for i in order]))
    return made, TensorType(shape, type_.dtype)


def _permuted(x: Tensor, order: Shape, name: str) -> Tensor:
    if x._storage.special is None and not x._overlaps:
        return x._view_at(*_permuted_place(x._type, x._geometry, tuple(order)), name)
    shape, strides = x._type.shape, x._steps()
    return x._view(
        tuple([shape[i] for i in order]),
        tuple([strides[i] for i in order]),
        x.storage_offset(),
        name,
    )


@operation()
def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in the given order, as a view."""
    order = integers(dims, "permute", "dims")
    if len(order) != input.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {input.ndim} is not "
            f"equal to len(dims) = {len(order)}"
        )
    return _permuted(
        input, wrap_dims(order, input.ndim, "permute(): duplicate dims are not allowed."),
        "Permute",
    )  # fmt: skip


@operation(names=("swapaxes", "swapdims"))
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged, as a view.

    >>> torch.zeros(2, 3).transpose(0, 1).shape
    torch.Size([3, 2])
    """
    rank = len(input._type.shape)
    first, second = wrap_dim(dim0, rank), wrap_dim(dim1, rank)
    order = list(range(rank))
    if rank:
        order[first], order[second] = second, first
    return _permuted(input, order, "Transpose")


@operation()
def t(input: Tensor) -> Tensor:
    """A matrix transposed, as a view; fewer dimensions stay."""
    rank = len(input._type.shape)
    if rank > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {rank}D")
    return _permuted(input, (1, 0) if rank == 2 else range(rank), "T")


@operation(names=("moveaxis",))
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Some dimensions moved to other positions, as a view."""
    rank = input.ndim
    first = (source,) if isinstance(source, int) else tuple(source)
    second = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(first) != len(second):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(first)} dims) should "
            f"contain the same number of dims as destination ({list(second)} dims)"
        )
    wrapped = []
    for given, name in ((first, "source"), (second, "destination")):
        dims = tuple([wrap_dim(d, rank) for d in given])
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(given)})")
        wrapped.append(dims)
    first, second = wrapped
    order = [-1] * rank
    for s, d in zip(first, second, strict=True):
        order[d] = s
    rest = iter([i for i in range(rank) if i not in first])
    return _permuted(input, [next(rest) if i < 0 else i for i in order], "Permute")


def _transposed(self: Tensor) -> Tensor:
    return _permuted(self, range(self.ndim - 1, -1, -1), "Permute")


def _matrix_transposed(self: Tensor) -> Tensor:
    if self.ndim < 2:
        raise RuntimeError(
            "tensor.mT is only supported on matrices or batches of matrices. Got "
            f"{self.ndim}-D tensor."
        )
    return transpose(self, -2, -1)


for _name, _getter in (("T", _transposed), ("mT", _matrix_transposed)):
    setattr(Tensor, _name, property(_getter))


# ---- repetition --------------------------------------------------------------------


def expanded_geometry(
    shape: Shape, strides: Shape, wanted: Shape
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides of an expanded view; RuntimeError where the sizes do not fit."""
    missing = len(wanted) - len(shape)
    if missing < 0:
        raise RuntimeError(
            f"expand(torch.FloatTensor{{{list(shape)}}}, size={list(wanted)}): the number of sizes "
            f"provided ({len(wanted)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(shape)})"
        )
    new_shape, new_strides = [], []
    for i, size in enumerate(wanted):
        old = shape[i - missing] if i >= missing else 1
        stride = strides[i - missing] if i >= missing else 0
        if size == -1:
            if i < missing:
                raise RuntimeError(
                    f"The expanded size of the tensor ({size}) isn't allowed in a leading, "
                    f"non-existing dimension {i}"
                )
            size = old
        elif size < 0:
            raise RuntimeError(f"invalid shape dimension {size}")
        elif size != old:
            if old != 1:
                raise RuntimeError(
                    f"The expanded size of the tensor ({size}) must match the existing size "
                    f"({old}) at non-singleton dimension {i}.  Target sizes: {list(wanted)}.  "
                    f"Tensor sizes: {list(shape)}"
                )
            stride = 0
        new_shape.append(size)
        new_strides.append(stride)
    return tuple(new_shape), tuple(new_strides)


@operation(function=False)
def expand(self: Tensor, *sizes: Any, implicit: bool = False, size: Any = None) -> Tensor:
    """Dimensions of extent 1 repeated, as a view; -1 leaves a dimension as it is."""
    wanted = integers((size,) if size is not None else sizes, "expand")
    shape, strides = self._type.shape, self._steps()
    if len(wanted) < len(shape):
        kind = type_name(self.dtype)
        raise RuntimeError(
            f"expand(torch.{kind}Tensor{{{list(shape)}}}, size={list(wanted)}): the number of "
            f"sizes provided ({len(wanted)}) must be greater or equal to the number of dimensions "
            f"in the tensor ({len(shape)})"
        )
    new_shape, new_strides = expanded_geometry(shape, strides, wanted)
    # A missing leading dimension of extent 1 gets the stride that keeps it contiguous.
    fixed = list(new_strides)
    missing = len(wanted) - len(shape)
    for i in range(missing - 1, -1, -1):
        if new_shape[i] == 1 and i + 1 < len(fixed):
            fixed[i] = new_shape[i + 1] * fixed[i + 1]
        elif new_shape[i] == 1:
            fixed[i] = 1
    return self._view(new_shape, fixed, self.storage_offset(), "Expand")


@operation(function=False)
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    return expand(self, other._type.shape)


@operation()
def broadcast_to(input: Tensor, size: Any) -> Tensor:
    return expand(input, size)


@operation(method=False)
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape."""
    parts = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    shape = broadcast_shapes(*[p._type.shape for p in parts])
    return tuple([expand(p, shape) for p in parts])


# ---- dimensions of extent 1 --------------------------------------------------------


def _squeezed(x: Tensor, dims: Shape, name: str) -> Tensor:
    shape, strides = x._type.shape, x._steps()
    kept = [i for i, n in enumerate(shape) if n != 1 or i not in dims]
    return x._view(
        tuple([shape[i] for i in kept]),
        tuple([strides[i] for i in kept]),
        x.storage_offset(),
        name,
    )


@operation()
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without its dimensions of extent 1, or those of them named, as a view."""
    rank = input.ndim
    if dim is None:
        return _squeezed(input, range(rank), "Squeeze")
    if isinstance(dim, int):
        return _squeezed(input, (wrap_dim(dim, rank),), "Squeeze1")
    return _squeezed(input, wrap_dims(dim, rank), "Squeeze2")


@operation()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of extent 1 at ``dim``, as a view."""
    shape, strides = input._type.shape, input._steps()
    axis = wrap_dim(dim, len(shape) + 1)
    stride = shape[axis] * strides[axis] if axis < len(shape) else 1
    return input._view(
        (*shape[:axis], 1, *shape[axis:]),
        (*strides[:axis], stride, *strides[axis:]),
        input.storage_offset(),
        "Unsqueeze",
    )


# ---- parts -------------------------------------------------------------------------


def cut(
    x: Tensor, axis: int, start: int, length: int, step: int = 1, name: str = "Slice"
) -> Tensor:
    """``length`` places of one dimension from ``start`` on, in range."""
    shape, strides = x._type.shape, x._steps()
    return x._view(
        (*shape[:axis], length, *shape[axis + 1 :]),
        (*strides[:axis], strides[axis] * step, *strides[axis + 1 :]),
        x.storage_offset() + start * strides[axis],
        name,
    )


@operation()
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """``length`` places of one dimension from ``start`` on, as a view."""
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Tensor) and (start.ndim or start.dtype.kind != "int"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    axis, start = wrap_dim(dim, input.ndim), int(start)
    size = input._type.shape[axis]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {start})"
        )
    start = start + size if start < 0 else start
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return cut(input, axis, start, length)


@operation()
def select(input: Tensor, dim: int, index: Any) -> Tensor:
    """One place of a dimension, which the view lacks."""
    if not input.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    shape, strides = input._type.shape, input._steps()
    axis, place = wrap_dim(dim, len(shape)), int(index)
    size = shape[axis]
    if not -size <= place < size:
        raise IndexError(
            f"select(): index {place} out of range for tensor of size {list(shape)} at dimension "
            f"{axis}"
        )
    place = place + size if place < 0 else place
    return input._view(
        (*shape[:axis], *shape[axis + 1 :]),
        (*strides[:axis], *strides[axis + 1 :]),
        input.storage_offset() + place * strides[axis],
        "Select",
    )


@operation(function=False)
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Every window of ``size`` places along a dimension, as a view with one more dimension."""
    axis = wrap_dim(dimension, self.ndim)
    shape, strides = self._type.shape or (1,), self._steps() or (1,)
    extent = shape[axis]
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > extent:
        raise RuntimeError(
            f"maximum size for tensor at dimension {axis} is {extent} but size is {size}"
        )
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    windows = (extent - size) // step + 1
    if not self.ndim:
        return self._view((size,), (1,), self.storage_offset(), "Unfold")
    return self._view(
        (*shape[:axis], windows, *shape[axis + 1 :], size),
        (*strides[:axis], strides[axis] * step, *strides[axis + 1 :], strides[axis]),
        self.storage_offset(),
        "Unfold",
    )


@operation()
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the storage with the given geometry, in elements."""
    shape, strides = integers((size,), "as_strided"), integers((stride,), "as_strided")
    if len(shape) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(s < 0 for s in strides):
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(strides)}"
        )
    if storage_offset is not None and storage_offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {storage_offset}")
    return strided_view(input, shape, strides, storage_offset)


@operation()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Every place of a dimension, each as a view without it."""
    if not input.ndim:
        input._read()  # a view whose history is refused says that first
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = wrap_dim(dim, input.ndim)
    return _several([select(input, axis, i) for i in range(input._type.shape[axis])], "Unbind")


def _several(views: Sequence[Tensor], name: str) -> tuple[Tensor, ...]:
    """Views that one function gives, which autograd lets nobody write to."""
    node = object()
    for number, view in enumerate(views):
        view._view_name, view._one_of = name, (name, number, node)
        if view._of_function is not None:
            view._of_function = (name, number, ONE_OF_SEVERAL)
        if view._of_unrecorded and view.requires_grad:
            view._refused_write = refusal_of_inner(name, number)
    return tuple(views)


@operation()
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Consecutive pieces of the given sizes, as views."""
    if not input.ndim:
        raise RuntimeError("split_with_sizes expects at least a 1-dimensional tensor")
    axis, size = wrap_dim(dim, input.ndim), input._type.shape
    sizes = integers((split_sizes,), "split_with_sizes", "split_sizes")
    if any(n < 0 for n in sizes):
        raise RuntimeError(
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={list(sizes)}"
        )
    if sum(sizes) != size[axis]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {size[axis]} (input tensor's "
            f"size at dimension {dim}), but got split_sizes={list(sizes)}"
        )
    parts, start = [], 0
    for length in sizes:
        parts.append(cut(input, axis, start, length, name="SplitWithSizes"))
        start += length
    return _several(parts, "SplitWithSizes")


@operation()
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Consecutive pieces of one size (the last may be smaller), or of several, as views."""
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    size = split_size_or_sections
    if not tensor.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    axis = wrap_dim(dim, tensor.ndim)
    extent = tensor._type.shape[axis]
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0:
        if extent:
            raise RuntimeError(
                f"split_size can only be 0 if dimension size is 0, but got dimension size of "
                f"{extent}"
            )
        return _several([cut(tensor, axis, 0, 0)], "Split")
    starts = range(0, extent, size) if extent else range(1)
    return _several([cut(tensor, axis, s, min(size, extent - s)) for s in starts], "Split")


@operation()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size (the last may be smaller), as views."""
    if not input.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    axis = wrap_dim(dim, input.ndim)
    extent = input._type.shape[axis]
    size = -(-extent // chunks)
    if size == 0:
        return _several([cut(input, axis, 0, 0) for _ in range(chunks)], "SplitWithSizes")
    return split(input, size, axis)


def _writable(views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    for view in views:
        view._one_of = None
    return views


@operation()
def unsafe_split(tensor: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """As ``split``, of pieces that may be written to."""
    return _writable(split(tensor, split_size, dim))


@operation()
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """As ``chunk``, of pieces that may be written to."""
    return _writable(chunk(input, chunks, dim))


for _name in ("detach", "detach_"):
    PUBLIC[_name] = getattr(Tensor, _name)


@operation()
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of nearly equal size, or cut before each index, as views."""
    if not input.ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    axis = wrap_dim(dim, input.ndim)
    extent = input._type.shape[axis]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {count}")
        each, more = divmod(extent, count)
        ends = [(i + 1) * each + min(i + 1, more) for i in range(count)]
        starts = [0, *ends[:-1]]
    else:
        cuts = list(indices_or_sections)
        starts, ends = [0, *cuts], [*cuts, extent]
    parts = []
    for start, end in zip(starts, ends, strict=True):
        low, high, _ = slice(start, end).indices(extent)
        parts.append(cut(input, axis, low, max(high - low, 0)))
    return tuple(parts)


def _split_at(name: str, axis_of: Any, least: int) -> Any:
    def split_along(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension"
                f", but got a tensor with {input.ndim} dimensions!"
            )
        axis = axis_of(input.ndim)
        if isinstance(indices_or_sections, int):
            extent = input._type.shape[axis]
            if indices_or_sections <= 0 or extent % indices_or_sections:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {axis}, but the size of the "
                    f"dimension {extent} is not divisible by the split_size "
                    f"{indices_or_sections}!"
                )
        elif not isinstance(indices_or_sections, (tuple, list, Tensor)):
            kind = type(indices_or_sections).__name__
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got (Tensor, {kind}), "
                "but expected sections or indices"
            )
        return tensor_split(input, indices_or_sections, axis)

    split_along.__name__ = split_along.__qualname__ = name
    split_along.__doc__ = f"``tensor_split`` along the dimension that ``{name}`` names."
    return operation()(split_along)


hsplit = _split_at("hsplit", lambda rank: 0 if rank == 1 else 1, 1)
vsplit = _split_at("vsplit", lambda rank: 0, 2)
dsplit = _split_at("dsplit", lambda rank: 2, 3)


# ---- at least so many dimensions ---------------------------------------------------


def _at_least(name: str, rank: int, raise_rank: Any) -> Any:
    def at_least(*tensors: Any) -> Any:
        if len(tensors) == 1:
            if isinstance(tensors[0], Tensor):
                return raise_rank(tensors[0])
            tensors = tuple(tensors[0])
        return tuple([raise_rank(x) for x in tensors])

    at_least.__name__ = at_least.__qualname__ = name
    at_least.__doc__ = f"A tensor, or several, with at least {rank} dimensions."
    return operation(method=False)(at_least)


def _to_2d(x: Tensor) -> Tensor:
    if x.ndim >= 2:
        return x
    return reshape(x, 1, 1) if not x.ndim else unsqueeze(x, 0)


def _to_3d(x: Tensor) -> Tensor:
    if x.ndim >= 3:
        return x
    if x.ndim == 2:
        return unsqueeze(x, -1)
    return reshape(x, 1, 1, 1) if not x.ndim else unsqueeze(unsqueeze(x, 0), -1)


atleast_1d = _at_least("atleast_1d", 1, lambda x: x if x.ndim else reshape(x, 1))
atleast_2d = _at_least("atleast_2d", 2, _to_2d)
atleast_3d = _at_least("atleast_3d", 3, _to_3d)


# ---- in place: the tensor itself takes the view's geometry -------------------------


def become(x: Tensor, view: Tensor) -> Tensor:
    """Give a tensor the geometry of a view of it."""
    if is_grad_enabled() and x.requires_grad and x.is_leaf:
        raise x._leaf_error()
    geometry = view._geometry
    assert isinstance(geometry, Geometry)
    count_write(x._storage)
    if x._geometry is None or view._has_node:
        x._has_node = True  # it is no view of a base whose history it has to be told of
    x._geometry, x._type, x._view_cache = geometry, view._type, None
    x._view_name, x._overlaps, x._in_source = view._view_name, view._overlaps, None
    return x


def _in_place_view(name: str, definition: Any) -> None:
    def written(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self._refuse_before(False)
        return become(self, definition(self, *args, **kwargs))

    written.__name__ = written.__qualname__ = name
    written.__doc__ = f"In-place form of ``{name[:-1]}``: the tensor takes the view's geometry."
    setattr(Tensor, name, written)
    if name in ("squeeze_", "as_strided_", "t_"):
        PUBLIC.setdefault(name, written)


for _name, _definition in (
    ("squeeze_", squeeze), ("unsqueeze_", unsqueeze), ("transpose_", transpose), ("t_", t),
    ("swapaxes_", transpose), ("swapdims_", transpose), ("as_strided_", as_strided),
):  # fmt: skip
    _in_place_view(_name, _definition)
