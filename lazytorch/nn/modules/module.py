"""Module: a tree of named parameters, buffers and children around a `forward`."""

from __future__ import annotations

import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.functions.creation import empty_like
from lazytorch.nn.modules._hooks import *  # noqa: F403  PyTorch has these names here too
from lazytorch.nn.modules._hooks import BackwardHooks, WrappedHook, add_hook, filtered, global_hooks
from lazytorch.nn.modules._state import (  # noqa: F401
    _EXTRA_STATE_KEY_SUFFIX,
    StateDict,
    _IncompatibleKeys,
    is_meta,
)
from lazytorch.nn.modules._to import parse_to
from lazytorch.nn.modules.utils import indent_after_first, typename
from lazytorch.nn.parameter import Buffer, Parameter
from lazytorch.tensor import Tensor
from lazytorch.utils.hooks import RemovableHandle

Self = TypeVar("Self", bound="Module")
Hook = Callable[..., Any]

_ORDERED_REGISTRIES = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def _forward_unimplemented(self: Any, *input: Any) -> None:
    """Stands in for `forward` until a subclass defines it."""
    raise NotImplementedError(
        f'Module [{type(self).__name__}] is missing the required "forward" function'
    )


class Module(StateDict):
    """Base of all layers and models.

    Parameters, buffers (see `register_buffer`) and modules that are assigned as attributes
    become part of the tree that `parameters()`, `state_dict()`, `to()`, `train()`... walk.
    A subclass calls `super().__init__()` first and defines `forward`.
    """

    training: bool
    _version: int = 1
    call_super_init: bool = False
    dump_patches: bool = False
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]
    _is_full_backward_hook: bool | None
    forward: Callable[..., Any] = _forward_unimplemented

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init:
            start = f"{type(self).__name__}.__init__()"
            if kwargs:
                raise TypeError(
                    f"{start} got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            if args:
                raise TypeError(
                    f"{start} takes 1 positional argument but {len(args) + 1} were given"
                )
        # Straight into the dictionary: __setattr__ needs these registries to be there already.
        attributes = self.__dict__
        attributes["training"] = True
        attributes["_parameters"] = {}
        attributes["_buffers"] = {}
        attributes["_modules"] = {}
        attributes["_non_persistent_buffers_set"] = set()
        attributes["_is_full_backward_hook"] = None
        for registry in _ORDERED_REGISTRIES:
            attributes[registry] = OrderedDict()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # A module saved by an older version may lack the later registries.
        for registry in _ORDERED_REGISTRIES:
            self.__dict__.setdefault(registry, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)

    # ------------------------------------------------------------------ calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # The common case is first and short: this runs for every layer on every step.
        if (
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
            or _global_forward_hooks
            or _global_forward_pre_hooks
            or _global_backward_hooks
            or _global_backward_pre_hooks
        ):
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs) if kwargs else self.forward(*args)

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        return Module.__call__(self, *args, **kwargs)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        called: set[int] = set()
        result: Any = None
        try:
            # One by one: always_call hooks see how far the arguments came.
            for replaced in self._run_forward_pre_hooks(args, kwargs):
                args, kwargs = replaced
            backward = self._backward_hooks_of_call()
            if backward is not None:
                args = backward.watch_inputs(args)
            result = self.forward(*args, **kwargs)
            for number, hook, with_kwargs, always in self._forward_hooks_in_order():
                if always:
                    called.add(number)
                answer = (
                    hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                )
                if answer is not None:
                    result = answer
            return result if backward is None else backward.watch_outputs(result)
        except Exception:
            self._run_always_called_hooks(called, args, kwargs, result)
            raise

    def _run_forward_pre_hooks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
        """The arguments as each hook that replaces them leaves them."""
        for number, hook in (*_global_forward_pre_hooks.items(), *self._forward_pre_hooks.items()):
            if number not in self._forward_pre_hooks_with_kwargs:
                answer = hook(self, args)
                if answer is not None:
                    args = answer if isinstance(answer, tuple) else (answer,)
                    yield args, kwargs
                continue
            answer = hook(self, args, kwargs)
            if answer is None:
                continue
            if not isinstance(answer, tuple) or len(answer) != 2:
                raise RuntimeError(
                    "forward pre-hook must return None or a tuple "
                    f"of (new_args, new_kwargs), but got {answer}."
                )
            args, kwargs = answer
            yield args, kwargs

    def _forward_hooks_in_order(self) -> list[tuple[int, Hook, bool, bool]]:
        """The forward hooks as (number, hook, with_kwargs, always_call), global ones first."""
        return [
            (
                number,
                hook,
                number in self._forward_hooks_with_kwargs
                or number in global_hooks.forward_with_kwargs,
                number in self._forward_hooks_always_called
                or number in global_hooks.forward_always_called,
            )
            for number, hook in (*_global_forward_hooks.items(), *self._forward_hooks.items())
        ]

    def _run_always_called_hooks(
        self, called: set[int], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """After a failure, run the always_call hooks left over; their errors become warnings."""
        for number, hook, with_kwargs, always in self._forward_hooks_in_order():
            if not always or number in called:
                continue
            try:
                answer = (
                    hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                )
                if answer is not None:
                    result = answer
            except Exception as error:
                kind = "global module" if number in _global_forward_hooks else "module"
                warnings.warn(
                    f"{kind} forward hook with ``always_call=True`` raised an exception "
                    f"that was silenced as another error was raised in forward: {error}",
                    stacklevel=4,
                )

    def _backward_hooks_of_call(self) -> BackwardHooks | None:
        hooks = [*_global_backward_hooks.values(), *self._backward_hooks.values()]
        pre_hooks = [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]
        return BackwardHooks(self, hooks, pre_hooks) if hooks or pre_hooks else None

    # ------------------------------------------------------------------ registering hooks

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Run `hook(module, args)` before forward; a value it returns replaces the arguments."""
        options = (self._forward_pre_hooks_with_kwargs,) if with_kwargs else ()
        return add_hook(self._forward_pre_hooks, hook, prepend=prepend, options=options)

    def register_forward_hook(
        self,
        hook: Hook,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Run `hook(module, args, output)` after forward; a value it returns is the output."""
        options = []
        if with_kwargs:
            options.append(self._forward_hooks_with_kwargs)
        if always_call:
            options.append(self._forward_hooks_always_called)
        return add_hook(self._forward_hooks, hook, prepend=prepend, options=tuple(options))

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Run `hook(module, grad_output)` before this module's backward; it may replace those."""
        return add_hook(self._backward_pre_hooks, hook, prepend=prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Run `hook(module, grad_input, grad_output)` in backward; it may replace grad_input."""
        self._is_full_backward_hook = True
        return add_hook(self._backward_hooks, hook, prepend=prepend)

    def register_backward_hook(self, hook: Hook) -> RemovableHandle:
        """PyTorch's deprecated form, which gives wrong gradients for most modules."""
        raise NotImplementedError(
            "Module.register_backward_hook is deprecated in PyTorch and absent here: "
            "use register_full_backward_hook"
        )

    def _register_state_dict_hook(self, hook: Hook) -> RemovableHandle:
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was "
                "previously registered via register_state_dict_post_hook"
            )
        return add_hook(self._state_dict_hooks, hook)

    def register_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """Run `hook(module, state_dict, prefix, local_metadata)` after state_dict; returns None."""
        hook._from_public_api = True  # type: ignore[attr-defined]
        return add_hook(self._state_dict_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Run `hook(module, prefix, keep_vars)` before state_dict."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def _register_load_state_dict_pre_hook(
        self, hook: Hook, with_module: bool = False
    ) -> RemovableHandle:
        wrapped = WrappedHook(hook, self if with_module else None)
        return add_hook(self._load_state_dict_pre_hooks, wrapped)

    def register_load_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Run `hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)` before this module loads its state."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """Run `hook(module, incompatible_keys)` after loading; it may change those in place."""
        return add_hook(self._load_state_dict_post_hooks, hook)

    # ------------------------------------------------------------------ registering members

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Keep a tensor as state that is not trained; persistent ones are in the state_dict."""
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_new_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        self._buffers[name] = filtered(global_hooks.buffer_registration, self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; with None the name is known, and no part of the state."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_new_name("parameter", name, self._parameters)
        if param is None:
            self._parameters[name] = None
            return
        if not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{typename(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if param.grad_fn:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model "
                f"parameters must be created explicitly. To express '{name}' "
                "as a function of another Tensor, compute the value in "
                "the forward() method."
            )
        self._parameters[name] = filtered(global_hooks.parameter_registration, self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child under a name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        self._check_new_name("module", name, self._modules)
        self._modules[name] = filtered(global_hooks.module_registration, self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """Another name for add_module."""
        self.add_module(name, module)

    def _check_new_name(self, kind: str, name: str, registry: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
        taken = hasattr(self, name) and name not in registry
        # PyTorch looks for a module's name among the attributes first, for the others last.
        if taken and kind == "module":
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            got = f", got: {name}" if kind == "module" else ""
            raise KeyError(f'{kind} name can\'t contain "."{got}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if taken:
            raise KeyError(f"attribute '{name}' already exists")

    # ------------------------------------------------------------------ attributes

    def __getattr__(self, name: str) -> Any:
        # Reached only when ordinary lookup has failed.
        get = self.__dict__.get
        if (members := get("_parameters")) is not None and name in members:
            return members[name]
        if (members := get("_modules")) is not None and name in members:
            return members[name]
        if (members := get("_buffers")) is not None and name in members:
            return members[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        parameters = attributes.get("_parameters")
        modules = attributes.get("_modules")
        buffers = attributes.get("_buffers")
        if isinstance(value, Parameter):
            if parameters is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, attributes, self._buffers, self._modules)
            self.register_parameter(name, value)
        elif parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as parameter '{name}' "
                    "(torch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, attributes, self._parameters, self._buffers)
            modules[name] = filtered(global_hooks.module_registration, self, name, value)
        elif modules is not None and name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as child module '{name}' "
                    "(torch.nn.Module or None expected)"
                )
            modules[name] = filtered(global_hooks.module_registration, self, name, value)
        elif isinstance(value, Buffer) or (buffers is not None and name in buffers):
            self._set_buffer(name, value)
        else:
            super().__setattr__(name, value)

    def _forget(self, name: str, *registries: dict[str, Any]) -> None:
        """Drop a name from the registries it is about to leave."""
        for registry in registries:
            registry.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def _set_buffer(self, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(
                f"cannot assign '{typename(value)}' as buffer '{name}' "
                "(torch.nn.Buffer, torch.Tensor or None expected)"
            )
        if isinstance(value, Buffer):
            persistent = value.persistent
        else:
            persistent = name not in self._non_persistent_buffers_set
        # A subclass may have its own register_buffer, without the later argument.
        overridden = type(self).register_buffer is not Module.register_buffer
        if overridden and "persistent" not in inspect.signature(self.register_buffer).parameters:
            if not persistent:
                raise RuntimeError(
                    "Registering a non-persistent buffer on a Module subclass that implements "
                    "register_buffer() without the persistent argument is not allowed."
                )
            self.register_buffer(name, value)
        else:
            self.register_buffer(name, value, persistent)

    def __delattr__(self, name: str) -> None:
        for registry in (self._parameters, self._buffers, self._modules):
            if name in registry:
                del registry[name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = [*dir(type(self)), *self.__dict__]
        names += [*self._parameters, *self._modules, *self._buffers]
        return sorted(name for name in names if not name[0].isdigit())

    # ------------------------------------------------------------------ members by path

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path below this one; the empty path is this module."""
        module = self
        for part in target.split(".") if target else ():
            if not hasattr(module, part):
                raise AttributeError(f"{module._get_name()} has no attribute `{part}`")
            module = getattr(module, part)
            if not isinstance(module, Module):
                raise AttributeError(f"`{part}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a dotted path; when strict, one has to be there already."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path below this module."""
        owner, name = self._owner_of(target)
        parameter = getattr(owner, name)
        if not isinstance(parameter, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return parameter

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path below this module."""
        owner, name = self._owner_of(target)
        buffer: Tensor = getattr(owner, name)
        if name not in owner._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return buffer

    def _owner_of(self, target: str) -> tuple[Module, str]:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{owner._get_name()} has no attribute `{name}`")
        return owner, name

    # ------------------------------------------------------------------ walking the tree

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted paths, parents first."""
        if memo is None:
            memo = set()
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, _joined(prefix, name), remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct children with their names, each once."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct children, each once."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self,
        get_members_fn: Callable[[Module], Iterable[tuple[str, Any]]],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        seen: set[Any] = set()
        owners: Iterable[tuple[str, Module]] = [(prefix, self)]
        if recurse:
            owners = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, owner in owners:
            for name, member in get_members_fn(owner):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield _joined(path, name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters of the tree with their dotted paths."""
        yield from self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of the tree."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers of the tree with their dotted paths."""
        yield from self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of the tree."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def apply(self: Self, fn: Callable[[Module], None]) -> Self:
        """Call `fn` on every module of the tree, children first."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ------------------------------------------------------------------ modes and gradients

    def train(self: Self, mode: bool = True) -> Self:
        """Put the tree in training mode, or in evaluation mode."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Put the tree in evaluation mode."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Say of all parameters whether gradients are wanted for them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zero."""
        for parameter in self.parameters():
            if parameter.grad is None:
                continue
            if set_to_none:
                parameter.grad = None
            elif parameter.grad.grad_fn is not None:
                parameter.grad.detach_().zero_()
            else:
                parameter.grad.requires_grad_(False).zero_()

    # ------------------------------------------------------------------ converting

    def _apply(self: Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace every parameter, gradient and buffer t by fn(t); parameters keep identity."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, parameter in self._parameters.items():
            if parameter is None:
                continue
            with no_grad():
                converted = fn(parameter)
            gradient = parameter.grad
            if _holds(parameter, converted):
                parameter.data = converted
                kept = parameter
            else:
                kept = self._parameters[name] = Parameter(converted, parameter.requires_grad)
            if gradient is None:
                continue
            with no_grad():
                converted = fn(gradient)
            if kept is parameter and _holds(gradient, converted):
                gradient.data = converted
            else:
                kept.grad = converted.requires_grad_(gradient.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Move and convert the tree in place: to(device, dtype, non_blocking), to(dtype,
        non_blocking), to(tensor, non_blocking), to(memory_format=...).

        Integer parameters and buffers move, and keep their dtype.
        """
        target_device, target_dtype, non_blocking, memory_format = parse_to(args, kwargs)
        if target_dtype is not None:
            if not (target_dtype.is_floating_point or target_dtype.is_complex):
                raise TypeError(
                    "nn.Module.to only accepts floating point or complex "
                    f"dtypes, but got desired dtype={target_dtype}"
                )
            if target_dtype.is_complex:
                warnings.warn(
                    "Complex modules are a new feature under active development whose design may "
                    "change, and some modules might not work as expected when using complex "
                    "tensors as parameters or buffers. Please file an issue at "
                    "https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml "
                    "if a complex module does not work as expected.",
                    stacklevel=2,
                )

        def convert(tensor: Tensor) -> Tensor:
            floating = tensor.is_floating_point() or tensor.is_complex()
            options: dict[str, Any] = {}
            if memory_format is not None and tensor.dim() in (4, 5):
                options["memory_format"] = memory_format
            try:
                converted: Tensor = tensor.to(
                    target_device, target_dtype if floating else None, non_blocking, **options
                )
            except NotImplementedError as error:
                if str(error) != "Cannot copy out of meta tensor; no data!":
                    raise
                raise NotImplementedError(
                    f"{error} Please use torch.nn.Module.to_empty() instead of "
                    "torch.nn.Module.to() when moving module from meta to a different device."
                ) from None
            return converted

        return self._apply(convert)

    def to_empty(self: Self, *, device: Any, recurse: bool = True) -> Self:
        """Move the tree to a device without copying: the values there are undefined."""
        return self._apply(lambda tensor: empty_like(tensor, device=device), recurse=recurse)

    def cpu(self: Self) -> Self:
        """Move the tree to the CPU."""
        return self._apply(lambda tensor: tensor.cpu())

    def cuda(self: Self, device: Any = None) -> Self:
        """Move the tree to the GPU."""
        return self._apply(lambda tensor: tensor.cuda(device))

    def type(self: Self, dst_type: Any) -> Self:
        """Convert all parameters and buffers, integer ones too."""
        return self._apply(lambda tensor: tensor.type(dst_type))

    def float(self: Self) -> Self:
        """Convert the floating-point parameters and buffers to float32."""
        return self._apply(lambda tensor: _floating_as("float", tensor))

    def double(self: Self) -> Self:
        """Convert the floating-point parameters and buffers to float64."""
        return self._apply(lambda tensor: _floating_as("double", tensor))

    def half(self: Self) -> Self:
        """Convert the floating-point parameters and buffers to float16."""
        return self._apply(lambda tensor: _floating_as("half", tensor))

    def bfloat16(self: Self) -> Self:
        """Convert the floating-point parameters and buffers to bfloat16."""
        return self._apply(lambda tensor: _floating_as("bfloat16", tensor))

    def share_memory(self: Self) -> Self:
        """Move the tree's tensors to memory that other processes can share."""
        return self._apply(lambda tensor: tensor.share_memory_())

    # ------------------------------------------------------------------ printing

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of the printed form, one line or several."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        if not self._modules and "\n" not in extra:
            return f"{self._get_name()}({extra})"
        lines = extra.split("\n") if extra else []
        for name, module in self._modules.items():
            lines.append(f"({name}): {indent_after_first(repr(module))}")
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


# The name that saved modules have it under.
_WrappedHook = WrappedHook

# Bound once, so that __call__ finds each in one step.
_global_forward_hooks = global_hooks.forward
_global_forward_pre_hooks = global_hooks.forward_pre
_global_backward_hooks = global_hooks.backward
_global_backward_pre_hooks = global_hooks.backward_pre


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _holds(tensor: Tensor, converted: Tensor) -> bool:
    """Whether `tensor.data = converted` is possible: not between real tensors and meta ones."""
    return is_meta(tensor) == is_meta(converted)


def _floating_as(method: str, tensor: Tensor) -> Tensor:
    converted: Tensor = getattr(tensor, method)() if tensor.is_floating_point() else tensor
    return converted
