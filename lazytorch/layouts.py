"""How the elements of results lie in memory: PyTorch's rules, for shapes and strides alone.

A tensor that is no view may lie in another order than its rows: a sum of transposed matrices lies
as these do. Its storage has a ``Layout`` then; strides are those that PyTorch gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from codegen.ops.strided import contiguous_strides
from lazytorch.geometry import is_contiguous

Shape = tuple[int, ...]


class _Orders:
    """``used``: whether anything was ever to lie in another order than its axes'."""

    used = False


orders = _Orders()
_numbers: dict[Shape, int] = {}


def order_number(order: Shape) -> int:
    """A number for an order of axes, unique in the process."""
    return _numbers.setdefault(order, len(_numbers))


class Layout:
    """How a storage's elements lie, where that is not row by row.

    strides  of the whole, in elements; those of axes of extent 1 are names alone.
    order    the axes from the outermost in memory to the innermost; None where that is row-major,
             and the strides differ in unit axes alone.
    """

    __slots__ = ("order", "strides")

    def __init__(self, shape: Shape, strides: Shape) -> None:
        self.strides = strides
        self.order: Shape | None = None
        if not is_contiguous(shape, strides) and 0 not in shape:
            units = [i for i, n in enumerate(shape) if n == 1]
            real = sorted([i for i, n in enumerate(shape) if n != 1], key=lambda i: -strides[i])
            self.order = (*units, *real)
            orders.used = True

    def __repr__(self) -> str:
        return f"Layout(strides={self.strides}, order={self.order})"


@lru_cache(4096)
def layout_of(shape: Shape, strides: Shape) -> Layout | None:
    """The layout with these strides, which are dense; None where it is row-major."""
    if strides == contiguous_strides(shape):
        return None
    return Layout(shape, strides)


def strides_in_order(shape: Sequence[int], order: Sequence[int]) -> Shape:
    """Dense strides where the axes lie in this order, the outermost first."""
    strides = [1] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


@lru_cache(4096)
def is_dense(shape: Shape, strides: Shape) -> bool:
    """Whether the elements lie without gap or overlap, in whatever order of the axes."""
    if 0 in shape:
        return True
    expected = 1
    for stride, count in sorted([(s, n) for n, s in zip(shape, strides, strict=True) if n > 1]):
        if stride != expected:
            return False
        expected *= count
    return True


# ---- memory formats -------------------------------------------------------------------------

_CHANNELS_LAST = {4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}


def channels_last_strides(shape: Shape) -> Shape:
    """The strides of images (or volumes) whose channels lie innermost."""
    return strides_in_order(shape, _CHANNELS_LAST[len(shape)])


@lru_cache(4096)
def is_contiguous_channels_last(shape: Shape, strides: Shape) -> bool:
    """What ``is_contiguous(memory_format=torch.channels_last)`` says, or channels_last_3d."""
    expected = 1
    for axis in reversed(_CHANNELS_LAST[len(shape)]):
        if shape[axis] != 1:
            if strides[axis] != expected:
                return False
            expected *= shape[axis]
    return True


@lru_cache(4096)
def is_channels_last(shape: Shape, strides: Shape) -> bool:
    """Whether a tensor counts as channels-last to operations that keep that format, as views and
    images of one channel may, or not."""
    if len(shape) not in _CHANNELS_LAST or strides[1] == 0:
        return False
    least = 0
    for axis in reversed(_CHANNELS_LAST[len(shape)]):
        if shape[axis] == 0 or strides[axis] < least:
            return False
        if axis == 0 and least == strides[1]:
            return False  # of one element each: as well row-major
        least = strides[axis]
        if shape[axis] > 1:
            least *= shape[axis]
    return True


def suggested_strides(shape: Shape, strides: Shape) -> Shape:
    """The strides of a result of this shape, of operations that keep the memory format of operands
    with these strides and as many axes."""
    if len(shape) in _CHANNELS_LAST and is_channels_last(shape, strides):
        return channels_last_strides(shape)
    return contiguous_strides(shape)


