"""Optimizer: groups of parameters with their options and state, in PyTorch's format."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import chain
from typing import Any

from lazytorch.autograd.grad_mode import enable_grad
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.realize import flush, undone
from lazytorch.tensor import Tensor
from lazytorch.utils.hooks import RemovableHandle

StateDict = dict[str, Any]
Hooks = OrderedDict[int, Callable[..., Any]]
Closure = Callable[[], Any]

_global_pre_hooks: Hooks = OrderedDict()
_global_post_hooks: Hooks = OrderedDict()
_HOOK_REGISTRIES = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


class _Required:
    """Stands as a default where each group must give a value of its own."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer:
    """Base of all optimizers.

    A subclass gives its ``defaults`` to ``__init__`` and overrides ``step``. The end of ``step``
    computes everything pending, so that a training step runs as one plan.

    param_groups  dicts of options, with the tensors under "params".
    state         what the optimizer remembers of each parameter.
    """

    _optimizer_step_pre_hooks: Hooks
    _optimizer_step_post_hooks: Hooks
    _optimizer_state_dict_pre_hooks: Hooks
    _optimizer_state_dict_post_hooks: Hooks
    _optimizer_load_state_dict_pre_hooks: Hooks
    _optimizer_load_state_dict_post_hooks: Hooks

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _as_step(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._make_registries()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                "but got " + _type_name(params)
            )
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_registries(self) -> None:
        for name in _HOOK_REGISTRIES:
            if name not in self.__dict__:
                setattr(self, name, OrderedDict())

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_registries()
        self.defaults.setdefault("differentiable", False)

    def __repr__(self) -> str:
        text = type(self).__name__ + " ("
        for number, group in enumerate(self.param_groups):
            text += f"\nParameter Group {number}\n"
            text += "".join([f"    {k}: {group[k]}\n" for k in sorted(group) if k != "params"])
        return text + ")"

    # ---- hooks --------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may replace both."""
        return _register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return _register(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(optimizer)`` before ``state_dict`` is made."""
        return _register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` on what ``state_dict`` made; it may replace it."""
        return _register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before loading; it may replace the dict."""
        return _register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(optimizer)`` after loading."""
        return _register(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    # ---- state --------------------------------------------------------------------------------

    def state_dict(self) -> StateDict:
        """Options and state, with each parameter replaced by its number."""
        for pre_hook in self._optimizer_state_dict_pre_hooks.values():
            pre_hook(self)
        numbers: dict[int, int] = {}
        start = 0
        packed_groups = []
        for group in self.param_groups:
            for number, p in enumerate(group["params"], start):
                numbers.setdefault(id(p), number)
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            start += len(group["params"])
            packed_groups.append(packed)
        state_dict: StateDict = {
            "state": {
                numbers[id(k)] if isinstance(k, Tensor) else k: self._pack_state(v)
                for k, v in self.state.items()
            },
            "param_groups": packed_groups,
        }
        for hook in self._optimizer_state_dict_post_hooks.values():
            replaced = hook(self, state_dict)
            if replaced is not None:
                state_dict = replaced
        return state_dict

    def _pack_state(self, state: Any) -> Any:
        """One parameter's state as it stands in the state dict."""
        return state

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Take over options and state that ``state_dict`` gave, tensors in the parameters' type."""
        state_dict = state_dict.copy()
        for pre_hook in self._optimizer_load_state_dict_pre_hooks.values():
            replaced = pre_hook(self, state_dict)
            if replaced is not None:
                state_dict = replaced
        groups, saved = self.param_groups, deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in saved]:
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        by_number = dict(zip(_all_params(saved), _all_params(groups), strict=True))
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_number:
                state[by_number[key]] = _adopt(by_number[key], value, None)
            else:
                state[key] = value
        for group, new in zip(groups, saved, strict=True):
            new["params"] = group["params"]
            if "param_names" in group and "param_names" not in new:
                new["param_names"] = group["param_names"]
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for group in self.param_groups:
            for p in group["params"]:
                gradient = p._grad
                if gradient is None:
                    continue
                if set_to_none:
                    p.grad = None
                    continue
                if gradient.requires_grad and not gradient.is_leaf:
                    gradient.detach_()
                else:
                    gradient.requires_grad_(False)
                gradient.zero_()

    def step(self, closure: Closure | None = None) -> Any:
        """Update the parameters once; the closure's result, if there is a closure."""
        raise NotImplementedError

    def _take_counts_back(self, counted: Counts) -> None:
        """Undo the counting of a step for those parameters whose update was undone."""
        known = {id(row[0]): row for row in counted}
        for p, state in list(self.state.items()):
            if isinstance(p, Tensor) and p._storage in undone:
                if id(state) in known:
                    recount([known[id(state)]])
                else:
                    del self.state[p]  # it was made for this step

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with the defaults for options that it does not give."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        _separate_names(param_group, [params] if isinstance(params, Tensor) else list(params))
        self._check_params(param_group["params"])
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    + name
                )
            param_group.setdefault(name, default)
        self._check_against_groups(param_group)
        self.param_groups.append(param_group)

    def _check_params(self, params: list[Any]) -> None:
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is " + _type_name(p)
                )
            if not self.defaults.get("differentiable") and not (p.is_leaf or p._retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        if len(params) != len({id(p) for p in params}):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error; see github.com/pytorch/pytorch/issues/40967 for more "
                "information",
                stacklevel=4,
            )

    def _check_against_groups(self, param_group: dict[str, Any]) -> None:
        for group in self.param_groups:
            if ("param_names" in param_group) != ("param_names" in group):
                kind = "with names" if "param_names" in param_group else "without names"
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param "
                    f"group {kind} to the optimizer"
                )
        known = {id(p) for p in _all_params(self.param_groups)}
        if not known.isdisjoint([id(p) for p in param_group["params"]]):
            raise ValueError("some parameters appear in more than one parameter group")


