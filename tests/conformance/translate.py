"""Arguments and callables of real PyTorch as lazytorch's, and results back for the comparison."""

from __future__ import annotations

import functools
import types
from typing import Any

import numpy as np
import torch

import lazytorch
from lazytorch.tensor import Tensor

from . import database


class NotApplicable(Exception):
    """A sample of complex numbers, sparse layout, quantization or CUDA."""


class Missing(Exception):
    """A function that lazytorch does not have."""


_NAMESPACES = (
    "", "nn.functional", "linalg", "special", "fft", "signal.windows", "masked", "sparse", "Tensor",
    "nn", "_C._nn",
)  # fmt: skip


def lookup(module: Any, path: str) -> Any:
    """An attribute of an attribute…; None where there is none, or a name alone."""
    for part in filter(None, path.split(".")):
        module = getattr(module, part, None)
    return None if getattr(module, "is_left_out", False) else module


# What has an entry in ``_paths``: kept, lest another get its id.
_named: list[Any] = []


@functools.cache
def _paths() -> dict[int, list[str]]:
    """Where each public callable of PyTorch stands, by identity."""
    found: dict[int, list[str]] = {}
    for space in _NAMESPACES:
        owner = lookup(torch, space)
        for name in dir(owner):
            value = getattr(owner, name, None)
            if callable(value):
                found.setdefault(id(value), []).append(f"{space}.{name}".lstrip("."))
                _named.append(value)
    return found


def _unseeded(function: Any, *args: Any, **kwargs: Any) -> Any:
    """In place of the helper of PyTorch's tests that calls a function under a fixed seed."""
    return function(*args, **kwargs)


def callable_of(function: Any, name: str = "") -> Any:
    """lazytorch's counterpart of a callable of PyTorch, or of a helper written with such."""
    if isinstance(function, functools.partial):
        inner = callable_of(function.func)
        translate = Translation("cpu")
        return functools.partial(
            inner, *translate(function.args), **translate(dict(function.keywords))
        )
    paths = _paths().get(id(function), [])
    for path in sorted(paths, key=lambda p: p != name):
        found = lookup(lazytorch, path)
        if found is not None:
            return found
    if paths:
        raise Missing(f"torch.{name if name in paths else paths[0]}")
    if isinstance(function, torch.nn.Module):
        return _module(function)
    if isinstance(function, types.FunctionType):
        return _rebound(function)
    if getattr(function, "__module__", None) in ("_operator", "builtins"):
        return function
    raise Missing(str(function))


def _module(module: torch.nn.Module) -> Any:
    kind = getattr(lazytorch.nn, type(module).__name__, None)
    if kind is None:
        raise Missing(f"torch.nn.{type(module).__name__}")
    made = kind()
    plain = {k: v for k, v in vars(module).items() if isinstance(v, (int, float, str, bool))}
    vars(made).update(plain)
    return made


# Helpers that were rebound: they may refer to one another. Each is kept, lest another get its id.
_rebinding: dict[int, tuple[Any, Any]] = {}


def _rebound(function: types.FunctionType) -> Any:
    """A helper of PyTorch's tests whose ``torch`` is lazytorch."""
    if id(function) not in _rebinding:
        space = dict(function.__globals__)
        cells = function.__closure__
        closed = None if cells is None else tuple([types.CellType() for _ in cells])
        made = types.FunctionType(
            function.__code__, space, function.__name__, function.__defaults__, closed
        )
        made.__kwdefaults__ = function.__kwdefaults__
        _rebinding[id(function)] = function, made
        for name in _names(function.__code__):
            if name in space:
                space[name] = _global(space[name])
        for new, old in zip(closed or (), cells or (), strict=True):
            new.cell_contents = _global(old.cell_contents)
    return _rebinding[id(function)][1]


