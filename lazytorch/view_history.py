"""The histories of views: what they are views of, and what is forbidden as ambiguous."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazytorch.expression import Expression
    from lazytorch.tensor import Tensor

_DIRECTLY = "is being modified inplace"
_INDIRECTLY = "its base or another view of its base has been modified inplace"
_ONE_OF_SEVERAL = (
    "This view is the output of a function that returns multiple views. Such functions do not "
    "allow the output views to be modified inplace. You should replace the inplace operation by an "
    "out-of-place one."
)
_AMBIGUOUS = (
    "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your "
    "code by moving both the view and the inplace either both inside the no_grad block (if you "
    "don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked)."
)


def is_restricted(x: Tensor) -> bool:
    """Whether a view is one of several that a function made, or was made without recording."""
    return x._one_of is not None or x._without_recording


def refusal(x: Tensor, indirect: bool = False) -> RuntimeError:
    """The error of a recorded write to such a view or (``indirect``) to what it shows."""
    how = _INDIRECTLY if indirect else _DIRECTLY
    if x._one_of is not None and not x._without_recording and x._storage.expression.tracked:
        name, number = x._one_of
        return RuntimeError(f"Output {number} of {name} is a view and {how}. {_ONE_OF_SEVERAL}")
    why = _AMBIGUOUS if x._one_of is None else _ONE_OF_SEVERAL
    return RuntimeError(
        f"A view was created in no_grad mode and {how} with grad mode enabled. {why}"
    )


def refusal_of_inner(name: str) -> str:
    """Why a recorded write is refused of a view, made by ``name``, of a view made under no_grad."""
    return (
        f"Output 0 of {name} is a view of a view which was created in no_grad mode and {_DIRECTLY} "
        f"with grad mode enabled. {_AMBIGUOUS}"
    )


class _Views:
    """``watched``: whether a view ever got a hook, which views of it have to pass."""

    watched = False


views = _Views()


def viewed(e: Expression) -> Expression:
    """The storage's value that a view's value is a view of."""
    while (call := e.call) is not None and call.inputs and hasattr(call, "via"):
        e = call.inputs[0]
    return e
