"""Tensor's autograd methods and properties: backward, grad, grad_fn, hooks."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from lazytorch import capture, levels, references
from lazytorch.autograd.backward import backward
from lazytorch.autograd.graph import Node, node_of_tensor
from lazytorch.autograd.walk import gradient_source
from lazytorch.expression import Hooks, hooks_of
from lazytorch.layout import strided
from lazytorch.leaves import keep
from lazytorch.recording import last_recorded
from lazytorch.tensor import UNREAD, Tensor
from lazytorch.type_names import c_name, type_name
from lazytorch.utils.hooks import RemovableHandle
from lazytorch.view_history import retain_by, watch


def _grad_fn(self: Tensor) -> Node | None:
    """What made this tensor, if a gradient flows through it; None for a leaf."""
    if not self.requires_grad or self.is_leaf:
        return None
    return node_of_tensor(self)


# ---- the value without the history ------------------------------------------------------------


def _get_data(self: Tensor) -> Tensor:
    """An alias without history, whose writes backward does not check for."""
    if levels.state.inside and levels.is_vmap_innermost():
        raise RuntimeError("accessing `data` under vmap transform is not allowed")
    return self._bare()


def _set_data(self: Tensor, new: Any) -> None:
    """Show another value from now on, of whatever type, with the same history and flags."""
    if levels.state.inside:
        where = "under vmap" if levels.is_vmap_innermost() else "inside functorch"
        raise RuntimeError(f"mutating directly with `.data` {where} transform is not allowed.")
    if not isinstance(new, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {_kind(new)}")
    if new.layout is not strided or new.is_meta != self.is_meta:
        raise RuntimeError(
            "Attempted to call `variable.set_data(tensor)`, but `variable` and `tensor` have "
            "incompatible tensor type."
        )
    tracked = self.requires_grad
    if tracked and not new.dtype.differentiable:
        raise RuntimeError(
            "data set to a tensor that requires gradients must be floating point or complex dtype"
        )
    storage = new._storage
    if references.count(storage) <= references.BY_NAME + 1:  # nobody else's: the count goes on
        storage.version = max(storage.version, self._storage.version)
    is_leaf = self._is_leaf()
    if tracked and not is_leaf and new._type.shape == self._type.shape:
        # Its gradient flows on to what it was computed from.
        history = self._read()
        if new._type != self._type:
            history = self.to(new.dtype)._read()
        _take(self, new)
        self._connected, self._marker = False, (UNREAD, history)
        return
    is_view = self._geometry is not None and self._marker is None
    if tracked and is_leaf and not is_view:  # a view's base goes on as it was
        self._forget_leaf()
    _take(self, new)
    # A value with a history of its own is taken without it.
    self._connected = new._geometry is None and not new._storage.expression.tracked
    if tracked and is_leaf:
        self._require_grad_()


def _take(self: Tensor, new: Tensor) -> None:
    self._storage, self._type = new._storage, new._type
    self._geometry, self._overlaps = new._geometry, new._overlaps
    self._view_cache = None


def _kind(x: Any) -> str:
    kind = type(x)
    outside = kind.__module__ not in ("builtins", "__main__")
    return f"{kind.__module__}.{kind.__name__}" if outside else kind.__name__


def _delete_data(self: Tensor) -> None:
    raise RuntimeError("Deleting tensor data is not allowed. Delete tensor instead!")


# ---- gradients --------------------------------------------------------------------------------


def _get_grad(self: Tensor) -> Tensor | None:
    found = self._grad
    if found is None and not self._retains_grad and self.requires_grad and not self._is_end():
        warnings.warn(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its "
            ".grad attribute won't be populated during autograd.backward(). If you indeed want the "
            ".grad field to be populated for a non-leaf Tensor, use .retain_grad() on the non-leaf "
            "Tensor. If you access the non-leaf Tensor by mistake, make sure you access the leaf "
            "Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more informations.",
            stacklevel=2,
        )
    return found


def _set_grad(self: Tensor, new: Any) -> None:
    if new is not None:
        if not isinstance(new, Tensor):
            raise TypeError(
                "assigned grad expected to be a Tensor or None but got grad of type "
                f"{type(new).__name__}"
            )
        if new is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if new.dtype is not self.dtype:
            raise RuntimeError(
                f"attempting to assign a gradient with dtype '{_type_text(new)}' to a tensor with "
                f"grad_dtype '{type_name(self.dtype)}'. The gradient must match the tensor's "
                "grad_dtype (defaults to the tensor's dtype). You can set the tensor's grad_dtype "
                "attribute with a specific dtype, or None to allow any dtype. Set grad_dtype with "
                "caution. "
                "Diverging the dtypes of a tensor and its gradient may break downstream systems "
                "that assume they match."
            )
        if new.device != self.device:
            raise RuntimeError(
                f"attempting to assign a gradient with device type '{new.device.type}' to a tensor "
                f"with device type '{self.device.type}'. Please ensure that the gradient and the "
                "tensor are on the same device"
            )
        if new._type.shape != self._type.shape:
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(new.shape)}' to a tensor of size "
                f"'{list(self.shape)}'. Please ensure that the gradient and the tensor are the "
                "same size"
            )
    if capture.state.active is not None:
        capture.state.active.note_grad(self)
    self._grad = new


def _type_text(x: Tensor) -> str:
    return c_name(x.dtype)


def _delete_grad(self: Tensor) -> None:
    if capture.state.active is not None:
        capture.state.active.note_grad(self)
    self._grad = None


def _backward(
    self: Tensor,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of this tensor into the ``.grad`` of the leaves it was made from."""
    backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def _register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Call ``hook`` with this tensor's gradient whenever it is computed; it may replace it."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self._is_leaf():
        if self._backward_hooks is None:
            self._backward_hooks = OrderedDict()
        functions = self._backward_hooks
        keep(self)
    else:
        functions = _hooks_of(self).functions
    handle = RemovableHandle(functions)
    functions[handle.id] = hook
    return handle


