"""Comparisons of elements and of whole tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather
from codegen.ops.leaves import constant
from codegen.ops.movement import reshape
from codegen.ops.reduction import broadcast, max_, min_
from codegen.ops.sort import insertion_places, sort
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.families import Binary, binary
from lazytorch.functions.promotion import as_float, broadcast_together, promote, result_dtype
from lazytorch.functions.registration import SAME, operation
from lazytorch.levels import refuses_examples
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name


def _comparison(
    name: str, primitive: Callable[[Node, Node], Node], symbol: str, long_name: str
) -> Binary:
    documentation = f"input {symbol} other, element by element: a bool tensor."

    def body(x: Node, y: Node) -> Node:
        return primitive(*promote(x, y))

    return binary(name, body, documentation, (long_name,) if long_name else (), numbers="other")


eq = _comparison("eq", ew.eq, "==", "")
ne = _comparison("ne", ew.ne, "!=", "not_equal")
lt = _comparison("lt", ew.lt, "<", "less")
le = _comparison("le", ew.le, "<=", "less_equal")
gt = _comparison("gt", ew.gt, ">", "greater")
ge = _comparison("ge", ew.ge, ">=", "greater_equal")

# ---- closeness --------------------------------------------------------------------------------


def _everywhere(x: Node) -> Node:
    return min_(x, range(len(x.shape))) if x.type.size else constant(True, dt.bool_)


def _close(x: Node, y: Node, rtol: Node, atol: Node, equal_nan: bool) -> Node:
    """|x - y| <= atol + rtol * |y| where both are finite, else equality."""
    if x.dtype is not y.dtype:
        raise RuntimeError(f"{type_name(x.dtype)} did not match {type_name(y.dtype)}")
    dtype = as_float(x.dtype)
    a, b = broadcast_together(x, y)
    same = ew.eq(a, b)
    if equal_nan:
        same = ew.or_(same, ew.and_(ew.ne(a, a), ew.ne(b, b)))
    fa, fb = ew.cast(a, dtype), ew.cast(b, dtype)
    difference = ew.abs_(ew.sub(fa, fb))
    real = difference.dtype
    relative, absolute = (broadcast(ew.cast(n, real), fa.shape, ()) for n in (rtol, atol))
    allowed = ew.add(absolute, ew.mul(relative, ew.abs_(fb)))
    finite = ew.lt(difference, ew.full_like(difference, float("inf")))
    return ew.or_(same, ew.and_(finite, ew.le(difference, allowed)))


ISCLOSE = Function("isclose", _close)
ALLCLOSE = Function("allclose", lambda *inputs: _everywhere(_close(*inputs)))
EQUAL = Function("equal", lambda x, y: _everywhere(ew.eq(*promote(x, y))))


def _check_tolerances(name: str, input: Any, other: Any, rtol: float, atol: float) -> None:
    require_tensor(name, input)
    require_tensor(name, other, "other", 2)
    for text, value in (("rtol", rtol), ("atol", atol)):
        if value < 0:
            raise RuntimeError(f"{text} must be greater than or equal to zero, but got {value:g}")


@operation()
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Whether |input - other| <= atol + rtol * |other|, element by element."""
    _check_tolerances("isclose", input, other, rtol, atol)
    return apply_one(ISCLOSE, (input, other, float(rtol), float(atol)), (bool(equal_nan),))


@operation()
@refuses_examples(
    "vmap over torch.allclose isn't supported yet. Please file an issue at "
    "https://github.com/pytorch/pytorch/issues if you need this feature."
)
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether ``isclose`` holds everywhere; runs the graph."""
    _check_tolerances("allclose", input, other, rtol, atol)
    inputs = (input, other, float(rtol), float(atol))
    return bool(apply_one(ALLCLOSE, inputs, (bool(equal_nan),)).item())


@operation()
@refuses_examples(
    "Batching rule not implemented for aten::equal. We could not generate a fallback."
)
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and elements; runs the graph."""
    require_tensor("equal", input)
    require_tensor("equal", other, "other", 2)
    return input.shape == other.shape and bool(apply_one(EQUAL, (input, other)).item())


# ---- membership -------------------------------------------------------------------------------


# Among more than so many, an element is searched for rather than compared with each.
_MANY = 64


def _isin(elements: Node, tests: Node, invert: bool) -> Node:
    count = tests.type.size
    flat = reshape(tests, (count,))
    if not count:
        return ew.full_like(ew.eq(elements, elements), invert)
    common = result_dtype((elements, flat))
    elements, flat = ew.cast(elements, common), ew.cast(flat, common)
    if count > _MANY:
        ordered, _ = sort(flat, 0)
        place = insertion_places(ordered, elements, False)
        there = gather(ordered, ew.minimum(place, ew.full_like(place, count - 1)))
        found = ew.eq(there, elements)
    else:
        rank = len(elements.shape)
        shape = (*elements.shape, count)
        each = broadcast(elements, shape, range(rank)), broadcast(flat, shape, (rank,))
        found = max_(ew.eq(*each), (rank,))
    return ew.not_(found) if invert else found


ISIN = Function("isin", _isin)


@operation(method=False, out=SAME)
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each of ``elements`` is among ``test_elements`` (or, inverted, is not)."""
    for given in (elements, test_elements):
        if isinstance(given, Tensor) and given.dtype is dt.bool_:
            raise RuntimeError("Unsupported input type encountered for isin(): Bool")
    return apply_one(ISIN, (elements, test_elements), (bool(invert),))
