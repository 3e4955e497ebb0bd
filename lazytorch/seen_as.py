"""Memory seen as other numbers: complex ones as pairs of real ones and back, conjugated, negated.

A tensor whose element type is not that of its storage's value has a geometry that counts its own
elements: ``z.real`` steps over every second one of the memory of ``z``.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.dtype import DType
from codegen.ir.node import Shape
from codegen.ops.strided import contiguous_strides
from lazytorch import core
from lazytorch.expression import Attributes, Expression
from lazytorch.geometry import Geometry
from lazytorch.recording import record


def _changed(value: Expression, view: Geometry) -> Expression:
    """The numbers that a view shows of those that lie there; and back."""
    if view.conjugated:
        (value,) = record(core.CONJ, (value,), (), value.tracked)
    if view.negated:
        (value,) = record(core.NEG, (value,), (), value.tracked)
    return value


def _typed(value: Expression, dtype: DType, shape: Shape | None) -> Expression:
    """The whole of a value as real or complex numbers: of a ``shape``, or (..., 2) and (n,)."""
    if dtype is value.type.dtype:
        return value
    if dtype.is_complex:
        size = (value.type.size // 2,) if shape is None else shape
        return record(core.AS_COMPLEX, (value,), (size,), value.tracked)[0]
    seen = record(core.AS_REAL, (value,), (), value.tracked)[0]
    if shape is None or shape == seen.type.shape:
        return seen
    place = (shape, contiguous_strides(shape), 0)
    return record(core.VIEW, (seen,), place, value.tracked)[0]


def seen_as(
    value: Expression, of: Geometry | None, dtype: DType, view: Geometry | None,
    shape: Shape | None = None,
) -> Expression:  # fmt: skip
    """The whole of what one view shows as another shows it; None for one is the memory itself."""
    if dtype is value.type.dtype and _changes(of) == _changes(view):
        return value
    seen = _typed(value if of is None else _changed(value, of), dtype, shape)
    return seen if view is None else _changed(seen, view)


def _changes(view: Geometry | None) -> tuple[bool, bool]:
    return (False, False) if view is None else (view.conjugated, view.negated)


def read_view(
    value: Expression, of: Geometry | None, dtype: DType, view: Geometry,
    places: Sequence[Attributes], tracked: int,
) -> Expression:  # fmt: skip
    """What a view of elements of this type shows, of a value that another view shows (None: the
    memory): it lies there at the one place, or at each in the copy of the one before."""
    shown = seen_as(value, of, dtype, view)
    for place in places:
        (shown,) = record(core.VIEW, (shown,), place, tracked)
    within = shown.call
    while within is not None and (inner := within.inputs[0]) is not value:
        within = inner.call
        if within is not None:
            within.via = None  # all of this is the one view
    return shown


def written_view(
    base: Expression, of: Geometry | None, value: Expression, view: Geometry, place: Attributes,
    tracked: int,
) -> Expression:  # fmt: skip
    """What another view shows (None: the memory), with a value where this one lies in it."""
    whole = seen_as(base, of, value.type.dtype, view)
    made = record(core.WRITE_VIEW, (whole, value), place, tracked)[0]
    return seen_as(made, view, base.type.dtype, of, base.type.shape)
