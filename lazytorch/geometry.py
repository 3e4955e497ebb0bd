"""How views lie in their storages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from codegen.dtype import DType
from codegen.ops.strided import contiguous_strides


class Geometry(NamedTuple):
    """How a view lies in its storage, in elements; and whether it shows them ``conjugated`` or
    ``negated``."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    conjugated: bool = False
    negated: bool = False

    @property
    def place(self) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        return self[:3]

    @property
    def changes_values(self) -> bool:
        """Whether it shows other numbers than those in memory."""
        return self.conjugated or self.negated


class Step(int):
    """A stride of a tensor, or an offset in one, in elements of its storage; and ``within`` its
    contiguous copy. Where a tensor overlaps itself, its elements can be told apart only there."""

    within: int

    def __add__(self, other: int) -> Step:
        return _step(int(self) + int(other), self.within + getattr(other, "within", 0))

    __radd__ = __add__

    def __mul__(self, times: int) -> Step:
        return _step(int(self) * int(times), self.within * int(times))

    __rmul__ = __mul__

    def __floordiv__(self, parts: int) -> Step:
        return _step(int(self) // int(parts), self.within // int(parts))


def _step(size: int, within: int) -> Step:
    made = Step(size)
    made.within = within
    return made


# From one element of a tensor's storage, or of its copy, to the next.
ONE = _step(1, 1)


def repeats(geometry: Geometry) -> bool:
    """Whether a step of zero shows elements more than once."""
    if 0 not in geometry.strides:
        return False
    return any([s == 0 and n > 1 for n, s in zip(geometry.shape, geometry.strides, strict=True)])


def steps_of(view: Geometry) -> tuple[Step, ...]:
    """The strides of a view, from which views of it are computed in both ways."""
    return tuple(map(_step, view.strides, contiguous_strides(view.shape)))


def place_in_copy(shape: tuple[int, ...], strides: Sequence[int], offset: int) -> Geometry:
    """Where a view lies in the contiguous copy of the tensor from whose steps it was computed."""
    steps = tuple([getattr(s, "within", 0) for s in strides])
    return Geometry(shape, steps, getattr(offset, "within", 0))


@lru_cache(4096)
def is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether strides are row-major, those of unit axes aside."""
    wanted = contiguous_strides(shape)
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, wanted, strict=True))


def region_around(view: Geometry) -> tuple[int, int, int]:
    """The part of the storage that a view with a stride lies in: its first element, its length,
    and where in the part the view begins."""
    both = zip(view.strides, view.shape, strict=True)
    axes = [(stride, count) for stride, count in both if stride and count > 1]
    if not axes:  # one element, repeated
        length, within = 1, 0
    elif len(axes) == 1:  # a column: up to its last element
        stride, count = axes[0]
        length, within = (count - 1) * stride + 1, 0
    else:  # whole steps of the longest stride; where in a step it begins stays an attribute
        stride, count = max(axes)
        within = view.offset % stride
        reach = within + 1 + sum([(count - 1) * stride for stride, count in axes])
        length = max(stride * count, reach)  # longer where the view overlaps itself
    return view.offset - within, length, within


def within_region(view: Geometry, base: Geometry) -> Geometry:
    """A view of a strided region as a view of its contiguous copy: each stride (and the offset)
    is a sum of the region's strides, which have others in the copy. RuntimeError where the view
    runs from one row of the region into the next, or out of it."""
    if 0 in view.shape:
        return Geometry(view.shape, view.strides, 0)
    # Axes as (stride, stride in the copy, extent), those that lie in one another as one.
    axes: list[tuple[int, int, int]] = []
    inner = contiguous_strides(base.shape)
    for count, stride, step in zip(base.shape, base.strides, inner, strict=True):
        if count == 1:
            continue
        if axes and axes[-1][0] == stride * count:
            count *= axes.pop()[2]
        axes.append((stride, step, count))
    axes.sort(key=lambda axis: -axis[0])
    room = [count - 1 for _, _, count in axes]  # steps that are still to take

    def translated(distance: int, times: int) -> int:
        total = 0
        for i, (stride, step, _) in enumerate(axes):
            if not stride or distance < 0:
                break
            steps, distance = divmod(distance, stride)
            total += steps * step
            room[i] -= steps * times
        else:
            if not distance and min(room, default=0) >= 0:
                return total
        raise RuntimeError(
            "a view of an expanded or overlapping tensor that was made a leaf by requires_grad_() "
            "is not supported; clone() it first"
        )

    offset = translated(view.offset - base.offset, 1)
    both = zip(view.shape, view.strides, strict=True)
    strides = [translated(s, n - 1) if n > 1 else 1 for n, s in both]
    return Geometry(view.shape, tuple(strides), offset)


def in_elements(view: Geometry, dtype: DType, other: DType) -> Geometry:
    """A view of elements of one type as it lies in elements of another: real ones are the parts of
    complex ones. RuntimeError where those are no pairs."""
    if dtype is other:
        return view
    shape, strides, offset = view.place
    if dtype.is_complex:
        return Geometry((*shape, 2), (*[2 * s for s in strides], 1), 2 * offset)
    if strides[-1:] != (1,) or any([n % 2 for n in (shape[-1], *strides[:-1], offset)]):
        raise RuntimeError("complex numbers are made of parts that lie side by side")
    halves = [s // 2 for s in strides[:-1]]
    return Geometry((*shape[:-1], shape[-1] // 2), (*halves, 1), offset // 2)


def places_between(
    chain: Sequence[tuple[Geometry, Geometry | None]], source: Geometry
) -> list[Geometry]:
    """Where a view lies in a contiguous copy of another: at once or, where one that is made of the
    other overlaps itself, view by view, each in a copy of the one before.

    chain: the view, what it is a view of, and so on up to the other, which is not in there; of
    each, where it lies in the storage, and in what it is a view of, if that overlaps.
    """
    if not any([within for _, within in chain]):
        return [within_region(chain[0][0], source)]
    places = []
    for geometry, within in reversed(chain):
        places.append(within or within_region(geometry, source))
        source = geometry
    return places


def wrap_dim(dim: int, rank: int) -> int:
    """A dimension number counted from the front; IndexError where there is no such dimension."""
    limit = max(rank, 1)
    if not -limit <= dim < limit:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got "
            f"{dim})"
        )
    return dim + limit if dim < 0 else dim
