"""The affine form of a contraction: sums over k of A[b, m, k] * B[b, k, n], by element strides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from codegen.dtype import DType

# Where an operand is known to be 0: in each row of the result, in the places of K after the row's
# own number, or before it; for B, in each column.
Zeros = Literal["", "after", "before"]


@dataclass(frozen=True)
class Axis:
    """One axis with its element strides in both operands (0 where an operand lacks it)."""

    extent: int
    a: int
    b: int


@dataclass(frozen=True)
class Span:
    """One axis as a single operand sees it."""

    extent: int
    stride: int


@dataclass(frozen=True)
class Contraction:
    """A product of A and B summed over ``inner``.

    ``dtype`` is that of products and sums; ``operand_dtype`` that of A and B in memory, where it
    is another.
    """

    batch: tuple[Axis, ...]
    rows: tuple[Axis, ...]
    columns: tuple[Axis, ...]
    inner: tuple[Axis, ...]
    dtype: DType
    a_offset: int = 0
    b_offset: int = 0
    operand_dtype: DType | None = None

    @property
    def stored(self) -> DType:
        """The type that operands have in memory."""
        return self.operand_dtype or self.dtype

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Extents (B, M, N, K) of the four groups."""
        groups = (self.batch, self.rows, self.columns, self.inner)
        batch, m, n, k = (math.prod(axis.extent for axis in group) for group in groups)
        return batch, m, n, k

    def transposed(self) -> Contraction:
        """The same sums with A and B, and rows and columns, in each other's place."""

        def swapped(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
            return tuple(Axis(axis.extent, axis.b, axis.a) for axis in axes)

        return Contraction(
            swapped(self.batch),
            swapped(self.columns),
            swapped(self.rows),
            swapped(self.inner),
            self.dtype,
            self.b_offset,
            self.a_offset,
            self.operand_dtype,
        )

    def normalized(self) -> Contraction:
        """Without axes of extent 1, neighbours merged, the shortest stride of K innermost.

        Flattened batch, row and column numbers stay what they were.
        """
        inner = sorted(self.inner, key=lambda axis: -abs(axis.a) - abs(axis.b))
        return replace(
            self,
            batch=merge_axes(self.batch),
            rows=merge_axes(self.rows),
            columns=merge_axes(self.columns),
            inner=merge_axes(inner),
        )


def without_columns(contraction: Contraction, count: int) -> Contraction:
    """The contraction without its last columns, which are one axis if there are any to leave."""
    if not count:
        return contraction
    (columns,) = contraction.columns
    return replace(contraction, columns=(replace(columns, extent=columns.extent - count),))


def merge_axes(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Axes in the same order, neighbours merged where both operands allow it."""
    merged: list[Axis] = []
    for axis in axes:
        if axis.extent == 1:
            continue
        outer = merged[-1] if merged else None
        if outer and (outer.a, outer.b) == (axis.a * axis.extent, axis.b * axis.extent):
            merged[-1] = Axis(outer.extent * axis.extent, axis.a, axis.b)
        else:
            merged.append(axis)
    return tuple(merged)


def a_spans(axes: Sequence[Axis]) -> tuple[Span, ...]:
    """Axes as A alone sees them: more of them merge than for both operands."""
    merged = merge_axes([Axis(axis.extent, axis.a, axis.a) for axis in axes])
    return tuple(Span(axis.extent, axis.a) for axis in merged) or (Span(1, 1),)


def b_spans(axes: Sequence[Axis]) -> tuple[Span, ...]:
    merged = merge_axes([Axis(axis.extent, axis.b, axis.b) for axis in axes])
    return tuple(Span(axis.extent, axis.b) for axis in merged) or (Span(1, 1),)


def is_affine(spans: tuple[Span, ...]) -> bool:
    return len(spans) == 1


def has_unit_stride(spans: tuple[Span, ...]) -> bool:
    return spans[-1].stride == 1
