"""The functions that Tensor itself is made with: views, writes through views, casts, marks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from codegen.dtype import DType
from codegen.ir.node import Node, Shape
from codegen.ops import complex_numbers as cn
from codegen.ops import elementwise as ew
from codegen.ops import moved_views, strided
from codegen.ops.calls import call, detach
from codegen.ops.moved_views import Region, region
from codegen.ops.movement import inverse_order, permute, reshape
from codegen.ops.reduction import broadcast
from lazytorch.expression import Attributes, Body, Function, Signature, Types, trace_conditions


class ViewFunction(Function):
    """A view, or a write through one: its attributes are a shape, strides and an offset; and the
    order in which the axes of its base lie in memory, where that says more than strides of the
    base's rows can.

    ``moved`` does the same at a place that arguments say: its inputs are this one's and the starts
    that its region, the only attribute, leaves open.
    """

    __slots__ = ("moved",)

    def __init__(self, name: str, body: Body, moved: Function, gradient_name: str) -> None:
        super().__init__(name, body, gradient_name=gradient_name)
        self.moved = moved

    def signature(self, input_types: Types, attributes: Attributes) -> Signature:
        found = self.signatures.get((input_types, attributes))
        if found is not None:
            return found
        if len(attributes) > 3:  # of memory in another order than its value's
            return super().signature(input_types, attributes)
        shape, strides, offset = attributes
        part = region(input_types[0].shape, shape, strides, offset)
        if part is None:
            return super().signature(input_types, attributes)
        form = (self, input_types, part.at([None] * len(part.starts)), trace_conditions())
        known = _forms.get(form)
        if known is None:
            found = Signature(self, input_types, attributes)
            known = _forms[form] = (len(_forms), found.output_types)
        else:
            # At another place: that it can be traced is known, and mostly nobody asks for it.
            found = Signature(self, input_types, attributes, known[1])
        if len(self.signatures) >= _MOST_PLACES:  # a program that reads everywhere
            self.signatures.clear()
        self.signatures[input_types, attributes] = found
        found.region, found.form = part, known[0]
        return found


# The forms that views have, but for where they begin: a number, and the types of outputs.
_forms: dict[Hashable, tuple[int, Types]] = {}
_MOST_PLACES = 10_000


def _call_of(function: Function, inputs: Sequence[Node], part: Region) -> Node:
    return call(function.signature(tuple([i.type for i in inputs]), (part,)).template, inputs, 0)


def _by(adjoint: Callable[[], Function]) -> Callable[..., Sequence[Node | None]]:
    """A gradient rule: the cotangent through the adjoint, at the same starts."""

    def rule(
        inputs: Sequence[Node],
        _outputs: Sequence[Node],
        cotangents: Sequence[Node | None],
        part: Region,
    ) -> Sequence[Node | None]:
        (g,) = cotangents
        starts = inputs[1:]
        given = None if g is None else _call_of(adjoint(), (g, *starts), part)
        return given, *[None for _ in starts]

    return rule


VIEW_AT = Function("view_at", moved_views.view_at, gradient=_by(lambda: PLACE_AT))
PLACE_AT: Function = Function("place_at", moved_views.place_at, gradient=_by(lambda: VIEW_AT))
WRITE_VIEW_AT = Function("copy_slices_at", moved_views.write_view_at)


def _view(base: Node, shape: Shape, strides: Shape, offset: int, *order: Shape) -> Node:
    base = permute(base, order[0]) if order else base
    return strided.view(base, shape, strides, offset)


def _write_view(
    base: Node, value: Node, shape: Shape, strides: Shape, offset: int, *order: Shape
) -> Node:
    if not order:
        return strided.write_view(base, value, shape, strides, offset)
    written = strided.write_view(permute(base, order[0]), value, shape, strides, offset)
    return permute(written, inverse_order(order[0]))


VIEW = ViewFunction("view", _view, VIEW_AT, "ViewBackward0")
WRITE_VIEW = ViewFunction("copy_slices", _write_view, WRITE_VIEW_AT, "torch::autograd::CopySlices")
DETACH = Function("detach", detach)
IDENTITY = Function("clone", lambda x: ew.cast(x, x.dtype), gradient_name="CloneBackward0")
# What a derivative is taken by: a value of its own to the graph, where PyTorch has an alias.
SOURCE = Function("source", lambda x: ew.cast(x, x.dtype), gradient_name="ViewBackward0")
# A result of a derivative, from which less history is left.
ALIAS = Function("alias", lambda x: ew.cast(x, x.dtype), gradient_name="AliasBackward0")


def _as_complex(pairs: Node, shape: Shape) -> Node:
    return reshape(cn.as_complex(reshape(pairs, (pairs.type.size // 2, 2))), shape)


# All of a memory as a view sees it that shows numbers of another kind (seen_as.py).
AS_REAL = Function("view_as_real", lambda z: cn.as_real(z), gradient_name="ViewAsRealBackward0")
AS_COMPLEX = Function("view_as_complex", _as_complex, gradient_name="ViewAsComplexBackward0")
CONJ = Function("conj", cn.conj)
NEG = Function("neg_view", ew.neg, gradient_name="NegViewBackward0")
# What PyTorch has no memory of its own for: what is written there is written to the other.
ALIASES = (VIEW, AS_REAL, AS_COMPLEX, CONJ, NEG, DETACH, SOURCE)


def _cast(x: Node, dtype: DType) -> Node:
    return ew.cast(x, dtype)


CAST = Function("to_copy", _cast, gradient_name="ToCopyBackward0")


def _new_value(value: Node, _old: Node) -> Node:
    return value


def _to_old_value(
    _inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Sequence[Node | None]
) -> Sequence[Node | None]:
    return None, cotangents[0]


# A write under no_grad changes the value, while the gradient still flows to what was there.
REPLACE_VALUE = Function("replace_value", _new_value, gradient=_to_old_value)


def _to_new_value(
    _inputs: Sequence[Node], _outputs: Sequence[Node], cotangents: Sequence[Node | None]
) -> Sequence[Node | None]:
    return cotangents[0], None


# A recorded write over everything: what was there gets a gradient of zero.
OVERWRITE = Function(
    "overwrite",
    _new_value,
    gradient=_to_new_value,
    gradient_name="torch::autograd::CopyBackwards",
)


def broadcast_to(x: Node, shape: Shape) -> Node:
    """Right-aligned broadcasting, as NumPy's: missing and unit axes repeat."""
    if x.shape == shape:
        return x
    first = len(shape) - len(x.shape)
    kept = [i for i, n in enumerate(x.shape) if n == shape[first + i]]
    if first < 0 or any(n != 1 for i, n in enumerate(x.shape) if i not in kept):
        raise RuntimeError(
            f"The expanded size of the tensor ({list(shape)}) must match the existing size "
            f"({list(x.shape)})"
        )
    core = x if len(kept) == len(x.shape) else _squeeze(x, kept)
    return broadcast(core, shape, [first + i for i in kept])


def _squeeze(x: Node, kept: Sequence[int]) -> Node:
    return reshape(x, [x.shape[i] for i in kept])


def _custom_values(*inputs: int | Node) -> Sequence[Node]:
    *nodes, count = inputs
    assert isinstance(count, int)
    return nodes[:count]  # type: ignore[return-value]


def _never_through(
    inputs: Sequence[Node], *_: int | Sequence[Node | None]
) -> Sequence[Node | None]:
    return [None] * len(inputs)


# What a user's Function made: its values, then the inputs that a gradient may reach. Backward calls
# the Function; the compiler lets no gradient through.
CUSTOM = Function("custom_function", _custom_values, gradient=_never_through)