# Of each of some states: the state, and what its entries were.
Counts = list[tuple[Any, ...]]


def counts(states: Iterable[Any]) -> Counts:
    """What states are now, to be counted anew from there where a step fails."""
    return [(s, *s.values()) for s in states if type(s) is dict]


def recount(counted: Counts) -> None:
    """Give states the numbers that they had."""
    for state, *values in counted:
        for name, value in zip(list(state), values, strict=False):
            if type(value) in (float, int):
                state[name] = value


def _as_step(function: Callable[..., Any]) -> Callable[..., Any]:
    """A subclass's ``step`` with the hooks around it, and the pending work done at its end."""
    if getattr(function, "hooked", False):
        return function

    @functools.wraps(function)
    def step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if _global_pre_hooks or self._optimizer_step_pre_hooks:
            args, kwargs = _run_pre_hooks(self, function, args, kwargs)
        counted = counts(self.state.values())
        result = function(self, *args, **kwargs)
        if not self.defaults.get("differentiable"):
            try:
                flush()
            except Exception:
                self._take_counts_back(counted)
                raise
        if _global_post_hooks or self._optimizer_step_post_hooks:
            whole = (self, *args)
            for hook in [*self._optimizer_step_post_hooks.values(), *_global_post_hooks.values()]:
                hook(self, whole, kwargs)
        return result

    step.hooked = True  # type: ignore[attr-defined]
    return step


def _run_pre_hooks(
    self: Optimizer, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    whole: Any = (self, *args)
    for hook in [*_global_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()]:
        result = hook(self, whole, kwargs)
        if result is None:
            continue
        if not isinstance(result, tuple) or len(result) != 2:
            raise RuntimeError(
                f"{function} must return None or a tuple of (new_args, new_kwargs), but got "
                f"{result}."
            )
        whole, kwargs = result
    return whole[1:], kwargs


def run_closure(closure: Closure | None) -> Any:
    """The closure's result, computed with gradients on; None without a closure."""
    if closure is None:
        return None
    with enable_grad():
        return closure()


class Recording:
    """Within a step, operations are recorded for backward only in ``differentiable`` mode."""

    __slots__ = ("before", "differentiable")

    def __init__(self, differentiable: bool) -> None:
        self.differentiable = differentiable

    def __enter__(self) -> None:
        self.before, grad_state.enabled = grad_state.enabled, self.differentiable

    def __exit__(self, *_: object) -> None:
        grad_state.enabled = self.before


def _register(hooks: Hooks, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before each step of any optimizer."""
    return _register(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after each step of any optimizer."""
    return _register(_global_post_hooks, hook)


def _separate_names(param_group: dict[str, Any], params: list[Any]) -> None:
    names = [p[0] for p in params if isinstance(p, tuple)]
    param_group["params"] = [p[1] if isinstance(p, tuple) else p for p in params]
    if names:
        if len(names) != len(params):
            raise ValueError(
                "all optimizer params should be with/without names. Some param names are missing"
            )
        param_group["param_names"] = names


def _all_params(groups: list[dict[str, Any]]) -> Iterator[Any]:
    return chain.from_iterable([g["params"] for g in groups])


def _adopt(p: Tensor, value: Any, key: Any) -> Any:
    """A deep copy of saved state, its tensors on the parameter's device and in its type."""
    if isinstance(value, Tensor):
        if key == "step":
            return value.detach().clone()
        if p.is_floating_point():
            return value.detach().to(dtype=p.dtype, device=p.device, copy=True)
        return value.detach().to(device=p.device, copy=True)
    if isinstance(value, dict):
        return {k: _adopt(p, v, k) for k, v in value.items()}
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, Iterable):
        return type(value)(_adopt(p, v, None) for v in value)  # type: ignore[call-arg]
    return value


def _type_name(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(value.type())
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else (f"{kind.__module__}.{kind.__qualname__}")
    )


def check_fused(fused: bool | None, foreach: bool | None, differentiable: bool) -> None:
    """Refuse what PyTorch refuses together with ``fused``; here every step is fused."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def refuse_negative(*options: tuple[str, Any]) -> None:
    """ValueError for the first of the (name, value) pairs that is below zero or no number."""
    for name, value in options:
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not float(value) >= 0.0:
            raise ValueError(f"Invalid {name}: {value}")


def refuse_bad_betas(betas: Any) -> None:
    """ValueError unless both betas are in [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
