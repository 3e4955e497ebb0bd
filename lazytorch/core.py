"""The functions that Tensor itself is made with: views, writes through views, casts, marks."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.dtype import DType
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops import strided
from codegen.ops.calls import detach
from codegen.ops.movement import reshape
from codegen.ops.reduction import broadcast
from lazytorch.expression import Function

VIEW = Function("view", strided.view, gradient_name="ViewBackward0")
WRITE_VIEW = Function(
    "copy_slices", strided.write_view, gradient_name="torch::autograd::CopySlices"
)
DETACH = Function("detach", detach)
IDENTITY = Function("clone", lambda x: ew.cast(x, x.dtype), gradient_name="CloneBackward0")


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
