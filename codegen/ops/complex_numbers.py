"""Complex numbers as pairs of real ones: three primitives, and every other operation by parts.

``complex(re, im)``, ``real(z)`` and ``imag(z)`` are the nodes that know complex values, and
``as_real(z)``, its memory: the parts along a last axis of 2. ``make`` asks here for the node of any
other operation that has a complex input, and gets ``complex`` of what the parts make; a part of a
pair is known at once. So complex nodes stay at parameters, outputs and calls alone, and
graph/complex_parts.py takes those away. What functions of one variable compute stands in
complex_functions.py.

A gradient is dL/dre + i dL/dim, as in PyTorch: what differentiating the parts gives.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NoReturn

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir import node as ir
from codegen.ir.node import Node, TensorType, make
from codegen.ops import elementwise as ew
from codegen.ops import leaves
from codegen.ops.indexing import concatenate
from codegen.ops.leaves import constant_value
from codegen.ops.movement import pad_to, reshape, slice_
from codegen.ops.registry import OPERATIONS, Operation, register

Attributes = tuple[Hashable, ...]
Rule = Callable[[tuple[Node, ...], Attributes], Node]


# ---- the primitives ------------------------------------------------------------------------------


def _never(*_: Any) -> NoReturn:
    raise AssertionError("complex nodes are replaced by their parts before anything runs")


def _infer_complex(inputs: tuple[Node, ...]) -> TensorType:
    real, imaginary = inputs
    if real.shape != imaginary.shape or real.dtype is not imaginary.dtype:
        raise ValueError(f"complex of {real.type} and {imaginary.type}")
    return TensorType(real.shape, dt.COMPLEX_OF[real.dtype])


def _infer_part(inputs: tuple[Node, ...]) -> TensorType:
    return TensorType(inputs[0].shape, dt.HALF_OF_COMPLEX[inputs[0].dtype])


def _infer_as_real(inputs: tuple[Node, ...]) -> TensorType:
    return TensorType((*inputs[0].shape, 2), dt.HALF_OF_COMPLEX[inputs[0].dtype])


COMPLEX = register(
    Operation("complex", "elementwise", _infer_complex, _never, lambda node, g: (real(g), imag(g)))
)
REAL = register(
    Operation(
        "real", "elementwise", _infer_part, _never,
        lambda node, g: (complex_(g, ew.full_like(g, 0)),),
    )
)  # fmt: skip
IMAG = register(
    Operation(
        "imag", "elementwise", _infer_part, _never,
        lambda node, g: (complex_(ew.full_like(g, 0), g),),
    )
)  # fmt: skip
AS_REAL = register(
    Operation("as_real", "as_real", _infer_as_real, _never, lambda node, g: (as_complex(g),))
)


def complex_(re: Node, im: Node) -> Node:
    """re + i im, of two float32 or float64 nodes of one shape."""
    if re.operation is REAL and im.operation is IMAG and re.inputs == im.inputs:
        return re.inputs[0]
    return make(COMPLEX, (re, im), ())


def real(z: Node) -> Node:
    """The real part; of a real node itself."""
    return make(REAL, (z,), ()) if z.dtype.kind == "complex" else z


def imag(z: Node) -> Node:
    """The imaginary part; of a real node 0."""
    return make(IMAG, (z,), ()) if z.dtype.kind == "complex" else ew.full_like(z, 0)


def parts(z: Node) -> tuple[Node, Node]:
    """Real and imaginary part."""
    return real(z), imag(z)


def as_real(z: Node) -> Node:
    """The parts side by side, along a last axis of 2: the memory of complex numbers."""
    return make(AS_REAL, (z,), ())


def as_complex(pairs: Node) -> Node:
    """The complex numbers whose parts lie along the last axis."""
    if pairs.operation is AS_REAL:
        return pairs.inputs[0]
    return complex_(_half(pairs, 0), _half(pairs, 1))


def _half(pairs: Node, number: int) -> Node:
    shape = pairs.shape[:-1]
    starts = [0] * len(shape) + [number]
    return reshape(slice_(pairs, starts, (*shape, 1), [1] * len(pairs.shape)), shape)


def interleaved(re: Node, im: Node) -> Node:
    """Two parts along a last axis of 2; what they were taken from, where that is known."""
    source = _source_of_half(re, 0)
    if source is not None and source is _source_of_half(im, 1):
        return source
    shape = (*re.shape, 1)
    return concatenate([reshape(re, shape), reshape(im, shape)], len(re.shape))


def _source_of_half(part: Node, number: int) -> Node | None:
    cut = part.inputs[0] if part.operation.name == "reshape" else part
    if cut.operation.name != "slice":
        return None
    (pairs,) = cut.inputs
    if pairs.shape != (*part.shape, 2) or _half(pairs, number) is not part:
        return None
    return pairs


def conj(z: Node) -> Node:
    """The complex conjugate; a real node itself."""
    if z.dtype.kind != "complex":
        return z
    return complex_(real(z), ew.neg(imag(z)))


def accumulated(x: Node, y: Node) -> Node:
    """The sum of two cotangents, without additions of the zeros that one part alone leaves."""
    if x.dtype.kind != "complex":
        return ew.add(x, y)
    (a, b), (c, d) = parts(x), parts(y)
    return complex_(_plus(a, c), _plus(b, d))


def _plus(x: Node, y: Node) -> Node:
    return y if constant_value(x) == 0 else x if constant_value(y) == 0 else ew.add(x, y)


# ---- rules ---------------------------------------------------------------------------------------

# What an operation makes of inputs of which one is complex, by its name.
RULES: dict[str, Rule] = {}
# Operations that take complex values as they are.
_WHOLE = frozenset(["mark", "detach", "call", "gradient", "tangent", "real", "imag", "as_real"])
_NAMES = {"complex64": "ComplexFloat", "complex128": "ComplexDouble"}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule for operations of these names."""

    def enter(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return enter


def _on_complex(operation: Operation, inputs: tuple[Node, ...], attributes: Attributes) -> Any:
    """The node of an operation on complex inputs; None for the node as it is."""
    name = operation.name
    if name in _WHOLE:
        pair = inputs[0]
        if pair.operation is not COMPLEX:
            return None
        if name == "real":
            return pair.inputs[0]
        if name == "imag":
            return pair.inputs[1]
        return interleaved(*pair.inputs) if name == "as_real" else None
    found = RULES.get(name)
    if found is None:
        kind = next(x.dtype for x in inputs if x.dtype.kind == "complex")
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{_NAMES[kind.name]}'")
    return found(inputs, attributes)


ir.on_complex.append(_on_complex)


def _by_parts(*numbers: int) -> Callable[[str], None]:
    """An operation that does the same to both parts: of the inputs of these numbers."""

    def enter(name: str) -> None:
        def apply(inputs: tuple[Node, ...], attributes: Attributes) -> Node:
            made = []
            for part in (real, imag):
                chosen = [part(x) if i in numbers else x for i, x in enumerate(inputs)]
                made.append(make(OPERATIONS[name], tuple(chosen), attributes))
            return complex_(*made)

        RULES[name] = apply

    return enter


for _name in (
    "reshape", "permute", "slice", "skew", "unskew", "broadcast", "again", "kept", "cumsum", "neg"
):  # fmt: skip
    _by_parts(0)(_name)
for _name in ("pad", "write", "add", "sub"):
    _by_parts(0, 1)(_name)
_by_parts(0)("gather")
_by_parts(1, 2)("where")


@rule("scatter")
def _scatter(inputs: tuple[Node, ...], attributes: Attributes) -> Node:
    base, index, updates = inputs
    mode = attributes[0]
    if mode not in ("add", "set"):
        raise NotImplementedError(
            f"\"scatter_{mode}_cpu\" not implemented for '{_NAMES[base.dtype.name]}'"
        )
    operation = OPERATIONS["scatter"]
    made = [make(operation, (p(base), index, p(updates)), attributes) for p in (real, imag)]
    return complex_(*made)


@rule("cast")
def _cast(inputs: tuple[Node, ...], attributes: Attributes) -> Node:
    ((re, im), (dtype,)) = parts(inputs[0]), attributes
    assert isinstance(dtype, DType)
    if dtype is dt.bool_:
        return ew.or_(ew.cast(re, dtype), ew.cast(im, dtype))
    return ew.cast(re, dtype)


@rule("eq")
def _eq(inputs: tuple[Node, ...], _: Attributes) -> Node:
    (a, b), (c, d) = map(parts, inputs)
    return ew.and_(ew.eq(a, c), ew.eq(b, d))


@rule("ne")
def _ne(inputs: tuple[Node, ...], _: Attributes) -> Node:
    (a, b), (c, d) = map(parts, inputs)
    return ew.or_(ew.ne(a, c), ew.ne(b, d))


@rule("mul")
def _mul(inputs: tuple[Node, ...], _: Attributes) -> Node:
    (a, b), (c, d) = map(parts, inputs)
    re = ew.sub(ew.mul(a, c), ew.mul(b, d))
    return complex_(re, ew.add(ew.mul(a, d), ew.mul(b, c)))


@rule("sum")
def _sum(inputs: tuple[Node, ...], attributes: Attributes) -> Node:
    """Of a product each of its two terms apart: four products of matrices."""

    def total(x: Node) -> Node:
        terms = x.inputs
        if x.operation.name in ("add", "sub") and all(t.operation.name == "mul" for t in terms):
            sums = tuple([make(OPERATIONS["sum"], (t,), attributes) for t in terms])
            return make(x.operation, sums, ())
        return make(OPERATIONS["sum"], (x,), attributes)

    re, im = parts(inputs[0])
    return complex_(total(re), total(im))


@rule("prod")
def _prod(inputs: tuple[Node, ...], attributes: Attributes) -> Node:
    """Halves multiplied, and halves of that."""
    (x,), (axes,) = inputs, attributes
    assert isinstance(axes, tuple)
    for axis in reversed(axes):
        x = _product_along(x, axis)
    return x


def _product_along(x: Node, axis: int) -> Node:
    shape = x.shape
    rest = (*shape[:axis], *shape[axis + 1 :])

    def cut(start: int, size: int) -> Node:
        starts, sizes = [0] * len(shape), list(x.shape)
        starts[axis], sizes[axis] = start, size
        return slice_(x, starts, sizes, [1] * len(shape))

    if not shape[axis]:
        return make(OPERATIONS["broadcast"], (leaves.constant(1, x.dtype),), (rest, ()))
    while x.shape[axis] > 1:
        half = x.shape[axis] // 2
        joined = ew.mul(cut(0, half), cut(half, half))
        if x.shape[axis] % 2:
            last = cut(2 * half, 1)
            ones = _with_extent(last, axis, half)
            joined = ew.mul(joined, ones)
        x = joined
    return reshape(x, rest)


def _with_extent(last: Node, axis: int, size: int) -> Node:
    """One element along an axis, followed by ones."""
    shape = list(last.shape)
    shape[axis] = size
    one = leaves.constant(1, last.dtype)
    return pad_to(last, shape, [0] * len(shape), [1] * len(shape), one)


@rule("cumprod")
def _cumprod(inputs: tuple[Node, ...], attributes: Attributes) -> Node:
    """Products over ever longer stretches."""
    (x,), (axis,) = inputs, attributes
    assert isinstance(axis, int)
    length, extent = 1, x.shape[axis]
    unit = [1] * len(x.shape)
    while length < extent:
        sizes, starts = list(x.shape), [0] * len(x.shape)
        sizes[axis], starts[axis] = extent - length, length
        kept = slice_(x, [0] * len(sizes), sizes, unit)
        x = ew.mul(x, pad_to(kept, x.shape, starts, unit, leaves.constant(1, x.dtype)))
        length *= 2
    return x


__all__ = [
    "AS_REAL", "COMPLEX", "IMAG", "REAL", "RULES", "accumulated", "as_complex", "as_real",
    "complex_", "conj", "imag", "interleaved", "parts", "real", "rule",
]  # fmt: skip