def unseeded(function: Any) -> Any:
    """A callable of PyTorch that draws other random numbers each time, also if it is a helper of
    PyTorch's tests that sets the seed."""
    if not isinstance(function, types.FunctionType):
        return function
    space = dict(function.__globals__)
    if "wrapper_set_seed" not in _names(function.__code__):
        return function
    space["wrapper_set_seed"] = _unseeded
    made = types.FunctionType(
        function.__code__, space, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _names(code: types.CodeType) -> set[str]:
    inner = [_names(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*inner)


def _global(value: Any) -> Any:
    if isinstance(value, types.ModuleType):
        path = value.__name__
        if path == "torch" or path.startswith("torch."):
            return lookup(lazytorch, path[len("torch.") :]) or value
        return value
    if isinstance(value, torch.dtype):
        return Translation("cpu")(value)
    if isinstance(value, types.FunctionType) and not value.__module__.startswith("torch."):
        return value
    if callable(value) and not isinstance(value, type):
        if getattr(value, "__name__", "") == "wrapper_set_seed":
            return _unseeded
        try:
            return callable_of(value)
        except Missing:
            return value
    return value


class Translation:
    """Translates the values of one sample; tensors that share memory still do afterwards."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.storages: dict[int, Tensor] = {}
        self.leaves: list[Tensor] = []

    def __call__(self, value: Any, key: Any = None) -> Any:
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if isinstance(value, torch.Size):
            return lazytorch.Size(value)
        if isinstance(value, (list, tuple)):
            parts = [self(v) for v in value]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if isinstance(value, dict):
            return {k: self(v, k) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(self(value.start), self(value.stop), self(value.step))
        if isinstance(value, torch.dtype):
            return self.named(value, "dtype")
        if isinstance(value, (torch.layout, torch.memory_format)):
            return self.named(value, type(value).__name__)
        if isinstance(value, torch.device) or key == "device" or value == "cpu":
            return self.place(value)
        if isinstance(value, torch.Generator):
            return lazytorch.Generator().manual_seed(value.initial_seed())
        if isinstance(value, complex) and not database.complex_only:
            raise NotApplicable("complex numbers")
        if callable(value) and not isinstance(value, type):
            return callable_of(value)
        return value

    def named(self, value: Any, kind: str) -> Any:
        if isinstance(value, torch.dtype) and value.is_complex and not database.complex_only:
            raise NotApplicable("complex numbers")
        found = getattr(lazytorch, str(value).removeprefix("torch."), None)
        if found is None:
            raise NotApplicable(f"{kind} {value}")
        return found

    def place(self, value: Any) -> Any:
        if str(value) in ("cpu", "None"):
            return None if value is None else self.device
        raise NotApplicable(f"device {value}")

    def tensor(self, x: torch.Tensor) -> Tensor:
        """The same numbers in the same memory layout, through a view where PyTorch's is one."""
        if x.layout is not torch.strided:
            raise NotApplicable("sparse layout")
        if x.is_complex() and not database.complex_only:
            raise NotApplicable("complex numbers")
        if x.is_quantized or x.device.type != "cpu":
            raise NotApplicable(f"{x.dtype} on {x.device}")
        self.named(x.dtype, "dtype")
        whole = x.detach().resolve_neg().resolve_conj()
        memory = whole.untyped_storage()
        base = self.storages.get(memory.data_ptr()) if memory.nbytes() else None
        count = memory.nbytes() // x.element_size()
        if base is None or base.dtype is not self(x.dtype) or base.numel() != count:
            flat = whole.as_strided((count,), (1,), 0)
            if x.dtype is torch.bfloat16:
                base = lazytorch.tensor(flat.float().numpy(), device=self.device)
                base = base.to(lazytorch.bfloat16)
            else:
                base = lazytorch.tensor(flat.numpy(), device=self.device)
            if memory.nbytes():
                self.storages[memory.data_ptr()] = base
        if x.is_contiguous() and x.numel() == count:
            made = base.reshape(tuple(x.shape)) if x.ndim != 1 else base
        else:
            made = base.as_strided(tuple(x.shape), x.stride(), x.storage_offset())
        if x.requires_grad:
            made = made.detach().requires_grad_()
            self.leaves.append(made)
        return made


def array_of(x: Any) -> np.ndarray[Any, Any]:
    """The values of a tensor of either library."""
    x = x.detach()
    if isinstance(x, Tensor):
        return np.array(x._float_array())
    x = x.float() if x.dtype is torch.bfloat16 else x
    return np.array(x.numpy(force=True))