def _hooks_of(x: Tensor) -> Hooks:
    value = gradient_source(x)
    watch(x, value)
    return hooks_of(value)


def _register_post_accumulate_grad_hook(
    self: Tensor, hook: Callable[[Tensor], None]
) -> RemovableHandle:
    """Call ``hook`` with this leaf after each time its ``.grad`` has grown."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if not self.is_leaf:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    functions: dict[int, Any] = self.__dict__.setdefault("_post_accumulate_hooks", OrderedDict())
    keep(self)
    handle = RemovableHandle(functions)
    functions[handle.id] = hook
    return handle


def _retain_grad(self: Tensor) -> None:
    """Collect the gradient of a tensor that is no leaf in its ``.grad`` too."""
    if levels.state.inside and not levels.is_vmap_innermost() and self.requires_grad:
        raise RuntimeError(levels.RETAINED)
    if not self.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if not (self._is_leaf() or self._retains_grad):
        retain_by(self, gradient_source(self))
        self._retains_grad = True


def _output_nr(self: Tensor) -> int:
    return 0 if self.is_leaf else last_recorded(self._read()).number


for _name, _member in (
    ("grad", property(_get_grad, _set_grad, _delete_grad)),
    ("grad_fn", property(_grad_fn)),
    ("data", property(_get_data, _set_data, _delete_data)),
    ("output_nr", property(_output_nr)),
    ("retains_grad", property(lambda self: self._retains_grad)),
    ("is_cuda", property(lambda self: self._storage.device.startswith("cuda"))),
    ("is_cpu", property(lambda self: self._storage.device == "cpu")),
    ("is_sparse", property(lambda self: False)),
    ("is_sparse_csr", property(lambda self: False)),
    ("is_quantized", property(lambda self: False)),
    ("is_meta", property(lambda self: False)),
    ("is_mps", property(lambda self: False)),
    ("is_mkldnn", property(lambda self: False)),
    ("is_nested", property(lambda self: False)),
    ("names", property(lambda self: (None,) * self.ndim)),
    ("_base", property(lambda self: self._root() if self._is_view() else None)),
    ("backward", _backward),
    ("register_hook", _register_hook),
    ("register_post_accumulate_grad_hook", _register_post_accumulate_grad_hook),
    ("retain_grad", _retain_grad),
    ("is_inference", lambda self: self._storage.is_inference()),
    ("is_signed", lambda self: self.dtype.is_signed),
):  # fmt: skip
    setattr(Tensor, _name, _member)
