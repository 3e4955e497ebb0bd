"""How views lie in their storages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from codegen.ops.strided import contiguous_strides


@dataclass(frozen=True)
class Geometry:
    """How a view lies in its storage, in elements."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


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


def reaches_outside(view: Geometry, base: Geometry) -> bool:
    """Whether a view shows memory before the first or after the last element of a region."""
    if 0 in view.shape:
        return False
    ends = []
    for part in (view, base):
        reach = sum([(n - 1) * s for n, s in zip(part.shape, part.strides, strict=True)])
        ends.append((part.offset, part.offset + reach))
    return ends[0][0] < ends[1][0] or ends[0][1] > ends[1][1]


def within_region(view: Geometry, base: Geometry) -> Geometry:
    """A view of a strided region as a view of its contiguous copy: each stride (and the offset)
    is a sum of the region's strides, which have others in the copy."""
    if 0 in view.shape:
        return Geometry(view.shape, view.strides, 0)
    inner = contiguous_strides(base.shape)
    axes = [i for i, n in enumerate(base.shape) if n > 1]
    axes.sort(key=lambda i: -base.strides[i])

    def translated(distance: int) -> int:
        total = 0
        for i in axes:
            if not base.strides[i]:
                break
            steps, distance = divmod(distance, base.strides[i])
            total += steps * inner[i]
        else:
            if not distance:
                return total
        raise RuntimeError(
            "a view of an expanded or overlapping tensor that was made a leaf by requires_grad_() "
            "is not supported; clone() it first"
        )

    strides = [translated(s) if n > 1 else 1 for n, s in zip(view.shape, view.strides, strict=True)]
    return Geometry(view.shape, tuple(strides), translated(view.offset - base.offset))


def wrap_dim(dim: int, rank: int) -> int:
    """A dimension number counted from the front; IndexError where there is no such dimension."""
    limit = max(rank, 1)
    if not -limit <= dim < limit:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got "
            f"{dim})"
        )
    return dim + limit if dim < 0 else dim
