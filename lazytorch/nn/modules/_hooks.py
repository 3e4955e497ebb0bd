"""Hooks of modules: the global registries, and gradients brought to backward hooks."""

from __future__ import annotations

import functools
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from lazytorch.autograd.grad_mode import is_grad_enabled
from lazytorch.tensor import Tensor
from lazytorch.utils.hooks import RemovableHandle

__all__ = [
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

Registry = OrderedDict[int, Any]


class GlobalHooks:
    """Hooks that run for every module of the process, before the module's own."""

    def __init__(self) -> None:
        self.forward: Registry = OrderedDict()
        self.forward_with_kwargs: Registry = OrderedDict()
        self.forward_always_called: Registry = OrderedDict()
        self.forward_pre: Registry = OrderedDict()
        self.backward: Registry = OrderedDict()
        self.backward_pre: Registry = OrderedDict()
        self.buffer_registration: Registry = OrderedDict()
        self.module_registration: Registry = OrderedDict()
        self.parameter_registration: Registry = OrderedDict()


global_hooks = GlobalHooks()


def add_hook(
    registry: Registry, hook: Any, *, prepend: bool = False, options: tuple[Registry, ...] = ()
) -> RemovableHandle:
    """Enter a hook, and its number in each of the option registries; return its handle."""
    handle = RemovableHandle(registry, extra_dict=list(options))
    registry[handle.id] = hook
    if prepend:
        registry.move_to_end(handle.id, last=False)
    for option in options:
        option[handle.id] = True
    return handle


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Run `hook(module, args, output)` after every module's forward; it may replace the output."""
    options = []
    if with_kwargs:
        options.append(global_hooks.forward_with_kwargs)
    if always_call:
        options.append(global_hooks.forward_always_called)
    return add_hook(global_hooks.forward, hook, options=tuple(options))


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Run `hook(module, args)` before every module's forward; it may replace the arguments."""
    return add_hook(global_hooks.forward_pre, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Run `hook(module, grad_input, grad_output)` in every module's backward."""
    return add_hook(global_hooks.backward, hook)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Run `hook(module, grad_output)` before every module's backward."""
    return add_hook(global_hooks.backward_pre, hook)


def register_module_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """PyTorch's deprecated form, which gives wrong gradients for most modules."""
    raise NotImplementedError(
        "register_module_backward_hook is deprecated in PyTorch and absent here: "
        "use register_module_full_backward_hook"
    )


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Run `hook(module, name, buffer)` at each registration; it may replace the buffer."""
    return add_hook(global_hooks.buffer_registration, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Run `hook(module, name, child)` at each registration; it may replace the child."""
    return add_hook(global_hooks.module_registration, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Run `hook(module, name, parameter)` at each registration; it may replace the parameter."""
    return add_hook(global_hooks.parameter_registration, hook)


def filtered(registry: Registry, module: Any, name: str, value: Any) -> Any:
    """What the registration hooks make of a value that is about to be registered."""
    for hook in registry.values():
        replacement = hook(module, name, value)
        if replacement is not None:
            value = replacement
    return value


class WrappedHook:
    """A hook that is given its module first, without keeping that module alive."""

    def __init__(self, hook: Callable[..., Any], module: Any = None) -> None:
        self.hook = hook
        functools.update_wrapper(self, hook)
        self.with_module = module is not None
        if self.with_module:
            self.module = weakref.ref(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        state = {"hook": self.hook, "with_module": self.with_module}
        if self.with_module:
            state["module"] = self.module()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.hook = state["hook"]
        self.with_module = state["with_module"]
        if self.with_module:
            if state["module"] is None:
                raise RuntimeError("You are trying to revive the hook of a dead Module!")
            self.module = weakref.ref(state["module"])


class BackwardHooks:
    """One call's backward hooks: watches the gradients at a module's edges.

    The input and the output that carry gradient pass through a view of themselves, and tensor
    hooks on those two views see exactly this call's gradients. One such tensor on either side
    is supported; all of several would have to be joined in one autograd node.
    """

    def __init__(self, module: Any, hooks: list[Any], pre_hooks: list[Any]) -> None:
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.input_count = 0
        self.input_index: int | None = None
        self.grad_outputs: tuple[Any, ...] | None = None

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments with the differentiable one replaced by a watched view."""
        self.input_count = len(args)
        args, self.input_index = self._watch(args, self._on_grad_input, "inputs")
        return args

    def watch_outputs(self, result: Any) -> Any:
        """Return the output with its differentiable tensor replaced by a watched view."""
        if not isinstance(result, (Tensor, tuple)):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of "
                f"Tensors but received {type(result)}",
                stacklevel=4,
            )
        outputs = result if isinstance(result, tuple) else (result,)
        outputs, index = self._watch(outputs, self._on_grad_output, "outputs")
        self.output_count, self.output_index = len(outputs), index
        return outputs if isinstance(result, tuple) else outputs[0]

    def _watch(
        self, values: tuple[Any, ...], hook: Callable[[Tensor], Any], side: str
    ) -> tuple[tuple[Any, ...], int | None]:
        if not is_grad_enabled():
            return values, None
        watched = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
        if not watched:
            return values, None
        if len(watched) > 1:
            raise NotImplementedError(
                f"backward hooks on a module with {len(watched)} {side} that require grad "
                f"({type(self.module).__name__}): only one is supported. Use Tensor.register_hook "
                "on each of them instead."
            )
        (index,) = watched
        view = values[index].view_as(values[index])
        view.register_hook(hook)
        replaced = (*values[:index], view, *values[index + 1 :])
        # A named tuple takes its fields one by one.
        return replaced if type(values) is tuple else type(values)(*replaced), index

    def _on_grad_output(self, gradient: Tensor) -> Tensor | None:
        assert self.output_index is not None
        gradients: Any = [None] * self.output_count
        gradients[self.output_index] = gradient
        gradients = tuple(gradients)
        for pre_hook in self.pre_hooks:
            replacement = pre_hook(self.module, gradients)
            if replacement is None:
                continue
            replacement = self._as_tuple(replacement)
            if len(replacement) != len(gradients):
                raise RuntimeError(
                    "Backward pre hook returned an invalid number of grad_output, "
                    f"got {len(replacement)}, but expected {len(gradients)}"
                )
            gradients = replacement
        if self.input_index is None:
            self._call_without_input_gradients(gradients)
        else:
            self.grad_outputs = gradients
        replaced: Tensor | None = gradients[self.output_index]
        return replaced

    def _call_without_input_gradients(self, grad_outputs: tuple[Any, ...]) -> None:
        if not self.hooks:
            return
        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module "
            "outputs since no inputs require gradients. See "
            "https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
            "#torch.nn.Module.register_full_backward_hook for more details.",
            stacklevel=5,
        )
        nothing = (None,) * self.input_count
        for hook in self.hooks:
            answer = hook(self.module, nothing, grad_outputs)
            if answer is not None and not (
                isinstance(answer, tuple) and all(part is None for part in answer)
            ):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients."
                )

    def _on_grad_input(self, gradient: Tensor) -> Tensor | None:
        if self.grad_outputs is None:
            return None
        assert self.input_index is not None
        gradients: Any = [None] * self.input_count
        gradients[self.input_index] = gradient
        gradients = tuple(gradients)
        for hook in self.hooks:
            replacement = hook(self.module, gradients, self.grad_outputs)
            if replacement is None:
                continue
            replacement = self._as_tuple(replacement)
            if len(replacement) != len(gradients):
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(replacement)}, but expected {len(gradients)}"
                )
            gradients = replacement
        self.grad_outputs = None
        replaced: Tensor | None = gradients[self.input_index]
        return replaced

    @staticmethod
    def _as_tuple(value: Any) -> tuple[Any, ...]:
        return (value,) if isinstance(value, Tensor) else tuple(value)
