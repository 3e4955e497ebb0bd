"""Hooks of modules: the global registries, and gradients brought to backward hooks."""

from __future__ import annotations

import functools
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from lazytorch.autograd.function import Function
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


class BackwardHookFunction(Function):
    """The identity, whose node in the graph carries the hooks of a module."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        ctx.mark_non_differentiable(*[arg for arg in args if not arg.requires_grad])
        return args

    @staticmethod
    def backward(ctx: Any, *args: Any) -> Any:
        return args


class BackwardHooks:
    """One call's backward hooks: watches the gradients at a module's edges.

    The tensors among the arguments pass through one node of the graph, those among the results
    through another; hooks on the two nodes see exactly this call's gradients.
    """

    def __init__(self, module: Any, hooks: list[Any], pre_hooks: list[Any]) -> None:
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.input_count = self.output_count = 0
        self.input_places: list[int] | None = None
        self.output_places: list[int] | None = None
        self.grad_outputs: tuple[Any, ...] | None = None

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments, with the tensors among them led through a node."""
        self.input_count = len(args)
        args, node, self.input_places = _through_node(args)
        if node is not None:

            def hook(gradients: tuple[Any, ...], _: Any) -> Any:  # errors say this name
                return self._on_grad_inputs(gradients)

            node.register_hook(hook)
        return args

    def watch_outputs(self, result: Any) -> Any:
        """Return the results, with the tensors among them led through a node."""
        if not isinstance(result, (Tensor, tuple)):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of "
                f"Tensors but received {type(result)}",
                stacklevel=4,
            )
        outputs = result if isinstance(result, tuple) else (result,)
        self.output_count = len(outputs)
        outputs, node, self.output_places = _through_node(outputs)
        if node is not None:

            def hook(_: Any, gradients: tuple[Any, ...]) -> Any:
                return self._on_grad_outputs(gradients)

            node.register_hook(hook)
        return outputs if isinstance(result, tuple) else outputs[0]

    def _on_grad_outputs(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        assert self.output_places is not None
        spread: list[Any] = [None] * self.output_count
        for place, gradient in zip(self.output_places, gradients, strict=True):
            spread[place] = gradient
        self.grad_outputs = tuple(spread)
        for pre_hook in self.pre_hooks:
            replacement = pre_hook(self.module, self.grad_outputs)
            if replacement is None:
                continue
            replacement = _as_tuple(replacement)
            if len(replacement) != len(self.grad_outputs):
                raise RuntimeError(
                    "Backward pre hook returned an invalid number of grad_output, "
                    f"got {len(replacement)}, but expected {len(self.grad_outputs)}"
                )
            self.grad_outputs = replacement
        replaced = self.grad_outputs
        # Where no input requires grad, this is the last that is seen of the module.
        if self.input_places is None:
            self._call_without_input_gradients(replaced)
            self.grad_outputs = None
        return tuple([replaced[i] for i in self.output_places])

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

    def _on_grad_inputs(self, gradients: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self.grad_outputs is None:
            # The gradient came to the module's input by another way than its output.
            return None
        assert self.input_places is not None
        spread: list[Any] = [None] * self.input_count
        for place, gradient in zip(self.input_places, gradients, strict=True):
            spread[place] = gradient
        replaced = tuple(spread)
        for hook in self.hooks:
            replacement = hook(self.module, replaced, self.grad_outputs)
            if replacement is None:
                continue
            replacement = _as_tuple(replacement)
            if len(replacement) != len(replaced):
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(replacement)}, but expected {len(replaced)}"
                )
            replaced = replacement
        self.grad_outputs = None
        return tuple([replaced[i] for i in self.input_places])


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, Tensor) else value


def _through_node(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any, list[int] | None]:
    """The values with the tensors among them led through one node, the node, and their places;
    without a node where no gradient flows."""
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
    if not is_grad_enabled() or not any([values[i].requires_grad for i in places]):
        return values, None, None
    made = BackwardHookFunction.apply(*[values[i] for i in places])
    changed = list(values)
    for i, tensor in zip(places, made, strict=True):
        changed[i] = tensor
    node = next(t.grad_fn for t in made if t.requires_grad)
    # A named tuple takes its fields one by one.
    return tuple(changed) if type(values) is tuple else type(values)(*changed), node, places
