"""The histories of views: what they are views of, and what is forbidden as ambiguous."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from lazytorch.expression import hooks_of
from lazytorch.freed import inputs_of

if TYPE_CHECKING:
    from lazytorch.expression import Expression
    from lazytorch.geometry import Geometry
    from lazytorch.tensor import Tensor

_DIRECTLY = "is being modified inplace"
_INDIRECTLY = "its base or another view of its base has been modified inplace"
ONE_OF_SEVERAL = (
    "This view is the output of a function that returns multiple views. Such functions do not "
    "allow the output views to be modified inplace. You should replace the inplace operation by an "
    "out-of-place one."
)
OF_FUNCTION = (
    "This view was created inside a custom Function (or because an input was returned as-is) and "
    "the autograd logic to handle view+inplace would override the custom backward associated with "
    "the custom Function, leading to incorrect gradients. This behavior is forbidden. You can fix "
    "this by cloning the output of the custom Function."
)
_AMBIGUOUS = (
    "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your "
    "code by moving both the view and the inplace either both inside the no_grad block (if you "
    "don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked)."
)
_AMBIGUOUS_IN_INFERENCE = _AMBIGUOUS.replace("no_grad", "inference_mode")
CANNOT_SAVE = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in "
    "inference mode in computation tracked by autograd. To work around this, you can make a clone "
    "to get a normal tensor and use it in autograd, or use `torch.no_grad()` instead of "
    "`torch.inference_mode()`."
)
CANNOT_WRITE = (
    "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone "
    "to get a normal tensor before doing inplace update.See "
    "https://github.com/pytorch/rfcs/pull/17 for more details."
)
CANNOT_REQUIRE = (
    "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
)
CANNOT_DETACH = (
    "Can't detach views in-place. Use detach() instead. If you are using "
    "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is set "
    "as True, gradients are views of DDP buckets, and hence detach_() cannot be "
    "called on these gradients. To fix this error, please refer to the "
    "Optimizer.zero_grad() function in torch/optim/optimizer.py as the solution."
)


def is_restricted(x: Any) -> bool:
    """Whether a view is one of several that a function made, or was made without recording, or by
    a user's Function."""
    return x._one_of is not None or x._without_recording or x._of_function is not None


class RefusedView(RuntimeError):
    """A view whose history is forbidden; an operation that has no gradient may read it."""


# PyTorch's users see a RuntimeError.
RefusedView.__name__ = RefusedView.__qualname__ = "RuntimeError"


def refusal(x: Any, indirect: bool = False) -> RuntimeError:
    """The error of a recorded write to such a view or (``indirect``) to what it shows."""
    return RefusedView(_refusal(x, indirect))


def _refusal(x: Tensor, indirect: bool) -> str:
    how = _INDIRECTLY if indirect else _DIRECTLY
    if x._one_of is not None and not x._without_recording and x._has_node:
        name, number, _ = x._one_of
        return f"Output {number} of {name} is a view and {how}. {ONE_OF_SEVERAL}"
    if x._of_function is not None and not x._without_recording:
        name, number, why = x._of_function
        return f"Output {number} of {name} is a view and {how}. {why}"
    if x._in_inference:
        return (
            f"A view was created in inference mode and {how} in normal mode. "
            f"{_AMBIGUOUS_IN_INFERENCE}"
        )
    unrecorded = x._without_recording and not x._of_unrecorded
    why = _AMBIGUOUS if x._one_of is None or unrecorded else ONE_OF_SEVERAL
    if x._of_function is not None:
        why = x._of_function[2]
    return f"A view was created in no_grad mode and {how} with grad mode enabled. {why}"


def refusal_of_inner(name: str, number: int = 0) -> str:
    """Why a recorded write is refused of a view, made by ``name``, of a view made under no_grad."""
    return (
        f"Output {number} of {name} is a view of a view which was created in no_grad mode and "
        f"{_DIRECTLY} with grad mode enabled. {_AMBIGUOUS}"
    )


class _Views:
    """``watched``: whether a view ever got a hook, which views of it have to pass."""

    watched = False


views = _Views()


def viewed(e: Expression) -> Expression:
    """The storage's value that a view's value is a view of."""
    while (call := e.call) is not None and hasattr(call, "via"):
        e = inputs_of(call)[0]
    return e


class ViewOrigin:
    """A view that others were made from, as the graph remembers it: that keeps no storage alive,
    whose value would have to be stored for nobody.

    view     the view itself, while somebody holds it; ``dtype`` is that of its elements.
    source   what it was made from, where that is a view; None of a storage as a whole.
    siblings  of one of several views: what they share as outputs of one node; or None.
    watched  the view's values that backward is to find.
    within   where it lies in a contiguous copy of its source, where that overlaps itself.
    """

    __slots__ = ("dtype", "geometry", "name", "siblings", "source", "view", "watched", "within")

    def __init__(self, x: Tensor, geometry: Geometry, source: ViewOrigin | None) -> None:
        if x._watched is None:
            x._watched = []
        self.view = weakref.ref(x)
        self.geometry, self.dtype = geometry, x._type.dtype
        self.name = x._view_name
        self.source = source
        self.siblings = None if x._one_of is None else x._one_of[2]
        self.watched = x._watched
        self.within = x._place_in_source()

    def value(self, value: Expression) -> Expression | None:
        """The view's own value where the storage's was ``value``; None where none is known."""
        for e in self.watched:
            if viewed(e) is value:
                return e
        x = self.view()
        cached = None if x is None else x._view_cache
        return cached[1] if cached is not None and cached[0] is value else None


def origin_of(x: Tensor | None) -> ViewOrigin | None:
    """How the graph remembers a view; None of what shows a storage as a whole."""
    chain = []
    found = None
    while x is not None and (geometry := x._geometry) is not None:
        found = x._origin
        # Since what it shows was written to, it is a view of the storage as a whole.
        is_current = x._made_at == x._storage.version
        known = found is not None and found.geometry is geometry
        if found is not None and known and (is_current or found.source is None):
            break
        found = None
        chain.append((x, geometry))
        x = x._source if is_current else None
    for x, geometry in reversed(chain):
        found = x._origin = ViewOrigin(x, geometry, found)
    return found


def watch(x: Tensor, e: Expression) -> None:
    """Let backward find a value of this view on the way of views that were made from it."""
    if x._geometry is not None and x._marker is None:
        watched = x._watched
        if watched is None:
            watched = x._watched = []
        if e not in watched:
            watched.append(e)
        views.watched = True


def forget_retained(x: Tensor) -> None:
    """Let a view keep no gradient of the values that it had."""
    for old in x._watched or ():
        if old.hooks is not None and old.hooks.retained_by is not None:
            old.hooks.retained_by = None


def retain_by(x: Tensor, e: Expression) -> None:
    """Let a tensor keep the gradient of its present value. A view has kept that of its value
    before what it shows was written to: the gradient kept is the view's, as its hooks are not."""
    forget_retained(x)
    hooks_of(e).retained_by = weakref.ref(x)
    watch(x, e)


def retain_new_value(before: Expression, after: Expression) -> None:
    """Keep the gradient of what was written in place, also through a view, in the stead of what was
    there."""
    if before.hooks is not None and before.hooks.retained_by is not None:
        hooks_of(after).retained_by = before.hooks.retained_by
        before.hooks.retained_by = None