def strides_in_format(shape: Shape, strides: Shape, name: str) -> Shape:
    """The strides of a copy in a memory format; RuntimeError where it has other axes.

    name: of the format: preserve_format, contiguous_format, channels_last or channels_last_3d.
    """
    if name == "preserve_format":
        return strides_like(shape, strides)
    if name == "contiguous_format":
        return contiguous_strides(shape)
    check_rank(shape, name)
    return channels_last_strides(shape)


def check_rank(shape: Shape, name: str) -> None:
    """Refuse a format of images or volumes for what has other axes."""
    rank = 4 if name == "channels_last" else 5
    if len(shape) != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {name} format")


# ---- what is made like a tensor ---------------------------------------------------------------


@lru_cache(4096)
def strides_like(shape: Shape, strides: Shape) -> Shape:
    """The strides of what ``empty_like`` makes: the same where they are dense, else dense ones in
    the same order; repeated axes, of stride 0, stay where they are."""
    if is_dense(shape, strides):
        return strides
    rank = len(shape)
    if not rank:
        return ()
    order = list(range(rank - 1, -1, -1))

    def compared(first: int, second: int) -> int:
        a, b = strides[first], strides[second]
        if a == 0 or b == 0:
            return 0
        if a != b:
            return -1 if a < b else 1
        return 1 if shape[first] > shape[second] else 0

    _insertion_sort(order, compared)
    return strides_in_order(shape, order[::-1])


def _insertion_sort(order: list[int], compared: object) -> None:
    """Sort the axes, innermost first, where some pairs cannot be compared (0)."""
    for i in range(1, len(order)):
        second = i
        for first in range(i - 1, -1, -1):
            found = compared(order[first], order[second])  # type: ignore[operator]
            if found > 0:
                order[first], order[second] = order[second], order[first]
                second = first
            elif found < 0:
                break


# ---- element-wise operations --------------------------------------------------------------------

Operands = tuple[tuple[Shape, Shape], ...]


@lru_cache(16384)
def elementwise_strides(operands: Operands) -> Shape:
    """The strides of an element-wise operation's result, as PyTorch's TensorIterator has them.

    operands: the shape and the strides of each, which broadcast together; a Python number among
    them has the shape ().
    """
    shapes = [shape for shape, _ in operands]
    first = shapes[0]
    if all([shape == first for shape in shapes]):
        found = _strides_of_one_shape(first, [strides for _, strides in operands])
        if found is not None:
            return found
    rank = max([len(shape) for shape in shapes])
    whole = [1] * rank
    for shape in shapes:
        for i, n in enumerate(shape, rank - len(shape)):
            if n != 1:
                whole[i] = n
    rows = []
    for shape, strides in operands:
        missing = rank - len(shape)
        row = [0] * missing
        for i, (n, s) in enumerate(zip(shape, strides, strict=True), missing):
            row.append(0 if n == 1 and whole[i] != 1 else s)
        rows.append(row)
    return _strides_between(whole, rows)


def _strides_of_one_shape(shape: Shape, strides: Sequence[Shape]) -> Shape | None:
    """Where all operands lie alike, the result does; None where they do not."""
    if 0 in shape or all([is_contiguous(shape, s) for s in strides]):
        return contiguous_strides(shape)
    if len(shape) == 4 and all([is_contiguous_channels_last(shape, s) for s in strides]):
        return channels_last_strides(shape)
    same = all([s == strides[0] for s in strides])
    return strides[0] if same and is_dense(shape, strides[0]) else None


def _strides_between(shape: Sequence[int], rows: Iterable[Sequence[int]]) -> Shape:
    if len(shape) < 2:
        return (1,) * len(shape)
    rows = list(rows)

    def compared(first: int, second: int) -> int:
        for row in rows:
            a, b = row[first], row[second]
            if a == 0 or b == 0:
                continue
            if a != b:
                return -1 if a < b else 1
            if shape[first] > shape[second]:
                return 1
        return 0

    order = list(range(len(shape) - 1, -1, -1))
    _insertion_sort(order, compared)
    if order == list(range(len(shape) - 1, -1, -1)):
        return contiguous_strides(shape)
    strides = [0] * len(shape)
    step = 1
    for axis in order:
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)
