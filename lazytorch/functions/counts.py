"""Draws of counts, and functions of Python on each element: computed on the host, at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.application import apply
from lazytorch.expression import Function
from lazytorch.functions.arguments import not_implemented, require_tensor
from lazytorch.functions.data import of_array
from lazytorch.functions.random import Generator, draw_bits
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name


def _flat(inputs: Sequence[Node], *_: Any) -> list[Node | None]:
    return [ew.full_like(x, 0) if x.dtype.kind == "float" else None for x in inputs]


# A draw beside what it was drawn from, of which, as in PyTorch, its gradient is 0.
_DRAWN = {
    name: Function(name, lambda drawn, *_: drawn, gradient=_flat)
    for name in ("poisson", "binomial")
}


def _numpy_generator(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator, seeded by the next draw of ours."""
    return np.random.Generator(np.random.Philox(key=int(draw_bits(1, generator)[0])))


def _drawn(name: str, array: Any, first: Tensor, *parameters: Tensor) -> Tensor:
    made = of_array(np.asarray(array, np.float64), first.dtype, first._storage.device)
    return apply(_DRAWN[name], (made, *parameters))  # type: ignore[no-any-return]


@operation(method=False)
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """A draw from the Poisson distribution of each rate; computes the rates."""
    require_tensor("poisson", input)
    if input.dtype.kind != "float":
        raise not_implemented("poisson_cpu", input.dtype)
    rates = input.detach()._float_array().astype(np.float64)
    if (rates < 0).any():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    # NumPy refuses NaN, which stays NaN, and rates near 2^63, where a draw is the rate.
    known = np.isfinite(rates) & (rates < 1e18)
    counts = _numpy_generator(generator).poisson(np.where(known, rates, 0)).astype(np.float64)
    return _drawn("poisson", np.where(known, counts, rates), input, input)


@operation(method=False)
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of ``count`` trials succeed, each with probability ``prob``; computes both."""
    for name, value in (("count", count), ("prob", prob)):
        require_tensor("binomial", value, name)
        if value.dtype.kind != "float":
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: "
                f"{type_name(value.dtype)}"
            )
    if count.dtype is not prob.dtype:
        raise RuntimeError(
            f"Found dtype {type_name(prob.dtype)} but expected {type_name(count.dtype)}"
        )
    trials, chances = np.broadcast_arrays(
        count.detach()._float_array().astype(np.float64),
        prob.detach()._float_array().astype(np.float64),
    )
    known = (trials > 0) & (chances > 0) & np.isfinite(trials)
    whole = np.where(known, trials, 0).astype(np.int64)
    drawn = _numpy_generator(generator).binomial(whole, np.where(known, chances.clip(0, 1), 0))
    result = np.where(known & (chances >= 1), trials, drawn)
    result = np.where(np.isnan(trials) | np.isnan(chances), np.nan, result)
    return _drawn("binomial", result, count, count, prob)


# ---- functions of Python ------------------------------------------------------------------------


def _mapped(name: str, self: Tensor, others: tuple[Tensor, ...], function: Any) -> Tensor:
    for t in (self, *others):
        if t.requires_grad:
            raise RuntimeError(
                f"Can't call {name}() on Variable that requires grad. Use "
                f"var.detach().{name}() instead."
            )
    for t in others:
        if t.dtype is not self.dtype:
            raise TypeError(
                f"{name}: expected torch.{type_name(self.dtype)}Tensor for 'other' (got "
                f"torch.{type_name(t.dtype)}Tensor)"
            )
    arrays = [np.broadcast_to(t._float_array(), self._type.shape) for t in (self, *others)]
    values = [function(*row) for row in zip(*(a.ravel().tolist() for a in arrays), strict=True)]
    kind = {"int": int, "bool": bool}.get(self.dtype.kind, float)
    made = np.array([kind(v) for v in values], object).reshape(self._type.shape)
    dtype = np.float64 if kind is float else self.dtype.numpy
    return self.copy_(of_array(made.astype(dtype), self.dtype, self._storage.device))  # type: ignore[no-any-return]


def _apply(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Each element replaced by a Python function of it, one after another: slow."""
    return _mapped("apply_", self, (), callable)


def _map(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Each element replaced by a Python function of it and of that of ``tensor``: slow."""
    return _mapped("map_", self, (tensor,), callable)


def _map2(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Each element replaced by a Python function of it and of those of two tensors: slow."""
    return _mapped("map2_", self, (x, y), callable)


for _name, _method in (("apply_", _apply), ("map_", _map), ("map2_", _map2)):
    setattr(Tensor, _name, _method)
