"""Writes that PyTorch refuses: to leaves, inference tensors and views of unknown history."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lazytorch import levels
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.recording import untracked
from lazytorch.storage import note_born
from lazytorch.view_history import CANNOT_WRITE, is_restricted, refusal

if TYPE_CHECKING:
    from lazytorch.expression import Expression
    from lazytorch.geometry import Geometry
    from lazytorch.storage import Storage

_CAPTURED = (
    "During a grad (vjp, jvp, grad, etc) transform, the function provided attempted to call "
    "in-place operation (aten::{}) that would mutate a captured Tensor. This is not supported; "
    "please rewrite the function being transformed to explicitly accept the mutated Tensor(s) as "
    "inputs."
)
_LEAF = "a leaf Variable that requires grad is being used in an in-place operation."


def _running_operation() -> str:
    """PyTorch's name of the operation in place that is running."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_name.removeprefix("_")
        if name in ("add_", "sub_", "mul_", "div_"):
            return str(name) + ".Tensor"
        if name == "fill_":
            return "fill_.Scalar"
        if name.endswith("_") and not name.endswith("__"):
            return str(name)
        frame = frame.f_back
    return "copy_"


class WriteRefusals:
    """The part of ``Tensor`` that raises PyTorch's errors of writes that are forbidden."""

    if TYPE_CHECKING:
        # What Tensor has besides.
        _storage: Storage
        _geometry: Geometry | None

        def __getattr__(self, name: str) -> Any: ...

    def _is_source(self) -> bool:
        """Whether gradients are being taken by this: what torch.func gives a function."""
        kind = levels.state.sources.get(self._storage.expression, False)
        return self._geometry is None and kind == True  # noqa: E712  not FORWARD

    def _refuse_captured(self) -> None:
        """Raise where a derivative is under way whose function was not given this, nor made it."""
        derivative = levels.state.derivative
        if derivative is None:
            return
        note_born()
        if not (self._silent or derivative.has_made(self._storage)):
            raise RuntimeError(_CAPTURED.format(_running_operation()))
        if grad_state.enabled and self._is_source():
            raise self._leaf_error()

    def _refuse_changed(self) -> None:
        if self._made_at != self._storage.version and grad_state.enabled:
            if self._is_leaf() and not self._root().requires_grad:
                return  # a leaf of its own: PyTorch makes no node of it anew
            raise refusal(self, indirect=True)

    def _is_refused_inference_write(self, recording: bool) -> bool:
        """Whether an inference tensor must not be written to: outside inference mode."""
        recorded_leaf = recording and self._geometry is None and self.requires_grad
        # That has an error of its own.
        return not (grad_state.inference or recorded_leaf or self._counts_writes)

    def _write_refused(self, value: Expression) -> None:
        """Write to an inference tensor and raise: in that order, as PyTorch does."""
        self._counts_writes = True
        try:
            self._write(untracked(value) if value.tracked else value)
        finally:
            del self._counts_writes
        raise RuntimeError(CANNOT_WRITE)

    def _refuse_before(self, tracked: bool) -> None:
        """Before another error of a write: PyTorch asks first whether it is allowed at all."""
        if grad_state.enabled:
            self._refuse_recorded_write(self._storage.expression, tracked)

    def _refuse_unknown_history(self) -> None:
        """Of a view, before it is read in order to be written to: reading it makes its node, and
        PyTorch refuses the write where it had none."""
        if self._has_node or not grad_state.enabled:
            return
        if self._storage.expression.tracked or self._is_of_later_history():
            self._refuse_recorded_write(self._storage.expression)

    def _is_of_later_history(self) -> bool:
        """Of a view of an alias that got a history of its own: whether that came after the view,
        and nothing has made its node since."""
        parent = self._parent
        if self._has_node or parent is None or parent._marker is None or self._marker is not None:
            return False
        return not (self._without_recording or parent._is_leaf())

    def _refuse_recorded_write(self, before: Expression, tracked: bool = False) -> None:
        """Raise PyTorch's error where a recorded write (of a ``tracked`` value) is forbidden."""
        may_be_refused = self._source is not None or self._of_function is not None
        if (may_be_refused or self._refused_write is not None) and (tracked or self.requires_grad):
            if is_restricted(self):
                raise refusal(self)
            if self._refused_write is not None:
                raise RuntimeError(self._refused_write)
        if before.tracked and self._connected:
            self._refuse_leaf_write(before, tracked)
            return
        with_history = self if self._marker is not None else self._parent
        if with_history is None or not with_history._has_marker():
            return
        if with_history._is_leaf():
            raise self._leaf_error()
        if self._is_of_later_history():
            raise RuntimeError(_LEAF)

    def _leaf_error(self) -> RuntimeError:
        """The refusal of a recorded write to a leaf, or to a view of what is one."""
        kind = "a view of a leaf" if self._source is not None and self._root().is_leaf else "a leaf"
        return RuntimeError(
            f"{kind} Variable that requires grad is being used in an in-place operation."
        )

    def _refuse_leaf_write(self, before: Expression, tracked: bool) -> None:
        if self._geometry is not None and not tracked and not self._follows(before):
            return
        if self._geometry is not None and before.leaf is not None:
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place "
                "operation."
            )
        if self._geometry is not None and not self._has_node and not self._without_recording:
            # Made before its base had a history, which PyTorch has not told it of.
            raise RuntimeError(_LEAF)
        if before.leaf is not None and before.leaf() is self:
            raise RuntimeError(_LEAF)
